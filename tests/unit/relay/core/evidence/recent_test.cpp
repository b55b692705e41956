// SPDX-License-Identifier: Apache-2.0
// Figures of the last seconds as values: what they say without packets, and how they add up.

#include "relay/core/evidence/recent.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry::recent_test {
namespace {

using namespace std::chrono_literals;

TEST(RecentStream, LossIsWhatShouldHaveComeAndDidNot) {
  const struct {
    const char* what;
    std::uint32_t expected, packets, duplicates;
    std::uint32_t lost;
    double percent;
  } rows[] = {{"nothing", 0, 0, 0, 0, 0},
              {"all of it", 100, 100, 0, 0, 0},
              {"a quarter is missing", 100, 75, 0, 25, 25},
              {"copies hide none", 100, 90, 10, 20, 20},
              {"more than expected", 100, 110, 0, 0, 0},
              {"copies alone", 100, 5, 9, 100, 100}};
  for (const auto& row : rows) {
    RecentStream recent;
    recent.counts.expected = row.expected;
    recent.counts.packets = row.packets;
    recent.counts.duplicates = row.duplicates;
    EXPECT_EQ(recent.lost(), row.lost) << row.what;
    EXPECT_DOUBLE_EQ(recent.loss_percent(), row.percent) << row.what;
  }
}

TEST(RecentDrops, AddUpBySideReasonAndTrait) {
  constexpr DropSide kIn = DropSide::kArriving;
  constexpr DropSide kOut = DropSide::kLeaving;
  RecentDrops one;
  one.span = 5s;
  one.add(kIn, DropReason::kNoKey, 0);
  EXPECT_EQ(one, [] {
    RecentDrops empty;
    empty.span = 5s;
    return empty;
  }()) << "no line for nothing";
  one.add(kIn, DropReason::kNoKey, 2);
  one.add(kIn, DropReason::kNoKey, 1);
  one.add(kIn, DropReason::kNoKey, 1, DropTrait::kForeign);
  one.add(kOut, DropReason::kNoKey, 4);
  RecentDrops other;
  other.span = 9s;
  other.add(kIn, DropReason::kNoKey, 10);
  other.add(kIn, DropReason::kBlocked, 20);
  one += other;
  EXPECT_EQ(one.span, 9s);
  EXPECT_EQ(one.of(kIn, DropReason::kNoKey), 13u);
  EXPECT_EQ(one.of(kIn, DropReason::kNoKey, DropTrait::kForeign), 1u);
  EXPECT_EQ(one.of(kIn, DropReason::kNoKey, DropTrait::kCopy), 0u);
  EXPECT_EQ(one.of(kOut, DropReason::kNoKey), 4u);
  EXPECT_EQ(one.of(kOut, DropReason::kBlocked), 0u);
  EXPECT_EQ(one.total(kIn), 33u) << "a trait is no drop of its own";
  EXPECT_EQ(one.total(kOut), 4u);
}

TEST(ListenerReport, RecentLossIsThatBetweenTheReports) {
  const struct {
    const char* what;
    std::int32_t before, now;
    std::uint32_t highest_before, highest;
    double percent;
  } rows[] = {{"a tenth", 5, 15, 1000, 1100, 10},
              {"none", 5, 5, 1000, 1100, 0},
              {"copies that came late", 5, 3, 1000, 1100, 0},
              {"more than there was", 5, 500, 1000, 1100, 100},
              {"over the end of the number", 0, 50, 0xffff'ffce, 50, 50},
              {"no packet since: the fraction of the report", 5, 9, 1000, 1000, 25}};
  for (const auto& row : rows) {
    ListenerReport report;
    report.fraction_lost = 64;
    EXPECT_DOUBLE_EQ(report.recent_loss_percent(), 25) << "the only report";
    report.cumulative_lost = row.now;
    report.highest_extended = row.highest;
    report.earlier.at = Instant{1h};
    report.earlier.cumulative_lost = row.before;
    report.earlier.highest_extended = row.highest_before;
    EXPECT_DOUBLE_EQ(report.recent_loss_percent(), row.percent) << row.what;
  }
}

}  // namespace
}  // namespace ferry::recent_test
