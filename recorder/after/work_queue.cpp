// SPDX-License-Identifier: Apache-2.0
// `items_` holds every piece; `waiting_` has a line for each kind, ordered by the time at which a piece is
// due. A piece that runs is in no line. Neither is an upload whose files are all stored but still needed: it
// joins the line when the hook and the notification of its recording are gone (`remove`).
#include "recorder/after/work_queue.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

// Doubles with each failure and then stays: with 12 tries a piece is given up after about a quarter of an
// hour.
Duration pause_after(unsigned tries) {
  constexpr unsigned kMostDoublings = 8;
  if (tries == 0) return Duration{0};
  return std::chrono::seconds(1u << std::min(tries - 1, kMostDoublings));
}

WorkQueue::Turn WorkQueue::turn_of(const Item& item) {
  return {item.due, item.work.entry.posted_ms, item.work.entry.file_name()};
}

bool WorkQueue::waits_for_others(const WorkEntry& entry) const {
  if (entry.kind != WorkKind::kUpload || entry.stored < entry.files.size()) return false;
  return std::ranges::any_of(std::array{WorkKind::kHook, WorkKind::kNotify}, [&](WorkKind kind) {
    return items_.contains(WorkEntry{.kind = kind, .recording = entry.recording}.file_name());
  });
}

// A running piece is in no line.
void WorkQueue::leave_line(const Item& item) {
  if (item.is_running)
    --running_;
  else
    line_of(item.work.entry.kind).erase(turn_of(item));
}

void WorkQueue::put(Work work, Instant due) {
  const std::string name = work.entry.file_name();
  const auto old = items_.find(name);
  // The same piece, posted or tried again: its place in the line changes.
  if (old != items_.end()) leave_line(old->second);
  const Item& item = items_.insert_or_assign(name, Item{std::move(work), due}).first->second;
  if (!waits_for_others(item.work.entry)) line_of(item.work.entry.kind).insert(turn_of(item));
}

void WorkQueue::add(Work work, Instant now) { put(std::move(work), now); }

void WorkQueue::put_back(Work work, Instant now) {
  const Instant due = now + pause_after(work.entry.tries);
  put(std::move(work), due);
}

std::optional<Work> WorkQueue::take(WorkKind kind, Instant now, bool only_new) {
  std::set<Turn>& line = line_of(kind);
  for (auto turn = line.begin(); turn != line.end() && turn->due <= now; ++turn) {
    Item& item = items_.at(turn->name);
    // At the end of the relay: what has failed before is left.
    if (only_new && item.work.entry.tries > 0) continue;
    line.erase(turn);
    item.is_running = true;
    ++running_;
    return item.work;
  }
  return std::nullopt;
}

std::optional<Instant> WorkQueue::next_due(WorkKind kind) const {
  const std::set<Turn>& line = waiting_[static_cast<std::size_t>(kind)];
  return line.empty() ? std::nullopt : std::optional(line.begin()->due);
}

void WorkQueue::remove(const WorkEntry& entry) {
  const auto found = items_.find(entry.file_name());
  if (found == items_.end()) return;
  leave_line(found->second);
  items_.erase(found);
  // An upload may have waited for this one.
  const auto upload =
      items_.find(WorkEntry{.kind = WorkKind::kUpload, .recording = entry.recording}.file_name());
  if (upload != items_.end() && !upload->second.is_running && !waits_for_others(upload->second.work.entry))
    line_of(WorkKind::kUpload).insert(turn_of(upload->second));
}

bool WorkQueue::count_failure(WorkEntry& entry) const { return ++entry.tries < max_tries_; }

std::vector<Work> WorkQueue::rest() const {
  std::vector<Work> left;
  left.reserve(items_.size());
  for (const auto& [name, item] : items_) left.push_back(item.work);
  return left;
}

}  // namespace ferry
