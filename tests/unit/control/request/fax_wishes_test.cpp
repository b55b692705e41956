// SPDX-License-Identifier: Apache-2.0
// Words of key `T.38`.
#include "control/request/fax_wishes.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::fax_wishes_test {
namespace {

using Words = std::vector<std::string>;

TEST(FaxWishes, WordsAreReadInEverySpelling) {
  struct Row {
    Words words;
    FaxWishes wishes;
  };
  const std::vector<Row> rows = {
      {{}, {}},
      {{"decode"}, {.decode = true}},
      {{"Force", "STOP"}, {.force = true, .stop = true}},
      {{"no-ECM", "FEC"}, {.fec = true, .ecm = false}},
      {{"no-V.17", "no-V.27ter", "no-V.29"}, {.v17 = false, .v27ter = false, .v29 = false}},
      {{"no-v17", "NO-V27TER", "no-v29"}, {.v17 = false, .v27ter = false, .v29 = false}},
      {{"no-V.34", "no-IAF"}, {}},
  };
  for (const Row& row : rows) {
    FaxWishes wishes;
    for (const std::string& each : row.words) EXPECT_TRUE(take_fax_word(wishes, each)) << each;
    EXPECT_EQ(wishes, row.wishes) << testing::PrintToString(row.words);
  }
}

TEST(FaxWishes, OtherWordsChangeNothing) {
  FaxWishes wishes;
  for (const char* word : {"no-V.90", "", ".", "decoded"}) EXPECT_FALSE(take_fax_word(wishes, word)) << word;
  EXPECT_EQ(wishes, FaxWishes{});
}

TEST(FaxWishes, VersionsAreThoseThatExist) {
  EXPECT_EQ(t38_version(0), 0);
  EXPECT_EQ(t38_version(3), 3);
  EXPECT_EQ(t38_version(-1), 0);
  EXPECT_EQ(t38_version(9'000'000'000), 3);
}

}  // namespace
}  // namespace ferry::test::fax_wishes_test
