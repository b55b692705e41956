// SPDX-License-Identifier: Apache-2.0
// `block DTMF` in every mode: whose digits, what takes their place, and what switches it
// (docs/reference/ng.md#dtmf).
#include "control/command/digit_control.hpp"

#include "control/call/treated_flows.hpp"
#include "tests/support/small_relay.hpp"

namespace ferry::test::digit_control_test {
namespace {

void set(Request& request, Flag flag) { request.flags.set(static_cast<std::size_t>(flag)); }

SmallRelay::Options with_codecs() {
  SmallRelay::Options options;
  options.session.codecs =
      CodecCatalogue({{{"PCMU", 8000, 1, {}}, 8000, true, true}, {{"PCMA", 8000, 1, {}}, 8000, true, true}});
  return options;
}

struct DigitControlTest : public ::testing::Test {
  Request about(std::string party = {}) {
    Request request = SmallRelay::request("call", std::move(party));
    if (request.from_tag) set(request, Flag::kDirectional);
    return request;
  }
  std::vector<std::string> block(const Request& request) {
    return relay.ask(&DigitControl::block, request).value().warnings;
  }
  void unblock(const Request& request) { ASSERT_TRUE(relay.ask(&DigitControl::unblock, request)); }
  const SourcePlan& plan(std::size_t leg) {
    return call.legs[leg]->medias[0]->via->used_ports()->plan->sources[0];
  }
  const Sink& sink(std::size_t leg) { return plan(leg).sinks.at(0); }
  void press(std::size_t leg, std::string_view digits) {
    DigitTriggers& triggers = relay.manager.digit_triggers();
    for (const char digit : digits) {
      DtmfEvent event;
      event.event = static_cast<std::uint8_t>(std::string_view("0123456789*#ABCD").find(digit));
      event.told_at = relay.clock().now;
      triggers.on_dtmf(call, *call.legs[leg], event);
    }
    relay.flush();
  }
  SmallRelay relay{with_codecs()};
  Call& call = relay.add_call();
};

TEST_F(DigitControlTest, DropNeedsNoProcessing) {
  EXPECT_TRUE(block(about("A")).empty());
  EXPECT_TRUE(sink(0).events_blocked);
  EXPECT_FALSE(sink(0).conversion);
  EXPECT_FALSE(sink(1).events_blocked) << "the party alone";
  EXPECT_EQ(call.legs[0]->digit_rules(), nullptr) << "nothing to be kept";
  unblock(about("A"));
  EXPECT_FALSE(sink(0).events_blocked);
}

TEST_F(DigitControlTest, OtherModesConvertEvenIfBothHaveOneCodec) {
  for (const DigitCover cover : {DigitCover::kSilence, DigitCover::kTone, DigitCover::kRandomDigit,
                                 DigitCover::kZero, DigitCover::kDigit}) {
    Request request = about("A");
    request.guard.cover = cover;
    request.guard.frequencies_hz = {500};
    EXPECT_TRUE(block(request).empty());
    ASSERT_TRUE(sink(0).conversion);
    ASSERT_TRUE(sink(0).conversion->guard);
    EXPECT_EQ(sink(0).conversion->guard->cover, cover);
    EXPECT_EQ(sink(0).conversion->guard->frequencies_hz.size(), cover == DigitCover::kTone ? 1u : 0u);
    EXPECT_FALSE(sink(0).events_blocked) << "they go into the conversion, which covers them";
    EXPECT_TRUE(plan(0).listening) << "still told";
    EXPECT_FALSE(sink(1).conversion);
  }
  unblock(about("A"));
  EXPECT_FALSE(sink(0).conversion);
  EXPECT_FALSE(plan(0).listening);
}

TEST_F(DigitControlTest, TheCallMeansAllPartiesAndAPartysOwnRulesCountMore) {
  Request all = about();
  all.guard.cover = DigitCover::kSilence;
  block(all);
  Request one = about("B");
  one.guard.cover = DigitCover::kZero;
  block(one);
  EXPECT_EQ(sink(0).conversion->guard->cover, DigitCover::kSilence);
  EXPECT_EQ(sink(1).conversion->guard->cover, DigitCover::kZero);
  unblock(about());
  EXPECT_FALSE(sink(0).conversion);
  EXPECT_TRUE(sink(1).conversion) << "the call's mark alone";
  Request everything = about();
  everything.all = AllParties::kAll;
  unblock(everything);
  EXPECT_FALSE(sink(1).conversion);
}

TEST_F(DigitControlTest, WhatCannotBeCoveredIsDroppedWithAWarning) {
  SmallRelay bare;
  Call& other = bare.add_call();
  Request request = about("A");
  request.guard.cover = DigitCover::kSilence;
  const auto warnings = bare.ask(&DigitControl::block, request).value().warnings;
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("DTMF-security=silence"), std::string::npos);
  const Sink& dropped = other.legs[0]->medias[0]->via->used_ports()->plan->sources[0].sinks.at(0);
  EXPECT_TRUE(dropped.events_blocked) << "no event passes for want of a codec";
  EXPECT_EQ(other.not_in_force, warnings) << "the operator sees it";
  const auto flows = treated_flows(other);
  ASSERT_EQ(flows.size(), 1u) << "explain says it, too";
  EXPECT_EQ(in_words(flows[0]),
            "DTMF-security=silence: the relay cannot change this audio, so event packets are dropped and "
            "tones pass");
}

TEST_F(DigitControlTest, WhatIsNotUnderstoodIsAWarning) {
  Request request = about("A");
  request.guard.unreadable = {"DTMF-security=loud"};
  request.guard.delay_ms = 90'000;
  const auto warnings = block(request);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_EQ(call.legs[0]->digit_rules()->delay_ms, 2000);
  EXPECT_TRUE(call.legs[0]->events_blocked);
}

TEST_F(DigitControlTest, ATriggerWithoutAModeBeginsWithDigitsThatPass) {
  Request request = about("A");
  request.guard.trigger = "*1";
  request.guard.end_digits = 4;
  request.guard.when_triggered = DigitCover::kSilence;
  EXPECT_TRUE(block(request).empty());
  EXPECT_FALSE(sink(0).events_blocked);
  EXPECT_FALSE(sink(0).conversion);
  EXPECT_TRUE(plan(0).listening) << "the trigger may come as tones";
  press(1, "*1");
  EXPECT_FALSE(sink(0).conversion) << "another party's digits";
  press(0, "*1");
  ASSERT_TRUE(sink(0).conversion);
  EXPECT_EQ(sink(0).conversion->guard->cover, DigitCover::kSilence);
  press(0, "123");
  EXPECT_TRUE(sink(0).conversion);
  press(0, "4");
  EXPECT_FALSE(sink(0).conversion) << "four digits, and they pass again";
}

TEST_F(DigitControlTest, ATimeEndsWhatATriggerBegan) {
  Request request = about("A");
  request.guard.trigger = "5";
  request.guard.end_ms = 3000;
  request.guard.afterwards = DigitCover::kDrop;
  block(request);
  press(0, "5");
  EXPECT_TRUE(sink(0).events_blocked);
  relay.pass(std::chrono::seconds(2));
  EXPECT_TRUE(call.legs[0]->digit_rules()->is_triggered);
  relay.pass(std::chrono::seconds(2));
  EXPECT_FALSE(call.legs[0]->digit_rules()->is_triggered);
  EXPECT_TRUE(sink(0).events_blocked) << "the mode for afterwards";
}

TEST_F(DigitControlTest, WithoutATriggerTheEndIsOfWhatHoldsNow) {
  Request request = about("A");
  request.guard.end_digits = 2;
  block(request);
  EXPECT_TRUE(sink(0).events_blocked);
  press(0, "12");
  EXPECT_FALSE(sink(0).events_blocked);
}

TEST_F(DigitControlTest, CTL11_RulesAreKeptInAnExportAndThePressedDigitsAreNot) {
  Request request = about("A");
  request.guard.trigger = "12345";
  block(request);
  press(0, "987");
  const std::string text = relay.manager.export_call("call", relay.clock()).dump();
  EXPECT_NE(text.find("12345"), std::string::npos);
  EXPECT_EQ(text.find("\"987\""), std::string::npos);
}

TEST_F(DigitControlTest, OffersAndAnswersDelayTheirSenderAndLetTonesBeFound) {
  Request offer = SmallRelay::request("other", "C", {}, audio_at("198.51.100.3:4000"));
  offer.guard.delay_ms = 200;
  set(offer, Flag::kDetectDtmf);
  relay.offer(offer).value();
  relay.answer(SmallRelay::request("other", "C", "D", audio_at("198.51.100.4:5000"))).value();
  Call& other = *relay.manager.find("other");
  const auto source = [&](std::size_t leg) -> const SourcePlan& {
    return other.legs[leg]->medias[0]->via->used_ports()->plan->sources[0];
  };
  ASSERT_TRUE(source(0).sinks.at(0).conversion);
  EXPECT_EQ(source(0).sinks[0].conversion->guard->delay_ms, 200);
  EXPECT_EQ(source(0).sinks[0].conversion->guard->cover, DigitCover::kNone);
  EXPECT_FALSE(source(1).sinks.at(0).conversion);
  EXPECT_TRUE(source(0).listening);
  EXPECT_TRUE(source(1).listening) << "both parties";
  Request again = SmallRelay::request("other", "C", "D", audio_at("198.51.100.3:4000"));
  again.guard.delay_ms = 0;
  relay.offer(again).value();
  relay.answer(SmallRelay::request("other", "C", "D", audio_at("198.51.100.4:5000"))).value();
  EXPECT_FALSE(source(0).sinks.at(0).conversion) << "0: no more";
}

TEST_F(DigitControlTest, AnEqualCommandChangesNoPlan) {
  Request request = about("A");
  request.guard.cover = DigitCover::kSilence;
  block(request);
  const auto before = sink(0).conversion;
  const auto listening = plan(0).listening;
  block(request);
  EXPECT_EQ(sink(0).conversion, before) << "the stage goes on";
  EXPECT_EQ(plan(0).listening, listening);
}

}  // namespace
}  // namespace ferry::test::digit_control_test
