// SPDX-License-Identifier: Apache-2.0
// `rtpferryctl top`: shows calls on the whole screen, the worst first.
#pragma once

#include "tools/rtpferryctl/client.hpp"

#include <string>

namespace ferry::ctl {

/// Options of the command line.
struct TopOptions {
  std::string sort = "severity";
  /// Seconds between two pictures.
  double interval_s = 1.0;
  /// Prints one picture as plain text and ends; needs no terminal.
  bool once = false;
};

/// Runs until the user quits, and returns the exit status.
int run_top(Client& client, const TopOptions& options);

}  // namespace ferry::ctl
