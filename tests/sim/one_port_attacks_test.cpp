// SPDX-License-Identifier: Apache-2.0
// Attacks on the one port for ICE (docs/rules.md, rows I-10 to I-13), with one or more workers in turn. Each
// row has two calls that talk meanwhile and must not notice.

#include "tests/support/fake_dtls.hpp"
#include "tests/support/ice_phone.hpp"

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::one_port_attacks_test {
namespace {

using namespace ferry::test;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr UdpPort kIcePort{29'000};

class Attack : public ::testing::TestWithParam<std::size_t> {
 protected:
  static WorldOptions options() {
    WorldOptions made;
    made.ice_port = kIcePort;
    made.workers = GetParam();
    return made;
  }
  [[nodiscard]] Endpoint at(char who, std::uint16_t port) const {
    return {world_->peer_address(1, who), UdpPort{port}};
  }
  [[nodiscard]] Endpoint one_port() const { return {world_->relay_address(), kIcePort}; }
  IcePhone& browser(char who, std::uint16_t port, const std::string& name) {
    return *browsers_.emplace_back(std::make_unique<IcePhone>(*world_, at(who, port), name, true));
  }
  json ok(const json& request) {
    json reply = world_->ng(request);
    EXPECT_EQ(reply["result"], "ok") << reply;
    return reply;
  }
  void join(const std::string& call, IcePhone& caller, IcePhone& callee) {
    json request = offer(call, "A", caller.sdp());
    request.update({{"flags", {"WebRTC"}}});
    callee.hears(ok(request));
    caller.hears(ok(answer(call, "A", "B", callee.sdp())));
  }
  void pass(Duration time) {
    for (Duration done{0}; done < time; done += 20ms) {
      for (const auto& each : browsers_) each->drive();
      world_->run(world_->elapsed() + 20ms);
      for (const auto& each : browsers_) each->listen();
    }
  }
  /// How many packets of two parties arrived at the other, and how many of somebody else.
  struct Talked {
    std::size_t arrived = 0;
    std::size_t wrong = 0;
  };
  /// Lets them send 50 packets each. Before each of them `attack` is carried out.
  template <class Deed>
  Talked talk(IcePhone& first, IcePhone& second, Deed attack) {
    const std::array<std::size_t, 2> before = {first.heard.size(), second.heard.size()};
    for (std::uint16_t n = 0; n < 50; ++n, ++sequence_) {
      attack(n);
      first.send(rtp('F', 1, sequence_));
      second.send(rtp('S', 2, sequence_));
      pass(20ms);
    }
    Talked talked;
    const auto add = [&](const IcePhone& phone, std::size_t from, char sender) {
      for (std::size_t i = from; i < phone.heard.size(); ++i)
        ++(sender_of(phone.heard[i]) == sender ? talked.arrived : talked.wrong);
    };
    add(first, before[0], 'S');
    add(second, before[1], 'F');
    return talked;
  }
  /// An answer that carries `mark` where a worker's number may stand.
  static Packet answer_to_nobody(std::uint8_t mark, std::uint32_t n) {
    stun::TransactionId transaction{};
    transaction[0] = std::byte{mark};
    for (std::size_t i = 0; i < 4; ++i) transaction[i + 1] = std::byte(n >> (8 * i));
    stun::Contents contents;
    contents.mapped = {IpAddress::v4({192, 0, 2, 1}), UdpPort{1}};
    return stun::write(stun::Kind::kSuccess, transaction, contents, "any password");
  }
  /// Something that looks like a ClientHello, and a ClientHello.
  static Packet half_a_hello() { return bytes_of({22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4}); }
  static Packet client_hello() { return dtls_message(kClientHello, 0, hello_body(FakeRandom{})); }
  /// Opens places of strangers, so that whatever is sent there is seen.
  std::vector<Endpoint> strangers(std::size_t count) {
    std::vector<Endpoint> all;
    for (std::size_t n = 0; n < count; ++n) {
      all.push_back(at('X', static_cast<std::uint16_t>(7000 + n)));
      world_->open(all.back());
    }
    return all;
  }
  [[nodiscard]] std::size_t sent_to(const IpAddress& address) const {
    return static_cast<std::size_t>(std::ranges::count_if(
        world_->received(), [&](const Received& each) { return each.at.address == address; }));
  }

  std::unique_ptr<World> world_ = make_sim_world(options());
  std::vector<std::unique_ptr<IcePhone>> browsers_;
  std::uint16_t sequence_ = 1;
};
INSTANTIATE_TEST_SUITE_P(Workers, Attack, ::testing::Values(1, 2, 4));

TEST_P(Attack, I10_StrangersThatGuessTheFiveTuple) {
  IcePhone& alice = browser('A', 5000, "alice");
  IcePhone& bob = browser('B', 5001, "bob");
  join("c", alice, bob);
  pass(2s);
  const auto places = strangers(4);
  const auto talked = talk(alice, bob, [&](std::uint16_t n) {
    // From places of its own, and with the parties' address and port in the header.
    std::vector<Endpoint> sources = places;
    sources.insert(sources.end(), {alice.at(), bob.at()});
    for (const Endpoint& from : sources) {
      world_->send(from, one_port(), rtp('X', 1, static_cast<std::uint16_t>(sequence_ + 1)));
      world_->send(from, one_port(), half_a_hello());
      // From the parties' places it would be a forged message of an association, which row D-03 is about.
      if (from.address == places[0].address) world_->send(from, one_port(), client_hello());
      world_->send(from, one_port(), stun_check(alice.check_name(), "a wrong password", n));
      world_->send(from, one_port(), stun_check(bob.check_name(), "a wrong password", n));
      for (std::uint8_t mark = 0; mark < 4; ++mark) world_->send(from, one_port(), answer_to_nobody(mark, n));
    }
  });
  EXPECT_EQ(talked.arrived, 100u);
  EXPECT_EQ(talked.wrong, 0u);
  EXPECT_EQ(sent_to(places[0].address), 0u) << "I-02";
  // Consent goes on as well: nothing of it was upset.
  pass(40s);
  EXPECT_EQ(talk(alice, bob, [](std::uint16_t) {}).arrived, 100u);
}

TEST_P(Attack, I11_AFloodOfUnknownUfragsIsDroppedAndCounted) {
  IcePhone& alice = browser('A', 5000, "alice");
  IcePhone& bob = browser('B', 5001, "bob");
  join("c", alice, bob);
  pass(2s);
  const auto places = strangers(1000);
  std::mt19937 random(1);
  const auto talked = talk(alice, bob, [&](std::uint16_t n) {
    for (std::size_t i = 0; i < 200; ++i) {
      const Endpoint& from = places[random() % places.size()];
      const auto number = static_cast<std::uint32_t>(n * 200 + i);
      if (i % 3 == 0)
        world_->send(from, one_port(), stun_check("Nobody" + std::to_string(random()) + ":x", "any", number));
      else if (i % 3 == 1)
        world_->send(from, one_port(), answer_to_nobody(static_cast<std::uint8_t>(i), number));
      else
        world_->send(from, one_port(), client_hello());
    }
  });
  EXPECT_EQ(talked.arrived, 100u);
  EXPECT_EQ(talked.wrong, 0u);
  EXPECT_EQ(sent_to(places[0].address), 0u) << "no octet comes back (LIM-2)";
}

TEST_P(Attack, I12_AnAuthenticCheckWithTheAddressOfAnotherCallsParty) {
  IcePhone& alice = browser('A', 5000, "alice");
  IcePhone& bob = browser('B', 5001, "bob");
  IcePhone& mallory = browser('M', 5002, "mallory");
  IcePhone& trudy = browser('T', 5003, "trudy");
  join("c", alice, bob);
  join("m", mallory, trudy);
  pass(2s);
  const std::size_t before = mallory.heard.size() + trudy.heard.size();
  const auto talked = talk(alice, bob, [&](std::uint16_t n) {
    for (const Endpoint& victim : {alice.at(), bob.at()})
      world_->send(victim, one_port(), stun_check(mallory.check_name(), mallory.plan.peer.password, n));
  });
  EXPECT_EQ(talked.arrived, 100u);
  EXPECT_EQ(talked.wrong, 0u);
  EXPECT_EQ(mallory.heard.size() + trudy.heard.size(), before);
  EXPECT_EQ(talk(mallory, trudy, [](std::uint16_t) {}).arrived, 100u) << "its own call is none the worse";
  // The same while Alice and Bob are silent.
  for (std::uint32_t n = 0; n < 100; ++n) {
    for (const Endpoint& victim : {alice.at(), bob.at()})
      world_->send(victim, one_port(),
                   stun_check(mallory.check_name(), mallory.plan.peer.password, 1000 + n));
    pass(200ms);
  }
  EXPECT_EQ(talk(alice, bob, [](std::uint16_t) {}).arrived, 100u);
}

TEST_P(Attack, I13_TwoSessionsAtOneEndpoint) {
  IcePhone& alice = browser('A', 5000, "alice");
  IcePhone& bob = browser('B', 5001, "bob");
  IcePhone& carol = browser('C', 5002, "carol");
  // A server with one port of its own: the second session has Bob's address and port.
  IcePhone& second = browser('B', 5001, "second");
  join("c", alice, bob);
  pass(2s);
  join("d", carol, second);
  const auto talked = talk(alice, bob, [](std::uint16_t) {});
  EXPECT_EQ(talked.arrived, 100u);
  EXPECT_EQ(talked.wrong, 0u);
  EXPECT_FALSE(second.agent.selected(Component::kRtp)) << "it gets no answer";
  EXPECT_TRUE(carol.heard.empty());
}

}  // namespace
}  // namespace ferry::one_port_attacks_test
