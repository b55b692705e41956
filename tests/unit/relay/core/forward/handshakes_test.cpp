// SPDX-License-Identifier: Apache-2.0
// What ICE and DTLS of a transport do to its latches, keys and events, without the transport.

#include "relay/core/forward/handshakes.hpp"

#include "tests/support/fake_dtls.hpp"

#include <deque>
#include <set>

#include <gtest/gtest.h>

namespace ferry::handshakes_test {
namespace {

using namespace std::chrono_literals;
using test::FakeIdentity;
using test::Octets;

const Endpoint kRelay = *Endpoint::parse("203.0.113.1:30000");
const Endpoint kOtherRelay = *Endpoint::parse("203.0.113.2:30000");
const Endpoint kPeer = *Endpoint::parse("192.0.2.10:4000");
const Endpoint kStranger = *Endpoint::parse("198.51.100.99:5000");

/// What one side has sent and the other one has not got yet.
struct Sent {
  LocalPort via;
  Endpoint to;
  Octets octets;
};

/// A side's way to the other one.
class Out final : public PortOutput, public DatagramOutput {
 public:
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    sent.push_back({via, to, {datagram.begin(), datagram.end()}});
  }
  void send(const Endpoint& to, Bytes datagram) noexcept override { send(LocalPort{}, to, datagram); }
  [[nodiscard]] std::optional<Sent> take() {
    if (sent.empty()) return std::nullopt;
    Sent first = std::move(sent.front());
    sent.pop_front();
    return first;
  }
  std::deque<Sent> sent;
};

class HandshakesTest : public ::testing::Test {
 protected:
  HandshakesTest() {
    plan_.rtcp_mux = plan_.send_rtcp_muxed = true;
    plan_.rtp_latch.signalled = kPeer;
    plan_.sources.emplace_back();
    follow_latches();
  }
  void follow_latches() {
    latch_[0].restart(plan_.rtp_latch, now_);
    latch_[1].restart(plan_.rtcp_latch, now_);
  }
  Handshakes::Side side() { return {plan_, latch_, account_, presence_, events_}; }
  HandshakeTurn turn() { return {budget_, out_, now_, own_}; }
  DropReason take(const Endpoint& from, Octets octets, LocalPort at = {}) {
    return handshakes_.take(ReceivedPacket(at, from, octets, now_), side(), turn());
  }
  bool may_speak(const Endpoint& from) {
    return handshakes_.may_speak(plan_, latch_[0], LocalPort{}, from, own_);
  }
  /// The events since the last call.
  std::set<TransportEvent> events() {
    std::set<TransportEvent> all;
    while (const auto event = events_.take(now_)) all.insert(*event);
    return all;
  }

  // DTLS: the relay is the server, the party the client.
  void use_dtls() {
    auto plan = std::make_shared<DtlsPlan>();
    plan->identity = std::make_shared<FakeIdentity>(now_, 1);
    party_dtls_.identity = std::make_shared<FakeIdentity>(now_, 2);
    party_dtls_.role = DtlsRole::kClient;
    plan->association = party_dtls_.association = 1;
    plan->peer = {party_dtls_.identity->fingerprint(FingerprintHash::kSha256)};
    party_dtls_.peer = {plan->identity->fingerprint(FingerprintHash::kSha256)};
    plan_.dtls = std::move(plan);
  }
  DtlsTurn party_turn() { return {party_dtls_, party_budget_, party_out_, now_}; }
  void run_dtls(Duration time) {
    for (const Instant end = now_ + time; now_ < end; now_ += 1ms) {
      handshakes_.drive(side(), turn());
      party_.drive(kRelay, party_turn());
      while (const auto each = party_out_.take()) (void)take(kPeer, each->octets);
      while (const auto each = out_.take()) {
        if (each->to == kPeer) party_.take(kRelay, each->octets, party_turn());
      }
    }
  }

  // ICE: the relay has two addresses, and the first one is cut off.
  void use_ice() {
    auto plan = std::make_shared<IcePlan>();
    plan->own = {"relayufrag", "relay-password-of-enough-letters"};
    plan->peer = {"partyufrag", "party-password-of-enough-letters"};
    plan->candidates = {{Component::kRtp, kPeer, host_priority({Component::kRtp, 0})}};
    plan->locals = {AddressFamily::kIpv4, AddressFamily::kIpv4};
    plan->controlling = true;
    party_ice_.own = plan->peer;
    party_ice_.peer = plan->own;
    party_ice_.candidates = {{Component::kRtp, kRelay, host_priority({Component::kRtp, 0})},
                             {Component::kRtp, kOtherRelay, host_priority({Component::kRtp, 1})}};
    party_ice_.locals = {AddressFamily::kIpv4};
    agent_.follow(party_ice_, now_);
    plan_.ice = std::move(plan);
    plan_.rtp_latch.by_ice = true;
    follow_latches();
  }
  void run_ice(Duration time) {
    for (const Instant end = now_ + time; now_ < end; now_ += 10ms) {
      handshakes_.drive(side(), turn());
      agent_.drive({party_out_, now_});
      while (const auto each = out_.take()) {
        if (each->via.local == 1 && each->to == kPeer && !is_cut_)
          agent_.take({}, kOtherRelay, each->octets, {party_out_, now_});
      }
      while (const auto each = party_out_.take()) {
        if (each->to == kOtherRelay && !is_cut_) (void)take(kPeer, each->octets, {Component::kRtp, 1});
      }
    }
  }

  Instant now_{1h};
  OwnMedia own_{{}};
  TransportPlan plan_;
  TransportActivity activity_;
  std::array<Latch, 2> latch_;
  Account account_{activity_, now_};
  Presence presence_{activity_};
  EventQueue events_;
  DtlsBudget budget_;
  Out out_;
  Handshakes handshakes_;

  DtlsBudget party_budget_;
  DtlsPlan party_dtls_;
  DtlsChannel party_;
  IcePlan party_ice_;
  IceAgent agent_;
  Out party_out_;
  bool is_cut_ = false;
};

TEST_F(HandshakesTest, WithoutAPlanForItNothingIsTakenAndNothingIsDue) {
  EXPECT_EQ(take(kPeer, Octets(20)), DropReason::kStunUnexpected);
  EXPECT_EQ(take(kPeer, test::dtls_alert(2, 40)), DropReason::kDtlsUnexpected);
  handshakes_.drive(side(), turn());
  EXPECT_FALSE(handshakes_.due(now_));
  EXPECT_FALSE(handshakes_.ice_state());
  EXPECT_FALSE(handshakes_.dtls_state());
  EXPECT_FALSE(handshakes_.take_new_keys());
  EXPECT_TRUE(out_.sent.empty());
}

TEST_F(HandshakesTest, LAT10_AFinishedHandshakeMakesKeysAndAPeer) {
  use_dtls();
  run_dtls(2s);
  ASSERT_EQ(handshakes_.dtls_state(), DtlsChannel::State::kReady);
  EXPECT_TRUE(handshakes_.take_new_keys());
  EXPECT_FALSE(handshakes_.take_new_keys()) << "told once";
  EXPECT_NE(handshakes_.agreed(0), nullptr);
  EXPECT_EQ(handshakes_.agreed(1), nullptr) << "RTCP has no handshake of its own under rtcp-mux";
  EXPECT_EQ(latch_[0].state(), Latch::State::kLocked);
  EXPECT_EQ(latch_[0].learned(), kPeer);
  EXPECT_TRUE(presence_.is_heard());
  EXPECT_TRUE(events().contains(TransportEvent::kDtlsReady));
}

TEST_F(HandshakesTest, SRT11_WithoutABackEndTheAgreedPlanHasNoKeys) {
  use_dtls();
  run_dtls(2s);
  ASSERT_NE(handshakes_.agreed(0), nullptr);
  EXPECT_TRUE(handshakes_.agreed(0)->receive.empty());
  EXPECT_FALSE(handshakes_.agreed(0)->send);
}

TEST_F(HandshakesTest, DTL8_AnotherCertificateMakesNoKeysAndNoPeer) {
  use_dtls();
  party_dtls_.identity = std::make_shared<FakeIdentity>(now_, 3);
  run_dtls(2s);
  EXPECT_EQ(handshakes_.agreed(0), nullptr);
  EXPECT_FALSE(handshakes_.take_new_keys());
  EXPECT_NE(latch_[0].state(), Latch::State::kLocked);
  EXPECT_TRUE(events().contains(TransportEvent::kDtlsMismatch));
}

TEST_F(HandshakesTest, DTL2_WhoIsNotThePeerIsRefused) {
  use_dtls();
  EXPECT_TRUE(may_speak(kPeer));
  EXPECT_FALSE(may_speak(kStranger));
  EXPECT_EQ(take(kStranger, test::dtls_alert(2, 40)), DropReason::kSourceNotAllowed);
  EXPECT_TRUE(events().contains(TransportEvent::kForeignSource));
  EXPECT_TRUE(out_.sent.empty());
}

TEST_F(HandshakesTest, DTL3_AFirstFlightWaitsUntilItsSourceMaySpeak) {
  use_dtls();
  const Octets hello = test::dtls_message(test::kClientHello, 0, test::hello_body(test::random_of(9)));
  EXPECT_EQ(take(kStranger, hello), DropReason::kNone);
  handshakes_.drive(side(), turn());
  EXPECT_TRUE(out_.sent.empty());
  plan_.rtp_latch.signalled = kStranger;
  follow_latches();
  handshakes_.drive(side(), turn());
  ASSERT_FALSE(out_.sent.empty());
  EXPECT_EQ(out_.sent.front().to, kStranger);
}

TEST_F(HandshakesTest, DMX2_UnderRtcpMuxTheOtherPortHasNoHandshake) {
  use_dtls();
  const Octets hello = test::dtls_message(test::kClientHello, 0, test::hello_body(test::random_of(9)));
  EXPECT_EQ(take(kPeer, hello, {Component::kRtcp, 0}), DropReason::kDtlsUnexpected);
}

TEST_F(HandshakesTest, AgreedKeysGoOnFromASnapshot) {
  use_dtls();
  run_dtls(2s);
  TransportSnapshot snapshot;
  handshakes_.save(plan_, snapshot);
  ASSERT_TRUE(snapshot.dtls);
  ASSERT_TRUE((*snapshot.dtls)[0].keys && party_.keys());
  EXPECT_EQ((*snapshot.dtls)[0].keys->receive, party_.keys()->send);
  EXPECT_EQ((*snapshot.dtls)[0].keys->send, party_.keys()->receive);
  Handshakes other;
  other.restore(plan_, snapshot, now_);
  EXPECT_TRUE(other.take_new_keys());
  EXPECT_NE(other.agreed(0), nullptr);
  EXPECT_EQ(other.dtls_state(), DtlsChannel::State::kReady);
  TransportPlan plain = plan_;
  plain.dtls.reset();
  other.set_plan(plan_, plain, now_);
  EXPECT_EQ(other.agreed(0), nullptr) << "keys end with the plan that asked for them";
}

TEST_F(HandshakesTest, LAT10_TheSelectedPairIsPinnedAndChoosesTheLocalAddress) {
  use_ice();
  EXPECT_FALSE(may_speak(kPeer)) << "no check has passed";
  run_ice(5s);
  ASSERT_EQ(handshakes_.ice_state(), IceAgent::State::kConnected);
  EXPECT_EQ(latch_[0].learned(), kPeer);
  EXPECT_EQ(handshakes_.local(Component::kRtp), 1);
  EXPECT_TRUE(events().contains(TransportEvent::kIceConnected));
  EXPECT_TRUE(may_speak(kPeer));
  EXPECT_FALSE(may_speak(kStranger));
  EXPECT_EQ(handshakes_.heard_as(Component::kRtp, latch_[0], kStranger), kStranger);
  EXPECT_EQ(take(kStranger, Octets(20), {Component::kRtp, 1}), DropReason::kStunRefused);

  TransportSnapshot snapshot;
  handshakes_.save(plan_, snapshot);
  Handshakes other;
  other.restore(plan_, snapshot, now_);
  EXPECT_EQ(other.local(Component::kRtp), 1) << "a restored transport goes on with the pair";

  TransportPlan plain = plan_;
  plain.ice.reset();
  handshakes_.set_plan(plan_, plain, now_);
  EXPECT_FALSE(handshakes_.ice_state());
  EXPECT_EQ(handshakes_.local(Component::kRtp), 0);
}

TEST_F(HandshakesTest, ICE9_WithoutConsentThereIsNoPeer) {
  use_ice();
  run_ice(5s);
  ASSERT_EQ(latch_[0].state(), Latch::State::kLocked);
  is_cut_ = true;
  run_ice(40s);
  EXPECT_EQ(handshakes_.ice_state(), IceAgent::State::kExpired);
  EXPECT_NE(latch_[0].state(), Latch::State::kLocked);
  EXPECT_TRUE(events().contains(TransportEvent::kIceExpired));
}

TEST_F(HandshakesTest, C13_APauseIsNotTimeWithoutConsent) {
  use_ice();
  run_ice(5s);
  now_ += 1h;
  handshakes_.skip(1h);
  agent_.skip(1h);
  run_ice(1s);
  EXPECT_EQ(handshakes_.ice_state(), IceAgent::State::kConnected);
  EXPECT_EQ(latch_[0].state(), Latch::State::kLocked);
}

}  // namespace
}  // namespace ferry::handshakes_test
