// SPDX-License-Identifier: Apache-2.0
// Wishes about sounds: what is played, and how (docs/reference/ng.md#playback). Plain values.
#pragma once

#include "relay/core/audio/conversion.hpp"
#include "relay/core/audio/sound_library.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ferry {

/// Key `moh`: music on hold.
struct HoldMusicWish {
  /// The direction that the party on the far side is shown while it hears the music: that it does not send,
  /// that it sends, or what the party on hold has said.
  enum class Shown : std::uint8_t { kSendOnly, kSendReceive, kReflected };
  /// What is played. Nothing = the wish names nothing that can be played.
  std::optional<SoundName> sound;
  Shown shown = Shown::kSendOnly;
  /// True if the party on the far side is shown the unspecified address meanwhile (`connection` = `zero`).
  bool shows_zero_address = false;
};

/// `play media`: what, how often, from where.
struct PlayWish {
  /// Nothing = the request names nothing.
  std::optional<SoundName> sound;
  /// How often. Unset = once; a tone until it is stopped.
  std::optional<std::int64_t> times;
  /// It ends after so many ms, whatever `times`. Unset or 0 = no bound.
  std::optional<std::int64_t> longest_ms;
  /// The sample of the sound that it begins at.
  std::int64_t from_sample = 0;
};

/// Key `audio-player`: whether the relay makes what a party hears, of all that it is sent.
enum class AudioPlayer : std::uint8_t {
  /// Only if it hears several parties, or what it is sent has to be converted.
  kDefault,
  /// Never of several parties.
  kOff,
  /// As kDefault; sounds that are played go into what is converted.
  kTranscoding,
  /// Always.
  kAlways,
};

/// `play DTMF`: which digit, how long, how loud.
struct DigitWish {
  /// 0 to 15 as in RFC 4733. Unset = the request names none, or none of them.
  std::optional<std::uint8_t> event;
  /// Length and the pause behind it in ms. Unset = 250 and 100.
  std::optional<std::int64_t> length_ms;
  std::optional<std::int64_t> pause_ms;
  /// Level in dB; a positive one counts as negative. Unset = -8.
  std::optional<std::int64_t> level_db;
};

/// Most digits of a code that switches something, so that what is remembered of a party is bounded.
constexpr std::size_t kMostCodeDigits = 16;

/// `block DTMF`: what others get in place of digits, and what switches that.
struct GuardWish {
  /// Keys `DTMF-security`, `…-trigger` and `…-trigger-end`: in force at once, once the trigger was pressed,
  /// and after that. Unset = the request does not say; kNone: `off`.
  std::optional<DigitCover> cover;
  std::optional<DigitCover> when_triggered;
  std::optional<DigitCover> afterwards;
  /// The digits of the trigger, and what ends it. Empty and unset = nothing.
  std::string trigger;
  std::string trigger_end;
  std::optional<std::int64_t> end_ms;
  std::optional<std::int64_t> end_digits;
  /// Pitches of the tone in Hz, at most eight. Empty = 400.
  std::vector<std::uint16_t> frequencies_hz;
  /// Keys `delay-buffer` and `DTMF-delay`, ms. Unset = as before.
  std::optional<std::int64_t> delay_ms;
  std::optional<std::int64_t> events_delay_ms;
  /// Values that mean nothing, as `key=value`, for warnings.
  std::vector<std::string> unreadable;
};

}  // namespace ferry
