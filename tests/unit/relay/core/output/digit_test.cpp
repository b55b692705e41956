// SPDX-License-Identifier: Apache-2.0
#include "relay/core/output/digit.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace ferry::digit_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1s};

unsigned duration_of(const std::array<std::byte, DigitPlayer::kOctets>& payload) {
  return std::to_integer<unsigned>(payload[2]) << 8 | std::to_integer<unsigned>(payload[3]);
}

TEST(DigitPlayer, DurationGrowsAndTheEndIsSentThreeTimes) {
  DigitPlayer digit({.event = 11, .volume = 10, .length = 50ms, .type = PayloadType{101}}, kBegin);
  EXPECT_TRUE(digit.is_first());
  std::vector<unsigned> durations;
  std::vector<Duration> times;
  std::vector<bool> ends;
  while (!digit.is_over()) {
    times.push_back(digit.due() - kBegin);
    const auto payload = digit.next();
    EXPECT_EQ(std::to_integer<unsigned>(payload[0]), 11u);
    EXPECT_EQ(std::to_integer<unsigned>(payload[1]) & 0x3f, 10u);
    ends.push_back((payload[1] & std::byte{0x80}) != std::byte{0});
    durations.push_back(duration_of(payload));
  }
  EXPECT_EQ(durations, (std::vector<unsigned>{160, 320, 400, 400, 400}));
  EXPECT_EQ(ends, (std::vector<bool>{false, false, true, true, true}));
  EXPECT_EQ(times, (std::vector<Duration>{20ms, 40ms, 50ms, 50ms, 50ms}))
      << "the copies of the end leave one behind the other";
}

TEST(DigitPlayer, ADurationThatDoesNotFitStaysAtItsLargest) {
  DigitPlayer digit({.event = 0, .length = 10s, .type = PayloadType{101}}, kBegin);
  unsigned last = 0;
  while (!digit.is_over()) last = duration_of(digit.next());
  EXPECT_EQ(last, 0xffffu);
}

}  // namespace
}  // namespace ferry::digit_test
