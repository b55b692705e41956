// SPDX-License-Identifier: Apache-2.0
// Cuts SDP into lines and words, and reads its numbers. Pure.
#pragma once

#include <algorithm>
#include <charconv>
#include <string_view>
#include <system_error>

namespace ferry::sdp {

/// SDP has single blanks between words only. Devices write several, tabs, and blanks at the end of lines.
inline constexpr std::string_view kBlanks = " \t";

/// The text without the blanks and tabs around it.
inline std::string_view trim(std::string_view text) {
  const auto start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlanks) - start + 1);
}

/// Cuts the next line off `text` and returns it. Line ends are CR LF, LF, CR, and CR CR LF, which some text
/// filters make.
inline std::string_view next_line(std::string_view& text) {
  const auto end = std::min(text.find_first_of("\r\n"), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end);
  for (const std::string_view line_end : {"\r\r\n", "\r\n", "\n", "\r"}) {
    if (!text.starts_with(line_end)) continue;
    text.remove_prefix(line_end.size());
    break;
  }
  return line;
}

/// Cuts the next word off `text` and returns it; empty at the end. Words end at blanks and tabs.
inline std::string_view next_word(std::string_view& text) {
  const auto start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) {
    text = {};
    return {};
  }
  text.remove_prefix(start);
  const auto end = std::min(text.find_first_of(kBlanks), text.size());
  const std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

/// Reads a text that is completely a decimal number. False, with `value` unchanged or undefined, if it is
/// not.
template <class Int>
bool read_number(std::string_view text, Int& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace ferry::sdp
