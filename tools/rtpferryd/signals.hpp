// SPDX-License-Identifier: Apache-2.0
// Ignores the signals that mean nothing to the daemon (CTL-16).
#pragma once

#include <array>
#include <csignal>

namespace ferry {

/// Signals whose default would end the process although nothing is wrong with it. SIGTERM, SIGINT and SIGHUP
/// have a meaning; SIGQUIT, SIGABRT and the signals of faults keep theirs.
inline constexpr std::array kIgnoredSignals = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF,
                                               SIGIO,   SIGPWR,  SIGXCPU, SIGXFSZ, SIGSTKFLT};

/// Ignores them for the whole process, with all real-time signals, and SIGHUP until somebody handles it.
void ignore_unused_signals() noexcept;

}  // namespace ferry
