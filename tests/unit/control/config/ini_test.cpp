// SPDX-License-Identifier: Apache-2.0
#include "control/config/ini.hpp"

#include <gtest/gtest.h>

namespace ferry::ini_test {
namespace {

TEST(Ini, LinesHaveTheirSectionAndNumber) {
  const auto lines = ini_lines("a = 1\n# c\n\n[one]\r\n b=2 = 3 \n;x\nalone\n[two]\n");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].section, "");
  EXPECT_EQ(lines[0].key, "a");
  EXPECT_EQ(lines[0].value, "1");
  EXPECT_EQ(lines[1].kind, IniLine::Kind::kSection);
  EXPECT_EQ(lines[1].section, "one");
  EXPECT_EQ(lines[1].number, 4u);
  EXPECT_EQ(lines[2].section, "one");
  EXPECT_EQ(lines[2].key, "b");
  EXPECT_EQ(lines[2].value, "2 = 3");
  EXPECT_EQ(lines[3].key, "alone");
  EXPECT_EQ(lines[3].value, "");
  EXPECT_EQ(lines[3].number, 7u);
  EXPECT_EQ(lines[4].section, "two");
}

TEST(Ini, ABracketThatIsNotClosedBeginsNoSection) {
  const auto lines = ini_lines("[one\nkey = value");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].kind, IniLine::Kind::kBroken);
  EXPECT_EQ(lines[1].section, "[one");
  EXPECT_EQ(lines[1].key, "key");
}

TEST(Ini, OddTextsAreTakenApart) {
  EXPECT_TRUE(ini_lines("").empty());
  EXPECT_TRUE(ini_lines("\n \t\r\n#").empty());
  const auto lines = ini_lines("=\n[]\n");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].key, "");
  EXPECT_EQ(lines[1].section, "");
  EXPECT_EQ(lines[1].kind, IniLine::Kind::kSection);
}

}  // namespace
}  // namespace ferry::ini_test
