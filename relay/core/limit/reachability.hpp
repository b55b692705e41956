// Whether media may go on to a peer that answers it with ICMP errors (LAT-12 a).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace ferry {

/// What ICMP said about one remote address, whichever worker heard it. Control makes one for each address;
/// the transports that send there share it. Any thread.
struct AddressErrors {
  explicit AddressErrors(const IpAddress& remote) : address(remote) {}
  const IpAddress address;
  /// Components that are paused because of errors about this address.
  std::atomic<std::uint32_t> paused{0};
  /// When the last error about a packet to this address came, as `Instant` since its epoch; 0 = never.
  std::atomic<std::int64_t> last_error_ns{0};
};

/// One component of a transport. Pure; its worker owns it. Copying is not possible: a paused one is counted.
class Reachability {
 public:
  Reachability() = default;
  ~Reachability() { resume(); }
  Reachability(const Reachability&) = delete;
  Reachability& operator=(const Reachability&) = delete;

  /// An ICMP error came about a packet of the last second. `heard_at` is when the peer's last valid packet
  /// came (unset: never), `shared` what is known of its address (may be null). True if it pauses the
  /// component.
  bool on_error(Instant heard_at, const std::shared_ptr<AddressErrors>& shared, Instant now) noexcept;
  /// Something valid came from the peer: a pause ends, and errors so far are forgotten.
  void on_heard() noexcept;
  /// Whether a packet may leave now. While the component is paused, one a second may: it is the probe.
  [[nodiscard]] bool may_send(Instant now) noexcept;
  [[nodiscard]] bool is_paused() const noexcept { return paused_; }
  /// For copies of a transport (`where`): paused like the original, which is not counted again.
  void restore_pause(Instant now) noexcept;
  /// Time passed in which nobody listened to errors (C-13).
  void skip(Duration pause) noexcept {
    for (Instant* each : {&last_error_, &probed_at_}) {
      if (*each != Instant{}) *each += pause;
    }
  }

 private:
  void pause(const std::shared_ptr<AddressErrors>& shared, Instant now) noexcept;
  void resume() noexcept;

  std::uint8_t in_a_row_ = 0;
  bool paused_ = false;
  Instant last_error_{};
  /// When the last probe left; the pause itself before the first one.
  Instant probed_at_{};
  bool is_probing_ = false;
  /// Where this pause is counted; null: nowhere.
  std::shared_ptr<AddressErrors> counted_;
};

}  // namespace ferry
