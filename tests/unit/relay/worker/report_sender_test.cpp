// SPDX-License-Identifier: Apache-2.0
// RTCP of the relay's own in the worker: what leaves and when, what is taken in, and whom nobody may have
// reported to.

#include "relay/core/rtcp/report_writer.hpp"
#include "tests/support/group_call.hpp"
#include "tests/support/srtp_call.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::report_sender_test {
namespace {

using namespace std::chrono_literals;
using test::GroupCall;
using test::host;
using test::Packet;
using test::rtp;
using test::SrtpCall;
using test::SrtpKeys;

std::shared_ptr<const OwnReports> own(const std::string& name = "0123456789abcdef01234567") {
  return std::make_shared<const OwnReports>(OwnReports{name});
}
SrtpKeys some_srtp_keys() {
  std::mt19937 random(7);
  return {test::random_key(random, SrtpSuite::kAes128Cm80), test::random_key(random, SrtpSuite::kAes128Cm80)};
}
Packet picture_loss(std::uint32_t sender, std::uint32_t source) {
  Packet packet(12);
  write_u8(packet, 0, 0x81);
  write_u8(packet, 1, rtcp_type::kPayloadFeedback);
  write_u16(packet, 2, 2);
  write_u32(packet, 4, sender);
  write_u32(packet, 8, source);
  return packet;
}
Packet joined(const std::vector<Packet>& parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
bool is_rtcp(Bytes packet) { return read_u8(packet, 1) >= 192 && read_u8(packet, 1) <= 223; }

/// A sender report that reached somebody.
struct Seen {
  Endpoint to;
  Ssrc ssrc;
  std::uint64_t ntp = 0;
  std::uint32_t timestamp = 0;
  std::uint32_t packets = 0;
  std::uint32_t octets = 0;
};

/// A call whose parties speak, with reports to both. Side 0 is host 10, side 1 host 21.
class ReportedCall : public SrtpCall {
 public:
  explicit ReportedCall(std::optional<SrtpKeys> a = std::nullopt, bool has_kernel = false)
      : SrtpCall(a, std::nullopt, "openssl", has_kernel), is_protected_(a.has_value()) {
    worker().set_wall_clock(WallTime{}, Instant{});
    for (const std::uint32_t side : {0u, 1u}) {
      TransportPlan next = plan(side);
      if (side == 0) keys_ = next.srtp;
      change(side, next);
    }
  }
  /// Gives a side a plan with reports.
  void change(std::uint32_t side, TransportPlan next, bool is_muxed = false) {
    next.own_reports = own();
    if (side == 0 && keys_) next.srtp = keys_;
    next.rtcp_mux = next.send_rtcp_muxed = is_muxed;
    update(side, std::move(next));
  }
  /// Both parties speak for so long; every `drop`th packet of A is lost on the way to the relay.
  void speak(Duration time, unsigned drop = 0) {
    for (Duration done{0}; done < time; done += 20ms) {
      pass(20ms);
      run(std::monostate{});
      if (++number_ == 1) first_at_ = worker().now();
      if (drop == 0 || number_ % drop != 0) arrives(host(10), 0, of_a(rtp('A', 1, number_)));
      arrives(host(21), 1, rtp('B', 2, number_));
    }
  }
  void wait(Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      pass(20ms);
      run(std::monostate{});
    }
  }
  [[nodiscard]] Packet of_a(const Packet& plain, bool rtcp = false) {
    return is_protected_ ? end(0).sealed(plain, rtcp) : plain;
  }
  /// All compounds that left for a host since the last call, opened, and where they went.
  std::vector<std::pair<Endpoint, Packet>> compounds(std::uint8_t to) {
    std::vector<std::pair<Endpoint, Packet>> all;
    std::erase_if(sent, [&](const SimDatagram& each) {
      if (each.to.address != host(to).address || !is_rtcp(each.payload)) return false;
      all.emplace_back(each.to, to == 10 && is_protected_ ? end(0).opened(each.payload, true) : each.payload);
      return true;
    });
    return all;
  }
  std::vector<Seen> sender_reports(std::uint8_t to) {
    std::vector<Seen> all;
    for (const auto& [at, compound] : compounds(to)) {
      EXPECT_TRUE(validate_rtcp(compound, false));
      if (read_u8(compound, 1) != rtcp_type::kSr) continue;
      all.push_back({at, Ssrc{read_u32(compound, 4)},
                     (std::uint64_t{read_u32(compound, 8)} << 32) | read_u32(compound, 12),
                     read_u32(compound, 16), read_u32(compound, 20), read_u32(compound, 24)});
    }
    return all;
  }
  /// When the first packets left, in seconds.
  [[nodiscard]] double first_at() const {
    return std::chrono::duration<double>(first_at_.time_since_epoch()).count();
  }

 private:
  bool is_protected_;
  std::shared_ptr<const SrtpPlan> keys_;
  std::uint16_t number_ = 0;
  Instant first_at_{};
};

/// Blocks of a compound.
std::vector<ReportBlock> blocks_of(Bytes compound) {
  struct Reader {
    std::vector<ReportBlock> blocks;
    void on_sender_report(Ssrc, std::uint32_t) {}
    void on_report(Ssrc, const ReportBlock& block) { blocks.push_back(block); }
    void on_bye(Ssrc) {}
  };
  Reader reader;
  walk_rtcp(compound, reader);
  return reader.blocks;
}

TEST(ReportSender, Rfc3550_EachPartyGetsReportsAboutEveryFiveSecondsOnTheLineOfItsPackets) {
  ReportedCall call;
  call.speak(61s);
  for (const std::uint8_t to : {std::uint8_t{10}, std::uint8_t{21}}) {
    const auto reports = call.sender_reports(to);
    EXPECT_GE(reports.size(), 8u);
    EXPECT_LE(reports.size(), 24u);
    for (const Seen& each : reports) {
      EXPECT_EQ(each.to, (Endpoint{host(to).address, UdpPort{4001}}));
      EXPECT_EQ(each.ssrc, Ssrc{to == 10 ? 2u : 1u});
      EXPECT_EQ(each.octets, each.packets * 160);
      // Packet 1 leaves with the timestamp 160; the wall clock began with that of the network, in 1970.
      const double seconds =
          static_cast<double>(each.ntp - (std::uint64_t{2'208'988'800} << 32)) / 4294967296.0;
      const double at = each.timestamp / 8000.0;
      EXPECT_NEAR(seconds - call.first_at(), at - 160 / 8000.0, 0.001) << "within a millisecond";
    }
  }
}

TEST(ReportSender, Rfc3550_CountsAreThoseOfThePacketsBefore) {
  ReportedCall call;
  std::uint32_t left = 0;
  call.speak(40s);
  std::size_t reports = 0;
  for (const SimDatagram& each : call.sent) {
    if (each.to.address != host(21).address) continue;
    if (!is_rtcp(each.payload)) {
      ++left;
      continue;
    }
    ASSERT_EQ(read_u8(each.payload, 1), rtcp_type::kSr);
    EXPECT_EQ(read_u32(each.payload, 20), left);
    ++reports;
  }
  EXPECT_GE(reports, 5u);
}

TEST(ReportSender, Rfc3550_BlocksHaveTheLossOfThePartyAndNotOfTheOther) {
  ReportedCall call;
  call.speak(30s, 10);
  std::vector<Packet> to_a;
  for (const auto& [at, compound] : call.compounds(10)) to_a.push_back(compound);
  ASSERT_FALSE(to_a.empty());
  const auto blocks = blocks_of(to_a.back());
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].about, Ssrc{1});
  EXPECT_NEAR(blocks[0].fraction_lost, 26, 3);
  EXPECT_NEAR(static_cast<double>(blocks[0].cumulative_lost), (blocks[0].highest_sequence & 0xffff) / 10.0,
              1);
  std::vector<Packet> to_b;
  for (const auto& [at, compound] : call.compounds(21)) to_b.push_back(compound);
  ASSERT_FALSE(to_b.empty());
  EXPECT_EQ(blocks_of(to_b.back()).at(0).cumulative_lost, 0);
}

TEST(ReportSender, Rfc3550_ReportsOfThePartiesEndHereAndFeedbackAndApplicationsPass) {
  ReportedCall call;
  call.speak(200ms);
  call.sent.clear();
  const Endpoint a{host(10).address, UdpPort{4001}};
  call.arrives(a, 0, test::sender_report(1, 1, 2), true);
  EXPECT_TRUE(call.sent.empty());
  EXPECT_EQ(call.worker().totals().taken_reports.load(), 1u);
  Packet application(12);
  write_u8(application, 0, 0x80);
  write_u8(application, 1, 204);
  write_u16(application, 2, 2);
  write_u32(application, 4, 1);
  call.arrives(a, 0, joined({test::sender_report(1, 2, 2), picture_loss(1, 2), application}), true);
  ASSERT_EQ(call.sent.size(), 1u);
  EXPECT_EQ(call.sent[0].payload, joined({test::receiver_report(1), picture_loss(1, 2), application}));
  EXPECT_EQ(call.worker().totals().errors.load(), 0u) << "what is taken in is no drop";
}

TEST(ReportSender, RTC3_FeedbackAboutAStreamOfTheRelayEndsHere) {
  ReportedCall call;
  TransportPlan repacketized = call.plan(1);
  repacketized.sources[0].sinks[0].ptime_ms = 40;
  repacketized.sources[0].payloads[0].g711 = G711Law::kA;
  call.change(1, repacketized);  // the relay makes what A hears
  call.speak(400ms);
  call.sent.clear();
  call.arrives({host(10).address, UdpPort{4001}}, 0, joined({test::receiver_report(1), picture_loss(1, 2)}),
               true);
  EXPECT_TRUE(call.sent.empty());
}

TEST(ReportSender, WithRtcpMuxReportsLeaveByTheRtpPort) {
  ReportedCall call;
  call.change(0, call.plan(0), true);
  call.speak(20s);
  const auto reports = call.sender_reports(10);
  ASSERT_FALSE(reports.empty());
  for (const Seen& each : reports) EXPECT_EQ(each.to, host(10));
}

TEST(ReportSender, SRT5_SrtcpIndicesRiseByOneAndBothLegsStayAuthentic) {
  ReportedCall call(some_srtp_keys());
  std::vector<std::uint32_t> indices;
  for (int n = 0; n < 20; ++n) {
    call.speak(2s);
    // A PLI passes in between, sealed with the same key.
    call.arrives({host(21).address, UdpPort{4001}}, 1, joined({test::receiver_report(2), picture_loss(2, 1)}),
                 true);
    for (const SimDatagram& each : call.sent) {
      if (each.to.address == host(10).address && is_rtcp(each.payload))
        indices.push_back(read_u32(each.payload, each.payload.size() - 14) & 0x7fffffff);
    }
    for (const auto& [at, compound] : call.compounds(10)) EXPECT_TRUE(validate_rtcp(compound, false));
    call.sent.clear();
  }
  ASSERT_GT(indices.size(), 25u);
  for (std::size_t i = 1; i < indices.size(); ++i) EXPECT_EQ(indices[i], indices[i - 1] + 1) << i;
}

TEST(ReportSender, RTC6_SRT9_NothingLeavesUnderTheKeyOfAnotherParty) {
  ReportedCall call(some_srtp_keys());
  TransportPlan relayed = call.plan(0);
  auto keys = std::make_shared<SrtpPlan>(*relayed.srtp);
  keys->send_is_relayed = true;
  relayed.srtp = keys;
  relayed.own_reports = own();
  call.update(0, relayed);
  call.speak(200ms);
  call.sent.clear();
  call.wait(30s);
  EXPECT_TRUE(call.compounds(10).empty());
  EXPECT_FALSE(call.compounds(21).empty());
}

TEST(ReportSender, RTC6_LAT12_NobodyIsReportedToWhoWasNotHeard) {
  ReportedCall call;
  // A alone speaks; B is a host that somebody named.
  for (std::uint16_t n = 0; n < 1500; ++n) {
    call.pass(20ms);
    call.arrives(host(10), 0, rtp('A', 1, n));
  }
  EXPECT_TRUE(call.compounds(21).empty());
  EXPECT_FALSE(call.compounds(10).empty());
  // RTCP to another host than the one that speaks is somebody else's, too.
  TransportPlan elsewhere = call.plan(0);
  elsewhere.rtcp_latch.signalled = {IpAddress::v4({203, 0, 113, 9}), UdpPort{53000}};
  call.change(0, elsewhere);
  call.sent.clear();
  call.speak(30s);
  for (const SimDatagram& each : call.sent) EXPECT_NE(each.to, elsewhere.rtcp_latch.signalled);
}

TEST(ReportSender, RTC6_WhateverIsForgedTheRateStaysAndNothingAnswers) {
  ReportedCall call;
  call.speak(1s);
  call.sent.clear();
  // A stranger, and the party itself, send a flood of reports, BYE and feedback.
  std::size_t passed = 0;
  for (int n = 0; n < 3000; ++n) {
    call.pass(10ms);
    call.arrives(host(99, 4001), 0, joined({test::sender_report(1, 1, 2), picture_loss(1, 2)}), true);
    call.arrives({host(10).address, UdpPort{4001}}, 0,
                 test::sender_report(static_cast<std::uint32_t>(n), 1, 2), true);
  }
  for (const SimDatagram& each : call.sent) {
    EXPECT_NE(each.to.address, host(99).address);
    passed += is_rtcp(each.payload) ? 1 : 0;
  }
  EXPECT_LE(passed, 2u * 13) << "two parties in 30 s, at most one in 2.5 s";
}

TEST(ReportSender, PacketsOfTheKernelAreCounted) {
  ReportedCall call(std::nullopt, true);
  call.speak(30s);
  EXPECT_EQ(call.flows(), 2u);
  const auto reports = call.sender_reports(21);
  ASSERT_FALSE(reports.empty());
  EXPECT_GT(call.worker().totals().offloaded_packets.load(), 1000u);
  // Packet n has the timestamp n * 160, and the report comes at most 20 ms behind it.
  for (const Seen& each : reports) EXPECT_EQ(each.packets, (each.timestamp - 1) / 160);
}

TEST(ReportSender, TheWishCanComeAndGo) {
  ReportedCall call;
  call.speak(10s);
  for (const std::uint32_t side : {0u, 1u}) call.update(side, call.plan(side));
  call.sent.clear();
  call.speak(20s);
  EXPECT_TRUE(call.compounds(10).empty());
  const Packet report = test::sender_report(1, 5);
  EXPECT_EQ(call.across(0, report, true), report) << "RTCP passes again";
  call.change(0, call.plan(0));
  call.speak(10s);
  EXPECT_FALSE(call.compounds(10).empty());
}

TEST(ReportSender, BND22_AGroupGetsOneCompoundForAllItsMedias) {
  for (const bool is_protected : {false, true}) {
    SCOPED_TRACE(is_protected ? "protected" : "plain");
    GroupCall call(GroupCall::Far::kApart, is_protected ? std::optional(test::some_keys()) : std::nullopt);
    for (TransportPlan& plan : call.plans) plan.own_reports = own();
    call.begin();
    std::vector<Packet> heard;
    for (std::uint16_t n = 0; n < 500; ++n) {
      call.pass(20ms);
      call.says(0, rtp('A', 0xa1, n, GroupCall::kAudio));
      call.says(0, rtp('V', 0xb1, n, GroupCall::kVideo));
      call.says(1, rtp('a', 0xa2, n, GroupCall::kAudio));
      call.says(2, rtp('v', 0xb2, n, GroupCall::kVideo));
      for (Packet& each : call.heard(0, true)) heard.push_back(std::move(each));
      call.sent.clear();
    }
    ASSERT_FALSE(heard.empty());
    for (const Packet& each : heard) {
      ASSERT_TRUE(validate_rtcp(each, false));
      EXPECT_EQ(read_u8(each, 1), rtcp_type::kSr);
      EXPECT_EQ(blocks_of(each).size(), 2u) << "about both medias of the browser";
    }
    // What the phones report ends here. A picture loss indication about the video passes.
    call.says(1, test::sender_report(0xa2, 1, 0xa1), true);
    EXPECT_TRUE(call.heard(0, true).empty());
    call.says(0, joined({test::receiver_report(0xb1), picture_loss(0xb1, 0xb2)}), true);
    EXPECT_TRUE(call.heard(1, true).empty());
    EXPECT_EQ(call.heard(2, true),
              (std::vector<Packet>{joined({test::receiver_report(0xb1), picture_loss(0xb1, 0xb2)})}));
  }
}

}  // namespace
}  // namespace ferry::report_sender_test
