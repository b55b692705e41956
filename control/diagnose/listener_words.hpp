// SPDX-License-Identifier: Apache-2.0
// Writes why a listener does not hear a sender, in the words of the listener's verdict. Internal to this
// folder.
#pragma once

#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/causes.hpp"

#include <string>

namespace ferry {

/// A sender that is not heard, and the reason.
struct Unheard {
  const std::string& sender;
  const MediaEvidence& media;
  Cause cause = Cause::kFine;
};

/// Returns at most fourteen words without a full stop, which begin in lower case unless with a name: "A's
/// audio comes from 203.0.113.9:4000 and is refused". They follow on "B hears nothing from A since 12:00:01
/// UTC (8 s): ".
[[nodiscard]] std::string why_unheard(const Unheard& unheard);

/// Returns, in at most fourteen words, why packets that were to leave toward `party` did not.
[[nodiscard]] std::string why_not_sent(DropReason reason, const std::string& party);

}  // namespace ferry
