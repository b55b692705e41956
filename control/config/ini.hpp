// SPDX-License-Identifier: Apache-2.0
// The form of configuration files: sections in brackets, and one NAME = VALUE a line. Pure; any thread.
#pragma once

#include <string_view>
#include <vector>

namespace ferry {

/// One line that says something. Views point into the text.
struct IniLine {
  enum class Kind : unsigned char {
    /// `[section]` begins.
    kSection,
    /// A bracket that is not closed; what follows is in no section.
    kBroken,
    /// `key = value` in `section`.
    kSetting,
  };
  Kind kind = Kind::kSetting;
  /// Counted from 1.
  unsigned number = 0;
  /// Empty before the first section.
  std::string_view section;
  std::string_view key;
  /// Empty for a line without `=`.
  std::string_view value;
};

/// Without the blanks around it.
[[nodiscard]] std::string_view trim(std::string_view text) noexcept;
/// Takes a text apart. Comments (`#`, `;`) and empty lines are left out.
[[nodiscard]] std::vector<IniLine> ini_lines(std::string_view text);

}  // namespace ferry
