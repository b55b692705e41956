// SPDX-License-Identifier: Apache-2.0
// When a worker's transports want to be called without a packet.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/worker/transport_table.hpp"

#include <algorithm>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

namespace ferry {

/// The queue of deadlines of one worker. Each transport has at most one for each kind
/// (`TransportEntry::due`). An entry of the queue is never taken out early; it counts only if its owner still
/// waits for that time when it comes up. A push may fail for want of memory; `is_lost` then says that all
/// deadlines have to be queued anew a little later. One worker owns it.
class Deadlines {
 public:
  /// One deadline that has come.
  struct Due {
    TransportEntry* entry = nullptr;
    DeadlineKind kind = DeadlineKind::kTransport;
  };

  explicit Deadlines(const TransportTable& table) : table_(table) {}

  /// Queues a deadline of `entry` in place of one of that kind that may be queued.
  void set(TransportEntry& entry, DeadlineKind kind, Instant at, Instant now) noexcept {
    // One at the same time is queued already. A later one that is queued too finds another time and does
    // nothing.
    if (entry.due_of(kind) == at) return;
    entry.due_of(kind) = at;
    add({at, entry.id, kind}, now);
  }
  /// The same, unless an earlier one of that kind is queued. It lies at least 1 ms ahead, because the worker
  /// serves deadlines until none is due. Nothing: there is no deadline.
  void set_earlier(TransportEntry& entry, DeadlineKind kind, std::optional<Instant> at,
                   Instant now) noexcept {
    if (!at) return;
    const Instant due = std::max(*at, now + kLeast);
    const Instant known = entry.due_of(kind);
    if (known == Instant{} || due < known) set(entry, kind, due, now);
  }
  /// The next deadline that has come, or nothing. Its owner has none of that kind any more.
  std::optional<Due> next(Instant now) noexcept {
    while (!queue_.empty() && queue_.top().at <= now) {
      const Entry top = queue_.top();
      queue_.pop();
      TransportEntry* entry = table_.find(top.id);
      if (entry == nullptr || entry->due_of(top.kind) != top.at) continue;
      entry->due_of(top.kind) = {};
      return Due{entry, top.kind};
    }
    return std::nullopt;
  }
  /// The latest time until which the worker may sleep: `latest`, or earlier.
  [[nodiscard]] Instant earliest(Instant latest) const noexcept {
    if (!queue_.empty()) latest = std::min(latest, queue_.top().at);
    return find_again_at_ == Instant{} ? latest : std::min(latest, find_again_at_);
  }
  /// True once when a deadline was lost and it is time to queue all of them again.
  bool take_lost(Instant now) noexcept {
    if (find_again_at_ == Instant{} || now < find_again_at_) return false;
    find_again_at_ = {};
    return true;
  }

 private:
  static constexpr Duration kLeast = std::chrono::milliseconds(1);
  static constexpr Duration kAgain = std::chrono::milliseconds(100);
  struct Entry {
    Instant at;
    TransportId id;
    DeadlineKind kind;
    bool operator>(const Entry& other) const { return at > other.at; }
  };
  void add(const Entry& entry, Instant now) noexcept {
    if (!had_memory([&] { queue_.push(entry); })) find_again_at_ = now + kAgain;
  }

  const TransportTable& table_;
  std::priority_queue<Entry, std::vector<Entry>, std::greater<>> queue_;
  /// When all deadlines are to be queued again because one got lost; unset: none did.
  Instant find_again_at_{};
};

}  // namespace ferry
