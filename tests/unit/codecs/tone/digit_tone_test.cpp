// SPDX-License-Identifier: Apache-2.0
#include "codecs/tone/digit_tone.hpp"

#include "codecs/tone/cover_sound.hpp"

#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::digit_tone_test {
namespace {

/// Amplitude of a frequency in samples.
double amplitude_of(std::span<const std::int16_t> samples, double hertz, std::uint32_t rate_hz) {
  std::complex<double> sum = 0;
  for (std::size_t i = 0; i < samples.size(); ++i)
    sum += std::polar(static_cast<double>(samples[i]),
                      2 * std::numbers::pi * hertz * static_cast<double>(i) / rate_hz);
  return 2 * std::abs(sum) / static_cast<double>(samples.size());
}

TEST(DigitTone, HasItsTwoFrequenciesAtEveryRate) {
  for (const std::uint32_t rate : {8000u, 16'000u, 48'000u}) {
    for (std::uint8_t event = 0; event < kDigits; ++event) {
      DigitTone tone(event, 8, rate);
      std::vector<std::int16_t> samples(rate / 10);
      tone.fill(samples, true);
      for (std::size_t other = 0; other < kDigits; ++other) {
        for (std::size_t i = 0; i < 2; ++i) {
          const int hertz = kDigitHertz[other][i];
          const bool is_its_own = hertz == kDigitHertz[event][0] || hertz == kDigitHertz[event][1];
          const double level = amplitude_of(samples, hertz, rate);
          EXPECT_TRUE(is_its_own ? level > 6000 : level < 1200) << rate << " Hz, digit " << int{event};
        }
      }
    }
  }
}

TEST(DigitTone, FadesInAndOutAndIsTheSameInPieces) {
  DigitTone whole(5, 8, 8000);
  DigitTone pieces(5, 8, 8000);
  std::vector<std::int16_t> all(800);
  std::vector<std::int16_t> some(800);
  whole.fill(all, true);
  for (std::size_t at = 0; at < 800; at += 160) pieces.fill(std::span(some).subspan(at, 160), at == 640);
  EXPECT_EQ(some, all);
  EXPECT_LT(std::abs(all[0]), 300);
  EXPECT_LT(std::abs(all[799]), 2500);
}

TEST(DigitTone, ALevelThatNobodyHearsIsCorrected) {
  std::vector<std::int16_t> quiet(800);
  std::vector<std::int16_t> loud(800);
  DigitTone(1, 63, 8000).fill(quiet, false);
  DigitTone(1, 0, 8000).fill(loud, false);
  EXPECT_GT(amplitude_of(quiet, 1209, 8000), 2000);
  EXPECT_LT(amplitude_of(loud, 1209, 8000), 13'000);
}

TEST(CoverSound, IsSilencePitchesOrADigit) {
  std::vector<std::int16_t> samples(800, 77);
  CoverSound{}.fill(samples, false);
  for (const std::int16_t each : samples) EXPECT_EQ(each, 0);
  CoverSound::of_pitches({}, 8000).fill(samples, false);
  EXPECT_GT(amplitude_of(samples, 400, 8000), 4000) << "the usual pitch";
  const std::vector<std::uint16_t> two = {600, 1000};
  CoverSound::of_pitches(two, 8000).fill(samples, false);
  EXPECT_GT(amplitude_of(samples, 600, 8000), 2000);
  EXPECT_GT(amplitude_of(samples, 1000, 8000), 2000);
  EXPECT_LT(amplitude_of(samples, 400, 8000), 500);
  CoverSound::of_digit(0, 8, 8000).fill(samples, false);
  EXPECT_GT(amplitude_of(samples, 941, 8000), 5000);
  EXPECT_GT(amplitude_of(samples, 1336, 8000), 5000);
  const std::vector<std::uint16_t> many(20, 500);
  CoverSound::of_pitches(many, 8000).fill(samples, false);
  for (const std::int16_t each : samples) EXPECT_LT(std::abs(each), 6000) << "never overloaded";
}

}  // namespace
}  // namespace ferry::digit_tone_test
