// `rtpferryctl top`: calls on the whole screen, worst first.
#pragma once

#include "tools/rtpferryctl/client.hpp"

#include <string>

namespace ferry::ctl {

struct TopOptions {
  std::string sort = "severity";
  double interval_s = 1.0;
  /// One picture as plain text, without a terminal.
  bool once = false;
};

/// Exit status of the program.
int run_top(Client& client, const TopOptions& options);

}  // namespace ferry::ctl
