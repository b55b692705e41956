// SPDX-License-Identifier: Apache-2.0
// The order of the work after calls (CTL-15): what waits, what runs, what is tried again and when. Pure: it
// takes the time and touches neither disk nor network. One thread at a time: `AfterCall` locks it.
#pragma once

#include "recorder/after/work_entry.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <compare>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace ferry {

/// A piece of work in the queue.
struct Work {
  WorkEntry entry;
  /// It stands in the state directory too, so a restart knows of it.
  bool is_kept = false;
};

/// All pieces of work, waiting and running.
class WorkQueue {
 public:
  /// `tries`: a piece of work is given up after so many failures.
  explicit WorkQueue(unsigned tries) : max_tries_(tries) {}

  /// Adds a piece that is due now. It replaces a waiting one of the same file name.
  void add(Work work, Instant now);
  /// Takes the piece of that kind that is due and was due first; it counts as running from now on. Nothing:
  /// none is due. An upload whose files are all stored is only due once nothing else of its recording is
  /// left, because its files are removed then. `only_new`: pieces that have failed before stay, because the
  /// relay ends.
  [[nodiscard]] std::optional<Work> take(WorkKind kind, Instant now, bool only_new);
  /// When `take` of that kind may have something; nothing: only after a change of the queue.
  [[nodiscard]] std::optional<Instant> next_due(WorkKind kind) const;

  /// A running piece is done or given up: it leaves the queue.
  void remove(const WorkEntry& entry);
  /// A running piece has failed: counts the try. False if that was the last one, and the caller must give it
  /// up. Otherwise call `put_back`.
  [[nodiscard]] bool count_failure(WorkEntry& entry) const;
  /// A running piece waits again: after its pause if it has failed, else from now.
  void put_back(Work work, Instant now);

  [[nodiscard]] bool is_empty() const { return items_.empty(); }
  /// Pieces that wait or run; and those that run.
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] std::size_t running() const { return running_; }
  /// Everything that is left, for the end of the relay.
  [[nodiscard]] std::vector<Work> rest() const;

 private:
  /// A piece, when it is due, and whether it runs now.
  struct Item {
    Work work;
    Instant due;
    bool is_running = false;
  };
  /// The order in a line: what is due first; of those, what was posted first.
  struct Turn {
    Instant due;
    std::int64_t posted_ms = 0;
    std::string name;
    auto operator<=>(const Turn&) const = default;
  };
  static Turn turn_of(const Item& item);
  /// The waiting pieces of a kind.
  std::set<Turn>& line_of(WorkKind kind) { return waiting_[static_cast<std::size_t>(kind)]; }
  void put(Work work, Instant due);
  void leave_line(const Item& item);
  /// An upload that is over except for the removal of its files, which others still need.
  [[nodiscard]] bool waits_for_others(const WorkEntry& entry) const;

  unsigned max_tries_;
  /// All pieces, by file name.
  std::map<std::string, Item> items_;
  std::array<std::set<Turn>, kWorkKindNames.size()> waiting_;
  std::size_t running_ = 0;
};

/// How long a piece waits that has failed `tries` times: 1 s, 2 s, 4 s … up to 256 s; 0 for one that has not
/// failed.
[[nodiscard]] Duration pause_after(unsigned tries);

}  // namespace ferry
