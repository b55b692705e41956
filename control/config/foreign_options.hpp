// SPDX-License-Identifier: Apache-2.0
// Options that installations of rtpengine bring and that the relay does not have by these names.
//
// A configuration of today goes on: the relay obeys such an option where it has the same thing by another
// name; else it takes it, and says once what replaces it.
#pragma once

#include "control/config/option_row.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferry {

struct Config;

/// One option of rtpengine 26.3. The name is that of the long option and of the key in the file.
struct ForeignOption {
  std::string_view name;
  /// A sentence without a capital: why the option does nothing here, and what to use instead.
  std::string_view instead;
  /// Whether it takes a value, on the command line.
  OptionKind kind = OptionKind::kValue;
  /// Letter of the short option; 0 = none.
  char letter = 0;
  /// The option of the relay that does the same; empty = there is none.
  std::string_view own_name = {};
  /// Turns a value into that of the own option; nothing = this value has no counterpart. Null: it stays as it
  /// is.
  std::optional<std::string> (*own_value)(std::string_view value) = nullptr;
};

/// All of them, by subject.
std::span<const ForeignOption> foreign_options();
/// The one with this name or letter; null if there is none.
const ForeignOption* find_foreign_option(std::string_view name);
const ForeignOption* find_foreign_option(char letter);

/// What an option means here: `name = value` of the relay's own, or nothing.
struct OwnSetting {
  std::string_view name;
  std::string value;
};
std::optional<OwnSetting> own_setting(const ForeignOption& option, std::string_view value);

/// Obeys the option, or adds the notice that it does nothing. Never a fault: a value that the own option
/// refuses does nothing, either.
void take_foreign_option(Config& config, const ForeignOption& option, std::string_view value);
/// The notice: one line for the log. Values that may be secrets are left out.
std::string foreign_notice(const ForeignOption& option);

}  // namespace ferry
