// SPDX-License-Identifier: Apache-2.0
// One table: a call, one change of it, and what the workers are told. The calls are made by hand; neither a
// worker nor a protocol is linked.
#include "control/call/transport_plans.hpp"

#include "tests/unit/control/call/two_parties.hpp"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::transport_plans_test {
namespace {

using namespace std::chrono_literals;

struct Row {
  const char* name;
  /// What is different from the plain call.
  std::function<void(TwoParties&)> change;
  /// True if the plans of A and of B are as they should be.
  std::function<bool(const PlannedTransport& a, const PlannedTransport& b)> holds;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

const SourcePlan& source(const PlannedTransport& each) { return each.plan->sources.at(0); }
const Sink& sink(const PlannedTransport& each) { return source(each).sinks.at(0); }

const std::vector<Row> kRows = {
    {"Plain", [](TwoParties&) {},
     [](auto& a, auto& b) {
       return a.plan->rtp_latch.signalled == at("198.51.100.1:4000") &&
              a.plan->rtcp_latch.signalled == at("198.51.100.1:4001") && a.plan->interface == 3 &&
              a.plan->kind == TransportKind::kRtp && !a.plan->srtp && !a.plan->ice && !a.plan->dtls &&
              !a.plan->proposed && source(a).max_ssrcs == 8 && source(a).sinks.size() == 1 &&
              sink(a).via == TransportId{2, 1} && sink(a).to == MediaId{2} && sink(a).media_allowed &&
              sink(b).via == TransportId{1, 1};
     }},
    {"HoldStopsMediaOneWay", [](TwoParties& w) { w.media(0).may_receive = false; },
     [](auto& a, auto& b) { return sink(a).media_allowed && !sink(b).media_allowed; }},
    {"BlockedParty", [](TwoParties& w) { w.leg(0).blocked = true; },
     [](auto& a, auto& b) { return sink(a).blocked && !sink(b).blocked; }},
    {"SilencedFlowInspectsPayload", [](TwoParties& w) { w.media(1).subscriptions[0].silenced = true; },
     [](auto& a, auto& b) {
       return sink(a).silenced && source(a).inspects_payload && !source(b).inspects_payload;
     }},
    {"RejectedMediaHearsAndSaysNothing", [](TwoParties& w) { w.media(0).rejected = true; },
     [](auto& a, auto& b) { return source(a).sinks.empty() && source(b).sinks.empty(); }},
    {"EchoSendsBackAndAcrossNothing", [](TwoParties& w) { w.media(0).echo = MediaEcho::kForward; },
     [](auto& a, auto& b) {
       return source(a).sinks.size() == 1 && sink(a).via == TransportId{1, 1} && source(b).sinks.empty();
     }},
    {"VideoMayHaveManySources", [](TwoParties& w) { w.media(0).is_video = true; },
     [](auto& a, auto& b) {
       return source(a).max_ssrcs == 64 && source(b).max_ssrcs == 8 && source(a).is_video &&
              !source(b).is_video;
     }},
    {"MuxRefusesTypesThatAreRtcp", [](TwoParties& w) { w.transport(0).mux_used = true; },
     [](auto& a, auto& b) {
       return a.plan->rtcp_mux && a.plan->send_rtcp_muxed && source(a).refused_types.test(72) &&
              !source(b).refused_types.test(72);
     }},
    {"UnansweredAnswererIsToldEarlyMediaRule",
     [](TwoParties& w) {
       w.media(1).awaited_since = Instant{5s};
       w.media(1).answered = false;
     },
     [](auto& a, auto& b) {
       return b.plan->early_until == Instant{5s} + kOfferPatience && a.plan->early_until == Instant{};
     }},
    {"EncryptedWithoutKeysPassesNothingPlain",
     [](TwoParties& w) {
       w.media(0).encrypted = true;
       w.transport(0).ensure_keys();
     },
     [](auto& a, auto& b) {
       return a.plan->srtp && a.plan->srtp->receive.empty() && !a.plan->srtp->send && !b.plan->srtp;
     }},
    {"ProposalLeavesTheAgreedDestination",
     [](TwoParties& w) {
       propose(w);
       w.transport(0).remote_rtp = at("198.51.100.1:6000");
       w.transport(0).remote_rtcp = at("198.51.100.1:6001");
     },
     [](auto& a, auto&) {
       return a.plan->rtp_latch.signalled == at("198.51.100.1:4000") && a.plan->proposed &&
              a.plan->proposed->rtp.signalled == at("198.51.100.1:6000") &&
              a.plan->proposed->rtp.is_proposed &&
              a.plan->proposed->rtcp.signalled == at("198.51.100.1:6001");
     }},
    {"ProposalThatStaysIsNone", [](TwoParties& w) { propose(w); },
     [](auto& a, auto& b) { return !a.plan->proposed && !b.plan->proposed; }},
    {"ProposalOfHoldDoesNotStopMedia",
     [](TwoParties& w) {
       propose(w);
       w.media(0).may_receive = false;
     },
     [](auto&, auto& b) { return sink(b).media_allowed; }},
    {"OwnPortOfAStrangerLoops", [](TwoParties& w) { w.owners["198.51.100.1:4000"] = &w.transport(1); },
     [](auto& a, auto&) {
       return a.plan->rtp_latch.loops && a.plan->rtp_latch.signalled_void && !a.sends_to;
     }},
    {"PeerIsLimitedIfNobodySignalsFromThere",
     [](TwoParties& w) { w.leg(0).received_from = at("203.0.113.9:0").address; },
     [](auto& a, auto& b) {
       return a.sends_to && a.sends_to->is_limited && a.sends_to->address == at("198.51.100.1:0").address &&
              b.sends_to && !b.sends_to->is_limited;
     }},
    {"ListenerIsNotLimited",
     [](TwoParties& w) {
       w.leg(0).received_from = at("203.0.113.9:0").address;
       w.leg(0).from_offer_answer = false;
       w.media(0).may_send = false;
     },
     [](auto& a, auto&) { return a.sends_to && !a.sends_to->is_limited; }},
    {"SecondMediaOnOneTransportIsASecondSource",
     [](TwoParties& w) {
       Media& video = w.carry(w.leg(0), w.transport(0), 11);
       video.is_video = true;
       w.media(1).subscriptions.push_back({&video});
     },
     [](auto& a, auto& b) {
       return a.plan->sources.size() == 2 && a.plan->sources[1].media == MediaId{11} &&
              a.plan->sources[1].max_ssrcs == 64 && a.plan->sources[1].sinks.size() == 1 &&
              b.plan->sources.size() == 1;
     }},
    // LAT-4: where packets come from decides.
    {"LAT4_PrivateAddressBehindAPublicOne",
     [](TwoParties& w) { w.transport(0).remote_rtp = at("10.0.0.7:4000"); },
     [](auto& a, auto& b) {
       return a.plan->rtp_latch.signalled_void && !b.plan->rtp_latch.signalled_void && a.sends_to &&
              a.sends_to->address == at("198.51.100.1:0").address && !a.sends_to->is_limited;
     }},
    {"LAT11a_DeniedAddressIsNeverSentTo",
     [](TwoParties& w) { w.transport(0).remote_rtp = at("127.0.0.1:4000"); },
     [](auto& a, auto&) {
       return a.plan->rtp_latch.denied == PeerDenial::kLoopback && a.plan->rtp_latch.signalled_void;
     }},
    {"LAT11a_DeniedRtcpLeavesRtp", [](TwoParties& w) { w.transport(0).remote_rtcp = at("127.0.0.1:4000"); },
     [](auto& a, auto&) {
       return !a.plan->rtp_latch.signalled_void && a.plan->rtcp_latch.signalled_void &&
              a.plan->rtcp_latch.denied == PeerDenial::kLoopback;
     }},
    {"OverTcpNoAddressIsJudgedOrSentTo",
     [](TwoParties& w) {
       w.media(0).kind = TransportKind::kOverTcp;
       w.transport(0).remote_rtp = at("127.0.0.1:4000");
     },
     [](auto& a, auto&) { return a.plan->rtp_latch.denied == PeerDenial::kNone && !a.sends_to; }},
    {"BeforeItsSdpNobodyIsSignalled", [](TwoParties& w) { w.transport(1).remote_known = false; },
     [](auto&, auto& b) {
       return !b.plan->rtp_latch.signalled.is_set() && !b.plan->rtcp_latch.signalled.is_set() &&
              b.plan->rtp_latch.is_told;
     }},
    // LAT-2: who has not seen our port cannot send to it.
    {"OffererIsNotToldBeforeItsAnswer", [](TwoParties& w) { w.media(0).answered = false; },
     [](auto& a, auto& b) { return !a.plan->rtp_latch.is_told && b.plan->rtp_latch.is_told; }},
    {"PartiesOfACommandAreToldAtOnce",
     [](TwoParties& w) {
       w.media(0).answered = false;
       w.leg(0).from_offer_answer = false;
     },
     [](auto& a, auto&) { return a.plan->rtp_latch.is_told; }},
    {"WordsOfTheRequestReachTheLatch",
     [](TwoParties& w) {
       SourceRules& rules = w.transport(0).rules;
       rules.policy = LatchPolicy::kUncontested;
       rules.algorithm = LearningAlgorithm::kDelayed;
       rules.strict_source = rules.handover = rules.asymmetric = true;
       w.transport(0).wait_for_peer = w.transport(0).reduced_size_rtcp = true;
     },
     [](auto& a, auto& b) {
       const LatchConfig& latch = a.plan->rtp_latch;
       return latch.policy == LatchPolicy::kUncontested && latch.algorithm == LearningAlgorithm::kDelayed &&
              latch.strict_source && latch.handover && a.plan->send_to_signalled && a.plan->wait_for_peer &&
              a.plan->reduced_size_rtcp && !b.plan->send_to_signalled && !b.plan->wait_for_peer &&
              !b.plan->reduced_size_rtcp && !b.plan->rtp_latch.strict_source;
     }},
    {"LAT10_WithIceTheSelectedPairIsAll",
     [](TwoParties& w) {
       w.transport(0).ensure_ice().in_use = true;
       w.transport(0).ice->controlling = true;
       w.transport(0).rules.asymmetric = true;
       w.transport(0).rules.policy = LatchPolicy::kAny;
     },
     [](auto& a, auto& b) {
       return a.plan->ice && a.plan->ice->controlling && a.plan->ice->has_rtcp && a.plan->rtp_latch.by_ice &&
              a.plan->rtcp_latch.by_ice && a.plan->rtp_latch.policy == LatchPolicy::kOff &&
              !a.plan->rtp_latch.signalled.is_set() && !a.plan->send_to_signalled && !a.sends_to &&
              !b.plan->ice;
     }},
    {"LAT10_IceOfAProposalWaits",
     [](TwoParties& w) {
       propose(w);
       w.transport(0).ensure_ice().offered_by_peer = true;
     },
     [](auto& a, auto&) { return !a.plan->ice && a.plan->rtp_latch.signalled == at("198.51.100.1:4000"); }},
    {"LAT14_ForEverUntilTheSdpComes",
     [](TwoParties& w) {
       w.media(1).awaited_since = Instant{5s};
       w.media(1).answered = w.transport(1).remote_known = false;
     },
     [](auto&, auto& b) { return b.plan->early_until == Instant::max(); }},
    {"LAT14_NotWithIce",
     [](TwoParties& w) {
       w.media(1).awaited_since = Instant{5s};
       w.media(1).answered = false;
       w.transport(1).ensure_ice().offered_to_peer = true;
     },
     [](auto&, auto& b) { return b.plan->ice && b.plan->early_until == Instant{}; }},
    {"LAT14_NotWithDtlsAlone",
     [](TwoParties& w) {
       w.media(1).awaited_since = Instant{5s};
       w.media(1).encrypted = true;
       w.transport(1).ensure_keys();
       w.transport(1).ensure_dtls();
     },
     [](auto&, auto& b) { return b.plan->srtp && b.plan->early_until == Instant{}; }},
    {"LAT14_NotWithAlgorithmsThatTakeAnybody",
     [](TwoParties& w) {
       w.media(1).awaited_since = Instant{5s};
       w.transport(1).rules.algorithm = LearningAlgorithm::kImmediate;
     },
     [](auto&, auto& b) { return b.plan->early_until == Instant{}; }},
    {"LAT15_ProposalOfAnotherSignallingSourceOfAVoidAddress",
     [](TwoParties& w) {
       w.transport(0).remote_rtp = at("10.0.0.7:4000");
       propose(w);
       w.leg(0).received_from = at("203.0.113.9:0").address;
     },
     [](auto& a, auto&) {
       return a.plan->rtp_latch.signalling_source == at("198.51.100.1:0").address && a.plan->proposed &&
              a.plan->proposed->rtp.signalling_source == at("203.0.113.9:0").address;
     }},
    {"LAT15_ProposalIsLearnedByTheRules",
     [](TwoParties& w) {
       propose(w);
       w.transport(0).remote_rtp = at("198.51.100.1:6000");
       w.transport(0).rules = {LatchPolicy::kAny, LearningAlgorithm::kImmediate, false, true, false, false};
     },
     [](auto& a, auto&) {
       return a.plan->proposed && a.plan->proposed->rtp.policy == LatchPolicy::kSignalled &&
              a.plan->proposed->rtp.algorithm == LearningAlgorithm::kRules && !a.plan->proposed->rtp.handover;
     }},
    {"LAT15_RejectedProposalIsNone",
     [](TwoParties& w) {
       propose(w);
       w.transport(0).remote_rtp = at("198.51.100.1:6000");
       w.media(0).rejected = true;
     },
     [](auto& a, auto& b) {
       return !a.plan->proposed && source(a).sinks.size() == 1 && source(b).sinks.size() == 1;
     }},
    {"LAT15_ProposalOfOurOwnPortIsNone",
     [](TwoParties& w) {
       propose(w);
       w.transport(0).remote_rtp = at("192.0.2.1:30004");
       w.owners["192.0.2.1:30004"] = &w.transport(1);
     },
     [](auto& a, auto&) { return !a.plan->proposed; }},
    {"LAT15_FaxIsTakenBesideRtp",
     [](TwoParties& w) {
       propose(w);
       w.media(0).kind = TransportKind::kUdptl;
     },
     [](auto& a, auto& b) {
       return a.plan->kind == TransportKind::kRtp && a.plan->takes_udptl == UdptlBesideRtp::kYes &&
              b.plan->takes_udptl == UdptlBesideRtp::kNo;
     }},
    {"LAT15_RtpIsTakenBesideFax",
     [](TwoParties& w) {
       w.media(0).kind = TransportKind::kUdptl;
       propose(w);
       w.media(0).kind = TransportKind::kRtp;
     },
     [](auto& a, auto&) { return a.plan->kind == TransportKind::kUdptl && a.plan->takes_rtp; }},
    {"LAT15_NoFaxBesideEncryptedMedia",
     [](TwoParties& w) {
       w.media(1).encrypted = true;
       w.transport(1).ensure_keys();
       propose(w);
       w.media(0).kind = TransportKind::kUdptl;
     },
     [](auto& a, auto&) { return a.plan->takes_udptl == UdptlBesideRtp::kNo; }},
    {"LAT15_BothLimitsFit",
     [](TwoParties& w) {
       w.media(0).rate = {250, 10'000};
       propose(w);
       w.media(0).rate = {5000, 0};
     },
     [](auto& a, auto&) {
       return source(a).rate.packets_per_second == 5000 && source(a).rate.bytes_per_second == 0;
     }},
    {"LAT15_MuxThatIsOfferedIsTakenAndNotSent",
     [](TwoParties& w) { w.transport(0).mux_offered_to_peer = true; },
     [](auto& a, auto& b) { return a.plan->rtcp_mux && !a.plan->send_rtcp_muxed && !b.plan->rtcp_mux; }},
    {"DMX4_TypesThatTheScriptTookOutNeverPass",
     [](TwoParties& w) {
       w.media(0).removed_types.set(18);
       w.media(1).has_fewer_codecs = true;
     },
     [](auto& a, auto& b) {
       return source(a).refused_types.test(18) && !source(b).refused_types.test(18) &&
              source(a).passes_other_types && !source(b).passes_other_types;
     }},
    {"EventsAreReportedIfTheyWereNegotiated",
     [](TwoParties& w) { w.media(0).payloads = {{.type = PayloadType{101}, .is_event = true}}; },
     [](auto& a, auto& b) { return source(a).has_events && !source(b).has_events; }},
    {"BlockedCall", [](TwoParties& w) { w.call.blocked = true; },
     [](auto& a, auto& b) { return sink(a).blocked && sink(b).blocked; }},
    {"DropTrafficBlocks", [](TwoParties& w) { w.call.drop_traffic = true; },
     [](auto& a, auto& b) { return sink(a).blocked && sink(b).blocked && !sink(a).silenced; }},
    {"BlockedFlow", [](TwoParties& w) { w.media(1).subscriptions[0].blocked = true; },
     [](auto& a, auto& b) { return sink(a).blocked && !sink(b).blocked; }},
    {"SilencedCall", [](TwoParties& w) { w.call.silenced = true; },
     [](auto& a, auto& b) { return sink(a).silenced && sink(b).silenced; }},
    {"EventsOfAPartyBlocked", [](TwoParties& w) { w.leg(0).events_blocked = true; },
     [](auto& a, auto& b) {
       return sink(a).events_blocked && source(a).inspects_payload && !sink(b).events_blocked;
     }},
    {"RTC3_FeedbackGoesWhereTheProfileHasIt",
     [](TwoParties& w) {
       w.media(1).protocol = "RTP/AVPF";
       w.media(1).answered = false;
     },
     [](auto& a, auto& b) { return sink(a).takes_feedback && sink(b).takes_feedback; }},
    {"RTC3_AndNowhereElse", [](TwoParties& w) { w.media(1).is_without_feedback = true; },
     [](auto& a, auto& b) { return !sink(a).takes_feedback && sink(b).takes_feedback; }},
    {"BlackHoleExchangesNothing", [](TwoParties& w) { w.media(0).echo = MediaEcho::kBlackhole; },
     [](auto& a, auto& b) { return source(a).sinks.empty() && source(b).sinks.empty(); }},
    {"SubscribersHearAPartyInEcho",
     [](TwoParties& w) {
       w.media(0).echo = MediaEcho::kBlackhole;
       w.media(1).subscriptions[0].kind = SubscriptionKind::kPubSub;
     },
     [](auto& a, auto& b) { return source(a).sinks.size() == 1 && source(b).sinks.empty(); }},
    {"EgressHearsWhatThePartyIsSent",
     [](TwoParties& w) {
       w.media(0).subscriptions = {{&w.media(1)}};
       w.media(1).subscriptions = {{&w.media(0), SubscriptionKind::kPubSub, false, false, true, false}};
     },
     [](auto& a, auto& b) { return source(a).sinks.empty() && source(b).sinks.size() == 2; }},
    {"RtcpMirrorCarriesRtcpAlone", [](TwoParties& w) { w.media(1).subscriptions[0].rtcp_only = true; },
     [](auto& a, auto& b) { return sink(a).rtcp_only && !sink(b).rtcp_only; }},
    {"FeedsOfOtherCallsGetACopy",
     [](TwoParties& w) {
       w.media(0).ensure_extras().feeds.push_back({9, {40, 2}, MediaId{77}});
       w.leg(0).silenced = true;
     },
     [](auto& a, auto& b) {
       return source(a).sinks.size() == 2 && source(a).sinks[1].via == TransportId{40, 2} &&
              source(a).sinks[1].to == MediaId{77} && source(a).sinks[1].silenced &&
              source(b).sinks.size() == 1;
     }},
    {"TosOfThePortsBeforeThatOfTheCall",
     [](TwoParties& w) {
       w.call.tos = 8;
       w.ports(0).tos = std::uint8_t{184};
     },
     [](auto& a, auto& b) { return a.plan->tos == 184 && b.plan->tos == 8; }},
    {"LAT12b_AsymmetricPartiesAreNotLimited",
     [](TwoParties& w) {
       w.leg(0).received_from = w.leg(1).received_from = at("203.0.113.9:0").address;
       w.transport(0).rules.unidirectional = true;
       w.transport(1).rules.asymmetric = true;
     },
     [](auto& a, auto& b) {
       return a.sends_to && !a.sends_to->is_limited && b.sends_to && !b.sends_to->is_limited;
     }},
    {"LAT12b_NobodyIsLimitedBeforeTheAnswerOrOnHold",
     [](TwoParties& w) {
       w.leg(0).received_from = w.leg(1).received_from = at("203.0.113.9:0").address;
       w.media(0).answered = false;
       w.media(1).may_receive = false;
     },
     [](auto& a, auto& b) { return !a.sends_to->is_limited && !b.sends_to->is_limited; }},
    {"ONE5_APlainPartyIsNeverBehindASharedPort",
     [](TwoParties& w) {
       w.shared = at("192.0.2.1:3478");
       w.transport(0).remote_rtp = w.shared;
     },
     [](auto& a, auto& b) {
       return a.plan->rtp_latch.loops && a.plan->rtp_latch.signalled_void && !b.plan->rtp_latch.loops;
     }},
    {"ONE3_OneSharedPortIsNotBothEndsOfAPair",
     [](TwoParties& w) {
       w.shared = at("192.0.2.1:3478");
       for (const std::size_t party : {0u, 1u}) {
         MediaIce& ice = w.transport(party).ensure_ice();
         ice.in_use = true;
         ice.theirs.candidates = {{1, 5, w.shared}, {1, 4, at("198.51.100.9:4000")}};
       }
       w.ports(0).is_shared = true;
     },
     [](auto& a, auto& b) {
       return a.plan->ice->candidates.size() == 1 && !a.plan->ice->has_rtcp &&
              b.plan->ice->candidates.size() == 2;
     }},
    {"LIM5_HairpinToAPortThatMeansUs",
     [](TwoParties& w) {
       // B's SDP names a port of ours on another call, whose party means B's port and whose other side is a
       // stranger.
       w.other().transport(0).remote_rtp = at("192.0.2.1:30004");
       w.owners["192.0.2.1:30102"] = &w.other().transport(0);
       w.transport(1).remote_rtp = at("192.0.2.1:30102");
     },
     [](auto&, auto& b) {
       return b.plan->rtp_latch.hairpin && !b.plan->rtp_latch.loops && b.sends_to && !b.sends_to->is_limited;
     }},
    {"LIM5_APortThatMeansSomebodyElseLoops",
     [](TwoParties& w) {
       w.owners["192.0.2.1:30102"] = &w.other().transport(0);
       w.transport(1).remote_rtp = at("192.0.2.1:30102");
     },
     [](auto&, auto& b) { return b.plan->rtp_latch.loops && !b.plan->rtp_latch.hairpin && !b.sends_to; }},
    {"LIM5_AThirdPassLoops",
     [](TwoParties& w) {
       // The way from the other call leads on to ports of ours again.
       w.other().transport(0).remote_rtp = at("192.0.2.1:30004");
       w.other().transport(1).remote_rtp = at("192.0.2.1:30202");
       w.owners["192.0.2.1:30102"] = &w.other().transport(0);
       w.owners["192.0.2.1:30202"] = &w.other().other().transport(0);
       w.other().other().transport(0).remote_rtp = at("192.0.2.1:30104");
       w.other().other().transport(1).remote_rtp = at("192.0.2.1:30302");
       w.owners["192.0.2.1:30302"] = &w.transport(0);
       w.transport(1).remote_rtp = at("192.0.2.1:30102");
     },
     [](auto&, auto& b) { return b.plan->rtp_latch.loops; }},
    {"SRT11_AFaxBesideEncryptedRtpDoesNotSpeakForBoth",
     [](TwoParties& w) {
       Media& other = w.carry(w.leg(0), w.transport(0), 3);
       other.encrypted = true;
       w.media(0).kind = TransportKind::kUdptl;
     },
     [](auto& a, auto&) {
       return a.plan->kind == TransportKind::kRtp && a.plan->srtp && source(a).is_closed &&
              !a.plan->sources[1].is_closed;
     }},
    {"BND20_ARejectedMediaOfAGroupClaimsNoPackets",
     [](TwoParties& w) {
       Media& other = w.carry(w.leg(0), w.transport(0), 3);
       other.payloads = {{PayloadType{96}}};
       w.media(0).payloads = {{PayloadType{8}}};
       other.rejected = true;
     },
     [](auto& a, auto&) {
       const SourcePlan& other = a.plan->sources[1];
       return !source(a).is_closed && other.is_closed && other.payloads.empty() &&
              !other.is_open_to(PayloadType{8});
     }},
    {"BND20_AMediaOfAGroupWithoutTypesClaimsNoPackets",
     [](TwoParties& w) {
       w.carry(w.leg(0), w.transport(0), 3);
       w.media(0).payloads = {{PayloadType{8}}};
     },
     [](auto& a, auto&) { return !source(a).is_closed && a.plan->sources[1].is_closed; }},
    {"FB7_OnlyVideoThatTakesPliIsAskedForKeyFrames",
     [](TwoParties& w) {
       for (const std::size_t party : {0u, 1u}) {
         w.media(party).is_video = true;
         w.media(party).protocol = "RTP/AVPF";
       }
       w.media(1).takes_pli = true;
     },
     [](auto& a, auto& b) { return !source(a).takes_pli && source(b).takes_pli; }},
    {"RTC3_AFullIntraRequestPassesToWhoTakesItOrNamesNoFeedback",
     [](TwoParties& w) {
       w.media(0).names_feedback = w.media(0).takes_fir = true;
       w.media(1).names_feedback = false;
     },
     [](auto& a, auto& b) {
       return source(a).sinks[0].full_intra == FullIntra::kPass &&
              source(b).sinks[0].full_intra == FullIntra::kPass;
     }},
    {"RTC3_AFullIntraRequestBecomesPictureLossOrIsCut",
     [](TwoParties& w) {
       w.media(0).names_feedback = w.media(1).names_feedback = true;
       w.media(1).takes_pli = true;
     },
     [](auto& a, auto& b) {
       return source(a).sinks[0].full_intra == FullIntra::kAsPictureLoss &&
              source(b).sinks[0].full_intra == FullIntra::kCut;
     }},
    {"ICE10_SsrcsOfTheSdpCountInAGroup",
     [](TwoParties& w) {
       w.carry(w.leg(0), w.transport(0), 3);
       w.media(0).ssrcs = w.media(1).ssrcs = {Ssrc{7}};
     },
     [](auto& a, auto& b) {
       return source(a).ssrcs == std::vector<Ssrc>{Ssrc{7}} && source(b).ssrcs.empty();
     }},
    {"BND20_AloneARejectedMediaStaysOpen", [](TwoParties& w) { w.media(0).rejected = true; },
     [](auto& a, auto&) { return !source(a).is_closed && source(a).is_open_to(PayloadType{8}); }},
};

class TransportPlans : public ::testing::TestWithParam<Row> {};

TEST_P(TransportPlans, WorkersAreTold) {
  TwoParties world;
  GetParam().change(world);
  const auto plans = world.plans();
  const auto of = [&](std::size_t party) {
    return *std::ranges::find_if(plans, [&](const auto& p) { return p.ports == &world.ports(party); });
  };
  EXPECT_TRUE(GetParam().holds(of(0), of(1)));
}

INSTANTIATE_TEST_SUITE_P(Calls, TransportPlans, ::testing::ValuesIn(kRows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST(TransportPlansAgain, LAT8a_OnlyAChangeOfWhatIsLearnedRaisesTheEpoch) {
  TwoParties world;
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, 0u);
  world.media(0).may_receive = false;
  ++world.call.signals;
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, 0u) << "hold changes no address";
  world.transport(0).remote_rtp = at("198.51.100.1:8000");
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, 1u);
  EXPECT_EQ(world.ports(1).epoch, 0u);
}

TEST(TransportPlansAgain, TheSameCallGivesEqualPlans) {
  TwoParties world;
  world.media(0).encrypted = true;
  world.transport(0).ensure_keys();
  propose(world);
  world.transport(0).remote_rtp = at("198.51.100.1:6000");
  world.tell();
  for (const PlannedTransport& each : world.plans()) EXPECT_EQ(*each.plan, *each.ports->plan);
}

TEST(TransportPlansAgain, LAT8a_WhereSignallingComesFromCountsForVoidAddressesOnly) {
  TwoParties world;
  world.transport(1).remote_rtp = at("10.0.0.7:5000");
  world.transport(1).remote_rtcp = at("10.0.0.7:5001");
  world.tell();
  for (const std::size_t party : {0u, 1u}) world.leg(party).received_from = at("203.0.113.9:0").address;
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, 0u);
  EXPECT_EQ(world.ports(1).epoch, 1u);
}

TEST(TransportPlansAgain, LAT8a_NgAlgorithmsBeginAnewWithEachSignal) {
  TwoParties world;
  world.transport(0).rules.algorithm = LearningAlgorithm::kDelayed;
  world.tell();
  const std::uint32_t before = world.ports(0).epoch;
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, before) << "the same signal";
  ++world.call.signals;
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, before + 1);
  EXPECT_EQ(world.ports(1).epoch, 0u);
  propose(world);
  ++world.call.signals;
  world.tell();
  EXPECT_EQ(world.ports(0).epoch, before + 1) << "a proposal changes nothing (LAT-15)";
}

TEST(TransportPlansAgain, DTL11_PortsThatAreNotShownAnyMoreKeepTheirAssociation) {
  TwoParties world;
  world.media(0).encrypted = true;
  world.transport(0).ensure_keys();
  auto former = std::make_shared<TransportPlan>();
  former->dtls = std::make_shared<DtlsPlan>();
  world.ports(0).plan = former;
  world.transport(0).ensure_dtls();
  EXPECT_EQ(world.plans()[0].plan->dtls, nullptr) << "ports that are shown follow the agreement";
  world.transport(0).active = 1;
  EXPECT_EQ(world.plans()[0].plan->dtls, former->dtls);
}

TEST(TransportPlansAgain, ICE_PairsAreOfThePortsThatAreUsed) {
  TwoParties world;
  world.transport(0).ensure_ice().in_use = true;
  LocalAddress second = world.local;
  second.address = at("[2001:db8::1]:0").address;
  world.ports(0).more.push_back({&second, UdpPort{30100}, false, {}});
  const auto plan = world.plans()[0].plan;
  ASSERT_NE(plan->ice, nullptr);
  EXPECT_EQ(plan->ice->locals, (std::vector{AddressFamily::kIpv4, AddressFamily::kIpv6}));
  world.transport(0).mux_used = true;
  EXPECT_FALSE(world.plans()[0].plan->ice->has_rtcp);
  world.transport(0).active = 1;
  EXPECT_EQ(world.plans()[0].plan->ice, nullptr);
}

TEST(TransportPlansAgain, EXT2_SinksRenumberHeaderExtensions) {
  TwoParties world;
  world.media(0).ensure_extensions().entries = {{"urn:a", 1, sdp::Direction{}, {}, false}};
  world.media(1).ensure_extensions().entries = {{"urn:a", 7, sdp::Direction{}, {}, false}};
  EXPECT_EQ(sink(world.plans()[0]).extensions, HeaderExtensionMap({{1, 7}}));
  EXPECT_EQ(sink(world.plans()[1]).extensions, HeaderExtensionMap({{7, 1}}));
  world.media(0).kind = TransportKind::kUdptl;
  EXPECT_EQ(sink(world.plans()[0]).extensions, HeaderExtensionMap()) << "no RTP";
}

TEST(TransportPlansAgain, ClosedPortsHaveNoPlan) {
  TwoParties world;
  world.ports(1).closed = true;
  const auto plans = world.plans();
  ASSERT_EQ(plans.size(), 1u);
  EXPECT_TRUE(source(plans[0]).sinks.empty()) << "nothing is sent from ports that are closed";
}

TEST(TransportPlansAgain, BND22_OwnPacketsNameTheSectionOfAGroupOfOne) {
  TwoParties world;
  world.media(0).ensure_extensions().entries = {{std::string(kMidExtension), 4, sdp::Direction{}, {}, false}};
  world.media(0).mid = "0";
  EXPECT_EQ(source(world.plans()[0]).written_mid, nullptr) << "it is in no group";
  world.media(0).via->is_bundle = true;
  const SourcePlan named = source(world.plans()[0]);
  ASSERT_NE(named.written_mid, nullptr);
  EXPECT_EQ(*named.written_mid, "0");
  EXPECT_EQ(named.written_mid_extension, 4u);
  EXPECT_EQ(named.mid, nullptr) << "its packets need no name";
}

TEST(TransportPlansAgain, StrictPayloadTypesByCallInterfaceOrDaemon) {
  TwoParties world;
  EXPECT_TRUE(source(world.plans()[0]).passes_other_types);
  world.logical.strict_payload_types = true;
  EXPECT_FALSE(source(world.plans()[0]).passes_other_types);
  world.call.strict_payload_types = false;
  EXPECT_TRUE(source(world.plans()[0]).passes_other_types) << "the call's word counts";
  world.call.strict_payload_types.reset();
  world.logical.strict_payload_types = false;
  const auto plans = plans_of(
      world.call,
      {.srtp = world.srtp, .dtls = world.dtls, .codecs = world.codecs, .strict_payload_types = true}, world);
  EXPECT_FALSE(source(plans[0]).passes_other_types);
}

/// A policy that a protocol sets has the last word.
struct Silencing : CallPolicy {
  [[nodiscard]] Due due(const Call&, const SessionConfig&, const Pauses&) const override {
    return {Instant::max(), EndReason::kTimeout, false};
  }
  [[nodiscard]] std::string_view shared_name() const override { return {}; }
  void refine(const Call&, const MediaTransport&, TransportPlan& plan) const override {
    for (SourcePlan& each : plan.sources) {
      for (Sink& out : each.sinks) out.silenced = true;
    }
  }
};

TEST(TransportPlansAgain, ThePolicyOfTheProtocolComesLast) {
  TwoParties world;
  world.call.ensure_extras().policy = std::make_unique<Silencing>();
  const auto plans = world.plans();
  EXPECT_TRUE(sink(plans[0]).silenced);
  EXPECT_TRUE(source(plans[0]).inspects_payload) << "what follows from the sinks is noted after it";
}

}  // namespace
}  // namespace ferry::test::transport_plans_test
