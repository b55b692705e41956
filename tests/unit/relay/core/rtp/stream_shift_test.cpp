// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtp/stream_shift.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(StreamShift, EachNumberMovesByItsOwnModulus) {
  test::Packet packet = test::rtp('A', 0x1234, 65'530);
  write_u32(packet, 4, 0xffff'ff00);
  const test::Packet before = packet;
  shift_numbers({Ssrc{0xabcdef}, 10, 0x200}, packet);
  EXPECT_EQ(read_u16(packet, 2), 4);
  EXPECT_EQ(read_u32(packet, 4), 0x100u);
  EXPECT_EQ(read_u32(packet, 8), 0xabcdefu);
  EXPECT_EQ(read_u16(packet, 0), read_u16(before, 0)) << "version, marker and type stay";
  EXPECT_TRUE(std::equal(packet.begin() + 12, packet.end(), before.begin() + 12));
  shift_numbers({Ssrc{0x1234}, 65'526, 0xffff'fe00}, packet);
  EXPECT_EQ(packet, before) << "the way back";
}

}  // namespace
}  // namespace ferry
