// SPDX-License-Identifier: Apache-2.0
#include "relay/base/printable.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace ferry {

namespace {

/// The character at the front of a text. `size` is its length in octets; 0 if the text does not begin with
/// valid UTF-8.
struct Character {
  std::size_t size = 0;
  char32_t code = 0;
};

/// Decodes the first character (RFC 3629 §4). `text` must not be empty.
Character first_of(std::string_view text) noexcept {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {1, lead};
  const std::size_t size = lead >= 0xf0 && lead < 0xf5   ? 4
                           : lead >= 0xe0 && lead < 0xf0 ? 3
                           : lead >= 0xc2 && lead < 0xe0 ? 2
                                                         : 0;
  if (size == 0 || text.size() < size) return {};
  char32_t code = lead & (0x7fu >> size);
  for (std::size_t i = 1; i < size; ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    if ((octet & 0xc0) != 0x80) return {};
    code = code << 6 | (octet & 0x3fu);
  }
  // A form longer than needed counts as invalid: it could hide a control character from a simpler reader.
  static constexpr std::array<char32_t, 5> kLeast = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[size] || code > 0x10ffff || is_surrogate) return {};
  return {size, code};
}

// The backslash counts as harmful: escaping it makes the result reversible.
bool is_harmless(char32_t code) noexcept {
  struct Range {
    char32_t first, last;
  };
  static constexpr std::array<Range, 7> kControls = {{{0x00, 0x1f},
                                                      {'\\', '\\'},
                                                      {0x7f, 0x9f},
                                                      {0x61c, 0x61c},
                                                      {0x200e, 0x200f},
                                                      {0x202a, 0x202e},
                                                      {0x2066, 0x2069}}};
  return std::ranges::none_of(kControls, [&](const Range& r) { return code >= r.first && code <= r.last; });
}

/// The value of a hexadecimal digit; 16 if `c` is none.
unsigned digit(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a') + 10 : 16;
}

// Appends each octet as `\xNN`.
void escape(std::string_view octets, std::string& into) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    into += {'\\', 'x', kDigits[octet >> 4], kDigits[octet & 0x0f]};
  }
}

}  // namespace

std::string printable(std::string_view text, std::string_view also) {
  std::string safe;
  safe.reserve(text.size());
  while (!text.empty()) {
    const Character character = first_of(text);
    // An invalid octet is escaped alone; the one behind it may begin a character again.
    const std::string_view octets = text.substr(0, std::max<std::size_t>(character.size, 1));
    const bool stays = character.size != 0 && is_harmless(character.code) &&
                       !(character.size == 1 && also.find(text[0]) != std::string_view::npos);
    if (stays)
      safe += octets;
    else
      escape(octets, safe);
    text.remove_prefix(octets.size());
  }
  return safe;
}

std::string from_printable(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_form = text.size() - i >= 4 && text[i] == '\\' && text[i + 1] == 'x' &&
                         digit(text[i + 2]) < 16 && digit(text[i + 3]) < 16;
    if (!is_form) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>(digit(text[i + 2]) << 4 | digit(text[i + 3]));
    i += 3;
  }
  return plain;
}

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const Character character = first_of(text);
    if (character.size == 0) return false;
    text.remove_prefix(character.size);
  }
  return true;
}

}  // namespace ferry
