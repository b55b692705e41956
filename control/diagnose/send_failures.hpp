// SPDX-License-Identifier: Apache-2.0
// Judges what the network and the host answer to the packets that leave for a party.
//
// The host answers at once that it does not send (no route, its firewall). The network answers later, by
// ICMP, and limits its answers; the packets had been counted as sent. So the first kind is graded by the
// share that failed, and the second by the time in which answers came. Internal to this folder.
#pragma once

#include "control/diagnose/judge.hpp"

#include <optional>
#include <string>

namespace ferry {

/// Judges the send errors of one party. It lives for one judgement.
class SendFailures : Judge {
 public:
  explicit SendFailures(const JudgedMedia& judged) : Judge(judged) {}

  /// The verdict if the network or the host answers that the party cannot be reached; else unset.
  [[nodiscard]] std::optional<MediaVerdict> verdict();
  /// True if `verdict` found none, but errors ended within the last seconds.
  [[nodiscard]] bool have_ended() const { return former_ != nullptr; }
  /// Tells of errors that have ended in a verdict that is fine otherwise; the packets that they took are
  /// missing in the last seconds.
  void tell_former(MediaVerdict& verdict);

 private:
  /// True if errors hold now; writes the verdict.
  bool judge();
  /// True if the error is older than what is heard now. An ICMP error is also over if packets left for three
  /// seconds without another one: hosts send at least one a second while they mean it.
  [[nodiscard]] bool is_over(const SendFailure& failure) const;
  /// Writes the verdict for an error of sending, with the share of packets that it took.
  void tell_failure(const SendFailure& failure, bool is_paused);
  /// Grades the verdict by the time in which such errors have come.
  void grade_by_time(const SendFailure& failure, bool is_paused);
  void tell_unreachable(const SendFailure& failure, bool is_paused);
  [[nodiscard]] std::string where(const SendFailure& failure) const;

  /// An error of sending that is over, but happened in the last seconds; null if there was none.
  const SendFailure* former_ = nullptr;
};

}  // namespace ferry
