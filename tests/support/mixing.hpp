// SPDX-License-Identifier: Apache-2.0
// What one receiver hears of several sources, in virtual time, and how much of a tone is in it.
#pragma once

#include "codecs/transcode/mixing_stage.hpp"
#include "tests/support/transcode.hpp"

#include <cmath>
#include <map>
#include <memory>
#include <numbers>
#include <span>
#include <vector>

namespace ferry::test {

/// So many samples of a tone, from its `begin`-th sample on.
inline std::vector<std::int16_t> tone_of(double hertz, double amplitude, std::uint32_t rate_hz,
                                         std::size_t length, std::size_t begin = 0) {
  std::vector<std::int16_t> samples(length);
  for (std::size_t i = 0; i < length; ++i) {
    const double phase = 2 * std::numbers::pi * hertz * static_cast<double>(begin + i) / rate_hz;
    samples[i] = static_cast<std::int16_t>(std::lround(amplitude * std::sin(phase)));
  }
  return samples;
}

/// Amplitude of the part of `samples` that lies at one frequency (Goertzel).
inline double amplitude_at(double hertz, std::span<const std::int16_t> samples, std::uint32_t rate_hz) {
  const double step = 2 * std::cos(2 * std::numbers::pi * hertz / rate_hz);
  double one = 0;
  double two = 0;
  double weights = 0;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    // A window, so that other tones do not leak into this one.
    const double weight =
        1 - std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(samples.size()));
    weights += weight;
    const double next = weight * samples[i] + step * one - two;
    two = one;
    one = next;
  }
  return 2 * std::sqrt(std::max(0.0, one * one + two * two - step * one * two)) / weights;
}

inline double decibels(double ratio) { return 20 * std::log10(std::max(ratio, 1e-9)); }

/// A receiver's stage with its clock. Each packet comes with its own conversion.
class MixWorld final : public MadePackets {
 public:
  static constexpr Instant kStart = TranscodeWorld::kStart;

  /// What a source becomes from now on; its packets are of this source.
  void tell(std::uint64_t from, const AudioConversion& conversion) {
    conversions_[from] = std::make_shared<const AudioConversion>(conversion);
  }
  void arrive(Instant at, Sent packet) { arrivals_.emplace(at, std::move(packet)); }
  void arrive(std::uint64_t from, const std::vector<Sent>& packets, Instant first, unsigned packet_ms) {
    for (Sent each : packets) {
      each.from = from;
      each.ssrc = Ssrc{static_cast<std::uint32_t>(0x1000 + from)};
      arrive(first, std::move(each));
      first += std::chrono::milliseconds(packet_ms);
    }
  }
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
      now_ = std::max(now_, *due);
      stage_.drive(now_, *this);
      if (const auto next = stage_.due(); next && *next <= now_) {
        ADD_FAILURE() << "due again at once";
        return;
      }
    }
    now_ = std::max(now_, until);
  }
  void take(const MadePacket& packet) noexcept override {
    position_ += heard.empty() ? 0 : static_cast<std::int32_t>(packet.units);
    heard.push_back({now_,
                     packet.type,
                     packet.marker,
                     position_,
                     packet.clock_rate_hz,
                     packet.lost,
                     {packet.payload.begin(), packet.payload.end()}});
  }
  [[nodiscard]] Instant now() const { return now_; }
  [[nodiscard]] const MixingStage& stage() const { return stage_; }
  /// How far the timeline is from the clock on the wall, at worst.
  [[nodiscard]] Duration worst() const {
    Duration worst{0};
    for (const Heard& each : heard) {
      const Duration line = std::chrono::nanoseconds(each.position * 1'000'000'000 / each.clock_rate_hz);
      worst = std::max<Duration>(worst, std::chrono::abs(each.at - heard.front().at - line));
    }
    return worst;
  }

  std::vector<Heard> heard;

 private:
  void hear(const Sent& packet) {
    RtpView rtp;
    rtp.ssrc = packet.ssrc;
    rtp.sequence = SeqNo{packet.sequence};
    rtp.timestamp = packet.timestamp;
    rtp.payload_type = packet.type;
    rtp.marker = packet.marker;
    rtp.payload = packet.payload;
    stage_.hear(packet.from, conversions_[packet.from], rtp, now_, *this);
  }

  MixingStage stage_;
  std::map<std::uint64_t, std::shared_ptr<const AudioConversion>> conversions_;
  std::multimap<Instant, Sent> arrivals_;
  Instant now_ = kStart;
  std::int64_t position_ = 0;
};

/// As `conversion`, and mixed with the other sources of the receiver.
inline AudioConversion mixed(const AudioFormat& from, const AudioFormat& to, std::uint16_t ptime_ms = 20) {
  AudioConversion made = conversion(from, to, ptime_ms);
  made.mixes = true;
  return made;
}

}  // namespace ferry::test
