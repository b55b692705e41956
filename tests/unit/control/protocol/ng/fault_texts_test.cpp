// SPDX-License-Identifier: Apache-2.0
// The texts of refused requests: clients compare them, so each is written here a second time.

#include "control/protocol/ng/fault_texts.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using ng::fault_spellings;
using ng::fault_texts;
using ng::refusal_reply;
using ng::text_of;
using F = RequestFault;

std::string value_of(const Dict& reply, std::string_view key) {
  const Value* value = reply.find(key);
  return value != nullptr && value->string() != nullptr ? *value->string() : "(none)";
}

struct Refusal {
  const char* command;
  F fault;
  const char* text;
};

/// The rows of docs/reference/ng.md#errors.
constexpr Refusal kDocumented[] = {
    {"offer", F::kSessionLimit, "Parallel session limit reached"},
    {"publish", F::kNoMemoryForCall, "Parallel session limit reached"},
    {"offer", F::kNoPortsLeft, "Ran out of ports"},
    {"offer", F::kDataChannelsOnly, "Data channels are not relayed, and the offer has nothing else"},
    {"answer", F::kUnknownCall, "Unknown call-id"},
    {"query", F::kUnknownCall, "Unknown call-id"},
    {"start recording", F::kUnknownCall, "Unknown call-id"},
    {"stop recording", F::kUnknownCall, "Unknown call-id"},
    {"pause recording", F::kUnknownCall, "Unknown call-id"},
    {"block DTMF", F::kUnknownCall, "Unknown call-ID"},
    {"unblock DTMF", F::kUnknownCall, "Unknown call-ID"},
    {"block media", F::kUnknownCall, "Unknown call-ID"},
    {"unblock media", F::kUnknownCall, "Unknown call-ID"},
    {"silence media", F::kUnknownCall, "Unknown call-ID"},
    {"unsilence media", F::kUnknownCall, "Unknown call-ID"},
    {"start forwarding", F::kUnknownCall, "Unknown call-ID"},
    {"stop forwarding", F::kUnknownCall, "Unknown call-ID"},
    {"subscribe answer", F::kUnknownCall, "Unknown call-ID"},
    {"unsubscribe", F::kUnknownCall, "Unknown call-ID"},
    {"subscribe request", F::kUnknownCall, "Unknown call-ID(s)"},
    {"connect", F::kUnknownCall, "Unknown call-ID(s)"},
    {"inject start", F::kUnknownCall, "Unknown call-ID(s)"},
    {"inject stop", F::kUnknownCall, "Unknown call-ID(s)"},
    {"mesh", F::kUnknownCall, "Unknown call ID(s)"},
    {"create answer", F::kUnknownCall, "unknown call-ID"},
    {"delete", F::kNothingToDelete, "Call-ID not found or tags didn't match"},
    {"offer", F::kNoSdp, "No SDP body in message"},
    {"offer", F::kNoCallId, "No call-id in message"},
    {"offer", F::kNoFromTag, "No from-tag in message"},
    {"answer", F::kNoToTag, "No to-tag in message"},
    {"inject start", F::kNoSourceTag, "No source-tag in message"},
    {"cli", F::kNoBody, "No 'body' in message"},
    {"offer", F::kUnreadableSdp, "Failed to parse SDP"},
    {"offer", F::kIncompleteSection, "Incomplete SDP specification"},
    {"offer", F::kNothingToRelay, "Error rewriting SDP"},
    {"publish", F::kNothingToPublish, "Failed to create SDP"},
    {"publish", F::kNoSectionOpened, "Failed to create SDP"},
    {"create", F::kTooManySections, "failed to create SDP"},
    {"create", F::kNoSectionOpened, "failed to create SDP"},
    {"transform", F::kNoSectionOpened, "Failed to set up transform"},
    {"offer", F::kSameParty, "Invalid dialogue association"},
    {"publish", F::kTagTaken, "Invalid dialogue association"},
    {"create", F::kTagTaken, "failed to set up call/monologue"},
    {"transform", F::kTagTaken, "Failed to set up transform"},
    {"offer", F::kTooManyParties, "Too many parties in this call"},
    {"publish", F::kTooManyParties, "Too many parties in this call"},
    {"subscribe request", F::kTooManyParties, "Too many parties in this call"},
    {"start forwarding", F::kTooManyParties, "Too many parties in this call"},
    {"create", F::kTooManyParties, "failed to set up call/monologue"},
    {"transform", F::kTooManyParties, "Failed to set up transform"},
    {"answer", F::kOtherProtocolsCall, "The call belongs to the rtpproxy protocol"},
    {"answer", F::kAnswerWithoutKey, "Encrypted answer without a usable a=crypto line (srtp=require)"},
    {"answer", F::kAnswerTakesNoKey, "The answer takes no a=crypto line that was offered (srtp=require)"},
    {"block media", F::kUnknownLabel, "No monologue matching the given label"},
    {"block media", F::kUnreadableAddress, "Failed to parse network address"},
    {"block media", F::kUnknownAddress, "Failed to match address to any tag"},
    {"block media", F::kUnknownFromTag, "From-tag given, but no such tag exists"},
    {"subscribe request", F::kUnknownFromTag, "From-tag given, but no such tag exists"},
    {"connect", F::kUnknownFromTag, "From-tag given, but no such tag exists"},
    {"unsubscribe", F::kUnknownFromTag, "From-tag not found"},
    {"create answer", F::kUnknownFromTag, "from-tag not found"},
    {"mesh", F::kUnknownFromTag, "Given from-tag not found"},
    {"mesh", F::kUnknownToTag, "Given to-tag not found"},
    {"subscribe answer", F::kUnknownToTag, "To-tag not found"},
    {"unsubscribe", F::kUnknownToTag, "To-tag not found"},
    {"inject start", F::kUnknownToTag, "To-tag not found"},
    {"inject stop", F::kUnknownSourceTag, "Source-tag not found"},
    {"connect", F::kNoMedias, "No medias found (no monologues matched)"},
    {"block media", F::kFlowToUnknownTag, "Media flow not found (to-tag not found)"},
    {"block media", F::kFlowToUnknownLabel, "Media flow not found (to-label not found)"},
    {"block media", F::kNoSuchFlow, "Media flow not found (to-tag not subscribed)"},
    {"block media", F::kNoFlows, "No eligible media subscriptions found"},
    {"start forwarding", F::kUnreadableDestination, "Failed to parse destination address"},
    {"start forwarding", F::kOwnDestination, "Destination is a media port of this relay"},
    {"start forwarding", F::kNoDestination, "No output-destination given: nothing is forwarded"},
    {"subscribe request", F::kSubscriberInDialogue, "Failed to request subscription"},
    {"subscribe request", F::kSubscribesToItself, "Failed to request subscription"},
    {"subscribe request", F::kUnreadableSource, "Failed to request subscription"},
    {"subscribe answer", F::kAnswerDoesNotFit, "Failed to process subscription answer"},
    {"create answer", F::kPartyInDialogue, "failed to perform answer"},
    {"mesh", F::kNoMemberTag, "Empty/missing from-tag"},
    {"connect", F::kTagsCollide, "Failed to merge two calls into one (tag collision)"},
    {"inject start", F::kTagsCollide, "Failed to merge two calls into one (tag collision)"},
    {"mesh", F::kTagsCollide, "Failed to merge calls (tag collision)"},
    {"connect", F::kNotMerged, "Failed to merge two calls into one"},
    {"inject start", F::kNotMerged, "Failed to start inject"},
    {"connect", F::kNobodyToConnect, "To-tag not found: nothing connected"},
    {"inject start", F::kInjectsItself, "Trying to inject to self"},
    {"inject start", F::kNothingInjected, "Failed to start inject"},
    {"inject stop", F::kNothingToStop, "Failed to stop inject"},
    {"transform", F::kTransformLoop, "Transform loop detected"},
    {"transform", F::kNoDestinationFamily, "Failed to set up transform"},
    {"transform", F::kTransformChangesCodec, "Failed to set up transform"},
    {"start recording", F::kEndToEnd,
     "The parties encrypt their media from end to end (ICE=optional or force-relay)"},
    {"play media", F::kNoParticipant, "No participant party specified"},
    {"play media", F::kNoSound, "No media file specified"},
    {"play media", F::kUnplayableFile, "Failed to start media playback from file"},
    {"play media", F::kUnplayableBlob, "Failed to start media playback from blob"},
    {"play media", F::kUnplayableNumber, "Failed to start media playback from database"},
    {"stop media", F::kNothingPlayed, "Not currently playing media"},
    {"stop media", F::kMusicOnHold, "Currently MoH ongoing, ignore stop media."},
    {"play DTMF", F::kNoDigit, "Out of range 'code' specified"},
    {"play DTMF", F::kNotPrepared, "Monologue has no media capable of DTMF injection"},
    {"play DTMF", F::kNothingSent, "No SSRC context present for DTMF injection"},
    {"play DTMF", F::kNoDigitReceiver, "There is no sink media capable of DTMF playback"},
    {"play DTMF", F::kNoDigitCodec, "No matching codec handler"},
    {"list", F::kNegativeLimit, "invalid limit, must be >= 0"},
    {"offer", F::kWrongType, "wrong type used"},
    {"offer", F::kWrongContent, "wrong content given"},
    {"offer", F::kUnknownSectionType, "unsupported sdp section"},
    {"create", F::kUnservedMediaType, "unsupported sdp section"},
    {"offer", F::kUnknownManipulation, "unknown manipulation command"},
    {"offer", F::kOutOfMemory, "Out of memory"},
};

/// Faults that have a test of their own below.
constexpr F kElsewhere[] = {
    F::kNoFamily,         F::kNoLocalAddress, F::kNoDescriptors, F::kNoPortMemory,   F::kPortRefused,
    F::kDraining,         F::kCpuLimit,       F::kLoadLimit,     F::kBandwidthLimit, F::kMemoryLimit,
    F::kOverload,         F::kDeniedSection,  F::kDeniedSdp,     F::kPlainAnswer,    F::kDeniedDestination,
    F::kUnknownInterface, F::kUnservedCommand};

TEST(FaultTexts, AreThoseThatClientsCompare) {
  for (const Refusal& row : kDocumented) {
    EXPECT_EQ(text_of(row.fault, row.command), row.text) << row.command;
    EXPECT_EQ(value_of(refusal_reply(row.fault, row.command, false), "error-reason"), row.text);
  }
}

TEST(FaultTexts, EachFaultIsTested) {
  std::set<F> tested(std::begin(kElsewhere), std::end(kElsewhere));
  for (const Refusal& row : kDocumented) tested.insert(row.fault);
  for (const ng::FaultText& row : fault_texts()) {
    EXPECT_FALSE(row.text.empty());
    EXPECT_TRUE(tested.contains(row.fault)) << row.text;
  }
}

TEST(FaultTexts, EachSpellingIsTestedAndIsAnother) {
  for (const ng::FaultSpelling& row : fault_spellings()) {
    EXPECT_TRUE(std::ranges::any_of(
        kDocumented,
        [&](const Refusal& tested) { return tested.fault == row.fault && tested.command == row.command; }))
        << row.command << ": " << row.text;
    EXPECT_NE(row.text, fault_texts()[static_cast<std::size_t>(row.fault)].text) << row.command;
  }
}

TEST(FaultTexts, NameWhatTheErrorHas) {
  const RequestError section(F::kDeniedSection, PeerDenial::kNoParty, 2);
  const std::string denied(row_of(PeerDenial::kNoParty).meaning);
  EXPECT_EQ(text_of(section, "offer"), "Section 2 of the SDP names " + denied);
  EXPECT_EQ(text_of({F::kDeniedSdp, PeerDenial::kNoParty}, "publish"), "The SDP names " + denied);
  EXPECT_EQ(text_of({F::kDeniedDestination, PeerDenial::kNoParty}, "start forwarding"),
            "The destination names " + denied);
  EXPECT_EQ(text_of({F::kPlainAnswer, "RTP/AVP"}, "answer"),
            "Plain answer to an encrypted offer (srtp=require): RTP/AVP");
  EXPECT_EQ(text_of({F::kUnknownInterface, "in{name}"}, "offer"), "There is no interface 'in{name}'");
  EXPECT_EQ(text_of({F::kUnservedCommand, "play media"}, "play media"),
            "Command 'play media' is not supported by this version");
}

// Proxies try another relay at two texts, or at `load limit` if they announced it.
TEST(FaultTexts, LimitsAreToldAsTheOneThatProxiesKnow) {
  constexpr std::pair<F, const char*> kLimits[] = {
      {F::kNoFamily, "The interface has no address of this IP version"},
      {F::kNoLocalAddress, "The local address is gone from this host"},
      {F::kNoDescriptors, "No file descriptor is left for a port"},
      {F::kNoPortMemory, "The host has no memory left for a port"},
      {F::kPortRefused, "The host refuses to open a port"},
      {F::kDraining, "The relay is about to stop"},
      {F::kCpuLimit, "CPU usage limit exceeded"},
      {F::kLoadLimit, "Load limit exceeded"},
      {F::kBandwidthLimit, "Bandwidth limit exceeded"},
      {F::kMemoryLimit, "Memory limit exceeded"},
      {F::kOverload, "Requests come faster than they are served"},
  };
  for (const auto& [fault, text] : kLimits) {
    const Dict plain = refusal_reply(fault, "offer", false);
    EXPECT_EQ(value_of(plain, "result"), "error") << text;
    EXPECT_EQ(value_of(plain, "error-reason"), "Parallel session limit reached") << text;
    EXPECT_EQ(value_of(plain, "message"), text);
    const Dict known = refusal_reply(fault, "offer", true);
    EXPECT_EQ(value_of(known, "result"), "load limit") << text;
    EXPECT_EQ(value_of(known, "message"), text);
    EXPECT_EQ(value_of(known, "error-reason"), "(none)") << text;
    EXPECT_EQ(value_of(refusal_reply(fault, "start forwarding", true), "result"), "error") << text;
  }
  const Dict sessions = refusal_reply(F::kSessionLimit, "offer", false);
  EXPECT_EQ(value_of(sessions, "message"), "(none)");
  EXPECT_EQ(value_of(refusal_reply(F::kSessionLimit, "offer", true), "result"), "load limit");
  for (const F fault : {F::kNoPortsLeft, F::kNoMemoryForCall, F::kOutOfMemory}) {
    EXPECT_EQ(value_of(refusal_reply(fault, "offer", true), "result"), "error");
    EXPECT_EQ(value_of(refusal_reply(fault, "offer", true), "message"), "(none)");
  }
}

TEST(FaultTexts, ACommandThatFailedInAPartNamesTheCauseBeside) {
  for (const auto& [fault, text] : {std::pair{F::kNoPortsLeft, "Ran out of ports"},
                                    {F::kNoDescriptors, "No file descriptor is left for a port"}}) {
    const RequestError error = because(F::kNoSectionOpened, fault);
    const Dict reply = refusal_reply(error, "create", true);
    EXPECT_EQ(value_of(reply, "result"), "error");
    EXPECT_EQ(value_of(reply, "error-reason"), "failed to create SDP");
    EXPECT_EQ(value_of(reply, "message"), text);
    EXPECT_EQ(error.refusal(), row_of(fault).reason);
    EXPECT_EQ(in_words(error), text);
  }
}

TEST(FaultTexts, OnlyAnSdpWithoutSectionsIsAnsweredWithAnEmptyOne) {
  for (const ng::FaultText& row : fault_texts()) {
    const Dict reply = refusal_reply(row.fault, "offer", false);
    EXPECT_EQ(value_of(reply, "sdp"), row.fault == F::kNothingToRelay ? "" : "(none)") << row.text;
    EXPECT_EQ(value_of(reply, "result"), "error") << row.text;
  }
}

}  // namespace
}  // namespace ferry::test
