// What the daemon says about calls.
#pragma once

#include "control/session/manager.hpp"

#include <string>
#include <string_view>

namespace ferry {

/// A sentence about a party.
std::string_view describe(TransportEvent event);

/// Which direction fell silent when: "; from A: 60 s ago, from B: never".
std::string silence_of(const Call& call);

/// The record of a call that is over: text of a JSON object. It has no addresses and no digits (CTL-11).
std::string call_record(const CallReport& report);

}  // namespace ferry
