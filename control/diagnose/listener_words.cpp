// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/listener_words.hpp"

#include <array>

#include <fmt/format.h>

namespace ferry {

namespace {

std::string_view what(const MediaEvidence& media) {
  return media.type.empty() ? std::string_view("media") : std::string_view(media.type);
}

/// Source of the newest packet that was refused because of its source; unset if there was none.
Endpoint refused_source(const MediaView& seen) {
  constexpr std::array kSources = {DropReason::kSourceNotAllowed, DropReason::kForeignSource,
                                   DropReason::kForbiddenSource, DropReason::kDeniedAddress,
                                   DropReason::kBarredSource};
  const Refusal* newest = nullptr;
  for (const DropReason reason : kSources) {
    const Refusal* each = seen.refusal(reason);
    if (each != nullptr && (newest == nullptr || each->last > newest->last)) newest = each;
  }
  return newest == nullptr ? Endpoint{} : newest->from;
}

}  // namespace

std::string why_unheard(const Unheard& unheard) {
  const std::string& a = unheard.sender;
  const MediaEvidence& media = unheard.media;
  switch (unheard.cause) {
    case Cause::kWaiting:
      return media.signalled.is_set() ? fmt::format("nothing came from {} yet", a)
                                      : fmt::format("{} has not answered with an address yet", a);
    case Cause::kHold:
      return media.may_send ? fmt::format("{} is on hold", a)
                            : fmt::format("{} said that it sends nothing (hold)", a);
    case Cause::kBlocked:
      return fmt::format("a command or flag blocks or silences {}", a);
    case Cause::kDeclined:
      return fmt::format("{} declined this {}", a, what(media));
    case Cause::kNotRelayed:
      return fmt::format("this {} is not relayed", what(media));
    case Cause::kEndToEnd:
      return fmt::format("this {} is encrypted from end to end", what(media));
    case Cause::kSilenceSuppressed:
      return fmt::format("{} is silent or muted", a);
    case Cause::kVoidAddress:
      return fmt::format("nothing comes from {}, whose SDP has an address that cannot be reached", a);
    case Cause::kDeniedAddress:
      return fmt::format("the SDP of {} names an address where nobody may be", a);
    case Cause::kSourceRefused: {
      const Endpoint from = refused_source(media.seen);
      return from.is_set()
                 ? fmt::format("{}'s {} comes from {} and is refused", a, what(media), from.to_string())
                 : fmt::format("{}'s {} comes from another address and is refused", a, what(media));
    }
    case Cause::kContested:
      return fmt::format("several sources claim to be {}, and none was signalled", a);
    case Cause::kOldPort:
      return fmt::format("{} still sends to a port that a later SDP replaced", a);
    case Cause::kNeverSent:
      return fmt::format("{} has never sent anything", a);
    case Cause::kStopped:
      return fmt::format("{} stopped sending", a);
    case Cause::kOnlyRtcp:
      return fmt::format("only RTCP arrives from {}, no {}", a, what(media));
    case Cause::kUnknownPayloadType:
      return fmt::format("{} sends a payload type that was never negotiated", a);
    case Cause::kCodecMismatch:
      return fmt::format("{} still sends a codec that the last SDP took away", a);
    case Cause::kSilence:
      return fmt::format("there was never sound in {}'s packets", a);
    case Cause::kNoKey:
      return fmt::format("{}'s {} is encrypted, and the relay has no key for it", a, what(media));
    case Cause::kNoPair:
      return fmt::format("ICE has found no pair of addresses that works with {}", a);
    case Cause::kIceRefused:
      return fmt::format("{}'s ICE checks have a wrong password and are refused", a);
    case Cause::kNoHandshake:
      return fmt::format("the DTLS handshake with {} is not complete", a);
    case Cause::kWrongCertificate:
      return fmt::format("{}'s DTLS certificate is not the one that its SDP names", a);
    case Cause::kNotAuthentic:
      return fmt::format("{}'s packets do not authenticate with the signalled key", a);
    case Cause::kRollOverMismatch:
      return fmt::format("{}'s packets have another roll-over counter than the relay expects", a);
    case Cause::kRateLimited:
      return fmt::format("{} sends more than its stream may carry", a);
    case Cause::kPortNotServed:
      return fmt::format("the relay could not listen on its port for {}", a);
    case Cause::kMalformed:
      return fmt::format("what {} sends is not the {} that was negotiated", a, what(media));
    case Cause::kAnswerRefused:
      return fmt::format("the answer of {} was refused", a);
    case Cause::kWrongFamily:
      return fmt::format("{}'s address is of another IP version than its port here", a);
    case Cause::kSsrcsRefused:
      return fmt::format("{} uses too many SSRCs, and the excess is refused", a);
    case Cause::kSequenceJumps:
      return fmt::format("{}'s sequence numbers leap or step back, and are refused", a);
    case Cause::kReplayed:
      return fmt::format("{} sends sequence numbers again under the same key", a);
    case Cause::kKeyWornOut:
      return fmt::format("{}'s key may protect no more packets", a);
    case Cause::kNotTranscoded:
      return fmt::format("{}'s codec would have to be transcoded, which this relay does not do", a);
    case Cause::kOverloaded:
      return "the relay has no buffer or memory left for packets";
    case Cause::kNobodyListens:
      return fmt::format("nobody is to receive what {} sends", a);
    case Cause::kTooLate:
      return fmt::format("{}'s packets come too late to be repacketized", a);
    case Cause::kOtherSpeaks:
      return fmt::format("another party speaks instead of {}, and the stream has room for one", a);
    case Cause::kInterrupted:
      return fmt::format("{}'s {} stands still", a, what(media));
    case Cause::kNothingToSend:
      return fmt::format("nothing comes from {} that could be passed on", a);
    default:
      return fmt::format("see what is said about {} ({})", a, to_string(unheard.cause));
  }
}

std::string why_not_sent(DropReason reason, const std::string& party) {
  switch (reason) {
    case DropReason::kNone:
      return fmt::format("the relay sends too little to {}, and counted no reason", party);
    case DropReason::kNoDestination:
      return fmt::format("the address of {} is not known", party);
    case DropReason::kPeerUnverified:
      return fmt::format("{} was never heard, like too many others at its address (LAT-12)", party);
    case DropReason::kPeerUnreachable:
      return fmt::format("{} answers with ICMP errors; one packet a second tests it (LAT-12)", party);
    case DropReason::kLoop:
      return fmt::format("the address of {} is a media port of this relay", party);
    case DropReason::kNoKey:
      return fmt::format("the relay has no key to encrypt for {}", party);
    case DropReason::kKeyExhausted:
      return fmt::format("the key toward {} may protect no more packets", party);
    case DropReason::kSsrcForgotten:
      return "an SSRC came back that the relay no longer knows";
    case DropReason::kSharedKey:
      return fmt::format("packets would have to be changed, and {} uses the sender's own key", party);
    case DropReason::kReplayed:
      return "sequence numbers came again, which encryption must not use twice";
    case DropReason::kDeniedAddress:
      return fmt::format("nobody may be at the address of {}", party);
    case DropReason::kSendFailed:
      return fmt::format("this host refuses to send to {}", party);
    case DropReason::kNoBuffer:
    case DropReason::kNoMemory:
      return "the relay has no buffer or memory left for packets";
    case DropReason::kNotConverted:
      return fmt::format("{} cannot decode what comes, and this relay converts no audio", party);
    case DropReason::kMediaOverload:
      return "the media threads have too little time to convert the audio";
    case DropReason::kTooLate:
      return "packets come too late to be repacketized";
    case DropReason::kStaleAfterPause:
      return "the relay stood still";
    case DropReason::kUnknownPayloadType:
      return "packets of a type that was not negotiated cannot be repacketized";
    default:
      return fmt::format("packets were dropped ({})", to_string(reason));
  }
}

}  // namespace ferry
