// SPDX-License-Identifier: Apache-2.0
// A request for rows goes like this: all calls are sorted by what the health watch found last, the first ones
// are chosen, some of them are looked at anew, and those rows leave whose number of change is above the
// client's cursor. Looks are what costs (a snapshot from the worker, verdicts, words), so they are bounded:
// rows that do not exist are made, and those of calls with fresh signalling, then those of calls in trouble,
// then the oldest. A client that asks for ever other calls makes the board forget the rows of those before.
//
// Samples are taken in turns: a call in trouble every two seconds, the others every ten, with 48 looks a
// second at most.
#include "control/view/call_board.hpp"

#include "control/call/totals.hpp"
#include "control/diagnose/explain.hpp"
#include "control/session/call_register.hpp"
#include "control/session/evidence.hpp"
#include "control/session/explanation_json.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/snapshots.hpp"
#include "control/view/call_row.hpp"

#include <algorithm>
#include <charconv>
#include <deque>

#include <fmt/format.h>

namespace ferry {

using namespace std::chrono_literals;
using nlohmann::json;

namespace {

/// How long a row is good, and how long it is kept that nobody asks for.
constexpr Duration kFresh = 500ms;
constexpr Duration kKept = 60s;
/// Time between two samples of a call: in trouble, and otherwise.
constexpr Duration kTroubled = 2s;
constexpr Duration kQuiet = 10s;
/// How many calls a turn of samples passes at most.
constexpr std::size_t kPassed = 512;

/// Sorts like `list --sort=severity`: those in which somebody hears nothing first, equals by loss.
double worst_first(const HealthFinding& found) {
  return 1000.0 * found.urgency() + std::min<double>(found.loss_percent, 100.0);
}

bool matches(const Call& call, std::string_view text) {
  const auto has = [&](std::string_view in) { return in.find(text) != std::string_view::npos; };
  return has(call.id) ||
         std::ranges::any_of(call.legs, [&](const auto& leg) { return has(leg->tag) || has(leg->label()); });
}

std::chrono::milliseconds age_of(const Call& call, Instant now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now - call.created_at);
}

/// The number in a cursor of this process. 0 = it is none: all rows are news.
std::uint64_t version_in(std::string_view cursor, std::string_view mark) {
  if (!cursor.starts_with(mark) || cursor.size() <= mark.size() + 1) return 0;
  std::uint64_t version = 0;
  const char* end = cursor.data() + cursor.size();
  const auto read = std::from_chars(cursor.data() + mark.size() + 1, end, version);
  return read.ec == std::errc() && read.ptr == end ? version : 0;
}

}  // namespace

template <class Take>
void CallBoard::look_at(std::span<const Call* const> calls, const Clock& clock, Take take) {
  if (calls.empty()) return;
  // A deque, because the workers write into its elements.
  std::deque<CallSnapshots> all;
  {
    const FenceAtEnd fence(services_.plane);
    for (const Call* call : calls) services_.snapshots.post(*call, all.emplace_back());
  }
  auto snapshots = all.begin();
  for (const Call* call : calls) {
    CallEvidence evidence = evidence_of(*call, *snapshots++, clock);
    leave_out_deleted(*call, evidence);
    // A deleted call stays as it was: its parties fall silent.
    if (call->extras && call->extras->at_deletion)
      take(*call, evidence, *call->extras->at_deletion);
    else
      take(*call, evidence, explain(evidence));
  }
}

void CallBoard::renew(std::span<const Call* const> calls, const Clock& clock) {
  look_at(calls, clock, [&](const Call& call, const CallEvidence& evidence, const Explanation& verdicts) {
    const CallHealth& health = watch_.of(call);
    Kept& kept = kept_[call.serial];
    json row = row_of(call, evidence, verdicts, health);
    const std::size_t hash = std::hash<json>{}(row);
    if (kept.version == 0 || hash != kept.hash) kept.version = ++version_;
    kept.row = std::move(row);
    kept.hash = hash;
    kept.made = kept.wanted = clock.now;
    kept.signal = call.last_signal;
    kept.severity = health.found().severity;
    kept.cause = health.found().cause;
  });
}

std::vector<const Call*> CallBoard::stale(std::span<const Call* const> calls, const Clock& clock) {
  std::vector<const Call*> chosen;
  std::vector<std::pair<Instant, const Call*>> later;
  const auto choose = [&](const Call* call) {
    if (chosen.size() < kNewRows) chosen.push_back(call);
  };
  for (const Call* call : calls) {
    const auto found = kept_.find(call->serial);
    if (found == kept_.end()) {
      choose(call);
      continue;
    }
    Kept& kept = found->second;
    kept.wanted = clock.now;
    const bool is_deleted = call->delete_at.has_value();
    if (is_deleted != kept.row["deleting"].get<bool>() || call->last_signal != kept.signal) {
      choose(call);
      continue;
    }
    if (is_deleted || clock.now - kept.made < kFresh) continue;
    const HealthFinding& now = watch_.of(*call).found();
    const bool is_news = now.severity != kept.severity || now.cause != kept.cause;
    const bool is_urgent = is_news || now.severity == Severity::kFault;
    later.emplace_back(is_urgent ? Instant{} : kept.made, call);
  }
  std::ranges::stable_sort(later, {}, &std::pair<Instant, const Call*>::first);
  for (const auto& each : later) {
    if (chosen.size() >= kLooks) break;
    chosen.push_back(each.second);
  }
  return chosen;
}

json CallBoard::rows(const Wish& wish, const Clock& clock) {
  std::vector<const Call*> calls;
  calls.reserve(services_.calls.size());
  for (const auto& each : services_.calls.all()) {
    if (wish.match.empty() || matches(*each.second, wish.match)) calls.push_back(each.second.get());
  }
  const std::size_t found = calls.size();
  const auto is_before = [&](const Call* a, const Call* b) {
    const double x = worst_first(watch_.of(*a).found());
    const double y = worst_first(watch_.of(*b).found());
    return x != y ? x > y : a->serial < b->serial;
  };
  const std::size_t shown = std::min({wish.limit, kMostRows, calls.size()});
  std::ranges::partial_sort(calls, calls.begin() + static_cast<std::ptrdiff_t>(shown), is_before);
  calls.resize(shown);
  const std::uint64_t known = version_in(wish.cursor, mark_);
  renew(stale(calls, clock), clock);
  json order = json::array();
  json news = json::array();
  for (const Call* call : calls) {
    order.push_back(call->serial);
    const auto kept = kept_.find(call->serial);
    if (kept != kept_.end() && kept->second.version > known) news.push_back(kept->second.row);
  }
  forget_oldest();
  return {{"cursor", fmt::format("{}-{}", mark_, version_)},
          {"at_ms", unix_ms(clock.wall)},
          {"total", services_.calls.size()},
          {"found", found},
          {"order", std::move(order)},
          {"calls", std::move(news)}};
}

void CallBoard::forget_oldest() {
  if (kept_.size() <= kMostKept) return;
  std::vector<std::pair<Instant, std::uint64_t>> all;
  all.reserve(kept_.size());
  for (const auto& [serial, kept] : kept_) all.emplace_back(kept.wanted, serial);
  const auto end = all.begin() + static_cast<std::ptrdiff_t>(all.size() - kMostKept);
  std::ranges::nth_element(all, end);
  for (auto each = all.begin(); each != end; ++each) kept_.erase(each->second);
}

json CallBoard::timeline(std::uint64_t serial) const {
  const Call* call = services_.calls.by_serial(serial);
  if (call == nullptr) return nullptr;
  json samples = json::array();
  if (const Trail* trail = trails_.find(call->serial); trail != nullptr) {
    for (std::size_t i = 0; i < trail->size(); ++i) {
      const TrailSample sample = (*trail)[i];
      samples.push_back({{"at_ms", unix_ms(call->created) + sample.at.count()},
                         {"loss", sample.loss_percent},
                         {"jitter", sample.jitter_ms},
                         {"severity", to_string(sample.severity)},
                         {"verdict", to_string(sample.cause)}});
      if (sample.mos) samples.back()["mos"] = *sample.mos;
    }
  }
  return {{"call_id", call->id}, {"begun_ms", unix_ms(call->created)}, {"samples", std::move(samples)}};
}

std::vector<const Call*> CallBoard::due(Instant now) {
  std::vector<const Call*> chosen;
  for (std::size_t passed = 0; passed < kPassed && !queue_.empty() && chosen.size() < kLooks; ++passed) {
    const Call* call = services_.calls.by_serial(queue_.back());
    queue_.pop_back();
    if (call == nullptr || call->delete_at) continue;
    const Trail* trail = trails_.find(call->serial);
    if (trail == nullptr && trails_.size() >= CallTrails::kTrails) continue;
    const bool is_troubled = watch_.of(*call).found().severity == Severity::kFault;
    const auto rest = is_troubled ? kTroubled : kQuiet;
    if (trail == nullptr || trail->empty() || age_of(*call, now) - (*trail)[trail->size() - 1].at >= rest)
      chosen.push_back(call);
  }
  return chosen;
}

void CallBoard::tick(const Clock& clock) {
  if (queue_.empty()) {
    for (const auto& each : services_.calls.all()) queue_.push_back(each.second->serial);
    const auto is_gone = [&](std::uint64_t serial) { return services_.calls.by_serial(serial) == nullptr; };
    trails_.forget(is_gone);
    std::erase_if(kept_, [&](const auto& each) {
      return is_gone(each.first) || clock.now - each.second.wanted > kKept;
    });
  }
  const std::vector<const Call*> calls = due(clock.now);
  look_at(calls, clock, [&](const Call& call, const CallEvidence& evidence, const Explanation& verdicts) {
    const HealthFinding found = worst_of(verdicts, evidence);
    const CallFigures figures = figures_of(verdicts);
    trails_.add(call.serial, {.at = age_of(call, clock.now),
                              .mos = figures.mos,
                              .loss_percent = figures.loss_percent,
                              .jitter_ms = figures.jitter_ms,
                              .severity = found.severity,
                              .cause = found.cause});
  });
}

}  // namespace ferry
