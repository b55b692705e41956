// Encoders: what they make is decoded again, and a stream in parts is the same as in one piece.

#include "codecs/audio/simple_encoders.hpp"

#include "tests/support/tones.hpp"

#include <algorithm>

#include <rapidcheck.h>

namespace ferry {
namespace {

struct EncoderRow {
  const char* encoding;
  std::uint32_t rate_hz;
  std::size_t frame_samples;
  /// Octets of 20 ms.
  std::size_t octets;
};
constexpr EncoderRow kEncoders[] = {
    {"PCMU", 8000, 1, 160}, {"PCMA", 8000, 1, 160}, {"G722", 16'000, 2, 160}, {"GSM", 8000, 160, 33}};

TEST(AudioEncoder, WhatIsEncodedIsHeard) {
  for (const EncoderRow& row : kEncoders) {
    const AudioFormat format{row.encoding, 8000, 1, ""};
    const auto encoder = make_audio_encoder(format);
    ASSERT_TRUE(encoder) << row.encoding;
    EXPECT_EQ((*encoder)->sample_rate_hz(), row.rate_hz);
    EXPECT_EQ((*encoder)->frame_samples(), row.frame_samples) << row.encoding;
    const std::size_t frame = row.rate_hz / 50;
    const test::Heard heard =
        test::round_trip(format, row.rate_hz, frame, [&](const std::int16_t* in, std::uint8_t* out) {
          const MutableBytes room(reinterpret_cast<std::byte*>(out), (*encoder)->octets_for(frame));
          const std::size_t made = (*encoder)->encode({in, frame}, room);
          EXPECT_EQ(made, row.octets) << row.encoding;
          return made;
        });
    EXPECT_GT(heard.share, 0.9) << row.encoding;
    EXPECT_NEAR(heard.level, 1, 0.2) << row.encoding;
  }
}

TEST(AudioEncoder, ALastFrameThatIsNotFullIsLeftOut) {
  for (const EncoderRow& row : kEncoders) {
    const auto encoder = make_audio_encoder({row.encoding, 8000, 1, ""});
    const std::size_t one = (*encoder)->octets_for(row.frame_samples);
    EXPECT_EQ((*encoder)->octets_for(row.frame_samples - 1), 0u) << row.encoding;
    EXPECT_EQ(encode_all(**encoder, {}).size(), 0u) << row.encoding;
    EXPECT_EQ(encode_all(**encoder, test::tone(8000, 2 * row.frame_samples - 1)).size(), one) << row.encoding;
  }
}

TEST(AudioEncoder, ChannelsThatAreNotEncodedAreNamed) {
  for (const EncoderRow& row : kEncoders) {
    EXPECT_EQ(make_audio_encoder({row.encoding, 8000, 2, ""}).error(),
              std::string(row.encoding) + " with 2 channels is not encoded");
  }
}

// The state lasts from call to call, so it does not matter where a stream is cut.
TEST(AudioEncoder, AStreamInPartsIsTheSameAsInOnePiece) {
  rc::check([] {
    const EncoderRow& row = kEncoders[*rc::gen::inRange<std::size_t>(0, std::size(kEncoders))];
    const AudioFormat format{row.encoding, 8000, 1, ""};
    const auto parts = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 5));
    std::size_t all = 0;
    for (const std::size_t each : parts) all += each * row.frame_samples;
    const auto samples = test::tone(row.rate_hz, all);
    const auto whole = make_audio_encoder(format);
    const auto cut = make_audio_encoder(format);
    std::vector<std::byte> joined;
    std::span<const std::int16_t> left = samples;
    for (const std::size_t each : parts) {
      const auto payload = encode_all(**cut, left.first(each * row.frame_samples));
      joined.insert(joined.end(), payload.begin(), payload.end());
      left = left.subspan(each * row.frame_samples);
    }
    RC_ASSERT(joined == encode_all(**whole, samples));
  });
}

}  // namespace
}  // namespace ferry
