// What a party was sent: loss is what never left, a jump of the sender is none.

#include "relay/core/rtp/sent_stream.hpp"

#include <gtest/gtest.h>

namespace ferry::sent_stream_test {
namespace {

using namespace std::chrono_literals;

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

}  // namespace
}  // namespace ferry::sent_stream_test
