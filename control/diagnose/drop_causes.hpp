// SPDX-License-Identifier: Apache-2.0
// Tells which verdict `explain` gives if the relay drops a noticeable share of a stream for one reason. The
// table has a row for each drop reason, so that none is without a verdict.
#pragma once

#include "control/diagnose/causes.hpp"
#include "relay/core/forward/drop_reason.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ferry {

/// Whose packets the relay drops for a reason, and whether the listener misses speech because of it.
enum class DropOwner : std::uint8_t {
  /// Packets of the party's own stream: the listener misses them.
  kOwn,
  /// Packets of another source than the party: nothing is missing while the party is heard.
  kStranger,
  /// RTCP, handshakes and other packets without media: no speech is lost with them.
  kBeside,
  /// Somebody wants the drop: hold, a command, a prompt, or a section that is not relayed.
  kWanted,
};

/// One drop reason and its verdicts.
struct DropCauseRow {
  DropReason reason;
  DropOwner owner;
  /// The verdict if a noticeable share of packets is dropped: `arriving` for packets that come from a party,
  /// `leaving` for packets on their way to a party. kFine: there is no verdict, and `why_none` says why. With
  /// kBeside the verdict holds while nothing else of the party is heard.
  Cause arriving;
  Cause leaving;
  /// The relay counts such packets as received before it drops them. The loss that sequence numbers show then
  /// does not include them.
  bool is_counted;
  /// A drop on the way out is a fault of the sender's packets, not of the way to the listener.
  bool is_senders_fault;
  /// Why `arriving` or `leaving` has no verdict; empty if both have one.
  std::string_view why_none;
};

/// Usual values of `why_none`.
inline constexpr std::string_view kJudgedAsItArrives =
    "packets are judged by it as they arrive, never on the way out";
inline constexpr std::string_view kJudgedAsItLeaves =
    "packets are judged by it on the way out, never as they arrive";

// clang-format off
inline constexpr std::array<DropCauseRow, kDropReasons> kDropCauseRows = {{
  // reason, owner, arriving, leaving, counted as received, sender's fault, why a side has none
  {DropReason::kNone, DropOwner::kBeside, Cause::kFine, Cause::kFine, true, false, "the packet was not dropped"},
  {DropReason::kUnknownProtocol, DropOwner::kOwn, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kStunUnexpected, DropOwner::kBeside, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kStunRefused, DropOwner::kBeside, Cause::kIceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kDtlsUnexpected, DropOwner::kBeside, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kUdptlUnexpected, DropOwner::kOwn, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kMalformedRtp, DropOwner::kOwn, Cause::kMalformed, Cause::kMalformed, false, true, ""},
  {DropReason::kMalformedRtcp, DropOwner::kBeside, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kMalformedUdptl, DropOwner::kOwn, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kMalformedDtls, DropOwner::kBeside, Cause::kNoHandshake, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kMalformedBfcp, DropOwner::kOwn, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kOverTcp, DropOwner::kWanted, Cause::kNotRelayed, Cause::kFine, false, false, kJudgedAsItArrives},
  {DropReason::kDtlsAlert, DropOwner::kBeside, Cause::kNoHandshake, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kDtlsNoCookie, DropOwner::kBeside, Cause::kNoHandshake, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kDtlsNoHandshake, DropOwner::kBeside, Cause::kNoHandshake, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kDtlsTooMany, DropOwner::kBeside, Cause::kNoHandshake, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kTooLong, DropOwner::kOwn, Cause::kMalformed, Cause::kMalformed, false, true, ""},
  {DropReason::kRtcpNotMuxed, DropOwner::kBeside, Cause::kOnlyRtcp, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kNotRtcp, DropOwner::kBeside, Cause::kMalformed, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kUnknownPayloadType, DropOwner::kOwn, Cause::kUnknownPayloadType, Cause::kUnknownPayloadType, false, true, ""},
  {DropReason::kForeignSource, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kSourceNotAllowed, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kForbiddenSource, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kDeniedAddress, DropOwner::kStranger, Cause::kSourceRefused, Cause::kDeniedAddress, false, false, ""},
  {DropReason::kBarredSource, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kProbation, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kContested, DropOwner::kStranger, Cause::kContested, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kRateLimited, DropOwner::kOwn, Cause::kRateLimited, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kRtcpRateLimited, DropOwner::kBeside, Cause::kOnlyRtcp, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kSsrcNotAdmitted, DropOwner::kOwn, Cause::kSsrcsRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kSsrcCollision, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kSequenceJump, DropOwner::kOwn, Cause::kSequenceJumps, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kDirection, DropOwner::kWanted, Cause::kHold, Cause::kHold, true, false, ""},
  {DropReason::kBlocked, DropOwner::kWanted, Cause::kBlocked, Cause::kBlocked, true, false, ""},
  {DropReason::kEventBlocked, DropOwner::kWanted, Cause::kBlocked, Cause::kBlocked, true, false, ""},
  {DropReason::kFeedbackNotAgreed, DropOwner::kBeside, Cause::kOnlyRtcp, Cause::kOnlyRtcp, true, false, ""},
  {DropReason::kRtcpUnassigned, DropOwner::kBeside, Cause::kOnlyRtcp, Cause::kFine, true, false, kJudgedAsItArrives},
  {DropReason::kNoSink, DropOwner::kWanted, Cause::kNobodyListens, Cause::kNobodyListens, true, false, ""},
  {DropReason::kNoDestination, DropOwner::kOwn, Cause::kFine, Cause::kVoidAddress, true, false, kJudgedAsItLeaves},
  {DropReason::kPeerUnverified, DropOwner::kOwn, Cause::kFine, Cause::kUnverified, true, false, kJudgedAsItLeaves},
  {DropReason::kPeerUnreachable, DropOwner::kOwn, Cause::kFine, Cause::kUnreachable, true, false, kJudgedAsItLeaves},
  {DropReason::kLoop, DropOwner::kOwn, Cause::kFine, Cause::kLoop, true, false, kJudgedAsItLeaves},
  {DropReason::kNoKey, DropOwner::kOwn, Cause::kNoKey, Cause::kNoKey, false, false, ""},
  {DropReason::kNotAuthentic, DropOwner::kOwn, Cause::kNotAuthentic, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kReplayed, DropOwner::kOwn, Cause::kReplayed, Cause::kSequenceJumps, false, true, ""},
  {DropReason::kKeyExhausted, DropOwner::kOwn, Cause::kKeyWornOut, Cause::kKeyWornOut, false, false, ""},
  {DropReason::kSsrcForgotten, DropOwner::kOwn, Cause::kKeyWornOut, Cause::kKeyWornOut, false, true, ""},
  {DropReason::kSharedKey, DropOwner::kOwn, Cause::kFine, Cause::kSharedKey, true, false, kJudgedAsItLeaves},
  {DropReason::kPromptPlaying, DropOwner::kWanted, Cause::kPromptPlays, Cause::kPromptPlays, true, false, ""},
  {DropReason::kTooLate, DropOwner::kOwn, Cause::kTooLate, Cause::kTooLate, true, true, ""},
  {DropReason::kOtherSpeaks, DropOwner::kWanted, Cause::kOtherSpeaks, Cause::kOtherSpeaks, true, false, ""},
  {DropReason::kStaleAfterPause, DropOwner::kOwn, Cause::kStoodStill, Cause::kStoodStill, true, false, ""},
  {DropReason::kEarlyMedia, DropOwner::kStranger, Cause::kSourceRefused, Cause::kFine, false, true, kJudgedAsItArrives},
  {DropReason::kNoBuffer, DropOwner::kOwn, Cause::kOverloaded, Cause::kOverloaded, false, false, ""},
  {DropReason::kNoMemory, DropOwner::kOwn, Cause::kOverloaded, Cause::kOverloaded, false, false, ""},
  {DropReason::kSendFailed, DropOwner::kOwn, Cause::kFine, Cause::kSendFailed, true, false, kJudgedAsItLeaves},
  {DropReason::kNotConverted, DropOwner::kOwn, Cause::kFine, Cause::kNotTranscoded, true, false, kJudgedAsItLeaves},
  {DropReason::kMediaOverload, DropOwner::kOwn, Cause::kFine, Cause::kMediaOverload, true, false, kJudgedAsItLeaves},
  {DropReason::kStageGone, DropOwner::kBeside, Cause::kFine, Cause::kFine, true, false, "single packets of a stream that ended; they are counted for the worker, for no party"},
}};
// clang-format on

/// The row of a reason.
constexpr const DropCauseRow& row_of(DropReason reason) noexcept {
  return kDropCauseRows[static_cast<std::size_t>(reason)];
}

// A reason that is added without a row leaves the last place of the array empty: it reads as kNone there.
static_assert(
    [] {
      for (std::size_t i = 0; i < kDropReasons; ++i) {
        if (static_cast<std::size_t>(kDropCauseRows[i].reason) != i) return false;
      }
      return true;
    }(),
    "each drop reason has its row in kDropCauseRows, in the order of the enum");

}  // namespace ferry
