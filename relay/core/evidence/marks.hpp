// Marks of counts that only grow: what a stream or a drop counter was at each of the last six moments, two
// seconds apart. The difference to now is what happened in the last 10 to 12 s.
#pragma once

#include "relay/base/types.hpp"
#include "relay/core/evidence/recent.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace ferry {

struct SsrcCounters;

/// When a transport was marked: one clock for all that it counts. Everything that is marked has a place for
/// each of the `kMarks` times and uses the same index. Pure; the worker that owns the transport owns it.
class MarkTimes {
 public:
  explicit MarkTimes(Instant since) noexcept { restart(since); }
  /// Nothing is known of the time before `since`.
  void restart(Instant since) noexcept {
    times_.fill(since);
    newest_ = 0;
  }
  /// A mark is made `now`; it takes the place of the oldest one.
  void add(Instant now) noexcept {
    newest_ = static_cast<std::uint8_t>(oldest());
    times_[newest_] = now;
  }
  [[nodiscard]] std::size_t newest() const noexcept { return newest_; }
  [[nodiscard]] std::size_t oldest() const noexcept { return (newest_ + 1u) % kMarks; }
  [[nodiscard]] Instant newest_at() const noexcept { return times_[newest_]; }
  [[nodiscard]] Instant oldest_at() const noexcept { return times_[oldest()]; }
  /// When the mark before the newest one was made.
  [[nodiscard]] Instant former_at() const noexcept { return times_[(newest_ + kMarks - 1) % kMarks]; }
  /// Time passed in which nobody ran: it does not count (C-13).
  void skip(Duration pause) noexcept {
    for (Instant& each : times_) each += pause;
  }

 private:
  std::array<Instant, kMarks> times_{};
  std::uint8_t newest_ = 0;
};

/// The marks of one stream. Allocates once, at the first mark; without memory nothing is known of the last
/// seconds, and the next mark tries again (C-12). Pure; the worker that owns the stream owns it.
class StreamMarks {
 public:
  /// Keeps what `counters` say as the newest mark of `times`, which `MarkTimes::add` has just made. `burst`:
  /// longest run of missing numbers that appeared since the mark before.
  void mark(const SsrcCounters& counters, std::uint32_t burst, const MarkTimes& times) noexcept;
  /// What happened since the oldest mark, until `now`. `burst` as in `mark`.
  [[nodiscard]] RecentStream recent(const SsrcCounters& counters, std::uint32_t burst, const MarkTimes& times,
                                    Instant now) const noexcept;
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept { return kept_ ? sizeof(Kept) : 0; }

 private:
  struct Kept {
    std::array<StreamMark, kMarks> marks{};
    /// Longest run of missing numbers that appeared between the mark before and this one.
    std::array<std::uint16_t, kMarks> bursts{};
    /// From when on the counts are known: the first packet, or the first mark of a stream that was counted
    /// elsewhere before.
    Instant since{};
  };
  std::unique_ptr<Kept> kept_;
};

}  // namespace ferry
