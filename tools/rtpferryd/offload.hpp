// SPDX-License-Identifier: Apache-2.0
// Starts the forwarding in the kernel on the network interfaces of the media addresses.
#pragma once

#include "control/config/config.hpp"
#include "relay/bpf/bpf_engine.hpp"

#include <memory>
#include <string>

namespace ferry {

/// The forwarding in the kernel, or why there is none.
struct Offload {
  /// Null if it is not wanted or not to be had.
  std::unique_ptr<bpf::BpfEngine> engine;
  /// Why `engine` is null; empty if it is not.
  std::string why_not;
};

/// Attaches the programs by `helper`, or returns the reason why there is no helper. Logs what is missing.
/// `workers` is the number of media workers, `now` their clock.
[[nodiscard]] Offload make_offload(const Config& config, const InterfaceSet& interfaces, unsigned workers,
                                   Result<std::unique_ptr<bpf::Helper>, std::string> helper,
                                   Instant (*now)());

}  // namespace ferry
