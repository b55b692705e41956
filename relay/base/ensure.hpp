// Broken invariants. A failed check is a bug of ours, never a matter of input.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>

namespace ferry {

/// Number of failed FERRY_ENSURE checks since start; shown by `rtpferryctl stats`.
inline std::atomic<std::uint64_t> g_broken_invariants{0};

inline bool ensure_failed() noexcept {
  g_broken_invariants.fetch_add(1, std::memory_order_relaxed);
#ifndef NDEBUG
  std::abort();
#endif
  return false;
}

}  // namespace ferry

/// True if `condition` holds. Otherwise aborts in debug builds; in release counts and yields false, and the
/// caller gives up the one call concerned. Each use says why it cannot happen.
#define FERRY_ENSURE(condition) ((condition) || ::ferry::ensure_failed())
