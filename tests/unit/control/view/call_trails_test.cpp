// SPDX-License-Identifier: Apache-2.0
// What is kept of a call over time.
#include "control/view/call_trails.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

TEST(Trail, KeepsFiguresAsFinelyAsPeopleReadThem) {
  Trail trail;
  trail.add({.at = 1500ms,
             .mos = 4.41,
             .loss_percent = 12.3,
             .jitter_ms = 7.4,
             .severity = Severity::kFault,
             .cause = Cause::kBrokenUp});
  trail.add({.at = 2s, .mos = std::nullopt, .loss_percent = 100, .jitter_ms = 1e9});
  ASSERT_EQ(trail.size(), 2u);
  EXPECT_EQ(trail[0].at, 1500ms);
  EXPECT_NEAR(trail[0].mos.value(), 4.41, 0.011);
  EXPECT_NEAR(trail[0].loss_percent, 12.3, 0.26);
  EXPECT_EQ(trail[0].jitter_ms, 7);
  EXPECT_EQ(trail[0].severity, Severity::kFault);
  EXPECT_EQ(trail[0].cause, Cause::kBrokenUp);
  EXPECT_FALSE(trail[1].mos.has_value());
  EXPECT_EQ(trail[1].loss_percent, 100);
  EXPECT_EQ(trail[1].jitter_ms, 65535) << "clamped";
}

TEST(Trail, CoversTheWholeCallAndTheEndMoreFinely) {
  Trail trail;
  constexpr int kSeconds = 10'000;
  for (int s = 0; s <= kSeconds; ++s) trail.add({.at = std::chrono::seconds(s)});
  EXPECT_LE(trail.size(), Trail::kSamples);
  EXPECT_GE(trail.size(), Trail::kSamples / 2);
  EXPECT_EQ(trail[0].at, 0s) << "the begin stays";
  EXPECT_EQ(trail[trail.size() - 1].at, std::chrono::seconds(kSeconds));
  for (std::size_t i = 1; i < trail.size(); ++i) EXPECT_LT(trail[i - 1].at, trail[i].at);
  EXPECT_EQ(trail[trail.size() - 2].at, std::chrono::seconds(kSeconds - 1)) << "the newest are all there";
}

TEST(CallTrails, AreBounded) {
  CallTrails trails;
  for (std::uint64_t serial = 1; serial <= CallTrails::kTrails; ++serial)
    EXPECT_TRUE(trails.add(serial, {.at = 1s}));
  EXPECT_FALSE(trails.add(CallTrails::kTrails + 1, {.at = 1s})) << "no room for another call";
  EXPECT_EQ(trails.find(CallTrails::kTrails + 1), nullptr);
  EXPECT_TRUE(trails.add(7, {.at = 2s}));
  EXPECT_EQ(trails.find(7)->size(), 2u);
  trails.forget([](std::uint64_t serial) { return serial != 7; });
  EXPECT_EQ(trails.size(), 1u);
  EXPECT_TRUE(trails.add(CallTrails::kTrails + 1, {.at = 1s}));
}

}  // namespace
}  // namespace ferry::test
