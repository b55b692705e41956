// SPDX-License-Identifier: Apache-2.0
// The list of calls that the web page shows, worst first, and what became of a call since its begin.
#pragma once

#include "control/session/health_watch.hpp"
#include "control/session/services.hpp"
#include "control/view/call_trails.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

namespace ferry {

struct Clock;

/// Makes rows of calls, and keeps them, so that a client gets only those that are news to it.
///
/// Bounded, whatever the number of calls and clients: a row is made anew twice a second at most, a request
/// makes at most `kNewRows` rows, and at most `kMostKept` rows are kept. Changes no call. Borrows everything.
/// Control thread only.
class CallBoard {
 public:
  /// The most rows of a reply, and how many there are if the client does not say.
  static constexpr std::size_t kMostRows = 500;
  static constexpr std::size_t kRows = 200;
  /// The most rows that a request makes anew, and the most samples that a turn takes.
  static constexpr std::size_t kLooks = 48;
  /// The most rows that a request makes, those of calls that nobody has asked for before included.
  static constexpr std::size_t kNewRows = 128;
  /// The most rows that are kept. Those that nobody has asked for the longest time go first.
  static constexpr std::size_t kMostKept = 2000;

  /// `mark` tells this process from others: a cursor of another one is void.
  CallBoard(const Services& services, const HealthWatch& watch, std::string mark)
      : services_(services), watch_(watch), mark_(std::move(mark)) {}

  /// What a client asks for.
  struct Wish {
    /// Text that the Call-ID or a tag contains; empty = all calls.
    std::string match{};
    /// The cursor of the last reply; rows that are older are left out. Empty = all rows.
    std::string cursor{};
    std::size_t limit = kRows;
  };
  /// The calls, worst first: `order` has the numbers of all, `calls` the rows that are news. Rows of more
  /// than `kNewRows` new calls come with the next replies, those of the worst calls first.
  [[nodiscard]] nlohmann::json rows(const Wish& wish, const Clock& clock);
  /// What was seen of the call with this number (`id` of its row), oldest first. Null if there is no such
  /// call.
  [[nodiscard]] nlohmann::json timeline(std::uint64_t serial) const;
  /// How many rows are kept.
  [[nodiscard]] std::size_t kept() const { return kept_.size(); }
  /// Takes samples of some calls, and forgets those that are gone. To be called once a second.
  void tick(const Clock& clock);

 private:
  /// A row, and what was true when it was made.
  struct Kept {
    nlohmann::json row;
    std::size_t hash = 0;
    /// The number of the change that made it as it is.
    std::uint64_t version = 0;
    Instant made{};
    Instant signal{};
    Instant wanted{};
    Severity severity = Severity::kFine;
    Cause cause = Cause::kFine;
  };
  /// Chooses those of `calls` whose rows are to be made anew.
  [[nodiscard]] std::vector<const Call*> stale(std::span<const Call* const> calls, const Clock& clock);
  /// Reads the calls from their workers, and gives each to `take` with its evidence and verdicts.
  template <class Take>
  void look_at(std::span<const Call* const> calls, const Clock& clock, Take take);
  /// Makes the rows of these calls.
  void renew(std::span<const Call* const> calls, const Clock& clock);
  /// Forgets the rows above `kMostKept`.
  void forget_oldest();
  /// Calls that are due for a sample.
  [[nodiscard]] std::vector<const Call*> due(Instant now);

  const Services& services_;
  const HealthWatch& watch_;
  std::string mark_;
  std::unordered_map<std::uint64_t, Kept> kept_;
  std::uint64_t version_ = 0;
  CallTrails trails_;
  /// Numbers of calls that wait for their turn of samples.
  std::vector<std::uint64_t> queue_;
};

}  // namespace ferry
