#include "control/diagnose/judge.hpp"

#include <algorithm>

namespace ferry {

namespace {

/// Judges what reaches a party.
class ListenerJudge : Judge {
 public:
  ListenerJudge(const JudgedMedia& judged, std::span<const MediaVerdict> senders)
      : Judge(judged), senders_(senders) {}

  MediaVerdict verdict() {
    begin(MediaDirection::kTo);
    judge_to();
    return std::move(verdict_);
  }

 private:
  void judge_to() {
    if (judge_signalling()) return;
    if (media_.sources.empty()) {
      say(Cause::kNothingToSend, "nobody sends to {}", name());
      return;
    }
    if (!media_.may_receive) {
      say(Cause::kHold, "{} said that it receives nothing (hold)", name());
      return;
    }
    if (media_.loops) {
      say(Cause::kLoop, "the SDP of {} names {}, a port of this relay that leads to no party", name(),
          media_.signalled.to_string());
      return;
    }
    const bool is_sent_to = seen_.active != nullptr && seen_.active->destination[0].is_set();
    if (is_refusal(media_.denied) && !is_sent_to) {
      say(Cause::kDeniedAddress, "the SDP of {} names {}", name(), row_of(media_.denied).meaning);
      describe_address();
      return;
    }
    if (media_.local.is_set() && media_.signalled.address.family() != media_.local.address.family()) {
      say(Cause::kWrongFamily, "{} is to be reached at {}, but its port here is {}", name(),
          media_.signalled.to_string(), media_.local.to_string());
      return;
    }
    if (media_.is_encrypted && !media_.is_keyed && call_.is_answered) {
      say(Cause::kNoKey, "{} may only be sent encrypted media, and there is no key for it", name());
      return;
    }
    if (judge_failures()) return;
    if (seen_.active != nullptr && !seen_.active->destination[0].is_set()) {
      say(Cause::kNothingToSend, "where {} is will be known when it sends", name());
      describe_address();
      return;
    }
    bool arrives = false;
    bool held = true;
    std::string from;
    for (const MediaEvidence::Source& source : media_.sources) {
      const MediaEvidence& other = call_.legs[source.leg].medias[source.media];
      arrives = arrives || is_recent(last_media_of(other));
      held = held && !other.may_send;
      from += (from.empty() ? "" : ", ") + call_.legs[source.leg].name;
    }
    if (held) {
      say(Cause::kHold, "{} said that it sends nothing (hold)", from);
    } else if (!arrives) {
      say(Cause::kNothingToSend, "nothing arrives from {} that could be sent to {}", from, name());
    } else {
      say(Cause::kFine, "{} is sent what {} sends, to {}", name(), from,
          seen_.active == nullptr ? std::string("nowhere") : seen_.active->destination[0].to_string());
    }
    add("{} packets sent, {} not", seen_.counters[0].packets_out, seen_.counters[0].errors_out);
  }

  bool judge_failures() {
    for (const SendFailure& failure : seen_.failures) {
      // Where ICMP errors have paused media, what was said then still holds (LAT-12 a).
      const bool is_paused = seen_.active != nullptr && seen_.active->paused[0];
      if ((!is_recent(failure.last) && !is_paused) || failure.times < kFailures) continue;
      const std::string where = failure.to.is_set() ? failure.to.to_string() : std::string("there");
      switch (failure.error) {
        case SendError::kPortUnreachable:
        case SendError::kHostUnreachable:
          say(Cause::kUnreachable, "{} cannot be reached at {}: {}{}", name(), where, row(failure).meaning,
              failure.reporter.family() == AddressFamily::kNone
                  ? std::string()
                  : fmt::format(", says {}", failure.reporter.to_string()));
          break;
        case SendError::kNoRoute:
        case SendError::kNoNeighbour:
          say(Cause::kNoRoute, "{} cannot be reached at {}: {}", name(), where, row(failure).meaning);
          break;
        case SendError::kNotPermitted:
          say(Cause::kLocalFirewall, "this host's firewall does not let media out to {} at {}", name(),
              where);
          break;
        case SendError::kWrongFamily:
          say(Cause::kWrongFamily, "{} is to be reached at {}, which is of another IP version", name(),
              where);
          break;
        case SendError::kNone:
          continue;
        default:
          say(Cause::kSendFailed, "packets to {} are not sent: {}", name(), row(failure).meaning);
          break;
      }
      add("{}: {}, last at {}", to_string(failure.error),
          failure.times == 1 ? "once" : fmt::format("{} times", failure.times), ago(failure.last));
      return true;
    }
    return false;
  }

  static const SendErrorRow& row(const SendFailure& failure) {
    return kSendErrorRows[static_cast<std::size_t>(failure.error)];
  }

  std::span<const MediaVerdict> senders_;
};

}  // namespace

MediaVerdict judge_listener(const JudgedMedia& judged, std::span<const MediaVerdict> senders) {
  return ListenerJudge(judged, senders).verdict();
}

}  // namespace ferry
