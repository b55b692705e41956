// SPDX-License-Identifier: Apache-2.0
// Which codecs a party is shown, which it may send then, and which it must take (RFC 3264, DMX-4, LIM-1).
#include "control/negotiate/codecs.hpp"

#include <initializer_list>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using Words = std::vector<std::string>;
using Numbers = std::vector<int>;

sdp::Codec codec(std::uint8_t type, std::string_view name, std::uint32_t rate = 8000) {
  sdp::Codec made;
  made.payload_type = type;
  made.name = name;
  made.clock_rate_hz = rate;
  return made;
}
const sdp::Codec kPcmu = codec(0, "PCMU");
const sdp::Codec kPcma = codec(8, "PCMA");
const sdp::Codec kNoise = codec(13, "CN");
const sdp::Codec kOpus = codec(96, "opus", 48000);
const sdp::Codec kUnknown = codec(97, "AMR", 8000);
const sdp::Codec kEvents = codec(101, "telephone-event");
const sdp::Codec kWideEvents = codec(102, "telephone-event", 48000);

Numbers numbers(const std::vector<sdp::Codec>& codecs) {
  Numbers all;
  for (const sdp::Codec& each : codecs) all.push_back(each.payload_type);
  return all;
}
Numbers numbers(const std::vector<PayloadEntry>& entries) {
  Numbers all;
  for (const PayloadEntry& each : entries) all.push_back(each.type.value);
  return all;
}
std::bitset<128> types(std::initializer_list<std::size_t> numbers) {
  std::bitset<128> made;
  for (const std::size_t number : numbers) made.set(number);
  return made;
}
/// An audio section of RTP with these codecs.
sdp::MediaSection audio(std::vector<sdp::Codec> codecs) {
  sdp::MediaSection section;
  section.type = "audio";
  section.port = 4000;
  section.protocol = sdp::parse_protocol("RTP/AVP");
  section.codecs = std::move(codecs);
  return section;
}

struct ShownRow {
  const char* name;
  CodecPolicy policy;
  Words strip;
  std::vector<Flag> flags;
  Numbers shown;
};
void PrintTo(const ShownRow& row, std::ostream* out) { *out << row.name; }

class ShownCodecs : public ::testing::TestWithParam<ShownRow> {};

TEST_P(ShownCodecs, AreThoseThatTheRequestLeaves) {
  Request request;
  request.codecs.strip = GetParam().strip;
  for (const Flag flag : GetParam().flags) request.flags.set(static_cast<std::size_t>(flag));
  EXPECT_EQ(numbers(shown_codecs({kPcmu, kPcma, kEvents}, request, GetParam().policy)), GetParam().shown);
}

constexpr auto kOffer = CodecPolicy::kOffer;
constexpr auto kAnswer = CodecPolicy::kAnswer;
constexpr auto kCopy = CodecPolicy::kCopy;
INSTANTIATE_TEST_SUITE_P(
    Table, ShownCodecs,
    ::testing::Values(ShownRow{"OfferAsItIs", kOffer, {}, {}, {0, 8, 101}},
                      ShownRow{"AnswerAsItIs", kAnswer, {}, {}, {0, 8, 101}},
                      ShownRow{"CopyAsItIs", kCopy, {}, {}, {0, 8, 101}},
                      ShownRow{"OfferWithoutOne", kOffer, {"PCMU"}, {}, {8, 101}},
                      ShownRow{"AnswerWithoutOne", kAnswer, {"PCMU"}, {}, {8, 101}},
                      ShownRow{"CopyWithoutOne", kCopy, {"PCMU"}, {}, {8, 101}},
                      ShownRow{"OfferWithoutAnyStays", kOffer, {"all"}, {}, {0, 8, 101}},
                      ShownRow{"OfferMayBeEmpty", kOffer, {"all"}, {Flag::kAllowNoCodecMedia}, {}},
                      ShownRow{"AnswerMayBeEmpty", kAnswer, {"all"}, {Flag::kAllowNoCodecMedia}, {}},
                      ShownRow{"CopyIsNeverEmpty", kCopy, {"all"}, {Flag::kAllowNoCodecMedia}, {0, 8, 101}},
                      ShownRow{"AnswerOfOne", kAnswer, {}, {Flag::kSingleCodec}, {0, 101}},
                      ShownRow{"AnswerOfOneOfTheRest", kAnswer, {"PCMU"}, {Flag::kSingleCodec}, {8, 101}},
                      ShownRow{"OfferIsNotCutToOne", kOffer, {}, {Flag::kSingleCodec}, {0, 8, 101}},
                      ShownRow{"CopyIsNotCutToOne", kCopy, {}, {Flag::kSingleCodec}, {0, 8, 101}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(SentCodecs, AreThoseThatTheSourceWasShown) {
  MediaTerms terms;
  EXPECT_EQ(numbers(sent_codecs({kPcmu, kPcma}, terms)), (Numbers{0, 8})) << "nobody has said anything";
  terms.shown = types({8, 101});
  EXPECT_EQ(numbers(sent_codecs({kPcmu, kPcma, kEvents}, terms)), (Numbers{8, 101}));
  terms.shown = types({18});
  EXPECT_EQ(numbers(sent_codecs({kPcmu}, terms)), Numbers{});
}

TEST(AcceptedCodecs, APublisherIsAnsweredWithOne) {
  struct Row {
    const char* what;
    std::vector<sdp::Codec> offered;
    Words accept;
    Numbers answered;
  };
  const Row rows[] = {
      {"the first", {kPcma, kPcmu}, {}, {8}},
      {"the first that is known", {kUnknown, kPcmu}, {}, {0}},
      {"better an unknown one than none", {kUnknown}, {}, {97}},
      {"any", {kUnknown, kPcmu}, {"any"}, {97}},
      {"by name", {kPcma, kPcmu}, {"PCMU"}, {0}},
      {"the first name that was offered", {kPcma, kOpus}, {"G729", "opus", "PCMA"}, {96}},
      {"a name that was not offered", {kPcma, kPcmu}, {"G729"}, {8}},
      {"with its events and noise", {kPcma, kNoise, kEvents, kWideEvents}, {}, {8, 13, 101}},
      {"with events of its clock rate", {kOpus, kEvents, kWideEvents}, {}, {96, 102}},
      {"events alone", {kEvents, kNoise}, {}, {101, 13}},
      {"all that are known", {kUnknown, kPcma, kPcmu, kEvents}, {"all"}, {8, 0, 101}},
      {"all and any", {kUnknown, kPcma}, {"All", "ANY"}, {97, 8}},
      {"nothing was offered", {}, {}, {}},
  };
  for (const Row& row : rows)
    EXPECT_EQ(numbers(accepted_codecs(row.offered, row.accept)), row.answered) << row.what;
}

TEST(NoteShown, DMX4_TypesOfTheFormerAgreementStayUntilTheNextAnswer) {
  Media media;
  note_shown(media, audio({kPcmu, kEvents}), {kPcmu, kEvents}, FormerTypes::kStay);
  EXPECT_EQ(numbers(media.payloads), (Numbers{0, 101}));
  EXPECT_EQ(media.shown, types({0, 101}));
  EXPECT_TRUE(media.earlier.none());

  note_shown(media, audio({kPcma, kEvents}), {kPcma, kEvents}, FormerTypes::kStay);
  EXPECT_EQ(numbers(media.payloads), (Numbers{8, 101, 0})) << "PCMU may be late";
  EXPECT_EQ(media.shown, types({8, 101}));
  EXPECT_EQ(media.earlier, types({0}));

  note_shown(media, audio({kOpus}), {kOpus}, FormerTypes::kStay);
  EXPECT_EQ(numbers(media.payloads), (Numbers{96, 8, 101})) << "PCMU was not shown last";
  EXPECT_EQ(media.earlier, types({0, 8, 101}));

  settle_codecs(media);
  EXPECT_EQ(numbers(media.payloads), (Numbers{96}));
  EXPECT_EQ(media.earlier, types({0, 8, 101}));

  note_shown(media, audio({kPcmu}), {kPcmu}, FormerTypes::kStay);
  EXPECT_EQ(media.earlier, types({8, 96, 101})) << "what is shown again is no earlier type";
}

TEST(NoteShown, DMX4_WithoutAPartnerFormerTypesEndAtOnce) {
  Media media;
  note_shown(media, audio({kPcmu}), {kPcmu}, FormerTypes::kEnd);
  note_shown(media, audio({kPcma}), {kPcma}, FormerTypes::kEnd);
  EXPECT_EQ(numbers(media.payloads), (Numbers{8}));
  EXPECT_EQ(media.shown, types({8}));
  EXPECT_TRUE(media.earlier.none());
}

TEST(NoteShown, LIM1_TheRateIsThatOfTheCodecsThatAreLeft) {
  Media few;
  Media all;
  const sdp::MediaSection section = audio({kPcmu, kOpus});
  note_shown(few, section, {kPcmu}, FormerTypes::kEnd);
  note_shown(all, section, section.codecs, FormerTypes::kEnd);
  EXPECT_GT(few.rate.bytes_per_second, 0u);
  EXPECT_GT(all.rate.bytes_per_second, few.rate.bytes_per_second);
}

TEST(TypesOf, AreNumbers) { EXPECT_EQ(types_of({kPcmu, kEvents, kPcmu}), types({0, 101})); }

TEST(TakesCodecs, AnAnswerTakesAllButEventsAndNoise) {
  struct Row {
    const char* what;
    std::vector<sdp::Codec> offered;
    std::vector<sdp::Codec> answered;
    bool strictly;
    /// With flag `allow-transcoding`.
    bool loosely;
  };
  const Row rows[] = {
      {"all", {kPcmu, kPcma}, {kPcma, kPcmu}, true, true},
      {"one more", {kPcmu}, {kPcmu, kOpus}, true, true},
      {"without events", {kPcmu, kEvents}, {kPcmu}, true, true},
      {"without noise", {kPcmu, kNoise}, {kPcmu}, true, true},
      {"without a codec", {kPcmu, kPcma}, {kPcma}, false, true},
      {"another codec", {kPcmu}, {kPcma}, false, false},
      {"none", {kPcmu}, {}, false, false},
      {"none of events alone", {kEvents}, {}, false, false},
      {"nothing was offered", {}, {}, true, true},
  };
  for (const Row& row : rows) {
    Media media;
    note_shown(media, audio(row.offered), row.offered, FormerTypes::kEnd);
    EXPECT_EQ(takes_codecs(media, audio(row.answered), false), row.strictly) << row.what;
    EXPECT_EQ(takes_codecs(media, audio(row.answered), true), row.loosely) << row.what;
  }
}

TEST(TakesCodecs, OtherSectionsHaveNone) {
  Media media;
  note_shown(media, audio({kEvents}), {kEvents}, FormerTypes::kEnd);
  sdp::MediaSection answer;
  answer.protocol = sdp::parse_protocol("udptl");
  EXPECT_TRUE(takes_codecs(media, answer, false));
}

}  // namespace
}  // namespace ferry::test
