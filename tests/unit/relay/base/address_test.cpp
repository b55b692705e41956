// SPDX-License-Identifier: Apache-2.0
// Addresses, endpoints and networks: what texts mean, and which class an address belongs to.

#include "relay/base/address.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::address_test {
namespace {

TEST(IpAddress, OnlyNumericAddressesAreRead) {
  for (const char* text :
       {"192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1", "::ffff:192.0.2.1"}) {
    const auto address = IpAddress::parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->to_string(), text);
  }
  for (const char* text : {"", " ", "192.0.2", "192.0.2.256", "192.0.2.1 ", "192.0.2.01.", "host", "[::1]",
                           "fe80::1%eth0", "192.0.2.0/24", "::1::", "12345::", "1.2.3.4.5"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  EXPECT_FALSE(IpAddress::parse(std::string_view("192.0.2.1\0x", 11))) << "an inner NUL";
  EXPECT_FALSE(IpAddress::parse(std::string(1000, '1')));
  EXPECT_EQ(IpAddress{}.to_string(), "");
}

TEST(IpAddress, EachClassEndsWhereItsRfcSays) {
  struct Row {
    const char* inside;
    const char* outside;
    bool (IpAddress::*is)() const;
  };
  const Row rows[] = {
      {"10.255.255.255", "11.0.0.0", &IpAddress::is_private},
      {"172.16.0.0", "172.15.255.255", &IpAddress::is_private},
      {"172.31.255.255", "172.32.0.0", &IpAddress::is_private},
      {"192.168.0.1", "192.169.0.1", &IpAddress::is_private},
      {"fdff::1", "fe00::1", &IpAddress::is_private},
      {"100.64.0.0", "100.63.255.255", &IpAddress::is_shared},
      {"100.127.255.255", "100.128.0.0", &IpAddress::is_shared},
      {"169.254.0.1", "169.253.0.1", &IpAddress::is_link_local},
      {"febf::1", "fec0::1", &IpAddress::is_link_local},
      {"127.255.0.1", "128.0.0.1", &IpAddress::is_loopback},
      {"::1", "::2", &IpAddress::is_loopback},
      {"224.0.0.0", "223.255.255.255", &IpAddress::is_multicast},
      {"239.255.255.255", "240.0.0.0", &IpAddress::is_multicast},
      {"ff02::1", "fe02::1", &IpAddress::is_multicast},
      {"255.255.255.255", "255.255.255.254", &IpAddress::is_broadcast},
      {"0.0.0.0", "0.0.0.1", &IpAddress::is_unspecified},
      {"::", "::1", &IpAddress::is_unspecified},
      {"8.8.8.8", "10.8.8.8", &IpAddress::is_global},
      {"2001:db8::1", "fe80::1", &IpAddress::is_global},
  };
  for (const Row& row : rows) {
    EXPECT_TRUE((*IpAddress::parse(row.inside).*row.is)()) << row.inside;
    EXPECT_FALSE((*IpAddress::parse(row.outside).*row.is)()) << row.outside;
    EXPECT_FALSE((IpAddress{}.*row.is)()) << "no address belongs to no class";
  }
}

TEST(IpAddress, MappedAddressesAreThoseOfIpv4) {
  EXPECT_EQ(IpAddress::parse("::ffff:192.0.2.1")->unmapped(), IpAddress::parse("192.0.2.1"));
  for (const char* text : {"192.0.2.1", "::192.0.2.1", "::fffe:192.0.2.1", "1::ffff:192.0.2.1", "::"})
    EXPECT_EQ(IpAddress::parse(text)->unmapped(), IpAddress::parse(text)) << text;
}

TEST(Endpoint, ReadsTheFormThatItWrites) {
  rc::check([] {
    const bool v4 = *rc::gen::arbitrary<bool>();
    std::array<std::uint8_t, 16> octets{};
    for (std::size_t i = 0; i < (v4 ? 4u : 16u); ++i) octets[i] = *rc::gen::arbitrary<std::uint8_t>();
    const Endpoint endpoint{
        v4 ? IpAddress::v4({octets[0], octets[1], octets[2], octets[3]}) : IpAddress::v6(octets),
        UdpPort{*rc::gen::arbitrary<std::uint16_t>()}};
    RC_ASSERT(Endpoint::parse(endpoint.to_string()) == endpoint);
    RC_ASSERT(IpAddress::parse(endpoint.address.to_string()) == endpoint.address);
  });
}

TEST(Endpoint, AnythingElseIsNone) {
  for (const char* text :
       {"", ":", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "192.0.2.1:40 ",
        "192.0.2.1:0x10", "::1:4000", "2001:db8::1:4000", "[::1]", "[::1:4000", "::1]:4000", "host:4000"})
    EXPECT_FALSE(Endpoint::parse(text)) << text;
}

TEST(Endpoint, CanBeSentToOnlyWithAddressAndPort) {
  EXPECT_TRUE(Endpoint::parse("192.0.2.1:4000")->is_reachable());
  EXPECT_FALSE(Endpoint::parse("192.0.2.1:0")->is_reachable());
  EXPECT_FALSE(Endpoint::parse("0.0.0.0:4000")->is_reachable());
  EXPECT_FALSE(Endpoint::parse("[::]:4000")->is_reachable());
  EXPECT_FALSE(Endpoint{}.is_reachable());
}

TEST(Network, HoldsItsPrefixAndNothingElse) {
  struct Row {
    const char* network;
    const char* inside;
    const char* outside;
  };
  constexpr Row kRows[] = {{"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
                           {"192.0.2.128/25", "192.0.2.129", "192.0.2.127"},
                           {"10.0.0.0/8", "10.255.0.1", "11.0.0.0"},
                           {"192.0.2.1", "192.0.2.1", "192.0.2.0"},
                           {"2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"},
                           {"0.0.0.0/0", "255.0.0.1", "::1"},
                           {"::/0", "ffff::", "192.0.2.1"}};
  for (const Row& row : kRows) {
    const auto network = Network::parse(row.network);
    ASSERT_TRUE(network) << row.network;
    EXPECT_TRUE(network->contains(*IpAddress::parse(row.inside))) << row.network;
    EXPECT_FALSE(network->contains(*IpAddress::parse(row.outside))) << row.network;
    EXPECT_FALSE(network->contains(IpAddress{})) << row.network;
  }
  for (const char* text :
       {"", "/", "192.0.2.0/", "192.0.2.0/33", "::/129", "192.0.2.0/-1", "192.0.2.0/8x", "/24"})
    EXPECT_FALSE(Network::parse(text)) << text;
}

}  // namespace
}  // namespace ferry::address_test
