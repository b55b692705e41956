// SPDX-License-Identifier: Apache-2.0
// docs/reference/ng.md#encodings: JSON as the same values that bencode has.
#include "control/protocol/ng/json_codec.hpp"

#include "tests/support/values.hpp"

#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <rapidcheck.h>

namespace ferry::test::json_codec_test {
namespace {

using ng::decode_json;
using ng::DecodeError;
using ng::encode_json;

struct Row {
  const char* name;
  std::string text;
  /// The decoded value written again; empty: the text is refused.
  std::string rewritten;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class JsonRows : public testing::TestWithParam<Row> {};

TEST_P(JsonRows, IsReadOrRefused) {
  const Row& row = GetParam();
  const auto decoded = decode_json(row.text);
  ASSERT_EQ(decoded.has_value(), !row.rewritten.empty());
  if (!decoded) {
    EXPECT_EQ(decoded.error(), DecodeError::kMalformed) << ng::to_string(decoded.error());
    return;
  }
  EXPECT_EQ(encode_json(decoded->value), row.rewritten);
  EXPECT_EQ(decoded->size, row.text.size());
}

const Row kRows[] = {
    {"AllTypesInOrder", R"({"b":-12,"a":["xyz",{"k":0}],"":"empty"})",
     R"({"b":-12,"a":["xyz",{"k":0}],"":"empty"})"},
    {"BooleansAreZeroAndOne", R"([true,false])", "[1,0]"},
    {"NullIsAsIfTheKeyWereAbsent", R"({"a":null,"b":1})", R"({"b":1})"},
    {"NullInAListIsNoMember", R"([null,2,null])", "[2]"},
    {"FractionsAreCut", R"([2.9,-2.9,1e3])", "[2,-2,1000]"},
    {"EscapesAreTexts", R"(["\u0041\n\"\\"])", R"(["A\n\"\\"])"},
    {"BlanksMeanNothing", " { \"a\" :\t1 }\n", R"({"a":1})"},
    {"ARepeatedKeyKeepsItsPlaceAndTakesTheLastValue", R"({"a":1,"b":2,"a":3})", R"({"a":3,"b":2})"},
    {"TheLargestInteger", "[9223372036854775807]", "[9223372036854775807]"},
    {"TheSmallestInteger", "[-9223372036854775808]", "[-9223372036854775808]"},
    {"AnIntegerAboveSixtyFourBits", "[9223372036854775808]", {}},
    {"AFractionAboveSixtyFourBits", "[1e19]", {}},
    {"SomethingBehindTheDocument", R"({"a":1}x)", {}},
    {"AnOpenObject", R"({"a":1)", {}},
    {"AKeyThatIsNoText", "{1:2}", {}},
    {"Nothing", "", {}},
};
INSTANTIATE_TEST_SUITE_P(Encodings, JsonRows, testing::ValuesIn(kRows),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Json, CTL4_BoundsHold) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(decode_json(nested(16)));
  EXPECT_EQ(decode_json(nested(17)).error(), DecodeError::kTooDeep);
  EXPECT_EQ(decode_json(std::string(17, '[')).error(), DecodeError::kTooDeep);
  const auto list_of = [](std::size_t numbers) {
    std::string text = "[0";
    for (std::size_t i = 1; i < numbers; ++i) text += ",0";
    return text + "]";
  };
  EXPECT_TRUE(decode_json(list_of(4095)));
  EXPECT_EQ(decode_json(list_of(4096)).error(), DecodeError::kTooManyElements);
  EXPECT_TRUE(decode_json('"' + std::string(256 * 1024 - 2, 'x') + '"'));
  EXPECT_EQ(decode_json('"' + std::string(256 * 1024 - 1, 'x') + '"').error(), DecodeError::kTooLarge);
}

TEST(Json, CTL4_RepeatedKeysAreCounted) {
  EXPECT_EQ(decode_json(R"({"a":1,"a":true,"b":{"a":2,"a":3}})")->repeated_keys, 2u);
  EXPECT_EQ(decode_json(R"({"a":1,"b":{"a":2}})")->repeated_keys, 0u) << "of one dictionary";
}

TEST(Json, OctetsThatAreNoTextBecomeTheReplacementCharacter) {
  EXPECT_EQ(encode_json(Value(std::string("a\xff"))), "\"a\xef\xbf\xbd\"");
}

TEST(JsonProperty, DecodingUndoesEncoding) {
  const bool holds = rc::check("decode(encode(x)) == x", [] {
    const Value value = *any_value(4, true);
    const std::string text = encode_json(value);
    const auto decoded = decode_json(text);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->value == value);
  });
  EXPECT_TRUE(holds);
}

// Another reader of JSON understands what is written, whatever octets a text has.
TEST(JsonProperty, WhatIsWrittenIsJson) {
  const bool holds = rc::check("the text of any value is JSON",
                               [] { RC_ASSERT(nlohmann::json::accept(encode_json(*any_value()))); });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace ferry::test::json_codec_test
