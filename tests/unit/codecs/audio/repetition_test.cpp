// SPDX-License-Identifier: Apache-2.0
// Samples in place of lost ones: the last pitch period, fading.

#include "codecs/audio/repetition.hpp"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

namespace ferry {
namespace {

/// A wave with a period of so many samples.
std::vector<std::int16_t> wave(std::size_t period, std::size_t length) {
  std::vector<std::int16_t> samples(length);
  for (std::size_t i = 0; i < length; ++i)
    samples[i] =
        static_cast<std::int16_t>(10'000 * std::sin(2 * 3.14159265358979 * static_cast<double>(i % period) /
                                                    static_cast<double>(period)));
  return samples;
}

TEST(Repetition, GoesOnWithThePeriodThatWasHeard) {
  for (const std::size_t period : {40u, 57u, 80u, 110u}) {
    Repetition repetition(8000);
    const auto heard = wave(period, 40 * period);
    repetition.heard(heard);
    std::vector<std::int16_t> out(period);
    repetition.fill(out);
    const auto next = wave(period, 41 * period);
    for (std::size_t i = 0; i < period; ++i) {
      // The same wave, 480 - i parts of 480 loud.
      const double wanted = next[40 * period + i] * static_cast<double>(480 - i) / 480;
      ASSERT_NEAR(out[i], wanted, 2) << period << " " << i;
    }
  }
}

TEST(Repetition, FadesToSilenceWithin60Milliseconds) {
  for (const std::uint32_t rate : {8000u, 16'000u}) {
    Repetition repetition(rate);
    repetition.heard(wave(rate / 100, rate / 5));
    // In parts: where a loss is cut makes no difference.
    std::vector<std::int16_t> out(rate / 10);
    repetition.fill(std::span(out).first(rate / 50));
    repetition.fill(std::span(out).subspan(rate / 50));
    const std::size_t end = rate * 60 / 1000;
    const auto is_zero = [](std::int16_t sample) { return sample == 0; };
    EXPECT_FALSE(std::ranges::all_of(std::span(out).subspan(end - rate / 100, rate / 100), is_zero)) << rate;
    EXPECT_TRUE(std::ranges::all_of(std::span(out).subspan(end), is_zero)) << rate;
  }
}

TEST(Repetition, IsSilentWhenTooLittleWasHeard) {
  Repetition repetition(8000);
  repetition.heard(wave(40, 241));
  std::vector<std::int16_t> out(160, 77);
  repetition.fill(out);
  EXPECT_EQ(std::ranges::count(out, 0), 160);
  // One more sample makes two of the longest periods.
  repetition.heard(wave(40, 1));
  repetition.fill(out);
  EXPECT_LT(std::ranges::count(out, 0), 80);
}

TEST(Repetition, TheNextLossIsLoudAgain) {
  Repetition repetition(8000);
  repetition.heard(wave(40, 480));
  std::vector<std::int16_t> out(800);
  repetition.fill(out);
  EXPECT_EQ(out.back(), 0);
  repetition.heard(wave(40, 160));
  repetition.fill(out);
  EXPECT_GT(*std::max_element(out.begin(), out.begin() + 40), 9000);
}

TEST(Repetition, SmallPacketsAreHeardAsOneStream) {
  Repetition whole(8000);
  Repetition parts(8000);
  const auto heard = wave(57, 800);
  whole.heard(heard);
  for (std::size_t at = 0; at < heard.size(); at += 40) parts.heard(std::span(heard).subspan(at, 40));
  std::vector<std::int16_t> one(160);
  std::vector<std::int16_t> other(160);
  whole.fill(one);
  parts.fill(other);
  EXPECT_EQ(one, other);
}

}  // namespace
}  // namespace ferry
