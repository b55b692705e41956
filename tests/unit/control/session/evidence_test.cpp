// SPDX-License-Identifier: Apache-2.0
// What is known of a call, ready to be judged.
#include "control/session/evidence.hpp"

#include "tests/support/session_parts.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace ferry::test::evidence_test {
namespace {

using namespace std::chrono_literals;

class EvidenceTest : public testing::Test {
 protected:
  CallEvidence evidence() { return evidence_of(call_, {}, parts_.clock()); }
  SessionParts parts_;
  Call& call_ = parts_.add_call();
};

TEST_F(EvidenceTest, PartiesHaveNames) {
  Leg leg;
  leg.number = 4;
  EXPECT_EQ(name_of(leg), "party 4");
  leg.ensure_extras().label = "caller";
  EXPECT_EQ(name_of(leg), "caller");
  leg.tag = "tag";
  EXPECT_EQ(name_of(leg), "tag");
}

TEST_F(EvidenceTest, EachHearsTheOther) {
  const CallEvidence found = evidence();
  EXPECT_EQ(found.call_id, "call");
  EXPECT_TRUE(found.is_answered);
  ASSERT_EQ(found.legs.size(), 2u);
  for (const std::size_t leg : {0u, 1u}) {
    ASSERT_EQ(found.legs[leg].medias.size(), 1u);
    const MediaEvidence& media = found.legs[leg].medias[0];
    ASSERT_EQ(media.sources.size(), 1u);
    EXPECT_EQ(media.sources[0].leg, 1 - leg);
    EXPECT_EQ(media.sources[0].media, 0u);
    EXPECT_EQ(media.signalled, SessionParts::media(call_, leg).via->remote_rtp);
    EXPECT_EQ(media.local.port, SessionParts::ports(call_, leg).port);
    EXPECT_TRUE(media.may_send && media.may_receive && media.is_rtp && media.is_served);
    EXPECT_FALSE(media.is_blocked || media.is_encrypted || media.has_ice || media.is_void || media.loops);
  }
}

/// A change of A's media, and what of its evidence must be true then and is not without the change.
struct Row {
  const char* name;
  std::function<void(Call&, Media&)> change;
  std::function<bool(const MediaEvidence&)> holds;
};

TEST_F(EvidenceTest, WhatSignallingSaid) {
  const Row rows[] = {
      {"hold", [](Call&, Media& m) { m.may_receive = false; },
       [](const MediaEvidence& e) { return !e.may_receive; }},
      {"silent", [](Call&, Media& m) { m.may_send = false; },
       [](const MediaEvidence& e) { return !e.may_send; }},
      {"rejected", [](Call&, Media& m) { m.rejected = true; },
       [](const MediaEvidence& e) { return e.is_rejected; }},
      {"proposed", [](Call&, Media& m) { m.is_proposed = true; },
       [](const MediaEvidence& e) { return e.is_proposed; }},
      {"mux", [](Call&, Media& m) { m.via->mux_used = true; },
       [](const MediaEvidence& e) { return e.is_muxed; }},
      {"the call is blocked", [](Call& c, Media&) { c.blocked = true; },
       [](const MediaEvidence& e) { return e.is_blocked; }},
      {"its traffic is dropped", [](Call& c, Media&) { c.drop_traffic = true; },
       [](const MediaEvidence& e) { return e.is_blocked; }},
      {"the party is silenced", [](Call&, Media& m) { m.leg->silenced = true; },
       [](const MediaEvidence& e) { return e.is_blocked; }},
      {"one flow is blocked", [](Call&, Media& m) { m.subscriptions[0].blocked = true; },
       [](const MediaEvidence& e) { return !e.sources.empty() && e.sources[0].blocked; }},
      {"one flow is silenced", [](Call&, Media& m) { m.subscriptions[0].silenced = true; },
       [](const MediaEvidence& e) { return !e.sources.empty() && e.sources[0].silenced; }},
      {"encrypted", [](Call&, Media& m) { m.encrypted = true; },
       [](const MediaEvidence& e) { return e.is_encrypted && !e.is_keyed; }},
      {"no SDP", [](Call&, Media& m) { m.via->remote_known = false; },
       [](const MediaEvidence& e) { return !e.signalled.is_set(); }},
      {"DMX-6 over TCP", [](Call&, Media& m) { m.kind = TransportKind::kOverTcp; },
       [](const MediaEvidence& e) { return !e.unrelayed.empty(); }},
      {"echo", [](Call&, Media& m) { m.echo = MediaEcho::kForward; },
       [](const MediaEvidence& e) { return e.sources.empty(); }},
      {"the other one echoes",
       [](Call&, Media& m) { m.subscriptions[0].source->echo = MediaEcho::kBlackhole; },
       [](const MediaEvidence& e) { return e.sources.empty(); }},
      {"RTCP alone", [](Call&, Media& m) { m.subscriptions[0].rtcp_only = true; },
       [](const MediaEvidence& e) { return e.sources.empty(); }},
      {"no worker serves it", [](Call&, Media& m) { m.via->ports[0].activity->is_unserved = true; },
       [](const MediaEvidence& e) { return !e.is_served; }},
      {"any source", [](Call&, Media& m) { m.via->rules.algorithm = LearningAlgorithm::kImmediate; },
       [](const MediaEvidence& e) { return e.policy == LatchPolicy::kAny; }},
  };
  for (const Row& row : rows) {
    SessionParts parts;
    Call& call = parts.add_call();
    EXPECT_FALSE(row.holds(evidence_of(call, {}, parts.clock()).legs[0].medias[0]))
        << row.name << ": it is so anyway";
    row.change(call, SessionParts::media(call, 0));
    EXPECT_TRUE(row.holds(evidence_of(call, {}, parts.clock()).legs[0].medias[0])) << row.name;
  }
}

TEST_F(EvidenceTest, LAT15_WhatIsProposedIsNotInForce) {
  Media& media = SessionParts::media(call_, 0);
  media.agreed = std::make_unique<MediaTerms>(media);
  media.may_receive = false;
  EXPECT_TRUE(evidence().legs[0].medias[0].may_receive);
}

TEST_F(EvidenceTest, HiddenSectionsAreNobodysMedia) {
  SessionParts::media(call_, 1).hidden = true;
  const CallEvidence found = evidence();
  EXPECT_TRUE(found.legs[1].medias.empty());
  EXPECT_TRUE(found.legs[0].medias[0].sources.empty());
}

TEST_F(EvidenceTest, ADeletedPartyIsNotWaitedFor) {
  call_.legs[1]->delete_at = parts_.now();
  CallEvidence found = evidence();
  leave_out_deleted(call_, found);
  EXPECT_TRUE(found.legs[1].medias.empty());
  EXPECT_TRUE(found.legs[0].medias[0].sources.empty());
  call_.delete_at = parts_.now();
  found = evidence();
  leave_out_deleted(call_, found);
  EXPECT_EQ(found.legs[1].medias.size(), 1u) << "the call goes as a whole";
}

}  // namespace
}  // namespace ferry::test::evidence_test
