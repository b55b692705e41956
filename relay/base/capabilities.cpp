// SPDX-License-Identifier: Apache-2.0
#include "relay/base/capabilities.hpp"

#include <algorithm>

#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace ferry {

void keep_only(std::span<const int> capabilities) noexcept { keep_only(capabilities, capabilities); }

void keep_only(std::span<const int> capabilities, std::span<const int> in_force) noexcept {
  cap_t mine = cap_get_proc();
  // Starts from nothing and adds the kept ones. The inheritable set stays empty, so the kernel also drops the
  // ambient ones.
  cap_t kept = cap_init();
  for (const cap_value_t each : capabilities) {
    cap_flag_value_t has = CAP_CLEAR;
    if (cap_get_flag(mine, each, CAP_PERMITTED, &has) != 0 || has != CAP_SET) continue;
    cap_set_flag(kept, CAP_PERMITTED, 1, &each, CAP_SET);
    if (std::ranges::find(in_force, each) != in_force.end())
      cap_set_flag(kept, CAP_EFFECTIVE, 1, &each, CAP_SET);
  }
  cap_set_proc(kept);
  cap_free(kept);
  cap_free(mine);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

void close_all_but(int kept) noexcept {
  constexpr unsigned kFirst = 3;
  const auto mine = static_cast<unsigned>(kept);
  // Two ranges, because `close_range` cannot leave out a descriptor in the middle.
  if (mine > kFirst) close_range(kFirst, mine - 1, 0);
  close_range(std::max(mine + 1, kFirst), ~0u, 0);
}

RaisedRights::RaisedRights() noexcept : before_(cap_get_proc()) {
  cap_t raised = cap_dup(static_cast<cap_t>(before_));
  // Only permitted capabilities are raised, and those are the ones that `keep_only` kept.
  for (cap_value_t each = 0; each <= CAP_LAST_CAP; ++each) {
    cap_flag_value_t has = CAP_CLEAR;
    if (cap_get_flag(raised, each, CAP_PERMITTED, &has) == 0 && has == CAP_SET)
      cap_set_flag(raised, CAP_EFFECTIVE, 1, &each, CAP_SET);
  }
  cap_set_proc(raised);
  cap_free(raised);
}

RaisedRights::~RaisedRights() {
  cap_set_proc(static_cast<cap_t>(before_));
  cap_free(before_);
}

}  // namespace ferry
