// Text of protocols.
#pragma once

#include <algorithm>
#include <string_view>

namespace ferry {

/// ASCII, without regard to case.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace ferry
