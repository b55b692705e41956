// SPDX-License-Identifier: Apache-2.0
// Says when the samples of one stream were spoken, by its RTP timestamps and the times its packets came.
#pragma once

#include "relay/base/types.hpp"

#include <cstdint>
#include <span>

namespace ferry {

/// A timestamp, and when its packet came.
struct ClockedArrival {
  /// Unwrapped: it never rolls over, so differences are differences in time.
  std::int64_t timestamp = 0;
  Instant at{};
};

/// Anchors a stream by the packets that were delayed least, and then goes by its timestamps: jitter of the
/// network does not move the audio.
///
/// If the timestamps jump and the arrival times do not follow (a sender that stopped its clock on hold, a new
/// random offset), the stream is anchored anew. A clock that runs too fast or too slow is followed in small
/// steps. Pure: no clock of the host, no memory.
class StreamClock {
 public:
  /// Smaller deviations are left alone; larger ones are corrected in small steps.
  static constexpr Duration kTolerance = std::chrono::milliseconds(3);
  /// Deviations beyond this are corrected by a new anchor.
  static constexpr Duration kJump = std::chrono::milliseconds(150);

  /// `clock_rate_hz`: of the timestamps, not 0.
  explicit StreamClock(std::uint32_t clock_rate_hz) : clock_rate_hz_(clock_rate_hz) {}

  /// The time of the stream's next packet. `arrivals` begins with that packet; the others are those behind it
  /// that have come already, in order of their sequence numbers. `step`: the smallest correction, for example
  /// one sample.
  Instant time_of(std::span<const ClockedArrival> arrivals, Duration step);
  /// True if the last call anchored the stream anew.
  [[nodiscard]] bool has_jumped() const { return has_jumped_; }
  [[nodiscard]] std::uint32_t clock_rate_hz() const { return clock_rate_hz_; }

 private:
  /// Timestamp units as time.
  [[nodiscard]] Duration span(std::int64_t ticks) const;
  /// The time of a timestamp by the present anchor.
  [[nodiscard]] Instant map(std::int64_t timestamp) const {
    return anchor_time_ + span(timestamp - anchor_timestamp_);
  }
  /// Sets the anchor by these packets.
  void anchor(std::span<const ClockedArrival> arrivals);
  /// Looks for drift and corrects a step of it.
  void follow(Duration lag, Instant at, Duration step);

  std::uint32_t clock_rate_hz_;
  bool is_anchored_ = false;
  bool has_jumped_ = false;
  std::int64_t anchor_timestamp_ = 0;
  Instant anchor_time_{};
  /// How late the last packet was, compared with its timestamp.
  Duration last_lag_{0};
  /// The least delay in two windows: the present one and the one before.
  static constexpr Duration kWindow = std::chrono::seconds(2);
  Instant window_start_{};
  Duration window_least_ = Duration::max();
  Duration before_least_ = Duration::max();
  /// Rest of a correction that is made in steps.
  Duration correction_{0};
};

}  // namespace ferry
