// SPDX-License-Identifier: Apache-2.0
// What plans say of audio that is changed on its way, and how it is told.
#include "control/call/treated_flows.hpp"

#include "tests/unit/control/call/two_parties.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::treated_flows_test {
namespace {

using Formats = std::vector<NumberedFormat>;

const NumberedFormat kPcma{PayloadType{8}, {"PCMA", 8000, 1, {}}};
const NumberedFormat kPcmu{PayloadType{0}, {"PCMU", 8000, 1, {}}};
const NumberedFormat kEvents{PayloadType{101}, {"telephone-event", 8000, 1, {}}};
NumberedFormat opus(std::uint8_t type) { return {PayloadType{type}, {"opus", 48000, 2, {}}}; }

struct TreatedFlows : ::testing::Test {
  TreatedFlows() {
    call.codecs = CodecCatalogue({{kPcma.format, 8000, true, true},
                                  {kPcmu.format, 8000, true, true},
                                  {opus(96).format, 48000, true, true}});
  }
  /// A offers `a`, B answers `b`, and each is shown its own codecs of the other's kind.
  void agree(const Formats& a, const Formats& shown_to_b, const Formats& b, const Formats& shown_to_a) {
    call.media(0).said_codecs = CodecList(a);
    call.media(0).shown_codecs = CodecList(shown_to_a);
    call.media(1).said_codecs = CodecList(b);
    call.media(1).shown_codecs = CodecList(shown_to_b);
  }
  const Sink& sink(std::size_t from) {
    plans = call.plans();
    return plans[from].plan->sources[0].sinks[0];
  }
  std::vector<std::string> told() {
    call.tell();
    std::vector<std::string> words;
    for (const TreatedFlow& flow : treated_flows(call.call))
      words.push_back(flow.from->leg->tag + " to " + flow.to->leg->tag + ": " + in_words(flow));
    return words;
  }

  TwoParties call;
  std::vector<PlannedTransport> plans;
};

TEST_F(TreatedFlows, ACallThatNeedsNothingHasNone) {
  agree({kPcma, kEvents}, {kPcma, kEvents}, {kPcma, kEvents}, {kPcma, kEvents});
  EXPECT_EQ(sink(0).conversion, nullptr);
  EXPECT_EQ(sink(0).renumbering, nullptr);
  EXPECT_EQ(sink(0).ptime_ms, 0);
  EXPECT_EQ(told(), std::vector<std::string>{});
}

TEST_F(TreatedFlows, AConversionGoesIntoBothSinks) {
  agree({kPcma, kEvents}, {opus(96)}, {opus(96)}, {kPcma, kEvents});
  ASSERT_NE(sink(0).conversion, nullptr);
  EXPECT_EQ(sink(0).conversion->type, PayloadType{96});
  EXPECT_EQ(sink(0).conversion->settings.sample_rate_hz, 8000u) << "nobody hears more of PCMA";
  ASSERT_NE(sink(1).conversion, nullptr);
  EXPECT_EQ(sink(1).conversion->events, (OtherType{PayloadType{101}, 8000}));
  EXPECT_EQ(told(), (std::vector<std::string>{"A to B: PCMA/8000 becomes opus/48000/2 (96), 20 ms",
                                              "B to A: opus/48000/2 becomes PCMA/8000 (8), 20 ms; its tones "
                                              "become events"}));
}

TEST_F(TreatedFlows, AFaxIsToldWithWhatWasAgreed) {
  FaxTerms terms;
  terms.gateway = 1;
  terms.settings.version = 3;
  agree({}, {}, {kPcma}, {kPcma});
  call.media(0).kind = TransportKind::kUdptl;
  call.media(0).fax = call.media(1).fax = std::make_shared<const FaxTerms>(terms);
  EXPECT_EQ(told(), (std::vector<std::string>{
                        "A to B: the fax in T.38 becomes PCMA/8000 (8), version 3 with redundancy, ECM",
                        "B to A: the fax in PCMA/8000 becomes T.38, version 3 with redundancy, ECM"}));
  terms.settings = {.ecm = false, .v17 = false, .v29 = false};
  terms.settings.protection.earlier = 0;
  call.media(0).fax = call.media(1).fax = std::make_shared<const FaxTerms>(terms);
  EXPECT_EQ(
      told()[1],
      "B to A: the fax in PCMA/8000 becomes T.38, version 0 without redundancy, no ECM, no V.17, no V.29");
}

TEST_F(TreatedFlows, NumbersAreTranslated) {
  agree({opus(96)}, {opus(96)}, {opus(107)}, {opus(96)});
  ASSERT_NE(sink(0).renumbering, nullptr);
  EXPECT_EQ(sink(0).renumbering->to[96], 107);
  EXPECT_EQ(sink(1).renumbering->to[107], 96) << "B sends under its own number";
  EXPECT_EQ(told(), (std::vector<std::string>{"A to B: payload type 96 becomes 107",
                                              "B to A: payload type 107 becomes 96"}));
}

TEST_F(TreatedFlows, EqualOnesAreTheObjectsOfTheFormerPlan) {
  agree({kPcma}, {opus(96)}, {opus(96)}, {kPcma});
  call.tell();
  const auto former = call.ports(0).plan->sources[0].sinks[0].conversion;
  EXPECT_EQ(sink(0).conversion, former);
  agree({kPcmu}, {opus(96)}, {opus(96)}, {kPcmu});
  EXPECT_NE(sink(0).conversion, former);
}

TEST_F(TreatedFlows, SRT9_NothingChangesUnderTheKeyThatItCameWith) {
  agree({kPcma}, {opus(96)}, {opus(96)}, {kPcma});
  call.media(1).encrypted = true;
  call.transport(1).ensure_keys().out_is_relayed = true;
  EXPECT_EQ(sink(0).conversion, nullptr);
  EXPECT_NE(sink(1).conversion, nullptr) << "the other way has a key of ours";
}

TEST_F(TreatedFlows, APacketTimeOfTheClient) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  CodecWishes wishes;
  wishes.ptime_ms = 40;
  call.media(1).codec_wishes = std::make_shared<const CodecWishes>(wishes);
  EXPECT_EQ(sink(0).ptime_ms, 40);
  EXPECT_EQ(sink(1).ptime_ms, 0);
  EXPECT_EQ(told(), std::vector<std::string>{"A to B: packets of 40 ms"});
  call.media(1).said_ptime_ms = 30;
  EXPECT_EQ(sink(0).ptime_ms, 30) << "B's own SDP counts";
}

TEST_F(TreatedFlows, WhoHearsSeveralByACommandHearsThemMixed) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  EXPECT_EQ(sink(0).conversion, nullptr);
  // B hears A, and itself by a command: a third party would be the same.
  const auto hear_another = [&](SubscriptionKind kind) {
    call.media(1).subscriptions.push_back({&call.media(1), kind});
  };
  hear_another(SubscriptionKind::kOfferAnswer);
  EXPECT_EQ(sink(0).conversion, nullptr) << "branches of a call are not mixed";
  call.media(1).subscriptions.pop_back();
  hear_another(SubscriptionKind::kPubSub);
  ASSERT_NE(sink(0).conversion, nullptr);
  EXPECT_TRUE(sink(0).conversion->mixes);
  EXPECT_EQ(sink(1).conversion, nullptr) << "A hears B alone";
  EXPECT_EQ(told(), (std::vector<std::string>{"A to B: PCMA/8000 becomes PCMA/8000 (8), 20 ms; mixed of 2",
                                              "B to B: PCMA/8000 becomes PCMA/8000 (8), 20 ms; mixed of 2"}));
  call.media(0).may_send = false;
  EXPECT_EQ(sink(0).conversion, nullptr) << "A is silent by its SDP, so one is left";
  call.media(0).may_send = true;
  call.media(1).subscriptions.back().rtcp_only = true;
  EXPECT_EQ(sink(0).conversion, nullptr);
}

TEST_F(TreatedFlows, ThePlayerOfTheReceiverDecides) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  const auto play = [&](AudioPlayer player) {
    CodecWishes wishes;
    wishes.player = player;
    call.media(1).codec_wishes = std::make_shared<const CodecWishes>(wishes);
  };
  play(AudioPlayer::kAlways);
  ASSERT_NE(sink(0).conversion, nullptr);
  EXPECT_TRUE(sink(0).conversion->mixes);
  EXPECT_EQ(sink(1).conversion, nullptr);
  play(AudioPlayer::kTranscoding);
  EXPECT_EQ(sink(0).conversion, nullptr) << "there is nothing to convert";
  agree({kPcma}, {opus(96)}, {opus(96)}, {kPcma});
  ASSERT_NE(sink(0).conversion, nullptr);
  EXPECT_TRUE(sink(0).conversion->mixes) << "sounds go into it";
  play(AudioPlayer::kOff);
  EXPECT_FALSE(sink(0).conversion->mixes);
}

TEST_F(TreatedFlows, LAT15_FollowTheTermsInForce) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  call.media(0).agreed = std::make_unique<MediaTerms>(call.media(0));
  call.media(1).agreed = std::make_unique<MediaTerms>(call.media(1));
  agree({opus(96)}, {opus(96)}, {kPcma}, {kPcma});
  EXPECT_EQ(sink(0).conversion, nullptr) << "the offer waits for its answer";
}

/// Whom the relay reports to itself, A and B.
std::pair<bool, bool> reported_to(TwoParties& call) {
  const auto plans = call.plans();
  return {plans[0].plan->own_reports != nullptr, plans[1].plan->own_reports != nullptr};
}
constexpr std::pair kBoth{true, true};
constexpr std::pair kNobody{false, false};

TEST_F(TreatedFlows, Rfc3550_BothPartiesOfAConversionGetReportsOfTheRelay) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  EXPECT_EQ(reported_to(call), kNobody);
  agree({kPcma, kEvents}, {opus(96)}, {opus(96)}, {kPcma, kEvents});
  EXPECT_EQ(reported_to(call), kBoth);
  // What was made once stays renumbered, so the reports stay, too.
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  EXPECT_EQ(reported_to(call), kBoth);
}

TEST_F(TreatedFlows, Rfc3550_OneDirectionThatIsMadeIsEnough) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  CodecWishes wishes;
  wishes.ptime_ms = 40;
  call.media(1).codec_wishes = std::make_shared<const CodecWishes>(wishes);
  EXPECT_EQ(reported_to(call), kBoth);
}

TEST_F(TreatedFlows, Rfc3550_WhoWasPlayedSomethingAndThePartnerGetReports) {
  agree({kPcma}, {kPcma}, {kPcma}, {kPcma});
  call.transport(1).is_made = true;
  EXPECT_EQ(reported_to(call), kBoth);
}

TEST_F(TreatedFlows, Rfc7022_TheNameIsOfThePartyAndStays) {
  call.call.generates_rtcp = true;
  EXPECT_EQ(reported_to(call), kBoth);
  call.tell();
  const auto before = call.ports(0).plan->own_reports;
  EXPECT_EQ(before->cname.size(), 24u);
  EXPECT_NE(before->cname, call.ports(1).plan->own_reports->cname);
  EXPECT_EQ(call.plans()[0].plan->own_reports, before) << "the same object: nothing changed";
  call.call.generates_rtcp = false;
  EXPECT_EQ(reported_to(call), kNobody);
}

TEST_F(TreatedFlows, SRT9_UnderTheKeyOfAnotherPartyNobodyReports) {
  call.call.generates_rtcp = true;
  call.media(0).encrypted = true;
  call.transport(0).ensure_keys().out_is_relayed = true;
  EXPECT_EQ(reported_to(call), (std::pair{false, true}));
}

TEST_F(TreatedFlows, SilenceIsForWhoMayHearAudioAndBringsReports) {
  const auto keep_alive = [&](std::size_t party) {
    const auto all = plans_of(call.call, {call.srtp, call.dtls, call.codecs, false, 7}, call);
    EXPECT_NE(all[party].plan->own_reports, nullptr);
    return all[party].plan->keep_alive_s;
  };
  EXPECT_EQ(keep_alive(0), 7);
  call.media(0).may_receive = false;
  EXPECT_EQ(keep_alive(0), 0) << "on hold";
  EXPECT_EQ(keep_alive(1), 7);
  call.media(1).answered = false;
  EXPECT_EQ(keep_alive(1), 0) << "nobody has answered";
  call.media(1).answered = true;
  call.media(1).type = "video";
  EXPECT_EQ(keep_alive(1), 0);
}

TEST_F(TreatedFlows, AFaxHasNoReports) {
  call.call.generates_rtcp = true;
  call.media(0).kind = TransportKind::kUdptl;
  EXPECT_EQ(reported_to(call), (std::pair{false, true}));
}

}  // namespace
}  // namespace ferry::test::treated_flows_test
