// SPDX-License-Identifier: Apache-2.0
// Limits the system calls that a process may still make (seccomp, CTL-17).
#pragma once

#include "relay/base/result.hpp"

#include <cstdint>
#include <span>
#include <string>

namespace ferry {

/// A call that is allowed: always, or only if one argument has a value. Several rows for one call are
/// alternatives.
struct AllowedCall {
  /// SCMP_SYS(name) of <seccomp.h>.
  int number = 0;
  /// Which argument is compared, from 0.
  unsigned argument = 0;
  /// Bits of the argument that are compared with `value`; 0: the call is allowed with any arguments.
  std::uint64_t mask = 0;
  std::uint64_t value = 0;
};

/// Mask for an argument that is an int.
constexpr std::uint64_t kWholeInt = 0xffffffff;

/// Calls that end the process unless its table allows them. No fault of ours makes them; somebody who has
/// broken in would.
[[nodiscard]] std::span<const int> hostile_calls() noexcept;

/// From now on all threads of the process, and its children, may only make the calls in `allowed`. Hostile
/// calls end the process. All others fail with ENOSYS, and the kernel's audit log names them. Sets
/// no_new_privs. The error is a sentence, and nothing has changed then.
[[nodiscard]] Result<void, std::string> allow_only(std::span<const AllowedCall> allowed);

}  // namespace ferry
