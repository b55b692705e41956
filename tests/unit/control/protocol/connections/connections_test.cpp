// SPDX-License-Identifier: Apache-2.0
// Connections over real sockets, with a protocol made for the test (CTL-12).

#include "control/protocol/connections/connections.hpp"

#include "control/protocol/stream_listener.hpp"
#include "tests/support/certificate.hpp"
#include "tests/support/listening.hpp"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include <dirent.h>
#include <openssl/ssl.h>
#include <sys/resource.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

/// A line is a request: `N` draws N octets and a line end, `bye` ends, `bad` is none, a blank line is
/// nothing.
class Lines final : public Session {
 public:
  explicit Lines(Connection& connection) : connection_(connection) { ++opened; }
  ~Lines() override { --opened; }
  Progress serve(evbuffer* input) override {
    most_unread = std::max(most_unread, connection_.unread());
    char* line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_LF);
    if (line == nullptr) return evbuffer_get_length(input) == 0 ? Progress::kNothing : Progress::kUnfinished;
    const std::string text(line);
    std::free(line);
    ++served;
    if (text.empty()) return Progress::kTook;
    if (text == "bad") return Progress::kMalformed;
    connection_.write(std::string(static_cast<std::size_t>(std::atol(text.c_str())), 'x') + "\n");
    return text == "bye" ? Progress::kFinish : Progress::kServed;
  }
  void on_end_of_input(evbuffer* input) override {
    if (evbuffer_get_length(input) != 0) connection_.write("late\n");
  }

  static inline int opened = 0;
  static inline int served = 0;
  static inline std::size_t most_unread = 0;

 private:
  Connection& connection_;
};

class ConnectionsTest : public Listening {
 protected:
  explicit ConnectionsTest(std::size_t max_clients = 1024, bool is_open = false)
      : Listening(max_clients, is_open) {
    Lines::served = 0;
    Lines::most_unread = 0;
  }
  std::unique_ptr<Listener> listen(ListenerRules rules = {.name = "test", .standing = {}, .life = {}}) {
    return std::make_unique<Listener>(
        all_, listen_on_tcp({IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}), std::move(rules),
        [](Connection& connection) { return std::make_unique<Lines>(connection); });
  }
  /// Somebody at `address` connects; how, the kernel does not know.
  StreamClient connect_as(const Listener& listener, const IpAddress& address) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    const SocketAddress from(Endpoint{address, UdpPort{4000}});
    StreamClient client((FileDescriptor(ends[0])));
    client.send("3\n");
    all_.accept(listener, FileDescriptor(ends[1]), from.get(), from.size());
    return client;
  }
};

const IpAddress kStranger = IpAddress::v4({203, 0, 113, 9});

TEST_F(ConnectionsTest, ServesRequestsInPiecesAndAtOnce) {
  const auto listener = listen();
  auto client = StreamClient::to(listener->port());
  client.send("2\n1");
  EXPECT_TRUE(until([&] { return client.heard() == "xx\n"; }));
  client.send("\n3\n\n0\n");
  EXPECT_TRUE(until([&] { return client.heard() == "xx\nx\nxxx\n\n"; }));
  EXPECT_EQ(all_.size(), 1u);
  client.close();
  EXPECT_TRUE(until([&] { return all_.size() == 0 && Lines::opened == 0; }));
}

TEST_F(ConnectionsTest, CTL12_AStrangerIsClosedBeforeAByteIsRead) {
  TestCertificate certificate;
  const TlsContext tls(certificate.file(), {});
  for (const TlsContext* each : {static_cast<const TlsContext*>(nullptr), &tls}) {
    const auto listener = listen({.name = "test", .standing = {}, .life = {}, .tls = each});
    auto stranger = connect_as(*listener, kStranger);
    EXPECT_TRUE(stranger.is_closed()) << "at accept, without a turn of the loop";
    EXPECT_EQ(stranger.heard(), "");
  }
  turn(5);
  EXPECT_EQ(Lines::served, 0);
  EXPECT_EQ(all_.counts().accepted, 0u);
  EXPECT_EQ(closed(CloseReason::kNotAllowed), 2u);
  ASSERT_EQ(access_.refusals().size(), 1u);
  EXPECT_EQ(access_.refusals()[0].source, kStranger);
}

TEST_F(ConnectionsTest, CTL12_IdleClientsLockNobodyOut) {
  const auto listener = listen();
  std::vector<StreamClient> idle;
  auto live = StreamClient::to(listener->port());
  live.send("1\n");
  EXPECT_TRUE(until([&] { return live.heard() == "x\n"; }));
  for (int n = 0; n < 700; ++n) {
    idle.push_back(StreamClient::to(listener->port()));
    turn();
  }
  EXPECT_TRUE(until([&] { return closed(CloseReason::kSourceFull) == 700 + 1 - 256; }));
  EXPECT_EQ(all_.size(), 256u);
  auto next = StreamClient::to(listener->port());
  next.send("2\n");
  live.send("3\n");
  EXPECT_TRUE(until([&] { return next.heard() == "xx\n" && live.heard() == "x\nxxx\n"; }));
  EXPECT_TRUE(idle.front().is_closed());
  EXPECT_FALSE(idle.back().is_closed());
}

class OpenToAll : public ConnectionsTest {
 protected:
  OpenToAll() : ConnectionsTest(400, true) {}
};

TEST_F(OpenToAll, CTL12_AStrangerHasSixtyFourAndTheCrowdMakesRoom) {
  const auto listener = listen();
  std::vector<StreamClient> crowd;
  for (std::uint8_t who = 1; who <= 7; ++who) {
    for (int n = 0; n < 100; ++n) crowd.push_back(connect_as(*listener, IpAddress::v4({203, 0, 113, who})));
  }
  EXPECT_TRUE(until([&] { return closed(CloseReason::kSourceFull) + closed(CloseReason::kAllFull) == 300; }));
  EXPECT_EQ(all_.size(), 400u);
  EXPECT_GE(closed(CloseReason::kSourceFull), 6u * 36);
  auto next = connect_as(*listener, IpAddress::v4({198, 51, 100, 1}));
  EXPECT_TRUE(until([&] { return next.heard() == "xxx\n"; }));
}

TEST_F(OpenToAll, CTL5_AStrangerOverItsBudgetWaits) {
  const auto listener = listen();
  auto stranger = connect_as(*listener, kStranger);
  std::string many;
  for (int n = 0; n < 3000; ++n) many += "0\n";
  stranger.send(many);
  EXPECT_TRUE(until([&] { return Lines::served >= 1999; }));
  turn(200);
  EXPECT_LE(Lines::served, 2001);
  now_ += 1s;
  EXPECT_TRUE(until([&] { return stranger.heard().size() == 3004; })) << "nothing is lost";
}

TEST_F(ConnectionsTest, CTL12_TableOfDeadlines) {
  const LifeRules http{.asks_at_once = true, .idle = 60s};
  const struct {
    const char* what;
    LifeRules life;
    const char* said;
    Duration lives;
    Duration ends;  // zero = never
    CloseReason why;
  } rows[] = {
      {"a silent NG client", {}, "", 600s, 0s, CloseReason::kIdle},
      {"an idle NG client", {}, "1\n", 600s, 0s, CloseReason::kIdle},
      {"half a command", {}, "1\n1", 9s, 10s, CloseReason::kRequestLate},
      {"a silent HTTP client", http, "", 9s, 10s, CloseReason::kRequestLate},
      {"blank lines alone", http, "\n\n", 9s, 10s, CloseReason::kRequestLate},
      {"half a header", http, "1", 9s, 10s, CloseReason::kRequestLate},
      {"an idle HTTP client", http, "1\n", 59s, 60s, CloseReason::kIdle},
      {"half a second request", http, "1\n2", 9s, 10s, CloseReason::kRequestLate},
  };
  for (const auto& row : rows) {
    const auto listener = listen({.name = "test", .standing = {}, .life = row.life});
    auto client = StreamClient::to(listener->port());
    client.send(row.said);
    EXPECT_TRUE(until([&] { return all_.size() == 1; }));
    turn(10);
    const std::uint64_t before = closed(row.why);
    now_ += row.lives;
    const Instant looked = now_;
    EXPECT_TRUE(until([&, start = std::chrono::steady_clock::now()] {
      return std::chrono::steady_clock::now() - start > 600ms;  // a look has passed
    }));
    EXPECT_EQ(now_, looked);
    EXPECT_FALSE(client.is_closed()) << row.what;
    if (row.ends == 0s) continue;
    now_ += row.ends - row.lives + 1ms;
    EXPECT_TRUE(until([&] { return client.is_closed(); })) << row.what;
    EXPECT_EQ(closed(row.why), before + 1) << row.what;
  }
}

TEST_F(ConnectionsTest, CTL12_AClientThatDoesNotReadHoldsOneReplyAndIsClosed) {
  const auto listener = listen();
  auto client = StreamClient::to(listener->port());
  std::string asked;
  for (int n = 0; n < 2'000'000; ++n) asked += "200000\n";  // 400 GB, asked for in 14 MB
  std::string_view rest = asked;
  for (int n = 0; n < 300; ++n) {
    rest.remove_prefix(client.send(rest));
    turn();
  }
  EXPECT_LE(Lines::most_unread, Connection::kPauseAbove);
  EXPECT_LT(Lines::served, 100) << "no more is read than the peer takes";
  EXPECT_FALSE(rest.empty()) << "nor does the input pile up";
  // Once the kernel's buffers are full nothing moves any more.
  EXPECT_TRUE(until([&] {
    now_ += 100ms;
    return all_.size() == 0;
  }));
  EXPECT_EQ(closed(CloseReason::kUnread), 1u);
}

TEST_F(ConnectionsTest, CTL12_AClientThatReadsSlowlyGetsAllOfIt) {
  const auto listener = listen();
  auto client = StreamClient::to(listener->port());
  std::string asked;
  for (int n = 0; n < 50; ++n) asked += "200000\n";
  client.send(asked);
  turn(50);
  EXPECT_TRUE(until([&] { return client.heard().size() == 50u * 200'001; }));
}

// Events are sent to clients that asked for nothing: one that does not read them is closed.
TEST_F(ConnectionsTest, CTL12_WhatNobodyAskedForIsBoundedToo) {
  Connection* open = nullptr;
  const Listener listener(all_, listen_on_tcp({IpAddress::v4({127, 0, 0, 1}), UdpPort{0}}),
                          {.name = "test", .standing = {}, .life = {}}, [&](Connection& connection) {
                            open = &connection;
                            return std::make_unique<Lines>(connection);
                          });
  auto client = StreamClient::to(listener.port());
  EXPECT_TRUE(until([&] { return open != nullptr; }));
  std::size_t most = 0;
  for (int n = 0; n < 100'000 && all_.size() == 1; ++n) {
    open->write(std::string(1000, 'e'));
    if (all_.size() == 1) most = std::max(most, open->unread());
    if (n % 10 == 0) turn();
  }
  EXPECT_EQ(closed(CloseReason::kUnread), 1u);
  EXPECT_LE(most, Connection::kMaxUnread + 1000);
}

TEST_F(ConnectionsTest, CTL12_OneClientTakesOneTurnAtATime) {
  const auto listener = listen();
  auto greedy = StreamClient::to(listener->port());
  auto modest = StreamClient::to(listener->port());
  EXPECT_TRUE(until([&] { return all_.size() == 2; }));
  std::string many;
  for (int n = 0; n < 20'000; ++n) many += "0\n";
  greedy.send(many);
  turn();
  modest.send("1\n");
  const int before = Lines::served;
  EXPECT_TRUE(until([&] { return modest.heard() == "x\n"; }));
  EXPECT_LE(Lines::served - before, 40 * Connection::kPerTurn);
  EXPECT_TRUE(until([&] { return greedy.heard().size() == 20'000; }));
}

TEST_F(ConnectionsTest, TheLastReplyIsNotLostInAReset) {
  const auto listener = listen();
  for (const char* last : {"bye\n", "100000\nbye\n"}) {
    auto client = StreamClient::to(listener->port());
    client.send(std::string(last) + std::string(50'000, 'z'));
    EXPECT_TRUE(until([&] { return client.is_closed(); }));
    EXPECT_TRUE(client.heard().ends_with("\n")) << client.heard().size();
    client.send("more");
  }
  EXPECT_TRUE(until([&] {
    now_ += 10ms;
    return all_.size() == 0;
  })) << "a client that goes on sending is not waited for";
}

TEST_F(ConnectionsTest, WhoHasSaidEverythingStillGetsTheReplies) {
  const auto listener = listen();
  auto client = StreamClient::to(listener->port());
  client.send("300000\n2\nrest");
  client.end_output();
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
  EXPECT_EQ(client.heard().size(), 300'001u + 3 + 5);
  EXPECT_TRUE(client.heard().ends_with("xx\nlate\n"));
}

TEST_F(ConnectionsTest, WhatIsNoRequestEndsTheConnection) {
  const auto listener = listen();
  auto client = StreamClient::to(listener->port());
  client.send("1\nbad\n1\n");
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
  EXPECT_EQ(client.heard(), "x\n");
  client.close();
  EXPECT_TRUE(until([&] { return closed(CloseReason::kMalformed) == 1; }));
}

TEST_F(ConnectionsTest, AListenerTakesItsConnectionsAlong) {
  auto listener = listen();
  auto client = StreamClient::to(listener->port());
  client.send("1\n");
  EXPECT_TRUE(until([&] { return client.heard() == "x\n"; }));
  listener.reset();
  EXPECT_EQ(all_.size(), 0u);
  EXPECT_EQ(Lines::opened, 0);
  turn(3);
  EXPECT_TRUE(client.is_closed());
}

/// No descriptor can be opened while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    rlimit none = before_;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST_F(ConnectionsTest, CTL12_WithoutADescriptorTheListenerWaits) {
  const auto listener = listen();
  turn();
  auto client = StreamClient::to(listener->port());
  client.send("1\n");
  {
    const NoDescriptors none;
    turn(500);
  }
  EXPECT_EQ(all_.counts().pauses, 1u) << "it does not ask again at once";
  EXPECT_EQ(all_.size(), 0u);
  EXPECT_TRUE(until([&] { return client.heard() == "x\n"; })) << "it goes on after a second";
}

TEST_F(ConnectionsTest, CTL12_TheOperatorHasASpareDescriptor) {
  const auto others = listen();
  const auto operators = listen({.name = "operator", .standing = Standing::kOperator, .life = {}});
  turn();
  auto other = StreamClient::to(others->port());
  auto client = StreamClient::to(operators->port());
  client.send("1\n");
  // As many as are open: the spare one may be used, and no other.
  int highest = 0;
  {
    DIR* folder = opendir("/proc/self/fd");
    while (const dirent* each = readdir(folder)) highest = std::max(highest, std::atoi(each->d_name));
    highest = std::max(highest - 1, 0) + 1;  // that of the folder is gone then
    closedir(folder);
  }
  std::vector<FileDescriptor> filling;
  for (int fd = dup(0); fd >= 0 && fd < highest; fd = dup(0)) filling.emplace_back(fd);
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit full = before;
  full.rlim_cur = static_cast<rlim_t>(highest);
  setrlimit(RLIMIT_NOFILE, &full);
  EXPECT_TRUE(until([&] { return client.heard() == "x\n"; }));
  EXPECT_EQ(all_.size(), 1u) << "the other one waits";
  setrlimit(RLIMIT_NOFILE, &before);
}

/// A client of TLS that never blocks.
class TlsClient {
 public:
  explicit TlsClient(std::uint16_t port)
      : socket_(StreamClient::to(port)), context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_)) {
    evutil_make_socket_nonblocking(socket_.descriptor());
    SSL_set_fd(ssl_, socket_.descriptor());
    SSL_set_connect_state(ssl_);
  }
  ~TlsClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;
  bool is_open() { return SSL_do_handshake(ssl_) == 1; }
  void send(std::string_view text) { SSL_write(ssl_, text.data(), static_cast<int>(text.size())); }
  const std::string& heard() {
    std::array<char, 4096> buffer;
    for (int n = 0; (n = SSL_read(ssl_, buffer.data(), static_cast<int>(buffer.size()))) > 0;)
      heard_.append(buffer.data(), static_cast<std::size_t>(n));
    return heard_;
  }
  /// The peer has closed its side as TLS wants it.
  bool is_closed() {
    heard();
    return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0;
  }

 private:
  StreamClient socket_;
  SSL_CTX* context_;
  SSL* ssl_;
  std::string heard_;
};

class TlsConnections : public ConnectionsTest {
 protected:
  ListenerRules over_tls() const {
    return {.name = "test", .standing = {}, .life = {.asks_at_once = true}, .tls = &tls_};
  }
  TestCertificate certificate_;
  TlsContext tls_{certificate_.file(), {}};
};

TEST_F(TlsConnections, ServesOverTlsAndSaysGoodbye) {
  const auto listener = listen(over_tls());
  TlsClient client(listener->port());
  EXPECT_TRUE(until([&] { return client.is_open(); }));
  client.send("20000\nbye\n");
  EXPECT_TRUE(until([&] { return client.is_closed(); }));
  EXPECT_EQ(client.heard().size(), 20'001u + 1);
  EXPECT_EQ(all_.counts().handshakes, 1u);
}

TEST_F(TlsConnections, CTL12_HandshakesHaveABudgetAndCommandsDoNotWait) {
  const auto secure = listen(over_tls());
  const auto plain = listen();
  std::vector<std::unique_ptr<TlsClient>> flood;
  for (int n = 0; n < 150; ++n) {
    flood.push_back(std::make_unique<TlsClient>(secure->port()));
    flood.back()->is_open();  // its first message
    turn();
  }
  EXPECT_TRUE(until([&] { return all_.waiting_handshakes() >= 100; }));
  turn(50);
  const auto count_open = [&] {
    return std::ranges::count_if(flood, [](auto& each) { return each->is_open(); });
  };
  turn(50);
  count_open();
  turn(50);
  EXPECT_LE(count_open(), 21) << "time stands still: no more than the budget of 100 ms";
  auto client = StreamClient::to(plain->port());
  client.send("1\n");
  EXPECT_TRUE(until([&] { return client.heard() == "x\n"; }));
  EXPECT_TRUE(until([&] {
    now_ += 5ms;
    return count_open() == 150;
  })) << "everybody's turn comes";
}

TEST_F(TlsConnections, CTL12_HalfHandshakesAreLate) {
  const auto listener = listen(over_tls());
  auto silent = StreamClient::to(listener->port());
  auto half = StreamClient::to(listener->port());
  half.send("\x16\x03\x01");
  auto text = StreamClient::to(listener->port());
  text.send("GET / HTTP/1.1\r\n\r\n");
  TlsClient opened(listener->port());
  EXPECT_TRUE(until([&] {
    now_ += 1ms;
    return opened.is_open() && all_.counts().handshakes == 1 && closed(CloseReason::kHandshakeFailed) == 1;
  })) << "no TLS at all fails at once";
  now_ += 10s;
  EXPECT_TRUE(until([&] { return all_.size() == 0; }));
  EXPECT_EQ(closed(CloseReason::kHandshakeLate), 2u);
  EXPECT_EQ(closed(CloseReason::kRequestLate), 1u) << "the one that asked for nothing";
}

}  // namespace
}  // namespace ferry::test
