// SPDX-License-Identifier: Apache-2.0
// Checks of invariants. A failed check is a bug of this program; input from a peer never causes one.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace ferry {

/// Number of failed FERRY_ENSURE checks since the start, over all threads. `rtpferryctl stats` shows it.
inline std::atomic<std::uint64_t> g_broken_invariants{0};

/// For FERRY_ENSURE only. Counts the failure, aborts in debug builds, and otherwise returns false.
inline bool ensure_failed() noexcept {
  g_broken_invariants.fetch_add(1, std::memory_order_relaxed);
#ifndef NDEBUG
  std::abort();
#endif
  return false;
}

}  // namespace ferry

/// True if `condition` holds. If it does not, a debug build aborts; a release build counts the failure and
/// yields false, and the caller gives up the one call concerned. Each use says why the condition cannot fail.
#define FERRY_ENSURE(condition) ((condition) || ::ferry::ensure_failed())
