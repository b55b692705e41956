// SPDX-License-Identifier: Apache-2.0
// The command `migrate`: a configuration or a command line of rtpengine or rtpproxy as a file for rtpferryd.
// It needs no daemon.
#pragma once

#include <span>
#include <string>

namespace ferry::ctl {

/// Prints the new file on standard output, and on standard error what has to be done by hand. `words` are
/// those behind the name of the command: the path of a file; or a command line, as one word or as several.
/// Returns the exit status: 1 if something has to be done by hand.
int run_migrate(std::span<const std::string> words);

/// Lines about it in the help.
inline constexpr const char* kMigrateHelp =
    "  migrate FILE [SECTION]\n"
    "                        rtpengine's configuration as one of rtpferryd, each line with a comment\n"
    "  migrate rtpengine|rtpproxy OPTIONS…\n"
    "                        the same of a command line\n";

}  // namespace ferry::ctl
