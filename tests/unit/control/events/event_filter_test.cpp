// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_filter.hpp"

#include <gtest/gtest.h>

namespace ferry::events::event_filter_test {
namespace {

Event event(EventType type, const std::string& call) { return {1, type, call, "{}"}; }

TEST(EventFilter, WithoutWordsEverythingIsWanted) {
  const EventFilter filter;
  for (const EventRow& row : kEventRows) EXPECT_TRUE(filter.wants(event(row.type, "c"))) << row.name;
}

TEST(EventFilter, CallsAndTypesMustBothFit) {
  EventFilter filter{.calls = {"a", "b"}, .types = {}};
  ASSERT_TRUE(add_types(filter, "dtmf, call-end"));
  ASSERT_TRUE(add_types(filter, "latched"));
  EXPECT_TRUE(filter.wants(event(EventType::kDtmf, "a")));
  EXPECT_TRUE(filter.wants(event(EventType::kCallEnd, "b")));
  EXPECT_TRUE(filter.wants(event(EventType::kLatched, "b")));
  EXPECT_FALSE(filter.wants(event(EventType::kDtmf, "c")));
  EXPECT_FALSE(filter.wants(event(EventType::kCallStart, "a")));
}

TEST(EventFilter, AnUnknownTypeIsASentenceAndChangesNothing) {
  EventFilter filter;
  const auto added = add_types(filter, "dtmf,dmtf");
  ASSERT_FALSE(added);
  EXPECT_TRUE(added.error().starts_with("'dmtf' is no type of event: there are call-start, call-end"));
  EXPECT_TRUE(filter.types.none());
  EXPECT_TRUE(add_types(filter, ""));
}

}  // namespace
}  // namespace ferry::events::event_filter_test
