// SPDX-License-Identifier: Apache-2.0
// Writes what commands answer as dictionaries of the NG protocol (docs/reference/ng.md#errors). Clients see
// the order of the keys. The service adds `result`. Pure; safe on any thread.
#pragma once

#include "control/command/results.hpp"
#include "control/value/value.hpp"

#include <string>
#include <vector>

namespace ferry::ng {

/// The reply to `offer` and `answer`; empty for a fragment.
[[nodiscard]] Dict reply_of(MessageTaken taken);
/// The reply to `block DTMF` and `unblock DTMF`.
[[nodiscard]] Dict reply_of(DigitRulesSet set);
/// The reply to `publish` and `create`.
[[nodiscard]] Dict reply_of(PartyMade made);
/// The reply to `subscribe request`.
[[nodiscard]] Dict reply_of(SubscriptionMade made);
/// The reply to `transform`.
[[nodiscard]] Dict reply_of(TransformMade made);
/// The reply to `play media`.
[[nodiscard]] Dict reply_of(PlaybackStarted started);
/// The reply to `stop media`.
[[nodiscard]] Dict reply_of(PlaybackStopped stopped);
/// The reply to `list`: Call-IDs.
[[nodiscard]] Dict reply_of(std::vector<std::string> call_ids);

}  // namespace ferry::ng
