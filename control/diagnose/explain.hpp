// SPDX-License-Identifier: Apache-2.0
// Explains a call: from what was signalled and what the relay saw, it makes one sentence for each party and
// direction.
#pragma once

#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/verdict.hpp"

namespace ferry {

/// Judges a call: two verdicts for each m-line of each party, one for what comes from it and one for what is
/// sent to it. Pure; safe on any thread.
[[nodiscard]] Explanation explain(const CallEvidence& call);
/// Like `explain`, but sentences and evidence stay empty, which costs less. It serves calls that end, most of
/// which have no trouble. Pure; safe on any thread.
[[nodiscard]] Explanation glance(const CallEvidence& call);

}  // namespace ferry
