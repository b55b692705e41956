// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/send_failures.hpp"

#include "control/diagnose/hearing.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// True for errors that arrive after the packet has left and was counted as sent.
bool comes_later(SendError error) {
  return error == SendError::kPortUnreachable || error == SendError::kHostUnreachable ||
         error == SendError::kNoNeighbour;
}

const SendErrorRow& row_of(const SendFailure& failure) {
  return kSendErrorRows[static_cast<std::size_t>(failure.error)];
}

}  // namespace

std::optional<MediaVerdict> SendFailures::verdict() {
  begin(MediaDirection::kTo);
  if (!judge()) return std::nullopt;
  return std::move(verdict_);
}

bool SendFailures::judge() {
  for (const SendFailure& failure : seen_.failures) {
    // If ICMP errors have paused media, the last answer still holds (LAT-12a).
    const bool is_paused = seen_.active != nullptr && seen_.active->paused[0];
    if (failure.error == SendError::kNone || failure.times < kFailures) continue;
    // The error belongs to RTCP, or to an address that is no longer used.
    if (seen_.active != nullptr && failure.to.is_set() && failure.to != destination()) continue;
    if (is_over(failure) && !is_paused) {
      if (age(failure.last) < kRecentTime && former_ == nullptr) former_ = &failure;
      continue;
    }
    tell_failure(failure, is_paused);
    return true;
  }
  return false;
}

bool SendFailures::is_over(const SendFailure& failure) const {
  if (!is_recent(failure.last)) return true;
  const MediaView::OutStream* sent = seen_.newest_sent();
  return comes_later(failure.error) && sent != nullptr && sent->counters.last_packet > failure.last + 3s;
}

void SendFailures::tell_former(MediaVerdict& verdict) {
  const SendFailure& failure = *former_;
  verdict.cause = failure.error == SendError::kNoNeighbour ? Cause::kNoRoute
                  : comes_later(failure.error)             ? Cause::kUnreachable
                                                           : Cause::kSendFailed;
  verdict.graded = Severity::kNote;
  verdict.received = Reception::kSome;
  if (!with_words_) return;
  verdict.sentence = fmt::format("{} could not be reached at {} until {:.0f} s ago: {}", name(),
                                 where(failure), seconds_of(age(failure.last)), row_of(failure).meaning);
}

void SendFailures::tell_failure(const SendFailure& failure, bool is_paused) {
  switch (failure.error) {
    case SendError::kPortUnreachable:
    case SendError::kHostUnreachable:
      tell_unreachable(failure, is_paused);
      break;
    case SendError::kNoRoute:
    case SendError::kNoNeighbour:
      say(Cause::kNoRoute, "{} cannot be reached at {}: {}", name(), where(failure), row_of(failure).meaning);
      break;
    case SendError::kNotPermitted:
      say(Cause::kLocalFirewall, "this host's firewall does not let media out to {} at {}", name(),
          where(failure));
      break;
    case SendError::kWrongFamily:
      say(Cause::kWrongFamily,
          "{} is to be reached at {}, which is of another IP version than its port at the relay", name(),
          where(failure));
      break;
    default:
      say(Cause::kSendFailed, "this host does not send packets to {}: {}", name(), row_of(failure).meaning);
      break;
  }
  // The share that the host refuses is missing.
  const bool is_known = seen_.recent_drops.span != Duration{0};
  const double failed = seen_.recent_drops.of(DropSide::kLeaving, DropReason::kSendFailed);
  double sent = 0;
  for (const MediaView::OutStream& out : seen_.egress) sent += out.recent.counts.packets;
  if (comes_later(failure.error)) {
    grade_by_time(failure, is_paused);
  } else if (is_known && failed > 0 && sent > 0) {
    const double percent = 100.0 * failed / sent;
    grade_as(percent >= kBrokenUpPercent ? Severity::kFault : Severity::kNote,
             percent >= 100.0 - kLossyPercent ? Reception::kNothing : Reception::kSome);
    add("{:.1f} % of what was sent in the last {:.0f} s failed", percent,
        seconds_of(seen_.recent_drops.span));
  }
  if (!with_words_) return;
  add("{}: {}, last at {}", to_string(failure.error),
      failure.times == 1 ? "once" : fmt::format("{} times", failure.times), ago(failure.last));
}

void SendFailures::grade_by_time(const SendFailure& failure, bool is_paused) {
  // While media is paused, only the packets that test the way cause errors, one a second.
  const Instant first = std::min(failure.first, failure.last);
  const Duration lasts = is_paused ? age(first) : failure.last - first;
  // Hosts limit their ICMP errors to one a second or more. If fewer come, they are about single packets, or
  // they are old.
  const bool is_dense = is_paused || lasts <= (failure.times - 1) * 1s;
  const bool is_fault = lasts >= kFailureTime && is_dense && !(call_.is_over && lasts < kHungUp + 1s);
  grade_as(is_fault ? Severity::kFault : Severity::kNote, is_fault ? Reception::kNothing : Reception::kSome);
}

void SendFailures::tell_unreachable(const SendFailure& failure, bool is_paused) {
  verdict_.cause = Cause::kUnreachable;
  if (!with_words_) return;
  if (is_paused)
    verdict_.sentence = fmt::format(
        "{} hears nothing since {}: {} answers with ICMP errors; the relay sends one packet a second as a "
        "test",
        name(), clock_and_age(std::min(failure.first, failure.last)), where(failure));
  else
    verdict_.sentence =
        fmt::format("{} cannot be reached at {}: {}", name(), where(failure), row_of(failure).meaning);
  add("the error came from {}", failure.reporter.family() == AddressFamily::kNone
                                    ? std::string("this host")
                                    : failure.reporter.to_string());
}

std::string SendFailures::where(const SendFailure& failure) const {
  if (!with_words_) return {};
  return failure.to.is_set() ? failure.to.to_string() : std::string("its address");
}

}  // namespace ferry
