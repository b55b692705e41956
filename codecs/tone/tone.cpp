// SPDX-License-Identifier: Apache-2.0
#include "codecs/tone/tone.hpp"

#include <algorithm>

#include <spandsp.h>

namespace ferry {

namespace {
// 100 ms at 8 kHz.
constexpr int kBlock = 800;
// Amplitude of the tone; full scale is 32,767.
constexpr std::int16_t kLevel = 8000;
}  // namespace

ToneSource::ToneSource(double hertz) : phase_rate_(dds_phase_rate(static_cast<float>(hertz))) {}

std::vector<std::byte> ToneSource::next(std::size_t samples) {
  std::vector<std::byte> frame(samples);
  for (auto& octet : frame) octet = std::byte{linear_to_alaw(dds_mod(&phase_, phase_rate_, kLevel, 0))};
  return frame;
}

ToneMeter::ToneMeter(double hertz) : hertz_(hertz) {}

void ToneMeter::feed(Bytes a_law) {
  for (const std::byte octet : a_law) block_.push_back(alaw_to_linear(std::to_integer<std::uint8_t>(octet)));
  // Goertzel's filter needs blocks of a fixed length; the sums over all blocks give the share.
  while (block_.size() >= kBlock) {
    goertzel_descriptor_t descriptor;
    make_goertzel_descriptor(&descriptor, static_cast<float>(hertz_), kBlock);
    goertzel_state_t state;
    goertzel_init(&state, &descriptor);
    goertzel_update(&state, block_.data(), kBlock);
    // For a pure tone of amplitude a both sides are (a * N)^2 / 2: the library's power, and N times the sum
    // of squares. So their ratio is the tone's share.
    const double found = goertzel_result(&state);
    double sum = 0;
    for (int i = 0; i < kBlock; ++i)
      sum += static_cast<double>(block_[static_cast<std::size_t>(i)]) * block_[static_cast<std::size_t>(i)];
    energy_ += sum * kBlock;
    at_frequency_ += found;
    block_.erase(block_.begin(), block_.begin() + kBlock);
  }
}

double ToneMeter::share() const { return energy_ <= 0 ? 0 : std::min(1.0, at_frequency_ / energy_); }

}  // namespace ferry
