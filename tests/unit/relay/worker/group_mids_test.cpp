// SPDX-License-Identifier: Apache-2.0
// BND-22: the MID that the relay writes into packets toward a party that tells its sections apart by it.

#include "relay/core/rtp/header_extensions.hpp"
#include "tests/support/group_call.hpp"

#include <gtest/gtest.h>

namespace ferry::group_mids_test {
namespace {

using namespace std::chrono_literals;
using test::GroupCall;
using test::Packet;
using test::rtp;

/// A receiver report of `reporter` about the stream `about`.
Packet report(std::uint32_t reporter, std::uint32_t about) {
  Packet packet(32);
  write_u8(packet, 0, 0x81);
  write_u8(packet, 1, 201);
  write_u16(packet, 2, 7);
  write_u32(packet, 4, reporter);
  write_u32(packet, 8, about);
  return packet;
}

/// The MID that a packet carries; empty if it has none.
std::string mid_of(const Packet& packet) {
  const auto found = find_extension(packet, GroupCall::kMidId);
  return found ? std::string(reinterpret_cast<const char*>(found->data()), found->size()) : std::string();
}

/// The MIDs of what the browser was sent since the last call, joined by spaces; "-" stands for none.
std::string mids_heard(GroupCall& call) {
  std::string all;
  for (const Packet& each : call.heard(0)) {
    const std::string mid = mid_of(each);
    all += (all.empty() ? "" : " ") + (mid.empty() ? std::string("-") : mid);
  }
  return all;
}

/// The relay writes MIDs toward the browser.
void write_mids(GroupCall& call) {
  for (TransportPlan& plan : call.plans) {
    for (SourcePlan& source : plan.sources) {
      if (source.sinks[0].mid) source.sinks[0].mid_extension = GroupCall::kMidId;
    }
  }
}

TEST(GroupMids, BND22_TheMidIsWrittenUntilItsStreamIsReported) {
  for (const bool is_protected : {false, true}) {
    for (const auto far : {GroupCall::Far::kApart, GroupCall::Far::kTogether}) {
      SCOPED_TRACE(std::string(is_protected ? "protected" : "plain") +
                   (far == GroupCall::Far::kApart ? ", two phones" : ", one far side"));
      GroupCall call(far, is_protected ? std::optional(test::some_keys()) : std::nullopt);
      write_mids(call);
      call.begin();
      const std::uint32_t video = far == GroupCall::Far::kApart ? 2 : 1;
      call.says(0, rtp('x', 1, 0, GroupCall::kAudio));  // keys and latch
      std::uint16_t n = 0;
      const auto both_say = [&] {
        call.says(1, rtp('A', 0xa, n, GroupCall::kAudio));
        call.says(video, rtp('V', 0xb, n++, GroupCall::kVideo));
        return mids_heard(call);
      };
      for (int i = 0; i < 4; ++i) EXPECT_EQ(both_say(), "a v");
      call.says(0, report(1, 0xa), true);
      EXPECT_EQ(both_say(), "- v") << "the audio stream is known, that of video is not";
      call.says(0, report(1, 0xb), true);
      EXPECT_EQ(both_say(), "- -");
      // Another stream begins.
      call.says(video, rtp('W', 0xc, 7, GroupCall::kVideo));
      call.says(video, rtp('W', 0xc, 8, GroupCall::kVideo));
      EXPECT_EQ(mids_heard(call), "v v");
    }
  }
}

TEST(GroupMids, BND22_AReportCountsForTheNameThatItWasAbout) {
  GroupCall call;
  write_mids(call);
  call.begin();
  call.says(0, rtp('x', 1, 0, GroupCall::kAudio));
  std::uint16_t n = 0;
  const auto both_say = [&] {
    call.says(1, rtp('A', 0xa, n, GroupCall::kAudio));
    call.says(2, rtp('V', 0xb, n++, GroupCall::kVideo));
    return mids_heard(call);
  };
  EXPECT_EQ(both_say(), "a v");
  call.says(0, report(1, 0xa), true);
  call.says(0, report(1, 0xb), true);
  EXPECT_EQ(both_say(), "- -");
  // Video is stopped and added again, as another section.
  const auto name = std::make_shared<const std::string>("w");
  call.plans[0].sources[1].mid = call.plans[2].sources[0].sinks[0].mid = name;
  call.update(2);
  call.update(0);
  EXPECT_EQ(both_say(), "- w");
  call.update(0);
  call.says(0, report(1, 0xb), true);
  EXPECT_EQ(both_say(), "- -");
}

TEST(GroupMids, BND22_AReportAboutAnotherStreamEndsNothing) {
  GroupCall call;
  write_mids(call);
  call.begin();
  call.says(0, rtp('x', 1, 0, GroupCall::kAudio));
  call.says(0, report(1, 0xa), true);
  call.says(1, rtp('A', 0xa, 0, GroupCall::kAudio));
  EXPECT_EQ(mids_heard(call), "a") << "the report came before the stream";
}

TEST(GroupMids, BND22_APacketWithoutRoomLeavesWithoutIt) {
  for (const bool is_protected : {false, true}) {
    GroupCall call(GroupCall::Far::kApart, is_protected ? std::optional(test::some_keys()) : std::nullopt);
    write_mids(call);
    call.begin();
    call.says(0, rtp('x', 1, 0, GroupCall::kAudio));
    struct Row {
      std::size_t below;  // octets below the longest datagram with a MID
      const char* mid;
    };
    const std::size_t longest = is_protected ? 1472 - 16 : 1472;
    std::uint16_t n = 0;
    for (const Row& row : {Row{0, "-"}, Row{7, "-"}, Row{8, "v"}, Row{1000, "v"}}) {
      const Packet sent = rtp('V', 0xb, n++, GroupCall::kVideo, longest - kRtpFixedHeaderSize - row.below);
      call.says(2, sent);
      const auto got = call.heard(0);
      ASSERT_EQ(got.size(), 1u);
      EXPECT_EQ(mid_of(got[0]).empty() ? "-" : mid_of(got[0]), row.mid) << row.below;
      if (row.mid[0] == '-') {
        EXPECT_EQ(got[0], sent);
      }
    }
  }
}

TEST(GroupMids, BND22_NothingIsWrittenWithoutAnIdOrAMid) {
  for (const bool has_id : {false, true}) {
    GroupCall call;
    if (has_id) {
      write_mids(call);
      call.plans[1].sources[0].sinks[0].mid = nullptr;
    }
    call.begin();
    const Packet sent = rtp('A', 0xa, 0, GroupCall::kAudio);
    call.says(1, sent);
    EXPECT_EQ(call.heard(0), std::vector<Packet>{sent});
  }
}

TEST(GroupMids, BND22_UnderTheSendersOwnKeyAPacketStaysAsItIs) {
  GroupCall call(GroupCall::Far::kTogether, test::some_keys());
  write_mids(call);
  // The far side has the key that the browser receives with.
  auto keys = std::make_shared<SrtpPlan>(*call.plans[0].srtp);
  keys->send_is_relayed = true;
  call.plans[0].srtp = keys;
  auto far = std::make_shared<SrtpPlan>();
  far->backend = keys->backend;
  far->receive = {*keys->send};
  far->send = keys->receive.front();
  call.plans[1].srtp = far;
  call.begin();
  test::SrtpEnd end({*keys->send, keys->receive.front()});
  const Packet sent = rtp('A', 0xa, 0, GroupCall::kAudio);
  call.says(1, end.sealed(sent));
  EXPECT_EQ(call.heard(0), std::vector<Packet>{sent});
  EXPECT_EQ(call.read(0).drops[DropReason::kSharedKey], 0u);
}

TEST(GroupMids, BND22_TheKernelGetsTheStreamWithTheFirstReport) {
  GroupCall call;
  write_mids(call);
  call.begin();
  call.says(0, rtp('x', 1, 0, GroupCall::kAudio));
  std::uint16_t n = 0;
  const auto say = [&] {
    for (int i = 0; i < 10; ++i) {
      call.pass(20ms);
      call.says(1, rtp('A', 0xa, n++, GroupCall::kAudio));
    }
  };
  say();
  EXPECT_EQ(call.flows(), 0u) << "the kernel cannot write MIDs";
  call.says(0, report(1, 0xa), true);
  say();
  EXPECT_EQ(call.flows(), 1u);
  EXPECT_EQ(call.read(0).sources[0].egress[0].packets, 20u);
  // A plan by which MIDs matter again, for a stream that nobody reported on, takes it back.
  call.plans[1].sources[0].sinks[0].to = GroupCall::kVideoMedia;
  call.update(1);
  EXPECT_EQ(call.flows(), 0u);
}

}  // namespace
}  // namespace ferry::group_mids_test
