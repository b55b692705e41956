// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/tally.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry::events::tally_test {
namespace {

using namespace std::chrono_literals;

TEST(Tally, OneLineInTenSecondsNamesAllThatHappened) {
  Tally tally;
  Instant now{1h};
  EXPECT_EQ(tally.due(now), 0u) << "nothing happened";
  tally.note();
  EXPECT_EQ(tally.due(now), 1u);
  for (int n = 0; n < 1000; ++n) {
    tally.note();
    EXPECT_EQ(tally.due(now + 9s), 0u);
  }
  tally.note(5);
  EXPECT_EQ(tally.due(now + 10s), 1005u);
  EXPECT_EQ(tally.due(now + 30s), 0u);
}

}  // namespace
}  // namespace ferry::events::tally_test
