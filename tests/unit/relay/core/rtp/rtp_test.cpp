// SPDX-License-Identifier: Apache-2.0
// Headers of RTP packets.

#include "relay/core/rtp/rtp.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::rtp_test {
namespace {

using test::bytes_of;
using test::Packet;
using test::rtp;

TEST(Rtp, Rfc3550FixedHeader_IsRead) {
  const Packet packet = rtp('A', 0xCAFE, 513, 8);
  const auto view = parse_rtp(packet);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->ssrc, Ssrc{0xCAFE});
  EXPECT_EQ(view->sequence, SeqNo{513});
  EXPECT_EQ(view->payload_type, PayloadType{8});
  EXPECT_EQ(view->payload.size(), 160u);
}

TEST(Rtp, DMX3_LengthsMustAddUp) {
  EXPECT_EQ(parse_rtp(bytes_of({0x80, 0})).error(), RtpParseError::kTooShort);
  Packet packet = rtp('A', 1, 1, 8, 4);
  packet[0] = std::byte{0x8f};
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kCsrcOverrun);
  packet[0] = std::byte{0x90};
  write_u16(packet, 14, 1);
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kExtensionOverrun);
  packet[0] = std::byte{0xa0};
  packet.back() = std::byte{5};
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kBadPadding);
  packet.back() = std::byte{0};
  EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kBadPadding);
  packet.back() = std::byte{4};
  EXPECT_EQ(parse_rtp(packet)->payload.size(), 0u);
}

TEST(Rtp, DMX4_VersionMustBeTwo) {
  for (const int first : {0x00, 0x40, 0xc0}) {
    Packet packet = rtp('A', 1, 1);
    packet[0] = static_cast<std::byte>(first);
    EXPECT_EQ(parse_rtp(packet).error(), RtpParseError::kBadVersion);
  }
}

}  // namespace
}  // namespace ferry::rtp_test
