// SPDX-License-Identifier: Apache-2.0
// ICE of one section: credentials, roles and restarts (RFC 8445, RFC 8839, ICE-3, ICE-4).
#include "control/call/media_ice.hpp"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::media_ice_test {
namespace {

Endpoint at(std::string_view text) { return Endpoint::parse(text).value(); }
const std::vector<AddressFamily> kV4 = {AddressFamily::kIpv4};

sdp::IceDescription says(std::string ufrag = "abcd",
                         std::vector<std::string> candidates = {"192.0.2.9:4000"}) {
  sdp::IceDescription ice;
  ice.ufrag = std::move(ufrag);
  ice.password = "0123456789012345678901";
  for (const std::string& each : candidates) ice.candidates.push_back({1, 5, at(each)});
  return ice;
}
std::shared_ptr<const IcePlan> plan(MediaIce& ice, bool answered = true) {
  return ice_plan(ice, answered, true, kV4, nullptr);
}

TEST(IceCredentialsOfOurs, ICE3_AreLettersAndDigitsAndNewForEachSection) {
  MediaIce one;
  MediaIce two;
  offer_ice(one, {});
  offer_ice(two, {});
  EXPECT_EQ(one.own.ufrag.size(), 10u);
  EXPECT_EQ(one.own.password.size(), 26u);
  for (const std::string& text : {one.own.ufrag, one.own.password})
    EXPECT_TRUE(std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c) != 0; })) << text;
  EXPECT_NE(one.own.ufrag, two.own.ufrag);
  EXPECT_NE(one.own.password, two.own.password);
  const IceCredentials before = one.own;
  offer_ice(one, {});
  EXPECT_EQ(one.own, before) << "another offer is no restart";
}

TEST(IceCredentialsOfOurs, ONE1_NoUfragComesTwice) {
  std::set<std::string> all;
  std::set<std::string> parts;
  for (int n = 0; n < 20'000; ++n) {
    MediaIce ice;
    offer_ice(ice, {});
    EXPECT_TRUE(all.insert(ice.own.ufrag).second);
    // Not by chance: the first letters alone tell them apart.
    EXPECT_TRUE(parts.insert(ice.own.ufrag.substr(0, 4)).second);
  }
}

TEST(IceRoles, WeControlTowardTheAnswererAndAreControlledByTheOfferer) {
  MediaIce answerer;
  offer_ice(answerer, {});
  EXPECT_TRUE(plan(answerer, false)->controlling);
  take_ice_answer(answerer, says());
  EXPECT_TRUE(answerer.controlling);
  MediaIce offerer;
  note_ice_offer(offerer, says(), {});
  answer_ice(offerer);
  EXPECT_FALSE(offerer.controlling);
  // RFC 8445 §6.1.1: roles stay until ICE restarts, whoever offers.
  note_ice_offer(answerer, says(), {});
  answer_ice(answerer);
  EXPECT_TRUE(answerer.controlling);
  offer_ice(offerer, {});
  take_ice_answer(offerer, says());
  EXPECT_FALSE(offerer.controlling);
  note_ice_offer(answerer, says("efgh"), {});
  EXPECT_FALSE(answerer.controlling) << "a restart";
}

sdp::IceDescription says_lite(std::string ufrag = "abcd") {
  sdp::IceDescription ice = says(std::move(ufrag));
  ice.is_lite = true;
  return ice;
}

TEST(IceLite, ICE8_IsControlledByWhomeverItOffersTo) {
  MediaIce ice;
  offer_ice(ice, {.is_lite = true});
  EXPECT_TRUE(plan(ice, false)->is_lite);
  EXPECT_FALSE(plan(ice, false)->controlling);
  take_ice_answer(ice, says());
  EXPECT_TRUE(plan(ice)->is_lite);
  EXPECT_FALSE(ice.controlling);
  MediaIce answering;
  note_ice_offer(answering, says(), {.is_lite = true});
  answer_ice(answering);
  EXPECT_TRUE(plan(answering)->is_lite);
  EXPECT_FALSE(plan(answering)->controlling);
}

TEST(IceLite, NeverMeetsALitePartyAsLite) {
  MediaIce ice;
  offer_ice(ice, {.is_lite = true});
  const IceCredentials shown = ice.own;
  take_ice_answer(ice, says_lite());
  EXPECT_FALSE(ice.is_lite);
  EXPECT_TRUE(ice.controlling) << "somebody has to check";
  offer_ice(ice, {.is_lite = true});
  EXPECT_FALSE(ice.is_lite);
  EXPECT_EQ(ice.own, shown) << "no restart";
  MediaIce answering;
  note_ice_offer(answering, says_lite(), {.is_lite = true});
  answer_ice(answering);
  EXPECT_FALSE(answering.is_lite);
  EXPECT_TRUE(answering.controlling);
}

TEST(IceLite, ICE3_AnotherKindOfAgentRestartsInAnOfferAndStaysInAnAnswer) {
  MediaIce ice;
  offer_ice(ice, {});
  take_ice_answer(ice, says());
  const IceCredentials before = ice.own;
  note_ice_offer(ice, says("efgh"), {.is_lite = true});
  answer_ice(ice);
  EXPECT_FALSE(ice.is_lite) << "an answer changes nothing about it";
  for (const bool is_lite : {true, false}) {
    const IceCredentials own = ice.own;
    offer_ice(ice, {.is_lite = is_lite});
    EXPECT_NE(ice.own, own);
    take_ice_answer(ice, says(is_lite ? "ijkl" : "mnop"));
    EXPECT_EQ(ice.is_lite, is_lite);
    EXPECT_EQ(ice.controlling, !is_lite);
  }
}

TEST(IceRestarts, Rfc8445OtherCredentials_AreAnsweredWithNewOnesAndTheirCandidatesAlone) {
  MediaIce ice;
  note_ice_offer(ice, says(), {});
  answer_ice(ice);
  const IceCredentials before = ice.own;
  note_ice_offer(ice, says("abcd", {"192.0.2.9:4002"}), {});
  EXPECT_EQ(ice.own, before);
  EXPECT_EQ(ice.theirs.candidates.size(), 2u) << "what came before stays";
  note_ice_offer(ice, says("efgh", {"192.0.2.9:5000"}), {});
  EXPECT_NE(ice.own, before);
  ASSERT_EQ(ice.theirs.candidates.size(), 1u);
  EXPECT_EQ(ice.theirs.candidates[0].at.port.value, 5000);
}

TEST(IceRestarts, AnAnswerThatRestartsKeepsWhatItWasShown) {
  MediaIce ice;
  offer_ice(ice, {});
  take_ice_answer(ice, says());
  const IceCredentials shown = ice.own;
  take_ice_answer(ice, says("efgh"));
  EXPECT_EQ(ice.own, shown);
  EXPECT_EQ(ice.theirs.ufrag, "efgh");
  EXPECT_TRUE(ice.controlling);
}

TEST(IceDeclined, IsForgottenAndRememberedAsDeclined) {
  MediaIce ice;
  offer_ice(ice, {});
  take_ice_answer(ice, {});
  EXPECT_FALSE(ice.in_use);
  EXPECT_TRUE(ice.was_declined);
  EXPECT_EQ(plan(ice), nullptr);
  note_ice_offer(ice, {}, {});
  EXPECT_TRUE(ice.was_declined);
  note_ice_offer(ice, says(), {});
  EXPECT_FALSE(ice.was_declined) << "it offers ICE itself";
  note_ice_offer(ice, says(), {.is_refused = true});
  EXPECT_FALSE(ice.offered_by_peer) << "flag ICE-reject";
}

TEST(IceForgotten, BeginsAnew) {
  MediaIce ice;
  note_ice_offer(ice, says(), {});
  answer_ice(ice);
  const IceCredentials before = ice.own;
  forget_ice(ice);
  EXPECT_FALSE(ice.in_use || ice.theirs.is_there());
  offer_ice(ice, {});
  EXPECT_NE(ice.own, before);
}

TEST(IceTrickle, IsSaidIfItIsAskedForOrOfferedToUs) {
  MediaIce ice;
  offer_ice(ice, {.trickles = true});
  EXPECT_TRUE(ice.trickles);
  offer_ice(ice, {});
  EXPECT_FALSE(ice.trickles);
  offer_ice(ice, {.trickles = true});
  take_ice_answer(ice, says());
  offer_ice(ice, {});
  EXPECT_TRUE(ice.trickles) << "it is in use";
  MediaIce answered;
  sdp::IceDescription theirs = says();
  theirs.trickles = true;
  note_ice_offer(answered, theirs, {});
  answer_ice(answered);
  EXPECT_TRUE(answered.trickles);
}

TEST(IceFragments, BringCandidatesOfTheSameCredentialsOnce) {
  MediaIce ice;
  note_ice_offer(ice, says(), {});
  answer_ice(ice);
  const auto before = plan(ice);
  EXPECT_TRUE(add_ice_candidates(ice, says()));
  EXPECT_EQ(plan(ice), before) << "known already";
  EXPECT_FALSE(add_ice_candidates(ice, says("efgh", {"192.0.2.9:9"})));
  EXPECT_EQ(ice.theirs.candidates.size(), 1u);
  EXPECT_TRUE(add_ice_candidates(ice, says("abcd", {"192.0.2.9:4002"})));
  EXPECT_NE(plan(ice), before);
  std::vector<std::string> many;
  for (int port = 1; port < 40; ++port) many.push_back("192.0.2.9:" + std::to_string(port));
  EXPECT_TRUE(add_ice_candidates(ice, says("abcd", many)));
  EXPECT_EQ(ice.theirs.candidates.size(), 20u) << "ICE-4";
}

TEST(IcePlans, HaveWhatBothSidesSaid) {
  MediaIce ice;
  EXPECT_EQ(plan(ice), nullptr);
  offer_ice(ice, {});
  const auto pending = plan(ice, false);
  ASSERT_NE(pending, nullptr) << "checks may overtake the answer";
  EXPECT_TRUE(pending->candidates.empty());
  EXPECT_EQ(plan(ice, true), nullptr) << "answered, and not in use";
  sdp::IceDescription theirs = says();
  theirs.candidates.push_back({2, 4, at("192.0.2.9:4001")});
  theirs.is_lite = true;
  take_ice_answer(ice, theirs);
  const auto agreed = plan(ice);
  EXPECT_EQ(agreed->own, ice.own);
  EXPECT_EQ(agreed->peer.ufrag, "abcd");
  ASSERT_EQ(agreed->candidates.size(), 2u);
  EXPECT_EQ(agreed->candidates[0].component, Component::kRtp);
  EXPECT_EQ(agreed->candidates[1].component, Component::kRtcp);
  EXPECT_TRUE(agreed->peer_is_lite && agreed->has_rtcp && agreed->controlling);
  EXPECT_EQ(plan(ice), agreed) << "shared until something changes";
  EXPECT_NE(ice_plan(ice, true, false, kV4, nullptr), agreed);
  const auto both = ice_plan(ice, true, false, {AddressFamily::kIpv4, AddressFamily::kIpv6}, nullptr);
  EXPECT_EQ(both->locals.size(), 2u);
}

TEST(IcePlanOfATransport, ONE3_HasNoCandidateThatIsLeftOut) {
  MediaIce ice;
  offer_ice(ice, {});
  take_ice_answer(ice, says("abcd", {"192.0.2.9:4000", "198.18.0.1:3478"}));
  const auto whole = plan(ice);
  EXPECT_EQ(whole->candidates.size(), 2u);
  const auto is_ours = [](const Endpoint& candidate) { return candidate.port.value == 3478; };
  const auto without = ice_plan(ice, true, true, kV4, nullptr, is_ours);
  ASSERT_EQ(without->candidates.size(), 1u);
  EXPECT_EQ(without->candidates[0].at, at("192.0.2.9:4000"));
  EXPECT_EQ(ice_plan(ice, true, true, kV4, nullptr, is_ours), without) << "shared until something changes";
  EXPECT_EQ(plan(ice)->candidates.size(), 2u);
}

// RFC 8839 §4.4.2 and §5.2.
TEST(IceRemoteCandidates, AreShownByTheControllingAgentWithAPairForEachComponent) {
  MediaIce ice;
  offer_ice(ice, {});
  take_ice_answer(ice, says());
  TransportSnapshot::Ice pairs;
  pairs.state = IceAgent::State::kConnected;
  EXPECT_EQ(remote_candidates(ice, pairs, false), "") << "no pair";
  pairs.selected[0].emplace();
  pairs.selected[0]->peer = at("192.0.2.9:4000");
  EXPECT_EQ(remote_candidates(ice, pairs, false), "1 192.0.2.9 4000");
  EXPECT_EQ(remote_candidates(ice, pairs, true), "") << "RTCP has none";
  pairs.selected[1].emplace();
  pairs.selected[1]->peer = at("[2001:db8::9]:4001");
  EXPECT_EQ(remote_candidates(ice, pairs, true), "1 192.0.2.9 4000 2 2001:db8::9 4001");
  pairs.state = IceAgent::State::kFailed;
  EXPECT_EQ(remote_candidates(ice, pairs, true), "");
  pairs.state = IceAgent::State::kConnected;
  ice.controlling = false;
  EXPECT_EQ(remote_candidates(ice, pairs, true), "");
}

}  // namespace
}  // namespace ferry::test::media_ice_test
