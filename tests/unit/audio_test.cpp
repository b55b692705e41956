// Decoders against the encoders of other projects: a tone goes in, its frequency and level come out.

#include "codecs/audio/amr.hpp"
#include "codecs/audio/decoder_table.hpp"
#include "codecs/audio/plugin.hpp"

#include <cmath>
#include <filesystem>
#include <numbers>

#include <gtest/gtest.h>
#include <opus/opus.h>
#include <spandsp.h>
#include <speex/speex.h>
extern "C" {
#include <opencore-amrnb/interf_enc.h>
#include <vo-amrwbenc/enc_if.h>
}
#ifdef FERRY_HAS_BCG729
extern "C" {
#include <bcg729/encoder.h>
}
#endif

namespace ferry {
namespace {

constexpr double kHertz = 700;

std::vector<std::int16_t> tone(std::uint32_t rate_hz, std::size_t frames) {
  std::vector<std::int16_t> samples(frames);
  for (std::size_t i = 0; i < frames; ++i)
    samples[i] = static_cast<std::int16_t>(
        12000 * std::sin(2 * std::numbers::pi * kHertz * static_cast<double>(i) / rate_hz));
  return samples;
}

/// Share of the energy that lies at the tone, and its level against 12000/sqrt(2); the first 100 ms are left
/// out.
struct Heard {
  double share = 0;
  double level = 0;
};
Heard listen(std::span<const std::int16_t> samples, std::uint32_t rate_hz) {
  if (samples.size() <= rate_hz / 10) return {};
  samples = samples.subspan(rate_hz / 10);
  double re = 0;
  double im = 0;
  double energy = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const double phase = 2 * std::numbers::pi * kHertz * static_cast<double>(i) / rate_hz;
    re += samples[i] * std::cos(phase);
    im += samples[i] * std::sin(phase);
    energy += static_cast<double>(samples[i]) * samples[i];
  }
  const auto count = static_cast<double>(samples.size());
  return {2 * (re * re + im * im) / (count * energy),
          std::sqrt(energy / count) / (12000 / std::numbers::sqrt2)};
}

Bytes bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

/// Encodes a second in frames and decodes each as one payload.
template <class Encode>
Heard round_trip(const AudioFormat& format, std::uint32_t rate_hz, std::size_t frame, Encode encode) {
  auto decoder = make_audio_decoder(format);
  EXPECT_TRUE(decoder) << (decoder ? "" : decoder.error());
  if (!decoder) return {};
  EXPECT_EQ((*decoder)->sample_rate_hz(), rate_hz);
  const auto in = tone(rate_hz, rate_hz);
  std::vector<std::int16_t> out;
  for (std::size_t at = 0; at + frame <= in.size(); at += frame) {
    std::array<std::uint8_t, 2000> payload{};
    const auto size = encode(in.data() + at, payload.data());
    const std::size_t before = out.size();
    EXPECT_TRUE((*decoder)->decode(bytes(payload.data(), static_cast<std::size_t>(size)), out));
    EXPECT_EQ(out.size() - before, frame) << "one packet time";
  }
  return listen(out, rate_hz);
}

TEST(AudioDecoder, G711_BothLaws) {
  for (const bool mu : {true, false}) {
    const Heard heard = round_trip({mu ? "PCMU" : "pcma", 8000, 1, ""}, 8000, 160,
                                   [&](const std::int16_t* in, std::uint8_t* out) {
                                     for (int i = 0; i < 160; ++i)
                                       out[i] = mu ? linear_to_ulaw(in[i]) : linear_to_alaw(in[i]);
                                     return 160;
                                   });
    EXPECT_GT(heard.share, 0.999);
    EXPECT_NEAR(heard.level, 1, 0.02);
  }
}

TEST(AudioDecoder, G722_SixteenKilohertzOnAnEightKilohertzClock) {
  g722_encode_state_t* state = g722_encode_init(nullptr, 64000, 0);
  const Heard heard =
      round_trip({"G722", 8000, 1, ""}, 16000, 320,
                 [&](const std::int16_t* in, std::uint8_t* out) { return g722_encode(state, out, in, 320); });
  g722_encode_free(state);
  EXPECT_GT(heard.share, 0.99);
  EXPECT_NEAR(heard.level, 1, 0.1);
}

TEST(AudioDecoder, Gsm) {
  gsm0610_state_t* state = gsm0610_init(nullptr, GSM0610_PACKING_VOIP);
  const Heard heard = round_trip(
      {"GSM", 8000, 1, ""}, 8000, 160,
      [&](const std::int16_t* in, std::uint8_t* out) { return gsm0610_encode(state, out, in, 160); });
  gsm0610_free(state);
  EXPECT_GT(heard.share, 0.9);
}

TEST(AudioDecoder, G726_EveryRateInBothPackings) {
  for (const int kilobits : {16, 24, 32, 40}) {
    for (const bool aal2 : {false, true}) {
      g726_state_t* state = g726_init(nullptr, kilobits * 1000, G726_ENCODING_LINEAR,
                                      aal2 ? G726_PACKING_LEFT : G726_PACKING_RIGHT);
      const std::string name = (aal2 ? "AAL2-G726-" : "G726-") + std::to_string(kilobits);
      const Heard heard = round_trip(
          {name, 8000, 1, ""}, 8000, 160,
          [&](const std::int16_t* in, std::uint8_t* out) { return g726_encode(state, out, in, 160); });
      g726_free(state);
      EXPECT_GT(heard.share, kilobits == 16 ? 0.9 : 0.97) << name;
    }
  }
}

TEST(AudioDecoder, L16_KeepsItsChannels) {
  auto decoder = make_audio_decoder({"L16", 16000, 2, ""});
  ASSERT_TRUE(decoder);
  const std::array<std::uint8_t, 8> payload = {0x01, 0x02, 0xff, 0xfe, 0x7f, 0xff, 0x80, 0x00};
  std::vector<std::int16_t> out;
  ASSERT_TRUE((*decoder)->decode(bytes(payload.data(), payload.size()), out));
  EXPECT_EQ(out, (std::vector<std::int16_t>{258, -2, 32767, -32768}));
  EXPECT_EQ((*decoder)->channels(), 2u);
  EXPECT_FALSE((*decoder)->decode(bytes(payload.data(), 3), out)) << "half a frame";
}

TEST(AudioDecoder, Opus_AndItsConcealment) {
  OpusEncoder* encoder = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, nullptr);
  const Heard heard = round_trip(
      {"opus", 48000, 2, "useinbandfec=1"}, 48000, 960,
      [&](const std::int16_t* in, std::uint8_t* out) { return opus_encode(encoder, in, 960, out, 1000); });
  opus_encoder_destroy(encoder);
  EXPECT_GT(heard.share, 0.9);
  auto decoder = make_audio_decoder({"OPUS", 48000, 2, "sprop-stereo=1"});
  ASSERT_TRUE(decoder);
  std::vector<std::int16_t> out;
  (*decoder)->conceal(1000, out);
  EXPECT_EQ(out.size(), 2000u) << "stereo, to the very sample";
}

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

/// RFC 4867 §4.3 and §4.4: a payload of one frame in storage form.
std::vector<std::uint8_t> amr_payload(std::span<const std::uint8_t> frame, bool octet_align,
                                      std::size_t speech_bits) {
  if (octet_align) {
    std::vector<std::uint8_t> payload = {0xf0, static_cast<std::uint8_t>(frame[0] & 0x7c)};
    payload.insert(payload.end(), frame.begin() + 1, frame.end());
    return payload;
  }
  std::vector<bool> bits = {true, true, true, true, false};
  for (int i = 6; i >= 2; --i) bits.push_back((frame[0] >> i & 1) != 0);
  for (std::size_t i = 0; i < speech_bits; ++i) bits.push_back((frame[1 + i / 8] >> (7 - i % 8) & 1) != 0);
  std::vector<std::uint8_t> payload((bits.size() + 7) / 8);
  for (std::size_t i = 0; i < bits.size(); ++i)
    payload[i / 8] = static_cast<std::uint8_t>(payload[i / 8] | (bits[i] ? 0x80 >> i % 8 : 0));
  return payload;
}

TEST(AudioDecoder, Amr_BothPayloadFormats) {
  for (const bool align : {true, false}) {
    void* encoder = Encoder_Interface_init(0);
    const Heard heard =
        round_trip({"AMR", 8000, 1, align ? "mode-set=7; octet-align=1" : ""}, 8000, 160,
                   [&](const std::int16_t* in, std::uint8_t* out) {
                     std::array<std::uint8_t, 64> frame{};
                     const int size = Encoder_Interface_Encode(encoder, MR122, in, frame.data(), 0);
                     const auto payload =
                         amr_payload(std::span(frame).first(static_cast<std::size_t>(size)), align, 244);
                     std::ranges::copy(payload, out);
                     return payload.size();
                   });
    Encoder_Interface_exit(encoder);
    EXPECT_GT(heard.share, 0.95) << align;
  }
}

TEST(AudioDecoder, AmrWb_BothPayloadFormats) {
  for (const bool align : {true, false}) {
    void* encoder = E_IF_init();
    const Heard heard = round_trip({"amr-wb", 16000, 1, align ? "octet-align=1" : ""}, 16000, 320,
                                   [&](const std::int16_t* in, std::uint8_t* out) {
                                     std::array<std::uint8_t, 64> frame{};
                                     const int size = E_IF_encode(encoder, 8, in, frame.data(), 0);
                                     const auto payload = amr_payload(
                                         std::span(frame).first(static_cast<std::size_t>(size)), align, 477);
                                     std::ranges::copy(payload, out);
                                     return payload.size();
                                   });
    E_IF_exit(encoder);
    EXPECT_GT(heard.share, 0.95) << align;
  }
}

TEST(AudioDecoder, Amr_DamagedPayloadsAreRefused) {
  const auto refuses = [](std::vector<std::uint8_t> payload, bool align) {
    return !amr_frames(bytes(payload.data(), payload.size()), false, align);
  };
  EXPECT_TRUE(refuses({}, true));
  EXPECT_TRUE(refuses({0xf0}, true));
  EXPECT_TRUE(refuses({0xf0, 0x3c}, true)) << "a frame without its bits";
  EXPECT_TRUE(refuses({0xf0, 0xfc}, true)) << "another entry was promised";
  EXPECT_TRUE(refuses({0xf0, 0x4c, 0, 0, 0, 0, 0, 0, 0}, true)) << "a type that is not assigned";
  EXPECT_FALSE(refuses({0xf0, 0x7c}, true)) << "no data";
}

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
  // There is no free encoder to be had here: what can be seen is that frames of the right sizes become their
  // packet times and others are refused.
  for (const auto& [mode, size, samples] :
       {std::tuple{"mode=20", 38u, 160u}, std::tuple{"mode=30", 50u, 240u}}) {
    auto decoder = make_audio_decoder({"iLBC", 8000, 1, mode});
    ASSERT_TRUE(decoder) << decoder.error();
    const std::vector<std::uint8_t> payload(size * 2, 0x11);
    std::vector<std::int16_t> out;
    EXPECT_TRUE((*decoder)->decode(bytes(payload.data(), payload.size()), out));
    EXPECT_EQ(out.size(), samples * 2);
    EXPECT_FALSE((*decoder)->decode(bytes(payload.data(), size - 1), out));
    (*decoder)->conceal(80, out);
    EXPECT_EQ(out.size(), samples * 2 + 80);
  }
}

TEST(AudioDecoder, LossIsHiddenByWhatWasHeard) {
  auto decoder = make_audio_decoder({"PCMA", 8000, 1, ""});
  ASSERT_TRUE(decoder);
  const auto in = tone(8000, 1600);
  std::vector<std::uint8_t> payload;
  for (const std::int16_t sample : in) payload.push_back(linear_to_alaw(sample));
  std::vector<std::int16_t> out;
  ASSERT_TRUE((*decoder)->decode(bytes(payload.data(), payload.size()), out));
  out.clear();
  (*decoder)->conceal(160, out);
  ASSERT_EQ(out.size(), 160u);
  double energy = 0;
  for (const std::int16_t sample : out) energy += static_cast<double>(sample) * sample;
  EXPECT_GT(std::sqrt(energy / 160), 4000);
}

TEST(AudioDecoder, FormatParametersAndStaticTypes) {
  EXPECT_EQ(format_parameter("a=1; octet-align=0;b", "Octet-Align"), "0");
  EXPECT_EQ(format_parameter("a=1; octet-align=0;b", "b"), "1");
  EXPECT_EQ(format_parameter("a=1", "x"), "");
  EXPECT_EQ(static_audio_format(PayloadType{9}), (AudioFormat{"G722", 8000, 1, ""}));
  EXPECT_FALSE(static_audio_format(PayloadType{96}));
  EXPECT_EQ(make_audio_decoder({"G723", 8000, 1, ""}).error(), "no decoder for G723");
}

}  // namespace
}  // namespace ferry
