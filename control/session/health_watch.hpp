// SPDX-License-Identifier: Apache-2.0
// Chooses which running call the relay looks at next, and keeps what the last look at each call found. The
// alarm reads it, and lists with the worst calls first.
#pragma once

#include "control/diagnose/health.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace ferry {

struct Call;

/// Says that a running call became bad, or has recovered.
struct HealthNews {
  /// True if it became bad.
  bool is_bad = false;
  /// The cause of the bad time.
  Cause cause = Cause::kFine;
  /// True if somebody hears nothing of a party; false if it is heard badly. False if the call has recovered.
  bool is_unheard = false;
  /// The party, and the number of its m-line, that the sentence is about. Empty and 0 if the call has
  /// recovered.
  std::string leg;
  unsigned media = 0;
  /// Who does not hear whom, since when and why, with addresses. Empty if the call has recovered.
  std::string sentence;
  /// How long the call was bad, if it has recovered.
  Duration lasted{0};
};

/// How many calls became bad and how many recovered since the start, by cause of the bad time.
struct HealthTotals {
  std::array<std::uint64_t, kCauses> became_bad{};
  std::array<std::uint64_t, kCauses> recovered{};
};

/// How many calls are bad now, by what the listener of the worst verdict still gets.
struct BadCalls {
  std::size_t hear_nothing = 0;
  std::size_t hear_some = 0;
};

/// Looks at calls in turn. A cheap look reads one figure of each transport, its standing: classes of loss,
/// silence, drops and reports (`TransportActivity::standing`). A full look, a glance, asks the worker for all
/// it knows and judges it. A call gets a glance when its standing has changed and some seconds later, some
/// seconds after a message of signalling, every two seconds while it is bad or about to be, and every 30 s at
/// least.
///
/// Bounded: one turn takes at most `kLooks` cheap looks and `kGlances` glances, whatever the number of calls;
/// with more than its turns can serve, each call waits longer.
///
/// Control thread only. It asks no worker itself: `SessionManager::watch` does that for it.
class HealthWatch {
 public:
  /// The most calls that one turn passes, and the most of them that get a glance. Glances that only the time
  /// asks for (kRoutineGlances) leave room for those that something asks for.
  static constexpr std::size_t kLooks = 512;
  static constexpr std::size_t kGlances = 32;
  static constexpr std::size_t kRoutineGlances = 16;
  /// How often a turn must come, and how soon all calls are passed again if there are not too many.
  static constexpr Duration kTurnInterval = std::chrono::milliseconds(50);
  static constexpr Duration kRoundTime = std::chrono::seconds(2);
  /// How long a call waits for a glance that nothing asks for.
  static constexpr Duration kRoutineTime = std::chrono::seconds(30);

  /// Begins to watch a call. Sets `Call::watch_place`, which belongs to this class.
  void add(Call& call, Instant now);
  /// Ends watching it.
  void remove(const Call& call) noexcept;
  /// Notes that the process was stopped until `now`: silence before that is no party's fault.
  void after_pause(Instant now) noexcept;

  /// Makes one turn. Returns the calls that are due for a glance; the list is good until the next turn.
  [[nodiscard]] const std::vector<const Call*>& next(Instant now);
  /// Keeps how the call was when it was deleted. It gets no glance from then on.
  void show(const Call& call, const HealthFinding& found, Instant now) noexcept;
  /// Takes the result of a glance, and says whether the call became bad or has recovered.
  HealthChange take(const Call& call, const HealthFinding& found, Instant now);

  /// The result of the last glance, and since when it is so.
  [[nodiscard]] const CallHealth& of(const Call& call) const noexcept;
  [[nodiscard]] const HealthTotals& totals() const noexcept { return totals_; }
  [[nodiscard]] BadCalls bad_calls() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return watched_.size(); }

 private:
  /// What the watch knows of one call.
  struct Watched {
    Call* call = nullptr;
    /// When the call was added.
    Instant known_since{};
    /// When the last message of signalling came, and how many glances it has caused so far
    /// (`glances_after_signal`).
    Instant signal{};
    /// Until when the call gets more glances because its standing has changed: the change may need some
    /// seconds to become a verdict. `Instant{}` = it never changed.
    Instant restless_until{};
    /// The standings of all its transports in one figure, by the last cheap look. 0 = no look so far.
    std::uint32_t standing = 0;
    std::uint8_t glances_after_signal = 0;
    CallHealth health;
  };
  /// Whether the call is due for a glance, and whether something besides the time asks for it.
  enum class Need : std::uint8_t { kNone, kRoutine, kUrgent };
  [[nodiscard]] static Need need_of(Watched& watched, Instant now);

  std::vector<Watched> watched_;
  /// The place of the call that is looked at next.
  std::size_t next_ = 0;
  Instant last_turn_{};
  /// The end of the last pause of the process.
  Instant steady_since_{};
  /// The result of the last turn.
  std::vector<const Call*> due_;
  HealthTotals totals_;
};

}  // namespace ferry
