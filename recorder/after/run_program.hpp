// Runs a program and waits for its end. This is the one place where a hook becomes a process: whoever must
// start programs in another way, as from a process with rights of its own, hands over another `RunProgram`.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace ferry {

struct ProgramOrder {
  /// The program and its arguments. A program without a slash is looked for in the PATH of this process.
  std::vector<std::string> words{};
  /// `NAME=VALUE`; the program gets these and no other.
  std::vector<std::string> environment{};
  std::chrono::milliseconds time_out{60'000};
};

struct ProgramResult {
  enum class End : std::uint8_t {
    kExited,      // `code` is its exit status
    kSignalled,   // `code` is the signal
    kNotStarted,  // `code` is an errno value
    kTimedOut,    // it was ended after its time-out
    kStopped,     // it was ended because the caller asked for that
  };
  End end = End::kNotStarted;
  int code = 0;
  [[nodiscard]] bool is_good() const { return end == End::kExited && code == 0; }
};

/// The end as the rest of a sentence: "ended with status 1".
[[nodiscard]] std::string describe(const ProgramResult& result);

/// Blocks its thread until the program is over. Called on several threads at a time. When `stop` is
/// requested, or after the time-out, the program ends together with its process group: SIGTERM first, SIGKILL
/// after a grace.
using RunProgram = std::function<ProgramResult(const ProgramOrder& order, const std::stop_token& stop)>;

/// Starts the program as a child of this process: standard input and output are /dev/null, standard error is
/// ours.
[[nodiscard]] ProgramResult run_program(const ProgramOrder& order, const std::stop_token& stop);

}  // namespace ferry
