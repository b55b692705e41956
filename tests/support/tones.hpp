// SPDX-License-Identifier: Apache-2.0
// A tone for tests of codecs: made, sent through something, and measured.
#pragma once

#include "codecs/audio/codec_table.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {

constexpr double kToneHertz = 700;
constexpr double kToneLevel = 12'000;

/// So many samples of the tone.
inline std::vector<std::int16_t> tone(std::uint32_t rate_hz, std::size_t length) {
  std::vector<std::int16_t> samples(length);
  for (std::size_t i = 0; i < length; ++i)
    samples[i] = static_cast<std::int16_t>(
        kToneLevel * std::sin(2 * std::numbers::pi * kToneHertz * static_cast<double>(i) / rate_hz));
  return samples;
}

/// Share of the energy that lies at the tone, and its level against the one it was made with; the first 100
/// ms are left out.
struct Heard {
  double share = 0;
  double level = 0;
};
inline Heard listen(std::span<const std::int16_t> samples, std::uint32_t rate_hz) {
  if (samples.size() <= rate_hz / 10) return {};
  samples = samples.subspan(rate_hz / 10);
  double re = 0;
  double im = 0;
  double energy = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double phase = 2 * std::numbers::pi * kToneHertz * static_cast<double>(i) / rate_hz;
    re += samples[i] * std::cos(phase);
    im += samples[i] * std::sin(phase);
    energy += static_cast<double>(samples[i]) * samples[i];
  }
  const auto count = static_cast<double>(samples.size());
  return {2 * (re * re + im * im) / (count * energy),
          std::sqrt(energy / count) / (kToneLevel / std::numbers::sqrt2)};
}

inline Bytes bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// What a decoder makes of one payload; nothing if it is damaged. Fails the test if it writes more than it
/// said.
inline std::optional<std::vector<std::int16_t>> decoded(AudioDecoder& decoder, Bytes payload) {
  constexpr std::int16_t kUntouched = 0x5a5a;
  std::vector<std::int16_t> out(decoder.max_samples() + 16, kUntouched);
  const auto made = decoder.decode(payload, std::span(out).first(decoder.max_samples()));
  for (std::size_t i = decoder.max_samples(); i < out.size(); ++i)
    EXPECT_EQ(out[i], kUntouched) << "behind the room";
  if (!made) return std::nullopt;
  EXPECT_LE(*made, decoder.max_samples());
  out.resize(*made);
  return out;
}

/// So many samples in place of lost ones.
inline std::vector<std::int16_t> concealed(AudioDecoder& decoder, std::size_t length) {
  std::vector<std::int16_t> out(length);
  decoder.conceal(out);
  return out;
}

/// Encodes a second of the tone in frames and decodes each as one payload.
template <class Encode>
Heard round_trip(const AudioFormat& format, std::uint32_t rate_hz, std::size_t frame, Encode encode) {
  auto decoder = make_audio_decoder(format);
  EXPECT_TRUE(decoder) << (decoder ? "" : decoder.error());
  if (!decoder) return {};
  EXPECT_EQ((*decoder)->sample_rate_hz(), rate_hz);
  const auto in = tone(rate_hz, rate_hz);
  std::vector<std::int16_t> out;
  for (std::size_t at = 0; at + frame <= in.size(); at += frame) {
    std::array<std::uint8_t, 2000> payload{};
    const auto size = encode(in.data() + at, payload.data());
    const auto made = decoded(**decoder, bytes(payload.data(), static_cast<std::size_t>(size)));
    EXPECT_TRUE(made);
    if (!made) return {};
    EXPECT_EQ(made->size(), frame) << "one packet time";
    out.insert(out.end(), made->begin(), made->end());
  }
  return listen(out, rate_hz);
}

}  // namespace ferry::test
