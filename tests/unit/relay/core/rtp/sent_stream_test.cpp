// SPDX-License-Identifier: Apache-2.0
// What a party was sent: loss is what never left, a jump of the sender is none.

#include "relay/core/rtp/sent_stream.hpp"

#include "relay/core/rtp/stream_stats.hpp"
#include "tests/support/packets.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace ferry::sent_stream_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};

class SentStreamTest : public testing::Test {
 protected:
  void send(int number) {
    now_ += 20ms;
    sent_.count(SeqNo{static_cast<std::uint16_t>(number)}, static_cast<std::uint32_t>(number) * 160, 172,
                now_);
  }
  const SsrcCounters& counters() { return sent_.counters(); }
  SentStream sent_{Ssrc{9}};
  Instant now_{1h};
};

TEST_F(SentStreamTest, CountsPacketsOctetsAndWhatNeverLeft) {
  for (const int number : {65534, 65535, 65536, 65539, 65540}) send(number);
  EXPECT_EQ(counters().ssrc, Ssrc{9});
  EXPECT_EQ(counters().packets, 5u);
  EXPECT_EQ(counters().bytes, 5u * 172);
  EXPECT_EQ(counters().lost(), 2u);
  EXPECT_EQ(counters().loss_bursts, 1u);
  EXPECT_EQ(counters().first_packet, Instant{1h + 20ms});
  EXPECT_EQ(counters().last_packet, now_);
}

TEST_F(SentStreamTest, SSR4_AJumpThatIsConfirmedIsNoLoss) {
  for (const int number : {10, 11, 20'000, 20'001, 20'002}) send(number);
  EXPECT_EQ(counters().resets, 1u);
  EXPECT_EQ(counters().lost(), 0u);
  EXPECT_EQ(counters().expected(), 5u);
  EXPECT_EQ(counters().last_timestamp, 20'002u * 160);
}

TEST_F(SentStreamTest, SSR4_ALonePacketFarAwayBeginsNothing) {
  for (const int number : {10, 11, 20'000, 12, 13}) send(number);
  EXPECT_EQ(counters().resets, 0u);
  EXPECT_EQ(counters().packets, 5u);
  EXPECT_EQ(counters().highest_extended, 13u);
}

TEST_F(SentStreamTest, SSR2_TheStreamGoesOnBehindAJumpThatNothingHasConfirmed) {
  send(10);
  EXPECT_EQ(sent_.newest(), SeqNo{10});
  send(20'000);
  EXPECT_EQ(sent_.newest(), SeqNo{20'000});
  send(11);
  EXPECT_EQ(sent_.newest(), SeqNo{11}) << "it was a stray packet";
}

TEST_F(SentStreamTest, ALatePacketDoesNotTakeTheTimestampBack) {
  for (const int number : {10, 12, 11}) send(number);
  EXPECT_EQ(counters().last_timestamp, 12u * 160);
  EXPECT_EQ(counters().lost(), 0u);
  EXPECT_EQ(counters().reordered, 1u);
}

/// Sums of the kernel for packets `first` to `last` of a stream that lost nothing.
OffloadedTraffic below(const SsrcCounters& stream, std::uint16_t before, std::uint64_t packets) {
  OffloadedTraffic sums;
  sums.packets = packets;
  sums.bytes = packets * 172;
  sums.before = SeqNo{before};
  sums.advanced = packets > 0;
  sums.seen = ~std::uint64_t{0};
  sums.stream = &stream;
  return sums;
}

TEST_F(SentStreamTest, WhatTheKernelSentCountsAsIfItHadPassedHere) {
  send(10);
  send(11);
  SsrcCounters stream;
  stream.highest_extended = 111;
  stream.last_timestamp = 111 * 160;
  stream.last_packet = now_ + 2s;
  sent_.count(below(stream, 11, 100));
  EXPECT_EQ(counters().packets, 102u);
  EXPECT_EQ(counters().bytes, 102u * 172);
  EXPECT_EQ(counters().highest_extended, 111u);
  EXPECT_EQ(counters().lost(), 0u);
  EXPECT_EQ(counters().last_packet, now_ + 2s);
  send(112);
  EXPECT_EQ(counters().lost(), 0u) << "and goes on from there";
}

TEST_F(SentStreamTest, SSR2_WhatTheKernelSentLateIsTheNewestIfTheRestDidNotLeave) {
  send(10);
  // 11 to 60 came during a hold. Behind it the kernel sends 30 to 32, which come late.
  SsrcCounters stream;
  stream.highest_extended = 60;
  stream.last_timestamp = 60 * 160;
  OffloadedTraffic late = below(stream, 60, 3);
  late.advanced = false;
  late.newest_late = SeqNo{32};
  sent_.count(late);
  EXPECT_EQ(counters().highest_extended, 32u) << "the next number is 33";
  EXPECT_EQ(counters().last_timestamp, 32u * 160);
  late.newest_late = SeqNo{31};
  sent_.count(late);
  EXPECT_EQ(counters().highest_extended, 32u);
}

TEST_F(SentStreamTest, WhatCameWhileNothingWasSentIsMissingForThisParty) {
  send(10);
  SsrcCounters stream;
  stream.highest_extended = 60;
  // On hold from 11 to 30; the kernel sends 31 to 60.
  sent_.count(below(stream, 30, 30));
  EXPECT_EQ(counters().lost(), 20u);
  EXPECT_EQ(counters().loss_bursts, 1u);
  EXPECT_EQ(counters().longest_loss_burst, 20u);
}

TEST_F(SentStreamTest, SSR4_AJumpBetweenHereAndTheKernelIsNoLoss) {
  send(10);
  SsrcCounters stream;
  stream.highest_extended = 40'009;
  sent_.count(below(stream, 39'999, 10));
  EXPECT_EQ(counters().resets, 1u);
  EXPECT_EQ(counters().lost(), 0u);
}

TEST_F(SentStreamTest, AStreamThatTheKernelBeganHasNoLossBeforeIt) {
  SsrcCounters stream;
  stream.highest_extended = 59;
  sent_.count(below(stream, 49, 10));
  EXPECT_EQ(counters().expected(), 10u);
  EXPECT_EQ(counters().lost(), 0u);
}

TEST_F(SentStreamTest, ReportsOfThePartyAreKept) {
  EXPECT_EQ(sent_.newest_report(), nullptr);
  send(10);
  ReportBlock block;
  block.about = Ssrc{9};
  block.cumulative_lost = 3;
  sent_.report(Ssrc{77}, block, now_);
  ASSERT_NE(sent_.newest_report(), nullptr);
  EXPECT_EQ(sent_.newest_report()->cumulative_lost, 3);
  sent_.skip(5s);
  EXPECT_EQ(sent_.newest_report()->at, now_ + 5s);
}

TEST(SentStream, CountsLossDuplicatesAndReorderingOfWhatLeft) {
  SentStream sent(Ssrc{1});
  Instant now = kBegin;
  for (const unsigned number : {65533u, 65534u, 65534u, 0u, 65535u, 3u}) {
    sent.count(SeqNo{static_cast<std::uint16_t>(number)}, 0, 172, now += 20ms);
  }
  EXPECT_EQ(sent.counters().packets, 6u);
  EXPECT_EQ(sent.counters().expected(), 7u);
  EXPECT_EQ(sent.counters().duplicates, 1u);
  EXPECT_EQ(sent.counters().reordered, 1u);
  EXPECT_EQ(sent.counters().lost(), 2u);
  EXPECT_EQ(sent.counters().first_packet, kBegin + 20ms);
  const MarkTimes times(kBegin);
  EXPECT_EQ(sent.recent(times, now).lost(), 2u);
  EXPECT_EQ(sent.recent(times, now).longest_burst, 2u);
}

TEST(SentStream, SSR4_AJumpIsAResetAndNoLoss) {
  struct Row {
    int step;
    bool is_reset;
  };
  for (const Row& row : {Row{3000, true}, Row{2999, false}, Row{-101, true}, Row{-102, true},
                         Row{-100, false}, Row{-5000, true}, Row{30'000, true}, Row{-32'768, true}}) {
    SentStream sent(Ssrc{1});
    std::uint16_t number = 6000;
    for (int i = 0; i < 200; ++i) sent.count(SeqNo{number++}, 0, 172, kBegin);
    number = static_cast<std::uint16_t>(number - 1 + row.step);
    for (int i = 0; i < 50; ++i) sent.count(SeqNo{number++}, 0, 172, kBegin);
    EXPECT_EQ(sent.counters().resets, row.is_reset ? 1u : 0u) << row.step;
    EXPECT_EQ(sent.counters().lost(), row.step == 2999 ? 2998u : 0u) << row.step;
    if (row.is_reset) {
      EXPECT_EQ(sent.counters().expected(), 250u) << row.step;
    }
  }
}

TEST(SentStream, OnePacketThatIsVeryLateBeginsNoRun) {
  SentStream sent(Ssrc{1});
  for (std::uint16_t n = 1000; n < 1500; ++n) {
    sent.count(SeqNo{n}, 0, 172, kBegin);
    if (n == 1400) sent.count(SeqNo{1200}, 0, 172, kBegin);
  }
  EXPECT_EQ(sent.counters().resets, 0u);
  EXPECT_EQ(sent.counters().lost(), 0u);
  EXPECT_EQ(sent.counters().expected(), 500u);
}

/// What the kernel forwards in batches is counted as what user space forwards one by one.
TEST(SentStream, BatchesCountAsPacketsDo) {
  StreamStats above;
  SentStream one_by_one(Ssrc{1});
  SentStream batches(Ssrc{1});
  SsrcCounters before;
  Instant now = kBegin;
  int in_batch = 0;
  for (int i = 0; i < 3000; ++i) {
    std::vector<int> numbers = {i};
    if (i % 11 == 3) numbers.clear();   // lost
    if (i % 50 == 7) numbers = {i, i};  // twice
    if (i % 40 == 9) numbers = {};      // comes late
    if (i % 40 == 10) numbers = {i, i - 1};
    for (const int each : numbers) {
      const auto number = static_cast<std::uint16_t>(each);
      const test::Packet packet = test::rtp('A', 1, number);
      ASSERT_EQ(above.check(SeqNo{number}), StreamStats::Check::kOk);
      above.count(*parse_rtp(packet), packet.size(), 8000, now += 20ms);
      one_by_one.count(SeqNo{number}, parse_rtp(packet)->timestamp, packet.size(), now);
      if (i == 0) {
        batches.count(SeqNo{number}, parse_rtp(packet)->timestamp, packet.size(), now);
        before = above.counters();
      } else {
        ++in_batch;
      }
    }
    if (in_batch < 97) continue;
    in_batch = 0;
    const SsrcCounters& after = above.counters();
    OffloadedTraffic below;
    below.packets = after.packets - before.packets;
    below.bytes = after.bytes - before.bytes;
    below.before = SeqNo{static_cast<std::uint16_t>(before.highest_extended)};
    below.advanced = true;
    below.duplicates = static_cast<std::int32_t>(after.duplicates - before.duplicates);
    below.reordered = static_cast<std::int32_t>(after.reordered - before.reordered);
    below.loss_bursts = static_cast<std::int32_t>(after.loss_bursts - before.loss_bursts);
    below.longest_burst = above.state().new_burst;
    below.seen = above.state().seen;
    below.stream = &after;
    batches.count(below);
    before = after;
    ASSERT_EQ(batches.counters(), one_by_one.counters()) << i;
  }
  EXPECT_GT(batches.counters().lost(), 200u);
}

}  // namespace
}  // namespace ferry::sent_stream_test
