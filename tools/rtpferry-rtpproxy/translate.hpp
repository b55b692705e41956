// SPDX-License-Identifier: Apache-2.0
// Translates rtpproxy's command line into that of rtpferryd.
#pragma once

#include "relay/base/result.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ferry {

/// What a command line of rtpproxy asks for.
struct RtpproxyStart {
  /// Arguments for rtpferryd, without the name of the program.
  std::vector<std::string> arguments;
  /// Text to print instead of starting anything; empty = start.
  std::string text;
  /// Limit of descriptors to set; unset = as it is.
  std::optional<unsigned long> open_files;
  /// Real-time scheduler to use, SCHED_FIFO or SCHED_RR; unset = the usual one.
  std::optional<int> scheduler;
  /// Nice value to set; 0 = unchanged.
  int nice = 0;
};

/// Translates `arguments`, which begin behind the program's name. Those behind `--` go to rtpferryd
/// unchanged. The error is a sentence.
Result<RtpproxyStart, std::string> translate_rtpproxy(std::span<const std::string> arguments);

}  // namespace ferry
