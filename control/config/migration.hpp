// SPDX-License-Identifier: Apache-2.0
// Turns a configuration or a command line that was made for rtpengine into a file of the relay's own, with a
// comment for each line. Reads and writes texts only.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// The result of a migration.
struct Migration {
  /// A configuration file for rtpferryd.
  std::string text;
  /// A sentence for each line that has to be changed by hand before the daemon starts with it. The text has
  /// them as comments, too.
  std::vector<std::string> wrongs;
};

/// Of the text of a file; `name` is that of the file in comments. `section` is that of `config-section`;
/// empty = the usual ones.
[[nodiscard]] Migration migrate_file(std::string_view text, std::string_view name,
                                     std::string_view section = {});
/// Of a command line. `arguments` begins with the name of the program. If it names a configuration file,
/// that one is not read: a comment says so. Not for two threads at once.
[[nodiscard]] Migration migrate_arguments(std::span<char* const> arguments);

}  // namespace ferry
