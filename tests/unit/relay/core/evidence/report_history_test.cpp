// SPDX-License-Identifier: Apache-2.0
// Reports of one party: the newest, and one ten seconds before it.

#include "relay/core/evidence/report_history.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ferry::report_history_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};

ReportBlock block_of(std::int32_t lost, std::uint32_t highest, std::uint8_t fraction = 0) {
  ReportBlock block;
  block.about = Ssrc{9};
  block.cumulative_lost = lost;
  block.highest_sequence = highest;
  block.fraction_lost = fraction;
  return block;
}

TEST(ReportHistory, TheEarlierOneIsTenSecondsOldOnceThereIsSuch) {
  ReportHistory history;
  for (int i = 0; i <= 30; ++i) {
    history.add(Ssrc{1}, block_of(i, 1000 + static_cast<std::uint32_t>(i) * 50), Instant{1h + 1s * i});
    const ListenerReport& newest = history.newest();
    EXPECT_EQ(newest.cumulative_lost, i);
    EXPECT_EQ(newest.at, Instant{1h + 1s * i});
    if (i == 0) continue;
    EXPECT_EQ(newest.highest_before, newest.highest_extended - 50) << i;
    // Some report that is ten seconds old, at most two more; before that, the first one.
    const Duration age = newest.at - newest.earlier.at;
    if (i < 10)
      EXPECT_EQ(newest.earlier.at, Instant{1h}) << i;
    else
      EXPECT_TRUE(age >= kRecentTime && age < kRecentTime + kMarkInterval) << i << ": " << age / 1ms;
    EXPECT_EQ(newest.earlier.at - Instant{1h}, 1s * newest.earlier.cumulative_lost) << "all of one report";
  }
}

TEST(ReportHistory, AnotherReporterOrAStepBackBeginsAnew) {
  for (const bool other : {true, false}) {
    ReportHistory history;
    history.add(Ssrc{1}, block_of(5, 1000), Instant{1h});
    history.add(Ssrc{1}, block_of(6, 1500), Instant{1h + 10s});
    ASSERT_NE(history.newest().earlier.at, Instant{});
    history.add(other ? Ssrc{2} : Ssrc{1}, block_of(0, other ? 2000 : 1499, 64), Instant{1h + 20s});
    EXPECT_EQ(history.newest().earlier.at, Instant{}) << other;
    EXPECT_EQ(history.newest().highest_before, 0u) << other;
    EXPECT_EQ(history.newest().cumulative_lost, 0) << other;
    EXPECT_EQ(history.newest().recent_loss_percent(), 25.0) << "what the only report says";
  }
}

TEST(ReportHistory, WhatNeverLeftIsKeptWithItsReport) {
  ReportHistory history;
  history.add(Ssrc{1}, block_of(5, 1000), Instant{1h}, 3);
  history.add(Ssrc{1}, block_of(9, 1500), Instant{1h + 10s}, 4);
  EXPECT_EQ(history.newest().lost_here, 4u);
  EXPECT_EQ(history.newest().lost_here_before, 3u);
}

TEST(ReportHistory, C13_APauseOfTheProcessMovesAllTimes) {
  ReportHistory history;
  history.add(Ssrc{1}, block_of(5, 1000), Instant{1h});
  history.add(Ssrc{1}, block_of(6, 1500), Instant{1h + 5s});
  history.skip(1min);
  EXPECT_EQ(history.newest().at, Instant{1h + 65s});
  EXPECT_EQ(history.newest().earlier.at, Instant{1h + 60s});
  history.add(Ssrc{1}, block_of(7, 2000), Instant{1h + 70s});
  EXPECT_EQ(history.newest().earlier.at, Instant{1h + 60s}) << "ten seconds, not seventy";
}

TEST(ReportHistory, EarlierIsTheNewestOfTenSecondsAgoOrTheOldest) {
  struct Row {
    Duration every;
    int reports;
    Duration earlier;  // before the newest
  };
  for (const Row& row : {Row{5s, 1, 0s}, Row{5s, 2, 5s}, Row{5s, 3, 10s}, Row{5s, 9, 10s}, Row{4s, 9, 12s},
                         Row{1s, 4, 3s}, Row{1s, 40, 10s}, Row{100ms, 400, 10s}, Row{30s, 4, 30s}}) {
    ReportHistory history;
    Instant now = kBegin;
    for (int i = 0; i < row.reports; ++i)
      history.add(Ssrc{9}, block_of(i, static_cast<std::uint32_t>(100 * i)), now += row.every);
    const std::string what = std::to_string(row.every / 1ms) + " ms, " + std::to_string(row.reports);
    if (row.reports == 1) {
      EXPECT_EQ(history.newest().earlier.at, Instant{}) << what;
      continue;
    }
    EXPECT_GE(now - history.newest().earlier.at, row.earlier) << what;
    EXPECT_LE(now - history.newest().earlier.at, row.earlier + kMarkInterval) << what;
    EXPECT_EQ(history.newest().at, now);
    EXPECT_NEAR(history.newest().recent_loss_percent(), 1, 0.01) << what;
  }
}

}  // namespace
}  // namespace ferry::report_history_test
