// SPDX-License-Identifier: Apache-2.0
// Judges what comes from a party. The verdict has the direction `from`.
//
// `judge_from` asks its questions in an order in which one answer makes the later ones needless: may the
// party send at all, has it addresses and keys, does it send to the right place and what was agreed, is it
// heard, is there sound. The first question that finds something writes the verdict.
//
// Only a party that is heard is judged by figures. `spoken_by` says how much of the last seconds is missing,
// and which reason took most of it; `grade` gives the severity. So a cause that is a fault in the table of
// causes is only a note while little is missing.
//
// The trap: after a re-INVITE, packets that were on their way still follow the earlier SDP. Most checks leave
// out what came within a second of the last message of signalling.

#include "control/diagnose/drop_causes.hpp"
#include "control/diagnose/handshake_words.hpp"
#include "control/diagnose/judge.hpp"
#include "control/diagnose/mos.hpp"
#include "control/diagnose/spoken.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kShortIceCredentials =
    "its a=ice-ufrag or a=ice-pwd is shorter than RFC 8839 allows (4 and 22 characters); they are used";

/// A silent party that is still there sends RTCP at least this often (RFC 3550 §6.2).
constexpr Duration kAlive = 30s;
/// Reasons that refuse other sources than the party's. The first three are told even for a single packet.
constexpr std::array kIntruders = {
    DropReason::kForeignSource, DropReason::kSourceNotAllowed, DropReason::kForbiddenSource,
    DropReason::kDeniedAddress, DropReason::kBarredSource,     DropReason::kProbation,
    DropReason::kContested,     DropReason::kSsrcCollision,    DropReason::kEarlyMedia};
constexpr std::size_t kAlwaysTold = 3;

std::string codec_of(std::uint8_t type) {
  const StaticType* known = static_type(type);
  return known == nullptr ? fmt::format("payload type {}", type)
                          : fmt::format("payload type {} ({})", type, known->name);
}

Severity severity_of(double percent) {
  return percent >= kBrokenUpPercent ? Severity::kFault
         : percent >= kLossyPercent  ? Severity::kNote
                                     : Severity::kFine;
}

/// Judges what comes from a party.
class SenderJudge : Judge {
 public:
  explicit SenderJudge(const JudgedMedia& judged)
      : Judge(judged), spoken_(judged.spoken[judged.place]), listeners_(judged.hearers.of[judged.place]) {}

  MediaVerdict verdict() {
    begin(MediaDirection::kFrom);
    judge_from();
    if (was_heard() && media_.is_rtp) verdict_.figures = spoken_.ear;
    note_quality();
    if (media_.has_short_ice_credentials) add("{}", kShortIceCredentials);
    describe_lost_group();
    describe_treatments();
    return std::move(verdict_);
  }

 private:
  /// Percent of all arriving packets that was dropped for `reason`.
  [[nodiscard]] double percent_of(DropReason reason) const {
    return dropped_percent(media_, reason, dropped(call_, media_, reason).packets());
  }
  /// The same for the party's own packets alone.
  [[nodiscard]] double own_percent_of(DropReason reason) const {
    return dropped_percent(media_, reason, dropped(call_, media_, reason).own);
  }
  /// True if a heard party lost a noticeable share of its packets for `reason`, or if an unheard one lost
  /// any.
  [[nodiscard]] bool is_noticed(DropReason reason) const {
    return is_heard() ? own_percent_of(reason) >= kLossyPercent
                      : recent(reason) != nullptr && dropped(call_, media_, reason).own > 0;
  }
  /// Grades a verdict that is about a part of what the party sends.
  void settle(Severity severity) {
    verdict_.graded = std::max(severity, Severity::kNote);
    verdict_.received = Reception::kSome;
  }
  /// The same for packets refused for `reason`. If the party is not heard, they are all that it sends, and
  /// the verdict keeps the severity of its cause.
  void settle(DropReason reason) {
    if (is_heard()) settle(severity_of(own_percent_of(reason)));
  }
  /// Grades a verdict about refused packets down to a note if a command blocks or silences the party: nobody
  /// was to hear them.
  void settle_blocked() {
    if (media_.is_blocked) verdict_.graded = std::min(verdict_.severity(), Severity::kNote);
  }
  /// Returns "7.5 % of the last 10 s".
  [[nodiscard]] std::string share(double percent) const {
    const Duration span = spoken_.ear.span;
    if (span == Duration{0}) return fmt::format("{:.1f} % of the call", percent);
    return fmt::format("{:.1f} % of the last {:.0f} s", percent, std::chrono::duration<double>(span).count());
  }
  void describe(DropReason reason) {
    if (const Refusal* refusal = seen_.refusal(reason)) Judge::describe(*refusal);
  }
  using Judge::describe;

  /// Judges ICE: until a pair works, no media can come.
  bool judge_ice() {
    if (!media_.has_ice || !call_.is_answered) return false;
    const auto state =
        seen_.active != nullptr && seen_.active->ice ? seen_.active->ice->state : IceAgent::State::kWaiting;
    if (state == IceAgent::State::kConnected) return false;
    // Checks with the credentials of an earlier SDP may still be on their way for a moment.
    const Refusal* refusal = recent(DropReason::kStunRefused);
    if (refusal != nullptr && refusal->times >= kFailures && refusal->last > call_.last_signal + 1s) {
      say(Cause::kIceRefused,
          "ICE checks of {} arrive, and the relay refuses them: they lack the password of this stream",
          name());
      describe(*refusal);
      add("state of ICE: {}", to_string(state));
      return true;
    }
    if (age(call_.last_signal) < kHandshakeTime) return false;
    say(Cause::kNoPair, "ICE has found no pair of addresses that works with {} ({})", name(),
        to_string(state));
    if (seen_.refusal(DropReason::kStunRefused) == nullptr)
      add("no ICE check was refused: none arrived, or the party did not answer those of the relay");
    describe_address();
    return true;
  }

  /// Judges the DTLS handshake: without its keys no media can be read.
  bool judge_handshake() {
    if (!media_.handshake_begins) return false;
    const auto state = seen_.active != nullptr && seen_.active->dtls ? seen_.active->dtls->front().state
                                                                     : DtlsChannel::State::kWaiting;
    if (state == DtlsChannel::State::kReady) return false;
    const Endpoint destination = seen_.active != nullptr ? seen_.active->destination[0] : Endpoint{};
    const HandshakeFacts facts{name(), destination, *media_.handshake_begins, seen_,
                               [this](Instant then) { return ago(then); }};
    const bool is_wrong = state == DtlsChannel::State::kMismatch || has_wrong_certificate(facts);
    // A certificate that does not fit now will not fit later, so there is no need to wait.
    if (!is_wrong && (!call_.is_answered || age(call_.last_signal) < kHandshakeTime)) return false;
    verdict_.cause = is_wrong ? Cause::kWrongCertificate : Cause::kNoHandshake;
    if (!with_words_) return true;
    verdict_.sentence = tell_handshake(facts);
    if (*media_.handshake_begins)
      add("the relay is to begin the DTLS handshake ({})", to_string(state));
    else
      add("{} is to begin the DTLS handshake ({})", name(), to_string(state));
    for (std::string& line : list_handshake(facts)) verdict_.evidence.push_back(std::move(line));
    return true;
  }

  /// Judges encryption: keys that are missing, and packets that do not authenticate.
  bool judge_keys() {
    if (!media_.is_encrypted) return false;
    if (!media_.is_keyed) {
      // Before the answer there is no key, and nothing to decrypt either.
      if (!call_.is_answered && recent(DropReason::kNoKey) == nullptr) return false;
      say(Cause::kNoKey, "the {} of {} is encrypted, and the relay has no key for it: nothing passes", what(),
          name());
      add("{} packets dropped for want of a key", seen_.drops[DropReason::kNoKey]);
      return true;
    }
    if (judge_handshake()) return true;
    if (!is_noticed(DropReason::kNotAuthentic)) return false;
    // The key is right, but the sender counts from another roll-over: the relay lost state.
    if (is_recent(seen_.roll_over.last)) {
      say(Cause::kRollOverMismatch,
          "packets of {} authenticate only at roll-over counter {}, and the relay expected {}", name(),
          seen_.roll_over.used, seen_.roll_over.expected);
      add("SSRC {:08x}", seen_.roll_over.ssrc.value);
    } else {
      say(Cause::kNotAuthentic, "packets of {} do not authenticate with the key that was signalled", name());
    }
    settle(DropReason::kNotAuthentic);
    settle_blocked();
    describe(DropReason::kNotAuthentic);
    return true;
  }

  /// Judges sources: media comes from an address that may not be learned.
  bool judge_sources() {
    if (seen_.active != nullptr && seen_.active->latch[0].contested) {
      say(Cause::kContested, "several sources send {} as {}, and none of them was signalled", what(), name());
      if (const Refusal* refusal = seen_.refusal(DropReason::kContested)) describe(*refusal);
      describe_address();
      return true;
    }
    if (is_heard()) return false;
    for (const DropReason reason : kIntruders) {
      // A source is confirmed within a second, and media before the answer may come from anybody.
      const bool is_early = reason == DropReason::kProbation || reason == DropReason::kEarlyMedia ||
                            reason == DropReason::kBarredSource;
      if (is_early && (!call_.is_answered || age(call_.last_signal) < kPatience)) continue;
      const Refusal* refusal = recent(reason);
      // One or two packets are somebody else's, or were on their way when signalling changed.
      if (refusal == nullptr || dropped(call_, media_, reason).packets() < kFailures) continue;
      const std::string whom =
          is_locked() ? fmt::format(", while {} is believed", learned().to_string()) : std::string();
      say(Cause::kSourceRefused, "{}'s {} comes from {} and is refused{}", name(), what(),
          refusal->from.to_string(), whom);
      if (is_locked())
        add("flag media-handover lets a stream go on from another address of its party");
      else
        add("received-from, or latch=uncontested for this call, would allow it");
      describe(*refusal);
      describe_address();
      return true;
    }
    return false;
  }

  /// True if somebody else sends to the port of a party that is heard.
  bool judge_intruders() {
    const Refusal* newest = nullptr;
    const auto consider = [&](const Refusal* refusal) {
      if (refusal != nullptr && (newest == nullptr || refusal->last > newest->last)) newest = refusal;
    };
    for (std::size_t i = 0; i < kIntruders.size(); ++i) {
      if (i < kAlwaysTold || percent_of(kIntruders[i]) >= kLossyPercent) consider(recent(kIntruders[i]));
    }
    // Packets like those of the party, but from another address.
    for (const DropCauseRow& row : kDropCauseRows) {
      if (row.owner != DropOwner::kOwn) continue;
      const double foreign = dropped(call_, media_, row.reason).foreign;
      if (dropped_percent(media_, row.reason, foreign) < kLossyPercent) continue;
      const Refusal* refusal = recent(row.reason);
      // Packets that were on their way when signalling changed come from the party's former address.
      if (refusal != nullptr && refusal->last <= call_.last_signal + 1s) continue;
      const bool is_other = refusal != nullptr && refusal->from.is_set() && learned().is_set() &&
                            refusal->from.address != learned().address;
      if (is_other) consider(refusal);
    }
    if (newest == nullptr) return false;
    say(Cause::kOtherSourceToo, "{} is heard; {} also sends to its port, and is refused", name(),
        newest->from.to_string());
    describe(*newest);
    return true;
  }

  /// Judges payload types: the party sends a codec that is not negotiated now.
  bool judge_payloads() {
    const Refusal* refusal = seen_.refusal(DropReason::kUnknownPayloadType);
    // Packets that were on their way when signalling changed are no fault.
    const bool is_late = refusal == nullptr || refusal->last > call_.last_signal + 1s;
    if (is_noticed(DropReason::kUnknownPayloadType) && is_late) {
      if (refusal == nullptr)
        say(Cause::kUnknownPayloadType, "{} sends payload types that were never negotiated", name());
      else if (media_.earlier.test(refusal->type.value & 127))
        say(Cause::kCodecMismatch, "{} still sends {}, which the last SDP took away", name(),
            codec_of(refusal->type.value));
      else
        say(Cause::kUnknownPayloadType, "{} sends {}, which was never negotiated", name(),
            codec_of(refusal->type.value));
      settle(DropReason::kUnknownPayloadType);
      describe(DropReason::kUnknownPayloadType);
      describe_codecs();
      return true;
    }
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr || !is_heard() || media_.shown.none()) return false;
    const std::uint8_t type = stream->counters.last_payload_type & 127;
    if (media_.shown.test(type) || !media_.earlier.test(type) ||
        stream->counters.last_packet < call_.last_signal + 1s)
      return false;
    say(Cause::kCodecMismatch, "{} still sends {}, which the last SDP took away", name(), codec_of(type));
    describe_codecs();
    return true;
  }

  /// Calls `visit` with each leg that is to hear this media, with its media, and with the flow between.
  template <class Visit>
  void for_each_flow(Visit visit) const {
    for (const MediaEvidence::Source& each : listeners_) {
      const LegEvidence& leg = call_.legs[each.leg];
      const MediaEvidence& receiver = leg.medias[each.media];
      for (const MediaEvidence::Source& flow : receiver.sources) {
        if (&call_.legs[flow.leg].medias[flow.media] == &media_) visit(leg, receiver, flow);
      }
    }
  }
  /// The same without the flows.
  template <class Visit>
  void for_each_listener(Visit visit) const {
    for (const MediaEvidence::Source& each : listeners_)
      visit(call_.legs[each.leg], call_.legs[each.leg].medias[each.media]);
  }

  /// Says what the relay makes of the audio, for each who hears it.
  void describe_treatments() {
    if (!with_words_) return;
    for_each_flow([&](const LegEvidence& leg, const MediaEvidence&, const MediaEvidence::Source& flow) {
      if (!flow.treatment.empty()) add("for {}: {}", leg.name, flow.treatment);
    });
  }

  /// True if the parties cannot understand each other because the proxy's script wanted codecs transcoded
  /// that the relay cannot convert.
  bool judge_transcoding() {
    if (!call_.is_answered || media_.shown.none()) return false;
    const MediaView::Stream* stream = seen_.newest_stream();
    bool found = false;
    for_each_flow([&](const LegEvidence& leg, const MediaEvidence& receiver,
                      const MediaEvidence::Source& flow) {
      if (found || receiver.shown.none() || flow.is_converted) return;
      const auto& wanted = media_.unmade_codecs.empty() ? receiver.unmade_codecs : media_.unmade_codecs;
      if (wanted.empty()) return;
      const bool has_none = (media_.shown & receiver.shown).none();
      const Refusal* refusal = seen_.refusal(DropReason::kUnknownPayloadType);
      const bool is_refused = refusal != nullptr && is_noticed(DropReason::kUnknownPayloadType);
      std::uint8_t type = stream == nullptr ? std::uint8_t{0} : stream->counters.last_payload_type;
      if (is_refused) type = refusal->type.value;
      type = static_cast<std::uint8_t>(type & 127);
      const bool is_foreign = is_refused || (stream != nullptr && is_heard() && !receiver.shown.test(type) &&
                                             type != kComfortNoiseType);
      if (!has_none && !is_foreign) return;
      found = true;
      std::string list;
      for (const std::string& each : wanted) list += (list.empty() ? "" : ", ") + each;
      if (is_foreign)
        say(Cause::kNotTranscoded,
            "{} sends {}, which {} does not have; the script asked to transcode what this relay cannot "
            "convert",
            name(), codec_of(type), leg.name);
      else
        say(Cause::kNotTranscoded,
            "{} and {} have no codec in common; the script asked to transcode what this relay cannot convert",
            name(), leg.name);
      add("asked for: {}", list);
    });
    if (found) describe_codecs();
    return found;
  }

  void describe_codecs() {
    if (!with_words_) return;
    std::string list;
    for (std::size_t i = 0; i < 128; ++i) {
      if (media_.shown.test(i)) list += (list.empty() ? "" : ", ") + codec_of(static_cast<std::uint8_t>(i));
    }
    add("negotiated: {}", list.empty() ? std::string("any") : list);
  }

  /// True if the party still sends to a port that a later SDP replaced.
  bool judge_ports() {
    const auto newest = std::ranges::max_element(seen_.former, {}, &MediaView::FormerPort::last_packet);
    if (newest == seen_.former.end() || !is_recent(newest->last_packet)) return false;
    // Late packets are no fault, and neither is a party that has been heard at the new port since.
    const Instant at_new = seen_.active == nullptr ? Instant{} : seen_.active->last_packet[0];
    if (newest->last_packet < call_.last_signal + 1s || at_new > newest->last_packet) return false;
    say(Cause::kOldPort, "{} still sends to port {}, which the last SDP replaced by {}", name(),
        newest->local.port.value, media_.advertised.port.value);
    add("{} packets at the old port, the last at {}", newest->packets, ago(newest->last_packet));
    if (is_heard()) {
      // The relay still listens on the old port and passes the packets on.
      verdict_.graded = Severity::kNote;
      verdict_.received = Reception::kAll;
    }
    return true;
  }

  /// True if everything that still comes from the party is refused.
  bool judge_refused_alone() {
    if (is_heard()) return false;
    const DropCauseRow* most = nullptr;
    double packets = 0;
    for (const DropCauseRow& row : kDropCauseRows) {
      const bool is_own = row.owner == DropOwner::kOwn;
      const bool is_of_party = is_own || row.arriving == Cause::kMalformed;
      if (!is_of_party || row.arriving == Cause::kFine || recent(row.reason) == nullptr) continue;
      // RTCP is refused for the same reasons, and says nothing of the party's speech.
      const Dropped of_reason = dropped(call_, media_, row.reason);
      const double refused = is_own ? of_reason.own : of_reason.packets();
      if (refused <= packets) continue;
      most = &row;
      packets = refused;
    }
    // Comfort noise says that the party pauses. It comes once or twice, and no speech is lost with it.
    if (packets < kFailures) return false;
    say(most->arriving, "{}: the relay refuses all its packets", tell_refused(most->reason));
    describe(most->reason);
    return true;
  }

  /// Returns what is wrong with packets that are refused for `reason`: the first half of a sentence.
  [[nodiscard]] std::string tell_refused(DropReason reason) const {
    if (!with_words_) return {};
    const Refusal* newest = seen_.refusal(reason);
    switch (row_of(reason).arriving) {
      case Cause::kSequenceJumps:
        return fmt::format("sequence numbers of {} step back or leap", name());
      case Cause::kSsrcsRefused:
        return fmt::format("{} uses more SSRCs than one stream may have", name());
      case Cause::kReplayed:
        return fmt::format("{} sends sequence numbers again under the same key", name());
      case Cause::kKeyWornOut:
        return fmt::format("the key of {} may protect no more packets of this SSRC", name());
      case Cause::kRateLimited:
        return fmt::format("{} sends more than its {} stream may carry", name(), what());
      case Cause::kUnknownPayloadType:
        return newest == nullptr ? fmt::format("{} sends payload types that were never negotiated", name())
                                 : fmt::format("{} sends {}, which was never negotiated", name(),
                                               codec_of(newest->type.value));
      case Cause::kNotAuthentic:
        return fmt::format("packets of {} do not authenticate with the key that was signalled", name());
      case Cause::kNoKey:
        return fmt::format("the relay has no key to decrypt packets of {}", name());
      case Cause::kOverloaded:
        return fmt::format("the relay has no buffer or memory left for packets of {}", name());
      case Cause::kStoodStill:
        return fmt::format("the relay stood still, and packets of {} became too old", name());
      case Cause::kTooLate:
        return fmt::format("packets of {} come too late to be repacketized", name());
      case Cause::kMalformed:
      default:
        return fmt::format("what {} sends is not the {} that was negotiated ({})", name(), what(),
                           to_string(reason));
    }
  }

  /// True if a part of what the party speaks does not reach the relay or is refused here, and this is at
  /// least as bad as `least`.
  bool judge_missing(Severity least) {
    const EarFigures& ear = spoken_.ear;
    if (ear.spoken < static_cast<double>(kEnough)) return false;
    const Severity severity = grade(ear);
    if (severity == Severity::kFine || severity < least) return false;
    const double percent = ear.missing_percent();
    if (percent >= kLossyPercent && spoken_.of_reason * 2 >= ear.missing) {
      say(row_of(spoken_.reason).arriving, "{}: {} is missing", tell_refused(spoken_.reason), share(percent));
      describe(spoken_.reason);
    } else if (spoken_.halted != Instant{} && spoken_.still * 2 >= ear.missing) {
      say(Cause::kInterrupted, "{} of {} stands still since {}, and did not say that it pauses", what(),
          name(), ago(spoken_.halted));
    } else if (severity == Severity::kFault) {
      say(Cause::kBrokenUp, "{} is hard to follow: {} is missing on its way to the relay", name(),
          share(percent));
    } else if (ear.hole >= kHole) {
      say(Cause::kInterrupted, "{} of {} had holes, the longest of {:.0f} ms: {} is missing", what(), name(),
          static_cast<double>(ear.hole.count()) / 1e6, share(percent));
    } else if (percent >= kLossyPercent) {
      say(Cause::kLossy, "{} of {} loses packets on the way to the relay: {} is missing", what(), name(),
          share(percent));
    } else if (ear.jitter > kLossyJitter) {
      say(Cause::kLossy, "{} of {} arrives unevenly, with jitter of {:.0f} ms", what(), name(),
          static_cast<double>(ear.jitter.count()) / 1e6);
    } else {
      say(Cause::kLossy, "{:.1f} % of what {} sent in this call was lost; now everything arrives",
          ear.missing_of_call, name());
    }
    settle(severity);
    return true;
  }

  /// True if the sender's sequence numbers step back, so that encryption toward a receiver cannot use them
  /// again.
  bool judge_repeated_numbers() {
    bool found = false;
    for_each_listener([&](const LegEvidence& leg, const MediaEvidence& receiver) {
      const bool is_alone = receiver.sources.size() == 1;
      if (found || spoken_.taken < static_cast<double>(kEnough) || (!is_alone && spoken_.resets == 0)) return;
      const double percent = std::min(100.0, 100.0 * numbers_repeated(receiver) / spoken_.taken);
      if (percent < kLossyPercent) return;
      found = true;
      say(Cause::kSequenceJumps,
          "sequence numbers of {} step back, and encryption toward {} cannot use them twice: {} is dropped",
          name(), leg.name, share(percent));
      settle(severity_of(percent));
    });
    return found;
  }

  /// True if somebody wants packets of the party to go nowhere.
  bool judge_wanted() {
    double listeners = 0;
    for_each_listener([&](const LegEvidence&, const MediaEvidence&) { ++listeners; });
    for (const DropCauseRow& row : kDropCauseRows) {
      if (row.owner != DropOwner::kWanted || row.arriving == Cause::kFine) continue;
      // Each listener that must not hear a packet causes one drop. So nobody hears the packet only if there
      // is one drop for each listener.
      const double packets =
          dropped(call_, media_, row.reason).packets() - spoken_.taken * std::max(0.0, listeners - 1);
      if (spoken_.taken <= 0 || packets < spoken_.taken * kLossyPercent / 100) continue;
      const double percent = std::min(100.0, 100.0 * packets / spoken_.taken);
      switch (row.arriving) {
        case Cause::kHold:
          say(Cause::kHold, "{} sends, but signalling lets nobody hear it (hold): {}", name(),
              share(percent));
          break;
        case Cause::kBlocked:
          say(Cause::kBlocked, "a command blocks a part of what {} sends: {}", name(), share(percent));
          break;
        case Cause::kPromptPlays:
          say(Cause::kPromptPlays, "a prompt is played instead of what {} sends: {}", name(), share(percent));
          break;
        case Cause::kOtherSpeaks:
          say(Cause::kOtherSpeaks, "another party speaks instead of {}: {}", name(), share(percent));
          break;
        default:
          say(row.arriving, "nobody is to receive what {} sends: {}", name(), share(percent));
          break;
      }
      if (percent < 100 - kBrokenUpPercent) verdict_.received = Reception::kSome;
      describe(row.reason);
      return true;
    }
    return false;
  }

  /// True if packets arrive twice. Single copies are usual and are not told.
  bool judge_duplicates() {
    if (spoken_.duplicates * 100 < kLossyPercent * spoken_.taken || spoken_.duplicates < 5) return false;
    say(Cause::kDuplicated, "packets of {} arrive twice: {:.0f} of {:.0f} in the last {:.0f} s", name(),
        spoken_.duplicates, spoken_.taken + spoken_.duplicates,
        std::chrono::duration<double>(spoken_.ear.span).count());
    return true;
  }

  /// Judges a party from which no media ever came.
  bool judge_absence() {
    if (was_heard()) return false;
    const bool is_late = age(call_.last_signal) >= kPatience && call_.is_answered;
    if (media_.is_unidirectional) {
      say(Cause::kWaiting, "{} is not expected to send", name());
      return true;
    }
    if (const Refusal* probation = recent(DropReason::kProbation); probation != nullptr && !is_late) {
      say(Cause::kWaiting, "the relay is still confirming the source of {}'s {}", name(), what());
      describe(*probation);
      return true;
    }
    if (!is_late) {
      say(Cause::kWaiting, "nothing has come from {} yet", name());
      return true;
    }
    if (last_rtcp() != Instant{}) {
      say(Cause::kOnlyRtcp, "RTCP of {} arrives, {} never did", name(), what());
      add("{} RTCP packets, the last at {}", seen_.counters[media_.is_muxed ? 0 : 1].packets_in,
          ago(last_rtcp()));
    } else if (media_.is_void) {
      say(Cause::kVoidAddress,
          "the SDP of {} has the address {}, which cannot be reached from here, and "
          "nothing has arrived that would tell another",
          name(), media_.signalled.address.to_string());
    } else {
      say(Cause::kNeverSent, "{} has never sent anything", name());
    }
    describe_address();
    return true;
  }

  /// Judges a party whose media came and stopped: it may pause, be on hold, wait for the answer, or be gone.
  bool judge_stop() {
    if (!was_heard() || is_heard()) return false;
    const MediaView::Stream* stream = seen_.newest_stream();
    const bool said_goodbye = stream != nullptr && stream->counters.idle_by_bye;
    const bool is_alive = last_rtcp() != Instant{} && age(last_rtcp()) < kAlive;
    const bool is_pausing =
        stream != nullptr &&
        (says_pause(stream->counters) || says_pause_in_refused(seen_, stream->counters.last_packet)) &&
        (is_alive || age(last_media()) < kComfortPause);
    if (said_goodbye || is_pausing) {
      say(Cause::kSilenceSuppressed, "{} {} at {}", name(),
          said_goodbye ? "ended its stream (RTCP BYE)" : "is silent, as its last packet said",
          ago(last_media()));
      return true;
    }
    if (media_.type == "text" || media_.type == "message" || media_.type == "application") {
      say(Cause::kSilenceSuppressed, "{} sends no {} now; the last came at {}", name(), what(),
          ago(last_media()));
      return true;
    }
    if (!media_.may_receive && last_media() < call_.last_signal + 2s) {
      say(Cause::kHold, "{} put the call on hold, and has sent nothing since then", name());
      return true;
    }
    if (!call_.is_answered) {
      say(Cause::kWaiting, "{} sent early {}, and nothing since {}; the call is not answered yet", name(),
          what(), ago(last_media()));
      return true;
    }
    if (age(call_.last_signal) < kPatience) {
      say(Cause::kWaiting, "nothing has come from {} since the last message of signalling", name());
      return true;
    }
    say(Cause::kStopped, "{} of {} stopped at {}", what(), name(), ago(last_media()));
    add("{} packets came before", seen_.counters[0].packets_in);
    if (last_rtcp() != Instant{} && age(last_rtcp()) < kAlive) add("its RTCP goes on");
    return true;
  }

  /// Judges sound: packets that come and have no sound in them. Only some packets of G.711 are listened to.
  bool judge_sound() {
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr) return false;
    const SsrcCounters& c = stream->counters;
    if (c.g711_packets == 0 || c.silent_packets == 0) return false;
    const Instant since = std::max(c.first_packet, c.last_audible);
    const Duration quiet = c.last_packet - since;
    if (c.last_audible == Instant{} && c.g711_packets >= kSoundless && quiet >= kSoundlessTime) {
      say(Cause::kSilence, "{} sends packets, and there has never been sound in them", name());
    } else if (quiet >= kMute && c.last_audible != Instant{}) {
      say(Cause::kSilenceSuppressed, "{} sends packets without sound since {}", name(), ago(since));
    } else {
      return false;
    }
    add("{} of {} packets that were listened to are silent", c.silent_packets, c.g711_packets);
    return true;
  }

  /// Asks the questions, each of which writes the verdict if it finds something. Questions about a party that
  /// is not heard come first; from judge_missing on the party is heard.
  void judge_from() {
    if (judge_signalling()) return;
    if (!media_.is_served) {
      say(Cause::kPortNotServed, "the relay could not listen on its port {} for {}", media_.local.port.value,
          name());
      return;
    }
    if (judge_hold()) return;
    if (judge_ice() || judge_keys() || judge_ports()) return;
    if (judge_transcoding()) return;
    if (judge_payloads() || judge_sources() || judge_refused_alone()) {
      settle_blocked();
      return;
    }
    if (judge_absence() || judge_stop()) return;
    if (!media_.is_blocked && judge_missing(Severity::kFault)) return;
    if (judge_sound()) return;
    if (media_.is_blocked) {
      say(Cause::kBlocked, "a command or flag blocks or silences what {} sends", name());
      return;
    }
    if (judge_pause_of_relay() || judge_repeated_numbers() || judge_missing(Severity::kNote)) return;
    if (judge_wanted() || judge_intruders() || judge_other_types() || judge_duplicates()) return;
    judge_running();
  }

  /// True if the relay itself stood still a short while ago and dropped what had become too old.
  bool judge_pause_of_relay() {
    const Refusal* stale = seen_.refusal(DropReason::kStaleAfterPause);
    if (stale == nullptr || age(stale->last) >= kPauseTold) return false;
    say(Cause::kStoodStill, "the relay stood still until {}, and dropped what {} had sent meanwhile",
        ago(stale->last), name());
    describe(*stale);
    return true;
  }

  /// True if packets of a type that was not negotiated are passed on (DMX-4).
  bool judge_other_types() {
    if (seen_.other.times == 0 || !is_recent(seen_.other.last)) return false;
    say(Cause::kOtherTypePasses, "{} also sends {}, which was never negotiated and is passed on", name(),
        codec_of(seen_.other.type.value));
    if (with_words_) add("{} packets, the last at {}", seen_.other.times, ago(seen_.other.last));
    describe_codecs();
    return true;
  }

  /// Nothing else was found: the party sends, unless its sequence numbers began anew several times.
  void judge_running() {
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr || !media_.is_rtp) {
      say(Cause::kFine, "{} sends {}", name(), what());
    } else if (spoken_.resets >= kFailures) {
      say(Cause::kSequenceJumps, "{} began its sequence numbers anew {} times in the last seconds", name(),
          spoken_.resets);
      settle(Severity::kNote);
    } else if (with_words_) {
      say(Cause::kFine, "{} sends {} from {}", name(), codec_of(stream->counters.last_payload_type & 127),
          learned().to_string());
    }
  }

  /// True if signalling says that the party sends nothing, or that nobody wants to hear it.
  bool judge_hold() {
    if (media_.only_listens) {
      say(Cause::kFine, "{} only listens", name());
      return true;
    }
    if (!media_.may_send) {
      say(Cause::kHold, "{} said that it sends nothing (hold)", name());
      return true;
    }
    // The party is on hold if none of its listeners wants to receive.
    bool is_heard_by_one = false;
    std::string holder;
    for_each_listener([&](const LegEvidence& other, const MediaEvidence& receiver) {
      is_heard_by_one = is_heard_by_one || receiver.may_receive;
      holder = other.name;
    });
    if (holder.empty() || is_heard_by_one) return false;
    say(Cause::kHold, "{} put {} on hold: what {} sends is not passed on", holder, name(), name());
    return true;
  }

  void note_quality() {
    if (!with_words_) return;
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr || stream->counters.packets == 0) return;
    const SsrcCounters& c = stream->counters;
    add("whole call: {} packets, {} lost ({:.1f} %) in {} bursts, jitter {:.1f} ms, longest gap {:.0f} ms, "
        "MOS {:.1f}",
        c.packets, c.lost(), c.loss_percent(), c.loss_bursts, static_cast<double>(c.jitter().count()) / 1e6,
        static_cast<double>(c.longest_gap().count()) / 1e6, mos_of(c));
    const RecentStream& recent = stream->recent;
    if (recent.span == Duration{0}) return;
    const double span = std::chrono::duration<double>(recent.span).count();
    const double rate = packet_rate(*stream, call_.now);
    if (recent.counts.packets == 0)
      add("last {:.0f} s: the relay took no packets", span);
    else
      add("last {:.0f} s: {} packets, {} lost ({:.1f} %) in {} bursts, jitter {:.1f} ms, "
          "longest hole {:.0f} ms, MOS {}",
          span, recent.counts.packets, recent.lost(), recent.loss_percent(), recent.counts.loss_bursts,
          static_cast<double>(recent.jitter.count()) / 1e6,
          rate > 0 ? 1000.0 * recent.longest_burst / rate : 0.0,
          spoken_.ear.mos ? fmt::format("{:.1f}", *spoken_.ear.mos) : std::string("not known"));
    if (seen_.ingress.size() > 1) add("{} SSRCs, the newest {:08x}", seen_.ingress.size(), c.ssrc.value);
  }

  const Spoken& spoken_;
  const std::vector<MediaEvidence::Source>& listeners_;
};

}  // namespace

MediaVerdict judge_sender(const JudgedMedia& judged) { return SenderJudge(judged).verdict(); }

}  // namespace ferry
