// SPDX-License-Identifier: Apache-2.0
// Starts DPDK's environment (EAL), once per process.
#pragma once

#include "relay/base/result.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::dpdk {

/// Starts the environment with `arguments` and with defaults where the operator said nothing: memory that no
/// other process sees, no telemetry socket. The calling thread keeps its CPUs. A second call does nothing.
/// `log` gets DPDK's lines for the rest of the process's life. The error is a sentence for the operator.
Result<void, std::string> start_eal(const std::vector<std::string>& arguments,
                                    std::function<void(std::string_view)> log);

/// Runs `task` on each thread that the environment has started, lcores and interrupt thread, and waits for
/// all of them.
void on_eal_threads(const std::function<void()>& task);

}  // namespace ferry::dpdk
