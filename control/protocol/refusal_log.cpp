// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/refusal_log.hpp"

#include "control/log/log.hpp"

namespace ferry {

void note_refusal(SessionManager& manager, CommandReport report, RefusalReason reason, bool ends,
                  const Clock& clock) {
  const RefusedRequests::Line line = manager.refused_requests().note({.call_id = report.call_id,
                                                                      .command = report.command,
                                                                      .protocol = report.protocol,
                                                                      .from_tag = report.from_tag,
                                                                      .to_tag = report.to_tag,
                                                                      .client = report.client,
                                                                      .refusal = reason,
                                                                      .text = report.refusal,
                                                                      .changes = report.changes,
                                                                      .ends = ends},
                                                                     clock.now, clock.wall);
  if (!line.is_wanted) return;
  report.left_out = line.left_out;
  log_command(report);
}

void tell_unlogged_refusals(SessionManager& manager, Instant now) {
  for (const RefusalRow& row : kRefusalRows) {
    const std::uint64_t count = manager.refused_requests().take_untold(row.refusal, now);
    if (count == 0) continue;
    const log::Scope scope(log::Subsystem::kControl);
    log::warn("{} commands were refused without a line each ({}): {}; what to do: {}", count, row.name,
              row.text, row.advice);
  }
}

}  // namespace ferry
