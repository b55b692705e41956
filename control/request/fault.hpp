// SPDX-License-Identifier: Apache-2.0
// Why a request was refused, as the model says it. What a client reads is a matter of its protocol.
#pragma once

#include "control/request/refusal.hpp"
#include "relay/core/latch/peer_policy.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ferry {

/// One value for each thing that can be wrong with a request.
enum class RequestFault : std::uint8_t {
  // Ports, in the order of `PortFailure`.
  kNoPortsLeft,
  kNoFamily,
  kNoLocalAddress,
  kNoDescriptors,
  kNoPortMemory,
  kPortRefused,
  // Limits of new calls, in the order of `RefusalReason`.
  kDraining,
  kSessionLimit,
  kCpuLimit,
  kLoadLimit,
  kBandwidthLimit,
  kMemoryLimit,
  kOverload,

  /// The memory limit, for a command that no limit of sessions holds for.
  kNoMemoryForCall,
  kOutOfMemory,
  /// The ports of a section could not be opened; the cause says why.
  kNoSectionOpened,
  kTooManyParties,
  kTooManySections,

  // The SDP.
  kUnreadableSdp,
  kIncompleteSection,
  /// No section, or every one is hidden.
  kNothingToRelay,
  kNothingToPublish,
  kDataChannelsOnly,
  /// The parties agree on keys with each other, so the relay can neither read nor make their media.
  kEndToEnd,

  // Addresses where no party may be (LAT-11a).
  kDeniedSection,      // number: of the section; denial
  kDeniedSdp,          // denial
  kDeniedDestination,  // denial
  kOwnDestination,

  // Encryption (SRT-13).
  kPlainAnswer,  // name: the protocol of the section
  kAnswerWithoutKey,
  kAnswerTakesNoKey,

  // Calls, parties and flows that are not there.
  kUnknownInterface,  // name
  kUnknownCall,
  /// No call, party or branch is what the delete names.
  kNothingToDelete,
  kUnknownLabel,
  kUnknownAddress,
  kUnknownFromTag,
  kUnknownToTag,
  kUnknownSourceTag,
  /// No media of the parties that are named can be used.
  kNoMedias,
  kFlowToUnknownLabel,
  kFlowToUnknownTag,
  kNoSuchFlow,
  kNoFlows,

  // Names that somebody else has.
  kOtherProtocolsCall,
  /// Both tags name one party.
  kSameParty,
  /// A party that came by another command has the tag.
  kTagTaken,
  /// Calls that are to be one have parties with the same tag.
  kTagsCollide,

  // The message.
  kNoSdp,
  kNoCallId,
  kNoFromTag,
  kNoToTag,
  kNoSourceTag,
  kNoBody,
  /// A member of the list of tags has none.
  kNoMemberTag,
  kUnreadableAddress,
  kUnreadableDestination,
  kNoDestination,
  kWrongType,
  kWrongContent,
  /// Of an option.
  kUnknownSectionType,
  kUnknownManipulation,
  kNegativeLimit,

  // What is not done.
  kUnservedMediaType,
  kUnservedCommand,  // name

  // Subscriptions, created parties, conferences.
  /// The tag of the subscriber is that of a party of a dialogue.
  kSubscriberInDialogue,
  kSubscribesToItself,
  kUnreadableSource,
  /// The answer to a subscription does not match what was offered.
  kAnswerDoesNotFit,
  /// The party has a dialogue, and was not created.
  kPartyInDialogue,
  kTransformLoop,
  kNoDestinationFamily,
  kTransformChangesCodec,
  kNobodyToConnect,
  kNotMerged,
  kInjectsItself,
  /// The two parties have no media in common.
  kNothingInjected,
  /// The source is not injected to the party.
  kNothingToStop,

  // Playback and DTMF.
  kNoParticipant,
  /// The request names nothing to play.
  kNoSound,
  /// The sound is not there, cannot be read, or not be encoded for the party; name: why.
  kUnplayableFile,
  kUnplayableBlob,
  kUnplayableNumber,
  /// Nothing was ever played to the party.
  kNothingPlayed,
  kMusicOnHold,
  kNoDigit,
  /// No offer or answer has asked for injected DTMF, and the relay does not make the stream.
  kNotPrepared,
  /// The party has sent nothing so far.
  kNothingSent,
  /// Nobody hears the party's audio.
  kNoDigitReceiver,
  /// Nobody who hears it has a codec that is encoded here.
  kNoDigitCodec,
  kCount,
};
constexpr std::size_t kRequestFaults = static_cast<std::size_t>(RequestFault::kCount);

struct FaultRow {
  RequestFault fault{};
  /// The group that metrics and `explain` count it in.
  RefusalReason reason{};
  /// In words for `explain`, with `{name}`, `{number}` and `{denial}` for what the error has; empty = the
  /// text of the reason.
  std::string_view sentence{};
};

// clang-format off
inline constexpr std::array<FaultRow, kRequestFaults> kFaultRows = {{
  {RequestFault::kNoPortsLeft, refusal_for(PortFailure::kExhausted)},
  {RequestFault::kNoFamily, refusal_for(PortFailure::kNoFamily)},
  {RequestFault::kNoLocalAddress, refusal_for(PortFailure::kNoAddress)},
  {RequestFault::kNoDescriptors, refusal_for(PortFailure::kNoDescriptors)},
  {RequestFault::kNoPortMemory, refusal_for(PortFailure::kNoMemory)},
  {RequestFault::kPortRefused, refusal_for(PortFailure::kRefused)},
  {RequestFault::kDraining, RefusalReason::kDraining},
  {RequestFault::kSessionLimit, RefusalReason::kSessions},
  {RequestFault::kCpuLimit, RefusalReason::kCpu},
  {RequestFault::kLoadLimit, RefusalReason::kLoad},
  {RequestFault::kBandwidthLimit, RefusalReason::kBandwidth},
  {RequestFault::kMemoryLimit, RefusalReason::kMemoryLimit},
  {RequestFault::kOverload, RefusalReason::kOverload},
  {RequestFault::kNoMemoryForCall, RefusalReason::kMemoryLimit},
  {RequestFault::kOutOfMemory, refusal_for(PortFailure::kNoMemory)},
  {RequestFault::kNoSectionOpened, RefusalReason::kOther},
  {RequestFault::kTooManyParties, RefusalReason::kParties, "Too many parties in this call"},
  {RequestFault::kTooManySections, RefusalReason::kOther},

  {RequestFault::kUnreadableSdp, RefusalReason::kSdp, "Failed to parse SDP"},
  {RequestFault::kIncompleteSection, RefusalReason::kSdp, "Incomplete SDP specification"},
  {RequestFault::kNothingToRelay, RefusalReason::kSdp, "Error rewriting SDP"},
  {RequestFault::kNothingToPublish, RefusalReason::kSdp},
  {RequestFault::kDataChannelsOnly, RefusalReason::kUnsupported, "Data channels are not relayed, and the offer has nothing else"},
  {RequestFault::kEndToEnd, RefusalReason::kUnsupported, "The parties encrypt their media from end to end (ICE=optional or force-relay)"},

  {RequestFault::kDeniedSection, RefusalReason::kDeniedAddress, "Section {number} of the SDP names {denial}"},
  {RequestFault::kDeniedSdp, RefusalReason::kDeniedAddress},
  {RequestFault::kDeniedDestination, RefusalReason::kDeniedAddress},
  {RequestFault::kOwnDestination, RefusalReason::kDeniedAddress},

  {RequestFault::kPlainAnswer, RefusalReason::kEncryption, "Plain answer to an encrypted offer (srtp=require): {name}"},
  {RequestFault::kAnswerWithoutKey, RefusalReason::kEncryption, "Encrypted answer without a usable a=crypto line (srtp=require)"},
  {RequestFault::kAnswerTakesNoKey, RefusalReason::kEncryption, "The answer takes no a=crypto line that was offered (srtp=require)"},

  {RequestFault::kUnknownInterface, RefusalReason::kInterface},
  {RequestFault::kUnknownCall, RefusalReason::kUnknownCall},
  {RequestFault::kNothingToDelete, RefusalReason::kUnknownCall},
  {RequestFault::kUnknownLabel, RefusalReason::kUnknownParty},
  {RequestFault::kUnknownAddress, RefusalReason::kUnknownParty},
  {RequestFault::kUnknownFromTag, RefusalReason::kUnknownParty},
  {RequestFault::kUnknownToTag, RefusalReason::kUnknownParty},
  {RequestFault::kUnknownSourceTag, RefusalReason::kUnknownParty},
  {RequestFault::kNoMedias, RefusalReason::kUnknownParty},
  {RequestFault::kFlowToUnknownLabel, RefusalReason::kUnknownParty},
  {RequestFault::kFlowToUnknownTag, RefusalReason::kUnknownParty},
  {RequestFault::kNoSuchFlow, RefusalReason::kOther},
  {RequestFault::kNoFlows, RefusalReason::kOther},

  {RequestFault::kOtherProtocolsCall, RefusalReason::kNameTaken},
  {RequestFault::kSameParty, RefusalReason::kNameTaken, "Invalid dialogue association"},
  {RequestFault::kTagTaken, RefusalReason::kNameTaken},
  {RequestFault::kTagsCollide, RefusalReason::kNameTaken},

  {RequestFault::kNoSdp, RefusalReason::kMessage},
  {RequestFault::kNoCallId, RefusalReason::kMessage},
  {RequestFault::kNoFromTag, RefusalReason::kMessage},
  {RequestFault::kNoToTag, RefusalReason::kMessage},
  {RequestFault::kNoSourceTag, RefusalReason::kMessage},
  {RequestFault::kNoBody, RefusalReason::kMessage},
  {RequestFault::kNoMemberTag, RefusalReason::kMessage},
  {RequestFault::kUnreadableAddress, RefusalReason::kMessage},
  {RequestFault::kUnreadableDestination, RefusalReason::kMessage},
  {RequestFault::kNoDestination, RefusalReason::kMessage},
  {RequestFault::kWrongType, RefusalReason::kMessage},
  {RequestFault::kWrongContent, RefusalReason::kMessage},
  {RequestFault::kUnknownSectionType, RefusalReason::kMessage},
  {RequestFault::kUnknownManipulation, RefusalReason::kMessage},
  {RequestFault::kNegativeLimit, RefusalReason::kOther},

  {RequestFault::kUnservedMediaType, RefusalReason::kUnsupported},
  {RequestFault::kUnservedCommand, RefusalReason::kUnsupported},

  {RequestFault::kSubscriberInDialogue, RefusalReason::kOther},
  {RequestFault::kSubscribesToItself, RefusalReason::kOther},
  {RequestFault::kUnreadableSource, RefusalReason::kOther},
  {RequestFault::kAnswerDoesNotFit, RefusalReason::kOther},
  {RequestFault::kPartyInDialogue, RefusalReason::kOther},
  {RequestFault::kTransformLoop, RefusalReason::kOther},
  {RequestFault::kNoDestinationFamily, RefusalReason::kOther},
  {RequestFault::kTransformChangesCodec, RefusalReason::kOther},
  {RequestFault::kNobodyToConnect, RefusalReason::kUnknownParty},
  {RequestFault::kNotMerged, RefusalReason::kOther},
  {RequestFault::kInjectsItself, RefusalReason::kOther},
  {RequestFault::kNothingInjected, RefusalReason::kOther},
  {RequestFault::kNothingToStop, RefusalReason::kOther},

  {RequestFault::kNoParticipant, RefusalReason::kMessage},
  {RequestFault::kNoSound, RefusalReason::kMessage},
  {RequestFault::kUnplayableFile, RefusalReason::kOther, "The file cannot be played: {name}"},
  {RequestFault::kUnplayableBlob, RefusalReason::kOther, "The content cannot be played: {name}"},
  {RequestFault::kUnplayableNumber, RefusalReason::kOther, "The numbered file cannot be played: {name}"},
  {RequestFault::kNothingPlayed, RefusalReason::kOther},
  {RequestFault::kMusicOnHold, RefusalReason::kOther},
  {RequestFault::kNoDigit, RefusalReason::kMessage},
  {RequestFault::kNotPrepared, RefusalReason::kOther},
  {RequestFault::kNothingSent, RefusalReason::kOther},
  {RequestFault::kNoDigitReceiver, RefusalReason::kOther},
  {RequestFault::kNoDigitCodec, RefusalReason::kOther},
}};
// clang-format on

constexpr const FaultRow& row_of(RequestFault fault) noexcept {
  return kFaultRows[static_cast<std::size_t>(fault)];
}

constexpr RequestFault fault_for(PortFailure failure) noexcept {
  return static_cast<RequestFault>(static_cast<std::uint8_t>(failure));
}
/// `limit`: kDraining to kOverload.
constexpr RequestFault fault_for_limit(RefusalReason limit) noexcept {
  return static_cast<RequestFault>(static_cast<std::uint8_t>(limit));
}

static_assert(
    [] {
      for (std::size_t i = 0; i < kRequestFaults; ++i) {
        if (static_cast<std::size_t>(kFaultRows[i].fault) != i) return false;
        // Failures of ports and limits are their reasons.
        const bool is_its_reason = i <= static_cast<std::size_t>(RequestFault::kOverload);
        if (is_its_reason && static_cast<std::size_t>(kFaultRows[i].reason) != i) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum, and its first values are those of RefusalReason");

/// A refused request: what is wrong with it, and the parts of it that the words name.
struct RequestError {
  RequestFault fault{};
  /// Why `fault` came about, if it is that a part of the command was refused.
  std::optional<RequestFault> cause{};
  /// Of what the client said, as it came: texts from outside.
  std::string name{};
  std::size_t number = 0;
  PeerDenial denial = PeerDenial::kNone;

  // A fault alone is an error: `return fail(RequestFault::kNoSdp);`.
  RequestError(RequestFault what) : fault(what) {}
  RequestError(RequestFault what, std::string named) : fault(what), name(std::move(named)) {}
  RequestError(RequestFault what, PeerDenial why, std::size_t which = 0)
      : fault(what), number(which), denial(why) {}

  /// What really happened.
  [[nodiscard]] RequestFault origin() const { return cause.value_or(fault); }
  [[nodiscard]] RefusalReason refusal() const { return row_of(origin()).reason; }
};

/// The error of a command that failed as `part` of it was refused.
[[nodiscard]] RequestError because(RequestFault fault, const RequestError& part);

/// `pattern` with what the error has in the places `{name}`, `{number}` and `{denial}`.
[[nodiscard]] std::string fill(std::string_view pattern, const RequestError& error);

/// What really happened, for an operator.
[[nodiscard]] std::string in_words(const RequestError& error);

}  // namespace ferry
