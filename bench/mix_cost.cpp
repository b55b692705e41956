// SPDX-License-Identifier: Apache-2.0
// Measures what it costs one receiver to hear several sources at a time: CPU time for each 20 ms of what it
// gets, by the number of sources and their codec. One source is the plain transcoder.
//
// mix_cost [SECONDS]   a table
#include "codecs/audio/codec_table.hpp"
#include "codecs/transcode/mixing_stage.hpp"
#include "tests/support/speech.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <vector>

namespace {

using namespace ferry;
using namespace std::chrono_literals;

constexpr PayloadType kIn{96};

double seconds_used() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Nobody final : public MadePackets {
 public:
  void take(const MadePacket&) noexcept override { ++packets; }
  std::size_t packets = 0;
};

/// CPU time of one receiver for 20 ms, us.
double cost(const AudioFormat& format, CodecSettings settings, unsigned sources, int frames) {
  auto encoder = make_audio_encoder(format, settings).value();
  const std::size_t frame = encoder->sample_rate_hz() / 50;
  const auto voice = test::speech(encoder->sample_rate_hz(), 2);
  std::vector<std::vector<std::byte>> payloads;
  for (std::size_t at = 0; at + frame <= voice.size(); at += frame) {
    const auto samples = std::span(voice).subspan(at, frame);
    std::vector<std::int16_t> both;
    for (const std::int16_t each : samples) both.insert(both.end(), encoder->channels(), each);
    payloads.emplace_back(encoder->octets_for(both.size()));
    payloads.back().resize(encoder->encode(both, payloads.back()).octets);
  }
  auto terms = std::make_shared<AudioConversion>();
  terms->inputs = {{kIn, AudioInput::Kind::kSpeech, format}};
  terms->type = PayloadType{97};
  terms->format = format;
  terms->settings = settings;
  terms->mixes = true;
  MixingStage stage;
  Nobody out;
  Instant now(1h);
  double begun = 0;
  for (int n = -50; n < frames; ++n, now += 20ms) {
    if (n == 0) begun = seconds_used();
    for (unsigned from = 0; from < sources; ++from) {
      RtpView rtp;
      rtp.ssrc = Ssrc{from + 1};
      rtp.sequence = SeqNo{static_cast<std::uint16_t>(n + 50)};
      rtp.timestamp = static_cast<std::uint32_t>(n + 50) * (format.clock_rate_hz / 50);
      rtp.payload_type = kIn;
      rtp.payload = payloads[(static_cast<std::size_t>(n + 50) + 17 * from) % payloads.size()];
      stage.hear(from, terms, rtp, now, out);
    }
    while (stage.due() && *stage.due() < now + 20ms) stage.drive(*stage.due(), out);
  }
  return (seconds_used() - begun) * 1e6 / frames;
}

}  // namespace

int main(int argc, char** argv) {
  const int frames = 50 * (argc > 1 ? std::max(std::atoi(argv[1]), 1) : 20);
  struct Row {
    const char* name;
    AudioFormat format;
    CodecSettings settings;
  };
  const Row rows[] = {{"PCMU", {"PCMU", 8000, 1, ""}, {}},
                      {"G722", {"G722", 8000, 1, ""}, {}},
                      {"opus, 16 kHz", {"opus", 48'000, 2, ""}, {16'000, 0, 0, -1, false}},
                      {"opus, 48 kHz", {"opus", 48'000, 2, ""}, {48'000, 0, 0, -1, false}}};
  std::printf("us of CPU for each 20 ms of one receiver\n%-14s", "sources");
  for (const unsigned sources : {1u, 2u, 3u, 7u, 15u}) std::printf("%9u", sources);
  std::printf("\n");
  for (const Row& row : rows) {
    std::printf("%-14s", row.name);
    for (const unsigned sources : {1u, 2u, 3u, 7u, 15u})
      std::printf("%9.1f", cost(row.format, row.settings, sources, frames));
    std::printf("\n");
  }
  return 0;
}
