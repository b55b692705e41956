// SPDX-License-Identifier: Apache-2.0
// The list of an offer: order, numbers, what is added for clock rates, and the flags of re-offers.
#include "tests/unit/control/negotiate/two_party_codecs.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test::codec_offer_test {
namespace {

using Words = std::vector<std::string>;

/// An offer with nearly every codec.
const Words kMany = {"96 opus/48000/2 useinbandfec=1",
                     "97 AMR-WB/16000 octet-align=1",
                     "98 AMR/8000 octet-align=1",
                     "99 EVS/16000",
                     "9",
                     "8",
                     "0",
                     "102 speex/16000",
                     "13",
                     "101 telephone-event/8000 0-16",
                     "100 telephone-event/16000 0-16"};
const std::string kEvents = "101 telephone-event/8000 0-16";

Request with(sdp::CodecOperations operations) {
  Request request;
  request.codecs = std::move(operations);
  return request;
}
Request flagged(Flag flag) {
  Request request;
  request.flags.set(static_cast<std::size_t>(flag));
  return request;
}
Words numbers(const Words& lines) {
  Words all;
  for (const std::string& line : lines) all.push_back(line.substr(0, line.find(' ')));
  return all;
}

TEST(CodecOffer, WithoutWordsIsTheOffer) {
  TwoPartyCodecs call;
  EXPECT_EQ(call.offer(call.a, call.b, kMany), kMany);
  EXPECT_TRUE(call.warnings.empty());
}

TEST(CodecOffer, NoiseIsAddedForClockRatesThatChanged) {
  TwoPartyCodecs call;
  sdp::CodecOperations words;
  words.strip = {"EVS", "AMR-WB", "opus"};
  EXPECT_EQ(numbers(call.offer(call.a, call.b, kMany, with(words))),
            (Words{"98", "9", "8", "0", "102", "96", "13", "101", "100"}));
}

TEST(CodecOffer, WhatIsBroughtBackStandsBeforeEventsAndNoise) {
  TwoPartyCodecs call;
  sdp::CodecOperations words;
  words.strip = {"G722"};
  words.mask = {"PCMU"};
  words.transcode = {"PCMA", "G722"};
  EXPECT_EQ(numbers(call.offer(call.a, call.b, kMany, with(words))),
            (Words{"96", "97", "98", "99", "8", "102", "9", "13", "101", "100"}));
}

TEST(CodecOffer, EventsGoWithTheLastCodecOfTheirClock) {
  TwoPartyCodecs call;
  sdp::CodecOperations words;
  words.strip = {"opus"};
  EXPECT_EQ(call.offer(call.a, call.b,
                       {"96 opus/48000/2", "8", "97 telephone-event/48000", "101 telephone-event/8000"},
                       with(words)),
            (Words{"8", "101 telephone-event/8000"}));
  EXPECT_EQ(call.offer(call.a, call.b, {"96 opus/48000/2", "8", "101 telephone-event/8000"},
                       with({.strip = {"PCMA"},
                             .except = {},
                             .offer = {},
                             .transcode = {},
                             .mask = {},
                             .accept = {},
                             .consume = {},
                             .ignore = {},
                             .set = {}})),
            (Words{"96 opus/48000/2", "101 telephone-event/8000"}))
      << "there are no others";
}

TEST(CodecOffer, SaysWhatItCannotDo) {
  TwoPartyCodecs call;
  sdp::CodecOperations words;
  words.transcode = {"EVS", "NOSUCH", "AMR/x"};
  EXPECT_EQ(call.offer(call.a, call.b, {"8"}, with(words)), Words{"8"});
  ASSERT_EQ(call.warnings.size(), 3u);
  EXPECT_EQ(call.warnings[0], "codec EVS: this relay cannot convert it");
  EXPECT_EQ(call.warnings[2], "codec AMR/x: it cannot be read");
  words.transcode = {"PCMU"};
  EXPECT_EQ(call.offer(call.a, call.b, {"4"}, with(words)), Words{"4"});
  EXPECT_EQ(call.warnings, Words{"codec PCMU: the relay can convert no codec of the offer"});
  words.transcode = {};
  words.accept = {"G723", "all"};
  EXPECT_EQ(call.offer(call.a, call.b, {"4", "8"}, with(words)), (Words{"4", "8"}));
  EXPECT_EQ(call.warnings, Words{"codec G723: this relay cannot convert it"});
}

TEST(CodecOffer, ACodecKeepsTheNumberThatTheReceiverHas) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"96 opus/48000/2", kEvents});
  call.answer(call.b, call.a, {"107 opus/48000/2", "98 telephone-event/8000"});
  EXPECT_EQ(call.offer(call.b, call.a, {"107 opus/48000/2", "98 telephone-event/8000"}),
            (Words{"96 opus/48000/2", "101 telephone-event/8000"}));
  EXPECT_EQ(call.offer(call.a, call.b, {"96 opus/48000/2", kEvents}),
            (Words{"107 opus/48000/2", "98 telephone-event/8000 0-16"}));
}

TEST(CodecOffer, ANumberThatMeansAnotherCodecIsNotUsed) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"96 opus/48000/2"});
  call.answer(call.b, call.a, {"96 opus/48000/2"});
  EXPECT_EQ(call.offer(call.a, call.b, {"96 speex/16000"}), Words{"97 speex/16000"});
}

TEST(CodecOffer, AnAddedCodecGoesOnWithItsNumber) {
  TwoPartyCodecs call;
  sdp::CodecOperations words;
  words.transcode = {"opus"};
  EXPECT_EQ(numbers(call.offer(call.a, call.b, {"8"}, with(words))), (Words{"8", "96"}));
  call.answer(call.b, call.a, {"8"});
  EXPECT_EQ(numbers(call.offer(call.a, call.b, {"8", "97 speex/16000"}, with(words))),
            (Words{"8", "97", "96"}));
}

TEST(CodecOffer, NumbersBelow64ComeLast) {
  TwoPartyCodecs call;
  Words lines = {"8"};
  for (int i = 96; i < 128; ++i) lines.push_back(std::to_string(i) + " x" + std::to_string(i) + "/8000");
  sdp::CodecOperations words;
  words.transcode = {"opus"};
  EXPECT_EQ(numbers(call.offer(call.a, call.b, lines, with(words))).back(), "35");
}

TEST(CodecOffer, RedundancyNamesTheNewNumbers) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"96 opus/48000/2"});
  call.answer(call.b, call.a, {"107 opus/48000/2"});
  EXPECT_EQ(call.offer(call.a, call.b, {"96 opus/48000/2", "63 red/48000/2 96/96"}),
            (Words{"107 opus/48000/2", "63 red/48000/2 107/107"}));
}

TEST(CodecOffer, StaticCodecsLeaveTheFarSideItsOwn) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"8", "0", kEvents});
  call.answer(call.b, call.a, {"8", kEvents});
  EXPECT_EQ(call.offer(call.a, call.b, {"0", kEvents}, flagged(Flag::kStaticCodecs)), (Words{"8", kEvents}));
  EXPECT_EQ(call.answer(call.b, call.a, {"8", kEvents}), (Words{"0", kEvents}));
  EXPECT_EQ(call.treatment(call.a, call.b), "0,101>8 PCMA 20 e101");
}

TEST(CodecOffer, ReuseCodecsPutsTheAgreedOnesFirst) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"8", "0", kEvents});
  call.answer(call.b, call.a, {"8", kEvents});
  EXPECT_EQ(call.offer(call.a, call.b, {"0", "8", kEvents}, flagged(Flag::kReuseCodecs)),
            (Words{"8", kEvents, "0"}));
  EXPECT_EQ(call.answer(call.b, call.a, {"0", kEvents}, flagged(Flag::kReuseCodecs)), (Words{kEvents, "0"}));
}

TEST(CodecOffer, AsymmetricCodecsKeepTheAnswerersNumbers) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"96 opus/48000/2", kEvents});
  EXPECT_EQ(call.answer(call.b, call.a, {"107 opus/48000/2", "98 telephone-event/8000"},
                        flagged(Flag::kAllowAsymmetricCodecs)),
            (Words{"107 opus/48000/2", "98 telephone-event/8000"}));
}

TEST(CodecOffer, NoNumberStandsTwice) {
  EXPECT_TRUE(rc::check([] {
    TwoPartyCodecs call;
    const auto words = [] {
      return *rc::gen::container<Words>(rc::gen::element<std::string>("all", "full", "PCMU", "opus", "G722",
                                                                      "AMR", "telephone-event", "CN", "x"));
    };
    const auto lines = [] {
      Words all;
      for (const std::string& line : kMany) {
        if (*rc::gen::arbitrary<bool>()) all.push_back(line);
      }
      all.emplace_back("8");
      std::ranges::sort(all);
      const auto last = std::unique(all.begin(), all.end());
      all.erase(last, all.end());
      return all;
    };
    for (int round = 0; round < 3; ++round) {
      const sdp::CodecOperations operations = {words(), words(), words(), words(), words(),
                                               words(), words(), words(), words()};
      const Words offer = lines();
      const Words shown = call.offer(call.a, call.b, offer, with(operations));
      Words each = numbers(shown);
      RC_ASSERT(!each.empty());
      std::ranges::sort(each);
      RC_ASSERT(std::ranges::adjacent_find(each) == each.end());
      // The offerer gets its own numbers alone.
      const auto speech = std::ranges::find_if(shown, [](const std::string& line) {
        return line != "13" && line.find("telephone-event") == std::string::npos &&
               line.find("CN/") == std::string::npos;
      });
      RC_ASSERT(speech != shown.end());
      const Words told = call.answer(call.b, call.a, {*speech});
      for (const std::string& number : numbers(told)) {
        const Words own = numbers(offer);
        RC_ASSERT(std::ranges::find(own, number) != own.end());
      }
    }
  }));
}

}  // namespace
}  // namespace ferry::test::codec_offer_test
