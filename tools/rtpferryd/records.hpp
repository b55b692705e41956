// SPDX-License-Identifier: Apache-2.0
// Writes what the log says about calls.
#pragma once

#include "control/manager/manager.hpp"

#include <string>
#include <string_view>

namespace ferry {

/// Describes an event of a party's media in a sentence.
std::string_view describe(TransportEvent event);

/// Tells when each direction fell silent: "; from A: 60 s ago, from B: never".
std::string silence_of(const Call& call);

/// Returns the record of a call that is over: the text of a JSON object. It contains no addresses and no
/// digits that a party pressed (CTL-11).
std::string call_record(const CallReport& report);

}  // namespace ferry
