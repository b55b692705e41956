// SPDX-License-Identifier: Apache-2.0
// Marks of counts that only grow: the values at each of the last six moments, two seconds apart. The
// difference to the present value is what happened in the last 10 to 12 s.
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

/// When a transport was marked: one clock for everything that it counts. Whatever is marked has a place for
/// each of the `kMarks` times and uses the same index. Pure; owned by the transport's worker.
class MarkTimes {
 public:
  /// Nothing is known of the time before `since`.
  explicit MarkTimes(Instant since) noexcept { restart(since); }
  /// Starts over: nothing is known of the time before `since`.
  void restart(Instant since) noexcept {
    times_.fill(since);
    newest_ = 0;
  }
  /// The times of a transport that has counted nothing since `since`: a mark every `kMarkInterval`, the last
  /// one at `newest`.
  [[nodiscard]] static MarkTimes quiet(Instant since, Instant newest) noexcept {
    MarkTimes times(since);
    times.times_[0] = newest;
    for (std::size_t i = 1; i < kMarks; ++i)
      times.times_[i] = std::max(since, newest - kMarkInterval * static_cast<int>(kMarks - i));
    return times;
  }
  /// Makes a mark at `now`; it takes the place of the oldest one.
  void add(Instant now) noexcept {
    newest_ = static_cast<std::uint8_t>(oldest());
    times_[newest_] = now;
  }
  /// Index of the newest mark.
  [[nodiscard]] std::size_t newest() const noexcept { return newest_; }
  /// Index of the oldest mark.
  [[nodiscard]] std::size_t oldest() const noexcept { return (newest_ + 1u) % kMarks; }
  /// When the newest mark was made.
  [[nodiscard]] Instant newest_at() const noexcept { return times_[newest_]; }
  /// When the oldest mark was made.
  [[nodiscard]] Instant oldest_at() const noexcept { return times_[oldest()]; }
  /// When the mark before the newest one was made.
  [[nodiscard]] Instant former_at() const noexcept { return times_[(newest_ + kMarks - 1) % kMarks]; }
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept {
    for (Instant& each : times_) each += pause;
  }

 private:
  std::array<Instant, kMarks> times_{};
  std::uint8_t newest_ = 0;
};

/// The times at which one transport was marked, and how many packets had left its RTP port by then. It
/// allocates at the first mark for which something was counted, because many calls wait long for their first
/// packet. Pure; owned by the transport's worker.
class TransportMarks {
 public:
  /// Nothing is known of the time before `since`.
  explicit TransportMarks(Instant since) noexcept : since_(since), newest_at_(since) {}
  /// Makes a mark at `now`. `sent` is the number of packets that have left, modulo 2^32. `has_counted` is
  /// false if the transport never counted anything. Returns true if the caller shall keep its counts as the
  /// newest mark of `times()`. Without memory it returns false and starts over: nothing is known of the time
  /// before `now` (C-12).
  [[nodiscard]] bool add(Instant now, std::uint32_t sent, bool has_counted) noexcept;
  /// Starts over at `now` with counts that a snapshot brought along. Returns what `add` returns.
  [[nodiscard]] bool restart(Instant now, std::uint32_t sent, bool has_counted) noexcept;
  /// The times of the marks.
  [[nodiscard]] MarkTimes times() const noexcept {
    return ring_ ? ring_->times : MarkTimes::quiet(since_, newest_at_);
  }
  /// When the newest mark was made; before the first one, since when something is known.
  [[nodiscard]] Instant newest_at() const noexcept { return newest_at_; }
  /// Packets that have left since the oldest mark, of `sent` in all. They wrap at 2^32.
  [[nodiscard]] std::uint32_t sent_since_oldest(std::uint32_t sent) const noexcept {
    return sent - (ring_ ? ring_->sent[ring_->times.oldest()] : sent_before_);
  }
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept { return ring_ ? sizeof(MarkRing) : 0; }

 private:
  struct MarkRing {
    MarkTimes times{Instant{}};
    /// Packets that had left at each mark.
    std::array<std::uint32_t, kMarks> sent{};
  };
  Instant since_;
  Instant newest_at_;
  /// Packets that had left at `since_`.
  std::uint32_t sent_before_ = 0;
  /// Null while nothing was counted.
  std::unique_ptr<MarkRing> ring_;
};

/// The marks of one stream. It allocates once, at the first mark. Without memory nothing is known of the last
/// seconds, and the next mark tries again (C-12). Pure; owned by the stream's worker.
class StreamMarks {
 public:
  /// Keeps the present counts as the newest mark of `times`, which `MarkTimes::add` has just made. `burst` is
  /// the longest run of missing numbers that appeared since the mark before.
  void mark(const SsrcCounters& counters, std::uint32_t burst, const MarkTimes& times) noexcept;
  /// Growth of the counts since the oldest mark, until `now`. `burst` as in `mark`.
  [[nodiscard]] RecentStream recent(const SsrcCounters& counters, std::uint32_t burst, const MarkTimes& times,
                                    Instant now) const noexcept;
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept { return ring_ ? sizeof(MarkRing) : 0; }

 private:
  struct MarkRing {
    std::array<StreamMark, kMarks> marks{};
    /// Longest run of missing numbers between the mark before and this one.
    std::array<std::uint16_t, kMarks> bursts{};
    /// From when on the counts are known: the first packet, or the first mark of a stream that was counted
    /// elsewhere before.
    Instant since{};
  };
  /// Null before the first mark.
  std::unique_ptr<MarkRing> ring_;
};

}  // namespace ferry
