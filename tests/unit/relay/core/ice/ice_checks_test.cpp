// SPDX-License-Identifier: Apache-2.0
// One agent alone: what its checks say, when they are sent, and how it takes each answer (RFC 8445 §7).

#include "relay/core/ice/ice_agent.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::ice_checks_test {
namespace {

using namespace std::chrono_literals;
using State = IceAgent::State;

const Endpoint kPeer = *Endpoint::parse("192.0.2.10:4000");
const Endpoint kSecond = *Endpoint::parse("192.0.2.10:4002");
const Endpoint kStranger = *Endpoint::parse("198.51.100.99:5000");
constexpr std::uint32_t kPriority = 1'000'000;

struct Sent {
  LocalPort via;
  Endpoint to;
  std::vector<std::byte> octets;
  Instant at;
};

class IceChecksTest : public ::testing::Test, private PortOutput {
 protected:
  IceChecksTest() {
    plan_.own = {"ours", "our-password-of-enough-letters"};
    plan_.peer = {"theirs", "their-password-of-enough-letters"};
    plan_.locals = {AddressFamily::kIpv4};
    plan_.candidates = {{Component::kRtp, kPeer, kPriority}};
    plan_.controlling = true;
  }
  void follow() { agent_.follow(plan_, now_); }
  void drive() { agent_.drive(turn()); }
  /// Drives at each moment that the agent names, and at no other, until `end`.
  void run_until(Instant end) {
    drive();
    for (auto due = agent_.due(now_); due && *due <= end; due = agent_.due(now_)) {
      ASSERT_GT(*due, now_) << "it would never sleep";
      now_ = *due;
      drive();
      ASSERT_LT(sent_.size(), 10'000u);
    }
    now_ = end;
  }
  bool take(const Endpoint& from, const std::vector<std::byte>& octets, LocalPort at = {}) {
    return agent_.take(at, from, octets, turn());
  }
  /// What the peer says to the check `check`.
  std::vector<std::byte> answer_to(const Sent& check, std::uint16_t error = 0) {
    stun::Contents contents;
    contents.error = error;
    if (error == 0) contents.mapped = *Endpoint::parse("203.0.113.1:30000");
    return stun::write(error == 0 ? stun::Kind::kSuccess : stun::Kind::kError,
                       stun::parse(check.octets)->transaction, contents, plan_.peer.password);
  }
  std::vector<std::byte> check_of_peer(stun::Contents contents = {}, std::uint8_t number = 1) {
    contents.username = "ours:theirs";
    if (!contents.priority) contents.priority = kPriority;
    return stun::write(stun::Kind::kRequest, {std::byte{number}}, contents, plan_.own.password);
  }
  stun::Message said(const Sent& sent) { return *stun::parse(sent.octets); }
  const Sent& newest() { return sent_.back(); }

  IcePlan plan_;
  IceAgent agent_;
  Instant now_{1h};
  std::vector<Sent> sent_;

 private:
  IceAgent::Turn turn() { return {*this, now_}; }
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    sent_.push_back({via, to, {datagram.begin(), datagram.end()}, now_});
  }
};

TEST_F(IceChecksTest, ACheckSaysAllThatTheRfcWants) {
  for (const bool controlling : {true, false}) {
    sent_.clear();
    agent_ = {};
    plan_.controlling = controlling;
    follow();
    drive();
    ASSERT_EQ(sent_.size(), 1u);
    EXPECT_EQ(newest().to, kPeer);
    const stun::Message check = said(newest());
    EXPECT_EQ(check.kind, stun::Kind::kRequest);
    EXPECT_EQ(check.username, "theirs:ours");
    EXPECT_TRUE(check.has_fingerprint);
    EXPECT_TRUE(stun::is_authentic(newest().octets, check, plan_.peer.password));
    // RFC 8445 §7.1.1: as a peer-reflexive candidate of the same address.
    EXPECT_EQ(check.priority, (110u << 24) | (host_priority({}) & 0xffffff));
    EXPECT_EQ(check.controlling.has_value(), controlling);
    EXPECT_EQ(check.controlled.has_value(), !controlling);
    EXPECT_FALSE(check.use_candidate) << "nothing is nominated before it works";
    EXPECT_FALSE(check.mapped.is_set());
  }
}

TEST_F(IceChecksTest, ACheckIsSentSevenTimesAndThenThePairHasFailed) {
  follow();
  run_until(now_ + 29s);
  ASSERT_EQ(sent_.size(), 7u);
  Duration wait = 100ms;
  for (std::size_t i = 1; i < sent_.size(); ++i, wait *= 2) {
    EXPECT_EQ(sent_[i].at - sent_[i - 1].at, wait) << i;
    EXPECT_EQ(sent_[i].octets, sent_[0].octets) << "one transaction: any of its answers counts";
  }
  EXPECT_EQ(agent_.state(), State::kChecking);
  run_until(now_ + 2s);
  EXPECT_EQ(agent_.state(), State::kFailed);
  EXPECT_EQ(sent_.size(), 7u);
  EXPECT_FALSE(agent_.due(now_)) << "nothing is left to do";
}

TEST_F(IceChecksTest, TheControllingSideNominatesWhatWorksAndAsksForConsent) {
  follow();
  drive();
  ASSERT_TRUE(take(kPeer, answer_to(newest())));
  EXPECT_TRUE(agent_.is_valid({}, kPeer));
  EXPECT_TRUE(agent_.is_valid(Component::kRtp, kPeer));
  EXPECT_FALSE(agent_.is_valid(Component::kRtcp, kPeer));
  EXPECT_FALSE(agent_.selected(Component::kRtp)) << "the nomination is under way";
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_TRUE(said(newest()).use_candidate);
  ASSERT_TRUE(take(kPeer, answer_to(newest())));
  EXPECT_FALSE(take(kPeer, answer_to(newest()))) << "a second answer answers nothing";
  ASSERT_TRUE(agent_.selected(Component::kRtp));
  EXPECT_EQ(agent_.selected(Component::kRtp)->peer, kPeer);
  EXPECT_TRUE(agent_.is_current(Component::kRtp));
  drive();
  EXPECT_EQ(agent_.state(), State::kConnected);
  // ICE-9: every 4 to 6 s, and never twice within one answer.
  for (int i = 0; i < 20; ++i) {
    const Instant before = now_;
    sent_.clear();
    const auto due = agent_.due(now_);
    ASSERT_TRUE(due);
    now_ = *due;
    drive();
    ASSERT_EQ(sent_.size(), 1u) << i;
    EXPECT_GE(now_ - before, 4s);
    EXPECT_LE(now_ - before, 6s);
    EXPECT_FALSE(said(newest()).use_candidate);
    ASSERT_TRUE(take(kPeer, answer_to(newest())));
  }
  EXPECT_EQ(agent_.last_heard(), now_);
}

TEST_F(IceChecksTest, ABetterPairHasThreeTenthsOfASecondToAnswer) {
  plan_.candidates.push_back({Component::kRtp, kSecond, kPriority - 1});
  follow();
  drive();
  now_ += IceAgent::kPace;
  drive();
  ASSERT_EQ(sent_.size(), 2u);
  ASSERT_EQ(newest().to, kSecond) << "in the order of priorities";
  ASSERT_TRUE(take(kSecond, answer_to(newest())));
  const Instant answered = now_;
  while (!said(newest()).use_candidate && now_ < answered + 1s) {
    now_ = *agent_.due(now_);
    drive();
  }
  EXPECT_EQ(newest().to, kSecond);
  EXPECT_EQ(now_ - answered, 300ms);
}

TEST_F(IceChecksTest, ICE8_WhoIsToldThatTheRoleIsTakenTakesTheOther) {
  for (const bool controlling : {true, false}) {
    agent_ = {};
    sent_.clear();
    plan_.controlling = controlling;
    follow();
    drive();
    ASSERT_TRUE(take(kPeer, answer_to(newest(), stun::kRoleConflict)));
    EXPECT_EQ(agent_.is_controlling(), !controlling);
    now_ += IceAgent::kPace;
    drive();
    ASSERT_EQ(sent_.size(), 2u) << "it checks again at once";
    EXPECT_EQ(said(newest()).controlling.has_value(), !controlling);
    EXPECT_NE(said(newest()).transaction, said(sent_[0]).transaction);
  }
}

TEST_F(IceChecksTest, ICE8_SeveralRefusedChecksOfOneRoleChangeItOnce) {
  plan_.candidates.push_back({Component::kRtp, kSecond, kPriority - 1});
  for (const bool controlling : {true, false}) {
    agent_ = {};
    sent_.clear();
    plan_.controlling = controlling;
    follow();
    drive();
    now_ += IceAgent::kPace;
    drive();
    ASSERT_EQ(sent_.size(), 2u);
    ASSERT_TRUE(take(kPeer, answer_to(sent_[0], stun::kRoleConflict)));
    ASSERT_TRUE(take(kSecond, answer_to(sent_[1], stun::kRoleConflict)));
    EXPECT_EQ(agent_.is_controlling(), !controlling);
  }
}

TEST_F(IceChecksTest, ICE8_ALitePeerIsControlledWhateverItSays) {
  plan_.peer_is_lite = true;
  follow();
  drive();
  ASSERT_TRUE(take(kPeer, answer_to(newest(), stun::kRoleConflict)));
  EXPECT_TRUE(agent_.is_controlling());
}

TEST_F(IceChecksTest, ICE8_TheLargerTieBreakerControls) {
  for (const bool controlling : {true, false}) {
    for (const bool peer_is_larger : {true, false}) {
      agent_ = {};
      sent_.clear();
      plan_.controlling = controlling;
      follow();
      stun::Contents same_role;
      // Ours is random: it is neither of these two.
      (controlling ? same_role.controlling : same_role.controlled) = peer_is_larger ? UINT64_MAX : 0;
      ASSERT_TRUE(take(kPeer, check_of_peer(same_role)));
      ASSERT_EQ(sent_.size(), 1u);
      const bool we_control = !peer_is_larger;
      EXPECT_EQ(agent_.is_controlling(), we_control);
      const bool is_refused = we_control == controlling;
      EXPECT_EQ(said(newest()).kind, is_refused ? stun::Kind::kError : stun::Kind::kSuccess);
      EXPECT_EQ(said(newest()).error, is_refused ? stun::kRoleConflict : 0);
      EXPECT_TRUE(stun::is_authentic(newest().octets, said(newest()), plan_.own.password));
    }
  }
}

TEST_F(IceChecksTest, AnotherErrorEndsThePair) {
  follow();
  drive();
  ASSERT_TRUE(take(kPeer, answer_to(newest(), 400)));
  run_until(now_ + 10s);
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_FALSE(agent_.is_valid({}, kPeer));
  // A check of the peer shows that there is a way after all.
  ASSERT_TRUE(take(kPeer, check_of_peer()));
  drive();
  ASSERT_EQ(sent_.size(), 3u);
  EXPECT_EQ(said(newest()).kind, stun::Kind::kRequest);
}

TEST_F(IceChecksTest, AnAnswerSaysWhereTheCheckCameFrom) {
  follow();
  ASSERT_TRUE(take(kStranger, check_of_peer({}, 42)));
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(newest().to, kStranger);
  const stun::Message answer = said(newest());
  EXPECT_EQ(answer.kind, stun::Kind::kSuccess);
  EXPECT_EQ(answer.mapped, kStranger);
  EXPECT_EQ(answer.transaction[0], std::byte{42});
  EXPECT_TRUE(answer.has_fingerprint);
  // RFC 8445 §7.3.1.4: that pair is checked before all others.
  drive();
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(newest().to, kStranger);
}

TEST_F(IceChecksTest, WhatIsNotForIceIsNeitherTakenNorAnswered) {
  follow();
  const auto good = check_of_peer();
  auto no_fingerprint = good;
  no_fingerprint.resize(good.size() - 8);
  write_u16(no_fingerprint, 2, static_cast<std::uint16_t>(no_fingerprint.size() - 20));
  EXPECT_FALSE(take(kPeer, no_fingerprint));
  EXPECT_FALSE(take(kPeer, good, {Component::kRtcp, 0})) << "RTCP is multiplexed";
  stun::Contents named;
  named.username = "ours:theirs";
  EXPECT_FALSE(take(kPeer, stun::write(stun::Kind::kIndication, {}, named, plan_.own.password)));
  EXPECT_FALSE(take(kPeer, stun::write(stun::Kind::kSuccess, {}, {}, plan_.peer.password))) << "to nothing";
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(agent_.last_heard(), Instant{});
  EXPECT_TRUE(take(kPeer, good));
  EXPECT_EQ(agent_.last_heard(), now_);
}

TEST_F(IceChecksTest, CandidatesMakePairsWithEachOwnAddressOfTheirFamily) {
  plan_.locals = {AddressFamily::kIpv4, AddressFamily::kIpv6, AddressFamily::kIpv4};
  plan_.has_rtcp = true;
  plan_.candidates.push_back({Component::kRtcp, kSecond, kPriority});
  follow();
  run_until(now_ + 200ms);
  std::vector<std::pair<LocalPort, Endpoint>> first;
  for (const Sent& each : sent_) {
    const std::pair<LocalPort, Endpoint> pair{each.via, each.to};
    if (std::ranges::find(first, pair) == first.end()) first.push_back(pair);
  }
  using Expected = std::vector<std::pair<LocalPort, Endpoint>>;
  EXPECT_EQ(first, (Expected{{{Component::kRtp, 0}, kPeer},
                             {{Component::kRtcp, 0}, kSecond},
                             {{Component::kRtp, 2}, kPeer},
                             {{Component::kRtcp, 2}, kSecond}}));
}

TEST_F(IceChecksTest, WithRtcpMultiplexedThereIsNoSecondPair) {
  plan_.has_rtcp = true;
  plan_.candidates.push_back({Component::kRtcp, kSecond, kPriority});
  follow();
  agent_.restore({Path{0, kPeer}, Path{0, kSecond}}, {}, now_);
  ASSERT_TRUE(agent_.selected(Component::kRtcp));
  plan_.has_rtcp = false;
  follow();
  EXPECT_FALSE(agent_.selected(Component::kRtcp));
  EXPECT_TRUE(agent_.selected(Component::kRtp));
  EXPECT_FALSE(agent_.is_valid(Component::kRtcp, kSecond));
}

TEST_F(IceChecksTest, WithoutTheirCredentialsItWaits) {
  plan_.peer = {};
  follow();
  drive();
  EXPECT_EQ(agent_.state(), State::kWaiting);
  EXPECT_TRUE(sent_.empty());
  EXPECT_FALSE(agent_.due(now_));
}

TEST_F(IceChecksTest, ALiteAgentSendsNoCheckAndTakesThePeersWord) {
  plan_.is_lite = true;
  follow();
  EXPECT_FALSE(agent_.is_controlling()) << "whatever signalling says";
  run_until(now_ + 1s);
  EXPECT_TRUE(sent_.empty());
  ASSERT_TRUE(take(kPeer, check_of_peer()));
  EXPECT_TRUE(agent_.is_valid({}, kPeer));
  EXPECT_FALSE(agent_.selected(Component::kRtp));
  stun::Contents nominates;
  nominates.use_candidate = true;
  ASSERT_TRUE(take(kPeer, check_of_peer(nominates, 2)));
  ASSERT_TRUE(agent_.selected(Component::kRtp));
  EXPECT_EQ(agent_.selected(Component::kRtp)->peer, kPeer);
}

TEST_F(IceChecksTest, ICE9_ALiteAgentDoesNotFallBackToASilentPair) {
  // `b1_silent` says whether the pair of before is heard no more when the selected one falls silent.
  for (const bool b1_silent : {true, false}) {
    agent_ = {};
    plan_.is_lite = true;
    follow();
    stun::Contents nominates;
    nominates.use_candidate = true;
    ASSERT_TRUE(take(kPeer, check_of_peer(nominates, 1)));
    run_until(now_ + 1s);
    ASSERT_TRUE(take(kSecond, check_of_peer(nominates, 2)));
    ASSERT_EQ(agent_.selected(Component::kRtp)->peer, kSecond);
    run_until(now_ + 20s);
    if (!b1_silent) {
      ASSERT_TRUE(take(kPeer, check_of_peer({}, 3)));
    }
    run_until(now_ + 11s);
    ASSERT_TRUE(take(kStranger, check_of_peer({}, 4)));
    drive();
    ASSERT_EQ(agent_.selected(Component::kRtp).has_value(), !b1_silent);
    if (!b1_silent) {
      EXPECT_EQ(agent_.selected(Component::kRtp)->peer, kPeer);
    }
  }
}

TEST(IcePriority, OfHostCandidatesIsThatOfTheRfc) {
  // RFC 8445 §5.1.2.1: type 126, then the local preference, then 256 minus the component's number.
  EXPECT_EQ(host_priority({Component::kRtp, 0}), 2'130'706'431u);
  EXPECT_EQ(host_priority({Component::kRtcp, 0}), 2'130'706'430u);
  EXPECT_EQ(host_priority({Component::kRtp, 1}), 2'130'706'175u);
}

TEST(IceState, EachHasItsWord) {
  EXPECT_EQ(to_string(State::kWaiting), "waiting");
  EXPECT_EQ(to_string(State::kChecking), "checking");
  EXPECT_EQ(to_string(State::kConnected), "connected");
  EXPECT_EQ(to_string(State::kFailed), "failed");
  EXPECT_EQ(to_string(State::kExpired), "consent expired");
}

}  // namespace
}  // namespace ferry::ice_checks_test
