// SPDX-License-Identifier: Apache-2.0
// Notes refused commands of all control protocols: in the manager's list, which `explain` and metrics read,
// and in the log.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/command_log.hpp"

namespace ferry {

/// Keeps and counts a refused command, and writes its line to the log unless there were too many for that
/// `reason`. `report.refusal` says the reason in words. `ends`: the command would have ended a call.
void note_refusal(SessionManager& manager, CommandReport report, RefusalReason reason, bool ends,
                  const Clock& clock);

/// Logs how many refusals got no line so far. Call it about once a second.
void tell_unlogged_refusals(SessionManager& manager, Instant now);

}  // namespace ferry
