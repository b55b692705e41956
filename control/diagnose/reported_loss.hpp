// SPDX-License-Identifier: Apache-2.0
// Loss behind the relay, by what the listener itself reports.
//
// A report (RFC 3550 §6.4) tells what the listener misses, whatever the place where it was lost. So what
// never left the relay is subtracted, and within the report's own time: this may be over when the last
// seconds begin. Internal to this folder.
#pragma once

#include "control/diagnose/call_evidence.hpp"

namespace ferry {

/// Percent of what left toward `listener` in the last seconds that its RTCP reports as missing; 0 if it
/// reports nothing that is of now. Pure.
[[nodiscard]] double lost_behind_percent(const CallEvidence& call, const MediaEvidence& listener);

}  // namespace ferry
