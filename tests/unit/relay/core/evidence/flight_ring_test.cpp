// SPDX-License-Identifier: Apache-2.0
// The newest packets of a transport: how many, how old, and whose.

#include "relay/core/evidence/flight_ring.hpp"

#include <gtest/gtest.h>

namespace ferry::flight_ring_test {
namespace {

using namespace std::chrono_literals;

Endpoint source_of(unsigned port) {
  return {IpAddress::v4({192, 0, 2, 1}), UdpPort{static_cast<std::uint16_t>(port)}};
}

class FlightRingTest : public testing::Test {
 protected:
  void add(std::uint16_t sequence, Instant now, unsigned port = 4000) {
    std::array<std::byte, 8> header{};
    write_u8(header, 1, 0x88);
    write_u16(header, 2, sequence);
    write_u32(header, 4, sequence * 160u);
    ring_.add(source_of(port), false, header, 172, DropReason::kNone, false, now);
  }
  std::vector<std::pair<int, Instant>> all() const {
    std::vector<std::pair<int, Instant>> seen;
    ring_.for_each([&](const FlightEntry& entry, Instant at) { seen.emplace_back(entry.sequence, at); });
    return seen;
  }
  FlightRing ring_;
};

TEST_F(FlightRingTest, ShowsTheLastTenSecondsOldestFirst) {
  for (std::uint16_t i = 0; i < 20; ++i) add(i, Instant{1h + 1s * i});
  const auto seen = all();
  ASSERT_EQ(seen.size(), 11u);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    EXPECT_EQ(seen[i].first, static_cast<int>(9 + i));
    EXPECT_EQ(seen[i].second, Instant{1h + 1s * (9 + i)});
  }
}

TEST_F(FlightRingTest, KeepsSoManyPacketsAndNoMore) {
  for (std::uint16_t i = 0; i < 1300; ++i) add(i, Instant{1h + 1ms * i});
  const auto seen = all();
  ASSERT_EQ(seen.size(), FlightRing::kEntries);
  for (std::size_t i = 0; i < seen.size(); ++i)
    ASSERT_EQ(seen[i].first, static_cast<int>(1300 - FlightRing::kEntries + i));
  EXPECT_LE(ring_.footprint(), sizeof(FlightRing) + FlightRing::kEntries * sizeof(FlightEntry));
}

TEST_F(FlightRingTest, TimesOfAnHourAreToldApart) {
  // The microseconds of an entry have 32 bits and wrap after 71 minutes.
  add(1, Instant{4'294'967'000us});
  add(2, Instant{4'294'967'000us + 1s});
  const auto seen = all();
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[1].second - seen[0].second, 1s);
}

TEST_F(FlightRingTest, ManySourcesShareTheLastPlace) {
  for (unsigned i = 0; i < 12; ++i) add(static_cast<std::uint16_t>(i), Instant{1h}, 4000 + i);
  add(12, Instant{1h}, 4003);
  std::vector<unsigned> ports;
  ring_.for_each([&](const FlightEntry& entry, Instant) { ports.push_back(ring_.source(entry).port.value); });
  EXPECT_EQ(ports, (std::vector<unsigned>{4000, 4001, 4002, 4003, 4004, 4005, 4006, 4011, 4011, 4011, 4011,
                                          4011, 4003}))
      << "the last place names the newest of them";
}

TEST_F(FlightRingTest, KeepsHeaderSizeAndVerdict) {
  std::array<std::byte, 4> few{std::byte{0x80}, std::byte{200}, std::byte{0}, std::byte{1}};
  ring_.add(source_of(1), true, few, 100'000, DropReason::kMalformedRtp, true, Instant{1h});
  ring_.for_each([](const FlightEntry& entry, Instant) {
    EXPECT_EQ(entry.size, 0xffff) << "as much as the field holds";
    EXPECT_EQ(entry.sequence, 0) << "no header was there";
    EXPECT_EQ(entry.reason, DropReason::kMalformedRtp);
    EXPECT_TRUE(entry.on_rtcp_port);
    EXPECT_TRUE(entry.is_offloaded);
  });
  EXPECT_FALSE(ring_.empty());
}

}  // namespace
}  // namespace ferry::flight_ring_test
