// SPDX-License-Identifier: Apache-2.0
// Drops by side and reason: what is counted twice, what is recent, what a restore brings.

#include "relay/core/evidence/drop_ledger.hpp"

#include <chrono>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::drop_ledger_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};
constexpr DropSide kIn = DropSide::kArriving;
constexpr DropSide kOut = DropSide::kLeaving;

TEST(DropLedger, TellsSideReasonAndWhen) {
  MarkTimes times(kBegin);
  DropLedger ledger;
  Instant now = kBegin;
  const auto mark = [&] {
    times.add(now += 2s);
    ledger.mark(times);
  };
  ledger.add(DropSide::kArriving, DropReason::kNoKey, 3, {});
  for (int i = 0; i < 10; ++i) mark();
  ledger.add(DropSide::kLeaving, DropReason::kNoKey, 5, now);
  mark();
  ledger.add(DropSide::kLeaving, DropReason::kNoKey, 2, now);
  ledger.add(DropSide::kArriving, DropReason::kForeignSource, 1, {});
  const RecentDrops recent = ledger.recent(times, now + 500ms);
  EXPECT_EQ(recent.span, 10s + 500ms);
  EXPECT_EQ(recent.of(DropSide::kLeaving, DropReason::kNoKey), 7u);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kNoKey), 0u) << "long ago";
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kForeignSource), 1u);
  EXPECT_EQ(ledger.recent_of(DropSide::kLeaving, times), 7u);
  EXPECT_EQ(ledger.counters()[DropReason::kNoKey], 10u) << "both sides";
  EXPECT_EQ(ledger.of(DropReason::kForeignSource), 1u);
  ASSERT_EQ(ledger.leaving().size(), 1u);
  const Refusal leaving = ledger.leaving().front();
  EXPECT_EQ(leaving.reason, DropReason::kNoKey);
  EXPECT_EQ(leaving.times, 7u);
  EXPECT_EQ(leaving.first, now - 2s);
  EXPECT_EQ(leaving.last, now);
  for (int i = 0; i < 6; ++i) mark();
  EXPECT_EQ(ledger.recent_of(DropSide::kLeaving, times), 0u);
}

TEST(DropLedger, ATraitIsNoDropOfItsOwn) {
  MarkTimes times(kBegin);
  DropLedger ledger;
  ledger.add(DropSide::kArriving, DropReason::kReplayed, 5, {});
  ledger.add_trait(DropSide::kArriving, DropReason::kReplayed, DropTrait::kCopy, 3);
  ledger.add_trait(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy);
  const RecentDrops recent = ledger.recent(times, kBegin + 1s);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kReplayed), 5u);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kReplayed, DropTrait::kCopy), 3u);
  EXPECT_EQ(recent.of(DropSide::kArriving, DropReason::kReplayed, DropTrait::kForeign), 0u);
  EXPECT_EQ(recent.of(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy), 1u);
  EXPECT_EQ(ledger.counters()[DropReason::kReplayed], 5u);
  EXPECT_EQ(ledger.of(DropReason::kReplayed), 5u);
  EXPECT_EQ(ledger.recent_of(DropSide::kArriving, times), 5u);
  EXPECT_TRUE(ledger.leaving().empty());
  for (Instant now = kBegin; now < kBegin + 14s;) {
    times.add(now += 2s);
    ledger.mark(times);
  }
  EXPECT_EQ(
      ledger.recent(times, kBegin + 15s).of(DropSide::kArriving, DropReason::kReplayed, DropTrait::kCopy), 0u)
      << "long ago";
}

TEST(DropLedger, WhatWasRestoredIsNotRecent) {
  DropCounters before;
  before.add(DropReason::kBlocked, 40);
  DropLedger ledger;
  ledger.restore(before);
  const MarkTimes times(kBegin);
  EXPECT_EQ(ledger.counters(), before);
  EXPECT_EQ(ledger.recent(times, kBegin + 1s).of(DropSide::kArriving, DropReason::kBlocked), 0u);
  ledger.add(DropSide::kArriving, DropReason::kBlocked, 2, {});
  EXPECT_EQ(ledger.recent(times, kBegin + 1s).of(DropSide::kArriving, DropReason::kBlocked), 2u);
}

TEST(DropLedger, AnUnusedOneIsEmptyAndTakesNoMemory) {
  const DropLedger ledger;
  EXPECT_TRUE(ledger.empty());
  EXPECT_EQ(ledger.footprint(), 0u);
  EXPECT_EQ(ledger.counters(), DropCounters{});
  EXPECT_TRUE(ledger.leaving().empty());
  EXPECT_EQ(ledger.recent(MarkTimes(kBegin), kBegin - 1s).span, Duration{0}) << "never negative";
}

TEST(DropLedger, MemoryGrowsWithReasonsAndNotWithDrops) {
  DropLedger ledger;
  ledger.add(kIn, DropReason::kNoKey, 1, kBegin);
  EXPECT_FALSE(ledger.empty());
  const std::size_t of_one = ledger.footprint();
  EXPECT_GT(of_one, 0u);
  for (int i = 0; i < 1000; ++i) ledger.add(kIn, DropReason::kNoKey, 1, kBegin);
  EXPECT_EQ(ledger.footprint(), of_one);
  ledger.add(kOut, DropReason::kNoKey, 1, kBegin);
  EXPECT_GT(ledger.footprint(), of_one) << "the other side has a line of its own";
  EXPECT_EQ(ledger.of(DropReason::kNoKey), 1002u);
}

TEST(DropLedger, WhatLeftIsToldNewestFirstWithItsTimes) {
  struct Drop {
    DropSide side;
    DropReason reason;
    std::uint32_t times;
    Instant at;
  };
  const std::vector<Drop> drops = {
      {kOut, DropReason::kNoKey, 2, kBegin + 1s},
      {kOut, DropReason::kBlocked, 1, kBegin + 5s},
      {kOut, DropReason::kReplayed, 4, kBegin + 3s},
      {kIn, DropReason::kForeignSource, 9, kBegin + 9s},
      {kOut, DropReason::kNoKey, 1, kBegin + 7s},
      {kOut, DropReason::kNoKey, 1, kBegin + 6s},   // a reading of the kernel: of an older packet
      {kOut, DropReason::kReplayed, 1, Instant{}},  // at no time of importance
  };
  DropLedger ledger;
  for (const Drop& drop : drops) ledger.add(drop.side, drop.reason, drop.times, drop.at);
  const std::vector<Refusal> leaving = ledger.leaving();
  ASSERT_EQ(leaving.size(), 3u);
  const std::vector<Drop> expected = {{kOut, DropReason::kNoKey, 4, kBegin + 7s},
                                      {kOut, DropReason::kBlocked, 1, kBegin + 5s},
                                      {kOut, DropReason::kReplayed, 5, kBegin + 3s}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(leaving[i].reason, expected[i].reason) << i;
    EXPECT_EQ(leaving[i].times, expected[i].times) << i;
    EXPECT_EQ(leaving[i].last, expected[i].at) << i;
  }
  EXPECT_EQ(leaving[0].first, kBegin + 1s);
}

TEST(DropLedger, MarksThatStartOverForgetWhatWasRecent) {
  MarkTimes times(kBegin);
  DropLedger ledger;
  ledger.add(kIn, DropReason::kNoKey, 7, kBegin);
  ledger.add_trait(kIn, DropReason::kNoKey, DropTrait::kForeign, 2);
  EXPECT_EQ(ledger.recent_of(kIn, times), 7u);
  EXPECT_EQ(ledger.recent_of(kOut, times), 0u);
  ledger.restart_marks();
  EXPECT_EQ(ledger.recent_of(kIn, times), 0u);
  EXPECT_EQ(ledger.recent(times, kBegin + 1s).of(kIn, DropReason::kNoKey, DropTrait::kForeign), 0u);
  EXPECT_EQ(ledger.of(DropReason::kNoKey), 7u) << "the count itself stays";
  ledger.add(kIn, DropReason::kNoKey, 1, kBegin + 1s);
  EXPECT_EQ(ledger.recent_of(kIn, times), 1u);
}

TEST(DropLedger, ARestoreReplacesAllThatWasThere) {
  DropLedger ledger;
  ledger.add(kOut, DropReason::kNoKey, 7, kBegin);
  DropCounters counts;
  counts.add(DropReason::kBlocked, 3);
  counts.add(DropReason::kReplayed, 5);
  ledger.restore(counts);
  EXPECT_EQ(ledger.counters(), counts);
  EXPECT_TRUE(ledger.leaving().empty()) << "the sides are not known, so all count as arriving";
  ledger.restore({});
  EXPECT_TRUE(ledger.empty());
}

}  // namespace
}  // namespace ferry::drop_ledger_test
