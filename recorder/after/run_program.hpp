// SPDX-License-Identifier: Apache-2.0
// Runs a program and waits for its end. This is the one place where a hook becomes a process. Whoever must
// start programs in another way, for example from a process with rights of its own, hands over another
// `RunProgram`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace ferry {

/// A program to be run, and how.
struct ProgramOrder {
  /// The program and its arguments. A program without a slash is looked for in the PATH of this process.
  std::vector<std::string> words{};
  /// `NAME=VALUE`. The program gets these and no others.
  std::vector<std::string> environment{};
  std::chrono::milliseconds time_out{60'000};
};

/// How it ended.
struct ProgramResult {
  enum class End : std::uint8_t {
    /// It ended by itself; `code` is its exit status.
    kExited,
    /// A signal ended it; `code` is the signal.
    kSignalled,
    /// It never ran; `code` is an errno value.
    kNotStarted,
    /// It was ended after its time-out.
    kTimedOut,
    /// It was ended because the caller asked for that.
    kStopped,
  };
  End end = End::kNotStarted;
  int code = 0;
  [[nodiscard]] bool is_good() const { return end == End::kExited && code == 0; }
};

/// The end as the rest of a sentence: "ended with status 1".
[[nodiscard]] std::string describe(const ProgramResult& result);

/// Blocks its thread until the program is over; called on several threads at a time. After the time-out, or
/// when `stop` is requested, the program is ended together with its process group: SIGTERM first, SIGKILL
/// after a grace of a few seconds.
using RunProgram = std::function<ProgramResult(const ProgramOrder& order, const std::stop_token& stop)>;

/// Starts the program as a child of this process. Standard input and output are /dev/null, standard error is
/// ours.
[[nodiscard]] ProgramResult run_program(const ProgramOrder& order, const std::stop_token& stop);

}  // namespace ferry
