// SPDX-License-Identifier: Apache-2.0
// Endpoints in the kernel's form and back.

#include "relay/io/portable/socket_address.hpp"

#include <cstring>

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace ferry::socket_address_test {
namespace {

TEST(SocketAddress, AnEndpointComesBackAsItWas) {
  for (const char* text : {"192.0.2.10:4000", "0.0.0.0:0", "255.255.255.255:65535", "[2001:db8::1]:30000",
                           "[::]:1", "[fe80::1:2:3:4]:256"}) {
    const Endpoint endpoint = *Endpoint::parse(text);
    EXPECT_EQ(SocketAddress(endpoint).endpoint(), endpoint) << text;
  }
}

TEST(SocketAddress, IsWhatTheKernelReads) {
  const SocketAddress v4(*Endpoint::parse("192.0.2.10:4000"));
  ASSERT_EQ(v4.size(), sizeof(sockaddr_in));
  EXPECT_EQ(v4.family(), AF_INET);
  sockaddr_in in4{};
  std::memcpy(&in4, v4.get(), sizeof in4);
  EXPECT_EQ(in4.sin_port, htons(4000));
  EXPECT_EQ(in4.sin_addr.s_addr, inet_addr("192.0.2.10"));

  const SocketAddress v6(*Endpoint::parse("[2001:db8::1]:4000"));
  ASSERT_EQ(v6.size(), sizeof(sockaddr_in6));
  EXPECT_EQ(v6.family(), AF_INET6);
  sockaddr_in6 in6{};
  std::memcpy(&in6, v6.get(), sizeof in6);
  in6_addr wanted{};
  ASSERT_EQ(inet_pton(AF_INET6, "2001:db8::1", &wanted), 1);
  EXPECT_EQ(in6.sin6_port, htons(4000));
  EXPECT_EQ(std::memcmp(&in6.sin6_addr, &wanted, sizeof wanted), 0);
  EXPECT_EQ(in6.sin6_scope_id, 0u);
}

// A socket of both families names an IPv4 peer by a mapped address, and a peer has one name only.
TEST(SocketAddress, AMappedAddressIsIpv4) {
  SocketAddress address;
  auto& v6 = *reinterpret_cast<sockaddr_in6*>(address.get());
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(5000);
  ASSERT_EQ(inet_pton(AF_INET6, "::ffff:192.0.2.1", &v6.sin6_addr), 1);
  EXPECT_EQ(address.endpoint(), *Endpoint::parse("192.0.2.1:5000"));
  ASSERT_EQ(inet_pton(AF_INET6, "::fffe:192.0.2.1", &v6.sin6_addr), 1);
  EXPECT_TRUE(address.endpoint().address.is_v6());
}

TEST(SocketAddress, WithoutAnAddressThereIsNoEndpoint) {
  SocketAddress address;
  EXPECT_EQ(address.family(), AF_UNSPEC);
  EXPECT_FALSE(address.endpoint().is_set());
  EXPECT_EQ(*address.size_pointer(), sizeof(sockaddr_storage)) << "room for what the kernel writes";
  address.get()->sa_family = AF_UNIX;
  EXPECT_FALSE(address.endpoint().is_set());
}

}  // namespace
}  // namespace ferry::socket_address_test
