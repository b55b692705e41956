// SPDX-License-Identifier: Apache-2.0
// Makes the help, the manual page and the completion of `rtpferryctl` from the table of commands.
#pragma once

#include <string>

namespace ferry::ctl {

/// The text of `--help`.
[[nodiscard]] std::string help_text();
/// The manual page, in roff for man(1).
[[nodiscard]] std::string manual_page();
/// A script for completion in bash.
[[nodiscard]] std::string bash_completion();

}  // namespace ferry::ctl
