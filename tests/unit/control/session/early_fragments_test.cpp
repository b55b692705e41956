// SPDX-License-Identifier: Apache-2.0
// Trickle fragments that wait for their SDP.
#include "control/session/early_fragments.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using Texts = std::vector<std::string>;

constexpr Instant kStart{1h};

TEST(EarlyFragments, WaitForTheirPartyInTheirOrder) {
  EarlyFragments early;
  early.hold("call", "A", "one", kStart);
  early.hold("call", "B", "of B", kStart);
  early.hold("other", "A", "of another call", kStart);
  early.hold("call", "A", "two", kStart + 1s);
  EXPECT_EQ(early.take("call", "A", kStart + 2s), (Texts{"one", "two"}));
  EXPECT_EQ(early.take("call", "A", kStart + 2s), Texts{}) << "each is taken once";
  EXPECT_EQ(early.take("call", "B", kStart + 2s), Texts{"of B"});
  EXPECT_EQ(early.size(), 1u);
}

TEST(EarlyFragments, WaitForThreeSeconds) {
  EarlyFragments early;
  early.hold("call", "A", "one", kStart);
  early.hold("call", "A", "two", kStart + 1s);
  EXPECT_EQ(early.take("call", "A", kStart + 3s), Texts{"two"});
  early.hold("call", "A", "three", kStart + 10s);
  early.hold("other", "A", "four", kStart + 13s);
  EXPECT_EQ(early.size(), 1u) << "what is old goes without being asked for";
}

TEST(EarlyFragments, AreBounded) {
  EarlyFragments early;
  const auto text = [](std::size_t number) { return std::to_string(number); };
  for (std::size_t i = 0; i < EarlyFragments::kMostOfOne + 2; ++i) early.hold("call", "A", text(i), kStart);
  const Texts of_one = early.take("call", "A", kStart);
  ASSERT_EQ(of_one.size(), EarlyFragments::kMostOfOne);
  EXPECT_EQ(of_one.front(), "2") << "the oldest went";
  for (std::size_t i = 0; i < EarlyFragments::kMost + 2; ++i) early.hold("call " + text(i), "A", "x", kStart);
  EXPECT_EQ(early.size(), EarlyFragments::kMost);
  EXPECT_EQ(early.take("call 1", "A", kStart), Texts{});
  EXPECT_EQ(early.take("call 2", "A", kStart), Texts{"x"});
  early.hold("long", "A", std::string(EarlyFragments::kLongest + 1, 'a'), kStart);
  EXPECT_EQ(early.take("long", "A", kStart), Texts{});
  early.hold("long", "A", std::string(EarlyFragments::kLongest, 'a'), kStart);
  EXPECT_EQ(early.take("long", "A", kStart).size(), 1u);
}

}  // namespace
}  // namespace ferry
