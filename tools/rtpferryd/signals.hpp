// Signals that mean nothing to the daemon (CTL-16).
#pragma once

#include <array>
#include <csignal>

namespace ferry {

/// Those whose default would end the process, although nothing is wrong with it. SIGTERM, SIGINT and SIGHUP
/// have a meaning; SIGQUIT, SIGABRT and the signals of faults keep theirs.
inline constexpr std::array kIgnoredSignals = {SIGPIPE, SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF,
                                               SIGIO,   SIGPWR,  SIGXCPU, SIGXFSZ, SIGSTKFLT};

/// For the whole process: also all real-time signals, and SIGHUP until somebody takes it.
void ignore_unused_signals() noexcept;

}  // namespace ferry
