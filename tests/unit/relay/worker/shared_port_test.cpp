// SPDX-License-Identifier: Apache-2.0
// One port for all ICE legs: parties with agents of their own at one or more workers that serve the port
// together (ONE-1 to ONE-4). The simulated network gives a datagram to the worker whose number its source
// port has modulo their number, as the kernel does by a hash.

#include "relay/io/sim/sim_network.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::shared_port_test {
namespace {

using namespace std::chrono_literals;
using Octets = std::vector<std::byte>;

const Endpoint kPort{IpAddress::v4({198, 18, 0, 1}), UdpPort{3478}};

Endpoint host(unsigned n, std::uint16_t port = 5000) {
  return {IpAddress::v4({10, 0, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)}),
          UdpPort{port}};
}

/// A browser with one candidate. Its agent is the relay's, for want of another that takes the time as a
/// value.
class Page final : public PortOutput {
 public:
  Page(SimNetwork& network, std::string name, const Endpoint& at)
      : network_(network), at_(at), own_{name + "Page", name + "PasswordOfEnoughLetters"} {}
  /// It is told whom it talks to.
  void call(const IceCredentials& relay, bool is_lite = false) {
    plan_.own = own_;
    plan_.peer = relay;
    plan_.locals = {AddressFamily::kIpv4};
    plan_.controlling = !is_lite;
    plan_.is_lite = is_lite;
    plan_.candidates = {{Component::kRtp, kPort, 1000}};
  }
  void drive() {
    agent_.follow(plan_, network_.now());
    agent_.drive({*this, network_.now()});
  }
  void take(const SimDatagram& datagram) {
    if (classify(datagram.payload) == DatagramClass::kStun)
      agent_.take({Component::kRtp, 0}, datagram.from, datagram.payload, {*this, network_.now()});
    else
      heard.push_back(datagram.payload);
  }
  void send(LocalPort, const Endpoint& to, Bytes datagram) noexcept override {
    if (!is_gone) network_.send_to_relay({at_, to, {datagram.begin(), datagram.end()}});
  }
  void speak(char letter, std::uint16_t sequence) {
    network_.send_to_relay({at_, kPort, test::rtp(letter, 7, sequence)});
  }
  [[nodiscard]] bool is_connected() const { return agent_.state() == IceAgent::State::kConnected; }
  [[nodiscard]] const Endpoint& at() const { return at_; }
  [[nodiscard]] const IceCredentials& credentials() const { return own_; }

  std::vector<Octets> heard;
  bool is_gone = false;

 private:
  SimNetwork& network_;
  Endpoint at_;
  IceCredentials own_;
  IcePlan plan_;
  IceAgent agent_;
};

/// A relay with workers that share a port, and the pages around it.
class SharedPortTest : public ::testing::Test {
 protected:
  void start(std::size_t workers) {
    handles_ = network_.activate_shared(kPort, 0, workers).value();
    const auto exchange = workers > 1 ? std::make_shared<Exchange>(workers) : nullptr;
    std::deque<bool> served(workers, false);
    for (std::size_t i = 0; i < workers; ++i) {
      workers_.push_back(
          std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                   std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{})));
      workers_[i]->set_number(static_cast<unsigned>(i));
      workers_[i]->post(AddSharedPort{handles_[i], exchange, &served[i]});
    }
    settle();
    for (const bool each : served) EXPECT_TRUE(each);
    network_.set_outlet([this](const SimDatagram& datagram) {
      const auto page = pages_.find(datagram.to);
      if (page != pages_.end() && !page->second->is_gone) page->second->take(datagram);
      return true;
    });
  }
  void settle() {
    for (bool again = true; again;) {
      again = false;
      for (const auto& worker : workers_) again |= worker->run_once() > 0;
    }
  }
  /// Lets time pass while everybody does what is due.
  void run(Duration time, Duration step = 20ms) {
    for (const Instant end = network_.now() + time; network_.now() < end;) {
      network_.advance_to(network_.now() + step);
      for (const auto& [at, page] : pages_) {
        if (!page->is_gone) page->drive();
      }
      settle();
    }
  }
  Page& open(const std::string& name, const Endpoint& at) {
    auto& page = pages_[at];
    page = std::make_unique<Page>(network_, name, at);
    return *page;
  }
  /// The relay's leg toward `page`, as transport `slot` of a worker. What it hears goes to `sink`.
  TransportPlan leg(std::uint32_t slot, const IceCredentials& own, const IceCredentials& page,
                    std::uint32_t sink, bool peer_is_lite = false) {
    auto ice = std::make_shared<IcePlan>();
    ice->own = own;
    ice->peer = page;
    ice->locals = {AddressFamily::kIpv4};
    ice->peer_is_lite = peer_is_lite;
    TransportPlan plan;
    plan.ice = ice;
    plan.rtcp_mux = plan.send_rtcp_muxed = true;
    plan.rtp_latch.policy = plan.rtcp_latch.policy = LatchPolicy::kOff;
    plan.rtp_latch.by_ice = plan.rtcp_latch.by_ice = true;
    SourcePlan source;
    source.media = MediaId{slot + 1};
    source.payloads.push_back({PayloadType{8}, G711Law::kNone, 0, false, 8000});
    Sink to;
    to.via = {sink, 0};
    to.to = MediaId{sink + 1};
    source.sinks = {to};
    plan.sources = {source};
    return plan;
  }
  void install(std::size_t worker, std::uint32_t slot, TransportPlan plan) {
    InstallTransport command;
    command.id = {slot, 0};
    command.plan = std::make_shared<const TransportPlan>(std::move(plan));
    command.ports = {handles_[worker], PortHandle{}};
    command.activity = std::make_shared<TransportActivity>();
    ASSERT_TRUE(workers_[worker]->post(std::move(command)));
    settle();
  }
  static IceCredentials relay_credentials(std::uint32_t slot) {
    return {"Relay" + std::to_string(slot), "RelayPasswordOfEnoughLetters"};
  }
  /// Joins two pages by a call at a worker, at slots `slot` and `slot` + 1.
  void join(std::size_t worker, std::uint32_t slot, Page& first, Page& second) {
    const IceCredentials a = relay_credentials(slot);
    const IceCredentials b = relay_credentials(slot + 1);
    install(worker, slot, leg(slot, a, first.credentials(), slot + 1));
    install(worker, slot + 1, leg(slot + 1, b, second.credentials(), slot));
    first.call(a);
    second.call(b);
  }
  [[nodiscard]] std::uint64_t dropped(DropReason reason) const {
    std::uint64_t sum = 0;
    for (const auto& worker : workers_)
      sum += worker->totals().drops[static_cast<std::size_t>(reason)].load();
    return sum;
  }
  void remove(std::size_t worker, std::uint32_t slot) {
    workers_[worker]->post(RemoveTransport{{slot, 0}});
    settle();
  }
  /// How many of `count` packets of `from` reach `to`.
  std::size_t passed(Page& from, Page& to, std::uint16_t count = 10) {
    const std::size_t before = to.heard.size();
    for (std::uint16_t n = 0; n < count; ++n) from.speak('A', next_++);
    settle();
    return to.heard.size() - before;
  }

  SimNetwork network_;
  std::vector<PortHandle> handles_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::map<Endpoint, std::unique_ptr<Page>> pages_;
  std::uint16_t next_ = 1;
};

TEST_F(SharedPortTest, TwoPartiesOfOneCallLiveOnOnePort) {
  start(1);
  Page& alice = open("Alice", host(1));
  Page& bob = open("Bob", host(2));
  join(0, 0, alice, bob);
  run(1s);
  ASSERT_TRUE(alice.is_connected());
  ASSERT_TRUE(bob.is_connected());
  EXPECT_EQ(passed(alice, bob), 10u);
  EXPECT_EQ(passed(bob, alice), 10u);
  EXPECT_EQ(dropped(DropReason::kForeignSource), 0u);
}

/// Which worker has the call, and by which workers the datagrams of the parties arrive.
struct Placing {
  std::size_t workers;
  std::size_t worker;
  std::uint16_t alice;
  std::uint16_t bob;
};
class Workers : public SharedPortTest, public ::testing::WithParamInterface<Placing> {};

TEST_P(Workers, ONE4_ACallIsReachedThroughEveryWorker) {
  const Placing& placing = GetParam();
  start(placing.workers);
  Page& alice = open("Alice", host(1, static_cast<std::uint16_t>(6000 + placing.alice)));
  Page& bob = open("Bob", host(2, static_cast<std::uint16_t>(6000 + placing.bob)));
  join(placing.worker, 0, alice, bob);
  run(1s);
  ASSERT_TRUE(alice.is_connected());
  ASSERT_TRUE(bob.is_connected());
  EXPECT_EQ(passed(alice, bob, 50), 50u);
  EXPECT_EQ(passed(bob, alice, 50), 50u);
  run(40s, 100ms);
  EXPECT_EQ(passed(alice, bob), 10u) << "consent goes on";
  remove(placing.worker, 0);
  EXPECT_EQ(passed(alice, bob), 0u);
  EXPECT_EQ(dropped(DropReason::kForeignSource), 10u) << "strangers, as before the call";
}
INSTANTIATE_TEST_SUITE_P(Table, Workers,
                         ::testing::Values(Placing{1, 0, 0, 0}, Placing{2, 0, 0, 0}, Placing{2, 0, 1, 0},
                                           Placing{2, 0, 1, 1}, Placing{2, 1, 0, 1}, Placing{4, 2, 1, 3}),
                         [](const auto& row) {
                           return std::to_string(row.param.workers) + "_" + std::to_string(row.param.worker) +
                                  "_" + std::to_string(row.param.alice) + std::to_string(row.param.bob);
                         });

TEST_F(SharedPortTest, TwoHundredPartiesOnOnePortAcrossTwoWorkers) {
  start(2);
  std::vector<Page*> all;
  for (unsigned n = 0; n < 200; ++n)
    all.push_back(&open("P" + std::to_string(n), host(n + 1, static_cast<std::uint16_t>(5000 + n / 3))));
  for (std::uint32_t n = 0; n < 200; n += 2) join(n / 2 % 2, n, *all[n], *all[n + 1]);
  run(2s);
  for (Page* each : all) ASSERT_TRUE(each->is_connected());
  for (std::size_t n = 0; n < all.size(); n += 2) {
    ASSERT_EQ(passed(*all[n], *all[n + 1], 3), 3u) << n;
    ASSERT_EQ(passed(*all[n + 1], *all[n], 3), 3u) << n;
  }
  for (Page* each : all) EXPECT_EQ(each->heard.size(), 3u) << "nobody hears another call";
}

TEST_F(SharedPortTest, APartyThatOnlyAnswersIsFoundByTheCheckThatItAnswers) {
  for (const std::uint16_t at : std::array<std::uint16_t, 2>{0, 1}) {
    SCOPED_TRACE(at);
    workers_.clear();
    pages_.clear();
    for (const PortHandle each : handles_) network_.release(each);
    start(2);
    Page& lite = open("Lite", host(1, static_cast<std::uint16_t>(6000 + at)));
    Page& bob = open("Bob", host(2));
    const IceCredentials a = relay_credentials(0);
    const IceCredentials b = relay_credentials(1);
    TransportPlan toward = leg(0, a, lite.credentials(), 1, true);
    auto ice = std::make_shared<IcePlan>(*toward.ice);
    ice->candidates = {{Component::kRtp, lite.at(), 1000}};
    toward.ice = ice;
    lite.call(a, true);
    install(0, 0, toward);
    install(0, 1, leg(1, b, bob.credentials(), 0));
    bob.call(b);
    run(2s);
    EXPECT_TRUE(lite.is_connected());
    EXPECT_EQ(passed(lite, bob), 10u);
    EXPECT_EQ(passed(bob, lite), 10u);
  }
}

TEST_F(SharedPortTest, ONE2_ONE5_AForgedCheckChangesNothing) {
  start(2);
  Page& alice = open("Alice", host(1, 6000));
  Page& bob = open("Bob", host(2, 6001));
  join(0, 0, alice, bob);
  run(1s);
  const auto forged = [](const std::string& name, const std::string& password) {
    const std::string username = name;
    stun::Contents contents;
    contents.username = username;
    contents.use_candidate = true;
    contents.controlling = 1;
    return stun::write(stun::Kind::kRequest, {std::byte{1}}, contents, password);
  };
  const std::uint64_t before = dropped(DropReason::kStunRefused);
  for (const std::uint16_t port : std::array<std::uint16_t, 2>{7000, 7001}) {
    // The ufrags are no secret to whoever sees a packet; the password is.
    for (const std::string name : {"Relay0:AlicePage", "Relay1:BobPage", "Relay9:x"})
      network_.send_to_relay({host(66, port), kPort, forged(name, "a wrong password")});
    settle();
    Octets media = test::rtp('X', 7, 9);
    network_.send_to_relay({host(66, port), kPort, media});
    settle();
  }
  EXPECT_EQ(dropped(DropReason::kStunRefused), before + 6);
  EXPECT_EQ(dropped(DropReason::kForeignSource), 2u);
  EXPECT_EQ(passed(alice, bob), 10u);
  // From so many places that her own would have to give way, if they were bound.
  for (std::uint16_t n = 0; n < 4 * PortTable::kMaxBindings; ++n)
    network_.send_to_relay({host(67, static_cast<std::uint16_t>(7000 + n)), kPort,
                            forged("Relay0:AlicePage", "a wrong password")});
  settle();
  EXPECT_EQ(passed(alice, bob), 10u);
  // The same from the address of a party.
  network_.send_to_relay({bob.at(), kPort, forged("Relay0:AlicePage", "a wrong password")});
  settle();
  EXPECT_EQ(passed(bob, alice), 10u);
}

TEST_F(SharedPortTest, ONE3_APartyCannotDrawTheMediaOfAnotherCallToItself) {
  start(2);
  Page& alice = open("Alice", host(1, 6000));
  Page& bob = open("Bob", host(2, 6001));
  Page& mallory = open("Mallory", host(3, 6000));
  Page& trudy = open("Trudy", host(4, 6001));
  join(0, 0, alice, bob);
  const IceCredentials own{"RelayM", "RelayPasswordOfEnoughLetters"};
  const IceCredentials other{"RelayT", "RelayPasswordOfEnoughLetters"};
  install(1, 0, leg(0, own, mallory.credentials(), 1));
  install(1, 1, leg(1, other, trudy.credentials(), 0));
  mallory.call(own);
  trudy.call(other);
  run(2s);
  ASSERT_TRUE(alice.is_connected() && bob.is_connected() && mallory.is_connected() && trudy.is_connected());
  // An authentic check of Mallory's session with Alice's address.
  const std::string username = own.ufrag + ":" + mallory.credentials().ufrag;
  stun::Contents contents;
  contents.username = username;
  contents.controlling = 5;
  ASSERT_EQ(passed(alice, bob), 10u);
  const auto forge = [&](int n) {
    network_.send_to_relay(
        {alice.at(), kPort, stun::write(stun::Kind::kRequest, {std::byte(n)}, contents, own.password)});
    settle();
  };
  for (int n = 0; n < 20; ++n) {
    forge(n);
    EXPECT_EQ(passed(alice, bob, 1), 1u);
  }
  // Alice is silent for longer than an endpoint is kept; Mallory was not reached there all the same.
  for (int n = 20; n < 80; ++n) {
    forge(n);
    run(200ms);
  }
  EXPECT_EQ(passed(alice, bob), 10u);
  EXPECT_EQ(passed(bob, alice), 10u);
  EXPECT_TRUE(trudy.heard.empty());
}

TEST_F(SharedPortTest, ONE3_APartyCannotKeepAnotherOneOut) {
  for (const std::uint16_t at : std::array<std::uint16_t, 2>{6000, 6001}) {
    SCOPED_TRACE(at);
    workers_.clear();
    pages_.clear();
    for (const PortHandle each : handles_) network_.release(each);
    start(2);
    Page& mallory = open("Mallory", host(3, 6000));
    const IceCredentials own{"RelayM", "RelayPasswordOfEnoughLetters"};
    install(1, 0, leg(0, own, mallory.credentials(), 1));
    mallory.call(own);
    run(1s);
    const std::string username = own.ufrag + ":" + mallory.credentials().ufrag;
    stun::Contents contents;
    contents.username = username;
    contents.controlling = 5;
    const auto forge = [&](int n) {
      network_.send_to_relay(
          {host(1, at), kPort, stun::write(stun::Kind::kRequest, {std::byte(n)}, contents, own.password)});
      settle();
    };
    // Before Alice comes, and all the time while she does.
    forge(0);
    Page& alice = open("Alice", host(1, at));
    Page& bob = open("Bob", host(2));
    join(0, 0, alice, bob);
    for (int n = 1; n < 100; ++n) {
      forge(n);
      run(20ms);
    }
    ASSERT_TRUE(alice.is_connected());
    EXPECT_EQ(passed(alice, bob), 10u);
    EXPECT_EQ(passed(bob, alice), 10u);
  }
}

TEST_F(SharedPortTest, ONE3_APageThatIsLoadedAgainTakesItsEndpointWithIt) {
  for (const std::uint16_t at : std::array<std::uint16_t, 2>{6000, 6001}) {
    SCOPED_TRACE(at);
    workers_.clear();
    pages_.clear();
    for (const PortHandle each : handles_) network_.release(each);
    start(2);
    Page& bob = open("Bob", host(2));
    join(0, 0, open("Alice", host(1, at)), bob);
    run(1s);
    EXPECT_EQ(passed(*pages_[host(1, at)], bob), 10u);
    // The browser uses its socket again. The old call is still there, and the new one is at another worker.
    Page& again = open("Again", host(1, at));
    Page& carol = open("Carol", host(3));
    const IceCredentials a{"RelayNew1", "RelayPasswordOfEnoughLetters"};
    const IceCredentials b{"RelayNew2", "RelayPasswordOfEnoughLetters"};
    install(1, 0, leg(0, a, again.credentials(), 1));
    install(1, 1, leg(1, b, carol.credentials(), 0));
    again.call(a);
    carol.call(b);
    run(10s);
    ASSERT_TRUE(again.is_connected());
    EXPECT_EQ(passed(again, carol), 10u);
    EXPECT_EQ(passed(carol, again), 10u);
    // The old call ends, which takes nothing of the new one away.
    remove(0, 0);
    run(1s);
    EXPECT_EQ(passed(again, carol), 10u);
  }
}

TEST_F(SharedPortTest, ONE2_AfterConsentIsLostTheEndpointIsFree) {
  start(2);
  Page& alice = open("Alice", host(1, 6001));
  Page& bob = open("Bob", host(2, 6000));
  join(0, 0, alice, bob);
  run(1s);
  alice.is_gone = true;
  run(60s, 500ms);
  const std::uint64_t before = dropped(DropReason::kForeignSource);
  EXPECT_EQ(passed(alice, bob), 0u);
  EXPECT_EQ(dropped(DropReason::kForeignSource), before + 10) << "a stranger again";
}

TEST_F(SharedPortTest, ACallMovesToAnotherWorkerAndIsStillReached) {
  start(2);
  Page& alice = open("Alice", host(1, 6000));
  Page& bob = open("Bob", host(2, 6001));
  join(0, 0, alice, bob);
  run(1s);
  ASSERT_EQ(passed(alice, bob), 10u);
  std::array<std::unique_ptr<TransportEntry>, 2> entries;
  for (std::uint32_t n : {0u, 1u}) workers_[0]->post(ExtractTransport{{n, 0}, &entries[n]});
  settle();
  for (std::uint32_t n : {0u, 1u}) {
    ASSERT_NE(entries[n], nullptr);
    entries[n]->ports[0] = handles_[1];
    workers_[1]->post(AdoptTransport{{n, 0}, std::move(entries[n])});
  }
  settle();
  // The next checks show where the parties are; they come at least every six seconds.
  run(7s, 100ms);
  EXPECT_EQ(passed(alice, bob), 10u);
  EXPECT_EQ(passed(bob, alice), 10u);
}

TEST_F(SharedPortTest, ATransportThatLeavesKeepsThePortOpenForOthers) {
  start(1);
  Page& alice = open("Alice", host(1));
  Page& bob = open("Bob", host(2));
  Page& carol = open("Carol", host(3));
  Page& dave = open("Dave", host(4));
  join(0, 0, alice, bob);
  join(0, 2, carol, dave);
  run(1s);
  remove(0, 0);
  remove(0, 1);
  EXPECT_EQ(passed(carol, dave), 10u);
  EXPECT_EQ(passed(alice, bob), 0u);
  EXPECT_EQ(workers_[0]->totals().unserved_ports.load(), 0u);
}

TEST_F(SharedPortTest, ONE1_ASecondTransportWithTheSameUfragIsNotServed) {
  start(1);
  install(0, 0, leg(0, relay_credentials(0), {"x", "y"}, 1));
  install(0, 1, leg(1, relay_credentials(0), {"x", "y"}, 0));
  EXPECT_EQ(workers_[0]->totals().unserved_ports.load(), 1u);
}

}  // namespace
}  // namespace ferry::shared_port_test
