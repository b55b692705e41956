// SPDX-License-Identifier: Apache-2.0
// What a receiver gets in place of the digits of a guarded source.
#pragma once

#include "codecs/tone/cover_sound.hpp"
#include "codecs/transcode/delayed_events.hpp"
#include "relay/base/random.hpp"
#include "relay/core/audio/conversion.hpp"

#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// Answers questions about the guard of a conversion, and keeps the digit that takes the place of the present
/// one. For one thread.
class DigitDisguise {
 public:
  /// Throws std::bad_alloc.
  void configure(const AudioConversion& conversion) {
    guard_ = conversion.guard;
    delayed_.clear();
    digit_ = 0;
    if (events_delay() > Duration{0}) delayed_.make_room();
  }
  /// True if digits do not pass as they are.
  [[nodiscard]] bool covers() const noexcept { return guard_ && guard_->cover != DigitCover::kNone; }
  /// True if another digit, or the same made anew, takes the place of each digit.
  [[nodiscard]] bool is_digit() const noexcept {
    return guard_ && (guard_->cover == DigitCover::kRandomDigit || guard_->cover == DigitCover::kZero ||
                      guard_->cover == DigitCover::kDigit);
  }
  /// Chooses the digit that takes the place of `event`, which begins.
  std::uint8_t choose(std::uint8_t event) noexcept {
    constexpr std::uint32_t kDecimals = 10;
    if (guard_->cover == DigitCover::kZero) event = 0;
    // The pressed digit may be drawn, too. If it never were, each press would rule one digit out.
    if (guard_->cover == DigitCover::kRandomDigit) event = static_cast<std::uint8_t>(random_below(kDecimals));
    return digit_ = event;
  }
  /// The digit that was chosen last.
  [[nodiscard]] std::uint8_t digit() const noexcept { return digit_; }
  /// The sound that takes the place of a digit; with `is_digit`, of the chosen one.
  [[nodiscard]] CoverSound sound(std::uint8_t volume, std::uint32_t rate_hz) const noexcept {
    if (is_digit()) return CoverSound::of_digit(digit_, volume, rate_hz);
    return guard_->cover == DigitCover::kTone ? CoverSound::of_pitches(guard_->frequencies_hz, rate_hz)
                                              : CoverSound{};
  }
  /// How much later than they come events are heard.
  [[nodiscard]] Duration events_delay() const noexcept {
    return std::chrono::milliseconds(guard_ ? guard_->delay_ms + guard_->events_delay_ms : 0);
  }
  [[nodiscard]] DelayedEvents& delayed() noexcept { return delayed_; }
  [[nodiscard]] const DelayedEvents& delayed() const noexcept { return delayed_; }

 private:
  /// Null: nothing is guarded.
  std::shared_ptr<const DigitGuard> guard_;
  DelayedEvents delayed_;
  std::uint8_t digit_ = 0;
};

}  // namespace ferry
