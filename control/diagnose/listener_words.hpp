// Why a listener does not hear a sender, in the words of the listener's row. Internal to this folder.
#pragma once

#include "control/diagnose/explain.hpp"

#include <string>

namespace ferry {

/// A sender that is not heard, and why.
struct Unheard {
  const std::string& sender;
  const MediaEvidence& media;
  Cause cause = Cause::kFine;
};

/// At most fourteen words, without a full stop, that begin in lower case unless with a name: "A's audio comes
/// from 203.0.113.9:4000 and is refused". It follows on "B hears nothing from A since 12:00:01 UTC (8 s): ".
[[nodiscard]] std::string why_unheard(const Unheard& unheard);

/// Why packets that were to leave toward `party` did not, in at most fourteen words.
[[nodiscard]] std::string why_not_sent(DropReason reason, const std::string& party);

}  // namespace ferry
