// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/parties.hpp"

#include "tests/support/fake_dtls.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

const Endpoint kNamed = *Endpoint::parse("192.0.2.10:4000");
Endpoint other(unsigned port) { return {kNamed.address, UdpPort{static_cast<std::uint16_t>(port)}}; }

class DtlsPartiesTest : public ::testing::Test {
 protected:
  DtlsPartiesTest() { parties_.name(kNamed, kNamed, false); }
  /// A handshake that is under way; as client it has not been proved that anybody is there.
  DtlsHandshake half_open(const Endpoint& with, bool is_unproven) {
    const auto role = is_unproven ? DtlsRole::kClient : DtlsRole::kServer;
    if (is_unproven) return {with, identity_.make(role, false), std::size_t{0}, {}};
    const Octets hello = dtls_message(kClientHello, 1, hello_body(random_of(1)));
    return {with, identity_.make(role, true), *parse_client_hello(hello), {}};
  }
  [[nodiscard]] bool has(const Endpoint& who) { return parties_.find(who, false) != nullptr; }

  Instant now_{1h};
  FakeIdentity identity_{now_, 1};
  DtlsParties parties_;
};

TEST_F(DtlsPartiesTest, DTL13_AtMostFourBesideTheNamedOnes) {
  parties_.make(kNamed, false, now_);
  for (unsigned i = 0; i < 20; ++i) {
    now_ += 1ms;
    parties_.make(other(5000 + i), false, now_);
    EXPECT_LE(parties_.size(), 1 + DtlsParties::kMostOthers);
  }
  EXPECT_TRUE(has(kNamed));
  for (unsigned i = 16; i < 20; ++i) EXPECT_TRUE(has(other(5000 + i))) << i;
}

TEST_F(DtlsPartiesTest, DTL13_WhoeverWaitedLongestGivesWayAndTheIdleAndUnprovenBeforeHim) {
  const struct {
    unsigned port;
    int kind;  // 0 idle, 1 not proven, 2 proven
  } rows[] = {{1, 2}, {2, 1}, {3, 0}, {4, 2}};
  for (const auto& row : rows) {
    now_ += 1ms;
    DtlsParty& party = parties_.make(other(row.port), false, now_);
    if (row.kind != 0) party.live = half_open(other(row.port), row.kind == 1);
  }
  for (const unsigned gone : {3u, 2u, 1u, 4u}) {
    now_ += 1ms;
    EXPECT_TRUE(has(other(gone)));
    parties_.make(other(100 + gone), false, now_).live = half_open(other(100 + gone), false);
    EXPECT_FALSE(has(other(gone))) << gone;
  }
}

TEST_F(DtlsPartiesTest, WhoWasNamedIsOneOfTheOthersFromThenOn) {
  for (unsigned i = 0; i < 20; ++i) {
    parties_.name(other(5000 + i), other(6000 + i), false);
    parties_.make(other(5000 + i), false, now_);
    parties_.make(other(6000 + i), false, now_);
    EXPECT_LE(parties_.size(), 2 + DtlsParties::kMostOthers);
  }
}

TEST_F(DtlsPartiesTest, WhoHasNoHandshakeLeavesAfterTenSeconds) {
  parties_.make(kNamed, false, now_);
  parties_.make(other(5000), false, now_).live = half_open(other(5000), false);
  now_ += 9s;
  parties_.forget_idle(now_);
  EXPECT_EQ(parties_.size(), 2u);
  now_ += 1s;
  parties_.forget_idle(now_);
  EXPECT_FALSE(has(kNamed));
  EXPECT_TRUE(has(other(5000)));
}

TEST_F(DtlsPartiesTest, WithIceAllSourcesAreOne) {
  DtlsParty& party = parties_.make(kNamed, true, now_);
  EXPECT_EQ(&parties_.make(other(5000), true, now_), &party);
  EXPECT_EQ(parties_.size(), 1u);
}

TEST(DtlsStartsTest, DTL4_DTL13_FourInTenSecondsAndThenOneEachSecondWhileNoneSucceeds) {
  DtlsStarts starts;
  Instant now{1h};
  EXPECT_TRUE(starts.is_fresh(now));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(starts.take(now)) << i;
  EXPECT_FALSE(starts.take(now));
  EXPECT_FALSE(starts.take(now + 999ms));
  EXPECT_TRUE(starts.take(now + 1s));
  EXPECT_FALSE(starts.take(now + 1500ms));
  starts.succeed();
  EXPECT_FALSE(starts.take(now + 3s)) << "a restart of one that came to keys";
  EXPECT_FALSE(starts.is_fresh(now + 3s));
  EXPECT_TRUE(starts.take(now + 10s));
}

TEST(DtlsBudgetTest, DTL14_OneAddressHasABudgetInEachCall) {
  const IpAddress nat = kNamed.address;
  DtlsBudget budget;
  std::vector<DtlsBudget::Place> places;
  for (std::uint64_t call = 0; call < 100; ++call) {
    for (std::size_t i = 0; i < DtlsBudget::kMostOfOne; ++i) {
      places.push_back(budget.take({call, nat}));
      ASSERT_TRUE(places.back()) << "call " << call;
    }
    EXPECT_FALSE(budget.take({call, nat}));
  }
  EXPECT_EQ(budget.pending(), 3200u);
  while (budget.pending() < DtlsBudget::kMost) places.push_back(budget.take({budget.pending(), nat}));
  EXPECT_FALSE(budget.take({1'000'000, nat})) << "DTL-12: of the whole worker";
  places.clear();
  EXPECT_EQ(budget.pending(), 0u);
  EXPECT_TRUE(budget.take({0, nat}));
}

}  // namespace
}  // namespace ferry::test
