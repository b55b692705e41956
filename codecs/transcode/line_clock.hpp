// SPDX-License-Identifier: Apache-2.0
// Where a receiver's timeline has come to, as time on the wall.
#pragma once

#include "codecs/transcode/sample_time.hpp"
#include "relay/core/output/stage.hpp"

#include <algorithm>
#include <cstdint>

namespace ferry {

/// Notes every packet that leaves, and says how far behind the last one a packet belongs whose maker knows
/// nothing of it: another path, or another stream. So the timeline stays one line over any number of changes,
/// and what is a little early once is not added up.
class LineClock {
 public:
  /// A packet leaves at `now`.
  void note(const MadePacket& packet, Instant now) noexcept {
    if (at_ == Instant{})
      at_ = now;
    else
      at_ += time_of(static_cast<std::int32_t>(packet.units), packet.clock_rate_hz);
    length_ = Duration{0};
  }
  /// The last packet lasts so long.
  void note_length(Duration length) noexcept { length_ = length; }
  /// Clock units from the last packet to one that leaves at `now`: at least its length. 0 before the first
  /// one.
  [[nodiscard]] std::uint32_t units_to(Instant now, std::uint32_t clock_hz) const noexcept {
    if (at_ == Instant{}) return 0;
    return static_cast<std::uint32_t>(units_in(std::max(now - at_, length_), clock_hz));
  }
  /// How far timestamps are ahead of the clock on the wall: a packet that leaves at `now` comes early by it.
  [[nodiscard]] Duration ahead(Instant now) const noexcept {
    return at_ == Instant{} ? Duration{0} : std::max<Duration>(at_ + length_ - now, Duration{0});
  }

 private:
  /// The time that the last packet's timestamp stands for. Unset: none left.
  Instant at_{};
  Duration length_{0};
};

}  // namespace ferry
