#include "control/protocol/access.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

TEST(Access, CTL3_WhoIsRefusedIsCountedForTheDoctor) {
  AccessList access({*Network::parse("192.0.2.0/24")}, false);
  const IpAddress proxy = IpAddress::v4({198, 51, 100, 9});
  const Instant now{1h};
  EXPECT_TRUE(access.admit(IpAddress::v4({192, 0, 2, 5}), now));
  EXPECT_TRUE(access.refusals().empty());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(access.admit(proxy, now));
  ASSERT_EQ(access.refusals().size(), 1u);
  EXPECT_EQ(access.refusals()[0].source, proxy);
  EXPECT_EQ(access.refusals()[0].count, 3u);
}

TEST(Access, LIM4_ASprayOfForgedSourcesCostsNoMemory) {
  AccessList access({}, false);
  for (unsigned i = 0; i < 10'000; ++i)
    EXPECT_FALSE(
        access.admit(IpAddress::v4({10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}),
                     Instant{1h}));
  EXPECT_EQ(access.refused(), 10'000u);
  EXPECT_LE(access.refusals().size(), 32u);
}

}  // namespace
}  // namespace ferry::test
