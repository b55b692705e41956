// SPDX-License-Identifier: Apache-2.0
// Speex: three bands, and what the receiver's SDP asks for.

#include "codecs/audio/speex.hpp"

#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

#include <speex/speex.h>

namespace ferry {
namespace {

using test::decoded;
using test::Heard;
using test::round_trip;

TEST(AudioDecoder, Speex_ThreeBands) {
  for (const std::uint32_t rate : {8000u, 16000u, 32000u}) {
    void* encoder = speex_encoder_init(speex_lib_get_mode(rate == 8000    ? SPEEX_MODEID_NB
                                                          : rate == 16000 ? SPEEX_MODEID_WB
                                                                          : SPEEX_MODEID_UWB));
    int frame = 0;
    int quality = 8;
    speex_encoder_ctl(encoder, SPEEX_GET_FRAME_SIZE, &frame);
    speex_encoder_ctl(encoder, SPEEX_SET_QUALITY, &quality);
    SpeexBits bits;
    speex_bits_init(&bits);
    const Heard heard = round_trip({"speex", rate, 1, ""}, rate, static_cast<std::size_t>(frame),
                                   [&](const std::int16_t* in, std::uint8_t* out) {
                                     speex_bits_reset(&bits);
                                     speex_encode_int(encoder, const_cast<std::int16_t*>(in), &bits);
                                     speex_bits_insert_terminator(&bits);
                                     return speex_bits_write(&bits, reinterpret_cast<char*>(out), 500);
                                   });
    speex_bits_destroy(&bits);
    speex_encoder_destroy(encoder);
    EXPECT_GT(heard.share, 0.9) << rate;
  }
}

/// Octets of a second in packets of 20 ms, and how many packets were not sent.
struct Sent {
  std::size_t octets = 0;
  std::size_t pauses = 0;
};
Sent sent(const AudioFormat& format, std::span<const std::int16_t> samples,
          const CodecSettings& settings = {}) {
  const auto encoder = make_audio_encoder(format, settings);
  EXPECT_TRUE(encoder) << encoder.error();
  Sent all;
  const std::size_t frame = (*encoder)->frame_samples();
  for (; samples.size() >= frame; samples = samples.subspan(frame)) {
    std::vector<std::byte> payload((*encoder)->octets_for(frame));
    const Encoded encoded = (*encoder)->encode(samples.first(frame), payload);
    all.octets += encoded.octets;
    all.pauses += encoded.octets == 0 ? 1 : 0;
  }
  return all;
}

TEST(SpeexEncoder, ManyFramesInAPacketAndATerminator) {
  for (const std::uint32_t rate : {8000u, 16'000u, 32'000u}) {
    const AudioFormat format{"speex", rate, 1, ""};
    const auto encoder = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    const std::size_t frame = rate / 50;
    EXPECT_EQ((*encoder)->frame_samples(), frame);
    for (std::size_t frames = 1; frames <= 12; ++frames) {
      const auto spoken = test::speech(rate, 0.02 * static_cast<double>(frames) + 0.001);
      EXPECT_TRUE((*encoder)->takes(frames * frame));
      std::vector<std::byte> payload((*encoder)->octets_for(frames * frame));
      payload.resize((*encoder)->encode(std::span(spoken).first(frames * frame), payload).octets);
      const auto heard = decoded(**decoder, payload);
      ASSERT_TRUE(heard) << frames;
      EXPECT_EQ(heard->size(), frames * frame) << rate;
    }
    EXPECT_FALSE((*encoder)->takes(13 * frame));
    EXPECT_FALSE((*encoder)->takes(frame / 2));
  }
}

// RFC 5574 section 3.4: the first mode of the list is what the receiver likes best.
TEST(SpeexEncoder, TheModeIsTheFirstOfTheList) {
  const auto narrow = test::speech(8000, 1);
  const auto wide = test::speech(16'000, 1);
  const auto octets_of = [&](std::uint32_t rate, const char* parameters) {
    return sent({"speex", rate, 1, parameters}, rate == 8000 ? narrow : wide).octets;
  };
  // 15, 8, 5.95, 24.6 and 3.95 kbit/s, and a terminator of each packet.
  EXPECT_EQ(octets_of(8000, ""), 1900u);
  EXPECT_EQ(octets_of(8000, "mode=\"5,any\""), 1900u);
  EXPECT_EQ(octets_of(8000, "mode=\"any\""), 1900u);
  EXPECT_EQ(octets_of(8000, "vbr=off;mode=\"3,any\""), 1000u);
  EXPECT_EQ(octets_of(8000, "mode=3"), 1000u) << "without the quotation marks";
  EXPECT_EQ(octets_of(8000, "mode=\"2\""), 750u);
  EXPECT_EQ(octets_of(8000, "mode=\"7,1\""), 3100u);
  EXPECT_EQ(octets_of(8000, "mode=\"8\""), 500u);
  EXPECT_EQ(octets_of(8000, "mode=\"44\""), 1900u) << "no mode";
  EXPECT_GT(octets_of(16'000, "mode=\"10,any\""), octets_of(16'000, ""));
  EXPECT_LT(octets_of(16'000, "mode=\"0,any\""), octets_of(16'000, "mode=\"4\""));
}

TEST(SpeexEncoder, KeepsToTheBitrate) {
  const auto spoken = test::speech(8000, 1);
  CodecSettings settings;
  settings.bitrate_bps = 12'000;
  EXPECT_LE(sent({"speex", 8000, 1, ""}, spoken, settings).octets, 12'000u / 8 + 50);
  const auto encoder = make_audio_encoder({"speex", 8000, 1, ""});
  (*encoder)->on_feedback({{}, 6000, {}});
  std::vector<std::byte> payload((*encoder)->octets_for(160));
  EXPECT_LE((*encoder)->encode(std::span(spoken).first(160), payload).octets, 16u);
  (*encoder)->on_feedback({{}, 0, {}});
  EXPECT_EQ((*encoder)->encode(std::span(spoken).first(160), payload).octets, 38u);
}

TEST(SpeexEncoder, PausesIfBothSidesWantIt) {
  const auto silence = test::low_noise(16'000, 2);
  CodecSettings settings;
  settings.dtx = true;
  EXPECT_GT(sent({"speex", 8000, 1, "cng=on;vbr=vad"}, silence, settings).pauses, 30u);
  EXPECT_EQ(sent({"speex", 8000, 1, "cng=on;vbr=vad"}, silence).pauses, 0u);
  EXPECT_EQ(sent({"speex", 8000, 1, ""}, silence, settings).pauses, 0u);
  EXPECT_LT(sent({"speex", 8000, 1, "vbr=on"}, silence).octets,
            sent({"speex", 8000, 1, ""}, silence).octets / 2);
}

TEST(SpeexEncoder, FormatsThatAreNotEncodedAreNamed) {
  EXPECT_EQ(make_audio_encoder({"speex", 44'100, 1, ""}).error(), "speex at 44100 Hz is not encoded");
  EXPECT_EQ(make_audio_encoder({"speex", 8000, 2, ""}).error(), "speex with 2 channels is not encoded");
}

}  // namespace
}  // namespace ferry
