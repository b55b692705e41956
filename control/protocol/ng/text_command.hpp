// Lines of the text command interface of rtpengine, as `listen-cli` and the NG command `cli` carry them.
#pragma once

#include "control/session/manager.hpp"

#include <string>

namespace ferry::ng {

class NgService;

/// Executes one line (`list …`, `get …`, `set …`, `params …`, `call …`, `terminate CALL-ID`, `standby`,
/// `help`) and gives its text. Unknown lines say so. Control thread only.
std::string run_text_command(std::string_view line, SessionManager& manager, NgService& service,
                             const Clock& clock);

}  // namespace ferry::ng
