// SPDX-License-Identifier: Apache-2.0
// Statistics of one stream, and the quality that follows from them.

#include "relay/core/rtp/stream_stats.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::stream_stats_test {
namespace {

using namespace std::chrono_literals;
using test::Packet;
using test::rtp;

constexpr Instant kStart{1h};

TEST(StreamStats, CountsLossReorderingAndDuplicates) {
  StreamStats stats;
  for (const unsigned number : {10u, 11u, 13u, 12u, 13u, 16u}) {
    const auto n = static_cast<std::uint16_t>(number);
    const Packet packet = rtp('A', 1, n);
    ASSERT_EQ(stats.check(SeqNo{n}), StreamStats::Check::kOk);
    stats.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms);
  }
  EXPECT_EQ(stats.counters().packets, 6u);
  EXPECT_EQ(stats.counters().expected(), 7u);
  EXPECT_EQ(stats.counters().lost(), 2u);
  EXPECT_EQ(stats.counters().duplicates, 1u);
  EXPECT_EQ(stats.counters().reordered, 1u);
}

TEST(StreamStats, AnOldPacketDoesNotSayWhatTheSenderDoesNow) {
  StreamStats stats;
  Instant now{std::chrono::seconds(1)};
  const auto takes = [&](std::uint16_t sequence, std::uint8_t type, std::size_t size) {
    const std::vector<std::byte> payload(size);
    RtpView view;
    view.sequence = SeqNo{sequence};
    view.timestamp = sequence * 160u;
    view.payload_type = PayloadType{type};
    view.payload = payload;
    stats.count(view, 12 + size, 8000, now);
  };
  takes(100, 8, 160);
  takes(101, 13, 1);
  for (const std::uint16_t old : {std::uint16_t{100}, std::uint16_t{99}, std::uint16_t{20}}) {
    takes(old, 8, 160);
    EXPECT_EQ(stats.counters().last_payload_type, 13) << old;
    EXPECT_EQ(stats.counters().last_payload_size, 1u) << old;
    EXPECT_EQ(stats.counters().last_timestamp, 101 * 160u) << old;
  }
  takes(50000, 8, 160);
  EXPECT_EQ(stats.counters().last_payload_type, 8) << "under a new key its numbers are anywhere";
}

TEST(StreamStats, ASenderThatBeganAgainSaysWhatItDoesNow) {
  for (const std::uint32_t timestamp : {101 * 160u + 8000, 3'000'000'000u}) {
    StreamStats stats;
    const Instant now{std::chrono::seconds(1)};
    const auto takes = [&](std::uint16_t sequence, std::uint8_t type, std::uint32_t at) {
      RtpView view;
      view.sequence = SeqNo{sequence};
      view.timestamp = at;
      view.payload_type = PayloadType{type};
      stats.count(view, 172, 8000, now);
    };
    takes(100, 8, 100 * 160);
    takes(101, 8, 101 * 160);
    takes(51, 13, timestamp);
    EXPECT_EQ(stats.counters().last_payload_type, 13) << timestamp;
  }
}

TEST(StreamStats, BeginsWithItsFirstPacketAndThoseThatWereOnTheirWayWithIt) {
  const auto lost_with = [](std::uint16_t late) {
    StreamStats stats;
    const Instant now{std::chrono::seconds(1)};
    for (const std::uint16_t n : {std::uint16_t{500}, std::uint16_t{501}, late, std::uint16_t{502}}) {
      RtpView view;
      view.sequence = SeqNo{n};
      stats.count(view, 172, 0, now);
    }
    return stats.counters().lost();
  };
  EXPECT_EQ(lost_with(499), 0u);
  EXPECT_EQ(lost_with(490), 9u) << "nine between are still to come";
  EXPECT_EQ(lost_with(410), 0u) << "a packet of an earlier time leaves no gap behind it";
}

TEST(StreamStats, IsACopyIfNumberAndTimeStampWereThere) {
  StreamStats stats;
  const Instant begin{std::chrono::seconds(1)};
  for (std::uint16_t n = 1000; n < 1400; ++n) {
    RtpView view;
    view.sequence = SeqNo{n};
    view.timestamp = 70'000u + n * 160u;
    stats.count(view, 172, 8000, begin + std::chrono::milliseconds(20) * (n - 1000));
  }
  const Instant now = begin + std::chrono::seconds(8);
  EXPECT_TRUE(stats.is_copy(SeqNo{1399}, 70'000u + 1399 * 160, now));
  EXPECT_TRUE(stats.is_copy(SeqNo{1100}, 70'000u + 1100 * 160, now));
  EXPECT_FALSE(stats.is_copy(SeqNo{1100}, 70'000u + 1400 * 160, now)) << "the sender began again";
  EXPECT_FALSE(stats.is_copy(SeqNo{1100}, 70'000u - 20 * 8000, now)) << "from any other time stamp";
  EXPECT_FALSE(stats.is_copy(SeqNo{1400}, 70'000u + 1399 * 160, now)) << "a number that is new";
  EXPECT_FALSE(stats.is_copy(SeqNo{999}, 70'000u + 1100 * 160, now)) << "a number before the first";
  EXPECT_TRUE(stats.is_copy(SeqNo{990}, 70'000u + 990 * 160, now)) << "it came before anything was counted";
}

TEST(StreamStats, ACopyOfAPacketThatLedTheFirstOneIsACopyAllTheTime) {
  StreamStats stats;
  const auto takes = [&](std::uint16_t n, Instant now) {
    RtpView view;
    view.sequence = SeqNo{n};
    view.timestamp = n * 480u;
    stats.count(view, 172, 8000, now);
  };
  const Instant begin{std::chrono::seconds(1)};
  takes(1000, begin);
  takes(984, begin);
  for (std::uint16_t n = 1; n < 400; ++n) {
    const Instant now = begin + std::chrono::milliseconds(60) * n;
    takes(static_cast<std::uint16_t>(1000 + n), now);
    EXPECT_TRUE(stats.is_copy(SeqNo{984}, 984 * 480, now)) << n;
  }
}

TEST(StreamStats, ExtendsTheSequenceOverAWrap) {
  StreamStats stats;
  for (std::uint32_t n = 65530; n < 65536 + 5; ++n) {
    const Packet packet = rtp('A', 1, static_cast<std::uint16_t>(n));
    ASSERT_EQ(stats.check(SeqNo{static_cast<std::uint16_t>(n)}), StreamStats::Check::kOk);
    stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
  }
  EXPECT_EQ(stats.counters().highest_extended, 65540u);
  EXPECT_EQ(stats.counters().lost(), 0u);
}

TEST(StreamStats, SSR4_JumpNeedsTwoConsecutivePackets) {
  StreamStats stats;
  const auto count = [&](std::uint16_t n) {
    const Packet packet = rtp('A', 1, n);
    stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
  };
  ASSERT_EQ(stats.check(SeqNo{100}), StreamStats::Check::kOk);
  count(100);
  EXPECT_EQ(stats.check(SeqNo{3099}), StreamStats::Check::kOk) << "2999 ahead is loss";
  EXPECT_EQ(stats.check(SeqNo{5000}), StreamStats::Check::kJump);
  EXPECT_EQ(stats.check(SeqNo{5002}), StreamStats::Check::kJump) << "not consecutive";
  EXPECT_EQ(stats.check(SeqNo{5003}), StreamStats::Check::kOk);
  count(5003);
  EXPECT_EQ(stats.counters().resets, 1u);
  EXPECT_EQ(stats.counters().lost(), 0u) << "a restart is no loss";
}

TEST(StreamStats, SSR4_EveryStepThatIsAJumpIsConfirmedByTheNextPacket) {
  struct Row {
    int step;
    bool is_jump;
  };
  for (const Row& row : {Row{2999, false}, Row{3000, true}, Row{3001, true}, Row{20'000, true},
                         Row{-99, false}, Row{-100, false}, Row{-101, true}, Row{-102, true}, Row{-150, true},
                         Row{-3000, true}, Row{-32'768, true}}) {
    for (const std::uint16_t from : {std::uint16_t{50'000}, std::uint16_t{40}}) {
      StreamStats stats;
      unsigned refused = 0;
      const auto arrives = [&](std::uint16_t n) {
        if (stats.check(SeqNo{n}) != StreamStats::Check::kOk) {
          ++refused;
          return;
        }
        const Packet packet = rtp('A', 1, n);
        stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
      };
      for (int n = -200; n <= 0; ++n) arrives(static_cast<std::uint16_t>(from + n));
      for (int n = 0; n < 50; ++n) arrives(static_cast<std::uint16_t>(from + row.step + n));
      EXPECT_EQ(refused, row.is_jump ? 1u : 0u) << row.step;
      EXPECT_EQ(stats.counters().resets, row.is_jump ? 1u : 0u) << row.step;
      if (!row.is_jump) continue;
      EXPECT_EQ(stats.counters().lost(), 0u) << row.step;
      EXPECT_EQ(stats.counters().duplicates, 0u) << row.step;
    }
  }
}

TEST(StreamStats, SSR4_ALonePacketHundredAndOneBackConfirmsNothing) {
  StreamStats stats;
  const auto arrives = [&](std::uint16_t n) {
    if (stats.check(SeqNo{n}) != StreamStats::Check::kOk) return false;
    const Packet packet = rtp('A', 1, n);
    stats.count(*parse_rtp(packet), packet.size(), 0, kStart);
    return true;
  };
  for (std::uint16_t n = 1000; n < 1200; ++n) (void)arrives(n);
  EXPECT_FALSE(arrives(1199 - 101));
  EXPECT_TRUE(stats.is_jump(SeqNo{1199 - 100}))
      << "it would confirm one: no type that was not negotiated may";
  EXPECT_TRUE(arrives(1200)) << "the stream goes on";
  EXPECT_TRUE(arrives(1200 - 100)) << "late, and no jump";
  EXPECT_EQ(stats.counters().resets, 0u);
  EXPECT_EQ(stats.counters().highest_extended, 1200u);
}

TEST(StreamStats, Rfc3550JitterOfAPerfectStreamIsZero) {
  StreamStats steady;
  StreamStats shaken;
  for (std::uint16_t n = 1; n < 100; ++n) {
    const Packet packet = rtp('A', 1, n);
    steady.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms);
    shaken.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms + (n % 2) * 10ms);
  }
  EXPECT_EQ(steady.counters().jitter(), 0ns);
  EXPECT_NEAR(static_cast<double>(shaken.counters().jitter().count()) / 1e6, 10.0, 0.5);
}

TEST(StreamStats, TimeStampsThatLeapAreNoJitter) {
  for (const std::uint32_t leap : {8001u, 1'000'000u, 0x80000000u, 0xfff00000u}) {
    StreamStats stats;
    for (std::uint16_t n = 1; n < 200; ++n) {
      Packet packet = rtp('A', 1, n);
      if (n >= 100) write_u32(packet, 4, n * 160u + leap);
      stats.count(*parse_rtp(packet), packet.size(), 8000, kStart + n * 20ms);
    }
    EXPECT_EQ(stats.counters().jitter_max_q4, 0u) << leap;
  }
}

TEST(Quality, MosFallsWithLossAndDelay) {
  EXPECT_EQ(estimate_mos_times_10(0ms, 0ms, 0), 44);
  EXPECT_LT(estimate_mos_times_10(300ms, 0ms, 0), 40);
  EXPECT_LT(estimate_mos_times_10(0ms, 0ms, 10), 35);
  EXPECT_GE(estimate_mos_times_10(10s, 1s, 100), 10);
}

}  // namespace
}  // namespace ferry::stream_stats_test
