// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/law_path.hpp"

#include "codecs/transcode/sample_time.hpp"
#include "relay/base/text.hpp"

#include <algorithm>
#include <cstdlib>

namespace ferry {

namespace {

using std::chrono::milliseconds;

/// A packet that overtook another one waits for it at most so long.
constexpr Duration kWait = milliseconds(30);
/// Timestamps that differ from the clock on the wall by more than this have jumped.
constexpr Duration kClockWasSet = std::chrono::seconds(3);
constexpr std::uint32_t kClock = 8000;

std::optional<Law> law_of(const AudioFormat& format) {
  if (format.clock_rate_hz != kClock || format.channels != 1) return std::nullopt;
  if (equal_ignoring_case(format.encoding, "PCMU")) return Law::kMu;
  if (equal_ignoring_case(format.encoding, "PCMA")) return Law::kA;
  return std::nullopt;
}

}  // namespace

bool translates_only(const AudioConversion& conversion) noexcept {
  if (!law_of(conversion.format) || conversion.detects_tones || conversion.guard) return false;
  const auto is_simple = [&](const AudioInput& each) {
    switch (each.kind) {
      case AudioInput::Kind::kSpeech:
        return law_of(each.format).has_value();
      case AudioInput::Kind::kEvents:
        return conversion.events && each.format.clock_rate_hz == kClock &&
               conversion.events->clock_rate_hz == kClock;
      // Phones send it unasked; if one does, and the receiver cannot hear it, another path is taken.
      case AudioInput::Kind::kComfortNoise:
        return each.format.clock_rate_hz == kClock;
      case AudioInput::Kind::kRedundant:
        return false;
    }
    return false;
  };
  return std::ranges::all_of(conversion.inputs, is_simple);
}

void LawPath::configure(std::shared_ptr<const AudioConversion> conversion) noexcept {
  conversion_ = std::move(conversion);
  to_ = law_of(conversion_->format).value_or(Law::kMu);
}

void LawPath::restart() {
  is_new_ = true;
  ssrc_.reset();
  due_.reset();
  order_ = Reorder(Duration{0}, kMostWaiting);
}

bool LawPath::takes(const RtpView& rtp, const AudioInput& input) const noexcept {
  if (rtp.payload.empty() || rtp.payload.size() > payload_.size()) return false;
  if (input.kind == AudioInput::Kind::kComfortNoise) return conversion_->comfort_noise.has_value();
  if (input.kind != AudioInput::Kind::kSpeech) return true;
  return rtp.payload.size() == std::size_t{conversion_->ptime_ms} * kClock / 1000;
}

void LawPath::hear(const RtpView& rtp, const AudioInput& input, Instant now, MadePackets& out) {
  if (ssrc_ != rtp.ssrc) {
    ssrc_ = rtp.ssrc;
    order_ = Reorder(Duration{0}, kMostWaiting);
    is_new_ = true;
  }
  const auto tag = static_cast<std::uint32_t>(&input - conversion_->inputs.data());
  if (order_.add(rtp, now, tag) != Reorder::Outcome::kWaits) {
    ++figures_.late;
    return;
  }
  run(now, out);
}

void LawPath::run(Instant now, MadePackets& out) {
  due_.reset();
  const Duration most = std::min<Duration>(kWait, milliseconds(conversion_->most_delay_ms));
  while (!order_.waiting().empty()) {
    const OrderedPacket& packet = order_.waiting().front();
    const bool is_next = order_.missing() <= 0 || order_.missing() > kMostMissing;
    if (!is_next && now - packet.at < most && order_.waiting().size() < kMostWaiting) {
      due_ = packet.at + most;
      return;
    }
    send(packet, now, out);
    order_.take();
  }
}

MadePacket LawPath::placed(const OrderedPacket& packet, bool is_event, Instant now) const noexcept {
  MadePacket made;
  made.clock_rate_hz = kClock;
  const std::int64_t missing = order_.missing();
  if (is_new_) {
    made.units = line_.units_to(now, kClock);
    made.marker = true;
    return made;
  }
  const std::int64_t step = packet.timestamp - last_timestamp_;
  const Duration off = time_of(step, kClock) - (now - last_at_);
  if (missing > kMostMissing || step < 0 || std::chrono::abs(off) > kClockWasSet) {
    // The sender's clock was set: time goes on as it does on the wall.
    made.units = line_.units_to(now, kClock);
    made.marker = true;
    return made;
  }
  made.units = static_cast<std::uint32_t>(step);
  made.lost = static_cast<std::uint16_t>(missing);
  // A pause of the sender, or the beginning of an event (RFC 4733 §2.5.1.1).
  made.marker = missing == 0 && (is_event ? step != 0 : step > last_length_);
  return made;
}

void LawPath::send(const OrderedPacket& packet, Instant now, MadePackets& out) {
  const AudioInput& input = conversion_->inputs[packet.tag];
  const Bytes payload = packet.payload;
  MadePacket made = placed(packet, input.kind == AudioInput::Kind::kEvents, now);
  figures_.lost += made.lost;
  made.payload = payload;
  last_length_ = 0;
  if (input.kind == AudioInput::Kind::kEvents) {
    made.type = conversion_->events->type;
  } else if (input.kind == AudioInput::Kind::kComfortNoise) {
    made.type = conversion_->comfort_noise->type;
  } else {
    made.type = conversion_->type;
    const Law from = law_of(input.format).value_or(to_);
    if (from != to_) {
      translate_g711(from, payload, MutableBytes(payload_).first(payload.size()));
      made.payload = Bytes(payload_).first(payload.size());
    }
    last_length_ = static_cast<std::uint32_t>(payload.size());
  }
  is_new_ = false;
  last_timestamp_ = packet.timestamp;
  last_at_ = now;
  ++figures_.packets_out;
  out.take(made);
}

}  // namespace ferry
