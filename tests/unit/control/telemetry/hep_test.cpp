// SPDX-License-Identifier: Apache-2.0
// HEP packets. Homer's own library judges them in tests/e2e/telemetry.py.

#include "control/telemetry/hep.hpp"

#include "tests/unit/control/telemetry/hep.hpp"

namespace ferry::telemetry {
namespace {

using namespace std::string_literals;

HepMessage message() {
  return {.from = {IpAddress::v4({192, 0, 2, 10}), UdpPort{4001}},
          .to = {IpAddress::v4({203, 0, 113, 1}), UdpPort{30001}},
          .at = WallTime(std::chrono::microseconds(1'700'000'000'000'250)),
          .type = hep_type::kRtcp,
          .agent = 2001,
          .call_id = "a@b",
          .payload = "{}"};
}

TEST(Hep, ThePacketHasEachChunkInNetworkOrder) {
  auto chunks = hep_chunks(*encode_hep(message()));
  EXPECT_EQ(chunks[1], "\x02"s);
  EXPECT_EQ(chunks[2], "\x11"s);
  EXPECT_EQ(chunks[3], "\xc0\x00\x02\x0a"s);
  EXPECT_EQ(chunks[4], "\xcb\x00\x71\x01"s);
  EXPECT_EQ(chunks[7], "\x0f\xa1"s);
  EXPECT_EQ(chunks[8], "\x75\x31"s);
  EXPECT_EQ(chunks[9], "\x65\x53\xf1\x00"s);
  EXPECT_EQ(chunks[10], "\x00\x00\x00\xfa"s);
  EXPECT_EQ(chunks[11], "\x05"s);
  EXPECT_EQ(chunks[12], "\x00\x00\x07\xd1"s);
  EXPECT_EQ(chunks[15], "{}");
  EXPECT_EQ(chunks[17], "a@b");
  EXPECT_FALSE(chunks.contains(14)) << "no password";
}

TEST(Hep, Ipv6HasItsOwnChunks) {
  HepMessage six = message();
  six.from.address = *IpAddress::parse("2001:db8::10");
  six.password = "secret";
  auto chunks = hep_chunks(*encode_hep(six));
  EXPECT_EQ(chunks[1], "\x0a"s);
  EXPECT_EQ(chunks[5].size(), 16u);
  EXPECT_EQ(chunks[6], std::string(16, '\0')) << "an address of another family is left unset";
  EXPECT_FALSE(chunks.contains(3) || chunks.contains(4));
  EXPECT_EQ(chunks[14], "secret");
}

TEST(Hep, WhatHepCannotSayIsNoPacket) {
  HepMessage large = message();
  const std::string text(65'400, 'x');
  large.payload = text;
  EXPECT_TRUE(encode_hep(large));
  const std::string more(65'600, 'x');
  large.payload = more;
  EXPECT_FALSE(encode_hep(large));
  const std::string much(1 << 20, 'x');
  large.payload = much;
  EXPECT_FALSE(encode_hep(large));
}

}  // namespace
}  // namespace ferry::telemetry
