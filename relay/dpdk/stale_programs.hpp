// XDP programs that a former process has left on a link.
#pragma once

#include <string>
#include <vector>

namespace ferry::dpdk {

/// net_af_xdp has a program attached that goes only if the process that ends may still take it away; ours has
/// given its rights up by then, and a killed one has no say. The next start finds it in its way. Takes it off
/// the links that `eal` gives to net_af_xdp, if it is the driver's own (no other program is touched). Needs
/// CAP_NET_ADMIN and CAP_BPF; without them it does nothing.
void remove_stale_programs(const std::vector<std::string>& eal);

}  // namespace ferry::dpdk
