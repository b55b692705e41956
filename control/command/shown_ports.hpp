// SPDX-License-Identifier: Apache-2.0
// DTLS follows the ports that a party is shown (DTL-1, RFC 8842).
#pragma once

#include "control/call/call.hpp"
#include "control/session/services.hpp"

namespace ferry {

/// Call it once the next SDP for the party names the active ports of `transport`, which has DTLS. Other ports
/// than before are another transport with an association of its own. If they take over what was agreed at
/// ports that still run, their worker is told the keys of those; for that it waits for the worker.
void show_dtls_at_ports(const Services& services, Call& call, MediaTransport& transport);

}  // namespace ferry
