// SPDX-License-Identifier: Apache-2.0
// Each limit refuses alone, and says which it was.
#include "control/session/call_limits.hpp"

#include <functional>

#include <gtest/gtest.h>

namespace ferry::test::call_limits_test {
namespace {

struct Limited {
  SessionConfig config;
  SessionTotals totals;
  bool memory_is_short = false;
  CallLimits limits{config, totals, [this] { return memory_is_short; }};
};

struct Row {
  const char* name;
  std::function<void(Limited&)> reach;
  RefusalReason reason;
};

const std::vector<Row> kRows = {
    {"Sessions", [](Limited& l) { l.config.max_sessions = 3; }, RefusalReason::kSessions},
    {"Draining", [](Limited& l) { l.limits.set_draining(true); }, RefusalReason::kDraining},
    {"Cpu",
     [](Limited& l) {
       l.config.max_cpu_percent = 80;
       l.limits.set_load({.cpu_percent = 80.1, .load_average = 0, .bytes_per_second = 0});
     },
     RefusalReason::kCpu},
    {"Load",
     [](Limited& l) {
       l.config.max_load = 2;
       l.limits.set_load({.cpu_percent = 0, .load_average = 2.1, .bytes_per_second = 0});
     },
     RefusalReason::kLoad},
    {"Bandwidth",
     [](Limited& l) {
       l.config.max_bandwidth_bytes = 1000;
       l.limits.set_load({.cpu_percent = 0, .load_average = 0, .bytes_per_second = 1001});
     },
     RefusalReason::kBandwidth},
    {"Memory", [](Limited& l) { l.memory_is_short = true; }, RefusalReason::kMemoryLimit},
};

TEST(CallLimits, NothingIsRefusedWithoutALimit) {
  Limited limited;
  limited.limits.set_load({.cpu_percent = 100, .load_average = 99, .bytes_per_second = 1'000'000'000});
  EXPECT_FALSE(limited.limits.exceeded(1'000'000));
  EXPECT_EQ(limited.totals.rejected, 0u);
}

TEST(CallLimits, EachLimitRefuses) {
  for (const Row& row : kRows) {
    Limited limited;
    row.reach(limited);
    EXPECT_EQ(limited.limits.exceeded(3), row.reason) << row.name;
    EXPECT_EQ(limited.totals.rejected, 1u) << row.name;
  }
}

TEST(CallLimits, FurtherStreamsAreConvertedBelowTheLimitOfTheMediaThreads) {
  const struct {
    double limit;
    double load;
    bool may;
  } rows[] = {{85, 0, true}, {85, 84.9, true}, {85, 85, false}, {85, 100, false}, {0, 100, true}};
  for (const auto& row : rows) {
    Limited limited;
    limited.config.max_transcoding_percent = row.limit;
    limited.limits.set_load({.transcoding_percent = row.load});
    EXPECT_EQ(limited.limits.may_transcode(), row.may) << row.load << " of " << row.limit;
    EXPECT_FALSE(limited.limits.exceeded(3)) << "a call without conversion comes in";
  }
}

TEST(CallLimits, OneCallBelowTheLimitComesIn) {
  Limited limited;
  limited.config.max_sessions = 3;
  EXPECT_FALSE(limited.limits.exceeded(2));
  EXPECT_TRUE(limited.limits.exceeded(3));
}

TEST(CallLimits, TheLimitFollowsTheConfiguration) {
  Limited limited;
  limited.config.max_sessions = 1;
  EXPECT_TRUE(limited.limits.exceeded(1));
  limited.config.max_sessions = 2;
  EXPECT_FALSE(limited.limits.exceeded(1)) << "a reload raised it";
}

}  // namespace
}  // namespace ferry::test::call_limits_test
