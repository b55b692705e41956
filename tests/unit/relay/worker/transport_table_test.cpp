// SPDX-License-Identifier: Apache-2.0
// Transports by slot: names that outlive their transport, and slots that are used again.

#include "relay/worker/transport_table.hpp"

#include <memory>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::transport_table_test {
namespace {

constexpr Instant kBegin{std::chrono::hours(1)};

std::unique_ptr<TransportEntry> entry() {
  return std::make_unique<TransportEntry>(TransportId{}, std::make_shared<TransportPlan>(),
                                          std::make_shared<TransportActivity>(), kBegin, Endpoint{});
}
std::vector<TransportId> all_of(const TransportTable& table) {
  std::vector<TransportId> names;
  table.for_each([&](const TransportEntry& each) { names.push_back(each.id); });
  return names;
}

TEST(TransportTable, AnEntryHasTheNameOfItsPlace) {
  TransportTable table;
  EXPECT_EQ(table.find({0, 0}), nullptr);
  EXPECT_EQ(table.at(7), nullptr);
  table.put({7, 3}, entry());
  table.put({2, 1}, entry());
  EXPECT_EQ(table.size(), 2u);
  EXPECT_EQ(table.slots(), 8u);
  ASSERT_NE(table.find({7, 3}), nullptr);
  EXPECT_EQ(table.find({7, 3})->id, (TransportId{7, 3}));
  EXPECT_EQ(table.at(7), table.find({7, 3}));
  EXPECT_EQ(table.at(3), nullptr) << "a slot that nobody has";
  EXPECT_EQ(all_of(table), (std::vector<TransportId>{{2, 1}, {7, 3}})) << "in the order of the slots";
  table.prefetch(3);
  table.prefetch(1000);
}

TEST(TransportTable, AnOldNameDoesNotFindTheNewOne) {
  TransportTable table;
  table.put({5, 0}, entry());
  table.put({5, 1}, entry());
  EXPECT_EQ(table.size(), 1u) << "it took the place of the other";
  EXPECT_EQ(table.find({5, 0}), nullptr);
  EXPECT_EQ(table.take({5, 0}), nullptr);
  EXPECT_EQ(table.size(), 1u);
  EXPECT_NE(table.find({5, 1}), nullptr);
}

TEST(TransportTable, WhatIsTakenOutIsGoneAndLives) {
  TransportTable table;
  table.put({0, 0}, entry());
  const std::unique_ptr<TransportEntry> taken = table.take({0, 0});
  ASSERT_NE(taken, nullptr);
  EXPECT_EQ(taken->id, (TransportId{0, 0}));
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.slots(), 1u);
  EXPECT_EQ(table.find({0, 0}), nullptr);
  EXPECT_EQ(table.take({0, 0}), nullptr);
  EXPECT_EQ(table.take({9, 0}), nullptr);
  table.put({4, 2}, entry());
  table.clear();
  EXPECT_EQ(table.size(), 0u);
  EXPECT_EQ(table.slots(), 0u);
  EXPECT_TRUE(all_of(table).empty());
}

TEST(TransportEntry, KnowsItsPortsByAddressAndComponent) {
  const auto one = entry();
  one->ports = {PortHandle{10}, PortHandle{11}};
  EXPECT_EQ(one->locals(), 1u);
  EXPECT_EQ(one->port({Component::kRtp, 0}), PortHandle{10});
  EXPECT_EQ(one->port({Component::kRtcp, 0}), PortHandle{11});
  EXPECT_FALSE(one->port({Component::kRtp, 1}).is_open()) << "there is no such address";
  one->more_ports = {{PortHandle{20}, PortHandle{21}}, {PortHandle{30}, PortHandle{31}}};
  EXPECT_EQ(one->locals(), 3u);
  EXPECT_EQ(one->port({Component::kRtcp, 1}), PortHandle{21});
  EXPECT_EQ(one->port({Component::kRtp, 2}), PortHandle{30});
  EXPECT_FALSE(one->port({Component::kRtp, 3}).is_open());
  EXPECT_FALSE(one->tells_prompt_end());
  Output& output = one->ensure_output(MediaId{1});
  EXPECT_EQ(&one->ensure_output(MediaId{1}), &output) << "made once";
  EXPECT_EQ(one->output_for(MediaId{1}), &output);
  EXPECT_EQ(one->output_for(MediaId{2}), nullptr) << "each media has its own";
  EXPECT_FALSE(one->tells_prompt_end());
}

}  // namespace
}  // namespace ferry::transport_table_test
