// SPDX-License-Identifier: Apache-2.0
// Which worker has which port: the owner and its cookie, and ports that are nobody's.

#include "relay/io/dpdk/port_claims.hpp"

#include <gtest/gtest.h>

namespace ferry::dpdk::port_claims_test {
namespace {

Endpoint at(const char* text) { return *Endpoint::parse(text); }

TEST(PortClaims, TheOwnerIsFoundByAddressAndPort) {
  PortClaims claims({at("192.0.2.1:1").address, at("[2001:db8::1]:1").address});
  EXPECT_FALSE(claims.find(at("192.0.2.1:30000")));
  claims.claim(at("192.0.2.1:30000"), {3, 77});
  claims.claim(at("[2001:db8::1]:30000"), {0, 0});
  claims.claim(at("192.0.2.1:65535"), {65'534, (std::uint64_t{1} << 48) - 1});
  const struct {
    const char* where;
    unsigned worker;
    std::uint64_t cookie;
  } rows[] = {{"192.0.2.1:30000", 3, 77},
              {"[2001:db8::1]:30000", 0, 0},
              {"192.0.2.1:65535", 65'534, (std::uint64_t{1} << 48) - 1}};
  for (const auto& row : rows) {
    const auto found = claims.find(at(row.where));
    ASSERT_TRUE(found) << row.where;
    EXPECT_EQ(found->worker, row.worker) << row.where;
    EXPECT_EQ(found->cookie, row.cookie) << row.where;
  }
  for (const char* nobody : {"192.0.2.1:30001", "192.0.2.1:29999", "[2001:db8::1]:65535", "192.0.2.1:0"})
    EXPECT_FALSE(claims.find(at(nobody))) << nobody;
}

TEST(PortClaims, APortIsClaimedAnewAndGivenUp) {
  PortClaims claims({at("192.0.2.1:1").address});
  claims.claim(at("192.0.2.1:30000"), {1, 5});
  claims.claim(at("192.0.2.1:30000"), {2, 6});
  ASSERT_TRUE(claims.find(at("192.0.2.1:30000")));
  EXPECT_EQ(claims.find(at("192.0.2.1:30000"))->worker, 2u);
  claims.give_up(at("192.0.2.1:30000"));
  claims.give_up(at("192.0.2.1:30001"));
  EXPECT_FALSE(claims.find(at("192.0.2.1:30000")));
}

TEST(PortClaims, AddressesThatAreNotServedAreNobodys) {
  PortClaims claims({at("192.0.2.1:1").address});
  claims.claim(at("192.0.2.2:30000"), {1, 5});
  claims.give_up(at("[2001:db8::1]:30000"));
  EXPECT_FALSE(claims.find(at("192.0.2.2:30000")));
  EXPECT_FALSE(PortClaims({}).find(at("192.0.2.1:30000")));
}

TEST(PortClaims, TheOctetOfAPortIsZeroUntilItIsSet) {
  PortClaims claims({});
  EXPECT_EQ(claims.tos_of(PortHandle{5}), 0);
  claims.set_tos(PortHandle{5}, 0xb8);
  EXPECT_EQ(claims.tos_of(PortHandle{5}), 0xb8);
  EXPECT_EQ(claims.tos_of(PortHandle{6}), 0);
  for (const std::int32_t no_descriptor : {-1, INT32_MAX}) {
    claims.set_tos(PortHandle{no_descriptor}, 0xb8);
    EXPECT_EQ(claims.tos_of(PortHandle{no_descriptor}), 0) << no_descriptor;
  }
}

}  // namespace
}  // namespace ferry::dpdk::port_claims_test
