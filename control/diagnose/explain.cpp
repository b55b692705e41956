#include "control/diagnose/explain.hpp"

#include "control/diagnose/glance.hpp"
#include "control/diagnose/handshake_words.hpp"
#include "relay/base/static_types.hpp"

#include <algorithm>
#include <chrono>
#include <optional>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kPatience = 5s;       // after signalling, until nothing at all is a fault
constexpr Duration kRecent = 5s;         // what is older is over
constexpr Duration kHandshakeTime = 5s;  // of DTLS, after signalling
constexpr Duration kStopped = 5s;        // without RTP
constexpr Duration kComfortPause = 60s;  // the same after comfort noise
constexpr Duration kMute = 20s;          // without sound, in a stream that had some
constexpr std::uint64_t kSoundless = 5;  // packets listened to, before "there has never been sound"
constexpr Duration kSoundlessTime = 5s;
constexpr std::uint64_t kNoise = 20;  // one refused packet in so many is no fault
constexpr Duration kPauseTold = 60s;  // from its end: an operator asks some time later
constexpr double kLossyPercent = 5.0;
constexpr Duration kLossyJitter = 50ms;
constexpr std::uint64_t kEnough = 50;  // packets, to speak of quality
constexpr std::uint8_t kComfortNoise = 13;
constexpr unsigned kFailures = 3;  // a single ICMP message is what a phone that hangs up causes

constexpr std::string_view kShortIceCredentials =
    "its a=ice-ufrag or a=ice-pwd is shorter than RFC 8839 allows (4 and 22 characters); they are used";

std::string codec_of(std::uint8_t type) {
  const StaticType* known = static_type(type);
  return known == nullptr ? fmt::format("payload type {}", type)
                          : fmt::format("payload type {} ({})", type, known->name);
}

std::string times(std::uint64_t count) { return count == 1 ? "once" : fmt::format("{} times", count); }

/// One media while its verdicts are made.
class Judge {
 public:
  Judge(const CallEvidence& call, const LegEvidence& leg, const MediaEvidence& media, bool with_words)
      : call_(call), leg_(leg), media_(media), seen_(media.seen), with_words_(with_words) {}

  MediaVerdict from() {
    begin(MediaDirection::kFrom);
    judge_from();
    note_quality();
    if (media_.has_short_ice_credentials) add("{}", kShortIceCredentials);
    return std::move(verdict_);
  }
  MediaVerdict to() {
    begin(MediaDirection::kTo);
    judge_to();
    return std::move(verdict_);
  }

 private:
  void begin(MediaDirection direction) {
    verdict_ = {};
    verdict_.leg = leg_.name;
    verdict_.media = media_.index;
    verdict_.type = media_.type;
    verdict_.direction = direction;
  }
  template <class... Arguments>
  void say(Cause cause, fmt::format_string<const Arguments&...> sentence, const Arguments&... arguments) {
    verdict_.cause = cause;
    if (with_words_) verdict_.sentence = fmt::format(sentence, arguments...);
  }
  template <class... Arguments>
  void add(fmt::format_string<const Arguments&...> line, const Arguments&... arguments) {
    if (with_words_) verdict_.evidence.push_back(fmt::format(line, arguments...));
  }

  [[nodiscard]] Duration age(Instant then) const { return call_.now - then; }
  [[nodiscard]] bool is_recent(Instant then) const { return then != Instant{} && age(then) < kRecent; }
  [[nodiscard]] std::string ago(Instant then) const {
    if (!with_words_) return {};
    const auto wall = call_.wall - age(then);
    return fmt::format("{:%H:%M:%S} UTC ({:.0f} s ago)",
                       std::chrono::time_point_cast<std::chrono::seconds>(wall),
                       std::chrono::duration<double>(age(then)).count());
  }
  /// The newest packet of media, and of RTCP, wherever it came to.
  [[nodiscard]] Instant last_media() const { return last_media_of(media_); }
  [[nodiscard]] static Instant last_media_of(const MediaEvidence& media) {
    const MediaView::Stream* stream = media.seen.newest_stream();
    if (stream != nullptr) return stream->counters.last_packet;
    return media.is_rtp && media.is_muxed ? Instant{} : media.seen.last_packet[0];
  }
  [[nodiscard]] Instant last_rtcp() const {
    const Instant muxed =
        media_.is_muxed && seen_.last_packet[0] > last_media() ? seen_.last_packet[0] : Instant{};
    return std::max(seen_.last_packet[1], muxed);
  }
  [[nodiscard]] bool was_heard() const { return last_media() != Instant{}; }
  [[nodiscard]] bool is_heard() const { return was_heard() && age(last_media()) < kStopped; }
  [[nodiscard]] bool is_locked() const {
    return seen_.active != nullptr && seen_.active->latch[0].state == Latch::State::kLocked;
  }
  [[nodiscard]] const Refusal* recent(DropReason reason) const {
    const Refusal* found = seen_.refusal(reason);
    return found != nullptr && is_recent(found->last) ? found : nullptr;
  }
  /// Refused packets of this kind are more than a few beside what was taken.
  [[nodiscard]] bool matters(const Refusal& refusal) const {
    return !is_heard() || refusal.times * kNoise > seen_.counters[0].packets_in;
  }
  [[nodiscard]] const std::string& name() const { return leg_.name; }
  [[nodiscard]] std::string_view what() const {
    return media_.type.empty() ? std::string_view("media") : std::string_view(media_.type);
  }

  void describe_address() {
    if (!with_words_) return;
    if (media_.signalled.is_set())
      add("its SDP says {}{}", media_.signalled.to_string(),
          media_.is_void ? ", which is of no use from here" : "");
    for (const std::string& each : media_.left_out) add("left out: {}", each);
    if (media_.signalling_source.family() != AddressFamily::kNone)
      add("its signalling came from {}", media_.signalling_source.to_string());
    if (media_.advertised.is_set()) add("it was told to send to {}", media_.advertised.to_string());
    // With ICE nobody is learned: the selected pair is the only source (LAT-10).
    if (!media_.has_ice) add("sources that may be learned: {}", to_string(media_.policy));
  }

  /// True if a verdict was found.
  bool judge_signalling() {
    if (!media_.unrelayed.empty()) {
      say(Cause::kNotRelayed, "this {} of {} is not relayed: {}", what(), name(), media_.unrelayed);
      return true;
    }
    if (media_.is_rejected) {
      say(Cause::kDeclined, "{} declined this {}", name(), what());
      return true;
    }
    if (!media_.signalled.is_set() && call_.refused && call_.refused->is_answer) {
      const bool by_family = call_.refused->wrong_family;
      if (by_family)
        say(Cause::kWrongFamily,
            "the answer of {} was refused: its address is of an IP version that its side of the relay has "
            "not",
            name());
      else
        say(Cause::kAnswerRefused, "the answer of {} was refused: {}", name(), call_.refused->reason);
      add("at {}, with '{}'", ago(call_.refused->at), call_.refused->reason);
      return true;
    }
    if (!media_.signalled.is_set()) {
      say(Cause::kWaiting, "{} has not answered with an address yet", name());
      return true;
    }
    return false;
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

  void describe(const Refusal& refusal) {
    if (!with_words_) return;
    add("{}: {}{}, last at {}", to_string(refusal.reason), times(refusal.times),
        refusal.from.is_set() ? " from " + refusal.from.to_string() : "", ago(refusal.last));
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

  [[nodiscard]] Endpoint learned() const {
    return seen_.active == nullptr ? Endpoint{} : seen_.active->latch[0].peer;
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
      add("{}: {}, last at {}", to_string(failure.error), times(failure.times), ago(failure.last));
      return true;
    }
    return false;
  }

  static const SendErrorRow& row(const SendFailure& failure) {
    return kSendErrorRows[static_cast<std::size_t>(failure.error)];
  }

  void note_quality() {
    if (!with_words_) return;
    const MediaView::Stream* stream = seen_.newest_stream();
    if (stream == nullptr || stream->counters.packets == 0) return;
    const SsrcCounters& c = stream->counters;
    add("{} packets, {} lost ({:.1f} %) in {} bursts, jitter {:.1f} ms, MOS {:.1f}", c.packets, c.lost(),
        c.loss_percent(), c.loss_bursts, static_cast<double>(c.jitter().count()) / 1e6, mos_of(c));
  }

  const CallEvidence& call_;
  const LegEvidence& leg_;
  const MediaEvidence& media_;
  const MediaView& seen_;
  bool with_words_;
  MediaVerdict verdict_;
};

}  // namespace

double mos_of(const SsrcCounters& stream) {
  QualityFigures figures;
  figures.jitter = stream.jitter();
  figures.loss_percent = stream.loss_percent();
  figures.burst_ratio = stream.burst_ratio();
  // ITU-T G.113 appendix I: G.729A and G.723.1; all others are taken for G.711.
  if (stream.last_payload_type == 18) {
    figures.equipment_impairment = 11;
    figures.loss_robustness = 19;
  } else if (stream.last_payload_type == 4) {
    figures.equipment_impairment = 15;
    figures.loss_robustness = 16.1;
  }
  return estimate_mos(figures);
}

const MediaVerdict* Explanation::main() const noexcept {
  const auto found = std::ranges::max_element(verdicts, {}, &MediaVerdict::severity);
  return found == verdicts.end() ? nullptr : &*found;
}

Severity Explanation::worst() const noexcept {
  const MediaVerdict* found = main();
  return found == nullptr ? Severity::kFine : found->severity();
}

namespace {

Explanation judge_all(const CallEvidence& call, bool with_words) {
  Explanation explanation;
  explanation.call_id = call.call_id;
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) {
      Judge judge(call, leg, media, with_words);
      explanation.verdicts.push_back(judge.from());
      explanation.verdicts.push_back(judge.to());
    }
  }
  return explanation;
}

}  // namespace

Explanation explain(const CallEvidence& call) { return judge_all(call, true); }
Explanation glance(const CallEvidence& call) { return judge_all(call, false); }

}  // namespace ferry
