// SPDX-License-Identifier: Apache-2.0
// How many handshakes a worker has in hand, of one client and of all (DTL-12, DTL-14).

#include "relay/core/dtls/dtls_budget.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::dtls_budget_test {
namespace {

using Client = DtlsBudget::Client;

const IpAddress kAlice = Endpoint::parse("192.0.2.10:4000")->address;
const IpAddress kBob = Endpoint::parse("[2001:db8::1]:4000")->address;

/// Places of one client, until there is no more.
std::vector<DtlsBudget::Place> all_of(DtlsBudget& budget, const Client& client) {
  std::vector<DtlsBudget::Place> places;
  for (DtlsBudget::Place place = budget.take(client); place; place = budget.take(client))
    places.push_back(std::move(place));
  return places;
}

TEST(DtlsBudget, DTL12_TheBudgetOfAClientIsBounded) {
  DtlsBudget budget;
  std::vector<DtlsBudget::Place> places = all_of(budget, {1, kAlice});
  EXPECT_EQ(places.size(), DtlsBudget::kMostOfOne);
  EXPECT_EQ(budget.pending(), DtlsBudget::kMostOfOne);
  EXPECT_TRUE(budget.take({1, kBob})) << "another address";
  EXPECT_TRUE(budget.take({2, kAlice})) << "DTL-14: another call behind the same NAT";
  EXPECT_EQ(budget.pending(), DtlsBudget::kMostOfOne) << "those two were given back at once";
  places.pop_back();
  EXPECT_EQ(budget.pending(), DtlsBudget::kMostOfOne - 1);
  EXPECT_TRUE(budget.take({1, kAlice}));
  places.clear();
  EXPECT_EQ(budget.pending(), 0u);
  EXPECT_EQ(all_of(budget, {1, kAlice}).size(), DtlsBudget::kMostOfOne) << "all of them are there again";
}

TEST(DtlsBudget, DTL12_AllClientsTogetherAreBounded) {
  DtlsBudget budget;
  std::vector<std::vector<DtlsBudget::Place>> places;
  for (std::uint64_t call = 0; budget.pending() < DtlsBudget::kMost; ++call) {
    places.push_back(all_of(budget, {call, kAlice}));
    ASSERT_FALSE(places.back().empty());
  }
  EXPECT_EQ(budget.pending(), DtlsBudget::kMost);
  EXPECT_FALSE(budget.take({1'000'000, kBob}));
  places.front().pop_back();
  EXPECT_TRUE(budget.take({1'000'000, kBob}));
}

TEST(DtlsBudget, APlaceMovesAndIsGivenBackOnce) {
  DtlsBudget budget;
  std::optional<DtlsBudget::Place> first(budget.take({1, kAlice}));
  DtlsBudget::Place second(std::move(*first));
  EXPECT_FALSE(*first);
  EXPECT_TRUE(second);
  first.reset();
  EXPECT_EQ(budget.pending(), 1u) << "an empty place gives nothing back";
  DtlsBudget::Place third = budget.take({2, kBob});
  EXPECT_EQ(budget.pending(), 2u);
  third = std::move(second);
  EXPECT_EQ(budget.pending(), 1u) << "the place that it held before was given back";
  DtlsBudget::Place& same = third;
  third = std::move(same);
  EXPECT_TRUE(third);
  EXPECT_EQ(budget.pending(), 1u);
  third.reset();
  EXPECT_FALSE(third);
  EXPECT_EQ(budget.pending(), 0u);
  third.reset();
  EXPECT_EQ(budget.pending(), 0u);
  EXPECT_FALSE(DtlsBudget::Place());
}

}  // namespace
}  // namespace ferry::dtls_budget_test
