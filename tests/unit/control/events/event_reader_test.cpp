// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_reader.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::events::event_reader_test {
namespace {

class EventReaderTest : public ::testing::Test {
 protected:
  void publish(std::size_t count, const std::string& call = "c") {
    for (std::size_t n = 0; n < count; ++n)
      stream_.publish(EventType::kDtmf, call, nlohmann::json::object(), WallTime{});
  }
  EventReader reader(std::optional<std::uint64_t> after, EventFilter filter = {}) {
    return {stream_, std::move(filter), after, [] { return WallTime{}; }};
  }
  /// The numbers of what the reader gets; `lost` as 0.
  static std::vector<std::uint64_t> all(EventReader& from) {
    std::vector<std::uint64_t> numbers;
    while (const auto event = from.next())
      numbers.push_back(event->type == EventType::kLost ? 0 : event->number);
    return numbers;
  }
  EventStream stream_{100};
};
using Numbers = std::vector<std::uint64_t>;

TEST_F(EventReaderTest, ANewReceiverGetsWhatComesFromNowOn) {
  publish(3);
  EventReader now = reader(std::nullopt);
  EXPECT_EQ(all(now), Numbers{});
  publish(2);
  EXPECT_EQ(all(now), (Numbers{103, 104}));
  EXPECT_EQ(all(now), Numbers{});
}

TEST_F(EventReaderTest, AReceiverThatComesBackMissesNothing) {
  publish(4);
  EventReader back = reader(101);
  EXPECT_EQ(all(back), (Numbers{102, 103}));
  EventReader before_all = reader(99);
  EXPECT_EQ(all(before_all), (Numbers{100, 101, 102, 103}));
  EventReader has_all = reader(103);
  EXPECT_EQ(all(has_all), Numbers{});
  EXPECT_EQ(stream_.counts().lost, 0u);
}

TEST_F(EventReaderTest, AReceiverIsToldHowManyItMissed) {
  EventReader slow = reader(std::nullopt);
  publish(EventStream::kMostKept + 7);
  const auto lost = slow.next();
  ASSERT_TRUE(lost);
  EXPECT_EQ(lost->type, EventType::kLost);
  EXPECT_EQ(lost->number, 106u) << "whoever resumes behind it gets the rest";
  EXPECT_EQ(nlohmann::json::parse(lost->text)["count"], 7);
  EXPECT_EQ(slow.next()->number, 107u);
  EXPECT_EQ(stream_.counts().lost, 7u);
}

TEST_F(EventReaderTest, WithANumberOfAnotherProcessNobodyKnowsHowManyAreMissing) {
  publish(2);
  for (const std::uint64_t strange : {std::uint64_t{5}, std::uint64_t{102}, ~std::uint64_t{0}}) {
    EventReader stranger = reader(strange);
    const auto lost = stranger.next();
    ASSERT_TRUE(lost) << strange;
    EXPECT_EQ(lost->type, EventType::kLost);
    EXPECT_FALSE(nlohmann::json::parse(lost->text).contains("count"));
    EXPECT_EQ(all(stranger), (Numbers{100, 101})) << strange;
  }
}

TEST_F(EventReaderTest, OnlyWhatTheFilterWantsComes) {
  EventReader one = reader(std::nullopt, {.calls = {"b"}, .types = {}});
  publish(1, "a");
  publish(1, "b");
  publish(1, "a");
  publish(1, "b");
  EXPECT_EQ(all(one), (Numbers{101, 103}));
}

}  // namespace
}  // namespace ferry::events::event_reader_test
