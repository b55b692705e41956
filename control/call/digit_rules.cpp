// SPDX-License-Identifier: Apache-2.0
#include "control/call/digit_rules.hpp"

#include <algorithm>

namespace ferry {

DigitRules::Change DigitRules::end() {
  is_triggered = false;
  ends_at = {};
  digits_left = 0;
  pressed.clear();
  return Change::kEnds;
}

DigitRules::Change DigitRules::on_digit(char digit, Instant now) {
  if (!has_trigger() && !is_triggered) return Change::kNone;
  pressed += digit;
  const std::size_t longest = std::max(trigger.size(), trigger_end.size());
  if (pressed.size() > longest) pressed.erase(0, pressed.size() - longest);
  if (is_triggered) {
    const bool has_other_end = !trigger_end.empty() || end_ms > 0 || end_digits > 0;
    const std::string& code = has_other_end ? trigger_end : trigger;
    const bool is_last = digits_left > 0 && --digits_left == 0;
    const bool is_code = !code.empty() && pressed.ends_with(code);
    return is_last || is_code ? end() : Change::kNone;
  }
  if (!pressed.ends_with(trigger)) return Change::kNone;
  begin(now);
  return Change::kBegins;
}

void DigitRules::begin(Instant now) {
  is_triggered = true;
  ends_at = end_ms > 0 ? now + std::chrono::milliseconds(end_ms) : Instant{};
  digits_left = end_digits;
  pressed.clear();
}

DigitRules::Change DigitRules::on_time(Instant now) {
  return is_triggered && ends_at != Instant{} && now >= ends_at ? end() : Change::kNone;
}

std::string_view to_string(DigitCover cover) {
  switch (cover) {
    case DigitCover::kNone:
      return "off";
    case DigitCover::kDrop:
      return "drop";
    case DigitCover::kSilence:
      return "silence";
    case DigitCover::kTone:
      return "tone";
    case DigitCover::kRandomDigit:
      return "random";
    case DigitCover::kZero:
      return "zero";
    case DigitCover::kDigit:
      return "DTMF";
  }
  return "";
}

}  // namespace ferry
