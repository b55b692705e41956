// SPDX-License-Identifier: Apache-2.0
// LAT-15 in one transport: which of two sources a datagram is from, and what becomes of the second one.

#include "relay/core/forward/transport.hpp"
#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::proposed_source_test {
namespace {

using namespace std::chrono_literals;
using test::rtp;
using Kind = Verdict::Kind;

constexpr Instant kStart{1h};
Endpoint at(std::uint8_t host, std::uint16_t port) {
  return {IpAddress::v4({192, 0, 2, host}), UdpPort{port}};
}
const Endpoint kAgreed = at(10, 4000);
const Endpoint kProposed = at(20, 4000);
const Endpoint kNat{IpAddress::v4({198, 51, 100, 7}), UdpPort{55000}};

class ProposedSource : public ::testing::Test {
 protected:
  ProposedSource() {
    plan_.rtp_latch.signalled = kAgreed;
    plan_.rtcp_latch.signalled = at(10, 4001);
    SourcePlan source;
    source.media = MediaId{1};
    source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000}};
    plan_.sources.push_back(source);
    begin();
  }
  std::shared_ptr<const TransportPlan> shared() { return std::make_shared<const TransportPlan>(plan_); }
  void begin() {
    plan_.proposed.reset();
    transport_ = std::make_unique<Transport>(shared(), std::make_shared<TransportActivity>(), now_);
  }
  void propose(const Endpoint& to) {
    ProposedPeer proposed;
    proposed.rtp.signalled = to;
    proposed.rtp.is_proposed = true;
    proposed.rtcp = proposed.rtp;
    ++proposed.rtcp.signalled.port.value;
    plan_.proposed = std::make_shared<const ProposedPeer>(proposed);
    transport_->set_plan(shared(), now_);
  }
  void withdraw() {
    plan_.proposed.reset();
    transport_->set_plan(shared(), now_);
  }
  void settle() {
    LatchConfig rtp = plan_.proposed->rtp;
    rtp.is_proposed = false;
    plan_.rtp_latch = rtp;
    plan_.rtcp_latch = plan_.proposed->rtcp;
    plan_.rtcp_latch.is_proposed = false;
    plan_.proposed.reset();
    ++plan_.learning_epoch;
    transport_->set_plan(shared(), now_);
  }
  Verdict packet(const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence, Duration after = 20ms) {
    now_ += after;
    return judged(*transport_, from, ssrc, sequence, now_);
  }
  Verdict judged(Transport& transport, const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence,
                 Instant now) {
    auto octets = rtp('x', ssrc, sequence);
    ReceivedPacket packet({}, from, octets, now);
    return transport.on_datagram(packet, own_);
  }
  /// The second of two in sequence: past every probation.
  Verdict second(const Endpoint& from, std::uint32_t ssrc, std::uint16_t sequence) {
    Verdict verdict;
    for (std::uint16_t n = 0; n < 2; ++n) {
      verdict = packet(from, ssrc, static_cast<std::uint16_t>(sequence + n));
      // A worker judges both again; so does this.
      for (int again = 0; verdict.kind == Kind::kRelease && again < 3; ++again) {
        (void)packet(from, ssrc, static_cast<std::uint16_t>(sequence + n - 1), 0ms);
        verdict = packet(from, ssrc, static_cast<std::uint16_t>(sequence + n), 0ms);
      }
    }
    return verdict;
  }
  [[nodiscard]] Endpoint destination() { return transport_->next_hop(Component::kRtp, now_).to; }

  Instant now_ = kStart;
  TransportPlan plan_;
  std::unique_ptr<Transport> transport_;
  OwnMedia own_{{}};
};

TEST_F(ProposedSource, LAT15_RanksOfASourceBesideTheAgreedOne) {
  struct Row {
    const char* what;
    Endpoint from;
    IpAddress signalled_by;
    bool passes;
  };
  for (const Row& row :
       {Row{"as proposed", kProposed, {}, true}, Row{"another port of it", at(20, 4999), {}, true},
        Row{"where signalling came from", kNat, kNat.address, true}, Row{"anybody", kNat, {}, false},
        Row{"another port of the agreed address", at(10, 4999), {}, false},
        Row{"multicast", {IpAddress::v4({224, 0, 0, 1}), UdpPort{4000}}, {}, false}}) {
    begin();
    EXPECT_EQ(packet(kAgreed, 1, 1).kind, Kind::kForward) << row.what;
    propose(kProposed);
    auto proposed = *plan_.proposed;
    proposed.rtp.signalling_source = row.signalled_by;
    plan_.proposed = std::make_shared<const ProposedPeer>(proposed);
    transport_->set_plan(shared(), now_);
    EXPECT_EQ(second(row.from, 2, 1).kind == Kind::kForward, row.passes) << row.what;
    EXPECT_EQ(destination(), kAgreed) << row.what;
    EXPECT_EQ(second(kAgreed, 1, 2).kind, Kind::kForward) << row.what;
  }
}

TEST_F(ProposedSource, LAT15_NothingOfItIsLeftAfterAWithdrawal) {
  (void)packet(kAgreed, 1, 1);
  propose(kProposed);
  EXPECT_EQ(second(kProposed, 2, 1).kind, Kind::kForward);
  withdraw();
  EXPECT_EQ(packet(kProposed, 2, 3).reason, DropReason::kForeignSource);
  EXPECT_EQ(packet(kAgreed, 1, 2).kind, Kind::kForward);
  EXPECT_EQ(destination(), kAgreed);
}

TEST_F(ProposedSource, LAT15_TheAnswerMovesTheLatchWithoutLearningAnew) {
  (void)packet(kAgreed, 1, 1);
  propose(kProposed);
  EXPECT_EQ(second(at(20, 4999), 2, 1).kind, Kind::kForward) << "behind a NAT";
  settle();
  EXPECT_EQ(destination(), at(20, 4999));
  EXPECT_EQ(packet(at(20, 4999), 2, 3).kind, Kind::kForward) << "without probation";
  EXPECT_EQ(packet(kAgreed, 1, 2).kind, Kind::kDrop);
}

TEST_F(ProposedSource, LAT15_AnAnswerWithoutAPacketBeforeLearnsAnew) {
  (void)packet(kAgreed, 1, 1);
  propose(kProposed);
  settle();
  EXPECT_EQ(destination(), kProposed) << "signalled";
  EXPECT_EQ(packet(kAgreed, 1, 2).kind, Kind::kDrop);
  EXPECT_EQ(second(kProposed, 2, 1).kind, Kind::kForward);
}

TEST_F(ProposedSource, LAT15_ASecondProposalForgetsTheFirst) {
  (void)packet(kAgreed, 1, 1);
  propose(kProposed);
  EXPECT_EQ(second(kProposed, 2, 1).kind, Kind::kForward);
  propose(at(30, 4000));
  EXPECT_EQ(packet(kProposed, 2, 3).kind, Kind::kDrop);
  EXPECT_EQ(second(at(30, 4000), 3, 1).kind, Kind::kForward);
  // The same again keeps what was learned.
  propose(at(30, 4000));
  EXPECT_EQ(packet(at(30, 4000), 3, 3).kind, Kind::kForward);
}

TEST_F(ProposedSource, LAT8_ANewPortOfTheAgreedSourceIsNoProposal) {
  (void)packet(kAgreed, 1, 1);
  propose(kProposed);
  EXPECT_EQ(packet(at(10, 4500), 1, 2, 600ms).kind, Kind::kForward) << "its NAT gave it another port";
  EXPECT_EQ(destination(), at(10, 4500));
}

TEST_F(ProposedSource, LAT15_BeforeTheAgreedSourceWasHeard) {
  propose(at(10, 4100));
  EXPECT_EQ(packet(at(10, 4100), 2, 1).kind, Kind::kForward) << "rank 4 of the proposal";
  EXPECT_EQ(destination(), kAgreed) << "not learned as the agreed one";
  EXPECT_EQ(second(kAgreed, 1, 1).kind, Kind::kForward);
}

TEST_F(ProposedSource, SSR3_ASharedSsrcHasOneOwnerAtATime) {
  (void)packet(kAgreed, 1, 100);
  propose(kProposed);
  EXPECT_EQ(packet(kProposed, 1, 101, 20ms).reason, DropReason::kSsrcCollision) << "the agreed one is alive";
  EXPECT_EQ(packet(kProposed, 1, 102, 60ms).kind, Kind::kForward) << "it has moved";
  EXPECT_EQ(packet(kAgreed, 1, 103, 20ms).reason, DropReason::kSsrcCollision);
  EXPECT_EQ(packet(kProposed, 1, 104, 20ms).kind, Kind::kForward);
  EXPECT_EQ(packet(kAgreed, 1, 105, 60ms).kind, Kind::kForward) << "and back";
}

TEST_F(ProposedSource, LAT15_ASnapshotHasIt) {
  (void)packet(kAgreed, 1, 1);
  propose(kProposed);
  EXPECT_EQ(second(at(20, 4999), 2, 1).kind, Kind::kForward);
  TransportSnapshot snapshot = transport_->snapshot(now_);
  ASSERT_TRUE(snapshot.proposal);
  Transport other(shared(), std::make_shared<TransportActivity>(), now_);
  other.restore(snapshot, now_);
  TransportSnapshot again = other.snapshot(now_);
  for (TransportSnapshot* each : {&snapshot, &again}) {
    // Of the time before it was restored it knows no last seconds.
    for (auto& source : each->sources) source.ingress_recent.clear();
    each->recent_drops = {};
    each->recent_sent = 0;
  }
  EXPECT_EQ(again, snapshot);
  EXPECT_EQ(judged(other, at(20, 4999), 2, 3, now_ + 20ms).kind, Kind::kForward);
}

}  // namespace
}  // namespace ferry::proposed_source_test
