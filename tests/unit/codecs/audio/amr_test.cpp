// AMR and AMR-WB: both forms of the payload against the encoders of other projects, and damaged ones.

#include "codecs/audio/amr.hpp"

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

TEST(AmrFrames, EachFrameKeepsItsTypeItsBitsAndItsQuality) {
  // Two entries: a frame of 4.75 kbit/s (95 bits) that is good, and "no data" that is marked bad.
  std::vector<std::uint8_t> payload = {0xf0, 0x84, 0x78};
  for (std::uint8_t i = 1; i <= 12; ++i) payload.push_back(i);
  const auto frames = amr_frames(bytes(payload.data(), payload.size()), false, true);
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->count, 2u);
  const AmrFrame& speech = frames->frames[0];
  EXPECT_EQ(speech.type, 0);
  EXPECT_TRUE(speech.good);
  ASSERT_EQ(speech.size, 13) << "a header and 95 bits";
  EXPECT_EQ(speech.storage[0], 0x04) << "type 0, good (RFC 4867 section 5.3)";
  EXPECT_EQ(speech.storage[1], 1);
  EXPECT_EQ(speech.storage[12], 12) << "the last bit is padding and 0 here";
  const AmrFrame& nothing = frames->frames[1];
  EXPECT_EQ(nothing.type, 15);
  EXPECT_FALSE(nothing.good);
  EXPECT_EQ(nothing.size, 1);
}

TEST(AmrFrames, TwelveFramesAreBelievedAndThirteenAreNot) {
  for (const std::size_t count : {12u, 13u}) {
    std::vector<std::uint8_t> payload = {0xf0};
    for (std::size_t i = 1; i < count; ++i) payload.push_back(0xfc);
    payload.push_back(0x7c);
    const auto frames = amr_frames(bytes(payload.data(), payload.size()), false, true);
    EXPECT_EQ(frames.has_value(), count == 12) << count;
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

}  // namespace
}  // namespace ferry
