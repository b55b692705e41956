// SPDX-License-Identifier: Apache-2.0
// Event packets that have to wait, so that they leave as late as the audio beside them.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/rtp/rtp.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// A queue of packets of telephone events (RFC 4733), in the order in which they came. `make_room` allocates
/// all that it ever needs. For one thread.
class DelayedEvents {
 public:
  /// Octets of a payload that matter.
  static constexpr std::size_t kOctets = 4;

  /// Readies the queue, which is empty then. Throws std::bad_alloc.
  void make_room() {
    clear();
    all_.resize(kMost);
  }
  /// Keeps a packet of an input with this clock until `due`. False if there is no room.
  bool keep(const RtpView& rtp, std::uint32_t clock_rate_hz, Instant due) noexcept {
    if (count_ == all_.size() || rtp.payload.size() < kOctets) return false;
    Kept& kept = all_[(first_ + count_++) % all_.size()];
    kept.rtp = rtp;
    std::ranges::copy(rtp.payload.first(kOctets), kept.payload.begin());
    kept.clock_rate_hz = clock_rate_hz;
    kept.due = due;
    return true;
  }
  /// When the first one is due; nothing: none waits.
  [[nodiscard]] std::optional<Instant> due() const noexcept {
    return count_ == 0 ? std::nullopt : std::optional(all_[first_].due);
  }
  /// Calls `take(rtp, clock_rate_hz)` for each packet that is due, and forgets it.
  template <class Take>
  void release(Instant now, Take take) {
    while (count_ > 0 && all_[first_].due <= now) {
      Kept& kept = all_[first_];
      first_ = (first_ + 1) % all_.size();
      --count_;
      RtpView rtp = kept.rtp;
      rtp.payload = kept.payload;
      take(rtp, kept.clock_rate_hz);
    }
  }
  void clear() noexcept { first_ = count_ = 0; }

 private:
  struct Kept {
    RtpView rtp;
    std::array<std::byte, kOctets> payload{};
    std::uint32_t clock_rate_hz = 8000;
    Instant due{};
  };
  /// A press has a packet each 20 to 50 ms, so this is room for more than four seconds.
  static constexpr std::size_t kMost = 256;
  /// Empty before `make_room`.
  std::vector<Kept> all_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
};

}  // namespace ferry
