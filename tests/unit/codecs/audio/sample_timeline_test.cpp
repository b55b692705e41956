// SPDX-License-Identifier: Apache-2.0
// Samples of several channels on one time axis.

#include "codecs/audio/sample_timeline.hpp"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry {
namespace {

AudioFrame mono(std::int64_t position, std::span<const std::int16_t> samples) {
  return {8000, 1, position, samples};
}

TEST(SampleTimeline, SumsAndSilence) {
  SampleTimeline line(2);
  const std::vector<std::int16_t> loud(4, 30000);
  const std::vector<std::int16_t> quiet = {1};
  EXPECT_EQ(line.add(0, mono(2, loud)), 0u);
  EXPECT_EQ(line.add(0, mono(4, loud)), 0u);
  EXPECT_EQ(line.add(1, mono(0, quiet)), 0u);
  std::vector<std::int16_t> out;
  line.take(10, out);
  const std::vector<std::int16_t> wanted = {0,     1, 0,     0, 30000, 0, 30000, 0, 32767, 0,
                                            32767, 0, 30000, 0, 30000, 0, 0,     0, 0,     0};
  EXPECT_EQ(out, wanted);
  EXPECT_EQ(line.add(0, mono(8, loud)), 2u) << "two came too late";
}

TEST(SampleTimeline, WhatLiesBeforeTheStartIsLeftOut) {
  SampleTimeline line(1);
  const std::vector<std::int16_t> five = {1, 2, 3, 4, 5};
  EXPECT_EQ(line.add(0, mono(-3, five)), 3u);
  EXPECT_EQ(line.add(0, mono(-9, five)), 5u) << "all of it";
  EXPECT_EQ(line.filled(), 2);
  std::vector<std::int16_t> out;
  line.take(3, out);
  EXPECT_EQ(out, (std::vector<std::int16_t>{4, 5, 0}));
  line.take(2, out);
  EXPECT_EQ(out.size(), 3u) << "what was taken is not given again";
  EXPECT_EQ(line.taken(), 3);
  EXPECT_EQ(line.filled(), 3);
}

// However the output is cut, it is the sum of all frames, limited to 16 bits, silent elsewhere.
TEST(SampleTimeline, IsTheSumOfWhatWasAdded) {
  rc::check([] {
    const auto channels = *rc::gen::inRange(1u, 3u);
    SampleTimeline line(channels);
    std::vector<std::int16_t> out;
    std::vector<std::int16_t> wanted(200 * channels);
    std::int64_t taken = 0;
    const int steps = *rc::gen::inRange(0, 12);
    for (int i = 0; i < steps; ++i) {
      if (*rc::gen::inRange(0, 4) == 0) {
        taken = std::max(taken, *rc::gen::inRange<std::int64_t>(0, 150));
        line.take(taken, out);
        continue;
      }
      const auto channel = *rc::gen::inRange(0u, channels);
      const auto position = *rc::gen::inRange<std::int64_t>(-20, 150);
      const std::vector<std::int16_t> samples(*rc::gen::inRange<std::size_t>(0, 40),
                                              *rc::gen::inRange<std::int16_t>(-30'000, 30'000));
      std::size_t late = 0;
      for (std::size_t n = 0; n < samples.size(); ++n) {
        const std::int64_t at = position + static_cast<std::int64_t>(n);
        if (at < taken) {
          ++late;
          continue;
        }
        std::int16_t& sum = wanted[static_cast<std::size_t>(at) * channels + channel];
        sum = static_cast<std::int16_t>(std::clamp(sum + samples[n], -32'768, 32'767));
      }
      RC_ASSERT(line.add(channel, mono(position, samples)) == late);
    }
    line.take(200, out);
    RC_ASSERT(out == wanted);
  });
}

}  // namespace
}  // namespace ferry
