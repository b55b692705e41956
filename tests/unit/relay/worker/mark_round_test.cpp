// SPDX-License-Identifier: Apache-2.0
// Every slot of a table has its turn once in two seconds, whatever its size, and nobody is woken up for an
// empty one.

#include "relay/worker/mark_round.hpp"

#include <map>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};

TEST(MarkRound, EachSlotHasATurnEveryTwoSeconds) {
  for (const std::size_t slots : {1u, 7u, 8u, 9u, 100u, 320u, 321u, 5000u}) {
    MarkRound round;
    std::map<std::size_t, Instant> last;
    std::size_t most = 0;
    for (Instant now = kBegin; now < kBegin + 20s; now += 10ms) {
      std::size_t visited = 0;
      round.turn(slots, now, [&](std::size_t slot) {
        ASSERT_LT(slot, slots);
        if (last.contains(slot)) {
          EXPECT_EQ(now - last[slot], kMarkInterval) << slot << " of " << slots;
        }
        last[slot] = now;
        ++visited;
      });
      most = std::max(most, visited);
    }
    EXPECT_EQ(last.size(), slots);
    EXPECT_LE(most, slots / MarkRound::kSteps + MarkRound::kBlock) << "a few at a time";
    for (const auto& [slot, at] : last) EXPECT_GT(at, kBegin + 17s) << slot;
  }
}

TEST(MarkRound, ATableThatGrowsOrShrinksKeepsTheTurns) {
  MarkRound round;
  std::map<std::size_t, Instant> last;
  std::size_t slots = 10;
  for (Instant now = kBegin; now < kBegin + 60s; now += 10ms) {
    if (now == kBegin + 21s + 30ms) slots = 700;
    if (now == kBegin + 42s + 70ms) slots = 10;
    round.turn(slots, now, [&](std::size_t slot) {
      if (last.contains(slot) && slot < 10) {
        EXPECT_GE(now - last[slot], kMarkInterval) << slot;
        EXPECT_LE(now - last[slot], 2 * kMarkInterval) << slot;
      }
      last[slot] = now;
    });
  }
  EXPECT_EQ(last.size(), 700u);
}

TEST(MarkRound, AnEmptyTableIsNotWokenUpFor) {
  MarkRound round;
  const auto fails = [](std::size_t) { FAIL(); };
  round.turn(0, kBegin, fails);
  EXPECT_EQ(round.due(kBegin + 1h), kBegin + 1h);
  round.turn(3, kBegin, fails);
  EXPECT_EQ(round.due(kBegin + 1h), kBegin + MarkRound::kStep);
  unsigned visited = 0;
  round.turn(3, kBegin + 60ms, [&](std::size_t) { ++visited; });
  EXPECT_EQ(visited, 3u);
  EXPECT_EQ(round.due(kBegin + 1h), kBegin + MarkRound::kStep + kMarkInterval)
      << "a small table: once in 2 s";
  round.turn(0, kBegin + 70ms, fails);
  EXPECT_EQ(round.due(kBegin + 1h), kBegin + 1h);
}

TEST(MarkRound, AfterAPauseNoTurnIsMadeUpFor) {
  MarkRound round;
  round.turn(8, kBegin, [](std::size_t) {});
  unsigned visited = 0;
  for (Instant now = kBegin + 60s; now < kBegin + 61s; now += 10ms)
    round.turn(8, now, [&](std::size_t) { ++visited; });
  EXPECT_EQ(visited, 8u);
}

}  // namespace
}  // namespace ferry
