#include "recorder/audio/stream_clock.hpp"

#include <algorithm>

namespace ferry {

Duration StreamClock::span(std::int64_t ticks) const {
  // Whole seconds apart, so that long calls do not overflow.
  const std::int64_t rate = clock_rate_hz_;
  return std::chrono::seconds(ticks / rate) + Duration(ticks % rate * 1'000'000'000 / rate);
}

void StreamClock::anchor(std::span<const ClockedArrival> arrivals) {
  const ClockedArrival& first = arrivals.front();
  Duration least{0};
  for (std::size_t i = 1; i < arrivals.size(); ++i) {
    const Duration by_clock = span(arrivals[i].timestamp - arrivals[i - 1].timestamp);
    const Duration by_arrival = arrivals[i].at - arrivals[i - 1].at;
    if (std::chrono::abs(by_arrival - by_clock) > kJump) break;  // the next piece has an anchor of its own
    least = std::min(least, (arrivals[i].at - first.at) - span(arrivals[i].timestamp - first.timestamp));
  }
  anchor_timestamp_ = first.timestamp;
  anchor_time_ = first.at + least;
  is_anchored_ = has_jumped_ = true;
  window_start_ = first.at;
  window_least_ = before_least_ = Duration::max();
  correction_ = Duration{0};
}

void StreamClock::follow(Duration lag, Instant at, Duration step) {
  if (at - window_start_ >= kWindow) {
    before_least_ = window_least_;
    window_least_ = Duration::max();
    window_start_ = at;
    if (before_least_ != Duration::max() && std::chrono::abs(before_least_) > kTolerance)
      correction_ = before_least_;
  }
  window_least_ = std::min(window_least_, lag);
  if (std::chrono::abs(correction_) < step) return;
  const Duration now = correction_ > Duration{0} ? step : -step;
  correction_ -= now;
  anchor_time_ += now;
  window_least_ -= now;
}

Instant StreamClock::time_of(std::span<const ClockedArrival> arrivals, Duration step) {
  has_jumped_ = false;
  const ClockedArrival& packet = arrivals.front();
  if (!is_anchored_) {
    anchor(arrivals);
  } else {
    const Duration lag = packet.at - map(packet.timestamp);
    if (std::chrono::abs(lag) > kJump && std::chrono::abs(lag - last_lag_) > kJump / 2) {
      // A stall of the network passes: some packet behind it lags less. A stopped clock does not.
      Duration least = lag;
      for (const ClockedArrival& later : arrivals) {
        const Duration other = later.at - map(later.timestamp);
        if (std::chrono::abs(other - lag) < std::chrono::seconds(2)) least = std::min(least, other);
      }
      if (std::chrono::abs(least) > kJump) anchor(arrivals);
    }
  }
  last_lag_ = packet.at - map(packet.timestamp);
  if (!has_jumped_) follow(last_lag_, packet.at, step);
  return map(packet.timestamp);
}

}  // namespace ferry
