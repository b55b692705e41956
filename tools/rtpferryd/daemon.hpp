// SPDX-License-Identifier: Apache-2.0
// Joins the parts of the daemon and runs it.
#pragma once

#include "control/config/config.hpp"
#include "control/protocol/rtpproxy/listeners.hpp"
#include "relay/bpf/bpf_engine.hpp"
#include "tools/rtpferryd/engine.hpp"
#include "tools/rtpferryd/launcher.hpp"

#include <memory>
#include <span>
#include <vector>

namespace ferry {

/// Processes that were forked before the daemon gave its rights up.
struct ProcessesBeside {
  /// Loads the kernel programs. If there is none, the error says why nothing is forwarded in the kernel.
  Result<std::unique_ptr<bpf::Helper>, std::string> helper;
  /// Starts the hooks of recordings; null if there are none.
  std::unique_ptr<Launcher> launcher;
};

/// Serves until a signal comes or draining has ended. `rtpproxy_sockets` are the sockets of the rtpproxy
/// protocol. `arguments` are those of the program, to read the configuration again at SIGHUP. Throws
/// std::runtime_error with a sentence if a listener cannot be had.
void serve(const Config& config, InterfaceSet& interfaces,
           const std::vector<rtpproxy::ListenSpec>& rtpproxy_sockets, ChosenEngine engine,
           ProcessesBeside beside, std::span<char* const> arguments);

}  // namespace ferry
