// SPDX-License-Identifier: Apache-2.0
// What a listener hears from one sender: everything, or nothing for a reason.
//
// `Findings` compares what the sender speaks with what leaves toward the listener. If it does not leave, the
// sender's own verdict explains it, or the relay dropped it on the way out (`WayOut`), or neither does: that
// is a fault without a name (kBrokenUp). Internal to this folder.
#pragma once

#include "control/diagnose/judge.hpp"
#include "control/diagnose/way_out.hpp"

#include <span>

namespace ferry {

/// What the listener hears from one sender. All pointers are borrowed from the judged call.
struct Finding {
  const LegEvidence* leg = nullptr;
  const MediaEvidence* media = nullptr;
  const MediaVerdict* said = nullptr;
  const Spoken* spoken = nullptr;
  Cause cause = Cause::kFine;
  Severity severity = Severity::kFine;
  Reception reception = Reception::kAll;
  /// When a packet of the sender last left toward the listener; unset = never.
  Instant left{};
  /// True if the sender's verdict or a command says why it is not heard; false if the way out does.
  bool is_senders = false;
  bool is_silenced = false;

  [[nodiscard]] int rank() const { return static_cast<int>(severity) * 4 + static_cast<int>(reception); }
};

/// Looks at the senders of one listener. It lives for one judgement.
class Findings : Judge {
 public:
  /// `senders` are the verdicts on what comes from each party, by place; `out` is what was dropped toward the
  /// listener. Both are borrowed.
  Findings(const JudgedMedia& judged, std::span<const MediaVerdict> senders, const WayOut& out);

  /// Judges one sender for this listener. The first matching case counts: a command or hold, a sender that
  /// pauses, one whose own verdict explains the silence, one that is gone, and at last one that comes here
  /// and does not leave.
  [[nodiscard]] Finding of(const MediaEvidence::Source& source) const;

 private:
  /// When a packet of `from` last left toward this party; unset = never.
  [[nodiscard]] Instant left_at(const MediaEvidence& from) const;
  /// Sets when a packet last left that may be of any sender: if there are several, a packet under an SSRC
  /// that none of them has. This is done once for all senders, because a conference has as many streams as
  /// senders.
  void look_at_other_ssrcs();

  std::span<const Spoken> spoken_;
  const Hearers& hearers_;
  std::span<const MediaVerdict> senders_;
  const WayOut& out_;
  Instant left_by_another_ssrc_{};
};

}  // namespace ferry
