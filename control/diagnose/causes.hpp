// SPDX-License-Identifier: Apache-2.0
// Causes for which a party is not heard or hears nothing. One table serves `explain`, metrics and documents.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace ferry {

/// How bad a verdict is. A note is wanted by signalling or a party, or it is worth a look and no fault. In a
/// fault a listener hears nothing or hears badly, and nobody wants it so.
enum class Severity : std::uint8_t { kFine, kNote, kFault };

/// How much of what a party speaks its listener still gets.
enum class Reception : std::uint8_t { kAll, kSome, kNothing };

/// Cause of a verdict. `kCauseRows` explains each value.
enum class Cause : std::uint8_t {
  kFine,
  kWaiting,
  kNothingToSend,
  kHold,
  kBlocked,
  kDeclined,
  kNotRelayed,
  kSilenceSuppressed,
  kOtherSourceToo,
  kOtherTypePasses,
  kLossy,
  kStoodStill,
  kInterrupted,
  kDuplicated,
  kLossyBehind,
  kPromptPlays,
  kOtherSpeaks,
  kNobodyListens,
  kEndToEnd,
  // From here on all causes are faults, unless a judge grades them otherwise.
  kVoidAddress,
  kDeniedAddress,
  kSourceRefused,
  kContested,
  kOldPort,
  kNeverSent,
  kStopped,
  kOnlyRtcp,
  kUnknownPayloadType,
  kCodecMismatch,
  kSilence,
  kNoKey,
  kNoPair,
  kNoHandshake,
  kWrongCertificate,
  kNotAuthentic,
  kRollOverMismatch,
  kUnreachable,
  kNoRoute,
  kWrongFamily,
  kLoop,
  kRateLimited,
  kLocalFirewall,
  kPortNotServed,
  kSendFailed,
  kMalformed,
  kAnswerRefused,
  kBrokenUp,
  kSsrcsRefused,
  kSequenceJumps,
  kReplayed,
  kKeyWornOut,
  kEcho,
  kNotTranscoded,
  kIceRefused,
  kUnverified,
  kOverloaded,
  kTooLate,
  kSharedKey,
  kMediaOverload,
  kCount,
};

constexpr std::size_t kCauses = static_cast<std::size_t>(Cause::kCount);

/// One cause with its texts for people.
struct CauseRow {
  Cause cause;
  /// Name in JSON, metrics and documents; never changed once released.
  std::string_view name;
  /// The severity of a verdict with this cause, unless the judge sets `MediaVerdict::graded`.
  Severity severity;
  /// What the listener gets with this cause, unless the judge sets `MediaVerdict::received`.
  Reception reception;
  /// What it means, and what the operator can do.
  std::string_view meaning;
  std::string_view advice;
};

// clang-format off
inline constexpr std::array<CauseRow, kCauses> kCauseRows = {{
  {Cause::kFine, "fine", Severity::kFine, Reception::kAll, "media arrives, or is sent", "nothing"},
  {Cause::kWaiting, "waiting", Severity::kNote, Reception::kNothing, "not answered yet, or just answered: media may still come", "wait"},
  {Cause::kNothingToSend, "nothing-to-send", Severity::kNote, Reception::kNothing, "the other side sends nothing that could be passed on", "look at the verdict of the other side"},
  {Cause::kHold, "hold", Severity::kNote, Reception::kNothing, "signalling put this direction on hold (a=sendonly, a=inactive, or the address 0.0.0.0)", "nothing: the party that put it on hold has to resume it"},
  {Cause::kBlocked, "blocked", Severity::kNote, Reception::kNothing, "a command or a flag blocks or silences this media", "if nobody wants it any more: the command unblock media or unsilence media"},
  {Cause::kDeclined, "declined", Severity::kNote, Reception::kNothing, "the m-line was declined (port 0)", "nothing"},
  {Cause::kNotRelayed, "not-relayed", Severity::kNote, Reception::kNothing, "the section's protocol runs over TCP, or nobody knows that it is spoken over UDP (DMX-6)", "nothing for TCP: leave such sections to the parties; passthrough-unknown relays a protocol that is spoken over UDP"},
  {Cause::kSilenceSuppressed, "silence-suppressed", Severity::kNote, Reception::kNothing, "the party is silent and said so (comfort noise, RFC 3389; a silence frame of its codec; RTCP BYE), or its microphone is muted", "nothing"},
  {Cause::kOtherSourceToo, "other-source-too", Severity::kNote, Reception::kAll, "beside the party somebody else sends to its port and is refused", "an attack, or a second device of the party"},
  {Cause::kOtherTypePasses, "other-type-passes", Severity::kNote, Reception::kAll, "the party sends packets of a payload type that no SDP of the call has, and they are passed on (DMX-4)", "usually harmless (comfort noise, events, asymmetric numbers); if the other side mishears them: strict-payload-types"},
  {Cause::kLossy, "lossy", Severity::kNote, Reception::kSome, "packets are missing, or they arrive so unevenly that people hear it", "look at the network between that party and the relay"},
  {Cause::kStoodStill, "stood-still", Severity::kNote, Reception::kSome, "the relay was stopped for a while, and dropped the packets that had become too old meanwhile (C-13)", "something stops the whole process: a paused virtual machine, a debugger, a host without time for it"},
  {Cause::kInterrupted, "interrupted", Severity::kNote, Reception::kSome, "the stream stands still and did not say that it pauses, or it had holes of 200 ms and more in the last 10 s", "look at the network between that party and the relay"},
  {Cause::kDuplicated, "duplicated", Severity::kNote, Reception::kAll, "packets arrive twice; listeners hear them once", "a loop between switches, a mirrored port, or a device that sends everything twice"},
  {Cause::kLossyBehind, "lossy-behind", Severity::kNote, Reception::kSome, "the listener reports by RTCP that it misses packets that left the relay", "look at the network between the relay and that party"},
  {Cause::kPromptPlays, "prompt-plays", Severity::kNote, Reception::kAll, "the listener hears a prompt instead", "nothing: it ends by itself or by a command"},
  {Cause::kOtherSpeaks, "other-speaks", Severity::kNote, Reception::kSome, "the relay remakes the stream of the listener, which has room for one party at a time, and another one speaks", "leave the packet time of that listener as it is: all parties reach it then"},
  {Cause::kNobodyListens, "nobody-listens", Severity::kNote, Reception::kNothing, "nobody in the call is to receive what the party sends", "nothing before the answer; else find the party that declined this medium or was unsubscribed from it"},
  {Cause::kEndToEnd, "end-to-end", Severity::kNote, Reception::kAll, "the parties do ICE and encrypt with each other (ICE=optional, ICE=force-relay): the relay cannot read their media, and media may go past it", "nothing; whether they hear each other only they can tell"},
  {Cause::kVoidAddress, "void-address", Severity::kFault, Reception::kNothing, "the SDP has an address that nobody can send to from here, and nothing arrived that would tell another", "the client is behind NAT and sends nothing: its firewall, or it waits for media itself; give the relay received-from"},
  {Cause::kDeniedAddress, "denied-address", Severity::kFault, Reception::kNothing, "the SDP has an address where no party may be, so that nothing is sent there (LAT-11a)", "an attack, unless the party is there: an interface on loopback for parties of this host, allow-peer for networks, another port than those of control and signalling"},
  {Cause::kSourceRefused, "source-refused", Severity::kFault, Reception::kNothing, "media comes from an address that neither SDP nor signalling named", "if it is the party: received-from from the proxy, latch=uncontested for the call, media-handover if it moves"},
  {Cause::kContested, "contested", Severity::kFault, Reception::kNothing, "several sources claim a stream whose address signalling did not name", "give the relay received-from, so that it need not guess"},
  {Cause::kOldPort, "old-port", Severity::kFault, Reception::kNothing, "the party sends to a port that a later SDP took back", "the client ignores the new SDP: check that the last answer or re-INVITE reached it"},
  {Cause::kNeverSent, "never-sent", Severity::kFault, Reception::kNothing, "nothing has ever arrived from the party", "its firewall or NAT, a wrong address in the SDP it got, a microphone that was not allowed, or this host's input rules (doctor)"},
  {Cause::kStopped, "stopped", Severity::kFault, Reception::kNothing, "media came and stopped", "the client or its network went away, or it moved to another address without a re-INVITE"},
  {Cause::kOnlyRtcp, "only-rtcp", Severity::kFault, Reception::kNothing, "RTCP arrives, RTP never", "the client sends no media: muted device, one-way SDP on its side, or a firewall that passes odd ports only"},
  {Cause::kUnknownPayloadType, "unknown-payload-type", Severity::kFault, Reception::kNothing, "packets have a payload type that no SDP of the call has", "the client sends another codec than was negotiated"},
  {Cause::kCodecMismatch, "codec-mismatch", Severity::kFault, Reception::kNothing, "the party goes on with a codec that an earlier SDP had and the last one has not", "the client ignores the codecs of the last re-INVITE"},
  {Cause::kSilence, "silence", Severity::kFault, Reception::kNothing, "packets arrive, and there has never been sound in them", "muted or wrong microphone on that side"},
  {Cause::kNoKey, "no-key", Severity::kFault, Reception::kNothing, "media is encrypted and no key was agreed", "the answer took neither an a=crypto line nor a fingerprint of the offer: compare suites"},
  {Cause::kNoPair, "no-pair", Severity::kFault, Reception::kNothing, "ICE has found no pair of addresses that works, or the party no longer consents to media", "its candidates cannot be reached from here or ours from there: firewall, NAT without TURN, a wrong advertised address"},
  {Cause::kNoHandshake, "no-handshake", Severity::kFault, Reception::kNothing, "keys are to come by DTLS, and its handshake is not complete", "DTLS packets do not arrive (firewall, NAT, ICE), or both sides wait: compare a=setup of both SDPs"},
  {Cause::kWrongCertificate, "wrong-certificate", Severity::kFault, Reception::kNothing, "the DTLS certificate is not the one that a=fingerprint names", "a proxy in between changed the SDP, the fingerprint is of SHA-1 alone (dtls-sha1), or somebody else answered"},
  {Cause::kNotAuthentic, "not-authentic", Severity::kFault, Reception::kNothing, "encrypted packets do not authenticate: another key than was signalled", "a proxy in between changed the a=crypto lines, or the client keyed anew without telling"},
  {Cause::kRollOverMismatch, "roll-over-mismatch", Severity::kFault, Reception::kNothing, "packets authenticate only at another roll-over counter: the sender's stream is older than what the relay knows of it", "the relay was restarted or the call moved without its state: a re-INVITE with new keys starts at zero"},
  {Cause::kUnreachable, "unreachable", Severity::kFault, Reception::kNothing, "the network answers that the party cannot be reached (ICMP)", "the client closed its port, signalled a wrong one, or a firewall rejects"},
  {Cause::kNoRoute, "no-route", Severity::kFault, Reception::kNothing, "this host has no route to the party, or nobody on the link answers for it", "ip route get ADDRESS; ip neigh; another interface for that side (direction=)"},
  {Cause::kWrongFamily, "wrong-family", Severity::kFault, Reception::kNothing, "the party's address is of another IP version than its port at the relay", "address-family=IP4 or IP6 for that side"},
  {Cause::kLoop, "loop", Severity::kFault, Reception::kNothing, "the address in the party's SDP is a media port of this relay that does not lead back to a party", "the proxy sends a call in circles, or hands the relay its own SDP as the party's"},
  {Cause::kRateLimited, "rate-limited", Severity::kFault, Reception::kSome, "more packets come than the stream may carry, and the relay drops the excess", "the client floods; for video, b= in the SDP must say what it needs"},
  {Cause::kLocalFirewall, "local-firewall", Severity::kFault, Reception::kNothing, "this host's own firewall does not let media out", "nft list ruleset: allow UDP from the port range"},
  {Cause::kPortNotServed, "port-not-served", Severity::kFault, Reception::kNothing, "the relay could not listen on the port", "fs.epoll.max_user_watches, descriptor limit: see doctor"},
  {Cause::kSendFailed, "send-failed", Severity::kFault, Reception::kNothing, "the host refuses to send", "doctor; the kernel's log"},
  {Cause::kMalformed, "malformed", Severity::kFault, Reception::kNothing, "what arrives is not what was negotiated: broken RTP, STUN, DTLS or something else", "a client that speaks WebRTC was offered plain RTP, or the other way round"},
  {Cause::kAnswerRefused, "answer-refused", Severity::kFault, Reception::kNothing, "the proxy got an error for the party's answer, and the parties may not know", "the reason is in the verdict; the proxy must not pass such an answer on"},
  {Cause::kBrokenUp, "broken-up", Severity::kFault, Reception::kSome, "so much is missing that speech can hardly be followed (10 % and more, or a MOS below 2.6 by ITU-T G.107)", "look at the network on the side that the sentence names"},
  {Cause::kSsrcsRefused, "ssrcs-refused", Severity::kFault, Reception::kSome, "the party uses more SSRCs than one stream may have, and the relay refuses the excess (SSR-1)", "the client, or a mixer behind it, takes a new SSRC again and again: look at the sender"},
  {Cause::kSequenceJumps, "sequence-jumps", Severity::kFault, Reception::kSome, "sequence numbers leap or step back: the relay refuses packets until two in a row confirm it (SSR-4), and encrypts no number twice for a receiver", "two streams under one SSRC, or a client that begins to count anew: look at the sender"},
  {Cause::kReplayed, "replayed", Severity::kFault, Reception::kSome, "encrypted packets arrive with sequence numbers that the relay has had already, and it refuses them (SRT-4)", "the client began again under its old key: a re-INVITE with new keys helps"},
  {Cause::kKeyWornOut, "key-worn-out", Severity::kFault, Reception::kNothing, "the key may protect no more packets (SRT-7), or the relay no longer knows which packets of an SSRC it has had (SRT-7a)", "the client has to agree on new keys, or to take a new SSRC"},
  {Cause::kEcho, "echo", Severity::kFault, Reception::kNothing, "the SDP of the party names the address of the other party, which hears itself", "the proxy mixed up two SDPs: compare what it sent to the relay with what the parties sent"},
  {Cause::kNotTranscoded, "not-transcoded", Severity::kFault, Reception::kNothing, "the proxy's script asked to transcode what this relay cannot convert, and the parties have no codec in common", "name a codec that rtpferryd --codecs lists, or let the parties agree on one that both have"},
  {Cause::kIceRefused, "ice-refused", Severity::kFault, Reception::kNothing, "ICE checks arrive, and the relay refuses them: they are not made with the password of this stream", "the client uses the ICE credentials of an earlier SDP, or a proxy changed a=ice-ufrag or a=ice-pwd"},
  {Cause::kUnverified, "unverified", Severity::kFault, Reception::kNothing, "the relay sends nothing: it has never heard this party, nor too many others at the same address (LAT-12)", "let the party send something, raise unheard-per-address, or set the flag unidirectional"},
  {Cause::kOverloaded, "overloaded", Severity::kFault, Reception::kSome, "the relay had no packet buffer or no memory left for packets", "rtpferryctl doctor says what the host lacks; put fewer calls on this host"},
  {Cause::kTooLate, "too-late", Severity::kFault, Reception::kSome, "packets came too late: the relay repacketizes the stream, and it had gone past them", "look at the network between that party and the relay"},
  {Cause::kSharedKey, "shared-key", Severity::kFault, Reception::kSome, "the receiver uses the sender's own key, so the relay drops packets that it would have to change (SRT-9)", "the flag recrypt gives each side a key of its own"},
  {Cause::kMediaOverload, "media-overload", Severity::kFault, Reception::kSome, "the media threads have too little time to convert the audio of all calls, and drop packets of it", "more media-threads, a lower max-transcoding-load, or another host for a part of the calls"},
}};
// clang-format on

/// The row of a cause. The functions below return names for JSON.
constexpr const CauseRow& row_of(Cause cause) noexcept { return kCauseRows[static_cast<std::size_t>(cause)]; }
constexpr std::string_view to_string(Cause cause) noexcept { return row_of(cause).name; }
constexpr std::string_view to_string(Severity severity) noexcept {
  return severity == Severity::kFine ? "fine" : severity == Severity::kNote ? "note" : "fault";
}
constexpr std::string_view to_string(Reception reception) noexcept {
  return reception == Reception::kAll ? "all" : reception == Reception::kSome ? "some" : "nothing";
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kCauses; ++i) {
        if (static_cast<std::size_t>(kCauseRows[i].cause) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

}  // namespace ferry
