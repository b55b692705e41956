#include "control/diagnose/handshake_words.hpp"
#include "control/diagnose/judge.hpp"
#include "relay/base/static_types.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr std::string_view kShortIceCredentials =
    "its a=ice-ufrag or a=ice-pwd is shorter than RFC 8839 allows (4 and 22 characters); they are used";

std::string codec_of(std::uint8_t type) {
  const StaticType* known = static_type(type);
  return known == nullptr ? fmt::format("payload type {}", type)
                          : fmt::format("payload type {} ({})", type, known->name);
}

/// Judges what comes from a party.
class SenderJudge : Judge {
 public:
  explicit SenderJudge(const JudgedMedia& judged) : Judge(judged) {}

  MediaVerdict verdict() {
    begin(MediaDirection::kFrom);
    judge_from();
    note_quality();
    if (media_.has_short_ice_credentials) add("{}", kShortIceCredentials);
    return std::move(verdict_);
  }

 private:
  /// Refused packets of this kind are more than a few beside what was taken.
  [[nodiscard]] bool matters(const Refusal& refusal) const {
    return !is_heard() || refusal.times * kNoise > seen_.counters[0].packets_in;
  }

  bool judge_ice() {
    if (!media_.has_ice || !call_.is_answered || call_.now - call_.last_signal < kHandshakeTime) return false;
    const auto state =
        seen_.active != nullptr && seen_.active->ice ? seen_.active->ice->state : IceAgent::State::kWaiting;
    if (state == IceAgent::State::kConnected) return false;
    say(Cause::kNoPair, "ICE has no pair of addresses with {} ({})", name(), to_string(state));
    return true;
  }

  bool judge_handshake() {
    if (!media_.handshake_begins || !call_.is_answered) return false;
    const auto state = seen_.active != nullptr && seen_.active->dtls ? seen_.active->dtls->front().state
                                                                     : DtlsChannel::State::kWaiting;
    if (state == DtlsChannel::State::kReady || call_.now - call_.last_signal < kHandshakeTime) return false;
    const Endpoint destination = seen_.active != nullptr ? seen_.active->destination[0] : Endpoint{};
    const HandshakeFacts facts{name(), destination, *media_.handshake_begins, seen_,
                               [this](Instant then) { return ago(then); }};
    const bool is_wrong = state == DtlsChannel::State::kMismatch || has_wrong_certificate(facts);
    verdict_.cause = is_wrong ? Cause::kWrongCertificate : Cause::kNoHandshake;
    if (!with_words_) return true;
    verdict_.sentence = tell_handshake(facts);
    if (*media_.handshake_begins)
      add("this relay begins ({})", to_string(state));
    else
      add("{} is to begin ({})", name(), to_string(state));
    for (std::string& line : list_handshake(facts)) verdict_.evidence.push_back(std::move(line));
    return true;
  }

  bool judge_keys() {
    if (!media_.is_encrypted) return false;
    if (!media_.is_keyed) {
      // Before the answer there is none, and nothing to encrypt either.
      if (!call_.is_answered && recent(DropReason::kNoKey) == nullptr) return false;
      say(Cause::kNoKey, "the {} of {} is encrypted, and there is no key for it: nothing passes", what(),
          name());
      add("{} packets dropped for want of a key", seen_.drops[DropReason::kNoKey]);
      return true;
    }
    if (judge_handshake()) return true;
    const Refusal* refusal = recent(DropReason::kNotAuthentic);
    if (refusal == nullptr || !matters(*refusal)) return false;
    if (is_recent(seen_.roll_over.last)) {
      say(Cause::kRollOverMismatch,
          "what {} sends authenticates only at roll-over counter {}, and {} was expected", name(),
          seen_.roll_over.used, seen_.roll_over.expected);
      add("SSRC {:08x}", seen_.roll_over.ssrc.value);
    } else {
      say(Cause::kNotAuthentic, "what {} sends does not authenticate with the key that was signalled",
          name());
    }
    describe(*refusal);
    return true;
  }

  bool judge_sources() {
    if (seen_.active != nullptr && seen_.active->latch[0].contested) {
      say(Cause::kContested, "several sources send {} as {}, and none of them was signalled", what(), name());
      if (const Refusal* refusal = seen_.refusal(DropReason::kContested)) describe(*refusal);
      describe_address();
      return true;
    }
    for (const auto reason :
         {DropReason::kSourceNotAllowed, DropReason::kForeignSource, DropReason::kForbiddenSource}) {
      const Refusal* refusal = recent(reason);
      if (refusal == nullptr) continue;
      if (is_heard()) {
        say(Cause::kOtherSourceToo, "{} is heard; {} sends to its port as well and is refused", name(),
            refusal->from.to_string());
        describe(*refusal);
        return true;
      }
      const std::string whom =
          is_locked() ? fmt::format(", while {} is believed", learned().to_string()) : std::string();
      say(Cause::kSourceRefused, "{} for {} comes from {} and is refused{}", what(), name(),
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

  bool judge_payloads() {
    const Refusal* refusal = recent(DropReason::kUnknownPayloadType);
    // Packets that were on their way when signalling changed are no fault.
    if (refusal != nullptr && matters(*refusal) && refusal->last > call_.last_signal + 1s) {
      const std::uint8_t type = refusal->type.value;
      if (media_.earlier.test(type))
        say(Cause::kCodecMismatch, "{} still sends {}, which the last SDP took away", name(), codec_of(type));
      else
        say(Cause::kUnknownPayloadType, "{} sends {}, which was never negotiated", name(), codec_of(type));
      describe(*refusal);
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

  void describe_codecs() {
    if (!with_words_) return;
    std::string list;
    for (std::size_t i = 0; i < 128; ++i) {
      if (media_.shown.test(i)) list += (list.empty() ? "" : ", ") + codec_of(static_cast<std::uint8_t>(i));
    }
    add("negotiated: {}", list.empty() ? std::string("any") : list);
  }

  bool judge_ports() {
    const auto newest = std::ranges::max_element(seen_.former, {}, &MediaView::FormerPort::last_packet);
    if (newest == seen_.former.end() || !is_recent(newest->last_packet)) return false;
    // Late packets are no fault, and neither is one who is heard at the new port since.
    const Instant at_new = seen_.active == nullptr ? Instant{} : seen_.active->last_packet[0];
    if (newest->last_packet < call_.last_signal + 1s || at_new > newest->last_packet) return false;
    say(Cause::kOldPort, "{} still sends to port {}, which the last SDP replaced by {}", name(),
        newest->local.port.value, media_.advertised.port.value);
    add("{} packets at the old port, the last at {}", newest->packets, ago(newest->last_packet));
    return true;
  }

  bool judge_absence() {
    if (was_heard()) return false;
    const bool is_late = age(call_.last_signal) >= kPatience && call_.is_answered;
    if (media_.is_unidirectional) {
      say(Cause::kWaiting, "{} is not expected to send", name());
      return true;
    }
    if (const Refusal* probation = recent(DropReason::kProbation)) {
      say(Cause::kWaiting, "the source of {}'s {} is being confirmed", name(), what());
      describe(*probation);
      return true;
    }
    if (!is_late) {
      say(Cause::kWaiting, "nothing from {} yet", name());
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

  bool judge_stop() {
    if (!was_heard() || is_heard()) return false;
    const MediaView::Stream* stream = seen_.newest_stream();
    const std::uint8_t type = stream == nullptr ? 0 : stream->counters.last_payload_type & 127;
    const bool said_goodbye = stream != nullptr && stream->counters.idle_by_bye;
    const bool is_pausing = type == kComfortNoise && age(last_media()) < kComfortPause;
    if (said_goodbye || is_pausing) {
      say(Cause::kSilenceSuppressed, "{} {} at {}", name(),
          said_goodbye ? "ended its stream (RTCP BYE)" : "is silent, as its comfort noise said",
          ago(last_media()));
      return true;
    }
    if (age(call_.last_signal) < kPatience) {
      say(Cause::kWaiting, "nothing from {} since the last message of signalling", name());
      return true;
    }
    say(Cause::kStopped, "{} of {} stopped at {}", what(), name(), ago(last_media()));
    add("{} packets before", seen_.counters[0].packets_in);
    if (is_recent(last_rtcp())) add("its RTCP goes on");
    return true;
  }

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

  void judge_from() {
    if (judge_signalling()) return;
    if (!media_.is_served) {
      say(Cause::kPortNotServed, "the relay does not hear its own port {} for {}", media_.local.port.value,
          name());
      return;
    }
    if (judge_hold()) return;
    if (judge_ice() || judge_keys() || judge_ports() || judge_payloads() || judge_sources()) return;
    if (const Refusal* refusal = recent(DropReason::kRateLimited); refusal != nullptr && matters(*refusal)) {
      say(Cause::kRateLimited, "{} sends more than its {} stream may carry", name(), what());
      describe(*refusal);
      return;
    }
    for (const auto reason :
         {DropReason::kMalformedRtp, DropReason::kStunUnexpected, DropReason::kDtlsUnexpected,
          DropReason::kUnknownProtocol, DropReason::kUdptlUnexpected, DropReason::kMalformedUdptl,
          DropReason::kMalformedBfcp, DropReason::kTooLong}) {
      const Refusal* refusal = recent(reason);
      if (refusal == nullptr || is_heard()) continue;
      say(Cause::kMalformed, "what {} sends is no {} of this call: {}", name(), what(), to_string(reason));
      describe(*refusal);
      return;
    }
    if (judge_absence() || judge_stop() || judge_sound()) return;
    if (media_.is_blocked) {
      say(Cause::kBlocked, "what {} sends is blocked or silenced by a command", name());
      return;
    }
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr) {
      say(Cause::kFine, "{} sends {}", name(), what());
      return;
    }
    const Refusal* stale = seen_.refusal(DropReason::kStaleAfterPause);
    if (stale != nullptr && age(stale->last) < kPauseTold) {
      say(Cause::kStoodStill, "the relay stood still until {}, and dropped what {} had sent meanwhile",
          ago(stale->last), name());
      describe(*stale);
      return;
    }
    const SsrcCounters& c = stream->counters;
    const bool is_lossy =
        c.packets >= kEnough && (c.loss_percent() > kLossyPercent || c.jitter() > kLossyJitter);
    if (!is_lossy && seen_.other.times != 0 && is_recent(seen_.other.last)) {
      say(Cause::kOtherTypePasses, "{} also sends {}, which was never negotiated and is passed on", name(),
          codec_of(seen_.other.type.value));
      if (with_words_) add("{} packets, the last at {}", seen_.other.times, ago(seen_.other.last));
      describe_codecs();
      return;
    }
    if (is_lossy)
      say(Cause::kLossy, "{} sends {} from {}, with loss or jitter", name(), codec_of(c.last_payload_type),
          learned().to_string());
    else
      say(Cause::kFine, "{} sends {} from {}", name(), codec_of(c.last_payload_type), learned().to_string());
  }

  bool judge_hold() {
    if (media_.only_listens) {
      say(Cause::kFine, "{} only listens", name());
      return true;
    }
    if (!media_.may_send) {
      say(Cause::kHold, "{} said that it sends nothing (hold)", name());
      return true;
    }
    // Somebody put this party on hold if nobody who would hear it wants to.
    bool any = false;
    std::string holder;
    for (const LegEvidence& other : call_.legs) {
      for (const MediaEvidence& receiver : other.medias) {
        const bool hears = std::ranges::any_of(receiver.sources, [&](const MediaEvidence::Source& s) {
          return &call_.legs[s.leg].medias[s.media] == &media_;
        });
        if (!hears || receiver.is_rejected) continue;
        any = true;
        if (receiver.may_receive) return false;
        holder = other.name;
      }
    }
    if (!any) return false;
    say(Cause::kHold, "{} put {} on hold: what {} sends is not passed on", holder, name(), name());
    return true;
  }

  void note_quality() {
    if (!with_words_) return;
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr || stream->counters.packets == 0) return;
    const SsrcCounters& c = stream->counters;
    add("{} packets, {} lost ({:.1f} %) in {} bursts, jitter {:.1f} ms, MOS {:.1f}", c.packets, c.lost(),
        c.loss_percent(), c.loss_bursts, static_cast<double>(c.jitter().count()) / 1e6, mos_of(c));
  }
};

}  // namespace

MediaVerdict judge_sender(const JudgedMedia& judged) { return SenderJudge(judged).verdict(); }

}  // namespace ferry
