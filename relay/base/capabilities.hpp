// SPDX-License-Identifier: Apache-2.0
// Gives up rights of a process or thread: Linux capabilities and inherited descriptors (CTL-17).
#pragma once

#include <span>

namespace ferry {

/// Keeps the listed capabilities (CAP_… of <linux/capability.h>) as far as the calling thread has them, and
/// gives up all others, ambient ones included. It also sets no_new_privs, so nothing brings them back.
/// Failures are not reported.
void keep_only(std::span<const int> capabilities) noexcept;

/// Keeps capabilities like the function above, but only those in `in_force` take effect at once. The other
/// kept ones take effect while a `RaisedRights` lives.
void keep_only(std::span<const int> capabilities, std::span<const int> in_force) noexcept;

/// Closes every descriptor except 0, 1, 2 and `kept`. For a process that was just forked.
void close_all_but(int kept) noexcept;

/// Puts all capabilities that the calling thread has kept into force. The destructor restores the state
/// before, so it must run on the same thread.
class RaisedRights {
 public:
  RaisedRights() noexcept;
  ~RaisedRights();
  RaisedRights(const RaisedRights&) = delete;
  RaisedRights& operator=(const RaisedRights&) = delete;

 private:
  void* before_;  // cap_t of libcap
};

}  // namespace ferry
