// SPDX-License-Identifier: Apache-2.0
// FB-1, FB-2, FB-9: RTCP of a party whose medias share a transport, on its way to their receivers. BND-22:
// two streams of one SSRC on their way to it.

#include "relay/core/rtcp/rtcp.hpp"
#include "tests/support/group_call.hpp"

#include <array>

#include <gtest/gtest.h>

namespace ferry::group_rtcp_test {
namespace {

using namespace std::chrono_literals;
using test::bytes_of;
using test::GroupCall;
using test::Packet;
using test::rtp;
using Far = GroupCall::Far;

Packet joined(const std::vector<Packet>& parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// A report of `sender`, with a block about each of `about`.
Packet report(std::uint32_t sender, const std::vector<std::uint32_t>& about) {
  Packet packet(8 + 24 * about.size());
  write_u8(packet, 0, static_cast<std::uint8_t>(0x80 | about.size()));
  write_u8(packet, 1, 201);
  write_u16(packet, 2, static_cast<std::uint16_t>(packet.size() / 4 - 1));
  write_u32(packet, 4, sender);
  for (std::size_t i = 0; i < about.size(); ++i) write_u32(packet, 8 + 24 * i, about[i]);
  return packet;
}
Packet picture_loss(std::uint32_t sender, std::uint32_t source) {
  Packet packet(12);
  write_u8(packet, 0, 0x81);
  write_u8(packet, 1, 206);
  write_u16(packet, 2, 2);
  write_u32(packet, 4, sender);
  write_u32(packet, 8, source);
  return packet;
}
/// RFC 5104 §4.3.1: its header names no source, and its one entry the stream.
Packet full_intra_request(std::uint32_t sender, std::uint32_t source) {
  Packet packet(20);
  write_u8(packet, 0, 0x84);
  write_u8(packet, 1, 206);
  write_u16(packet, 2, 4);
  write_u32(packet, 4, sender);
  write_u32(packet, 12, source);
  return packet;
}
using Packets = std::vector<Packet>;

constexpr std::uint32_t kAudioSent = 0xa1;
constexpr std::uint32_t kVideoSent = 0xb1;
constexpr std::uint32_t kAudioHeard = 0xa2;
constexpr std::uint32_t kVideoHeard = 0xb2;

/// All parties have sent a packet of each media.
void talk(GroupCall& call, Far far, std::uint32_t audio = kAudioHeard, std::uint32_t video = kVideoHeard) {
  call.begin();
  call.says(0, rtp('A', kAudioSent, 1, GroupCall::kAudio));
  call.says(0, rtp('V', kVideoSent, 1, GroupCall::kVideo));
  call.says(1, rtp('a', audio, 1, GroupCall::kAudio));
  call.says(far == Far::kApart ? 2 : 1, rtp('v', video, 1, GroupCall::kVideo));
}

TEST(GroupRtcp, FB1_FB2_ACompoundIsSplitBetweenTwoPhones) {
  for (const bool is_protected : {false, true}) {
    SCOPED_TRACE(is_protected ? "protected" : "plain");
    GroupCall call(Far::kApart, is_protected ? std::optional(test::some_keys()) : std::nullopt);
    talk(call, Far::kApart);
    const Packet sent =
        joined({report(kAudioSent, {kAudioHeard, kVideoHeard}), picture_loss(1, kVideoHeard)});
    call.says(0, sent, true);
    EXPECT_EQ(call.heard(1, true), Packets{report(kAudioSent, {kAudioHeard})});
    EXPECT_EQ(call.heard(2, true),
              (Packets{joined({report(kAudioSent, {kVideoHeard}), picture_loss(1, kVideoHeard)})}));
    // One media: the other phone gets nothing.
    call.says(0, picture_loss(1, kVideoHeard), true);
    EXPECT_EQ(call.heard(1, true), Packets{});
    EXPECT_EQ(call.heard(2, true), Packets{picture_loss(1, kVideoHeard)});
    // Both reports count for the streams that they are about.
    const TransportSnapshot browser = call.read(0);
    EXPECT_EQ(browser.sources[0].reports.size(), 1u);
    EXPECT_EQ(browser.sources[1].reports.size(), 1u);
  }
}

TEST(GroupRtcp, FB1_OneFarSideGetsTheWholeCompoundOnce) {
  GroupCall call(Far::kTogether);
  talk(call, Far::kTogether);
  for (const Packet& sent :
       {joined({report(kAudioSent, {kAudioHeard, kVideoHeard}), picture_loss(1, kVideoHeard)}),
        picture_loss(1, kVideoHeard), report(0x77, {}), report(0x77, {0x78})}) {
    call.says(0, sent, true);
    EXPECT_EQ(call.heard(1, true), Packets{sent});
  }
}

TEST(GroupRtcp, FB1_WhatBelongsToNobodyIsDroppedByName) {
  GroupCall call;
  talk(call, Far::kApart);
  call.says(0, joined({report(0x77, {0x78}), picture_loss(0x77, 0x78)}), true);
  EXPECT_TRUE(call.heard(1, true).empty());
  EXPECT_TRUE(call.heard(2, true).empty());
  EXPECT_EQ(call.read(0).drops[DropReason::kRtcpUnassigned], 1u);
}

TEST(GroupRtcp, FB1_AMediaThatNobodyHearsHasNoSink) {
  GroupCall call;
  call.plans[0].sources[1].sinks.clear();
  talk(call, Far::kApart);
  call.says(0, report(kVideoSent, {}), true);
  EXPECT_EQ(call.read(0).drops[DropReason::kNoSink], 2u) << "a packet of video, and the report";
}

TEST(GroupRtcp, RTC3_FeedbackReachesTheMediaWhoseReceiverTakesIt) {
  GroupCall call(Far::kTogether);
  call.plans[0].sources[0].sinks[0].takes_feedback = false;
  talk(call, Far::kTogether);
  call.says(0, joined({report(1, {kAudioHeard}), picture_loss(1, kVideoHeard), picture_loss(1, kAudioHeard)}),
            true);
  EXPECT_EQ(call.heard(1, true), (Packets{joined({report(1, {kAudioHeard}), picture_loss(1, kVideoHeard)})}));
  call.says(0, picture_loss(1, kAudioHeard), true);
  EXPECT_TRUE(call.heard(1, true).empty());
  EXPECT_EQ(call.read(0).drops[DropReason::kFeedbackNotAgreed], 1u);
}

TEST(GroupRtcp, RTC3_TheSinkOfVideoSaysWhatBecomesOfFullIntraRequests) {
  const Packet request = full_intra_request(1, kVideoHeard);
  constexpr std::array kAll = {FullIntra::kPass, FullIntra::kAsPictureLoss, FullIntra::kCut};
  for (const FullIntra audio : kAll) {
    for (const FullIntra video : kAll) {
      GroupCall call(Far::kTogether);
      call.plans[0].sources[0].sinks[0].full_intra = audio;
      call.plans[0].sources[1].sinks[0].full_intra = video;
      talk(call, Far::kTogether);
      call.says(0, request, true);
      Packets expected;
      if (video == FullIntra::kPass) expected = {request};
      if (video == FullIntra::kAsPictureLoss) expected = {picture_loss(1, kVideoHeard)};
      EXPECT_EQ(call.heard(1, true), expected);
    }
  }
}

TEST(GroupRtcp, RTC3_WhatOneOfTwoVideosTakesIsNotKeptFromTheirReceiver) {
  const Packet request = full_intra_request(1, kVideoHeard);
  for (const std::size_t taker : {0u, 1u}) {
    GroupCall call(Far::kTogether);
    call.plans[0].sources[0].is_video = true;
    call.plans[0].sources[1 - taker].sinks[0].full_intra = FullIntra::kCut;
    talk(call, Far::kTogether);
    call.says(0, request, true);
    EXPECT_EQ(call.heard(1, true), Packets{request});
  }
}

TEST(GroupRtcp, FB6_AReportGoesInFrontForWhoHasNotAgreedToReducedSize) {
  for (const Far far : {Far::kApart, Far::kTogether}) {
    GroupCall call(far);
    const std::uint32_t video = far == Far::kApart ? 2 : 1;
    call.plans[video].reduced_size_rtcp = false;
    talk(call, far);
    call.says(0, picture_loss(1, kVideoHeard), true);
    EXPECT_EQ(call.heard(video, true), (Packets{joined({report(1, {}), picture_loss(1, kVideoHeard)})}));
  }
}

TEST(GroupRtcp, FB9_AGroupMaySendTheSumOfItsMedias) {
  GroupCall call(Far::kTogether);
  talk(call, Far::kTogether);
  for (int n = 0; n < 200; ++n) call.says(0, picture_loss(1, kVideoHeard), true);
  const std::size_t passed = call.heard(1, true).size();
  EXPECT_GT(passed, 75u) << "more than one media may";
  EXPECT_LT(passed, 150u) << "but no more than two";
}

TEST(GroupRtcp, BND22_OfTwoStreamsWithOneSsrcTheLaterIsRenamed) {
  constexpr std::uint32_t kSame = 0x5a;
  for (const bool is_protected : {false, true}) {
    SCOPED_TRACE(is_protected ? "protected" : "plain");
    GroupCall call(Far::kApart, is_protected ? std::optional(test::some_keys()) : std::nullopt);
    talk(call, Far::kApart, kSame, kSame);
    for (std::uint16_t n = 2; n < 12; ++n) {
      call.says(1, rtp('a', kSame, n, GroupCall::kAudio));
      call.says(2, rtp('v', kSame, n, GroupCall::kVideo));
    }
    std::optional<std::uint32_t> other;
    const Packets heard = call.heard(0);
    EXPECT_EQ(heard.size(), 22u);
    for (const Packet& each : heard) {
      const std::uint32_t ssrc = read_u32(each, 8);
      if (test::sender_of(each) == 'a') {
        EXPECT_EQ(ssrc, kSame);
      } else {
        EXPECT_NE(ssrc, kSame);
        EXPECT_EQ(ssrc, other.value_or(ssrc)) << "it keeps its new one";
        other = ssrc;
      }
    }
    ASSERT_TRUE(other);
    // In all RTCP as well, in both directions.
    call.says(2, report(kSame, {kVideoSent}), true);
    EXPECT_EQ(call.heard(0, true), Packets{report(*other, {kVideoSent})});
    call.says(1, report(kSame, {kAudioSent}), true);
    EXPECT_EQ(call.heard(0, true), Packets{report(kSame, {kAudioSent})});
    call.says(0, joined({report(kAudioSent, {kSame, *other}), picture_loss(1, *other)}), true);
    EXPECT_EQ(call.heard(1, true), Packets{report(kAudioSent, {kSame})});
    EXPECT_EQ(call.heard(2, true), (Packets{joined({report(kAudioSent, {kSame}), picture_loss(1, kSame)})}));
    // Another process goes on with the name; that of a protected transport travels with its keys.
    const TransportSnapshot snapshot = call.read(0);
    ASSERT_EQ(snapshot.given.size(), is_protected ? 0u : 1u);
    if (!is_protected) {
      Transport restored(std::make_shared<const TransportPlan>(call.plans[0]),
                         std::make_shared<TransportActivity>(), call.now());
      restored.restore(snapshot, call.now());
      EXPECT_EQ(restored.snapshot(call.now()).given, snapshot.given);
      EXPECT_TRUE(restored.renames(MediaId{12}, Ssrc{kSame}));
      EXPECT_FALSE(restored.renames(MediaId{11}, Ssrc{kSame}));
    }
    // The kernel could not rename it.
    for (std::uint16_t n = 12; n < 30; ++n) {
      call.pass(20ms);
      call.says(1, rtp('a', kSame, n, GroupCall::kAudio));
      call.says(2, rtp('v', kSame, n, GroupCall::kVideo));
    }
    EXPECT_EQ(call.flows(), is_protected ? 0u : 1u);
  }
}

}  // namespace
}  // namespace ferry::group_rtcp_test
