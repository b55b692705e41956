// SPDX-License-Identifier: Apache-2.0
// What is known of a datagram before anybody has judged it.

#include "relay/core/packet/received_packet.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::bytes_of;
using test::Packet;

const Endpoint kPeer{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};
constexpr Instant kNow{std::chrono::hours(1)};

TEST(ReceivedPacket, Rfc7983_KnowsItsProtocolByTheFirstOctets) {
  struct Row {
    const char* what;
    Packet octets;
    DatagramClass kind;
    bool has_rtp_header;
  };
  for (Row row : {Row{"RTP", test::rtp('a', 1, 1), DatagramClass::kRtp, true},
                  Row{"RTP that is cut off", bytes_of({0x80, 8, 0, 1}), DatagramClass::kRtp, false},
                  Row{"RTCP", test::receiver_report(1), DatagramClass::kRtcp, false},
                  Row{"DTLS", bytes_of({22, 254, 253}), DatagramClass::kDtls, false},
                  Row{"STUN", bytes_of({0, 1, 0, 0}), DatagramClass::kStun, false},
                  Row{"nothing", {}, DatagramClass::kUnknown, false}}) {
    const ReceivedPacket packet({Component::kRtp, 0}, kPeer, row.octets, kNow);
    EXPECT_EQ(packet.kind, row.kind) << row.what;
    EXPECT_EQ(packet.has_rtp_header(), row.has_rtp_header) << row.what;
    EXPECT_FALSE(packet.rtp) << row.what;
    EXPECT_EQ(packet.payload, nullptr) << row.what;
  }
}

TEST(ReceivedPacket, KnowsWhereItCameToAndFrom) {
  Packet octets = test::rtp('a', 1, 1);
  const ReceivedPacket packet({Component::kRtcp, 3}, kPeer, octets, kNow);
  EXPECT_EQ(packet.component(), Component::kRtcp);
  EXPECT_EQ(packet.port.local, 3);
  EXPECT_EQ(packet.from, kPeer);
  EXPECT_EQ(packet.at, kNow);
  EXPECT_FALSE(packet.has_waited);
  EXPECT_EQ(packet.origin.key, 0u) << "it came plain";
}

}  // namespace
}  // namespace ferry
