// SPDX-License-Identifier: Apache-2.0
// iLBC: both modes, against FFmpeg's decoder and ours. A build without the library does not encode.

#include "codecs/audio/ilbc.hpp"

#include "codecs/audio/plugin.hpp"
#include "tests/support/codec_judge.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

namespace ferry {
namespace {

using test::decoded;

struct Mode {
  const char* parameters;
  std::size_t octets;
  std::size_t samples;
};
// RFC 3952 section 5: 30 ms without the parameter.
constexpr Mode kModes[] = {{"mode=20", 38, 160}, {"mode=30", 50, 240}, {"", 50, 240}};

class IlbcTest : public testing::Test {
 protected:
  void SetUp() override {
    set_codec_plugin_folder(FERRY_PLUGINS);
    const auto encoder = make_audio_encoder({"iLBC", 8000, 1, ""});
    if (!encoder) {
      EXPECT_EQ(encoder.error(), "no encoder for iLBC: this build has no libtgowt");
      GTEST_SKIP() << encoder.error();
    }
  }
};

TEST_F(IlbcTest, FramesOfBothModes) {
  for (const Mode& mode : kModes) {
    const AudioFormat format{"iLBC", 8000, 1, mode.parameters};
    const auto encoder = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    ASSERT_TRUE(encoder && decoder);
    EXPECT_EQ((*encoder)->frame_samples(), mode.samples);
    const auto spoken = test::speech(8000, 0.3);
    for (std::size_t frames = 1; frames <= 1920 / mode.samples; ++frames) {
      EXPECT_TRUE((*encoder)->takes(frames * mode.samples));
      std::vector<std::byte> payload((*encoder)->octets_for(frames * mode.samples + 7));
      EXPECT_EQ(payload.size(), frames * mode.octets) << "what is behind the last whole frame does not count";
      ASSERT_EQ((*encoder)->encode(std::span(spoken).first(frames * mode.samples), payload).octets,
                payload.size());
      const auto heard = decoded(**decoder, payload);
      ASSERT_TRUE(heard);
      EXPECT_EQ(heard->size(), frames * mode.samples);
    }
    EXPECT_FALSE((*encoder)->takes(mode.samples - 1));
    EXPECT_FALSE((*encoder)->takes(1920 + mode.samples));
  }
}

TEST_F(IlbcTest, SpeechIsHeardByFfmpegAsByUs) {
  if (!test::has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not there";
  const auto spoken = test::speech(8000, 2);
  for (const Mode& mode : kModes) {
    const AudioFormat format{"iLBC", 8000, 1, mode.parameters};
    const auto encoder = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    test::Payloads payloads;
    std::vector<std::int16_t> ours;
    for (std::size_t at = 0; at + mode.samples <= spoken.size(); at += mode.samples) {
      std::vector<std::byte> payload(mode.octets);
      (*encoder)->encode(std::span(spoken).subspan(at, mode.samples), payload);
      const auto heard = decoded(**decoder, payload);
      ASSERT_TRUE(heard);
      ours.insert(ours.end(), heard->begin(), heard->end());
      payloads.push_back(std::move(payload));
    }
    const auto theirs = test::heard_by_ffmpeg(format, payloads, mode.samples, 8000);
    ASSERT_TRUE(theirs);
    const auto distance = [&](std::span<const std::int16_t> heard) {
      return test::spectral_distance(
          spoken, heard.subspan(test::delay_of(std::span(spoken).first(8000), heard, 300)));
    };
    EXPECT_LT(distance(ours), 5) << mode.parameters;
    EXPECT_NEAR(distance(ours), distance(*theirs), 1) << mode.parameters;
  }
}

TEST_F(IlbcTest, DamagedPayloadsAreRefused) {
  for (const Mode& mode : kModes) {
    const auto decoder = make_audio_decoder({"iLBC", 8000, 1, mode.parameters});
    const std::vector<std::uint8_t> octets(2000, 0x33);
    for (std::size_t size = 0; size < 700; ++size) {
      const bool is_whole = size > 0 && size % mode.octets == 0 && size / mode.octets * mode.samples <= 1920;
      EXPECT_EQ(decoded(**decoder, test::bytes(octets.data(), size)).has_value(), is_whole) << size;
    }
  }
}

TEST_F(IlbcTest, ConcealsToTheVerySample) {
  for (const Mode& mode : kModes) {
    const AudioFormat format{"iLBC", 8000, 1, mode.parameters};
    const auto encoder = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    const auto spoken = test::speech(8000, 0.25);
    std::vector<std::byte> payload((*encoder)->octets_for(mode.samples));
    for (std::size_t at = 0; at + mode.samples <= spoken.size(); at += mode.samples) {
      (*encoder)->encode(std::span(spoken).subspan(at, mode.samples), payload);
      ASSERT_TRUE(decoded(**decoder, payload));
    }
    std::vector<std::int16_t> out(504, 77);
    (*decoder)->conceal(std::span(out).first(500));
    EXPECT_EQ(out[500], 77);
    EXPECT_GT(test::rms_of(std::span(out).first(160)), 20) << "it goes on from what was heard";
  }
}

}  // namespace
}  // namespace ferry
