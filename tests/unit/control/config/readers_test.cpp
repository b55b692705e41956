// SPDX-License-Identifier: Apache-2.0
// How values of options are read, and the sentence for those that are none.

#include "control/config/readers.hpp"

#include <chrono>
#include <cstdint>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::readers_test {
namespace {

using namespace std::chrono_literals;

TEST(Readers, ANumberIsDecimalWholeAndInItsRange) {
  const struct {
    const char* text;
    bool is_good;
    unsigned value;
  } rows[] = {{"1", true, 1},    {"100", true, 100}, {"007", true, 7},        {"0", false, 0},
              {"101", false, 0}, {"-1", false, 0},   {"+1", false, 0},        {"1.0", false, 0},
              {"1 ", false, 0},  {" 1", false, 0},   {"", false, 0},          {"0x10", false, 0},
              {"1e1", false, 0}, {"eins", false, 0}, {"4294967297", false, 0}};
  for (const auto& row : rows) {
    unsigned target = 42;
    const std::string wrong = read_number(row.text, target, 1u, 100u);
    EXPECT_EQ(wrong.empty(), row.is_good) << row.text;
    EXPECT_EQ(target, row.is_good ? row.value : 42) << "a bad value changes nothing: " << row.text;
    if (!row.is_good) {
      EXPECT_EQ(wrong, "'" + std::string(row.text) + "' is no number from 1 to 100");
    }
  }
}

TEST(Readers, ASwitchWithoutAValueIsOn) {
  const struct {
    const char* text;
    bool is_good;
    bool value;
  } rows[] = {{"", true, true},   {"yes", true, true},   {"true", true, true},   {"on", true, true},
              {"1", true, true},  {"no", true, false},   {"false", true, false}, {"off", true, false},
              {"0", true, false}, {"YES", false, false}, {"2", false, false},    {"yes ", false, false}};
  for (const auto& row : rows) {
    for (const bool before : {false, true}) {
      bool target = before;
      EXPECT_EQ(set_switch(target, row.text).empty(), row.is_good) << row.text;
      EXPECT_EQ(target, row.is_good ? row.value : before) << row.text;
    }
  }
}

TEST(Readers, AModeIsOctalAndHasNoSpecialBits) {
  const struct {
    const char* text;
    bool is_good;
    mode_t value;
  } rows[] = {{"0640", true, 0640}, {"660", true, 0660}, {"0", true, 0},       {"0777", true, 0777},
              {"1777", false, 0},   {"4755", false, 0},  {"0680", false, 0},   {"0o640", false, 0},
              {"", false, 0},       {"-640", false, 0},  {"rw-r--", false, 0}, {"640 ", false, 0}};
  for (const auto& row : rows) {
    mode_t target = 0123;
    EXPECT_EQ(read_mode(row.text, target).empty(), row.is_good) << row.text;
    EXPECT_EQ(target, row.is_good ? row.value : 0123) << row.text;
  }
}

TEST(Readers, SecondsAreAYearAtMost) {
  std::chrono::seconds target{7};
  EXPECT_EQ(read_seconds("31536000", target), "");
  EXPECT_EQ(target, 24h * 365);
  EXPECT_EQ(read_seconds("0", target), "");
  EXPECT_EQ(target, 0s);
  for (const char* bad : {"31536001", "-1", "1s", "1.5", ""}) {
    EXPECT_NE(read_seconds(bad, target), "") << bad;
    EXPECT_EQ(target, 0s);
  }
}

TEST(Readers, AWordThatIsNoneIsToldAllThatThereAre) {
  static constexpr std::array<std::pair<std::string_view, int>, 3> kWords = {
      {{"one", 1}, {"two", 2}, {"three", 3}}};
  int target = 0;
  EXPECT_EQ(read_word("two", target, kWords), "");
  EXPECT_EQ(target, 2);
  for (const char* bad : {"tw", "twoo", "Two", ""}) {
    EXPECT_EQ(read_word(bad, target, kWords), "'" + std::string(bad) + "' is none of one, two, three");
    EXPECT_EQ(target, 2);
  }
}

}  // namespace
}  // namespace ferry::test::readers_test
