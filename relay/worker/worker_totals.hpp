// Totals of one worker.
#pragma once

#include "relay/core/forward/drop_reason.hpp"

#include <array>
#include <atomic>
#include <cstdint>

namespace ferry {

/// Totals of one worker, read by control without locks.
struct alignas(64) WorkerTotals {
  std::atomic<std::uint64_t> packets{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> errors{0};
  /// Ports that the engine would not take: nothing that arrives there is heard.
  std::atomic<std::uint64_t> unserved_ports{0};
  /// Packets among `packets` that were forwarded below the sockets, and streams that are now.
  std::atomic<std::uint64_t> offloaded_packets{0};
  std::atomic<std::uint64_t> offloaded_flows{0};
  std::array<std::atomic<std::uint64_t>, kDropReasons> drops{};
};

/// Adds to a counter that only the caller's thread writes: a plain load and store, cheaper than a locked add.
inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

inline void count_drops(WorkerTotals& totals, DropReason reason, std::uint64_t times = 1) noexcept {
  bump(totals.drops[static_cast<std::size_t>(reason)], times);
  bump(totals.errors, times);
}

}  // namespace ferry
