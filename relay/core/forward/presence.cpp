// SPDX-License-Identifier: Apache-2.0
#include "relay/core/forward/presence.hpp"

#include "relay/base/memory.hpp"

namespace ferry {

namespace {

// LAT-12a: an ICMP error counts only for packets as recent as this.
constexpr Duration kRecentlySent = std::chrono::seconds(1);

}  // namespace

bool Presence::on_unreachable(Component via, const std::shared_ptr<AddressErrors>& errors,
                              const IpAddress& to_address, const std::array<Instant, 2>& last_packet,
                              bool is_fed_by_kernel, Instant now) noexcept {
  // Anybody can forge an ICMP message about packets that nobody sent.
  const bool was_sent = is_fed_by_kernel || (last_sent_[index(via)] != Instant{} &&
                                             now - last_sent_[index(via)] <= kRecentlySent);
  if (!was_sent) return false;
  if (!reachability_) reachability_ = make_unique_or_null<std::array<Reachability, 2>>();
  if (!reachability_) return false;
  // Time in which this process did not run is no silence of the peer.
  const Instant heard_at =
      is_heard_ ? std::max({last_packet[0], last_packet[1], last_keep_alive_, awake_since_}) : Instant{};
  // The learned peer may be at another address than the signalled one, which the shared object is about.
  const bool is_shared = errors->address == to_address;
  return (*reachability_)[index(via)].on_error(heard_at, is_shared ? errors : nullptr, now);
}

void Presence::skip(Duration pause, Instant now) noexcept {
  awake_since_ = now;
  if (!reachability_) return;
  for (Reachability& each : *reachability_) each.skip(pause);
}

void Presence::save(TransportSnapshot& snapshot) const noexcept {
  snapshot.verified = is_heard_;
  for (std::size_t i = 0; i < snapshot.paused.size(); ++i)
    snapshot.paused[i] = is_paused(static_cast<Component>(i));
}

void Presence::restore(const TransportSnapshot& snapshot, Instant now) {
  is_heard_ = snapshot.verified;
  activity_->is_heard.store(is_heard_, std::memory_order_relaxed);
  for (std::size_t i = 0; i < snapshot.paused.size(); ++i) {
    if (!snapshot.paused[i]) continue;
    if (!reachability_) reachability_ = std::make_unique<std::array<Reachability, 2>>();
    (*reachability_)[i].restore_pause(now);
  }
}

}  // namespace ferry
