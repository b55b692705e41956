// SPDX-License-Identifier: Apache-2.0
// What the kernel is lent of a stream, and how its counts come back.

#include "relay/core/forward/handover.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::handover_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
constexpr Ssrc kSsrc{7};
const Endpoint kPeer{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};

TransportPlan some_plan() {
  TransportPlan plan;
  plan.rtp_latch.signalled = kPeer;
  SourcePlan& source = plan.sources.emplace_back();
  source.media = MediaId{1};
  source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000}};
  return plan;
}

class HandoverTest : public ::testing::Test {
 protected:
  HandoverTest() {
    latch_.restart(plan_.rtp_latch, kStart);
    for (std::uint16_t n = 1; n <= 3; ++n) {
      const auto octets = test::rtp('a', kSsrc.value, n);
      const auto rtp = parse_rtp(octets);
      (void)latch_.on_rtp(kPeer, kSsrc, rtp->sequence, kStart, own_);
      const auto admission = streams_.admit(0, *rtp, Instant{}, kStart);
      admission.stream->count(*rtp, octets.size(), 8000, kStart);
    }
  }
  [[nodiscard]] bool is_handed_over(const TransportPlan& plan, Ssrc ssrc = kSsrc) const {
    return hand_over(plan, latch_, streams_, account_, ssrc).has_value();
  }
  OffloadedTraffic absorbed(const OffloadState& state, const OffloadState& seen) {
    return absorb({latch_, streams_, account_, presence_, events_}, state, seen);
  }

  OwnMedia own_{{}};
  TransportPlan plan_ = some_plan();
  TransportActivity activity_;
  Latch latch_;
  Streams streams_{plan_, activity_};
  Account account_{activity_, kStart};
  Presence presence_{activity_};
  EventQueue events_;
};

TEST_F(HandoverTest, OnlyAStreamThatItsPacketsAloneDecideAboutIsLent) {
  EXPECT_TRUE(is_handed_over(plan_));
  EXPECT_FALSE(is_handed_over(plan_, Ssrc{8})) << "an SSRC that was not admitted";
  TransportPlan plan = plan_;
  plan.kind = TransportKind::kUdptl;
  EXPECT_FALSE(is_handed_over(plan)) << "another protocol";
  plan = plan_;
  plan.srtp = std::make_shared<const SrtpPlan>();
  EXPECT_FALSE(is_handed_over(plan)) << "SRTP";
  plan = plan_;
  plan.proposed = std::make_shared<const ProposedPeer>();
  EXPECT_FALSE(is_handed_over(plan)) << "an offer that waits";
  plan = plan_;
  plan.sources.emplace_back();
  EXPECT_FALSE(is_handed_over(plan)) << "two sources";
  latch_.restart(plan_.rtp_latch, kStart);
  EXPECT_FALSE(is_handed_over(plan_)) << "nobody is locked";
}

TEST_F(HandoverTest, AudioThatMayEndAKeyPressStaysInUserSpace) {
  const PayloadEntry event{PayloadType{101}, G711Law::kNone, 0, true, 8000};
  const auto passes = [&](std::uint16_t sequence, const PayloadEntry& payload) {
    auto octets = test::rtp('\5', kSsrc.value, sequence, payload.type.value, 160);
    ReceivedPacket packet({}, kPeer, octets, kStart);
    packet.rtp = *parse_rtp(octets);
    return streams_.presses_of(0, payload, packet);
  };
  EXPECT_FALSE(passes(4, event).own);
  EXPECT_FALSE(is_handed_over(plan_)) << "the press is open";
  EXPECT_TRUE(passes(200, plan_.sources[0].payloads[0]).former);
  EXPECT_TRUE(is_handed_over(plan_)) << "audio has ended it";
}

TEST_F(HandoverTest, WhatTheKernelCountsComesBackOnce) {
  const auto lent = hand_over(plan_, latch_, streams_, account_, kSsrc);
  ASSERT_TRUE(lent);
  EXPECT_EQ(lent->first.peer, kPeer);
  const OffloadState before = lent->second;
  OffloadState now = before;
  now.stream.counters.packets += 10;
  now.stream.counters.bytes += 1720;
  now.stream.counters.highest_extended += 10;
  now.stream.counters.last_packet = kStart + 200ms;
  now.foreign = 3;
  now.rate_limited = 2;
  const OffloadedTraffic done = absorbed(now, before);
  EXPECT_EQ(done.packets, 10u);
  EXPECT_EQ(done.bytes, 1720u);
  EXPECT_TRUE(done.advanced);
  EXPECT_EQ(account_.counters()[0].packets_in, 10u);
  EXPECT_EQ(account_.drops()[DropReason::kForeignSource], 3u);
  EXPECT_EQ(account_.drops()[DropReason::kRateLimited], 2u);
  EXPECT_EQ(streams_.find(0, kSsrc)->counters().packets, 13u);
  EXPECT_TRUE(presence_.is_heard());
  EXPECT_EQ(absorbed(now, now).packets, 0u) << "the same reading again";
  EXPECT_EQ(account_.counters()[0].packets_in, 10u);
  EXPECT_EQ(account_.drops()[DropReason::kForeignSource], 3u);
}

TEST_F(HandoverTest, OfAStreamThatGaveWayOnlyTheDropsComeBack) {
  const auto lent = hand_over(plan_, latch_, streams_, account_, kSsrc);
  ASSERT_TRUE(lent);
  OffloadState now = lent->second;
  now.stream.counters.ssrc = Ssrc{99};
  now.stream.counters.packets += 10;
  now.foreign = 1;
  EXPECT_EQ(absorbed(now, lent->second).packets, 0u);
  EXPECT_EQ(account_.counters()[0].packets_in, 0u);
  EXPECT_EQ(account_.drops()[DropReason::kForeignSource], 1u);
}

TEST_F(HandoverTest, WhatTheKernelSentCountsForTheReceivingMedia) {
  OffloadedTraffic sent;
  sent.packets = 10;
  sent.bytes = 1720;
  SsrcCounters stream;
  stream.ssrc = kSsrc;
  sent.stream = &stream;
  on_sent_by_kernel(streams_, account_, sent, MediaId{2});
  EXPECT_EQ(account_.counters()[0].packets_out, 0u) << "a media that the transport does not carry";
  on_sent_by_kernel(streams_, account_, sent, MediaId{1});
  EXPECT_EQ(account_.counters()[0].packets_out, 10u);
  EXPECT_EQ(account_.counters()[0].bytes_out, 1720u);
}

TEST_F(HandoverTest, LAT12_TheKernelSendsOnlyWhereNoPacketHasToBeDecided) {
  EXPECT_EQ(lasting_hop(plan_, latch_, presence_), kPeer);
  plan_.wait_for_peer = true;
  EXPECT_FALSE(lasting_hop(plan_, latch_, presence_).is_set()) << "it waits for a packet of the peer";
  plan_.wait_for_peer = false;
  plan_.unheard_until = kStart + 5s;
  EXPECT_FALSE(lasting_hop(plan_, latch_, presence_).is_set()) << "the time of an unheard peer is limited";
  presence_.hear();
  EXPECT_EQ(lasting_hop(plan_, latch_, presence_), kPeer) << "the peer was heard";
}

}  // namespace
}  // namespace ferry::handover_test
