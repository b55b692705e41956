// SPDX-License-Identifier: Apache-2.0
// Codecs that are packages of their own.

#include "codecs/audio/plugin.hpp"

#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

#include <algorithm>
#include <filesystem>

#ifdef FERRY_HAS_BCG729
extern "C" {
#include <bcg729/encoder.h>
}
#endif

namespace ferry {
namespace {

using test::bytes;
using test::concealed;
using test::decoded;
using test::Heard;
using test::round_trip;

class PluginTest : public testing::Test {
 protected:
  void SetUp() override { set_codec_plugin_folder(FERRY_PLUGINS); }
  static bool is_built(const char* name) {
    return std::filesystem::exists(std::string(FERRY_PLUGINS "/rtpferry-codec-") + name + ".so");
  }
};

#ifdef FERRY_HAS_BCG729
TEST_F(PluginTest, G729_FromItsPlugin) {
  bcg729EncoderChannelContextStruct* encoder = initBcg729EncoderChannel(0);
  const Heard heard =
      round_trip({"G729", 8000, 1, ""}, 8000, 160, [&](const std::int16_t* in, std::uint8_t* out) {
        for (int half = 0; half < 2; ++half) {
          std::uint8_t size = 0;
          bcg729Encoder(encoder, in + 80 * half, out + 10 * half, &size);
        }
        return 20;
      });
  closeBcg729EncoderChannel(encoder);
  EXPECT_GT(heard.share, 0.7);
}
#endif

TEST_F(PluginTest, Ilbc_FramesOfBothModes) {
  if (!is_built("ilbc")) GTEST_SKIP() << "built without FFmpeg's libraries";
  // Frames of the right sizes become their packet times and others are refused.
  for (const auto& [mode, size, samples] :
       {std::tuple{"mode=20", 38u, 160u}, std::tuple{"mode=30", 50u, 240u}}) {
    auto decoder = make_plugin_decoder({"iLBC", 8000, 1, mode});
    ASSERT_TRUE(decoder) << decoder.error();
    const std::vector<std::uint8_t> payload(size * 2, 0x11);
    const auto out = decoded(**decoder, bytes(payload.data(), payload.size()));
    ASSERT_TRUE(out);
    EXPECT_EQ(out->size(), samples * 2);
    EXPECT_FALSE(decoded(**decoder, bytes(payload.data(), size - 1)));
    // FFmpeg hides no loss, so what is made up is what was heard, fading within 60 ms.
    const auto made_up = concealed(**decoder, 480 + 80);
    EXPECT_TRUE(std::ranges::all_of(std::span(made_up).subspan(480),
                                    [](std::int16_t sample) { return sample == 0; }));
  }
}

#ifdef FERRY_HAS_BCG729
/// Half a second of a tone, half a second of next to nothing, and so on.
std::vector<std::int16_t> with_pauses(std::size_t halves) {
  std::vector<std::int16_t> samples;
  for (std::size_t i = 0; i < halves; ++i) {
    const auto part = i % 2 == 0 ? test::speech(8000, 0.5) : test::low_noise(4000, 4);
    samples.insert(samples.end(), part.begin(), part.end());
  }
  return samples;
}

TEST_F(PluginTest, G729_EncodesPacketsOfManyFrames) {
  const auto encoder = make_audio_encoder({"G729", 8000, 1, ""});
  ASSERT_TRUE(encoder) << encoder.error();
  EXPECT_EQ((*encoder)->frame_samples(), 80u);
  EXPECT_TRUE((*encoder)->takes(1840));
  EXPECT_FALSE((*encoder)->takes(1920)) << "its decoder leaves room for a descriptor";
  std::vector<std::byte> room((*encoder)->octets_for(1840));
  EXPECT_EQ((*encoder)->encode(test::tone(8000, 1840), room).octets, 230u);
}

// RFC 3551 section 4.5.6: a descriptor only as the last frame of a packet; RFC 7261 section 3: none if the
// receiver says annexb=no.
TEST_F(PluginTest, G729_PausesIfBothSidesWantIt) {
  struct Pauses {
    const char* parameters;
    bool dtx;
    bool pauses;
  };
  for (const Pauses& each : {Pauses{"", true, true}, Pauses{"annexb=yes", true, true},
                             Pauses{"annexb=no", true, false}, Pauses{"", false, false}}) {
    for (const std::size_t packet : {80u, 160u, 240u}) {
      CodecSettings settings;
      settings.dtx = each.dtx;
      const auto encoder = make_audio_encoder({"G729", 8000, 1, each.parameters}, settings);
      ASSERT_TRUE(encoder) << encoder.error();
      const auto decoder = make_audio_decoder({"G729", 8000, 1, ""});
      const auto samples = with_pauses(4);
      std::size_t nothing = 0;
      std::size_t descriptors = 0;
      for (std::size_t at = 0; at + packet <= samples.size(); at += packet) {
        std::vector<std::byte> payload((*encoder)->octets_for(packet));
        const Encoded encoded = (*encoder)->encode(std::span(samples).subspan(at, packet), payload);
        ASSERT_LE(encoded.octets, payload.size());
        nothing += encoded.octets == 0 ? 1 : 0;
        if (encoded.octets == 0) {
          EXPECT_TRUE(encoded.is_silence);
          continue;
        }
        payload.resize(encoded.octets);
        descriptors += payload.size() % 10 == 2 ? 1 : 0;
        EXPECT_EQ(encoded.is_silence, payload.size() == 2);
        EXPECT_EQ(encoded.skipped % 80, 0u);
        const auto heard = decoded(**decoder, payload);
        ASSERT_TRUE(heard);
        EXPECT_LE(heard->size() + encoded.skipped, packet) << "what is sent lies within the packet's time";
      }
      EXPECT_EQ(nothing > 10, each.pauses) << each.parameters << packet;
      EXPECT_EQ(descriptors > 0, each.pauses) << each.parameters << packet;
    }
  }
}
#endif

TEST_F(PluginTest, WhatAnEncoderIsToldReachesThePlugin) {
  CodecSettings settings;
  settings.dtx = true;
  settings.bitrate_bps = 99;
  const auto encoder = make_plugin_encoder({"probe", 8000, 1, ""}, settings);
  ASSERT_TRUE(encoder) << encoder.error();
  EXPECT_EQ((*encoder)->sample_rate_hz(), 8000u);
  EXPECT_TRUE((*encoder)->takes(320));
  EXPECT_FALSE((*encoder)->takes(400));
  EXPECT_FALSE((*encoder)->takes(100));
  const std::vector<std::int16_t> samples(320);
  const auto say = [&] {
    std::vector<int> octets(4, -1);
    std::vector<std::byte> payload((*encoder)->octets_for(320));
    const Encoded encoded = (*encoder)->encode(samples, payload);
    EXPECT_EQ(encoded.octets, 4u);
    EXPECT_EQ(encoded.skipped, 80u);
    EXPECT_TRUE(encoded.is_silence);
    std::ranges::transform(payload, octets.begin(),
                           [](std::byte octet) { return std::to_integer<int>(octet); });
    return octets;
  };
  EXPECT_EQ(say(), (std::vector<int>{1, 99, 0, 0}));
  (*encoder)->on_feedback({3, 44, 5});
  (*encoder)->request_mode(6);
  EXPECT_EQ(say(), (std::vector<int>{3, 44, 5, 6}));
}

TEST_F(PluginTest, AModeThatAPluginHeardIsHandedOn) {
  const auto decoder = make_plugin_decoder({"probe", 8000, 1, ""});
  ASSERT_TRUE(decoder) << decoder.error();
  EXPECT_FALSE((*decoder)->requested_mode());
  const std::uint8_t payload = 7;
  ASSERT_TRUE(decoded(**decoder, bytes(&payload, 1)));
  EXPECT_EQ((*decoder)->requested_mode(), 7);
}

TEST_F(PluginTest, OneThatSaysMoreThanItMayIsNotBelieved) {
  const auto decoder = make_plugin_decoder({"probe", 8000, 1, "lies"});
  const auto encoder = make_plugin_encoder({"probe", 8000, 1, "lies"}, {});
  ASSERT_TRUE(decoder && encoder);
  const std::uint8_t payload = 7;
  const auto heard = decoded(**decoder, bytes(&payload, 1));
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->size(), 80u);
  EXPECT_FALSE((*decoder)->requested_mode()) << "1000 is no mode";
  const std::vector<std::int16_t> samples(160);
  std::vector<std::byte> room((*encoder)->octets_for(160));
  const Encoded encoded = (*encoder)->encode(samples, room);
  EXPECT_EQ(encoded.octets, 2u);
  EXPECT_EQ(encoded.skipped, 160u);
}

TEST_F(PluginTest, AnEncoderThatIsNotToBeHadIsNamed) {
  if (is_built("ilbc")) {
    EXPECT_EQ(make_plugin_encoder({"iLBC", 8000, 1, ""}, {}).error(),
              "no encoder for iLBC: its plug-in only decodes");
  }
  EXPECT_EQ(make_plugin_encoder({"Probe", 8000, 1, "refuses"}, {}).error(),
            "the plug-in for Probe cannot encode it here");
  EXPECT_EQ(make_plugin_encoder({"Probe", 8000, 2, ""}, {}).error(), "Probe with 2 channels is not encoded");
  EXPECT_EQ(make_audio_encoder({"EVS", 16'000, 1, ""}).error(),
            "no encoder for evs: the plug-in " FERRY_PLUGINS "/rtpferry-codec-evs.so is not installed");
  EXPECT_EQ(make_audio_decoder({"EVS", 16'000, 1, ""}).error(),
            "no decoder for evs: the plug-in " FERRY_PLUGINS "/rtpferry-codec-evs.so is not installed");
}

TEST_F(PluginTest, OneThatIsNotInstalledIsNamedWithItsFile) {
  const auto decoder = make_plugin_decoder({"Nothing", 8000, 1, ""});
  ASSERT_FALSE(decoder);
  EXPECT_EQ(decoder.error(), "no decoder for nothing: the plug-in " FERRY_PLUGINS
                             "/rtpferry-codec-nothing.so is not installed");
}

}  // namespace
}  // namespace ferry
