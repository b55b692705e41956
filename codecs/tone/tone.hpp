// Tones as G.711 frames and their detection, on spandsp: what demonstrations and tests send and listen for.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace ferry {

/// Endless A-law frames of one tone, 8 kHz. Not thread-safe.
class ToneSource {
 public:
  explicit ToneSource(double hertz);
  /// The next `samples` of the tone, one octet each.
  std::vector<std::byte> next(std::size_t samples);

 private:
  std::uint32_t phase_ = 0;
  std::int32_t phase_rate_;
};

/// Share of the energy of an A-law signal that lies at one frequency (Goertzel). Feed it whole frames.
class ToneMeter {
 public:
  explicit ToneMeter(double hertz);
  void feed(Bytes a_law);
  /// 0…1; above 0.5 the tone is what one hears. 0 if nothing came.
  [[nodiscard]] double share() const;

 private:
  double hertz_;
  std::vector<std::int16_t> block_;
  double energy_ = 0;
  double at_frequency_ = 0;
};

}  // namespace ferry
