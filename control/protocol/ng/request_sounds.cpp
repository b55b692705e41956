// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/ng/request_sounds.hpp"

#include "control/protocol/ng/request_words.hpp"

#include <algorithm>
#include <string>
#include <string_view>

namespace ferry::ng::words {

namespace {

void name_sound(std::optional<SoundName>& sound, SoundName::Kind kind, std::string text) {
  if (!sound || kind <= sound->kind) sound = SoundName{kind, std::move(text)};
}

/// Nothing if this is no base64 (RFC 4648 §4), or empty.
std::optional<std::string> from_base64(std::string_view text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string octets;
  octets.reserve(text.size() / 4 * 3);
  std::uint32_t bits = 0;
  unsigned count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' || text[i] == '\n') continue;
    if (text[i] == '=') {
      if (text.find_first_not_of("=\r\n", i) != std::string_view::npos) return std::nullopt;
      break;
    }
    const auto digit = kDigits.find(text[i]);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      octets.push_back(static_cast<char>(bits >> count & 0xff));
    }
  }
  return octets.empty() ? std::nullopt : std::optional(std::move(octets));
}

}  // namespace

void sound_file(std::optional<SoundName>& sound, const Value& value) {
  if (const auto* text = value.string(); text != nullptr && !text->empty())
    name_sound(sound, SoundName::Kind::kFile, *text);
}

void sound_content(std::optional<SoundName>& sound, const Value& value) {
  if (const auto* text = value.string(); text != nullptr && !text->empty())
    name_sound(sound, SoundName::Kind::kContent, *text);
}

void sound_base64(std::optional<SoundName>& sound, const Value& value) {
  const auto* text = value.string();
  if (text == nullptr) return;
  if (auto octets = from_base64(*text)) name_sound(sound, SoundName::Kind::kContent, std::move(*octets));
}

void sound_number(std::optional<SoundName>& sound, const Value& value) {
  if (const auto number = value.as_integer(true); number && *number >= 0)
    name_sound(sound, SoundName::Kind::kNumber, std::to_string(*number));
}

void sound_tone(std::optional<SoundName>& sound, const Value& value) {
  if (const auto* text = value.string(); text != nullptr && !text->empty())
    name_sound(sound, SoundName::Kind::kTone, *text);
}

void hold_music(Request& request, const Value& value) {
  const Dict* dict = value.dict();
  if (dict == nullptr) return;
  HoldMusicWish& wish = request.hold_music.emplace();
  for (const auto& [key, member] : *dict) {
    const std::string name = normalise(key);
    const std::string word = member.string() != nullptr ? normalise(*member.string()) : std::string();
    if (name == "file") sound_file(wish.sound, member);
    if (name == "blob") sound_content(wish.sound, member);
    if (name == "blob64") sound_base64(wish.sound, member);
    if (name == "db-id") sound_number(wish.sound, member);
    if (name == "tone") sound_tone(wish.sound, member);
    if (name == "mode" && word == "sendrecv") wish.shown = HoldMusicWish::Shown::kSendReceive;
    if (name == "mode" && word == "reflect") wish.shown = HoldMusicWish::Shown::kReflected;
    if (name == "connection") wish.shows_zero_address = word == "zero";
  }
}

std::optional<std::uint8_t> digit_of(const Value& value) {
  constexpr std::string_view kKeys = "0123456789*#ABCD";
  if (const auto* text = value.string(); text != nullptr && text->size() == 1) {
    const char key = text->front() >= 'a' && text->front() <= 'd'
                         ? static_cast<char>(text->front() - 'a' + 'A')
                         : text->front();
    const auto place = kKeys.find(key);
    return place == std::string_view::npos ? std::nullopt : std::optional(static_cast<std::uint8_t>(place));
  }
  const auto number = value.as_integer();
  if (!number || *number < 0 || *number >= static_cast<std::int64_t>(kKeys.size())) return std::nullopt;
  return static_cast<std::uint8_t>(*number);
}

namespace {

/// Most pitches of a tone, and those that can be heard, Hz.
constexpr std::size_t kMostPitches = 8;
constexpr std::int64_t kLowest = 20;
constexpr std::int64_t kHighest = 3800;

void cannot_read(Request& request, std::string_view key, std::string_view value) {
  constexpr std::size_t kMostTold = 8;
  if (request.guard.unreadable.size() < kMostTold)
    request.guard.unreadable.push_back(std::string(key) + "=" + std::string(value));
}

}  // namespace

void cover_word(Request& request, std::optional<DigitCover>& cover, const Value& value) {
  static constexpr std::array<std::pair<std::string_view, DigitCover>, 8> kModes = {
      {{"drop", DigitCover::kDrop},
       {"silence", DigitCover::kSilence},
       {"tone", DigitCover::kTone},
       {"random", DigitCover::kRandomDigit},
       {"zero", DigitCover::kZero},
       {"dtmf", DigitCover::kDigit},
       {"off", DigitCover::kNone},
       {"no", DigitCover::kNone}}};
  const std::string name = value.string() != nullptr ? normalise(*value.string()) : std::string();
  for (const auto& [word, meaning] : kModes) {
    if (name == word) cover = meaning;
    if (name == word) return;
  }
  cannot_read(request, "DTMF-security", name);
}

void code_digits(Request& request, std::string& code, const Value& value) {
  std::string text;
  if (const auto* string = value.string())
    text = *string;
  else if (const auto number = value.as_integer(true))
    text = std::to_string(*number);
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'd' ? static_cast<char>(c - 'a' + 'A') : c; });
  const bool is_code = text.find_first_not_of("0123456789*#ABCD") == std::string::npos;
  // The digits of a code are as secret as what it guards, so they are not told again.
  if (is_code && text.size() <= kMostCodeDigits)
    code = text;
  else
    cannot_read(request, "trigger", "...");
}

void pitches(Request& request, const Value& value) {
  std::vector<std::uint16_t>& all = request.guard.frequencies_hz;
  const auto add = [&](std::optional<std::int64_t> hertz, std::string_view text) {
    if (hertz && *hertz >= kLowest && *hertz <= kHighest && all.size() < kMostPitches)
      all.push_back(static_cast<std::uint16_t>(*hertz));
    else
      cannot_read(request, "frequency", text);
  };
  all.clear();
  const auto add_text = [&](std::string_view text) {
    while (!text.empty()) {
      const auto comma = std::min(text.find(','), text.size());
      const std::string one(text.substr(0, comma));
      text.remove_prefix(std::min(comma + 1, text.size()));
      if (!one.empty()) add(Value(one).as_integer(true), one);
    }
  };
  const auto add_one = [&](const Value& one) {
    if (const auto* text = one.string())
      add_text(*text);
    else
      add(one.as_integer(true), "...");
  };
  if (const auto* list = value.list()) {
    for (const Value& each : *list) add_one(each);
  } else {
    add_one(value);
  }
}

void natural(Request& request, std::optional<std::int64_t>& number, std::string_view key,
             const Value& value) {
  const auto read = value.as_integer(true);
  if (read && *read >= 0)
    number = *read;
  else
    cannot_read(request, key, value.string() != nullptr ? *value.string() : std::string());
}

}  // namespace ferry::ng::words
