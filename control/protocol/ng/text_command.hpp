// SPDX-License-Identifier: Apache-2.0
// The text commands of rtpengine, as `listen-cli` and the NG command `cli` carry them.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/ng/service_view.hpp"

#include <string>
#include <string_view>

namespace ferry::ng {

/// Executes one line (`list …`, `get …`, `set …`, `params …`, `call …`, `terminate CALL-ID`, `standby`,
/// `help`) and returns its text. The text of an unknown line says so. Control thread only.
std::string run_text_command(std::string_view line, SessionManager& manager, const ServiceView& service,
                             const Clock& clock);

/// True if the line is a command that changes nothing. False for words that nobody knows.
[[nodiscard]] bool only_reads(std::string_view line);

}  // namespace ferry::ng
