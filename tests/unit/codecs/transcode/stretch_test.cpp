// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/stretch.hpp"

#include "tests/support/speech.hpp"

#include <numbers>

#include <gtest/gtest.h>

namespace ferry::stretch_test {
namespace {

std::vector<std::int16_t> sine(double hertz, std::size_t length, std::uint32_t rate_hz = 8000) {
  std::vector<std::int16_t> samples(length);
  for (std::size_t i = 0; i < length; ++i)
    samples[i] = static_cast<std::int16_t>(
        8000 * std::sin(2 * std::numbers::pi * hertz * static_cast<double>(i) / rate_hz));
  return samples;
}

int steepest(std::span<const std::int16_t> samples) {
  int most = 0;
  for (std::size_t i = 1; i < samples.size(); ++i)
    most = std::max(most, std::abs(samples[i] - samples[i - 1]));
  return most;
}

TEST(Stretch, APeriodMoreOrLessIsNoClick) {
  for (const std::ptrdiff_t most : {80, -80}) {
    auto samples = sine(200, 160);
    const int before = steepest(samples);
    const std::ptrdiff_t changed = stretch(samples, 8000, most, false);
    EXPECT_EQ(changed % 40, 0) << "5 ms are a period";
    EXPECT_NE(changed, 0);
    EXPECT_EQ(changed > 0, most > 0);
    EXPECT_EQ(samples.size(), static_cast<std::size_t>(160 + changed));
    EXPECT_LE(steepest(samples), before + before / 10);
    // The ends stay, so that what is before and behind fits.
    EXPECT_EQ(samples.front(), sine(200, 160).front());
    EXPECT_EQ(samples.back(), sine(200, 160).back());
  }
}

TEST(Stretch, LeavesAloneWhatDoesNotRepeat) {
  auto noise = test::low_noise(160, 3000);
  // A click, and nothing else: no period of it is like the next one.
  std::vector<std::int16_t> click(160);
  click[3] = 20'000;
  const auto before = click;
  EXPECT_EQ(stretch(click, 8000, 40, false), 0);
  EXPECT_EQ(click, before);
  // Silence may be cut anywhere.
  EXPECT_EQ(stretch(noise, 8000, -80, true), -80);
  EXPECT_EQ(noise.size(), 80u);
}

TEST(Stretch, NeverMoreThanIsAllowed) {
  auto samples = sine(100, 160);
  EXPECT_EQ(stretch(samples, 8000, 10, true), 0) << "shorter than the shortest period";
  EXPECT_EQ(stretch(samples, 8000, 30, true), 30);
  std::vector<std::int16_t> nothing;
  EXPECT_EQ(stretch(nothing, 8000, 80, true), 0);
}

TEST(Stretch, NoVoiceIsSoLowThatMoreThan20MsAreSearched) {
  // Noise that repeats: no other period is like it.
  const auto repeated = [](std::size_t period) {
    auto samples = test::low_noise(period, 3000);
    const auto once = samples;
    while (samples.size() < 960) samples.insert(samples.end(), once.begin(), once.end());
    samples.resize(960);
    return samples;
  };
  auto searched = repeated(157);
  EXPECT_EQ(stretch(searched, 8000, -480, false), -157);
  auto longer = repeated(240);
  EXPECT_EQ(stretch(longer, 8000, -480, false), 0);
  EXPECT_EQ(stretch(longer, 8000, -480, true), -480) << "silence is not searched";
}

}  // namespace
}  // namespace ferry::stretch_test
