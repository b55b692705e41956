// SPDX-License-Identifier: Apache-2.0
// Decides when a running call becomes bad and when it recovers, from one look at it after the other. Plain
// values: callers bring the time.
#pragma once

#include "control/diagnose/call_evidence.hpp"
#include "control/diagnose/verdict.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Time that a listener must hear nothing until the call counts as bad. It begins when the last packet left
/// for the listener, or at the last message of signalling if that is later.
inline constexpr Duration kUnheardTime = std::chrono::seconds(5);
/// Time that a listener must hear badly until the call counts as bad. It begins with the first look that
/// found it; the figures had to pass a threshold before, which takes some seconds more.
inline constexpr Duration kImpairedTime = std::chrono::seconds(8);
/// A call that is heard badly counts as bad only if further packets went missing within this time. The
/// figures of the last seconds still contain a hole that is over.
inline constexpr Duration kStillMissing = std::chrono::seconds(4);
/// Time without a fault after which a bad call has recovered.
inline constexpr Duration kRecoveryTime = std::chrono::seconds(5);
/// Least time between two reports about a call that goes bad and recovers again and again. All changes are
/// counted.
inline constexpr Duration kAlarmInterval = std::chrono::seconds(30);

/// What one look at a call found: its worst verdict, and the figures of its worst stream. It takes few
/// octets, because each call keeps one.
struct HealthFinding {
  Severity severity = Severity::kFine;
  /// What the listener of the worst verdict still gets.
  Reception reception = Reception::kAll;
  /// The same for lists. For a note it is what those whom the note concerns hear in the whole call. So a call
  /// whose video was declined is not shown as one in which somebody hears nothing.
  Reception hears = Reception::kAll;
  /// The listener of the worst verdict hears others, but one of its senders not at all.
  bool is_one_unheard = false;
  Cause cause = Cause::kFine;
  MediaDirection direction = MediaDirection::kFrom;
  /// Place of the party in `CallEvidence::legs`, and number of its m-line, from 1. Both are 0 if there is no
  /// verdict.
  std::uint8_t leg = 0;
  std::uint8_t media = 0;
  /// Figures of the last 10 s (`kRecentTime`): loss in percent of the stream that lost most, on its way here
  /// or, as its listener reports, behind the relay; the worst jitter in milliseconds; the longest run of
  /// missing packets. 0 if nothing is known.
  float loss_percent = 0;
  float jitter_ms = 0;
  std::uint16_t longest_burst = 0;
  /// Packets of the whole call that did not reach a listener, by loss, drops or reports of listeners. Only
  /// its growth matters. It leaves out strangers' packets, RTCP, and drops that somebody asked for.
  std::uint64_t missing = 0;
  /// Since when nothing passes in the direction of the verdict, or nothing of the sender that is not heard.
  /// Unset if packets pass, or if the verdict is no fault.
  Instant unheard_since{};

  /// True if a listener hears nothing, or nothing of one sender, and nobody wants it so.
  [[nodiscard]] bool is_unheard() const noexcept {
    return severity == Severity::kFault && (reception == Reception::kNothing || is_one_unheard);
  }
  /// True if a listener hears less than was spoken to it, and nobody wants it so.
  [[nodiscard]] bool is_impaired() const noexcept {
    return severity == Severity::kFault || (severity == Severity::kNote && reception == Reception::kSome);
  }
  /// Rank for lists, where the highest is the worst: somebody hears nothing (5) or badly (4), another fault
  /// (3), a note that somebody hears badly (2), another note (1: hold, not answered yet), fine (0).
  [[nodiscard]] int urgency() const noexcept {
    if (severity == Severity::kFault) return 3 + static_cast<int>(reception);
    if (severity == Severity::kFine) return 0;
    return reception == Reception::kSome ? 2 : 1;
  }
  /// Since when the trouble lasts, as far as a look at `now` can tell.
  [[nodiscard]] Instant began(Instant now) const noexcept {
    return unheard_since != Instant{} && unheard_since < now ? unheard_since : now;
  }
  /// True if both found the same trouble at the same place. Their figures may differ.
  [[nodiscard]] bool is_as(const HealthFinding& other) const noexcept {
    return severity == other.severity && reception == other.reception && cause == other.cause &&
           direction == other.direction && leg == other.leg && media == other.media;
  }
};

/// Returns the worst of `verdicts`, which `explain` or `glance` made of `call`. Pure.
[[nodiscard]] HealthFinding worst_of(const Explanation& verdicts, const CallEvidence& call);

/// What a look changed.
struct HealthChange {
  /// The call became bad, or it recovered. For counters.
  bool became_bad = false;
  bool recovered = false;
  /// The log has to report that it became bad, or that it recovered.
  bool tells_bad = false;
  bool tells_recovery = false;
  /// Why the call is or was bad.
  Cause cause = Cause::kFine;
  /// How long the call was bad; set if it recovered.
  Duration lasted{0};
};

/// The health of one call over time. Pure; it takes few octets. Owned by the call.
class CallHealth {
 public:
  /// Takes what a look at `now` found. Trouble from before `steady_since` (the relay was stopped, or did not
  /// know the call) is no reason for an alarm. `now` never goes back.
  HealthChange take(const HealthFinding& found, Instant now, Instant steady_since) noexcept;

  /// Keeps what a look found at a deleted call, whose parties fall silent. Begins and ends no alarm.
  void show(const HealthFinding& found, Instant now) noexcept;

  /// What the last look found.
  [[nodiscard]] const HealthFinding& found() const noexcept { return found_; }
  /// Time of the last look; unset if there was none.
  [[nodiscard]] Instant looked_at() const noexcept { return looked_at_; }
  /// Since when the trouble that was found last exists.
  [[nodiscard]] Instant since() const noexcept { return since_; }
  /// True while the call counts as bad.
  [[nodiscard]] bool is_bad() const noexcept { return bad_since_ != Instant{}; }

 private:
  /// True if the fault in `found_` has lasted long enough to be an alarm.
  [[nodiscard]] bool is_alarming(Instant now, Instant steady_since) const noexcept;

  HealthFinding found_;
  /// The log has reported this time that it became bad.
  bool is_told_ = false;
  /// Cause at the time when it became bad.
  Cause bad_cause_ = Cause::kFine;
  Instant looked_at_{};
  Instant since_{};
  /// Unset: the last look found nobody unheard.
  Instant unheard_since_{};
  /// Unset: the last look found nobody who hears badly.
  Instant impaired_since_{};
  /// Last time that more packets were missing than at the look before; unset = never.
  Instant missing_since_{};
  /// Unset: the call is not bad.
  Instant bad_since_{};
  /// First look in a row at a bad call that found no fault; unset: the last look found one.
  Instant well_since_{};
  /// Last time that the log reported an alarm.
  Instant told_at_{};
};

}  // namespace ferry
