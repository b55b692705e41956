// SPDX-License-Identifier: Apache-2.0
// A transcoder between a sender and a receiver, in virtual time: packets of speech through a bad link into
// it, and what comes out as samples on the receiver's timeline.
#pragma once

#include "codecs/audio/codec_table.hpp"
#include "codecs/transcode/transcoder.hpp"
#include "tests/support/link.hpp"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {

/// A packet that came out.
struct Heard {
  Instant at{};
  PayloadType type;
  bool marker = false;
  /// Clock units since the first packet.
  std::int64_t position = 0;
  std::uint32_t clock_rate_hz = 8000;
  std::uint16_t lost = 0;
  std::vector<std::byte> payload;
};

/// A packet on its way to the transcoder.
struct Sent {
  std::uint64_t from = 1;
  Ssrc ssrc{0x1111};
  std::uint16_t sequence = 0;
  std::uint32_t timestamp = 0;
  PayloadType type;
  bool marker = false;
  std::vector<std::byte> payload;
};

inline AudioInput speech_input(std::uint8_t type, AudioFormat format) {
  return {PayloadType{type}, AudioInput::Kind::kSpeech, std::move(format)};
}

/// A conversion from one codec to another one, as types 96 and 97.
inline AudioConversion conversion(const AudioFormat& from, const AudioFormat& to,
                                  std::uint16_t ptime_ms = 20) {
  AudioConversion made;
  made.inputs = {speech_input(96, from)};
  made.type = PayloadType{97};
  made.format = to;
  made.ptime_ms = ptime_ms;
  return made;
}

/// A transcoder with its clock. Packets are given with the time at which they arrive, in any order.
class TranscodeWorld final : public MadePackets {
 public:
  /// When everything begins: not the first moment of the clock, which means "never".
  static constexpr Instant kStart = Instant(std::chrono::hours(1));

  explicit TranscodeWorld(const AudioConversion& first)
      : conversion_(std::make_shared<const AudioConversion>(first)) {}

  /// What the sources send and the receiver gets from now on.
  void change(const AudioConversion& next) { conversion_ = std::make_shared<const AudioConversion>(next); }
  void arrive(Instant at, Sent packet) { arrivals_.emplace(at, std::move(packet)); }
  /// Lets time pass: what arrives and what is due until then happens.
  void run(Instant until) {
    for (;;) {
      const auto due = stage_.due();
      const bool has_packet = !arrivals_.empty() && arrivals_.begin()->first <= until;
      if (has_packet && (!due || arrivals_.begin()->first <= *due)) {
        now_ = std::max(now_, arrivals_.begin()->first);
        const Sent packet = std::move(arrivals_.begin()->second);
        arrivals_.erase(arrivals_.begin());
        hear(packet);
        continue;
      }
      if (!due || *due > until) break;
      // What is due moves on: else time would stand still.
      ASSERT_GE(++turns_, 0);
      const Instant before = std::max(now_, *due);
      now_ = before;
      stage_.drive(now_, *this);
      const auto next = stage_.due();
      if (next && *next <= now_) {
        ADD_FAILURE() << "due again at once";
        return;
      }
    }
    now_ = std::max(now_, until);
  }
  void hear(const Sent& packet) {
    RtpView rtp;
    rtp.ssrc = packet.ssrc;
    rtp.sequence = SeqNo{packet.sequence};
    rtp.timestamp = packet.timestamp;
    rtp.payload_type = packet.type;
    rtp.marker = packet.marker;
    rtp.payload = packet.payload;
    stage_.hear(packet.from, conversion_, rtp, now_, *this);
  }
  void take(const MadePacket& packet) noexcept override {
    position_ += first_ ? 0 : static_cast<std::int32_t>(packet.units);
    first_ = false;
    heard.push_back({now_,
                     packet.type,
                     packet.marker,
                     position_,
                     packet.clock_rate_hz,
                     packet.lost,
                     {packet.payload.begin(), packet.payload.end()}});
  }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] Transcoder& stage() { return stage_; }
  [[nodiscard]] const TranscodeFigures& figures() const { return stage_.figures(); }

  std::vector<Heard> heard;

 private:
  Transcoder stage_;
  std::shared_ptr<const AudioConversion> conversion_;
  std::multimap<Instant, Sent> arrivals_;
  Instant now_ = kStart;
  std::int64_t position_ = 0;
  bool first_ = true;
  long turns_ = 0;
};

/// A phone that sends samples in a codec.
class TranscodeSender {
 public:
  TranscodeSender(AudioFormat format, CodecSettings settings, unsigned packet_ms, std::uint8_t type = 96)
      : format_(std::move(format)), type_(type), packet_ms_(packet_ms) {
    auto encoder = make_audio_encoder(format_, settings);
    if (encoder) encoder_ = std::move(*encoder);
  }
  [[nodiscard]] std::uint32_t rate_hz() const { return encoder_->sample_rate_hz(); }
  [[nodiscard]] std::size_t packet_samples() const { return std::size_t{rate_hz()} * packet_ms_ / 1000; }
  /// The packets of these samples, each with the time that it was spoken at.
  [[nodiscard]] std::vector<Sent> packets(std::span<const std::int16_t> samples) {
    std::vector<Sent> all;
    for (; samples.size() >= packet_samples(); samples = samples.subspan(packet_samples())) {
      Sent packet;
      packet.sequence = sequence_++;
      packet.timestamp = timestamp_;
      timestamp_ += format_.clock_rate_hz / 1000 * packet_ms_;
      packet.type = PayloadType{type_};
      packet.payload.resize(encoder_->octets_for(packet_samples()));
      packet.payload.resize(encoder_->encode(samples.first(packet_samples()), packet.payload).octets);
      all.push_back(std::move(packet));
    }
    return all;
  }

 private:
  AudioFormat format_;
  std::uint8_t type_;
  unsigned packet_ms_;
  std::unique_ptr<AudioEncoder> encoder_;
  std::uint16_t sequence_ = 65'500;
  std::uint32_t timestamp_ = 0xffff'0000;
};

/// What a decoder hears, each packet at its place on the timeline; where nothing was sent there is silence.
inline std::vector<std::int16_t> samples_of(const std::vector<Heard>& heard, const AudioFormat& format,
                                            CodecSettings settings = {}, std::uint8_t type = 97) {
  auto decoder = make_audio_decoder(format, settings);
  if (!decoder) return {};
  const std::uint32_t rate = (*decoder)->sample_rate_hz();
  std::vector<std::int16_t> all;
  std::vector<std::int16_t> room((*decoder)->max_samples());
  for (const Heard& each : heard) {
    if (each.type.value != type) continue;
    const auto made = (*decoder)->decode(each.payload, room);
    EXPECT_TRUE(made);
    if (!made) continue;
    const auto place = static_cast<std::size_t>(each.position * rate / each.clock_rate_hz);
    if (all.size() < place + *made) all.resize(place + *made);
    std::copy_n(room.begin(), *made, all.begin() + static_cast<std::ptrdiff_t>(place));
  }
  return all;
}

}  // namespace ferry::test
