// SPDX-License-Identifier: Apache-2.0
// Lists the system calls that the daemon may make while it serves (CTL-17). docs/operations.md says what each
// option adds.
#pragma once

#include "relay/rights/syscall_filter.hpp"

#include <vector>

namespace ferry {

/// Options that need further calls.
struct CallNeeds {
  /// Workers read and change the maps of the kernel programs.
  bool offload = false;
  /// The DPDK engine is used: its drivers need sockets, memory and devices.
  bool dpdk = false;
};

/// The calls that are allowed with these options.
[[nodiscard]] std::vector<AllowedCall> daemon_calls(const CallNeeds& needs);

}  // namespace ferry
