// SPDX-License-Identifier: Apache-2.0
// Which transport a datagram is for: at an own port by its cookie, at a shared port by the remote endpoint or
// by the ufrag of a STUN request. Naming a ufrag binds nobody; only the caller does, after a check.

#include "relay/worker/port_table.hpp"

#include "relay/core/ice/stun.hpp"
#include "relay/io/sim/sim_network.hpp"
#include "relay/worker/forwarder.hpp"
#include "tests/support/packets.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::port_table_test {
namespace {

using namespace std::chrono_literals;
using Octets = std::vector<std::byte>;

constexpr TransportId kAlice{3, 1};
constexpr TransportId kBob{7, 0};

Endpoint host(std::uint8_t n, std::uint16_t port = 4000) {
  return {IpAddress::v4({192, 0, 2, n}), UdpPort{port}};
}

Octets stun_message(stun::Kind kind, const std::string& username) {
  stun::Contents contents;
  contents.username = username;
  return stun::write(kind, {}, contents, "a password that nobody asks for here");
}
Octets request(const std::string& username) { return stun_message(stun::Kind::kRequest, username); }
Octets media() {
  const auto packet = test::rtp('A', 1, 1);
  return {packet.begin(), packet.end()};
}

std::unique_ptr<TransportEntry> entry(TransportId id) {
  return std::make_unique<TransportEntry>(id, std::make_shared<const TransportPlan>(),
                                          std::make_shared<TransportActivity>(), Instant{1h}, Endpoint{});
}

constexpr BindingProof kAnswer = BindingProof::kAnswer;

/// Writes down what a table tells the other workers.
class Told final : public SharedPortNews {
 public:
  void tell_ufrag(SharedPortId, std::string_view ufrag, bool is_here) noexcept override {
    said.push_back((is_here ? "+" : "-") + std::string(ufrag));
  }
  void tell_endpoint(WorkerNumber receiver, SharedPortId, const Endpoint& remote,
                     std::optional<BindingProof> proof) noexcept override {
    const char* sign = !proof ? "-" : *proof == BindingProof::kAnswer ? "+" : "?";
    said.push_back(sign + std::to_string(remote.port.value) + "@" + std::to_string(receiver));
  }
  std::vector<std::string> take() { return std::exchange(said, {}); }
  std::vector<std::string> said;
};
using Said = std::vector<std::string>;

/// Two transports that may share one port.
class PortTableTest : public ::testing::Test {
 protected:
  PortTableTest() {
    transports_.put(kAlice, entry(kAlice));
    transports_.put(kBob, entry(kBob));
    EXPECT_TRUE(ports_.set_ufrag(port_, kAlice, "alice"));
    EXPECT_TRUE(ports_.set_ufrag(port_, kBob, "bob"));
  }
  /// The transport that a datagram at the shared port is for.
  TransportEntry* found(const Endpoint& from, const Octets& datagram) {
    return found_at(cookie_, from, datagram);
  }
  TransportEntry* found_at(std::uint64_t cookie, const Endpoint& from, const Octets& datagram) {
    return ports_.find(cookie, from, datagram, now_).entry;
  }
  bool bind(SharedPortId port, TransportId id, const Endpoint& remote,
            BindingProof proof = BindingProof::kAnswer) {
    return ports_.bind(make_cookie(port), id, remote, proof, now_);
  }
  TransportEntry* alice() { return transports_.find(kAlice); }
  TransportEntry* bob() { return transports_.find(kBob); }

  TransportTable transports_;
  PortTable ports_{transports_};
  SharedPortId port_ = ports_.add_shared();
  std::uint64_t cookie_ = make_cookie(port_);
  Instant now_{1h};
};

TEST(Cookie, SaysWhichPortItIs) {
  for (const std::uint32_t number : {0u, 1u, 70'000u, UINT32_MAX}) {
    for (const auto component : {Component::kRtp, Component::kRtcp}) {
      for (std::uint8_t local = 0; local < kMaxLocals; ++local) {
        const LocalPort port{component, local};
        const std::uint64_t own = make_cookie(TransportId{number, 5}, port);
        EXPECT_FALSE(is_shared(own));
        EXPECT_EQ(slot_of(own), number);
        EXPECT_EQ(port_of(own), port);
        EXPECT_FALSE(passed_on_by(own));
      }
    }
    for (const std::optional<WorkerNumber> by : {std::optional<WorkerNumber>(), {0}, {7}, {254}}) {
      for (const bool is_known : {false, true}) {
        const SharedPortId id{number};
        const std::uint64_t common = by ? make_cookie(id, *by, is_known) : make_cookie(id);
        EXPECT_TRUE(is_shared(common));
        EXPECT_EQ(shared_port_of(common), id);
        EXPECT_EQ(passed_on_by(common), by);
        EXPECT_EQ((common & kKnownThere) != 0, by && is_known);
        EXPECT_EQ(common >> 48, 0u) << "the DPDK engine keeps 48 bits";
        EXPECT_GT(slot_of(common), std::size_t{UINT32_MAX}) << "no transport has this slot";
      }
    }
  }
}

TEST_F(PortTableTest, AnOwnPortNamesItsTransportWhoeverSends) {
  const std::uint64_t own = make_cookie(kAlice, {Component::kRtcp, 2});
  EXPECT_EQ(found_at(own, host(10), media()), alice());
  EXPECT_EQ(found_at(own, host(99), request("bob:x")), alice()) << "what it says does not matter";
  EXPECT_EQ(found_at(own, {}, {}), alice());
  EXPECT_EQ(ports_.find_bound(own, host(99)), alice());
  EXPECT_EQ(found_at(make_cookie(TransportId{4, 0}, {}), host(10), media()), nullptr);
}

TEST_F(PortTableTest, TwoTransportsAreToldApartByUfragThenByAddress) {
  EXPECT_EQ(found(host(10), request("alice:a")), alice());
  EXPECT_EQ(found(host(20), request("bob:b")), bob());
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  ASSERT_TRUE(bind(port_, kBob, host(20)));
  EXPECT_EQ(found(host(10), media()), alice());
  EXPECT_EQ(found(host(20), media()), bob());
  EXPECT_EQ(found(host(10, 4001), media()), nullptr) << "another port is another endpoint";
  EXPECT_EQ(ports_.find_bound(cookie_, host(10)), alice());
  EXPECT_EQ(ports_.find_bound(cookie_, host(10, 4001)), nullptr);
}

TEST_F(PortTableTest, ACheckForAnotherSessionHasToWaitUntilTheEndpointIsQuiet) {
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  now_ += 900ms;
  EXPECT_EQ(found(host(10), media()), alice());
  now_ += PortTable::kInUse - 1ms;
  EXPECT_EQ(found(host(10), request("bob:b")), nullptr) << "alice was heard from there a moment ago";
  EXPECT_EQ(found(host(10), request("alice:a")), alice());
  EXPECT_EQ(found(host(10), stun_message(stun::Kind::kSuccess, "")), alice()) << "answers too";
  // The page was loaded again, and its browser uses the same socket.
  now_ += PortTable::kInUse;
  EXPECT_EQ(found(host(10), request("bob:b")), bob());
  EXPECT_EQ(found(host(10), media()), alice()) << "nothing has moved yet";
}

TEST_F(PortTableTest, ACheckAloneBindsNobody) {
  for (int i = 0; i < 20; ++i) EXPECT_EQ(found(host(66), request("alice:a")), alice());
  EXPECT_EQ(found(host(66), media()), nullptr);
  EXPECT_EQ(ports_.find_bound(cookie_, host(66)), nullptr);
  EXPECT_EQ(ports_.bindings(port_), 0u);
}

TEST_F(PortTableTest, AStrangerFindsNobody) {
  const Octets good = request("alice:a");
  ASSERT_EQ(found(host(66), good), alice());
  EXPECT_EQ(found(host(66), request("carol:c")), nullptr);
  EXPECT_EQ(found(host(66), request("alice")), nullptr) << "no colon";
  EXPECT_EQ(found(host(66), request("alic:e")), nullptr) << "a beginning of it is not enough";
  EXPECT_EQ(found(host(66), request("alicea:b")), nullptr);
  EXPECT_EQ(found(host(66), request("a:alice")), nullptr) << "the ufrag of the other side";
  EXPECT_EQ(found(host(66), request(":alice")), nullptr);
  EXPECT_EQ(found(host(66), request("")), nullptr);
  for (const auto kind : {stun::Kind::kIndication, stun::Kind::kSuccess, stun::Kind::kError})
    EXPECT_EQ(found(host(66), stun_message(kind, "alice:a")), nullptr) << "only a request";
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_EQ(found(host(66), {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}), nullptr)
        << size;
  EXPECT_EQ(found(host(66), request("alice:" + std::string(PortTable::kMaxRequest, 'a'))), nullptr);
  EXPECT_EQ(found(host(66), media()), nullptr);
  EXPECT_EQ(found_at(make_cookie(SharedPortId{port_.value + 1}), host(66), good), nullptr);
}

TEST_F(PortTableTest, ARestartKeepsTheFormerUfragUntilItIsTakenAway) {
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice2"));
  EXPECT_EQ(found(host(11), request("alice:a")), alice());
  EXPECT_EQ(found(host(11), request("alice2:a")), alice());
  EXPECT_EQ(found(host(10), media()), alice()) << "media goes on by the old pair";
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice2"));
  EXPECT_EQ(found(host(11), request("alice:a")), alice()) << "the same ufrag again is no restart";
  ports_.drop_former_ufrag(port_, kAlice);
  EXPECT_EQ(found(host(11), request("alice:a")), nullptr);
  EXPECT_EQ(found(host(11), request("alice2:a")), alice());
  EXPECT_EQ(found(host(10), media()), alice());
  // Two restarts in a row: the one before the last goes.
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice3"));
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice4"));
  EXPECT_EQ(found(host(11), request("alice2:a")), nullptr);
  EXPECT_EQ(found(host(11), request("alice3:a")), alice());
  EXPECT_EQ(found(host(11), request("alice4:a")), alice());
  // Back to the former one: it is the current one then, and stays.
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice3"));
  ports_.drop_former_ufrag(port_, kAlice);
  EXPECT_EQ(found(host(11), request("alice3:a")), alice());
  EXPECT_EQ(found(host(11), request("alice4:a")), nullptr);
}

TEST_F(PortTableTest, AUfragHasOneOwner) {
  EXPECT_FALSE(ports_.set_ufrag(port_, kBob, "alice"));
  EXPECT_EQ(found(host(11), request("alice:a")), alice());
  EXPECT_EQ(found(host(11), request("bob:a")), bob()) << "a refused one changes nothing";
  EXPECT_FALSE(ports_.set_ufrag(port_, kBob, ""));
  EXPECT_FALSE(ports_.set_ufrag(port_, kBob, "a:b"));
  EXPECT_FALSE(ports_.set_ufrag(SharedPortId{9}, kBob, "new"));
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice2"));
  EXPECT_FALSE(ports_.set_ufrag(port_, kBob, "alice")) << "still its former one";
  ports_.drop_former_ufrag(port_, kAlice);
  EXPECT_TRUE(ports_.set_ufrag(port_, kBob, "alice"));
}

TEST_F(PortTableTest, ATransportThatLeavesTakesItsUfragsAndBindingsWithIt) {
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice2"));
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  ASSERT_TRUE(bind(port_, kAlice, host(11)));
  ASSERT_TRUE(bind(port_, kBob, host(20)));
  ports_.remove({kAlice.slot, kAlice.generation + 1});
  EXPECT_EQ(found(host(10), media()), alice()) << "another transport of that slot was meant";
  ports_.remove(kAlice);
  EXPECT_EQ(found(host(10), media()), nullptr);
  EXPECT_EQ(found(host(12), request("alice:a")), nullptr);
  EXPECT_EQ(found(host(12), request("alice2:a")), nullptr);
  EXPECT_FALSE(bind(port_, kAlice, host(10)));
  EXPECT_EQ(ports_.bindings(port_), 1u);
  EXPECT_EQ(found(host(20), media()), bob());
  // What it had is free for others, also for the next transport of its slot.
  const TransportId next{kAlice.slot, kAlice.generation + 1};
  transports_.put(next, entry(next));
  EXPECT_TRUE(ports_.set_ufrag(port_, next, "alice"));
  EXPECT_TRUE(bind(port_, next, host(10)));
  EXPECT_EQ(found(host(10), media()), transports_.find(next));
  EXPECT_TRUE(bind(port_, kBob, host(11)));
}

TEST_F(PortTableTest, AnOldNameDoesNotFindANewTransport) {
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  const TransportId next{kAlice.slot, kAlice.generation + 1};
  transports_.put(next, entry(next));
  EXPECT_EQ(found(host(10), media()), nullptr);
  EXPECT_EQ(found(host(11), request("alice:a")), nullptr);
  EXPECT_FALSE(ports_.set_ufrag(port_, next, "next")) << "the former transport has not left";
}

TEST_F(PortTableTest, AnEndpointInUseStaysWithItsTransport) {
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  EXPECT_FALSE(bind(port_, kBob, host(10))) << "its party may have forged the address";
  EXPECT_EQ(found(host(10), media()), alice());
  EXPECT_TRUE(bind(port_, kAlice, host(10))) << "again is no change";
  EXPECT_EQ(ports_.bindings(port_), 1u);
  ports_.unbind(port_, kBob, host(10));
  EXPECT_EQ(found(host(10), media()), alice()) << "not his";
  ports_.unbind(port_, kAlice, host(10));
  EXPECT_EQ(found(host(10), media()), nullptr);
  EXPECT_TRUE(bind(port_, kBob, host(10)));
  EXPECT_EQ(found(host(10), media()), bob());
}

TEST_F(PortTableTest, AQuietEndpointMovesAndLeavesNothingBehind) {
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  ASSERT_TRUE(bind(port_, kAlice, host(11)));
  now_ += PortTable::kInUse;
  EXPECT_TRUE(bind(port_, kBob, host(10)));
  EXPECT_EQ(found(host(10), media()), bob());
  EXPECT_EQ(found(host(11), media()), alice());
  EXPECT_EQ(ports_.bindings(port_), 2u);
  ports_.unbind(port_, kAlice, host(10));
  EXPECT_EQ(found(host(10), media()), bob()) << "it is his no more";
  ports_.remove(kAlice);
  EXPECT_EQ(found(host(10), media()), bob());
  EXPECT_EQ(ports_.bindings(port_), 1u);
}

// ONE-3: a check can be sent with a forged address; an answer cannot.
TEST_F(PortTableTest, ONE3_ACheckTakesNothingFromWhoWasReached) {
  struct Row {
    BindingProof alice;
    BindingProof bob;
    bool is_quiet;
    bool moves;
  };
  const BindingProof kCheck = BindingProof::kCheck;
  const Row rows[] = {{kCheck, kCheck, false, true},    {kCheck, kCheck, true, true},
                      {kCheck, kAnswer, false, true},   {kCheck, kAnswer, true, true},
                      {kAnswer, kCheck, false, false},  {kAnswer, kCheck, true, false},
                      {kAnswer, kAnswer, false, false}, {kAnswer, kAnswer, true, true}};
  std::uint8_t place = 30;
  for (const Row& row : rows) {
    SCOPED_TRACE(&row - rows);
    // Once for two transports of this worker, once for another worker against one of this.
    for (const bool is_elsewhere : {false, true}) {
      const Endpoint at = host(++place);
      ASSERT_TRUE(bind(port_, kAlice, at, row.alice));
      now_ += row.is_quiet ? PortTable::kInUse : Duration{0};
      if (is_elsewhere)
        ports_.set_endpoint_of_other(port_, at, 2, row.bob, now_);
      else
        EXPECT_EQ(bind(port_, kBob, at, row.bob), row.moves);
      const auto now_has = ports_.find(cookie_, at, media(), now_);
      EXPECT_EQ(now_has.worker, is_elsewhere && row.moves ? std::optional<WorkerNumber>(2) : std::nullopt);
      EXPECT_EQ(now_has.entry, !row.moves ? alice() : is_elsewhere ? nullptr : bob());
      ports_.unbind(port_, kAlice, at);
      ports_.unbind(port_, kBob, at);
      ports_.set_endpoint_of_other(port_, at, 2, std::nullopt, now_);
    }
  }
  EXPECT_EQ(ports_.bindings(port_), 0u);
}

TEST_F(PortTableTest, ONE3_WhoWasNotReachedDoesNotKeepOthersOut) {
  // Bob's party has sent a check with the address of Alice's before she came.
  ASSERT_TRUE(bind(port_, kBob, host(10), BindingProof::kCheck));
  EXPECT_EQ(found(host(10), request("alice:a")), alice());
  ASSERT_TRUE(bind(port_, kAlice, host(10), BindingProof::kCheck));
  ASSERT_TRUE(bind(port_, kAlice, host(10), kAnswer));
  EXPECT_EQ(found(host(10), request("bob:b")), nullptr);
  EXPECT_FALSE(bind(port_, kBob, host(10), BindingProof::kCheck));
  // Another check of hers does not weaken what the answer has proved.
  ASSERT_TRUE(bind(port_, kAlice, host(10), BindingProof::kCheck));
  now_ += PortTable::kInUse;
  EXPECT_FALSE(bind(port_, kBob, host(10), BindingProof::kCheck));
  EXPECT_EQ(found(host(10), media()), alice());
}

TEST_F(PortTableTest, ONE3_AnAnswerPassesAnEndpointThatSomebodyHasByACheck) {
  Told told;
  ports_.set_news(&told);
  const auto answer = stun::write(stun::Kind::kSuccess, {std::byte{5}}, {}, "password");
  ASSERT_TRUE(bind(port_, kBob, host(10), BindingProof::kCheck));
  const auto passed = ports_.find(cookie_, host(10), answer, now_);
  EXPECT_EQ(passed.worker, 5) << "which has asked";
  EXPECT_EQ(passed.entry, bob()) << "if that is this worker";
  EXPECT_FALSE(passed.is_bound);
  ASSERT_TRUE(bind(port_, kBob, host(10), kAnswer));
  EXPECT_EQ(ports_.find(cookie_, host(10), answer, now_).worker, std::nullopt) << "he was reached there";
}

TEST_F(PortTableTest, ONE3_AnswersToOthersDoNotKeepAnEndpoint) {
  Told told;
  ports_.set_news(&told);
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  const auto answer = stun::write(stun::Kind::kSuccess, {std::byte{5}}, {}, "password");
  for (int n = 0; n < 10; ++n) {
    now_ += PortTable::kInUse / 10;
    static_cast<void>(ports_.find(cookie_, host(10), answer, now_));
  }
  EXPECT_TRUE(bind(port_, kBob, host(10)));
  // Those to the worker that has it do.
  ports_.set_endpoint_of_other(port_, host(11), 5, kAnswer, now_);
  now_ += PortTable::kInUse - 1ms;
  EXPECT_EQ(ports_.find(cookie_, host(11), answer, now_).worker, 5);
  now_ += 1ms;
  EXPECT_FALSE(bind(port_, kBob, host(11)));
}

// A page that comes back may begin its handshake before its answer has come.
TEST_F(PortTableTest, ONE3_AHandshakeDoesNotKeepAnEndpoint) {
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  for (int n = 0; n < 10; ++n) {
    now_ += PortTable::kInUse / 10;
    EXPECT_EQ(found(host(10), Octets(20, std::byte{22})), alice());
  }
  EXPECT_EQ(found(host(10), request("bob:b")), bob());
  EXPECT_TRUE(bind(port_, kBob, host(10)));
  EXPECT_EQ(found(host(10), Octets(20, std::byte{22})), bob());
}

TEST_F(PortTableTest, AnAnswerFindsWhoAsked) {
  const stun::TransactionId asked{std::byte{1}, std::byte{2}, std::byte{3}};
  stun::TransactionId other = asked;
  other[11] = std::byte{9};
  const auto answer = [](stun::Kind kind, const stun::TransactionId& transaction) {
    return stun::write(kind, transaction, {}, "password");
  };
  EXPECT_EQ(found(host(10), answer(stun::Kind::kSuccess, asked)), nullptr);
  ports_.note_check(port_, kBob, asked);
  EXPECT_EQ(found(host(10), answer(stun::Kind::kSuccess, asked)), bob());
  EXPECT_EQ(found(host(10), answer(stun::Kind::kError, asked)), bob());
  EXPECT_EQ(found(host(10), answer(stun::Kind::kSuccess, other)), nullptr);
  EXPECT_EQ(found(host(10), answer(stun::Kind::kRequest, asked)), nullptr) << "only an answer";
  ports_.note_check(port_, kAlice, other);
  EXPECT_EQ(found(host(10), answer(stun::Kind::kSuccess, asked)), nullptr) << "a later check took its place";
  ports_.remove(kAlice);
  EXPECT_EQ(found(host(10), answer(stun::Kind::kSuccess, other)), nullptr);
}

TEST_F(PortTableTest, OtherWorkersAreToldOfUfragsAndOfEndpointsThatTheyReceive) {
  Told told;
  ports_.set_news(&told);
  ASSERT_TRUE(ports_.set_ufrag(port_, kAlice, "alice2"));
  EXPECT_EQ(told.take(), Said{"+alice2"});
  ASSERT_TRUE(bind(port_, kAlice, host(10, 1)));
  EXPECT_EQ(told.take(), Said{}) << "it arrives here";
  const std::uint64_t passed_on = make_cookie(port_, 3, false);
  const std::uint64_t known = make_cookie(port_, 3, true);
  ASSERT_TRUE(ports_.bind(passed_on, kAlice, host(10, 2), kAnswer, now_));
  EXPECT_EQ(told.take(), Said{"+2@3"});
  ASSERT_TRUE(ports_.bind(known, kAlice, host(10, 2), kAnswer, now_));
  EXPECT_EQ(told.take(), Said{}) << "worker 3 knows it";
  ASSERT_TRUE(ports_.bind(passed_on, kAlice, host(10, 2), kAnswer, now_));
  EXPECT_EQ(told.take(), Said{"+2@3"}) << "it has lost the news";
  ASSERT_TRUE(ports_.bind(make_cookie(port_, 4, false), kAlice, host(10, 2), kAnswer, now_));
  EXPECT_EQ(told.take(), (Said{"-2@3", "+2@4"})) << "it arrives elsewhere now";
  ports_.unbind(port_, kAlice, host(10, 2));
  EXPECT_EQ(told.take(), Said{"-2@4"});
  ASSERT_TRUE(ports_.bind(passed_on, kAlice, host(10, 4), BindingProof::kCheck, now_));
  ASSERT_TRUE(ports_.bind(known, kAlice, host(10, 4), BindingProof::kCheck, now_));
  ASSERT_TRUE(ports_.bind(known, kAlice, host(10, 4), kAnswer, now_));
  EXPECT_EQ(told.take(), (Said{"?4@3", "+4@3"})) << "told again when more is proved";
  ports_.unbind(port_, kAlice, host(10, 4));
  EXPECT_EQ(told.take(), Said{"-4@3"});
  EXPECT_EQ(found_at(known, host(10, 2), media()), nullptr);
  EXPECT_EQ(told.take(), Said{"-2@3"}) << "worker 3 is wrong about it";
  ASSERT_TRUE(ports_.bind(passed_on, kAlice, host(10, 3), kAnswer, now_));
  told.take();
  ports_.remove(kAlice);
  EXPECT_EQ(told.take(), (Said{"-alice2", "-alice", "-3@3"}));
}

TEST_F(PortTableTest, WhatIsOfAnotherWorkerIsPassedOnOnce) {
  Told told;
  ports_.set_news(&told);
  const auto worker = [&](std::uint64_t cookie, const Octets& datagram) {
    return ports_.find(cookie, host(10), datagram, now_).worker;
  };
  const auto passed_on = make_cookie(port_, 1, false);
  EXPECT_EQ(worker(cookie_, request("carol:c")), std::nullopt);
  ports_.set_ufrag_of_other(port_, "carol", 2, true);
  EXPECT_EQ(worker(cookie_, request("carol:c")), 2);
  EXPECT_EQ(worker(passed_on, request("carol:c")), std::nullopt) << "nothing goes round";
  EXPECT_EQ(worker(cookie_, media()), std::nullopt);
  ports_.set_endpoint_of_other(port_, host(10), 2, kAnswer, now_);
  EXPECT_EQ(worker(cookie_, media()), 2);
  EXPECT_TRUE(ports_.find(cookie_, host(10), media(), now_).is_bound);
  EXPECT_EQ(ports_.find_bound(cookie_, host(10)), nullptr);
  EXPECT_EQ(found(host(10), request("bob:b")), nullptr) << "in use by carol";
  // Only the worker that has it takes it away.
  ports_.set_ufrag_of_other(port_, "carol", 3, false);
  ports_.set_endpoint_of_other(port_, host(10), 3, std::nullopt, now_);
  EXPECT_EQ(worker(cookie_, request("carol:c")), 2);
  EXPECT_EQ(worker(cookie_, media()), 2);
  ports_.set_ufrag_of_other(port_, "carol", 2, false);
  ports_.set_endpoint_of_other(port_, host(10), 2, std::nullopt, now_);
  EXPECT_EQ(worker(cookie_, request("carol:c")), std::nullopt);
  EXPECT_EQ(worker(cookie_, media()), std::nullopt);
  EXPECT_EQ(ports_.bindings(port_), 0u);
  // An answer says by its mark who has asked.
  const auto answer = stun::write(stun::Kind::kSuccess, {std::byte{5}}, {}, "password");
  EXPECT_EQ(worker(cookie_, answer), 5);
  EXPECT_EQ(worker(passed_on, answer), std::nullopt);
}

TEST_F(PortTableTest, ATransportThatMovesToAnotherWorkerIsFoundThere) {
  // Here it comes, before the news that the former worker has it no more.
  ports_.set_ufrag_of_other(port_, "carol", 2, true);
  ASSERT_TRUE(ports_.set_ufrag(port_, kBob, "carol"));
  ports_.set_ufrag_of_other(port_, "carol", 2, false);
  EXPECT_EQ(found(host(10), request("carol:c")), bob());
  // There it goes; a quiet endpoint of it is the other worker's from then on.
  ASSERT_TRUE(bind(port_, kBob, host(10)));
  now_ += PortTable::kInUse;
  ports_.set_endpoint_of_other(port_, host(10), 4, kAnswer, now_);
  ports_.remove(kBob);
  EXPECT_EQ(ports_.find(cookie_, host(10), media(), now_).worker, 4);
  ports_.set_ufrag_of_other(port_, "carol", 4, true);
  EXPECT_EQ(ports_.find(cookie_, host(11), request("carol:c"), now_).worker, 4);
}

TEST_F(PortTableTest, TenThousandPartiesAtOnePort) {
  constexpr std::uint32_t kParties = 10'000;
  const auto ufrag = [](std::uint32_t n) { return "ufrag" + std::to_string(n); };
  const auto id = [](std::uint32_t n) { return TransportId{100 + n, 0}; };
  const auto at = [](std::uint32_t n) {
    const auto high = static_cast<std::uint8_t>(n >> 8);
    return Endpoint{IpAddress::v4({10, 0, high, static_cast<std::uint8_t>(n)}), UdpPort{5000}};
  };
  for (std::uint32_t n = 0; n < kParties; ++n) {
    transports_.put(id(n), entry(id(n)));
    ASSERT_TRUE(ports_.set_ufrag(port_, id(n), ufrag(n)));
    ASSERT_EQ(found(at(n), request(ufrag(n) + ":x")), transports_.find(id(n)));
    ASSERT_TRUE(bind(port_, id(n), at(n)));
  }
  EXPECT_EQ(ports_.bindings(port_), kParties);
  EXPECT_EQ(ports_.sharers(port_), kParties + 2);
  const Octets packet = media();
  for (std::uint32_t n = 0; n < kParties; ++n) ASSERT_EQ(found(at(n), packet), transports_.find(id(n)));
  for (std::uint32_t n = 0; n < kParties; n += 2) ports_.remove(id(n));
  EXPECT_EQ(ports_.bindings(port_), kParties / 2);
  for (std::uint32_t n = 0; n < kParties; ++n)
    ASSERT_EQ(found(at(n), packet), n % 2 == 0 ? nullptr : transports_.find(id(n)));
}

TEST_F(PortTableTest, OnlyATransportOfThePortBinds) {
  EXPECT_FALSE(bind(port_, {1, 0}, host(10)));
  EXPECT_FALSE(bind(SharedPortId{9}, kAlice, host(10)));
  EXPECT_FALSE(bind(port_, kAlice, {}));
  EXPECT_FALSE(bind(port_, {kAlice.slot, kAlice.generation + 1}, host(10)));
  EXPECT_EQ(ports_.bindings(port_), 0u);
}

TEST_F(PortTableTest, TheBindingUsedLongestAgoGivesWay) {
  constexpr std::uint16_t kMost = PortTable::kMaxBindings;
  for (std::uint16_t n = 0; n < kMost; ++n) ASSERT_TRUE(bind(port_, kAlice, host(10, n)));
  ASSERT_TRUE(bind(port_, kBob, host(20))) << "each transport has its own";
  // The first two are used again, one by a packet, one by a check; looking it up is no use.
  EXPECT_EQ(found(host(10, 0), media()), alice());
  EXPECT_TRUE(bind(port_, kAlice, host(10, 1)));
  EXPECT_EQ(ports_.find_bound(cookie_, host(10, 2)), alice());
  EXPECT_TRUE(bind(port_, kAlice, host(11)));
  EXPECT_EQ(ports_.bindings(port_), kMost + 1u);
  for (std::uint16_t n = 0; n < kMost; ++n)
    EXPECT_EQ(ports_.find_bound(cookie_, host(10, n)), n == 2 ? nullptr : alice()) << n;
  EXPECT_EQ(found(host(11), media()), alice());
  EXPECT_EQ(found(host(20), media()), bob());
  // However many it binds, nothing is left behind.
  for (std::uint16_t n = 0; n < 1000; ++n) ASSERT_TRUE(bind(port_, kAlice, host(12, n)));
  EXPECT_EQ(ports_.bindings(port_), kMost + 1u);
  EXPECT_EQ(found(host(12, 999), media()), alice());
  ports_.remove(kAlice);
  EXPECT_EQ(ports_.bindings(port_), 1u);
}

TEST_F(PortTableTest, ONE2_ChecksAloneTakeNoPlaceFromAnEndpointThatWasReached) {
  constexpr std::uint16_t kMost = PortTable::kMaxBindings;
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  // Somebody who has read the password checks from anywhere: the checks push out each other.
  for (std::uint16_t n = 0; n < 4 * kMost; ++n)
    EXPECT_TRUE(bind(port_, kAlice, host(11, n), BindingProof::kCheck)) << n;
  EXPECT_EQ(ports_.find_bound(cookie_, host(10)), alice());
  EXPECT_EQ(ports_.bindings(port_), kMost);
  // Where all were reached and are in use, one more check finds no room, and one more answer does.
  for (std::uint16_t n = 0; n < kMost; ++n) EXPECT_TRUE(bind(port_, kAlice, host(12, n))) << n;
  EXPECT_FALSE(bind(port_, kAlice, host(13), BindingProof::kCheck));
  EXPECT_TRUE(bind(port_, kAlice, host(13)));
  // Once they are silent, a check gets a place again.
  now_ += PortTable::kInUse;
  EXPECT_TRUE(bind(port_, kAlice, host(14), BindingProof::kCheck));
  EXPECT_EQ(ports_.bindings(port_), kMost);
}

TEST_F(PortTableTest, AFullPortTakesNothingAwayFromOthers) {
  const SharedPortId small = ports_.add_shared({}, 3);
  const std::uint64_t cookie = make_cookie(small);
  ASSERT_TRUE(ports_.set_ufrag(small, kAlice, "alice"));
  ASSERT_TRUE(ports_.set_ufrag(small, kBob, "bob"));
  for (std::uint16_t n = 0; n < 3; ++n) ASSERT_TRUE(bind(small, kAlice, host(10, n)));
  EXPECT_FALSE(bind(small, kBob, host(20)));
  EXPECT_TRUE(bind(small, kAlice, host(11))) << "its own oldest one gives way";
  EXPECT_EQ(ports_.bindings(small), 3u);
  EXPECT_EQ(ports_.find_bound(cookie, host(10, 0)), nullptr);
  EXPECT_EQ(ports_.find_bound(cookie, host(11)), alice());
  EXPECT_EQ(ports_.bindings(port_), 0u) << "ports are apart";
  ports_.unbind(small, kAlice, host(11));
  EXPECT_TRUE(bind(small, kBob, host(20)));
}

TEST_F(PortTableTest, PortsAreApartAndATransportLeavesAllOfThem) {
  const SharedPortId other = ports_.add_shared();
  EXPECT_NE(other, port_);
  const std::uint64_t there = make_cookie(other);
  ASSERT_TRUE(ports_.set_ufrag(other, kBob, "alice")) << "a ufrag need only be one of a kind at its port";
  ASSERT_TRUE(bind(port_, kAlice, host(10)));
  ASSERT_TRUE(bind(other, kBob, host(10)));
  EXPECT_EQ(found(host(10), media()), alice());
  EXPECT_EQ(found_at(there, host(10), media()), bob());
  EXPECT_EQ(found_at(there, host(11), request("alice:a")), bob());
  ports_.remove(kBob);
  EXPECT_EQ(found_at(there, host(10), media()), nullptr);
  EXPECT_EQ(found(host(11), request("bob:b")), nullptr);
  ports_.remove_shared(port_);
  EXPECT_EQ(found(host(10), media()), nullptr);
  EXPECT_EQ(ports_.bindings(port_), 0u);
  EXPECT_EQ(ports_.add_shared(), port_) << "its number is free again";
  EXPECT_EQ(found(host(10), media()), nullptr) << "and knows nobody";
}

/// The packet path of a worker, with its table of ports in the test's hands.
class SharedPortPath : public ::testing::Test {
 protected:
  void arrives(std::uint64_t cookie, const Endpoint& from, const Octets& datagram) {
    std::array<PacketBuffer, 1> batch{context_.io->allocate()};
    std::ranges::copy(datagram, batch[0].space().begin());
    batch[0].set_data_size(datagram.size());
    batch[0]->cookie = cookie;
    batch[0]->remote = from;
    forwarder_.take_batch(batch, context_.io->now());
  }
  std::uint64_t dropped(DropReason reason) const {
    return context_.totals.drops[static_cast<std::size_t>(reason)].load();
  }

  SimNetwork network_;
  WorkerContext context_{std::make_unique<SimIo>(network_),
                         std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{})};
  Deadlines deadlines_{context_.table};
  SendBatch sends_{context_};
  Offloader offloader_{context_, nullptr};
  OwnPackets own_packets_{context_, deadlines_, sends_, offloader_};
  KeyFrames key_frames_{context_, deadlines_, sends_};
  TransportTurns turns_{context_, deadlines_, key_frames_};
  EarlyKeeper early_{context_, deadlines_};
  ReportSender reports_{context_, deadlines_, sends_, offloader_};
  KeepAlive keep_alive_{context_, deadlines_, own_packets_, offloader_};
  Forwarder forwarder_{
      context_, {sends_, own_packets_, turns_, early_, offloader_, key_frames_, reports_, keep_alive_}};
};

TEST_F(SharedPortPath, AStrangerIsCountedInTheTotalsAlone) {
  context_.table.put(kAlice, entry(kAlice));
  const SharedPortId port = context_.ports.add_shared();
  const std::uint64_t cookie = make_cookie(port);
  ASSERT_TRUE(context_.ports.set_ufrag(port, kAlice, "alice"));
  arrives(cookie, host(66), media());
  EXPECT_EQ(dropped(DropReason::kForeignSource), 1u);
  arrives(cookie, host(66), request("bob:b"));
  EXPECT_EQ(dropped(DropReason::kStunRefused), 1u);
  EXPECT_EQ(context_.totals.errors.load(), 2u);
  EXPECT_EQ(context_.totals.packets.load(), 0u);
  EXPECT_EQ(context_.totals.interfaces[0].ingress.errors.load(), 0u);
  // With the right ufrag it is the transport's to judge: one without ICE has no use for STUN.
  arrives(cookie, host(66), request("alice:a"));
  EXPECT_EQ(dropped(DropReason::kStunUnexpected), 1u);
  EXPECT_EQ(context_.totals.interfaces[0].ingress.errors.load(), 1u);
  EXPECT_EQ(context_.ports.bindings(port), 0u);
}

}  // namespace
}  // namespace ferry::port_table_test
