// SPDX-License-Identifier: Apache-2.0
// Ways to receivers: what was written is read, and never half of it.

#include "relay/io/dpdk/hop_table.hpp"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

namespace ferry::dpdk::hop_table_test {
namespace {

Way way_of(std::uint8_t octet, std::uint16_t port) {
  Way way;
  way.port = port;
  way.vlan = octet;
  way.mtu = static_cast<std::uint16_t>(1000 + octet);
  way.source.fill(octet);
  way.destination.fill(static_cast<std::uint8_t>(octet + 1));
  return way;
}
bool is_whole(const Way& way) {
  const auto octet = static_cast<std::uint8_t>(way.vlan);
  const Way wanted = way_of(octet, way.port);
  return way.mtu == wanted.mtu && way.source == wanted.source && way.destination == wanted.destination;
}

TEST(HopTable, WhatIsWrittenIsReadAndNothingElse) {
  HopTable table(3);
  Way read;
  for (std::uint32_t id = 0; id <= 3; ++id) EXPECT_FALSE(table.read(id, read)) << "never written";
  Way written = way_of(0, 4);
  written.destination = {1, 2, 3, 4, 5, 6};
  written.source = {0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa};
  written.vlan = 4095;
  written.mtu = 9000;
  table.write(3, written);
  ASSERT_TRUE(table.read(3, read));
  EXPECT_EQ(read.port, 4);
  EXPECT_EQ(read.vlan, 4095);
  EXPECT_EQ(read.mtu, 9000);
  EXPECT_EQ(read.source, written.source);
  EXPECT_EQ(read.destination, written.destination);
  EXPECT_FALSE(table.read(2, read)) << "its neighbour";
}

TEST(HopTable, AWayThatIsGoneIsNoneUntilItComesBack) {
  HopTable table(1);
  Way read;
  table.write(1, way_of(7, 0));
  ASSERT_TRUE(table.read(1, read)) << "port 0 is a port";
  table.write(1, Way{});
  EXPECT_FALSE(table.read(1, read));
  table.write(1, way_of(9, 0));
  ASSERT_TRUE(table.read(1, read));
  EXPECT_EQ(read.vlan, 9);
}

TEST(HopTable, AReaderNeverSeesHalfAWay) {
  HopTable table(1);
  std::atomic<bool> ends{false};
  std::thread writer([&] {
    for (std::uint8_t n = 0; !ends.load(std::memory_order_relaxed); ++n) table.write(1, way_of(n, 1));
  });
  Way way;
  int read = 0;
  int torn = 0;
  for (int tries = 0; read < 2'000'000 && tries < 100'000'000; ++tries) {
    if (!table.read(1, way)) continue;
    ++read;
    torn += is_whole(way) ? 0 : 1;
  }
  ends = true;
  writer.join();
  EXPECT_EQ(torn, 0);
  EXPECT_TRUE(table.read(1, way)) << "with the writer gone it is there";
  EXPECT_TRUE(is_whole(way));
}

}  // namespace
}  // namespace ferry::dpdk::hop_table_test
