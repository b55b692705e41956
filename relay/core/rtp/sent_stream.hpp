// One stream as it leaves for a party: what RTP it was sent, and what it says about it.
#pragma once

#include "relay/core/evidence/marks.hpp"
#include "relay/core/evidence/report_history.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry {

/// What was forwarded of a stream below the sockets between two readings.
struct SentBelow {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  /// Highest number ahead of them, and whether it rose.
  SeqNo before;
  bool advanced = false;
  /// What the counts of the stream grew by; runs may have become less.
  std::int32_t duplicates = 0;
  std::int32_t reordered = 0;
  std::int32_t loss_bursts = 0;
  /// Longest run of missing numbers among them.
  std::uint32_t longest_burst = 0;
  /// Bit n: highest - n was received.
  std::uint64_t seen = 0;
  /// The stream as it came, after them.
  const SsrcCounters* stream = nullptr;
};

/// Counts what leaves under one SSRC: loss here is what the party cannot have got, because it never left. A
/// jump as SSR-4 has it begins a new run once two packets in sequence have confirmed it; it is no loss.
/// Owned by a worker.
class SentStream {
 public:
  explicit SentStream(Ssrc ssrc) { counters_.ssrc = ssrc; }
  /// As it was exported: nothing is known of its last seconds.
  explicit SentStream(const SsrcCounters& counters) : counters_(counters) {}

  /// Counts a packet of RTP that left; `size` is that of the datagram, unprotected.
  void count(SeqNo sequence, std::uint32_t timestamp, std::size_t size, Instant now) noexcept;
  void count(const SentBelow& below) noexcept;
  /// The party reported on it.
  void report(Ssrc reporter, const ReportBlock& block, Instant now) noexcept;

  void mark(const MarkTimes& times) noexcept {
    marks_.mark(counters_, new_burst_, times);
    new_burst_ = 0;
  }
  [[nodiscard]] RecentStream recent(const MarkTimes& times, Instant now) const noexcept {
    return marks_.recent(counters_, new_burst_, times, now);
  }
  [[nodiscard]] const SsrcCounters& counters() const noexcept { return counters_; }
  /// Null: it never did, or there was no memory for it.
  [[nodiscard]] const ListenerReport* newest_report() const noexcept {
    return reports_ ? &reports_->newest() : nullptr;
  }
  /// Time passed in which nobody ran (C-13).
  void skip(Duration pause) noexcept {
    if (reports_) reports_->skip(pause);
  }
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept {
    return marks_.footprint() + (reports_ ? sizeof(ReportHistory) : 0);
  }

 private:
  /// A new run begins with `first`.
  void restart(SeqNo first) noexcept;

  SsrcCounters counters_;
  std::uint64_t seen_ = 0;
  /// The number that would confirm a jump.
  std::uint32_t awaited_ = kNone;
  /// Longest run of missing numbers since the last mark.
  std::uint32_t new_burst_ = 0;
  StreamMarks marks_;
  std::unique_ptr<ReportHistory> reports_;
  static constexpr std::uint32_t kNone = 0x10000;
};

}  // namespace ferry
