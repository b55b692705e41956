// SPDX-License-Identifier: Apache-2.0
// The command line of the daemon, taken apart into options.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

struct OptionRow;
struct ForeignOption;

/// One option of a command line. Exactly one of `own`, `foreign` and `wrong` is set.
struct GivenOption {
  const OptionRow* own = nullptr;
  const ForeignOption* foreign = nullptr;
  /// A sentence about a word that is no option, or lacks its value.
  std::string wrong;
  /// Points into the arguments; empty for a switch without a value.
  std::string_view value;
};

/// The options in their order. `arguments` begins with the name of the program. Not for two threads at once:
/// getopt_long has one state.
[[nodiscard]] std::vector<GivenOption> given_options(std::span<char* const> arguments);

}  // namespace ferry
