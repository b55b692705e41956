// How values of options are read; each returns a sentence if the text is bad.
#pragma once

#include "control/config/config.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace ferry {

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

/// One of several words.
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

/// yes, true, on, 1, nothing at all, and their opposites.
std::string set_switch(bool& target, std::string_view text);

std::string read_seconds(std::string_view text, std::chrono::seconds& target);

/// Rows of the table that are about recordings, and about the classic rtpproxy protocol.
std::span<const OptionRow> recording_option_rows();
/// Where state is kept if no option says: what systemd made for us, else the usual place.
std::string default_state_directory();
std::span<const OptionRow> classic_option_rows();
std::span<const OptionRow> dpdk_option_rows();
/// About where parties may be.
std::span<const OptionRow> peer_option_rows();

}  // namespace ferry
