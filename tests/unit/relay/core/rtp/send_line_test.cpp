// SPDX-License-Identifier: Apache-2.0
// The line between timestamps and time: it follows the sender's clock, and not jitter, events or one late
// packet.

#include "relay/core/rtp/send_line.hpp"

#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

namespace ferry::send_line_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
constexpr std::uint32_t kClock = 8000;

/// How far the line is from the timestamp that a clock of `ppm` more than `kClock` has, in units.
std::int32_t error_of(const SendLine& line, std::uint32_t first, Duration after, double ppm = 0) {
  const double units = static_cast<double>(after.count()) * 1e-9 * kClock * (1 + ppm * 1e-6);
  return static_cast<std::int32_t>(*line.at(kStart + after) - first - static_cast<std::uint32_t>(units));
}

TEST(SendLine, IsUnknownBeforeThePackets) { EXPECT_FALSE(SendLine().at(kStart)); }

TEST(SendLine, GoesOnInSilenceForHours) {
  SendLine line;
  line.note(0xffffff00, kClock, kStart);
  EXPECT_EQ(line.at(kStart + 1s), 0xffffff00 + 8000);
  EXPECT_EQ(line.at(kStart + 48h), static_cast<std::uint32_t>(0xffffff00 + std::uint64_t{8000} * 48 * 3600));
  EXPECT_EQ(line.at(kStart - 1s), 0xffffff00 - 8000);
}

TEST(SendLine, FollowsTheFastestPacketsThroughJitterAndDrift) {
  std::mt19937 random(3);
  for (const double ppm : {-200.0, 0.0, 200.0}) {
    SendLine line;
    const double packets = 20;
    for (int n = 0; n < 15000; ++n) {  // five minutes
      const auto sent = Duration{static_cast<std::int64_t>(n * packets * 1e6 / (1 + ppm * 1e-6))};
      const auto jitter = std::chrono::microseconds(random() % 10'000);
      line.note(static_cast<std::uint32_t>(n) * 160, kClock, kStart + sent + jitter);
    }
    EXPECT_LE(std::abs(error_of(line, 0, 300s, ppm)), 24) << "3 ms, at " << ppm << " ppm";
  }
}

TEST(SendLine, EventsAndOneLatePacketSayNothing) {
  SendLine line;
  line.note(0, kClock, kStart);
  for (int n = 1; n < 100; ++n) line.note(0, kClock, kStart + n * 20ms);  // an event of two seconds
  EXPECT_EQ(error_of(line, 0, 2s), 0);
  line.note(16000, kClock, kStart + 2s + 400ms);
  EXPECT_LE(std::abs(error_of(line, 0, 3s)), 13) << "1/256 of 400 ms";
}

TEST(SendLine, AStepBeginsAnotherLine) {
  SendLine line;
  line.note(0, kClock, kStart);
  line.note(1'000'000, kClock, kStart + 20ms);
  EXPECT_EQ(line.at(kStart + 20ms), 1'000'000u) << "ahead";
  line.note(1'000'160, kClock, kStart + 3s);
  EXPECT_EQ(line.at(kStart + 3s), 1'000'160u) << "three seconds late";
  line.note(5, 48000, kStart + 4s);
  EXPECT_EQ(line.at(kStart + 5s), 48005u) << "another clock";
  EXPECT_EQ(line.clock_rate_hz(), 48000u);
}

}  // namespace
}  // namespace ferry::send_line_test
