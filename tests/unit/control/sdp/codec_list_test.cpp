// SPDX-License-Identifier: Apache-2.0
// Which codecs the far side is shown (docs/reference/ng.md#codecs), and which of an answer go back (RFC 3264
// §6.1).
#include "control/sdp/codec_list.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::sdp::codec_list_test {
namespace {

using Words = std::vector<std::string>;

Codec codec(std::uint8_t type, std::string_view name, std::uint32_t rate = 8000, std::uint32_t channels = 1,
            std::string_view rtpmap = {}, std::string_view fmtp = {}) {
  Codec made;
  made.payload_type = type;
  made.name = name;
  made.clock_rate_hz = rate;
  made.channels = channels;
  made.rtpmap = rtpmap;
  made.fmtp = fmtp;
  return made;
}

const Codec kPcmu = codec(0, "PCMU");
const Codec kPcma = codec(8, "PCMA");
const Codec kG722 = codec(9, "G722");
const Codec kG729 = codec(18, "G729", 8000, 1, "G729a/8000");
const Codec kOpus = codec(96, "opus", 48000, 2, "opus/48000/2");
const Codec kEvents = codec(101, "telephone-event", 8000);
const Codec kWideEvents = codec(102, "telephone-event", 48000);
const Codec kNoise = codec(13, "CN");

std::vector<int> numbers(const std::vector<Codec>& codecs) {
  std::vector<int> all;
  for (const Codec& each : codecs) all.push_back(each.payload_type);
  return all;
}

struct MatchRow {
  const char* specification;
  Codec codec;
  bool matches;
};
void PrintTo(const MatchRow& row, std::ostream* out) { *out << row.specification; }

class Specifications : public ::testing::TestWithParam<MatchRow> {};

TEST_P(Specifications, NameACodec) {
  EXPECT_EQ(matches_specification(GetParam().specification, GetParam().codec), GetParam().matches);
}

INSTANTIATE_TEST_SUITE_P(
    Table, Specifications,
    ::testing::Values(
        MatchRow{"PCMA", kPcma, true}, MatchRow{"pcma", kPcma, true}, MatchRow{"PCMU", kPcma, false},
        MatchRow{"PCMA/8000", kPcma, true}, MatchRow{"PCMA/16000", kPcma, false},
        MatchRow{"PCMA/8000/1", kPcma, true}, MatchRow{"PCMA/8000/2", kPcma, false},
        MatchRow{"PCMA//1", kPcma, true}, MatchRow{"PCMA/8000/1/64000/20/x", kPcma, true},
        MatchRow{"opus/48000/2", kOpus, true}, MatchRow{"opus/48000/1", kOpus, false},
        MatchRow{"G.711A", kPcma, true}, MatchRow{"G729", kG729, true}, MatchRow{"G729a", kG729, true},
        MatchRow{"PCMA/fast", kPcma, false}, MatchRow{"", kPcma, false}, MatchRow{"all", kPcma, false},
        // A static type is the codec of RFC 3551 whatever a=rtpmap calls it; either spelling finds it.
        MatchRow{"speex", codec(18, "G729", 8000, 1, "speex/16000"), true},
        MatchRow{"G729/8000", codec(18, "G729", 8000, 1, "speex/16000"), true},
        MatchRow{"speex/8000", codec(18, "G729", 8000, 1, "speex/16000"), false},
        MatchRow{" PCMA / 8000 ", kPcma, true}));

/// Operations that can be written by their names.
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
  [[nodiscard]] CodecOperations all() const {
    return {strip, except, offer, transcode, mask, accept, consume, ignore, set};
  }
};
struct ChooseRow {
  const char* name;
  Ops operations;
  std::vector<int> shown;
  std::vector<Codec> offered = {kOpus, kPcma, kPcmu, kEvents};
  bool may_be_empty = false;
};
void PrintTo(const ChooseRow& row, std::ostream* out) { *out << row.name; }

class ShownCodecs : public ::testing::TestWithParam<ChooseRow> {};

TEST_P(ShownCodecs, FollowTheOperations) {
  const ChooseRow& row = GetParam();
  EXPECT_EQ(numbers(choose_codecs(row.offered, row.operations.all(), row.may_be_empty)), row.shown);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ShownCodecs,
    ::testing::Values(
        ChooseRow{"Nothing", {}, {96, 8, 0, 101}}, ChooseRow{"Strip", {.strip = {"opus"}}, {8, 0, 101}},
        ChooseRow{"Mask", {.mask = {"PCMA"}}, {96, 0, 101}},
        ChooseRow{"Consume", {.consume = {"PCMU"}}, {96, 8, 101}},
        ChooseRow{"StripAllButSome", {.strip = {"all"}, .except = {"PCMU", "PCMA"}}, {8, 0}},
        ChooseRow{"FullIsAll", {.strip = {"full"}, .except = {"PCMU"}}, {0}},
        ChooseRow{"CapitalsOfAll", {.strip = {"ALL"}, .except = {"PCMU"}}, {0}},
        ChooseRow{"OfferBringsBackInItsOrder", {.strip = {"all"}, .offer = {"PCMU", "opus"}}, {0, 96}},
        ChooseRow{
            "OfferBehindWhatIsExcepted", {.strip = {"all"}, .except = {"PCMA"}, .offer = {"opus"}}, {8, 96}},
        ChooseRow{"OfferAfterMask", {.offer = {"opus"}, .mask = {"all"}}, {96}},
        ChooseRow{"OfferAfterConsume", {.offer = {"opus"}, .consume = {"all"}}, {96}},
        ChooseRow{"OfferOfAll", {.offer = {"all"}, .mask = {"all"}}, {96, 8, 0, 101}},
        ChooseRow{"OfferDoesNotBringBackWhatIsStrippedByName",
                  {.strip = {"all", "opus"}, .offer = {"opus", "PCMA"}},
                  {8}},
        ChooseRow{"OfferWithoutAllChangesNothing", {.offer = {"PCMU"}}, {96, 8, 0, 101}},
        ChooseRow{
            "TranscodeBringsBackWhatWasOffered", {.strip = {"all"}, .transcode = {"G722", "PCMA"}}, {8}},
        ChooseRow{"TranscodeAlone", {.transcode = {"G722"}}, {96, 8, 0, 101}},
        ChooseRow{"AcceptAndTheLikeAreNotInForce",
                  {.accept = {"PCMA"}, .ignore = {"PCMA"}, .set = {"PCMA"}},
                  {96, 8, 0, 101}},
        ChooseRow{"StripWinsOverExceptByName", {.strip = {"PCMA"}, .except = {"PCMA"}}, {96, 0, 101}},
        ChooseRow{"NothingLeftRestoresTheList", {.strip = {"opus", "PCMA", "PCMU"}}, {96, 8, 0, 101}},
        ChooseRow{"EventsAreNoMedia", {.strip = {"all"}, .except = {"telephone-event"}}, {96, 8, 0, 101}},
        ChooseRow{"ButTheListMayBeEmpty",
                  {.strip = {"all"}, .except = {"telephone-event"}},
                  {},
                  {kOpus, kPcma, kPcmu, kEvents},
                  true}),
    [](const auto& each) { return std::string(each.param.name); });

struct CommonRow {
  const char* name;
  std::vector<Codec> offered;
  std::vector<Codec> answered;
  std::vector<int> common;
};
void PrintTo(const CommonRow& row, std::ostream* out) { *out << row.name; }

class CommonCodecs : public ::testing::TestWithParam<CommonRow> {};

TEST_P(CommonCodecs, GoBackToTheOfferer) {
  EXPECT_EQ(numbers(common_codecs(GetParam().answered, GetParam().offered)), GetParam().common);
}

const Codec kOpus107 = codec(107, "opus", 48000, 2);
INSTANTIATE_TEST_SUITE_P(
    Table, CommonCodecs,
    ::testing::Values(CommonRow{"TheAnswerersOrder", {kPcmu, kPcma}, {kPcma, kPcmu}, {8, 0}},
                      CommonRow{"OnlyWhatWasOffered", {kPcma}, {kPcma, kG722}, {8}},
                      CommonRow{"TheAnswerersNumber", {kOpus}, {kOpus107}, {107}},
                      CommonRow{"TheExactNumberCounts", {kOpus}, {kOpus107, kOpus}, {96}},
                      CommonRow{"EventsStay", {kPcma, kEvents}, {kPcma, kEvents}, {8, 101}},
                      CommonRow{"EventsThatNobodyOfferedGo", {kPcma}, {kPcma, kEvents}, {8}},
                      CommonRow{"NoneIsCommonNumbersDecide",
                                {codec(96, "opus", 48000, 2), kPcma},
                                {codec(96, "speex", 16000), kG722},
                                {96}},
                      CommonRow{"NoNumberEither", {kPcma}, {kG722, kOpus}, {9, 96}},
                      CommonRow{"NoNumberEitherAndEvents", {kPcma, kEvents}, {kG722, kEvents}, {9, 101}},
                      CommonRow{"AnAnswerOfEventsAlone", {kPcma, kEvents}, {kEvents}, {101}},
                      CommonRow{"ThatNobodyOffered", {kPcma}, {kEvents}, {101}},
                      CommonRow{"Nothing", {kPcma}, {}, {}}),
    [](const auto& each) { return std::string(each.param.name); });

struct FirstRow {
  const char* name;
  std::vector<Codec> codecs;
  std::vector<int> kept;
};
void PrintTo(const FirstRow& row, std::ostream* out) { *out << row.name; }

class SingleCodec : public ::testing::TestWithParam<FirstRow> {};

TEST_P(SingleCodec, KeepsTheFirstWithItsEventsAndNoise) {
  std::vector<Codec> codecs = GetParam().codecs;
  keep_first_codec(codecs);
  EXPECT_EQ(numbers(codecs), GetParam().kept);
}

INSTANTIATE_TEST_SUITE_P(
    Table, SingleCodec,
    ::testing::Values(FirstRow{"First", {kPcma, kPcmu, kOpus}, {8}},
                      FirstRow{"OfItsClockRate", {kPcma, kEvents, kWideEvents, kNoise, kPcmu}, {8, 101, 13}},
                      FirstRow{"OfTheOtherRate", {kOpus, kEvents, kWideEvents, kNoise}, {96, 102}},
                      FirstRow{"EventsFirst", {kEvents, kPcma, kPcmu}, {101, 8}},
                      FirstRow{"EventsAlone", {kEvents, kNoise}, {101, 13}}, FirstRow{"Nothing", {}, {}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(CodecOperations, ThoseThatChangeAnOffer) {
  EXPECT_FALSE(Ops{}.all().changes_offer());
  EXPECT_TRUE(Ops{.strip = {"x"}}.all().changes_offer());
  EXPECT_TRUE(Ops{.offer = {"x"}}.all().changes_offer());
  EXPECT_TRUE(Ops{.mask = {"x"}}.all().changes_offer());
  EXPECT_TRUE(Ops{.consume = {"x"}}.all().changes_offer());
  EXPECT_FALSE((Ops{.except = {"x"}, .transcode = {"x"}, .accept = {"x"}}.all().changes_offer()));
}

std::vector<Codec> random_codecs() {
  std::vector<Codec> all;
  for (const Codec& each : {kPcmu, kPcma, kG722, kG729, kOpus, kEvents, kNoise}) {
    if (*rc::gen::arbitrary<bool>()) all.push_back(each);
  }
  return all;
}
Words random_words() {
  return *rc::gen::container<Words>(
      rc::gen::element<std::string>("all", "full", "PCMU", "pcma", "G722", "G729", "opus/48000", "x", "CN"));
}
bool has(const std::vector<Codec>& codecs, const Codec& wanted) {
  return std::ranges::find(codecs, wanted.payload_type, &Codec::payload_type) != codecs.end();
}

TEST(ShownCodecs, NoOperationAddsOrRepeatsACodec) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Codec> offered = random_codecs();
    Ops operations;
    operations.strip = random_words();
    operations.except = random_words();
    operations.offer = random_words();
    operations.transcode = random_words();
    operations.mask = random_words();
    const bool may_be_empty = *rc::gen::arbitrary<bool>();
    const auto shown = choose_codecs(offered, operations.all(), may_be_empty);
    std::vector<int> each = numbers(shown);
    std::ranges::sort(each);
    RC_ASSERT(std::ranges::adjacent_find(each) == each.end());
    for (const Codec& codec : shown) RC_ASSERT(has(offered, codec));
    if (!may_be_empty && !offered.empty()) RC_ASSERT(!shown.empty());
    const auto is_media = [](const Codec& codec) { return !is_supplemental(codec); };
    if (!may_be_empty && std::ranges::any_of(offered, is_media))
      RC_ASSERT(std::ranges::any_of(shown, is_media));
  }));
}

TEST(CommonCodecs, NeverLoseTheAnswer) {
  EXPECT_TRUE(rc::check([] {
    const std::vector<Codec> offered = random_codecs();
    const std::vector<Codec> answered = random_codecs();
    const auto common = common_codecs(answered, offered);
    std::size_t from = 0;  // a part of the answer, in its order
    for (const Codec& codec : common) {
      while (from < answered.size() && answered[from].payload_type != codec.payload_type) ++from;
      RC_ASSERT(from < answered.size());
    }
    RC_ASSERT(common.empty() == answered.empty());
    const auto is_media = [](const Codec& codec) { return !is_supplemental(codec); };
    RC_ASSERT(std::ranges::any_of(common, is_media) == std::ranges::any_of(answered, is_media));
  }));
}

}  // namespace
}  // namespace ferry::sdp::codec_list_test
