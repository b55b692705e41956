// SPDX-License-Identifier: Apache-2.0
// What a sentence of a verdict looks like in a log.

#include "control/log/masked_addresses.hpp"

#include <string>

#include <gtest/gtest.h>

namespace ferry::log {
namespace {

TEST(MaskedAddresses, CTL11_NoAddressStaysWhole) {
  struct Case {
    const char* sentence;
    const char* masked;
  };
  const Case cases[] = {
      {"", ""},
      {"A hears nothing from B", "A hears nothing from B"},
      {"media comes from 192.0.2.10:4000 and is refused", "media comes from 192.0.x:4000 and is refused"},
      {"it was sent to 192.0.2.10.", "it was sent to 192.0.x."},
      {"10.1.2.3, 10.9.8.7: two of them", "10.1.x, 10.9.x: two of them"},
      {"(192.0.2.1:5)", "(192.0.x:5)"},
      {"from [2001:db8:1::5]:4000", "from [2001:db8:x]:4000"},
      {"2001:db8::1 cannot be reached", "2001:db8:x cannot be reached"},
      {"at fe80::1: no route", "at fe80::x: no route"},
      {"since 12:03:44 UTC (9 s ago), 12.5 % lost", "since 12:03:44 UTC (9 s ago), 12.5 % lost"},
      {"version 1.2.3 of a bead", "version 1.2.3 of a bead"},
      {"256.1.1.1 is none", "256.1.1.1 is none"},
      {"ends with 192.0.2.10", "ends with 192.0.x"},
      {"and so on 192.0.2.10...", "and so on 192.0.x..."},
      {"at 2001:db8::: no route", "at 2001:db8:x: no route"},
      {"..:", "..:"},
  };
  for (const Case& each : cases) EXPECT_EQ(mask_addresses(each.sentence), each.masked) << each.sentence;
}

TEST(MaskedAddresses, ATagOfFullStopsTakesNoTime) {
  // Tags come from parties and stand in sentences: a look at each shorter end of this one would take minutes.
  const std::string tag(1'000'000, '.');
  EXPECT_EQ(mask_addresses(tag + " at 192.0.2.10"), tag + " at 192.0.x");
}

}  // namespace
}  // namespace ferry::log
