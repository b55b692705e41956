// SPDX-License-Identifier: Apache-2.0
// Whether the peer of a transport is there, and whether media may be sent to it.
#pragma once

#include "relay/core/forward/component.hpp"
#include "relay/core/forward/transport_activity.hpp"
#include "relay/core/forward/transport_snapshot.hpp"
#include "relay/core/limit/reachability.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace ferry {

/// Knows whether the peer of a transport is there: whether something valid came from it (LAT-12), and whether
/// ICMP errors say that it is gone (LAT-12a). Sans-IO; the transport's worker owns it.
class Presence {
 public:
  /// `activity` is what control reads; it lives as long as this object.
  explicit Presence(TransportActivity& activity) noexcept : activity_(&activity) {}

  /// Notes that something valid came from the present peer. That ends a pause by ICMP errors.
  void hear() noexcept {
    if (!is_heard_) activity_->is_heard.store(true, std::memory_order_relaxed);
    is_heard_ = true;
    if (reachability_) {
      for (Reachability& each : *reachability_) each.on_heard();
    }
  }
  /// Notes a keep-alive of the peer, which counts as something valid.
  void hear_keep_alive(Instant now) noexcept {
    last_keep_alive_ = now;
    hear();
  }
  /// The present peer has sent something valid (LAT-12).
  [[nodiscard]] bool is_heard() const noexcept { return is_heard_; }
  /// Another peer is learned now, which nobody has heard yet.
  void expect_another() noexcept {
    is_heard_ = false;
    activity_->is_heard.store(false, std::memory_order_relaxed);
  }

  /// Notes that a packet left through the port of `via`.
  void on_sent(Component via, Instant now) noexcept { last_sent_[index(via)] = now; }
  /// Notes an ICMP error about a packet of `via`. `errors` is the plan's object and `to_address` the address
  /// that the packet went to. `last_packet` is when accepted packets came, by component. `is_fed_by_kernel`:
  /// the kernel sends there packets that this transport does not see. Returns true if the error pauses the
  /// component (LAT-12a).
  bool on_unreachable(Component via, const std::shared_ptr<AddressErrors>& errors,
                      const IpAddress& to_address, const std::array<Instant, 2>& last_packet,
                      bool is_fed_by_kernel, Instant now) noexcept;
  /// True if a packet may leave now. During a pause, asking uses up the probe of this second.
  [[nodiscard]] bool may_send(Component via, Instant now) noexcept {
    return !reachability_ || (*reachability_)[index(via)].may_send(now);
  }
  [[nodiscard]] bool is_paused(Component via) const noexcept {
    return reachability_ && (*reachability_)[index(via)].is_paused();
  }
  /// Ends all pauses and forgets all errors.
  void end_pauses() noexcept { reachability_.reset(); }

  /// How long somebody has been silent who was heard last at `at`. A pause of this process is no silence
  /// (C-13).
  [[nodiscard]] Duration silence_since(Instant at, Instant now) const noexcept {
    return now - std::max(at, awake_since_);
  }
  /// The end of the last pause of this process; `Instant{}` = there was none.
  [[nodiscard]] Instant awake_since() const noexcept { return awake_since_; }
  /// Moves all times forward by `pause`, in which this process did not run; `now` is its end (C-13).
  void skip(Duration pause, Instant now) noexcept;

  /// Writes its part of a snapshot.
  void save(TransportSnapshot& snapshot) const noexcept;
  /// Goes on where a snapshot was taken.
  void restore(const TransportSnapshot& snapshot, Instant now);

 private:
  static constexpr std::size_t index(Component component) { return static_cast<std::size_t>(component); }

  TransportActivity* activity_;
  bool is_heard_ = false;
  /// Pauses by ICMP errors, by component; made by the first error.
  std::unique_ptr<std::array<Reachability, 2>> reachability_;
  /// When the last packet left, by component.
  std::array<Instant, 2> last_sent_{};
  /// Newest keep-alive of the peer.
  Instant last_keep_alive_{};
  /// When packets were received again after the last pause of this process; `Instant{}` = there was none.
  Instant awake_since_{};
};

}  // namespace ferry
