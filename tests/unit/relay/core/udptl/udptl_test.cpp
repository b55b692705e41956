// SPDX-License-Identifier: Apache-2.0
// UDPTL packets taken apart. Which forms are refused is in datagram_shape_test.cpp.

#include "relay/core/udptl/udptl.hpp"

#include "tests/support/shapes.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

/// The parts of a packet, one after the other.
std::vector<Packet> parts_of(const UdptlView& view) {
  std::vector<Packet> found;
  Bytes parts = view.parts;
  while (!parts.empty()) {
    const Bytes part = next_udptl_part(parts);
    found.emplace_back(part.begin(), part.end());
  }
  return found;
}

TEST(UdptlView, EarlierPacketsComeTheNewestFirst) {
  const Packet packet = bytes_of({1, 7, 2, 6, 5, 0, 2, 2, 0xaa, 0xbb, 1, 0xcc});
  const auto view = parse_udptl(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->sequence, SeqNo{0x107});
  EXPECT_TRUE(std::ranges::equal(view->primary, bytes_of({6, 5})));
  EXPECT_EQ(view->recovery, UdptlView::Recovery::kEarlier);
  EXPECT_EQ(view->count, 2u);
  EXPECT_EQ(parts_of(*view), (std::vector<Packet>{bytes_of({0xaa, 0xbb}), bytes_of({0xcc})}));
}

TEST(UdptlView, ParityHasASpanAndAPartForEachGroup) {
  const Packet packet = bytes_of({0, 9, 1, 6, 0x80, 1, 3, 2, 2, 0xaa, 0xbb, 0, 0, 0});
  const auto view = parse_udptl(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->recovery, UdptlView::Recovery::kParity);
  EXPECT_EQ(view->span, 3u);
  EXPECT_EQ(view->count, 2u);
  EXPECT_EQ(parts_of(*view), (std::vector<Packet>{bytes_of({0xaa, 0xbb}), {}}));
}

TEST(UdptlView, NothingIsCutOffDamagedParts) {
  const Packet cut = bytes_of({4, 1, 2});
  Bytes parts(cut);
  EXPECT_TRUE(next_udptl_part(parts).empty());
  EXPECT_TRUE(parts.empty());
}

TEST(UdptlView, LengthsThatAreWrittenAreRead) {
  for (const std::size_t octets : std::vector<std::size_t>{0, 1, 127, 128, 300, 16'383}) {
    std::array<std::byte, 2> length{};
    const std::size_t size = write_udptl_length(length, octets);
    EXPECT_EQ(size, udptl_length_size(octets));
    Packet packet = bytes_of({0, 1});
    packet.insert(packet.end(), length.begin(), length.begin() + static_cast<std::ptrdiff_t>(size));
    packet.insert(packet.end(), octets, std::byte{0x55});
    packet.insert(packet.end(), 2, std::byte{0});
    const auto view = parse_udptl(packet);
    ASSERT_TRUE(view) << octets;
    EXPECT_EQ(view->primary.size(), octets);
  }
}

}  // namespace
}  // namespace ferry::test
