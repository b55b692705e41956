// SPDX-License-Identifier: Apache-2.0
// Counting the enumerators of an enum when it is compiled.
#include "relay/base/enum_bits.hpp"

#include <cstdint>

#include <gtest/gtest.h>

namespace ferry {
namespace {

enum class Outside : std::uint8_t { kA, kB, kC };
class Owner {
 public:
  enum class State : std::uint8_t { kA, kB };
};

TEST(EnumBits, AnEnumHasAtMostAsManyEnumeratorsAsItHasNames) {
  EXPECT_FALSE((kHasAtMost<Outside, 2>));
  EXPECT_TRUE((kHasAtMost<Outside, 3>));
  EXPECT_FALSE((kHasAtMost<Owner::State, 1>));
  EXPECT_TRUE((kHasAtMost<Owner::State, 2>));
}

TEST(EnumBits, OnlyNamedValuesAreEnumerators) {
  EXPECT_TRUE(is_enumerator<Outside::kC>());
  EXPECT_FALSE(is_enumerator<static_cast<Outside>(3)>());
  EXPECT_FALSE(is_enumerator<static_cast<Outside>(255)>());
}

}  // namespace
}  // namespace ferry
