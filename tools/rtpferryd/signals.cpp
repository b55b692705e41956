// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/signals.hpp"

namespace ferry {

void ignore_unused_signals() noexcept {
  for (const int number : kIgnoredSignals) std::signal(number, SIG_IGN);
  for (int number = SIGRTMIN; number <= SIGRTMAX; ++number) std::signal(number, SIG_IGN);
  std::signal(SIGHUP, SIG_IGN);
}

}  // namespace ferry
