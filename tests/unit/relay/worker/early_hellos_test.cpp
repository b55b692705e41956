// SPDX-License-Identifier: Apache-2.0
// First flights at a shared port from endpoints that are bound to nobody: what is held, for how long, and
// what gives way (DTL-3).

#include "relay/worker/early_hellos.hpp"

#include "tests/support/fake_dtls.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::early_hellos_test {
namespace {

using namespace ferry::test;
using namespace std::chrono_literals;

constexpr SharedPortId kPort{1};
constexpr SharedPortId kOther{2};

Endpoint host(unsigned n) {
  return {IpAddress::v4({192, 0, static_cast<std::uint8_t>(n >> 8), static_cast<std::uint8_t>(n)}),
          UdpPort{4000}};
}

class EarlyHellosTest : public ::testing::Test {
 protected:
  static Octets hello(std::size_t more = 100) {
    return dtls_message(kClientHello, 0, hello_body(FakeRandom{}, {}, more));
  }
  bool hold(unsigned from, const Octets& octets, SharedPortId port = kPort) {
    PacketBuffer packet = pool_.allocate();
    std::ranges::copy(octets, packet.space().begin());
    packet.set_data_size(octets.size());
    packet->remote = host(from);
    packet->cookie = make_cookie(port);
    const bool held = hellos_.hold(packet, now_);
    EXPECT_EQ(held, !packet) << "it is either held or still the caller's";
    return held;
  }
  /// What is held of an endpoint, taken out.
  std::vector<Octets> take(unsigned from, SharedPortId port = kPort) {
    std::vector<Octets> all;
    while (const PacketBuffer packet = hellos_.take(port, host(from), now_)) {
      EXPECT_EQ(packet->remote, host(from));
      all.emplace_back(packet.data().begin(), packet.data().end());
    }
    return all;
  }

  PacketPool pool_{200};
  EarlyHellos hellos_;
  Instant now_{1h};
};

TEST_F(EarlyHellosTest, DTL3_AFlightOfSeveralDatagramsComesBackInOrder) {
  const Octets body = hello_body(FakeRandom{}, {}, 1500);
  const Octets first = dtls_message(kClientHello, 0, body, 0, 1200);
  const Octets second = dtls_message(kClientHello, 0, body, 1200);
  EXPECT_TRUE(hold(1, first));
  EXPECT_TRUE(hold(2, hello()));
  EXPECT_TRUE(hold(1, second));
  EXPECT_EQ(take(1), (std::vector{first, second}));
  EXPECT_EQ(take(1), std::vector<Octets>{}) << "once";
  EXPECT_EQ(hellos_.size(), 1u);
  EXPECT_EQ(hellos_.take_dropped(), 0u);
}

TEST_F(EarlyHellosTest, DTL3_OnlyWhatBeginsWithAHelloIsHeld) {
  const Octets body = hello_body(FakeRandom{}, {}, 1500);
  EXPECT_FALSE(hold(1, dtls_message(kClientHello, 0, body, 1200)));
  EXPECT_FALSE(hold(1, dtls_message(kServerHello, 0, server_hello_body(FakeRandom{}))));
  EXPECT_FALSE(hold(1, dtls_alert(2, 40)));
  EXPECT_FALSE(hold(1, {std::byte{22}}));
  EXPECT_FALSE(hold(1, {}));
  EXPECT_EQ(hellos_.size(), 0u);
}

TEST_F(EarlyHellosTest, DTL3_PortsAreKeptApart) {
  EXPECT_TRUE(hold(1, hello(), kPort));
  EXPECT_EQ(take(1, kOther), std::vector<Octets>{});
  EXPECT_TRUE(hold(1, hello(), kOther));
  EXPECT_EQ(take(1, kPort).size(), 1u);
  EXPECT_EQ(take(1, kOther).size(), 1u);
}

TEST_F(EarlyHellosTest, DTL3_AnEndpointHasFourThousandOctets) {
  const Octets one = hello(1200);
  std::size_t held = 0;
  while (held < 100 && hold(1, one)) ++held;
  EXPECT_EQ(held, EarlyHellos::kOctets / one.size());
  EXPECT_TRUE(hold(2, one)) << "another one has its own";
  EXPECT_EQ(take(1).size(), held);
  EXPECT_TRUE(hold(1, one));
}

TEST_F(EarlyHellosTest, DTL3_NothingWaitsLongerThanTwoSeconds) {
  hold(1, hello());
  hold(2, hello());
  now_ += EarlyHellos::kTime;
  EXPECT_EQ(take(1).size(), 1u);
  now_ += 1ms;
  EXPECT_EQ(take(2), std::vector<Octets>{});
  EXPECT_EQ(hellos_.take_dropped(), 1u);
  hold(3, hello());
  now_ += EarlyHellos::kTime + 1ms;
  hellos_.forget_old(now_);
  EXPECT_EQ(hellos_.size(), 0u);
  EXPECT_EQ(hellos_.take_dropped(), 1u);
  EXPECT_EQ(pool_.free_count(), pool_.size()) << "its buffers are the engine's again";
}

TEST_F(EarlyHellosTest, DTL3_LIM2_AFloodTakesNoMoreThanItsPlacesAndTheOldestGivesWay) {
  const unsigned flood = EarlyHellos::kPlaces + 10;
  for (unsigned n = 0; n < flood; ++n) ASSERT_TRUE(hold(n, hello()));
  EXPECT_EQ(hellos_.size(), EarlyHellos::kPlaces);
  EXPECT_EQ(hellos_.take_dropped(), 10u);
  EXPECT_EQ(pool_.free_count(), pool_.size() - EarlyHellos::kPlaces);
  for (unsigned n = 0; n < flood; ++n) EXPECT_EQ(take(n).size(), n < 10 ? 0u : 1u) << n;
  // Places that became free out of order are filled again.
  for (unsigned n = 0; n < flood; ++n) ASSERT_TRUE(hold(n, hello()));
  for (unsigned n = 20; n < 40; ++n) take(n);
  for (unsigned n = 1000; n < 1000 + flood; ++n) ASSERT_TRUE(hold(n, hello()));
  EXPECT_EQ(hellos_.size(), EarlyHellos::kPlaces);
}

}  // namespace
}  // namespace ferry::early_hellos_test
