// SPDX-License-Identifier: Apache-2.0
// Signals without a meaning, in children that ignore them (CTL-16).
#include "tools/rtpferryd/signals.hpp"

#include "tests/support/child.hpp"

#include <csignal>

#include <gtest/gtest.h>

namespace ferry {
namespace {

/// 0 if the process survives the signal, else 256 and the signal that ended it.
int outcome_of(int number) {
  return result_of_child([number] {
    std::signal(number, SIG_DFL);  // a shell makes its background jobs ignore SIGINT and SIGQUIT
    ignore_unused_signals();
    raise(number);
    return 0;
  });
}

TEST(Signals, CTL16_WhatHasNoMeaningIsIgnored) {
  for (const int number : {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPIPE, SIGPWR, SIGXCPU,
                           SIGXFSZ, SIGSTKFLT, SIGCHLD, SIGURG, SIGWINCH, SIGRTMIN, SIGRTMIN + 5, SIGRTMAX})
    EXPECT_EQ(outcome_of(number), 0) << "signal " << number;
  EXPECT_EQ(outcome_of(SIGHUP), 0) << "until somebody takes it";
}

TEST(Signals, CTL16_WhatEndsItStillDoes) {
  for (const int number : {SIGTERM, SIGINT, SIGQUIT, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS})
    EXPECT_EQ(outcome_of(number), 256 + number) << "signal " << number;
}

}  // namespace
}  // namespace ferry
