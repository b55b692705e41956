// Rights of the calling thread. For processes that have one.
#pragma once

#include <span>

namespace ferry {

/// Keeps those of `capabilities` (CAP_… of <linux/capability.h>) that the process is permitted, gives all
/// others up, and sets no_new_privs: nothing brings them back.
void keep_only(std::span<const int> capabilities) noexcept;

}  // namespace ferry
