// DPDK's environment: once per process.
#pragma once

#include "relay/base/result.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::dpdk {

/// With what the operator did not say himself: memory that no other process sees, no telemetry socket. The
/// calling thread stays where it may run. A second call does nothing. Fails with a sentence.
Result<void, std::string> start_eal(const std::vector<std::string>& arguments,
                                    std::function<void(std::string_view)> log);

/// Runs `task` on each thread that the environment has started: lcores and its interrupt thread.
void on_eal_threads(const std::function<void()>& task);

}  // namespace ferry::dpdk
