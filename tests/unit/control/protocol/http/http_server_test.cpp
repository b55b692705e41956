// SPDX-License-Identifier: Apache-2.0
// HTTP and WebSocket listeners over real sockets, with a relay behind them.

#include "control/protocol/http/http_server.hpp"

#include "control/protocol/ng/http_commands.hpp"
#include "tests/support/certificate.hpp"
#include "tests/support/listening.hpp"
#include "tests/support/world.hpp"

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

class HttpServerTest : public Listening {
 protected:
  std::unique_ptr<http::HttpServer> serve(http::HttpOptions options = {}, const TlsContext* tls = nullptr) {
    auto server = std::make_unique<http::HttpServer>(
        all_, Endpoint{IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}, tls, commands_,
        [this] { return world_->clock().wall; }, std::move(options));
    server->set_pages([](std::string_view target) -> std::optional<http::Reply> {
      if (target == "/big") return http::Reply{200, "OK", "text/plain", std::string(300'000, 'b'), {}};
      if (target != "/metrics") return std::nullopt;
      return http::Reply{200, "OK", "text/plain", "metric 1\n", {}};
    });
    return server;
  }
  /// Status of the reply to one request over a connection of its own; 0 if it was closed without one.
  int status(const http::HttpServer& server, const std::string& request, std::string* text = nullptr) {
    auto client = StreamClient::to(server.port());
    client.send(request);
    EXPECT_TRUE(
        until([&] { return client.is_closed() || client.heard().find("\r\n\r\n") != std::string::npos; }));
    turn(3);
    if (text != nullptr) *text = client.heard();
    return client.heard().starts_with("HTTP/1.1 ") ? std::stoi(client.heard().substr(9, 3)) : 0;
  }
  static std::string get(const std::string& path, const std::string& headers = "Host: localhost\r\n") {
    return "GET " + path + " HTTP/1.1\r\n" + headers + "\r\n";
  }
  static std::string post(const std::string& path, const std::string& body,
                          const std::string& host = "localhost") {
    return "POST " + path + " HTTP/1.1\r\nHost: " + host +
           "\r\nContent-Type: application/x-rtpengine-ng\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
  }
  static std::string upgrade(const std::string& protocol, const std::string& host = "localhost") {
    return get("/ws",
               "Host: " + host +
                   "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "
                   "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: " +
                   protocol + "\r\n");
  }
  /// A frame with a mask of zeros.
  static std::string frame(char first, const std::string& payload) {
    std::string head{first};
    if (payload.size() < 126) {
      head += static_cast<char>(0x80 | payload.size());
    } else {
      head += static_cast<char>(0xfe);
      head += static_cast<char>(payload.size() >> 8);
      head += static_cast<char>(payload.size());
    }
    return head + std::string(4, '\0') + payload;
  }
  static constexpr char kText = '\x81', kFragment = '\x01', kLast = '\x80', kPing = '\x89';

  std::unique_ptr<World> world_ = make_sim_world();
  ng::HttpCommands commands_{world_->service(), world_->manager(), [this] { return world_->clock(); }};
};

TEST_F(HttpServerTest, CTL13_ForeignHostsAreRefusedOnEveryPath) {
  const auto server = serve({.idle = 60s, .token = {}, .names = {"relay.example"}});
  const struct {
    const char* what;
    std::string request;
    int good;
  } rows[] = {
      {"ping", get("/ping", "Host: HOST\r\n"), 200},
      {"page", get("/metrics", "Host: HOST\r\n"), 200},
      {"nothing", get("/nothing", "Host: HOST\r\n"), 404},
      {"head", "HEAD /ping HTTP/1.1\r\nHost: HOST\r\n\r\n", 200},
      {"options", "OPTIONS /ng HTTP/1.1\r\nHost: HOST\r\n\r\n", 200},
      {"options of all", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", 200},
      {"other method", "DELETE / HTTP/1.1\r\nHost: HOST\r\n\r\n", 405},
      {"command", post("/ng", "c d7:command4:pinge", "HOST"), 200},
      {"WebSocket", upgrade("ng.rtpengine.com", "HOST"), 101},
      {"HTTP/1.0", "GET /ping HTTP/1.0\r\nHost: HOST\r\n\r\n", 200},
      {"absolute form", "GET http://HOST/ping HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
      {"absolute form, Host", "GET http://localhost/ping HTTP/1.1\r\nHost: HOST\r\n\r\n", 200},
  };
  for (const auto& row : rows) {
    for (const std::string host :
         {"relay.example", "RELAY.example.:8080", "192.0.2.7", "[::1]:1", "localhost", "evil.example",
          "evil.example:2225", "relay.example.evil.example"}) {
      std::string request = row.request;
      request.replace(request.find("HOST"), 4, host);
      std::string text;
      const int expected = host.find("evil") != std::string::npos ? 421 : row.good;
      EXPECT_EQ(status(*server, request, &text), expected) << row.what << " as " << host << "\n" << text;
      if (expected == 421 && !request.starts_with("HEAD")) {
        EXPECT_NE(text.find("http-names"), std::string::npos) << text;
      }
    }
  }
  EXPECT_EQ(world_->service().errors(), 0u);
}

TEST_F(HttpServerTest, CTL13_TableOfHostHeaders) {
  const auto server = serve();
  const struct {
    std::string headers;
    int status;
  } rows[] = {
      {"Host: localhost\r\n", 200},
      {"hOsT:\tlocalhost \r\n", 200},
      {"", 400},
      {"Host: localhost\r\nHost: localhost\r\n", 400},
      {"Host: localhost\r\nhost: evil.example\r\n", 400},
      {"Host:\r\n", 421},
      {"Host: localhost, evil.example\r\n", 421},
      {"Host: evil.example\r\nX-Forwarded-Host: localhost\r\n", 421},
      {"Host : localhost\r\n", 400},
      {"Host: localhost\r\n evil.example\r\n", 400},
  };
  for (const auto& row : rows)
    EXPECT_EQ(status(*server, get("/ping", row.headers)), row.status) << row.headers;
  EXPECT_EQ(status(*server, "GET /ping HTTP/1.0\r\n\r\n"), 200) << "no browser speaks HTTP/1.0";
  std::string text;
  status(*server, get("/ping", "Host: \x1b[31mevil\r\n"), &text);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  status(*server, get("/ping", "Host: ev\xff\xc2\x9b.example\r\n"), &text);
  EXPECT_NE(text.find("'ev\\xff\\xc2\\x9b.example'"), std::string::npos) << text;
}

TEST_F(HttpServerTest, CTL13_TheTokenOpensForAnyName) {
  const auto server = serve({.idle = 60s, .token = "secret", .names = {}});
  const struct {
    const char* headers;
    int status;
  } rows[] = {
      {"Host: evil.example\r\nAuthorization: Bearer secret\r\n", 200},
      {"Host: evil.example\r\nAuthorization: Bearer secreT\r\n", 401},
      {"Host: evil.example\r\nAuthorization: Bearer secret1\r\n", 401},
      {"Host: evil.example\r\nAuthorization: secret\r\n", 401},
      {"Host: evil.example\r\n", 401},
      {"Host: localhost\r\n", 401},
      {"Host: localhost\r\nAuthorization: Bearer secret\r\n", 200},
      {"Host: relay\r\nAuthorization: Bearer secret\r\nOrigin: https://evil.example\r\n", 403},
  };
  for (const auto& row : rows)
    EXPECT_EQ(status(*server, get("/ping", row.headers)), row.status) << row.headers;
}

TEST_F(HttpServerTest, CTL8_PagesOfOtherSitesAreRefused) {
  const auto server = serve({.idle = 60s, .token = {}, .names = {"relay.example"}});
  const struct {
    const char* origin;
    int status;
  } rows[] = {{"http://localhost:2225", 200}, {"http://LOCALHOST:2225", 200},
              {"http://evil.example", 403},   {"null", 403},
              {"http://relay.example", 403},  {"http://localhost.evil.example", 403},
              {"http://localhost", 403},      {"http://localhost:3000", 403},
              {"https://localhost:2225", 403}};
  for (const auto& row : rows) {
    EXPECT_EQ(
        status(*server, get("/ping", "Host: localhost:2225\r\nOrigin: " + std::string(row.origin) + "\r\n")),
        row.status)
        << row.origin;
  }
}

TEST_F(HttpServerTest, CTL13_APageThatTheBrowserDoesNotNameGetsTheFrontAlone) {
  const auto server = serve();
  server->set_pages([](std::string_view target) -> std::optional<http::Reply> {
    return http::Reply{200, "OK", "text/plain", std::string(target), {}};
  });
  server->set_front([](std::string_view path) -> std::optional<http::Reply> {
    if (path != "/" && path != "/web/app.js") return std::nullopt;
    return http::Reply{200, "OK", "text/html", "the page\n", {}};
  });
  const std::string ask = "Host: localhost\r\nSec-Fetch-Site: ";
  const struct {
    std::string request;
    int status;
  } rows[] = {
      {get("/", ask + "cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"), 200},
      {get("/web/app.js", ask + "cross-site\r\n"), 200},
      {get("/metrics", ask + "cross-site\r\n"), 403},
      {get("/metrics", ask + "same-site\r\n"), 403},
      {get("/ping", ask + "cross-site\r\n"), 403},
      {get("/api/v1/calls", ask + "cross-site\r\nSec-Fetch-Mode: navigate\r\n"), 403},
      {"HEAD /metrics HTTP/1.1\r\n" + ask + "cross-site\r\n\r\n", 403},
      {"POST / HTTP/1.1\r\nContent-Length: 0\r\n" + ask + "cross-site\r\n\r\n", 403},
      {get("/metrics", ask + "same-origin\r\n"), 200},
      {get("/metrics", ask + "none\r\n"), 200},
      {get("/metrics"), 200},
  };
  for (const auto& row : rows) EXPECT_EQ(status(*server, row.request), row.status) << row.request;
}

TEST_F(HttpServerTest, CTL13_NoReplyMayBeReadByAnotherOriginOrTakenForAnotherType) {
  const auto server = serve();
  const auto count = [](const std::string& text, std::string_view line) {
    std::size_t found = 0;
    for (auto at = text.find(line); at != std::string::npos; at = text.find(line, at + 1)) ++found;
    return found;
  };
  server->set_pages([](std::string_view target) -> std::optional<http::Reply> {
    http::Reply reply{200, "OK", "text/plain", "page\n", {}};
    if (target == "/guarded")
      reply.headers = "X-Content-Type-Options: nosniff\r\nCross-Origin-Resource-Policy: same-origin\r\n";
    return reply;
  });
  for (const std::string& request : {get("/metrics"), get("/guarded"), get("/ping"), post("/ng", "x"),
                                     get("/ping", "Host: evil.example\r\n")}) {
    std::string text;
    status(*server, request, &text);
    EXPECT_EQ(count(text, "\r\nCross-Origin-Resource-Policy: same-origin\r\n"), 1u) << request << text;
    EXPECT_EQ(count(text, "\r\nX-Content-Type-Options: nosniff\r\n"), 1u) << request << text;
  }
}

TEST_F(HttpServerTest, CTL8_FilesOfTheFrontNeedNoTokenAndAllElseDoes) {
  const auto front = [](std::string_view path) -> std::optional<http::Reply> {
    if (path != "/") return std::nullopt;
    return http::Reply{200, "OK", "text/html", "the page\n", {}};
  };
  const auto server = serve({.idle = 60s, .token = "secret", .names = {}});
  EXPECT_EQ(status(*server, get("/")), 401) << "there is no front so far";
  server->set_front(front);
  const struct {
    std::string request;
    int status;
  } rows[] = {
      {get("/"), 200},
      {get("/?query"), 200},
      {"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n", 200},
      {get("/", "Host: any.example\r\n"), 200},
      {get("/", "Host: localhost\r\nAuthorization: Bearer wrong\r\n"), 200},
      {get("/metrics"), 401},
      {get("/ping"), 401},
      {get("/other"), 401},
      {post("/", "x"), 401},
      {"OPTIONS / HTTP/1.1\r\nHost: localhost\r\n\r\n", 401},
      {get("/", "Host: localhost\r\nHost: localhost\r\n"), 400},
      {get("/metrics", "Host: localhost\r\nAuthorization: Bearer secret\r\n"), 200},
  };
  for (const auto& row : rows) EXPECT_EQ(status(*server, row.request), row.status) << row.request;
  const auto open = serve();
  open->set_front(front);
  EXPECT_EQ(status(*open, get("/")), 404) << "without a token the pages are asked alone";
}

TEST_F(HttpServerTest, ServesRequestsOneAfterTheOther) {
  const auto server = serve();
  auto client = StreamClient::to(server->port());
  const std::string both = post("/ng", "a d7:command4:pinge") + "\r\n" + get("/ping") +
                           get("/ping", "Host: localhost\r\nConnection: close\r\n") + get("/never");
  for (const char octet : both) {
    client.send({&octet, 1});
    turn();
  }
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
  const std::string& heard = client.heard();
  EXPECT_NE(heard.find("a d6:result4:ponge"), std::string::npos) << heard;
  EXPECT_NE(heard.find("pong\nHTTP/1.1 200 OK"), std::string::npos) << heard;
  EXPECT_TRUE(heard.ends_with("Connection: close\r\n\r\npong\n")) << heard;
}

TEST_F(HttpServerTest, HeadHasNoBodyAndLeaveToSendIsGiven) {
  const auto server = serve();
  std::string text;
  EXPECT_EQ(status(*server, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", &text), 200);
  EXPECT_NE(text.find("Content-Length: 9\r\n"), std::string::npos);
  EXPECT_TRUE(text.ends_with("\r\n\r\n")) << text;
  auto client = StreamClient::to(server->port());
  client.send(
      "POST /ng-plain HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: "
      "100-continue\r\nContent-Length: 18\r\n\r\n");
  EXPECT_TRUE(until([&] { return client.heard() == "HTTP/1.1 100 Continue\r\n\r\n"; }));
  client.send(R"({"command":"ping"})");
  EXPECT_TRUE(until([&] { return client.heard().ends_with(R"({"result":"pong"})"); }));
}

TEST_F(HttpServerTest, CTL12_TableOfWhatIsTooMuchOrTooSlow) {
  const auto server = serve();
  const struct {
    const char* what;
    std::string said;
    int status;
    std::optional<CloseReason> late;  // the reason when 10 s have passed
  } rows[] = {
      {"a flood of headers", "GET / HTTP/1.1\r\n" + std::string(17'000, 'h'), 431, std::nullopt},
      {"many headers",
       "GET / HTTP/1.1\r\n" +
           [] {
             std::string all;
             for (int n = 0; n < 500; ++n) all += "a: b\r\n";
             return all;
           }() +
           "\r\n",
       431, std::nullopt},
      {"a chunked body", "POST /ng HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
       411, std::nullopt},
      {"a huge body", "POST /ng HTTP/1.1\r\nHost: a\r\nContent-Length: 999999999\r\n\r\nx", 413,
       std::nullopt},
      {"TLS", "\x16\x03\x01\x02\r\n\r\n", 400, std::nullopt},
      {"half a header", "GET / HTTP/1.1\r\nHost: a\r\n", 0, CloseReason::kRequestLate},
      {"half a body", "POST /ng HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", 0,
       CloseReason::kRequestLate},
      {"empty lines", "\r\n\r\n", 0, CloseReason::kRequestLate},
      {"half a frame", upgrade("echo.rtpengine.com") + std::string("\x81\xfe\x01", 3), 101,
       CloseReason::kRequestLate},
      {"half a message", upgrade("echo.rtpengine.com") + frame(kFragment, "abc") + frame(kPing, ""), 101,
       CloseReason::kRequestLate},
  };
  for (const auto& row : rows) {
    auto client = StreamClient::to(server->port());
    client.send(row.said);
    if (row.status != 0) {
      const std::string start = "HTTP/1.1 " + std::to_string(row.status);
      EXPECT_TRUE(until([&] { return client.heard().starts_with(start); })) << row.what << client.heard();
    }
    if (!row.late) {
      EXPECT_TRUE(until([&] { return client.is_closed(); })) << row.what;
      continue;
    }
    turn(20);
    EXPECT_FALSE(client.is_closed()) << row.what;
    const std::uint64_t before = closed(*row.late);
    now_ += 10s;
    EXPECT_TRUE(until([&] { return client.is_closed(); })) << row.what;
    EXPECT_EQ(closed(*row.late), before + 1) << row.what;
  }
}

TEST_F(HttpServerTest, CTL12_PagesThatNobodyReadsArePaced) {
  const auto server = serve();
  auto client = StreamClient::to(server->port());
  std::string many;
  for (int n = 0; n < 20'000; ++n) many += get("/big");  // 6 GB
  const std::size_t sent = client.send(many);
  turn(400);
  EXPECT_LT(sent + client.send(std::string_view(many).substr(sent)), many.size() + 1);
  EXPECT_TRUE(until([&] {
    now_ += 100ms;
    return all_.size() == 0;
  }));
  EXPECT_EQ(closed(CloseReason::kUnread), 1u);
}

TEST_F(HttpServerTest, WebSocketsTakeMessagesInFragmentsAndStayOpen) {
  const auto server = serve({.idle = 5s, .token = {}, .names = {}});
  auto client = StreamClient::to(server->port());
  client.send(upgrade("chat, ng.rtpengine.com") + frame(kText, "c d7:command4:pinge"));
  EXPECT_TRUE(until([&] { return client.heard().ends_with("c d6:result4:ponge"); }))
      << "a frame that came with the request";
  EXPECT_NE(client.heard().find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), std::string::npos);
  client.send(frame(kFragment, "w2 d7:comm") + frame(kPing, "hi") + frame(kLast, "and4:pinge"));
  EXPECT_TRUE(until([&] { return client.heard().ends_with("w2 d6:result4:ponge"); }));
  EXPECT_NE(client.heard().find("\x8a\x02hi"), std::string::npos) << "the ping is answered between them";
  now_ += 600s;
  EXPECT_TRUE(until([&, start = std::chrono::steady_clock::now()] {
    return std::chrono::steady_clock::now() - start > 600ms;
  }));
  EXPECT_FALSE(client.is_closed()) << "WebSockets are not closed for being idle";
  client.send(frame('\x88', std::string("\x03\xe8", 2)));
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
  EXPECT_TRUE(client.heard().ends_with(std::string("\x88\x02\x03\xe8", 4)));
}

/// A protocol that only this test speaks.
class Shouting final : public http::CommandHandler {
 public:
  [[nodiscard]] std::span<const std::string_view> subprotocols() const override { return kNames; }
  std::optional<std::string> on_message(std::string_view subprotocol, std::string_view message,
                                        const IpAddress&) override {
    return std::string(subprotocol) + "! " + std::string(message) + "!";
  }
  std::optional<http::Reply> on_post(std::string_view path, const http::Request& request,
                                     const IpAddress& source) override {
    if (path != "/shout") return std::nullopt;
    return http::Reply{202, "Heard", "text/loud", request.body + "! " + source.to_string(), "X-Loud: 1\r\n"};
  }
  std::optional<http::Reply> on_get(std::string_view path) override {
    if (path != "/whisper") return std::nullopt;
    return http::Reply{200, "OK", "text/quiet", "hey", {}};
  }

 private:
  static constexpr std::array<std::string_view, 2> kNames = {"loud", "louder"};
};

TEST_F(HttpServerTest, AnyProtocolCanStandBehindIt) {
  Shouting shouting;
  http::HttpServer server(all_, Endpoint{IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}, nullptr, shouting,
                          [this] { return world_->clock().wall; }, {});
  std::string text;
  EXPECT_EQ(status(server, post("/shout?how=loud", "hey"), &text), 202);
  EXPECT_TRUE(text.starts_with("HTTP/1.1 202 Heard\r\n")) << text;
  EXPECT_NE(text.find("Content-Type: text/loud\r\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("\r\nX-Loud: 1\r\n\r\nhey! 127.0.0.1")) << text;
  EXPECT_EQ(status(server, get("/whisper?softly")), 200);
  EXPECT_EQ(status(server, get("/shout")), 404);
  EXPECT_EQ(status(server, post("/ng", "c d7:command4:pinge")), 404);
  EXPECT_EQ(status(server, upgrade("ng.rtpengine.com")), 404);
  auto client = StreamClient::to(server.port());
  client.send(upgrade("louder, loud") + frame(kText, "hey"));
  EXPECT_TRUE(until([&] { return client.heard().ends_with("loud! hey!"); })) << client.heard();
  EXPECT_NE(client.heard().find("Sec-WebSocket-Protocol: loud\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, CTL12_PingsWithoutEndTakeOneTurnAtATime) {
  const auto server = serve();
  auto flood = StreamClient::to(server->port());
  flood.send(upgrade("echo.rtpengine.com"));
  EXPECT_TRUE(until([&] { return flood.heard().starts_with("HTTP/1.1 101"); }));
  std::string pings;
  for (int n = 0; n < 50'000; ++n) pings += frame(kPing, std::string(100, 'p'));
  std::string_view rest = pings;
  auto other = StreamClient::to(server->port());
  for (int n = 0; n < 20; ++n) {
    rest.remove_prefix(flood.send(rest));
    turn();
  }
  other.send(get("/ping"));
  EXPECT_TRUE(until([&] { return other.heard().ends_with("pong\n"); }));
  // Nobody reads the pongs.
  EXPECT_TRUE(until([&] {
    rest.remove_prefix(flood.send(rest));
    now_ += 100ms;
    return closed(CloseReason::kUnread) == 1 || rest.empty();
  }));
}

TEST_F(HttpServerTest, CTL4_AFrameThatIsTooLargeEndsItsConnection) {
  const auto server = serve();
  auto client = StreamClient::to(server->port());
  client.send(upgrade("echo.rtpengine.com") + std::string("\x81\xff\0\0\0\0\0\x05\0\0mask", 14) + "xxxxx");
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
  EXPECT_EQ(status(*server, get("/ping")), 200);
}

TEST_F(HttpServerTest, CTL8_UnknownSubprotocolsAreNoWebSocket) {
  const auto server = serve();
  EXPECT_EQ(status(*server, upgrade("unknown.example")), 404);
}

}  // namespace
}  // namespace ferry::test
