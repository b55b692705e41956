// SPDX-License-Identifier: Apache-2.0
// docs/reference/ng.md#encodings: what is read leniently, what is refused, and the bounds of CTL-4.
#include "control/protocol/ng/bencode.hpp"

#include "tests/support/values.hpp"

#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::test::bencode_test {
namespace {

using ng::decode_bencode;
using ng::DecodeError;
using ng::DecodeLimits;
using ng::encode_bencode;

/// A text, and what becomes of it: the text that the decoded value is written as, or the error.
struct Row {
  const char* name;
  std::string text;
  std::string rewritten;
  DecodeError error = DecodeError::kMalformed;
  /// Octets that the document takes, where others follow; 0 = all.
  std::size_t size = 0;
};
void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class BencodeRows : public testing::TestWithParam<Row> {};

TEST_P(BencodeRows, IsReadOrRefused) {
  const Row& row = GetParam();
  const auto decoded = decode_bencode(row.text);
  ASSERT_EQ(decoded.has_value(), !row.rewritten.empty());
  if (!decoded) {
    EXPECT_EQ(decoded.error(), row.error) << ng::to_string(decoded.error());
    return;
  }
  EXPECT_EQ(encode_bencode(decoded->value), row.rewritten);
  EXPECT_EQ(decoded->size, row.size == 0 ? row.text.size() : row.size);
}

const Row kRows[] = {
    {"AllTypesInOrder", "d1:bi-12e1:al3:xyzd1:ki0eee0:5:emptye", "d1:bi-12e1:al3:xyzd1:ki0eee0:5:emptye"},
    {"KeysNeedNotBeSorted", "d1:zi1e1:ai2ee", "d1:zi1e1:ai2ee"},
    {"OctetsBehindTheDocumentAreIgnored", "d1:ai1eeXYZ", "d1:ai1ee", {}, 8},
    {"ARepeatedKeyKeepsItsPlaceAndTakesTheLastValue", "d1:ai1e1:bi2e1:ai3ee", "d1:ai3e1:bi2ee"},
    {"AStringMayHoldAnyOctet", std::string("4:\0e:\xff", 6), std::string("4:\0e:\xff", 6)},
    {"TheLargestInteger", "i9223372036854775807e", "i9223372036854775807e"},
    {"TheSmallestInteger", "i-9223372036854775808e", "i-9223372036854775808e"},
    {"AnIntegerAboveSixtyFourBits", "i9223372036854775808e", {}},
    {"AnEmptyInteger", "ie", {}},
    {"AnIntegerWithLettersBehindIt", "i1xe", {}},
    {"AnIntegerWithoutEndMayGoOn", "i12", {}, DecodeError::kIncomplete},
    {"NoIntegerIsThatLong", "i" + std::string(30, '1'), {}},
    {"ALengthAboveAnyMemory", "9223372036854775808:", {}},
    {"ALengthAboveTheLimitOfADocument", "262145:x", {}},
    {"AStringThatMayGoOn", "5:abc", {}, DecodeError::kIncomplete},
    {"ALengthThatMayGoOn", "12", {}, DecodeError::kIncomplete},
    {"ALengthWithoutColon", "5abcde", {}},
    {"AKeyIsAString", "di1e1:xe", {}},
    {"AKeyIsNoList", "dle1:xe", {}},
    {"AKeyWithoutValue", "d1:ae", {}},
    {"AnEndTooMany", "e", {}},
    {"ALetterThatMeansNothing", "x", {}},
    {"NothingMayGoOn", "", {}, DecodeError::kIncomplete},
    {"AnOpenDictionaryMayGoOn", "d1:ai1e", {}, DecodeError::kIncomplete},
};
INSTANTIATE_TEST_SUITE_P(Encodings, BencodeRows, testing::ValuesIn(kRows),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Bencode, CTL4_BoundsHold) {
  const auto nested = [](std::size_t depth) { return std::string(depth, 'l') + std::string(depth, 'e'); };
  EXPECT_TRUE(decode_bencode(nested(16)));
  EXPECT_EQ(decode_bencode(nested(17)).error(), DecodeError::kTooDeep);
  EXPECT_EQ(decode_bencode(std::string(17, 'l')).error(), DecodeError::kTooDeep) << "before it is complete";
  const auto list_of = [](std::size_t numbers) {
    std::string text = "l";
    for (std::size_t i = 0; i < numbers; ++i) text += "i1e";
    return text + "e";
  };
  EXPECT_TRUE(decode_bencode(list_of(4095))) << "the list itself is the 4096th value";
  EXPECT_EQ(decode_bencode(list_of(4096)).error(), DecodeError::kTooManyElements);
  const auto string_of = [](std::size_t octets) {
    return std::to_string(octets) + ":" + std::string(octets, 'x');
  };
  EXPECT_TRUE(decode_bencode(string_of(256 * 1024 - 7)));
  EXPECT_EQ(decode_bencode(string_of(256 * 1024)).error(), DecodeError::kTooLarge);
}

TEST(Bencode, CTL4_RepeatedKeyLastOneWinsAndIsCounted) {
  const auto decoded = decode_bencode("d1:ai1e1:ai2e1:ai3ee");
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->repeated_keys, 2u);
  EXPECT_EQ(*decoded->value.dict()->find("a")->integer(), 3);
  EXPECT_EQ(decoded->value.dict()->size(), 1u);
}

TEST(Bencode, TheEndOfADatagramClosesWhatIsOpen) {
  const DecodeLimits datagram{.close_at_end = true};
  const auto decoded = decode_bencode("d1:ali1ed1:bi2e", datagram);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(encode_bencode(decoded->value), "d1:ali1ed1:bi2eeee");
  EXPECT_EQ(decode_bencode("d1:a", datagram).error(), DecodeError::kMalformed) << "a key without value";
  EXPECT_EQ(decode_bencode("d1:a5:xy", datagram).error(), DecodeError::kIncomplete)
      << "half a string is no value";
  EXPECT_EQ(decode_bencode("", datagram).error(), DecodeError::kIncomplete);
}

TEST(BencodeProperty, DecodingUndoesEncoding) {
  const bool holds = rc::check("decode(encode(x)) == x", [] {
    const Value value = *any_value();
    const std::string text = encode_bencode(value);
    const auto decoded = decode_bencode(text);
    RC_ASSERT(decoded.has_value());
    RC_ASSERT(decoded->value == value);
    RC_ASSERT(decoded->size == text.size());
    RC_ASSERT(decoded->repeated_keys == 0u);
  });
  EXPECT_TRUE(holds);
}

// How a stream finds the end of a message: no part of a document is one.
TEST(BencodeProperty, EachPartOfAContainerIsIncomplete) {
  const bool holds = rc::check("a prefix of a document waits for more", [] {
    const std::string text = encode_bencode(Value(List{*any_value()}));
    const auto length = *rc::gen::inRange<std::size_t>(0, text.size());
    const auto decoded = decode_bencode(std::string_view(text).substr(0, length));
    RC_ASSERT(!decoded.has_value());
    RC_ASSERT(decoded.error() == DecodeError::kIncomplete);
  });
  EXPECT_TRUE(holds);
}

// What was accepted has one way to be written: writing and reading it again changes nothing.
TEST(BencodeProperty, WhateverIsAcceptedIsStable) {
  const bool holds = rc::check("encode(decode(x)) is a fixed point", [] {
    std::string text = encode_bencode(*any_value());
    for (auto n = *rc::gen::inRange(1, 4); n > 0 && !text.empty(); --n)
      text[*rc::gen::inRange<std::size_t>(0, text.size())] = *rc::gen::elementOf(std::string("dlei0123:-x"));
    const auto decoded = decode_bencode(text);
    if (!decoded) return;
    const std::string again = encode_bencode(decoded->value);
    const auto second = decode_bencode(again);
    RC_ASSERT(second.has_value());
    RC_ASSERT(second->value == decoded->value);
    RC_ASSERT(encode_bencode(second->value) == again);
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace ferry::test::bencode_test
