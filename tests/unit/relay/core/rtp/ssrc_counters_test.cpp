// SPDX-License-Identifier: Apache-2.0
// Figures that follow from the counts of one stream.

#include "relay/core/rtp/ssrc_counters.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace ferry::ssrc_counters_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};

/// A stream of `expected` packets, of which `lost` did not come, in `bursts` runs.
SsrcCounters stream(std::uint32_t expected, std::uint32_t lost, std::uint32_t bursts) {
  SsrcCounters counters;
  counters.base_extended = 1000;
  counters.highest_extended = 1000 + expected - 1;
  counters.packets = expected - lost;
  counters.loss_bursts = bursts;
  return counters;
}

// ITU-T G.107 BurstR: 1 for random losses, more for losses in runs.
TEST(SsrcCounters, TheBurstRatioTellsRunsFromRandomLoss) {
  const struct {
    const char* what;
    SsrcCounters counters;
    double ratio;
  } rows[] = {{"no loss", stream(1000, 0, 0), 1},
              {"one by one", stream(1000, 100, 100), 1},
              {"random: a run has 1 / (1 - loss)", stream(1000, 100, 90), 1},
              {"in runs of ten", stream(1000, 100, 10), 9},
              {"in one run", stream(1000, 500, 1), 250},
              {"everything", stream(1000, 1000, 1), 1}};
  for (const auto& row : rows) EXPECT_NEAR(row.counters.burst_ratio(), row.ratio, 0.01) << row.what;
}

TEST(SsrcCounters, TheDriftOfAClockIsTheGrowthOfTheTransitTime) {
  SsrcCounters counters;
  counters.clock_rate_hz = 8000;
  counters.drift_since = kBegin;
  counters.last_packet = kBegin + 100s;
  counters.drift_transit = 1000;
  counters.transit = 1000 + 80;  // 80 of 800,000 units: 100 ppm
  counters.jitter_q4 = 16 * 8;
  const auto drift = counters.drift();
  ASSERT_TRUE(drift);
  EXPECT_NEAR(drift->ppm, 100, 0.01);
  EXPECT_NEAR(drift->error_ppm, 20, 0.01);
  counters.transit = 1000 - 80;
  EXPECT_NEAR(counters.drift()->ppm, -100, 0.01);
  // The transit time is modulo 2^32.
  counters.drift_transit = INT32_MAX - 10;
  counters.transit = INT32_MIN + 69;
  EXPECT_NEAR(counters.drift()->ppm, 100, 0.01);
}

TEST(SsrcCounters, WithoutAClockOrTimeThereIsNoDrift) {
  SsrcCounters good;
  good.clock_rate_hz = 8000;
  good.drift_since = kBegin;
  good.last_packet = kBegin + 5s;
  EXPECT_TRUE(good.drift());
  SsrcCounters each = good;
  each.clock_rate_hz = 0;
  EXPECT_FALSE(each.drift());
  each = good;
  each.drift_since = {};
  EXPECT_FALSE(each.drift());
  each = good;
  each.last_packet -= 1ms;
  EXPECT_FALSE(each.drift());
}

}  // namespace
}  // namespace ferry::ssrc_counters_test
