// SPDX-License-Identifier: Apache-2.0
#include "codecs/tone/cover_sound.hpp"

#include <algorithm>
#include <cmath>

namespace ferry {

namespace {

/// Amplitude of all pitches together: 16 dB below the overload point, as loud as a tone of a telephone.
constexpr double kAmplitude = 5'000;
constexpr std::uint16_t kUsualPitch = 400;

}  // namespace

CoverSound CoverSound::of_pitches(std::span<const std::uint16_t> hertz, std::uint32_t rate_hz) noexcept {
  CoverSound sound;
  const std::span<const std::uint16_t> wanted =
      hertz.empty() ? std::span<const std::uint16_t>(&kUsualPitch, 1) : hertz;
  for (const std::uint16_t each : wanted) {
    if (sound.count_ == kMostPitches) break;
    const double amplitude =
        kAmplitude / static_cast<double>(std::min<std::size_t>(wanted.size(), kMostPitches));
    sound.pitches_[sound.count_++] = Oscillator(each, amplitude, rate_hz);
  }
  return sound;
}

CoverSound CoverSound::of_digit(std::uint8_t event, std::uint8_t volume, std::uint32_t rate_hz) noexcept {
  CoverSound sound;
  sound.digit_.emplace(event, volume, rate_hz);
  return sound;
}

void CoverSound::fill(std::span<std::int16_t> out, bool is_last) noexcept {
  if (digit_) return digit_->fill(out, is_last);
  for (std::int16_t& sample : out) {
    double value = 0;
    for (Oscillator& each : std::span(pitches_).first(count_)) value += each.next();
    sample = static_cast<std::int16_t>(std::lround(std::clamp(value, -32'768.0, 32'767.0)));
  }
}

}  // namespace ferry
