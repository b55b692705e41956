// SPDX-License-Identifier: Apache-2.0
#include "control/events/event.hpp"

#include "relay/base/printable.hpp"

#include <set>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

namespace ferry::events::event_test {
namespace {

TEST(Event, EachTypeIsFoundByItsNameAndByNoOther) {
  for (const EventRow& row : kEventRows) {
    EXPECT_EQ(parse_event_type(row.name), row.type);
    EXPECT_EQ(to_string(row.type), row.name);
  }
  for (const char* name : {"", "call", "CALL-START", "call-start ", "calls"})
    EXPECT_FALSE(parse_event_type(name)) << name;
}

TEST(Event, TheTablesNameEachFieldOnceAndExplainIt) {
  std::set<std::string_view> known;
  for (const FieldRow& row : kFieldRows) {
    EXPECT_TRUE(known.insert(row.name).second) << row.name;
    EXPECT_FALSE(row.meaning.empty()) << row.name;
  }
  std::set<std::string> used = {"id", "type", "time", "call-id"};
  for (const EventRow& row : kEventRows) {
    std::istringstream fields{std::string(row.fields)};
    for (std::string name; std::getline(fields >> std::ws, name, ',');) {
      EXPECT_TRUE(known.contains(name)) << row.name << ": " << name;
      used.insert(name);
    }
  }
  EXPECT_EQ(used.size(), known.size()) << "a field that no event has";
}

TEST(Event, TimesAreWrittenWithMilliseconds) {
  using namespace std::chrono_literals;
  EXPECT_EQ(iso_time(WallTime{}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(iso_time(WallTime{1'790'000'000s + 7ms + 999us}), "2026-09-21T14:13:20.007Z");
}

TEST(Event, ALongTextIsCutBetweenCharactersAndMarked) {
  EXPECT_EQ(cut("short"), "short");
  EXPECT_EQ(cut(std::string(kMostText, 'x')), std::string(kMostText, 'x'));
  for (std::size_t before = 0; before < 4; ++before) {
    std::string text(before, 'x');
    while (text.size() <= kMostText) text += "\xe2\x82\xac";
    const std::string shown = cut(text);
    EXPECT_LE(shown.size(), kMostText);
    EXPECT_TRUE(is_utf8(shown)) << before;
  }
}

}  // namespace
}  // namespace ferry::events::event_test
