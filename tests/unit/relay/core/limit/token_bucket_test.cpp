// SPDX-License-Identifier: Apache-2.0
// Rates of packets and octets.

#include "relay/core/limit/token_bucket.hpp"

#include <gtest/gtest.h>

namespace ferry::token_bucket_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

TEST(TokenBucket, LIM1_AllowsABurstOfOneSecondAndThenTheRate) {
  TokenBucket bucket;
  const RateLimit limit{250, 0};
  unsigned passed = 0;
  for (int ms = 0; ms < 3000; ++ms) {
    for (int i = 0; i < 10; ++i) passed += bucket.take(limit, 172, kStart + ms * 1ms) ? 1u : 0u;
  }
  EXPECT_NEAR(passed, 250u * 4u, 5u);
}

TEST(TokenBucket, LIM1_ATimeWithoutLimitLeavesNoDebt) {
  TokenBucket bucket;
  Instant now{1s};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.take({1000, 0}, 1000, now += 10ms));
  const RateLimit octets{1000, 20'000};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(bucket.take(octets, 100, now += 10ms)) << i;
}

TEST(TokenBucket, LIM1_OctetsAreLimitedToo) {
  TokenBucket bucket;
  const RateLimit limit{0, 1000};
  EXPECT_TRUE(bucket.take(limit, 900, kStart));
  EXPECT_FALSE(bucket.take(limit, 200, kStart)) << "leaves the bucket as it was";
  EXPECT_TRUE(bucket.take(limit, 100, kStart));
}

}  // namespace
}  // namespace ferry::token_bucket_test
