// `rtpferryctl trace`: packets of a call with their verdicts, as text or into a capture file.
#pragma once

#include "tools/rtpferryctl/client.hpp"

#include <cstdint>
#include <string>

namespace ferry::ctl {

struct TraceOptions {
  std::string call_id;
  std::uint64_t count = 100;
  std::int64_t seconds = 30;
  /// Empty = text.
  std::string pcap;
  bool as_json = false;
};

/// Exit status of the program.
int run_trace(Client& client, const TraceOptions& options);

}  // namespace ferry::ctl
