// SPDX-License-Identifier: Apache-2.0
// The sound that takes the place of a digit in speech.
#pragma once

#include "codecs/tone/digit_tone.hpp"
#include "codecs/tone/oscillator.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ferry {

/// Makes samples of silence, of some pitches at once, or of a digit, mono, for as long as they are asked for.
/// Pure; allocates nothing.
class CoverSound {
 public:
  /// Most pitches of a sound; more are left out.
  static constexpr std::size_t kMostPitches = 8;

  /// Silence.
  CoverSound() = default;
  /// Pitches in Hz at one level, which is quieter than a digit. Empty: 400 Hz.
  [[nodiscard]] static CoverSound of_pitches(std::span<const std::uint16_t> hertz,
                                             std::uint32_t rate_hz) noexcept;
  /// A digit, as `DigitTone` makes it.
  [[nodiscard]] static CoverSound of_digit(std::uint8_t event, std::uint8_t volume,
                                           std::uint32_t rate_hz) noexcept;
  /// The next samples. `is_last`: the last of them fade out.
  void fill(std::span<std::int16_t> out, bool is_last) noexcept;

 private:
  std::array<Oscillator, kMostPitches> pitches_{};
  std::size_t count_ = 0;
  /// Nothing: it is no digit.
  std::optional<DigitTone> digit_;
};

}  // namespace ferry
