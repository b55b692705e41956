// SPDX-License-Identifier: Apache-2.0
// Random sequences of requests, packets, time and trouble on one relay: its invariants hold after each step.
// FERRY_SEQUENCES says how many (default 40); a fault is told with the seed that repeats it, FERRY_SEED.

#include "tests/support/session_script.hpp"

#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

unsigned number(const char* name, unsigned otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? static_cast<unsigned>(std::atoi(text)) : otherwise;
}

std::vector<std::uint8_t> octets(unsigned seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> all(6000);
  for (std::uint8_t& octet : all) octet = static_cast<std::uint8_t>(random());
  return all;
}

TEST(SessionSequences, CTL6_PRT4_PortsPlansRepliesAndExportsHoldAfterEachStep) {
  const unsigned first = number("FERRY_SEED", 1);
  const unsigned count = std::getenv("FERRY_SEED") != nullptr ? 1 : number("FERRY_SEQUENCES", 40);
  std::size_t steps = 0;
  for (unsigned seed = first; seed < first + count; ++seed) {
    SessionScript script;
    ASSERT_EQ(script.run(octets(seed)), "") << "FERRY_SEED=" << seed;
    steps += script.steps();
  }
  EXPECT_GT(steps, 0u);
  std::printf("%u sequences, %zu steps\n", count, steps);
}

/// Of octets that are all the same every step is the same: nothing but requests, or nothing but trouble.
TEST(SessionSequences, OneStepAgainAndAgain) {
  for (unsigned octet = 0; octet < 256; ++octet) {
    SessionScript script;
    ASSERT_EQ(script.run(std::vector<std::uint8_t>(400, static_cast<std::uint8_t>(octet)), 40), "") << octet;
  }
}

}  // namespace
}  // namespace ferry::test
