// SPDX-License-Identifier: Apache-2.0
// The rules for digits, which a party and a call have.
#pragma once

#include "control/record/section.hpp"

namespace ferry {

template <>
inline constexpr unsigned kEnumerators<DigitCover> = 7;

template <>
struct Fields<DigitRules> {
  template <class Archive, class Value>
  static void list(Archive& a, Value& v) {
    a("cover", v.cover);
    a("frequencies", v.frequencies_hz);
    a("trigger", v.trigger);
    a("when_triggered", v.when_triggered);
    a("trigger_end", v.trigger_end);
    a("end_ms", v.end_ms);
    a("end_digits", v.end_digits);
    a("afterwards", v.afterwards);
    a("delay", v.delay_ms);
    a("events_delay", v.events_delay_ms);
    a("detects", v.detects_tones);
    a("triggered", v.is_triggered);
    a("ends_at", v.ends_at);
    a("digits_left", v.digits_left);
    a.skip(v.pressed);  // may be a part of a secret
  }
};

}  // namespace ferry
