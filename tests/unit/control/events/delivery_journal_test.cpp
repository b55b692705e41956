// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_journal.hpp"

#include "control/events/event_stream.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::events::delivery_journal_test {
namespace {

Event event(std::uint64_t number, const std::string& call) {
  return {number, EventType::kDtmf, call,
          text_of(number, EventType::kDtmf, call, nlohmann::json::object(), WallTime{})};
}

TEST(DeliveryJournal, WhatWasAddedAndNotTakenAwayStillWaits) {
  const std::string text = line_to_add(event(1, "a")) + line_to_add(event(2, "b\n\"")) + line_to_remove(1) +
                           line_to_add(event(3, "a"));
  const JournalContents contents = read_journal(text);
  ASSERT_EQ(contents.waiting.size(), 2u);
  EXPECT_EQ(contents.damaged, 0u);
  EXPECT_EQ(contents.waiting[0].number, 2u);
  EXPECT_EQ(contents.waiting[0].call_id, "b\n\"");
  EXPECT_EQ(contents.waiting[0].type, EventType::kDtmf);
  EXPECT_EQ(contents.waiting[0].text, event(2, "b\n\"").text);
  EXPECT_EQ(contents.waiting[1].number, 3u);
}

TEST(DeliveryJournal, ATornEndLosesNoOtherLine) {
  const std::string whole = line_to_add(event(1, "a")) + line_to_add(event(2, "b"));
  const std::size_t first = line_to_add(event(1, "a")).size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const JournalContents contents = read_journal(std::string_view(whole).substr(0, size));
    EXPECT_EQ(contents.waiting.size(), size >= first ? 1u : 0u) << size;
    EXPECT_EQ(contents.damaged, size == 0 || size == first ? 0u : 1u) << size;
  }
}

TEST(DeliveryJournal, LinesOfOthersAreSkippedAndCounted) {
  for (const char* line : {"x", "+", "+ ", "+ {", "+ []", "+ {\"id\":1}", "- ", "- x", "- 1x",
                           "+ {\"id\":-1,\"type\":\"dtmf\",\"call-id\":\"\"}",
                           "+ {\"id\":1,\"type\":\"nothing\",\"call-id\":\"\"}",
                           "+ {\"id\":1,\"type\":7,\"call-id\":\"\"}", "\xff"}) {
    const JournalContents contents = read_journal(std::string(line) + "\n" + line_to_add(event(9, "a")));
    EXPECT_EQ(contents.damaged, 1u) << line;
    ASSERT_EQ(contents.waiting.size(), 1u) << line;
    EXPECT_EQ(contents.waiting[0].number, 9u) << line;
  }
}

}  // namespace
}  // namespace ferry::events::delivery_journal_test
