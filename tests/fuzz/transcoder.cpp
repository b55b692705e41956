// SPDX-License-Identifier: Apache-2.0
// PRC-3: packets of every payload type into a transcoder, in any order and at any time, while signalling
// changes what they mean, and whether they are mixed. What comes out is bounded and on one timeline, and
// something that is due is done when it is.
#include "codecs/transcode/mixing_stage.hpp"
#include "tests/fuzz/facts.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace {

using namespace ferry;

/// The libraries behind AMR trust the bits of a frame (see fuzz_audio), so AMR is only made here, not read.
const std::array<AudioFormat, 9> kInputs = {{{"PCMU", 8000, 1, ""},
                                             {"PCMA", 8000, 1, ""},
                                             {"G722", 8000, 1, ""},
                                             {"L16", 16000, 2, ""},
                                             {"GSM", 8000, 1, ""},
                                             {"G726-24", 8000, 1, ""},
                                             {"opus", 48000, 2, "sprop-stereo=1"},
                                             {"speex", 16000, 1, ""},
                                             {"nothing", 8000, 1, ""}}};
const std::array<AudioFormat, 8> kOutputs = {{{"PCMU", 8000, 1, ""},
                                              {"PCMA", 8000, 1, ""},
                                              {"G722", 8000, 1, ""},
                                              {"L16", 44100, 2, ""},
                                              {"GSM", 8000, 1, ""},
                                              {"opus", 48000, 2, "useinbandfec=1;usedtx=1;stereo=1"},
                                              {"AMR", 8000, 1, ""},
                                              {"nothing", 8000, 1, ""}}};

class Facts final : public MadePackets {
 public:
  void take(const MadePacket& packet) noexcept override {
    fact(packet.payload.size() <= 65'535);
    fact(packet.type.value < 128 && packet.clock_rate_hz > 0);
    // Never back, and never a jump: no input lasts an hour.
    fact(packet.units < 0x8000'0000);
    ++count;
  }
  std::size_t count = 0;
};

std::shared_ptr<const AudioConversion> conversion(std::uint8_t a, std::uint8_t b) {
  auto made = std::make_shared<AudioConversion>();
  for (std::uint8_t i = 0; i < kInputs.size(); ++i)
    made->inputs.push_back(
        {PayloadType{static_cast<std::uint8_t>(96 + i)}, AudioInput::Kind::kSpeech, kInputs[i]});
  made->inputs.push_back({PayloadType{13}, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  made->inputs.push_back({PayloadType{110}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  made->inputs.push_back({PayloadType{111}, AudioInput::Kind::kRedundant, {"red", 8000, 1, ""}});
  // Only G.711 on both sides: the path without samples.
  if ((a & 0x40) != 0) made->inputs.resize(2);
  made->type = PayloadType{120};
  made->format = kOutputs[a % kOutputs.size()];
  made->ptime_ms = std::array<std::uint16_t, 8>{20, 10, 30, 40, 60, 0, 5, 1000}[b % 8];
  if ((b & 8) != 0) made->events = OtherType{PayloadType{110}, (b & 16) != 0 ? 48'000u : 8000u};
  if ((b & 32) != 0) made->comfort_noise = OtherType{PayloadType{13}, 8000};
  made->detects_tones = (b & 64) != 0;
  made->settings.dtx = (b & 128) != 0;
  made->most_delay_ms = static_cast<std::uint16_t>(a / 8 * 3);
  made->mixes = (a & 0x80) != 0;
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  Bytes left(reinterpret_cast<const std::byte*>(data), size);
  if (left.size() < 2) return 0;
  MixingStage stage;
  Facts out;
  Instant now(std::chrono::hours(1));
  auto terms = conversion(read_u8(left, 0), read_u8(left, 1));
  left = left.subspan(2);
  while (left.size() >= 7) {
    const std::uint8_t kind = read_u8(left, 0);
    const std::size_t length = std::min<std::size_t>(read_u8(left, 1) * 2u, left.size() - 7);
    // Mostly a packet time, sometimes much more.
    now += std::chrono::milliseconds((kind & 0x80) != 0 ? read_u8(left, 2) * 20 : read_u8(left, 2) % 32);
    if (kind % 61 == 60) terms = conversion(read_u8(left, 3), read_u8(left, 4));
    for (int turns = 0; stage.due() && *stage.due() <= now; ++turns) {
      const Instant due = *stage.due();
      stage.drive(due, out);
      fact(!stage.due() || *stage.due() > due);
      fact(turns < 100'000);
    }
    RtpView rtp;
    rtp.ssrc = Ssrc{static_cast<std::uint32_t>(kind / 8 % 3)};
    rtp.sequence = SeqNo{read_u16(left, 3)};
    rtp.timestamp = read_u16(left, 5) * 80u;
    const std::array<std::uint8_t, 14> types = {96,  97,  98, 99,  100, 101, 102,
                                                103, 104, 13, 110, 111, 112, 96};
    rtp.payload_type = PayloadType{types[kind % types.size()]};
    rtp.payload = left.subspan(7, length);
    stage.hear(kind % 3, terms, rtp, now, out);
    left = left.subspan(7 + length);
  }
  fact(stage.sources() <= MixingStage::kMostSources);
  const TranscodeFigures& figures = stage.receiver().figures();
  fact(figures.packets_in >= figures.other_speaks);
  return 0;
}
