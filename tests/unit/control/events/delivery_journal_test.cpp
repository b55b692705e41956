// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_journal.hpp"

#include "control/events/delivery_queue.hpp"
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

TEST(DeliveryJournal, AFileIsReadInPartsAndNoMoreWaitsThanMay) {
  std::string text;
  for (std::uint64_t n = 1; n <= 9; ++n) text += line_to_add(event(n, "a"));
  text += "+ " + std::string(2 * JournalReader::kLongestLine, 'x') + "\n" + line_to_remove(9);
  JournalReader reader(3 * octets_of(event(1, "a")));
  for (std::size_t at = 0; at < text.size(); at += 7) reader.add(std::string_view(text).substr(at, 7));
  const JournalContents contents = reader.finish();
  EXPECT_EQ(contents.damaged, 1u) << "a line that is longer than any of ours";
  EXPECT_EQ(contents.left_out, 6u);
  ASSERT_EQ(contents.waiting.size(), 2u);
  EXPECT_EQ(contents.waiting[0].number, 7u);
  EXPECT_EQ(contents.waiting[1].number, 8u);
}

}  // namespace
}  // namespace ferry::events::delivery_journal_test
