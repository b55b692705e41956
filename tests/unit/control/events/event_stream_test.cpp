// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_stream.hpp"

#include <functional>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::events::event_stream_test {
namespace {

/// Does what the test says with each event.
struct Subscriber final : EventSubscriber {
  void on_event(const Event& event) override {
    numbers.push_back(event.number);
    if (then) then();
  }
  std::vector<std::uint64_t> numbers;
  std::function<void()> then;
};

class EventStreamTest : public ::testing::Test {
 protected:
  const Event& publish(const std::string& call = "c") {
    return stream_.publish(EventType::kDtmf, call, {{"digit", "5"}}, WallTime{});
  }
  EventStream stream_{1000};
};

TEST_F(EventStreamTest, EventsHaveGrowingNumbersAndTheFieldsOfAll) {
  EXPECT_EQ(publish().number, 1000u);
  const Event& second = publish("d\"\n");
  EXPECT_EQ(second.number, 1001u);
  EXPECT_EQ(second.text.find('\n'), std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(second.text), nlohmann::json({{"id", 1001},
                                                                {"type", "dtmf"},
                                                                {"time", "1970-01-01T00:00:00.000Z"},
                                                                {"call-id", "d\"\n"},
                                                                {"digit", "5"}}));
  EXPECT_EQ(stream_.counts().published[static_cast<std::size_t>(EventType::kDtmf)], 2u);
}

TEST_F(EventStreamTest, ACallIdThatIsNoUtf8BecomesPrintable) {
  EXPECT_TRUE(nlohmann::json::accept(publish("\xff\xfe").text));
}

TEST_F(EventStreamTest, KeepsTheNewestAndNoMoreThanItsBounds) {
  for (std::size_t n = 0; n < EventStream::kMostKept + 10; ++n) publish();
  EXPECT_EQ(stream_.oldest(), 1010u);
  EXPECT_EQ(stream_.next() - stream_.oldest(), EventStream::kMostKept);
  EXPECT_EQ(stream_.at(1010).number, 1010u);
  publish(std::string(EventStream::kMostOctets + 1, 'x'));
  EXPECT_EQ(stream_.next() - stream_.oldest(), 1u) << "the newest is kept whatever its size";
  publish();
  EXPECT_EQ(stream_.at(stream_.oldest()).call_id, "c");
}

TEST_F(EventStreamTest, SubscribersMayComeAndGoWhileAnEventIsPublished) {
  Subscriber first, second, third;
  stream_.subscribe(first);
  stream_.subscribe(second);
  first.then = [&] {
    stream_.unsubscribe(first);
    stream_.unsubscribe(second);
    stream_.subscribe(third);
    first.then = nullptr;
  };
  publish();
  EXPECT_EQ(stream_.subscribers(), 1u);
  publish();
  EXPECT_EQ(first.numbers.size(), 1u);
  EXPECT_TRUE(second.numbers.empty());
  EXPECT_EQ(third.numbers, (std::vector<std::uint64_t>{1000, 1001}));
}

}  // namespace
}  // namespace ferry::events::event_stream_test
