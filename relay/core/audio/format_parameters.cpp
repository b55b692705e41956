// SPDX-License-Identifier: Apache-2.0
#include "relay/core/audio/format_parameters.hpp"

#include "relay/base/text.hpp"

#include <algorithm>
#include <charconv>

namespace ferry {

// Compares names without regard to case and ignores spaces around a parameter. RFC 8866 leaves the form of
// a=fmtp to each format, but all formats use semicolons.
std::string_view format_parameter(std::string_view parameters, std::string_view name) noexcept {
  while (!parameters.empty()) {
    const auto end = std::min(parameters.find(';'), parameters.size());
    std::string_view one = parameters.substr(0, end);
    parameters.remove_prefix(std::min(end + 1, parameters.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    // A parameter without a value is on.
    const auto equals = std::min(one.find('='), one.size());
    if (equal_ignoring_case(one.substr(0, equals), name))
      return equals == one.size() ? std::string_view("1") : one.substr(equals + 1);
  }
  return {};
}

std::optional<std::uint32_t> format_number(std::string_view parameters, std::string_view name) noexcept {
  const std::string_view value = format_parameter(parameters, name);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  return number;
}

}  // namespace ferry
