// SPDX-License-Identifier: Apache-2.0
// What others get in place of the digits of one party, and the digits that switch it (`block DTMF`).
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/audio/conversion.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// The rules for the digits of one party, and how far its presses have switched them. Whether anything is
/// covered at all is `Leg::events_blocked`. Plain but for `on_digit` and `on_time`, which are pure. Control
/// thread only.
struct DigitRules {
  /// What takes the place of a digit while it is blocked.
  DigitCover cover = DigitCover::kDrop;
  /// For DigitCover::kTone, Hz; empty: 400.
  std::vector<std::uint16_t> frequencies_hz;

  /// The digits that switch the rules (key `trigger`), and what holds then. Empty = nothing switches them.
  std::string trigger;
  DigitCover when_triggered = DigitCover::kDrop;
  /// What ends that: digits, a time, a number of digits. Empty and 0 = that does not end it. Without any of
  /// them the trigger ends it, too.
  std::string trigger_end;
  std::int64_t end_ms = 0;
  std::uint32_t end_digits = 0;
  /// What holds afterwards; kNone: digits pass.
  DigitCover afterwards = DigitCover::kNone;

  /// All audio of the party leaves so much later, ms, and its events so much later again.
  std::uint16_t delay_ms = 0;
  std::uint16_t events_delay_ms = 0;
  /// Flag `detect-DTMF`: tones in its speech are found and told.
  bool detects_tones = false;

  /// True while the trigger is in force.
  bool is_triggered = false;
  /// When it ends by time; unset: never.
  Instant ends_at{};
  /// Digits until it ends; 0: their number does not end it.
  std::uint32_t digits_left = 0;
  /// The last digits of the party, as many as the longest code has. They are never shown or logged.
  std::string pressed;

  /// What a change of the rules means for the party.
  enum class Change : std::uint8_t { kNone, kBegins, kEnds };
  /// The trigger is in force from `now` on.
  void begin(Instant now);
  /// The party has pressed a digit, one of `0123456789*#ABCD`, at `now`.
  [[nodiscard]] Change on_digit(char digit, Instant now);
  /// Ends what ends by time.
  [[nodiscard]] Change on_time(Instant now);
  /// True if digits of the party are compared with codes.
  [[nodiscard]] bool has_trigger() const { return !trigger.empty(); }
  /// Equal to `DigitRules{}`: no request has said anything.
  bool operator==(const DigitRules&) const = default;

 private:
  [[nodiscard]] Change end();
};

/// The word of a cover in requests and for operators: `drop`, `silence`, `tone`, `random`, `zero`, `DTMF`,
/// `off`.
[[nodiscard]] std::string_view to_string(DigitCover cover);

}  // namespace ferry
