// SPDX-License-Identifier: Apache-2.0
// Two parties, an offer with words of the client, and an answer: what each is shown, and what becomes of the
// audio each way (docs/reference/ng.md#codecs).
#include "tests/unit/control/negotiate/two_party_codecs.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test::conversions_test {
namespace {

using Words = std::vector<std::string>;

const std::string kOpus = "96 opus/48000/2";
const std::string kEvents = "101 telephone-event/8000 0-16";

struct Ops {
  Words strip = {};
  Words except = {};
  Words offer = {};
  Words transcode = {};
  Words mask = {};
  Words accept = {};
  Words consume = {};
  Words ignore = {};
  Words set = {};
};
struct Row {
  const char* name;
  Words offer;
  Ops words;
  Words shown_to_b;
  Words answer;
  Words shown_to_a;
  std::string a_to_b;
  std::string b_to_a;
  std::vector<Flag> flags = {};
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

Request request_of(const Row& row) {
  Request request;
  const Ops& w = row.words;
  request.codecs = {w.strip, w.except, w.offer, w.transcode, w.mask, w.accept, w.consume, w.ignore, w.set};
  for (const Flag flag : row.flags) request.flags.set(static_cast<std::size_t>(flag));
  return request;
}

class Conversions : public ::testing::TestWithParam<Row> {};

TEST_P(Conversions, FollowFromOfferWordsAndAnswer) {
  const Row& row = GetParam();
  TwoPartyCodecs call;
  EXPECT_EQ(call.offer(call.a, call.b, row.offer, request_of(row)), row.shown_to_b);
  EXPECT_EQ(call.answer(call.b, call.a, row.answer), row.shown_to_a);
  EXPECT_EQ(call.treatment(call.a, call.b), row.a_to_b);
  EXPECT_EQ(call.treatment(call.b, call.a), row.b_to_a);
  EXPECT_EQ(call.changes_packets, row.a_to_b != "-" || row.b_to_a != "-");
}

INSTANTIATE_TEST_SUITE_P(
    Table, Conversions,
    ::testing::Values(
        Row{"CommonCodecsPass",
            {"8", "0", kEvents},
            {},
            {"8", "0", kEvents},
            {"8", kEvents},
            {"8", kEvents},
            "-",
            "-"},
        Row{"SeveralCommonCodecsPass", {"8", "0"}, {}, {"8", "0"}, {"0", "8"}, {"0", "8"}, "-", "-"},
        Row{"OtherNumbers",
            {kOpus, kEvents},
            {},
            {kOpus, kEvents},
            {"107 opus/48000/2", "98 telephone-event/8000"},
            {kOpus, kEvents},
            "96>107 101>98",
            "98>101 107>96"},
        Row{"AddedAndTaken",
            {"8", kEvents},
            {.transcode = {"G722", "opus"}},
            {"8", "9", "96 opus/48000/2 useinbandfec=1", "97 telephone-event/48000 0-15", kEvents},
            {"9", kEvents},
            {"8", kEvents},
            "8,101>9 G722 20 e101",
            "9,101,8,96,97>8 PCMA 20 e101"},
        Row{"AddedAndNotTaken",
            {"8", kEvents},
            {.transcode = {"opus/48000/2/32000"}},
            {"8", "96 opus/48000/2 useinbandfec=1", "97 telephone-event/48000 0-15", kEvents},
            {"8"},
            {"8"},
            "-",
            "-"},
        Row{"MaskAll",
            {"8", kEvents},
            {.transcode = {"PCMU", "opus"}, .mask = {"all"}},
            {"0", "96 opus/48000/2 useinbandfec=1"},
            {"0"},
            {"8"},
            "8,101>0 PCMU 20",
            "0,96>8 PCMA 20 e101 tones"},
        Row{"Accept",
            {"8", "0", kEvents},
            {.accept = {"PCMU"}},
            {"8", "0", kEvents},
            {"8"},
            {"0"},
            "0,8,101>8 PCMA 20",
            "8,0,101>0 PCMU 20 e101 tones"},
        Row{"AcceptOfWhatIsTakenAnyway",
            {"8", "0"},
            {.accept = {"PCMU"}},
            {"8", "0"},
            {"0"},
            {"0"},
            "-",
            "-"},
        Row{"AcceptAll",
            {"8", "0", kEvents},
            {.accept = {"all"}},
            {"8", "0", kEvents},
            {"0"},
            {"8", kEvents},
            "8,101,0>0 PCMU 20",
            "0,8,101>8 PCMA 20 e101 tones"},
        Row{"AcceptAllAndTheFirstIsTaken",
            {"8", "0"},
            {.accept = {"all"}},
            {"8", "0"},
            {"8"},
            {"8"},
            "-",
            "-"},
        Row{"Consume",
            {"8", "0", kEvents},
            {.consume = {"PCMU", "telephone-event"}},
            {"8"},
            {"8"},
            {"0", kEvents},
            "0,101,8>8 PCMA 20",
            "8>0 PCMU 20 e101 tones"},
        Row{"ConsumeAll",
            {"8", "0", kEvents},
            {.transcode = {"G722"}, .consume = {"all"}},
            {"9"},
            {"9"},
            {"8", kEvents},
            "8,101,0>9 G722 20",
            "9>8 PCMA 20 e101 tones"},
        Row{"Ignore",
            {"8", "0"},
            {.ignore = {"PCMA"}},
            {"8", "0"},
            {"8"},
            {"0"},
            "0,8>8 PCMA 20",
            "8,0>0 PCMU 20"},
        Row{"IgnoreTheOnlyOne", {"8"}, {.ignore = {"PCMA"}}, {"8"}, {"8"}, {"8"}, "-", "-"},
        Row{"StrippedIsToldLast",
            {"9", "8"},
            {.strip = {"G722", "PCMA"}, .transcode = {"PCMU"}},
            {"0"},
            {"0"},
            {"9"},
            "9,8>0 PCMU 20",
            "0>9 G722 20"},
        Row{"MaskedBeforeStripped",
            {"9", "8"},
            {.strip = {"G722"}, .transcode = {"PCMU"}, .mask = {"PCMA"}},
            {"0"},
            {"0"},
            {"8"},
            "8,9>0 PCMU 20",
            "0>8 PCMA 20"},
        Row{"AnswerOfWhatWasNotOffered",
            {"8", kEvents},
            {},
            {"8", kEvents},
            {"0"},
            {"8"},
            "8,101>0 PCMU 20",
            "8,101,0>8 PCMA 20 e101"},
        Row{"WhatCannotBeConvertedPasses", {"8"}, {}, {"8"}, {"4"}, {"4"}, "-", "-"},
        Row{"StripAndOffer",
            {kOpus, "8", "0", kEvents},
            {.strip = {"all"}, .offer = {"PCMU", "PCMA"}},
            {"0", "8"},
            {"8", kEvents},
            {"8", kEvents},
            "-",
            "-"},
        Row{"EventsAreAdded",
            {"8"},
            {.transcode = {"telephone-event", "PCMU"}},
            {"8", "0", "96 telephone-event/8000 0-15"},
            {"0", "101 telephone-event/8000 0-16"},
            {"8"},
            "8>0 PCMU 20 e101 tones",
            "0,96,101,8>8 PCMA 20"},
        Row{"WideEventsForNarrowOnes",
            {"8", kEvents},
            {.transcode = {"opus"}, .mask = {"PCMA"}},
            {"96 opus/48000/2 useinbandfec=1", "97 telephone-event/48000 0-15"},
            {"96 opus/48000/2", "97 telephone-event/48000"},
            {"8", kEvents},
            "8,101>96 opus 20 e97",
            "96,97>8 PCMA 20 e101"},
        Row{"LayoutsOfAmrAreCodecsOfTheirOwn",
            {"97 AMR/8000 octet-align=1", "98 AMR/8000"},
            {},
            {"97 AMR/8000 octet-align=1", "98 AMR/8000"},
            {"98 AMR/8000"},
            {"98 AMR/8000"},
            "-",
            "-"},
        Row{"ANumberWithoutNamePasses",
            {"97", "8"},
            {},
            {"97 /0", "8"},
            {"97", "8"},
            {"97 /0", "8"},
            "-",
            "-"},
        Row{"AStaticNumberHasOneMeaning",
            {"2 G726-32/8000", "0"},
            {},
            {"2", "0"},
            {"2 G721/8000"},
            {"2"},
            "-",
            "-"},
        Row{"ForceTranscoding",
            {"8"},
            {},
            {"8"},
            {"8"},
            {"8"},
            "8>8 PCMA 20",
            "8>8 PCMA 20",
            {Flag::kForceTranscoding}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Conversions, NothingIsConvertedBeforeThePartyHasSaidSomething) {
  TwoPartyCodecs call;
  call.offer(call.a, call.b, {"8", "0", kEvents});
  call.answer(call.b, call.a, {"8", kEvents});
  Media another;
  call.offer(call.a, another, {"8", "0", kEvents});
  EXPECT_EQ(call.treatment(another, call.a), "-") << "its early media may be PCMU, which A has offered";
  EXPECT_EQ(call.treatment(call.a, another), "-");
}

}  // namespace
}  // namespace ferry::test::conversions_test
