// What a transport dropped, by side and reason, with marks of the last seconds.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/core/evidence/evidence.hpp"
#include "relay/core/evidence/marks.hpp"
#include "relay/core/evidence/recent.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ferry {

/// Has a line for each side and reason that occurred: of most transports one or two. Allocates at the first
/// drop of a line; without memory that drop is counted in the totals of the worker alone (C-12). Pure; the
/// worker that owns the transport owns it.
class DropLedger {
 public:
  /// `now` is kept as the newest time; unset if it need not be.
  void add(DropSide side, DropReason reason, std::uint32_t times, Instant now) noexcept {
    Line* line = find(side, reason);
    if (line == nullptr) {
      if (!had_memory([&] { lines_.emplace_back(side, reason); })) return;
      line = &lines_.back();
    }
    line->times += times;
    if (now == Instant{}) return;
    if (line->first == Instant{}) line->first = now;
    line->last = now;
  }
  [[nodiscard]] std::uint32_t of(DropReason reason) const noexcept {
    std::uint32_t sum = 0;
    for (const Line& line : lines_) sum += line.reason == reason ? line.times : 0;
    return sum;
  }
  /// Both sides together.
  [[nodiscard]] DropCounters counters() const noexcept {
    DropCounters sum;
    for (const Line& line : lines_) sum.add(line.reason, line.times);
    return sum;
  }
  /// What was dropped on its way out, newest first: reason, times, first and last time.
  [[nodiscard]] std::vector<Refusal> leaving() const {
    std::vector<Refusal> all;
    for (const Line& line : lines_) {
      if (line.side != DropSide::kLeaving) continue;
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

  /// Keeps the counts of now as the newest mark of `times`, which `MarkTimes::add` has just made.
  void mark(const MarkTimes& times) noexcept {
    for (Line& line : lines_) line.marks[times.newest()] = line.times;
  }
  /// What was dropped since the oldest mark, until `now`.
  [[nodiscard]] RecentDrops recent(const MarkTimes& times, Instant now) const noexcept {
    RecentDrops recent;
    recent.span = std::max(now - times.oldest_at(), Duration{0});
    for (const Line& line : lines_)
      recent.counts[static_cast<std::size_t>(line.side)].add(line.reason,
                                                             line.times - line.marks[times.oldest()]);
    return recent;
  }
  /// All reasons of one side since the oldest mark.
  [[nodiscard]] std::uint32_t recent_of(DropSide side, const MarkTimes& times) const noexcept {
    std::uint32_t sum = 0;
    for (const Line& line : lines_) sum += line.side == side ? line.times - line.marks[times.oldest()] : 0;
    return sum;
  }
  /// Counts of an export, which do not say the side: all of them count as arriving, and none as recent.
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
  struct Line {
    Line(DropSide of_side, DropReason of_reason) : side(of_side), reason(of_reason) {}
    DropSide side;
    DropReason reason;
    std::uint32_t times = 0;
    /// Before its first drop a line had counted nothing, whatever mark that was.
    std::array<std::uint32_t, kMarks> marks{};
    Instant first{};
    Instant last{};
  };
  Line* find(DropSide side, DropReason reason) noexcept {
    const auto found = std::ranges::find_if(
        lines_, [&](const Line& line) { return line.side == side && line.reason == reason; });
    return found == lines_.end() ? nullptr : &*found;
  }

  std::vector<Line> lines_;
};

}  // namespace ferry
