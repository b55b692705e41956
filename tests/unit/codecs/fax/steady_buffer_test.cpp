// SPDX-License-Identifier: Apache-2.0
// Sound without jitter: what is told as missing, and when a stream is laid out anew.

#include "codecs/fax/steady_buffer.hpp"

#include "tests/support/packets.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::steady_buffer_test {
namespace {

using Outcome = SteadyBuffer::Outcome;

/// A packet of 20 ms at a place on the timeline, counted in packets; all its samples tell the place.
std::uint8_t octet_of(std::size_t place) { return static_cast<std::uint8_t>(0x80 + place % 100); }
Packet packet_of(std::size_t place, std::uint32_t ssrc = 1, std::uint32_t offset = 0xffff'f000) {
  Packet packet(kRtpFixedHeaderSize + 160, std::byte{octet_of(place)});
  write_rtp_header(packet, PayloadType{8}, false, SeqNo{static_cast<std::uint16_t>(place)},
                   offset + static_cast<std::uint32_t>(place) * 160, Ssrc{ssrc});
  return packet;
}
Outcome put(SteadyBuffer& buffer, const Packet& packet) { return buffer.put(*parse_rtp(packet)); }

/// Takes 20 ms. The place that its samples tell; -1: they are missing; -2: they are of several places.
int take(SteadyBuffer& buffer) {
  std::array<std::int16_t, 160> out{};
  if (!buffer.take(out)) return -1;
  for (std::size_t place = 0; place < 100; ++place)
    if (g711_samples(Law::kA)[octet_of(place)] == out[0])
      return std::equal(out.begin() + 1, out.end(), out.begin()) ? static_cast<int>(place) : -2;
  return -2;
}

TEST(SteadyBuffer, TheFirstPacketWaitsForTheWholeDepth) {
  SteadyBuffer buffer(60);
  EXPECT_FALSE(buffer.has_begun());
  EXPECT_EQ(take(buffer), -1);
  EXPECT_EQ(put(buffer, packet_of(0)), Outcome::kTaken);
  EXPECT_TRUE(buffer.has_begun());
  std::vector<int> taken;
  for (std::size_t i = 1; i < 6; ++i) {
    taken.push_back(take(buffer));
    put(buffer, packet_of(i));
  }
  EXPECT_EQ(taken, (std::vector{-1, -1, -1, 0, 1}));
}

TEST(SteadyBuffer, LostPacketsAreToldAndLateOnesAreNotHeard) {
  SteadyBuffer buffer(40);
  put(buffer, packet_of(0));
  put(buffer, packet_of(2));
  std::vector<int> taken;
  for (int i = 0; i < 5; ++i) taken.push_back(take(buffer));
  EXPECT_EQ(taken, (std::vector{-1, -1, 0, -1, 2}));
  EXPECT_EQ(put(buffer, packet_of(1)), Outcome::kLate);
  EXPECT_EQ(buffer.late(), 1u);
}

TEST(SteadyBuffer, JitterBelowTheDepthIsNotHeard) {
  SteadyBuffer buffer;
  std::mt19937 random(3);
  std::uniform_int_distribution<int> jitter_ms(0, 40);
  // When each packet comes, ms.
  std::vector<int> at;
  for (int i = 0; i < 90; ++i) at.push_back(i * 20 + jitter_ms(random));
  std::vector<int> taken;
  for (int now = 0; now < 1800; ++now) {
    for (std::size_t i = 0; i < at.size(); ++i) {
      if (at[i] == now) {
        EXPECT_EQ(put(buffer, packet_of(i)), Outcome::kTaken);
      }
    }
    if (now % 20 == 10) taken.push_back(take(buffer));
  }
  std::size_t begin = 0;
  while (taken[begin] == -1) ++begin;
  for (std::size_t i = begin; i < taken.size(); ++i) EXPECT_EQ(taken[i], static_cast<int>(i - begin));
  EXPECT_EQ(buffer.restarts(), 0u);
}

TEST(SteadyBuffer, AnotherStreamIsLaidOutAnew) {
  struct Row {
    const char* what;
    std::uint32_t ssrc, offset;
  };
  const std::vector<Row> rows = {
      {"another SSRC", 2, 77}, {"a jump ahead", 1, 0x1000'0000}, {"a jump back", 1, 0xe000'0000}};
  for (const Row& row : rows) {
    SteadyBuffer buffer(20);
    put(buffer, packet_of(0));
    EXPECT_EQ(take(buffer), -1) << row.what;
    EXPECT_EQ(put(buffer, packet_of(5, row.ssrc, row.offset)), Outcome::kTaken) << row.what;
    EXPECT_EQ(take(buffer), -1) << row.what;
    EXPECT_EQ(take(buffer), 5) << row.what;
    EXPECT_EQ(buffer.restarts(), 1u) << row.what;
  }
}

TEST(SteadyBuffer, AStreamThatIsAlwaysLateIsLaidOutAnew) {
  SteadyBuffer buffer(20);
  put(buffer, packet_of(0));
  for (int i = 0; i < 10; ++i) take(buffer);
  for (std::size_t i = 1; i < 5; ++i) EXPECT_EQ(put(buffer, packet_of(i)), Outcome::kLate) << i;
  EXPECT_EQ(put(buffer, packet_of(5)), Outcome::kTaken);
  EXPECT_EQ(take(buffer), -1);
  EXPECT_EQ(take(buffer), 5);
}

TEST(SteadyBuffer, OnlyG711IsHeard) {
  SteadyBuffer buffer;
  const std::vector<int> others = {3, 9, 13, 18, 101};
  for (const int type : others)
    EXPECT_EQ(put(buffer, rtp('a', 1, 1, static_cast<std::uint8_t>(type))), Outcome::kNotG711) << type;
  EXPECT_EQ(put(buffer, rtp('a', 1, 1, 8, 0)), Outcome::kNotG711) << "no payload";
  EXPECT_FALSE(buffer.has_begun());
  EXPECT_EQ(put(buffer, rtp('a', 1, 1, 0)), Outcome::kTaken);
}

}  // namespace
}  // namespace ferry::test::steady_buffer_test
