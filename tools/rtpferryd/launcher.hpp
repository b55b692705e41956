// SPDX-License-Identifier: Apache-2.0
// A process that starts programs for the daemon, which cannot start any itself (CTL-17).
#pragma once

#include "recorder/after/run_program.hpp"
#include "relay/base/result.hpp"

#include <memory>
#include <stop_token>
#include <string>

#include <sys/types.h>

namespace ferry {

/// What the launcher may start, and as which user. All of it comes from the configuration.
struct LauncherSettings {
  /// Path of the program, which is run with one argument.
  std::string program;
  /// The argument must be a file below this folder.
  std::string folder;
  /// Name of the user, for its groups; empty = no group but `gid`.
  std::string user;
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The daemon's end of the launcher. The launcher has no capability and no filter of system calls, which its
/// programs would inherit. It is forked before anything secret is read, and an order contains nothing but the
/// argument. It ends with the daemon, and ends the programs that run then.
class Launcher {
 public:
  /// Forks the launcher. Call it before any thread starts, before rights are given up, and before secrets are
  /// read. The error is a sentence.
  [[nodiscard]] static Result<std::unique_ptr<Launcher>, std::string> start();
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// Tells the launcher what it may start, and makes it that user, without a capability. Call it once, before
  /// the first `run`. The error is a sentence.
  [[nodiscard]] Result<void, std::string> settle(const LauncherSettings& settings);
  /// Runs the program as RunProgram says, and waits for its end. Only the last of `order.words` and the
  /// time-out are used. Safe on any thread.
  [[nodiscard]] ProgramResult run(const ProgramOrder& order, const std::stop_token& stop) const;
  /// Process id of the launcher.
  [[nodiscard]] pid_t process() const noexcept { return process_; }

 private:
  Launcher(int socket, pid_t process) : socket_(socket), process_(process) {}
  int socket_;
  pid_t process_;
};

/// Opens /dev/null for standard input, output and error if they are closed. Otherwise a socket of the daemon
/// could get such a number, and log lines would go to it. Call it before anything is opened.
void fill_standard_streams() noexcept;

}  // namespace ferry
