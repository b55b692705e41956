// Chooses which running call the relay looks at next, and keeps what the last look at each call found: for
// the alarm, and for lists with the worst calls first.
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

/// A running call became bad, or has recovered.
struct HealthNews {
  bool is_bad = false;
  /// Of the bad time.
  Cause cause = Cause::kFine;
  /// Who does not hear whom, since when and why; with addresses. Empty of a recovery.
  std::string sentence;
  /// Of a recovery: how long the call was bad.
  Duration lasted{0};
};

/// Counts since the start, by cause of the bad time.
struct HealthTotals {
  std::array<std::uint64_t, kCauses> became_bad{};
  std::array<std::uint64_t, kCauses> recovered{};
};

/// Calls that are bad now, by what the listener of the worst verdict still gets.
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
  /// Calls that one turn passes, and those of them that get a glance; glances that only the time asks for
  /// leave room for those that something asks for.
  static constexpr std::size_t kLooks = 512;
  static constexpr std::size_t kGlances = 32;
  static constexpr std::size_t kRoutineGlances = 16;
  /// How often a turn is to come, and how soon all calls are passed again if there are not too many.
  static constexpr Duration kTurnInterval = std::chrono::milliseconds(50);
  static constexpr Duration kRoundTime = std::chrono::seconds(2);
  /// Without any reason a call gets a glance after so long.
  static constexpr Duration kRoutineTime = std::chrono::seconds(30);

  /// `Call::watch_place` is set here and belongs to this class.
  void add(Call& call, Instant now);
  void remove(const Call& call) noexcept;
  /// The process was stopped until `now`: silence before that is no party's fault.
  void after_pause(Instant now) noexcept;

  /// One turn: the calls that are due for a glance. The list is good until the next call of a member.
  [[nodiscard]] const std::vector<const Call*>& next(Instant now);
  /// Keeps what the call was like when it was deleted; it gets no glance from then on.
  void show(const Call& call, const HealthFinding& found, Instant now) noexcept;
  /// Takes what a glance found.
  HealthChange take(const Call& call, const HealthFinding& found, Instant now);

  /// What the last glance found, and since when it is so.
  [[nodiscard]] const CallHealth& of(const Call& call) const noexcept;
  [[nodiscard]] const HealthTotals& totals() const noexcept { return totals_; }
  [[nodiscard]] BadCalls bad_calls() const noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return watched_.size(); }

 private:
  struct Watched {
    Call* call = nullptr;
    Instant known_since{};
    /// The last message of signalling; `glances_after_signal` says how many glances it has caused so far.
    Instant signal{};
    /// Until when the call gets more glances because its standing has changed: what changed may need some
    /// seconds to become a verdict. Unset: it never changed.
    Instant restless_until{};
    /// Of all its transports, as the last cheap look found it; 0: not looked at yet.
    std::uint32_t standing = 0;
    std::uint8_t glances_after_signal = 0;
    CallHealth health;
  };
  /// Whether the call is due for a glance, and whether something beside the time asks for it.
  enum class Need : std::uint8_t { kNone, kRoutine, kUrgent };
  [[nodiscard]] static Need need_of(Watched& watched, Instant now);

  std::vector<Watched> watched_;
  std::size_t next_ = 0;  // place of the call that is looked at next
  Instant last_turn_{};
  Instant steady_since_{};
  std::vector<const Call*> due_;
  HealthTotals totals_;
};

}  // namespace ferry
