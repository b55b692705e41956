// SPDX-License-Identifier: Apache-2.0
// The table of codecs: who is found, and by which name.

#include "codecs/audio/codec_table.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(CodecTable, NamesAreComparedWithoutRegardToCase) {
  for (const char* name : {"PCMU", "pcmu", "Opus", "OPUS", "amr-wb", "aal2-g726-32"})
    EXPECT_TRUE(make_audio_decoder({name, 8000, 1, ""})) << name;
  for (const char* name : {"pcma", "g722", "Gsm", "SPEEX", "aal2-g726-16", "Amr", "cn", "l16"})
    EXPECT_TRUE(make_audio_encoder({name, 8000, 1, ""})) << name;
}

TEST(CodecTable, WhatIsMissingIsNamed) {
  EXPECT_EQ(make_audio_decoder({"G723", 8000, 1, ""}).error(), "no decoder for G723");
  EXPECT_EQ(make_audio_encoder({"G723", 8000, 1, ""}).error(), "no encoder for G723");
  EXPECT_EQ(make_audio_decoder({"", 8000, 1, ""}).error(), "no decoder for ");
}

// The rate is what a peer writes into its SDP; the filter of a resampler grows with it.
TEST(CodecTable, RatesThatNobodyHasAreRefused) {
  for (const std::uint32_t rate : {0u, 1u, 3999u, 192'001u, 100'000'007u, 4'294'967'295u}) {
    EXPECT_EQ(make_audio_decoder({"PCMU", rate, 1, ""}).error(),
              "PCMU at " + std::to_string(rate) + " Hz is not decoded");
    EXPECT_EQ(make_audio_encoder({"CN", rate, 1, ""}).error(),
              "CN at " + std::to_string(rate) + " Hz is not encoded");
    EXPECT_FALSE(make_audio_decoder({"L16", rate, 1, ""})) << rate;
  }
  for (const std::uint32_t rate : {4000u, 8000u, 192'000u}) {
    EXPECT_TRUE(make_audio_decoder({"PCMU", rate, 1, ""})) << rate;
    EXPECT_TRUE(make_audio_decoder({"L16", rate, 2, ""})) << rate;
  }
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

TEST(CodecTable, EverythingButPluginsIsDecodedAndEncoded) {
  const auto all = list_codecs();
  EXPECT_EQ(all.size(), 21u);
  for (const CodecAbility& codec : all) {
    const std::string& name = codec.format.encoding;
    if (name == "G729" || name == "EVS" || name == "iLBC") continue;
    EXPECT_EQ(codec.no_decoder, "") << name;
    EXPECT_EQ(codec.no_encoder, "") << name;
  }
}

TEST(CodecTable, RatesOfWhatIsEncoded) {
  struct Row {
    AudioFormat format;
    std::uint32_t wanted_hz;
    std::uint32_t rate_hz;
  };
  const Row rows[] = {
      {{"opus", 48'000, 2, ""}, 0, 48'000},      {{"opus", 48'000, 2, ""}, 8000, 8000},
      {{"opus", 48'000, 2, ""}, 11'025, 12'000}, {{"opus", 48'000, 2, ""}, 16'000, 16'000},
      {{"opus", 48'000, 2, ""}, 44'100, 48'000}, {{"opus", 48'000, 2, ""}, 96'000, 48'000},
      {{"G722", 8000, 1, ""}, 8000, 16'000},     {{"AMR-WB", 16'000, 1, ""}, 8000, 16'000},
      {{"L16", 44'100, 2, ""}, 0, 44'100},       {{"speex", 32'000, 1, ""}, 8000, 32'000},
      {{"CN", 16'000, 1, ""}, 0, 16'000},
  };
  for (const Row& row : rows) {
    CodecSettings settings;
    settings.sample_rate_hz = row.wanted_hz;
    const auto encoder = make_audio_encoder(row.format, settings);
    const auto decoder = make_audio_decoder(row.format, settings);
    ASSERT_TRUE(encoder && decoder) << row.format.encoding;
    EXPECT_EQ((*encoder)->sample_rate_hz(), row.rate_hz) << row.format.encoding;
    EXPECT_EQ((*decoder)->sample_rate_hz(), row.rate_hz) << row.format.encoding;
    EXPECT_EQ((*encoder)->channels(), 1u) << row.format.encoding;
  }
}

}  // namespace
}  // namespace ferry
