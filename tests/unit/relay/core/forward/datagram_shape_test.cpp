// SPDX-License-Identifier: Apache-2.0
// The forms of UDPTL, DTLS and BFCP, octet by octet (DMX-6).

#include "relay/core/forward/datagram_shape.hpp"

#include "tests/support/shapes.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

struct ShapeCase {
  const char* what;
  Packet packet;
  bool is_right = false;
};

Packet with_tail(Packet packet, std::initializer_list<int> tail) {
  for (const int octet : tail) packet.push_back(static_cast<std::byte>(octet));
  return packet;
}

Packet long_udptl() {
  Packet packet = bytes_of({0, 9, 0x81, 0x2c});  // 300 octets
  packet.insert(packet.end(), 300, std::byte{0x55});
  return with_tail(std::move(packet), {0, 0});
}

TEST(DatagramShape, DMX6_UdptlIsCompleteAndNothingIsBehindIt) {
  const std::vector<ShapeCase> cases = {
      {"no earlier packets", udptl_packet(), true},
      {"two earlier packets", bytes_of({0, 7, 1, 6, 0, 2, 2, 0xaa, 0xbb, 1, 0xcc}), true},
      {"parity of three packets", bytes_of({0, 7, 1, 6, 0x80, 1, 3, 1, 2, 0xaa, 0xbb}), true},
      {"length of two octets", long_udptl(), true},
      {"an empty IFP packet", bytes_of({0, 7, 0, 0, 0}), true},
      {"zeros behind it", with_tail(udptl_packet(), {0, 0, 0, 0, 0, 0, 0}), true},
      {"more zeros than fill a word up", with_tail(udptl_packet(), {0, 0, 0, 0, 0, 0, 0, 0}), false},
      {"something behind it", with_tail(udptl_packet(), {0, 0, 1}), false},
      {"no error recovery", bytes_of({0, 1, 2, 0xaa, 0xbb}), false},
      {"error recovery without a count", bytes_of({0, 1, 2, 0xaa, 0xbb, 0}), false},
      {"IFP packet cut off", bytes_of({0, 1, 9, 0xaa, 0xbb, 0, 0}), false},
      {"an earlier packet cut off", bytes_of({0, 7, 1, 6, 0, 1, 4, 0xaa}), false},
      {"fewer earlier packets than it says", bytes_of({0, 7, 1, 6, 0, 3, 1, 0xaa}), false},
      {"parity without its span", bytes_of({0, 7, 1, 6, 0x80, 1}), false},
      {"parity with a span of two octets", bytes_of({0, 7, 1, 6, 0x80, 2, 0, 3, 1, 1, 0xaa}), false},
      {"a length in fragments", bytes_of({0, 7, 0xc1, 0, 0, 0}), false},
      {"three octets", bytes_of({0, 1, 0}), false},
      {"nothing", {}, false},
  };
  for (const ShapeCase& each : cases) EXPECT_EQ(is_udptl(each.packet), each.is_right) << each.what;
}

TEST(DatagramShape, DMX6_DtlsIsRecordsFromEndToEnd) {
  const Packet one = dtls_packet();
  Packet two = one;
  two.insert(two.end(), one.begin(), one.end());
  Packet other_version = one;
  other_version[2] = std::byte{0xff};  // 1.0
  Packet tls = one;
  tls[1] = std::byte{3};
  Packet unknown_type = one;
  unknown_type[0] = std::byte{19};
  const std::vector<ShapeCase> cases = {
      {"one record", one, true},
      {"two records", two, true},
      {"DTLS 1.0", other_version, true},
      {"an alert", bytes_of({21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 1, 0, 2, 1, 0}), true},
      {"DTLS 1.3 with a length", bytes_of({0x2e, 0, 1, 0, 3, 7, 8, 9}), true},
      {"DTLS 1.3 with a short number", bytes_of({0x26, 1, 0, 2, 7, 8}), true},
      {"DTLS 1.3 without a length", bytes_of({0x2a, 0, 1, 7, 8, 9, 9, 9}), false},
      {"DTLS 1.3 with a connection id", bytes_of({0x3e, 9, 0, 1, 0, 3, 7, 8, 9}), false},
      {"TLS", tls, false},
      {"an unknown type", unknown_type, false},
      {"half a record behind it", with_tail(one, {22, 0xfe, 0xfd}), false},
      {"a record cut off", Packet(one.begin(), one.end() - 1), false},
      {"a header cut off", Packet(one.begin(), one.begin() + 12), false},
      {"one octet of DTLS 1.3", bytes_of({0x2e}), false},
      {"nothing", {}, false},
  };
  for (const ShapeCase& each : cases) EXPECT_EQ(is_dtls(each.packet), each.is_right) << each.what;
}

TEST(DatagramShape, DMX6_BfcpHasAHeaderAndLengthsThatAddUp) {
  const auto with = [](std::size_t at, int octet) {
    Packet packet = bfcp_packet();
    packet[at] = static_cast<std::byte>(octet);
    return packet;
  };
  const Packet fragment =
      bytes_of({0x48, 1, 0, 3, 0, 0, 0, 1, 0, 2, 0, 3, 0, 1, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8});
  Packet beyond = fragment;
  beyond[13] = std::byte{2};
  const std::vector<ShapeCase> cases = {
      {"hello", bfcp_packet(), true},
      {"version 1, as before RFC 8855", with(0, 0x20), true},
      {"the last primitive", with(1, 17), true},
      {"an attribute", with_tail(with(3, 1), {4, 4, 0, 1}), true},
      {"a fragment", fragment, true},
      {"a fragment past the end of its message", beyond, false},
      {"a fragment without its fields", with(0, 0x48), false},
      {"version 0", with(0, 0), false},
      {"version 3", with(0, 0x60), false},
      {"primitive 0", with(1, 0), false},
      {"an unknown primitive", with(1, 18), false},
      {"two octets more, to fill a word up", with_tail(bfcp_packet(), {0, 0}), true},
      {"longer than it says", with_tail(bfcp_packet(), {0, 0, 0, 0}), false},
      {"shorter than it says", with(3, 1), false},
      {"eleven octets", Packet(11, std::byte{0x40}), false},
      {"nothing", {}, false},
  };
  for (const ShapeCase& each : cases) EXPECT_EQ(is_bfcp(each.packet), each.is_right) << each.what;
}

TEST(DatagramShape, DMX6_NoOtherServiceHasTheFormOfOne) {
  for (const Shape& each : shapes()) {
    EXPECT_EQ(is_udptl(each.packet), each.name == "udptl") << each.name;
    EXPECT_EQ(is_dtls(each.packet), each.name == "dtls") << each.name;
    EXPECT_EQ(is_bfcp(each.packet), each.name == "bfcp") << each.name;
  }
}

/// No length within a datagram leads a reader past its end: each is cut at every octet.
TEST(DatagramShape, DMX6_CutDatagramsAreRefusedAtEveryLength) {
  const Packet udptl = bytes_of({0, 7, 1, 6, 0, 2, 2, 0xaa, 0xbb, 1, 0xcc});
  for (std::size_t size = 0; size < udptl.size(); ++size)
    EXPECT_FALSE(is_udptl(Bytes(udptl).first(size))) << size;
  const Packet dtls = dtls_packet();
  for (std::size_t size = 0; size < dtls.size(); ++size)
    EXPECT_FALSE(is_dtls(Bytes(dtls).first(size))) << size;
  const Packet bfcp = bfcp_packet();
  for (std::size_t size = 0; size < bfcp.size(); ++size)
    EXPECT_FALSE(is_bfcp(Bytes(bfcp).first(size))) << size;
}

}  // namespace
}  // namespace ferry::test
