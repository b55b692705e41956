// SPDX-License-Identifier: Apache-2.0
// Refused commands in the manager's list and in the log.

#include "control/protocol/refusal_log.hpp"

#include "control/log/log.hpp"
#include "tests/support/world.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::refusal_log_test {
namespace {

TEST(RefusalLog, SaysALineEachUntilThereAreTooManyAndThenTheirNumber) {
  const auto logger = spdlog::default_logger();
  log::configure(6, true, "", false);
  const auto world = make_sim_world();
  SessionManager& manager = world->manager();
  const auto refuse = [&](RefusalReason reason, const Clock& clock) {
    testing::internal::CaptureStderr();
    note_refusal(
        manager,
        {.protocol = "NG", .command = "offer", .call_id = "c", .from_tag = "A", .refusal = "no, thanks"},
        reason, false, clock);
    return testing::internal::GetCapturedStderr();
  };
  const Clock clock = world->clock();
  const std::string first = refuse(RefusalReason::kDeniedAddress, clock);
  EXPECT_NE(first.find("refused: no, thanks"), std::string::npos) << first;
  unsigned lines = 1;
  for (int i = 1; i < 20; ++i) lines += refuse(RefusalReason::kDeniedAddress, clock).empty() ? 0 : 1;
  EXPECT_EQ(lines, RefusedRequests::kLinesPerSecond);
  EXPECT_NE(refuse(RefusalReason::kOther, clock), "") << "each reason has lines of its own";

  const auto untold = [&](Instant now) {
    testing::internal::CaptureStderr();
    tell_unlogged_refusals(manager, now);
    return testing::internal::GetCapturedStderr();
  };
  std::string told = untold(clock.now);
  for (int seconds = 1; told.empty() && seconds < 120; ++seconds)
    told = untold(clock.now + std::chrono::seconds(seconds));
  EXPECT_NE(told.find("15 commands were refused without a line each (denied-address)"), std::string::npos)
      << told;
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 1) << told;
  EXPECT_EQ(untold(clock.now + std::chrono::hours(1)), "") << "they are told once";
  spdlog::set_default_logger(logger);
}

}  // namespace
}  // namespace ferry::test::refusal_log_test
