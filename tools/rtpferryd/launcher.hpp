// The process that starts programs for the daemon, which cannot start any (CTL-17).
#pragma once

#include "recorder/after/run_program.hpp"
#include "relay/base/result.hpp"

#include <memory>
#include <stop_token>
#include <string>

#include <sys/types.h>

namespace ferry {

/// What the launcher may start, and as whom. All of it comes from the configuration.
struct LauncherSettings {
  /// Run with one argument.
  std::string program;
  /// The argument is a file below it.
  std::string folder;
  std::string user;  // for its groups; empty = none but `gid`
  uid_t uid = 0;
  gid_t gid = 0;
};

/// The daemon's end. The launcher has no capability and no filter of system calls, which programs would
/// inherit; it was forked before anything secret was read, and its orders say nothing but the argument. It
/// ends with the daemon, and what runs then is ended.
class Launcher {
 public:
  /// Forks. To be called before any thread starts, before rights are given up, and before secrets are read.
  [[nodiscard]] static Result<std::unique_ptr<Launcher>, std::string> start();
  ~Launcher();
  Launcher(const Launcher&) = delete;
  Launcher& operator=(const Launcher&) = delete;

  /// Once, before the first `run`: from then on the launcher is that user, without a capability.
  [[nodiscard]] Result<void, std::string> settle(const LauncherSettings& settings);
  /// As RunProgram says. Of `order.words` only the last is taken, of the rest only the time-out.
  [[nodiscard]] ProgramResult run(const ProgramOrder& order, const std::stop_token& stop) const;
  [[nodiscard]] pid_t process() const noexcept { return process_; }

 private:
  Launcher(int socket, pid_t process) : socket_(socket), process_(process) {}
  int socket_;
  pid_t process_;
};

/// Standard input, output and error that are closed become /dev/null: otherwise a socket of ours gets such a
/// number, and log lines with it. Before anything is opened.
void fill_standard_streams() noexcept;

}  // namespace ferry
