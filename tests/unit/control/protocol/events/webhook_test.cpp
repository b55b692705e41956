// SPDX-License-Identifier: Apache-2.0
// A webhook and servers that take events, refuse them, or are not there.
#include "control/protocol/events/webhook.hpp"

#include "tests/support/http_server.hpp"
#include "tests/support/recordings.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ferry::events::webhook_test {
namespace {

using namespace std::chrono_literals;

bool until(const std::function<bool()>& is_so) {
  const auto end = std::chrono::steady_clock::now() + 20s;
  while (!is_so() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
  return is_so();
}

class WebhookTest : public ::testing::Test {
 protected:
  WebhookConfig config(const std::string& url, const std::string& receiver = {}) {
    WebhookConfig made;
    made.url = url;
    made.receiver = receiver;
    made.state_directory = folder_.path();
    return made;
  }
  void publish(Webhook& to, const std::string& call, EventType type = EventType::kDtmf) {
    stream_.subscribe(to);
    stream_.publish(type, call, nlohmann::json::object(), WallTime{});
    stream_.unsubscribe(to);
  }
  /// The numbers of the events that came to a server, in their order.
  static std::vector<std::uint64_t> numbers(test::HttpServer& server) {
    std::vector<std::uint64_t> all;
    for (const auto& each : server.requests()) all.push_back(nlohmann::json::parse(each.body)["id"]);
    return all;
  }
  test::TemporaryFolder folder_;
  EventStream stream_{1};
};
using Numbers = std::vector<std::uint64_t>;

TEST_F(WebhookTest, AnEventIsPostedWithItsTypeAndASignature) {
  test::HttpServer server([](std::size_t) { return 200; });
  auto settings = config(server.url() + "/hook?key=1");
  settings.secret = "key";
  Webhook webhook(settings);
  publish(webhook, "c");
  server.wait_for(1);
  const auto request = server.requests()[0];
  EXPECT_TRUE(request.head.starts_with("POST /hook?key=1 HTTP/1.1"));
  EXPECT_EQ(request.body, stream_.at(1).text);
  for (const std::string& line :
       {std::string("Content-Type: application/json"), std::string("X-Rtpferry-Event: dtmf"),
        std::string("X-Rtpferry-Id: 1"), "X-Rtpferry-Signature: " + signature_of(request.body, "key")})
    EXPECT_NE(request.head.find(line + "\r\n"), std::string::npos) << line << "\n" << request.head;
  EXPECT_TRUE(until([&] { return webhook.counts().delivered == 1 && webhook.counts().waiting == 0; }));
}

TEST_F(WebhookTest, TheSignatureIsThatOfRfc4231) {
  // Test case 2 (RFC 4231 section 4.3).
  EXPECT_EQ(signature_of("what do ya want for nothing?", "Jefe"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST_F(WebhookTest, AUrlIsShownWithoutWhatMayBeSecret) {
  EXPECT_EQ(shown_url("https://user:pass@host.example:8443/a/b?key=1#x"), "https://host.example:8443");
  EXPECT_EQ(shown_url("http://host/a@b"), "http://host");
  EXPECT_EQ(shown_url("http://host"), "http://host");
}

TEST_F(WebhookTest, OnlyTheTypesThatAreWantedAreSent) {
  test::HttpServer server([](std::size_t) { return 200; });
  auto settings = config(server.url());
  settings.filter.types.set(static_cast<std::size_t>(EventType::kCallEnd));
  Webhook webhook(settings);
  publish(webhook, "c", EventType::kCallStart);
  publish(webhook, "c", EventType::kCallEnd);
  server.wait_for(1);
  EXPECT_EQ(numbers(server), Numbers{2});
}

TEST_F(WebhookTest, AnEventIsTriedUntilTheServerTakesItAndItsCallWaits) {
  test::HttpServer server([](std::size_t n) { return n == 0 ? 500 : n == 1 ? 302 : 204; });
  Webhook webhook(config(server.url()));
  publish(webhook, "c");
  publish(webhook, "c");
  server.wait_for(4);
  EXPECT_EQ(numbers(server), (Numbers{1, 1, 1, 2}));
  EXPECT_TRUE(until([&] { return webhook.counts().delivered == 2; }));
  EXPECT_EQ(webhook.counts().failed, 2u);
}

TEST_F(WebhookTest, WhatNobodyTookIsDeliveredAfterARestart) {
  {
    Webhook webhook(config("http://127.0.0.1:1/", "r"));
    for (int n = 0; n < 50; ++n) publish(webhook, std::to_string(n % 3));
    EXPECT_TRUE(until([&] { return webhook.counts().failed > 0; }));
  }
  std::multiset<std::uint64_t> taken;
  {
    test::HttpServer server([](std::size_t) { return 200; });
    Webhook webhook(config(server.url(), "r"));
    server.wait_for(50);
    for (const std::uint64_t number : numbers(server)) taken.insert(number);
    EXPECT_TRUE(until([&] { return webhook.counts().waiting == 0; }));
  }
  EXPECT_EQ(taken.size(), 50u);
  EXPECT_EQ(*taken.begin(), 1u);
  EXPECT_EQ(*taken.rbegin(), 50u);
}

TEST_F(WebhookTest, TheEndIsNotHeldUpByAServerThatDoesNotAnswer) {
  test::HttpServer server([](std::size_t) { return 0; });
  const auto start = std::chrono::steady_clock::now();
  {
    Webhook webhook(config(server.url()));
    publish(webhook, "c");
    server.wait_for(1);
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
}

TEST_F(WebhookTest, MoreThanTheLimitNeverWaits) {
  auto settings = config("http://127.0.0.1:1/");
  settings.limit = 100;
  settings.state_directory.clear();
  Webhook webhook(settings);
  for (int n = 0; n < 150; ++n) publish(webhook, "c");
  EXPECT_TRUE(until([&] { return webhook.counts().dropped == 50 && webhook.counts().waiting == 100; }));
}

TEST_F(WebhookTest, WhatOverlappingProcessesLeftIsDeliveredByTheNextOne) {
  {
    auto first = std::make_unique<Webhook>(config("http://127.0.0.1:1/", "r"));
    publish(*first, "a");
    EXPECT_TRUE(until([&] { return first->counts().failed > 0; }));
    Webhook second(config("http://127.0.0.1:1/", "r"));
    publish(second, "b");
    EXPECT_TRUE(until([&] { return second.counts().failed > 0; }));
  }
  test::HttpServer server([](std::size_t) { return 200; });
  Webhook third(config(server.url(), "r"));
  server.wait_for(2);
  EXPECT_TRUE(until([&] { return third.counts().waiting == 0 && third.counts().delivered == 2; }));
  std::size_t journals = 0;
  for (const auto& each : std::filesystem::directory_iterator(folder_.path("events")))
    journals += each.exists();
  EXPECT_EQ(journals, 1u);
}

TEST_F(WebhookTest, ACallWhoseEventBreaksTheServerHoldsUpNoOther) {
  test::HttpServer server([&](std::size_t n) { return n == 0 || n == 1 ? 500 : 200; });
  Webhook webhook(config(server.url()));
  publish(webhook, "bad");
  server.wait_for(1);
  publish(webhook, "good");
  server.wait_for(2);
  EXPECT_EQ(numbers(server), (Numbers{1, 2})) << "the second attempt is that of another call";
}

TEST_F(WebhookTest, TheEnvironmentChoosesNoProxy) {
  ASSERT_EQ(setenv("http_proxy", "http://127.0.0.1:1/", 1), 0);
  test::HttpServer server([](std::size_t) { return 200; });
  Webhook webhook(config(server.url()));
  publish(webhook, "c");
  EXPECT_TRUE(until([&] { return webhook.counts().delivered == 1; }));
  unsetenv("http_proxy");
}

TEST_F(WebhookTest, WhatTheOutboxLosesIsCounted) {
  auto settings = config("http://127.0.0.1:1/");
  settings.state_directory.clear();
  Webhook webhook(settings);
  // More octets than the outbox and the queue take, whatever the thread does meanwhile.
  const std::string large(1024 * 1024, 'x');
  constexpr std::uint64_t kEvents = 100;
  for (std::uint64_t n = 1; n <= kEvents; ++n) webhook.on_event({n, EventType::kDtmf, "c", large});
  EXPECT_TRUE(until([&] { return webhook.counts().dropped + webhook.counts().waiting == kEvents; }));
  EXPECT_GE(webhook.counts().dropped, kEvents - DeliveryQueue::kMostOctets / large.size());
}

}  // namespace
}  // namespace ferry::events::webhook_test
