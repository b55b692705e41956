// SPDX-License-Identifier: Apache-2.0
// What fuzz targets of stages share: conversions made of octets, packets of every payload type, and facts
// about what leaves.
#pragma once

#include "relay/core/output/stage.hpp"
#include "tests/fuzz/facts.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry::fuzz {

/// The libraries behind AMR trust the bits of a frame (see fuzz_audio), so AMR is only made here, not read.
inline const std::array<AudioFormat, 9> kInputs = {{{"PCMU", 8000, 1, ""},
                                                    {"PCMA", 8000, 1, ""},
                                                    {"G722", 8000, 1, ""},
                                                    {"L16", 16000, 2, ""},
                                                    {"GSM", 8000, 1, ""},
                                                    {"G726-24", 8000, 1, ""},
                                                    {"opus", 48000, 2, "sprop-stereo=1"},
                                                    {"speex", 16000, 1, ""},
                                                    {"nothing", 8000, 1, ""}}};
inline const std::array<AudioFormat, 8> kOutputs = {{{"PCMU", 8000, 1, ""},
                                                     {"PCMA", 8000, 1, ""},
                                                     {"G722", 8000, 1, ""},
                                                     {"L16", 44100, 2, ""},
                                                     {"GSM", 8000, 1, ""},
                                                     {"opus", 48000, 2, "useinbandfec=1;usedtx=1;stereo=1"},
                                                     {"AMR", 8000, 1, ""},
                                                     {"nothing", 8000, 1, ""}}};

/// A conversion that two octets choose.
inline AudioConversion conversion_of(std::uint8_t a, std::uint8_t b) {
  AudioConversion made;
  for (std::uint8_t i = 0; i < kInputs.size(); ++i)
    made.inputs.push_back(
        {PayloadType{static_cast<std::uint8_t>(96 + i)}, AudioInput::Kind::kSpeech, kInputs[i]});
  made.inputs.push_back({PayloadType{13}, AudioInput::Kind::kComfortNoise, {"CN", 8000, 1, ""}});
  made.inputs.push_back({PayloadType{110}, AudioInput::Kind::kEvents, {"telephone-event", 8000, 1, ""}});
  made.inputs.push_back({PayloadType{111}, AudioInput::Kind::kRedundant, {"red", 8000, 1, ""}});
  // Only G.711 on both sides: the path without samples.
  if ((a & 0x40) != 0) made.inputs.resize(2);
  made.type = PayloadType{120};
  made.format = kOutputs[a % kOutputs.size()];
  made.ptime_ms = std::array<std::uint16_t, 8>{20, 10, 30, 40, 60, 0, 5, 1000}[b % 8];
  if ((b & 8) != 0) made.events = OtherType{PayloadType{110}, (b & 16) != 0 ? 48'000u : 8000u};
  if ((b & 32) != 0) made.comfort_noise = OtherType{PayloadType{13}, 8000};
  made.detects_tones = (b & 64) != 0;
  made.settings.dtx = (b & 128) != 0;
  made.most_delay_ms = static_cast<std::uint16_t>(a / 8 * 3);
  made.mixes = (a & 0x80) != 0;
  return made;
}

/// A packet whose header four octets choose: its source's SSRC and type by `kind`, then sequence number and
/// timestamp.
inline RtpView packet_of(std::uint8_t kind, std::uint16_t sequence, std::uint16_t time, Bytes payload) {
  static constexpr std::array<std::uint8_t, 14> kTypes = {96,  97,  98, 99,  100, 101, 102,
                                                          103, 104, 13, 110, 111, 112, 96};
  RtpView rtp;
  rtp.ssrc = Ssrc{static_cast<std::uint32_t>(kind / 8 % 3)};
  rtp.sequence = SeqNo{sequence};
  rtp.timestamp = time * 80u;
  rtp.payload_type = PayloadType{kTypes[kind % kTypes.size()]};
  rtp.payload = payload;
  return rtp;
}

/// What leaves a stage is bounded and on one timeline.
class StageFacts final : public MadePackets {
 public:
  void take(const MadePacket& packet) noexcept override {
    fact(packet.payload.size() <= 65'535);
    fact(packet.type.value < 128 && packet.clock_rate_hz > 0);
    // Never back, and never a jump: no input lasts an hour.
    fact(packet.units < 0x8000'0000);
  }
  void take_datagram(Bytes datagram) noexcept override {
    fact(!datagram.empty() && datagram.size() <= 65'535);
  }
};

/// Does what is due until `now`. What is due is done then, and moves on.
inline void drive_until(OutputStage& stage, Instant now, MadePackets& out) {
  for (int turns = 0; stage.due() && *stage.due() <= now; ++turns) {
    const Instant due = *stage.due();
    stage.drive(due, out);
    fact(!stage.due() || *stage.due() > due);
    fact(turns < 100'000);
  }
}

}  // namespace ferry::fuzz
