// What cannot work, found before the daemon starts and by --check-config.
#pragma once

#include "control/config/config.hpp"
#include "control/protocol/rtpp/listeners.hpp"
#include "control/session/interfaces.hpp"

#include <string>
#include <vector>

namespace ferry {

/// A sentence for each choice with which the daemon could not serve, or would lose something at every call.
/// Each names its option. Looks at files, users and interfaces of this host and changes nothing. `interfaces`
/// may be null where they could not be built.
std::vector<std::string> what_cannot_work(const Config& config, const InterfaceSet* interfaces);

/// The sockets of the rtpproxy protocol. The error is a sentence.
Result<std::vector<rtpp::ListenSpec>, std::string> classic_listeners(const Config& config,
                                                                     const InterfaceSet& interfaces);

}  // namespace ferry
