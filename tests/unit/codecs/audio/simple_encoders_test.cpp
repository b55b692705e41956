// SPDX-License-Identifier: Apache-2.0
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
    {"PCMU", 8000, 1, 160},        {"PCMA", 8000, 1, 160},        {"G722", 16'000, 2, 160},
    {"GSM", 8000, 160, 33},        {"L16", 8000, 1, 320},         {"G726-16", 8000, 4, 40},
    {"G726-24", 8000, 8, 60},      {"G726-32", 8000, 2, 80},      {"G726-40", 8000, 8, 100},
    {"AAL2-G726-16", 8000, 4, 40}, {"AAL2-G726-24", 8000, 8, 60}, {"AAL2-G726-32", 8000, 2, 80},
    {"AAL2-G726-40", 8000, 8, 100}};

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
          const std::size_t made = (*encoder)->encode({in, frame}, room).octets;
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
    EXPECT_TRUE((*encoder)->takes(3 * row.frame_samples)) << row.encoding;
    EXPECT_EQ((*encoder)->takes(row.frame_samples + 1), row.frame_samples == 1) << row.encoding;
    EXPECT_FALSE((*encoder)->takes(0)) << row.encoding;
    EXPECT_EQ(encode_all(**encoder, {}).size(), 0u) << row.encoding;
    EXPECT_EQ(encode_all(**encoder, test::tone(8000, 2 * row.frame_samples - 1)).size(), one) << row.encoding;
  }
}

TEST(AudioEncoder, ChannelsThatAreNotEncodedAreNamed) {
  for (const EncoderRow& row : kEncoders) {
    const unsigned channels = row.encoding == std::string("L16") ? 3 : 2;
    EXPECT_EQ(make_audio_encoder({row.encoding, 8000, channels, ""}).error(),
              std::string(row.encoding) + " with " + std::to_string(channels) + " channels is not encoded");
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

TEST(AudioEncoder, L16_BothChannelsSayTheSame) {
  const auto encoder = make_audio_encoder({"L16", 16'000, 2, ""});
  ASSERT_TRUE(encoder);
  const std::vector<std::int16_t> samples = {258, -2};
  std::vector<std::byte> payload((*encoder)->octets_for(2));
  ASSERT_EQ((*encoder)->encode(samples, payload).octets, 8u);
  const auto octet = [&](std::size_t at) { return std::to_integer<int>(payload[at]); };
  EXPECT_EQ((std::vector<int>{octet(0), octet(1), octet(2), octet(3)}), (std::vector<int>{1, 2, 1, 2}));
  EXPECT_EQ((std::vector<int>{octet(4), octet(5), octet(6), octet(7)}),
            (std::vector<int>{0xff, 0xfe, 0xff, 0xfe}));
}

// RFC 3551 section 4.5.4: the first code lies in the least significant bits; AAL2 is the other way round.
TEST(AudioEncoder, G726_TheTwoPackingsHaveTheSameCodes) {
  const auto samples = test::tone(8000, 160);
  const auto rfc = encode_all(**make_audio_encoder({"G726-32", 8000, 1, ""}), samples);
  const auto aal2 = encode_all(**make_audio_encoder({"AAL2-G726-32", 8000, 1, ""}), samples);
  ASSERT_EQ(rfc.size(), aal2.size());
  for (std::size_t i = 0; i < rfc.size(); ++i) EXPECT_EQ(rfc[i], (aal2[i] << 4 | aal2[i] >> 4)) << i;
  EXPECT_NE(rfc, aal2);
}

}  // namespace
}  // namespace ferry
