// SPDX-License-Identifier: Apache-2.0
// Which codec a MOS is of, and when there is none.

#include "control/diagnose/mos.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace ferry::test::mos_test {
namespace {

constexpr std::uint8_t kPcma = 8;
constexpr std::uint8_t kG723 = 4;
constexpr std::uint8_t kG729 = 18;

/// Ten seconds of a stream in which so many of 500 packets are missing, in so many runs.
RecentStream recent(std::uint32_t missing, std::uint32_t bursts) {
  RecentStream stream;
  stream.span = std::chrono::seconds(10);
  stream.counts.expected = 500;
  stream.counts.packets = 500 - missing;
  stream.counts.loss_bursts = bursts;
  return stream;
}

TEST(Mos, IsLowerForACodecThatCompressesMore) {
  for (const std::uint32_t missing : {0u, 5u, 25u}) {
    const RecentStream stream = recent(missing, missing);
    EXPECT_GT(*mos_of(stream, kPcma), *mos_of(stream, kG729)) << missing;
    EXPECT_GT(*mos_of(stream, kG729), *mos_of(stream, kG723)) << missing;
    EXPECT_EQ(*mos_of(stream, kPcma), *mos_of(stream, 96)) << "what is not known is taken for G.711";
  }
}

TEST(Mos, IsLowerIfTheSameLossComesInRuns) {
  double former = *mos_of(recent(50, 50), kPcma);
  for (const std::uint32_t bursts : {25u, 10u, 5u}) {
    const double mos = *mos_of(recent(50, bursts), kPcma);
    EXPECT_LT(mos, former) << bursts;
    former = mos;
  }
}

TEST(Mos, IsUnsetIfTooLittleWasSpoken) {
  RecentStream stream;
  stream.counts.expected = stream.counts.packets = 49;
  EXPECT_FALSE(mos_of(stream, kPcma));
  stream.counts.expected = stream.counts.packets = 50;
  EXPECT_TRUE(mos_of(stream, kPcma));
}

TEST(Mos, OfTheWholeCallAndOfItsLastSecondsAgree) {
  for (const std::uint8_t type : {kPcma, kG729}) {
    SsrcCounters counters;
    counters.packets = 450;
    counters.highest_extended = 499;
    counters.loss_bursts = 10;
    counters.last_payload_type = type;
    EXPECT_NEAR(mos_of(counters), *mos_of(recent(50, 10), type), 0.01) << int{type};
  }
}

}  // namespace
}  // namespace ferry::test::mos_test
