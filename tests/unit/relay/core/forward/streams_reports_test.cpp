// SPDX-License-Identifier: Apache-2.0
// Reports of the relay's own, made from the streams of one transport (RFC 3550 §6.4).

#include "relay/core/forward/streams.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::streams_reports_test {
namespace {

using namespace std::chrono_literals;
using test::Packet;
using test::rtp;

constexpr Instant kStart{1h};
constexpr WallTime kWall{std::chrono::seconds(1'800'000'000)};
constexpr MediaId kMedia{1};

/// One report, read back.
struct Report {
  struct Sender {
    Ssrc ssrc;
    std::uint64_t ntp = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t packets = 0;
    std::uint32_t octets = 0;
  };
  std::vector<Sender> senders;
  std::vector<std::pair<Ssrc, ReportBlock>> blocks;
  Packet compound;
  void on_sender_report(Ssrc, std::uint32_t) {}
  void on_bye(Ssrc) {}
  void on_report(Ssrc sender, const ReportBlock& block) { blocks.emplace_back(sender, block); }
};

class StreamsReports : public ::testing::Test {
 protected:
  StreamsReports() {
    SourcePlan& source = plan_.sources.emplace_back();
    source.media = kMedia;
    source.max_ssrcs = 64;
    source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000},
                       {PayloadType{101}, G711Law::kNone, 0, true, 8000}};
    report_own(true);
  }
  void report_own(bool on) {
    plan_.own_reports = on ? std::make_shared<const OwnReports>(OwnReports{"0123456789abcdef"}) : nullptr;
  }
  Streams& streams() {
    if (!streams_) streams_.emplace(plan_, activity_);
    return *streams_;
  }
  void pass(Duration time) { now_ += time; }
  /// The peer sends a packet.
  void comes(std::uint32_t ssrc, std::uint16_t sequence) {
    const Packet packet = rtp('A', ssrc, sequence);
    const auto view = parse_rtp(packet);
    StreamStats* stats = streams().find(0, Ssrc{ssrc});
    if (stats == nullptr) {
      Streams::Admission admission = streams().admit(0, *view, {}, now_);
      if (admission.kind == Streams::Admission::Kind::kHeld) {
        const auto next = parse_rtp(rtp('A', ssrc, static_cast<std::uint16_t>(sequence + 1)));
        (void)streams().admit(0, *next, {}, now_);
        admission = streams().admit(0, *view, {}, now_);
      }
      ASSERT_EQ(admission.kind, Streams::Admission::Kind::kAdmitted);
      stats = admission.stream;
    }
    stats->count(*view, packet.size(), 8000, now_);
  }
  /// A packet leaves for the peer.
  void leaves(const Packet& packet) { streams().on_sent(DatagramClass::kRtp, packet, kMedia, now_); }
  Report report() {
    std::array<std::byte, 1400> space{};
    Report made;
    const std::size_t size = streams().write_report(space, {now_, kWall + (now_ - kStart)});
    made.compound.assign(space.begin(), space.begin() + static_cast<std::ptrdiff_t>(size));
    if (size == 0) return made;
    EXPECT_TRUE(validate_rtcp(made.compound, false));
    walk_rtcp(made.compound, made);
    for (Bytes rest = made.compound; !rest.empty(); rest = rest.subspan(4u + 4u * read_u16(rest, 2))) {
      if (read_u8(rest, 1) != rtcp_type::kSr) continue;
      made.senders.push_back({Ssrc{read_u32(rest, 4)},
                              (std::uint64_t{read_u32(rest, 8)} << 32) | read_u32(rest, 12),
                              read_u32(rest, 16), read_u32(rest, 20), read_u32(rest, 24)});
    }
    if (ReportKeeper* keeper = streams().report_keeper()) keeper->schedule_next(now_, 0);
    return made;
  }

  TransportPlan plan_;
  TransportActivity activity_;
  std::optional<Streams> streams_;
  Instant now_ = kStart;
};

TEST_F(StreamsReports, WithoutThePlanThereAreNone) {
  report_own(false);
  leaves(rtp('B', 9, 1));
  EXPECT_TRUE(report().compound.empty());
  EXPECT_EQ(streams().report_keeper(), nullptr);
}

TEST_F(StreamsReports, Rfc3550_ASenderReportLiesOnTheLineOfItsPackets) {
  for (std::uint16_t n = 0; n < 50; ++n) {
    leaves(rtp('B', 9, n));
    pass(20ms);
  }
  pass(137ms);
  const Report made = report();
  ASSERT_EQ(made.senders.size(), 1u);
  EXPECT_EQ(made.senders[0].ssrc, Ssrc{9});
  EXPECT_EQ(made.senders[0].timestamp, 8u * 1137);
  EXPECT_EQ(made.senders[0].ntp, ntp_of(kWall + 1137ms));
  EXPECT_EQ(made.senders[0].packets, 50u);
  EXPECT_EQ(made.senders[0].octets, 50u * 160);
}

TEST_F(StreamsReports, Rfc3550_CountsRestartWithANewSsrcAndOctetsLeaveHeadersOut) {
  leaves(rtp('B', 9, 1));
  Packet extended = rtp('B', 10, 1);
  extended[0] |= std::byte{0x10};
  const Packet block = test::bytes_of({0xbe, 0xde, 0, 1, 0x10, 5, 0, 0});
  extended.insert(extended.begin() + kRtpFixedHeaderSize, block.begin(), block.end());
  leaves(extended);
  const Report made = report();
  ASSERT_EQ(made.senders.size(), 2u);
  EXPECT_EQ(made.senders[1].ssrc, Ssrc{10});
  EXPECT_EQ(made.senders[1].packets, 1u);
  EXPECT_EQ(made.senders[1].octets, 160u);
  EXPECT_TRUE(made.blocks.empty());
}

TEST_F(StreamsReports, EventsDoNotBendTheLine) {
  for (std::uint16_t n = 0; n < 10; ++n) {
    leaves(rtp('B', 9, n));
    pass(20ms);
  }
  for (std::uint16_t n = 10; n < 60; ++n) {
    Packet event = rtp('E', 9, n, 101, 4);
    write_u32(event, 4, 10 * 160);
    leaves(event);
    pass(20ms);
  }
  const Report made = report();
  ASSERT_EQ(made.senders.size(), 1u);
  EXPECT_EQ(made.senders[0].timestamp, 60u * 160);
}

TEST_F(StreamsReports, Rfc3550_BlocksSayWhatIsMissingSinceTheReportBefore) {
  for (std::uint16_t n = 0; n < 100; ++n) {
    if (n % 4 != 1) comes(5, n);
    pass(20ms);
  }
  const Report first = report();
  EXPECT_TRUE(first.senders.empty()) << "nothing left: a receiver report";
  ASSERT_EQ(first.blocks.size(), 1u);
  EXPECT_EQ(first.blocks[0].second.about, Ssrc{5});
  EXPECT_EQ(first.blocks[0].second.cumulative_lost, 25);
  EXPECT_EQ(first.blocks[0].second.fraction_lost, 64);
  EXPECT_EQ(first.blocks[0].second.highest_sequence, 99u);
  for (std::uint16_t n = 100; n < 200; ++n) {
    pass(20ms);
    comes(5, n);
  }
  pass(20ms);
  const Report second = report();
  ASSERT_EQ(second.blocks.size(), 1u);
  EXPECT_EQ(second.blocks[0].second.cumulative_lost, 25);
  EXPECT_EQ(second.blocks[0].second.fraction_lost, 0);
  EXPECT_EQ(second.blocks[0].first, first.blocks[0].first) << "the reporter stays the same";
  pass(5s);
  EXPECT_TRUE(report().blocks.empty()) << "a silent stream has no block";
}

TEST_F(StreamsReports, Rfc3550_RoundTripFromAReportOfThePeerAboutOurs) {
  leaves(rtp('B', 9, 1));
  comes(5, 1);
  const Report made = report();
  streams().on_sent(DatagramClass::kRtcp, made.compound, kMedia, now_);
  const std::uint32_t middle = static_cast<std::uint32_t>(made.senders.at(0).ntp >> 16);
  pass(150ms);
  // The peer held it for 50 ms.
  streams().read_reports(0, test::sender_report(5, 77, 9, middle, 65536 / 20, 64), now_);
  EXPECT_NEAR(static_cast<double>(streams().round_trip().count()), 1e8, 1e5);
  // The other leg has no round trip, and a party whose stream is made is measured all the same.
  const auto quality = streams().complete_report(Duration{0}, now_);
  ASSERT_TRUE(quality);
  EXPECT_NEAR(static_cast<double>(quality->sample.round_trip_leg_us), 100'000, 100);
  EXPECT_EQ(quality->sample.loss_percent, 25);
  // And the peer's own sender report is answered.
  pass(2s);
  comes(5, 2);
  const Report answer = report();
  ASSERT_EQ(answer.blocks.size(), 1u);
  EXPECT_EQ(answer.blocks[0].second.last_sr, 77u << 16);
  EXPECT_EQ(answer.blocks[0].second.delay_since_last_sr, 2u * 65536);
}

TEST_F(StreamsReports, DMX5_SenderReportsOfUnknownStreamsAreNotRemembered) {
  comes(5, 1);
  streams().read_reports(0, test::sender_report(5, 77), now_);
  for (std::uint32_t n = 0; n < 100; ++n) streams().read_reports(0, test::sender_report(1000 + n, n), now_);
  const Report made = report();
  ASSERT_EQ(made.blocks.size(), 1u);
  EXPECT_EQ(made.blocks[0].second.last_sr, 77u << 16);
}

TEST_F(StreamsReports, SSR1_ManyStreamsTakeTurnsAndFitIntoOneFrame) {
  for (std::uint16_t n = 1; n < 3; ++n) {
    for (std::uint32_t ssrc = 100; ssrc < 120; ++ssrc) leaves(rtp('B', ssrc, n));
  }
  for (std::uint32_t ssrc = 200; ssrc < 240; ++ssrc) {
    comes(ssrc, 1);
    pass(250ms);
  }
  std::set<std::uint32_t> named;
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t ssrc = 100; ssrc < 120; ++ssrc)
      leaves(rtp('B', ssrc, static_cast<std::uint16_t>(3 + round)));
    const Report made = report();
    EXPECT_LE(made.compound.size(), 1400u);
    EXPECT_LE(made.blocks.size(), 31u);
    for (const Report::Sender& each : made.senders) named.insert(each.ssrc.value);
  }
  EXPECT_EQ(named.size(), 20u);
}

TEST_F(StreamsReports, WhatWasLostBeforeTheReportsBeganIsNoNews) {
  report_own(false);
  for (std::uint16_t n = 0; n < 100; n += 2) comes(5, n);
  TransportPlan next = plan_;
  next.own_reports = std::make_shared<const OwnReports>(OwnReports{"name"});
  streams().set_plan(next);
  pass(20ms);
  comes(5, 99);
  const Report made = report();
  ASSERT_EQ(made.blocks.size(), 1u);
  EXPECT_EQ(made.blocks[0].second.fraction_lost, 0);
  EXPECT_EQ(made.blocks[0].second.cumulative_lost, 49);
  streams().set_plan(plan_);
}

TEST_F(StreamsReports, PacketsOfTheKernelCount) {
  leaves(rtp('B', 9, 1));
  SsrcCounters received;
  received.ssrc = Ssrc{9};
  received.highest_extended = 101;
  received.last_timestamp = 101 * 160;
  received.clock_rate_hz = 8000;
  received.last_packet = kStart + 2s;
  OffloadedTraffic done;
  done.packets = 100;
  done.bytes = 100 * 172;
  done.before = SeqNo{1};
  done.advanced = true;
  done.stream = &received;
  streams().on_sent_by_kernel(done, 0);
  pass(3s);
  const Report made = report();
  ASSERT_EQ(made.senders.size(), 1u);
  EXPECT_EQ(made.senders[0].packets, 101u);
  EXPECT_EQ(made.senders[0].octets, 101u * 160);
  EXPECT_EQ(made.senders[0].timestamp, 160u + 3 * 8000) << "the packets left every 20 ms";
}

}  // namespace
}  // namespace ferry::streams_reports_test
