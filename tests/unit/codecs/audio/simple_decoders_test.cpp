// SPDX-License-Identifier: Apache-2.0
// Decoders against the encoders of other projects: a tone goes in, its frequency and level come out.

#include "codecs/audio/simple_decoders.hpp"

#include "tests/support/tones.hpp"

#include <spandsp.h>

namespace ferry {
namespace {

using test::bytes;
using test::concealed;
using test::decoded;
using test::Heard;
using test::round_trip;
using test::tone;

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
  EXPECT_EQ(decoded(**decoder, bytes(payload.data(), payload.size())),
            (std::vector<std::int16_t>{258, -2, 32767, -32768}));
  EXPECT_EQ((*decoder)->channels(), 2u);
  EXPECT_FALSE(decoded(**decoder, bytes(payload.data(), 3))) << "half a sample";
  EXPECT_FALSE(decoded(**decoder, bytes(payload.data(), 6))) << "a sample of one channel alone";
}

TEST(AudioDecoder, LossIsHiddenByWhatWasHeard) {
  auto decoder = make_audio_decoder({"PCMA", 8000, 1, ""});
  ASSERT_TRUE(decoder);
  const auto in = tone(8000, 1600);
  std::vector<std::uint8_t> payload;
  for (const std::int16_t sample : in) payload.push_back(linear_to_alaw(sample));
  ASSERT_TRUE(decoded(**decoder, bytes(payload.data(), payload.size())));
  double energy = 0;
  for (const std::int16_t sample : concealed(**decoder, 160)) energy += static_cast<double>(sample) * sample;
  EXPECT_GT(std::sqrt(energy / 160), 4000);
}

TEST(AudioDecoder, MoreThan240MillisecondsInOnePacketAreRefused) {
  struct Row {
    AudioFormat format;
    /// The longest payload that is decoded, and one that is longer.
    std::size_t longest;
    std::size_t longer;
  };
  const Row rows[] = {
      {{"PCMU", 8000, 1, ""}, 1920, 1921},    {{"PCMA", 16'000, 1, ""}, 3840, 3841},
      {{"G722", 8000, 1, ""}, 1920, 1921},    {{"GSM", 8000, 1, ""}, 12 * 33, 13 * 33},
      {{"G726-16", 8000, 1, ""}, 480, 481},   {{"G726-40", 8000, 1, ""}, 1200, 1201},
      {{"L16", 8000, 1, ""}, 65'534, 65'536},
  };
  for (const Row& row : rows) {
    const auto decoder = make_audio_decoder(row.format);
    ASSERT_TRUE(decoder) << row.format.encoding;
    const std::vector<std::uint8_t> payload(row.longer, 0xd5);
    EXPECT_TRUE(decoded(**decoder, bytes(payload.data(), row.longest))) << row.format.encoding;
    EXPECT_FALSE(decoded(**decoder, bytes(payload.data(), row.longer))) << row.format.encoding;
  }
}

TEST(AudioDecoder, APartOfAFrameIsRefused) {
  const std::vector<std::uint8_t> payload(100, 0xd5);
  const auto gsm = make_audio_decoder({"GSM", 8000, 1, ""});
  for (const std::size_t size : {0u, 1u, 32u, 34u, 65u})
    EXPECT_FALSE(decoded(**gsm, bytes(payload.data(), size))) << size;
  EXPECT_TRUE(decoded(**gsm, bytes(payload.data(), 66))) << "two frames";
  const auto opus = make_audio_decoder({"opus", 48'000, 2, ""});
  EXPECT_FALSE(decoded(**opus, {})) << "an empty payload is no packet of Opus";
  // A code that is cut in two would put all later packets out of step.
  for (const char* name : {"G726-24", "AAL2-G726-24", "G726-40", "AAL2-G726-40"}) {
    const auto g726 = make_audio_decoder({name, 8000, 1, ""});
    const std::size_t whole = name[std::string_view(name).size() - 2] == '2' ? 3 : 5;
    for (std::size_t size = 1; size <= 2 * whole; ++size)
      EXPECT_EQ(decoded(**g726, bytes(payload.data(), size)).has_value(), size % whole == 0) << name << size;
  }
}

// A peer writes the clock rate into its SDP. It must not decide how much memory a stream takes.
TEST(AudioDecoder, TheRoomIsBoundedWhateverTheFormatSays) {
  for (const auto make : {make_pcmu_decoder, make_pcma_decoder, make_l16_decoder}) {
    const AudioFormat format{"x", 4'294'967'295u, 1, ""};
    const auto decoder = make(format);
    ASSERT_TRUE(decoder);
    EXPECT_LE((*decoder)->max_samples(), 65'535u);
  }
}

TEST(AudioDecoder, ChannelsThatAreNotDecodedAreNamed) {
  EXPECT_EQ(make_audio_decoder({"PCMU", 8000, 2, ""}).error(), "PCMU with 2 channels is not decoded");
  EXPECT_EQ(make_audio_decoder({"L16", 8000, 9, ""}).error(), "L16 with 9 channels is not decoded");
  EXPECT_EQ(make_l16_decoder({"L16", 0, 1, ""}).error(), "L16 without a clock rate");
}

}  // namespace
}  // namespace ferry
