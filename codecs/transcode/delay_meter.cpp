// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/delay_meter.hpp"

#include <algorithm>

namespace ferry {

void DelayMeter::note(Duration spoken, Instant at) noexcept {
  const Instant start = at - spoken;
  if (!has_base_) {
    has_base_ = true;
    window_began_ = at;
    window_least_ = before_least_ = start;
  } else if (at - window_began_ >= kWindow) {
    before_least_ = window_least_;
    window_least_ = start;
    window_began_ = at;
  }
  window_least_ = std::min(window_least_, start);
  add(start - base());
}

void DelayMeter::add(Duration delay) noexcept {
  ++noted_;
  const auto step = static_cast<std::size_t>(
      std::clamp<std::int64_t>(delay / std::chrono::milliseconds(1), 0, std::int64_t{kSteps} - 1));
  weight_ /= kForget;
  steps_[step] += weight_;
  total_ += weight_;
  // Long before the numbers lose their precision.
  if (weight_ < 1e6F) return;
  for (float& each : steps_) each /= weight_;
  total_ /= weight_;
  weight_ = 1;
}

Duration DelayMeter::quantile(double share) const noexcept {
  // From above, for mostly few packets come late.
  float left = total_ * static_cast<float>(1 - share);
  for (std::size_t step = kSteps; step-- > 1;) {
    left -= steps_[step];
    if (left < 0) return std::chrono::milliseconds(step + 1);
  }
  return Duration{0};
}

}  // namespace ferry
