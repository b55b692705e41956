// SPDX-License-Identifier: Apache-2.0
// ICE between two of our own agents in virtual time, and against those who have no credentials
// (rules ICE-1 to ICE-9, rows I-01 to I-06).

#include "relay/core/ice/ice_agent.hpp"

#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace ferry::ice_agent_test {
namespace {

using namespace std::chrono_literals;
using State = IceAgent::State;

Endpoint endpoint(const char* text) { return *Endpoint::parse(text); }
const Endpoint kRelay4 = endpoint("203.0.113.1:30000");
const Endpoint kRelay6 = endpoint("[2001:db8::1]:30010");
const Endpoint kAlice4 = endpoint("192.0.2.10:4000");
const Endpoint kAlice6 = endpoint("[2001:db8::10]:4010");
const Endpoint kStranger = endpoint("198.51.100.99:5000");

Endpoint plus(Endpoint at, std::uint16_t ports) {
  at.port.value = static_cast<std::uint16_t>(at.port.value + ports);
  return at;
}

struct Datagram {
  Endpoint from;
  Endpoint to;
  std::vector<std::byte> octets;
};

/// An agent with its addresses.
class End final : public PortOutput {
 public:
  End(std::string name, std::vector<Endpoint> where, std::deque<Datagram>& wire)
      : locals(std::move(where)), wire_(wire) {
    plan.own = {name + "ufrag", name + "-password-of-enough-letters"};
    for (const Endpoint& each : locals) plan.locals.push_back(each.address.family());
  }
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    wire_.push_back({at(via), to, {datagram.begin(), datagram.end()}});
    ++sent;
    targets.insert(to);
  }
  [[nodiscard]] Endpoint at(LocalPort port) const {
    return plus(locals[port.local], static_cast<std::uint16_t>(port.component));
  }
  [[nodiscard]] std::optional<LocalPort> port_of(const Endpoint& where) const {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      for (std::size_t i = 0; i < locals.size(); ++i) {
        const LocalPort port{component, static_cast<std::uint8_t>(i)};
        if (at(port) == where) return port;
      }
    }
    return std::nullopt;
  }
  void knows(const End& other, bool with_candidates = true) {
    plan.peer = other.plan.own;
    plan.candidates.clear();
    for (std::size_t i = 0; i < other.locals.size() && with_candidates; ++i) {
      for (const Component component : {Component::kRtp, Component::kRtcp}) {
        if (component == Component::kRtcp && !other.plan.has_rtcp) continue;
        const LocalPort port{component, static_cast<std::uint8_t>(i)};
        plan.candidates.push_back({component, other.at(port), host_priority(port)});
      }
    }
  }
  IceAgent::Turn turn(Instant now) {
    agent.follow(plan, now);  // tests change it at any time
    return next_turn(now);
  }
  /// With the plan of the turn before.
  IceAgent::Turn next_turn(Instant now) { return {*this, now}; }

  std::vector<Endpoint> locals;
  IcePlan plan;
  IceAgent agent;
  int sent = 0;
  std::set<Endpoint> targets;

 private:
  std::deque<Datagram>& wire_;
};

class IceTest : public ::testing::Test {
 protected:
  IceTest() { relay_.plan.controlling = true; }

  /// Time passes; datagrams arrive unless `loses` says otherwise.
  void run(Duration time, double loses = 0) {
    const Instant end = now_ + time;
    for (End* each : {&relay_, &alice_}) each->agent.follow(each->plan, now_);
    for (; now_ < end; now_ += 10ms) {
      for (End* each : {&relay_, &alice_}) each->agent.drive(each->next_turn(now_));
      while (!wire_.empty()) {
        const Datagram datagram = std::move(wire_.front());
        wire_.pop_front();
        if (std::uniform_real_distribution<>(0, 1)(random_) < loses || cut_.contains(datagram.to)) continue;
        for (End* each : {&relay_, &alice_}) {
          const auto port = each->port_of(datagram.to);
          if (port) each->agent.take(*port, datagram.from, datagram.octets, each->next_turn(now_));
        }
      }
    }
  }
  void meet() {
    relay_.knows(alice_);
    alice_.knows(relay_);
  }
  void expect_selected(const Endpoint& relay, const Endpoint& alice, Component component = Component::kRtp) {
    const auto& ours = relay_.agent.selected(component);
    const auto& theirs = alice_.agent.selected(component);
    ASSERT_TRUE(ours && theirs);
    EXPECT_EQ(ours->peer, alice);
    EXPECT_EQ(theirs->peer, relay);
    EXPECT_EQ(relay_.at({component, ours->local}), relay);
    EXPECT_EQ(alice_.at({component, theirs->local}), alice);
  }
  /// What a check of alice's would look like.
  std::vector<std::byte> request(const std::string& username, const std::string& password,
                                 stun::Contents contents = {}) {
    contents.username = username;
    contents.priority = 1;
    return stun::write(stun::Kind::kRequest, {std::byte{7}}, contents, password);
  }
  std::string right_name() const { return relay_.plan.own.ufrag + ":" + alice_.plan.own.ufrag; }

  std::deque<Datagram> wire_;
  End relay_{"relay", {kRelay4, kRelay6}, wire_};
  End alice_{"alice", {kAlice4, kAlice6}, wire_};
  Instant now_{std::chrono::hours(1)};
  std::mt19937 random_{3};
  std::set<Endpoint> cut_;
};

TEST_F(IceTest, TheBestPairOfBothComponentsIsSelected) {
  relay_.plan.has_rtcp = alice_.plan.has_rtcp = true;
  meet();
  run(2s);
  expect_selected(kRelay4, kAlice4);
  expect_selected(plus(kRelay4, 1), plus(kAlice4, 1), Component::kRtcp);
  EXPECT_EQ(relay_.agent.state(), State::kConnected);
  EXPECT_EQ(alice_.agent.state(), State::kConnected);
  EXPECT_TRUE(relay_.agent.is_valid({}, kAlice4));
  EXPECT_FALSE(relay_.agent.is_valid({}, kStranger));
}

TEST_F(IceTest, WhereTheBestPairIsBlockedAnotherOneServes) {
  cut_ = {kAlice4, kRelay4};
  meet();
  run(3s);
  expect_selected(kRelay6, kAlice6);
}

TEST_F(IceTest, ACandidateIsLearnedFromItsCheck) {
  meet();
  relay_.plan.candidates.clear();  // behind NAT, or trickling
  run(2s);
  expect_selected(kRelay4, kAlice4);
}

TEST_F(IceTest, ChecksBeforeTheAnswerAreAnswered) {
  alice_.knows(relay_);
  run(300ms);
  EXPECT_GT(relay_.sent, 0);
  EXPECT_EQ(relay_.agent.state(), State::kWaiting);
  relay_.knows(alice_, false);
  run(2s);
  expect_selected(kRelay4, kAlice4);
}

TEST_F(IceTest, ICE8_ARoleConflictIsSettledAndALitePeerIsControlled) {
  alice_.plan.controlling = true;
  meet();
  run(3s);
  expect_selected(kRelay4, kAlice4);
  EXPECT_NE(relay_.agent.is_controlling(), alice_.agent.is_controlling());
}

TEST_F(IceTest, ICE8_ALiteAgentOnlyAnswers) {
  relay_.plan.is_lite = true;
  relay_.plan.controlling = false;
  alice_.plan.peer_is_lite = true;
  meet();
  run(1s);
  expect_selected(kRelay4, kAlice4);
  EXPECT_TRUE(alice_.agent.is_controlling());
  // Every datagram of ours is an answer: as many as there were requests.
  EXPECT_LE(relay_.sent, alice_.sent);
  // ICE-9: it goes on while requests come, and stops when they do not.
  run(60s);
  EXPECT_TRUE(relay_.agent.selected(Component::kRtp));
  cut_ = {kRelay4, kRelay6};
  run(23s);  // the last one came up to 6 s ago
  EXPECT_TRUE(relay_.agent.selected(Component::kRtp));
  run(8s);
  EXPECT_FALSE(relay_.agent.selected(Component::kRtp));
}

TEST_F(IceTest, ICE9_I05_ConsentIsAskedForAndItsLossStopsSending) {
  meet();
  run(2s);
  const int before = relay_.sent;
  run(60s);
  EXPECT_TRUE(relay_.agent.selected(Component::kRtp));
  // A check every 5 s, and an answer to each of alice's.
  EXPECT_GT(relay_.sent - before, 16);
  EXPECT_LT(relay_.sent - before, 40);
  cut_ = {kAlice4, kAlice6};
  run(31s);
  EXPECT_FALSE(relay_.agent.selected(Component::kRtp));
  EXPECT_EQ(relay_.agent.state(), State::kExpired);
}

TEST_F(IceTest, C13_APauseTakesNoConsentAway) {
  for (const bool is_lite : {false, true}) {
    for (const Duration pause : {Duration{29s}, Duration{31s}, Duration{1h}}) {
      relay_.agent = {};
      alice_.agent = {};
      relay_.plan.is_lite = alice_.plan.peer_is_lite = is_lite;
      relay_.plan.controlling = !is_lite;
      meet();
      run(10s);
      ASSERT_TRUE(relay_.agent.selected(Component::kRtp));
      now_ += pause;
      for (End* each : {&relay_, &alice_}) each->agent.skip(pause);
      run(10ms);
      EXPECT_TRUE(relay_.agent.selected(Component::kRtp)) << "at once, and not only once it was found again";
      run(10s);
      EXPECT_TRUE(relay_.agent.selected(Component::kRtp)) << pause / 1s << " s, lite " << is_lite;
      EXPECT_EQ(relay_.agent.state(), State::kConnected);
    }
  }
  // Who is gone afterwards is noticed.
  cut_ = {kRelay4, kRelay6};
  run(31s);
  EXPECT_FALSE(relay_.agent.selected(Component::kRtp));
}

TEST_F(IceTest, C13_APauseIsNoTimeWithoutAPair) {
  cut_ = {kRelay4, kRelay6, kAlice4, kAlice6};
  meet();
  run(5s);
  now_ += 1h;
  for (End* each : {&relay_, &alice_}) each->agent.skip(1h);
  cut_.clear();
  run(10s);
  EXPECT_EQ(relay_.agent.state(), State::kConnected);
}

TEST_F(IceTest, ConnectsThroughLoss) {
  meet();
  run(8s, 0.4);
  ASSERT_TRUE(relay_.agent.selected(Component::kRtp) && alice_.agent.selected(Component::kRtp));
  EXPECT_EQ(relay_.agent.selected(Component::kRtp)->peer.address.family(),
            alice_.agent.selected(Component::kRtp)->peer.address.family());
}

TEST_F(IceTest, ICE7_ARestartKeepsTheOldPairUntilANewOneIsSelected) {
  meet();
  run(2s);
  expect_selected(kRelay4, kAlice4);
  relay_.plan.own = {"again", "another-password-of-enough-letters"};
  relay_.plan.peer = {};
  relay_.plan.candidates.clear();
  run(100ms);
  ASSERT_TRUE(relay_.agent.selected(Component::kRtp));
  EXPECT_EQ(relay_.agent.selected(Component::kRtp)->peer, kAlice4);
  // Alice comes back on another port.
  End alice("again", {plus(kAlice4, 100)}, wire_);
  alice.knows(relay_);
  relay_.knows(alice);
  alice_.locals.clear();
  for (int i = 0; i < 200; ++i) {
    now_ += 10ms;
    for (End* each : {&relay_, &alice}) each->agent.drive(each->turn(now_));
    while (!wire_.empty()) {
      const Datagram datagram = std::move(wire_.front());
      wire_.pop_front();
      for (End* each : {&relay_, &alice}) {
        if (const auto port = each->port_of(datagram.to))
          each->agent.take(*port, datagram.from, datagram.octets, each->turn(now_));
      }
    }
  }
  ASSERT_TRUE(relay_.agent.selected(Component::kRtp));
  EXPECT_EQ(relay_.agent.selected(Component::kRtp)->peer, plus(kAlice4, 100));
}

TEST_F(IceTest, ICE1_I01_I04_WithoutTheCredentialsThereIsNoAnswerAndNoState) {
  meet();
  relay_.agent.drive(relay_.turn(now_));
  wire_.clear();
  relay_.sent = 0;
  const auto& own = relay_.plan.own;
  auto spoiled = request(right_name(), own.password);
  spoiled.back() ^= std::byte{1};  // of the fingerprint
  auto unsigned_request = request(right_name(), own.password);
  unsigned_request.resize(20);
  write_u16(unsigned_request, 2, 0);
  for (const auto& bad : {request(right_name(), "wrong password"), request("somebody:else", own.password),
                          request(own.ufrag + ":somebody", own.password), request(own.ufrag, own.password),
                          request("", own.password), spoiled, unsigned_request, std::vector<std::byte>(20),
                          std::vector<std::byte>{}}) {
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(relay_.agent.take({}, kStranger, bad, relay_.turn(now_)));
  }
  EXPECT_EQ(relay_.sent, 0);
  EXPECT_FALSE(relay_.agent.is_valid({}, kStranger));
  EXPECT_EQ(relay_.agent.last_heard(), Instant{});
  run(2s);
  EXPECT_FALSE(relay_.targets.contains(kStranger));
  expect_selected(kRelay4, kAlice4);
}

TEST_F(IceTest, ICE4_I04_TheRightPasswordFromManyAddressesIsKeptForTenOfThem) {
  meet();
  for (std::uint16_t i = 0; i < 50; ++i)
    relay_.agent.take({}, plus(kStranger, i), request(right_name(), relay_.plan.own.password),
                      relay_.turn(now_));
  wire_.clear();
  relay_.targets.clear();
  run(2s);
  const auto checked = std::ranges::count_if(
      relay_.targets, [](const Endpoint& at) { return at.address == kStranger.address; });
  EXPECT_EQ(checked, 10);
  expect_selected(kRelay4, kAlice4);
}

TEST_F(IceTest, ICE2_AnswersCountOnlyFromWhereTheCheckWent) {
  meet();
  relay_.agent.drive(relay_.turn(now_));
  ASSERT_EQ(wire_.size(), 1u);
  const auto check = stun::parse(wire_.front().octets);
  ASSERT_TRUE(check);
  const Endpoint to = wire_.front().to;
  stun::Contents mapped;
  mapped.mapped = kRelay4;
  const auto answer = stun::write(stun::Kind::kSuccess, check->transaction, mapped, alice_.plan.own.password);
  EXPECT_FALSE(relay_.agent.take({}, kStranger, answer, relay_.turn(now_)));
  const auto unknown = stun::write(stun::Kind::kSuccess, {std::byte{9}}, mapped, alice_.plan.own.password);
  EXPECT_FALSE(relay_.agent.take({}, to, unknown, relay_.turn(now_)));
  const auto forged = stun::write(stun::Kind::kSuccess, check->transaction, mapped, "wrong password");
  EXPECT_FALSE(relay_.agent.take({}, to, forged, relay_.turn(now_)));
  EXPECT_FALSE(relay_.agent.is_valid({}, to));
  EXPECT_TRUE(relay_.agent.take({}, to, answer, relay_.turn(now_)));
  EXPECT_TRUE(relay_.agent.is_valid({}, to));
}

TEST_F(IceTest, ICE4_ICE5_ICE6_I03_ManyAndForbiddenCandidatesAreBounded) {
  alice_.locals.clear();  // nobody answers
  relay_.plan.peer = alice_.plan.own;
  for (std::uint16_t i = 0; i < 500; ++i)
    relay_.plan.candidates.push_back({Component::kRtp, plus(endpoint("192.0.2.77:10000"), i), 1000u + i});
  for (const char* forbidden : {"224.0.0.1:4000", "255.255.255.255:4000", "0.0.0.0:4000", "192.0.2.10:53",
                                "192.0.2.10:0", "[ff02::1]:4000"})
    relay_.plan.candidates.insert(relay_.plan.candidates.begin(),
                                  {Component::kRtp, endpoint(forbidden), 2'000'000'000});
  run(60s);
  EXPECT_LE(relay_.targets.size(), 100u);
  EXPECT_LE(relay_.sent, 400);
  for (const Endpoint& at : relay_.targets) EXPECT_EQ(at.address, endpoint("192.0.2.77:1").address);
  EXPECT_EQ(relay_.agent.state(), State::kFailed);
  const int before = relay_.sent;
  run(60s);
  EXPECT_EQ(relay_.sent, before);
  EXPECT_FALSE(relay_.agent.due(now_));
}

std::shared_ptr<const PeerPolicy> policy_against(const char* network) {
  PeerRules rules;
  rules.host = {kRelay4.address};
  rules.denied = {*Network::parse(network)};
  return std::make_shared<const PeerPolicy>(std::make_shared<const PeerTables>(rules), PeerScope{});
}

TEST_F(IceTest, ICE5_LAT11a_DeniedCandidatesAreNeverChecked) {
  relay_.plan.peers = policy_against("172.16.0.0/12");
  meet();
  for (const char* denied :
       {"203.0.113.1:2223", "203.0.113.1:22222", "127.0.0.1:2223", "127.0.0.1:4000", "[::1]:4000",
        "169.254.169.254:4000", "[fe80::1]:4000", "172.16.0.9:4000", "[::ffff:127.0.0.1]:4000"})
    relay_.plan.candidates.insert(relay_.plan.candidates.begin(),
                                  {Component::kRtp, endpoint(denied), 2'000'000'000});
  run(3s);
  for (const Endpoint& at : relay_.targets)
    EXPECT_TRUE(at.address == kAlice4.address || at.address == kAlice6.address) << at.to_string();
  expect_selected(kRelay4, kAlice4);
}

TEST_F(IceTest, ICE5_LAT11a_ACheckFromADeniedAddressIsNotAnsweredWhateverItKnows) {
  relay_.plan.peers = policy_against("172.16.0.0/12");
  meet();
  run(1s);
  const int before = relay_.sent;
  for (const char* denied : {"203.0.113.1:2223", "127.0.0.1:2223", "172.16.0.9:4000"}) {
    stun::Contents nominated;
    nominated.use_candidate = true;
    EXPECT_FALSE(relay_.agent.take({}, endpoint(denied),
                                   request(right_name(), relay_.plan.own.password, nominated),
                                   relay_.next_turn(now_)))
        << denied;
    EXPECT_FALSE(relay_.agent.is_valid({}, endpoint(denied)));
  }
  EXPECT_EQ(relay_.sent, before);
}

TEST_F(IceTest, LAT11a_APairIsLetGoWhenThePolicyChanges) {
  meet();
  run(2s);
  expect_selected(kRelay4, kAlice4);
  relay_.plan.peers = policy_against("192.0.2.0/24");
  run(3s);
  expect_selected(kRelay6, kAlice6);
}

TEST_F(IceTest, LAT11a_ARestoredPairIsJudgedAnew) {
  meet();
  run(2s);
  IceAgent restored;
  relay_.plan.peers = policy_against("192.0.2.0/24");
  restored.follow(relay_.plan, now_);
  restored.restore({relay_.agent.selected(Component::kRtp), std::nullopt}, {}, now_);
  EXPECT_FALSE(restored.selected(Component::kRtp));
}

TEST_F(IceTest, ICE6_ChecksArePaced) {
  alice_.locals.clear();
  relay_.plan.peer = alice_.plan.own;
  for (std::uint16_t i = 0; i < 50; ++i)
    relay_.plan.candidates.push_back({Component::kRtp, plus(kAlice4, i), 1000u + i});
  run(90ms);  // two turns of 50 ms; the first one may come again after 200 ms
  EXPECT_EQ(relay_.targets.size(), 2u);
}

TEST_F(IceTest, I06_APairThatIsNominatedLaterReplacesTheFirst) {
  alice_.plan.controlling = true;
  relay_.plan.controlling = false;
  cut_ = {kAlice4, kRelay4};
  meet();
  run(2s);
  expect_selected(kRelay6, kAlice6);
  // The peer changes its mind (a path came up): its check of the other pair carries USE-CANDIDATE.
  cut_.clear();
  stun::Contents contents;
  contents.use_candidate = true;
  relay_.agent.take({}, kAlice4, request(right_name(), relay_.plan.own.password, contents),
                    relay_.turn(now_));
  run(1s);
  ASSERT_TRUE(relay_.agent.selected(Component::kRtp));
  EXPECT_EQ(relay_.agent.selected(Component::kRtp)->peer, kAlice4);
}

/// The peer's wish: a check of ours by `from` to one of our ports, with USE-CANDIDATE.
struct Nomination {
  Endpoint from;
  LocalPort at;
};

/// The relay is controlled, both families work, and alice has nominated IPv4, the pair of higher priority.
class IceNominations : public IceTest {
 protected:
  IceNominations() {
    alice_.plan.controlling = true;
    relay_.plan.controlling = false;
    cut_ = {kAlice6, kRelay6};
    meet();
    run(1s);
    cut_.clear();
    checks(kSix);  // it is valid from now on, but not nominated
    run(1s);
  }
  void checks(const Nomination& by, bool nominates = false, std::uint8_t number = 1) {
    stun::Contents contents;
    contents.use_candidate = nominates;
    const std::string name = right_name();
    contents.username = name;
    contents.priority = 1;
    const auto request =
        stun::write(stun::Kind::kRequest, {std::byte{number}}, contents, relay_.plan.own.password);
    EXPECT_TRUE(relay_.agent.take(by.at, by.from, request, relay_.next_turn(now_)));
  }
  void nominates(const Nomination& by) { checks(by, true, ++nominations_); }
  [[nodiscard]] Endpoint peer() const {
    const auto& selected = relay_.agent.selected(Component::kRtp);
    return selected ? selected->peer : Endpoint{};
  }

  const Nomination kFour{kAlice4, {Component::kRtp, 0}};
  const Nomination kSix{kAlice6, {Component::kRtp, 1}};
  std::uint8_t nominations_ = 100;
};

TEST_F(IceNominations, WICE6_TheNewestNominationCountsWhateverThePriorities) {
  ASSERT_EQ(peer(), kAlice4);
  ASSERT_TRUE(relay_.agent.is_valid(kSix.at, kAlice6));
  nominates(kSix);
  EXPECT_EQ(peer(), kAlice6) << "at once: the pair was valid, the priority is lower";
  now_ += 1s;
  nominates(kFour);
  EXPECT_EQ(peer(), kAlice4);
}

TEST_F(IceNominations, ICE7_APairChangesAtMostEvery200Milliseconds) {
  nominates(kSix);
  ASSERT_EQ(peer(), kAlice6);
  nominates(kFour);
  EXPECT_EQ(peer(), kAlice6);
  const auto due = relay_.agent.due(now_);
  ASSERT_TRUE(due);
  EXPECT_LE(*due, now_ + 200ms);
  now_ += 199ms;
  relay_.agent.drive(relay_.next_turn(now_));
  EXPECT_EQ(peer(), kAlice6);
  now_ += 1ms;
  relay_.agent.drive(relay_.next_turn(now_));
  EXPECT_EQ(peer(), kAlice4) << "nothing else had to arrive";
}

TEST_F(IceNominations, ANominationThatWasSeenBeforeIsNotNewer) {
  nominates(kFour);
  now_ += 1s;
  nominates(kSix);
  ASSERT_EQ(peer(), kAlice6);
  now_ += 1s;
  checks(kFour, true, static_cast<std::uint8_t>(nominations_ - 1));  // sent again, or copied by a stranger
  EXPECT_EQ(peer(), kAlice6);
}

TEST_F(IceNominations, ANominatedPairServesWhenItsCheckIsAnswered) {
  // The peer comes from a port that nobody named (NAT), with USE-CANDIDATE in its first check.
  const Nomination elsewhere{plus(kAlice4, 77), {Component::kRtp, 0}};
  nominates(elsewhere);
  EXPECT_EQ(peer(), kAlice4) << "not before the address has proved to be there";
  alice_.locals.push_back(elsewhere.from);
  run(200ms);
  EXPECT_EQ(peer(), elsewhere.from);
}

TEST_F(IceNominations, ICE8_ALiteAgentFollowsEveryNominationToo) {
  relay_.plan.is_lite = true;
  relay_.agent.follow(relay_.plan, now_);
  nominates(kSix);
  EXPECT_EQ(peer(), kAlice6);
  now_ += 1s;
  nominates(kFour);
  EXPECT_EQ(peer(), kAlice4);
}

TEST_F(IceNominations, ANominationCountsAfterAnHourOfConsent) {
  run(std::chrono::hours(1));
  ASSERT_EQ(peer(), kAlice4);
  // ICE-6 bounds the search for a pair, not the life of a call: 720 checks of consent lie behind us.
  const Nomination elsewhere{plus(kAlice4, 77), {Component::kRtp, 0}};
  alice_.locals.push_back(elsewhere.from);
  nominates(elsewhere);
  run(200ms);
  EXPECT_EQ(peer(), elsewhere.from);
}

TEST_F(IceNominations, ICE4_APeerThatMovesAllDayIsFoundAtItsEleventhAddress) {
  for (std::uint16_t move = 1; move <= 30; ++move) {
    const Nomination elsewhere{plus(kAlice4, move), {Component::kRtp, 0}};
    alice_.locals = {elsewhere.from};
    nominates(elsewhere);
    run(5s);
    EXPECT_EQ(peer(), elsewhere.from) << move;
  }
}

/// We control, and the selected pair dies.
class IceDyingPair : public IceTest {
 protected:
  [[nodiscard]] Duration until_moved(Duration limit) {
    const Instant start = now_;
    const auto before = relay_.agent.selected(Component::kRtp);
    while (now_ - start < limit && relay_.agent.selected(Component::kRtp) == before) run(10ms);
    return now_ - start;
  }
};

TEST_F(IceDyingPair, WhoControlsLeavesAPairThatIsSilent) {
  meet();
  run(2s);
  expect_selected(kRelay4, kAlice4);
  cut_ = {kAlice4, kRelay4};
  // The other pair was never checked: the first one was good enough.
  EXPECT_LE(until_moved(20s), 8s);
  run(100ms);
  expect_selected(kRelay6, kAlice6);
  run(60s);
  expect_selected(kRelay6, kAlice6);
  EXPECT_EQ(relay_.agent.state(), State::kConnected);
}

TEST_F(IceDyingPair, WithoutAnotherPairItWaitsForTheOldOne) {
  meet();
  run(2s);
  cut_ = {kAlice4, kRelay4, kAlice6, kRelay6};
  run(15s);
  expect_selected(kRelay4, kAlice4);
  cut_ = {kAlice6, kRelay6};
  run(15s);
  expect_selected(kRelay4, kAlice4);
  EXPECT_EQ(relay_.agent.state(), State::kConnected);
}

TEST_F(IceDyingPair, ALostAnswerIsNoReasonToMove) {
  meet();
  run(2s);
  for (int i = 0; i < 20; ++i) {
    cut_ = {kAlice4};
    run(1s);
    cut_.clear();
    run(3s);
    expect_selected(kRelay4, kAlice4);
  }
}

/// The former pair when the credentials change.
class IceRestarts : public IceTest {
 protected:
  IceRestarts() {
    alice_.plan.controlling = true;
    relay_.plan.controlling = false;
    meet();
    run(2s);
  }
  const IceCredentials kAgain{"again", "another-password-of-enough-letters"};
};

TEST_F(IceRestarts, ICE7_ChecksOfTheFormerSessionAreAnsweredMeanwhile) {
  const std::string name = right_name();
  const std::string password = relay_.plan.own.password;
  relay_.plan.own = kAgain;
  relay_.plan.peer = {};
  relay_.plan.candidates.clear();
  run(100ms);
  EXPECT_FALSE(relay_.agent.is_current(Component::kRtp));
  wire_.clear();
  EXPECT_TRUE(relay_.agent.take({}, kAlice4, request(name, password), relay_.next_turn(now_)));
  ASSERT_EQ(wire_.size(), 1u);
  const auto answer = stun::parse(wire_.front().octets);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->kind, stun::Kind::kSuccess);
  EXPECT_TRUE(stun::is_authentic(wire_.front().octets, *answer, password));
  // Nobody else's, and not for ever.
  wire_.clear();
  EXPECT_FALSE(relay_.agent.take({}, kStranger, request(name, password), relay_.next_turn(now_)));
  EXPECT_FALSE(relay_.agent.take({}, kAlice4, request(name, kAgain.password), relay_.next_turn(now_)));
  alice_.plan.own = {"fresh", "a-fresh-password-of-enough-letters"};
  meet();
  run(2s);
  EXPECT_TRUE(relay_.agent.is_current(Component::kRtp));
  EXPECT_FALSE(relay_.agent.take({}, kAlice4, request(name, password), relay_.next_turn(now_)));
}

TEST_F(IceRestarts, ARestartThatIsTakenBackLeavesThePair) {
  const IcePlan before = relay_.plan;
  relay_.plan.own = kAgain;
  relay_.plan.peer = {"nobody", "a-password-that-nobody-will-use"};
  relay_.plan.candidates.clear();
  run(3s);
  relay_.plan = before;
  run(40s);
  expect_selected(kRelay4, kAlice4);
  EXPECT_TRUE(relay_.agent.is_current(Component::kRtp));
  EXPECT_EQ(relay_.agent.state(), State::kConnected);
}

TEST_F(IceRestarts, ASecondRestartReplacesTheFirst) {
  relay_.plan.own = kAgain;
  run(100ms);
  relay_.plan.own = {"third", "the-third-password-of-enough-letters"};
  alice_.plan.own = {"fresh", "a-fresh-password-of-enough-letters"};
  meet();
  run(2s);
  expect_selected(kRelay4, kAlice4);
  EXPECT_TRUE(relay_.agent.is_current(Component::kRtp));
}

TEST_F(IceRestarts, WhoControlsNominatesTheSameAddressesAnew) {
  relay_.plan.controlling = true;
  alice_.plan.controlling = false;
  relay_.plan.own = kAgain;
  alice_.plan.own = {"fresh", "a-fresh-password-of-enough-letters"};
  meet();
  run(2s);
  EXPECT_TRUE(relay_.agent.is_controlling());
  EXPECT_TRUE(relay_.agent.is_current(Component::kRtp));
  EXPECT_TRUE(alice_.agent.is_current(Component::kRtp)) << "it has heard our nomination";
}

TEST_F(IceRestarts, ARestoredAgentKnowsThatItsPairIsOlder) {
  relay_.plan.own = kAgain;
  run(100ms);
  End restored("relay", {kRelay4, kRelay6}, wire_);
  restored.plan = relay_.plan;
  restored.agent.follow(restored.plan, now_);
  restored.agent.restore({relay_.agent.selected(Component::kRtp), std::nullopt}, {true, false}, now_);
  EXPECT_EQ(restored.agent.selected(Component::kRtp), relay_.agent.selected(Component::kRtp));
  EXPECT_FALSE(restored.agent.is_current(Component::kRtp));
}

TEST_F(IceTest, ARestoredAgentGoesOnAndAsksForConsent) {
  meet();
  run(2s);
  End restored("relay", {kRelay4, kRelay6}, wire_);
  restored.plan = relay_.plan;
  restored.agent.follow(restored.plan, now_);
  restored.agent.restore({relay_.agent.selected(Component::kRtp), std::nullopt}, {}, now_);
  EXPECT_EQ(restored.agent.selected(Component::kRtp), relay_.agent.selected(Component::kRtp));
  restored.agent.drive(restored.turn(now_));
  ASSERT_EQ(wire_.size(), 1u);
  EXPECT_EQ(wire_.front().to, kAlice4);
}

}  // namespace
}  // namespace ferry::ice_agent_test
