// SPDX-License-Identifier: Apache-2.0
// When a call becomes bad and when it recovers: the pure part, look by look.

#include "control/diagnose/health.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

HealthFinding finding(Severity severity, Reception reception, Cause cause) {
  HealthFinding found;
  found.severity = severity;
  found.reception = reception;
  found.cause = cause;
  return found;
}
const HealthFinding kWell = finding(Severity::kFine, Reception::kAll, Cause::kFine);
const HealthFinding kHeld = finding(Severity::kNote, Reception::kNothing, Cause::kHold);
const HealthFinding kLossyNote = finding(Severity::kNote, Reception::kSome, Cause::kLossy);
const HealthFinding kBroken = finding(Severity::kFault, Reception::kSome, Cause::kBrokenUp);
/// Nothing passes since `since`; unset: packets pass, but are no speech, or go astray.
HealthFinding unheard(Instant since = {}, Cause cause = Cause::kStopped) {
  HealthFinding found = finding(Severity::kFault, Reception::kNothing, cause);
  found.unheard_since = since;
  return found;
}

/// Looks at a call and notes what changed, and when.
class Looks {
 public:
  HealthChange look(Duration at, const HealthFinding& found, Instant steady_since = kStart) {
    HealthFinding each = found;
    if (found.reception == Reception::kSome && goes_on) missing += 5;
    each.missing = missing;
    const HealthChange change = health.take(each, kStart + at, steady_since);
    if (change.became_bad) became_bad.push_back(at);
    if (change.recovered) recovered.push_back(at);
    if (change.tells_bad) told_bad.push_back(at);
    if (change.tells_recovery) told_recovery.push_back(at);
    return change;
  }
  /// Every `step` from `first` on, `last` among them.
  void look(Duration first, Duration last, const HealthFinding& found, Duration step = 1s) {
    for (Duration at = first; at <= last; at += step) look(at, found);
  }

  CallHealth health;
  /// Each look that finds somebody who hears badly finds more packets missing than the one before.
  bool goes_on = true;
  std::uint64_t missing = 0;
  std::vector<Duration> became_bad, recovered, told_bad, told_recovery;
};
using Times = std::vector<Duration>;

TEST(CallHealth, WhenAnAlarmBegins) {
  struct Case {
    const char* what;
    HealthFinding found;  // at every second from 100 s on
    Instant steady_since;
    Times became_bad;
  };
  const Case cases[] = {
      {"fine", kWell, kStart, {}},
      {"hold", kHeld, kStart, {}},
      {"a note of loss", kLossyNote, kStart, {}},
      {"one-way since 97 s", unheard(kStart + 97s), kStart, {102s}},
      {"one-way for long, seen late", unheard(kStart + 50s), kStart, {100s}},
      {"packets pass that nobody can hear", unheard({}, Cause::kSilence), kStart, {105s}},
      {"broken up", kBroken, kStart, {108s}},
      {"one-way, but the relay stood still until 100 s", unheard(kStart + 50s), kStart + 100s, {105s}},
      {"broken up, but the relay stood still until 103 s", kBroken, kStart + 103s, {113s}},
  };
  for (const Case& each : cases) {
    Looks looks;
    looks.look(0s, 99s, kWell);
    for (Duration at = 100s; at <= 160s; at += 1s) looks.look(at, each.found, each.steady_since);
    EXPECT_EQ(looks.became_bad, each.became_bad) << each.what;
    EXPECT_EQ(looks.told_bad, each.became_bad) << each.what;
    EXPECT_EQ(looks.health.is_bad(), !each.became_bad.empty()) << each.what;
  }
}

TEST(CallHealth, AHoleThatIsOverBeforeTheAlarmIsNone) {
  for (const HealthFinding& trouble : {unheard({}, Cause::kSilence), unheard(kStart + 99s)}) {
    Looks looks;
    looks.look(0s, 99s, kWell);
    looks.look(100s, 103s, trouble);
    looks.look(104s, 140s, kWell);
    EXPECT_TRUE(looks.became_bad.empty());
  }
  // The figures of the last seconds know a hole for 10 to 12 s, while nothing more is missing.
  Looks looks;
  looks.look(0s, 99s, kWell);
  looks.look(100s, kBroken);
  looks.goes_on = false;
  looks.look(101s, 111s, kBroken);
  looks.look(112s, 140s, kWell);
  EXPECT_TRUE(looks.became_bad.empty());
}

TEST(CallHealth, LossThatGrowsIsCountedFromItsFirstNote) {
  Looks looks;
  looks.look(100s, 107s, kLossyNote);
  looks.look(108s, 130s, kBroken);
  EXPECT_EQ(looks.became_bad, Times{108s});
}

TEST(CallHealth, RecoversOnceAfterFiveSecondsWithoutAFault) {
  Looks looks;
  looks.look(0s, 20s, unheard(kStart));
  looks.look(21s, 60s, kWell);
  EXPECT_EQ(looks.became_bad, Times{5s});
  EXPECT_EQ(looks.recovered, Times{26s});
  EXPECT_EQ(looks.told_recovery, Times{26s});
  EXPECT_FALSE(looks.health.is_bad());
  const HealthChange later = looks.look(61s, kWell);
  EXPECT_FALSE(later.recovered || later.tells_recovery);
}

TEST(CallHealth, TheRecoveryKnowsTheCauseAndTheTime) {
  Looks looks;
  looks.look(0s, 20s, unheard(kStart, Cause::kNeverSent));
  looks.look(21s, 25s, kHeld);
  const HealthChange change = looks.look(26s, kHeld);
  ASSERT_TRUE(change.recovered);
  EXPECT_EQ(change.cause, Cause::kNeverSent);
  EXPECT_EQ(change.lasted, 16s) << "from the alarm to the first look without a fault";
}

TEST(CallHealth, AFaultOfAnotherKindIsTheSameBadTime) {
  Looks looks;
  looks.look(0s, 20s, unheard(kStart));
  looks.look(21s, 40s, kBroken);
  looks.look(41s, 50s, unheard(kStart + 38s, Cause::kSourceRefused));
  EXPECT_EQ(looks.became_bad, Times{5s});
  EXPECT_TRUE(looks.recovered.empty());
}

TEST(CallHealth, FlappingIsCountedAndToldOnceInThirtySeconds) {
  Looks looks;
  // Bad for 6 s, well for 6 s, two hundred times.
  for (Duration at = 0s; at < 2400s; at += 12s) {
    looks.look(at, at + 5s, unheard(kStart + at - 5s));
    looks.look(at + 6s, at + 11s, kWell);
  }
  EXPECT_EQ(looks.became_bad.size(), 200u);
  EXPECT_EQ(looks.recovered.size(), 200u);
  EXPECT_EQ(looks.told_recovery.size(), looks.told_bad.size()) << "pairs";
  EXPECT_GE(looks.told_bad.size(), 60u);
  for (std::size_t i = 1; i < looks.told_bad.size(); ++i)
    EXPECT_GE(looks.told_bad[i] - looks.told_bad[i - 1], 30s);
}

TEST(CallHealth, WhatStaysBadIsToldAfterTheQuietTime) {
  Looks looks;
  looks.look(10s, 16s, unheard(kStart + 5s));
  looks.look(17s, 22s, kWell);
  looks.look(23s, 100s, unheard(kStart + 18s));
  EXPECT_EQ(looks.became_bad, (Times{10s, 23s}));
  EXPECT_EQ(looks.told_bad, (Times{10s, 40s}));
}

TEST(CallHealth, SinceIsTheBeginOfWhatWasFoundLast) {
  Looks looks;
  EXPECT_EQ(looks.health.looked_at(), Instant{});
  looks.look(0s, 9s, kWell);
  EXPECT_EQ(looks.health.since(), kStart);
  looks.look(10s, 19s, unheard(kStart + 4s));
  EXPECT_EQ(looks.health.since(), kStart + 4s) << "as the evidence says";
  HealthFinding worse = kBroken;
  looks.look(20s, 22s, worse);
  worse.loss_percent = 40;
  looks.look(23s, 29s, worse);
  EXPECT_EQ(looks.health.since(), kStart + 20s) << "other figures are no other trouble";
  EXPECT_EQ(looks.health.looked_at(), kStart + 29s);
}

TEST(CallHealth, ADeletedCallShowsWhatItWasAndAlarmsNobody) {
  CallHealth health;
  health.show(unheard(kStart), kStart + 30s);
  EXPECT_TRUE(health.found().is_unheard());
  EXPECT_EQ(health.since(), kStart);
  EXPECT_FALSE(health.is_bad());
}

TEST(HealthFinding, WorstFirst) {
  const HealthFinding in_order[] = {
      unheard(),  kBroken, finding(Severity::kFault, Reception::kAll, Cause::kMalformed),
      kLossyNote, kHeld,   kWell,
  };
  for (std::size_t i = 1; i < std::size(in_order); ++i)
    EXPECT_GT(in_order[i - 1].urgency(), in_order[i].urgency()) << i;
  EXPECT_EQ(kHeld.urgency(), finding(Severity::kNote, Reception::kAll, Cause::kOtherSourceToo).urgency());
}

TEST(CallHealth, OneOfSeveralWhoIsNotHeardAlarmsAfterFiveSeconds) {
  HealthFinding one = finding(Severity::kFault, Reception::kSome, Cause::kBrokenUp);
  one.is_one_unheard = true;
  one.unheard_since = kStart + 97s;
  Looks looks;
  looks.goes_on = false;  // nothing of it is counted as missing
  looks.look(0s, 99s, kWell);
  looks.look(100s, 160s, one);
  EXPECT_EQ(looks.became_bad, Times{102s});
}

/// Two parties of one call, and verdicts on them.
class WorstOf : public ::testing::Test {
 protected:
  WorstOf() {
    call_.now = kStart + 100s;
    call_.created = kStart;
    call_.last_signal = kStart + 10s;
    for (const char* name : {"A", "B"}) {
      LegEvidence& leg = call_.legs.emplace_back();
      leg.name = name;
      MediaEvidence& media = leg.medias.emplace_back();
      media.index = 3;
      MediaView::Stream heard;
      heard.counters.last_packet = call_.now - 20ms;
      heard.recent.span = 11s;
      heard.recent.counts.expected = 500;
      heard.recent.counts.packets = 450;
      heard.recent.jitter = 7ms;
      heard.recent.longest_burst = 9;
      media.seen.ingress.push_back(heard);
      MediaView::OutStream sent;
      sent.counters.last_packet = call_.now - 30s;
      media.seen.egress.push_back(sent);
    }
  }
  void judge(const char* leg, MediaDirection direction, Cause cause) {
    MediaVerdict verdict;
    verdict.leg = leg;
    verdict.media = 3;
    verdict.direction = direction;
    verdict.cause = cause;
    verdicts_.verdicts.push_back(verdict);
  }
  HealthFinding worst() { return worst_of(verdicts_, call_); }

  CallEvidence call_;
  Explanation verdicts_;
};

TEST_F(WorstOf, NamesPartyMediaAndDirection) {
  judge("A", MediaDirection::kFrom, Cause::kFine);
  judge("B", MediaDirection::kTo, Cause::kUnreachable);
  judge("B", MediaDirection::kFrom, Cause::kHold);
  const HealthFinding found = worst();
  EXPECT_EQ(found.cause, Cause::kUnreachable);
  EXPECT_EQ(found.severity, Severity::kFault);
  EXPECT_EQ(found.reception, Reception::kNothing);
  EXPECT_EQ(found.direction, MediaDirection::kTo);
  EXPECT_EQ(found.leg, 1);
  EXPECT_EQ(found.media, 3);
  EXPECT_TRUE(found.is_unheard());
}

TEST_F(WorstOf, ACallWithoutVerdictsIsFine) {
  EXPECT_EQ(worst().severity, Severity::kFine);
  EXPECT_EQ(worst().media, 0);
  EXPECT_EQ(worst_of({}, {}).loss_percent, 0);
}

TEST_F(WorstOf, SinceWhenNothingPasses) {
  struct Case {
    const char* what;
    MediaDirection direction;
    Cause cause;
    Duration last;  // before now, of the stream in that direction
    Duration signal;
    Instant unheard_since;
  };
  const Case cases[] = {
      {"nothing is sent to him for 30 s", MediaDirection::kTo, Cause::kStopped, 30s, 90s, kStart + 70s},
      {"a message came after that", MediaDirection::kTo, Cause::kStopped, 30s, 20s, kStart + 80s},
      {"nothing comes from him for 9 s", MediaDirection::kFrom, Cause::kStopped, 9s, 90s, kStart + 91s},
      {"packets without sound", MediaDirection::kFrom, Cause::kSilence, 20ms, 90s, {}},
      {"hold is no trouble", MediaDirection::kTo, Cause::kHold, 30s, 90s, {}},
      {"broken up", MediaDirection::kTo, Cause::kRateLimited, 30s, 90s, {}},
  };
  for (const Case& each : cases) {
    verdicts_.verdicts.clear();
    judge("B", each.direction, each.cause);
    MediaView& seen = call_.legs[1].medias[0].seen;
    (each.direction == MediaDirection::kTo ? seen.egress[0].counters : seen.ingress[0].counters).last_packet =
        call_.now - each.last;
    call_.last_signal = call_.now - each.signal;
    EXPECT_EQ(worst().unheard_since, each.unheard_since) << each.what;
  }
  // Nothing ever came.
  verdicts_.verdicts.clear();
  judge("B", MediaDirection::kFrom, Cause::kNeverSent);
  call_.legs[1].medias[0].seen.ingress.clear();
  call_.last_signal = kStart + 40s;
  EXPECT_EQ(worst().unheard_since, kStart + 40s);
}

TEST_F(WorstOf, SinceWhenOneOfSeveralIsNotHeard) {
  judge("B", MediaDirection::kTo, Cause::kBrokenUp);
  EXPECT_FALSE(worst().is_unheard());
  MediaVerdict& row = verdicts_.verdicts[0];
  const std::pair<Duration, Instant> cases[] = {
      {9s, kStart + 91s},  // the others are heard meanwhile
      {95s, kStart + 10s},
      {20ms, Instant{}},  // packets leave, but with nothing to be heard in them
  };
  call_.legs[1].medias[0].seen.egress[0].counters.last_packet = call_.now - 20ms;
  for (const auto& [ago, since] : cases) {
    row.one_heard_until = call_.now - ago;
    EXPECT_TRUE(worst().is_unheard());
    EXPECT_EQ(worst().reception, Reception::kSome);
    EXPECT_EQ(worst().unheard_since, since);
  }
  row.one_heard_until = Instant{};
  EXPECT_EQ(worst().unheard_since, kStart + 10s) << "never: since the last message of signalling";
}

TEST_F(WorstOf, ANoteSaysWhatThoseHearWhomItConcerns) {
  // A and B have audio and video, and hear each other.
  for (const std::size_t leg : {0u, 1u}) {
    MediaEvidence video = call_.legs[leg].medias[0];
    video.index = 4;
    call_.legs[leg].medias.push_back(video);
    for (const std::size_t media : {0u, 1u}) {
      MediaEvidence::Source source;
      source.leg = 1 - leg;
      source.media = media;
      call_.legs[leg].medias[media].sources = {source};
    }
  }
  struct Case {
    const char* what;
    MediaDirection direction;
    Cause cause;
    Cause heard;  // of B's row for the other medium
    Reception hears;
  };
  const Case cases[] = {
      {"B gets no video", MediaDirection::kTo, Cause::kDeclined, Cause::kFine, Reception::kAll},
      {"nor audio", MediaDirection::kTo, Cause::kDeclined, Cause::kHold, Reception::kNothing},
      {"A sends no video", MediaDirection::kFrom, Cause::kHold, Cause::kFine, Reception::kAll},
      {"and its audio has gaps", MediaDirection::kFrom, Cause::kHold, Cause::kLossy, Reception::kSome},
      {"nor audio", MediaDirection::kFrom, Cause::kHold, Cause::kHold, Reception::kNothing},
      {"a fault is a fault", MediaDirection::kTo, Cause::kStopped, Cause::kFine, Reception::kNothing},
  };
  for (const Case& each : cases) {
    verdicts_.verdicts.clear();
    judge(each.direction == MediaDirection::kTo ? "B" : "A", each.direction, each.cause);
    verdicts_.verdicts[0].media = 4;
    if (each.direction == MediaDirection::kFrom) {
      judge("B", MediaDirection::kTo, Cause::kNothingToSend);
      verdicts_.verdicts[1].media = 4;
      verdicts_.verdicts[1].graded = Severity::kFine;  // so that the row of A is the worst
    }
    judge("B", MediaDirection::kTo, each.heard);
    judge("A", MediaDirection::kTo, Cause::kFine);
    EXPECT_EQ(worst().hears, each.hears) << each.what;
  }
}

TEST_F(WorstOf, OnlyWhatTheListenerMissesIsMissing) {
  judge("A", MediaDirection::kFrom, Cause::kFine);
  const std::uint64_t before = worst().missing;
  TransportSnapshot port;
  port.latch[0].peer = *Endpoint::parse("192.0.2.10:4000");
  MediaView& seen = call_.legs[0].medias[0].seen;
  seen.active = &port;
  for (const DropReason reason :
       {DropReason::kForeignSource, DropReason::kSourceNotAllowed, DropReason::kMalformedRtcp,
        DropReason::kStunUnexpected, DropReason::kBlocked, DropReason::kDirection})
    seen.drops.set(reason, 1000);
  EXPECT_EQ(worst().missing, before) << "strangers, RTCP, STUN, a command and hold";
  seen.drops.set(DropReason::kNoBuffer, 7);
  EXPECT_EQ(worst().missing, before + 7);
  // What is malformed comes from another address than the party's.
  seen.drops.set(DropReason::kMalformedRtp, 100);
  Refusal refusal;
  refusal.reason = DropReason::kMalformedRtp;
  refusal.from = *Endpoint::parse("203.0.113.9:4000");
  seen.refusals.push_back(refusal);
  EXPECT_EQ(worst().missing, before + 7);
  seen.refusals[0].from = *Endpoint::parse("192.0.2.10:4000");
  EXPECT_EQ(worst().missing, before + 107) << "it is the party's own";
}

TEST_F(WorstOf, FiguresAreOfTheWorstStreamOrOfAFreshReport) {
  judge("A", MediaDirection::kFrom, Cause::kFine);
  EXPECT_NEAR(worst().loss_percent, 10, 0.01);
  EXPECT_NEAR(worst().jitter_ms, 7, 0.01);
  EXPECT_EQ(worst().longest_burst, 9);
  MediaView& seen = call_.legs[0].medias[0].seen;
  seen.ingress[0].recent.counts.packets = 250;
  EXPECT_NEAR(worst().loss_percent, 50, 0.01);
  ListenerReport report;
  report.fraction_lost = 192;
  report.at = call_.now - 5s;
  seen.reports.push_back(report);
  EXPECT_NEAR(worst().loss_percent, 75, 0.01) << "behind the relay";
  seen.reports[0].at = call_.now - 60s;
  EXPECT_NEAR(worst().loss_percent, 50, 0.01) << "an old report says nothing of now";
}

}  // namespace
}  // namespace ferry
