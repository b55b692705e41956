// SPDX-License-Identifier: Apache-2.0
// Codecs that a client names become the section of an offer (docs/reference/ng.md#create).
#include "control/negotiate/named_codecs.hpp"

#include <deque>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test::named_codecs_test {
namespace {

using Words = std::vector<std::string>;

/// The codecs of a section as `type name/clock/channels`, and `=` with the a=rtpmap if it has one.
Words codecs(const sdp::MediaSection& section) {
  Words all;
  for (const sdp::Codec& codec : section.codecs) {
    all.push_back(fmt::format("{} {}/{}/{}{}{}", codec.payload_type, codec.name, codec.clock_rate_hz,
                              codec.channels, codec.rtpmap.empty() ? "" : "=", codec.rtpmap));
  }
  return all;
}

struct Row {
  const char* name;
  Words names;
  Words codecs;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class NamedCodecs : public ::testing::TestWithParam<Row> {};

TEST_P(NamedCodecs, GetTypesOfTheirOwn) {
  std::deque<std::string> texts;
  EXPECT_EQ(codecs(named_section("audio", GetParam().names, texts)), GetParam().codecs);
}

INSTANTIATE_TEST_SUITE_P(
    Table, NamedCodecs,
    ::testing::Values(Row{"Static", {"PCMA", "PCMU"}, {"8 PCMA/8000/1", "0 PCMU/8000/1"}},
                      Row{"StaticInSmallLetters", {"pcmu"}, {"0 PCMU/8000/1"}},
                      Row{"StaticWithItsRate", {"PCMU/8000"}, {"0 PCMU/8000/1"}},
                      Row{"StaticNameWithAnotherRate", {"PCMU/16000"}, {"96 PCMU/16000/1=PCMU/16000"}},
                      Row{"UsualRate", {"AMR-WB"}, {"96 AMR-WB/16000/1=AMR-WB/16000"}},
                      Row{"OpusHasOneForm", {"opus/8000/1"}, {"96 opus/48000/2=opus/48000/2"}},
                      Row{"RateAndChannels", {"L16/16000/2"}, {"96 L16/16000/2=L16/16000/2"}},
                      Row{"Counted",
                          {"AMR", "PCMU", "EVS"},
                          {"96 AMR/8000/1=AMR/8000", "0 PCMU/8000/1", "97 EVS/16000/1=EVS/16000"}},
                      Row{"PartsOfEncodersAreSkipped", {"AMR/8000/1/12200"}, {"96 AMR/8000/1=AMR/8000"}},
                      Row{"NoNumber", {"AMR/x", "PCMU"}, {"0 PCMU/8000/1"}},
                      Row{"RateOfZero", {"AMR/0", "PCMU"}, {"0 PCMU/8000/1"}},
                      Row{"RateTooLarge", {"AMR/1000001", "PCMU"}, {"0 PCMU/8000/1"}},
                      Row{"SignedRate", {"AMR/-8000", "PCMU"}, {"0 PCMU/8000/1"}},
                      Row{"LineEnd", {"AMR\r\na=x", "PCMU"}, {"0 PCMU/8000/1"}},
                      Row{"NothingUsableIsTheDefault", {"", "a b"}, {"0 PCMU/8000/1", "8 PCMA/8000/1"}},
                      Row{"Default", {}, {"0 PCMU/8000/1", "8 PCMA/8000/1"}}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(NamedSection, HasTypeAndProtocol) {
  std::deque<std::string> texts;
  const sdp::MediaSection video = named_section("video", {}, texts);
  EXPECT_EQ(video.type, "video");
  EXPECT_TRUE(video.is_rtp());
  EXPECT_EQ(video.port, 0);
  EXPECT_EQ(codecs(video), (Words{"96 H264/90000/1=H264/90000"}));
}

TEST(NamedSection, StopsWhenThereAreNoTypesLeft) {
  std::deque<std::string> texts;
  Words names;
  for (int i = 0; i < 40; ++i) names.push_back("X" + std::to_string(i));
  names.emplace_back("PCMA");
  const sdp::MediaSection section = named_section("audio", names, texts);
  ASSERT_EQ(section.codecs.size(), 33u) << "96 to 127, and PCMA";
  EXPECT_EQ(section.codecs[31].payload_type, 127);
  EXPECT_EQ(section.codecs.back().payload_type, 8);
}

TEST(CodecNames, MayBeTextOfAnSdp) {
  EXPECT_TRUE(is_codec_name("H263-1998/90000"));
  EXPECT_TRUE(is_codec_name("x._"));
  EXPECT_TRUE(is_codec_name(std::string(64, 'a')));
  for (const std::string& none : {std::string(), std::string(65, 'a'), std::string("a b"), std::string("a\n"),
                                  std::string("a:b"), std::string("a\0", 2), std::string("\xc3\xa4")})
    EXPECT_FALSE(is_codec_name(none)) << none;
}

}  // namespace
}  // namespace ferry::test::named_codecs_test
