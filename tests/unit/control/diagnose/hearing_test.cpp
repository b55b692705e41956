// SPDX-License-Identifier: Apache-2.0
// From which figures on somebody hears badly.
#include "control/diagnose/hearing.hpp"

#include "control/diagnose/mos.hpp"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

TEST(Hearing, EveryThresholdSaysItsUnitAndWhatHappens) {
  const std::set<std::string_view> units{"s", "ms", "%", "packets", "octets", "errors", "MOS"};
  std::set<std::string_view> names;
  for (const ThresholdRow& row : kThresholdRows) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " is there twice";
    EXPECT_TRUE(units.contains(row.unit)) << row.name << ": " << row.unit;
    EXPECT_GT(row.value, 0) << row.name;
    EXPECT_GT(row.meaning.size(), 20u) << row.name;
  }
}

TEST(Hearing, RowsBecomeTimesAndCountsInTheirUnits) {
  EXPECT_EQ(kPatience, 5s);
  EXPECT_EQ(kHole, 200ms);
  EXPECT_EQ(kLossyJitter, 50ms);
  EXPECT_EQ(kFailures, 3u);
  EXPECT_EQ(kEnough, 50u);
}

struct Case {
  const char* name;
  EarFigures ear;
  Severity severity;
};

EarFigures missing(double percent, double spoken = 500) {
  EarFigures ear;
  ear.span = 10s;
  ear.spoken = spoken;
  ear.missing = spoken * percent / 100;
  return ear;
}
EarFigures with_mos(double percent, double mos) {
  EarFigures ear = missing(percent);
  ear.mos = mos;
  return ear;
}
EarFigures with_hole(Duration hole) {
  EarFigures ear = missing(0);
  ear.hole = hole;
  return ear;
}
EarFigures with_jitter(Duration jitter) {
  EarFigures ear = missing(0);
  ear.jitter = jitter;
  ear.mos = 1.5;
  return ear;
}
EarFigures of_call(double percent) {
  EarFigures ear = missing(0);
  ear.missing_of_call = percent;
  return ear;
}

TEST(Hearing, GradesByWhatPeopleHear) {
  const Case cases[] = {
      {"nothing was spoken", {}, Severity::kFine},
      {"all is heard", missing(0), Severity::kFine},
      {"just below a note", missing(1.9), Severity::kFine},
      {"a note", missing(2), Severity::kNote},
      {"just below a fault", missing(9.8), Severity::kNote},
      {"a fault", missing(10), Severity::kFault},
      {"nothing is heard", missing(100), Severity::kFault},
      {"too few packets for a fault", missing(40, 40), Severity::kNote},
      {"enough of them", missing(40, 50), Severity::kFault},
      {"bursts make less loss unbearable", with_mos(6, 2.5), Severity::kFault},
      {"the same loss without bursts", with_mos(6, 3.5), Severity::kNote},
      {"a bad MOS, and nothing is missing", with_mos(0.5, 2.0), Severity::kFine},
      {"a syllable is missing", with_hole(200ms), Severity::kNote},
      {"less than a syllable", with_hole(180ms), Severity::kFine},
      {"jitter", with_jitter(51ms), Severity::kNote},
      {"jitter alone is never a fault", with_jitter(900ms), Severity::kNote},
      {"little jitter", with_jitter(50ms), Severity::kFine},
      {"lost earlier in the call", of_call(2.5), Severity::kNote},
      {"much lost earlier in the call", of_call(60), Severity::kNote},
      {"little lost earlier", of_call(1.5), Severity::kFine},
  };
  for (const Case& each : cases) EXPECT_EQ(grade(each.ear), each.severity) << each.name;
}

RecentStream lately(std::uint32_t lost, std::uint32_t bursts) {
  RecentStream recent;
  recent.span = 10s;
  recent.counts.expected = 500;
  recent.counts.packets = 500 - lost;
  recent.counts.loss_bursts = bursts;
  return recent;
}

TEST(Hearing, TheTablesWordsAboutMosAreThoseOfG107) {
  EXPECT_NEAR(mos_of(lately(50, 50), 8).value(), 3.4, 0.05) << "10 % of G.711, packet by packet";
  EXPECT_NEAR(mos_of(lately(50, 10), 8).value(), 3.0, 0.05) << "the same in runs of five";
  EXPECT_LT(mos_of(lately(45, 3), 18).value(), kBrokenUpMos) << "9 % of G.729 in runs of fifteen";
  EXPECT_FALSE(mos_of(RecentStream{}, 8)) << "nothing was heard";
}

}  // namespace
}  // namespace ferry::test
