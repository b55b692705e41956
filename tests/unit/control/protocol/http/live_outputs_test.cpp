// SPDX-License-Identifier: Apache-2.0
// Live pages over real sockets: Server-Sent Events and WebSocket, slow clients, clients that may not read.
#include "control/protocol/http/live_outputs.hpp"

#include "control/protocol/http/http_server.hpp"
#include "tests/support/listening.hpp"

#include <fmt/format.h>

namespace ferry::test::live_outputs_test {
namespace {

using namespace std::chrono_literals;

/// Serves nothing else.
class NoCommands final : public http::CommandHandler {
 public:
  [[nodiscard]] std::span<const std::string_view> subprotocols() const override { return kNames; }
  std::optional<std::string> on_message(std::string_view, std::string_view, const IpAddress&) override {
    return "reply";
  }
  std::optional<http::Reply> on_post(std::string_view, const http::Request&, const IpAddress&) override {
    return std::nullopt;
  }
  std::optional<http::Reply> on_get(std::string_view) override { return std::nullopt; }

 private:
  static constexpr std::array<std::string_view, 1> kNames = {"known"};
};

/// A live page that sends what the test gives it.
class Pages final : public http::LivePages {
 public:
  [[nodiscard]] bool has(std::string_view path) const override { return path == "/live"; }
  std::variant<std::unique_ptr<http::LiveFeed>, http::Reply> open(std::string_view target,
                                                                  std::optional<std::uint64_t> last,
                                                                  http::LiveOutput& output) override {
    targets.emplace_back(target);
    last_number = last;
    if (target.ends_with("bad")) return http::Reply{400, "Bad Request", "text/plain", "a sentence\n", {}};
    return std::make_unique<Feed>(*this, output);
  }
  [[nodiscard]] std::size_t clients() const override { return others + (feed == nullptr ? 0 : 1); }
  void send(std::string text) {
    waiting.push_back(std::move(text));
    if (feed != nullptr) feed->go_on();
  }
  class Feed final : public http::LiveFeed {
   public:
    Feed(Pages& pages, http::LiveOutput& output) : pages_(pages), output_(output) { pages_.feed = this; }
    ~Feed() override { pages_.feed = nullptr; }
    void go_on() override {
      for (; pages_.sent < pages_.waiting.size() && output_.is_ready(); ++pages_.sent)
        output_.send({pages_.sent + 1, "word", pages_.waiting[pages_.sent]});
    }
    http::LiveOutput& output() { return output_; }

   private:
    Pages& pages_;
    http::LiveOutput& output_;
  };
  std::vector<std::string> targets;
  std::optional<std::uint64_t> last_number;
  std::vector<std::string> waiting;
  std::size_t sent = 0;
  /// Clients of other listeners.
  std::size_t others = 0;
  Feed* feed = nullptr;
};

class LivePageTest : public Listening {
 protected:
  void serve(http::HttpOptions options = {}) {
    server_ = std::make_unique<http::HttpServer>(
        all_, Endpoint{IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}, nullptr, commands_,
        [] { return WallTime{}; }, std::move(options));
    server_->set_live_pages(pages_);
  }
  StreamClient ask(const std::string& target, const std::string& headers = {},
                   const std::string& method = "GET") {
    auto client = StreamClient::to(server_->port());
    client.send(fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", method, target, headers));
    EXPECT_TRUE(until([&] { return client.heard().find("\r\n\r\n") != std::string::npos; }));
    return client;
  }
  static std::string upgrade(const std::string& more = {}) {
    return "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
           "Sec-WebSocket-Version: 13\r\n" +
           more;
  }
  NoCommands commands_;
  Pages pages_;
  std::unique_ptr<http::HttpServer> server_;
};

TEST_F(LivePageTest, MessagesComeAsServerSentEvents) {
  serve();
  auto client = ask("/live?x=1");
  EXPECT_TRUE(client.heard().starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(client.heard().find("Content-Type: text/event-stream\r\n"), std::string::npos);
  EXPECT_EQ(pages_.targets, std::vector<std::string>{"/live?x=1"});
  EXPECT_FALSE(pages_.last_number);
  client.forget();
  pages_.send("{\"a\":1}");
  EXPECT_TRUE(until([&] { return client.heard() == "id: 1\nevent: word\ndata: {\"a\":1}\n\n"; }));
  client.forget();
  pages_.feed->output().send_sign_of_life();
  EXPECT_TRUE(until([&] { return client.heard() == ":\n\n"; }));
}

TEST_F(LivePageTest, TheConnectionStaysAndWhatTheClientSendsIsIgnored) {
  serve({.idle = 60s, .token = {}, .names = {}});
  auto client = ask("/live");
  client.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
  now_ += 10h;
  turn(3);
  EXPECT_FALSE(client.is_closed());
  EXPECT_EQ(client.heard().find("pong"), std::string::npos);
  client.close();
  EXPECT_TRUE(until([&] { return pages_.feed == nullptr; })) << "the feed ends with the connection";
}

TEST_F(LivePageTest, TheNumberOfTheLastMessageComesInAHeaderOrInTheQuery) {
  serve();
  auto by_header = ask("/live", "Last-Event-ID: 17\r\n");
  EXPECT_EQ(pages_.last_number, 17u);
  auto by_query = ask("/live?call=c&last-event-id=18");
  EXPECT_EQ(pages_.last_number, 18u);
  for (const char* damaged : {"/live?last-event-id=", "/live?last-event-id=x", "/live?last-event-id=1x",
                              "/live?xlast-event-id=1", "/live?last-event-id=99999999999999999999999"}) {
    auto client = ask(damaged);
    EXPECT_FALSE(pages_.last_number) << damaged;
  }
}

TEST_F(LivePageTest, APageMayRefuseARequest) {
  serve();
  for (const std::string& headers : {std::string(), upgrade()}) {
    auto client = ask("/live?bad", headers);
    EXPECT_TRUE(client.heard().starts_with("HTTP/1.1 400 ")) << client.heard();
    EXPECT_TRUE(until([&] { return client.is_closed(); }));
    EXPECT_TRUE(client.heard().ends_with("a sentence\n"));
  }
}

TEST_F(LivePageTest, CTL12_NoMoreThanSomeClientsReadOverAllListeners) {
  serve();
  pages_.others = http::HttpServer::kMostLivePages - 1;
  auto last = ask("/live");
  EXPECT_TRUE(last.heard().starts_with("HTTP/1.1 200 "));
  for (const std::string& headers : {std::string(), upgrade()}) {
    auto refused = ask("/live", headers);
    EXPECT_TRUE(refused.heard().starts_with("HTTP/1.1 503 ")) << refused.heard();
    EXPECT_NE(refused.heard().find("Retry-After: "), std::string::npos);
    refused.send("GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_TRUE(until([&] { return refused.heard().ends_with("pong\n"); })) << "it may ask for other pages";
  }
  last.close();
  EXPECT_TRUE(until([&] { return pages_.feed == nullptr; }));
  EXPECT_TRUE(ask("/live").heard().starts_with("HTTP/1.1 200 "));
}

TEST(EventStreamText, AMessageForManyClientsIsWrittenOnce) {
  http::EventStreamText text;
  for (int client = 0; client < 30; ++client)
    EXPECT_EQ(text.of({7, "word", "{}"}), "id: 7\nevent: word\ndata: {}\n\n");
  EXPECT_EQ(text.made(), 1u);
  EXPECT_EQ(text.of({8, "word", "{}"}), "id: 8\nevent: word\ndata: {}\n\n");
  EXPECT_EQ(text.of({8, "lost", "{}"}), "id: 8\nevent: lost\ndata: {}\n\n");
  EXPECT_EQ(text.of({8, "lost", "{\"count\":1}"}), "id: 8\nevent: lost\ndata: {\"count\":1}\n\n");
  EXPECT_EQ(text.of({8, "word", "{}"}), "id: 8\nevent: word\ndata: {}\n\n");
  EXPECT_EQ(text.made(), 5u);
}

TEST_F(LivePageTest, AHeadHasNoMessages) {
  serve();
  auto client = ask("/live", {}, "HEAD");
  EXPECT_TRUE(client.heard().starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(pages_.targets.empty());
}

TEST_F(LivePageTest, CTL8_WithoutTheTokenNothingIsShown) {
  serve({.idle = 60s, .token = "secret", .names = {}});
  EXPECT_TRUE(ask("/live").heard().starts_with("HTTP/1.1 401 "));
  EXPECT_TRUE(ask("/live", upgrade()).heard().starts_with("HTTP/1.1 401 "));
  EXPECT_TRUE(pages_.targets.empty());
  EXPECT_TRUE(ask("/live", "Authorization: Bearer secret\r\n").heard().starts_with("HTTP/1.1 200 "));
}

TEST_F(LivePageTest, CTL13_PagesOfOtherSitesGetNothing) {
  serve();
  for (const std::string& headers : {std::string(), upgrade()}) {
    for (const char* page : {"Origin: https://evil.example\r\n", "Origin: http://localhost:3000\r\n",
                             "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"})
      EXPECT_TRUE(ask("/live", headers + page).heard().starts_with("HTTP/1.1 403 ")) << page;
  }
  EXPECT_TRUE(pages_.targets.empty());
}

TEST_F(LivePageTest, MessagesComeOverAWebSocket) {
  serve();
  auto client = ask("/live", upgrade());
  EXPECT_TRUE(client.heard().starts_with("HTTP/1.1 101 ")) << client.heard();
  EXPECT_EQ(client.heard().find("Sec-WebSocket-Protocol"), std::string::npos);
  client.forget();
  pages_.send("{}");
  EXPECT_TRUE(until([&] { return client.heard() == "\x81\x02{}"; }));
  client.forget();
  pages_.feed->output().send_sign_of_life();
  EXPECT_TRUE(until([&] { return client.heard() == std::string("\x89\x00", 2); }));
  client.forget();
  // A close of the client is answered.
  client.send(std::string("\x88\x80\0\0\0\0", 6));
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
}

TEST_F(LivePageTest, AKnownSubprotocolCountsMoreThanThePath) {
  serve();
  auto client = ask("/live", upgrade("Sec-WebSocket-Protocol: known\r\n"));
  EXPECT_NE(client.heard().find("Sec-WebSocket-Protocol: known"), std::string::npos);
  EXPECT_TRUE(pages_.targets.empty());
}

TEST_F(LivePageTest, ASlowClientGetsNoMoreThanItTakesAndLaterAllTheRest) {
  serve();
  for (const std::string& headers : {std::string(), upgrade()}) {
    pages_.waiting.clear();
    pages_.sent = 0;
    auto client = ask("/live", headers);
    constexpr std::size_t kMessages = 20'000;
    for (std::size_t n = 0; n < kMessages; ++n) pages_.send(std::string(1000, 'x'));
    turn(3);
    EXPECT_LT(pages_.sent, kMessages) << "the kernel takes some of it";
    EXPECT_TRUE(until([&] {
      client.heard();
      return pages_.sent == kMessages;
    }));
    client.close();
    EXPECT_TRUE(until([&] { return pages_.feed == nullptr; }));
  }
}

}  // namespace
}  // namespace ferry::test::live_outputs_test
