// SPDX-License-Identifier: Apache-2.0
// Removes XDP programs that a former process has left on an interface.
#pragma once

#include <string>
#include <vector>

namespace ferry::dpdk {

/// Removes the driver's XDP program from the interfaces that `eal` gives to net_af_xdp.
///
/// That driver attaches a program and takes it away at its end, if it still may. Our process has given its
/// rights up by then, and a killed one can do nothing, so the program stays and the next start fails. Only
/// the driver's own program is removed, no other. Needs CAP_NET_ADMIN and CAP_BPF; without them this does
/// nothing.
void remove_stale_programs(const std::vector<std::string>& eal);

}  // namespace ferry::dpdk
