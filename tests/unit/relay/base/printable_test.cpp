// SPDX-License-Identifier: Apache-2.0
// Hostile texts and what a terminal gets of them (CTL-14).

#include "relay/base/printable.hpp"

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::string_literals;

TEST(Printable, CTL14_WhatATerminalOrALineMayTakeForACommandIsEscaped) {
  const struct {
    std::string text;
    const char* safe;
  } rows[] = {
      {"", ""},
      {"3848276298220188511@atlanta.example.com", "3848276298220188511@atlanta.example.com"},
      {"a b\"c'd%20~", "a b\"c'd%20~"},
      // C0 and DEL
      {"\x1b[2Jgone", "\\x1b[2Jgone"},
      {"\x1b]0;title\x07", "\\x1b]0;title\\x07"},
      {"a\r\nb\tc", "a\\x0d\\x0ab\\x09c"},
      {"a\0b"s, "a\\x00b"},
      {"\x08\x08\x7f", "\\x08\\x08\\x7f"},
      // the backslash, so that no text looks like another one's escaped form
      {"a\\x1bb", "a\\x5cx1bb"},
      {"\\", "\\x5c"},
      // C1 as code points and as lone octets
      {"\xc2\x9b"
       "31m",
       "\\xc2\\x9b31m"},
      {"\xc2\x80\xc2\x9f\xc2\xa0", "\\xc2\\x80\\xc2\\x9f\xc2\xa0"},
      {"\x9b"
       "2J",
       "\\x9b2J"},
      // bidirectional controls
      {"\xd8\x9c", "\\xd8\\x9c"},
      {"\xe2\x80\x8e\xe2\x80\x8f", "\\xe2\\x80\\x8e\\xe2\\x80\\x8f"},
      {"a\xe2\x80\xae"
       "b",
       "a\\xe2\\x80\\xaeb"},
      {"\xe2\x80\xaa\xe2\x80\xab\xe2\x80\xac\xe2\x80\xad",
       "\\xe2\\x80\\xaa\\xe2\\x80\\xab\\xe2\\x80\\xac\\xe2\\x80\\xad"},
      {"\xe2\x81\xa6\xe2\x81\xa7\xe2\x81\xa8\xe2\x81\xa9",
       "\\xe2\\x81\\xa6\\xe2\\x81\\xa7\\xe2\\x81\\xa8\\xe2\\x81\\xa9"},
      // their neighbours stay
      {"\xd8\x9b\xd8\x9d", "\xd8\x9b\xd8\x9d"},
      {"\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa",
       "\xe2\x80\x8d\xe2\x80\x90\xe2\x80\xaf\xe2\x81\xa5\xe2\x81\xaa"},
      {"gr\xc3\xbc\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x93\x9e",
       "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5\xe6\x9c\xac \xf0\x9f\x93\x9e"},
      // no UTF-8: lone, cut, overlong, surrogate, above U+10FFFF
      {"\xff\xfe", "\\xff\\xfe"},
      {"a\xc3", "a\\xc3"},
      {"\xe2\x82", "\\xe2\\x82"},
      {"\xc0\x9b", "\\xc0\\x9b"},
      {"\xe0\x80\x9b", "\\xe0\\x80\\x9b"},
      {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
      {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
      {"\xc3"
       "A",
       "\\xc3"
       "A"},
      {"\xbf\xc3\xa9", "\\xbf\xc3\xa9"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(printable(row.text), row.safe);
    EXPECT_EQ(from_printable(row.safe), row.text) << row.safe;
  }
}

TEST(Printable, CTL14_MoreCharactersCanBeAskedFor) {
  EXPECT_EQ(printable("a b\"c", " \""), "a\\x20b\\x22c");
  EXPECT_EQ(printable("\xc3\xa0", "\xa0"), "\xc3\xa0") << "no half of a character";
}

TEST(Printable, CTL14_FormsAreTakenBackInEitherCaseAndTheRestStays) {
  const struct {
    std::string written;
    std::string text;
  } rows[] = {
      {"a\\x1bb",
       "a\x1b"
       "b"},
      {"a\\x1Bb",
       "a\x1b"
       "b"},
      {"\\x", "\\x"},
      {"\\x1", "\\x1"},
      {"\\xg0", "\\xg0"},
      {"\\n\\", "\\n\\"},
      {"\\\\x41", "\\A"},
      {"\\X41", "\\X41"},
      {"\\x5cx41", "\\x41"},
  };
  for (const auto& row : rows) EXPECT_EQ(from_printable(row.written), row.text) << row.written;
}

// Property: any octets come back as they were, what is shown is harmless, and no two texts look the same.
TEST(Printable, CTL14_EveryTextComesBack) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  // Pieces that make hostile texts likely.
  const std::string pieces[] = {"\\",       "x",    "1b",  "\x1b", "\xc2", "\x9b",
                                "\xe2\x80", "\xae", "\\x", "a",    "\xff", "\n"};
  std::set<std::string> texts;
  std::set<std::string> shown;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n) {
      if (random() % 2 == 0)
        text += pieces[random() % std::size(pieces)];
      else
        text += static_cast<char>(random());
    }
    const std::string safe = printable(text);
    EXPECT_EQ(from_printable(safe), text);
    EXPECT_TRUE(is_utf8(safe));
    EXPECT_TRUE(std::ranges::none_of(safe, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; }));
    texts.insert(text);
    shown.insert(safe);
  }
  EXPECT_EQ(texts.size(), shown.size());
}

TEST(Printable, TellsUtf8) {
  for (const char* good : {"", "a", "\xc3\xa9", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf",
                          "\xf5\x80\x80\x80", "a\xf0\x9f\x93"})
    EXPECT_FALSE(is_utf8(bad)) << bad;
}

}  // namespace
}  // namespace ferry::test
