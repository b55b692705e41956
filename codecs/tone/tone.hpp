// SPDX-License-Identifier: Apache-2.0
// Tones as G.711 frames, and their detection, by spandsp: what demonstrations and tests send and listen for.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// One tone without end as A-law at 8 kHz. For one thread.
class ToneSource {
 public:
  /// `hertz`: frequency of the tone, below 4,000.
  explicit ToneSource(double hertz);
  /// The next `samples` of the tone, one octet each.
  std::vector<std::byte> next(std::size_t samples);

 private:
  /// Phase of the tone, and its advance for each sample, in spandsp's units.
  std::uint32_t phase_ = 0;
  std::int32_t phase_rate_;
};

/// Measures which share of an A-law signal's energy lies at one frequency (Goertzel). For one thread.
class ToneMeter {
 public:
  /// `hertz`: the frequency that is looked for.
  explicit ToneMeter(double hertz);
  /// Takes the next samples, at 8 kHz.
  void feed(Bytes a_law);
  /// The share, 0 to 1; above 0.5 the tone is what one hears. 0 if less than 100 ms came.
  [[nodiscard]] double share() const;

 private:
  double hertz_;
  /// Samples that do not fill a block yet.
  std::vector<std::int16_t> block_;
  double energy_ = 0;
  double at_frequency_ = 0;
};

}  // namespace ferry
