// SPDX-License-Identifier: Apache-2.0
// Hours of calls in minutes: codecs, sources, losses and conversions change at random. The timeline stays one
// line, and nothing grows. FERRY_MINUTES: how long; a day has 1,440.
#include "codecs/transcode/sample_time.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "tests/support/speech.hpp"
#include "tests/support/transcode.hpp"

#include <cstdlib>
#include <memory>

#include <malloc.h>

namespace ferry::switching_test {
namespace {

using std::chrono::milliseconds;
using test::Sent;

/// Codecs that phones switch between; cheap ones, so that a day is not a day.
const AudioFormat kFormats[] = {{"PCMU", 8000, 1, ""}, {"PCMA", 8000, 1, ""}, {"G722", 8000, 1, ""},
                                {"L16", 8000, 1, ""},  {"GSM", 8000, 1, ""},  {"G726-32", 8000, 1, ""},
                                {"L16", 16000, 1, ""}};

std::uint64_t minutes() {
  const char* text = std::getenv("FERRY_MINUTES");
  return text == nullptr ? 10 : std::strtoul(text, nullptr, 10);
}

AudioConversion random_conversion(test::LinkRandom& random) {
  AudioConversion terms;
  for (std::uint8_t i = 0; i < std::size(kFormats); ++i)
    terms.inputs.push_back(test::speech_input(static_cast<std::uint8_t>(96 + i), kFormats[i]));
  terms.inputs.push_back({PayloadType{13}, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  terms.inputs.push_back({PayloadType{110}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  terms.format = kFormats[random.below(std::size(kFormats))];
  terms.type = PayloadType{120};
  const std::uint16_t times[] = {10, 20, 30, 40, 60};
  terms.ptime_ms = times[random.below(5)];
  if (random.chance(0.5)) terms.events = OtherType{PayloadType{110}, 8000};
  if (random.chance(0.5)) terms.comfort_noise = OtherType{PayloadType{13}, 8000};
  terms.detects_tones = terms.events && random.chance(0.2);
  terms.most_delay_ms = static_cast<std::uint16_t>(random.below(3) * 40);
  return terms;
}

/// Sums up what leaves, and keeps nothing.
class Line final : public MadePackets {
 public:
  void take(const MadePacket& packet) noexcept override {
    if (packets++ > 0) {
      EXPECT_LT(packet.units, packet.clock_rate_hz * 120u) << "a jump, or a step back";
      line += time_of(packet.units, packet.clock_rate_hz);
    } else {
      began = now;
    }
    // Packets of a press all have the timestamp of its beginning.
    if (packet.units != 0) worst = std::max<Duration>(worst, std::chrono::abs(now - began - line));
  }
  Instant now{};
  Instant began{};
  Duration line{0};
  Duration worst{0};
  std::uint64_t packets = 0;
};

TEST(Switching, ADayOfItIsOneLineAndNothingGrows) {
  test::LinkRandom random(1, 1);
  auto stage = std::make_unique<Transcoder>();
  Line line;
  Instant now(std::chrono::hours(1));
  const Instant end = now + std::chrono::minutes(minutes());
  const auto voice = test::speech(16'000, 2);
  std::size_t heap = 0;
  std::uint64_t spurts = 0;
  Sent packet;
  packet.type = PayloadType{96};
  while (now < end) {
    const auto terms = std::make_shared<const AudioConversion>(random_conversion(random));
    const std::size_t codec = random.below(std::size(kFormats));
    auto encoder = make_audio_encoder(kFormats[codec]);
    ASSERT_TRUE(encoder);
    if (random.chance(0.5)) packet.ssrc.value += 1;
    if (random.chance(0.3)) packet.timestamp += static_cast<std::uint32_t>(random.below(1u << 31));
    if (random.chance(0.3)) packet.sequence = static_cast<std::uint16_t>(random.below(65'536));
    packet.from = random.below(3);
    now += milliseconds(random.below(3) * 150);
    const std::size_t samples = (*encoder)->sample_rate_hz() / 50;
    const std::size_t count = 20 + random.below(200);
    for (std::size_t i = 0; i < count; ++i, now += milliseconds(20)) {
      for (auto due = stage->due(); due && *due < now; due = stage->due()) {
        line.now = std::max(line.now, *due);
        stage->drive(line.now, line);
        ASSERT_TRUE(!stage->due() || *stage->due() > line.now);
      }
      line.now = now;
      ++packet.sequence;
      packet.timestamp += kFormats[codec].clock_rate_hz / 50;
      if (random.chance(0.05)) continue;
      RtpView rtp;
      rtp.ssrc = packet.ssrc;
      rtp.sequence = SeqNo{packet.sequence};
      rtp.timestamp = packet.timestamp;
      rtp.payload_type = PayloadType{static_cast<std::uint8_t>(96 + codec)};
      packet.payload.resize((*encoder)->octets_for(samples));
      packet.payload.resize(
          (*encoder)->encode(std::span(voice).subspan(i * 37 % 16'000, samples), packet.payload).octets);
      const std::byte press[] = {std::byte{5}, std::byte{10}, std::byte{0}, std::byte{160}};
      const std::byte noise[] = {std::byte{60}};
      const std::uint64_t other = random.below(100);
      rtp.payload = packet.payload;
      if (other == 0) rtp.payload_type = PayloadType{110};
      if (other == 0) rtp.payload = press;
      if (other == 1) rtp.payload_type = PayloadType{13};
      if (other == 1) rtp.payload = noise;
      stage->hear(packet.from, terms, rtp, now, line);
    }
    // By then everything was used once.
    if (++spurts == 100) heap = mallinfo2().uordblks;
  }
  EXPECT_GT(line.packets, minutes() * 60 * 10);
  EXPECT_LE(line.worst, milliseconds(400));
  if (spurts > 100) {
    EXPECT_LT(mallinfo2().uordblks, heap + 400'000);
  }
}

}  // namespace
}  // namespace ferry::switching_test
