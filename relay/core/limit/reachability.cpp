// SPDX-License-Identifier: Apache-2.0
// Pauses a component whose packets draw ICMP errors, and finds out when the peer is back.
//
// Three errors in a row about a peer that has been silent for 5 s begin a pause. While it lasts, one packet a
// second goes out as a probe. If no error follows a probe within 0.5 s, it has arrived and the pause ends.
// Anything valid from the peer ends it at once.
//
// The trap: a host limits how many ICMP errors it sends. With many components paused at one address, the
// missing error of one probe proves nothing, so errors about all of them are looked at together.
#include "relay/core/limit/reachability.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr std::uint8_t kErrorsInARow = 3;  // errors that begin a pause
constexpr Duration kSilence = 5s;          // without a valid packet for this long the peer counts as silent
constexpr Duration kRowGap = 5s;           // an error that comes later begins a new row
constexpr Duration kProbeInterval = 1s;
constexpr Duration kProbeWait = 500ms;  // a probe without an error for this long has arrived
// With more paused components at one address, its errors count for all of them.
constexpr std::uint32_t kManyPaused = 4;

}  // namespace

bool Reachability::on_error(Instant heard_at, const std::shared_ptr<AddressErrors>& shared,
                            Instant now) noexcept {
  if (shared) shared->last_error_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  if (in_a_row_ > 0 && now - last_error_ > kRowGap) in_a_row_ = 0;
  last_error_ = now;
  if (paused_) return false;
  if (in_a_row_ < kErrorsInARow) ++in_a_row_;
  const bool is_silent = heard_at == Instant{} || now - heard_at >= kSilence;
  if (in_a_row_ < kErrorsInARow || !is_silent) return false;
  pause(shared, now);
  return true;
}

void Reachability::on_heard() noexcept {
  in_a_row_ = 0;
  resume();
}

void Reachability::pause(const std::shared_ptr<AddressErrors>& shared, Instant now) noexcept {
  paused_ = true;
  is_probing_ = false;
  probed_at_ = now;
  counted_ = shared;
  if (counted_) counted_->paused.fetch_add(1, std::memory_order_relaxed);
}

void Reachability::resume() noexcept {
  if (!paused_) return;
  paused_ = false;
  in_a_row_ = 0;
  if (counted_) counted_->paused.fetch_sub(1, std::memory_order_relaxed);
  counted_.reset();
}

void Reachability::restore_pause(Instant now) noexcept {
  if (!paused_) pause(nullptr, now);
}

bool Reachability::may_send(Instant now) noexcept {
  if (!paused_) return true;
  if (is_probing_ && now - probed_at_ >= kProbeWait) {
    Instant error = last_error_;
    Instant quiet_since = probed_at_;
    if (counted_ && counted_->paused.load(std::memory_order_relaxed) > kManyPaused) {
      // The host limits its ICMP errors, whichever component probes. So an error about another component
      // counts here too, and all errors must be missing for a whole round of probes.
      error = std::max(error, Instant{Duration{counted_->last_error_ns.load(std::memory_order_relaxed)}});
      quiet_since -= kProbeInterval;
    }
    if (error < quiet_since) {
      resume();
      return true;
    }
  }
  if (now - probed_at_ < kProbeInterval) return false;
  is_probing_ = true;
  probed_at_ = now;
  return true;
}

}  // namespace ferry
