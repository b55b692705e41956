// What a listener's row says beside cause and severity: whom he does not hear, since when, where it went
// wrong; and where one figure more or less makes another verdict. All kinds of calls are in
// verdict_table_test.cpp.
#include "control/diagnose/glance.hpp"
#include "control/diagnose/listener_words.hpp"
#include "tests/support/call_story.hpp"

#include <algorithm>
#include <ctime>
#include <limits>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ferry::test {
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

TEST(Listener, ReportsNothingNewIfItWasMissingBefore) {
  CallStory story;
  story.loses(A, 6).reports_loss(B, 0);
  EXPECT_EQ(story.to(B).cause, Cause::kLossy) << story.rows();
  EXPECT_EQ(story.to(B).severity(), Severity::kNote) << "6 % are not counted twice\n" << story.rows();
  ASSERT_TRUE(story.to(B).figures);
  EXPECT_NEAR(story.to(B).figures->missing_percent(), 6, 0.5);
}

}  // namespace
}  // namespace ferry::test
