// SPDX-License-Identifier: Apache-2.0
// Opus: what the receiver's SDP asks for, rates, redundancy and pauses.

#include "codecs/audio/opus.hpp"

#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

#include <numeric>

#include <opus/opus.h>

namespace ferry {
namespace {

using test::bytes;
using test::decoded;
using test::Heard;
using test::round_trip;

using Samples = std::vector<std::int16_t>;
using Packets = std::vector<std::vector<std::byte>>;

TEST(AudioDecoder, Opus_AndItsConcealment) {
  OpusEncoder* encoder = opus_encoder_create(48000, 1, OPUS_APPLICATION_VOIP, nullptr);
  const Heard heard = round_trip(
      {"opus", 48000, 2, "useinbandfec=1"}, 48000, 960,
      [&](const std::int16_t* in, std::uint8_t* out) { return opus_encode(encoder, in, 960, out, 1000); });
  opus_encoder_destroy(encoder);
  EXPECT_GT(heard.share, 0.9);
  auto decoder = make_audio_decoder({"OPUS", 48000, 2, "sprop-stereo=1"});
  ASSERT_TRUE(decoder);
  EXPECT_EQ((*decoder)->channels(), 2u);
  std::vector<std::int16_t> out(2016, 77);
  (*decoder)->conceal(std::span(out).first(2000));
  EXPECT_EQ(out[1999], 0) << "nothing was heard yet, so what is made up is silence to the last sample";
  EXPECT_EQ(out[2000], 77) << "stereo, to the very sample";
}

std::unique_ptr<AudioEncoder> encoder_of(const char* parameters, const CodecSettings& settings = {}) {
  auto encoder = make_audio_encoder({"opus", 48'000, 2, parameters}, settings);
  EXPECT_TRUE(encoder) << encoder.error();
  return std::move(*encoder);
}

/// Payloads of `ms` each; those that are not sent are empty.
Packets packets_of(AudioEncoder& encoder, std::span<const std::int16_t> samples, std::size_t ms = 20) {
  const std::size_t each = encoder.sample_rate_hz() * ms / 1000 * encoder.channels();
  Packets packets;
  for (; samples.size() >= each; samples = samples.subspan(each)) {
    std::vector<std::byte> payload(encoder.octets_for(each));
    payload.resize(encoder.encode(samples.first(each), payload).octets);
    packets.push_back(std::move(payload));
  }
  return packets;
}

std::size_t octets_of(const Packets& packets) {
  return std::accumulate(packets.begin(), packets.end(), std::size_t{0},
                         [](std::size_t sum, const auto& each) { return sum + each.size(); });
}

CodecSettings at_rate(std::uint32_t rate_hz) {
  CodecSettings settings;
  settings.sample_rate_hz = rate_hz;
  return settings;
}

const std::uint8_t* first_octet(const std::vector<std::byte>& payload) {
  return reinterpret_cast<const std::uint8_t*>(payload.data());
}

TEST(OpusEncoder, KnowsTheLengthsThatAPacketMayHave) {
  for (const std::uint32_t rate : {8000u, 16'000u, 48'000u}) {
    const auto encoder = encoder_of("", at_rate(rate));
    for (const std::size_t tenths : {25u, 50u, 100u, 200u, 400u, 600u, 800u, 1000u, 1200u}) {
      const std::size_t samples = rate * tenths / 10'000;
      EXPECT_TRUE(encoder->takes(samples)) << tenths;
      const auto spoken = test::speech(rate, 0.2);
      std::vector<std::byte> payload(encoder->octets_for(samples));
      payload.resize(encoder->encode(std::span(spoken).last(samples), payload).octets);
      ASSERT_FALSE(payload.empty());
      EXPECT_EQ(opus_packet_get_nb_samples(first_octet(payload), static_cast<int>(payload.size()), 48'000),
                static_cast<int>(480 * tenths / 100))
          << rate;
    }
    for (const std::size_t tenths : {0u, 75u, 300u, 500u, 1400u})
      EXPECT_FALSE(encoder->takes(rate * tenths / 10'000)) << tenths;
    EXPECT_EQ(encoder->octets_for(encoder->frame_samples() - 1), 0u);
    // Of 30 ms, 20 are encoded and the rest is left out.
    const auto thirty = packets_of(*encoder, test::speech(rate, 0.03), 30);
    EXPECT_EQ(opus_packet_get_nb_samples(first_octet(thirty[0]), static_cast<int>(thirty[0].size()), 48'000),
              960);
  }
}

TEST(OpusEncoder, GivesTheReceiverNoMoreThanItAskedFor) {
  const Samples spoken = test::speech(48'000, 1);
  const auto bits_of = [&](const char* parameters, std::uint32_t bitrate_bps) {
    CodecSettings settings;
    settings.bitrate_bps = bitrate_bps;
    return octets_of(packets_of(*encoder_of(parameters, settings), spoken)) * 8;
  };
  EXPECT_NEAR(static_cast<double>(bits_of("", 0)), 24'000, 5000);
  EXPECT_LT(bits_of("maxaveragebitrate=12000", 0), 14'500u);
  EXPECT_LT(bits_of("maxaveragebitrate=12000", 64'000), 14'500u);
  EXPECT_GT(bits_of("maxaveragebitrate=128000", 64'000), 50'000u);
  EXPECT_LT(bits_of("maxaveragebitrate=128000", 16'000), 19'000u);
  EXPECT_GT(bits_of("maxaveragebitrate=garbage", 0), 18'000u) << "no number, so no wish";
  EXPECT_GT(bits_of("maxaveragebitrate=0", 0), 3000u) << "less than the codec can";
  EXPECT_NEAR(static_cast<double>(bits_of("cbr=1", 0)), 24'000, 500);
}

TEST(OpusEncoder, ConstantRateMakesPacketsOfOneSize) {
  const Packets packets = packets_of(*encoder_of("cbr=1"), test::speech(48'000, 0.5));
  for (const auto& each : packets) EXPECT_EQ(each.size(), packets[0].size());
}

TEST(OpusEncoder, TheBandIsThatOfThePlayer) {
  for (const auto& [parameters, most] : {std::pair{"maxplaybackrate=8000", OPUS_BANDWIDTH_NARROWBAND},
                                         std::pair{"maxplaybackrate=16000", OPUS_BANDWIDTH_WIDEBAND},
                                         std::pair{"maxplaybackrate=24000", OPUS_BANDWIDTH_SUPERWIDEBAND},
                                         std::pair{"", OPUS_BANDWIDTH_FULLBAND}}) {
    CodecSettings settings;
    settings.bitrate_bps = 64'000;
    int widest = 0;
    for (const auto& each : packets_of(*encoder_of(parameters, settings), test::speech(48'000, 0.5)))
      widest = std::max(widest, opus_packet_get_bandwidth(first_octet(each)));
    EXPECT_EQ(widest, most) << parameters;
  }
}

TEST(OpusEncoder, TheBitrateFollowsTheCall) {
  const auto encoder = encoder_of("maxaveragebitrate=40000");
  const Samples spoken = test::speech(48'000, 1);
  const std::size_t before = octets_of(packets_of(*encoder, spoken));
  encoder->on_feedback({{}, 10'000, {}});
  EXPECT_LT(octets_of(packets_of(*encoder, spoken)) * 2, before + before / 4);
  encoder->on_feedback({{}, 200'000, {}});
  EXPECT_LT(octets_of(packets_of(*encoder, spoken)) * 8, 50'000u) << "what the SDP says is a bound";
  encoder->on_feedback({{}, 0, {}});
  EXPECT_NEAR(static_cast<double>(octets_of(packets_of(*encoder, spoken))), static_cast<double>(before),
              static_cast<double>(before) * 0.2);
}

TEST(OpusEncoder, StereoOnlyIfBothSidesWantIt) {
  CodecSettings two;
  two.channels = 2;
  EXPECT_EQ(encoder_of("stereo=1")->channels(), 1u);
  EXPECT_EQ(encoder_of("", two)->channels(), 1u);
  const auto stereo = encoder_of("stereo=1", two);
  ASSERT_EQ(stereo->channels(), 2u);
  // The tone left, nothing right.
  const Samples tone = test::tone(48'000, 48'000);
  Samples both;
  for (const std::int16_t sample : tone) both.insert(both.end(), {sample, 0});
  auto decoder = make_audio_decoder({"opus", 48'000, 2, "sprop-stereo=1"});
  Samples left;
  Samples right;
  for (const auto& each : packets_of(*stereo, both)) {
    EXPECT_EQ(opus_packet_get_nb_channels(first_octet(each)), 2);
    const auto heard = decoded(**decoder, each);
    ASSERT_TRUE(heard);
    ASSERT_EQ(heard->size(), 1920u);
    for (std::size_t i = 0; i < heard->size(); i += 2) {
      left.push_back((*heard)[i]);
      right.push_back((*heard)[i + 1]);
    }
  }
  EXPECT_GT(test::listen(left, 48'000).share, 0.9);
  EXPECT_NEAR(test::listen(left, 48'000).level, 1, 0.1);
  EXPECT_LT(test::rms_of(right), 500);
}

// The other way round: no mixer may take 3 dB from a mono voice.
TEST(OpusEncoder, MonoKeepsItsLevel) {
  for (const std::uint32_t rate : {8000u, 16'000u, 48'000u}) {
    const auto encoder = encoder_of("stereo=1", at_rate(rate));
    const auto decoder = make_audio_decoder({"opus", 48'000, 2, "sprop-stereo=1"}, at_rate(rate));
    Samples left;
    for (const auto& each : packets_of(*encoder, test::tone(rate, rate))) {
      const auto heard = decoded(**decoder, each);
      ASSERT_TRUE(heard);
      for (std::size_t i = 0; i < heard->size(); i += 2) left.push_back((*heard)[i]);
    }
    EXPECT_NEAR(test::listen(left, rate).level, 1, 0.06) << rate;
  }
}

TEST(OpusDecoder, TheSettingsDecideAboutChannelsAndRate) {
  CodecSettings one = at_rate(8000);
  one.channels = 1;
  const auto decoder = make_audio_decoder({"opus", 48'000, 2, "sprop-stereo=1"}, one);
  EXPECT_EQ((*decoder)->channels(), 1u);
  EXPECT_EQ((*decoder)->max_samples(), 960u) << "120 ms";
  CodecSettings two;
  two.channels = 2;
  EXPECT_EQ((*make_audio_decoder({"opus", 48'000, 2, ""}, two))->channels(), 2u);
  // A packet that was made at 48 kHz in stereo is heard at 8 kHz in mono.
  const auto encoder = encoder_of("stereo=1", two);
  const auto packets = packets_of(*encoder, Samples(1920, 1000));
  const auto heard = decoded(**decoder, packets.at(0));
  ASSERT_TRUE(heard);
  EXPECT_EQ(heard->size(), 160u);
}

// RFC 6716 section 2.1.7: a coarser copy of a packet lies in the one behind it.
TEST(OpusDecoder, ALostPacketIsFoundInTheNextOne) {
  const std::uint32_t rate = 16'000;
  CodecSettings settings = at_rate(rate);
  const Samples spoken = test::speech(rate, 2);
  const auto score = [&](const char* parameters, bool by_copies) {
    const auto encoder = encoder_of(parameters, settings);
    encoder->on_feedback({{}, {}, 20});
    const Packets packets = packets_of(*encoder, spoken);
    const auto decoder = make_audio_decoder({"opus", 48'000, 2, ""}, settings);
    Samples all;
    for (std::size_t i = 0; i < packets.size(); ++i) {
      Samples part(320);
      // Every fifth packet is lost.
      if (i % 5 != 3) {
        part = decoded(**decoder, packets[i]).value_or(part);
      } else if (by_copies && i + 1 < packets.size()) {
        (*decoder)->recover(packets[i + 1], part);
      } else {
        (*decoder)->conceal(part);
      }
      all.insert(all.end(), part.begin(), part.end());
    }
    Samples heard(
        all.begin() + static_cast<std::ptrdiff_t>(test::delay_of(std::span(spoken).first(8000), all, 480)),
        all.end());
    return test::snr_of(spoken, heard);
  };
  const double concealed = score("useinbandfec=1", false);
  EXPECT_GT(score("useinbandfec=1", true), concealed + 1);
  EXPECT_NEAR(score("", true), score("", false), 0.5) << "without copies it conceals";
}

TEST(OpusDecoder, RecoversToTheVerySample) {
  const auto encoder = encoder_of("useinbandfec=1");
  const Packets packets = packets_of(*encoder, test::speech(48'000, 0.2));
  for (const std::size_t length : {1u, 119u, 120u, 121u, 960u, 1000u, 5760u, 7000u}) {
    const auto decoder = make_audio_decoder({"opus", 48'000, 2, ""});
    ASSERT_TRUE(decoded(**decoder, packets[4]));
    Samples out(length + 4, 77);
    (*decoder)->recover(packets[6], std::span(out).first(length));
    for (std::size_t i = length; i < out.size(); ++i) EXPECT_EQ(out[i], 77) << length;
    (*decoder)->recover({}, std::span(out).first(length));
    const std::vector<std::byte> garbage(3, std::byte{0xff});
    (*decoder)->recover(garbage, std::span(out).first(length));
    EXPECT_EQ(out[length], 77) << length;
  }
}

// RFC 7587 section 3.1.3.
TEST(OpusEncoder, PausesInSilenceIfBothSidesWantIt) {
  for (const auto& [parameters, dtx] :
       {std::pair{"usedtx=1", true}, std::pair{"usedtx=1", false}, std::pair{"", true}}) {
    CodecSettings settings = at_rate(16'000);
    settings.dtx = dtx;
    const auto encoder = encoder_of(parameters, settings);
    const Packets packets = packets_of(*encoder, Samples(32'000));
    const auto nothing = std::ranges::count_if(packets, [](const auto& each) { return each.empty(); });
    const bool both = dtx && *parameters != 0;
    EXPECT_EQ(nothing > 60, both) << parameters << nothing;
    EXPECT_LT(nothing, 100) << "it says from time to time that it is there";
    const Packets again = packets_of(*encoder, test::speech(16'000, 0.5));
    EXPECT_FALSE(again.back().empty());
  }
}

}  // namespace
}  // namespace ferry
