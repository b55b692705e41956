// rtpproxy's command line in the daemon's words.
#pragma once

#include "relay/base/result.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ferry {

/// What a command line of rtpproxy asks for.
struct RtpproxyStart {
  /// Of rtpferryd, without its name.
  std::vector<std::string> arguments;
  /// To be printed, and nothing is started. Empty = start.
  std::string text;
  std::optional<unsigned long> open_files;
  /// SCHED_FIFO or SCHED_RR.
  std::optional<int> scheduler;
  int nice = 0;
};

/// `arguments` without the program's name. What stands behind `--` goes to rtpferryd as it is. The error is a
/// sentence.
Result<RtpproxyStart, std::string> translate_rtpproxy(std::span<const std::string> arguments);

}  // namespace ferry
