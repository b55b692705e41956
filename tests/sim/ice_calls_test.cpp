// SPDX-License-Identifier: Apache-2.0
// ICE by offer and answer: phones with agents of their own, plain, with SDES and with DTLS-SRTP
// (rules ICE-1 to ICE-9).

#include "relay/core/rtp/header_extensions.hpp"
#include "tests/support/ice_phone.hpp"

namespace ferry::test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

class IceCalls : public ::testing::Test {
 protected:
  explicit IceCalls(WorldOptions options = {}) : world_(make_sim_world(std::move(options))) {
    world_->open(at('A'));
  }
  [[nodiscard]] Endpoint at(char who, std::uint16_t port = 4000) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  void pass(std::initializer_list<IcePhone*> phones, Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      for (IcePhone* phone : phones) phone->drive();
      world_->run(world_->elapsed() + 20ms);
      for (IcePhone* phone : phones) phone->listen();
    }
  }
  /// Both ways, 20 packets: how many of them arrived at B and at A.
  std::pair<std::size_t, std::size_t> talk(IcePhone& b) {
    const std::size_t heard = b.heard.size();
    const std::size_t arrived = world_->count(at('A'), 'B');
    for (int i = 0; i < 20; ++i) {
      world_->send(at('A'), a_relay_, rtp('A', 1, sequence_));
      if (b.agent.selected(Component::kRtp)) b.send(rtp('B', 2, sequence_));
      ++sequence_;
      pass({&b}, 20ms);
    }
    return {b.heard.size() - heard, world_->count(at('A'), 'B') - arrived};
  }
  /// A plain; B is what the request says.
  json offer_to(IcePhone& b, json more) {
    json request = offer("c", "A", audio_sdp(at('A')));
    request.update(more);
    const json reply = world_->ng(request);
    if (reply["result"] == "ok") b.hears(reply);
    return reply;
  }
  void answer_of(const std::string& sdp) {
    const json reply = world_->ng(answer("c", "A", "B", sdp));
    ASSERT_EQ(reply["result"], "ok") << reply;
    a_relay_ = {world_->relay_address(), World::port_of(reply)};
  }
  json show(std::size_t leg) {
    return world_->manager().show("c", world_->clock())["legs"][leg]["medias"][0];
  }

  std::unique_ptr<World> world_;
  Endpoint a_relay_;
  std::uint16_t sequence_ = 1;
  const json kForce = {{"ICE", "force"}, {"rtcp-mux", {"require"}}};
};

TEST_F(IceCalls, PlainMediaTakesTheSelectedPair) {
  IcePhone b(*world_, at('B'), "bob", false);
  ASSERT_EQ(offer_to(b, kForce)["result"], "ok");
  EXPECT_EQ(b.plan.candidates.size(), 1u);
  answer_of(b.sdp());
  // LAT-10: nothing before a pair is selected.
  for (std::uint16_t i = 0; i < 20; ++i) world_->send(at('A'), a_relay_, rtp('A', 1, i));
  world_->run(world_->elapsed() + 20ms);
  EXPECT_EQ(world_->count(b.at(), 'A'), 0u);
  sequence_ = 20;
  pass({&b}, 1s);
  EXPECT_EQ(show(1)["ice"]["state"], "connected");
  EXPECT_EQ(show(1)["ice"]["controlling"], true);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(world_->count({*IpAddress::parse("192.0.2.250"), UdpPort{9}}), 0u);
  // LAT-7, ICE-7: a stranger with the right SSRC is not heard, and hears nothing.
  const std::size_t before = world_->count(at('A'), 'X');
  for (std::uint16_t i = 0; i < 50; ++i)
    world_->send(at('X'), b.relay(), rtp('X', 2, static_cast<std::uint16_t>(sequence_ + i)));
  pass({&b}, 100ms);
  EXPECT_EQ(world_->count(at('A'), 'X'), before);
  EXPECT_EQ(world_->count(at('X')), 0u);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, AnOffererWithIceAndSdesIsAnswered) {
  IcePhone b(*world_, at('B'), "teams", false);
  sdp::CryptoLine line{1, &row_of(SrtpSuite::kAes128Cm80), {}, {}, {}};
  std::mt19937 random(1);
  line.key_and_salt = SecretBytes<46>(random_octets(random, 30));
  std::string sdp = b.sdp("a=crypto:" + sdp::write_crypto(line, {}) + "\r\n");
  sdp.replace(sdp.find("RTP/AVP"), 7, "RTP/SAVP");
  json request = offer("c", "B", sdp);
  request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  const json offered = world_->ng(request);
  ASSERT_EQ(offered["result"], "ok");
  EXPECT_EQ(offered["sdp"].get<std::string>().find("ice-"), std::string::npos);
  a_relay_ = {world_->relay_address(), World::port_of(offered)};
  const json reply = world_->ng(answer("c", "B", "A", audio_sdp(at('A'))));
  ASSERT_EQ(reply["result"], "ok");
  b.plan.controlling = true;  // whoever offers
  b.hears(reply);
  b.keyed({master_key(line), master_key(lines_of(reply).front())});
  pass({&b}, 1s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(show(0)["ice"]["controlling"], false);
}

TEST_F(IceCalls, LAT10_WithIceTheSelectedPairAloneIsHeardAndSentTo) {
  IcePhone b(*world_, at('B'), "web", true);
  ASSERT_EQ(offer_to(b, {{"flags", {"WebRTC"}}})["result"], "ok");
  answer_of(b.sdp());
  pass({&b}, 2s);
  ASSERT_EQ(b.channel.state(), DtlsChannel::State::kReady);
  world_->open(at('X'));
  for (int round = 0; round < 2; ++round) {
    const std::size_t before = world_->count(at('A'), 'B');
    for (std::uint16_t n = 0; n < 20; ++n) {
      const Packet packet = b.keys_end()->sealed(rtp('B', 2, sequence_++));
      world_->send(at('X'), b.relay(), packet);
      if (round == 0) world_->send(b.at(), b.relay(), packet);
      pass({&b}, 20ms);
    }
    EXPECT_EQ(world_->count(at('A'), 'B') - before, round == 0 ? 20u : 0u) << "round " << round;
    pass({&b}, 1s);  // B is silent: no reason to follow somebody else
  }
  EXPECT_EQ(world_->count(at('X')), 0u);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, ABrowserHasIceAndDtls) {
  IcePhone b(*world_, at('B'), "web", true);
  ASSERT_EQ(offer_to(b, {{"flags", {"WebRTC"}}})["result"], "ok");
  answer_of(b.sdp());
  pass({&b}, 2s);
  ASSERT_EQ(b.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(show(1)["srtp"]["keyed_by"], "DTLS");
  const json query = world_->ng({{"command", "query"}, {"call-id", "c"}});
  const auto flags = query["tags"]["B"]["medias"][0]["flags"].get<std::vector<std::string>>();
  for (const char* flag : {"DTLS-SRTP", "DTLS role passive", "ICE", "ICE controlling"})
    EXPECT_NE(std::ranges::find(flags, flag), flags.end()) << flag;
}

TEST_F(IceCalls, DTL2_ADtlsHandshakeNeedsAValidPair) {
  IcePhone b(*world_, at('B'), "web", true);
  offer_to(b, {{"flags", {"WebRTC"}}});
  answer_of(b.sdp());
  // X knows the port and the SDP of the relay, but not the password.
  DtlsPlan plan;
  plan.identity = OpenSslDtls().make_identity();
  plan.role = DtlsRole::kClient;
  plan.association = 1;
  struct ToRelay final : DatagramOutput {
    explicit ToRelay(World& w, Endpoint x, Endpoint r) : world(w), from(x), to(r) {}
    void send(const Endpoint&, Bytes datagram) noexcept override {
      world.send(from, to, {datagram.begin(), datagram.end()});
    }
    World& world;
    Endpoint from, to;
  } out(*world_, at('X'), b.plan.candidates.front().at);
  DtlsBudget budget;
  DtlsChannel channel;
  channel.drive(out.to, {plan, budget, out, world_->clock().now});
  pass({&b}, 2s);
  EXPECT_EQ(world_->count(at('X')), 0u);
  ASSERT_EQ(b.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, ICE1_I01_I02_StunWithoutThePasswordIsNotAnswered) {
  IcePhone b(*world_, at('B'), "bob", false);
  offer_to(b, kForce);
  answer_of(b.sdp());
  pass({&b}, 1s);
  stun::Contents contents;
  const std::string name = b.plan.peer.ufrag + ":" + b.plan.own.ufrag;
  contents.username = name;
  contents.use_candidate = true;
  const auto forged = stun::write(stun::Kind::kRequest, {std::byte{1}}, contents, "not the password of bob");
  for (int i = 0; i < 1'000; ++i) world_->send(at('X'), b.relay(), {forged.begin(), forged.end()});
  pass({&b}, 200ms);
  EXPECT_EQ(world_->count(at('X')), 0u);
  EXPECT_EQ(show(1)["drops"]["stun-refused"], 1'000);
  EXPECT_EQ(show(1)["ice"]["selected"], b.at().to_string());
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, CandidatesThatTrickleInAreUsed) {
  IcePhone b(*world_, at('B'), "bob", false);
  json request = kForce;
  request["flags"] = {"trickle-ICE"};
  const json offered = offer_to(b, request);
  EXPECT_NE(offered["sdp"].get<std::string>().find("a=ice-options:trickle\r\n"), std::string::npos);
  answer_of(b.sdp("a=ice-options:trickle\r\n", false));
  const auto relay = b.plan;  // b itself waits to be found
  b.plan.peer = {};
  pass({&b}, 500ms);
  EXPECT_EQ(b.stun, 0);
  const std::string fragment =
      fmt::format("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{}", b.plan.own.ufrag,
                  b.plan.own.password, b.candidate());
  const json reply = world_->ng({{"command", "offer"},
                                 {"call-id", "c"},
                                 {"from-tag", "B"},
                                 {"to-tag", "A"},
                                 {"flags", {"fragment"}},
                                 {"sdp", fragment}});
  EXPECT_EQ(reply, json({{"result", "ok"}}));
  b.plan = relay;
  pass({&b}, 1s);
  EXPECT_GT(b.stun, 0);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, ICE9_I05_MediaStopsWithoutConsent) {
  IcePhone b(*world_, at('B'), "bob", false);
  offer_to(b, kForce);
  answer_of(b.sdp());
  pass({&b}, 1s);
  EXPECT_EQ(talk(b).first, 20u);
  // B is gone; A goes on for 40 s.
  const std::size_t before = world_->count(b.at(), 'A');
  for (int i = 0; i < 2'000; ++i) {
    world_->send(at('A'), a_relay_, rtp('A', 1, sequence_++));
    world_->run(world_->elapsed() + 20ms);
  }
  const std::size_t sent = world_->count(b.at(), 'A') - before;
  EXPECT_GT(sent, 1'000u);
  EXPECT_LE(sent, 1'500u + 50u);  // 30 s, and what was in flight
  EXPECT_EQ(show(1)["ice"]["state"], "consent expired");
  const json explained = world_->manager().explain("c", false, world_->clock());
  EXPECT_NE(explained.dump().find("no-pair"), std::string::npos) << explained;
}

TEST_F(IceCalls, ICE3_ICE7_ARestartKeepsMediaAndHasNewCredentials) {
  IcePhone b(*world_, at('B'), "bob", false);
  offer_to(b, kForce);
  answer_of(b.sdp());
  pass({&b}, 1s);
  const IceCredentials first = b.plan.peer;
  EXPECT_GE(first.ufrag.size(), 5u) << "24 bits in letters and digits";
  EXPECT_GE(first.password.size(), 22u) << "128 bits";
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  // A repeated offer changes nothing.
  json again = kForce;
  again["to-tag"] = "B";
  offer_to(b, again);
  answer_of(b.sdp());
  EXPECT_EQ(b.plan.peer, first);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  // B offers with other credentials: so does the answer.
  b.restart();
  b.plan.controlling = true;
  json restarted = offer("c", "B", b.sdp());
  restarted.update({{"to-tag", "A"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  ASSERT_EQ(world_->ng(restarted)["result"], "ok");
  const json reply = world_->ng(answer("c", "B", "A", audio_sdp(at('A'))));
  ASSERT_EQ(reply["result"], "ok");
  b.hears(reply);
  EXPECT_NE(b.plan.peer.ufrag, first.ufrag);
  EXPECT_NE(b.plan.peer.password, first.password);
  EXPECT_EQ(talk(b).first, 20u);
  pass({&b}, 1s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

/// True if the SDP of a reply says at session level that the relay is a lite agent.
bool says_lite(const json& reply) {
  const std::string text = reply["sdp"];
  const auto at = text.find("\r\na=ice-lite\r\n");
  return at != std::string::npos && at < text.find("\r\nm=");
}

/// B with each kind of keys, and the words that make the relay a lite agent toward it.
class IceLiteCalls : public IceCalls, public ::testing::WithParamInterface<bool> {
 protected:
  [[nodiscard]] bool has_dtls() const { return GetParam(); }
  [[nodiscard]] json to_b(const char* lite) const {
    json words = has_dtls() ? json{{"flags", {"WebRTC"}}} : kForce;
    words["ICE-lite"] = lite;
    return words;
  }
  /// Requests of the relay that reached `peer`.
  [[nodiscard]] std::ptrdiff_t checks_at(const Endpoint& peer) const {
    return std::ranges::count_if(world_->received(), [&](const Received& each) {
      const auto message = each.at == peer ? stun::parse(each.packet) : std::nullopt;
      return message && message->kind == stun::Kind::kRequest;
    });
  }
};

TEST_P(IceLiteCalls, ICE8_TheRelayOnlyAnswersWhomItOffersLite) {
  IcePhone b(*world_, at('B'), "bob", has_dtls());
  b.plan.peer_is_lite = true;
  ASSERT_TRUE(says_lite(offer_to(b, to_b("forward"))));
  answer_of(b.sdp());
  EXPECT_EQ(show(1)["ice"]["controlling"], false);
  // Without a check of B nothing is sent to it.
  world_->run(world_->elapsed() + 2s);
  EXPECT_EQ(world_->count(b.at()), 0u);
  pass({&b}, 1s);
  EXPECT_EQ(show(1)["ice"]["state"], "connected");
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  // It stays lite toward B without further words, and nobody restarts.
  const IceCredentials before = b.plan.peer;
  ASSERT_TRUE(says_lite(offer_to(b, {{"to-tag", "B"}})));
  answer_of(b.sdp());
  EXPECT_EQ(b.plan.peer, before);
  pass({&b}, 60s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(checks_at(b.at()), 0);
  const json query = world_->ng({{"command", "query"}, {"call-id", "c"}});
  const auto flags = query["tags"]["B"]["medias"][0]["flags"].get<std::vector<std::string>>();
  EXPECT_NE(std::ranges::find(flags, "ICE-lite self"), flags.end());
  EXPECT_EQ(std::ranges::find(flags, "ICE controlling"), flags.end());
}

TEST_P(IceLiteCalls, ICE8_TheRelayOnlyAnswersAnOffererToWhomItIsLite) {
  IcePhone b(*world_, at('B'), "bob", has_dtls());
  b.plan.controlling = b.plan.peer_is_lite = true;
  json request = offer("c", "B", b.sdp());
  request.update(
      {{"ICE", {"remove", "lite-backward"}}, {"rtcp-mux", {"demux"}}, {"transport-protocol", "RTP/AVP"}});
  const json offered = world_->ng(request);
  ASSERT_EQ(offered["result"], "ok");
  EXPECT_FALSE(says_lite(offered)) << "this side has no ICE";
  a_relay_ = {world_->relay_address(), World::port_of(offered)};
  const json reply = world_->ng(answer("c", "B", "A", audio_sdp(at('A'))));
  ASSERT_TRUE(says_lite(reply)) << reply;
  b.hears(reply);
  pass({&b}, 1s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(checks_at(b.at()), 0);
}

TEST_P(IceLiteCalls, ICE9_ALiteRelayStopsWithoutRequests) {
  IcePhone b(*world_, at('B'), "bob", has_dtls());
  b.plan.peer_is_lite = true;
  offer_to(b, to_b("both"));
  answer_of(b.sdp());
  pass({&b}, 1s);
  ASSERT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  world_->run(world_->elapsed() + 31s);
  EXPECT_EQ(show(1)["ice"]["state"], "consent expired");
  const std::size_t before = world_->count(b.at(), 'A');
  for (int i = 0; i < 20; ++i) world_->send(at('A'), a_relay_, rtp('A', 1, sequence_++));
  world_->run(world_->elapsed() + 100ms);
  EXPECT_EQ(world_->count(b.at(), 'A'), before);
}

TEST_P(IceLiteCalls, TheKindOfAgentChangesWithARestart) {
  IcePhone b(*world_, at('B'), "bob", has_dtls());
  offer_to(b, to_b("off"));
  answer_of(b.sdp());
  pass({&b}, 2s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  const IceCredentials before = b.plan.peer;
  json again = to_b("forward");
  again["to-tag"] = "B";
  b.restart();
  b.plan.peer_is_lite = true;
  ASSERT_TRUE(says_lite(offer_to(b, again)));
  EXPECT_NE(b.plan.peer, before) << "RFC 8839 section 4.4.1.1.1";
  answer_of(b.sdp());
  pass({&b}, 1s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_P(IceLiteCalls, ALitePartyIsCheckedByTheRelay) {
  IcePhone b(*world_, at('B'), "bob", has_dtls());
  b.plan.is_lite = true;
  ASSERT_TRUE(says_lite(offer_to(b, to_b("forward"))));
  std::string sdp = b.sdp();
  answer_of(sdp.insert(sdp.find("m="), "a=ice-lite\r\n"));
  pass({&b}, 2s);
  EXPECT_EQ(show(1)["ice"]["controlling"], true);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

INSTANTIATE_TEST_SUITE_P(Keys, IceLiteCalls, ::testing::Bool(),
                         [](const auto& keys) { return keys.param ? "Dtls" : "Plain"; });

TEST_F(IceCalls, RFC8839_442_AnOfferAfterIceCompletedNamesTheSelectedPair) {
  const auto remote = [](const json& reply) {
    const std::string text = reply["sdp"];
    const auto at = text.find("a=remote-candidates:");
    return at == std::string::npos ? std::string() : text.substr(at, text.find('\r', at) - at);
  };
  IcePhone b(*world_, at('B'), "bob", false);
  json again = kForce;
  again["to-tag"] = "B";
  EXPECT_EQ(remote(offer_to(b, kForce)), "");
  answer_of(b.sdp());
  EXPECT_EQ(remote(offer_to(b, again)), "") << "not completed";
  answer_of(b.sdp());
  pass({&b}, 1s);
  const std::string pair =
      fmt::format("a=remote-candidates:1 {} {}", b.at().address.to_string(), b.at().port.value);
  EXPECT_EQ(remote(offer_to(b, again)), pair);
  answer_of(b.sdp());
  EXPECT_EQ(remote(offer_to(b, {{"to-tag", "B"}})), pair) << "without a word about ICE";
  answer_of(b.sdp());
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  // B offers without a restart: it stays controlled, and our answer has no such line.
  json of_b = offer("c", "B", b.sdp());
  of_b.update({{"to-tag", "A"}, {"rtcp-mux", {"demux"}}});
  ASSERT_EQ(world_->ng(of_b)["result"], "ok");
  EXPECT_EQ(remote(world_->ng(answer("c", "B", "A", audio_sdp(at('A'))))), "");
  EXPECT_EQ(show(1)["ice"]["controlling"], true);
  EXPECT_EQ(remote(offer_to(b, again)), pair);
  answer_of(b.sdp());
  // B restarts and is controlling from now on: it names the candidates.
  b.restart();
  b.plan.controlling = true;
  of_b = offer("c", "B", b.sdp());
  of_b.update({{"to-tag", "A"}, {"rtcp-mux", {"demux"}}});
  ASSERT_EQ(world_->ng(of_b)["result"], "ok");
  b.hears(world_->ng(answer("c", "B", "A", audio_sdp(at('A')))));
  EXPECT_EQ(remote(offer_to(b, again)), "") << "the restart is not complete";
  answer_of(b.sdp());
  pass({&b}, 1s);
  EXPECT_EQ(remote(offer_to(b, again)), "") << "we are controlled";
  answer_of(b.sdp());
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, WhoTakesNoIceIsLatchedAsEver) {
  IcePhone b(*world_, at('B'), "bob", false);
  offer_to(b, kForce);
  answer_of(audio_sdp(b.at(), "a=rtcp-mux\r\n"));
  EXPECT_TRUE(show(1)["ice"].is_null());
  const Endpoint relay = b.plan.candidates.front().at;
  for (int i = 0; i < 20; ++i) {
    world_->send(b.at(), relay, rtp('B', 2, static_cast<std::uint16_t>(i)));
    world_->send(at('A'), a_relay_, rtp('A', 1, static_cast<std::uint16_t>(i)));
    world_->run(world_->elapsed() + 20ms);
  }
  EXPECT_EQ(world_->count(at('A'), 'B'), 20u);
  EXPECT_EQ(world_->count(b.at(), 'A'), 20u);
}

TEST_F(IceCalls, ExportAndRestoreKeepThePair) {
  IcePhone b(*world_, at('B'), "web", true);
  offer_to(b, {{"flags", {"WebRTC"}}});
  answer_of(b.sdp());
  pass({&b}, 2s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  const json record = world_->manager().export_call("c", world_->clock());
  world_->manager().terminate("c", world_->clock());
  world_->manager().flush(world_->clock());
  ASSERT_TRUE(world_->manager().restore_call(record, world_->clock()));
  world_->manager().flush(world_->clock());
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  pass({&b}, 40s);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20})) << "consent goes on";
}

/// B reloads its page in the middle of the call: the new page has another certificate, other credentials and
/// another port, and offers.
class IceReloads : public IceCalls {
 protected:
  IceReloads() : old_(*world_, at('B'), "old", true), page_(*world_, at('B', 5000), "new", true, "actpass") {
    offer_to(old_, {{"flags", {"WebRTC"}}});
    answer_of(old_.sdp());
    pass({&old_}, 2s);
    EXPECT_EQ(talk(old_), std::pair(std::size_t{20}, std::size_t{20}));
    page_.plan.controlling = true;
  }
  void reload() { reload(page_, page_.sdp()); }
  void reload(IcePhone& page, const std::string& sdp) {
    json offered = offer("c", "B", sdp);
    offered.update(
        {{"to-tag", "A"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}, {"transport-protocol", "RTP/AVP"}});
    ASSERT_EQ(world_->ng(offered)["result"], "ok");
    const json reply = world_->ng(answer("c", "B", "A", audio_sdp(at('A'))));
    ASSERT_EQ(reply["result"], "ok");
    page.hears(reply);
  }
  /// Datagrams of a handshake that reached `peer`.
  [[nodiscard]] std::ptrdiff_t handshakes_at(const Endpoint& peer) const {
    return std::ranges::count_if(world_->received(), [&](const Received& each) {
      return each.at == peer && !each.packet.empty() && read_u8(each.packet, 0) >= 20 &&
             read_u8(each.packet, 0) < 64;
    });
  }
  IcePhone old_;
  IcePhone page_;
};

TEST_F(IceReloads, WDTLS3_TheNewHandshakeGoesToTheNewPair) {
  const auto before = handshakes_at(old_.at());
  reload();
  // Until the page is found, and a little longer: nothing is tried on the dead pair.
  world_->run(world_->elapsed() + 300ms);
  EXPECT_EQ(handshakes_at(old_.at()), before);
  pass({&page_}, 500ms);
  EXPECT_EQ(handshakes_at(old_.at()), before);
  ASSERT_EQ(page_.channel.state(), DtlsChannel::State::kReady) << "within half a second";
  EXPECT_EQ(talk(page_), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(show(1)["srtp"]["handshake"], "ready");
}

TEST_F(IceReloads, ICE7_TheOldPageIsHeardUntilTheNewOneIsThere) {
  reload();
  EXPECT_EQ(talk(old_), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceReloads, TwiceInARow) {
  reload();
  pass({&page_}, 500ms);
  IcePhone third(*world_, at('B', 6000), "third", true, "actpass");
  third.plan.controlling = true;
  reload(third, third.sdp());
  pass({&third}, 500ms);
  EXPECT_EQ(talk(third), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceReloads, BND22_ANewPageIsToldTheNamesOfStreamsAgain) {
  constexpr std::uint8_t kMidId = 4;
  const auto grouped = [](const IcePhone& page) {
    std::string sdp = page.sdp("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
    return sdp.insert(sdp.find("m="), "a=group:BUNDLE 0\r\n");
  };
  const auto names = [&](const IcePhone& page) {
    return std::ranges::count_if(page.heard,
                                 [](const Packet& each) { return find_extension(each, kMidId).has_value(); });
  };
  reload(page_, grouped(page_));
  pass({&page_}, 500ms);
  EXPECT_EQ(talk(page_), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(names(page_), 20);
  Packet report(32);
  write_u8(report, 0, 0x81);
  write_u8(report, 1, 201);
  write_u16(report, 2, 7);
  write_u32(report, 4, 2);
  write_u32(report, 8, 1);
  world_->send(page_.source(), page_.relay(), page_.keys_end()->sealed(report, true));
  EXPECT_EQ(talk(page_), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(names(page_), 20) << "the page knows the stream by its report";
  IcePhone third(*world_, at('B', 6000), "third", true, "actpass");
  third.plan.controlling = true;
  reload(third, grouped(third));
  pass({&third}, 500ms);
  EXPECT_EQ(talk(third), std::pair(std::size_t{20}, std::size_t{20}));
  EXPECT_EQ(names(third), 20) << "it has reported about nothing";
}

TEST_F(IceReloads, ARelayThatTakesOverInBetweenMakesTheHandshake) {
  reload();
  const json record = world_->manager().export_call("c", world_->clock());
  world_->manager().terminate("c", world_->clock());
  world_->manager().flush(world_->clock());
  ASSERT_TRUE(world_->manager().restore_call(record, world_->clock()));
  world_->manager().flush(world_->clock());
  pass({&page_}, 500ms);
  ASSERT_EQ(page_.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(talk(page_), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceReloads, WhoBeginsTheHandshakeIsAnsweredOnTheNewPair) {
  IcePhone active(*world_, at('B', 7000), "active", true);
  active.plan.controlling = true;
  json offered = offer("c", "B", active.sdp());
  offered.update({{"to-tag", "A"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
  offered["transport-protocol"] = "RTP/AVP";
  ASSERT_EQ(world_->ng(offered)["result"], "ok");
  active.hears(world_->ng(answer("c", "B", "A", audio_sdp(at('A')))));
  pass({&active}, 500ms);
  EXPECT_EQ(talk(active), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IceCalls, WDTLS5_AWrongFingerprintIsToldToTheBrowser) {
  IcePhone b(*world_, at('B'), "web", true);
  IcePhone other(*world_, at('C'), "other", true);
  offer_to(b, {{"flags", {"WebRTC"}}});
  std::string sdp = b.sdp();
  const auto fingerprint = [](const std::string& text) {
    const std::size_t begin = text.find("a=fingerprint:");
    return text.substr(begin, text.find('\r', begin) - begin);
  };
  const std::string own = fingerprint(sdp);
  sdp.replace(sdp.find(own), own.size(), fingerprint(other.sdp()));
  answer_of(sdp);
  pass({&b}, 1s);
  EXPECT_NE(b.channel.state(), DtlsChannel::State::kReady) << "it must not show connected";
  EXPECT_EQ(show(1)["srtp"]["handshake"], "mismatch");
  const auto alerts = std::ranges::count_if(world_->received(), [&](const Received& each) {
    return each.at == b.at() && each.packet.size() == 15 && read_u8(each.packet, 0) == 21 &&
           read_u8(each.packet, 13) == 2;
  });
  EXPECT_GE(alerts, 1);
}

/// The interface has a second address.
class IceAddresses : public IceCalls {
 protected:
  IceAddresses()
      : IceCalls([] {
          WorldOptions options;
          options.workers = 2;
          options.interfaces = {"plain/2001:db8:18::1"};
          return options;
        }()) {}
};

TEST_F(IceAddresses, WhoIsReachedAtTheOtherFamilyGetsMediaFromThere) {
  const Endpoint six{*IpAddress::parse("2001:db8:99::b"), UdpPort{4000}};
  IcePhone b(*world_, six, "six", true);
  offer_to(b, {{"flags", {"WebRTC"}}});
  ASSERT_EQ(b.plan.candidates.size(), 2u);
  EXPECT_TRUE(b.plan.candidates[1].at.address.is_v6());
  answer_of(b.sdp());
  pass({&b}, 2s);
  EXPECT_EQ(b.relay(), b.plan.candidates[1].at);
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  for (const Endpoint& source : b.sources) EXPECT_EQ(source, b.plan.candidates[1].at);  // LAT-1
  // The call moves to the other worker with all its ports.
  const std::size_t worker = world_->manager().show("c", world_->clock())["worker"];
  ASSERT_TRUE(world_->manager().move_call("c", 1 - worker));
  EXPECT_EQ(talk(b), std::pair(std::size_t{20}, std::size_t{20}));
  // Nothing is left open.
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"delete delay", 0}});
  world_->run(world_->elapsed() + 1s);
  EXPECT_EQ(world_->open_ports(), 0u);
}

/// B has an address of each family and controls.
class IcePairs : public IceAddresses {
 protected:
  IcePairs() : b_(*world_, at('B'), "web", true) {
    b_.is_also_at(kSix);
    b_.plan.controlling = true;
    json offered = offer("c", "B", b_.sdp());
    offered.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
    const json forwarded = world_->ng(offered);
    a_relay_ = {world_->relay_address(), World::port_of(forwarded)};
    b_.hears(world_->ng(answer("c", "B", "A", audio_sdp(at('A')))));
    pass({&b_}, 2s);
  }
  [[nodiscard]] Endpoint relay6() const { return b_.plan.candidates.at(1).at; }

  const Endpoint kSix{*IpAddress::parse("2001:db8:99::b"), UdpPort{4000}};
  IcePhone b_;
};

TEST_F(IcePairs, I06_WICE6_ADeadPairIsLeftWhenThePeerNominatesAnother) {
  ASSERT_EQ(b_.relay().address, world_->relay_address());
  EXPECT_EQ(talk(b_), std::pair(std::size_t{20}, std::size_t{20}));
  b_.dead = {b_.at()};
  pass({&b_}, 8s);  // B needs that long to notice by its checks
  ASSERT_EQ(b_.relay(), relay6());
  EXPECT_EQ(show(0)["ice"]["selected"], kSix.to_string());
  EXPECT_EQ(talk(b_), std::pair(std::size_t{20}, std::size_t{20}));
}

TEST_F(IcePairs, WICE6_MediaIsHeardOnEveryPairThatPassedACheck) {
  b_.dead = {b_.at()};
  pass({&b_}, 8s);
  b_.dead.clear();
  ASSERT_EQ(b_.relay(), relay6());
  const std::size_t before = world_->count(at('A'), 'B');
  const Endpoint relay4 = b_.plan.candidates.front().at;
  for (std::uint16_t i = 0; i < 10; ++i)
    b_.send_by(b_.at(), relay4, rtp('B', 2, static_cast<std::uint16_t>(1000 + i)));
  EXPECT_EQ(world_->count(at('A'), 'B') - before, 10u);
  // But from nowhere else.
  const Endpoint elsewhere = at('B', 9000);
  for (std::uint16_t i = 10; i < 20; ++i)
    b_.send_by(elsewhere, relay4, rtp('B', 2, static_cast<std::uint16_t>(1000 + i)));
  EXPECT_EQ(world_->count(at('A'), 'B') - before, 10u);
}

TEST_F(IceAddresses, ARefusedOfferLeavesNoPort) {
  const std::size_t before = world_->open_ports();
  IcePhone b(*world_, at('B'), "bob", false);
  std::string sdp = audio_sdp(at('A'));
  sdp += "m=audio 4002 RTP/AVP 8\r\nc=IN IP6 2001:db8::77\r\n";
  json request = offer("c", "A", sdp);
  request["ICE"] = "force";
  request["direction"] = {"global", "global"};  // has no IPv6
  EXPECT_EQ(world_->ng(request)["result"], "error");
  EXPECT_EQ(world_->open_ports(), before);
}

/// Commands with one party: a publisher with ICE, and subscribers.
class IceCopies : public IceAddresses {
 protected:
  json publish(IcePhone& p, const json& more = json::object(), const std::string& lines = "") {
    p.plan.controlling = true;  // whoever offers
    json request = {{"command", "publish"}, {"call-id", "c"}, {"from-tag", "P"}, {"sdp", p.sdp(lines)}};
    request.update(more);
    return world_->ng(request);
  }
  json subscribe(const json& more = json::object()) {
    json request = {{"command", "subscribe request"}, {"call-id", "c"}, {"from-tag", "P"}, {"to-tag", "S"}};
    request.update(more);
    return world_->ng(request);
  }
  json subscribed(const std::string& sdp) {
    return world_->ng({{"command", "subscribe answer"}, {"call-id", "c"}, {"to-tag", "S"}, {"sdp", sdp}});
  }
  static bool has_ice(const json& reply) {
    return reply.value("sdp", std::string()).find("a=ice-ufrag:") != std::string::npos;
  }
  void speak(IcePhone& p, std::initializer_list<IcePhone*> all) {
    for (int i = 0; i < 20; ++i) {
      p.send(rtp('P', 7, sequence_++));
      pass(all, 20ms);
    }
  }
  const json kWebRtc = {{"flags", {"WebRTC"}}};
};

TEST_F(IceCopies, APublisherConnectsAndASubscriberHearsIt) {
  IcePhone p(*world_, at('P'), "page", true, "actpass");
  const json answered = publish(p);
  ASSERT_EQ(answered["result"], "ok") << answered;
  p.hears(answered);
  EXPECT_EQ(p.plan.candidates.size(), 2u) << "both addresses of the interface";
  pass({&p}, 2s);
  ASSERT_EQ(p.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(show(0)["ice"]["state"], "connected");
  EXPECT_EQ(show(0)["ice"]["controlling"], false);
  IcePhone s(*world_, at('S'), "sub", true);
  const json offered = subscribe(kWebRtc);
  ASSERT_EQ(offered["result"], "ok") << offered;
  s.hears(offered);
  ASSERT_EQ(subscribed(s.sdp())["result"], "ok");
  pass({&p, &s}, 2s);
  ASSERT_EQ(s.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(show(1)["ice"]["controlling"], true);
  speak(p, {&p, &s});
  EXPECT_EQ(s.heard.size(), 20u);
  for (const Packet& each : s.heard) EXPECT_EQ(sender_of(each), 'P');
  // Nothing is left open.
  world_->ng({{"command", "delete"}, {"call-id", "c"}, {"delete delay", 0}});
  world_->run(world_->elapsed() + 1s);
  EXPECT_EQ(world_->open_ports(), 0u);
}

TEST_F(IceCopies, APageThatPublishesAgainRestartsIce) {
  IcePhone p(*world_, at('P'), "page", true, "actpass");
  const json first = publish(p);
  p.hears(first);
  pass({&p}, 2s);
  const IceCredentials before = p.plan.peer;
  const std::size_t ports = world_->open_ports();
  p.hears(publish(p));
  EXPECT_EQ(p.plan.peer, before) << "the same offer changes nothing";
  IcePhone again(*world_, at('P', 5000), "again", true, "actpass");
  again.hears(publish(again));
  EXPECT_NE(again.plan.peer, before);
  EXPECT_EQ(world_->open_ports(), ports);
  pass({&again}, 2s);
  ASSERT_EQ(again.channel.state(), DtlsChannel::State::kReady);
  ASSERT_EQ(subscribe()["result"], "ok");
  ASSERT_EQ(subscribed(audio_sdp(at('A')))["result"], "error") << "SRT-13";
  const json plain = subscribe({{"transport-protocol", "RTP/AVP"}});
  EXPECT_FALSE(has_ice(plain)) << "nobody asked for it";
  ASSERT_EQ(subscribed(audio_sdp(at('A')))["result"], "ok");
  const std::size_t heard = world_->count(at('A'), 'P');
  speak(again, {&again});
  EXPECT_EQ(world_->count(at('A'), 'P') - heard, 20u);
}

TEST_F(IceCopies, IceOfAPublisherIsRefusedByAFlagAlone) {
  IcePhone p(*world_, at('P'), "page", true, "actpass");
  EXPECT_FALSE(has_ice(publish(p, {{"flags", {"ICE-reject"}}})));
  EXPECT_TRUE(show(0)["ice"].is_null());
  EXPECT_TRUE(has_ice(publish(p, {{"from-tag", "Q"}, {"ICE", "remove"}}))) << "says what is offered";
}

TEST_F(IceCopies, ARefusedPublisherLeavesNoPort) {
  const std::size_t before = world_->open_ports();
  IcePhone p(*world_, at('P'), "page", true, "actpass");
  const std::string second = "m=audio 4002 RTP/AVP 8\r\nc=IN IP6 2001:db8::77\r\n";
  const json reply = publish(p, {{"interface", "global"}}, second);
  EXPECT_EQ(reply["result"], "error") << "has no IPv6";
  EXPECT_EQ(world_->open_ports(), before);
}

TEST_F(IceCopies, ASubscriberKeepsItsIceOrIsNotAskedAgain) {
  IcePhone p(*world_, at('P'), "page", true, "actpass");
  p.hears(publish(p));
  const json force = {{"ICE", "force"}, {"rtcp-mux", {"require"}}, {"transport-protocol", "RTP/AVP"}};
  const json again = {{"transport-protocol", "RTP/AVP"}};
  IcePhone s(*world_, at('S'), "sub", false);
  s.hears(subscribe(force));
  EXPECT_TRUE(has_ice(subscribe(again))) << "not answered yet";
  ASSERT_EQ(subscribed(s.sdp())["result"], "ok");
  pass({&p, &s}, 2s);
  EXPECT_EQ(show(1)["ice"]["state"], "connected");
  const IceCredentials before = s.plan.peer;
  const json repeated = subscribe(again);
  ASSERT_TRUE(has_ice(repeated));
  s.hears(repeated);
  EXPECT_EQ(s.plan.peer, before);
  ASSERT_EQ(subscribed(s.sdp())["result"], "ok");
  speak(p, {&p, &s});
  EXPECT_EQ(s.heard.size(), 20u);
  // Now it takes none: it is latched as ever, and asked again by `reset` alone.
  ASSERT_EQ(subscribed(audio_sdp(s.at(), "a=rtcp-mux\r\n"))["result"], "ok");
  EXPECT_TRUE(show(1)["ice"].is_null());
  EXPECT_FALSE(has_ice(subscribe(force)));
  ASSERT_EQ(subscribed(audio_sdp(s.at(), "a=rtcp-mux\r\n"))["result"], "ok");
  const std::size_t heard = s.heard.size();
  speak(p, {&p, &s});
  EXPECT_EQ(s.heard.size() - heard, 20u);
  json reset = force;
  reset["flags"] = {"reset"};
  EXPECT_TRUE(has_ice(subscribe(reset)));
}

TEST_F(IceCopies, APartyThatCreateMadeHasIce) {
  IcePhone b(*world_, at('B'), "bob", true);
  json request = {{"command", "create"}, {"call-id", "c"}, {"from-tag", "B"}};
  EXPECT_FALSE(has_ice(world_->ng(request)));
  request.update(kWebRtc);
  const json offered = world_->ng(request);
  ASSERT_TRUE(has_ice(offered)) << offered;
  b.hears(offered);
  ASSERT_EQ(
      world_->ng(
          {{"command", "create answer"}, {"call-id", "c"}, {"from-tag", "B"}, {"sdp", b.sdp()}})["result"],
      "ok");
  pass({&b}, 2s);
  EXPECT_EQ(b.channel.state(), DtlsChannel::State::kReady);
  EXPECT_EQ(show(0)["ice"]["controlling"], true);
}

TEST_F(IceCopies, LAT11a_ACandidateThatMayNotBeSentToIsLeftOutAndTold) {
  IcePhone p(*world_, at('P'), "page", true, "actpass");
  const json reply = publish(p, json::object(), "a=candidate:9 1 UDP 1 127.0.0.1 4000 typ host\r\n");
  ASSERT_EQ(reply["result"], "ok") << reply;
  p.hears(reply);
  pass({&p}, 2s);
  EXPECT_EQ(show(0)["ice"]["state"], "connected");
  EXPECT_NE(world_->manager().show("c", world_->clock()).dump().find("127.0.0.1"), std::string::npos);
}

}  // namespace
}  // namespace ferry::test
