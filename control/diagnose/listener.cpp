// SPDX-License-Identifier: Apache-2.0
// Judges what a party hears. The verdict has the direction `to` and is traced back from the party to the
// place where it went wrong.
//
// The judge first asks whether anything may be sent to the party at all: signalling, its address, its key,
// what the network answers (`SendFailures`), its own ICE and DTLS. Then it looks at each sender (`Findings`):
// does what the sender speaks leave toward the party, and if not, why?
// `origin` names the party where it went wrong, if that is another one.
//
// Senders that are heard are judged by the figures of the last seconds (`finish_figures`):
//
//   spoken - missing before the relay - dropped on the way out - missing without a reason - lost behind the
//   relay
//
// The largest part names the cause, and `grade` gives the severity. In a conference, one sender that is not
// heard counts more than gaps in the others, unless these are the greater fault.
//
// The trap: counts of both sides were not taken at one moment, and each packet must be counted as missing
// only once. Most of the small corrections below have one of these two reasons.

#include "control/diagnose/drop_causes.hpp"
#include "control/diagnose/finding.hpp"
#include "control/diagnose/hearing.hpp"
#include "control/diagnose/judge.hpp"
#include "control/diagnose/listener_words.hpp"
#include "control/diagnose/mos.hpp"
#include "control/diagnose/reported_loss.hpp"
#include "control/diagnose/send_failures.hpp"
#include "control/diagnose/spoken.hpp"
#include "control/diagnose/way_out.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// True if a party with this verdict cannot be sent anything either.
bool keeps_from_sending(Cause cause) {
  return cause == Cause::kNoPair || cause == Cause::kIceRefused || cause == Cause::kNoHandshake ||
         cause == Cause::kWrongCertificate || cause == Cause::kNoKey;
}

/// True if listeners get everything from the sender, so that its verdict does not matter to them.
bool leaves_all(const MediaVerdict& verdict) {
  return verdict.severity() == Severity::kFine || verdict.reception() == Reception::kAll;
}

/// Judges what reaches one party.
class ListenerJudge : Judge {
 public:
  ListenerJudge(const JudgedMedia& judged, std::span<const MediaVerdict> senders)
      : Judge(judged), judged_(judged), senders_(senders) {}

  MediaVerdict verdict() {
    begin(MediaDirection::kTo);
    judge_to();
    describe_lost_group();
    return std::move(verdict_);
  }

 private:
  /// Asks what keeps anything from the party first, and then how well it hears those that send.
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
    if (judge_address()) return;
    if (media_.is_encrypted && !media_.is_keyed && call_.is_answered) {
      say(Cause::kNoKey, "the relay may send {} encrypted media only, and has no key for it", name());
      return;
    }
    out_ = way_out_to(call_, media_);
    SendFailures failures(judged_);
    if (std::optional<MediaVerdict> failed = failures.verdict())
      verdict_ = *std::move(failed);
    else if (!judge_own_side()) {
      hear_all();
      if (failures.have_ended() && verdict_.severity() == Severity::kFine) failures.tell_former(verdict_);
    }
    describe_sent();
  }

  /// Judges how well the party hears those that send.
  void hear_all() {
    const Findings findings(judged_, senders_, out_);
    for (const MediaEvidence::Source& source : media_.sources) hear(findings.of(source));
    if (heard_ == 0)
      tell_nothing();
    else
      judge_hearing();
  }

  /// True if nothing can be sent because of the address in the party's SDP.
  bool judge_address() {
    if (media_.loops) {
      say(Cause::kLoop, "the SDP of {} names {}, a port of this relay that leads to no party", name(),
          media_.signalled.to_string());
      return true;
    }
    const Endpoint to = destination();
    if (is_refusal(media_.denied) && (seen_.active == nullptr || !to.is_set())) {
      say(Cause::kDeniedAddress, "the SDP of {} names {}", name(), row_of(media_.denied).meaning);
      describe_address();
      return true;
    }
    if (media_.local.is_set() && media_.signalled.address.family() != media_.local.address.family()) {
      say(Cause::kWrongFamily,
          "{} is to be reached at {}, and its port at the relay, {}, is of another IP version", name(),
          media_.signalled.to_string(), media_.local.to_string());
      return true;
    }
    return judge_echo(to);
  }

  /// True if what is sent to this party arrives at one of its senders, because the party's SDP names the
  /// sender's address.
  bool judge_echo(const Endpoint& to) {
    if (!to.is_set() || media_.is_void || learned() == to) return false;
    for (const MediaEvidence::Source& source : media_.sources) {
      const MediaEvidence& other = media_of(source);
      if (&other == &media_) continue;  // an echo that a flag asked for
      const Endpoint there = other.seen.active == nullptr ? Endpoint{} : other.seen.active->latch[0].peer;
      // The address where the sender was heard; if it was not, that of its SDP.
      if (to != (there.is_set() ? there : other.signalled)) continue;
      const std::string& sender = call_.legs[source.leg].name;
      say(Cause::kEcho, "{} hears nothing, and {} hears itself: the SDP of {} names {}, the address of {}",
          name(), sender, name(), address_words(to), sender);
      blame(call_.legs[source.leg], other, Cause::kEcho);
      verdict_.origin.reset();  // it is this party's own SDP
      describe_address();
      return true;
    }
    return false;
  }

  // Where it went wrong.

  void blame(const LegEvidence& leg, const MediaEvidence& media, Cause cause) {
    verdict_.origin = MediaVerdict::Origin{with_words_ ? leg.name : std::string(), media.index, cause};
  }
  [[nodiscard]] std::string address_words(const Endpoint& endpoint) const {
    return with_words_ ? endpoint.to_string() : std::string();
  }
  // What left the relay.

  [[nodiscard]] bool is_sent_now() const {
    const MediaView::OutStream* sent = seen_.newest_sent();
    return sent != nullptr && age(sent->counters.last_packet) < kStoppedAfter;
  }

  // Each sender.

  /// Adds one sender to the sums. A sender that is not heard does not count in the figures, or its silence
  /// would make all others look bad.
  void hear(const Finding& f) {
    if (f.cause != Cause::kFine) {
      if (worst_.media == nullptr || f.rank() > worst_.rank()) worst_ = f;
      ++unheard_;
      return;
    }
    ++heard_;
    const Spoken& spoken = *f.spoken;
    ear_.span = std::max(ear_.span, spoken.ear.span);
    ear_.spoken += spoken.ear.spoken;
    ear_.missing_of_call = std::max(ear_.missing_of_call, spoken.ear.missing_of_call);
    ear_.hole = std::max(ear_.hole, spoken.ear.hole);
    ear_.jitter = std::max(ear_.jitter, spoken.ear.jitter);
    before_ += spoken.ear.missing;
    if (media_.sources.size() == 1) count_commands(out_, call_, f.media->seen.recent_drops);
    const bool is_worse = from_.media == nullptr || spoken.ear.missing > from_.spoken->ear.missing ||
                          f.said->rank() > from_.said->rank();
    if (is_worse) from_ = f;
  }

  // Nobody is heard.

  void tell_nothing() {
    const Finding& f = worst_;
    verdict_.cause = f.cause;
    grade_as(f.severity, f.reception);
    if (f.is_senders) blame(*f.leg, *f.media, f.said->cause == Cause::kFine ? f.cause : f.said->cause);
    if (!with_words_) return;
    verdict_.sentence = nothing_words(f);
    if (unheard_ > 1) add("none of {} parties is heard; this is the worst of them", unheard_);
    describe_sender(f);
  }

  /// Returns "B hears nothing from A since 12:00:01 UTC (8 s): why".
  [[nodiscard]] std::string nothing_words(const Finding& f) const {
    const std::string& sender = f.leg->name;
    const std::string why = f.is_senders ? why_unheard({sender, *f.media, f.cause}) : std::string();
    switch (f.cause) {
      case Cause::kSilenceSuppressed:
        if (f.reception == Reception::kAll)
          return fmt::format("{} hears {}, and {} is silent and said so", name(), sender, sender);
        return fmt::format("{} hears only silence from {}: {}", name(), sender, why);
      case Cause::kSilence:
        return fmt::format("{} hears only silence from {}: {}", name(), sender, why);
      case Cause::kCodecMismatch:
      case Cause::kNotTranscoded:
        return fmt::format("{} cannot understand {}: {}", name(), sender, why);
      case Cause::kPromptPlays:
        return fmt::format("{} hears a prompt instead of {}", name(), sender);
      case Cause::kBlocked:
        if (f.is_silenced) return fmt::format("{} hears only silence: a command silences {}", name(), sender);
        return fmt::format("{} hears nothing: {}", name(), why);
      case Cause::kHold:
        return fmt::format("{} hears nothing from {}: {}", name(), sender,
                           why.empty() ? std::string("this direction is on hold") : why);
      default:
        break;
    }
    const std::string since =
        f.left == Instant{} ? std::string() : fmt::format(" since {}", clock_and_age(f.left));
    if (f.is_senders) return fmt::format("{} hears nothing from {}{}: {}", name(), sender, since, why);
    if (f.cause == Cause::kWaiting)
      return fmt::format("{} hears nothing from {} yet: {}", name(), sender,
                         out_.reason == DropReason::kNone ? std::string("the stream has just begun")
                                                          : why_not_sent(out_.reason, name()));
    return fmt::format("{} hears nothing from {}{}: {}", name(), sender, since,
                       why_not_sent(out_.reason, name()));
  }

  // Somebody is heard: how well?

  void judge_hearing() {
    finish_figures();
    verdict_.figures = ear_;
    const Severity severity = grade(ear_);
    const bool is_one_missing = worst_.media != nullptr && worst_.reception == Reception::kNothing;
    if (is_one_missing && worst_.severity >= severity) {
      tell_one_unheard();
    } else if (wanted_percent() >= kLossyPercent && wanted_percent() > ear_.missing_percent() &&
               severity != Severity::kFault) {
      tell_wanted();
    } else if (severity == Severity::kFine) {
      tell_fine();
    } else {
      tell_badly(severity);
    }
    describe_figures();
  }

  void tell_fine() {
    const MediaVerdict& said = *from_.said;
    // The sender's verdict knows of trouble that these figures do not show.
    if (!leaves_all(said) && (ear_.span == Duration{0} || said.cause == Cause::kStoodStill)) {
      verdict_.cause = said.cause;
      grade_as(said.severity(), Reception::kSome);
      blame(*from_.leg, *from_.media, said.cause);
      if (with_words_)
        verdict_.sentence =
            fmt::format("{} hears {} with gaps: {}", name(), from_.leg->name, gap_words(said.cause));
      return;
    }
    verdict_.cause = Cause::kFine;
    if (!with_words_) return;
    std::string from;
    for (const MediaEvidence::Source& source : media_.sources)
      from += (from.empty() ? "" : ", ") + call_.legs[source.leg].name;
    if (media_.sources.size() > 4) from = fmt::format("{} parties", media_.sources.size());
    verdict_.sentence = fmt::format(
        "{} gets what {} sends, at {}", name(), from,
        seen_.active == nullptr ? std::string("nowhere") : seen_.active->destination[0].to_string());
  }

  /// Percent of what was spoken that did not leave because somebody wants it so.
  [[nodiscard]] double wanted_percent() const {
    const double wanted = out_.wanted + out_.wanted_before;
    return ear_.spoken <= 0 ? 0.0 : std::min(100.0, 100.0 * wanted / ear_.spoken);
  }
  void tell_wanted() {
    const DropCauseRow& drop = row_of(out_.wanted_reason);
    verdict_.cause = drop.leaving == Cause::kFine ? drop.arriving : drop.leaving;
    const bool is_prompt = verdict_.cause == Cause::kPromptPlays;
    grade_as(Severity::kNote, is_prompt ? Reception::kAll : Reception::kSome);
    blame(*from_.leg, *from_.media, verdict_.cause);
    if (!with_words_) return;
    verdict_.sentence = fmt::format("{}: {}", misses(wanted_percent()),
                                    is_prompt ? std::string("a prompt was played instead")
                                              : why_unheard({from_.leg->name, *from_.media, verdict_.cause}));
  }

  /// Tells that one sender is not heard while others are.
  void tell_one_unheard() {
    const Finding& f = worst_;
    verdict_.cause = f.cause;
    verdict_.one_heard_until = f.left;
    grade_as(f.severity, Reception::kSome);
    if (f.is_senders) blame(*f.leg, *f.media, f.said->cause == Cause::kFine ? f.cause : f.said->cause);
    if (!with_words_) return;
    verdict_.sentence = nothing_words(f);
    add("{} of {} parties are heard", heard_, heard_ + unheard_);
    describe_sender(f);
  }

  /// Names the largest part of what is missing: behind the relay, on the way out, or before the relay.
  void tell_badly(Severity severity) {
    const std::string& sender = from_.leg->name;
    const double percent = ear_.missing_percent();
    const double way_out = out_.own + repeated_ + deficit_;
    const bool is_behind = behind_ > before_ && behind_ > way_out && percent >= kLossyPercent;
    if (is_behind) {
      say(Cause::kLossyBehind,
          "{} hears badly: it reports by RTCP that it misses {:.1f} % of what left the relay", name(),
          behind_percent_);
    } else if (way_out > before_ && percent >= kLossyPercent) {
      verdict_.cause = way_out_cause(severity);
      const bool is_senders = is_senders_numbers();
      if (is_senders) blame(*from_.leg, *from_.media, verdict_.cause);
      if (with_words_)
        verdict_.sentence = fmt::format("{}: {}", misses(percent),
                                        is_senders ? why_unheard({sender, *from_.media, verdict_.cause})
                                                   : why_not_sent(way_out_reason(), name()));
    } else {
      const MediaVerdict& said = *from_.said;
      const bool is_told = !leaves_all(said) && said.cause != Cause::kLossy && said.cause != Cause::kBrokenUp;
      verdict_.cause = is_told ? said.cause : cause_before(severity);
      blame(*from_.leg, *from_.media, leaves_all(said) ? verdict_.cause : said.cause);
      if (with_words_) {
        if (percent >= kLossyPercent)
          verdict_.sentence = fmt::format("{}: {}", misses(percent), gap_words(verdict_.cause));
        else if (ear_.hole >= kHole)
          verdict_.sentence = fmt::format("{} hears {} with a hole of {:.0f} ms in the last {:.0f} s", name(),
                                          sender, seconds_of(ear_.hole) * 1000, seconds_of(ear_.span));
        else if (ear_.jitter > kLossyJitter)
          verdict_.sentence = fmt::format("{} hears {} unevenly: jitter of {:.0f} ms", name(), sender,
                                          seconds_of(ear_.jitter) * 1000);
        else
          verdict_.sentence = fmt::format("{} hears {}, but missed {:.1f} % of the whole call", name(),
                                          sender, ear_.missing_of_call);
      }
    }
    grade_as(severity, Reception::kSome);
  }

  /// Returns in a few words why the sender's speech has gaps.
  [[nodiscard]] std::string gap_words(Cause cause) const {
    const std::string& sender = from_.leg->name;
    switch (cause) {
      case Cause::kLossy:
      case Cause::kBrokenUp:
        return fmt::format("lost between {} and the relay", sender);
      case Cause::kInterrupted:
        return fmt::format("{}'s {} stands still or has holes", sender, what());
      case Cause::kStoodStill:
        return "the relay stood still";
      case Cause::kSourceRefused:
      case Cause::kOtherSourceToo:
        return fmt::format("packets from another address to {}'s port are refused", sender);
      default:
        return why_unheard({sender, *from_.media, cause});
    }
  }
  /// Returns "B misses 15.0 % of A in the last 11 s".
  [[nodiscard]] std::string misses(double percent) const {
    const std::string when = ear_.span == Duration{0}
                                 ? std::string("over the call")
                                 : fmt::format("in the last {:.0f} s", seconds_of(ear_.span));
    return fmt::format("{} misses {:.1f} % of {} {}", name(), percent, from_.leg->name, when);
  }

  /// Cause of what is missing before it leaves, if the sender's verdict has no cause of its own.
  [[nodiscard]] Cause cause_before(Severity severity) const {
    const Spoken& s = *from_.spoken;
    const bool is_missing = ear_.missing_percent() >= kLossyPercent;
    if (is_missing && s.of_reason * 2 >= s.ear.missing && s.reason != DropReason::kNone)
      return row_of(s.reason).arriving;
    if (is_missing && s.halted != Instant{} && s.still * 2 >= s.ear.missing) return Cause::kInterrupted;
    if (severity == Severity::kFault) return Cause::kBrokenUp;
    return ear_.hole >= kHole ? Cause::kInterrupted : Cause::kLossy;
  }
  [[nodiscard]] DropReason way_out_reason() const {
    if (repeated_ > out_.own && repeated_ > deficit_) return DropReason::kReplayed;
    return deficit_ > out_.own ? DropReason::kNone : out_.reason;
  }
  [[nodiscard]] bool is_senders_numbers() const {
    const DropReason reason = way_out_reason();
    return reason != DropReason::kNone && row_of(reason).is_senders_fault;
  }
  [[nodiscard]] Cause way_out_cause(Severity severity) const {
    const DropReason reason = way_out_reason();
    if (reason != DropReason::kNone) return row_of(reason).leaving;
    return severity == Severity::kFault ? Cause::kBrokenUp : Cause::kLossy;
  }

  /// Adds what is missing on the way out and behind it to the figures of what was spoken.
  void finish_figures() {
    ear_.spoken = std::max(0.0, ear_.spoken - out_.set_up);
    repeated_ = numbers_repeated(media_);
    deficit_ = missing_without_reason(out_, call_, media_, *from_.media, ear_.spoken);
    const double there = ear_.spoken - before_ - out_.own - repeated_ - deficit_;
    behind_percent_ = lost_behind_percent(call_, media_);
    behind_ = std::max(0.0, there) * behind_percent_ / 100.0;
    ear_.missing = std::clamp(before_ + out_.own + repeated_ + deficit_ + behind_, 0.0, ear_.spoken);
    if (ear_.missing < 1) ear_.missing = 0;
    if (is_speech(media_) && ear_.span != Duration{0} && ear_.spoken >= static_cast<double>(kEnough)) {
      const MediaView::Stream* stream = from_.media->seen.newest_stream();
      RecentStream heard = stream->recent;
      // If time stamps of the sender leap, its jitter looks large though nobody hears it.
      heard.jitter = std::min(heard.jitter, 2 * kLossyJitter);
      heard.counts.expected = static_cast<std::uint32_t>(std::lround(ear_.spoken));
      heard.counts.packets = heard.counts.expected - static_cast<std::uint32_t>(std::lround(ear_.missing));
      heard.counts.duplicates = 0;
      // What is missing beside the sender's own gaps is taken as single packets; a stream that stands still
      // is taken as one gap.
      const double apart = ear_.missing - from_.spoken->lost - from_.spoken->still;
      heard.counts.loss_bursts +=
          static_cast<std::uint32_t>(std::lround(std::max(0.0, apart))) + (from_.spoken->still > 0 ? 1u : 0u);
      ear_.mos = mos_of(heard, stream->counters.last_payload_type);
    }
  }

  // The party's own side.

  /// True if the party's own verdict explains why nothing can be sent to it; writes the verdict.
  bool judge_own_side() {
    const bool is_unknown = seen_.active != nullptr && !seen_.active->destination[0].is_set();
    if (is_sent_now()) return false;
    const MediaVerdict& own = senders_[judged_.place];
    const bool is_kept = keeps_from_sending(own.cause);
    const bool is_told = is_unknown && own.severity() == Severity::kFault;
    if (is_kept || is_told) {
      verdict_.cause = own.cause;
      grade_as(own.severity(), Reception::kNothing);
      blame(leg_, media_, own.cause);
      if (with_words_)
        verdict_.sentence = fmt::format("the relay can send nothing to {}: {}", name(),
                                        why_unheard({name(), media_, own.cause}));
      if (is_unknown) describe_address();
      return true;
    }
    if (!is_unknown) return false;
    say(Cause::kNothingToSend, "the relay learns the address of {} once it sends", name());
    describe_address();
    return true;
  }

  // Evidence.

  void describe_sender(const Finding& f) {
    if (f.is_senders && !f.said->sentence.empty()) add("about {}: {}", f.leg->name, f.said->sentence);
  }
  void describe_figures() {
    if (!with_words_ || ear_.span == Duration{0}) return;
    add("last {:.0f} s: {:.0f} packets were spoken to it, {:.1f} % missing, longest hole {:.0f} ms, jitter "
        "{:.1f} ms{}",
        seconds_of(ear_.span), ear_.spoken, ear_.missing_percent(), seconds_of(ear_.hole) * 1000,
        seconds_of(ear_.jitter) * 1000, ear_.mos ? fmt::format(", MOS {:.1f}", *ear_.mos) : std::string());
    add("whole call: {:.1f} % missing at the relay", ear_.missing_of_call);
    if (behind_percent_ > 0)
      add("behind the relay {:.1f} % are lost, as its own RTCP reports", behind_percent_);
  }
  void describe_sent() {
    if (!with_words_) return;
    const Duration span = seen_.recent_drops.span;
    // Not summed over streams: only the newest SSRCs of a party are known.
    add("{} packets sent, {} failed{}", seen_.counters[0].packets_out, seen_.counters[0].errors_out,
        span == Duration{0}
            ? std::string()
            : fmt::format("; {} sent in the last {:.0f} s", seen_.recent_sent, seconds_of(span)));
    if (out_.reason == DropReason::kNone) return;
    add("dropped on the way out: {:.0f} packets, {}", out_.of_reason, to_string(out_.reason));
    if (seen_.active == nullptr) return;
    for (const Refusal& each : seen_.active->leaving) {
      if (each.reason == out_.reason)
        add("the first of them at {}, the last at {}", ago(each.first), ago(each.last));
    }
  }

  const JudgedMedia& judged_;
  std::span<const MediaVerdict> senders_;
  WayOut out_;
  EarFigures ear_;
  /// Parts of what is missing, in packets: before it left, on the way out because its numbers had left
  /// before, without a reason, and behind the relay.
  double before_ = 0;
  double repeated_ = 0;
  double deficit_ = 0;
  double behind_ = 0;
  double behind_percent_ = 0;
  std::size_t heard_ = 0;
  std::size_t unheard_ = 0;
  // The worst of the senders that are not heard.
  Finding worst_;
  // The worst of the senders that are heard.
  Finding from_;
};

}  // namespace

MediaVerdict judge_listener(const JudgedMedia& judged, std::span<const MediaVerdict> senders) {
  return ListenerJudge(judged, senders).verdict();
}

}  // namespace ferry
