// SPDX-License-Identifier: Apache-2.0
// Drops of one transport, by direction and reason, with marks of the last seconds.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/core/evidence/evidence.hpp"
#include "relay/core/evidence/marks.hpp"
#include "relay/core/evidence/recent.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ferry {

/// Has a line for each direction and reason that occurred; most transports need one or two. A trait that some
/// of these drops have is a line of its own, which no sum contains. It allocates at the first drop of a line.
/// Without memory that drop is only counted in the totals of the worker (C-12). Pure; owned by the
/// transport's worker.
class DropLedger {
 public:
  /// Counts `times` drops. `now` is kept as the time of the newest one; `Instant{}` if the time does not
  /// matter.
  void add(DropSide side, DropReason reason, std::uint32_t times, Instant now) noexcept {
    Line* line = find(side, reason);
    if (line == nullptr) {
      if (!had_memory([&] { lines_.emplace_back(side, reason); })) return;
      line = &lines_.back();
    }
    line->times += times;
    if (now == Instant{}) return;
    if (line->first == Instant{}) line->first = now;
    line->last = std::max(line->last, now);  // a reading of the kernel may be of an older packet
  }
  /// Notes that `times` of the drops that `add` counted have `trait`.
  void add_trait(DropSide side, DropReason reason, DropTrait trait, std::uint32_t times = 1) noexcept {
    Line* line = find(side, reason, trait);
    if (line == nullptr) {
      if (!had_memory([&] { lines_.emplace_back(side, reason, trait); })) return;
      line = &lines_.back();
    }
    line->times += times;
  }
  /// Drops for this reason in both directions.
  [[nodiscard]] std::uint32_t of(DropReason reason) const noexcept {
    std::uint32_t sum = 0;
    for (const Line& line : lines_) sum += !line.trait && line.reason == reason ? line.times : 0;
    return sum;
  }
  /// All drops of both directions by reason.
  [[nodiscard]] DropCounters counters() const noexcept {
    DropCounters sum;
    for (const Line& line : lines_) {
      if (!line.trait) sum.add(line.reason, line.times);
    }
    return sum;
  }
  /// Drops on the way out, newest first: reason, times, first and last time.
  [[nodiscard]] std::vector<Refusal> leaving() const {
    std::vector<Refusal> all;
    for (const Line& line : lines_) {
      if (line.side != DropSide::kLeaving || line.trait) continue;
      Refusal refusal;
      refusal.reason = line.reason;
      refusal.times = line.times;
      refusal.first = line.first;
      refusal.last = line.last;
      all.push_back(refusal);
    }
    std::ranges::sort(all, [](const Refusal& a, const Refusal& b) { return a.last > b.last; });
    return all;
  }

  /// Keeps the present counts as the newest mark of `times`, which `MarkTimes::add` has just made.
  void mark(const MarkTimes& times) noexcept {
    for (Line& line : lines_) line.marks[times.newest()] = line.times;
  }
  /// Starts the marks over: no drop so far counts as recent.
  void restart_marks() noexcept {
    for (Line& line : lines_) line.marks.fill(line.times);
  }
  /// True if nothing was dropped.
  [[nodiscard]] bool empty() const noexcept { return lines_.empty(); }
  /// Drops since the oldest mark, until `now`. Allocates if there are any.
  [[nodiscard]] RecentDrops recent(const MarkTimes& times, Instant now) const {
    RecentDrops recent;
    recent.span = std::max(now - times.oldest_at(), Duration{0});
    for (const Line& line : lines_)
      recent.add(line.side, line.reason, line.times - line.marks[times.oldest()], line.trait);
    return recent;
  }
  /// Drops of one direction since the oldest mark, for all reasons together.
  [[nodiscard]] std::uint32_t recent_of(DropSide side, const MarkTimes& times) const noexcept {
    std::uint32_t sum = 0;
    for (const Line& line : lines_) {
      if (line.side == side && !line.trait) sum += line.times - line.marks[times.oldest()];
    }
    return sum;
  }
  /// Takes over exported counts. They do not say the direction, so all count as arriving, and none as recent.
  void restore(const DropCounters& counts) {
    lines_.clear();
    for (const DropReasonRow& row : kDropReasonRows) {
      if (counts[row.reason] == 0) continue;
      Line& line = lines_.emplace_back(DropSide::kArriving, row.reason);
      line.times = counts[row.reason];
      line.marks.fill(line.times);
    }
  }
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept { return lines_.capacity() * sizeof(Line); }

 private:
  /// The drops of one direction for one reason.
  struct Line {
    Line(DropSide of_side, DropReason of_reason, std::optional<DropTrait> of_trait = std::nullopt)
        : side(of_side), reason(of_reason), trait(of_trait) {}
    DropSide side;
    DropReason reason;
    /// Unset: the line counts all drops of this side and reason.
    std::optional<DropTrait> trait;
    std::uint32_t times = 0;
    /// Counts at each mark. Zero is right for marks before the line existed.
    std::array<std::uint32_t, kMarks> marks{};
    Instant first{};
    Instant last{};
  };
  /// The line; null if there is none.
  Line* find(DropSide side, DropReason reason, std::optional<DropTrait> trait = std::nullopt) noexcept {
    const auto found = std::ranges::find_if(lines_, [&](const Line& line) {
      return line.side == side && line.reason == reason && line.trait == trait;
    });
    return found == lines_.end() ? nullptr : &*found;
  }

  std::vector<Line> lines_;
};

}  // namespace ferry
