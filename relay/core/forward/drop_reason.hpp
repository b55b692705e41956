// SPDX-License-Identifier: Apache-2.0
// Reasons why a packet was not delivered. Every drop is counted under exactly one of these names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

/// One reason; `kDropReasonRows` explains each. `kNone` means "not dropped". Append new ones together with
/// their row.
enum class DropReason : std::uint8_t {
  kNone,
  kUnknownProtocol,
  kStunUnexpected,
  kStunRefused,
  kDtlsUnexpected,
  kUdptlUnexpected,
  kMalformedRtp,
  kMalformedRtcp,
  kMalformedUdptl,
  kMalformedDtls,
  kMalformedBfcp,
  kOverTcp,
  kDtlsAlert,
  kDtlsNoCookie,
  kDtlsNoHandshake,
  kDtlsTooMany,
  kTooLong,
  kRtcpNotMuxed,
  kNotRtcp,
  kUnknownPayloadType,
  kForeignSource,
  kSourceNotAllowed,
  kForbiddenSource,
  kDeniedAddress,
  kBarredSource,
  kProbation,
  kContested,
  kRateLimited,
  kRtcpRateLimited,
  kSsrcNotAdmitted,
  kSsrcCollision,
  kSequenceJump,
  kDirection,
  kBlocked,
  kEventBlocked,
  kFeedbackNotAgreed,
  kRtcpUnassigned,
  kNoSink,
  kNoDestination,
  kPeerUnverified,
  kPeerUnreachable,
  kLoop,
  kNoKey,
  kNotAuthentic,
  kReplayed,
  kKeyExhausted,
  kSsrcForgotten,
  kSharedKey,
  kPromptPlaying,
  kTooLate,
  kOtherSpeaks,
  kStaleAfterPause,
  kEarlyMedia,
  kNoBuffer,
  kNoMemory,
  kSendFailed,
  kNotConverted,
  kMediaOverload,
  kStageGone,
  kCount,
};

/// Number of enumerators, `kNone` included.
constexpr std::size_t kDropReasons = static_cast<std::size_t>(DropReason::kCount);

/// The texts of one reason. Logs, metrics, `rtpferryctl` and the documents all use them.
struct DropReasonRow {
  DropReason reason;
  /// Spelling everywhere.
  std::string_view name;
  /// Cause, for people.
  std::string_view meaning;
  /// Advice for operators.
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<DropReasonRow, kDropReasons> kDropReasonRows = {{
  {DropReason::kNone, "none", "not dropped", "nothing"},
  {DropReason::kUnknownProtocol, "unknown-protocol", "first octet is neither STUN, DTLS nor RTP/RTCP (DMX-1)", "the client was offered plain RTP but talks something else: check the proxy's flags"},
  {DropReason::kStunUnexpected, "stun-unexpected", "STUN on a stream without ICE", "the client was offered plain RTP but talks WebRTC: check the proxy's flags"},
  {DropReason::kStunRefused, "stun-refused", "STUN without the credentials of this stream, or an answer to nothing that was asked (ICE-1, ICE-2)", "a few are normal around a restart of ICE; else somebody guesses"},
  {DropReason::kDtlsUnexpected, "dtls-unexpected", "DTLS on a stream without DTLS-SRTP", "the client was offered plain RTP but talks WebRTC: check the proxy's flags"},
  {DropReason::kUdptlUnexpected, "udptl-unexpected", "UDPTL (T.38) on a stream of RTP that no command made a fax", "the fax was never agreed on: look for the re-INVITE to m=image and its answer; in the rtpproxy protocol its U has no list of payload types"},
  {DropReason::kMalformedRtp, "malformed-rtp", "RTP header, extension or padding outside the packet (DMX-3)", "look at the sender"},
  {DropReason::kMalformedRtcp, "malformed-rtcp", "compound RTCP packet that does not add up (RTC-1)", "look at the sender"},
  {DropReason::kMalformedUdptl, "malformed-udptl", "UDPTL packet that does not add up (DMX-6)", "look at the sender"},
  {DropReason::kMalformedDtls, "malformed-dtls", "DTLS records that do not add up, or that the peer cannot have to say in a handshake (DTL-13), or no DTLS where the section has nothing else (DMX-6)", "look at the sender"},
  {DropReason::kMalformedBfcp, "malformed-bfcp", "BFCP message whose header or lengths do not add up (DMX-6)", "look at the sender"},
  {DropReason::kOverTcp, "over-tcp", "datagram to the port of a section whose protocol runs over TCP (DMX-6)", "nothing: such a section carries no datagrams, and the relay no TCP"},
  {DropReason::kDtlsAlert, "dtls-alert", "DTLS alert in clear, which anybody could have written: it changes nothing, and explain names it (DTL-11, DTL-13)", "if it is the party's: the alert says what it does not like about the handshake"},
  {DropReason::kDtlsNoCookie, "dtls-no-cookie", "piece of a ClientHello before its cookie came back, or a first piece without the cookie and what it covers (DTL-13)", "an attack, or a client that cuts its ClientHello into pieces of less than 100 octets"},
  {DropReason::kDtlsNoHandshake, "dtls-no-handshake", "DTLS that belongs to no handshake of its source (DTL-13)", "a few are normal after a handshake that ended; else both sides begin, or both wait: compare a=setup of both SDPs"},
  {DropReason::kDtlsTooMany, "dtls-too-many", "more handshakes than a source may begin, a component may have or a worker has room for (DTL-4, DTL-12, DTL-13)", "an attack, or a client that begins again and again: rtpferryctl explain"},
  {DropReason::kTooLong, "too-long", "datagram longer than the relay carries (9,000 octets)", "look at the sender: no media needs such datagrams"},
  {DropReason::kRtcpNotMuxed, "rtcp-not-muxed", "RTCP on the RTP port without rtcp-mux (DMX-2)", "usually harmless"},
  {DropReason::kNotRtcp, "not-rtcp", "something else than RTCP on the RTCP port, or anything on that port of a section that has no RTCP", "look at the sender"},
  {DropReason::kUnknownPayloadType, "unknown-payload-type", "payload type that was not negotiated (DMX-4)", "codec mismatch after a re-INVITE: rtpferryctl explain"},
  {DropReason::kForeignSource, "foreign-source", "source other than the locked peer (LAT-7); at a shared port: of no party", "an attack, or a peer that moved without signalling"},
  {DropReason::kSourceNotAllowed, "source-not-allowed", "source that the latch policy does not accept (LAT-3)", "received-from is missing, or media comes from another host: latch=uncontested for that call"},
  {DropReason::kForbiddenSource, "forbidden-source", "source that is never learned (LAT-11)", "nothing"},
  {DropReason::kDeniedAddress, "denied-address", "source or receiver's address where no party may be: a port for control, loopback or link-local from elsewhere, deny-peer (LAT-11a)", "an attack, unless it is a party: an interface on loopback for parties of this host, allow-peer for networks"},
  {DropReason::kBarredSource, "barred-source", "late packet of an earlier peer (PRT-2, LAT-8)", "nothing: late packets of an earlier call"},
  {DropReason::kProbation, "probation", "source under probation that was not confirmed (LAT-5, LAT-3a)", "a few are normal at the start of a stream"},
  {DropReason::kContested, "contested", "several sources claim an unsignalled stream (LAT-3a)", "give the relay received-from"},
  {DropReason::kRateLimited, "rate-limited", "more media than the stream may carry (LIM-1)", "the sender floods; for video b= in the SDP says what it needs"},
  {DropReason::kRtcpRateLimited, "rtcp-rate-limited", "more RTCP than the stream may carry (RTC-2)", "the sender floods"},
  {DropReason::kSsrcNotAdmitted, "ssrc-not-admitted", "new SSRC that was not confirmed or is one too many (SSR-1)", "a few are normal when a sender restarts"},
  {DropReason::kSsrcCollision, "ssrc-collision", "SSRC that the party's other source uses now, while an offer waits for its answer (SSR-3)", "the party sends one stream from two addresses: look at the sender"},
  {DropReason::kSequenceJump, "sequence-jump", "sequence jump that was not confirmed (SSR-4)", "a few are normal when a sender restarts"},
  {DropReason::kDirection, "direction", "the party may not send, or the other may not receive (hold)", "nothing: hold"},
  {DropReason::kBlocked, "blocked", "media that a command blocked or silenced", "unblock media, unsilence media"},
  {DropReason::kEventBlocked, "event-blocked", "DTMF event that a command blocked", "unblock DTMF"},
  {DropReason::kFeedbackNotAgreed, "feedback-not-agreed", "RTCP feedback alone (PLI, NACK, FIR, REMB, transport-cc) toward a party whose profile has none, such as RTP/AVP (RTC-3)", "normal: browsers ask for key frames whatever was agreed; for video offer the far side RTP/AVPF"},
  {DropReason::kRtcpUnassigned, "rtcp-unassigned", "RTCP in a BUNDLE group about streams that none of its sections has (FB-1)", "a few are normal at the start of a stream and after its end; else compare a=ssrc and a=mid of both SDPs"},
  {DropReason::kNoSink, "no-sink", "the call has no receiver for this stream", "normal before the answer"},
  {DropReason::kNoDestination, "no-destination", "the receiver's address is not known yet", "normal before the answer; else the peer has to send first"},
  {DropReason::kPeerUnverified, "peer-unverified", "the receiver has never sent anything, like too many others at its address (LAT-12)", "unheard-per-address, or the flag unidirectional for receivers that never send"},
  {DropReason::kPeerUnreachable, "peer-unreachable", "the receiver's address answers with ICMP errors: one packet a second tries it (LAT-12)", "the client closed its port or a firewall refuses: look at the send errors"},
  {DropReason::kLoop, "loop", "the signalled address is a media port of this relay in a circle (LIM-5)", "a routing loop in the proxy"},
  {DropReason::kNoKey, "no-key", "protected stream without usable keys: nothing passes either way (SRT-11)", "compare the a=crypto lines of both sides"},
  {DropReason::kNotAuthentic, "not-authentic", "SRTP that does not authenticate: another key, changed on the way, or forged (SRT-2)", "compare the a=crypto lines of both sides; a proxy in between may have changed them"},
  {DropReason::kReplayed, "replayed", "SRTP packet that was there already, or is too old to tell (SRT-4)", "network loops or an attack"},
  {DropReason::kKeyExhausted, "key-exhausted", "more packets than one key may protect (SRT-7)", "the client has to key anew"},
  {DropReason::kSsrcForgotten, "ssrc-forgotten", "an SSRC that came back after thousands of others under one key: the relay no longer knows which of its packets were there (SRT-7a)", "the client has to take a new SSRC or to key anew"},
  {DropReason::kSharedKey, "shared-key", "changed packet for a receiver that uses the sender's own key: only what came goes out under it (SRT-9)", "flag recrypt gives each side its own key"},
  {DropReason::kPromptPlaying, "prompt-playing", "the receiver hears a prompt instead", "nothing"},
  {DropReason::kTooLate, "too-late", "packet that came after its place in a repacketized stream was over", "reordering on the way here"},
  {DropReason::kOtherSpeaks, "other-speaks", "the relay makes the receiver's stream anew, from one source at a time, and another source speaks", "normal for a moment when the speaker changes; for long: two sources send to one receiver at once, so mix them (mesh, audio-player)"},
  {DropReason::kStaleAfterPause, "stale-after-pause", "sound that waited for more than 200 ms while the relay stood still (C-13)", "something stops the whole process: a paused virtual machine, a debugger, a host without time for it"},
  {DropReason::kEarlyMedia, "early-media", "media that came before the answer and that the answer gave to nobody, or more of it than is kept (LAT-14)", "a few are normal when a phone speaks before its answer arrives; else a stranger, or an answer without the address that media comes from"},
  {DropReason::kNoBuffer, "no-buffer", "packet buffers exhausted", "the host is overloaded"},
  {DropReason::kNoMemory, "no-memory", "no memory for what a new stream or source needs: the packet is lost and the call goes on (C-12)", "the host is out of memory"},
  {DropReason::kSendFailed, "send-failed", "the kernel refused to send", "see the send errors: the host has no route, no room, or its firewall refuses"},
  {DropReason::kNotConverted, "not-converted", "audio in a codec that the receiver has not agreed to, and that this relay cannot convert", "rtpferryd --codecs lists what it converts; remove the transcoding flags, or install the plug-in"},
  {DropReason::kMediaOverload, "media-overload", "audio to be converted that no media thread has room for", "more media-threads, fewer transcoded calls (max-transcoding-load), or a host with more cores"},
  {DropReason::kStageGone, "stage-gone", "converted audio of a stream that ended, or changed, while a media thread made it", "nothing: single packets at the end of a stream"},
}};
// clang-format on

/// Spelling of a reason everywhere.
constexpr std::string_view to_string(DropReason reason) noexcept {
  return kDropReasonRows[static_cast<std::size_t>(reason)].name;
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kDropReasons; ++i) {
        if (static_cast<std::size_t>(kDropReasonRows[i].reason) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

/// Counts drops by reason. Owned by one worker; readers get a copy. The counts wrap at 2^32.
class DropCounters {
 public:
  /// Adds `times` drops.
  void add(DropReason reason, std::uint32_t times = 1) noexcept {
    counts_[static_cast<std::size_t>(reason)] += times;
  }
  [[nodiscard]] std::uint32_t operator[](DropReason reason) const noexcept {
    return counts_[static_cast<std::size_t>(reason)];
  }
  /// Drops for all reasons together.
  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (const auto count : counts_) sum += count;
    return sum;
  }
  /// Sets a count, for restoring an export.
  void set(DropReason reason, std::uint32_t value) noexcept {
    counts_[static_cast<std::size_t>(reason)] = value;
  }
  DropCounters& operator+=(const DropCounters& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    return *this;
  }
  bool operator==(const DropCounters&) const = default;

 private:
  std::array<std::uint32_t, kDropReasons> counts_{};
};

}  // namespace ferry
