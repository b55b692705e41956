// SPDX-License-Identifier: Apache-2.0
// Reads values of options. Each function stores the value and returns an empty text, or returns a sentence if
// the text is bad.
#pragma once

#include "relay/core/latch/peer_policy.hpp"

#include <array>
#include <charconv>
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sys/types.h>

namespace ferry {

/// Reads a decimal number from `low` to `high`.
template <class Int>
std::string read_number(std::string_view text, Int& target, Int low, Int high) {
  Int number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < low || number > high) {
    return fmt::format("'{}' is no number from {} to {}", text, low, high);
  }
  target = number;
  return {};
}

/// Reads one of several words.
template <class Value, std::size_t kCount>
std::string read_word(std::string_view text, Value& target,
                      const std::array<std::pair<std::string_view, Value>, kCount>& words) {
  std::string names;
  for (const auto& [name, value] : words) {
    if (name == text) {
      target = value;
      return {};
    }
    names.append(names.empty() ? "" : ", ").append(name);
  }
  return fmt::format("'{}' is none of {}", text, names);
}

/// Reads a switch: yes, true, on, 1 or an empty text, and no, false, off or 0.
std::string set_switch(bool& target, std::string_view text);

/// Reads the mode of a file or folder: up to three octal digits, as 0640.
std::string read_mode(std::string_view text, mode_t& target);

/// Reads a whole number of seconds, at most one year.
std::string read_seconds(std::string_view text, std::chrono::seconds& target);

/// Adds `PORT` or `PORT-PORT`.
std::string add_ports(std::string_view text, std::vector<PortSpan>& target);

/// Adds a folder: an absolute path below /, which is kept without slashes at the end.
std::string add_folder(std::string_view text, std::vector<std::string>& folders);

}  // namespace ferry
