// SPDX-License-Identifier: Apache-2.0
// LAT-11a through whole calls: every command and every part of an SDP that names an address, each with
// addresses where no party may be. What is refused leaves the call as it was, what has another way is left
// out, and nothing ever arrives there.

#include "tests/support/world.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::string_view kNoAddress = "0.0.0.0:9";

/// A relay whose host listens on 8080 as well.
WorldOptions options() {
  WorldOptions options;
  options.session.peers.ports = {{UdpPort{8080}, UdpPort{8080}}};
  options.session.peers.control = {*Network::parse("198.18.100.0/24")};
  options.session.peers.denied = {*Network::parse("192.0.2.0/24")};
  options.session.peers.allowed = {*Network::parse("192.0.2.128/25")};
  options.interfaces = {"loop/127.9.9.9", "inside/10.0.0.1"};
  return options;
}

Endpoint endpoint(std::string_view text) { return Endpoint::parse(text).value(); }

/// Where no party of the interface `plain` may be.
const std::vector<std::string>& denied_addresses() {
  static const std::vector<std::string> all = {
      "198.18.0.1:2223",   "198.18.0.1:22222", "198.18.0.1:8080", "198.18.0.1:5060",   "198.18.0.2:2223",
      "203.0.113.77:2223", "198.18.0.3:22222", "198.18.0.4:80",   "198.18.100.7:5061", "198.18.100.7:1000",
      "127.0.0.1:2223",    "127.0.0.1:4000",   "127.1.2.3:22222", "192.0.2.9:4000",    "192.0.2.127:65000",
  };
  return all;
}

class DeniedPeers : public ::testing::Test {
 protected:
  DeniedPeers() { renew(); }
  void renew() {
    world_ = make_sim_world(options());
    sequence_ = 1;
    for (const char who : {'A', 'B'}) world_->open(at(who));
    for (const std::string& each : denied_addresses()) {
      for (const std::uint16_t more : std::initializer_list<std::uint16_t>{0, 1, 2, 3})
        world_->open(plus(endpoint(each), more));
    }
  }
  [[nodiscard]] Endpoint at(char who) const { return {world_->peer_address(1, who), UdpPort{4000}}; }
  static Endpoint plus(Endpoint at, std::uint16_t ports) {
    at.port.value = static_cast<std::uint16_t>(at.port.value + ports);
    return at;
  }
  /// A and B talk in call `c`.
  void talk() {
    for_b_ = World::port_of(world_->ng(offer("c", "A", audio_sdp(at('A')))));
    for_a_ = World::port_of(world_->ng(answer("c", "A", "B", audio_sdp(at('B')))));
    speak(10);
  }
  void speak(int packets) {
    for (int i = 0; i < packets; ++i) {
      world_->send(at('A'), {world_->relay_address(), for_a_}, rtp('A', 0xA, sequence_));
      world_->send(at('B'), {world_->relay_address(), for_b_}, rtp('B', 0xB, sequence_));
      ++sequence_;
      world_->run(world_->elapsed() + 20ms);
    }
  }
  /// Both directions of the call go on, and none of it reaches an address where no party may be.
  void expect_undisturbed(const std::string& what) {
    const std::size_t a = world_->count(at('A'), 'B');
    const std::size_t b = world_->count(at('B'), 'A');
    speak(10);
    EXPECT_EQ(world_->count(at('A'), 'B') - a, 10u) << what;
    EXPECT_EQ(world_->count(at('B'), 'A') - b, 10u) << what;
    expect_nothing_arrived(what);
  }
  void expect_nothing_arrived(const std::string& what) {
    for (const Received& each : world_->received())
      EXPECT_TRUE(each.at == at('A') || each.at == at('B')) << what << ": at " << each.at.to_string();
  }
  void expect_refused(const json& reply, const std::string& what) {
    EXPECT_EQ(reply.value("result", ""), "error") << what << ": " << reply;
    EXPECT_NE(reply.value("error-reason", "").find("LAT-11a"), std::string::npos) << what << ": " << reply;
  }
  json re_offer(const std::string& sdp) {
    json request = offer("c", "A", sdp);
    request["to-tag"] = "B";
    return world_->ng(request);
  }
  [[nodiscard]] json media_of(std::size_t leg) {
    return world_->manager().show("c", world_->clock())["legs"][leg]["medias"][0];
  }
  static std::string ice_lines(const std::vector<std::string>& candidates) {
    std::string lines = "a=ice-ufrag:abcdefgh\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n";
    for (const std::string& each : candidates) {
      const Endpoint at = endpoint(each);
      lines += fmt::format("a=candidate:1 1 UDP 2130706431 {} {} typ host\r\n", at.address.to_string(),
                           at.port.value);
    }
    return lines;
  }

  std::unique_ptr<World> world_;
  UdpPort for_a_;
  UdpPort for_b_;
  std::uint16_t sequence_ = 1;
};

/// RTCP that a section names: `a=rtcp` at the same or another address, or the port behind RTP.
std::string with_rtcp(const Endpoint& rtp, const Endpoint& rtcp) {
  return audio_sdp(rtp, fmt::format("a=rtcp:{} IN IP4 {}\r\n", rtcp.port.value, rtcp.address.to_string()));
}

TEST_F(DeniedPeers, LAT11a_ARunningCallIsAsItWasAfterEachRefusal) {
  for (const std::string& each : denied_addresses()) {
    const Endpoint denied = endpoint(each);
    Endpoint before = denied;
    --before.port.value;
    renew();
    talk();
    expect_refused(re_offer(audio_sdp(denied)), "RTP " + each);
    expect_refused(re_offer(with_rtcp(at('A'), denied)), "named RTCP " + each);
    expect_refused(re_offer(audio_sdp(before)), "the port before it: " + each);
    expect_refused(re_offer(audio_sdp({IpAddress::v4({0, 0, 0, 0}), UdpPort{9}}, ice_lines({each}))),
                   "candidate " + each);
    expect_undisturbed(each);
    EXPECT_EQ(media_of(0)["streams"][0]["advertised"], at('A').to_string());
  }
}

TEST_F(DeniedPeers, LAT11a_NoFirstOfferAndNoAnswerMayNameThem) {
  for (const std::string& each : denied_addresses()) {
    renew();
    expect_refused(world_->ng(offer("n", "A", audio_sdp(endpoint(each)))), "offer " + each);
    EXPECT_EQ(world_->manager().size(), 0u) << "no call is left behind";
    EXPECT_EQ(world_->open_ports(), 0u);
    world_->ng(offer("n", "A", audio_sdp(at('A'))));
    expect_refused(world_->ng(answer("n", "A", "B", audio_sdp(endpoint(each)))), "answer " + each);
    EXPECT_EQ(world_->ng(answer("n", "A", "B", audio_sdp(at('B'))))["result"], "ok") << "the right one";
  }
}

TEST_F(DeniedPeers, LAT11a_NoOtherCommandSendsThereEither) {
  for (const std::string& each : denied_addresses()) {
    renew();
    talk();
    const Endpoint denied = endpoint(each);
    const auto say = [&](const char* command, const json& more) {
      json request = {{"command", command}, {"call-id", "c"}};
      request.update(more);
      return world_->ng(request);
    };
    expect_refused(say("start forwarding", {{"from-tag", "A"}, {"output-destination", "udp:" + each}}),
                   "start forwarding " + each);
    expect_refused(say("publish", {{"from-tag", "P"}, {"sdp", audio_sdp(denied)}}), "publish " + each);
    EXPECT_EQ(say("subscribe request", {{"from-tag", "A"}, {"to-tag", "R"}})["result"], "ok");
    expect_refused(say("subscribe answer", {{"to-tag", "R"}, {"sdp", audio_sdp(denied)}}),
                   "subscribe answer " + each);
    expect_refused(say("subscribe answer", {{"to-tag", "R"}, {"sdp", with_rtcp(at('B'), denied)}}),
                   "RTCP of subscribe answer " + each);
    expect_refused(say("transform", {{"from-tag", "T"},
                                     {"media", json::array({{{"id", "1"},
                                                             {"type", "audio"},
                                                             {"codec", json::array()},
                                                             {"destination",
                                                              {{"family", "IP4"},
                                                               {"address", denied.address.to_string()},
                                                               {"port", denied.port.value}}}}})}}),
                   "transform " + each);
    expect_undisturbed(each);
  }
}

TEST_F(DeniedPeers, LAT11a_ForwardingCountsEveryPortThatItWouldUse) {
  talk();
  // RTCP of the copy would go to 2223.
  json request = {{"command", "start forwarding"},
                  {"call-id", "c"},
                  {"from-tag", "A"},
                  {"output-destination", "udp:198.18.0.1:2222"}};
  expect_refused(world_->ng(request), "RTCP of a copy");
  request["output-destination"] = "udp:198.18.0.1:2224";
  EXPECT_EQ(world_->ng(request)["result"], "ok");
}

TEST_F(DeniedPeers, LAT11a_TheRtpproxyProtocolAnswersE37AndE65) {
  for (const std::string& each : denied_addresses()) {
    renew();
    const Endpoint denied = endpoint(each);
    const auto say = [&](const std::string& command, const Endpoint& media) {
      return world_->rtpproxy(
          fmt::format("{} k {} {} A B", command, media.address.to_string(), media.port.value));
    };
    EXPECT_EQ(say("U", denied), "E37") << each;
    EXPECT_EQ(world_->manager().size(), 0u) << each;
    for_b_ = World::port_of(say("U", at('A')));
    EXPECT_EQ(say("L", denied), "E37") << each;
    for_a_ = World::port_of(say("L", at('B')));
    speak(10);
    EXPECT_EQ(say("U", denied), "E37") << each;
    EXPECT_EQ(world_->rtpproxy(fmt::format("C k udp:{} A B", each)), "E65") << each;
    expect_undisturbed(each);
  }
}

TEST_F(DeniedPeers, LAT11a_WithIceTheyAreLeftOutCountedAndShown) {
  const std::string more = ice_lines({"127.0.0.1:2223", at('A').to_string(), "198.18.0.1:2223"});
  const json reply = world_->ng(offer("c", "A", audio_sdp(endpoint("127.0.0.1:9"), more)));
  ASSERT_EQ(reply["result"], "ok") << reply;
  json wanted = answer("c", "A", "B", audio_sdp(at('B')));
  ASSERT_EQ(world_->ng(wanted)["result"], "ok");
  world_->run(5s);
  EXPECT_GT(world_->count(at('A')), 0u) << "the good candidate is checked";
  expect_nothing_arrived("candidates");
  const json media = media_of(0);
  ASSERT_EQ(media["left_out"].size(), 4u) << media;
  EXPECT_EQ(media["left_out"][0],
            (json{{"what", "rtp"}, {"address", "127.0.0.1:9"}, {"reason", "loopback"}}));
  EXPECT_EQ(media["left_out"][1]["what"], "rtcp");
  EXPECT_EQ(media["left_out"][3]["reason"], "control-port");
  EXPECT_EQ(world_->manager().peer_guard().counts()[static_cast<std::size_t>(PeerDenial::kLoopback)], 3u)
      << "c=, its RTCP port and a candidate";
  const std::string explained = world_->manager().explain("c", false, world_->clock()).dump();
  EXPECT_NE(explained.find("left out: candidate 198.18.0.1:2223"), std::string::npos) << explained;
}

TEST_F(DeniedPeers, LAT11a_IceThatNobodyOfferedIsNoOtherWay) {
  const std::string more = ice_lines({at('B').to_string()});
  world_->ng(offer("c", "A", audio_sdp(at('A'))));
  expect_refused(world_->ng(answer("c", "A", "B", audio_sdp(endpoint("127.0.0.1:4000"), more))), "answer");
  json request = offer("d", "A", audio_sdp(endpoint("127.0.0.1:4000"), more));
  EXPECT_EQ(world_->ng(request)["result"], "ok");
  request["call-id"] = "e";
  request["flags"] = {"reject-ICE"};
  expect_refused(world_->ng(request), "offer whose ICE is refused");
}

TEST_F(DeniedPeers, LAT11a_ASectionOverTcpNamesNoReceiverOfDatagrams) {
  // A voice server on this host whose client connects (RFC 4145: port 9).
  const std::string tcp = "m=application 9 TCP/MRCPv2 1\r\nc=IN IP4 198.18.0.1\r\na=setup:active\r\n";
  EXPECT_EQ(world_->ng(offer("c", "A", audio_sdp(at('A'), tcp)))["result"], "ok");
  EXPECT_EQ(world_->ng(answer("c", "A", "B", audio_sdp(at('B'), tcp)))["result"], "ok");
}

TEST_F(DeniedPeers, LAT11a_ATrickledCandidateIsLeftOutToo) {
  const std::string trickling =
      "a=ice-options:trickle\r\na=ice-ufrag:abcdefgh\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n";
  world_->ng(offer("c", "A", audio_sdp(endpoint(kNoAddress), trickling)));
  world_->ng(answer("c", "A", "B", audio_sdp(at('B'))));
  json fragment =
      offer("c", "A",
            "a=ice-ufrag:abcdefgh\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\nm=audio 9 RTP/AVP 0\r\n"
            "a=candidate:1 1 UDP 2130706431 198.18.0.1 2223 typ host\r\n"
            "a=candidate:2 1 UDP 2130706430 " +
                at('A').address.to_string() + " 4000 typ host\r\n");
  fragment["flags"] = {"fragment"};
  EXPECT_EQ(world_->ng(fragment)["result"], "ok");
  world_->run(5s);
  EXPECT_GT(world_->count(at('A')), 0u);
  expect_nothing_arrived("trickled");
  EXPECT_EQ(media_of(0)["left_out"][0]["address"], "198.18.0.1:2223");
}

TEST_F(DeniedPeers, LAT4_LAT11a_WhereTheAddressIsVoidThePartyIsLearnedAllTheSame) {
  // A phone behind NAT whose own address is link-local.
  json request = offer("c", "A", audio_sdp(endpoint("169.254.7.7:4000")));
  request["direction"] = {"global", "plain"};
  request["received-from"] = {"IP4", at('A').address.to_string()};
  for_b_ = World::port_of(world_->ng(request));
  for_a_ = World::port_of(world_->ng(answer("c", "A", "B", audio_sdp(at('B')))));
  for (int i = 0; i < 20; ++i) {
    world_->send(at('A'), {world_->relay_address("global"), for_a_}, rtp('A', 0xA, sequence_));
    world_->send(at('B'), {world_->relay_address(), for_b_}, rtp('B', 0xB, sequence_));
    ++sequence_;
    world_->run(world_->elapsed() + 20ms);
  }
  EXPECT_GE(world_->count(at('A'), 'B'), 18u);
  EXPECT_EQ(world_->count(at('B'), 'A'), 20u);
  EXPECT_EQ(media_of(0)["left_out"][0]["reason"], "link-local");
}

TEST_F(DeniedPeers, LAT11a_LinkLocalIsAnErrorWhereItIsNotVoid) {
  json request = offer("c", "A", audio_sdp(endpoint("169.254.169.254:4000")));
  request["direction"] = {"inside", "plain"};
  expect_refused(world_->ng(request), "an inside interface");
}

TEST_F(DeniedPeers, LAT11a_WhatIsAllowedIsTaken) {
  for (const char* each : {"192.0.2.200:4000", "198.18.0.1:1024", "198.18.0.1:8081", "198.18.100.7:4000"}) {
    renew();
    EXPECT_EQ(world_->ng(offer("c", "A", audio_sdp(endpoint(each))))["result"], "ok") << each;
  }
}

TEST_F(DeniedPeers, LAT11a_PartiesOfThisHostTalkThroughAnInterfaceOnLoopback) {
  const Endpoint a = endpoint("127.0.0.1:6000");
  const Endpoint b = endpoint("127.0.0.2:6002");
  for (const Endpoint& each : {a, b}) world_->open(each);
  json request = offer("l", "A", audio_sdp(a));
  request["direction"] = {"loop", "loop"};
  ASSERT_EQ(world_->ng(request)["result"], "ok");
  EXPECT_EQ(world_->ng(answer("l", "A", "B", audio_sdp(b)))["result"], "ok");
  request["call-id"] = "m";
  request["sdp"] = audio_sdp(endpoint("127.0.0.1:2223"));
  expect_refused(world_->ng(request), "a control port even there");
  request["sdp"] = audio_sdp(endpoint("127.0.0.1:8080"));
  expect_refused(world_->ng(request), "a listener even there");
}

TEST_F(DeniedPeers, LAT11a_ThePartyCountsByItsOwnInterface) {
  // A is on loopback, B is not: B may not name loopback.
  json request = offer("l", "A", audio_sdp(endpoint("127.0.0.1:6000")));
  request["direction"] = {"loop", "plain"};
  ASSERT_EQ(world_->ng(request)["result"], "ok");
  expect_refused(world_->ng(answer("l", "A", "B", audio_sdp(endpoint("127.0.0.1:6002")))), "B");
  EXPECT_EQ(world_->ng(answer("l", "A", "B", audio_sdp(at('B'))))["result"], "ok");
}

TEST_F(DeniedPeers, LAT11a_TheAddressThatSignallingCameFromIsJudgedWhereItReplacesTheSdp) {
  json request = offer("s", "A", audio_sdp({at('A').address, UdpPort{2223}}));
  request["flags"] = {"SIP-source-address"};
  request["received-from"] = {"IP4", "198.18.0.1"};
  expect_refused(world_->ng(request), "SIP-source-address");
  request["sdp"] = audio_sdp(at('A'));
  EXPECT_EQ(world_->ng(request)["result"], "ok") << "a party of this host at a port for media";
}

TEST_F(DeniedPeers, LAT11a_APacketFromAControlPortTeachesNothing) {
  json request = offer("c", "A", audio_sdp(at('A')));
  request["received-from"] = {"IP4", "198.18.0.1"};  // signalling comes from a proxy on this host
  for_b_ = World::port_of(world_->ng(request));
  for_a_ = World::port_of(world_->ng(answer("c", "A", "B", audio_sdp(at('B')))));
  for (std::uint16_t n = 1; n < 10; ++n)
    world_->send(endpoint("198.18.0.1:2223"), {world_->relay_address(), for_a_}, rtp('X', 0xE, n));
  EXPECT_EQ(world_->count(at('B'), 'X'), 0u);
  EXPECT_EQ(media_of(0)["drops"]["denied-address"], 9);
  expect_undisturbed("a source");
}

TEST_F(DeniedPeers, LAT11a_RunningCallsFollowTheRules) {
  talk();
  SessionConfig changed = world_->manager().config();
  changed.peers.denied.push_back({at('A').address, 32});
  world_->manager().set_config(changed);
  world_->manager().flush(world_->clock());
  const std::size_t a = world_->count(at('A'));
  const std::size_t b = world_->count(at('B'));
  speak(10);
  EXPECT_EQ(world_->count(at('A')), a) << "nothing is sent to it";
  EXPECT_EQ(world_->count(at('B')), b) << "and nothing taken from it";
  EXPECT_EQ(media_of(0)["drops"]["denied-address"], 20) << "each packet of A's, and each for A";
  const std::string explained = world_->manager().explain("c", false, world_->clock()).dump();
  EXPECT_NE(explained.find("denied-address"), std::string::npos) << explained;
  changed.peers.denied.pop_back();
  world_->manager().set_config(changed);
  world_->manager().flush(world_->clock());
  expect_undisturbed("allowed again");
}

TEST_F(DeniedPeers, LAT11a_ARecordOfAnotherHostBringsNoAddressIn) {
  talk();
  json record = json::parse(world_->manager().export_call("c", world_->clock()).dump());
  const std::string good = at('A').to_string();
  std::string text = record.dump();
  for (std::size_t found = text.find(good); found != std::string::npos; found = text.find(good, found + 1))
    text.replace(found, good.size(), "198.18.0.1:2223");
  world_->manager().terminate("c", world_->clock());
  world_->run(world_->elapsed() + 11s);  // its ports rest
  const auto restored = world_->manager().restore_call(json::parse(text), world_->clock());
  ASSERT_TRUE(restored) << restored.error();
  world_->manager().flush(world_->clock());
  speak(10);
  expect_nothing_arrived("restored");
}

}  // namespace
}  // namespace ferry::test
