// SPDX-License-Identifier: Apache-2.0
// RTCP of the relay's own in whole calls (RFC 3550 §6.4): two parties over links with delay and loss, plain
// and converted. Each party judges the reports that it gets by the packets that it got, and answers them.

#include "codecs/transcode/mixing_stage.hpp"
#include "relay/core/rtcp/report_writer.hpp"
#include "relay/media/direct_stages.hpp"
#include "tests/support/world.hpp"

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::own_reports_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using test::Packet;
using test::Received;
using test::World;

const Endpoint kA = Endpoint::parse("198.51.100.1:4000").value();
const Endpoint kB = Endpoint::parse("198.51.100.2:5000").value();

bool is_rtcp(Bytes packet) {
  return packet.size() >= 8 && read_u8(packet, 1) >= 192 && read_u8(packet, 1) < 224;
}

/// What a party sends, and with which clock.
struct Speech {
  std::uint8_t type = 8;
  std::uint32_t clock_rate_hz = 8000;
  Packet payload = Packet(160, std::byte{0xd5});
};
Speech opus() { return {96, 48000, test::bytes_of({0xf8, 0xff, 0xfe})}; }

/// A party that speaks, reads the reports of the relay and answers them with its own.
class Party {
 public:
  Party(World& world, const Endpoint& at, std::uint32_t ssrc, Speech speech)
      : world_(world), at_(at), ssrc_(ssrc), speech_(std::move(speech)) {}

  void speaks_to(UdpPort port) { relay_ = {world_.relay_address(), port}; }
  void speak() {
    Packet packet(kRtpFixedHeaderSize + speech_.payload.size());
    const std::uint32_t units = speech_.clock_rate_hz / 50;
    write_rtp_header(packet, PayloadType{speech_.type}, sequence_ == 0, SeqNo{sequence_}, sequence_ * units,
                     Ssrc{ssrc_});
    std::ranges::copy(speech_.payload, packet.begin() + kRtpFixedHeaderSize);
    ++sequence_;
    world_.send(at_, relay_, packet);
  }
  /// Takes in what has arrived since the last call.
  void listen() {
    for (; read_ < world_.received().size(); ++read_) {
      const Received& each = world_.received()[read_];
      if (each.at == at_ && !is_rtcp(each.packet))
        heard.push_back(each);
      else if (each.at.address == at_.address && is_rtcp(each.packet))
        take_report(each);
    }
  }
  /// Sends a sender report of its own with a block about what it hears. It has held the last report since.
  void report() {
    listen();
    ReportBlock block;
    block.about = about_;
    block.last_sr = middle_;
    block.fraction_lost = 13;
    block.cumulative_lost = 3;
    block.jitter = 160;
    const Duration held = world_.elapsed() - middle_at_;
    block.delay_since_last_sr = static_cast<std::uint32_t>(held.count() * 65536 / 1'000'000'000);
    const SenderInfo info{ntp_of(WallTime{world_.elapsed()}), sequence_ * (speech_.clock_rate_hz / 50),
                          sequence_, 0};
    Packet packet(100);
    CompoundWriter writer(packet);
    writer.add_report(Ssrc{ssrc_}, &info, std::span(&block, about_.value != 0 ? 1u : 0u));
    packet.resize(writer.size());
    world_.send(rtcp_at(), {relay_.address, UdpPort{static_cast<std::uint16_t>(relay_.port.value + 1)}},
                packet);
    reported_at_ = world_.elapsed();
    reported_middle_ = static_cast<std::uint32_t>(info.ntp >> 16);
  }
  [[nodiscard]] Endpoint rtcp_at() const {
    return {at_.address, UdpPort{static_cast<std::uint16_t>(at_.port.value + 1)}};
  }
  [[nodiscard]] std::uint16_t sent() const { return sequence_; }

  /// A report of the relay.
  struct Report {
    Duration at{0};
    Ssrc ssrc;
    std::uint64_t ntp = 0;
    std::uint32_t timestamp = 0;
    std::uint32_t packets = 0;
    std::uint32_t octets = 0;
    std::vector<ReportBlock> blocks;
    /// The round trip that the party works out by its own report.
    std::optional<Duration> round_trip;
    void on_sender_report(Ssrc, std::uint32_t) {}
    void on_report(Ssrc, const ReportBlock& block) { blocks.push_back(block); }
    void on_bye(Ssrc) {}
  };
  std::vector<Received> heard;
  std::vector<Report> reports;

 private:
  void take_report(const Received& each) {
    EXPECT_EQ(each.at, rtcp_at());
    ASSERT_TRUE(validate_rtcp(each.packet, false));
    if (read_u8(each.packet, 1) != rtcp_type::kSr) return;
    Report made;
    made.at = each.when;
    made.ssrc = Ssrc{read_u32(each.packet, 4)};
    made.ntp = (std::uint64_t{read_u32(each.packet, 8)} << 32) | read_u32(each.packet, 12);
    made.timestamp = read_u32(each.packet, 16);
    made.packets = read_u32(each.packet, 20);
    made.octets = read_u32(each.packet, 24);
    walk_rtcp(each.packet, made);
    for (const ReportBlock& block : made.blocks) {
      if (block.last_sr == 0 || block.last_sr != reported_middle_) continue;
      const Duration held{static_cast<std::int64_t>(block.delay_since_last_sr) * 1'000'000'000 / 65536};
      made.round_trip = each.when - reported_at_ - held;
    }
    about_ = made.ssrc;
    middle_ = static_cast<std::uint32_t>(made.ntp >> 16);
    middle_at_ = each.when;
    reports.push_back(std::move(made));
  }

  World& world_;
  Endpoint at_;
  Endpoint relay_;
  std::uint32_t ssrc_;
  Speech speech_;
  std::uint16_t sequence_ = 0;
  std::size_t read_ = 0;
  Ssrc about_;
  std::uint32_t middle_ = 0;
  Duration middle_at_{0};
  std::uint32_t reported_middle_ = 0;
  Duration reported_at_{0};
};

test::WorldOptions options(const std::shared_ptr<test::Link>& link) {
  test::WorldOptions made;
  made.link = link;
  made.session.codecs = CodecCatalogue({{{"PCMA", 8000, 1, {}}, 8000, true, true},
                                        {{"PCMU", 8000, 1, {}}, 8000, true, true},
                                        {{"opus", 48000, 2, {}}, 48000, true, true}});
  made.stages = [](unsigned) {
    return std::make_unique<DirectStages>([](const StageOwner&) { return make_stage(); });
  };
  return made;
}

std::string opus_sdp(const Endpoint& media) {
  return fmt::format(
      "v=0\r\no=- 1 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} RTP/AVP 96\r\n"
      "a=rtpmap:96 opus/48000/2\r\n",
      media.address.to_string(), media.port.value);
}

/// A call between A, with A-law, and B, for a minute. A reports every 3 s, and B every 4 s.
struct TwoPartyCall {
  explicit TwoPartyCall(bool is_converted, bool wants_reports)
      : link(std::make_shared<test::Link>(5)),
        world(test::make_sim_world(options(link))),
        a(*world, kA, 0xaaaa, {}),
        b(*world, kB, 0xbbbb, is_converted ? opus() : Speech{}) {
    test::Trouble to_a;
    to_a.delay = 30ms;
    link->join(kA.address, to_a);
    test::Trouble to_b;
    to_b.delay = 45ms;
    test::Access& access = link->join(kB.address, to_b);
    to_b.loss = 0.05;
    access.up.set(to_b);  // what B sends is lost on its way to the relay
    world->open(kA);
    world->open(kB);
    world->open(a.rtcp_at());
    world->open(b.rtcp_at());
    json offered = test::offer("c", "a", test::audio_sdp(kA));
    if (is_converted) offered["codec"] = {{"mask", {"all"}}, {"transcode", {"opus"}}};
    if (wants_reports) offered["generate RTCP"] = "on";
    b.speaks_to(World::port_of(world->ng(offered)));
    a.speaks_to(World::port_of(
        world->ng(test::answer("c", "a", "b", is_converted ? opus_sdp(kB) : test::audio_sdp(kB)))));
  }
  void talk(Duration time) {
    const Duration begin = world->elapsed();
    for (Duration at{0}; at < time; at += 20ms) {
      world->at(begin + at, [this, at] {
        a.listen();
        b.listen();
        a.speak();
        b.speak();
        if (at > 0s && at % 3s == 0s) a.report();
        if (at > 0s && at % 4s == 0s) b.report();
      });
    }
    world->run(begin + time + 1s);
    a.listen();
    b.listen();
  }
  /// The statistics that `query` shows of a stream.
  json statistics(std::uint32_t ssrc) {
    const json reply = world->ng({{"command", "query"}, {"call-id", "c"}});
    return reply.at("SSRC").value(std::to_string(ssrc), json::object());
  }

  std::shared_ptr<test::Link> link;
  std::unique_ptr<World> world;
  Party a;
  Party b;
};

/// The reports to a party lie on the line of the packets that it got, and count them. `clock_rate_hz`: of
/// what it hears. `is_steady`: its packets leave on a grid.
void judge(const Party& party, double clock_rate_hz, bool is_steady = true) {
  ASSERT_GE(party.reports.size(), 8u);
  for (const Party::Report& report : party.reports) {
    // Packets that left before the report: the link keeps the order. One of the same moment may be either.
    std::vector<const Received*> before;
    std::size_t earlier = 0;
    for (const Received& each : party.heard) {
      if (each.when > report.at || read_u32(each.packet, 8) != report.ssrc.value) continue;
      before.push_back(&each);
      earlier += each.when < report.at ? 1 : 0;
    }
    ASSERT_GE(report.packets, std::max<std::size_t>(earlier, 1));
    ASSERT_LE(report.packets, before.size());
    before.resize(report.packets);
    std::size_t octets = 0;
    for (const Received* each : before) octets += each->packet.size() - kRtpFixedHeaderSize;
    EXPECT_EQ(report.octets, octets);
    // The line through the last packet, at the time of the report.
    const Received& last = *before.back();
    const double since = std::chrono::duration<double>(report.at - last.when).count();
    const double units = static_cast<std::int32_t>(report.timestamp - read_u32(last.packet, 4));
    EXPECT_NEAR(units / clock_rate_hz, since, is_steady ? 0.001 : 0.1) << "RTP time";
  }
  // NTP time and RTP time rise alike.
  const Party::Report& first = party.reports.front();
  for (const Party::Report& report : party.reports) {
    const double wall = static_cast<double>(report.ntp - first.ntp) / 4294967296.0;
    const double media = static_cast<std::int32_t>(report.timestamp - first.timestamp) / clock_rate_hz;
    EXPECT_NEAR(wall, media, is_steady ? 0.001 : 0.1);
    EXPECT_NEAR(wall, std::chrono::duration<double>(report.at - first.at).count(), 0.0001);
  }
}

TEST(OwnReports, Rfc3550_APlainCallThatWantsThem) {
  TwoPartyCall call(false, true);
  call.talk(60s);
  judge(call.a, 8000);
  judge(call.b, 8000);
  // B is told what was lost of its stream, A that nothing was.
  ASSERT_EQ(call.b.reports.back().blocks.size(), 1u);
  const ReportBlock& about_b = call.b.reports.back().blocks[0];
  EXPECT_EQ(about_b.about, Ssrc{0xbbbb});
  const std::size_t gone = call.b.sent() - call.a.heard.size();
  EXPECT_GT(gone, 100u);
  EXPECT_LE(about_b.cumulative_lost, static_cast<std::int32_t>(gone));
  EXPECT_GT(about_b.cumulative_lost, static_cast<std::int32_t>(gone) - 45)
      << "of the seconds since the report";
  EXPECT_EQ(call.a.reports.back().blocks.at(0).cumulative_lost, 0);
  // All numbers but the lost ones are packets that A had heard by then.
  const auto heard = std::ranges::count_if(call.a.heard, [&](const Received& each) {
    return each.when - 30ms <= call.b.reports.back().at - 45ms;
  });
  EXPECT_NEAR(static_cast<double>(about_b.highest_sequence) + 1 - about_b.cumulative_lost,
              static_cast<double>(heard), 1)
      << "the first ones may be lost, too";
}

TEST(OwnReports, Rfc3550_BothPartiesAndTheRelayKnowTheirRoundTrips) {
  TwoPartyCall call(false, true);
  call.talk(60s);
  std::size_t known = 0;
  for (const auto& [party, expected] : {std::pair(&call.a, 60ms), std::pair(&call.b, 90ms)}) {
    for (const Party::Report& report : party->reports) {
      if (!report.round_trip) continue;
      ++known;
      EXPECT_NEAR(std::chrono::duration<double>(*report.round_trip).count(),
                  std::chrono::duration<double>(expected).count(), 0.001);
    }
  }
  EXPECT_GE(known, 10u);
  // `query`: the leg of the reporter, and both legs. The loss and the jitter are those that it reports.
  for (const auto& [ssrc, leg] : {std::pair(0xaaaau, 60'000), std::pair(0xbbbbu, 90'000)}) {
    const json figures = call.statistics(ssrc);
    ASSERT_TRUE(figures.contains("average MOS")) << figures.dump();
    const json& mean = figures["average MOS"];
    EXPECT_NEAR(mean["round-trip time leg"].get<double>(), leg, 1000) << ssrc;
    const json& newest = figures["MOS progression"]["entries"].back();
    EXPECT_NEAR(newest["round-trip time"].get<double>(), 150'000, 2000) << ssrc;
    EXPECT_EQ(mean["packet loss"], 5) << "13/256";
    EXPECT_EQ(mean["jitter"], 20);
  }
}

TEST(OwnReports, Rfc3550_AConvertedCallHasThemWithoutAWish) {
  TwoPartyCall call(true, false);
  call.talk(60s);
  ASSERT_GT(call.b.heard.size(), 2900u);
  EXPECT_EQ(read_u8(call.b.heard[100].packet, 1) & 0x7f, 96);
  EXPECT_EQ(read_u8(call.a.heard[100].packet, 1) & 0x7f, 8);
  judge(call.b, 48000);
  // B's packets get lost, and the stage conceals them: what leaves is not quite steady.
  judge(call.a, 8000, false);
  EXPECT_GT(call.b.reports.back().blocks.at(0).cumulative_lost, 100);
  EXPECT_EQ(call.a.reports.back().blocks.at(0).cumulative_lost, 0);
  for (const auto& [ssrc, leg] : {std::pair(0xaaaau, 60'000), std::pair(0xbbbbu, 90'000)}) {
    const json figures = call.statistics(ssrc);
    ASSERT_TRUE(figures.contains("average MOS")) << figures.dump();
    EXPECT_NEAR(figures["average MOS"]["round-trip time leg"].get<double>(), leg, 1000) << ssrc;
  }
}

TEST(OwnReports, WithoutAWishThePartiesReportToEachOther) {
  TwoPartyCall call(false, false);
  call.talk(20s);
  // Each has the other's reports: as many as that one sent.
  EXPECT_EQ(call.b.reports.size(), 6u);
  for (const Party::Report& report : call.b.reports) EXPECT_EQ(report.ssrc, Ssrc{0xaaaa});
}

TEST(OwnReports, OffTakesTheWishBack) {
  TwoPartyCall call(false, true);
  json again = test::offer("c", "a", test::audio_sdp(kA));
  again["generate RTCP"] = "off";
  again["to-tag"] = "b";
  call.world->ng(again);
  call.world->ng(test::answer("c", "a", "b", test::audio_sdp(kB)));
  call.talk(20s);
  EXPECT_EQ(call.b.reports.size(), 6u) << "those of A";
}

}  // namespace
}  // namespace ferry::own_reports_test
