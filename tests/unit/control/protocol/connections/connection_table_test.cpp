// SPDX-License-Identifier: Apache-2.0
// Who gets in, and who makes room (CTL-12): without sockets.

#include "control/protocol/connections/connection_table.hpp"

#include <algorithm>
#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using Id = ConnectionTable::Id;

IpAddress source(unsigned number) {
  return IpAddress::v4({198, 51, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

TEST(ConnectionTable, CTL12_EachStandingHasItsBound) {
  const struct {
    Standing standing;
    std::size_t total;
    std::size_t bound;
  } rows[] = {
      {Standing::kStranger, 1024, 64},  {Standing::kTrusted, 1024, 256}, {Standing::kLocalSocket, 1024, 256},
      {Standing::kOperator, 1024, 256}, {Standing::kStranger, 100, 25},  {Standing::kTrusted, 100, 25},
      {Standing::kTrusted, 8, 2},       {Standing::kStranger, 2, 1},
  };
  for (const auto& row : rows) {
    ConnectionTable table({.total = row.total});
    EXPECT_EQ(table.limit_of(row.standing), row.bound);
    for (std::size_t n = 0; n < row.bound; ++n)
      EXPECT_FALSE(table.admit(source(1), row.standing).evicted) << n;
    const auto next = table.admit(source(1), row.standing);
    EXPECT_EQ(next.evicted, Id{1}) << "the oldest makes room";
    EXPECT_EQ(next.why, CloseReason::kSourceFull);
    EXPECT_EQ(table.size(), row.bound);
    EXPECT_FALSE(table.admit(source(2), row.standing).evicted) << "another source is not concerned";
  }
}

TEST(ConnectionTable, CTL12_SilentConnectionsMakeRoomBeforeThoseThatTalk) {
  ConnectionTable table({.total = 16});  // 4 a source
  std::vector<Id> ids;
  for (int n = 0; n < 4; ++n) ids.push_back(table.admit(source(1), Standing::kTrusted).id);
  table.on_request(ids[0]);
  table.on_request(ids[1]);
  table.on_request(ids[0]);  // talks last
  std::vector<Id> evicted;
  for (int n = 0; n < 4; ++n) {
    const auto next = table.admit(source(1), Standing::kTrusted);
    evicted.push_back(next.evicted.value());
    table.on_request(next.id);
  }
  EXPECT_EQ(evicted, (std::vector<Id>{ids[2], ids[3], ids[1], ids[0]}));
}

// A client that opens and opens must not displace the one that is served.
TEST(ConnectionTable, CTL12_AFloodOfTheSameSourceKeepsTheClientThatTalks) {
  ConnectionTable table({.total = 1024});
  const Id live = table.admit(source(1), Standing::kTrusted).id;
  table.on_request(live);
  for (int n = 0; n < 10'000; ++n) EXPECT_NE(table.admit(source(1), Standing::kTrusted).evicted, live);
  EXPECT_EQ(table.size(), 256u);
}

TEST(ConnectionTable, CTL12_WhenFullTheSourceWithTheMostLosesItsOldest) {
  ConnectionTable table({.total = 40, .of_stranger = 64});  // 10 a source
  std::map<unsigned, std::vector<Id>> ids;
  const unsigned sizes[] = {10, 9, 8, 7, 6};
  for (unsigned who = 0; who < 5; ++who) {
    for (unsigned n = 0; n < sizes[who]; ++n)
      ids[who].push_back(table.admit(source(who), Standing::kTrusted).id);
  }
  ASSERT_EQ(table.size(), 40u);
  const auto first = table.admit(source(9), Standing::kTrusted);
  EXPECT_EQ(first.evicted, ids[0][0]);
  EXPECT_EQ(first.why, CloseReason::kAllFull);
  // Now two have nine: the older connection goes.
  EXPECT_EQ(table.admit(source(8), Standing::kTrusted).evicted, ids[0][1]);
  EXPECT_EQ(table.admit(source(7), Standing::kTrusted).evicted, ids[1][0]);
  EXPECT_EQ(table.size(), 40u);
}

TEST(ConnectionTable, CTL12_TheOperatorAlwaysGetsInAndStays) {
  ConnectionTable table({.total = 64});
  const IpAddress here = IpAddress::v4({127, 0, 0, 1});
  for (unsigned n = 0; n < 1000; ++n) table.admit(source(n), Standing::kStranger);
  std::vector<Id> operators;
  for (int n = 0; n < 16; ++n) {
    const auto in = table.admit(here, Standing::kOperator);
    ASSERT_TRUE(in.evicted);
    operators.push_back(in.id);
  }
  // The operator has the most now, and still gives way to nobody.
  for (unsigned n = 0; n < 1000; ++n) {
    for (const Standing standing : {Standing::kStranger, Standing::kTrusted, Standing::kLocalSocket}) {
      const auto in = table.admit(source(n), standing);
      ASSERT_EQ(std::ranges::count(operators, in.evicted.value_or(0)), 0) << n;
    }
  }
  EXPECT_EQ(table.size(), 64u);
  EXPECT_EQ(table.admit(here, Standing::kOperator).evicted, operators[0]) << "but to another operator";
}

TEST(ConnectionTable, CTL12_StrangersOfOneIpv6SubscriberAreOneSource) {
  const struct {
    const char* address;
    Standing standing;
    bool is_same;
  } rows[] = {
      {"2001:db8:1:2::ffff", Standing::kStranger, true},
      {"2001:db8:1:2:ffff:1:2:3", Standing::kStranger, true},
      {"2001:db8:1:3::1", Standing::kStranger, false},
      {"2001:db8:1:2::ffff", Standing::kTrusted, false},
  };
  const IpAddress one = *IpAddress::parse("2001:db8:1:2::1");
  for (const auto& row : rows) {
    const IpAddress other = *IpAddress::parse(row.address);
    EXPECT_EQ(counted_as(one, row.standing) == counted_as(other, row.standing), row.is_same) << row.address;
  }
  EXPECT_EQ(counted_as(source(1), Standing::kStranger), source(1));
}

TEST(ConnectionTable, CTL12_WhatEndsMakesRoom) {
  ConnectionTable table({.total = 8});
  const auto first = table.admit(source(1), Standing::kTrusted);
  const auto second = table.admit(source(1), Standing::kTrusted);
  table.on_request(second.id);
  table.remove(first.id);
  table.remove(second.id);
  table.remove(second.id);      // twice does nothing
  table.on_request(second.id);  // nor does this
  EXPECT_EQ(table.size(), 0u);
  EXPECT_FALSE(table.admit(source(1), Standing::kTrusted).evicted);
}

}  // namespace
}  // namespace ferry::test
