// SPDX-License-Identifier: Apache-2.0
// Who can spoil whose handshake (DTL-13): one party, a relay and whoever sends to the relay,
// with a back end without cryptography and in virtual time.
#include "relay/core/dtls/dtls_channel.hpp"

#include "tests/support/fake_dtls.hpp"

#include <functional>
#include <map>
#include <random>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;
using State = DtlsChannel::State;

const Endpoint kRelay = *Endpoint::parse("203.0.113.1:30000");
const Endpoint kSignalled = *Endpoint::parse("192.0.2.10:4000");
const Endpoint kOtherPort = *Endpoint::parse("192.0.2.10:5555");    // rank 3
const Endpoint kProxySide = *Endpoint::parse("198.51.100.7:4444");  // rank 2: where signalling came from
const Endpoint kStranger = *Endpoint::parse("198.51.100.99:4000");  // rank 1

constexpr Duration kOneWay = 10ms;

/// Octets that came from an address and left for it.
struct Traffic {
  std::size_t in = 0;
  std::size_t out = 0;
  std::vector<Octets> heard;
};

/// The relay with one party. The party hears what is sent to `outside`, where its NAT has it.
class Net {
 public:
  Net(DtlsRole relay_role, double loss, bool is_proven = false, const Endpoint& outside = kSignalled)
      : outside_(outside), is_proven_(is_proven), loss_(loss) {
    relay_plan.identity = std::make_shared<FakeIdentity>(now, 1);
    relay_plan.role = relay_role;
    party_plan.identity = std::make_shared<FakeIdentity>(now, 2);
    party_plan.role = relay_role == DtlsRole::kServer ? DtlsRole::kClient : DtlsRole::kServer;
    for (DtlsPlan* plan : {&relay_plan, &party_plan}) plan->association = 1;
    relay_plan.peer = {party_plan.identity->fingerprint(FingerprintHash::kSha256)};
    party_plan.peer = {relay_plan.identity->fingerprint(FingerprintHash::kSha256)};
  }

  /// A datagram reaches the relay at once, whoever sent it. Why the relay dropped it.
  DropReason send(const Endpoint& from, const Octets& octets) {
    traffic[from].in += octets.size();
    const bool may_speak = from.address == kSignalled.address || from.address == kProxySide.address;  // LAT-2
    if (!may_speak) {
      return relay.hold(from, octets, now) ? DropReason::kNone : DropReason::kSourceNotAllowed;
    }
    return relay.take(from, octets, relay_turn());
  }
  /// Both have keys, and the same ones.
  [[nodiscard]] bool is_complete() const {
    return relay.keys() && party.keys() && relay.keys()->send == party.keys()->receive;
  }
  void run(Duration time) {
    for (const Instant end = now + time; now < end; now += 1ms) step();
  }
  /// How long it takes until both have keys; nothing if they do not get any.
  std::optional<Duration> complete(
      const std::function<void()>& each_ms = [] {}, Duration most = 30s) {
    const Instant begin = now;
    for (; now < begin + most; now += 1ms) {
      each_ms();
      step();
      if (is_complete()) return now - begin;
    }
    return std::nullopt;
  }
  void step() {
    while (!wire_.empty() && wire_.begin()->first <= now) {
      const Flying flying = std::move(wire_.begin()->second);
      wire_.erase(wire_.begin());
      if (flying.is_for_relay)
        send(outside_, flying.octets);
      else if (now >= party_from)
        party.take(kRelay, flying.octets, party_turn());
    }
    relay.drive(is_void ? Path{} : way(), relay_turn());
    if (now >= party_from) party.drive(kRelay, party_turn());
  }
  /// Where the relay speaks to: the signalled address, or who came to keys.
  [[nodiscard]] Path way() const { return locked.is_set() ? locked : kSignalled; }

  Instant now{1h};
  DtlsPlan relay_plan;
  DtlsPlan party_plan;
  DtlsBudget budget;
  DtlsBudget party_budget;
  DtlsChannel relay;
  DtlsChannel party;
  std::map<Endpoint, Traffic> traffic;
  Endpoint locked;
  Instant party_from{};  // before that the party does nothing
  bool is_void = false;

 private:
  struct Flying {
    bool is_for_relay = false;
    Octets octets;
  };
  class Out final : public DatagramOutput {
   public:
    Out(Net& net, bool is_relay) : net_(net), is_relay_(is_relay) {}
    void send(const Endpoint& to, Bytes datagram) noexcept override {
      const Octets octets(datagram.begin(), datagram.end());
      if (is_relay_) {
        net_.traffic[to].out += octets.size();
        net_.traffic[to].heard.push_back(octets);
        if (to != net_.outside_) return;
      }
      if (std::uniform_real_distribution<>(0, 1)(net_.random_) < net_.loss_) return;
      net_.wire_.emplace(net_.now + kOneWay, Flying{!is_relay_, octets});
    }

   private:
    Net& net_;
    bool is_relay_;
  };
  DtlsTurn relay_turn() {
    return {relay_plan, budget, relay_out_, now, is_proven_, is_proven_ || is_void ? Endpoint{} : kSignalled};
  }
  DtlsTurn party_turn() { return {party_plan, party_budget, party_out_, now}; }

  Endpoint outside_;
  bool is_proven_;
  double loss_;
  std::mt19937 random_{3};
  std::multimap<Instant, Flying> wire_;
  Out relay_out_{*this, true};
  Out party_out_{*this, false};
};

struct Attack {
  const char* name;
  std::vector<Octets> datagrams;
};
const std::vector<Attack>& attacks() {
  static const FakeRandom kRandom = random_of(99);
  static const std::vector<Attack> kAll = {
      {"alert", {dtls_alert(1, 0), dtls_alert(2, 40)}},
      {"25 octets",
       {dtls_message(kServerHello, 0, {}), dtls_message(kServerHello, 0, {}),
        dtls_message(kServerHello, 0, {})}},
      {"garbage record",
       {dtls_record(22, 0, Octets(40, std::byte{0xee})), dtls_record(20, 0, Octets(1)),
        Octets(20, std::byte{22})}},
      {"hello", std::vector<Octets>(8, dtls_message(kClientHello, 0, hello_body(kRandom)))},
      {"short first piece",
       {dtls_message(kClientHello, 0, hello_body(kRandom), 0, 20),
        dtls_message(kClientHello, 0, hello_body(kRandom), 20)}},
      {"hello with a wrong cookie", {dtls_message(kClientHello, 1, hello_body(kRandom, Octets(20)))}},
      {"HelloVerifyRequest", {dtls_message(kHelloVerify, 0, Octets(23, std::byte{20}))}},
      {"ServerHello", {dtls_message(kServerHello, 0, server_hello_body(kRandom))}},
      {"ServerHello after the cookie", {dtls_message(kServerHello, 1, server_hello_body(kRandom))}},
      {"another certificate",
       {dtls_message(kServerHello, 0, server_hello_body(kRandom)), dtls_message(kCertificate, 1, Octets(35)),
        dtls_message(kServerHello, 1, server_hello_body(kRandom)),
        dtls_message(kCertificate, 2, Octets(35))}},
      {"ServerHelloDone",
       {dtls_message(kServerHelloDone, 0, {}), dtls_message(kServerHelloDone, 1, {}),
        dtls_message(kServerHelloDone, 2, {})}},
      {"ClientKeyExchange",
       {dtls_message(kClientKeyExchange, 1, Octets(33)), dtls_message(kClientKeyExchange, 2, Octets(33))}},
      {"encrypted",
       {dtls_record(22, 1, Octets(40)), dtls_record(23, 1, Octets(40)), dtls_record(21, 1, Octets(40))}},
  };
  return kAll;
}

/// Each attack in each stage, from one source, over and over until the handshake is complete or 100 ms
/// passed.
template <class Expect>
void play(const Endpoint& source, double loss, bool is_proven, Expect expect) {
  for (const DtlsRole role : {DtlsRole::kServer, DtlsRole::kClient}) {
    Net quiet(role, loss, is_proven);
    const auto undisturbed = quiet.complete();
    ASSERT_TRUE(undisturbed);
    for (const Attack& attack : attacks()) {
      for (const Duration begin : {0ms, 5ms, 15ms, 25ms, 35ms, 55ms}) {
        SCOPED_TRACE(std::string(attack.name) +
                     (role == DtlsRole::kServer ? ", relay is server" : ", relay is client") + ", after " +
                     std::to_string(begin / 1ms) + " ms, loss " + std::to_string(loss));
        Net net(role, loss, is_proven);
        const Instant from = net.now + begin;
        std::size_t sent = 0;
        const auto took = net.complete([&] {
          if (net.now < from || sent == attack.datagrams.size()) return;
          for (const Octets& each : attack.datagrams) net.send(source, each);
          sent = attack.datagrams.size();
        });
        expect(net, *undisturbed, took, role);
      }
    }
  }
}

TEST(DtlsAttacks, DTL13_WhatAnotherSourceSendsChangesNothing) {
  for (const Endpoint& source : {kOtherPort, kProxySide, kStranger}) {
    for (const double loss : {0.0, 0.3}) {
      play(source, loss, false, [&](Net& net, Duration undisturbed, std::optional<Duration> took, DtlsRole) {
        ASSERT_TRUE(took);
        EXPECT_EQ(*took, undisturbed);
        const Traffic& theirs = net.traffic[source];
        EXPECT_LE(theirs.out, theirs.in) << "LIM-2";
        EXPECT_TRUE(source != kStranger || theirs.out == 0);
      });
    }
  }
}

TEST(DtlsAttacks, DTL13_D02_AForgedDatagramWithTheRightSourceCostsAtMostARound) {
  for (const bool is_proven : {false, true}) {
    play(kSignalled, 0, is_proven,
         [&](Net&, Duration undisturbed, std::optional<Duration> took, DtlsRole role) {
           ASSERT_TRUE(took);
           // A party that began, and whose handshake was ended here, begins anew when its own tries are used
           // up.
           const Duration round = role == DtlsRole::kClient ? Duration(1s) : Duration(7s);
           EXPECT_LE(*took, undisturbed + round + 100ms);
         });
  }
}

TEST(DtlsAttacks, DTL13_ForgedDatagramsUseUpNoRounds) {
  // One each 300 ms for 15 s, from the right source, while the party is not there. Then it is.
  for (const Attack& attack : attacks()) {
    SCOPED_TRACE(attack.name);
    Net net(DtlsRole::kClient, 0);
    net.party_from = net.now + 15s;
    for (int i = 0; i < 50; ++i) {
      for (const Octets& each : attack.datagrams) net.send(kSignalled, each);
      net.run(300ms);
    }
    const auto took = net.complete();
    ASSERT_TRUE(took);
    EXPECT_LE(*took, 4s) << "the last round repeats its hello each 3.2 s by then";
  }
}

TEST(DtlsAttacks, DTL13_SpoiledRoundsFollowEachOtherAtMostOnceIn900Ms) {
  Net net(DtlsRole::kClient, 0);
  net.party_from = Instant::max();
  for (int i = 0; i < 1000; ++i) {
    net.send(kSignalled, dtls_message(kServerHelloDone, 0, {}));
    net.run(10ms);
  }
  std::size_t hellos = 0;
  for (const Octets& each : net.traffic[kSignalled].heard) hellos += is_hello_piece(each);
  EXPECT_GE(hellos, 10u);
  EXPECT_LE(hellos, 13u);
}

/// A party with ten sockets at one host: it proves each of them, and goes no further.
void begin_half_open(Net& net, const Endpoint& from, std::uint64_t number) {
  const FakeRandom random = random_of(number);
  net.send(from, dtls_message(kClientHello, 0, hello_body(random)));
  const Traffic& traffic = net.traffic[from];
  if (traffic.heard.empty()) return;
  const Octets& request = traffic.heard.back();
  if (read_u8(request, 13) != kHelloVerify) return;
  const Bytes cookie = Bytes(request).subspan(13 + 12 + 3);
  net.send(from, dtls_message(kClientHello, 1, hello_body(random, cookie)));
}

Endpoint port_of(const Endpoint& host, unsigned port) {
  return {host.address, UdpPort{static_cast<std::uint16_t>(port)}};
}

TEST(DtlsAttacks, DTL13_HalfOpenHandshakesOfOneSourceNeverBlockAnother) {
  for (const Endpoint& outside : {kSignalled, kOtherPort, kProxySide}) {
    SCOPED_TRACE(outside.to_string());
    Net quiet(DtlsRole::kServer, 0, false, outside);
    const auto undisturbed = quiet.complete();
    ASSERT_TRUE(undisturbed);
    Net net(DtlsRole::kServer, 0, false, outside);
    for (unsigned i = 0; i < 10; ++i) begin_half_open(net, port_of(kSignalled, 6000 + i), i);
    for (unsigned i = 0; i < 10; ++i) begin_half_open(net, port_of(kProxySide, 6000 + i), 100 + i);
    EXPECT_LE(net.budget.pending(), DtlsParties::kMostOthers);
    // One more each 50 ms beside it.
    unsigned more = 0;
    const auto took = net.complete([&] {
      if (++more % 50 == 0) begin_half_open(net, port_of(kSignalled, 7000 + more), 1000 + more);
    });
    ASSERT_TRUE(took);
    EXPECT_EQ(*took, *undisturbed);
    EXPECT_EQ(net.relay.peer(), outside);
  }
}

TEST(DtlsAttacks, DTL4_DTL13_OneSourceBeginsFourTimesAndThenOnceASecond) {
  Net net(DtlsRole::kServer, 0);
  net.party_from = Instant::max();
  for (std::uint64_t i = 0; i < 100; ++i) {
    begin_half_open(net, kOtherPort, i);
    net.run(50ms);
  }
  std::size_t begun = 0;
  for (const Octets& each : net.traffic[kOtherPort].heard)
    begun += read_u8(each, 13) == kServerHello && read_u16(each, 13 + 4) == 1;
  EXPECT_LE(net.relay.evidence()->furthest()->begun, 4u + 5u);
  EXPECT_GE(net.relay.evidence()->furthest()->begun, 4u + 3u);
  EXPECT_GT(begun, 0u);
}

TEST(DtlsAttacks, DTL13_TheCookieAndWhatItCoversLieInTheFirstPiece) {
  // A whole hello of 1,200 octets, cut behind each octet of its beginning: none but those with the cookie
  // draw an answer.
  const FakeRandom random = random_of(5);
  const Octets body = hello_body(random, Octets(20, std::byte{1}), 1000);
  const std::size_t with_cookie = 2 + 32 + 1 + 1 + 20;
  for (std::size_t cut = 1; cut < 120; ++cut) {
    Net net(DtlsRole::kServer, 0);
    net.party_from = Instant::max();
    const DropReason first = net.send(kSignalled, dtls_message(kClientHello, 0, body, 0, cut));
    const DropReason second = net.send(kSignalled, dtls_message(kClientHello, 0, body, cut));
    EXPECT_EQ(first, cut < with_cookie ? DropReason::kDtlsNoCookie : DropReason::kNone) << cut;
    EXPECT_EQ(second, DropReason::kDtlsNoCookie) << cut;
    const Traffic& traffic = net.traffic[kSignalled];
    EXPECT_EQ(traffic.heard.size(), cut < with_cookie ? 0u : 1u) << cut;
    EXPECT_LE(traffic.out, traffic.in) << "LIM-2";
    EXPECT_EQ(net.budget.pending(), 0u);
  }
}

TEST(DtlsAttacks, DTL13_PiecesOfOneSourceDoNotMixWithThoseOfAnother) {
  Net net(DtlsRole::kServer, 0);
  net.party_from = Instant::max();
  const FakeRandom random = random_of(5);
  net.send(kSignalled, dtls_message(kClientHello, 0, hello_body(random)));
  const Octets request = net.traffic[kSignalled].heard.back();
  const Octets body = hello_body(random, Bytes(request).subspan(13 + 12 + 3));
  EXPECT_EQ(net.send(kSignalled, dtls_message(kClientHello, 1, body, 0, 80)), DropReason::kNone);
  EXPECT_EQ(net.send(kOtherPort, dtls_message(kClientHello, 1, Octets(body.size()), 80)),
            DropReason::kDtlsNoCookie);
  EXPECT_EQ(net.budget.pending(), 0u);
  EXPECT_EQ(net.send(kSignalled, dtls_message(kClientHello, 1, body, 80)), DropReason::kNone);
  EXPECT_EQ(net.budget.pending(), 1u);
}

TEST(DtlsAttacks, DTL13_AForgedHelloThatDrawsACookieDoesNotStopThePartyBehindIt) {
  // The party follows the request that somebody else's hello drew, is asked again and comes through.
  Net quiet(DtlsRole::kServer, 0);
  const auto undisturbed = quiet.complete();
  Net net(DtlsRole::kServer, 0);
  net.send(kSignalled, dtls_message(kClientHello, 0, hello_body(random_of(1))));
  const auto took = net.complete();
  ASSERT_TRUE(took && undisturbed);
  EXPECT_LE(*took, *undisturbed + 4 * kOneWay);
}

TEST(DtlsAttacks, DTL13_AClientAnswersARecordOfAnotherSourceWithNoMoreOctets) {
  Net net(DtlsRole::kClient, 0);
  net.party_from = Instant::max();
  for (int i = 0; i < 200; ++i) {
    net.send(kOtherPort, dtls_message(kHelloRequest, 0, {}));
    net.run(10ms);
    ASSERT_LE(net.traffic[kOtherPort].out, net.traffic[kOtherPort].in);
  }
  EXPECT_GT(net.traffic[kOtherPort].out, 0u) << "it is called when enough came from it";
}

TEST(DtlsAttacks, DTL13_APartyBehindAnotherPortIsCalledThereWhenItSpeaks) {
  for (const Endpoint& outside : {kOtherPort, kProxySide}) {
    for (const bool is_void : {false, true}) {
      Net net(DtlsRole::kClient, 0, false, outside);
      net.is_void = is_void;
      net.run(100ms);
      EXPECT_FALSE(net.is_complete());
      for (unsigned i = 0; i < 20; ++i)
        net.send(port_of(kSignalled, 6000 + i), dtls_message(kHelloRequest, 0, {}));
      int n = 0;
      const auto took = net.complete([&] {
        // It wants to begin as well, and says so more than once.
        if (n++ % 30 == 0) net.send(outside, dtls_message(kClientHello, 0, hello_body(random_of(3))));
        net.send(kStranger, dtls_alert(2, 80));
        net.send(port_of(kSignalled, 8000), dtls_message(kServerHello, 0, server_hello_body(random_of(4))));
      });
      ASSERT_TRUE(took);
      EXPECT_LE(*took, 10 * kOneWay);
      EXPECT_EQ(net.relay.peer(), outside);
    }
  }
}

TEST(DtlsAttacks, DTL13_TheFirstWithTheSignalledCertificateGivesTheKeysAndTheOthersGoOn) {
  // The party came to keys behind another port; the round with the signalled port goes on, and asks nobody
  // anew.
  Net net(DtlsRole::kClient, 0, false, kOtherPort);
  net.run(30ms);
  for (int i = 0; i < 2; ++i) net.send(kOtherPort, dtls_message(kClientHello, 0, hello_body(random_of(3))));
  ASSERT_TRUE(net.complete());
  const std::size_t sent = net.traffic[kSignalled].heard.size();
  net.locked = kOtherPort;  // the component
  net.run(10s);
  EXPECT_GT(net.traffic[kSignalled].heard.size(), sent) << "its tries go on";
  EXPECT_LE(net.traffic[kSignalled].heard.size(), 7u) << "and no other round begins";
  EXPECT_EQ(net.relay.peer(), kOtherPort);
  EXPECT_EQ(net.relay.state(), State::kReady);
  EXPECT_FALSE(net.relay.due(net.now) && *net.relay.due(net.now) < net.now + 1s) << "nothing spins";
}

TEST(DtlsAttacks, DTL13_AnotherCertificateOfAnotherSourceEndsItsHandshakeAlone) {
  Net net(DtlsRole::kServer, 0);
  net.party_from = net.now + 500ms;
  // A whole client with a certificate of its own behind another port.
  DtlsPlan plan = net.party_plan;
  plan.identity = std::make_shared<FakeIdentity>(net.now, 77);
  DtlsBudget budget;
  DtlsChannel client;
  struct ToRelay final : DatagramOutput {
    explicit ToRelay(Net& to) : net(to) {}
    void send(const Endpoint&, Bytes datagram) noexcept override {
      pending.emplace_back(datagram.begin(), datagram.end());
    }
    Net& net;
    std::vector<Octets> pending;
  } out(net);
  std::size_t heard = 0;
  for (int i = 0; i < 400; ++i) {
    client.drive(kRelay, {plan, budget, out, net.now});
    for (const Octets& each : std::exchange(out.pending, {})) net.send(kOtherPort, each);
    Traffic& traffic = net.traffic[kOtherPort];
    for (; heard < traffic.heard.size(); ++heard)
      client.take(kRelay, Octets(traffic.heard[heard]), {plan, budget, out, net.now});
    net.run(1ms);
  }
  EXPECT_EQ(net.relay.state(), State::kMismatch) << "told, while nobody else is there";
  EXPECT_EQ(net.relay.evidence()->furthest()->stage, DtlsStage::kWrongCertificate);
  EXPECT_EQ(net.relay.evidence()->furthest()->with, kOtherPort);
  const auto took = net.complete();
  ASSERT_TRUE(took);
  EXPECT_LE(*took, 100ms + 10 * kOneWay);
  EXPECT_EQ(net.relay.state(), State::kReady);
}

TEST(DtlsAttacks, DTL13_AlertsBeforeKeysAreKeptAsEvidence) {
  Net net(DtlsRole::kServer, 0);
  net.party_from = Instant::max();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(net.send(kSignalled, dtls_alert(2, 40)), DropReason::kDtlsAlert);
  EXPECT_EQ(net.send(kOtherPort, dtls_alert(1, 0)), DropReason::kDtlsAlert);
  ASSERT_NE(net.relay.evidence(), nullptr);
  std::map<std::string_view, std::uint32_t> seen;
  for (const auto& each : net.relay.evidence()->alerts) {
    if (each.times != 0) seen[to_string(each.alert)] = each.times;
  }
  const std::map<std::string_view, std::uint32_t> wanted = {{"handshake_failure", 3}, {"close_notify", 1}};
  EXPECT_EQ(seen, wanted);
  EXPECT_EQ(net.relay.state(), State::kWaiting);
}

TEST(DtlsAttacks, DTL13_TheStageIsThatOfWhoeverCameFurthest) {
  Net net(DtlsRole::kServer, 0);
  net.party_from = Instant::max();
  net.send(kOtherPort, dtls_message(kClientHello, 0, hello_body(random_of(1))));
  EXPECT_EQ(net.relay.evidence()->furthest()->stage, DtlsStage::kHello);
  EXPECT_EQ(net.relay.evidence()->furthest()->with, kOtherPort);
  begin_half_open(net, kSignalled, 2);
  EXPECT_EQ(net.relay.evidence()->furthest()->stage, DtlsStage::kUnderWay);
  EXPECT_EQ(net.relay.evidence()->furthest()->with, kSignalled);
  EXPECT_EQ(net.relay.evidence()->furthest()->begun, 1u);
}

}  // namespace
}  // namespace ferry::test
