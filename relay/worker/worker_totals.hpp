// Totals of one worker.
#pragma once

#include "relay/base/send_error.hpp"
#include "relay/core/forward/plan.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace ferry {

/// Sum and sum of squares of a measurement, for its average and deviation.
struct SampleTotals {
  std::atomic<std::uint64_t> samples{0};
  std::atomic<double> sum{0};
  std::atomic<double> square_sum{0};
  void add(double value) noexcept {  // one writer
    samples.store(samples.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
    square_sum.store(square_sum.load(std::memory_order_relaxed) + value * value, std::memory_order_relaxed);
  }
};

/// What was measured at RTCP reports (NG reference, section 15): in the units of a query reply, but MOS,
/// which is 1 to 5.
struct QualityTotals {
  SampleTotals mos;
  SampleTotals jitter;
  SampleTotals round_trip;
  SampleTotals round_trip_leg;
  SampleTotals loss;
  /// What arrived here, not what the receiver reported; milliseconds.
  SampleTotals jitter_measured;
};

/// Totals of one local address.
struct InterfaceTotals {
  struct Direction {
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> bytes{0};
    std::atomic<std::uint64_t> errors{0};
  };
  Direction ingress;
  Direction egress;
  // Of streams that ended.
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> duplicates{0};
  std::atomic<std::uint64_t> reordered{0};
  std::atomic<std::uint64_t> resets{0};
  QualityTotals quality;
};

/// Local addresses beyond this many share the last place.
constexpr std::size_t kMaxInterfaces = 64;

/// Totals of one worker, read by control without locks.
struct alignas(64) WorkerTotals {
  std::atomic<std::uint64_t> packets{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> errors{0};
  /// RTP packets among `packets` whose payload type no SDP has (DMX-4).
  std::atomic<std::uint64_t> other_type_packets{0};
  /// Ports that the engine would not take: nothing that arrives there is heard.
  std::atomic<std::uint64_t> unserved_ports{0};
  /// Packets among `packets` that were forwarded below the sockets, and streams that are now.
  std::atomic<std::uint64_t> offloaded_packets{0};
  std::atomic<std::uint64_t> offloaded_bytes{0};
  std::atomic<std::uint64_t> offloaded_flows{0};
  /// Of prompts.
  std::atomic<std::uint64_t> played_packets{0};
  // To and from those who get another packet time.
  std::atomic<std::uint64_t> repacketizer_in{0};
  std::atomic<std::uint64_t> repacketizer_out{0};
  std::array<std::atomic<std::uint64_t>, kDropReasons> drops{};
  std::array<std::atomic<std::uint64_t>, kSendErrors> send_errors{};
  /// Thread of the worker, and how often it woke up.
  std::atomic<std::int64_t> thread_id{0};
  std::atomic<std::uint64_t> wakeups{0};
  /// What was asked for or due and there was no memory to do (C-12).
  std::atomic<std::uint64_t> without_memory{0};
  /// How often it was stopped for a second or more (C-13).
  std::atomic<std::uint64_t> pauses{0};
  std::atomic<std::uint64_t> transports{0};
  std::atomic<std::uint64_t> buffers{0};
  std::atomic<std::uint64_t> buffers_free{0};
  std::atomic<std::uint64_t> buffers_touched{0};             // were ever in use
  std::array<InterfaceTotals, kMaxInterfaces> interfaces{};  // by `TransportPlan::interface`
};

/// Adds to a counter that only the caller's thread writes: a plain load and store, cheaper than a locked add.
inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

inline InterfaceTotals& interface_totals(WorkerTotals& totals, const TransportPlan& plan) noexcept {
  return totals.interfaces[std::min<std::size_t>(plan.interface, kMaxInterfaces - 1)];
}

inline void count_drops(WorkerTotals& totals, DropReason reason, std::uint64_t times = 1) noexcept {
  bump(totals.drops[static_cast<std::size_t>(reason)], times);
  bump(totals.errors, times);
}

}  // namespace ferry
