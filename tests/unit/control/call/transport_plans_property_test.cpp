// SPDX-License-Identifier: Apache-2.0
// A plan is a pure function of the call: whatever the call is, the same one gives equal plans and stays as it
// was.
#include "control/call/transport_plans.hpp"
#include "tests/unit/control/call/two_parties.hpp"

#include <algorithm>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

bool coin() { return *rc::gen::arbitrary<bool>(); }

/// Changes the call in ways that signalling and commands can.
void disturb(TwoParties& world) {
  for (const std::size_t party : {0u, 1u}) {
    Media& media = world.media(party);
    MediaTransport& transport = world.transport(party);
    media.rejected = coin();
    media.may_send = coin();
    media.may_receive = coin();
    media.is_video = coin();
    media.answered = coin();
    media.encrypted = coin();
    media.has_fewer_codecs = coin();
    media.kind = *rc::gen::element(TransportKind::kRtp, TransportKind::kUdptl, TransportKind::kOverTcp);
    media.echo = *rc::gen::element(MediaEcho::kOff, MediaEcho::kForward, MediaEcho::kBlackhole);
    if (coin()) media.awaited_since = Instant{5s};
    transport.ensure_keys();
    transport.remote_known = coin();
    transport.remote_rtp = at(*rc::gen::element<std::string>(
        "198.51.100.1:6000", "10.0.0.7:6000", "127.0.0.1:9", "0.0.0.0:9", "[2001:db8::1]:6000"));
    transport.mux_used = coin();
    transport.mux_offered_to_peer = coin();
    transport.rules.asymmetric = coin();
    transport.rules.algorithm = *rc::gen::element(LearningAlgorithm::kRules, LearningAlgorithm::kDelayed);
    if (coin()) transport.ensure_ice().in_use = coin();
    if (coin()) transport.ensure_dtls().in_use = coin();
    world.leg(party).blocked = coin();
    world.leg(party).silenced = coin();
    world.leg(party).from_offer_answer = coin();
  }
  if (coin()) world.owners["198.51.100.1:6000"] = &world.transport(1);
  world.call.drop_traffic = coin();
}

TEST(TransportPlansProperty, TheSameCallGivesEqualPlans) {
  EXPECT_TRUE(rc::check([] {
    TwoParties world;
    disturb(world);
    if (coin()) {
      propose(world);
      disturb(world);
    }
    const auto first = world.plans();
    const auto second = world.plans();
    RC_ASSERT(first.size() == second.size());
    for (std::size_t i = 0; i < first.size(); ++i) {
      RC_ASSERT(first[i].learned_signal == second[i].learned_signal);
      RC_ASSERT(first[i].sends_to.has_value() == second[i].sends_to.has_value());
      const TransportPlan& plan = *first[i].plan;
      // A proposal that no worker was told of is made anew each time; what it says is equal.
      TransportPlan other = *second[i].plan;
      RC_ASSERT((plan.proposed == nullptr) == (other.proposed == nullptr));
      if (plan.proposed) RC_ASSERT(*plan.proposed == *other.proposed);
      other.proposed = plan.proposed;
      RC_ASSERT(plan == other);
    }
    world.tell();
    const std::uint32_t epochs[] = {world.ports(0).epoch, world.ports(1).epoch};
    world.tell();
    for (const std::size_t party : {0u, 1u}) RC_ASSERT(world.ports(party).epoch == epochs[party]);
    for (const PlannedTransport& each : world.plans()) RC_ASSERT(*each.plan == *each.ports->plan);
  }));
}

TEST(TransportPlansProperty, RulesThatHoldForEveryPlan) {
  EXPECT_TRUE(rc::check([] {
    TwoParties world;
    disturb(world);
    if (coin()) {
      propose(world);
      disturb(world);
    }
    for (const PlannedTransport& each : world.plans()) {
      const TransportPlan& plan = *each.plan;
      const bool is_encrypted =
          std::ranges::any_of(each.transport->medias(), [](const Media* m) { return m->is_encrypted(); });
      RC_ASSERT(is_encrypted == (plan.srtp != nullptr));  // SRT-11
      RC_ASSERT(!plan.dtls || plan.srtp);
      for (const LatchConfig* latch : {&plan.rtp_latch, &plan.rtcp_latch}) {
        RC_ASSERT(!latch->loops || latch->signalled_void);                      // LAT-11
        RC_ASSERT(!is_refusal(latch->denied) || latch->signalled_void);         // LAT-11a
        RC_ASSERT(!plan.ice || (latch->by_ice && !latch->signalled.is_set()));  // LAT-10
      }
      RC_ASSERT(!plan.proposed || each.transport->agreed);  // LAT-15
      RC_ASSERT(!plan.ice || plan.early_until == Instant{});
      RC_ASSERT(!(each.sends_to && (plan.ice || plan.rtp_latch.loops)));
      for (const SourcePlan& source : plan.sources) {
        for (const Sink& sink : source.sinks) {
          RC_ASSERT(!world.call.drop_traffic || sink.blocked);
          RC_ASSERT(!(sink.silenced || sink.events_blocked) || source.inspects_payload);
        }
      }
    }
  }));
}

}  // namespace
}  // namespace ferry::test
