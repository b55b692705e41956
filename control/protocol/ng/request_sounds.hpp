// SPDX-License-Identifier: Apache-2.0
// Keys about sounds and digits: what is played, music on hold (docs/reference/ng.md#playback).
#pragma once

#include "control/request/request.hpp"
#include "control/value/value.hpp"

#include <cstdint>
#include <optional>

namespace ferry::ng::words {

// Each names a sound in its own way. A file counts more than a content, that more than a number, and a tone
// least. A value that cannot be read names nothing.
void sound_file(std::optional<SoundName>& sound, const Value& value);
void sound_content(std::optional<SoundName>& sound, const Value& value);
void sound_base64(std::optional<SoundName>& sound, const Value& value);
void sound_number(std::optional<SoundName>& sound, const Value& value);
void sound_tone(std::optional<SoundName>& sound, const Value& value);
/// The dictionary `moh`.
void hold_music(Request& request, const Value& value);
/// Reads a mode of `DTMF-security` into `cover`.
void cover_word(Request& request, std::optional<DigitCover>& cover, const Value& value);
/// Reads digits of a trigger into `code`.
void code_digits(Request& request, std::string& code, const Value& value);
/// Reads pitches of a tone in Hz: a number, a list of them, or numbers with commas between them.
void pitches(Request& request, const Value& value);
/// Reads a number that is not negative into `number`.
void natural(Request& request, std::optional<std::int64_t>& number, std::string_view key, const Value& value);
/// A DTMF digit: 0 to 15, or one of `0` to `9`, `*`, `#`, `A` to `D`. Nothing for anything else.
[[nodiscard]] std::optional<std::uint8_t> digit_of(const Value& value);

}  // namespace ferry::ng::words
