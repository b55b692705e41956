// SPDX-License-Identifier: Apache-2.0
// Counters of one worker, which only grow (but for the gauges named as such). The worker writes them; control
// reads them without locks.
#pragma once

#include "relay/base/send_error.hpp"
#include "relay/core/forward/plan.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>

namespace ferry {

/// Sum and sum of squares of a measurement, from which a reader makes average and deviation. One writer.
struct SampleTotals {
  std::atomic<std::uint64_t> samples{0};
  std::atomic<double> sum{0};
  std::atomic<double> square_sum{0};
  /// Adds one sample. Only the writer may call it.
  void add(double value) noexcept {
    samples.store(samples.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    sum.store(sum.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
    square_sum.store(square_sum.load(std::memory_order_relaxed) + value * value, std::memory_order_relaxed);
  }
};

/// Quality as measured at each RTCP report, in the units of a `query` reply (milliseconds, microseconds for
/// round trips, percent of packets); MOS goes from 1 to 5.
struct QualityTotals {
  /// Mean opinion score, 1 to 5.
  SampleTotals mos;
  /// Interarrival jitter that the receiver reported, milliseconds.
  SampleTotals jitter;
  /// Round trip between the two parties through this relay, microseconds.
  SampleTotals round_trip;
  /// Round trip between this relay and the reporting party, microseconds.
  SampleTotals round_trip_leg;
  /// Packets that the receiver reported lost, percent.
  SampleTotals loss;
  /// Jitter of what arrived here, measured by this relay, milliseconds.
  SampleTotals jitter_measured;
};

/// Totals of one local address, by direction.
struct InterfaceTotals {
  /// Packets and octets of UDP payload in one direction.
  struct Direction {
    std::atomic<std::uint64_t> packets{0};
    std::atomic<std::uint64_t> bytes{0};
    /// Ingress: packets that were dropped, at whatever step. Egress: packets that could not be sent; they are
    /// among the dropped ones too.
    std::atomic<std::uint64_t> errors{0};
  };
  Direction ingress;
  Direction egress;
  // The next four are added up when a transport ends: RTP packets that its streams missed, got twice, got
  // late, and how often a stream began its sequence anew.
  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::uint64_t> duplicates{0};
  std::atomic<std::uint64_t> reordered{0};
  std::atomic<std::uint64_t> resets{0};
  QualityTotals quality;
};

/// Local addresses that have totals of their own; all beyond them share the last place.
constexpr std::size_t kMaxInterfaces = 64;

/// Totals of one worker.
struct alignas(64) WorkerTotals {
  /// Packets that were accepted, whoever forwarded them; bytes of UDP payload; packets that were dropped.
  std::atomic<std::uint64_t> packets{0};
  std::atomic<std::uint64_t> bytes{0};
  std::atomic<std::uint64_t> errors{0};
  /// RTP packets among `packets` whose payload type no SDP names (DMX-4).
  std::atomic<std::uint64_t> other_type_packets{0};
  /// Ports that the engine refused to serve: nothing that arrives there is heard.
  std::atomic<std::uint64_t> unserved_ports{0};
  /// Packets and bytes among the above that the kernel forwarded; and streams that it forwards now (a gauge).
  std::atomic<std::uint64_t> offloaded_packets{0};
  std::atomic<std::uint64_t> offloaded_bytes{0};
  std::atomic<std::uint64_t> offloaded_flows{0};
  /// Packets of prompts that were sent.
  std::atomic<std::uint64_t> played_packets{0};
  /// RTCP compounds of the relay's own that were sent, and compounds of parties of which nothing passed
  /// because a receiver gets those instead.
  std::atomic<std::uint64_t> own_reports{0};
  std::atomic<std::uint64_t> taken_reports{0};
  /// Packets of silence for parties that got nothing else.
  std::atomic<std::uint64_t> silence_packets{0};
  // Packets that went into the repacketizer, for parties with another packet time, and packets that came out
  // of it.
  std::atomic<std::uint64_t> repacketizer_in{0};
  std::atomic<std::uint64_t> repacketizer_out{0};
  // Packets whose audio went into a stage to be converted, and packets that stages made.
  std::atomic<std::uint64_t> converted_in{0};
  std::atomic<std::uint64_t> converted_out{0};
  /// Gauge: receivers whose audio a stage makes.
  std::atomic<std::uint64_t> stages{0};
  /// Dropped packets, by reason.
  std::array<std::atomic<std::uint64_t>, kDropReasons> drops{};
  /// Packets that could not be sent or were answered by an ICMP error, by kind of error.
  std::array<std::atomic<std::uint64_t>, kSendErrors> send_errors{};
  /// Linux thread id of the worker, 0 before it runs; and how often the worker woke up.
  std::atomic<std::int64_t> thread_id{0};
  std::atomic<std::uint64_t> wakeups{0};
  /// How often a command or a due action was not done for want of memory (C-12).
  std::atomic<std::uint64_t> without_memory{0};
  /// How often the worker was stopped for a second or more (C-13).
  std::atomic<std::uint64_t> pauses{0};
  /// Gauges: transports in the table; packet buffers of the engine, those that are free, and those that were
  /// ever used.
  std::atomic<std::uint64_t> transports{0};
  std::atomic<std::uint64_t> buffers{0};
  std::atomic<std::uint64_t> buffers_free{0};
  std::atomic<std::uint64_t> buffers_touched{0};
  /// One element for each local address, by `TransportPlan::interface`.
  std::array<InterfaceTotals, kMaxInterfaces> interfaces{};
};

/// Adds to a counter that only the caller's thread writes: a plain load and store, cheaper than a locked add.
inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

/// The totals of the local address that a plan's transport is at.
inline InterfaceTotals& interface_totals(WorkerTotals& totals, const TransportPlan& plan) noexcept {
  return totals.interfaces[std::min<std::size_t>(plan.interface, kMaxInterfaces - 1)];
}

/// Counts dropped packets of a worker, as errors and by reason.
inline void count_drops(WorkerTotals& totals, DropReason reason, std::uint64_t times = 1) noexcept {
  bump(totals.drops[static_cast<std::size_t>(reason)], times);
  bump(totals.errors, times);
}

}  // namespace ferry
