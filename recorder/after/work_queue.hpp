// The order of the work after calls (CTL-15): what waits, what runs, what is tried again and when. Pure: it
// takes the time and touches neither disk nor network. Not safe on several threads at a time; `AfterCall`
// locks it.
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

struct Work {
  WorkEntry entry;
  /// It stands in the state directory, so that a restart knows of it.
  bool is_kept = false;
};

class WorkQueue {
 public:
  /// `tries`: so many failures and a piece of work is given up.
  explicit WorkQueue(unsigned tries) : max_tries_(tries) {}

  /// Waits from now on; one of the same file name that waits is replaced.
  void add(Work work, Instant now);
  /// The piece of that kind that waits longest and is due, which runs from now on. An upload whose files are
  /// all stored is only due once nothing else of its recording is left: they are removed then. `only_new`:
  /// what has failed before stays (the relay ends).
  [[nodiscard]] std::optional<Work> take(WorkKind kind, Instant now, bool only_new);
  /// When `take` of that kind may have something next; nothing if a change of the queue has to come first.
  [[nodiscard]] std::optional<Instant> next_due(WorkKind kind) const;

  /// The running piece is done, given up, or otherwise gone from here.
  void remove(const WorkEntry& entry);
  /// The running piece failed. Counts the try; false if that was the last one, and the caller has to give it
  /// up. If not, `put_back` follows.
  [[nodiscard]] bool count_failure(WorkEntry& entry) const;
  /// The running piece waits again: after its pause if it has failed before, else from now.
  void put_back(Work work, Instant now);

  [[nodiscard]] bool is_empty() const { return items_.empty(); }
  [[nodiscard]] std::size_t size() const { return items_.size(); }
  [[nodiscard]] std::size_t running() const { return running_; }
  /// Everything that is left, for the end of the relay.
  [[nodiscard]] std::vector<Work> rest() const;

 private:
  struct Item {
    Work work;
    Instant due;
    bool is_running = false;
  };
  /// What is due first comes first, of that what was posted first.
  struct Turn {
    Instant due;
    std::int64_t posted_ms = 0;
    std::string name;
    auto operator<=>(const Turn&) const = default;
  };
  static Turn turn_of(const Item& item);
  std::set<Turn>& line_of(WorkKind kind) { return waiting_[static_cast<std::size_t>(kind)]; }
  void put(Work work, Instant due);
  void leave_line(const Item& item);
  [[nodiscard]] bool waits_for_others(const WorkEntry& entry) const;

  unsigned max_tries_;
  std::map<std::string, Item> items_;  // by file name
  std::array<std::set<Turn>, kWorkKindNames.size()> waiting_;
  std::size_t running_ = 0;
};

/// How long a piece of work that failed so many times waits: 1 s, 2 s, 4 s … up to 256 s.
[[nodiscard]] Duration pause_after(unsigned tries);

}  // namespace ferry
