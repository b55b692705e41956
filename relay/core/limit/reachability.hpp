// SPDX-License-Identifier: Apache-2.0
// Decides whether media may still be sent to a peer that answers with ICMP errors (LAT-12a).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace ferry {

/// The ICMP errors about one remote address, whichever worker received them. Control makes one object for
/// each address, and all transports that send there share it. Safe on any thread.
struct AddressErrors {
  explicit AddressErrors(const IpAddress& remote) : address(remote) {}
  /// The remote address; it never changes.
  const IpAddress address;
  /// Number of components that are paused because of errors about this address.
  std::atomic<std::uint32_t> paused{0};
  /// When the newest error about a packet to this address came, in nanoseconds of `Instant`; 0 = never.
  std::atomic<std::int64_t> last_error_ns{0};
};

/// The ICMP state of one component of a transport. Three errors in a row pause it if the peer is silent.
/// While paused it sends one probe a second; a probe that draws no error for 0.5 s ends the pause. Pure; its
/// worker owns it. It cannot be copied, because `AddressErrors` counts each paused component.
class Reachability {
 public:
  Reachability() = default;
  ~Reachability() { resume(); }
  Reachability(const Reachability&) = delete;
  Reachability& operator=(const Reachability&) = delete;

  /// Takes note of an ICMP error about a packet that was sent within the last second. `heard_at` is when the
  /// peer's last valid packet came; `Instant{}` = never. `shared` holds the errors about the address; null if
  /// they are not shared. Returns true if this error pauses the component.
  bool on_error(Instant heard_at, const std::shared_ptr<AddressErrors>& shared, Instant now) noexcept;
  /// Takes note that something valid came from the peer. That ends a pause and forgets all errors so far.
  void on_heard() noexcept;
  /// True if a packet may leave now. During a pause it is true once a second: that packet is the probe, and
  /// it must really be sent.
  [[nodiscard]] bool may_send(Instant now) noexcept;
  [[nodiscard]] bool is_paused() const noexcept { return paused_; }
  /// Puts a copy of a transport (made for `where`) or a restored one into the paused state. The pause is not
  /// counted in an `AddressErrors`.
  void restore_pause(Instant now) noexcept;
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept {
    for (Instant* each : {&last_error_, &probed_at_}) {
      if (*each != Instant{}) *each += pause;
    }
  }

 private:
  /// Begins a pause, and counts it in `shared` unless that is null.
  void pause(const std::shared_ptr<AddressErrors>& shared, Instant now) noexcept;
  /// Ends a pause, if there is one.
  void resume() noexcept;

  /// Errors without a valid packet in between, 0 to 3.
  std::uint8_t in_a_row_ = 0;
  bool paused_ = false;
  /// Time of the newest error; `Instant{}` = none yet.
  Instant last_error_{};
  /// When the newest probe left; before the first one, when the pause began.
  Instant probed_at_{};
  /// A probe was sent in this pause, so `probed_at_` is its time.
  bool is_probing_ = false;
  /// The object that counts this pause; null if none does.
  std::shared_ptr<AddressErrors> counted_;
};

}  // namespace ferry
