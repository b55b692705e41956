// SPDX-License-Identifier: Apache-2.0
// Comparison of protocol words.
#pragma once

#include <algorithm>
#include <string_view>

namespace ferry {

/// True if the texts are equal apart from the case of ASCII letters. Independent of the locale.
inline bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace ferry
