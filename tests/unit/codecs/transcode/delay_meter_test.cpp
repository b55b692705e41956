// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/delay_meter.hpp"

#include <gtest/gtest.h>

namespace ferry::delay_meter_test {
namespace {

using std::chrono::milliseconds;
constexpr Instant kStart = Instant(std::chrono::hours(1));

TEST(DelayMeter, AnEvenStreamHasNoDelay) {
  DelayMeter meter;
  for (int i = 0; i < 500; ++i) meter.note(milliseconds(20 * i), kStart + milliseconds(20 * i + 7));
  EXPECT_EQ(meter.quantile(0.97), Duration{0});
  EXPECT_EQ(meter.least(milliseconds(20)), kStart + milliseconds(27));
  EXPECT_EQ(meter.noted(), 500u);
}

TEST(DelayMeter, CountsFromTheLeastDelay) {
  DelayMeter meter;
  for (int i = 0; i < 500; ++i)
    meter.note(milliseconds(20 * i), kStart + milliseconds(20 * i + (i % 10) * 5));
  EXPECT_EQ(meter.quantile(0.97), milliseconds(46));
  EXPECT_GE(meter.quantile(0.5), milliseconds(20));
  EXPECT_LE(meter.quantile(0.5), milliseconds(31));
}

TEST(DelayMeter, ForgetsAStorm) {
  DelayMeter meter;
  int i = 0;
  for (; i < 200; ++i) meter.note(milliseconds(20 * i), kStart + milliseconds(20 * i + (i % 3) * 30));
  EXPECT_GE(meter.quantile(0.97), milliseconds(60));
  // Eight seconds of calm: what it was then hardly counts.
  for (; i < 600; ++i) meter.note(milliseconds(20 * i), kStart + milliseconds(20 * i));
  EXPECT_EQ(meter.quantile(0.97), Duration{0});
}

TEST(DelayMeter, FollowsAClockThatDrifts) {
  DelayMeter meter;
  for (int i = 0; i < 5000; ++i)
    meter.note(milliseconds(20 * i), kStart + milliseconds(20 * i) + std::chrono::microseconds(60 * i));
  // 3 ms a second, seen over two windows.
  EXPECT_LE(meter.quantile(0.97), milliseconds(11));
}

TEST(DelayMeter, AnotherStreamBeginsAnew) {
  DelayMeter meter;
  for (int i = 0; i < 100; ++i)
    meter.note(milliseconds(20 * i), kStart + milliseconds(20 * i + (i % 2) * 20));
  const Duration before = meter.quantile(0.97);
  meter.restart();
  EXPECT_FALSE(meter.has_base());
  meter.note(std::chrono::hours(5), kStart + std::chrono::seconds(3));
  EXPECT_EQ(meter.least(std::chrono::hours(5)), kStart + std::chrono::seconds(3));
  EXPECT_EQ(meter.quantile(0.97), before) << "what was learned of the network stays";
}

}  // namespace
}  // namespace ferry::delay_meter_test
