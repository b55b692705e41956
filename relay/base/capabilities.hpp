// What a process or thread gives up: capabilities, and descriptors that it inherited.
#pragma once

#include <span>

namespace ferry {

/// Keeps those of `capabilities` (CAP_… of <linux/capability.h>) that the thread is permitted, gives all
/// others up, also as ambient ones, and sets no_new_privs: nothing brings them back.
void keep_only(std::span<const int> capabilities) noexcept;

/// The same, but only those of `in_force` have an effect: the others wait for `RaisedRights`.
void keep_only(std::span<const int> capabilities, std::span<const int> in_force) noexcept;

/// For a process that was just forked: no descriptor stays open but the standard ones and `kept`.
void close_all_but(int kept) noexcept;

/// While it lives, all capabilities that the calling thread has kept are in force.
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
