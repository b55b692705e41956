// SPDX-License-Identifier: Apache-2.0
// Finds digits in the speech of a source, and makes nothing of it.
#pragma once

#include "codecs/transcode/figures.hpp"
#include "codecs/transcode/speech_source.hpp"
#include "codecs/transcode/tone_ear.hpp"
#include "relay/core/audio/conversion.hpp"
#include "relay/core/audio/found_digit.hpp"
#include "relay/core/output/stage.hpp"

#include <memory>
#include <optional>

namespace ferry {

/// Decodes the speech of one source and tells each digit in it once, when it has ended. What it tells are
/// payloads of `FoundDigit`; they are for its worker and never leave. Sans-IO; for one thread.
class DigitListener {
 public:
  /// A tone is over if nothing came for so long.
  static constexpr Duration kSilence = std::chrono::milliseconds(200);

  DigitListener() : source_(figures_) {}

  /// Takes a packet; `conversion` (`only_listens`) says what it may be. Throws std::bad_alloc.
  void hear(const std::shared_ptr<const AudioConversion>& conversion, const RtpView& rtp, Instant now,
            MadePackets& out);
  /// Ends a tone whose source has fallen silent.
  void drive(Instant now, MadePackets& out);
  [[nodiscard]] std::optional<Instant> due() const noexcept {
    return pressed_ ? std::optional(heard_at_ + kSilence) : std::nullopt;
  }

 private:
  /// Decodes and hears what is in order.
  void listen(Instant now, MadePackets& out);
  void tell(Duration length, MadePackets& out) noexcept;

  /// A tone that has begun and has not ended.
  struct Pressed {
    FoundDigit digit;
    Instant since{};
  };
  TranscodeFigures figures_;
  /// Null before the first packet.
  std::shared_ptr<const AudioConversion> conversion_;
  SpeechSource source_;
  /// Null before speech was decoded.
  std::unique_ptr<ToneEar> ear_;
  std::optional<Pressed> pressed_;
  /// When speech came last.
  Instant heard_at_{};
};

}  // namespace ferry
