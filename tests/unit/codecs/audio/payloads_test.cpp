// SPDX-License-Identifier: Apache-2.0
// What holds for all codecs: every packet length that an encoder takes, and payloads that are damaged.

#include "codecs/audio/plugin.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/tones.hpp"

#include <algorithm>

#include <rapidcheck.h>

namespace ferry {
namespace {

using test::decoded;
using Octets = std::vector<std::byte>;

/// Formats that this build both decodes and encodes, in all their layouts.
const std::vector<AudioFormat>& formats() {
  static const std::vector<AudioFormat> all = [] {
    set_codec_plugin_folder(FERRY_PLUGINS);
    std::vector<AudioFormat> found;
    for (const CodecAbility& codec : list_codecs()) {
      if (!codec.no_decoder.empty() || !codec.no_encoder.empty()) continue;
      found.push_back(codec.format);
      AudioFormat other = codec.format;
      if (other.encoding == "speex") {
        for (const std::uint32_t rate : {16'000u, 32'000u}) {
          other.clock_rate_hz = rate;
          found.push_back(other);
        }
      }
      if (other.encoding == "AMR" || other.encoding == "AMR-WB") other.parameters = "octet-align=1";
      if (other.encoding == "iLBC") other.parameters = "mode=20";
      if (other.encoding == "opus") other.parameters = "useinbandfec=1;cbr=1";
      if (other.encoding == "L16") other.clock_rate_hz = 8000;
      if (other != codec.format && other.encoding != "speex") found.push_back(other);
    }
    return found;
  }();
  return all;
}

AudioFormat any_format() { return formats()[*rc::gen::inRange<std::size_t>(0, formats().size())]; }

Octets encoded(AudioEncoder& encoder, std::span<const std::int16_t> samples) {
  Octets payload(encoder.octets_for(samples.size()) + 8, std::byte{0x5a});
  const std::size_t room = payload.size() - 8;
  const Encoded made = encoder.encode(samples, MutableBytes(payload).first(room));
  EXPECT_LE(made.octets, room);
  for (std::size_t i = room; i < payload.size(); ++i)
    EXPECT_EQ(payload[i], std::byte{0x5a}) << "behind the room";
  payload.resize(made.octets);
  return payload;
}

TEST(EveryCodec, EveryPacketLengthComesBack) {
  ASSERT_GE(formats().size(), 20u);
  for (const AudioFormat& format : formats()) {
    if (format.encoding == "CN") continue;
    const auto encoder = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    ASSERT_TRUE(encoder && decoder) << format.encoding;
    const std::uint32_t rate = (*encoder)->sample_rate_hz();
    const auto spoken = test::speech(rate, 0.25);
    std::size_t lengths = 0;
    // In steps of 2.5 ms up to 240 ms, and the one smallest part.
    for (std::size_t step = 0; step <= 96; ++step) {
      const std::size_t samples = step == 0 ? (*encoder)->frame_samples() : rate * step / 400;
      if (!(*encoder)->takes(samples)) continue;
      ++lengths;
      const Octets payload = encoded(**encoder, std::span(spoken).first(samples));
      ASSERT_GT(payload.size(), 0u) << format.encoding << samples;
      const auto heard = decoded(**decoder, payload);
      ASSERT_TRUE(heard) << format.encoding << samples;
      EXPECT_EQ(heard->size(), samples * (*decoder)->channels()) << format.encoding;
    }
    EXPECT_GE(lengths, 8u) << format.encoding;
    EXPECT_FALSE((*encoder)->takes(0)) << format.encoding;
    EXPECT_EQ((*encoder)->octets_for(0), 0u) << format.encoding;
    EXPECT_EQ((*encoder)->encode({}, {}).octets, 0u) << format.encoding;
  }
}

/// A payload of some packets' length, and what a network may do to it.
Octets damaged(AudioEncoder& encoder) {
  const auto spoken = test::speech(encoder.sample_rate_hz(), 0.12);
  std::size_t samples = encoder.sample_rate_hz() * *rc::gen::element<std::size_t>(10, 20, 30, 40, 60) / 1000;
  if (!encoder.takes(samples)) samples = encoder.sample_rate_hz() * 60 / 1000;
  Octets payload = encoded(encoder, std::span(spoken).first(samples));
  switch (*rc::gen::inRange(0, 4)) {
    case 0:
      payload.resize(*rc::gen::inRange<std::size_t>(0, payload.size() + 1));
      break;
    case 1:
      for (int flips = *rc::gen::inRange(1, 20); flips > 0 && !payload.empty(); --flips)
        payload[*rc::gen::inRange<std::size_t>(0, payload.size())] ^=
            static_cast<std::byte>(1 << *rc::gen::inRange(0, 8));
      break;
    case 2:
      payload.resize(payload.size() + *rc::gen::inRange<std::size_t>(1, 50), std::byte{0x55});
      break;
    default: {
      const auto random = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
      payload.assign(random.size(), std::byte{});
      std::ranges::transform(random, payload.begin(), [](std::uint8_t octet) { return std::byte{octet}; });
    }
  }
  return payload;
}

// `decoded` and the room behind it see whoever writes more than was said.
TEST(EveryCodec, DamagedPayloadsAreDecodedOrRefused) {
  rc::check([] {
    const AudioFormat format = any_format();
    const auto encoder = make_audio_encoder(format);
    const auto decoder = make_audio_decoder(format);
    RC_ASSERT(encoder && decoder);
    for (int packets = *rc::gen::inRange(1, 6); packets > 0; --packets) {
      const Octets payload = damaged(**encoder);
      const auto heard = decoded(**decoder, payload);
      RC_ASSERT(!heard || heard->size() % (*decoder)->channels() == 0);
      if (*rc::gen::arbitrary<bool>()) {
        std::vector<std::int16_t> out(*rc::gen::inRange<std::size_t>(0, 2000) + 4, 77);
        const auto part = std::span(out).first(out.size() - 4);
        if (*rc::gen::arbitrary<bool>())
          (*decoder)->recover(payload, part);
        else
          (*decoder)->conceal(part);
        for (std::size_t i = part.size(); i < out.size(); ++i) RC_ASSERT(out[i] == 77);
      }
    }
    // After all that it hears a good packet again.
    const std::uint32_t rate = (*encoder)->sample_rate_hz();
    const std::size_t samples = rate * 60 / 1000;
    (*encoder)->restart();
    const auto spoken = test::speech(rate, 0.07);
    const Octets good = encoded(**encoder, std::span(spoken).first(samples));
    const auto heard = decoded(**decoder, good);
    RC_ASSERT(heard.has_value());
    RC_ASSERT(format.encoding == "CN" || heard->size() == samples * (*decoder)->channels());
  });
}

// Requests and bounds come from strangers: whatever they are, the stream goes on.
TEST(EveryCodec, AnyFeedbackLeavesPayloadsThatAreHeard) {
  rc::check([] {
    const AudioFormat format = any_format();
    CodecSettings settings;
    settings.sample_rate_hz = *rc::gen::element(0u, 1u, 8000u, 16'000u, 4'000'000'000u);
    settings.channels = *rc::gen::inRange(0u, 4u);
    settings.bitrate_bps = *rc::gen::element(0u, 1u, 8000u, 64'000u, 4'000'000'000u);
    settings.complexity = *rc::gen::inRange(-3, 20);
    settings.dtx = *rc::gen::arbitrary<bool>();
    const auto encoder = make_audio_encoder(format, settings);
    const auto decoder = make_audio_decoder(format, settings);
    RC_ASSERT(encoder && decoder);
    const std::uint32_t rate = (*encoder)->sample_rate_hz();
    const std::size_t samples = rate * 60 / 1000 * (*encoder)->channels();
    RC_ASSERT((*encoder)->takes(samples));
    const auto spoken = test::speech(rate, 0.13);
    for (int packets = 4; packets > 0; --packets) {
      EncoderFeedback feedback;
      if (*rc::gen::arbitrary<bool>()) feedback.mode = *rc::gen::arbitrary<std::uint8_t>();
      if (*rc::gen::arbitrary<bool>()) feedback.bitrate_bps = *rc::gen::arbitrary<std::uint32_t>();
      if (*rc::gen::arbitrary<bool>()) feedback.loss_percent = *rc::gen::arbitrary<std::uint8_t>();
      (*encoder)->on_feedback(feedback);
      (*encoder)->request_mode(*rc::gen::arbitrary<std::uint8_t>());
      const Octets payload = encoded(**encoder, std::span(spoken).first(samples));
      if (payload.empty()) continue;
      RC_ASSERT(decoded(**decoder, payload).has_value());
      pass_requests(**decoder, **encoder);
    }
  });
}

}  // namespace
}  // namespace ferry
