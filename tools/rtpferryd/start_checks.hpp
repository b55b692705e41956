// SPDX-License-Identifier: Apache-2.0
// Finds settings that cannot work, before the daemon starts and for `--check-config`.
#pragma once

#include "control/config/config.hpp"
#include "control/ports/interfaces.hpp"
#include "control/protocol/rtpproxy/listeners.hpp"

#include <string>
#include <vector>

namespace ferry {

/// Returns a sentence for each setting with which the daemon could not serve, or would lose something at
/// every call. Each names its option. It looks at files, users and interfaces of this host and changes
/// nothing. `interfaces` is null if they could not be built.
std::vector<std::string> what_cannot_work(const Config& config, const InterfaceSet* interfaces);

/// Returns the sockets of the rtpproxy protocol that the configuration names. The error is a sentence.
Result<std::vector<rtpproxy::ListenSpec>, std::string> rtpproxy_listeners(const Config& config,
                                                                          const InterfaceSet& interfaces);

}  // namespace ferry
