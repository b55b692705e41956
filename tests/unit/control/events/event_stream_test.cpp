// SPDX-License-Identifier: Apache-2.0
#include "control/events/event_stream.hpp"

#include <functional>
#include <new>
#include <string>
#include <vector>

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
  std::vector<std::string> tags(kMostElements, std::string(kMostText, 'x'));
  std::size_t octets = 0;
  for (; octets < 2 * EventStream::kMostOctets;)
    octets += stream_.publish(EventType::kCallStart, "c", {{"tags", tags}}, WallTime{}).text.size();
  octets = 0;
  for (std::uint64_t n = stream_.oldest(); n != stream_.next(); ++n) octets += stream_.at(n).text.size();
  EXPECT_LE(octets, EventStream::kMostOctets);
  EXPECT_GT(octets, EventStream::kMostOctets / 2);
}

TEST_F(EventStreamTest, TextsAndListsOfTheNetworkAreCutAndStayDifferent) {
  const std::string long_id(20'000, 'x');
  const std::string first = publish(long_id + "1").call_id;
  const std::string second = publish(long_id + "2").call_id;
  EXPECT_EQ(first.size(), kMostText);
  EXPECT_NE(first, second);
  EXPECT_NE(first.find("..."), std::string::npos);
  EXPECT_EQ(first, publish(long_id + "1").call_id);
  const Event& many =
      stream_.publish(EventType::kCallStart, "c",
                      {{"tags", std::vector<std::string>(1000, std::string(20'000, 't'))}}, WallTime{});
  const auto json = nlohmann::json::parse(many.text);
  EXPECT_EQ(json["tags"].size(), kMostElements);
  EXPECT_EQ(json["left-out"], 1000 - kMostElements);
  EXPECT_EQ(json["tags"][0].get<std::string>().size(), kMostText);
}

TEST_F(EventStreamTest, ASubscriberWithoutMemoryMissesAnEventAndTheOthersGetIt) {
  Subscriber first, second;
  first.then = [] { throw std::bad_alloc(); };
  stream_.subscribe(first);
  stream_.subscribe(second);
  EXPECT_NO_THROW(publish());
  EXPECT_EQ(second.numbers, std::vector<std::uint64_t>{1000});
  EXPECT_EQ(stream_.counts().without_memory, 1u);
}

TEST_F(EventStreamTest, ASubscriberThatLeavesLeavesNothingBehind) {
  Subscriber one;
  for (int n = 0; n < 1000; ++n) {
    stream_.subscribe(one);
    stream_.unsubscribe(one);
  }
  EXPECT_EQ(stream_.places(), 0u);
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
