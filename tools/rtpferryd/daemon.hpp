// The parts of the daemon, and what they need of each other.
#pragma once

#include "control/config/config.hpp"
#include "control/protocol/rtpp/listeners.hpp"
#include "relay/bpf/bpf_engine.hpp"
#include "tools/rtpferryd/engine.hpp"
#include "tools/rtpferryd/launcher.hpp"

#include <memory>
#include <span>
#include <vector>

namespace ferry {

/// What was forked before the daemon gave its rights up.
struct ProcessesBeside {
  /// Forwards in the kernel; without it its error says why nothing does.
  Result<std::unique_ptr<bpf::Helper>, std::string> helper;
  /// Starts hooks; null where there are none.
  std::unique_ptr<Launcher> launcher;
};

/// Serves until a signal or the end of draining. `classic`: sockets of the rtpproxy protocol. `arguments` are
/// those of the program, to read the configuration again. Throws std::runtime_error with a sentence if a
/// listener cannot be had.
void serve(const Config& config, InterfaceSet& interfaces, const std::vector<rtpp::ListenSpec>& classic,
           std::unique_ptr<Engine> engine, ProcessesBeside beside, std::span<char* const> arguments);

}  // namespace ferry
