// Judges what a party hears, for the rows `to` of an explanation: from the party back to where it went wrong.
//
// First come the reasons why nothing at all may be sent to the party: signalling, its address, its key, what
// the network answers, its own ICE and DTLS. Then the judge looks at each sender: does what it speaks leave
// toward the party? If not, the sender's own row says why, or the relay's drops on the way out do. If neither
// does, the row is a fault all the same. `origin` names the party where it went wrong, if it is another one.
//
// Senders that are heard are judged by figures of the last seconds: what was spoken (spoken.hpp), less what
// was missing before it came here, less what was dropped on the way out, less what the party reports by RTCP
// as lost behind the relay. The largest part names the cause, and `grade` gives the severity.

#include "control/diagnose/drop_causes.hpp"
#include "control/diagnose/judge.hpp"
#include "control/diagnose/listener_words.hpp"
#include "control/diagnose/spoken.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// So many packets may have come and not left yet when the counts are read: they are on their way.
constexpr double kUnderWay = 5;

/// Packets arrive, and yet there is nothing to be heard in them.
bool spoils_sound(Cause cause) {
  return cause == Cause::kSilence || cause == Cause::kCodecMismatch || cause == Cause::kNotTranscoded;
}

/// With such a verdict on what comes from a party, nothing can be sent to it either.
bool keeps_from_sending(Cause cause) {
  return cause == Cause::kNoPair || cause == Cause::kIceRefused || cause == Cause::kNoHandshake ||
         cause == Cause::kWrongCertificate || cause == Cause::kNoKey;
}

/// The sender is heard whole: its verdict does not matter to its listeners.
bool leaves_all(const MediaVerdict& verdict) {
  return verdict.severity() == Severity::kFine || verdict.reception() == Reception::kAll;
}

/// Until a call is set up, the relay drops packets for such reasons, as it can send them to nobody yet.
bool is_of_set_up(DropReason reason) {
  return reason == DropReason::kNoDestination || reason == DropReason::kNoKey ||
         reason == DropReason::kNoSink;
}

double seconds(Duration time) { return std::chrono::duration<double>(time).count(); }

/// Judges what reaches a party.
class ListenerJudge : Judge {
 public:
  ListenerJudge(const JudgedMedia& judged, std::span<const MediaVerdict> senders)
      : Judge(judged), place_(judged.place), spoken_(judged.spoken), senders_(senders) {}

  MediaVerdict verdict() {
    begin(MediaDirection::kTo);
    judge_to();
    return std::move(verdict_);
  }

 private:
  /// What the listener hears of one sender.
  struct Finding {
    const LegEvidence* leg = nullptr;
    const MediaEvidence* media = nullptr;
    const MediaVerdict* said = nullptr;
    const Spoken* spoken = nullptr;
    Cause cause = Cause::kFine;
    Severity severity = Severity::kFine;
    Reception reception = Reception::kAll;
    /// When something of it left toward the listener last; unset: never.
    Instant left{};
    /// Why it is not heard: the sender's row or a command says it; if false, the way out does.
    bool is_senders = false;
    bool is_silenced = false;

    [[nodiscard]] int rank() const { return static_cast<int>(severity) * 4 + static_cast<int>(reception); }
  };

  /// What the relay dropped on its way out to the listener, in the last seconds.
  struct WayOut {
    double own = 0;                         // speech, but for numbers that were there twice
    double raw = 0;                         // all that did not get as far as the socket
    double set_up = 0;                      // until the call was set up
    double wanted = 0;                      // as signalling or a command said
    double wanted_before = 0;               // the same, of its only sender's packets as they came
    DropReason reason = DropReason::kNone;  // of most of `own`
    double of_reason = 0;
    DropReason wanted_reason = DropReason::kNone;
    double of_wanted = 0;
  };

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
    look_at_way_out();
    look_at_other_ssrcs();
    if (judge_failures() || judge_own_side()) {
      describe_sent();
      return;
    }
    for (const MediaEvidence::Source& source : media_.sources) hear(find(source));
    if (heard_ == 0)
      tell_nothing();
    else
      judge_hearing();
    if (former_ != nullptr && verdict_.severity() == Severity::kFine) tell_former_failure(*former_);
    describe_sent();
  }

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

  /// What is sent to this party comes to one of its senders.
  bool judge_echo(const Endpoint& to) {
    if (!to.is_set() || media_.is_void || learned() == to) return false;
    for (const MediaEvidence::Source& source : media_.sources) {
      const MediaEvidence& other = media_of(source);
      if (&other == &media_) continue;  // an echo that a flag asked for
      const Endpoint there = other.seen.active == nullptr ? Endpoint{} : other.seen.active->latch[0].peer;
      // Where that party was heard, or else where its SDP says that it is.
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
  [[nodiscard]] Endpoint destination() const {
    return seen_.active == nullptr ? media_.signalled : seen_.active->destination[0];
  }
  [[nodiscard]] const MediaEvidence& media_of(const MediaEvidence::Source& source) const {
    return call_.legs[source.leg].medias[source.media];
  }
  /// In the order of the call's legs and their medias.
  [[nodiscard]] std::size_t place_of(const MediaEvidence::Source& source) const {
    std::size_t place = source.media;
    for (std::size_t i = 0; i < source.leg; ++i) place += call_.legs[i].medias.size();
    return place;
  }

  // What left.

  void look_at_way_out() {
    const RecentDrops& recent = seen_.recent_drops;
    const bool is_known = recent.span != Duration{0};
    const bool is_new = age(call_.last_signal) < recent.span + 1s;
    for (const DropCauseRow& row : kDropCauseRows) {
      if (row.leaving == Cause::kFine || row.owner == DropOwner::kBeside) continue;
      // Of a port that is not marked yet, the call's own counts are all there is; both sides are in them.
      const double packets = is_known                       ? recent.of(DropSide::kLeaving, row.reason)
                             : row.arriving == Cause::kFine ? seen_.drops[row.reason]
                                                            : 0;
      if (packets == 0) continue;
      if (row.owner == DropOwner::kWanted) {
        out_.wanted += packets;
        if (packets > out_.of_wanted) {
          out_.of_wanted = packets;
          out_.wanted_reason = row.reason;
        }
        continue;
      }
      // What the host did not take had left before, and of numbers that repeat only some are missing.
      if (row.reason != DropReason::kSendFailed && row.reason != DropReason::kReplayed) out_.raw += packets;
      if (is_new && is_of_set_up(row.reason)) {
        out_.set_up += packets;
        if (out_.reason != DropReason::kNone) continue;
      } else if (row.reason != DropReason::kReplayed) {
        out_.own += packets;
      }
      if (packets <= out_.of_reason) continue;
      out_.of_reason = packets;
      out_.reason = row.reason;
    }
  }

  /// When something of `from` left toward this party last; unset: never.
  [[nodiscard]] Instant left_at(const MediaEvidence& from) const {
    const MediaView::Stream* stream = from.seen.newest_stream();
    if (stream == nullptr || !media_.is_rtp)  // no SSRC to tell it by
      return seen_.counters[0].packets_out == 0 ? Instant{} : last_media_of(from);
    // The party may know the stream by another SSRC, from some packet on.
    Instant newest = left_by_another_ssrc_;
    for (const MediaView::OutStream& out : seen_.egress) {
      if (out.counters.ssrc == stream->counters.ssrc) newest = std::max(newest, out.counters.last_packet);
    }
    return newest;
  }
  /// Sets when something left last that may be of any sender: with several of them, under an SSRC that none
  /// of them has. Once for all: a conference has as many streams as senders.
  void look_at_other_ssrcs() {
    std::vector<std::uint32_t> theirs;
    if (media_.sources.size() > 1) {
      for (const MediaEvidence::Source& source : media_.sources) {
        for (const MediaView::Stream& stream : media_of(source).seen.ingress)
          theirs.push_back(stream.counters.ssrc.value);
      }
      std::ranges::sort(theirs);
    }
    for (const MediaView::OutStream& out : seen_.egress) {
      if (!std::ranges::binary_search(theirs, out.counters.ssrc.value))
        left_by_another_ssrc_ = std::max(left_by_another_ssrc_, out.counters.last_packet);
    }
  }
  [[nodiscard]] bool is_sent_now() const {
    const MediaView::OutStream* sent = seen_.newest_sent();
    return sent != nullptr && age(sent->counters.last_packet) < kStoppedAfter;
  }

  // Each sender.

  [[nodiscard]] Finding find(const MediaEvidence::Source& source) const {
    Finding f;
    f.leg = &call_.legs[source.leg];
    f.media = &media_of(source);
    const std::size_t place = place_of(source);
    f.said = &senders_[place];
    f.spoken = &spoken_[place];
    f.left = left_at(*f.media);
    const MediaVerdict& said = *f.said;
    f.is_senders = true;
    const auto is = [&f](Cause cause, Severity severity, Reception reception) {
      f.cause = cause;
      f.severity = severity;
      f.reception = reception;
      return f;
    };
    if (source.blocked || source.silenced || f.media->is_blocked) {
      f.is_silenced = source.silenced && !source.blocked;
      return is(Cause::kBlocked, Severity::kNote, Reception::kNothing);
    }
    if (f.media->only_listens) return is(Cause::kNothingToSend, Severity::kNote, Reception::kNothing);
    if (!f.media->may_send) return is(Cause::kHold, Severity::kNote, Reception::kNothing);
    const bool speaks = last_media_of(*f.media) != Instant{} && age(last_media_of(*f.media)) < kStoppedAfter;
    const bool leaves = f.left != Instant{} && age(f.left) < kStoppedAfter;
    const bool is_gone = !speaks && !leaves;
    const bool is_unheard =
        said.severity() != Severity::kFine &&
        (said.reception() == Reception::kNothing || (is_gone && said.reception() == Reception::kSome));
    if (said.cause == Cause::kSilenceSuppressed) {
      // Who pauses is heard whole; who sends packets without sound is muted.
      return is(said.cause, Severity::kNote, speaks && is_unheard ? Reception::kNothing : Reception::kAll);
    }
    if (is_unheard && (spoils_sound(said.cause) || !leaves))
      return is(said.cause, said.severity(), Reception::kNothing);
    if (is_gone) {
      const MediaView::Stream* stream = f.media->seen.newest_stream();
      if (stream != nullptr && says_pause(stream->counters))
        return is(Cause::kSilenceSuppressed, Severity::kNote, Reception::kAll);
      return is(Cause::kNothingToSend, Severity::kNote, Reception::kNothing);
    }
    f.is_senders = false;
    if (leaves) return f;
    // It comes here, and nothing of it leaves.
    if (is_recent_prompt(*f.media)) return is(Cause::kPromptPlays, Severity::kNote, Reception::kAll);
    const bool is_wanted = out_.reason == DropReason::kNone && out_.wanted_reason != DropReason::kNone;
    if (is_wanted) return is(row_of(out_.wanted_reason).leaving, Severity::kNote, Reception::kNothing);
    const Instant began = std::max({f.left, call_.last_signal, first_media_of(*f.media)});
    if (!call_.is_answered || age(began) < kStoppedAfter)
      return is(f.left == Instant{} ? Cause::kWaiting : Cause::kInterrupted, Severity::kNote,
                Reception::kNothing);
    // Numbers of the sender that cannot be used again, and the like.
    f.is_senders = out_.reason != DropReason::kNone && row_of(out_.reason).is_senders_fault;
    return is(out_.reason == DropReason::kNone ? Cause::kBrokenUp : row_of(out_.reason).leaving,
              Severity::kFault, Reception::kNothing);
  }

  [[nodiscard]] static Instant first_media_of(const MediaEvidence& media) {
    const MediaView::Stream* stream = media.seen.newest_stream();
    return stream == nullptr ? Instant{} : stream->counters.first_packet;
  }
  [[nodiscard]] bool is_recent_prompt(const MediaEvidence& from) const {
    const Refusal* refusal = from.seen.refusal(DropReason::kPromptPlaying);
    return (refusal != nullptr && is_recent(refusal->last)) ||
           from.seen.recent_drops.of(DropSide::kArriving, DropReason::kPromptPlaying) != 0 ||
           seen_.recent_drops.of(DropSide::kLeaving, DropReason::kPromptPlaying) != 0;
  }

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
    repeated_ += numbers_repeated(spoken, media_);
    if (media_.sources.size() == 1) look_at_commands(f.media->seen.recent_drops);
    const bool is_worse = from_.media == nullptr || spoken.ear.missing > from_.spoken->ear.missing ||
                          f.said->rank() > from_.said->rank();
    if (is_worse) from_ = f;
  }

  /// Hold, commands and the like, which are counted where the packets come from.
  void look_at_commands(const RecentDrops& recent) {
    for (const DropCauseRow& row : kDropCauseRows) {
      if (row.owner != DropOwner::kWanted || row.arriving == Cause::kFine) continue;
      const double packets = recent.of(DropSide::kArriving, row.reason);
      if (is_of_set_up(row.reason) && age(call_.last_signal) < recent.span + 1s) continue;
      out_.wanted_before += packets;
      if (packets <= out_.of_wanted) continue;
      out_.of_wanted = packets;
      out_.wanted_reason = row.reason;
    }
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

  /// "B hears nothing from A since 12:00:01 UTC (8 s): why".
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

  [[nodiscard]] std::string clock_and_age(Instant then) const {
    const auto wall = call_.wall - age(then);
    return fmt::format("{:%H:%M:%S} UTC ({:.0f} s)", std::chrono::time_point_cast<std::chrono::seconds>(wall),
                       seconds(age(then)));
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
    // What the sender's row knows and these figures do not.
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

  /// Percent of what was spoken that did not leave, as somebody wanted it.
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

  /// In a conference, somebody is not heard.
  void tell_one_unheard() {
    const Finding& f = worst_;
    verdict_.cause = f.cause;
    grade_as(f.severity, Reception::kSome);
    if (f.is_senders) blame(*f.leg, *f.media, f.said->cause == Cause::kFine ? f.cause : f.said->cause);
    if (!with_words_) return;
    verdict_.sentence = nothing_words(f);
    add("{} of {} parties are heard", heard_, heard_ + unheard_);
    describe_sender(f);
  }

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
                                          sender, seconds(ear_.hole) * 1000, seconds(ear_.span));
        else if (ear_.jitter > kLossyJitter)
          verdict_.sentence = fmt::format("{} hears {} unevenly: jitter of {:.0f} ms", name(), sender,
                                          seconds(ear_.jitter) * 1000);
        else
          verdict_.sentence = fmt::format("{} hears {}, but missed {:.1f} % of the whole call", name(),
                                          sender, ear_.missing_of_call);
      }
    }
    grade_as(severity, Reception::kSome);
  }

  /// Why what the sender speaks has gaps, in a few words.
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
  /// "B misses 15.0 % of A in the last 11 s".
  [[nodiscard]] std::string misses(double percent) const {
    const std::string when = ear_.span == Duration{0}
                                 ? std::string("over the call")
                                 : fmt::format("in the last {:.0f} s", seconds(ear_.span));
    return fmt::format("{} misses {:.1f} % of {} {}", name(), percent, from_.leg->name, when);
  }

  /// Of what is missing before it leaves, if the sender's row has no cause of its own.
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

  /// Takes the way out, and what is lost behind it, into what was spoken.
  void finish_figures() {
    ear_.spoken = std::max(0.0, ear_.spoken - out_.set_up);
    deficit_ = missing_without_reason();
    const double there = ear_.spoken - before_ - out_.own - repeated_ - deficit_;
    behind_percent_ = lost_behind();
    behind_ = std::max(0.0, there) * behind_percent_ / 100.0;
    ear_.missing = std::clamp(before_ + out_.own + repeated_ + deficit_ + behind_, 0.0, ear_.spoken);
    if (ear_.missing < 1) ear_.missing = 0;
    if (is_speech(media_) && ear_.span != Duration{0} && ear_.spoken >= static_cast<double>(kEnough)) {
      const MediaView::Stream* stream = from_.media->seen.newest_stream();
      RecentStream heard = stream->recent;
      // A sender whose time stamps leap seems to have a jitter that nobody hears.
      heard.jitter = std::min(heard.jitter, 2 * kLossyJitter);
      heard.counts.expected = static_cast<std::uint32_t>(std::lround(ear_.spoken));
      heard.counts.packets = heard.counts.expected - static_cast<std::uint32_t>(std::lround(ear_.missing));
      heard.counts.duplicates = 0;
      // What is missing but for the sender's own gaps is missing packet by packet, or in one piece.
      const double apart = ear_.missing - from_.spoken->lost - from_.spoken->still;
      heard.counts.loss_bursts +=
          static_cast<std::uint32_t>(std::lround(std::max(0.0, apart))) + (from_.spoken->still > 0 ? 1u : 0u);
      ear_.mos = mos_of(heard, stream->counters.last_payload_type);
    }
  }

  /// What was taken, and neither left nor was dropped for a reason. Only where one packet in makes one out:
  /// one sender, and packets that leave as large as they came.
  [[nodiscard]] double missing_without_reason() const {
    if (media_.sources.size() != 1 || is_recent_prompt(*from_.media)) return 0;
    double octets_in = 0;
    double packets_in = 0;
    double in = 0;
    Duration span{0};
    for (const MediaView::Stream& stream : from_.media->seen.ingress) {
      // Copies that come late count as new: never more than numbers went by.
      in += std::min(stream.recent.unique(), stream.recent.counts.expected);
      packets_in += stream.recent.counts.packets;
      octets_in += stream.recent.counts.bytes;
      span = std::max(span, stream.recent.span);
    }
    double octets_out = 0;
    double packets_out = 0;
    double sent = 0;
    Duration sent_span{0};
    for (const MediaView::OutStream& stream : seen_.egress) {
      sent += stream.recent.unique();
      packets_out += stream.recent.counts.packets;
      octets_out += stream.recent.counts.bytes;
      sent_span = std::max(sent_span, stream.recent.span);
    }
    if (in < static_cast<double>(kEnough) || sent == 0 || span == Duration{0} || sent_span == Duration{0})
      return 0;
    const double size_in = octets_in / packets_in;
    const double size_out = octets_out / packets_out;
    if (size_out < 0.8 * size_in || size_out > 1.25 * size_in) return 0;
    // What was dropped between the two counts.
    const RecentDrops& arriving = from_.media->seen.recent_drops;
    double dropped = out_.raw + out_.wanted + repeated_;
    for (const DropCauseRow& row : kDropCauseRows) {
      if (row.is_counted && row.owner != DropOwner::kBeside && row.arriving != Cause::kFine)
        dropped += arriving.of(DropSide::kArriving, row.reason);
    }
    const double rest = in - dropped - sent;
    // The two were not marked at one time: a stream that only began or ended meanwhile is not short.
    const double by_rate = (in - dropped) - sent * (seconds(span) / seconds(sent_span));
    const double least = std::min(rest, by_rate);
    return least < std::max(kUnderWay, ear_.spoken * kLossyPercent / 100.0) ? 0.0 : least;
  }

  /// Percent that the party's own RTCP misses of what left here.
  [[nodiscard]] double lost_behind() const {
    double sent = 0;
    double lost = 0;
    for (const MediaView::OutStream& out : seen_.egress) {
      const bool is_known = out.recent.span != Duration{0};
      const double packets = is_known ? out.recent.counts.packets : static_cast<double>(out.counters.packets);
      if (packets == 0 || age(out.counters.last_packet) >= kStoppedAfter) continue;
      sent += packets;
      const auto report = std::ranges::find(seen_.reports, out.counters.ssrc, &ListenerReport::about);
      if (report == seen_.reports.end() || age(report->at) >= kReportAge) continue;
      const double missing_here = is_known ? out.recent.loss_percent() : out.counters.loss_percent();
      // Of a stream that was silent for a while, two reports reach back to before these last seconds: then
      // only what the newest one says of the time since the one before is of now.
      const bool reaches_back = is_known && report->earlier.at != Instant{} &&
                                report->highest_extended - report->earlier.highest_extended >
                                    static_cast<std::uint32_t>(1.2 * out.recent.counts.expected + kUnderWay);
      const double reported =
          reaches_back ? 100.0 * report->fraction_lost / 256.0 : report->recent_loss_percent();
      lost += packets * std::max(0.0, reported - missing_here) / 100.0;
    }
    return sent == 0 ? 0.0 : 100.0 * lost / sent;
  }

  // The way out as a whole.

  /// What the network or the host answers.
  bool judge_failures() {
    for (const SendFailure& failure : seen_.failures) {
      // Where ICMP errors have paused media, what was said then still holds (LAT-12 a).
      const bool is_paused = seen_.active != nullptr && seen_.active->paused[0];
      if (failure.error == SendError::kNone || failure.times < kFailures) continue;
      // Of RTCP, or of an address that it is no longer sent to.
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

  /// Longer ago than what is heard now; or it was ICMP, of which hosts send one a second at least while they
  /// mean it, and packets left since then without another error.
  [[nodiscard]] bool is_over(const SendFailure& failure) const {
    if (!is_recent(failure.last)) return true;
    const MediaView::OutStream* sent = seen_.newest_sent();
    return comes_later(failure.error) && sent != nullptr && sent->counters.last_packet > failure.last + 3s;
  }
  /// The error is told after the packet has left and was counted as sent.
  static bool comes_later(SendError error) {
    return error == SendError::kPortUnreachable || error == SendError::kHostUnreachable ||
           error == SendError::kNoNeighbour;
  }
  /// Errors that ended within the last seconds: what they took is missing in them.
  void tell_former_failure(const SendFailure& failure) {
    verdict_.cause = failure.error == SendError::kNoNeighbour ? Cause::kNoRoute
                     : comes_later(failure.error)             ? Cause::kUnreachable
                                                              : Cause::kSendFailed;
    grade_as(Severity::kNote, Reception::kSome);
    if (!with_words_) return;
    verdict_.sentence = fmt::format("{} could not be reached at {} until {:.0f} s ago: {}", name(),
                                    where(failure), seconds(age(failure.last)), row(failure).meaning);
  }

  void tell_failure(const SendFailure& failure, bool is_paused) {
    switch (failure.error) {
      case SendError::kPortUnreachable:
      case SendError::kHostUnreachable:
        tell_unreachable(failure, is_paused);
        break;
      case SendError::kNoRoute:
      case SendError::kNoNeighbour:
        say(Cause::kNoRoute, "{} cannot be reached at {}: {}", name(), where(failure), row(failure).meaning);
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
        say(Cause::kSendFailed, "this host does not send packets to {}: {}", name(), row(failure).meaning);
        break;
    }
    // Of what the host refuses, as much is missing as it refuses.
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
      add("{:.1f} % of what was sent in the last {:.0f} s failed", percent, seconds(seen_.recent_drops.span));
    }
    if (!with_words_) return;
    add("{}: {}, last at {}", to_string(failure.error),
        failure.times == 1 ? "once" : fmt::format("{} times", failure.times), ago(failure.last));
  }

  /// By how long such errors have come.
  void grade_by_time(const SendFailure& failure, bool is_paused) {
    // While media is paused, errors come from the packets that try, one a second.
    const Instant first = std::min(failure.first, failure.last);
    const Duration lasts = is_paused ? age(first) : failure.last - first;
    // Hosts limit their ICMP errors to one a second or more. Fewer are of single packets, or of former
    // errors.
    const bool is_dense = is_paused || lasts <= (failure.times - 1) * 1s;
    const bool is_fault = lasts >= kFailureTime && is_dense && !(call_.is_over && lasts < kHungUp + 1s);
    grade_as(is_fault ? Severity::kFault : Severity::kNote,
             is_fault ? Reception::kNothing : Reception::kSome);
  }

  void tell_unreachable(const SendFailure& failure, bool is_paused) {
    verdict_.cause = Cause::kUnreachable;
    if (!with_words_) return;
    if (is_paused)
      verdict_.sentence = fmt::format(
          "{} hears nothing since {}: {} answers with ICMP errors; the relay sends one packet a second as a "
          "test",
          name(), clock_and_age(std::min(failure.first, failure.last)), where(failure));
    else
      verdict_.sentence =
          fmt::format("{} cannot be reached at {}: {}", name(), where(failure), row(failure).meaning);
    add("the error came from {}", failure.reporter.family() == AddressFamily::kNone
                                      ? std::string("this host")
                                      : failure.reporter.to_string());
  }

  [[nodiscard]] std::string where(const SendFailure& failure) const {
    if (!with_words_) return {};
    return failure.to.is_set() ? failure.to.to_string() : std::string("its address");
  }

  /// What keeps this party from being sent anything is told in its own row.
  bool judge_own_side() {
    const bool is_unknown = seen_.active != nullptr && !seen_.active->destination[0].is_set();
    if (is_sent_now()) return false;
    const MediaVerdict& own = senders_[place_];
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

  static const SendErrorRow& row(const SendFailure& failure) {
    return kSendErrorRows[static_cast<std::size_t>(failure.error)];
  }

  void grade_as(Severity severity, Reception reception) {
    verdict_.graded = severity;
    verdict_.received = reception;
  }

  // Evidence.

  void describe_sender(const Finding& f) {
    if (f.is_senders && !f.said->sentence.empty()) add("about {}: {}", f.leg->name, f.said->sentence);
  }
  void describe_figures() {
    if (!with_words_ || ear_.span == Duration{0}) return;
    add("last {:.0f} s: {:.0f} packets were spoken to it, {:.1f} % missing, longest hole {:.0f} ms, jitter "
        "{:.1f} ms{}",
        seconds(ear_.span), ear_.spoken, ear_.missing_percent(), seconds(ear_.hole) * 1000,
        seconds(ear_.jitter) * 1000, ear_.mos ? fmt::format(", MOS {:.1f}", *ear_.mos) : std::string());
    add("whole call: {:.1f} % missing at the relay", ear_.missing_of_call);
    if (behind_percent_ > 0)
      add("behind the relay {:.1f} % are lost, as its own RTCP reports", behind_percent_);
  }
  void describe_sent() {
    if (!with_words_) return;
    double recent = 0;
    for (const MediaView::OutStream& out : seen_.egress) recent += out.recent.counts.packets;
    const Duration span = seen_.recent_drops.span;
    add("{} packets sent, {} failed{}", seen_.counters[0].packets_out, seen_.counters[0].errors_out,
        span == Duration{0} ? std::string()
                            : fmt::format("; {:.0f} sent in the last {:.0f} s", recent, seconds(span)));
    if (out_.reason == DropReason::kNone) return;
    add("dropped on the way out: {:.0f} packets, {}", out_.of_reason, to_string(out_.reason));
    if (seen_.active == nullptr) return;
    for (const Refusal& each : seen_.active->leaving) {
      if (each.reason == out_.reason)
        add("the first of them at {}, the last at {}", ago(each.first), ago(each.last));
    }
  }

  std::size_t place_;
  std::span<const Spoken> spoken_;
  std::span<const MediaVerdict> senders_;
  /// An error of sending that is over, but of the last seconds; null: there was none.
  const SendFailure* former_ = nullptr;
  WayOut out_;
  Instant left_by_another_ssrc_{};
  EarFigures ear_;
  /// Parts of what is missing, in packets: before it left, on the way out as its numbers had left before,
  /// without a reason, and behind the relay.
  double before_ = 0;
  double repeated_ = 0;
  double deficit_ = 0;
  double behind_ = 0;
  double behind_percent_ = 0;
  std::size_t heard_ = 0;
  std::size_t unheard_ = 0;
  Finding worst_;  // of those that are not heard
  Finding from_;   // the worst of those that are
};

}  // namespace

MediaVerdict judge_listener(const JudgedMedia& judged, std::span<const MediaVerdict> senders) {
  return ListenerJudge(judged, senders).verdict();
}

}  // namespace ferry
