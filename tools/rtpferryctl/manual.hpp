// What `rtpferryctl` says of itself: help, manual page and completion, of the table of commands.
#pragma once

#include <string>

namespace ferry::ctl {

[[nodiscard]] std::string help_text();
/// roff, for man(1).
[[nodiscard]] std::string manual_page();
[[nodiscard]] std::string bash_completion();

}  // namespace ferry::ctl
