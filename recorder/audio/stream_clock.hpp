// Where on the time of a recording the RTP timestamps of one stream lie.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <span>

namespace ferry {

/// A timestamp and when its packet came.
struct ClockedArrival {
  /// Unwrapped, so that differences are differences in time.
  std::int64_t timestamp = 0;
  Instant at{};
};

/// Anchors a stream by the packets that were delayed least, and goes by its timestamps from then on: jitter
/// does not move the audio. A jump that the arrival times do not follow (a sender that stopped its clock on
/// hold, a new random offset) anchors it again; a clock that runs too fast or too slow is followed in small
/// steps. Pure.
class StreamClock {
 public:
  /// What is corrected in small steps, and what only by a jump.
  static constexpr Duration kTolerance = std::chrono::milliseconds(3);
  static constexpr Duration kJump = std::chrono::milliseconds(150);

  explicit StreamClock(std::uint32_t clock_rate_hz) : clock_rate_hz_(clock_rate_hz) {}

  /// The time of the next packet of the stream. `arrivals` begins with that packet; those behind it came
  /// before it must be decided, in order of their sequence numbers. `step` is the smallest correction, e.g.
  /// one sample.
  Instant time_of(std::span<const ClockedArrival> arrivals, Duration step);
  /// The last call anchored the stream anew.
  [[nodiscard]] bool has_jumped() const { return has_jumped_; }
  [[nodiscard]] std::uint32_t clock_rate_hz() const { return clock_rate_hz_; }

 private:
  [[nodiscard]] Duration span(std::int64_t ticks) const;
  [[nodiscard]] Instant map(std::int64_t timestamp) const {
    return anchor_time_ + span(timestamp - anchor_timestamp_);
  }
  void anchor(std::span<const ClockedArrival> arrivals);
  void follow(Duration lag, Instant at, Duration step);

  std::uint32_t clock_rate_hz_;
  bool is_anchored_ = false;
  bool has_jumped_ = false;
  std::int64_t anchor_timestamp_ = 0;
  Instant anchor_time_{};
  Duration last_lag_{0};
  /// Least delay of two windows, the current and the one before.
  static constexpr Duration kWindow = std::chrono::seconds(2);
  Instant window_start_{};
  Duration window_least_ = Duration::max();
  Duration before_least_ = Duration::max();
  /// What is still to be corrected.
  Duration correction_{0};
};

}  // namespace ferry
