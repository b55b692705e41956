// SPDX-License-Identifier: Apache-2.0
// Pauses before a server is tried again.

#include "control/telemetry/backoff.hpp"

#include <gtest/gtest.h>

namespace ferry::telemetry {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, PausesDoubleUpToTheLongestAndBeginAnewAfterASuccess) {
  Backoff backoff(1s, 5s);
  EXPECT_EQ(backoff.failed(), 1s);
  EXPECT_EQ(backoff.failed(), 2s);
  EXPECT_EQ(backoff.failed(), 4s);
  EXPECT_EQ(backoff.failed(), 5s);
  EXPECT_EQ(backoff.failed(), 5s);
  backoff.succeeded();
  EXPECT_EQ(backoff.failed(), 1s);
}

}  // namespace
}  // namespace ferry::telemetry
