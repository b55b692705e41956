// SPDX-License-Identifier: Apache-2.0
// Makes what is known of a call ready for the verdicts of control/diagnose.
#pragma once

#include "control/call/call.hpp"
#include "control/call/totals.hpp"
#include "control/diagnose/call_evidence.hpp"
#include "control/session/snapshots.hpp"

#include <string>

namespace ferry {

/// The name of a party for operators: its tag, else its label, else its number.
[[nodiscard]] std::string name_of(const Leg& leg);
/// Collects what signalling and the workers say of a call. The result borrows from `snapshots`.
[[nodiscard]] CallEvidence evidence_of(const Call& call, const CallSnapshots& snapshots, const Clock& clock);
/// Takes deleted parties out of who hears whom, if the call itself goes on: they fall silent, and nobody
/// waits for them. The places of the other parties in `evidence` stay.
void leave_out_deleted(const Call& call, CallEvidence& evidence);

}  // namespace ferry
