// The table of codecs: who is found, and by which name.

#include "codecs/audio/codec_table.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(CodecTable, NamesAreComparedWithoutRegardToCase) {
  for (const char* name : {"PCMU", "pcmu", "Opus", "OPUS", "amr-wb", "aal2-g726-32"})
    EXPECT_TRUE(make_audio_decoder({name, 8000, 1, ""})) << name;
  for (const char* name : {"pcma", "g722", "Gsm"})
    EXPECT_TRUE(make_audio_encoder({name, 8000, 1, ""})) << name;
}

TEST(CodecTable, WhatIsMissingIsNamed) {
  EXPECT_EQ(make_audio_decoder({"G723", 8000, 1, ""}).error(), "no decoder for G723");
  EXPECT_EQ(make_audio_encoder({"G723", 8000, 1, ""}).error(), "no encoder for G723");
  EXPECT_EQ(make_audio_encoder({"opus", 48'000, 2, ""}).error(), "no encoder for opus")
      << "it is only decoded";
  EXPECT_EQ(make_audio_decoder({"", 8000, 1, ""}).error(), "no decoder for ");
}

TEST(CodecTable, RatesOfSamplesAreNotAlwaysThoseOfTheTimestamps) {
  struct Row {
    AudioFormat format;
    std::uint32_t rate_hz;
    unsigned channels;
  };
  const Row rows[] = {
      {{"PCMU", 8000, 1, ""}, 8000, 1},     {{"PCMA", 16'000, 1, ""}, 16'000, 1},
      {{"G722", 8000, 1, ""}, 16'000, 1},   {{"L16", 44'100, 2, ""}, 44'100, 2},
      {{"opus", 48'000, 2, ""}, 48'000, 1}, {{"opus", 48'000, 2, "sprop-stereo=1"}, 48'000, 2},
      {{"AMR", 8000, 1, ""}, 8000, 1},      {{"AMR-WB", 16'000, 1, ""}, 16'000, 1},
      {{"GSM", 8000, 1, ""}, 8000, 1},      {{"speex", 32'000, 1, ""}, 32'000, 1},
  };
  for (const Row& row : rows) {
    const auto decoder = make_audio_decoder(row.format);
    ASSERT_TRUE(decoder) << row.format.encoding;
    EXPECT_EQ((*decoder)->sample_rate_hz(), row.rate_hz) << row.format.encoding;
    EXPECT_EQ((*decoder)->channels(), row.channels) << row.format.encoding;
  }
}

}  // namespace
}  // namespace ferry
