// SPDX-License-Identifier: Apache-2.0
// `rtpferryctl trace`: shows packets of a call with their verdicts, as text or in a capture file.
#pragma once

#include "tools/rtpferryctl/client.hpp"

#include <cstdint>
#include <string>

namespace ferry::ctl {

/// Options of the command line.
struct TraceOptions {
  std::string call_id;
  /// Most packets, and the longest time.
  std::uint64_t count = 100;
  std::int64_t seconds = 30;
  /// Path of the capture file; empty = text on standard output.
  std::string pcap;
  /// Print each packet as the daemon's line of JSON.
  bool as_json = false;
};

/// Runs until the trace has ended, and returns the exit status.
int run_trace(Client& client, const TraceOptions& options);

}  // namespace ferry::ctl
