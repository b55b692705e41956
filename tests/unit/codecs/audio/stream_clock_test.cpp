// SPDX-License-Identifier: Apache-2.0
// Where the packets of a stream lie in time, whatever the network and the sender's clock do.

#include "codecs/audio/stream_clock.hpp"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

/// Feeds a stream of 20 ms packets; `delay` is how late each comes. Returns where each was laid.
std::vector<Duration> lay(StreamClock& clock, const std::vector<Duration>& sent,
                          const std::vector<Duration>& delay, const std::vector<std::int64_t>& timestamps,
                          std::size_t ahead = 20) {
  std::vector<ClockedArrival> all;
  for (std::size_t i = 0; i < sent.size(); ++i) all.push_back({timestamps[i], Instant{sent[i] + delay[i]}});
  std::vector<Duration> laid;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::span<const ClockedArrival> waiting(all.data() + i, std::min(ahead, all.size() - i));
    laid.push_back(clock.time_of(waiting, 125us).time_since_epoch());
  }
  return laid;
}

struct Schedule {
  std::vector<Duration> sent;
  std::vector<Duration> delay;
  std::vector<std::int64_t> timestamps;
  void add(Duration at, Duration late, std::int64_t timestamp) {
    sent.push_back(at);
    delay.push_back(late);
    timestamps.push_back(timestamp);
  }
};

TEST(StreamClock, JitterDoesNotMoveTheAudio) {
  StreamClock clock(8000);
  Schedule s;
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i)
    s.add(10s + 20ms * i, i % 10 == 3 ? 1ms : std::chrono::milliseconds(1 + static_cast<int>(random() % 60)),
          160 * i);
  const auto laid = lay(clock, s.sent, s.delay, s.timestamps);
  for (std::size_t i = 1; i < laid.size(); ++i) ASSERT_EQ(laid[i] - laid[i - 1], 20ms) << i;
  EXPECT_EQ(laid[0], 10s + 1ms) << "by the packet that was delayed least";
}

TEST(StreamClock, AStallIsNoJump) {
  StreamClock clock(8000);
  Schedule s;
  // The network holds everything back for a second, then delivers it at once.
  for (int i = 0; i < 500; ++i) s.add(20ms * i, i >= 200 && i < 250 ? 20ms * (250 - i) : 0ms, 160 * i);
  const auto laid = lay(clock, s.sent, s.delay, s.timestamps, 60);
  for (std::size_t i = 0; i < laid.size(); ++i) ASSERT_EQ(laid[i], 20ms * static_cast<int>(i)) << i;
}

TEST(StreamClock, AStoppedClockOnHoldAndARandomOffset) {
  StreamClock clock(8000);
  Schedule s;
  for (int i = 0; i < 100; ++i) s.add(20ms * i, 0ms, 160 * i);
  for (int i = 0; i < 100; ++i) s.add(12s + 20ms * i, 0ms, 160 * (100 + i));  // ten seconds without a clock
  for (int i = 0; i < 100; ++i) s.add(14s + 20ms * i, 0ms, 1'000'000 + 160 * i);  // ahead
  for (int i = 0; i < 100; ++i) s.add(16s + 20ms * i, 0ms, 5000 + 160 * i);       // back
  const auto laid = lay(clock, s.sent, s.delay, s.timestamps);
  for (std::size_t i = 0; i < laid.size(); ++i) ASSERT_EQ(laid[i], s.sent[i]) << i;
}

TEST(StreamClock, AFastClockIsFollowedInSmallSteps) {
  for (const int ppm : {200, -200}) {
    StreamClock clock(8000);
    Schedule s;
    for (int i = 0; i < 30'000; ++i) s.add(Duration(20ms) * i + Duration(20 * ppm) * i, 0ms, 160 * i);
    const auto laid = lay(clock, s.sent, s.delay, s.timestamps);
    for (std::size_t i = 1; i < laid.size(); ++i) {
      ASSERT_LE(std::chrono::abs(laid[i] - laid[i - 1] - 20ms), 126us) << "a sample at a time";
      ASSERT_LE(std::chrono::abs(laid[i] - s.sent[i]), 6ms) << i;
    }
  }
}

TEST(StreamClock, SaysWhenItWasAnchoredAnew) {
  StreamClock clock(8000);
  const auto at = [&](Duration time, std::int64_t timestamp) {
    const ClockedArrival one{timestamp, Instant{time}};
    static_cast<void>(clock.time_of({&one, 1}, 125us));
    return clock.has_jumped();
  };
  EXPECT_TRUE(at(1s, 0)) << "the first packet";
  EXPECT_FALSE(at(1020ms, 160));
  EXPECT_FALSE(at(1040ms + StreamClock::kJump, 320)) << "as late as may be";
  EXPECT_FALSE(at(1060ms, 480));
  EXPECT_TRUE(at(1080ms + StreamClock::kJump + 1ms, 640)) << "and nothing behind it that is earlier";
  EXPECT_FALSE(at(1100ms + StreamClock::kJump + 1ms, 800));
}

TEST(StreamClock, ALongCallDoesNotOverflow) {
  StreamClock clock(48'000);
  const ClockedArrival first{0, Instant{0s}};
  EXPECT_EQ(clock.time_of({&first, 1}, 20us), Instant{0s});
  // A month later.
  const ClockedArrival last{48'000LL * 86'400 * 30, Instant{24h * 30}};
  EXPECT_EQ(clock.time_of({&last, 1}, 20us), Instant{24h * 30});
}

}  // namespace
}  // namespace ferry
