// SPDX-License-Identifier: Apache-2.0
// Which of the verdicts on a call stands for all of it.

#include "control/diagnose/verdict.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::verdict_test {
namespace {

/// A verdict on A or B. Its sentence is its place in the list of the test.
MediaVerdict verdict(MediaDirection direction, Severity severity, Reception reception) {
  MediaVerdict result;
  result.direction = direction;
  result.cause = Cause::kLossy;
  result.graded = severity;
  result.received = reception;
  return result;
}

constexpr auto kFrom = MediaDirection::kFrom;
constexpr auto kTo = MediaDirection::kTo;

TEST(Explanation, TheWorstVerdictStandsForTheCall) {
  const MediaVerdict fine = verdict(kTo, Severity::kFine, Reception::kAll);
  const MediaVerdict noted = verdict(kTo, Severity::kNote, Reception::kSome);
  const MediaVerdict held = verdict(kTo, Severity::kNote, Reception::kNothing);
  const MediaVerdict lossy = verdict(kTo, Severity::kFault, Reception::kSome);
  const MediaVerdict deaf = verdict(kTo, Severity::kFault, Reception::kNothing);
  const MediaVerdict mute = verdict(kFrom, Severity::kFault, Reception::kNothing);
  const struct {
    const char* what;
    std::vector<MediaVerdict> verdicts;
    std::size_t main;
  } rows[] = {
      {"a fault before any note", {held, lossy, fine}, 1},
      {"nothing is worse than something", {lossy, deaf, noted}, 1},
      {"among notes as well", {noted, held, fine}, 1},
      {"the listener before its sender", {mute, deaf}, 1},
      {"wherever it stands", {deaf, mute}, 0},
      {"but a sender's fault before a listener's note", {held, mute}, 1},
      {"the first of equals", {deaf, deaf}, 0},
  };
  for (const auto& row : rows) {
    Explanation call;
    for (const MediaVerdict& each : row.verdicts) {
      call.verdicts.push_back(each);
      call.verdicts.back().sentence = std::to_string(call.verdicts.size() - 1);
    }
    ASSERT_NE(call.main(), nullptr);
    EXPECT_EQ(call.main()->sentence, std::to_string(row.main)) << row.what;
    EXPECT_EQ(call.worst(), row.verdicts[row.main].severity()) << row.what;
    EXPECT_EQ(call.summary(), std::to_string(row.main)) << row.what;
  }
}

TEST(Explanation, EverybodyHearsEverybodyUnlessSomethingIsMissed) {
  const struct {
    Severity severity;
    Reception reception;
    bool is_all_heard;
  } rows[] = {{Severity::kFine, Reception::kAll, true},
              {Severity::kNote, Reception::kAll, true},
              {Severity::kNote, Reception::kSome, false},
              {Severity::kNote, Reception::kNothing, false},
              {Severity::kFault, Reception::kAll, false}};
  for (const auto& row : rows) {
    Explanation call;
    call.verdicts = {verdict(kFrom, Severity::kFine, Reception::kAll),
                     verdict(kTo, row.severity, row.reception)};
    call.verdicts[1].sentence = "it is so";
    EXPECT_EQ(call.is_all_heard(), row.is_all_heard);
    EXPECT_EQ(call.summary(), row.is_all_heard ? "everybody hears everybody" : "it is so");
  }
}

TEST(Explanation, WithoutVerdictsSaysNothing) {
  const Explanation call;
  EXPECT_EQ(call.main(), nullptr);
  EXPECT_EQ(call.worst(), Severity::kFine);
  EXPECT_EQ(call.summary(), "");
}

TEST(Explanation, ItsFootprintGrowsByWhatStandsOnTheHeap) {
  Explanation call;
  EXPECT_EQ(call.footprint(), 0u);
  call.call_id = std::string(100, 'c');
  std::size_t before = call.footprint();
  EXPECT_GE(before, 100u);
  call.verdicts.resize(2);
  EXPECT_GE(call.footprint(), before + 2 * sizeof(MediaVerdict));
  MediaVerdict& verdict = call.verdicts.front();
  verdict.origin = MediaVerdict::Origin{};
  for (std::string* text : {&verdict.leg, &verdict.type, &verdict.sentence, &verdict.origin->leg,
                            &verdict.evidence.emplace_back()}) {
    before = call.footprint();
    *text = "short";
    EXPECT_EQ(call.footprint(), before) << "a short text lies in the object";
    *text = std::string(200, 't');
    EXPECT_GE(call.footprint(), before + 200);
    EXPECT_LT(call.footprint(), before + 300);
  }
}

TEST(MediaVerdict, GradesAndReceptionAreThoseOfTheCauseUnlessAJudgeSaysOtherwise) {
  MediaVerdict verdict;
  for (const CauseRow& row : kCauseRows) {
    verdict = {};
    verdict.cause = row.cause;
    EXPECT_EQ(verdict.severity(), row.severity) << row.name;
    EXPECT_EQ(verdict.reception(), row.reception) << row.name;
  }
  verdict.graded = Severity::kNote;
  verdict.received = Reception::kSome;
  EXPECT_EQ(verdict.severity(), Severity::kNote);
  EXPECT_EQ(verdict.reception(), Reception::kSome);
}

}  // namespace
}  // namespace ferry::test::verdict_test
