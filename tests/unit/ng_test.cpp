// SPDX-License-Identifier: Apache-2.0
// The NG protocol beyond offer and answer: SDP edits, and what commands do to media.

#include "control/sdp/write.hpp"
#include "relay/core/rtp/rtp.hpp"
#include "tests/support/world.hpp"

#include <array>
#include <cstring>
#include <random>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

TEST(SdpProperty, UnknownLinesSurviveAndRewritingTwiceIsStable) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const auto world = make_sim_world();
    std::string extra;
    std::vector<std::string> unknown;
    for (auto n = random() % 8; n > 0; --n) {
      std::string line = "a=x-" + std::to_string(random() % 1000);
      if (random() % 2 == 0) {
        line += ":";
        for (auto k = random() % 30; k > 0; --k) line += static_cast<char>(' ' + random() % 95);
      }
      line.erase(line.find_last_not_of(' ') + 1);  // blanks at the end mean nothing and are not passed on
      unknown.push_back(line);
      extra += line + "\r\n";
    }
    const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
    const json first = world->ng(offer("p", "A", audio_sdp(a, extra)));
    ASSERT_EQ(first["result"], "ok") << extra;
    const std::string once = first["sdp"];
    for (const std::string& line : unknown) EXPECT_NE(once.find(line + "\r\n"), std::string::npos) << line;
    // The result of a rewriting, offered again, comes out as it went in but for addresses and ports.
    const json second = world->ng(offer("q", "A", once));
    ASSERT_EQ(second["result"], "ok");
    const std::string twice = second["sdp"];
    const auto shape = [](std::string text) {
      for (const char* part : {"m=audio ", "a=rtcp:"}) {
        const auto at = text.find(part);
        if (at == std::string::npos) continue;
        const auto digits = at + std::string(part).size();
        text.erase(digits, text.find_first_not_of("0123456789", digits) - digits);
      }
      return text;
    };
    EXPECT_EQ(shape(once), shape(twice));
  }
}

/// Two parties that talk, on the simulated network.
class Talk : public testing::Test {
 protected:
  void SetUp() override {
    world_ = make_sim_world(options_);
    a_ = {world_->peer_address(1, 'A'), UdpPort{4000}};
    b_ = {world_->peer_address(1, 'B'), UdpPort{4000}};
    world_->open(a_);
    world_->open(b_);
    to_b_ = World::port_of(world_->ng(offer("talk", "A", with_events(a_))));
    to_a_ = World::port_of(world_->ng(answer("talk", "A", "B", with_events(b_))));
  }
  static std::string with_events(const Endpoint& media) {
    std::string text = audio_sdp(media, kEvents);
    const auto line = text.find("\r\n", text.find("m=audio"));
    return text.insert(line, " 101");
  }
  json command(const char* name, json more = json::object()) {
    more["command"] = name;
    if (!more.contains("call-id")) more["call-id"] = "talk";
    return world_->ng(more);
  }
  /// Packets of both parties; how many of them arrived at the other one.
  std::pair<std::size_t, std::size_t> exchange(std::uint8_t payload_type = 8) {
    const std::size_t before_a = world_->count(a_, 'B');
    const std::size_t before_b = world_->count(b_, 'A');
    for (int i = 0; i < 10; ++i) {
      world_->send(a_, {world_->relay_address(), to_a_}, rtp('A', 1, sequence_, payload_type));
      world_->send(b_, {world_->relay_address(), to_b_}, rtp('B', 2, sequence_, payload_type));
      ++sequence_;
    }
    world_->run(world_->elapsed() + 100ms);
    return {world_->count(a_, 'B') - before_a, world_->count(b_, 'A') - before_b};
  }

  static constexpr const char* kEvents = "a=rtpmap:101 telephone-event/8000\r\n";
  using Counts = std::pair<std::size_t, std::size_t>;
  WorldOptions options_;
  std::unique_ptr<World> world_;
  Endpoint a_, b_;
  UdpPort to_a_, to_b_;
  std::uint16_t sequence_ = 1;
};

TEST_F(Talk, BlockMediaOfCallPartyAndFlow) {
  EXPECT_EQ(exchange(), Counts(10, 10));
  EXPECT_EQ(command("block media")["result"], "ok");
  EXPECT_EQ(exchange(), Counts(0, 0));
  EXPECT_EQ(command("unblock media")["result"], "ok");
  const json directional = {{"from-tag", "A"}, {"flags", {"directional"}}};
  command("block media", directional);
  EXPECT_EQ(exchange(), Counts(10, 0)) << "what A sends is blocked";
  command("unblock media", {{"all", "all"}, {"flags", {"all"}}});
  EXPECT_EQ(exchange(), Counts(10, 10)) << "all clears the party marks too";
  json flow = directional;
  flow["to-tag"] = "B";
  command("block media", flow);
  EXPECT_EQ(exchange(), Counts(10, 0)) << "one flow";
  command("unblock media", flow);
  EXPECT_EQ(exchange(), Counts(10, 10));
  EXPECT_EQ(command("block media", {{"from-tag", "A"}})["result"], "ok");
  EXPECT_EQ(exchange(), Counts(0, 0)) << "without directional the tag means nothing";
}

// docs/reference/ng.md#statistics: names, types and units.
TEST_F(Talk, StatisticsHoldWhatMonitoringToolsRead) {
  exchange();
  const Endpoint a_rtcp{a_.address, UdpPort{static_cast<std::uint16_t>(a_.port.value + 1)}};
  const Endpoint b_rtcp{b_.address, UdpPort{static_cast<std::uint16_t>(b_.port.value + 1)}};
  const auto rtcp_of = [&](UdpPort port) {
    return Endpoint{world_->relay_address(), UdpPort{static_cast<std::uint16_t>(port.value + 1)}};
  };
  // Each side reports about the other's sender report, 20 ms after it came.
  std::uint32_t seconds = 0x10001;
  for (int round = 0; round < 3; ++round, seconds += 0x10) {
    const std::uint32_t middle = (seconds & 0xffff) << 16;
    world_->send(a_rtcp, rtcp_of(to_a_), sender_report(1, seconds));
    world_->send(b_rtcp, rtcp_of(to_b_), sender_report(2, seconds));
    world_->run(world_->elapsed() + 20ms);
    world_->send(b_rtcp, rtcp_of(to_b_), sender_report(2, seconds + 1, 1, middle, 0, 64));
    world_->send(a_rtcp, rtcp_of(to_a_), sender_report(1, seconds + 1, 2, middle, 0, 64));
    world_->run(world_->elapsed() + 20ms);
  }
  command("delete");
  world_->run(world_->elapsed() + 40s);
  const json s = command("statistics")["statistics"];
  const int samples = s["mos"]["mos_samples_total"];
  EXPECT_EQ(samples, 5) << "all but the first, when only one round trip was known";
  const double mos = std::stod(s["mos"]["mos_average"].get<std::string>());
  EXPECT_TRUE(mos > 1.0 && mos < 4.3) << "a quarter was lost: " << mos;
  EXPECT_NEAR(std::stod(s["voip_metrics"]["packetloss_average"].get<std::string>()), 25.0, 1.0);
  EXPECT_NEAR(std::stod(s["voip_metrics"]["rtt_dsct_average"].get<std::string>()), 20'000.0, 2'000.0);
  for (const char* name : {"jitter", "rtt_e2e", "rtt_dsct", "packetloss", "jitter_measured"}) {
    const std::string prefix = name;
    for (const char* text : {"_total", "2_total", "_average", "_stddev"})
      EXPECT_TRUE(s["voip_metrics"][prefix + text].is_string()) << name << text;
    EXPECT_EQ(s["voip_metrics"][prefix + "_samples_total"], samples) << name;
  }
  for (const char* name : {"packets_lost", "rtp_duplicates", "rtp_skips", "rtp_seq_resets", "rtp_reordered"})
    EXPECT_TRUE(s["voip_metrics"][name].is_number_integer()) << name;
  const json& interface = s["interfaces"][0];
  EXPECT_EQ(interface["ingress"]["packets"], 20 + 12);
  EXPECT_EQ(interface["egress"]["packets"], 20 + 12);
  EXPECT_EQ(interface["voip_metrics"]["mos_samples_total"], samples);
  EXPECT_EQ(s["poller_threads"].size(), 1u);
  EXPECT_GT(s["bufferpools"]["worker 0"]["free"], 0);
  EXPECT_EQ(s["totalstatistics"]["relayedpackets_kernel"], 0);
}

TEST_F(Talk, DropTrafficStopsAndStarts) {
  json again = offer("talk", "A", with_events(a_));
  again["to-tag"] = "B";
  again["drop-traffic"] = "start";
  world_->ng(again);
  EXPECT_EQ(exchange(), Counts(0, 0));
  again["drop-traffic"] = "stop";
  world_->ng(again);
  EXPECT_EQ(exchange(), Counts(10, 10));
}

TEST_F(Talk, SilenceOverwritesThePayloadAndNothingElse) {
  exchange();
  command("silence media", {{"from-tag", "A"}});
  EXPECT_EQ(exchange(), Counts(10, 0)) << "no packet with A's octets arrives";
  const auto& last = world_->received();
  const auto at_b = std::find_if(last.rbegin(), last.rend(), [&](const Received& r) { return r.at == b_; });
  ASSERT_NE(at_b, last.rend());
  const Packet sent = rtp('A', 1, static_cast<std::uint16_t>(sequence_ - 1), 8);
  ASSERT_EQ(at_b->packet.size(), sent.size());
  EXPECT_TRUE(std::equal(sent.begin(), sent.begin() + 12, at_b->packet.begin())) << "the header stays";
  EXPECT_TRUE(std::all_of(at_b->packet.begin() + 12, at_b->packet.end(),
                          [](std::byte b) { return b == std::byte{0xd5}; }));
  command("unsilence media", {{"from-tag", "A"}});
  EXPECT_EQ(exchange(), Counts(10, 10));
}

TEST_F(Talk, BlockDtmfStopsEventsAndLetsAudioPass) {
  exchange();
  command("block DTMF");
  EXPECT_EQ(exchange(), Counts(10, 10));
  EXPECT_EQ(exchange(101), Counts(0, 0));
  command("unblock DTMF");
  EXPECT_EQ(exchange(101), Counts(10, 10));
}

TEST_F(Talk, ForwardingCopiesToAnAddressUntilItStops) {
  const Endpoint copy{world_->peer_address(1, 'F'), UdpPort{5000}};
  const Endpoint second{copy.address, UdpPort{5002}};
  world_->open(copy);
  world_->open(second);
  EXPECT_EQ(command("start forwarding", {{"output-destination", "udp:" + copy.to_string()}})["result"], "ok");
  EXPECT_EQ(exchange(), Counts(10, 10));
  EXPECT_EQ(world_->count(copy, 'A'), 10u);
  EXPECT_EQ(world_->count(second, 'B'), 10u);
  const json query = command("query");
  EXPECT_EQ(query["recording"], (json{{"call recording", 0}, {"forwarding", 1}}));
  EXPECT_EQ(query["tags"]["A"]["recording"], (json{{"excluded", 0}, {"forwarding", 1}}));
  EXPECT_EQ(command("stop forwarding")["result"], "ok");
  EXPECT_FALSE(command("query").contains("recording"));
  EXPECT_EQ(exchange(), Counts(10, 10));
  EXPECT_EQ(world_->count(copy) + world_->count(second), 20u);
  EXPECT_EQ(command("start forwarding", {{"output-destination", "udp:224.0.0.1:5000"}})["error-reason"],
            "Failed to parse destination address")
      << "LAT-11: never to multicast";
}

TEST_F(Talk, ASubscriberHearsItsSourceOnlyAfterItsAnswer) {
  const Endpoint listener{world_->peer_address(1, 'S'), UdpPort{6000}};
  world_->open(listener);
  const json asked = command("subscribe request", {{"from-tag", "A"}, {"to-tag", "S"}});
  ASSERT_EQ(asked["result"], "ok") << asked;
  exchange();
  EXPECT_EQ(world_->count(listener), 0u);
  EXPECT_EQ(command("subscribe answer",
                    {{"to-tag", "S"}, {"sdp", with_events(listener) + "a=recvonly\r\n"}})["result"],
            "ok");
  EXPECT_EQ(exchange(), Counts(10, 10));
  EXPECT_EQ(world_->count(listener, 'A'), 10u);
  EXPECT_EQ(world_->count(listener, 'B'), 0u);
  // What the subscriber sends reaches nobody.
  world_->send(listener, {world_->relay_address(), World::port_of(asked)}, rtp('S', 9, 1));
  world_->run(world_->elapsed() + 100ms);
  EXPECT_EQ(world_->count(a_, 'S') + world_->count(b_, 'S'), 0u);
  command("unsubscribe", {{"to-tag", "S"}});
  exchange();
  EXPECT_EQ(world_->count(listener), 10u);
}

TEST_F(Talk, LAT12_ASubscriberThatNeverSendsGoesOnHearing) {
  const Endpoint listener{world_->peer_address(1, 'S'), UdpPort{6000}};
  world_->open(listener);
  command("subscribe request", {{"from-tag", "A"}, {"to-tag", "S"}});
  command("subscribe answer", {{"to-tag", "S"}, {"sdp", with_events(listener) + "a=recvonly\r\n"}});
  for (Duration t = 0s; t < 20s; t += 20ms) {
    world_->at(t, [this] { world_->send(a_, {world_->relay_address(), to_a_}, rtp('A', 1, sequence_++)); });
  }
  world_->run(20s);
  EXPECT_EQ(world_->count(listener, 'A'), 1000u);
}

TEST_F(Talk, ASubscriberDoesNotKeepADeadCallAlive) {
  const Endpoint listener{world_->peer_address(1, 'S'), UdpPort{6000}};
  command("subscribe request", {{"from-tag", "A"}, {"to-tag", "S"}});
  command("subscribe answer", {{"to-tag", "S"}, {"sdp", with_events(listener) + "a=recvonly\r\n"}});
  exchange();
  world_->run(world_->elapsed() + 70s);
  EXPECT_EQ(world_->manager().size(), 0u);
  EXPECT_EQ(world_->open_ports(), 0u);
}

TEST_F(Talk, ForwardingIsBoundedAndItsPartyCanGoWhoeverListensToIt) {
  unsigned started = 0;
  for (int i = 0; i < 100; ++i)
    started += command("start forwarding", {{"output-destination", "udp:192.0.2.77:5000"}})["result"] == "ok"
                   ? 1u
                   : 0u;
  EXPECT_LT(started, 64u);
  const json query = command("query");
  for (const auto& [tag, party] : query["tags"].items()) {
    if (tag.starts_with("forward-")) command("connect", {{"from-tag", "A"}, {"to-tag", tag}});
  }
  EXPECT_EQ(command("stop forwarding")["result"], "ok");
  exchange();
  EXPECT_EQ(command("delete", {{"delete delay", 0}})["result"], "ok");
  EXPECT_EQ(world_->open_ports(), 0u);
}

TEST_F(Talk, CTL7_NothingEndsAllCallsByAControlProtocol) {
  for (const char* line : {"terminate all", "terminate own"}) command("cli", {{"body", line}});
  EXPECT_EQ(world_->manager().size(), 1u);
  EXPECT_NE(std::string(command("cli", {{"body", "terminate talk"}})["response"]).find("terminated"),
            std::string::npos);
  EXPECT_EQ(world_->manager().size(), 0u);
}

TEST_F(Talk, NoTextOfARequestBecomesALineOfAnSdp) {
  const json made = command("create", {{"call-id", "made"},
                                       {"transport-protocol", "RTP/AVP\r\na=evil:1"},
                                       {"codec", {{"offer", {"PCMA", "x/8000\r\na=evil:2"}}}}});
  ASSERT_EQ(made["result"], "ok") << made;
  EXPECT_EQ(std::string(made["sdp"]).find("evil"), std::string::npos) << made["sdp"];
  EXPECT_EQ(
      command("create", {{"call-id", "made2"}, {"media", {{{"type", "audio\r\na=evil:3"}}}}})["error-reason"],
      "unsupported sdp section");
  json edited = offer("edited", "X", audio_sdp(a_));
  edited["sdp-attr"] = {
      {"audio",
       {{"add", {"x:1\r\na=evil:4"}}, {"substitute", {json::array({"sendrecv", "y\r\na=evil:5"})}}}}};
  edited["label"] = "l\r\na=evil:6";
  EXPECT_EQ(std::string(world_->ng(edited)["sdp"]).find("evil"), std::string::npos);
}

TEST_F(Talk, ExtmapStripAndMask) {
  const std::string lines = "a=extmap:1 urn:one\r\na=extmap:2/sendonly urn:two\r\na=extmap:3 urn:three\r\n";
  const Endpoint c{world_->peer_address(1, 'C'), UdpPort{4000}};
  const Endpoint d{world_->peer_address(1, 'D'), UdpPort{4000}};
  world_->open(d);
  json request = offer("ext", "C", audio_sdp(c, lines));
  request["extmap"] = {{"strip", {"urn:one"}}, {"mask", {"urn:two"}}};
  const json offered = world_->ng(request);
  const std::string shown = offered["sdp"];
  EXPECT_EQ(shown.find("urn:one"), std::string::npos);
  EXPECT_EQ(shown.find("urn:two"), std::string::npos);
  EXPECT_NE(shown.find("a=extmap:3 urn:three"), std::string::npos);
  const json answered = world_->ng(answer("ext", "C", "D", audio_sdp(d, "a=extmap:3 urn:three\r\n")));
  const std::string back = answered["sdp"];
  EXPECT_NE(back.find("a=extmap:2/recvonly urn:two"), std::string::npos)
      << "the offerer is told that it is taken";
  EXPECT_EQ(back.find("urn:one"), std::string::npos);
  // A packet with elements 2 and 3: the far side gets 3 alone.
  Packet packet = rtp('C', 1, 1);
  packet[0] = std::byte{0x90};
  const std::array<unsigned char, 12> extension = {0xbe, 0xde, 0, 2, 0x21, 0xaa, 0xbb, 0x30, 0xcc, 0, 0, 0};
  packet.insert(packet.begin() + 12, reinterpret_cast<const std::byte*>(extension.data()),
                reinterpret_cast<const std::byte*>(extension.data()) + extension.size());
  world_->send(c, {world_->relay_address(), World::port_of(answered)}, packet);
  world_->run(world_->elapsed() + 100ms);
  const Packet& got = world_->received().back().packet;
  ASSERT_EQ(got.size(), packet.size() - 4);
  const std::array<unsigned char, 8> wanted = {0xbe, 0xde, 0, 1, 0x30, 0xcc, 0, 0};
  EXPECT_EQ(std::memcmp(got.data() + 12, wanted.data(), wanted.size()), 0);
  EXPECT_TRUE(std::equal(got.begin() + 20, got.end(), packet.begin() + 24));
}

TEST_F(Talk, AReplyStaysBelowWhatClientsRead) {
  std::string many;
  for (int i = 0; i < 30; ++i) many += "m=audio " + std::to_string(5000 + 2 * i) + " RTP/AVP 8\r\n";
  for (int i = 0; i < 20; ++i) {
    json request = offer("large", "T" + std::to_string(i), audio_sdp(a_, many));
    request["via-branch"] = "b" + std::to_string(i);
    ASSERT_EQ(world_->ng(request)["result"], "ok");
  }
  for (const std::string document :
       {R"({"command":"query","call-id":"large"})", R"({"command":"delete","call-id":"large"})"}) {
    const std::string reply = world_->service().handle_document(document, IpAddress::v4({127, 0, 0, 1}));
    EXPECT_LT(reply.size(), 65'000u);
    EXPECT_NE(reply.find("query one tag"), std::string::npos);
    EXPECT_NE(reply.find("\"totals\""), std::string::npos);
  }
}

TEST_F(Talk, SubscribingAgainAndAgainTakesNoMorePorts) {
  const json request = {{"from-tag", "A"}, {"to-tag", "S"}, {"interface", "plain"}};
  json other = request;
  other["interface"] = "global";
  command("subscribe request", request);
  command("subscribe request", other);
  const std::size_t ports = world_->open_ports();
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(command("subscribe request", i % 2 == 0 ? request : other)["result"], "ok");
  EXPECT_EQ(world_->open_ports(), ports);
}

TEST_F(Talk, EgressIsWhatThePartyHears) {
  const Endpoint listener{world_->peer_address(1, 'S'), UdpPort{6000}};
  world_->open(listener);
  command("subscribe request", {{"from-tag", "A"}, {"to-tag", "S"}, {"flags", {"egress"}}});
  command("subscribe answer", {{"to-tag", "S"}, {"sdp", with_events(listener) + "a=recvonly\r\n"}});
  exchange();
  EXPECT_EQ(world_->count(listener, 'B'), 10u);
  EXPECT_EQ(world_->count(listener, 'A'), 0u);
}

TEST_F(Talk, APublisherIsHeardBySubscribers) {
  const Endpoint source{world_->peer_address(1, 'P'), UdpPort{7000}};
  const Endpoint listener{world_->peer_address(1, 'S'), UdpPort{6000}};
  world_->open(listener);
  const json published = command(
      "publish", {{"call-id", "stage"}, {"from-tag", "P"}, {"sdp", audio_sdp(source, "a=sendonly\r\n")}});
  ASSERT_EQ(published["result"], "ok") << published;
  command("subscribe request", {{"call-id", "stage"}, {"from-tag", "P"}, {"to-tag", "S"}});
  command("subscribe answer",
          {{"call-id", "stage"}, {"to-tag", "S"}, {"sdp", audio_sdp(listener, "a=recvonly\r\n")}});
  for (std::uint16_t n = 0; n < 10; ++n)
    world_->send(source, {world_->relay_address(), World::port_of(published)}, rtp('P', 3, n));
  world_->run(world_->elapsed() + 100ms);
  EXPECT_EQ(world_->count(listener, 'P'), 10u);
}

class TwoWorkers : public Talk {
 protected:
  TwoWorkers() { options_.workers = 2; }
};

TEST_F(TwoWorkers, ConnectJoinsTwoCallsOnOneWorkerInMidStream) {
  EXPECT_EQ(exchange(), Counts(10, 10));
  const Endpoint c{world_->peer_address(1, 'C'), UdpPort{4000}};
  const Endpoint d{world_->peer_address(1, 'D'), UdpPort{4000}};
  world_->open(c);
  world_->open(d);
  world_->ng(offer("other", "C", audio_sdp(c, kEvents)));
  const UdpPort to_c = World::port_of(world_->ng(answer("other", "C", "D", audio_sdp(d, kEvents))));
  ASSERT_EQ(command("connect", {{"from-tag", "A"}, {"to-tag", "C"}, {"to-call-id", "other"}})["result"],
            "ok");
  for (std::uint16_t n = 0; n < 10; ++n) {
    world_->send(a_, {world_->relay_address(), to_a_}, rtp('A', 1, sequence_++));
    world_->send(c, {world_->relay_address(), to_c}, rtp('C', 3, n));
  }
  world_->run(world_->elapsed() + 100ms);
  EXPECT_EQ(world_->count(c, 'A'), 10u);
  EXPECT_EQ(world_->count(a_, 'C'), 10u);
  EXPECT_EQ(world_->count(d, 'A'), 0u);
  EXPECT_EQ(command("list")["calls"].size(), 2u) << "both ids name the merged call";
  EXPECT_EQ(command("query", {{"call-id", "other"}})["tags"].size(), 4u);
  // Deleting one id ends its own parties only.
  command("delete", {{"call-id", "other"}, {"delete delay", 0}});
  EXPECT_EQ(command("query")["result"], "ok");
  command("delete", {{"delete delay", 0}});
  EXPECT_EQ(command("list")["calls"].size(), 0u);
  EXPECT_EQ(world_->open_ports(), 0u);
}

TEST_F(TwoWorkers, MeshLetsEverybodyHearEverybody) {
  const Endpoint c{world_->peer_address(1, 'C'), UdpPort{4000}};
  world_->open(c);
  const json made = command("publish", {{"call-id", "third"},
                                        {"from-tag", "C"},
                                        {"flags", {"bidirectional"}},
                                        {"sdp", audio_sdp(c, kEvents)}});
  const json tags = {
      {{"from", "A"}, {"to", {"C"}}}, {{"from", "B"}, {"to", {"C"}}}, {{"from", "C"}, {"to", {"A", "B"}}}};
  ASSERT_EQ(command("mesh", {{"calls", {"talk", "third"}}, {"tags", tags}})["result"], "ok");
  exchange();
  EXPECT_EQ(world_->count(c, 'A'), 10u);
  EXPECT_EQ(world_->count(c, 'B'), 10u);
  for (std::uint16_t n = 0; n < 10; ++n)
    world_->send(c, {world_->relay_address(), World::port_of(made)}, rtp('C', 3, n));
  world_->run(world_->elapsed() + 100ms);
  EXPECT_EQ(world_->count(a_, 'C'), 10u);
  EXPECT_EQ(world_->count(b_, 'C'), 10u);
}

TEST_F(Talk, TransformPassesWhatComesToItsDestination) {
  const Endpoint destination{world_->peer_address(1, 'T'), UdpPort{8000}};
  const Endpoint sender{world_->peer_address(1, 'U'), UdpPort{8100}};
  world_->open(destination);
  const json media = {
      {{"id", "m1"},
       {"type", "audio"},
       {"destination", {{"family", "IP4"}, {"address", destination.address.to_string()}, {"port", 8000}}}}};
  const json made = command("transform", {{"call-id", "tr"}, {"from-tag", "T"}, {"media", media}});
  ASSERT_EQ(made["result"], "ok") << made;
  EXPECT_EQ(made["media"][0]["id"], "m1");
  const UdpPort port{made["media"][0]["port"].get<std::uint16_t>()};
  // LAT-3a: a source that nobody signalled is heard after a second without another one.
  for (std::uint16_t n = 0; n < 200; ++n) {
    world_->at(world_->elapsed() + n * 20ms, [=, this] {
      world_->send(sender, {world_->relay_address(), port}, rtp('U', 4, n));
    });
  }
  world_->run(world_->elapsed() + 5s);
  EXPECT_GT(world_->count(destination, 'U'), 100u);
  EXPECT_EQ(
      command("transform",
              {{"call-id", "tr2"},
               {"media",
                {{{"destination", {{"family", "IP4"}, {"address", "x"}, {"port", 1}}}}}}})["error-reason"],
      "Failed to parse destination address");
}

TEST_F(Talk, PierceNatSendsEmptyPacketsUntilTheFirstArrives) {
  const Endpoint c{world_->peer_address(1, 'C'), UdpPort{4000}};
  const Endpoint d{world_->peer_address(1, 'D'), UdpPort{4000}};
  world_->open(c);
  json first = offer("pierce", "C", audio_sdp(c));
  first["flags"] = {"pierce-NAT"};
  world_->ng(first);
  const UdpPort to_c = World::port_of(world_->ng(answer("pierce", "C", "D", audio_sdp(d))));
  world_->run(world_->elapsed() + 3s);
  const std::size_t probes = world_->count(c);
  EXPECT_GE(probes, 2u);
  EXPECT_EQ(world_->received().back().packet.size(), 12u);
  world_->send(c, {world_->relay_address(), to_c}, rtp('C', 1, 1));
  world_->run(world_->elapsed() + 5s);
  EXPECT_EQ(world_->count(c), probes) << "nothing more once it speaks";
}

TEST_F(Talk, NatWaitSendsNothingToAPeerThatIsSilent) {
  const Endpoint c{world_->peer_address(1, 'C'), UdpPort{4000}};
  const Endpoint d{world_->peer_address(1, 'D'), UdpPort{4000}};
  world_->open(c);
  json first = offer("wait", "C", audio_sdp(c));
  first["flags"] = {"NAT-wait"};
  const UdpPort to_d = World::port_of(world_->ng(first));
  const UdpPort to_c = World::port_of(world_->ng(answer("wait", "C", "D", audio_sdp(d))));
  const auto burst = [&](std::uint16_t from) {
    for (std::uint16_t n = 0; n < 10; ++n)
      world_->send(d, {world_->relay_address(), to_d}, rtp('D', 2, static_cast<std::uint16_t>(from + n)));
    world_->run(world_->elapsed() + 100ms);
  };
  burst(0);
  EXPECT_EQ(world_->count(c, 'D'), 0u);
  world_->send(c, {world_->relay_address(), to_c}, rtp('C', 1, 1));
  burst(10);
  EXPECT_EQ(world_->count(c, 'D'), 10u);
}

TEST_F(Talk, LoopProtectReturnsOurOwnSdpUntouched) {
  json request = offer("loop", "X", audio_sdp({world_->peer_address(1, 'X'), UdpPort{4000}}));
  request["flags"] = {"loop-protect"};
  const std::string marked = world_->ng(request)["sdp"];
  EXPECT_NE(marked.find("a=rtpferry:"), std::string::npos);
  json again = offer("loop2", "X", marked);
  again["flags"] = {"loop-protect"};
  EXPECT_EQ(world_->ng(again)["sdp"], marked);
  EXPECT_EQ(command("query", {{"call-id", "loop2"}})["error-reason"], "Unknown call-id")
      << "nothing was set up for it";
}

TEST_F(Talk, PtimeIsShownToTheFarSideAndBack) {
  json request = offer("pt", "X", audio_sdp({world_->peer_address(1, 'X'), UdpPort{4000}}, "a=ptime:20\r\n"));
  request["ptime"] = "40";
  request["ptime-reverse"] = 30;
  EXPECT_NE(std::string(world_->ng(request)["sdp"]).find("a=ptime:40\r\n"), std::string::npos);
  const std::string back =
      world_->ng(answer("pt", "X", "Y", audio_sdp({world_->peer_address(1, 'Y'), UdpPort{4000}})))["sdp"];
  EXPECT_NE(back.find("a=ptime:30\r\n"), std::string::npos) << back;
}

TEST_F(Talk, InvalidLinesAreSkippedOrRefused) {
  const std::string broken = audio_sdp(a_, "not a line\r\n");
  EXPECT_EQ(world_->ng(offer("lenient", "X", broken))["result"], "ok");
  WorldOptions strict;
  strict.session.reject_invalid_sdp = true;
  const auto other = make_sim_world(strict);
  EXPECT_EQ(other->ng(offer("strict", "X", broken))["error-reason"], "Failed to parse SDP");
}

TEST_F(Talk, AFragmentIsAnsweredWithoutSdp) {
  const json fragment = {
      {"command", "offer"},
      {"call-id", "talk"},
      {"from-tag", "A"},
      {"flags", {"fragment"}},
      {"sdp",
       "a=ice-ufrag:x\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 UDP 1 192.0.2.1 9 typ host\r\n"}};
  const json reply = world_->ng(fragment);
  EXPECT_EQ(reply, json({{"result", "ok"}}));
  json broken = fragment;
  broken["sdp"] = "garbage";
  EXPECT_EQ(world_->ng(broken)["error-reason"], "Failed to parse SDP");
  EXPECT_EQ(exchange(), Counts(10, 10)) << "the call goes on";
}

TEST_F(Talk, UnknownWordsNeverFailAndAreCountedWithASuggestion) {
  json request = offer("words", "X", audio_sdp({world_->peer_address(1, 'X'), UdpPort{4000}}));
  request["flags"] = {"trust-adress", "frobnicate"};
  request["codex"] = "x";
  EXPECT_EQ(world_->ng(request)["result"], "ok");
  const auto& unknown = world_->service().unknown_words();
  ASSERT_TRUE(unknown.contains("flag trust-adress"));
  EXPECT_EQ(unknown.at("flag trust-adress").suggestion, "trust-address");
  EXPECT_EQ(unknown.at("key codex").suggestion, "codec");
  EXPECT_EQ(unknown.at("flag frobnicate").suggestion, "");
}

}  // namespace
}  // namespace ferry::test
