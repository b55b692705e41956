// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/digit_listener.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Packets that have to have overtaken a missing one until it counts as lost.
constexpr std::size_t kOvertaken = 3;
constexpr std::uint32_t kRate = 8000;

}  // namespace

void DigitListener::hear(const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp,
                         Instant now, MadePackets& out) {
  if (conversion_ != conversion) {
    conversion_ = conversion;
    source_.configure(conversion, kRate);
  }
  const auto input = std::ranges::find(conversion->inputs, rtp.payload_type, &AudioInput::type);
  if (input == conversion->inputs.end()) return;
  if (input->kind == AudioInput::Kind::kEvents) {
    source_.add_other(rtp, now);
  } else {
    if (now - heard_at_ > kSilence) drive(now, out);
    heard_at_ = now;
    source_.add(rtp, *input, now);
  }
  listen(now, out);
}

void DigitListener::listen(Instant now, MadePackets& out) {
  while (source_.front() != nullptr) {
    // The detector waits for a missing packet only until kOvertaken others have come: no one hears this
    // sound.
    if (source_.missing() > 0 && source_.waiting() < kOvertaken) return;
    (void)source_.decode();
    const std::span<const std::int16_t> samples = source_.decoded();
    if (samples.empty()) continue;
    if (!ear_ || ear_->rate_hz() != source_.decoded_rate_hz())
      ear_ = std::make_unique<ToneEar>(source_.decoded_rate_hz());
    ear_->hear(samples, [&](const DigitDetector::Change& change) {
      if (change.begins)
        pressed_ = Pressed{{change.event, change.volume, 0}, now - DigitDetector::kLatency};
      else
        tell(change.length, out);
    });
  }
}

void DigitListener::tell(Duration length, MadePackets& out) noexcept {
  if (!pressed_) return;
  FoundDigit digit = pressed_->digit;
  pressed_.reset();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
  digit.duration_ms = static_cast<std::uint16_t>(std::clamp<std::int64_t>(ms, 0, 0xffff));
  const auto payload = digit.payload();
  MadePacket packet;
  packet.payload = payload;
  out.take(packet);
}

void DigitListener::drive(Instant now, MadePackets& out) {
  if (!pressed_ || now - heard_at_ < kSilence) return;
  tell(heard_at_ - pressed_->since, out);
  // A new detector hears what comes next. The old one would take it for the rest of the tone.
  ear_.reset();
}

}  // namespace ferry
