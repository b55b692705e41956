// SPDX-License-Identifier: Apache-2.0
// JSON with texts from the network (CTL-14).

#include "control/log/printable_json.hpp"

#include "relay/base/printable.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::test {
namespace {

using nlohmann::json;

TEST(PrintableJson, CTL14_EveryTextAndEveryNameIsMadePrintable) {
  json document = {{"a\x1b", {"b\n", 1, nullptr, true, {{"c\\", "\xff"}}}}, {"plain", "gr\xc3\xbcn"}};
  make_printable(document);
  EXPECT_EQ(document, (json{{"a\\x1b", {"b\\x0a", 1, nullptr, true, {{"c\\x5c", "\\xff"}}}},
                            {"plain", "gr\xc3\xbcn"}}));
}

TEST(PrintableJson, CTL14_ForMachinesTheValueStaysWhereJsonCanHoldIt) {
  json document = {{"a\x1b", "b\\\n\xc2\x9b"}, {"bad\xff", "\xc3\\"}};
  make_utf8(document);
  EXPECT_EQ(document, (json{{"a\x1b", "b\\\n\xc2\x9b"}, {"bad\\xff", "\\xc3\\x5c"}}));
}

TEST(PrintableJson, CTL14_AsciiHoldsTheValueAndNothingForATerminal) {
  const struct {
    std::string text;
    const char* json_text;
  } rows[] = {
      {"plain", R"("plain")"},       {"\x1b[2J\n\x7f", R"("\u001b[2J\n\u007f")"},
      {"\xc2\x9b", R"("\u009b")"},   {"\xe2\x80\xae", R"("\u202e")"},
      {"a\\x1b", R"("a\\x1b")"},     {"\"", R"("\"")"},
      {"\xff\\", R"("\\xff\\x5c")"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(to_ascii_string(row.text), row.json_text);
    if (is_utf8(row.text)) {
      EXPECT_EQ(json::parse(to_ascii_string(row.text)), row.text);
    }
  }
  EXPECT_EQ(to_ascii({{"a", 1}}), R"({"a":1})");
  EXPECT_EQ(to_ascii({{"a", 1}}, 2), "{\n  \"a\": 1\n}");
}

}  // namespace
}  // namespace ferry::test
