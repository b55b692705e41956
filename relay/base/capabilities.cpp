#include "relay/base/capabilities.hpp"

#include <sys/capability.h>
#include <sys/prctl.h>

namespace ferry {

void keep_only(std::span<const int> capabilities) noexcept {
  cap_t mine = cap_get_proc();
  cap_t kept = cap_init();
  for (const cap_value_t each : capabilities) {
    cap_flag_value_t has = CAP_CLEAR;
    if (cap_get_flag(mine, each, CAP_PERMITTED, &has) != 0 || has != CAP_SET) continue;
    cap_set_flag(kept, CAP_PERMITTED, 1, &each, CAP_SET);
    cap_set_flag(kept, CAP_EFFECTIVE, 1, &each, CAP_SET);
  }
  cap_set_proc(kept);
  cap_free(kept);
  cap_free(mine);
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

}  // namespace ferry
