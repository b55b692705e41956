// SPDX-License-Identifier: Apache-2.0
// What a listener's row says beside cause and severity: whom he does not hear, since when, where it went
// wrong; and where one figure more or less makes another verdict. All kinds of calls are in
// verdict_table_test.cpp.
#include "control/diagnose/explain.hpp"
#include "control/diagnose/health.hpp"
#include "control/diagnose/listener_words.hpp"
#include "tests/support/call_story.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <optional>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ferry::test::listener_test {
namespace {

using namespace std::chrono_literals;

std::size_t words_of(const std::string& sentence) {
  std::istringstream stream(sentence);
  std::size_t words = 0;
  for (std::string word; stream >> word;) ++words;
  return words;
}

bool has(const MediaVerdict& verdict, std::string_view text) {
  if (verdict.sentence.find(text) != std::string::npos) return true;
  for (const std::string& line : verdict.evidence) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

TEST(ListenerWords, NoReasonMakesASentenceOfMoreThan25Words) {
  MediaEvidence media;
  media.type = "audio";
  media.signalled = *Endpoint::parse("[2001:db8::1]:4000");
  Refusal refusal;
  refusal.reason = DropReason::kForeignSource;
  refusal.from = *Endpoint::parse("[2001:db8::2]:4000");
  media.seen.refusals.push_back(refusal);
  const std::string before = "B hears nothing from A since 12:00:01 UTC (8 s): ";
  for (const CauseRow& row : kCauseRows) {
    const std::string why = why_unheard({"A", media, row.cause});
    EXPECT_FALSE(why.empty()) << row.name;
    EXPECT_LE(words_of(before + why), 25u) << row.name << ": " << why;
  }
  for (const DropReasonRow& row : kDropReasonRows)
    EXPECT_LE(words_of(before + why_not_sent(row.reason, "B")), 25u) << row.name;
}

TEST(Listener, IsToldWhomHeDoesNotHearSinceWhenAndWhy) {
  CallStory story;
  story.refuses(A, DropReason::kForeignSource, 100, When::kLately);
  const MediaVerdict& row = story.to(B);
  const std::regex sentence(R"(B hears nothing from A since \d\d:\d\d:\d\d UTC \(\d+ s\): A's audio comes )"
                            R"(from [0-9.]+:\d+ and is refused)");
  EXPECT_TRUE(std::regex_match(row.sentence, sentence)) << story.rows();
  ASSERT_TRUE(row.origin);
  EXPECT_EQ(*row.origin, (MediaVerdict::Origin{"A", 1, Cause::kSourceRefused}));
  EXPECT_EQ(row.reception(), Reception::kNothing);
  EXPECT_TRUE(has(row, "packets sent")) << story.rows();
}

TEST(Listener, IsTheSentenceOfTheSummaryIfAnybodyHearsBadly) {
  CallStory stopped;
  stopped.stops(A, 20s);
  EXPECT_EQ(stopped.explained().summary(), stopped.to(B).sentence);
  EXPECT_FALSE(stopped.explained().is_all_heard());
  CallStory well;
  EXPECT_EQ(well.explained().summary(), "everybody hears everybody");
  CallStory twice;
  twice.doubles(A, 50);
  EXPECT_EQ(twice.explained().summary(), "everybody hears everybody") << "a note, and all is heard";
  CallStory pausing;
  pausing.pauses_with_comfort_noise(A, 8s);
  EXPECT_EQ(pausing.from(A).cause, Cause::kSilenceSuppressed);
  EXPECT_EQ(pausing.from(A).reception(), Reception::kAll) << "who pauses and says so is missed by nobody";
  EXPECT_EQ(pausing.explained().summary(), "everybody hears everybody");
  CallStory muted;
  muted.is_mute_since(A, 30s);
  EXPECT_EQ(muted.from(A).reception(), Reception::kNothing) << muted.rows();
  CallStory held;
  held.holds_both(20s);
  EXPECT_NE(held.explained().summary(), "everybody hears everybody") << "a note, and nothing is heard";
}

// Less left than came, and no reason was counted.

void lets_leave(CallStory& story, double share, double size = 1) {
  story.with_media(B, [=](MediaEvidence& media) {
    StreamMark& sent = media.seen.egress.at(0).recent.counts;
    sent.packets = static_cast<std::uint32_t>(sent.packets * share);
    sent.bytes = static_cast<std::uint32_t>(sent.packets * (size * 172));
  });
}

TEST(Listener, IsNeverFineIfLessLeftThanCame) {
  const struct {
    double share;
    Severity severity;
  } cases[] = {
      {1.0, Severity::kFine}, {0.99, Severity::kFine}, {0.95, Severity::kNote}, {0.7, Severity::kFault}};
  for (const auto& each : cases) {
    CallStory story;
    lets_leave(story, each.share);
    EXPECT_EQ(story.to(B).severity(), each.severity) << each.share << "\n" << story.rows();
    EXPECT_EQ(story.from(A).severity(), Severity::kFine) << "A is not accused\n" << story.rows();
    EXPECT_FALSE(story.to(B).origin);
  }
}

TEST(Listener, MayGetFewerPacketsIfTheyAreLonger) {
  CallStory story;
  lets_leave(story, 0.5, 1.9);
  EXPECT_EQ(story.to(B).severity(), Severity::kFine) << "repacketized\n" << story.rows();
}

TEST(Listener, OfWhomNothingLeavesHasAFaultWithoutAReason) {
  CallStory story;
  story.with_media(B, [](MediaEvidence& media) {
    media.seen.egress.clear();
    media.seen.counters[0].packets_out = 0;
  });
  EXPECT_EQ(story.to(B).severity(), Severity::kFault) << story.rows();
  EXPECT_EQ(story.to(B).reception(), Reception::kNothing);
  EXPECT_TRUE(has(story.to(B), "counted no reason")) << story.rows();
}

TEST(Listener, IsWaitedForInTheFirstSeconds) {
  for (const Duration since : std::initializer_list<Duration>{1s, 2s, 4s}) {
    CallStory story;
    story.lasts(since).drops_toward(B, DropReason::kNoBuffer, 100);
    EXPECT_EQ(story.to(B).severity(), Severity::kNote) << story.rows();
  }
}

TEST(Listener, IsNotAccusedOfWhatWasDroppedBeforeTheCallStood) {
  for (const DropReason reason : {DropReason::kNoDestination, DropReason::kNoKey}) {
    CallStory early;
    early.lasts(9s).drops_toward(B, reason, 20, When::kLately);
    EXPECT_NE(early.to(B).severity(), Severity::kFault) << early.rows();
    CallStory late;
    late.lasts(60s).drops_toward(B, reason, 20, When::kLately);
    EXPECT_EQ(late.to(B).severity(), Severity::kFault) << late.rows();
  }
}

// Several parties.

TEST(Listener, OfAConferenceIsToldWhoIsNotHeard) {
  CallStory story(3);
  story.stops(A, 20s);
  for (const Party who : {B, C}) {
    const MediaVerdict& row = story.to(who);
    EXPECT_EQ(row.cause, Cause::kStopped);
    EXPECT_EQ(row.reception(), Reception::kSome) << "the others are heard";
    ASSERT_TRUE(row.origin);
    EXPECT_EQ(row.origin->leg, "A");
    EXPECT_TRUE(has(row, "1 of 2 parties are heard")) << story.rows();
  }
  EXPECT_EQ(story.to(A).severity(), Severity::kFine) << story.rows();
}

TEST(Listener, OfAConferenceMissesAPacketThatIsNotEncryptedOnce) {
  CallStory story(3);
  story.drops_toward(C, DropReason::kReplayed, 6);
  ASSERT_TRUE(story.to(C).figures);
  EXPECT_NEAR(story.to(C).figures->missing_percent(), 6, 0.1) << story.rows();
}

TEST(Listener, MissesNumbersThatStepBackOfASenderWhosePacketsCameLate) {
  CallStory story;
  story.reorders(A, 50).drops_toward(B, DropReason::kReplayed, 20);
  EXPECT_EQ(story.to(B).cause, Cause::kSequenceJumps) << "late packets are no copies\n" << story.rows();
  EXPECT_EQ(story.to(B).severity(), Severity::kFault) << story.rows();
}

TEST(Listener, HearsNothingOfAFlowThatACommandBlocks) {
  for (const bool silences : {false, true}) {
    CallStory story;
    story.with([=](CallEvidence& call) {
      MediaEvidence::Source& flow = call.legs[1].medias[0].sources.at(0);
      (silences ? flow.silenced : flow.blocked) = true;
    });
    const MediaVerdict& row = story.to(B);
    EXPECT_EQ(row.cause, Cause::kBlocked);
    EXPECT_EQ(row.severity(), Severity::kNote);
    EXPECT_EQ(row.reception(), Reception::kNothing);
    EXPECT_TRUE(has(row, silences ? "only silence" : "a command")) << story.rows();
    EXPECT_EQ(story.to(A).severity(), Severity::kFine) << "the other way is open\n" << story.rows();
  }
}

// What the network answers.

TEST(Listener, IsUnreachableOnceErrorsHaveLasted) {
  const struct {
    const char* name;
    std::uint32_t times;
    Duration first;
    Duration last;
    bool is_paused;
    bool is_of_rtcp;
    bool is_over;
    Severity severity;
  } cases[] = {
      {"one message", 1, 0s, 0s, false, false, false, Severity::kFine},
      {"a phone that closed its ports 2 s ago", 60, 2s, 0s, false, false, false, Severity::kNote},
      {"and whose call is deleted", 60, 2s, 0s, true, false, true, Severity::kNote},
      {"for four seconds", 100, 4s, 0s, false, false, false, Severity::kFault},
      {"a host that limits its errors", 5, 4s, 0s, false, false, false, Severity::kFault},
      {"media is paused by them", 5, 8s, 6s, true, false, false, Severity::kFault},
      {"single ones in a few seconds", 3, 4s, 0s, false, false, false, Severity::kNote},
      {"three single ones in a long call", 3, 300s, 0s, false, false, false, Severity::kNote},
      {"long ago", 100, 60s, 50s, false, false, false, Severity::kFine},
      {"nobody listens for RTCP", 12, 60s, 0s, false, true, false, Severity::kFine},
  };
  for (const auto& each : cases) {
    CallStory story;
    story.lasts(600s);
    story.with([&](CallEvidence& call) {
      call.is_over = each.is_over;
      MediaEvidence& media = call.legs[1].medias[0];
      Endpoint to = media.signalled;
      if (each.is_of_rtcp) ++to.port.value;
      media.seen.failures.push_back({SendError::kPortUnreachable,
                                     to,
                                     {},
                                     each.times,
                                     CallStory::now() - each.first,
                                     CallStory::now() - each.last});
    });
    story.with_port(B, [&](TransportSnapshot& port) { port.paused[0] = each.is_paused; });
    EXPECT_EQ(story.to(B).severity(), each.severity) << each.name << "\n" << story.rows();
  }
}

TEST(Listener, SharesAnAddressWithTheSenderWithoutAnEcho) {
  CallStory story;
  const Endpoint shared = *Endpoint::parse("192.0.2.9:4000");
  story.with([=](CallEvidence& call) {
    for (LegEvidence& leg : call.legs) leg.medias[0].signalled = shared;
  });
  for (const Party who : {A, B}) {
    story.with_port(who, [=](TransportSnapshot& port) { port.destination[0] = port.latch[0].peer = shared; });
  }
  EXPECT_EQ(story.to(B).cause, Cause::kFine) << "both were heard there\n" << story.rows();
  EXPECT_EQ(story.to(A).cause, Cause::kFine) << story.rows();
}

TEST(Listener, OfAConferenceMayKnowItsSendersByOtherSsrcs) {
  // As a sender whose numbers step back is told to an encrypted listener (SSR-4): nobody sends that SSRC.
  const auto renamed = [](MediaView::OutStream& stream) { stream.counters.ssrc = Ssrc{0x77777777}; };
  CallStory translated(3);
  translated.with_media(B, [&](MediaEvidence& media) { renamed(media.seen.egress.at(0)); });
  EXPECT_EQ(translated.to(B).severity(), Severity::kFine) << translated.rows();
  // What leaves under the SSRC of another sender is that one's.
  CallStory missing(3);
  missing.with_media(B, [](MediaEvidence& media) { media.seen.egress.resize(1); });
  EXPECT_EQ(missing.to(B).severity(), Severity::kFault) << "one of two does not leave\n" << missing.rows();
  EXPECT_EQ(missing.to(B).reception(), Reception::kSome);
}

TEST(Listener, OfAConferenceThatHearsOneSenderNoMoreSaysSinceWhen) {
  // B hears one of two; of the other one nothing ever left, or nothing for eight seconds.
  for (const std::optional<Duration> ago : {std::optional<Duration>{}, std::optional<Duration>{8s}}) {
    CallStory story(3);
    story.with_media(B, [&](MediaEvidence& media) {
      if (!ago)
        media.seen.egress.resize(1);
      else
        media.seen.egress.at(1).counters.last_packet = CallStory::now() - *ago;
    });
    const MediaVerdict& row = story.to(B);
    ASSERT_EQ(row.severity(), Severity::kFault) << story.rows();
    ASSERT_TRUE(row.one_heard_until) << story.rows();
    EXPECT_EQ(*row.one_heard_until, ago ? CallStory::now() - *ago : Instant{});
    EXPECT_FALSE(story.to(C).one_heard_until) << story.rows();
    const HealthFinding found = worst_of(story.explained(), story.evidence());
    EXPECT_TRUE(found.is_unheard()) << "for the alarm it is as if B heard nothing";
    EXPECT_EQ(found.hears, Reception::kSome);
    const Instant since = ago ? CallStory::now() - *ago : story.evidence().last_signal;
    EXPECT_EQ(found.unheard_since, since);
  }
}

TEST(Listener, IsToldHowMuchWasSentWhateverTheSsrc) {
  CallStory story;
  story.with_media(B, [](MediaEvidence& media) {
    // The sender renewed its SSRC: of the earlier ones nothing is known any more.
    media.seen.egress.at(0).recent.counts.packets = 30;
  });
  EXPECT_FALSE(has(story.to(B), "; 30 sent")) << story.rows();
  EXPECT_TRUE(has(story.to(B), "sent in the last")) << story.rows();
}

/// Processor time of a look at a conference in which everybody hears everybody: the least of some looks.
double glance_time(std::size_t parties) {
  CallStory story(parties);
  const CallEvidence& evidence = story.evidence();
  std::clock_t least = std::numeric_limits<std::clock_t>::max();
  for (int i = 0; i < 5; ++i) {
    const std::clock_t begun = std::clock();
    for (std::size_t n = 0; n < 64 / parties; ++n) EXPECT_EQ(glance(evidence).worst(), Severity::kFine);
    least = std::min(least, std::clock() - begun);
  }
  return static_cast<double>(least) / static_cast<double>(64 / parties);
}

TEST(Listener, OfALargeConferenceTakesNoMoreTimeThanItsFlowsDo) {
  // Four times as many parties have sixteen times as many flows, and a listener has as many streams as
  // senders: 64 times. With another loop over all of them it is 256 times.
  EXPECT_LT(glance_time(64), 128 * glance_time(16) + CLOCKS_PER_SEC / 1000.0);
}

// What he reports himself.

TEST(Listener, IsBelievedWhatHeReportsWhileItIsNew) {
  const struct {
    Duration age;
    Severity severity;
  } cases[] = {{1s, Severity::kFault}, {14s, Severity::kFault}, {16s, Severity::kFine}};
  for (const auto& each : cases) {
    CallStory story;
    story.reports_loss(B, 20).with_media(B, [&](MediaEvidence& media) {
      for (ListenerReport& report : media.seen.reports) report.at = CallStory::now() - each.age;
    });
    EXPECT_EQ(story.to(B).severity(), each.severity) << story.rows();
    EXPECT_EQ(story.from(A).severity(), Severity::kFine) << "A is not accused";
  }
}

TEST(Listener, IsNotToldToLoseBehindTheRelayWhatNeverLeftIt) {
  // The report tells of a time of which the last seconds no longer do: then 60 packets did not come this far.
  for (const bool is_known : {false, true}) {
    CallStory story;
    story.lasts(60s).reports_loss(B, 12).with_media(B, [=](MediaEvidence& media) {
      ListenerReport& report = media.seen.reports.at(0);
      report.lost_here = 75;
      report.earlier.lost_here = is_known ? 15 : 75;
    });
    EXPECT_EQ(story.to(B).severity(), is_known ? Severity::kFine : Severity::kFault) << story.rows();
  }
}

TEST(Listener, OfWhomNothingLeavesWhileTheSenderPausesHasNoFault) {
  CallStory story;
  story.pauses_with_comfort_noise(A, 3s).with_media(B, [](MediaEvidence& media) {
    // The comfort noise itself came while the relay stood still, and was dropped.
    media.seen.egress.at(0).counters.last_packet = CallStory::now() - 6s;
  });
  EXPECT_EQ(story.to(B).cause, Cause::kSilenceSuppressed) << story.rows();
  EXPECT_EQ(story.to(B).severity(), Severity::kNote) << story.rows();
}

TEST(Listener, MissesOfANewStreamWhatHeReportsOfTheOneBefore) {
  CallStory story;
  story.reports_loss(B, 20).with_media(B, [](MediaEvidence& media) {
    // The numbers stepped back two seconds ago: most of what leaves now has another SSRC.
    MediaView::OutStream fresh = media.seen.egress.at(0);
    fresh.counters.ssrc = Ssrc{0x77777777};
    fresh.counters.first_packet = CallStory::now() - 500ms;
    fresh.recent.counts.packets = fresh.recent.counts.expected = 480;
    StreamMark& former = media.seen.egress.at(0).recent.counts;
    former.packets = former.expected = 20;
    media.seen.egress.push_back(fresh);
  });
  EXPECT_EQ(story.to(B).severity(), Severity::kFault) << story.rows();
}

TEST(Listener, IsNotJudgedByReportsThatReachBackToATimeThatIsOver) {
  for (const std::uint8_t newest : std::initializer_list<std::uint8_t>{0, 128}) {
    CallStory story;
    story.reports_loss(B, 30).with_media(B, [=](MediaEvidence& media) {
      // It was silent, and has spoken for a second: the two reports are of much more than that.
      media.seen.egress.at(0).recent.counts.packets = media.seen.egress.at(0).recent.counts.expected = 60;
      media.seen.reports.at(0).fraction_lost = newest;
    });
    story.with_media(A, [](MediaEvidence& media) {
      media.seen.ingress.at(0).recent.counts.packets = media.seen.ingress.at(0).recent.counts.expected = 60;
    });
    EXPECT_EQ(story.to(B).severity(), newest == 0 ? Severity::kFine : Severity::kFault) << story.rows();
  }
}

TEST(Listener, MissesNoMoreThanTwoReportsTellOfAllTheirTime) {
  // A count that is less than before was begun anew, and bounds nothing.
  for (const std::int32_t between : {3, 30, -10}) {
    CallStory story;
    story.reports_loss(B, 30).with_media(B, [=](MediaEvidence& media) {
      media.seen.egress.at(0).recent.counts.packets = media.seen.egress.at(0).recent.counts.expected = 60;
      // Half of a few packets.
      ListenerReport& report = media.seen.reports.at(0);
      report.fraction_lost = 128;
      report.cumulative_lost = report.earlier.cumulative_lost + between;
    });
    story.with_media(A, [](MediaEvidence& media) {
      media.seen.ingress.at(0).recent.counts.packets = media.seen.ingress.at(0).recent.counts.expected = 60;
    });
    EXPECT_EQ(story.to(B).severity(), between == 3 ? Severity::kNote : Severity::kFault) << story.rows();
  }
}

TEST(Listener, MissesWhatAReportTellsBesideWhatNeverLeftInItsOwnTime) {
  // The newest report says that half of 200 packets are missing: of these 20 or 100 had not come this far.
  for (const std::uint32_t never_left : {20u, 100u}) {
    CallStory story;
    story.reports_loss(B, 30).with_media(B, [=](MediaEvidence& media) {
      media.seen.egress.at(0).recent.counts.packets = media.seen.egress.at(0).recent.counts.expected = 60;
      ListenerReport& report = media.seen.reports.at(0);
      report.fraction_lost = 128;
      report.highest_before = report.highest_extended - 200;
      report.lost_here_before = 500;
      report.lost_here = 500 + never_left;
    });
    story.with_media(A, [](MediaEvidence& media) {
      media.seen.ingress.at(0).recent.counts.packets = media.seen.ingress.at(0).recent.counts.expected = 60;
    });
    EXPECT_EQ(story.to(B).severity(), never_left == 20 ? Severity::kFault : Severity::kFine) << story.rows();
  }
}

TEST(Listener, IsNotJudgedByAReportOfATimeBeforeASilence) {
  for (const Duration age : std::initializer_list<Duration>{1s, 10s}) {
    CallStory story;
    story.reports_loss(B, 30).with_media(B, [=](MediaEvidence& media) {
      media.seen.egress.at(0).recent.counts.packets = media.seen.egress.at(0).recent.counts.expected = 60;
      media.seen.reports.at(0).fraction_lost = 128;
      media.seen.reports.at(0).at = CallStory::now() - age;
    });
    story.with_media(A, [](MediaEvidence& media) {
      media.seen.ingress.at(0).recent.counts.packets = media.seen.ingress.at(0).recent.counts.expected = 60;
    });
    EXPECT_EQ(story.to(B).severity(), age == 1s ? Severity::kFault : Severity::kFine) << story.rows();
  }
}

TEST(Listener, MissesNothingIfTheComfortNoiseBeforeAPauseIsRefused) {
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{0, 13}) {
    CallStory story;
    story.stops(A, 1s).with_media(A, [=](MediaEvidence& media) {
      Refusal refusal;
      refusal.reason = DropReason::kReplayed;
      refusal.type = PayloadType{type};
      refusal.first = refusal.last = CallStory::now() - 900ms;
      refusal.times = 1;
      media.seen.refusals.push_back(refusal);
    });
    EXPECT_EQ(story.to(B).severity() == Severity::kFault, type == 0) << story.rows();
  }
}

TEST(Listener, MissesNothingIfAPauseEndedBetweenTheMarksOfBothSides) {
  // 50 packets a second until a hold began and since it is over; the time of the sender reaches two seconds
  // further back, to before the hold.
  const auto take = [](RecentStream& recent, Duration span, unsigned packets) {
    recent.span = span;
    recent.counts.bytes = packets * (recent.counts.bytes / recent.counts.packets);
    recent.counts.packets = recent.counts.expected = packets;
  };
  for (const unsigned sent : {200u, 100u}) {
    CallStory story;
    story.with_media(A, [&](MediaEvidence& media) { take(media.seen.ingress.at(0).recent, 12s, 300); });
    story.with_media(B, [&, sent](MediaEvidence& media) { take(media.seen.egress.at(0).recent, 10s, sent); });
    EXPECT_EQ(story.to(B).severity(), sent == 200 ? Severity::kFine : Severity::kFault) << story.rows();
  }
}

TEST(Listener, ReportsNothingNewIfItWasMissingBefore) {
  CallStory story;
  story.loses(A, 6).reports_loss(B, 0);
  EXPECT_EQ(story.to(B).cause, Cause::kLossy) << story.rows();
  EXPECT_EQ(story.to(B).severity(), Severity::kNote) << "6 % are not counted twice\n" << story.rows();
  ASSERT_TRUE(story.to(B).figures);
  EXPECT_NEAR(story.to(B).figures->missing_percent(), 6, 0.5);
}

}  // namespace
}  // namespace ferry::test::listener_test
