// SPDX-License-Identifier: Apache-2.0
// What Homer is told of calls.

#include "control/telemetry/homer_reports.hpp"

#include "control/telemetry/hep.hpp"
#include "tests/support/world.hpp"
#include "tests/unit/control/telemetry/hep.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;
using telemetry::HomerReports;
using namespace std::chrono_literals;

class Homer : public ::testing::Test {
 protected:
  Homer() {
    settings_.id = 7;
    reports_ = std::make_unique<HomerReports>(
        settings_, [this](std::string packet) { packets_.push_back(telemetry::hep_chunks(packet)); });
    world_ = make_sim_world();
    world_->manager().add(*reports_);
    for (const Endpoint& each : {a_, b_}) world_->open(each);
  }
  ~Homer() override { world_.reset(); }

  void call(const std::string& name) {
    to_b_ = World::port_of(world_->ng(offer(name, "A", audio_sdp(a_))));
    to_a_ = World::port_of(world_->ng(answer(name, "A", "B", audio_sdp(b_))));
    for (std::uint16_t n = 1; n <= 20; ++n) {
      world_->send(a_, at(to_a_), rtp('A', 1, n));
      world_->send(b_, at(to_b_), rtp('B', 2, n));
      world_->run(world_->elapsed() + 20ms);
    }
  }
  Endpoint at(UdpPort port, unsigned more = 0) const {
    return {world_->relay_address(), UdpPort{static_cast<std::uint16_t>(port.value + more)}};
  }
  static Endpoint rtcp(Endpoint rtp) {
    return {rtp.address, UdpPort{static_cast<std::uint16_t>(rtp.port.value + 1)}};
  }
  void turn(Duration passed = HomerReports::kRoundTime) {
    reports_->turn(world_->manager().services(), passed, world_->clock());
  }
  /// Packets of one type.
  std::vector<std::map<unsigned, std::string>> of(std::uint8_t type) {
    std::vector<std::map<unsigned, std::string>> found;
    for (auto& each : packets_) {
      if (each[11] == std::string(1, static_cast<char>(type))) found.push_back(each);
    }
    return found;
  }
  static unsigned port_of(const std::string& chunk) {
    return static_cast<unsigned>(static_cast<unsigned char>(chunk[0])) << 8 |
           static_cast<unsigned char>(chunk[1]);
  }

  Endpoint a_{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
  Endpoint b_{IpAddress::v4({192, 0, 2, 20}), UdpPort{5000}};
  UdpPort to_a_, to_b_;
  HomerSettings settings_;
  std::unique_ptr<HomerReports> reports_;
  std::unique_ptr<World> world_;
  std::vector<std::map<unsigned, std::string>> packets_;
};

TEST_F(Homer, AReportIsToldOnceWithWhoMadeItAndTheCallId) {
  call("a84b@atlanta");
  turn();
  EXPECT_TRUE(packets_.empty()) << "nobody has reported";
  // B reports a quarter lost of A's stream, of which B was sent packets.
  world_->send(rtcp(b_), at(to_b_, 1), sender_report(2, 0x10001, 1, 0, 0, 64));
  world_->run(world_->elapsed() + 20ms);
  turn();
  turn();
  auto found = of(telemetry::hep_type::kRtcp);
  ASSERT_EQ(found.size(), 1u);
  auto& chunks = found.front();
  EXPECT_EQ(chunks[17], "a84b@atlanta");
  EXPECT_EQ(chunks[3], std::string("\xc0\x00\x02\x14", 4)) << "from B";
  EXPECT_EQ(port_of(chunks[7]), b_.port.value + 1u);
  EXPECT_EQ(port_of(chunks[8]), to_b_.value + 1u);
  const json report = json::parse(chunks[15]);
  EXPECT_EQ(report["type"], 201);
  EXPECT_EQ(report["ssrc"], 2);
  EXPECT_EQ(report["report_count"], 1);
  EXPECT_EQ(report["report_blocks"][0]["source_ssrc"], 1);
  EXPECT_EQ(report["report_blocks"][0]["fraction_lost"], 64);
  world_->send(rtcp(b_), at(to_b_, 1), sender_report(2, 0x10005, 1, 0, 0, 0));
  world_->run(world_->elapsed() + 20ms);
  turn();
  found = of(telemetry::hep_type::kRtcp);
  ASSERT_EQ(found.size(), 2u) << "a newer report is told";
  EXPECT_EQ(json::parse(found.back()[15])["report_blocks"][0]["fraction_lost"], 0);
}

TEST_F(Homer, TheQualityOfEachStreamIsToldWhenTheCallIsOver) {
  call("c");
  turn();
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
  world_->run(world_->elapsed() + 2s);
  auto found = of(telemetry::hep_type::kQuality);
  ASSERT_EQ(found.size(), 2u);
  const json first = json::parse(found[0][15]);
  EXPECT_EQ(found[0][17], "c");
  EXPECT_EQ(first["CORRELATION_ID"], "c");
  EXPECT_EQ(first["TOTAL_PK"], 20);
  EXPECT_EQ(first["PACKET_LOSS"], 0);
  EXPECT_EQ(first["SRC_IP"], "192.0.2.10");
  EXPECT_EQ(first["SRC_PORT"], 4000);
  EXPECT_EQ(first["DST_PORT"], to_a_.value);
  EXPECT_EQ(first["PARTY"], "A");
  EXPECT_GT(first["MOS"].get<double>(), 4.0);
  EXPECT_EQ(port_of(found[0][7]), 4000u);
}

TEST_F(Homer, ACallThatNobodySpokeInIsNotTold) {
  world_->ng(offer("c", "A", audio_sdp(a_)));
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
  world_->run(world_->elapsed() + 2s);
  turn();
  EXPECT_TRUE(packets_.empty());
}

TEST_F(Homer, TurnsPassAllCallsAndTakeABoundedNumber) {
  for (int n = 0; n < 70; ++n) world_->ng(offer("c" + std::to_string(n), "A", audio_sdp(a_)));
  // Nothing is reported, and no turn may fail; a call that goes away between turns is passed over.
  for (int n = 0; n < 10; ++n) {
    turn(50ms);
    world_->manager().terminate("c" + std::to_string(n), world_->clock());
    world_->manager().flush(world_->clock());
  }
  turn(1h);
  EXPECT_TRUE(packets_.empty());
}

TEST_F(Homer, ATurnAfterNoTimeTellsNothing) {
  world_->ng(offer("c", "A", audio_sdp(a_)));
  turn(0ms);
  EXPECT_TRUE(packets_.empty());
}

TEST_F(Homer, APartyThatReportsAboutEverNewStreamsIsNotRememberedForAllOfThem) {
  call("c");
  constexpr std::uint32_t kStreams = 40;
  for (std::uint32_t ssrc = 1000; ssrc < 1000 + kStreams; ++ssrc) {
    for (std::uint16_t n = 1; n <= 5; ++n) {
      world_->send(a_, at(to_a_), rtp('A', ssrc, n));
      world_->run(world_->elapsed() + 20ms);
    }
    world_->send(rtcp(b_), at(to_b_, 1), sender_report(2, ssrc << 16, ssrc, 0, 0, 64));
    world_->run(world_->elapsed() + 20ms);
    turn();
  }
  // The relay admits new streams of a party at a bounded rate (SSR-1), so not all of them were told.
  const std::size_t told = of(telemetry::hep_type::kRtcp).size();
  EXPECT_GT(told, kStreams / 2);
  EXPECT_LT(reports_->streams(), told / 2);
}

TEST_F(Homer, NgMessagesAreToldWithTheirDirection) {
  const IpAddress proxy = IpAddress::v4({192, 0, 2, 1});
  reports_->tell_ng("{\"command\":\"ping\"}", "c", proxy, false, world_->clock().wall);
  reports_->tell_ng("{\"result\":\"pong\"}", "", proxy, true, world_->clock().wall);
  auto found = of(0x3d);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0][3], std::string("\xc0\x00\x02\x01", 4));
  EXPECT_EQ(found[0][17], "c");
  EXPECT_EQ(found[1][4], std::string("\xc0\x00\x02\x01", 4));
  EXPECT_FALSE(found[1].contains(17));
  reports_->tell_ng(std::string(70'000, 'x'), "", proxy, true, world_->clock().wall);
  EXPECT_EQ(reports_->too_large(), 1u);
}

}  // namespace
}  // namespace ferry::test
