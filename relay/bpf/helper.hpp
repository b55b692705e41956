// A process beside the daemon that keeps the rights which loading and attaching need, so that the daemon
// needs none (CTL-17).
#pragma once

#include "relay/bpf/programs.hpp"

#include <memory>
#include <string>

#include <sys/types.h>

namespace ferry::bpf {

/// The daemon's end. The helper does what the two commands say and nothing else: it has three capabilities,
/// no other user's rights, and a filter of system calls. It ends with the daemon, however that ends, and
/// takes the programs off their interfaces.
class Helper {
 public:
  /// Forks. To be called before any thread starts, before rights are given up, and before secrets are read:
  /// the helper has a copy of what is in memory by then.
  static Result<std::unique_ptr<Helper>, std::string> start();
  ~Helper();
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  /// `Programs::load`. The descriptors are the caller's.
  Result<ProgramHandles, std::string> load(const ProgramSettings& settings);
  /// `Programs::attach`.
  Attachment attach(const std::string& interface, OffloadMode wanted, bool is_named);
  /// Readable once the helper is gone, and never else between two commands.
  [[nodiscard]] int descriptor() const noexcept { return socket_; }
  [[nodiscard]] pid_t process() const noexcept { return process_; }
  /// Looks without waiting; also takes the dead process off the kernel's list.
  [[nodiscard]] bool is_gone() noexcept;

 private:
  Helper(int socket, pid_t process) : socket_(socket), process_(process) {}
  int socket_;
  pid_t process_;
};

}  // namespace ferry::bpf
