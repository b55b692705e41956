// SPDX-License-Identifier: Apache-2.0
// Runs a property for a range of seeds, and says which one to repeat when it fails.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test {

/// Calls `property(seed)` for each seed of a range until one fails. FERRY_SEED is the first one (default 1)
/// and FERRY_SEEDS says how many (default `count`, or 1 if FERRY_SEED is set). Returns true if it ran the
/// default range or more, so that a test may ask for totals.
template <class Property>
bool for_each_seed(std::uint64_t count, Property property) {
  const char* first_text = std::getenv("FERRY_SEED");
  const char* count_text = std::getenv("FERRY_SEEDS");
  const std::uint64_t wanted = count;
  const std::uint64_t first = first_text != nullptr ? std::strtoull(first_text, nullptr, 10) : 1;
  if (first_text != nullptr) count = 1;
  if (count_text != nullptr) count = std::strtoull(count_text, nullptr, 10);
  EXPECT_GT(count, 0u) << "FERRY_SEEDS";
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("FERRY_SEED=" + std::to_string(seed) + " repeats it");
    property(seed);
    if (::testing::Test::HasFailure()) return false;
  }
  return count >= wanted;
}

}  // namespace ferry::test
