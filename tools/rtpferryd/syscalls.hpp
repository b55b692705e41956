// The system calls that the daemon makes while it serves (CTL-17). docs/operations.md lists
// what each option adds.
#pragma once

#include "relay/rights/syscall_filter.hpp"

#include <vector>

namespace ferry {

struct CallNeeds {
  /// Workers read and change the maps of the kernel programs.
  bool offload = false;
  /// The engine with network ports of its own: its drivers' sockets, memory and devices.
  bool dpdk = false;
};

[[nodiscard]] std::vector<AllowedCall> daemon_calls(const CallNeeds& needs);

}  // namespace ferry
