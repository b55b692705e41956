// Notes refused commands of all control protocols: in the manager's list for `explain` and metrics, and in
// the log.
#pragma once

#include "control/protocol/command_log.hpp"
#include "control/session/manager.hpp"

namespace ferry {

/// A command was refused for `reason`; `report.refusal` says it in words. Keeps and counts it, and writes its
/// line to the log unless there are too many of that reason. `ends`: it would have ended a call.
void note_refusal(SessionManager& manager, CommandReport report, RefusalReason reason, bool ends,
                  const Clock& clock);

/// Tells how many refusals have had no line so far. Call it about once a second.
void tell_unlogged_refusals(SessionManager& manager, Instant now);

}  // namespace ferry
