// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/ng/fault_texts.hpp"

#include <algorithm>

namespace ferry::ng {

namespace {

/// At this text, and at that of kNoPortsLeft, proxies try another relay. So it stands for every limit, and
/// for every port that cannot be opened for another reason.
constexpr std::string_view kLimitText = "Parallel session limit reached";

// clang-format off
constexpr std::array<FaultText, kRequestFaults> kTexts = {{
  {RequestFault::kNoPortsLeft, "Ran out of ports"},
  {RequestFault::kNoFamily, "The interface has no address of this IP version"},
  {RequestFault::kNoLocalAddress, "The local address is gone from this host"},
  {RequestFault::kNoDescriptors, "No file descriptor is left for a port"},
  {RequestFault::kNoPortMemory, "The host has no memory left for a port"},
  {RequestFault::kPortRefused, "The host refuses to open a port"},
  {RequestFault::kDraining, "The relay is about to stop"},
  {RequestFault::kSessionLimit, kLimitText},
  {RequestFault::kCpuLimit, "CPU usage limit exceeded"},
  {RequestFault::kLoadLimit, "Load limit exceeded"},
  {RequestFault::kBandwidthLimit, "Bandwidth limit exceeded"},
  {RequestFault::kMemoryLimit, "Memory limit exceeded"},
  {RequestFault::kOverload, "Requests come faster than they are served"},
  {RequestFault::kNoMemoryForCall, kLimitText},
  {RequestFault::kOutOfMemory, "Out of memory"},
  {RequestFault::kNoSectionOpened, "Failed to create SDP"},
  {RequestFault::kTooManyParties, "Too many parties in this call"},
  {RequestFault::kTooManySections, "failed to create SDP"},

  {RequestFault::kUnreadableSdp, "Failed to parse SDP"},
  {RequestFault::kIncompleteSection, "Incomplete SDP specification"},
  {RequestFault::kNothingToRelay, "Error rewriting SDP"},
  {RequestFault::kNothingToPublish, "Failed to create SDP"},
  {RequestFault::kDataChannelsOnly, "Data channels are not relayed, and the offer has nothing else"},
  {RequestFault::kEndToEnd, "The parties encrypt their media from end to end (ICE=optional or force-relay)"},

  {RequestFault::kDeniedSection, "Section {number} of the SDP names {denial}"},
  {RequestFault::kDeniedSdp, "The SDP names {denial}"},
  {RequestFault::kDeniedDestination, "The destination names {denial}"},
  {RequestFault::kOwnDestination, "Destination is a media port of this relay"},

  {RequestFault::kPlainAnswer, "Plain answer to an encrypted offer (srtp=require): {name}"},
  {RequestFault::kAnswerWithoutKey, "Encrypted answer without a usable a=crypto line (srtp=require)"},
  {RequestFault::kAnswerTakesNoKey, "The answer takes no a=crypto line that was offered (srtp=require)"},

  {RequestFault::kUnknownInterface, "There is no interface '{name}'"},
  {RequestFault::kUnknownCall, "Unknown call-ID"},
  {RequestFault::kNothingToDelete, "Call-ID not found or tags didn't match"},
  {RequestFault::kUnknownLabel, "No monologue matching the given label"},
  {RequestFault::kUnknownAddress, "Failed to match address to any tag"},
  {RequestFault::kUnknownFromTag, "From-tag given, but no such tag exists"},
  {RequestFault::kUnknownToTag, "To-tag not found"},
  {RequestFault::kUnknownSourceTag, "Source-tag not found"},
  {RequestFault::kNoMedias, "No medias found (no monologues matched)"},
  {RequestFault::kFlowToUnknownLabel, "Media flow not found (to-label not found)"},
  {RequestFault::kFlowToUnknownTag, "Media flow not found (to-tag not found)"},
  {RequestFault::kNoSuchFlow, "Media flow not found (to-tag not subscribed)"},
  {RequestFault::kNoFlows, "No eligible media subscriptions found"},

  {RequestFault::kOtherProtocolsCall, "The call belongs to the rtpproxy protocol"},
  {RequestFault::kSameParty, "Invalid dialogue association"},
  {RequestFault::kTagTaken, "Invalid dialogue association"},
  {RequestFault::kTagsCollide, "Failed to merge two calls into one (tag collision)"},

  {RequestFault::kNoSdp, "No SDP body in message"},
  {RequestFault::kNoCallId, "No call-id in message"},
  {RequestFault::kNoFromTag, "No from-tag in message"},
  {RequestFault::kNoToTag, "No to-tag in message"},
  {RequestFault::kNoSourceTag, "No source-tag in message"},
  {RequestFault::kNoBody, "No 'body' in message"},
  {RequestFault::kNoMemberTag, "Empty/missing from-tag"},
  {RequestFault::kUnreadableAddress, "Failed to parse network address"},
  {RequestFault::kUnreadableDestination, "Failed to parse destination address"},
  {RequestFault::kNoDestination, "No output-destination given: nothing is forwarded"},
  {RequestFault::kWrongType, "wrong type used"},
  {RequestFault::kWrongContent, "wrong content given"},
  {RequestFault::kUnknownSectionType, "unsupported sdp section"},
  {RequestFault::kUnknownManipulation, "unknown manipulation command"},
  {RequestFault::kNegativeLimit, "invalid limit, must be >= 0"},

  {RequestFault::kUnservedMediaType, "unsupported sdp section"},
  {RequestFault::kUnservedCommand, "Command '{name}' is not supported by this version"},

  {RequestFault::kSubscriberInDialogue, "Failed to request subscription"},
  {RequestFault::kSubscribesToItself, "Failed to request subscription"},
  {RequestFault::kUnreadableSource, "Failed to request subscription"},
  {RequestFault::kAnswerDoesNotFit, "Failed to process subscription answer"},
  {RequestFault::kPartyInDialogue, "failed to perform answer"},
  {RequestFault::kTransformLoop, "Transform loop detected"},
  {RequestFault::kNoDestinationFamily, "Failed to set up transform"},
  {RequestFault::kTransformChangesCodec, "Failed to set up transform"},
  {RequestFault::kNobodyToConnect, "To-tag not found: nothing connected"},
  {RequestFault::kNotMerged, "Failed to merge two calls into one"},
  {RequestFault::kInjectsItself, "Trying to inject to self"},
  {RequestFault::kNothingInjected, "Failed to start inject"},
  {RequestFault::kNothingToStop, "Failed to stop inject"},

  {RequestFault::kNoParticipant, "No participant party specified"},
  {RequestFault::kNoSound, "No media file specified"},
  {RequestFault::kUnplayableFile, "Failed to start media playback from file"},
  {RequestFault::kUnplayableBlob, "Failed to start media playback from blob"},
  {RequestFault::kUnplayableNumber, "Failed to start media playback from database"},
  {RequestFault::kNothingPlayed, "Not currently playing media"},
  {RequestFault::kMusicOnHold, "Currently MoH ongoing, ignore stop media."},
  {RequestFault::kNoDigit, "Out of range 'code' specified"},
  {RequestFault::kNotPrepared, "Monologue has no media capable of DTMF injection"},
  {RequestFault::kNothingSent, "No SSRC context present for DTMF injection"},
  {RequestFault::kNoDigitReceiver, "There is no sink media capable of DTMF playback"},
  {RequestFault::kNoDigitCodec, "No matching codec handler"},
}};

constexpr auto kSpellings = std::to_array<FaultSpelling>({
  {"answer", RequestFault::kUnknownCall, "Unknown call-id"},
  {"query", RequestFault::kUnknownCall, "Unknown call-id"},
  {"start recording", RequestFault::kUnknownCall, "Unknown call-id"},
  {"stop recording", RequestFault::kUnknownCall, "Unknown call-id"},
  {"pause recording", RequestFault::kUnknownCall, "Unknown call-id"},
  {"subscribe request", RequestFault::kUnknownCall, "Unknown call-ID(s)"},
  {"connect", RequestFault::kUnknownCall, "Unknown call-ID(s)"},
  {"inject start", RequestFault::kUnknownCall, "Unknown call-ID(s)"},
  {"inject stop", RequestFault::kUnknownCall, "Unknown call-ID(s)"},
  {"mesh", RequestFault::kUnknownCall, "Unknown call ID(s)"},
  {"create answer", RequestFault::kUnknownCall, "unknown call-ID"},
  {"unsubscribe", RequestFault::kUnknownFromTag, "From-tag not found"},
  {"create answer", RequestFault::kUnknownFromTag, "from-tag not found"},
  {"mesh", RequestFault::kUnknownFromTag, "Given from-tag not found"},
  {"mesh", RequestFault::kUnknownToTag, "Given to-tag not found"},
  {"mesh", RequestFault::kTagsCollide, "Failed to merge calls (tag collision)"},
  {"inject start", RequestFault::kNotMerged, "Failed to start inject"},
  {"create", RequestFault::kNoSectionOpened, "failed to create SDP"},
  {"create", RequestFault::kTagTaken, "failed to set up call/monologue"},
  {"create", RequestFault::kTooManyParties, "failed to set up call/monologue"},
  {"transform", RequestFault::kNoSectionOpened, "Failed to set up transform"},
  {"transform", RequestFault::kTagTaken, "Failed to set up transform"},
  {"transform", RequestFault::kTooManyParties, "Failed to set up transform"},
});
// clang-format on

static_assert(
    [] {
      for (std::size_t i = 0; i < kRequestFaults; ++i) {
        if (static_cast<std::size_t>(kTexts[i].fault) != i || kTexts[i].text.empty()) return false;
      }
      return true;
    }(),
    "rows are in the order of the enum");

std::string_view pattern_of(RequestFault fault, std::string_view command) {
  const auto* const found = std::ranges::find_if(
      kSpellings, [&](const FaultSpelling& each) { return each.fault == fault && each.command == command; });
  return found != kSpellings.end() ? found->text : kTexts[static_cast<std::size_t>(fault)].text;
}

/// Another relay may have what this one lacks. Without ports proxies know that by the text itself.
constexpr bool is_limit(RequestFault fault) {
  return fault <= RequestFault::kOverload && fault != RequestFault::kNoPortsLeft;
}

}  // namespace

const std::array<FaultText, kRequestFaults>& fault_texts() { return kTexts; }

std::span<const FaultSpelling> fault_spellings() { return kSpellings; }

std::string text_of(const RequestError& error, std::string_view command) {
  return fill(pattern_of(error.fault, command), error);
}

Dict refusal_reply(const RequestError& error, std::string_view command, bool knows_load_limit) {
  Dict reply;
  const std::string text = text_of(error, command);
  if (is_limit(error.fault)) {
    // A copy that has no port keeps no call out.
    if (knows_load_limit && command != "start forwarding") {
      reply.set("result", "load limit");
      reply.set("message", text);
      return reply;
    }
    reply.set("result", "error");
    reply.set("error-reason", kLimitText);
    if (text != kLimitText) reply.set("message", text);
    return reply;
  }
  if (error.fault == RequestFault::kNothingToRelay) reply.set("sdp", "");
  reply.set("result", "error");
  reply.set("error-reason", text);
  if (error.cause) reply.set("message", fill(pattern_of(*error.cause, command), error));
  return reply;
}

}  // namespace ferry::ng
