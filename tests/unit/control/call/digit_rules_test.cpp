// SPDX-License-Identifier: Apache-2.0
// Which digits of a party switch its rules.
#include "control/call/digit_rules.hpp"

#include <string_view>

#include <gtest/gtest.h>

namespace ferry::digit_rules_test {
namespace {

using std::chrono::milliseconds;
using Change = DigitRules::Change;

class DigitRulesTest : public ::testing::Test {
 protected:
  /// The changes that the digits make: `.` none, `+` the trigger begins, `-` it ends.
  std::string press(std::string_view digits) {
    std::string changes;
    for (const char digit : digits) {
      const Change change = rules.on_digit(digit, now);
      changes += change == Change::kBegins ? '+' : change == Change::kEnds ? '-' : '.';
    }
    return changes;
  }
  DigitRules rules;
  Instant now{std::chrono::hours(1)};
};

TEST_F(DigitRulesTest, WithoutATriggerDigitsSwitchNothingAndAreNotKept) {
  EXPECT_EQ(press("1234567890"), "..........");
  EXPECT_EQ(rules, DigitRules{});
}

TEST_F(DigitRulesTest, TheTriggerSwitchesThemOnAndItselfOffIfNothingElseDoes) {
  rules.trigger = "*1";
  EXPECT_EQ(press("5*1"), "..+");
  EXPECT_EQ(press("9*1"), "..-");
  EXPECT_EQ(press("**1"), "..+") << "and on again";
}

TEST_F(DigitRulesTest, OtherDigitsEndIt) {
  rules.trigger = "*1";
  rules.trigger_end = "#";
  EXPECT_EQ(press("*1*14#"), ".+...-") << "the trigger is a digit like others meanwhile";
}

TEST_F(DigitRulesTest, ANumberOfDigitsEndsIt) {
  rules.trigger = "#9";
  rules.end_digits = 4;
  EXPECT_EQ(press("#91234#9"), ".+...-.+");
}

TEST_F(DigitRulesTest, ATimeEndsIt) {
  rules.trigger = "7";
  rules.end_ms = 5000;
  EXPECT_EQ(press("7"), "+");
  EXPECT_EQ(rules.on_time(now + milliseconds(4999)), Change::kNone);
  EXPECT_EQ(press("7"), ".");
  EXPECT_EQ(rules.on_time(now + milliseconds(5000)), Change::kEnds);
  EXPECT_EQ(rules.on_time(now + milliseconds(9000)), Change::kNone) << "once";
}

TEST_F(DigitRulesTest, NoMoreIsRememberedThanTheLongestCode) {
  rules.trigger = "123";
  rules.trigger_end = "12345";
  press("99999999999999");
  EXPECT_EQ(rules.pressed.size(), 5u);
  press("123");
  EXPECT_EQ(rules.pressed, "") << "a code is forgotten once it has done its work";
}

TEST(DigitCoverWords, EachHasItsOwn) {
  EXPECT_EQ(to_string(DigitCover::kNone), "off");
  EXPECT_EQ(to_string(DigitCover::kDrop), "drop");
  EXPECT_EQ(to_string(DigitCover::kDigit), "DTMF");
}

}  // namespace
}  // namespace ferry::digit_rules_test
