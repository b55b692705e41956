// SPDX-License-Identifier: Apache-2.0
// The sound of a digit: two frequencies at once (ITU-T Q.23), without clicks.
#pragma once

#include "codecs/tone/oscillator.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ferry {

/// Events that are digits: 0 to 9, *, #, A to D (RFC 4733 §3.2).
inline constexpr std::size_t kDigits = 16;

/// The frequencies of each digit in Hz, the lower one first.
inline constexpr std::array<std::array<int, 2>, kDigits> kDigitHertz = {{{941, 1336},
                                                                         {697, 1209},
                                                                         {697, 1336},
                                                                         {697, 1477},
                                                                         {770, 1209},
                                                                         {770, 1336},
                                                                         {770, 1477},
                                                                         {852, 1209},
                                                                         {852, 1336},
                                                                         {852, 1477},
                                                                         {941, 1209},
                                                                         {941, 1477},
                                                                         {697, 1633},
                                                                         {770, 1633},
                                                                         {852, 1633},
                                                                         {941, 1633}}};

/// Makes the samples of one digit, mono. It fades in, lasts as long as samples are asked for, and fades out
/// with the last ones. Pure; allocates nothing.
class DigitTone {
 public:
  /// `event` is a digit. `volume`: level of the higher frequency below 0 dBm0, as the event says; what no
  /// detector would hear well is corrected. The lower one is 2 dB weaker.
  DigitTone(std::uint8_t event, std::uint8_t volume, std::uint32_t rate_hz) noexcept;
  /// The next samples. `is_last`: the last of them fade out.
  void fill(std::span<std::int16_t> out, bool is_last) noexcept;

 private:
  std::array<Oscillator, 2> parts_{};
  /// Samples of a ramp, and samples made so far.
  std::size_t ramp_;
  std::size_t made_ = 0;
};

}  // namespace ferry
