// SPDX-License-Identifier: Apache-2.0
// Configuration, access, and the rules that are seen from control.

#include "control/protocol/access.hpp"
#include "control/protocol/cli/cli_server.hpp"
#include "control/sdp/write.hpp"
#include "tests/support/world.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

Endpoint peer(std::uint8_t last, std::uint16_t port = 4000) {
  return {IpAddress::v4({192, 0, 2, last}), UdpPort{port}};
}

TEST(Access, CTL5_BudgetOfStrangersOnAnOpenListener) {
  AccessList open({}, true);
  unsigned admitted = 0;
  for (int i = 0; i < 5000; ++i)
    admitted += open.admit(IpAddress::v4({198, 51, 100, 1}), Instant{1h}) ? 1u : 0u;
  EXPECT_EQ(admitted, 2000u);
  EXPECT_TRUE(open.admit(IpAddress::v4({127, 0, 0, 1}), Instant{1h}));
}

TEST(Cli, CTL7_TerminateAllEndsEveryCallAndSaysSo) {
  const auto world = make_sim_world();
  cli::CliService service(world->manager(), world->service(), [&] { return world->clock(); });
  for (const char* id : {"one", "two"}) world->ng(offer(id, "A", audio_sdp(peer(10))));
  EXPECT_EQ(service.execute({{"command", "list"}}, "uid 0")["calls"].size(), 2u);
  EXPECT_EQ(service.execute({{"command", "terminate"}, {"call_id", "nobody"}}, "uid 0")["error"],
            "no such call");
  EXPECT_EQ(service.execute({{"command", "terminate"}, {"all", true}}, "uid 0")["terminated"], 2);
  EXPECT_EQ(world->open_ports(), 0u);
  EXPECT_EQ(service.execute({{"command", 5}}, "uid 0")["error"], "unknown command");
}

TEST(Sdp, LIM6_CountsAreBounded) {
  const std::string head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
  std::string media = head;
  for (int i = 0; i < 32; ++i) media += "m=audio 4000 RTP/AVP 8\r\n";
  EXPECT_TRUE(sdp::parse(media));
  EXPECT_EQ(sdp::parse(media + "m=audio 4000 RTP/AVP 8\r\n").error(), sdp::SdpError::kTooManyMedia);
  std::string formats = head + "m=audio 4000 RTP/AVP";
  for (int i = 0; i < 65; ++i) formats += " " + std::to_string(i);
  EXPECT_EQ(sdp::parse(formats + "\r\n").error(), sdp::SdpError::kTooManyFormats);
  const auto world = make_sim_world();
  json last;
  for (int i = 0; i < 40; ++i)
    last = world->ng(offer("tags", "tag" + std::to_string(i), audio_sdp(peer(10))));
  EXPECT_EQ(last["result"], "error") << "64 tags a call";
}

TEST(Sdp, CodecIdentityIsNameRateAndChannels) {
  const auto codec = [](int type, std::string_view name, std::uint32_t rate, std::string_view fmtp) {
    sdp::Codec c;
    c.payload_type = static_cast<std::uint8_t>(type);
    c.name = name;
    c.clock_rate_hz = rate;
    c.fmtp = fmtp;
    return c;
  };
  EXPECT_TRUE(sdp::same_codec(codec(0, "PCMU", 8000, "abc=no"), codec(0, "pcmu", 8000, "")));
  EXPECT_TRUE(sdp::same_codec(codec(96, "opus", 48000, ""), codec(107, "OPUS", 48000, "x")));
  EXPECT_FALSE(sdp::same_codec(codec(96, "speex", 8000, ""), codec(96, "speex", 16000, "")));
  EXPECT_TRUE(
      sdp::same_codec(codec(101, "telephone-event", 8000, "0-16"), codec(98, "telephone-event", 8000, "")));
  EXPECT_FALSE(sdp::same_codec(codec(100, "telephone-event", 8000, "0-15"),
                               codec(101, "telephone-event", 8000, "0-16")));
  EXPECT_TRUE(sdp::same_codec(codec(100, "telephone-event", 8000, "0-15"),
                              codec(101, "telephone-event", 8000, "events=0-16")))
      << "what cannot be read takes no codec away";
  EXPECT_TRUE(sdp::same_codec(codec(18, "G729", 8000, ""), codec(18, "speex", 16000, "")))
      << "a static number is its codec";
}

TEST(Sdp, WritingWhatWasWrittenChangesNothing) {
  const auto world = make_sim_world();
  const json first = world->ng(offer("one", "A", audio_sdp(peer(10), "a=X-odd:1\r\na=ptime:20\r\n")));
  const json second = world->ng(offer("two", "A", first["sdp"].get<std::string>()));
  const auto without_port = [](std::string text) {
    text.erase(text.find("m=audio ") + 8, 5);
    const auto rtcp = text.find("a=rtcp:") + 7;
    text.erase(rtcp, text.find("\r\n", rtcp) - rtcp);
    return text;
  };
  EXPECT_EQ(without_port(first["sdp"]), without_port(second["sdp"]));
}

class TwoParty : public ::testing::Test {
 protected:
  void SetUp() override {
    world_ = make_sim_world();
    for (const Endpoint& e : {a_, b_, x_}) world_->open(e);
  }
  void set_up(const json& keys = {}) {
    json o = offer("c", "A", audio_sdp(a_));
    json w = answer("c", "A", "B", audio_sdp(b_));
    if (!keys.is_null()) {
      o.update(keys);
      w.update(keys);
    }
    to_b_ = World::port_of(world_->ng(o));
    to_a_ = World::port_of(world_->ng(w));
  }
  [[nodiscard]] Endpoint at(UdpPort port) const { return {world_->relay_address(), port}; }
  json shown() { return world_->manager().show("c", world_->clock()); }

  std::unique_ptr<World> world_;
  Endpoint a_ = peer(10);
  Endpoint b_ = peer(20);
  Endpoint x_ = peer(66);
  UdpPort to_a_;
  UdpPort to_b_;
};

TEST_F(TwoParty, LAT1_MediaLeavesFromThePortThatWasAdvertised) {
  set_up();
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  world_->send(b_, at(to_b_), rtp('B', 2, 1));
  ASSERT_EQ(world_->received().size(), 2u);
  EXPECT_EQ(world_->received()[0].from, at(to_b_));
  EXPECT_EQ(world_->received()[1].from, at(to_a_));
}

TEST_F(TwoParty, DMX5_RefusedPacketsChangeNothingButDropCounters) {
  set_up();
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  json before = shown();
  for (std::uint16_t n = 2; n < 50; ++n) {
    world_->send(x_, at(to_a_), rtp('X', 1, n));
    world_->send(x_, at(to_a_), rtp('X', 99, static_cast<std::uint16_t>(n * 1000)));
    world_->send(x_, at(UdpPort{static_cast<std::uint16_t>(to_a_.value + 1)}), receiver_report(1));
    world_->send(x_, at(to_a_), bytes_of({22, 254, 253, 0, 0}));
  }
  json after = shown();
  for (json* side : {&before, &after}) {
    json& media = (*side)["legs"][0]["medias"][0];
    media.erase("drops");
    for (auto& stream : media["streams"]) stream["in"].erase("errors");
  }
  EXPECT_EQ(before, after) << json::diff(before, after);
}

TEST_F(TwoParty, SSR3_SameSsrcFromAnotherAddressIsRefusedTheFirstWins) {
  set_up();
  world_->send(a_, at(to_a_), rtp('A', 7, 1));
  for (std::uint16_t n = 2; n < 20; ++n) world_->send(x_, at(to_a_), rtp('X', 7, n));
  world_->send(a_, at(to_a_), rtp('A', 7, 2));
  EXPECT_EQ(world_->count(b_, 'X'), 0u);
  EXPECT_EQ(world_->count(b_, 'A'), 2u);
}

TEST_F(TwoParty, RTC2_RtcpIsLimitedToFiftyASecond) {
  set_up();
  const Endpoint rtcp_port = at(UdpPort{static_cast<std::uint16_t>(to_a_.value + 1)});
  const Endpoint a_rtcp = peer(10, 4001);
  const Endpoint b_rtcp = peer(20, 4001);
  world_->open(b_rtcp);
  for (int i = 0; i < 4000; ++i) {
    world_->at(i * 1ms, [&, rtcp_port, a_rtcp] { world_->send(a_rtcp, rtcp_port, receiver_report(1)); });
  }
  world_->run(4s);
  EXPECT_NEAR(static_cast<double>(world_->count(b_rtcp)), 50.0 * 5, 5.0) << "a burst of one second and 50/s";
}

TEST_F(TwoParty, LIM2_NothingAnswersJunkAndOutputNeverExceedsInput) {
  set_up();
  for (const int first : {0, 1, 20, 63, 64, 128, 191, 192, 255}) {
    Packet junk(100, std::byte{0});
    junk[0] = static_cast<std::byte>(first);
    for (const UdpPort port : {to_a_, to_b_}) world_->send(x_, at(port), junk);
  }
  EXPECT_EQ(world_->received().size(), 0u);
}

TEST_F(TwoParty, LAT4a_WordsThatChooseThePolicy) {
  const auto policy_with = [&](const json& keys) {
    set_up(keys);
    return shown()["legs"][0]["medias"][0]["latch_policy"].get<std::string>();
  };
  EXPECT_EQ(policy_with({}), "signalled");
  EXPECT_EQ(policy_with({{"latch", "any"}}), "any");
  EXPECT_EQ(policy_with({{"latch", "uncontested"}}), "uncontested");
  EXPECT_EQ(policy_with({{"endpoint-learning", "off"}}), "off");
  EXPECT_EQ(policy_with({{"flags", {"endpoint-learning-heuristic"}}}), "any (endpoint-learning)");
  EXPECT_TRUE(shown()["legs"][0]["medias"][0]["unsafe"].get<bool>());
}

TEST_F(TwoParty, AsymmetricSendsToTheSdpAddressWhateverSourceIsSeen) {
  set_up({{"flags", {"asymmetric"}}});
  const Endpoint source = peer(10, 4444);
  world_->open(source);
  for (std::uint16_t n = 1; n < 4; ++n) world_->send(source, at(to_a_), rtp('A', 1, n));
  world_->send(b_, at(to_b_), rtp('B', 2, 1));
  EXPECT_EQ(world_->count(b_, 'A'), 3u);
  EXPECT_EQ(world_->count(a_, 'B'), 1u);
  EXPECT_EQ(world_->count(source, 'B'), 0u);
}

TEST_F(TwoParty, RtcpMuxCarriesBothOnOnePortBothWays) {
  json o = offer("c", "A", audio_sdp(a_, "a=rtcp-mux\r\n"));
  json w = answer("c", "A", "B", audio_sdp(b_, "a=rtcp-mux\r\n"));
  to_b_ = World::port_of(world_->ng(o));
  to_a_ = World::port_of(world_->ng(w));
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  world_->send(a_, at(to_a_), receiver_report(1));
  ASSERT_EQ(world_->count(b_), 2u);
  EXPECT_EQ(world_->received()[1].from, at(to_b_));
}

TEST_F(TwoParty, T38AndUnknownPayloadPassUnchanged) {
  const std::string fax =
      "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.{}\r\nt=0 0\r\nm=image 4000 udptl "
      "t38\r\na=T38FaxVersion:0\r\n";
  const auto body = [&](const char* last) {
    std::string text = fax;
    return text.replace(text.find("{}"), 2, last);
  };
  to_b_ = World::port_of(world_->ng(offer("c", "A", body("10"))));
  to_a_ = World::port_of(world_->ng(answer("c", "A", "B", body("20"))));
  const Packet udptl = bytes_of({0, 1, 2, 0xaa, 0xbb, 0, 0});
  world_->send(a_, at(to_a_), udptl);
  world_->send(a_, at(to_a_), bytes_of({0, 2, 90, 1}));
  ASSERT_EQ(world_->received().size(), 1u);
  EXPECT_EQ(world_->received()[0].packet, udptl);
  EXPECT_EQ(shown()["legs"][0]["medias"][0]["drops"]["malformed-udptl"], 1);
}

TEST_F(TwoParty, HoldStopsMediaOfWhoMayNotSend) {
  set_up();
  world_->send(b_, at(to_b_), rtp('B', 2, 1));
  json hold = offer("c", "A", audio_sdp(a_, "a=sendonly\r\n"));
  hold["to-tag"] = "B";
  world_->ng(hold);
  world_->ng(answer("c", "A", "B", audio_sdp(b_, "a=recvonly\r\n")));
  world_->send(b_, at(to_b_), rtp('B', 2, 2));
  world_->send(a_, at(to_a_), rtp('A', 1, 1));
  EXPECT_EQ(world_->count(a_, 'B'), 1u);
  EXPECT_EQ(world_->count(b_, 'A'), 1u);
}

}  // namespace
}  // namespace ferry::test
