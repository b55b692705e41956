// SPDX-License-Identifier: Apache-2.0
// Comfort noise: levels and spectra there and back, and when a descriptor is sent.

#include "codecs/audio/comfort_noise.hpp"

#include "tests/support/codec_judge.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

#include <rapidcheck.h>

namespace ferry {
namespace {

using test::bytes;
using test::decoded;
using test::low_noise;
using Samples = std::vector<std::int16_t>;

double level_of(std::span<const std::int16_t> samples) {
  return -20 * std::log10(test::rms_of(samples) / 32'768);
}

/// How much of a signal one sample says about the next one: -1 high, 0 white, 1 low.
double slope_of(std::span<const std::int16_t> samples) {
  double now = 0;
  double next = 0;
  for (std::size_t i = 1; i < samples.size(); ++i) {
    now += static_cast<double>(samples[i]) * samples[i];
    next += static_cast<double>(samples[i]) * samples[i - 1];
  }
  return next / now;
}

Samples noise_of(const std::vector<std::uint8_t>& payload, std::size_t length) {
  const auto decoder = make_audio_decoder({"CN", 8000, 1, ""});
  EXPECT_TRUE(decoded(**decoder, bytes(payload.data(), payload.size())));
  return test::concealed(**decoder, length);
}

// RFC 3389 section 3.1: the level in dB below overload.
TEST(ComfortNoise, HasTheLevelOfItsPayload) {
  for (const std::uint8_t level : std::initializer_list<std::uint8_t>{20, 30, 45, 60, 70}) {
    const std::vector<std::vector<std::uint8_t>> payloads = {
        {level},
        {level, 127},
        {level, 40},
        {level, 200},
        {level, 60, 160, 110, 140, 127, 90, 127, 150, 127, 100}};
    for (const auto& payload : payloads)
      EXPECT_NEAR(level_of(noise_of(payload, 16'000)), level, 1.5) << payload.size();
  }
  EXPECT_EQ(test::rms_of(noise_of({127}, 1000)), 0) << "no sound at all";
  EXPECT_NEAR(level_of(noise_of({128 + 50}, 16'000)), 50, 1) << "the first bit is not in use";
}

TEST(ComfortNoise, APayloadIs20MillisecondsAndGoesOnUntilTheNext) {
  for (const std::uint32_t rate : {8000u, 16'000u, 48'000u}) {
    const auto decoder = make_audio_decoder({"CN", rate, 1, ""});
    EXPECT_EQ((*decoder)->sample_rate_hz(), rate);
    const std::uint8_t payload = 40;
    const auto heard = decoded(**decoder, bytes(&payload, 1));
    ASSERT_TRUE(heard);
    EXPECT_EQ(heard->size(), rate / 50);
    EXPECT_FALSE(decoded(**decoder, {})) << "a level is the least";
    EXPECT_NEAR(level_of(test::concealed(**decoder, rate)), 40, 1.5);
  }
  const auto silent = make_audio_decoder({"CN", 8000, 1, ""});
  EXPECT_EQ(test::rms_of(test::concealed(**silent, 100)), 0) << "nothing was said yet";
}

TEST(ComfortNoise, ANewLevelIsNoClick) {
  const auto decoder = make_audio_decoder({"CN", 8000, 1, ""});
  const std::uint8_t quiet = 70;
  const std::uint8_t loud = 30;
  ASSERT_TRUE(decoded(**decoder, bytes(&quiet, 1)));
  const auto heard = decoded(**decoder, bytes(&loud, 1));
  EXPECT_LT(test::rms_of(std::span(*heard).first(4)), 200);
  EXPECT_GT(test::rms_of(test::concealed(**decoder, 800)), 800);
}

TEST(ComfortNoise, WhatIsDescribedSoundsLikeIt) {
  for (const double rms : {20.0, 100.0, 1000.0}) {
    const Samples low = low_noise(16'000, rms);
    Samples high(low.size());
    for (std::size_t i = 1; i < high.size(); ++i)
      high[i] = static_cast<std::int16_t>(low[i] * (i % 2 == 0 ? 1 : -1));
    for (const Samples& each : {low, high}) {
      const SilenceDescriptor silence = describe_silence(each);
      EXPECT_NEAR(silence.level, level_of(each), 0.6);
      EXPECT_EQ(silence.count, 10u);
      std::vector<std::byte> payload(11);
      ASSERT_EQ(write_silence_descriptor(silence, payload), 11u);
      const auto decoder = make_audio_decoder({"CN", 8000, 1, ""});
      ASSERT_TRUE(decoded(**decoder, payload));
      const Samples heard = test::concealed(**decoder, 16'000);
      EXPECT_NEAR(level_of(heard), level_of(each), 1.5);
      EXPECT_NEAR(slope_of(heard), slope_of(each), 0.1);
    }
  }
}

// The signs of the coefficients and the level are those of others, too: a payload that FFmpeg makes of noise
// sounds like that noise here. (bcg729 has the opposite signs in `bcg729GetRFC3389Payload`; WebRTC has
// these.)
TEST(ComfortNoise, APayloadOfAnotherEncoderSoundsAsItShould) {
  if (!test::has_ffmpeg()) GTEST_SKIP() << "ffmpeg is not there";
  const Samples low = low_noise(8000, 100);
  Samples high(low.size());
  for (std::size_t i = 1; i < high.size(); ++i)
    high[i] = static_cast<std::int16_t>(low[i] * (i % 2 == 0 ? 1 : -1));
  for (const Samples& each : {low, high}) {
    const auto payloads = test::made_by_ffmpeg("-c:a comfortnoise -f data", each);
    ASSERT_GE(payloads.size(), 11u);
    const auto* first = reinterpret_cast<const std::uint8_t*>(payloads.data());
    const Samples heard = noise_of({first, first + 11}, 16'000);
    EXPECT_NEAR(slope_of(heard), slope_of(each), 0.15);
    EXPECT_NEAR(level_of(heard), level_of(each), 2);
  }
}

TEST(ComfortNoise, DescriptorsAreReadAsTheyWereWritten) {
  rc::check([] {
    const auto octets = *rc::gen::nonEmpty<std::vector<std::uint8_t>>();
    const auto silence = silence_descriptor(bytes(octets.data(), octets.size()));
    RC_ASSERT(silence.has_value());
    std::vector<std::byte> written(1 + silence->count);
    RC_ASSERT(write_silence_descriptor(*silence, written) == std::min<std::size_t>(octets.size(), 11));
    RC_ASSERT(std::to_integer<int>(written[0]) == (octets[0] & 127));
    for (std::size_t i = 1; i < written.size(); ++i)
      RC_ASSERT(std::to_integer<int>(written[i]) == std::min<int>(octets[i], 254));
    // And no coefficients make noise that grows.
    NoiseSource noise;
    noise.set(*silence);
    Samples out(8000);
    noise.fill(out);
    RC_ASSERT(silence->level < 20 || test::rms_of(out) < 20'000);
  });
}

TEST(ComfortNoiseEncoder, SaysWhatIsNewAndThatItIsThere) {
  for (const std::uint32_t rate : {8000u, 16'000u}) {
    const auto encoder = make_audio_encoder({"CN", rate, 1, ""});
    ASSERT_TRUE(encoder);
    EXPECT_EQ((*encoder)->frame_samples(), rate / 100);
    const std::size_t frame = rate / 50;
    const auto sent = [&](double rms, std::size_t frames) {
      std::vector<std::size_t> at;
      const Samples noise = low_noise(frame * frames, rms, 99);
      for (std::size_t i = 0; i < frames; ++i) {
        std::vector<std::byte> payload((*encoder)->octets_for(frame));
        const Encoded encoded = (*encoder)->encode(std::span(noise).subspan(i * frame, frame), payload);
        EXPECT_TRUE(encoded.is_silence);
        if (encoded.octets > 0) at.push_back(i);
      }
      return at;
    };
    // Noise of 20 ms is never of one level exactly, so a descriptor may come before its time.
    const auto steady = sent(100, 100);
    EXPECT_EQ(steady.front(), 0u) << "at once";
    EXPECT_GE(steady.size(), 5u) << "each 400 ms at least";
    EXPECT_LE(steady.size(), 30u);
    const auto louder = sent(1000, 10);
    ASSERT_FALSE(louder.empty());
    EXPECT_EQ(louder.front(), 0u) << "20 dB more";
    (*encoder)->restart();
    EXPECT_EQ(sent(1000, 1).size(), 1u) << "somebody spoke in between";
  }
}

TEST(ComfortNoiseEncoder, DigitalSilenceHasTheLowestLevel) {
  const auto encoder = make_audio_encoder({"CN", 8000, 1, ""});
  std::vector<std::byte> payload((*encoder)->octets_for(160));
  EXPECT_EQ((*encoder)->encode(Samples(160), payload).octets, 1u);
  EXPECT_EQ(payload[0], std::byte{127});
  EXPECT_EQ((*encoder)->encode(Samples(79), payload).octets, 0u) << "too little to say anything";
  EXPECT_EQ(make_audio_encoder({"CN", 8000, 2, ""}).error(), "CN with 2 channels is not encoded");
  EXPECT_EQ(make_audio_decoder({"CN", 8000, 2, ""}).error(), "CN with 2 channels is not decoded");
}

}  // namespace
}  // namespace ferry
