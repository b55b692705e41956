// SPDX-License-Identifier: Apache-2.0
// AMR and AMR-WB: both forms of the payload against the encoders of other projects, and damaged ones.

#include "codecs/audio/amr.hpp"

#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

#include <algorithm>

extern "C" {
#include <opencore-amrnb/interf_enc.h>
#include <vo-amrwbenc/enc_if.h>
}

namespace ferry {
namespace {

using test::bytes;
using test::concealed;
using test::Heard;
using test::round_trip;

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

TEST(AudioDecoder, Amr_ConcealsToTheVerySample) {
  for (const char* encoding : {"AMR", "AMR-WB"}) {
    const auto decoder = make_audio_decoder({encoding, 8000, 1, ""});
    ASSERT_TRUE(decoder);
    std::vector<std::int16_t> out(600, 77);
    (*decoder)->conceal(std::span(out).first(500));
    EXPECT_EQ(out[500], 77) << encoding;
    EXPECT_NE(out[499], 77) << encoding;
  }
}

TEST(AudioDecoder, Amr_LayoutsThatAreNotUnderstoodAreNamed) {
  EXPECT_EQ(make_audio_decoder({"AMR", 8000, 1, "octet-align=1; crc=1"}).error(),
            "AMR with crc is not decoded");
  EXPECT_EQ(make_audio_decoder({"AMR-WB", 16'000, 2, ""}).error(), "AMR-WB with 2 channels is not decoded");
  EXPECT_TRUE(make_audio_decoder({"AMR", 8000, 1, "crc=0"}));
}

/// Encodes so many frames of speech, one each payload, and returns their types (15: none was sent).
std::vector<int> types_of(AudioEncoder& encoder, AmrLayout layout, std::size_t frames,
                          std::span<const std::int16_t> samples = {}) {
  std::vector<int> types;
  const std::size_t frame = encoder.frame_samples();
  const auto spoken = test::speech(encoder.sample_rate_hz(), 1);
  if (samples.empty()) samples = std::span(spoken).subspan(spoken.size() / 10);
  for (std::size_t i = 0; i < frames; ++i) {
    std::vector<std::byte> payload(encoder.octets_for(frame));
    const Encoded encoded =
        encoder.encode(samples.subspan(i * frame % (samples.size() - frame), frame), payload);
    payload.resize(encoded.octets);
    if (payload.empty()) {
      EXPECT_TRUE(encoded.is_silence);
      types.push_back(kAmrNothing);
      continue;
    }
    const auto found = amr_frames(payload, layout);
    EXPECT_TRUE(found);
    if (!found) return types;
    EXPECT_EQ(found->count, 1u);
    EXPECT_EQ(encoded.is_silence,
              found->frames[0].type > 8 || (!layout.wideband && found->frames[0].type == 8));
    types.push_back(found->frames[0].type);
  }
  return types;
}

std::vector<int> types_of(const AudioFormat& format, std::uint32_t bitrate_bps = 0) {
  CodecSettings settings;
  settings.bitrate_bps = bitrate_bps;
  const auto encoder = make_audio_encoder(format, settings);
  EXPECT_TRUE(encoder) << encoder.error();
  return types_of(**encoder, {format.clock_rate_hz == 16'000, false}, 2);
}

using Types = std::vector<int>;

TEST(AmrEncoder, SendsTheBestModeThatWasNegotiated) {
  EXPECT_EQ(types_of({"AMR", 8000, 1, ""}), (Types{7, 7}));
  EXPECT_EQ(types_of({"AMR", 8000, 1, "mode-set=0,2,5"}), (Types{5, 5}));
  EXPECT_EQ(types_of({"AMR", 8000, 1, "mode-set=0, 2, 4; mode-change-period=2"}), (Types{4, 4}));
  EXPECT_EQ(types_of({"AMR", 8000, 1, "mode-set=7"}), (Types{7, 7}));
  EXPECT_EQ(types_of({"AMR", 8000, 1, "mode-set=3,99,x"}), (Types{3, 3})) << "what is no mode is left out";
  EXPECT_EQ(types_of({"AMR-WB", 16'000, 1, ""}), (Types{2, 2})) << "12.65 kbit/s";
  EXPECT_EQ(types_of({"AMR-WB", 16'000, 1, "mode-set=0,1,8"}), (Types{1, 1}));
  EXPECT_EQ(types_of({"AMR-WB", 16'000, 1, "mode-set=8"}), (Types{8, 8})) << "there is no other";
}

TEST(AmrEncoder, KeepsToTheBitrate) {
  EXPECT_EQ(types_of({"AMR", 8000, 1, ""}, 6700), (Types{3, 3}));
  EXPECT_EQ(types_of({"AMR", 8000, 1, ""}, 6699), (Types{2, 2}));
  EXPECT_EQ(types_of({"AMR", 8000, 1, ""}, 1000), (Types{0, 0}));
  EXPECT_EQ(types_of({"AMR-WB", 16'000, 1, ""}, 64'000), (Types{8, 8}));
}

TEST(AmrEncoder, AModeSetWithoutAModeIsNamed) {
  EXPECT_EQ(make_audio_encoder({"AMR", 8000, 1, "mode-set=8"}).error(),
            "AMR with mode-set=8 has no mode that could be encoded");
  EXPECT_TRUE(make_audio_encoder({"AMR-WB", 16'000, 1, "mode-set=8"}));
  EXPECT_EQ(make_audio_encoder({"AMR", 8000, 1, "robust-sorting=1"}).error(),
            "AMR with robust-sorting is not encoded");
  EXPECT_EQ(make_audio_encoder({"AMR", 8000, 2, ""}).error(), "AMR with 2 channels is not encoded");
}

// RFC 4867 section 4.3.1: what the decoder hears of a peer reaches the encoder for that peer.
TEST(AmrEncoder, FollowsWhatThePeerAsksFor) {
  for (const bool align : {false, true}) {
    const AudioFormat format{"AMR", 8000, 1, align ? "octet-align=1;mode-set=0,2,5,7" : "mode-set=0,2,5,7"};
    const auto peer = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    const auto encoder = make_audio_encoder(format);
    ASSERT_TRUE(peer && decoder && encoder);
    EXPECT_FALSE((*decoder)->requested_mode()) << "nothing was said";
    const auto ask = [&](std::uint8_t mode) {
      (*peer)->request_mode(mode);
      std::vector<std::byte> payload((*peer)->octets_for(160));
      payload.resize((*peer)->encode(test::tone(8000, 160), payload).octets);
      EXPECT_TRUE(test::decoded(**decoder, payload));
      pass_requests(**decoder, **encoder);
      return types_of(**encoder, {false, align}, 1);
    };
    EXPECT_EQ(ask(15), Types{7}) << "no preference";
    EXPECT_EQ(ask(2), Types{2});
    EXPECT_EQ(types_of(**encoder, {false, align}, 3), (Types{2, 2, 2})) << "until another request comes";
    EXPECT_EQ(ask(4), Types{2}) << "not in the mode-set";
    EXPECT_EQ(ask(0), Types{0});
    EXPECT_EQ(ask(9), Types{0}) << "no mode, so nothing was asked for";
    EXPECT_EQ(ask(15), Types{7}) << "no preference any more";
  }
}

TEST(AmrDecoder, ARequestInADamagedPayloadIsNoRequest) {
  const auto decoder = make_audio_decoder({"AMR", 8000, 1, "octet-align=1"});
  const std::vector<std::uint8_t> cut = {0x20, 0x3c, 1, 2, 3};
  EXPECT_FALSE(test::decoded(**decoder, bytes(cut.data(), cut.size())));
  EXPECT_FALSE((*decoder)->requested_mode());
  const std::vector<std::uint8_t> future = {0xa0, 0x7c};
  EXPECT_TRUE(test::decoded(**decoder, bytes(future.data(), future.size())));
  EXPECT_FALSE((*decoder)->requested_mode()) << "10 is for future use";
}

TEST(AmrEncoder, ChangesTheModeOnlyAsFarAndAsOftenAsWasNegotiated) {
  const auto by_one = make_audio_encoder({"AMR", 8000, 1, "mode-set=0,2,5,7;mode-change-neighbor=1"});
  (*by_one)->on_feedback({0, {}, {}});
  EXPECT_EQ(types_of(**by_one, {}, 4), (Types{5, 2, 0, 0}));
  (*by_one)->on_feedback({5, {}, {}});
  EXPECT_EQ(types_of(**by_one, {}, 3), (Types{2, 5, 5}));
  const auto by_two = make_audio_encoder({"AMR", 8000, 1, "mode-change-period=2"});
  EXPECT_EQ(types_of(**by_two, {}, 1), Types{7});
  (*by_two)->on_feedback({0, {}, {}});
  EXPECT_EQ(types_of(**by_two, {}, 2), (Types{7, 0})) << "at every second frame alone";
  (*by_two)->on_feedback({3, {}, {}});
  EXPECT_EQ(types_of(**by_two, {}, 2), (Types{0, 3}));
}

TEST(AmrEncoder, TheBitrateBoundsWhatThePeerAsksFor) {
  CodecSettings settings;
  settings.bitrate_bps = 7950;
  const auto encoder = make_audio_encoder({"AMR", 8000, 1, ""}, settings);
  EXPECT_EQ(types_of(**encoder, {}, 1), Types{5});
  (*encoder)->on_feedback({7, {}, {}});
  EXPECT_EQ(types_of(**encoder, {}, 1), Types{5});
  (*encoder)->on_feedback({{}, 5000, {}});
  EXPECT_EQ(types_of(**encoder, {}, 1), Types{0});
  (*encoder)->on_feedback({{}, 0, {}});
  EXPECT_EQ(types_of(**encoder, {}, 1), Types{5}) << "no other bound than the first one";
}

TEST(AmrEncoder, PausesInSilenceIfItMay) {
  for (const bool wide : {false, true}) {
    for (const bool dtx : {false, true}) {
      CodecSettings settings;
      settings.dtx = dtx;
      const AudioFormat format{wide ? "AMR-WB" : "AMR", wide ? 16'000u : 8000u, 1, ""};
      const auto encoder = make_audio_encoder(format, settings);
      const auto silence = test::low_noise((*encoder)->sample_rate_hz() * 2, 3);
      const Types types = types_of(**encoder, {wide, false}, 90, silence);
      const auto nothing = std::ranges::count(types, int{kAmrNothing});
      const auto descriptors = std::ranges::count(types, wide ? 9 : 8);
      EXPECT_EQ(nothing > 40, dtx) << format.encoding << nothing;
      EXPECT_EQ(descriptors > 4, dtx) << format.encoding << descriptors;
      // And it goes on when somebody speaks.
      const Types speech = types_of(**encoder, {wide, false}, 10);
      EXPECT_LE(speech.back(), 8) << format.encoding;
    }
  }
}

}  // namespace
}  // namespace ferry
