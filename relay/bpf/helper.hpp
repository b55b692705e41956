// SPDX-License-Identifier: Apache-2.0
// A process beside the daemon that keeps the rights to load and attach programs, so that the daemon needs
// none (CTL-17).
#pragma once

#include "relay/bpf/programs.hpp"

#include <memory>
#include <string>

#include <sys/types.h>

namespace ferry::bpf {

/// The daemon's end of the helper process. The helper carries out two commands and does nothing else. It runs
/// as nobody if the daemon was root, with three capabilities and a filter of system calls. It ends with the
/// daemon, however that ends, and takes the programs off their interfaces. For one thread.
class Helper {
 public:
  /// Forks the helper. Call it before any thread starts, before rights are given up, and before secrets are
  /// read: the helper has a copy of everything that is in memory by then. The error is a sentence for the
  /// operator.
  static Result<std::unique_ptr<Helper>, std::string> start();
  /// Ends the helper and waits for it; the programs are off afterwards.
  ~Helper();
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;

  /// Does `Programs::load` in the helper. The caller closes the descriptors. Waits up to 30 s.
  Result<ProgramHandles, std::string> load(const ProgramSettings& settings);
  /// Does `Programs::attach` in the helper. If the helper is gone, the attachment is off and says so. Waits
  /// up to 30 s.
  Attachment attach(const std::string& interface, OffloadMode wanted, bool is_named);
  /// A descriptor that becomes readable once the helper is gone; between two commands it is never readable
  /// otherwise.
  [[nodiscard]] int descriptor() const noexcept { return socket_; }
  /// The helper's process id.
  [[nodiscard]] pid_t process() const noexcept { return process_; }
  /// True if the helper is gone. Does not wait. Also takes the dead process off the kernel's list.
  [[nodiscard]] bool is_gone() noexcept;

 private:
  Helper(int socket, pid_t process) : socket_(socket), process_(process) {}
  int socket_;
  pid_t process_;
};

}  // namespace ferry::bpf
