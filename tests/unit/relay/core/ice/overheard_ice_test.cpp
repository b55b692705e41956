// SPDX-License-Identifier: Apache-2.0
// Two parties that do ICE with each other, seen from the transport of one of them: what counts, what it
// teaches, and what strangers get out of it (rule ICE-11, rows I-14 to I-19).

#include "relay/core/ice/overheard_ice.hpp"

#include "relay/core/latch/latch.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::overheard_ice_test {
namespace {

using namespace std::chrono_literals;
using Kind = OverheardIce::Heard::Kind;

Endpoint endpoint(const char* text) { return *Endpoint::parse(text); }
const Endpoint kAlice = endpoint("192.0.2.10:4000");
const Endpoint kAliceToo = endpoint("192.0.2.10:4100");
const Endpoint kAlice6 = endpoint("[2001:db8::10]:4000");
const Endpoint kStranger = endpoint("198.51.100.99:5000");
const Endpoint kOurs = endpoint("203.0.113.1:30000");
const Endpoint kBobsRelay = endpoint("203.0.113.1:30010");
const IceCredentials kA{"alice", "password-of-alice-0123456"};
const IceCredentials kB{"bobby", "password-of-bobby-0123456"};
const IceCredentials kANew{"anewx", "another-of-alice-0123456"};
const IceCredentials kBNew{"bnewx", "another-of-bobby-0123456"};
const Path kBack{endpoint("192.0.2.20:5000")};

struct Sent {
  LocalPort via;
  Endpoint to;
  std::vector<std::byte> octets;
};

using Octets = std::vector<std::byte>;

stun::TransactionId transaction(int number) {
  stun::TransactionId id{};
  id[0] = static_cast<std::byte>(number);
  id[1] = static_cast<std::byte>(number >> 8);
  return id;
}

/// A check that `by` sends to `to`, keyed as RFC 8445 §7.2.2 says.
Octets check(int number, const IceCredentials& to, const IceCredentials& by, bool nominates = false,
             bool controls = true) {
  const std::string username = to.ufrag + ":" + by.ufrag;
  stun::Contents contents;
  contents.username = username;
  contents.priority = 1u;
  contents.use_candidate = nominates;
  (controls ? contents.controlling : contents.controlled) = 7u;
  return stun::write(stun::Kind::kRequest, transaction(number), contents, to.password);
}

Octets answer(const stun::TransactionId& id, const IceCredentials& by,
              stun::Kind kind = stun::Kind::kSuccess) {
  stun::Contents contents;
  contents.mapped = kOurs;
  if (kind == stun::Kind::kError) contents.error = stun::kRoleConflict;
  return stun::write(kind, id, contents, by.password);
}

/// The transport of Alice: Bob's checks pass toward her here, and hers come in.
class Overheard : public ::testing::Test, protected PortOutput {
 protected:
  Overheard() {
    ports_->set(kOurs.port, true);
    plan_.party = kA;
    plan_.other = kB;
    plan_.candidates = {{Component::kRtp, kAlice, 100}};
    plan_.locals = {AddressFamily::kIpv4, AddressFamily::kIpv6};
    follow();
  }
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    sent_.push_back({via, to, {datagram.begin(), datagram.end()}});
  }
  void follow() { ice_.follow(std::make_shared<const OverheardPlan>(plan_), now_); }
  OverheardIce::Turn turn() { return {*this, now_, own_}; }
  OverheardIce::Heard take(const Endpoint& from, const Octets& octets, LocalPort at = {}) {
    return ice_.take(at, from, octets, turn());
  }
  /// The newest question that was sent.
  [[nodiscard]] stun::Message question() const {
    return sent_.empty() ? stun::Message{} : stun::parse(sent_.back().octets).value_or(stun::Message{});
  }
  /// Whoever is at `from` answers the newest question.
  Kind answers(const Endpoint& from, const IceCredentials& by = kA, stun::Kind kind = stun::Kind::kSuccess) {
    return take(from, answer(question().transaction, by, kind)).kind;
  }
  /// Alice checks from an address and answers the question that follows.
  void prove(const Endpoint& from, bool nominates = false) {
    const std::size_t before = sent_.size();
    ASSERT_EQ(take(from, check(++number_, kB, kA, nominates)).kind, Kind::kRequest);
    ASSERT_EQ(sent_.size(), before + 1);
    ASSERT_EQ(sent_.back().to, from);
    ASSERT_EQ(answers(from), Kind::kTaken);
  }
  [[nodiscard]] Endpoint selected(Component component = Component::kRtp) const {
    return ice_.selected(component).value_or(Path{}).peer;
  }
  /// Where a check of Bob goes; unset if nowhere.
  Endpoint pass(int number, bool nominates = false) {
    OverheardIce::Heard heard{Kind::kRequest, transaction(number), nominates, {}, 0};
    return ice_.pass(Component::kRtp, heard, kBack, turn()).value_or(Path{}).peer;
  }
  /// Time goes on, and what is due is done.
  void pass_time(Duration time) {
    for (const Instant end = now_ + time; now_ < end;) {
      const auto due = ice_.due();
      now_ = due && *due < end ? std::max(*due, now_ + 1ms) : end;
      ice_.drive(turn());
    }
  }

  std::shared_ptr<OpenPorts> ports_ = std::make_shared<OpenPorts>(UdpPort{30000}, UdpPort{30099});
  OwnMedia own_{{{kOurs.address, ports_}}};
  OverheardPlan plan_;
  OverheardIce ice_;
  std::vector<Sent> sent_;
  Instant now_{1000s};
  int number_ = 1000;
};

struct RefusedRow {
  const char* name;
  std::function<Octets()> octets;
  Endpoint from = kAlice;
};

class Refused : public Overheard, public ::testing::WithParamInterface<RefusedRow> {};

TEST_P(Refused, ICE11_I14_ItChangesNothing) {
  EXPECT_EQ(take(GetParam().from, GetParam().octets()).kind, Kind::kRefused);
  EXPECT_TRUE(sent_.empty());
  EXPECT_FALSE(selected().is_set());
  // Nor does it when Alice is known.
  prove(kAlice);
  sent_.clear();
  EXPECT_EQ(take(GetParam().from, GetParam().octets()).kind, Kind::kRefused);
  EXPECT_TRUE(sent_.empty());
  EXPECT_EQ(selected(), kAlice);
}

Octets without_integrity() {
  // The header with USERNAME alone.
  Octets octets(20 + 4 + 12);
  const Octets whole = check(1, kB, kA);
  std::copy_n(whole.begin(), octets.size(), octets.begin());
  write_u16(octets, 2, static_cast<std::uint16_t>(octets.size() - 20));
  return octets;
}

INSTANTIATE_TEST_SUITE_P(
    Table, Refused,
    ::testing::Values(
        RefusedRow{"NoIntegrity", without_integrity},
        RefusedRow{"WrongPassword",
                   [] {
                     return check(1, {kB.ufrag, "guessed-password-0123456"}, kA);
                   }},
        RefusedRow{"PasswordOfTheSender",
                   [] {
                     return check(1, {kB.ufrag, kA.password}, kA);
                   }},
        RefusedRow{"TheOtherDirection", [] { return check(1, kA, kB); }},
        RefusedRow{"UnknownSender",
                   [] {
                     return check(1, kB, {"eve", ""});
                   }},
        RefusedRow{"NoSender",
                   [] {
                     return check(1, kB, {"", ""});
                   }},
        RefusedRow{"UnknownReceiver",
                   [] {
                     return check(1, {"eve", kB.password}, kA);
                   }},
        RefusedRow{"AnswerToNothing", [] { return answer(transaction(1), kA); }},
        RefusedRow{"ErrorToNothing", [] { return answer(transaction(1), kA, stun::Kind::kError); }},
        RefusedRow{"Indication",
                   [] { return stun::write(stun::Kind::kIndication, transaction(1), {}, kB.password); }},
        RefusedRow{"Changed",
                   [] {
                     Octets octets = check(1, kB, kA);
                     octets[40] ^= std::byte{1};
                     return octets;
                   }},
        RefusedRow{"Data", [] { return Octets(100, std::byte{1}); }},
        RefusedRow{"Empty", [] { return Octets{}; }},
        RefusedRow{"FromOurOwnPort", [] { return check(1, kB, kA); }, kOurs},
        RefusedRow{"FromMulticast", [] { return check(1, kB, kA); }, endpoint("224.0.0.1:4000")}),
    [](const auto& row) { return row.param.name; });

TEST_F(Overheard, ICE11_NothingCountsBeforeBothHaveSaidWhoTheyAre) {
  plan_.other = {};
  follow();
  EXPECT_EQ(take(kAlice, check(1, kB, kA)).kind, Kind::kRefused);
  EXPECT_EQ(take(kAlice, check(1, {}, kA)).kind, Kind::kRefused);
  EXPECT_FALSE(pass(1).is_set());
  EXPECT_TRUE(sent_.empty());
  plan_.other = kB;
  follow();
  EXPECT_EQ(take(kAlice, check(1, kB, kA)).kind, Kind::kRequest);
  // An answer without ICE ends it.
  answers(kAlice);
  ASSERT_EQ(selected(), kAlice);
  plan_.other = {};
  follow();
  EXPECT_FALSE(selected().is_set());
}

TEST_F(Overheard, ICE11_ACheckPassesAndTheAddressIsAskedBack) {
  const auto heard = take(kAlice, check(7, kB, kA, true), {Component::kRtp, 0});
  EXPECT_EQ(heard.kind, Kind::kRequest);
  EXPECT_EQ(heard.transaction, transaction(7));
  EXPECT_TRUE(heard.nominates);
  EXPECT_FALSE(selected().is_set()) << "a check alone teaches nothing";
  ASSERT_EQ(sent_.size(), 1u);
  EXPECT_EQ(sent_[0].to, kAlice);
  const stun::Message asked = question();
  EXPECT_EQ(asked.username, "alice:bobby");
  EXPECT_TRUE(stun::is_authentic(sent_[0].octets, asked, kA.password));
  EXPECT_NE(asked.transaction, transaction(7));
  EXPECT_FALSE(asked.use_candidate);
  EXPECT_EQ(answers(kAlice), Kind::kTaken);
  EXPECT_EQ(selected(), kAlice);
  // It has been answered: the same octets again are a repetition.
  EXPECT_EQ(answers(kAlice), Kind::kRefused);
}

TEST_F(Overheard, ICE11_AQuestionNeverChangesTheRoleOfTheParty) {
  take(kAlice, check(1, kB, kA, false, true));
  EXPECT_EQ(question().controlled, ~std::uint64_t{0}) << "Alice controls; a conflict is hers to refuse";
  EXPECT_FALSE(question().controlling);
  now_ += 1s;
  take(kAlice, check(2, kB, kA, false, false));
  EXPECT_EQ(question().controlling, 0u);
  EXPECT_FALSE(question().controlled);
  // RFC 8445 §7.3.1.1: a refusal for the conflict of roles proves as much.
  EXPECT_EQ(answers(kAlice, kA, stun::Kind::kError), Kind::kTaken);
  EXPECT_EQ(selected(), kAlice);
}

TEST_F(Overheard, ICE11_I15_ARepeatedCheckFromElsewhereMovesNothing) {
  const Octets recorded = check(7, kB, kA, true);
  ASSERT_EQ(take(kAlice, recorded).kind, Kind::kRequest);
  answers(kAlice);
  const stun::TransactionId asked = question().transaction;
  std::size_t seen = sent_.size();
  for (int n = 0; n < 50; ++n) {
    // X repeats all that it has read: the check, the answer to our question, and an answer of Bob.
    take(kStranger, recorded);
    EXPECT_EQ(take(kStranger, answer(asked, kA)).kind, Kind::kRefused);
    EXPECT_EQ(answers(kStranger, kB), Kind::kRefused);
    pass_time(200ms);
    EXPECT_EQ(selected(), kAlice);
    EXPECT_EQ(pass(n), kAlice) << "the checks of Bob still go to Alice";
    for (; seen < sent_.size(); ++seen) {
      if (sent_[seen].to == kAlice) take(kAlice, answer(stun::parse(sent_[seen].octets)->transaction, kA));
    }
  }
  // Alice cannot be answered for from another address, either.
  pass_time(6s);
  const auto to_alice = std::ranges::find(sent_.rbegin(), sent_.rend(), kAlice, &Sent::to);
  ASSERT_NE(to_alice, sent_.rend());
  EXPECT_EQ(take(kStranger, answer(stun::parse(to_alice->octets)->transaction, kA)).kind, Kind::kRefused);
}

TEST_F(Overheard, ICE11_I15_AnAnswerToACheckThatPassedProvesNothing) {
  // X has recorded a check of Bob and Alice's answer to it on another path, and repeats both.
  take(kStranger, check(7, kB, kA));
  std::optional<Path> to;
  for (int n = 0; n < 5 && (!to || to->peer != kStranger); ++n) {
    OverheardIce::Heard heard{Kind::kRequest, transaction(9), true, {}};
    to = ice_.pass(Component::kRtp, heard, kBack, turn());
  }
  ASSERT_EQ(to->peer, kStranger) << "before Alice is known, checks go to whoever spoke";
  const auto heard = take(kStranger, answer(transaction(9), kA));
  EXPECT_EQ(heard.kind, Kind::kAnswer);
  EXPECT_EQ(heard.to, kBack);
  EXPECT_FALSE(selected().is_set());
  prove(kAlice);
  EXPECT_EQ(selected(), kAlice);
}

TEST_F(Overheard, ICE11_AnswersPassOnceForEachCheckAndFromItsAddressAlone) {
  prove(kAlice);
  ASSERT_EQ(pass(3), kAlice);
  EXPECT_EQ(take(kStranger, answer(transaction(3), kA)).kind, Kind::kRefused);
  EXPECT_EQ(take(kAlice, answer(transaction(3), kB)).kind, Kind::kRefused) << "keyed by Bob";
  EXPECT_EQ(take(kAlice, answer(transaction(3), kA), {Component::kRtcp, 0}).kind, Kind::kRefused);
  EXPECT_EQ(take(kAlice, answer(transaction(3), kA), {Component::kRtp, 1}).kind, Kind::kRefused);
  const auto heard = take(kAlice, answer(transaction(3), kA));
  EXPECT_EQ(heard.kind, Kind::kAnswer);
  EXPECT_EQ(heard.to, kBack);
  EXPECT_EQ(take(kAlice, answer(transaction(3), kA)).kind, Kind::kRefused) << "one for one";
  ASSERT_EQ(pass(4), kAlice);
  now_ += 11s;
  EXPECT_EQ(take(kAlice, answer(transaction(4), kA)).kind, Kind::kRefused) << "too late";
}

TEST_F(Overheard, ICE11_TheFirstAddressStaysUntilANewerOneIsNominatedAndAnswers) {
  prove(kAlice);
  prove(kAliceToo);
  EXPECT_EQ(selected(), kAlice) << "agents check from several addresses";
  ASSERT_EQ(take(kAliceToo, check(50, kB, kA, true)).kind, Kind::kRequest);
  EXPECT_EQ(selected(), kAlice) << "a nomination counts after the answer";
  answers(kAliceToo);
  EXPECT_EQ(selected(), kAliceToo);
  now_ += 1s;
  take(kAlice, check(51, kB, kA, true));
  answers(kAlice);
  EXPECT_EQ(selected(), kAlice);
  // Repeating it for the selected address asks nothing.
  sent_.clear();
  for (int n = 0; n < 10; ++n) take(kAlice, check(60 + n, kB, kA, true));
  EXPECT_TRUE(sent_.empty());
}

TEST_F(Overheard, ICE11_OfAControlledPartyTheAddressThatTookTheNominationCounts) {
  prove(kAlice);
  prove(kAliceToo);
  ASSERT_EQ(selected(), kAlice);
  // Alice falls silent at her first address: Bob's nomination finds the second.
  sent_.clear();
  Endpoint to;
  for (int n = 0; n < 60 && to != kAliceToo; ++n) {
    pass_time(500ms);
    if (!sent_.empty() && sent_.back().to == kAliceToo) answers(kAliceToo);
    to = pass(70 + n, true);
    if (to == kAliceToo) {
      EXPECT_EQ(take(kAliceToo, answer(transaction(70 + n), kA)).kind, Kind::kAnswer);
    }
    take(kAliceToo, check(200 + n, kB, kA, false, false));
    if (!sent_.empty() && sent_.back().to == kAliceToo) answers(kAliceToo);
  }
  EXPECT_EQ(to, kAliceToo);
  EXPECT_EQ(selected(), kAliceToo);
}

TEST_F(Overheard, ICE11_APartyThatMovedIsFollowedWhenItsOldAddressIsSilent) {
  prove(kAlice, true);
  pass_time(3s);
  // A NAT gave it another port. It nominated before and says nothing new.
  take(kAliceToo, check(50, kB, kA));
  answers(kAliceToo);
  EXPECT_EQ(selected(), kAlice);
  pass_time(3s);
  EXPECT_EQ(selected(), kAliceToo);
}

TEST_F(Overheard, ICE11_I16_ConsentEndsAfterThirtySecondsWithoutAnAnswer) {
  prove(kAlice);
  const Instant proven = now_;
  sent_.clear();
  pass_time(29s);
  EXPECT_EQ(selected(), kAlice);
  EXPECT_GE(sent_.size(), 5u);
  EXPECT_LE(sent_.size(), 12u);
  for (const Sent& each : sent_) EXPECT_EQ(each.to, kAlice);
  // Checks that Alice sent long ago, repeated by X under her address, keep nothing.
  take(kAlice, check(7, kB, kA));
  pass_time(2s);
  EXPECT_LE(now_ - proven, 31s + 1ms);
  EXPECT_FALSE(selected().is_set());
  EXPECT_FALSE(ice_.due());
  // She comes back.
  prove(kAlice);
  EXPECT_EQ(selected(), kAlice);
  for (int n = 0; n < 20; ++n) {
    sent_.clear();
    pass_time(6s);
    ASSERT_FALSE(sent_.empty());
    EXPECT_EQ(answers(kAlice), Kind::kTaken);
  }
  EXPECT_EQ(selected(), kAlice);
}

TEST_F(Overheard, ICE11_C13_APauseIsNoSilence) {
  prove(kAlice);
  now_ += 3600s;
  ice_.skip(3600s);
  ice_.drive(turn());
  EXPECT_EQ(selected(), kAlice);
}

TEST_F(Overheard, ICE11_I17_BeforeThePartyIsKnownChecksGoWhereTheSdpSaysAndNoOftener) {
  ports_->set(UdpPort{30010}, true);
  plan_.candidates = {{Component::kRtp, kAlice, 100},
                      {Component::kRtcp, kAliceToo, 100},
                      {Component::kRtp, kAlice6, 90},
                      {Component::kRtp, kBobsRelay, 80},
                      {Component::kRtp, endpoint("224.0.0.1:4000"), 70}};
  follow();
  std::map<Endpoint, int> went;
  for (int n = 0; n < 60'000; ++n) {
    const Endpoint to = pass(n);
    if (to.is_set()) ++went[to];
    now_ += 5ms;
  }
  EXPECT_EQ(went.size(), 2u) << "not to another component, nor to our own ports, nor to a group";
  EXPECT_EQ(went[kAlice] + went[kAlice6], static_cast<int>(OverheardIce::kMaxSought));
  EXPECT_EQ(went[kAlice], went[kAlice6]);
  // An address that spoke is found again, at the same pace.
  take(kAliceToo, check(1, kB, kA));
  int found = 0;
  for (int n = 0; n < 2'000; ++n) {
    found += pass(n).is_set() ? 1 : 0;
    now_ += 5ms;
  }
  EXPECT_GT(found, 100);
  EXPECT_LE(found, 20 * 11);
}

TEST_F(Overheard, ICE11_I17_AnAddressThatNeverAnswersGetsNoMoreThanASdpNames) {
  plan_.candidates.clear();
  follow();
  // A party that sends checks under the address of a victim, again and again.
  int found = 0;
  for (int n = 0; n < 20'000; ++n) {
    if (n % 200 == 0) take(kStranger, check(n, kB, kA));
    found += pass(n).is_set() ? 1 : 0;
    now_ += 50ms;
  }
  EXPECT_EQ(found, static_cast<int>(OverheardIce::kMaxSought));
  // The party itself answers, and is found.
  prove(kAlice);
  EXPECT_EQ(pass(30'000), kAlice);
}

TEST_F(Overheard, ICE11_OnlyMessagesOfAnAgentsSizeAndFormPass) {
  const std::string username = kB.ufrag + ":" + kA.ufrag;
  stun::Contents contents;
  contents.username = username;
  contents.priority = 1u;
  contents.controlling = 7u;
  Octets whole = stun::write(stun::Kind::kRequest, transaction(1), contents, kB.password);
  EXPECT_EQ(take(kAlice, whole).kind, Kind::kRequest);
  Octets bare = whole;
  bare.resize(bare.size() - 8);  // FINGERPRINT is the last attribute
  bare[3] = static_cast<std::byte>(static_cast<unsigned>(bare[3]) - 8);
  EXPECT_EQ(take(kAlice, bare).kind, Kind::kRefused) << "RFC 8445 §7.1";
  const Octets large(OverheardIce::kLongest + 1, std::byte{0});
  EXPECT_EQ(take(kAlice, large).kind, Kind::kRefused);
}

TEST_F(Overheard, AnAnswerNamesTheTransportThatAsked) {
  prove(kAlice);
  OverheardIce::Heard heard{Kind::kRequest, transaction(5), false, {}, 77};
  ASSERT_EQ(ice_.pass(Component::kRtp, heard, kBack, turn()).value_or(Path{}).peer, kAlice);
  const auto answered = take(kAlice, answer(transaction(5), kA));
  ASSERT_EQ(answered.kind, Kind::kAnswer);
  EXPECT_EQ(answered.asker, 77u);
  EXPECT_EQ(answered.to, kBack);
}

TEST_F(Overheard, ICE11_I17_SeekingKeepsToOneIpVersionThatThePortsHave) {
  plan_.candidates = {{Component::kRtp, kAlice6, 90}};
  plan_.locals = {AddressFamily::kIpv4};
  follow();
  EXPECT_FALSE(pass(1).is_set());
  plan_.locals = {AddressFamily::kIpv4, AddressFamily::kIpv6};
  follow();
  OverheardIce::Heard heard{Kind::kRequest, transaction(1), false, {}};
  EXPECT_EQ(ice_.pass(Component::kRtp, heard, kBack, turn()), Path(1, kAlice6));
}

TEST_F(Overheard, ICE11_I18_NobodyGetsMoreQuestionsThanItSentChecks) {
  // X repeats recorded checks under the addresses of victims.
  const Octets recorded = check(7, kB, kA, true);
  int sent_by_x = 0;
  for (int n = 0; n < 2'000; ++n) {
    Endpoint victim = kStranger;
    victim.port.value = static_cast<std::uint16_t>(5000 + n % 500);
    take(victim, recorded);
    ++sent_by_x;
    pass_time(5ms);
  }
  EXPECT_LE(sent_.size(), static_cast<std::size_t>(sent_by_x));
  EXPECT_LE(sent_.size(), 20u * 11) << "20 a second";
  std::map<Endpoint, std::size_t> asked;
  for (const Sent& each : sent_) ++asked[each.to];
  for (const auto& [at, times] : asked) EXPECT_LE(times, 4u);
  const std::size_t before = sent_.size();
  pass_time(60s);
  EXPECT_EQ(sent_.size(), before) << "by time only the selected address is asked";
  prove(kAlice);
  EXPECT_EQ(selected(), kAlice);
}

TEST_F(Overheard, ICE11_ALostAnswerIsAskedForAgainWithoutAnotherMessage) {
  take(kAlice, check(1, kB, kA));
  take(kAlice, check(1, kB, kA));
  take(kAlice, check(2, kB, kA, true));
  ASSERT_EQ(sent_.size(), 1u);
  const auto asked = question().transaction;
  // Her answer is lost, and she has nothing more to say.
  pass_time(400ms);
  EXPECT_EQ(sent_.size(), 1u);
  pass_time(200ms);
  ASSERT_EQ(sent_.size(), 2u);
  EXPECT_EQ(question().transaction, asked);
  EXPECT_EQ(sent_.back().to, kAlice);
  EXPECT_EQ(answers(kAlice), Kind::kTaken);
  EXPECT_EQ(selected(), kAlice);
  // What she said before needs no further question.
  pass_time(2s);
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(Overheard, ICE11_I18_OneMessageDrawsOneQuestionHoweverLongItTakes) {
  take(kStranger, check(1, kB, kA));
  pass_time(20s);
  EXPECT_EQ(sent_.size(), 1u);
  take(kStranger, check(1, kB, kA));
  for (int i = 0; i < 10; ++i) take(kStranger, check(1, kB, kA));
  pass_time(20s);
  EXPECT_LE(sent_.size(), 2u + OverheardIce::kSilent);
}

TEST_F(Overheard, ICE11_I18_ACrowdOfAddressesDoesNotPushThePartyOut) {
  prove(kAlice);
  const Octets recorded = check(7, kB, kA);
  for (std::uint16_t n = 0; n < 200; ++n) take({kStranger.address, UdpPort{n}}, recorded);
  EXPECT_EQ(selected(), kAlice);
  EXPECT_EQ(pass(1), kAlice);
}

TEST_F(Overheard, ICE11_I18_ACrowdDoesNotKeepAPartyOutThatTheSdpNames) {
  const Octets recorded = check(7, kB, kA);
  const auto crowd = [&](std::uint16_t first) {
    for (std::uint16_t n = 0; n < 200; ++n)
      take({kStranger.address, UdpPort{static_cast<std::uint16_t>(first + n)}}, recorded);
  };
  crowd(1000);
  // Behind her NAT Alice has another port than the SDP says.
  ASSERT_EQ(take(kAliceToo, check(8, kB, kA)).kind, Kind::kRequest);
  ASSERT_FALSE(sent_.empty());
  ASSERT_EQ(sent_.back().to, kAliceToo) << "she is asked";
  const stun::TransactionId asked = question().transaction;
  crowd(2000);
  EXPECT_EQ(take(kAliceToo, answer(asked, kA)).kind, Kind::kTaken);
  EXPECT_EQ(selected(), kAliceToo);
}

TEST_F(Overheard, ICE11_AfterARestartBothSessionsCountUntilTheNewOneSpeaks) {
  prove(kAlice, true);
  plan_.party = kANew;
  plan_.other = kBNew;
  follow();
  EXPECT_EQ(selected(), kAlice) << "media goes on";
  EXPECT_EQ(take(kAlice, check(1, kB, kA)).kind, Kind::kRequest);
  EXPECT_EQ(take(kAlice, check(2, kB, kANew)).kind, Kind::kRequest) << "the answer is on its way";
  EXPECT_EQ(take(kAlice, check(3, kB, kA)).kind, Kind::kRefused) << "Alice has spoken under the new name";
  EXPECT_EQ(take(kAliceToo, check(4, kBNew, kANew)).kind, Kind::kRequest);
  answers(kAliceToo, kANew);
  EXPECT_EQ(selected(), kAliceToo) << "the session that is new comes first";
  EXPECT_EQ(take(kAlice, check(5, kB, kANew)).kind, Kind::kRefused);
  // Refused answers under the old password.
  ASSERT_EQ(pass(9), kAliceToo);
  EXPECT_EQ(take(kAliceToo, answer(transaction(9), kA)).kind, Kind::kRefused);
  EXPECT_EQ(take(kAliceToo, answer(transaction(9), kANew)).kind, Kind::kAnswer);
}

TEST_F(Overheard, ICE11_QuestionsDuringARestartAreKeyedAsThePartySpeaks) {
  prove(kAlice);
  plan_.party = kANew;
  plan_.other = kBNew;
  follow();
  pass_time(7s);
  EXPECT_EQ(question().username, "alice:bobby");
  EXPECT_EQ(answers(kAlice, kA), Kind::kTaken);
  take(kAlice, check(1, kBNew, kANew));
  EXPECT_EQ(question().username, "anewx:bnewx");
  EXPECT_EQ(answers(kAlice, kA), Kind::kRefused);
  EXPECT_EQ(answers(kAlice, kANew), Kind::kTaken);
}

TEST_F(Overheard, ICE11_TrickledCandidatesCount) {
  plan_.candidates.clear();
  follow();
  EXPECT_FALSE(pass(1).is_set());
  plan_.candidates = {{Component::kRtp, kAlice, 100}};
  follow();
  EXPECT_EQ(pass(1), kAlice);
}

TEST_F(Overheard, ICE11_ALitePartyIsKnownByItsAnswersAlone) {
  ASSERT_EQ(pass(1), kAlice);
  EXPECT_EQ(take(kAlice, answer(transaction(1), kA)).kind, Kind::kAnswer);
  ASSERT_EQ(sent_.size(), 1u) << "one answer, one question";
  EXPECT_EQ(answers(kAlice), Kind::kTaken);
  EXPECT_EQ(selected(), kAlice);
}

TEST_F(Overheard, ICE11_ComponentsAreApart) {
  ASSERT_EQ(take(kAlice, check(1, kB, kA), {Component::kRtcp, 0}).kind, Kind::kRequest);
  ASSERT_FALSE(sent_.empty());
  EXPECT_EQ(sent_.back().via.component, Component::kRtcp);
  EXPECT_EQ(answers(kAlice), Kind::kRefused) << "the question left by the other port";
  EXPECT_EQ(take(kAlice, answer(question().transaction, kA), {Component::kRtcp, 0}).kind, Kind::kTaken);
  EXPECT_EQ(selected(Component::kRtcp), kAlice);
  EXPECT_FALSE(selected(Component::kRtp).is_set());
}

TEST_F(Overheard, ICE11_LAT11a_ARuleThatComesLaterEndsAPlace) {
  prove(kAlice);
  PeerRules rules;
  rules.denied = {*Network::parse("192.0.2.0/24")};
  plan_.peers = std::make_shared<const PeerPolicy>(std::make_shared<const PeerTables>(rules), PeerScope{});
  follow();
  EXPECT_FALSE(selected().is_set());
  EXPECT_EQ(take(kAlice, check(1, kB, kA)).kind, Kind::kRefused);
  EXPECT_FALSE(pass(1).is_set());
}

TEST_F(Overheard, ICE11_ASelectedPlaceIsRestored) {
  OverheardIce other;
  other.follow(std::make_shared<const OverheardPlan>(plan_), now_);
  other.restore({Path(1, kAlice6), std::nullopt}, now_);
  EXPECT_EQ(other.selected(Component::kRtp), Path(1, kAlice6));
  ASSERT_TRUE(other.due());
  other.drive(turn());
  ASSERT_EQ(sent_.size(), 1u) << "it is asked at once";
  EXPECT_EQ(sent_[0].via, (LocalPort{Component::kRtp, 1}));
  now_ += 31s;
  other.drive(turn());
  EXPECT_FALSE(other.selected(Component::kRtp));
}

TEST_F(Overheard, LAT11a_ARestoredPlaceHasToBeAllowedNow) {
  PeerRules rules;
  rules.denied = {*Network::parse("192.0.2.10/32")};
  plan_.peers = std::make_shared<const PeerPolicy>(std::make_shared<const PeerTables>(rules), PeerScope{});
  OverheardIce other;
  other.follow(std::make_shared<const OverheardPlan>(plan_), now_);
  other.restore({Path(0, kAlice), Path(1, kAlice6)}, now_);
  EXPECT_FALSE(other.selected(Component::kRtp));
  EXPECT_EQ(other.selected(Component::kRtcp), Path(1, kAlice6));
}

}  // namespace
}  // namespace ferry::overheard_ice_test
