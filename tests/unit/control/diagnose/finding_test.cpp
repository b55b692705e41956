// SPDX-License-Identifier: Apache-2.0
// What one listener hears from one sender. The rows are in the order in which `Findings::of` asks.

#include "control/diagnose/finding.hpp"

#include "tests/support/call_story.hpp"

#include <chrono>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::finding_test {
namespace {

using namespace std::chrono_literals;

/// What B hears from A.
Finding finding_of(const CallEvidence& call, std::vector<Spoken>& spoken,
                   std::vector<MediaVerdict>& senders) {
  const Hearers hearers(call);
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias) spoken.push_back(spoken_by(call, media));
  }
  for (const LegEvidence& leg : call.legs) {
    for (const MediaEvidence& media : leg.medias)
      senders.push_back(judge_sender({call, leg, media, spoken, hearers, senders.size(), true}));
  }
  const MediaEvidence& listener = call.legs[1].medias[0];
  const WayOut out = way_out_to(call, listener);
  const JudgedMedia judged{call, call.legs[1], listener, spoken, hearers, 1, true};
  return Findings(judged, senders, out).of(listener.sources[0]);
}

TEST(Finding, TheFirstCaseThatFitsCounts) {
  constexpr auto kNote = Severity::kNote;
  constexpr auto kFault = Severity::kFault;
  constexpr auto kAll = Reception::kAll;
  constexpr auto kNothing = Reception::kNothing;
  const struct {
    const char* what;
    std::function<void(CallStory&)> change;
    Cause cause;
    Severity severity;
    Reception reception;
    bool is_senders;
  } rows[] = {
      {"all leaves", [](CallStory&) {}, Cause::kFine, Severity::kFine, kAll, false},
      {"a command, though A has gone too", [](CallStory& s) { s.is_blocked(A).stops(A, 20s); },
       Cause::kBlocked, kNote, kNothing, true},
      {"A is only silenced", [](CallStory& s) { s.is_silenced(A); }, Cause::kBlocked, kNote, kNothing, true},
      {"A only listens", [](CallStory& s) { s.with_media(A, [](auto& m) { m.only_listens = true; }); },
       Cause::kNothingToSend, kNote, kNothing, true},
      {"A said that it sends nothing", [](CallStory& s) { s.holds_both(20s); }, Cause::kHold, kNote, kNothing,
       true},
      {"A pauses and says so", [](CallStory& s) { s.pauses_with_comfort_noise(A, 8s); },
       Cause::kSilenceSuppressed, kNote, kAll, true},
      {"A is muted", [](CallStory& s) { s.is_mute_since(A, 30s); }, Cause::kSilenceSuppressed, kNote,
       kNothing, true},
      {"A has stopped", [](CallStory& s) { s.stops(A, 20s); }, Cause::kStopped, kFault, kNothing, true},
      {"A is refused", [](CallStory& s) { s.refuses(A, DropReason::kForeignSource, 100); },
       Cause::kSourceRefused, kFault, kNothing, true},
      {"A never had sound, and its packets leave", [](CallStory& s) { s.is_mute(A); }, Cause::kSilence,
       kFault, kNothing, true},
      {"the way out has no key", [](CallStory& s) { s.drops_toward(B, DropReason::kNoKey, 100); },
       Cause::kNoKey, kFault, kNothing, false},
      {"A's numbers repeat, which is its own fault",
       [](CallStory& s) { s.drops_toward(B, DropReason::kReplayed, 100); }, Cause::kSequenceJumps, kFault,
       kNothing, true},
      {"a command drops it on the way out",
       [](CallStory& s) { s.drops_toward(B, DropReason::kDirection, 100); }, Cause::kHold, kNote, kNothing,
       false},
      {"nothing leaves, and nothing says why",
       [](CallStory& s) { s.with_media(B, [](auto& m) { m.seen.egress.clear(); }); }, Cause::kBrokenUp,
       kFault, kNothing, false},
      {"the same before the answer",
       [](CallStory& s) { s.is_unanswered().with_media(B, [](auto& m) { m.seen.egress.clear(); }); },
       Cause::kWaiting, kNote, kNothing, false},
  };
  for (const auto& row : rows) {
    CallStory story;
    row.change(story);
    std::vector<Spoken> spoken;
    std::vector<MediaVerdict> senders;
    const Finding finding = finding_of(story.evidence(), spoken, senders);
    EXPECT_EQ(to_string(finding.cause), to_string(row.cause)) << row.what << "\n" << story.rows();
    EXPECT_EQ(finding.severity, row.severity) << row.what;
    EXPECT_EQ(finding.reception, row.reception) << row.what;
    EXPECT_EQ(finding.is_senders, row.is_senders) << row.what;
  }
}

TEST(Finding, SilencedIsToldFromBlocked) {
  for (const bool is_blocked : {true, false}) {
    CallStory story;
    story.with_media(B, [=](MediaEvidence& media) {
      media.sources[0].silenced = true;
      media.sources[0].blocked = is_blocked;
    });
    std::vector<Spoken> spoken;
    std::vector<MediaVerdict> senders;
    const Finding finding = finding_of(story.evidence(), spoken, senders);
    EXPECT_EQ(finding.cause, Cause::kBlocked);
    EXPECT_EQ(finding.is_silenced, !is_blocked);
  }
}

TEST(Finding, KnowsWhenAPacketOfTheSenderLastLeft) {
  const Ssrc stranger{0x5555};
  const struct {
    const char* what;
    std::size_t parties;
    bool has_other_ssrc;
    bool left;
  } rows[] = {{"under its own SSRC", 2, false, true},
              {"under the relay's", 2, true, true},
              {"of a conference, under one that nobody has", 3, true, true}};
  for (const auto& row : rows) {
    CallStory story(row.parties);
    story.with_media(B, [&](MediaEvidence& media) {
      for (auto& out : media.seen.egress) {
        if (row.has_other_ssrc) out.counters.ssrc = stranger;
      }
    });
    std::vector<Spoken> spoken;
    std::vector<MediaVerdict> senders;
    const Finding finding = finding_of(story.evidence(), spoken, senders);
    EXPECT_EQ(finding.left != Instant{}, row.left) << row.what;
  }
  // In a conference the stream of another sender is none of A's.
  CallStory story(3);
  story.with([](CallEvidence& call) {
    const Ssrc of_a = call.legs[0].medias[0].seen.ingress[0].counters.ssrc;
    std::erase_if(call.legs[1].medias[0].seen.egress,
                  [&](const auto& out) { return out.counters.ssrc == of_a; });
  });
  std::vector<Spoken> spoken;
  std::vector<MediaVerdict> senders;
  EXPECT_EQ(finding_of(story.evidence(), spoken, senders).left, Instant{});
}

}  // namespace
}  // namespace ferry::test::finding_test
