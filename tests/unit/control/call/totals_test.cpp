// SPDX-License-Identifier: Apache-2.0
// Reasons of ends as metrics and records name them.
#include "control/call/totals.hpp"

#include <string_view>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

TEST(EndReasons, HaveTheNamesOfTheDocuments) {
  constexpr std::string_view kNames[] = {"regular",        "forced",        "timeout",
                                         "silent-timeout", "offer-timeout", "final-timeout"};
  for (std::size_t i = 0; i < std::size(kNames); ++i)
    EXPECT_EQ(to_string(static_cast<EndReason>(i)), kNames[i]);
  EXPECT_EQ(to_string(static_cast<EndReason>(99)), "unknown");
  EXPECT_EQ(SessionTotals{}.ended.size(), std::size(kNames)) << "each is counted";
}

}  // namespace
}  // namespace ferry::test
