// SPDX-License-Identifier: Apache-2.0
#include "control/session/call_limits.hpp"

namespace ferry {

std::optional<RefusalReason> CallLimits::exceeded(std::size_t running) {
  std::optional<RefusalReason> exceeded;
  if (draining_) {
    exceeded = RefusalReason::kDraining;
  } else if (config_.max_sessions != 0 && running >= config_.max_sessions) {
    exceeded = RefusalReason::kSessions;
  } else if (config_.max_cpu_percent > 0 && load_.cpu_percent > config_.max_cpu_percent) {
    exceeded = RefusalReason::kCpu;
  } else if (config_.max_load > 0 && load_.load_average > config_.max_load) {
    exceeded = RefusalReason::kLoad;
  } else if (config_.max_bandwidth_bytes != 0 && load_.bytes_per_second > config_.max_bandwidth_bytes) {
    exceeded = RefusalReason::kBandwidth;
  } else if (is_memory_short()) {
    exceeded = RefusalReason::kMemoryLimit;
  }
  if (exceeded) ++totals_.rejected;
  return exceeded;
}

}  // namespace ferry
