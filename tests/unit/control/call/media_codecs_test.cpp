// SPDX-License-Identifier: Apache-2.0
// What a party and the relay have told each other about codecs: packed lists, equal codecs, agreed ones.
#include "control/call/media_codecs.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test::media_codecs_test {
namespace {

using Formats = std::vector<NumberedFormat>;

NumberedFormat codec(std::uint8_t type, std::string name, std::uint32_t clock = 8000, unsigned channels = 1,
                     std::string parameters = {}) {
  return {PayloadType{type}, {std::move(name), clock, channels, std::move(parameters)}};
}

TEST(CodecList, GivesBackWhatItGot) {
  const Formats formats = {codec(0, "PCMU"),
                           codec(96, "opus", 48000, 2, "useinbandfec=1; minptime=10"),
                           codec(97, "x-thing", 12345, 7, std::string(300, 'a')),
                           codec(98, ""),
                           codec(99, "pcmu"),
                           codec(101, "telephone-event", 8000, 1, "0-16")};
  const CodecList list(formats);
  EXPECT_EQ(list.formats(), formats);
  EXPECT_FALSE(list.empty());
  EXPECT_TRUE(CodecList(Formats{}).empty());
  EXPECT_EQ(list, CodecList(formats));
}

TEST(CodecList, GivesBackAnything) {
  EXPECT_TRUE(rc::check([] {
    Formats formats;
    const auto count = *rc::gen::inRange(0, 6);
    for (int i = 0; i < count; ++i) {
      formats.push_back(codec(*rc::gen::inRange<std::uint8_t>(0, 128), *rc::gen::arbitrary<std::string>(),
                              *rc::gen::arbitrary<std::uint32_t>(), *rc::gen::arbitrary<unsigned>(),
                              *rc::gen::arbitrary<std::string>()));
    }
    RC_ASSERT(CodecList(formats).formats() == formats);
  }));
}

TEST(CodecList, OfAUsualPhoneNeedsNoMemoryOfItsOwn) {
  // libstdc++ keeps fifteen characters inside a string.
  const Formats formats = {codec(8, "PCMA"), codec(0, "PCMU"),
                           codec(101, "telephone-event", 8000, 1, "0-16")};
  EXPECT_LE(sizeof(CodecList), sizeof(std::string));
  EXPECT_EQ(CodecList(formats).formats(), formats);
}

TEST(SameCodec, IsOneByNameClockChannelsAndLayout) {
  struct Row {
    AudioFormat a;
    AudioFormat b;
    bool is_same;
    bool passes;
  };
  const AudioFormat pcmu = codec(0, "PCMU").format;
  const AudioFormat amr = codec(0, "AMR").format;
  const auto with = [](const char* name, const char* parameters) {
    return codec(0, name, 8000, 1, parameters).format;
  };
  const Row rows[] = {
      {pcmu, codec(0, "pcmu").format, true, true},
      {pcmu, codec(0, "PCMA").format, false, false},
      {pcmu, codec(0, "PCMU", 16000).format, false, false},
      {codec(0, "L16", 8000, 1).format, codec(0, "L16", 8000, 2).format, false, false},
      {codec(0, "opus", 48000, 2, "stereo=1").format, codec(0, "opus", 48000, 2).format, true, true},
      {amr, with("AMR", "octet-align=0"), true, true},
      {amr, with("AMR", "octet-align=1"), false, false},
      {with("AMR", "octet-align=1"), with("AMR", "mode-set=7; octet-align=1"), true, true},
      {with("AMR", "crc=1"), with("AMR", "octet-align=1"), false, false},
      {with("AMR", "robust-sorting=1"), with("AMR", "octet-align=1"), false, false},
      {with("AMR", "interleaving=4"), with("AMR", "octet-align=1"), false, false},
      {with("iLBC", "mode=20"), with("iLBC", ""), true, false},
      {with("iLBC", "mode=30"), with("iLBC", ""), true, true},
      {with("G729", "annexb=no"), with("G729", ""), true, true},
      {codec(0, "").format, codec(0, "").format, false, false},
  };
  for (const Row& row : rows) {
    const std::string what = row.a.encoding + " " + row.a.parameters + " / " + row.b.parameters;
    EXPECT_EQ(is_same_codec(row.a, row.b), row.is_same) << what;
    EXPECT_EQ(passes_as(row.a, row.b), row.passes) << what;
    EXPECT_EQ(is_same_codec(row.b, row.a), row.is_same) << what;
    EXPECT_EQ(passes_as(row.b, row.a), row.passes) << what;
  }
}

TEST(KindOf, TellsSpeechFromTheRest) {
  EXPECT_EQ(kind_of(codec(0, "Telephone-Event").format), AudioInput::Kind::kEvents);
  EXPECT_EQ(kind_of(codec(0, "cn").format), AudioInput::Kind::kComfortNoise);
  EXPECT_EQ(kind_of(codec(0, "RED").format), AudioInput::Kind::kRedundant);
  EXPECT_TRUE(is_speech(codec(0, "PCMU").format));
}

TEST(FindCodec, PrefersTheSameNumber) {
  const Formats formats = {codec(96, "opus", 48000, 2), codec(97, "opus", 48000, 2), codec(8, "PCMA")};
  EXPECT_EQ(find_codec(formats, codec(97, "opus", 48000, 2)), &formats[1]);
  EXPECT_EQ(find_codec(formats, codec(107, "opus", 48000, 2)), &formats[0]);
  EXPECT_EQ(find_codec(formats, codec(8, "PCMU")), nullptr);
}

TEST(AgreedCodecs, HaveBothNumbersInTheOrderOfTheAnswer) {
  const Formats offer = {codec(8, "PCMA"), codec(96, "opus", 48000, 2), codec(101, "telephone-event")};
  const Formats answer = {codec(107, "opus", 48000, 2, "stereo=1"), codec(8, "PCMA")};
  const auto of_answerer = agreed_codecs(answer, offer);
  ASSERT_EQ(of_answerer.size(), 2u);
  EXPECT_EQ(of_answerer[0], (AgreedCodec{PayloadType{96}, PayloadType{107}, answer[0].format}));
  const auto of_offerer = agreed_codecs(offer, answer);
  ASSERT_EQ(of_offerer.size(), 2u);
  EXPECT_EQ(of_offerer[0], (AgreedCodec{PayloadType{107}, PayloadType{96}, offer[1].format}));
}

TEST(AgreedCodecs, AgreeOnParameters) {
  const auto agreed = [](const char* name, const char* said, const char* shown) {
    return agreed_codecs(Formats{codec(97, name, 8000, 1, said)}, Formats{codec(97, name, 8000, 1, shown)})
        .at(0)
        .format.parameters;
  };
  EXPECT_EQ(agreed("iLBC", "mode=20", "mode=20"), "mode=20");
  EXPECT_EQ(agreed("iLBC", "mode=20", ""), "mode=30") << "RFC 3952 section 5";
  EXPECT_EQ(agreed("iLBC", "", "mode=20"), "mode=30");
  EXPECT_EQ(agreed("AMR", "", "mode-set=0,2"), "mode-set=0,2");
  EXPECT_EQ(agreed("AMR", "max-red=0", "mode-set=0,2"), "max-red=0;mode-set=0,2");
  EXPECT_EQ(agreed("AMR", "mode-set=7", "mode-set=0,2"), "mode-set=7");
  EXPECT_EQ(agreed("G729", "", "annexb=no"), "annexb=no");
  EXPECT_EQ(agreed("G729", "annexb=no", ""), "annexb=no");
  EXPECT_EQ(agreed("opus", "stereo=1", "useinbandfec=1"), "stereo=1") << "its own wishes";
}

}  // namespace
}  // namespace ferry::test::media_codecs_test
