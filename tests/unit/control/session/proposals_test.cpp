// SPDX-License-Identifier: Apache-2.0
// LAT-15: an offer between parties that have agreed on something changes nothing until its answer.
#include "control/session/proposals.hpp"

#include "control/call/transport_plans.hpp"
#include "tests/support/session_parts.hpp"

#include <map>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

/// A call of two parties that have agreed, and its plans as the workers would get them.
struct Agreed {
  /// The plan of each pair of ports, but for how often its peer was learned.
  std::map<std::uint16_t, TransportPlan> plans() {
    struct Around final : Reach {
      explicit Around(SessionParts& p) : parts(p) {}
      [[nodiscard]] const MediaTransport* owner_of(const Endpoint&) const override { return nullptr; }
      [[nodiscard]] bool is_shared(const Endpoint&) const override { return false; }
      [[nodiscard]] const std::shared_ptr<const PeerPolicy>& policy_of(PeerScope scope) const override {
        return parts.guard.policy_of(scope);
      }
      SessionParts& parts;
    };
    std::map<std::uint16_t, TransportPlan> all;
    const PlanInput input{
        .srtp = parts_.config.srtp, .dtls = parts_.config.dtls, .codecs = parts_.config.codecs};
    for (const PlannedTransport& each : plans_of(call_, input, Around(parts_))) {
      TransportPlan plan = *each.plan;
      plan.learning_epoch = 0;
      all.emplace(each.ports->port.value, std::move(plan));
    }
    return all;
  }
  Media& media(std::size_t leg, std::size_t section = 0) { return SessionParts::media(call_, leg, section); }
  /// An offer of A to B is about to change the call.
  void begin() { proposals_.begin(a_, b_, {}, parts_.now()); }
  /// What the offer says of A: it moves, goes on hold, takes rtcp-mux.
  void change() {
    Media& of_a = media(0);
    of_a.via->remote_rtp = at("203.0.113.7:7000");
    of_a.via->remote_rtcp = at("203.0.113.7:7001");
    of_a.may_receive = false;
    of_a.via->mux_used = true;
    a_.received_from = at("203.0.113.7:0").address;
    a_.last_sdp = "the offer";
    a_.section_order = {1, 0};
    ++call_.signals;
  }
  /// One thing that an offer or its answer may say.
  void change_anything() {
    Leg& leg = **rc::gen::element(&a_, &b_);
    Media& first = *leg.medias[0];
    switch (*rc::gen::inRange(0, 8)) {
      case 0:
        first.via->remote_rtp.port = UdpPort{*rc::gen::inRange<std::uint16_t>(2000, 60000)};
        break;
      case 1:
        first.may_send = !first.may_send;
        break;
      case 2:
        first.may_receive = !first.may_receive;
        break;
      case 3:
        first.rejected = true;
        break;
      case 4:
        first.via->mux_used = !first.via->mux_used;
        break;
      case 5:
        first.via->rules.policy = *rc::gen::element(LatchPolicy::kOff, LatchPolicy::kAny);
        break;
      case 6:
        first.payloads.push_back(
            {.type = PayloadType{*rc::gen::inRange<std::uint8_t>(9, 127)}, .clock_rate_hz = 8000});
        break;
      default:
        parts_.add_section(leg, "203.0.113.7:7000").is_proposed = true;
        break;
    }
    ++call_.signals;
  }

  SessionParts parts_;
  Call& call_ = parts_.add_call();
  Leg& a_ = *call_.legs[0];
  Leg& b_ = *call_.legs[1];
  Proposals proposals_{parts_.services, call_};
};

class ProposalsTest : public testing::Test, protected Agreed {};

TEST_F(ProposalsTest, LAT15_AFirstOfferIsNoProposal) {
  for (Leg* leg : {&a_, &b_}) leg->medias[0]->is_exchanged = false;
  EXPECT_FALSE(Proposals::has_agreed(a_));
  begin();
  EXPECT_TRUE(call_.proposals.empty());
  EXPECT_EQ(media(0).agreed, nullptr);
  EXPECT_EQ(Proposals::next_end(call_), Instant::max());
}

TEST_F(ProposalsTest, LAT15_AnOfferChangesNothingUntilItsAnswer) {
  a_.last_sdp = "before";
  begin();
  change();
  EXPECT_TRUE(Proposals::is_waiting(a_, b_));
  EXPECT_FALSE(Proposals::is_waiting(b_, a_));
  EXPECT_EQ(media(0).via->in_force().remote_rtp, at("198.51.100.1:4000"));
  EXPECT_TRUE(media(0).in_force().may_receive);
  EXPECT_FALSE(media(0).via->in_force().mux_used);
  EXPECT_EQ(media(0).via->received_from(), IpAddress{})
      << "where its signalling came from when that was agreed";
  proposals_.settle(a_, b_);
  EXPECT_TRUE(call_.proposals.empty());
  EXPECT_EQ(media(0).via->in_force().remote_rtp, at("203.0.113.7:7000"));
  EXPECT_FALSE(media(0).in_force().may_receive);
  EXPECT_TRUE(media(0).via->in_force().mux_used);
}

// The invariant: whatever an offer says, when it ends without an answer the workers do what they did before.
TEST(ProposalsProperty, LAT15_AnOfferThatEndsLeavesThePlansAsTheyWere) {
  const bool holds = rc::check("begin, change anything, drop: the plans are as before", [] {
    Agreed agreed;
    Proposals& proposals = agreed.proposals_;
    const auto before = agreed.plans();
    agreed.begin();
    for (auto n = *rc::gen::inRange(0, 6); n > 0; --n) agreed.change_anything();
    if (*rc::gen::arbitrary<bool>())
      RC_ASSERT(proposals.drop(**rc::gen::element(&agreed.a_, &agreed.b_)));
    else
      RC_ASSERT(proposals.expire(agreed.parts_.now() + kOfferPatience));
    RC_ASSERT(agreed.call_.proposals.empty());
    const auto after = agreed.plans();
    RC_ASSERT(after.size() == before.size());
    for (const auto& [port, plan] : before) RC_ASSERT(after.at(port) == plan);
    agreed.parts_.lifetime.settle(agreed.parts_.now());
    RC_ASSERT(agreed.parts_.network.open_ports() == 4u);
  });
  EXPECT_TRUE(holds);
}

TEST_F(ProposalsTest, LAT15_AProposalEndsAfter180Seconds) {
  begin();
  change();
  EXPECT_EQ(Proposals::next_end(call_), parts_.now() + 180s);
  EXPECT_FALSE(proposals_.expire(parts_.now() + 180s - 1ns));
  EXPECT_TRUE(proposals_.expire(parts_.now() + 180s));
  EXPECT_EQ(media(0).via->remote_rtp, at("198.51.100.1:4000"));
  EXPECT_FALSE(proposals_.expire(parts_.now() + 999s)) << "it is gone";
}

TEST_F(ProposalsTest, LAT15_ANewPartyMayRingForLong) {
  Media& of_c = parts_.add_party(call_, "C", "198.51.100.3:6000");
  proposals_.begin(a_, *of_c.leg, {}, parts_.now());
  EXPECT_EQ(Proposals::next_end(call_), Instant::max()) << "its branch is deleted if it refuses";
  EXPECT_EQ(of_c.agreed, nullptr) << "it has agreed on nothing";
  EXPECT_NE(media(0).agreed, nullptr);
}

TEST_F(ProposalsTest, LAT15_ALaterOfferOfEitherPartyEndsAnEarlierOne) {
  begin();
  change();
  proposals_.begin(b_, a_, {}, parts_.now());
  EXPECT_EQ(media(0).via->remote_rtp, at("198.51.100.1:4000")) << "A is where it had agreed to be";
  ASSERT_EQ(call_.proposals.size(), 1u);
  EXPECT_EQ(Proposals::offered_by(b_), &call_.proposals[0]);
  EXPECT_EQ(Proposals::offered_by(a_), nullptr);
}

TEST_F(ProposalsTest, AnOfferThatEndedIsRememberedUntilTheNextOne) {
  a_.last_sdp = "before";
  a_.section_order = {0, 1};
  begin();
  change();
  proposals_.drop(b_);
  EXPECT_EQ(a_.last_sdp, "before");
  EXPECT_EQ(a_.section_order, (std::vector<unsigned>{0, 1}));
  ASSERT_NE(a_.lapsed_offer(), nullptr) << "its answer may come late";
  begin();
  EXPECT_EQ(a_.lapsed_offer(), nullptr);
}

TEST_F(ProposalsTest, ASectionOfTheOfferGoesWithIt) {
  begin();
  Media& proposed = parts_.add_section(a_, "198.51.100.1:4100");
  proposed.is_proposed = true;
  media(1).subscriptions.push_back({&proposed});
  proposals_.drop(a_);
  EXPECT_EQ(a_.medias.size(), 1u);
  EXPECT_EQ(a_.transports.size(), 1u);
  EXPECT_EQ(media(1).subscriptions.size(), 1u) << "nobody hears what is gone";
  parts_.lifetime.settle(parts_.now());
  EXPECT_EQ(parts_.network.open_ports(), 4u);
}

TEST_F(ProposalsTest, ASectionThatIsNeededStaysForTheNextOffer) {
  begin();
  parts_.add_section(a_, "198.51.100.1:4100").is_proposed = true;
  proposals_.begin(
      a_, b_, [](const Media& media) { return media.index == 2; }, parts_.now());
  EXPECT_EQ(a_.medias.size(), 2u);
  proposals_.settle(a_, b_);
  EXPECT_EQ(a_.medias.size(), 2u);
  EXPECT_FALSE(a_.medias[1]->is_proposed);
  EXPECT_FALSE(proposals_.drop(a_)) << "nothing waits";
  EXPECT_EQ(a_.medias.size(), 2u);
}

TEST_F(ProposalsTest, WhenTwoSettleAThirdGetsItsAgreedTermsBack) {
  Media& of_c = parts_.add_party(call_, "C", "198.51.100.3:6000");
  SessionParts::join(media(0), of_c);
  proposals_.begin(*of_c.leg, a_, {}, parts_.now());
  of_c.via->remote_rtp = at("203.0.113.3:6000");
  proposals_.settle(a_, b_);
  EXPECT_TRUE(call_.proposals.empty());
  EXPECT_EQ(of_c.via->remote_rtp, at("198.51.100.3:6000"));
}

TEST_F(ProposalsTest, C13_APauseMayHaveHeldTheAnswerUp) {
  begin();
  media(0).awaited_since = parts_.now();
  const Instant end = Proposals::next_end(call_);
  Proposals::skip(call_, 5s);
  EXPECT_EQ(Proposals::next_end(call_), end + 5s);
  EXPECT_EQ(media(0).awaited_since, parts_.now() + 5s);
  EXPECT_EQ(media(1).awaited_since, Instant{}) << "it owes no answer";
}

}  // namespace
}  // namespace ferry::test
