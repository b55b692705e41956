// SPDX-License-Identifier: Apache-2.0
// What explain says of each party as a sender: rows `from`, by stories of calls.

#include "control/diagnose/drop_causes.hpp"
#include "relay/core/rtp/static_types.hpp"
#include "tests/support/call_story.hpp"

#include <sstream>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

struct Telling {
  std::string_view name;
  void (*tell)(CallStory& story);
  Cause cause;
  Severity severity;
};

constexpr Severity kFine = Severity::kFine;
constexpr Severity kNote = Severity::kNote;
constexpr Severity kFault = Severity::kFault;

SsrcCounters& stream_of(CallEvidence& call, Party who = A) {
  return call.legs[who.leg].medias[who.media].seen.ingress.front().counters;
}
RecentStream& recent_of(CallEvidence& call, Party who = A) {
  return call.legs[who.leg].medias[who.media].seen.ingress.front().recent;
}
void ends_with_silence_frame(CallStory& story, Duration ago, std::uint8_t type, std::uint16_t octets) {
  story.stops(A, ago).sends_type(A, type).with(
      [octets](CallEvidence& call) { stream_of(call).last_payload_size = octets; });
}
void sends_rtcp(CallStory& story, Duration ago) {
  story.with_media(A, [ago](MediaEvidence& media) { media.seen.last_packet[1] = CallStory::now() - ago; });
}
/// B's numbers under its key: packets of A that may not leave again.
void repeats_toward_b(CallStory& story, double percent) {
  story.drops_toward(B, DropReason::kReplayed, percent);
}

/// So many packets were refused lately, of forty in the call; the newest of them is comfort noise.
void refuses_noise(CallStory& story, std::uint32_t lately) {
  story.with_media(A, [lately](MediaEvidence& media) {
    media.seen.recent_drops.add(DropSide::kArriving, DropReason::kReplayed, lately);
    Refusal refusal;
    refusal.reason = DropReason::kReplayed;
    refusal.type = PayloadType{kComfortNoiseType};
    refusal.from = media.signalled;
    refusal.times = 40;
    refusal.first = CallStory::now() - 30s;
    refusal.last = CallStory::now() - 1s;
    media.seen.refusals.push_back(refusal);
  });
}

/// After a hold that ended just now, so many packets came from elsewhere.
void is_refused_behind_a_hold(CallStory& story, std::uint32_t times) {
  story.stops(A, 14s).was_signalled(1s).with_media(A, [times](MediaEvidence& media) {
    for (const std::optional<DropTrait> trait : {std::optional<DropTrait>{}, {DropTrait::kForeign}})
      media.seen.recent_drops.add(DropSide::kArriving, DropReason::kForeignSource, times, trait);
    Refusal refusal;
    refusal.reason = DropReason::kForeignSource;
    refusal.type = PayloadType{8};
    refusal.from = *Endpoint::parse("203.0.113.200:4000");
    refusal.times = times;
    refusal.first = refusal.last = CallStory::now() - 20ms;
    media.seen.refusals.push_back(refusal);
  });
}

// clang-format off
const std::vector<Telling> kTellings = {
  {"all is well", [](CallStory&) {}, Cause::kFine, kFine},
  {"a call of two seconds", [](CallStory& s) { s.lasts(2s); }, Cause::kFine, kFine},
  {"loss of 1 % is not heard", [](CallStory& s) { s.loses(A, 1); }, Cause::kFine, kFine},
  {"loss of 2.5 %", [](CallStory& s) { s.loses(A, 2.5); }, Cause::kLossy, kNote},
  {"loss of 5 %", [](CallStory& s) { s.loses(A, 5); }, Cause::kLossy, kNote},
  {"loss of 2.5 % of a short call", [](CallStory& s) { s.lasts(4s).loses(A, 2.5); }, Cause::kLossy, kNote},
  {"loss of 2.5 % is over", [](CallStory& s) { s.lasts(300s).loses(A, 2.5, When::kEarlier); }, Cause::kLossy, kNote},
  {"loss of 7.5 % only lately", [](CallStory& s) { s.lasts(600s).loses(A, 7.5, When::kLately); }, Cause::kLossy, kNote},
  {"loss of 15 % only lately", [](CallStory& s) { s.lasts(600s).loses(A, 15, When::kLately); }, Cause::kBrokenUp, kFault},
  {"loss of 15 %", [](CallStory& s) { s.loses(A, 15); }, Cause::kBrokenUp, kFault},
  {"loss of 60 %", [](CallStory& s) { s.loses(A, 60); }, Cause::kBrokenUp, kFault},
  {"two holes of 240 ms", [](CallStory& s) { s.loses(A, 4.8, When::kLately, 12); }, Cause::kInterrupted, kNote},
  {"one hole of 240 ms", [](CallStory& s) { s.loses(A, 2.4, When::kLately, 12); }, Cause::kInterrupted, kNote},
  {"one hole of 3 s", [](CallStory& s) { s.loses(A, 30, When::kLately, 150); }, Cause::kBrokenUp, kFault},
  {"uneven packets", [](CallStory& s) { s.jitters(A, 80ms); }, Cause::kLossy, kNote},
  {"jitter of 30 ms is what buffers are for", [](CallStory& s) { s.jitters(A, 30ms); }, Cause::kFine, kFine},
  {"all packets twice", [](CallStory& s) { s.doubles(A, 100); }, Cause::kDuplicated, kNote},
  {"some packets twice", [](CallStory& s) { s.doubles(A, 5, When::kLately); }, Cause::kDuplicated, kNote},
  {"encrypted packets twice", [](CallStory& s) { s.refuses_copies(A, DropReason::kReplayed, 50); }, Cause::kDuplicated, kNote},
  {"old packets again", [](CallStory& s) { s.refuses_copies(A, DropReason::kSequenceJump, 50); }, Cause::kDuplicated, kNote},
  {"old packets again, of a party that has just paused for 6 s", [](CallStory& s) { s.refuses_copies(A, DropReason::kReplayed, 20).with([](CallEvidence& call) {
       recent_of(call).counts.packets = recent_of(call).counts.expected = 200; }); }, Cause::kDuplicated, kNote},
  {"old packets go round while the party pauses", [](CallStory& s) { s.pauses_with_comfort_noise(A, 8s).refuses_copies(A, DropReason::kReplayed, 50).with([](CallEvidence& call) {
       call.legs[0].medias[0].seen.refusals.front().last = CallStory::now(); }); }, Cause::kSilenceSuppressed, kNote},
  {"old packets again, and 5 % lost", [](CallStory& s) { s.loses(A, 5).refuses_copies(A, DropReason::kReplayed, 50); }, Cause::kLossy, kNote},

  {"begins again under its old key", [](CallStory& s) { s.refuses(A, DropReason::kReplayed, 100, When::kLately); }, Cause::kReplayed, kFault},
  {"begins again, half refused", [](CallStory& s) { s.refuses(A, DropReason::kReplayed, 50, When::kLately); }, Cause::kReplayed, kFault},
  {"begins again, a little refused", [](CallStory& s) { s.refuses(A, DropReason::kReplayed, 5, When::kLately); }, Cause::kReplayed, kNote},
  {"two streams under one SSRC", [](CallStory& s) { s.refuses(A, DropReason::kSequenceJump, 50); }, Cause::kSequenceJumps, kFault},
  {"few jumps", [](CallStory& s) { s.refuses(A, DropReason::kSequenceJump, 4); }, Cause::kSequenceJumps, kNote},
  {"one jump as a sender starts again", [](CallStory& s) { s.with([](CallEvidence& call) {
       call.legs[0].medias[0].seen.recent_drops.add(DropSide::kArriving, DropReason::kSequenceJump, 1);
       recent_of(call).counts.resets = 1; }); }, Cause::kFine, kFine},
  {"begins its numbers anew again and again", [](CallStory& s) { s.with([](CallEvidence& call) { recent_of(call).counts.resets = 9; }); },
   Cause::kSequenceJumps, kNote},
  {"steps back toward an encrypting side", [](CallStory& s) { repeats_toward_b(s, 40); }, Cause::kSequenceJumps, kFault},
  {"leaps now and then toward an encrypting side", [](CallStory& s) { repeats_toward_b(s, 3); }, Cause::kSequenceJumps, kNote},
  {"copies toward an encrypting side", [](CallStory& s) { s.doubles(A, 100); repeats_toward_b(s, 100); }, Cause::kDuplicated, kNote},
  {"many SSRCs, all refused lately", [](CallStory& s) { s.refuses(A, DropReason::kSsrcNotAdmitted, 100, When::kLately); }, Cause::kSsrcsRefused, kFault},
  {"many SSRCs, refused from the first on", [](CallStory& s) { s.refuses(A, DropReason::kSsrcNotAdmitted, 100); }, Cause::kSsrcsRefused, kFault},
  {"many SSRCs, half refused", [](CallStory& s) { s.refuses(A, DropReason::kSsrcNotAdmitted, 50); }, Cause::kSsrcsRefused, kFault},
  {"the key is worn out", [](CallStory& s) { s.refuses(A, DropReason::kKeyExhausted, 100, When::kLately); }, Cause::kKeyWornOut, kFault},
  {"no memory for all of it", [](CallStory& s) { s.refuses(A, DropReason::kNoMemory, 20); }, Cause::kOverloaded, kFault},
  {"a codec that nobody negotiated", [](CallStory& s) { s.refuses(A, DropReason::kUnknownPayloadType, 100, When::kLately); }, Cause::kUnknownPayloadType, kFault},
  {"events that nobody negotiated", [](CallStory& s) { s.refuses(A, DropReason::kUnknownPayloadType, 1); }, Cause::kFine, kFine},
  {"another key, a few packets of a stranger", [](CallStory& s) { s.refuses_stranger(A, DropReason::kNotAuthentic, 20); }, Cause::kOtherSourceToo, kNote},
  {"floods the relay with copies of its packets", [](CallStory& s) { s.with([](CallEvidence& call) {
       call.legs[0].medias[0].seen.recent_drops.add(DropSide::kArriving, DropReason::kRateLimited, 2500); }); }, Cause::kDuplicated, kNote},
  {"floods the relay, and a fifth does not fit", [](CallStory& s) { s.refuses(A, DropReason::kRateLimited, 20).with([](CallEvidence& call) {
       call.legs[0].medias[0].seen.recent_drops.add(DropSide::kArriving, DropReason::kRateLimited, 2500); }); }, Cause::kRateLimited, kFault},
  {"another key, and a flood of a stranger's after it", [](CallStory& s) { s.refuses(A, DropReason::kNotAuthentic, 20).refuses_stranger(A, DropReason::kNotAuthentic, 500); }, Cause::kNotAuthentic, kFault},
  {"numbers out of place leave gaps: 9 % are missing, not 18", [](CallStory& s) { s.loses(A, 9).refuses(A, DropReason::kSequenceJump, 9.9).with([](CallEvidence& call) {
       MediaView& seen = call.legs[0].medias[0].seen;
       recent_of(call).counts.expected = 500;
       recent_of(call).counts.packets = 455;
       seen.recent_drops.add(DropSide::kArriving, DropReason::kNone, 45, DropTrait::kInGap); }); }, Cause::kSequenceJumps, kNote},
  {"steps back five times, and four packets wait for their SSRC: 9 are missing", [](CallStory& s) { s.with([](CallEvidence& call) {
       MediaView& seen = call.legs[0].medias[0].seen;
       recent_of(call).counts.expected = 284;
       recent_of(call).counts.packets = 280;
       recent_of(call).counts.resets = 5;
       seen.recent_drops.add(DropSide::kArriving, DropReason::kSequenceJump, 5);
       seen.recent_drops.add(DropSide::kArriving, DropReason::kNone, 4, DropTrait::kInGap); }); }, Cause::kSequenceJumps, kNote},
  {"a stranger beside", [](CallStory& s) { s.refuses_stranger(A, DropReason::kForeignSource, 50); }, Cause::kOtherSourceToo, kNote},
  {"a flood of strangers beside", [](CallStory& s) { s.refuses_stranger(A, DropReason::kForeignSource, 5000); }, Cause::kOtherSourceToo, kNote},
  {"moved, and is refused", [](CallStory& s) { s.stops(A, 8s).refuses_stranger(A, DropReason::kForeignSource, 50, When::kLately).with([](CallEvidence& call) {
       call.legs[0].medias[0].seen.refusals.front().last = CallStory::now(); }); }, Cause::kSourceRefused, kFault},

  {"two packets from elsewhere behind a hold", [](CallStory& s) { is_refused_behind_a_hold(s, 2); }, Cause::kWaiting, kNote},
  {"three packets from elsewhere behind a hold", [](CallStory& s) { is_refused_behind_a_hold(s, 3); }, Cause::kSourceRefused, kFault},

  {"halts for 200 ms", [](CallStory& s) { s.stops(A, 200ms); }, Cause::kFine, kFine},
  {"halts for 400 ms", [](CallStory& s) { s.stops(A, 400ms); }, Cause::kInterrupted, kNote},
  {"halts for 2 s", [](CallStory& s) { s.stops(A, 2s); }, Cause::kInterrupted, kFault},
  {"stopped", [](CallStory& s) { s.stops(A, 8s); }, Cause::kStopped, kFault},
  {"stopped long ago", [](CallStory& s) { s.lasts(600s).stops(A, 300s); }, Cause::kStopped, kFault},
  {"speaks for a second after a pause of 20 s, and halts for 3 s", [](CallStory& s) { s.stops(A, 3s).with([](CallEvidence& call) {
       recent_of(call).counts.packets = recent_of(call).counts.expected = 40;
       stream_of(call).longest_gap_ticks = static_cast<std::uint32_t>(Duration{20s}.count() >> 10); }); }, Cause::kInterrupted, kFault},
  {"hangs up 2 s before the delete", [](CallStory& s) { s.stops(A, 2s).with([](CallEvidence& call) { call.is_over = true; }); }, Cause::kFine, kFine},
  {"was gone 8 s before the delete", [](CallStory& s) { s.stops(A, 8s).with([](CallEvidence& call) { call.is_over = true; }); }, Cause::kStopped, kFault},
  {"goes on with RTCP alone", [](CallStory& s) { s.stops(A, 8s); sends_rtcp(s, 2s); }, Cause::kStopped, kFault},

  {"comfort noise, a moment ago", [](CallStory& s) { s.pauses_with_comfort_noise(A, 1s); }, Cause::kFine, kFine},
  {"comfort noise, half a minute ago", [](CallStory& s) { s.pauses_with_comfort_noise(A, 30s); }, Cause::kSilenceSuppressed, kNote},
  {"comfort noise, three minutes ago, with RTCP", [](CallStory& s) { s.lasts(600s).pauses_with_comfort_noise(A, 180s); sends_rtcp(s, 4s); }, Cause::kSilenceSuppressed, kNote},
  {"comfort noise, three minutes ago, and not a word since", [](CallStory& s) { s.lasts(600s).pauses_with_comfort_noise(A, 180s); }, Cause::kStopped, kFault},
  {"comfort noise that is refused, long after other refusals", [](CallStory& s) { s.stops(A, 6s); refuses_noise(s, 2); }, Cause::kSilenceSuppressed, kNote},
  {"comfort noise that is refused, behind speech that is refused, too", [](CallStory& s) { s.stops(A, 6s); refuses_noise(s, 100); }, Cause::kReplayed, kFault},
  {"comfort noise that is refused behind a hold, and RTCP with it", [](CallStory& s) { s.stops(A, 14s).was_signalled(1s); refuses_noise(s, 3); s.with_media(A, [](MediaEvidence& m) {
       m.seen.recent_drops.add(DropSide::kArriving, DropReason::kReplayed, 1, DropTrait::kForeign);
       m.seen.refusals.front().times = 3;
       m.seen.refusals.front().type = PayloadType{73};
       m.seen.refusals.front().is_rtcp = true; }); }, Cause::kWaiting, kNote},
  {"G.729 B, a moment ago", [](CallStory& s) { ends_with_silence_frame(s, 1s, 18, 2); }, Cause::kFine, kFine},
  {"G.729 B, half a minute ago", [](CallStory& s) { ends_with_silence_frame(s, 30s, 18, 2); }, Cause::kSilenceSuppressed, kNote},
  {"G.729 B, minutes ago, with RTCP", [](CallStory& s) { s.lasts(600s); ends_with_silence_frame(s, 200s, 18, 2); sends_rtcp(s, 4s); }, Cause::kSilenceSuppressed, kNote},
  {"G.729 B, behind frames of speech", [](CallStory& s) { ends_with_silence_frame(s, 10s, 18, 22); }, Cause::kSilenceSuppressed, kNote},
  {"a fax after speech", [](CallStory& s) { s.stops(A, 20s).with_media(A, [](MediaEvidence& m) { m.is_rtp = false; m.type = "image"; m.seen.last_packet[0] = CallStory::now(); }); }, Cause::kFine, kFine},
  {"begins again and again under its old key", [](CallStory& s) { s.stops(A, 4s).refuses(A, DropReason::kReplayed, 40, When::kLately).with([](CallEvidence& call) {
       call.legs[0].medias[0].seen.refusals.front().last = CallStory::now(); }); }, Cause::kReplayed, kFault},
  {"Opus pauses between two frames", [](CallStory& s) { ends_with_silence_frame(s, 400ms, 111, 1); }, Cause::kFine, kFine},
  {"Opus, 10 s ago", [](CallStory& s) { ends_with_silence_frame(s, 10s, 111, 3); }, Cause::kSilenceSuppressed, kNote},
  {"AMR, 10 s ago", [](CallStory& s) { ends_with_silence_frame(s, 10s, 97, 7); }, Cause::kSilenceSuppressed, kNote},
  {"a frame of speech, 10 s ago", [](CallStory& s) { ends_with_silence_frame(s, 10s, 18, 20); }, Cause::kStopped, kFault},
  {"RTCP BYE", [](CallStory& s) { s.says_goodbye(A, 20s); }, Cause::kSilenceSuppressed, kNote},

  {"holds by 0.0.0.0 and falls silent", [](CallStory& s) { s.was_signalled(20s).stops(A, 20s).with_media(A, [](MediaEvidence& m) { m.may_receive = false; }); }, Cause::kHold, kNote},
  {"holds, plays music, and then nothing", [](CallStory& s) { s.was_signalled(30s).stops(A, 10s).with_media(A, [](MediaEvidence& m) { m.may_receive = false; }); }, Cause::kStopped, kFault},
  {"is held", [](CallStory& s) { s.holds(B, 20s); }, Cause::kHold, kNote},
  {"is blocked", [](CallStory& s) { s.is_blocked(A); }, Cause::kBlocked, kNote},
  {"is blocked, and all it sends is refused as well", [](CallStory& s) { s.is_blocked(A).refuses(A, DropReason::kReplayed, 100, When::kLately); }, Cause::kReplayed, kNote},
  {"is blocked, and a third does not authenticate", [](CallStory& s) { s.is_blocked(A).refuses(A, DropReason::kNotAuthentic, 33).with_media(A, [](MediaEvidence& m) { m.is_encrypted = m.is_keyed = true; }); }, Cause::kNotAuthentic, kNote},
  {"is silenced, and sends a codec that nobody negotiated", [](CallStory& s) { s.is_silenced(A).refuses(A, DropReason::kUnknownPayloadType, 100, When::kLately); }, Cause::kUnknownPayloadType, kNote},
  {"is silenced, and sends from elsewhere", [](CallStory& s) { s.is_silenced(A).refuses(A, DropReason::kForeignSource, 100, When::kLately); }, Cause::kSourceRefused, kNote},
  {"a re-INVITE adds video and fails", [](CallStory& s) { s.never_sends(A).with_media(A, [](MediaEvidence& m) { m.is_proposed = true; }); }, Cause::kWaiting, kNote},
  {"early media, then silence before the answer", [](CallStory& s) { s.is_unanswered().stops(A, 8s); }, Cause::kWaiting, kNote},
  {"early media before the answer", [](CallStory& s) { s.is_unanswered(); }, Cause::kFine, kFine},
  {"an answer just now, after a long ringing", [](CallStory& s) { s.never_sends(A).was_signalled(1s); }, Cause::kWaiting, kNote},
  {"deleted before media", [](CallStory& s) { s.lasts(2s).never_sends(A).with([](CallEvidence& call) { call.is_over = true; }); }, Cause::kWaiting, kNote},
  {"never sent", [](CallStory& s) { s.never_sends(A); }, Cause::kNeverSent, kFault},
  {"sends RTCP alone", [](CallStory& s) { s.never_sends(A); sends_rtcp(s, 1s); }, Cause::kOnlyRtcp, kFault},
  {"no sound, ever", [](CallStory& s) { s.is_mute(A); }, Cause::kSilence, kFault},
  {"muted", [](CallStory& s) { s.is_mute_since(A, 30s); }, Cause::kSilenceSuppressed, kNote},

  {"no codec in common, as nobody transcodes", [](CallStory& s) { s.sends_type(B, 0).with([](CallEvidence& call) {
       call.legs[1].medias[0].unmade_codecs = {"PCMU"};
       call.legs[0].medias[0].shown.reset().set(8);
       call.legs[1].medias[0].shown.reset().set(0); }); }, Cause::kNotTranscoded, kFault},
  {"a codec that B has not, as nobody transcodes", [](CallStory& s) { s.sends_type(A, 9).with([](CallEvidence& call) {
       call.legs[0].medias[0].unmade_codecs = {"PCMU"}; }); }, Cause::kNotTranscoded, kFault},
  {"transcoding was asked for and is not needed", [](CallStory& s) { s.with([](CallEvidence& call) {
       call.legs[1].medias[0].unmade_codecs = {"PCMU"}; }); }, Cause::kFine, kFine},

  {"ICE checks with a wrong password", [](CallStory& s) { s.never_sends(A).refuses_stranger(A, DropReason::kStunRefused, 2)
       .with_media(A, [](MediaEvidence& m) { m.has_ice = true; }); }, Cause::kIceRefused, kFault},
  {"no ICE checks at all", [](CallStory& s) { s.never_sends(A).with_media(A, [](MediaEvidence& m) { m.has_ice = true; }); }, Cause::kNoPair, kFault},
  {"a wrong fingerprint, at once", [](CallStory& s) { s.lasts(1s).never_sends(A).with_media(A, [](MediaEvidence& m) {
       m.is_encrypted = m.is_keyed = true; m.handshake_begins = false; }).with_port(A, [](TransportSnapshot& port) {
       port.dtls = TransportSnapshot::Dtls{}; port.dtls->front().state = DtlsChannel::State::kMismatch; }); }, Cause::kWrongCertificate, kFault},
  {"a handshake that may still begin", [](CallStory& s) { s.lasts(1s).never_sends(A).with_media(A, [](MediaEvidence& m) {
       m.is_encrypted = m.is_keyed = true; m.handshake_begins = false; }); }, Cause::kWaiting, kNote},
};
// clang-format on

std::size_t words_of(const std::string& sentence) {
  std::istringstream text(sentence);
  std::size_t count = 0;
  for (std::string word; text >> word;) ++count;
  return count;
}

TEST(Senders, AreJudgedByWhatCameOfThem) {
  for (const Telling& each : kTellings) {
    CallStory story;
    each.tell(story);
    const MediaVerdict& row = story.from(A);
    EXPECT_EQ(row.cause, each.cause) << each.name << ": " << to_string(row.cause) << ", not "
                                     << to_string(each.cause) << "\n"
                                     << story.rows();
    EXPECT_EQ(row.severity(), each.severity) << each.name << "\n" << story.rows();
    EXPECT_EQ(row.leg, "A") << each.name;
  }
}

TEST(Senders, SentencesHave25WordsAtMost) {
  for (const Telling& each : kTellings) {
    CallStory story;
    each.tell(story);
    for (const MediaVerdict& row : story.explained().verdicts) {
      EXPECT_FALSE(row.sentence.empty()) << each.name;
      EXPECT_LE(words_of(row.sentence), 25u) << each.name << ": " << row.sentence;
    }
  }
}

TEST(Senders, WhoIsNotToldOfIsNotAccused) {
  for (const Telling& each : kTellings) {
    CallStory story;
    each.tell(story);
    const MediaVerdict& row = story.from(B);
    const bool is_of_both = each.cause == Cause::kNotTranscoded;
    EXPECT_TRUE(is_of_both || row.severity() != Severity::kFault) << each.name << "\n" << story.rows();
  }
}

TEST(Senders, AGlanceSeesTheSame) {
  for (const Telling& each : kTellings) {
    CallStory story;
    each.tell(story);
    const Explanation quick = glance(story.evidence());
    for (std::size_t i = 0; i < quick.verdicts.size(); ++i) {
      EXPECT_EQ(quick.verdicts[i].cause, story.explained().verdicts[i].cause) << each.name;
      EXPECT_EQ(quick.verdicts[i].severity(), story.explained().verdicts[i].severity()) << each.name;
      EXPECT_TRUE(quick.verdicts[i].sentence.empty()) << each.name;
    }
  }
}

TEST(Senders, BND9_AGroupWithoutAnswerIsToldWhereSomebodyDoesNotHear) {
  for (const bool has_lost_group : {true, false}) {
    for (const bool sends : {true, false}) {
      CallStory story;
      story.with_media(A, [&](MediaEvidence& media) { media.has_lost_group = has_lost_group; });
      if (!sends) story.never_sends(A);
      const bool is_told = story.rows().find("BUNDLE") != std::string::npos;
      EXPECT_EQ(is_told, has_lost_group && !sends) << story.rows();
    }
  }
}

TEST(Senders, FiguresOfTheLastSecondsStandBesideThoseOfTheCall) {
  CallStory story;
  story.lasts(600s).loses(A, 15, When::kLately);
  const std::string rows = story.rows();
  EXPECT_NE(rows.find("whole call: "), std::string::npos) << rows;
  EXPECT_NE(rows.find("last 10 s: 425 packets, 75 lost (15.0 %)"), std::string::npos) << rows;
}

}  // namespace
}  // namespace ferry::test
