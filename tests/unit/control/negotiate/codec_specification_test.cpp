// SPDX-License-Identifier: Apache-2.0
// The names of codecs that clients give (docs/reference/ng.md#codecs).
#include "control/negotiate/codec_specification.hpp"

#include <deque>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::codec_specification_test {
namespace {

TEST(Specification, IsCompletedByWhatIsUsual) {
  struct Row {
    const char* text;
    AudioFormat format;
  };
  const Row rows[] = {{"opus", {"opus", 48000, 2, "useinbandfec=1"}},
                      {"OPUS/8000/1", {"opus", 48000, 2, "useinbandfec=1"}},
                      {"pcmu", {"PCMU", 8000, 1, ""}},
                      {"G.711A", {"PCMA", 8000, 1, ""}},
                      {"AMR-WB", {"AMR-WB", 16000, 1, "mode-change-capability=2"}},
                      {"speex/16000", {"speex", 16000, 1, ""}},
                      {"telephone-event/48000", {"telephone-event", 48000, 1, "0-15"}},
                      {"iLBC/8000/1///mode--20", {"iLBC", 8000, 1, "mode=20"}},
                      {"H263", {"H263", 90000, 1, ""}}};
  for (const Row& row : rows) {
    const auto read = read_specification(row.text);
    ASSERT_TRUE(read) << row.text;
    EXPECT_EQ(read->format, row.format) << row.text;
  }
}

TEST(Specification, HasWishesForTheEncoder) {
  const auto read = read_specification("opus/48000/2/32000/40//complexity--3");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->bitrate_bps, 32000u);
  EXPECT_EQ(read->ptime_ms, 40);
  EXPECT_EQ(read->complexity, 3);
  EXPECT_TRUE(read->has_clock_rate);
  EXPECT_EQ(read_specification("opus/48000/2///maxaveragebitrate--32000")->bitrate_bps, 32000u);
  const auto plain = read_specification("opus");
  EXPECT_EQ(plain->bitrate_bps, 0u);
  EXPECT_EQ(plain->ptime_ms, 0);
  EXPECT_LT(plain->complexity, 0);
  EXPECT_FALSE(plain->has_clock_rate);
}

TEST(Specification, ThatCannotBeReadIsNone) {
  for (const char* text : {"", "/8000", "AMR/x", "AMR/0", "AMR/-8000", "AMR/1000001", "AMR/8000/x",
                           "AMR/8000/1/x", "AMR/8000/1//x", "opus/48000/2///a\r\na=b"})
    EXPECT_FALSE(read_specification(text)) << text;
}

TEST(StaticNumber, IsThatOfRfc3551) {
  EXPECT_EQ(static_number({"pcma", 8000, 1, {}}), 8);
  EXPECT_EQ(static_number({"G729", 8000, 1, {}}), 18);
  EXPECT_EQ(static_number({"L16", 44100, 2, {}}), 10);
  EXPECT_EQ(static_number({"CN", 8000, 1, {}}), 13) << "not 19";
  EXPECT_EQ(static_number({"PCMU", 16000, 1, {}}), std::nullopt);
  EXPECT_EQ(static_number({"opus", 48000, 2, {}}), std::nullopt);
}

TEST(LineOf, HasAnRtpmapAndItsParameters) {
  std::deque<std::string> texts;
  const sdp::Codec line = line_of({PayloadType{96}, {"opus", 48000, 2, "useinbandfec=1"}}, texts);
  EXPECT_EQ(line.payload_type, 96);
  EXPECT_EQ(line.rtpmap, "opus/48000/2");
  EXPECT_EQ(line.name, "opus");
  EXPECT_EQ(line.fmtp, "useinbandfec=1");
  const sdp::Codec mono = line_of({PayloadType{9}, {"G722", 8000, 1, {}}}, texts);
  EXPECT_EQ(mono.rtpmap, "G722/8000");
  EXPECT_TRUE(mono.fmtp.empty());
}

}  // namespace
}  // namespace ferry::test::codec_specification_test
