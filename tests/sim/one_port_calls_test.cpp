// SPDX-License-Identifier: Apache-2.0
// One port for all ICE legs, by offer and answer: who lives there, who does not, and that calls work (ONE-1
// to ONE-6). The port is served by one or more workers, in turn.

#include "control/view/where.hpp"
#include "tests/support/ice_phone.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace ferry::one_port_calls_test {
namespace {

using namespace ferry::test;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr UdpPort kIcePort{29'000};

WorldOptions one_port(std::size_t workers) {
  WorldOptions options;
  options.ice_port = kIcePort;
  options.workers = workers;
  return options;
}

class OnePort : public ::testing::TestWithParam<std::size_t> {
 protected:
  OnePort() { world_->open(at('A')); }
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
  json ok(const json& request) {
    json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply;
    return reply;
  }
  /// An offer of a browser to a plain phone.
  static json offer_of(const std::string& call, const std::string& sdp) {
    json request = offer(call, "B", sdp);
    request.update({{"transport-protocol", "RTP/AVP"}, {"ICE", "remove"}, {"rtcp-mux", {"demux"}}});
    return request;
  }
  /// A browser calls a plain phone at 'A', which answers.
  void calls_phone(const std::string& call, IcePhone& browser) {
    const json offered = ok(offer_of(call, browser.sdp()));
    EXPECT_NE(World::port_of(offered), kIcePort) << "a plain party has ports of its own";
    phone_relay_ = {world_->relay_address(), World::port_of(offered)};
    const json answered = ok(answer(call, "B", "A", audio_sdp(at('A'))));
    browser.hears(answered);
    text_ = answered["sdp"].get<std::string>();
  }
  /// Both ways, 20 packets: how many arrived at the browser and at the phone.
  std::pair<std::size_t, std::size_t> talk(IcePhone& browser) {
    const std::size_t heard = browser.heard.size();
    const std::size_t arrived = world_->count(at('A'), 'B');
    for (int i = 0; i < 20; ++i) {
      world_->send(at('A'), phone_relay_, rtp('A', 1, sequence_));
      if (browser.agent.selected(Component::kRtp)) browser.send(rtp('B', 2, sequence_));
      ++sequence_;
      pass({&browser}, 20ms);
    }
    return {browser.heard.size() - heard, world_->count(at('A'), 'B') - arrived};
  }

  std::unique_ptr<World> world_ = make_sim_world(one_port(GetParam()));
  Endpoint phone_relay_;
  std::string text_;
  std::uint16_t sequence_ = 1;
};
INSTANTIATE_TEST_SUITE_P(Workers, OnePort, ::testing::Values(1, 2, 3));

using Both = std::pair<std::size_t, std::size_t>;
const json kWebRtc = {{"flags", {"WebRTC"}}};

TEST_P(OnePort, ABrowserThatCallsIsAnsweredThere) {
  const std::size_t before = world_->open_ports();
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  calls_phone("c", browser);
  ASSERT_EQ(browser.plan.candidates.size(), 1u) << text_;
  EXPECT_EQ(browser.plan.candidates[0].at, (Endpoint{world_->relay_address(), kIcePort}));
  EXPECT_NE(text_.find("m=audio 29000 "), std::string::npos) << text_;
  EXPECT_NE(text_.find("a=rtcp-mux\r\n"), std::string::npos) << text_;
  EXPECT_EQ(text_.find(":29001"), std::string::npos) << "there is no RTCP port";
  EXPECT_EQ(world_->open_ports(), before + 2) << "the phone's";
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), Both(20, 20));
  ok({{"command", "delete"}, {"call-id", "c"}, {"delete-delay", 0}});
  EXPECT_EQ(world_->open_ports(), before) << "the shared port stays";
}

TEST_P(OnePort, ABrowserThatIsCalledIsShownIt) {
  IcePhone browser(*world_, at('B', 5002), "bob", true);
  json request = offer("c", "A", audio_sdp(at('A')));
  request.update(kWebRtc);
  const json offered = ok(request);
  browser.hears(offered);
  EXPECT_EQ(World::port_of(offered), kIcePort);
  EXPECT_EQ(browser.plan.candidates.size(), 1u);
  const json answered = ok(answer("c", "A", "B", browser.sdp()));
  phone_relay_ = {world_->relay_address(), World::port_of(answered)};
  EXPECT_NE(phone_relay_.port, kIcePort);
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), Both(20, 20));
}

TEST_P(OnePort, TwoBrowsersOfOneCallHearEachOther) {
  IcePhone alice(*world_, at('A', 5000), "alice", true);
  IcePhone bob(*world_, at('B', 5001), "bob", true);
  json request = offer("c", "A", alice.sdp());
  request.update(kWebRtc);
  bob.hears(ok(request));
  alice.hears(ok(answer("c", "A", "B", bob.sdp())));
  EXPECT_NE(alice.plan.peer.ufrag, bob.plan.peer.ufrag);
  EXPECT_EQ(alice.plan.candidates[0].at, bob.plan.candidates[0].at);
  pass({&alice, &bob}, 2s);
  for (int n = 0; n < 20; ++n) {
    alice.send(rtp('A', 1, static_cast<std::uint16_t>(n)));
    bob.send(rtp('B', 2, static_cast<std::uint16_t>(n)));
    pass({&alice, &bob}, 20ms);
  }
  ASSERT_EQ(alice.heard.size(), 20u);
  ASSERT_EQ(bob.heard.size(), 20u);
  EXPECT_EQ(sender_of(alice.heard.back()), 'B');
  EXPECT_EQ(sender_of(bob.heard.back()), 'A');
}

TEST_P(OnePort, WhereFindsTheLegByTheRemoteEndpoint) {
  IcePhone alice(*world_, at('A', 5000), "alice", true);
  IcePhone bob(*world_, at('B', 5001), "bob", true);
  json request = offer("c", "A", alice.sdp());
  request.update(kWebRtc);
  bob.hears(ok(request));
  alice.hears(ok(answer("c", "A", "B", bob.sdp())));
  pass({&alice, &bob}, 2s);
  const auto leg_of = [&](const Endpoint& from) {
    WherePacket packet;
    packet.from = from;
    packet.to = kIcePort;
    packet.type = PayloadType{8};
    return world_->manager().where("c", packet, world_->clock()).value("leg", "");
  };
  EXPECT_EQ(leg_of(alice.at()), "A");
  EXPECT_EQ(leg_of(bob.at()), "B");
  EXPECT_EQ(leg_of(at('X', 5001)), "");
}

TEST_P(OnePort, DTL3_AHelloThatOvertakesTheCheckIsHeld) {
  // From ports whose datagrams come to the call's worker and to others.
  for (std::uint16_t n = 0; n < 3; ++n) {
    SCOPED_TRACE(n);
    IcePhone browser(*world_, at('B', static_cast<std::uint16_t>(5001 + n)), "bob" + std::to_string(n), true);
    calls_phone("c" + std::to_string(n), browser);
    // It has sent and answered no check yet.
    browser.begin_handshake();
    world_->run(world_->elapsed() + 20ms);
    // It would repeat the hello after a second.
    pass({&browser}, 600ms);
    EXPECT_NE(browser.keys_end(), nullptr);
    EXPECT_EQ(talk(browser), Both(20, 20));
    ok({{"command", "delete"}, {"call-id", "c" + std::to_string(n)}, {"delete-delay", 0}});
  }
}

TEST_P(OnePort, ONE3_ACandidateThatIsTrickledDoesNotMakeThePortBothEnds) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  calls_phone("c", browser);
  const std::string fragment = "a=ice-ufrag:" + browser.plan.own.ufrag +
                               "\r\na=ice-pwd:" + browser.plan.own.password +
                               "\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n" + "a=candidate:9 1 udp 2130706431 " +
                               world_->relay_address().to_string() + " 29000 typ host\r\n";
  json trickled = offer("c", "B", fragment);
  trickled["flags"] = {"fragment"};
  ok(trickled);
  ASSERT_EQ(world_->manager().find("c")->legs[0]->transports.front().ice->theirs.candidates.size(), 2u);
  pass({&browser}, 5s);
  EXPECT_EQ(talk(browser), Both(20, 20));
}

TEST_P(OnePort, ONE3_WhoMightHaveNoIceOrNoMuxHasPortsOfItsOwn) {
  // ICE for whoever it is: a peer without it could not be told apart.
  json force = offer("f", "A", audio_sdp(at('A')));
  force.update({{"ICE", "force"}, {"rtcp-mux", {"offer"}}});
  EXPECT_NE(World::port_of(ok(force)), kIcePort);
  // No rtcp-mux: RTCP would need a port.
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  std::string sdp = browser.sdp();
  sdp.erase(sdp.find("a=rtcp-mux\r\n"), 12);
  ok(offer_of("m", sdp));
  EXPECT_NE(World::port_of(ok(answer("m", "B", "A", audio_sdp(at('A'))))), kIcePort);
  json reject = offer_of("r", browser.sdp());
  reject.update({{"rtcp-mux", {"reject"}}});
  ok(reject);
  EXPECT_NE(World::port_of(ok(answer("r", "B", "A", audio_sdp(at('A'))))), kIcePort);
  // A lite agent never asks for an answer, which would prove where the party was reached.
  json lite = offer_of("l", browser.sdp());
  lite["ICE-lite"] = "backward";
  ok(lite);
  EXPECT_NE(World::port_of(ok(answer("l", "B", "A", audio_sdp(at('A'))))), kIcePort);
  // Parties that do ICE with each other have ufrags of their own, which tell nobody apart here.
  IcePhone other(*world_, at('C', 5002), "carol", true);
  for (const std::string word : {"optional", "force-relay"}) {
    json beside = offer("o" + word, "B", browser.sdp());
    beside["ICE"] = word;
    const json replies = {ok(beside), ok(answer("o" + word, "B", "C", other.sdp()))};
    EXPECT_NE(replies.dump().find("a=candidate"), std::string::npos) << replies;
    EXPECT_EQ(replies.dump().find(" 29000 "), std::string::npos) << replies;
  }
  // A branch that answers a browser's offer without ICE.
  ok(offer("n", "A", audio_sdp(at('A'))));
  ok(answer("n", "A", "B", audio_sdp(at('B'))));
  json branch = answer("n", "A", "B2", audio_sdp(at('C')));
  branch["flags"] = {"new-branch"};
  ok(branch);
  const json legs = world_->manager().show("n", world_->clock())["legs"];
  EXPECT_EQ(legs.dump().find(":29000"), std::string::npos) << legs;
  // No ICE at all.
  ok(offer("p", "B", audio_sdp(at('B'))));
  EXPECT_NE(World::port_of(ok(answer("p", "B", "A", audio_sdp(at('A'))))), kIcePort);
}

TEST_P(OnePort, ONE3_ALegBehindThePortItselfHasPortsOfItsOwn) {
  // The offer of another call of this relay, by way of the proxy: both ends at one port would have one
  // five-tuple.
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  std::string sdp = browser.sdp();
  const std::string theirs = browser.at().address.to_string() + " 5001 typ host";
  sdp.replace(sdp.find(theirs), theirs.size(), world_->relay_address().to_string() + " 29000 typ host");
  ok(offer_of("h", sdp));
  EXPECT_NE(World::port_of(ok(answer("h", "B", "A", audio_sdp(at('A'))))), kIcePort);
}

TEST_P(OnePort, ONE6_PartiesBehindOnePortOfAServerAreNoAliases) {
  // Two parties behind a server that multiplexes too: one address and port, two ufrags.
  const auto behind = [](const std::string& ufrag) {
    return audio_sdp({*IpAddress::parse("192.0.2.50"), UdpPort{3478}},
                     "a=rtcp-mux\r\na=ice-ufrag:" + ufrag + "\r\na=ice-pwd:PasswordOfEnoughLetters\r\n");
  };
  const auto offered = [&](const std::string& tag, const std::string& ufrag) {
    json request = offer("s", tag, behind(ufrag));
    request.update({{"alias-key", "address"}});
    ok(request);
    return world_->manager().show("s", world_->clock())["legs"].size();
  };
  const std::size_t two = offered("one", "ufrag1");
  EXPECT_EQ(offered("again", "ufrag1"), two) << "the same party under another tag";
  EXPECT_GT(offered("two", "ufrag2"), two);
}

TEST_P(OnePort, ARestartAndAReloadStayOnThePort) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  calls_phone("c", browser);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), Both(20, 20));
  const std::string before = browser.plan.peer.ufrag;
  browser.restart();
  calls_phone("c", browser);
  EXPECT_NE(browser.plan.peer.ufrag, before);
  EXPECT_NE(text_.find("m=audio 29000 "), std::string::npos) << text_;
  pass({&browser}, 2s);
  EXPECT_EQ(talk(browser), Both(20, 20));
}

TEST_P(OnePort, AnExportedCallComesBackToThePort) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  calls_phone("c", browser);
  pass({&browser}, 2s);
  ASSERT_EQ(talk(browser), Both(20, 20));
  const json record = world_->manager().export_call("c", world_->clock());
  ok({{"command", "delete"}, {"call-id", "c"}, {"delete-delay", 0}});
  world_->run(world_->elapsed() + 20ms);
  const auto restored = world_->manager().restore_call(record, world_->clock());
  ASSERT_TRUE(restored) << restored.error();
  world_->manager().flush(world_->clock());
  pass({&browser}, 7s);
  EXPECT_EQ(talk(browser), Both(20, 20));
}

TEST_P(OnePort, ONE4_ACallMovesToAnotherWorkerAndBack) {
  if (GetParam() == 1) return;
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  calls_phone("c", browser);
  pass({&browser}, 2s);
  for (const std::size_t worker : {1u, 0u, 1u}) {
    world_->manager().move_call("c", worker);
    EXPECT_EQ(talk(browser), Both(20, 20)) << worker << ": at once";
    pass({&browser}, 7s);
    EXPECT_EQ(talk(browser), Both(20, 20)) << worker;
  }
}

TEST_P(OnePort, ONE4_ACallMovesWhileItsFirstChecksAreUnderWay) {
  if (GetParam() == 1) return;
  for (int n = 0; n < 6; ++n) {
    IcePhone browser(*world_, at('B', static_cast<std::uint16_t>(5001 + n)), "bob" + std::to_string(n), true);
    calls_phone("c", browser);
    pass({&browser}, n * 20ms);
    world_->manager().move_call("c", n % 2 == 0 ? 1 : 0);
    pass({&browser}, 3s);
    EXPECT_EQ(talk(browser), Both(20, 20)) << n;
    ok({{"command", "delete"}, {"call-id", "c"}, {"delete-delay", 0}});
  }
}

TEST_P(OnePort, ONE3_AnAnswerWithoutIceIsSentNothingFromThePort) {
  // The callee names the place of somebody else, whose agent would take what comes from that very port.
  world_->open(at('V'));
  json request = offer("c", "A", audio_sdp(at('A')));
  request.update(kWebRtc);
  ok(request);
  std::string plain = audio_sdp(at('V'));
  plain.replace(plain.find("RTP/AVP"), 7, "UDP/TLS/RTP/SAVPF");
  plain += "a=rtcp-mux\r\na=setup:active\r\na=fingerprint:sha-256 01";
  for (int i = 1; i < 32; ++i) plain += ":23";
  const json answered = world_->ng(answer("c", "A", "B", plain + "\r\n"));
  const Endpoint relay{world_->relay_address(),
                       answered["result"] == "ok" ? World::port_of(answered) : UdpPort{1}};
  for (int i = 0; i < 100; ++i) {
    world_->send(at('A'), relay, rtp('A', 1, static_cast<std::uint16_t>(i)));
    world_->run(world_->elapsed() + 20ms);
  }
  EXPECT_EQ(world_->count(at('V')), 0u) << answered;
}

TEST_P(OnePort, ONE5_I01_ForgedChecksAndStrangersChangeNothing) {
  IcePhone browser(*world_, at('B', 5001), "bob", true);
  calls_phone("c", browser);
  pass({&browser}, 2s);
  const Endpoint port{world_->relay_address(), kIcePort};
  const std::string username = browser.plan.peer.ufrag + ":" + browser.plan.own.ufrag;
  stun::Contents contents;
  contents.username = username;
  contents.use_candidate = true;
  contents.controlling = 1;
  const auto forged = stun::write(stun::Kind::kRequest, {std::byte{9}}, contents, "a wrong password");
  for (std::uint16_t n = 0; n < 300; ++n) {
    world_->send(at('X', static_cast<std::uint16_t>(7000 + n)), port, forged);
    world_->send(at('X', static_cast<std::uint16_t>(7000 + n)), port, rtp('X', 2, sequence_));
    world_->send(browser.at(), port, forged);
  }
  EXPECT_EQ(talk(browser), Both(20, 20));
  for (const Received& each : world_->received()) EXPECT_NE(each.at.address, at('X').address) << "I-02";
}

// The same on sockets of the loopback range, where the kernel chooses the worker by its hash.
TEST(OnePortOnSockets, ONE4_BrowsersHearEachOtherThroughThreeWorkers) {
  WorldOptions options = one_port(3);
  // Two runs of this test on one host need two ports.
  options.ice_port = UdpPort{static_cast<std::uint16_t>(20'000 + getpid() % 9'000)};
  const auto world = make_live_world(options);
  std::vector<std::unique_ptr<IcePhone>> all;
  for (std::uint16_t n = 0; n < 6; ++n)
    all.push_back(std::make_unique<IcePhone>(
        *world, Endpoint{world->peer_address(1, 'A'), UdpPort{static_cast<std::uint16_t>(41'000 + n)}},
        "P" + std::to_string(n), true));
  for (std::size_t n = 0; n < all.size(); n += 2) {
    json request = offer("c" + std::to_string(n), "A", all[n]->sdp());
    request.update(kWebRtc);
    const json offered = world->ng(request);
    ASSERT_EQ(World::port_of(offered), options.ice_port) << offered;
    all[n + 1]->hears(offered);
    all[n]->hears(world->ng(answer("c" + std::to_string(n), "A", "B", all[n + 1]->sdp())));
  }
  const auto step = [&] {
    for (const auto& each : all) each->drive();
    world->run(world->elapsed() + 20ms);
    for (const auto& each : all) each->listen();
  };
  const auto has_keys = [](const auto& each) { return each->keys_end() != nullptr; };
  // As many steps as a busy host needs; far fewer are usual.
  for (int n = 0; n < 200 && !std::ranges::all_of(all, has_keys); ++n) step();
  ASSERT_TRUE(std::ranges::all_of(all, has_keys));
  for (int n = 0; n < 10; ++n) step();  // the relay's end of the last handshake
  for (std::uint16_t sequence = 1; sequence <= 10; ++sequence) {
    for (std::size_t n = 0; n < all.size(); ++n)
      all[n]->send(rtp(static_cast<char>('a' + n), static_cast<std::uint32_t>(n + 1), sequence));
    step();
  }
  for (int n = 0; n < 5; ++n) step();
  for (std::size_t n = 0; n < all.size(); ++n) {
    EXPECT_EQ(all[n]->heard.size(), 10u) << n;
    for (const Packet& each : all[n]->heard) EXPECT_EQ(sender_of(each), static_cast<char>('a' + (n ^ 1)));
  }
}

}  // namespace
}  // namespace ferry::one_port_calls_test
