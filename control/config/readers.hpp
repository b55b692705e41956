// How values of options are read; each returns a sentence if the text is bad.
#pragma once

#include "control/config/config.hpp"

#include <charconv>

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

/// yes, true, on, 1, nothing at all, and their opposites.
std::string set_switch(bool& target, std::string_view text);

/// Rows of the table that are about recordings.
std::span<const OptionRow> recording_option_rows();

}  // namespace ferry
