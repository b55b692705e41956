// SPDX-License-Identifier: Apache-2.0
// The data of requests: order of keys, repeated keys, and strings that spell numbers.
#include "control/value/value.hpp"

#include <limits>
#include <map>
#include <optional>
#include <string>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test {
namespace {

struct NumberRow {
  const char* name;
  Value value;
  std::optional<std::int64_t> decimal;
  /// With `based`: 0x and 0 begin other bases.
  std::optional<std::int64_t> based;
};
void PrintTo(const NumberRow& row, std::ostream* out) { *out << row.name; }

class AsInteger : public ::testing::TestWithParam<NumberRow> {};

TEST_P(AsInteger, IsTheNumberThatTheWholeTextSpells) {
  EXPECT_EQ(GetParam().value.as_integer(), GetParam().decimal);
  EXPECT_EQ(GetParam().value.as_integer(true), GetParam().based);
}

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
constexpr auto kNone = std::nullopt;
INSTANTIATE_TEST_SUITE_P(
    Table, AsInteger,
    ::testing::Values(NumberRow{"Integer", Value(-7), -7, -7}, NumberRow{"Decimal", Value("12"), 12, 12},
                      NumberRow{"Negative", Value("-12"), -12, -12}, NumberRow{"Zero", Value("0"), 0, 0},
                      NumberRow{"Largest", Value("9223372036854775807"), kMost, kMost},
                      NumberRow{"Smallest", Value("-9223372036854775808"), kLeast, kLeast},
                      NumberRow{"TooLarge", Value("9223372036854775808"), kNone, kNone},
                      NumberRow{"Hexadecimal", Value("0x1f"), kNone, 31},
                      NumberRow{"HexadecimalWithoutDigits", Value("0x"), kNone, kNone},
                      NumberRow{"SignBehindTheBase", Value("0x-5"), kNone, kNone},
                      NumberRow{"ZeroWithASignBehindTheBase", Value("0x-0"), kNone, kNone},
                      NumberRow{"SmallestBehindTheBase", Value("0x-8000000000000000"), kNone, kNone},
                      NumberRow{"PlusBehindTheBase", Value("0x+5"), kNone, kNone},
                      NumberRow{"SignBeforeTheBase", Value("-0x5"), kNone, kNone},
                      NumberRow{"BaseTwice", Value("0x0x5"), kNone, kNone},
                      NumberRow{"SignAlone", Value("-"), kNone, kNone},
                      NumberRow{"TwoSigns", Value("--5"), kNone, kNone},
                      NumberRow{"SignBehindZero", Value("0-5"), kNone, kNone},
                      NumberRow{"HexadecimalLargest", Value("0x7fffffffffffffff"), kNone, kMost},
                      NumberRow{"HexadecimalTooLarge", Value("0x8000000000000000"), kNone, kNone},
                      NumberRow{"BlankBehindTheBase", Value("0x 5"), kNone, kNone},
                      NumberRow{"Octal", Value("017"), 17, 15}, NumberRow{"NoOctal", Value("08"), 8, kNone},
                      NumberRow{"Empty", Value(""), kNone, kNone},
                      NumberRow{"Plus", Value("+1"), kNone, kNone},
                      NumberRow{"BlankBefore", Value(" 1"), kNone, kNone},
                      NumberRow{"LetterBehind", Value("1s"), kNone, kNone},
                      NumberRow{"Fraction", Value("1.5"), kNone, kNone},
                      NumberRow{"List", Value(List{Value(1)}), kNone, kNone},
                      NumberRow{"Dict", Value(Dict()), kNone, kNone}),
    [](const auto& each) { return std::string(each.param.name); });

TEST(Values, HaveOneTypeEach) {
  Value text("a");
  EXPECT_NE(text.string(), nullptr);
  EXPECT_EQ(text.integer(), nullptr);
  EXPECT_EQ(text.list(), nullptr);
  EXPECT_EQ(text.dict(), nullptr);
  EXPECT_EQ(*Value().integer(), 0) << "the default";
  EXPECT_NE(Value("0"), Value(0));
  EXPECT_EQ(Value(std::string_view("a\0b", 3)).string()->size(), 3u) << "octets, not text";
  Value list(List{Value(1)});
  list.list()->push_back(Value("x"));
  EXPECT_EQ(list, Value(List{Value(1), Value("x")}));
  EXPECT_NE(list, Value(List{Value("x"), Value(1)})) << "order counts";
}

TEST(Dicts, CTL4_ARepeatedKeyKeepsItsPlaceAndTakesTheLastValue) {
  Dict dict;
  dict.set("b", 1);
  dict.set("a", 2);
  Value& stored = dict.set("b", "three");
  EXPECT_EQ(stored, Value("three"));
  ASSERT_EQ(dict.size(), 2u);
  EXPECT_EQ(dict.begin()->key, "b");
  EXPECT_EQ(dict.begin()->value, Value("three"));
  EXPECT_EQ(std::next(dict.begin())->key, "a");
  EXPECT_EQ(dict.find("c"), nullptr);
  *dict.find("a") = Value(9);
  EXPECT_EQ(*std::as_const(dict).find("a"), Value(9));
  EXPECT_FALSE(dict.empty());
  EXPECT_TRUE(Dict().empty());
}

TEST(Dicts, AreEqualWithTheSameMembersInTheSameOrder) {
  Dict a;
  a.set("x", 1);
  a.set("y", 2);
  Dict b;
  b.set("y", 2);
  b.set("x", 1);
  EXPECT_NE(a, b);
  Dict copy = a;
  EXPECT_EQ(copy, a);
  copy.set("x", 5);
  EXPECT_EQ(*a.find("x"), Value(1)) << "a copy has its own data";
}

TEST(Dicts, WhateverIsSetIsFoundOnceInOrderOfTheFirstTime) {
  EXPECT_TRUE(rc::check([](const std::vector<std::pair<std::uint8_t, std::int64_t>>& members) {
    Dict dict;
    std::map<std::string, std::int64_t> last;
    std::vector<std::string> order;
    for (const auto& [letter, number] : members) {
      const std::string key(1, static_cast<char>('a' + letter % 8));
      if (last.insert_or_assign(key, number).second) order.push_back(key);
      dict.set(key, Value(number));
    }
    RC_ASSERT(dict.size() == order.size());
    std::size_t at = 0;
    for (const DictEntry& entry : dict) {
      RC_ASSERT(entry.key == order[at++]);
      RC_ASSERT(entry.value == Value(last.at(entry.key)));
    }
  }));
}

}  // namespace
}  // namespace ferry::test
