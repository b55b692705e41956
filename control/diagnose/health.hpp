// When a running call becomes bad and when it recovers, from one look at it after the other. Plain values:
// whoever looks brings the time.
#pragma once

#include "control/diagnose/explain.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// How long a fault has to last until the call counts as bad. A listener hears nothing: from the moment when
/// the last packet left for it, or from the last message of signalling if that is later.
inline constexpr Duration kUnheardTime = std::chrono::seconds(5);
/// A listener hears badly: from the first look that found it impaired. The figures had to pass a threshold
/// before that, which takes some seconds more.
inline constexpr Duration kImpairedTime = std::chrono::seconds(8);
/// More packets have to be missing than so long ago: the figures of the last seconds still contain a hole
/// that is over.
inline constexpr Duration kStillMissing = std::chrono::seconds(4);
/// How long a bad call has to be without a fault until it has recovered.
inline constexpr Duration kRecoveryTime = std::chrono::seconds(5);
/// A call that goes bad and recovers again and again is told of once in so long; all of it is counted.
inline constexpr Duration kAlarmInterval = std::chrono::seconds(30);

/// What one look at a call found: its worst verdict, and the figures of its worst stream. A few octets, kept
/// with each call.
struct HealthFinding {
  Severity severity = Severity::kFine;
  /// What the listener of that verdict still gets.
  Reception reception = Reception::kAll;
  Cause cause = Cause::kFine;
  MediaDirection direction = MediaDirection::kFrom;
  /// Place of the party in `CallEvidence::legs`, and which of its m-lines, from 1; both 0 if there is no
  /// verdict.
  std::uint8_t leg = 0;
  std::uint8_t media = 0;
  /// Of the last 10 s (`kRecentTime`): loss in percent of the stream that lost most, on its way here or, as
  /// its listener reports, behind the relay; the worst jitter in milliseconds; the longest run of missing
  /// packets. 0 if nothing is known.
  float loss_percent = 0;
  float jitter_ms = 0;
  std::uint16_t longest_burst = 0;
  /// Packets of the whole call that did not get to a listener, by loss, drops or reports of listeners: it
  /// only matters whether it grows.
  std::uint64_t missing = 0;
  /// Since when nothing passes in the direction of the verdict; unset: packets pass, or the verdict is no
  /// fault.
  Instant unheard_since{};

  /// A listener hears nothing, and nobody wants it so.
  [[nodiscard]] bool is_unheard() const noexcept {
    return severity == Severity::kFault && reception == Reception::kNothing;
  }
  /// A listener hears less than was spoken to it, and nobody wants it so.
  [[nodiscard]] bool is_impaired() const noexcept {
    return severity == Severity::kFault || (severity == Severity::kNote && reception == Reception::kSome);
  }
  /// For lists, worst first: somebody hears nothing (5), or badly (4), another fault (3), a note that
  /// somebody hears badly (2), another note (1: hold, not answered yet), fine (0).
  [[nodiscard]] int urgency() const noexcept {
    if (severity == Severity::kFault) return 3 + static_cast<int>(reception);
    if (severity == Severity::kFine) return 0;
    return reception == Reception::kSome ? 2 : 1;
  }
  /// Since when the trouble lasts, as far as a look at `now` can tell.
  [[nodiscard]] Instant began(Instant now) const noexcept {
    return unheard_since != Instant{} && unheard_since < now ? unheard_since : now;
  }
  /// The same trouble at the same place; the figures may differ.
  [[nodiscard]] bool is_as(const HealthFinding& other) const noexcept {
    return severity == other.severity && reception == other.reception && cause == other.cause &&
           direction == other.direction && leg == other.leg && media == other.media;
  }
};

/// The worst of `verdicts`, which were made of `call`.
[[nodiscard]] HealthFinding worst_of(const Explanation& verdicts, const CallEvidence& call);

/// What a look changed.
struct HealthChange {
  /// To be counted.
  bool became_bad = false;
  bool recovered = false;
  /// To be told.
  bool tells_bad = false;
  bool tells_recovery = false;
  /// Why the call is or was bad.
  Cause cause = Cause::kFine;
  /// Of a recovery: how long the call was bad.
  Duration lasted{0};
};

/// The health of one call over time. Pure; a few octets.
class CallHealth {
 public:
  /// `found` is what a look at `now` showed. What was before `steady_since` (the relay was stopped, or did
  /// not know the call) is no reason for an alarm. `now` never goes back.
  HealthChange take(const HealthFinding& found, Instant now, Instant steady_since) noexcept;

  /// Keeps what a look at a deleted call showed, whose parties fall silent: begins and ends no alarm.
  void show(const HealthFinding& found, Instant now) noexcept;

  [[nodiscard]] const HealthFinding& found() const noexcept { return found_; }
  /// Of the last look; unset: nobody has looked yet.
  [[nodiscard]] Instant looked_at() const noexcept { return looked_at_; }
  /// Since when what was found last is so.
  [[nodiscard]] Instant since() const noexcept { return since_; }
  /// An alarm is on.
  [[nodiscard]] bool is_bad() const noexcept { return bad_since_ != Instant{}; }

 private:
  /// The fault that `found_` has is an alarm by now.
  [[nodiscard]] bool is_alarming(Instant now, Instant steady_since) const noexcept;

  HealthFinding found_;
  bool is_told_ = false;            // that it became bad this time
  Cause bad_cause_ = Cause::kFine;  // when it became bad
  Instant looked_at_{};
  Instant since_{};
  Instant unheard_since_{};   // unset: the last look found nobody unheard
  Instant impaired_since_{};  // unset: the last look found nothing impaired
  Instant missing_since_{};   // when more was missing than a look before; unset: it never was
  Instant bad_since_{};       // unset: it is not bad
  Instant well_since_{};      // of a bad call: first look in a row without a fault; unset: it has one
  Instant told_at_{};         // last time that an alarm was told
};

}  // namespace ferry
