// SPDX-License-Identifier: Apache-2.0
// The streams of one transport: whose packet it is (RFC 9143 section 9.2), and which SSRCs are admitted.

#include "relay/core/forward/streams.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::streams_test {
namespace {

using namespace std::chrono_literals;
using test::Packet;
using test::rtp;
using Kind = Streams::Admission::Kind;

constexpr Instant kStart{1h};
constexpr std::uint8_t kAudio = 8;
constexpr std::uint8_t kVideo = 96;
constexpr std::uint8_t kMidId = 3;

/// An RTP packet with `mid` in a one-byte header extension.
Packet with_mid(std::string_view mid, std::uint32_t ssrc, std::uint8_t type) {
  Packet packet = rtp('x', ssrc, 1, type, 0);
  packet[0] |= std::byte{0x10};
  const std::size_t words = (1 + mid.size() + 3) / 4;
  Packet block(4 + 4 * words, std::byte{0});
  write_u16(block, 0, 0xbede);
  write_u16(block, 2, static_cast<std::uint16_t>(words));
  write_u8(block, 4, static_cast<std::uint8_t>(kMidId << 4 | (mid.size() - 1)));
  for (std::size_t i = 0; i < mid.size(); ++i) write_u8(block, 5 + i, static_cast<std::uint8_t>(mid[i]));
  packet.insert(packet.end(), block.begin(), block.end());
  return packet;
}

class StreamsTest : public ::testing::Test {
 protected:
  StreamsTest() {
    add(1, "a", kAudio);
    add(2, "v", kVideo);
    plan_.mid_extension = kMidId;
  }
  void add(std::uint32_t media, std::string mid, std::uint8_t type) {
    SourcePlan& source = plan_.sources.emplace_back();
    source.media = MediaId{media};
    source.mid = std::make_shared<const std::string>(std::move(mid));
    source.payloads = {{PayloadType{type}, G711Law::kNone, 0, false, 8000}};
  }
  Streams& streams() {
    if (!streams_) streams_.emplace(plan_, activity_);
    return *streams_;
  }
  /// The media that a packet belongs to; 0 if to none.
  std::uint32_t media_of(const Packet& packet) {
    const auto view = parse_rtp(packet);
    const auto found = streams().source_for(view->payload_type, view->ssrc, packet);
    return found ? plan_.sources[found->source].media.value : 0;
  }
  /// The same; the packet comes from the peer, so its MID is remembered.
  std::uint32_t media_of_accepted(const Packet& packet) {
    const auto view = parse_rtp(packet);
    const auto found = streams().source_for(view->payload_type, view->ssrc, packet);
    if (!found) return 0;
    streams().note_mid(found->source, view->ssrc, packet);
    return plan_.sources[found->source].media.value;
  }
  Streams::Admission admit(std::size_t source, std::uint32_t ssrc, std::uint16_t sequence) {
    RtpView view;
    view.ssrc = Ssrc{ssrc};
    view.sequence = SeqNo{sequence};
    const auto admission = streams().admit(source, view, Instant{}, now_);
    if (admission.kind == Kind::kAdmitted) admission.stream->count(view, 172, 0, now_);
    return admission;
  }

  Instant now_ = kStart;
  TransportPlan plan_;
  TransportActivity activity_;
  std::optional<Streams> streams_;
};

TEST_F(StreamsTest, Rfc9143_TheMidGoesBeforeSsrcAndPayloadType) {
  EXPECT_EQ(admit(0, 7, 1).kind, Kind::kAdmitted) << "SSRC 7 belongs to the audio";
  for (SourcePlan& source : plan_.sources) source.payloads.push_back({PayloadType{100}});
  struct Row {
    const char* what;
    Packet packet;
    std::uint32_t media;
  };
  for (const Row& row : {Row{"a new SSRC goes by its type", rtp('x', 9, 1, kVideo), 2},
                         Row{"a known SSRC goes to its media", rtp('x', 7, 1, 100), 1},
                         Row{"a type of both says nothing", rtp('x', 9, 1, 100), 0},
                         Row{"a known SSRC with the type of another", rtp('x', 7, 1, kVideo), 0},
                         Row{"a MID names the media of a new SSRC", with_mid("v", 9, 100), 2},
                         Row{"and that of a known SSRC", with_mid("v", 7, 100), 2},
                         Row{"a MID that names no media", with_mid("w", 7, 100), 0},
                         Row{"a type that its media does not have", with_mid("v", 9, kAudio), 0}})
    EXPECT_EQ(media_of(row.packet), row.media) << row.what;
}

TEST_F(StreamsTest, Rfc9143_AnSsrcStaysWithTheMidThatItCameWith) {
  for (SourcePlan& source : plan_.sources) source.payloads.push_back({PayloadType{100}});
  EXPECT_EQ(media_of(rtp('x', 9, 1, 100)), 0u);
  EXPECT_EQ(media_of(with_mid("v", 9, 100)), 2u);
  EXPECT_EQ(media_of(rtp('x', 9, 2, 100)), 0u) << "a packet that nobody accepted teaches nothing";
  EXPECT_EQ(media_of_accepted(with_mid("v", 9, 100)), 2u);
  EXPECT_EQ(media_of(rtp('x', 9, 3, 100)), 2u);
  EXPECT_EQ(media_of_accepted(with_mid("a", 9, 100)), 1u) << "another MID moves it";
  EXPECT_EQ(media_of(rtp('x', 9, 4, 100)), 1u);
}

TEST_F(StreamsTest, Rfc9143_AnSsrcOfTheSdpGoesBeforeThePayloadType) {
  for (SourcePlan& source : plan_.sources) source.payloads.push_back({PayloadType{100}});
  plan_.sources[0].ssrcs = {Ssrc{7}, Ssrc{9}};
  plan_.sources[1].ssrcs = {Ssrc{8}, Ssrc{9}, Ssrc{10}};
  EXPECT_EQ(admit(0, 10, 1).kind, Kind::kAdmitted);
  struct Row {
    const char* what;
    Packet packet;
    std::uint32_t media;
  };
  for (const Row& row : {Row{"a type of both, and an SSRC of the audio", rtp('x', 7, 1, 100), 1},
                         Row{"a type of both, and an SSRC of the video", rtp('x', 8, 1, 100), 2},
                         Row{"a type that its section does not have", rtp('x', 8, 1, kAudio), 0},
                         Row{"an SSRC of two sections says nothing", rtp('x', 9, 1, 100), 0},
                         Row{"so its type does", rtp('x', 9, 1, kVideo), 2},
                         Row{"an SSRC that was admitted stays", rtp('x', 10, 1, 100), 1},
                         Row{"a MID goes before it", with_mid("a", 8, 100), 1}})
    EXPECT_EQ(media_of(row.packet), row.media) << row.what;
  EXPECT_EQ(streams().sources_sending(Ssrc{8}), SectionMask{2}) << "a report before the first packet";
}

TEST_F(StreamsTest, Rfc9143_ANamedSsrcFollowsItsMediaIntoTheNextPlan) {
  for (SourcePlan& source : plan_.sources) source.payloads.push_back({PayloadType{100}});
  EXPECT_EQ(media_of_accepted(with_mid("v", 9, 100)), 2u);
  const TransportPlan before = plan_;
  std::swap(plan_.sources[0], plan_.sources[1]);
  streams_.emplace(before, activity_);
  EXPECT_EQ(media_of_accepted(with_mid("a", 9, 100)), 2u) << "index 0 of the plan of before";
  streams().set_plan(plan_);
  EXPECT_EQ(media_of(rtp('x', 9, 2, 100)), 1u);
}

TEST_F(StreamsTest, BND20_NamedSsrcsGoOnWhereASnapshotWasTaken) {
  for (SourcePlan& source : plan_.sources) source.payloads.push_back({PayloadType{100}});
  EXPECT_EQ(media_of_accepted(with_mid("v", 9, 100)), 2u);
  TransportSnapshot snapshot;
  streams().save(snapshot, MarkTimes(now_), now_);
  EXPECT_EQ(snapshot.named, (std::vector<TransportSnapshot::Named>{{Ssrc{9}, MediaId{2}}}));
  streams_.emplace(plan_, activity_);
  EXPECT_EQ(media_of(rtp('x', 9, 2, 100)), 0u);
  streams().restore(snapshot);
  EXPECT_EQ(media_of(rtp('x', 9, 2, 100)), 2u);
}

TEST_F(StreamsTest, BND21_RetransmissionsFollowTheirSection) {
  constexpr std::uint8_t kRtx = 97;
  plan_.sources[1].payloads.push_back({PayloadType{kRtx}});
  EXPECT_EQ(media_of_accepted(rtp('x', 30, 1, kVideo)), 2u);
  EXPECT_EQ(media_of_accepted(rtp('x', 31, 1, kRtx)), 2u) << "by their type, under an SSRC of their own";
  plan_.sources[0].payloads.push_back({PayloadType{kRtx}});
  EXPECT_EQ(media_of(rtp('x', 32, 1, kRtx)), 0u) << "a type of both";
  EXPECT_EQ(media_of_accepted(with_mid("v", 32, kRtx)), 2u);
  EXPECT_EQ(media_of(rtp('x', 32, 2, kRtx)), 2u) << "by the MID that it came with";
}

TEST_F(StreamsTest, Rfc9143_ManySsrcsWithAMidTakeNoMoreThanTheirShareOfMemory) {
  for (SourcePlan& source : plan_.sources) source.payloads.push_back({PayloadType{100}});
  for (std::uint32_t ssrc = 1; ssrc <= Streams::kMostNamed + 1; ++ssrc)
    EXPECT_EQ(media_of_accepted(with_mid("v", ssrc, 100)), 2u);
  EXPECT_EQ(media_of(rtp('x', 1, 2, 100)), 0u) << "the oldest was forgotten";
  EXPECT_EQ(media_of(rtp('x', 2, 2, 100)), 2u);
}

TEST_F(StreamsTest, Rfc9143_AClosedSourceTakesNoPacketsFromTheOthers) {
  SourcePlan& closed = plan_.sources[0];
  closed.is_closed = true;
  closed.payloads.clear();
  EXPECT_EQ(media_of(rtp('x', 9, 1, kVideo)), 2u) << "without a MID";
  EXPECT_EQ(media_of(with_mid("v", 9, kVideo)), 2u);
  EXPECT_EQ(media_of(with_mid("a", 9, kVideo)), 0u) << "its own MID names nobody";
  EXPECT_EQ(media_of(rtp('x', 9, 1, kAudio)), 0u) << "a type that nobody has";
}

TEST_F(StreamsTest, WithoutTheExtensionNoMidIsRead) {
  plan_.mid_extension = 0;
  EXPECT_EQ(media_of_accepted(with_mid("v", 9, kAudio)), 1u);
  EXPECT_EQ(media_of(with_mid("w", 9, kAudio)), 1u);
}

TEST_F(StreamsTest, SSR1_ALaterSsrcIsAdmittedByItsSecondPacket) {
  EXPECT_EQ(admit(0, 1, 1).kind, Kind::kAdmitted) << "the first one at once";
  const auto held = admit(0, 2, 10);
  EXPECT_EQ(held.kind, Kind::kHeld);
  EXPECT_EQ(admit(0, 2, 12).kind, Kind::kHeld) << "not the next number";
  const auto confirmed = admit(0, 2, 13);
  EXPECT_EQ(confirmed.kind, Kind::kConfirmed);
  EXPECT_EQ(confirmed.place, held.place);
  EXPECT_TRUE(confirmed.ends_wait);
  EXPECT_EQ(admit(0, 2, 12).kind, Kind::kAdmitted);
  EXPECT_EQ(admit(0, 2, 13).kind, Kind::kAdmitted);
}

TEST_F(StreamsTest, SSR1_OnlyASilentSsrcGivesWay) {
  plan_.sources[0].max_ssrcs = 1;
  EXPECT_EQ(admit(0, 1, 1).kind, Kind::kAdmitted);
  now_ += 900ms;
  (void)admit(0, 2, 1);
  EXPECT_EQ(admit(0, 2, 2).reason, DropReason::kSsrcNotAdmitted);
  now_ += 100ms;
  EXPECT_EQ(admit(0, 2, 2).kind, Kind::kConfirmed);
  EXPECT_EQ(streams().find(0, Ssrc{1}), nullptr);
}

TEST_F(StreamsTest, C13_APauseOfTheProcessIsNoSilenceOfAnSsrc) {
  plan_.sources[0].max_ssrcs = 1;
  EXPECT_EQ(admit(0, 1, 1).kind, Kind::kAdmitted);
  now_ += 60s;
  RtpView view;
  view.ssrc = Ssrc{2};
  (void)streams().admit(0, view, now_, now_);
  view.sequence = SeqNo{1};
  EXPECT_EQ(streams().admit(0, view, now_, now_).reason, DropReason::kSsrcNotAdmitted);
}

TEST_F(StreamsTest, AMediaKeepsItsStreamsWhenTheListOfMediasChanges) {
  EXPECT_EQ(admit(1, 5, 1).kind, Kind::kAdmitted);
  TransportPlan next = plan_;
  next.sources.erase(next.sources.begin());
  streams().set_plan(next);
  EXPECT_NE(streams().find(0, Ssrc{5}), nullptr);
  TransportPlan none = plan_;
  none.sources.pop_back();
  streams().set_plan(none);
  EXPECT_EQ(streams().find(0, Ssrc{5}), nullptr) << "its media is gone";
}

TEST_F(StreamsTest, RTC2_RtcpGetsATwentiethOfTheMedia) {
  plan_.sources[0].rate = {0, 20'000};
  std::size_t octets = 0;
  while (octets < 100'000 && streams().take_rtcp_rate(0, 100, now_)) octets += 100;
  EXPECT_GE(octets, 1000u);
  EXPECT_LT(octets, 20'000u);
}

TEST_F(StreamsTest, Rfc3550_TheRoundTripIsThatOfTheReportThatAnswersOurs) {
  plan_.sources.resize(1);
  Packet sent = rtp('x', 50, 1, kAudio);
  streams().on_sent(DatagramClass::kRtp, sent, MediaId{1}, now_);
  streams().on_sent(DatagramClass::kRtcp, test::sender_report(50, 0x00010002), MediaId{1}, now_);
  EXPECT_EQ(admit(0, 60, 1).kind, Kind::kAdmitted);
  now_ += 80ms;
  // The report names the middle of the NTP time stamp of ours.
  EXPECT_EQ(streams().round_trip(), 0ns);
  streams().read_reports(0, test::sender_report(60, 1, 50, 0x00020000, 0), now_);
  EXPECT_EQ(streams().round_trip(), 80ms);
  EXPECT_TRUE(streams().complete_report(20ms, now_));
  EXPECT_FALSE(streams().complete_report(20ms, now_)) << "once for each packet";
}

}  // namespace
}  // namespace ferry::streams_test
