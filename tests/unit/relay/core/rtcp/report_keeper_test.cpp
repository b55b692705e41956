// SPDX-License-Identifier: Apache-2.0
// What is remembered between reports: losses since the last one, sender reports of the peer, times.

#include "relay/core/rtcp/report_keeper.hpp"

#include <gtest/gtest.h>

namespace ferry::report_keeper_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

/// A stream of which `expected` packets should have come and `lost` did not.
SsrcCounters stream(std::uint32_t expected, std::uint32_t lost, Instant last = kStart) {
  SsrcCounters made;
  made.ssrc = Ssrc{5};
  made.base_extended = 100;
  made.highest_extended = 100 + expected - 1;
  made.packets = expected - lost;
  made.jitter_q4 = 16 * 9 + 7;
  made.last_packet = last;
  return made;
}

TEST(ReportKeeper, Rfc3550_LossCountsFromTheReportBefore) {
  ReportKeeper keeper(Ssrc{1});
  const ReportBlock first = keeper.block_about(stream(100, 25), kStart);
  EXPECT_EQ(first.about, Ssrc{5});
  EXPECT_EQ(first.fraction_lost, 64);
  EXPECT_EQ(first.cumulative_lost, 25);
  EXPECT_EQ(first.highest_sequence, 199u);
  EXPECT_EQ(first.jitter, 9u);
  EXPECT_EQ(first.last_sr, 0u);
  EXPECT_EQ(first.delay_since_last_sr, 0u);
  const ReportBlock second = keeper.block_about(stream(200, 35), kStart + 5s);
  EXPECT_EQ(second.fraction_lost, 25) << "10 of 100";
  EXPECT_EQ(second.cumulative_lost, 35);
  EXPECT_EQ(keeper.block_about(stream(210, 31), kStart + 10s).fraction_lost, 0) << "late packets came";
  EXPECT_EQ(keeper.block_about(stream(210, 31), kStart + 15s).fraction_lost, 0) << "nothing was expected";
  EXPECT_EQ(keeper.block_about(stream(310, 131), kStart + 20s).fraction_lost, 255) << "all were lost";
}

TEST(ReportKeeper, LossesOfBeforeAreNoNews) {
  ReportKeeper keeper(Ssrc{1});
  keeper.begin_with(stream(100, 50));
  const ReportBlock block = keeper.block_about(stream(200, 50), kStart);
  EXPECT_EQ(block.fraction_lost, 0);
  EXPECT_EQ(block.cumulative_lost, 50);
}

TEST(ReportKeeper, Rfc3550_SaysHowLongASenderReportWasHeld) {
  ReportKeeper keeper(Ssrc{1});
  keeper.on_sender_report(Ssrc{5}, 0x12345678, kStart);
  const ReportBlock block = keeper.block_about(stream(1, 0), kStart + 1500ms);
  EXPECT_EQ(block.last_sr, 0x12345678u);
  EXPECT_EQ(block.delay_since_last_sr, 65536u * 3 / 2);
  EXPECT_EQ(keeper.block_about(stream(1, 0), kStart + 48h).delay_since_last_sr, 0xffffffffu);
}

TEST(ReportKeeper, ANameTooManyTakesThePlaceOfTheOldest) {
  ReportKeeper keeper(Ssrc{1});
  for (std::uint32_t n = 0; n < 200; ++n)
    keeper.on_sender_report(Ssrc{1000 + n}, n + 1, kStart + std::chrono::milliseconds(n));
  SsrcCounters newest = stream(1, 0);
  newest.ssrc = Ssrc{1199};
  EXPECT_EQ(keeper.block_about(newest, kStart + 1s).last_sr, 200u);
  newest.ssrc = Ssrc{1000};
  EXPECT_EQ(keeper.block_about(newest, kStart + 1s).last_sr, 0u);
}

TEST(ReportKeeper, Rfc3550_TimesLieAroundFiveSecondsAndTheFirstComesInHalf) {
  for (const std::uint64_t random : {std::uint64_t{0}, std::uint64_t{32768}, ~std::uint64_t{0}}) {
    ReportKeeper keeper(Ssrc{1});
    EXPECT_EQ(keeper.due(), Instant{});
    keeper.schedule_first(kStart, random);
    EXPECT_GE(keeper.due(), kStart + 1250ms);
    EXPECT_LE(keeper.due(), kStart + 3750ms);
    keeper.schedule_next(kStart, random);
    EXPECT_GE(keeper.due(), kStart + 2500ms);
    EXPECT_LE(keeper.due(), kStart + 7500ms);
  }
  ReportKeeper keeper(Ssrc{1});
  keeper.schedule_next(kStart, 32768);
  EXPECT_NEAR(static_cast<double>((keeper.due() - kStart).count()), 5e9, 1e5);
}

TEST(ReportKeeper, Rfc3550_AStreamIsHeardSinceOneReportAndSentSinceTwo) {
  ReportKeeper keeper(Ssrc{1});
  EXPECT_FALSE(keeper.is_heard(SsrcCounters{}));
  EXPECT_FALSE(keeper.is_sent(SsrcCounters{}));
  const SsrcCounters at_start = stream(1, 0, kStart);
  keeper.schedule_next(kStart + 1s, 0);
  EXPECT_FALSE(keeper.is_heard(at_start));
  EXPECT_TRUE(keeper.is_sent(at_start));
  keeper.schedule_next(kStart + 2s, 0);
  EXPECT_FALSE(keeper.is_sent(at_start));
  EXPECT_TRUE(keeper.is_heard(stream(1, 0, kStart + 2s)));
}

}  // namespace
}  // namespace ferry::report_keeper_test
