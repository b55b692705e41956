// SPDX-License-Identifier: Apache-2.0
// How many commands of the rtpproxy protocol came and what became of them.
#pragma once

#include <cstdint>

namespace ferry::rtpproxy {

/// Counts of all commands since the start, over all transports.
struct CommandTotals {
  std::uint64_t received = 0;
  /// Retransmissions: they got the former reply again.
  std::uint64_t repeated = 0;
  std::uint64_t succeeded = 0;
  std::uint64_t failed = 0;
  std::uint64_t replied = 0;
};

}  // namespace ferry::rtpproxy
