// SPDX-License-Identifier: Apache-2.0
// The report of a call that is over, as JSON.
#pragma once

#include "control/session/observer.hpp"

#include <nlohmann/json_fwd.hpp>

namespace ferry::events {

/// The record of a call that is over, for the log and for events: identity, times, the reason of its end, its
/// verdict, and the figures of each media of each party.
[[nodiscard]] nlohmann::json record_of(const CallReport& report);

}  // namespace ferry::events
