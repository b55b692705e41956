// SPDX-License-Identifier: Apache-2.0
// Maps timestamps to times by one anchor: a timestamp and the time at which it would have arrived without any
// delay of the network. Delay only ever adds, so the packet that was delayed least tells the truth.
//
// `anchor` chooses that from the packets at hand. `follow` looks for the least delay in windows of two
// seconds: if it drifts by more than kTolerance, the sender's clock runs too fast or too slow, and the anchor
// is moved by one small step for each packet. A jump of more than kJump that the packets behind confirm
// anchors anew.
#include "codecs/audio/stream_clock.hpp"

#include <algorithm>

namespace ferry {

Duration StreamClock::span(std::int64_t ticks) const {
  // Whole seconds apart, so that the product does not overflow in long calls.
  const std::int64_t rate = clock_rate_hz_;
  return std::chrono::seconds(ticks / rate) + Duration(ticks % rate * 1'000'000'000 / rate);
}

void StreamClock::anchor(std::span<const ClockedArrival> arrivals) {
  const ClockedArrival& first = arrivals.front();
  Duration least{0};
  for (std::size_t i = 1; i < arrivals.size(); ++i) {
    const Duration by_clock = span(arrivals[i].timestamp - arrivals[i - 1].timestamp);
    const Duration by_arrival = arrivals[i].at - arrivals[i - 1].at;
    // Another jump: the next piece has an anchor of its own.
    if (std::chrono::abs(by_arrival - by_clock) > kJump) break;
    // How much earlier than the first one this packet came, compared with its timestamp.
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
    // The least delay should be about zero; if it is not, the clocks run apart.
    if (before_least_ != Duration::max() && std::chrono::abs(before_least_) > kTolerance)
      correction_ = before_least_;
  }
  window_least_ = std::min(window_least_, lag);
  if (std::chrono::abs(correction_) < step) return;
  const Duration now = correction_ > Duration{0} ? step : -step;
  correction_ -= now;
  // The open window was measured by the old anchor.
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
    // Only a sudden change is looked at: a lag that stays was decided on before.
    if (std::chrono::abs(lag) > kJump && std::chrono::abs(lag - last_lag_) > kJump / 2) {
      // If the network stalled, some packet behind this one lags less. If the sender's clock was stopped or
      // set, none does.
      Duration least = lag;
      for (const ClockedArrival& later : arrivals) {
        const Duration other = later.at - map(later.timestamp);
        if (std::chrono::abs(other - lag) < std::chrono::seconds(2)) least = std::min(least, other);
      }
      if (std::chrono::abs(least) > kJump) anchor(arrivals);
    }
  }
  last_lag_ = packet.at - map(packet.timestamp);
  // A new anchor has no history to learn drift from.
  if (!has_jumped_) follow(last_lag_, packet.at, step);
  return map(packet.timestamp);
}

}  // namespace ferry
