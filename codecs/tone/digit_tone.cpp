// SPDX-License-Identifier: Apache-2.0
#include "codecs/tone/digit_tone.hpp"

#include <algorithm>
#include <cmath>

namespace ferry {

namespace {

/// Amplitude of a sine of 0 dBm0 in 16 bits (ITU-T G.711: the overload point is 3.17 dB above).
constexpr double kZeroDbm0 = 22'300;
/// Levels of the higher frequency that every detector hears, dB below 0 dBm0.
constexpr int kLoudest = 5;
constexpr int kFaintest = 20;

}  // namespace

DigitTone::DigitTone(std::uint8_t event, std::uint8_t volume, std::uint32_t rate_hz) noexcept
    : ramp_(std::max<std::size_t>(rate_hz / 500, 1)) {
  const int level = std::clamp<int>(volume, kLoudest, kFaintest);
  for (std::size_t i = 0; i < parts_.size(); ++i) {
    const double amplitude = kZeroDbm0 * std::pow(10.0, -(level + (i == 0 ? 2 : 0)) / 20.0);
    parts_[i] = Oscillator(kDigitHertz[event % kDigits][i], amplitude, rate_hz);
  }
}

void DigitTone::fill(std::span<std::int16_t> out, bool is_last) noexcept {
  for (std::size_t i = 0; i < out.size(); ++i, ++made_) {
    double value = parts_[0].next() + parts_[1].next();
    if (made_ < ramp_) value *= static_cast<double>(made_) / static_cast<double>(ramp_);
    const std::size_t left = out.size() - i;
    if (is_last && left <= ramp_) value *= static_cast<double>(left) / static_cast<double>(ramp_);
    out[i] = static_cast<std::int16_t>(std::lround(std::clamp(value, -32'768.0, 32'767.0)));
  }
}

}  // namespace ferry
