// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/event_pages.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::events::event_pages_test {
namespace {

/// Takes messages while the test lets it.
struct Output final : http::LiveOutput {
  [[nodiscard]] bool is_ready() const override { return messages.size() < room; }
  void send(const http::LiveMessage& message) override {
    messages.push_back(std::string(message.name) + " " + std::to_string(message.number));
    EXPECT_TRUE(nlohmann::json::accept(message.text));
  }
  void send_sign_of_life() override { ++signs; }
  std::vector<std::string> messages;
  std::size_t room = 1000;
  int signs = 0;
};
using Messages = std::vector<std::string>;

class EventPagesTest : public ::testing::Test {
 protected:
  std::unique_ptr<http::LiveFeed> open(Output& output, const std::string& target,
                                       std::optional<std::uint64_t> last = std::nullopt) {
    auto opened = pages_.open(target, last, output);
    if (const auto* refused = std::get_if<http::Reply>(&opened)) {
      refused_ = refused->body;
      EXPECT_EQ(refused->status, 400);
      return nullptr;
    }
    auto feed = std::move(std::get<std::unique_ptr<http::LiveFeed>>(opened));
    feed->go_on();
    return feed;
  }
  void publish(EventType type, const std::string& call) {
    stream_.publish(type, call, nlohmann::json::object(), WallTime{});
  }
  EventStream stream_{1};
  EventPages pages_{stream_, [] { return WallTime{}; }};
  std::string refused_;
};

TEST_F(EventPagesTest, AClientGetsWhatItAskedFor) {
  Output all, one, type;
  const auto feed_of_all = open(all, "/events");
  const auto feed_of_one = open(one, "/events?call=a%20b&call=c");
  const auto feed_of_type = open(type, "/events?type=dtmf,latched");
  publish(EventType::kCallStart, "a b");
  publish(EventType::kDtmf, "d");
  publish(EventType::kLatched, "c");
  EXPECT_EQ(all.messages, (Messages{"call-start 1", "dtmf 2", "latched 3"}));
  EXPECT_EQ(one.messages, (Messages{"call-start 1", "latched 3"}));
  EXPECT_EQ(type.messages, (Messages{"dtmf 2", "latched 3"}));
}

TEST_F(EventPagesTest, AClientThatComesBackGetsWhatItMissed) {
  Output first;
  {
    const auto feed = open(first, "/events");
    publish(EventType::kCallStart, "a");
  }
  publish(EventType::kCallEnd, "a");
  Output second;
  const auto feed = open(second, "/events", 1);
  EXPECT_EQ(first.messages, Messages{"call-start 1"});
  EXPECT_EQ(second.messages, Messages{"call-end 2"});
  EXPECT_EQ(pages_.clients(), 1u);
}

TEST_F(EventPagesTest, ASlowClientIsToldWhatItMissedAndHoldsUpNobody) {
  Output slow, quick;
  slow.room = 1;
  quick.room = SIZE_MAX;
  const auto slow_feed = open(slow, "/events");
  const auto quick_feed = open(quick, "/events");
  const std::size_t count = EventStream::kMostKept + 5;
  for (std::size_t n = 0; n < count; ++n) publish(EventType::kDtmf, "a");
  EXPECT_EQ(quick.messages.size(), count);
  EXPECT_EQ(slow.messages, Messages{"dtmf 1"});
  slow.room = 3;
  slow_feed->go_on();
  EXPECT_EQ(slow.messages, (Messages{"dtmf 1", "lost 5", "dtmf 6"}));
  EXPECT_EQ(stream_.counts().lost, 4u);
}

TEST_F(EventPagesTest, AQueryThatNobodyUnderstandsIsRefusedWithASentence) {
  Output output;
  for (const char* target : {"/events?type=dmtf", "/events?calls=c", "/events?type=dtmf&x="}) {
    refused_.clear();
    EXPECT_EQ(open(output, target), nullptr) << target;
    EXPECT_TRUE(refused_.ends_with("\n") && refused_.size() > 20) << refused_;
  }
  EXPECT_EQ(pages_.clients(), 0u);
  for (const char* target : {"/events?", "/events?last-event-id=4", "/events?type="})
    EXPECT_NE(open(output, target), nullptr) << target;
}

TEST_F(EventPagesTest, EachClientGetsASignOfLife) {
  Output one, two;
  const auto first = open(one, "/events");
  const auto second = open(two, "/events?type=dtmf");
  pages_.send_signs_of_life();
  EXPECT_EQ(one.signs + two.signs, 2);
}

}  // namespace
}  // namespace ferry::events::event_pages_test
