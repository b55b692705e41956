// Lines of the text command interface, as the NG command `cli` carries them.
#pragma once

#include "control/session/manager.hpp"

#include <string>
#include <string_view>

namespace ferry::ng {

/// Executes one line (`list numsessions`, `list sessions`, `list totals`, `list interfaces`, `list
/// maxsessions`, `terminate CALL-ID`) and gives its text. Unknown lines say so. Control thread only.
std::string run_text_command(std::string_view line, SessionManager& manager, const Clock& clock);

}  // namespace ferry::ng
