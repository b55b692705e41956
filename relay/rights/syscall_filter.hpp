// The system calls that a process may still make (seccomp, CTL-17).
#pragma once

#include "relay/base/result.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace ferry {

/// A call that is allowed: always, or where an argument has a value. Several rows of one call are
/// alternatives.
struct AllowedCall {
  /// SCMP_SYS(name) of <seccomp.h>.
  int number = 0;
  unsigned argument = 0;
  /// Bits of the argument that are compared with `value`; 0 = the arguments do not matter.
  std::uint64_t mask = 0;
  std::uint64_t value = 0;
};

/// All bits of an argument that is an int.
constexpr std::uint64_t kWholeInt = 0xffffffff;

/// Calls that end the process unless they are allowed: no fault of ours makes them, only whoever broke in.
[[nodiscard]] std::span<const int> hostile_calls() noexcept;

/// From now on all threads of the process, and its children, may make the calls of `allowed` alone. Hostile
/// ones end the process; all others fail with ENOSYS, and the kernel's audit log names them. Sets
/// no_new_privs. Fails with a sentence, and nothing is changed then.
[[nodiscard]] Result<void, std::string> allow_only(std::span<const AllowedCall> allowed);

}  // namespace ferry
