// SPDX-License-Identifier: Apache-2.0
// Length and end of a run of samples.

#include "relay/core/audio/frame.hpp"

#include <array>

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(AudioFrame, LengthAndEndCountSamplesOfOneChannel) {
  const std::array<std::int16_t, 6> samples{};
  const AudioFrame mono{8000, 1, -4, samples};
  EXPECT_EQ(mono.length(), 6u);
  EXPECT_EQ(mono.end(), 2);
  const AudioFrame stereo{48'000, 2, 10, samples};
  EXPECT_EQ(stereo.length(), 3u);
  EXPECT_EQ(stereo.end(), 13);
  EXPECT_EQ(AudioFrame{}.length(), 0u);
}

}  // namespace
}  // namespace ferry
