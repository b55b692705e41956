// SPDX-License-Identifier: Apache-2.0
// Measures the loudness of G.711 audio, just well enough to tell "packets but silence" from speech.
#pragma once

#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>
#include <cstdlib>

namespace ferry {

/// The two laws of G.711: mu-law is PCMU, A-law is PCMA. kNone: another codec.
enum class G711Law : std::uint8_t { kNone, kMu, kA };

namespace detail {

/// The magnitude of one octet as a linear 16-bit sample (ITU-T G.711 tables 2a and 1a).
constexpr int mu_law_magnitude(std::uint8_t octet) {
  const int inverted = ~octet & 0xff;
  return ((((inverted & 0x0f) << 3) + 0x84) << ((inverted & 0x70) >> 4)) - 0x84;
}
/// The same magnitude for A-law.
constexpr int a_law_magnitude(std::uint8_t octet) {
  const int value = octet ^ 0x55;
  const int segment = (value & 0x70) >> 4;
  const int step = ((value & 0x0f) << 4) + 8;
  return segment == 0 ? step : (step + 0x100) << (segment - 1);
}

/// For each octet value whether it is louder than the threshold, so that a packet needs one look-up for each
/// octet.
template <int (*kMagnitude)(std::uint8_t)>
constexpr auto loud_octets(int threshold) {
  std::array<bool, 256> loud{};
  for (std::size_t i = 0; i < loud.size(); ++i)
    loud[i] = kMagnitude(static_cast<std::uint8_t>(i)) > threshold;
  return loud;
}

}  // namespace detail

/// About -60 dBov, below which people hear nothing; as a linear 16-bit sample.
constexpr int kSilenceThreshold = 32;

/// True if no sample of `payload` is louder than the threshold; false for kNone. Stops at the first loud
/// sample. Safe on any thread.
inline bool is_silent(G711Law law, Bytes payload) noexcept {
  static constexpr auto kMuLoud = detail::loud_octets<detail::mu_law_magnitude>(kSilenceThreshold);
  static constexpr auto kALoud = detail::loud_octets<detail::a_law_magnitude>(kSilenceThreshold);
  if (law == G711Law::kNone) return false;
  const auto& loud = law == G711Law::kMu ? kMuLoud : kALoud;
  for (const std::byte octet : payload) {
    if (loud[std::to_integer<std::uint8_t>(octet)]) return false;
  }
  return true;
}

}  // namespace ferry
