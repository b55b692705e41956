// SPDX-License-Identifier: Apache-2.0
// Ways to a server, over sockets of loopback.

#include "control/telemetry/channel.hpp"

#include "tests/support/http_server.hpp"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <semaphore>
#include <thread>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

namespace ferry::telemetry::channel_test {

/// A resolver that does not answer while this object lives.
class DeadResolver {
 public:
  static constexpr std::string_view kName = "dead.example";
  DeadResolver() {
    const std::lock_guard lock(mutex());
    is_dead() = true;
    asked() = 0;
  }
  ~DeadResolver() {
    const std::lock_guard lock(mutex());
    is_dead() = false;
    changed().notify_all();
  }
  DeadResolver(const DeadResolver&) = delete;
  DeadResolver& operator=(const DeadResolver&) = delete;
  static void wait_until_asked() {
    std::unique_lock lock(mutex());
    changed().wait(lock, [] { return asked() > 0; });
  }
  /// Called by the thread that looks the name up.
  static void answer_nothing() {
    std::unique_lock lock(mutex());
    ++asked();
    changed().notify_all();
    changed().wait(lock, [] { return !is_dead(); });
  }

 private:
  // Never destroyed: a thread that was left behind may still use them when the program ends.
  static std::mutex& mutex() {
    static auto* const one = new std::mutex;
    return *one;
  }
  static std::condition_variable& changed() {
    static auto* const one = new std::condition_variable;
    return *one;
  }
  static bool& is_dead() {
    static bool value = false;
    return value;
  }
  static int& asked() {
    static int value = 0;
    return value;
  }
};

}  // namespace ferry::telemetry::channel_test

/// Stands before the one of the C library, for libcurl too.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints, addrinfo** found) {
  if (name != nullptr && name == ferry::telemetry::channel_test::DeadResolver::kName) {
    ferry::telemetry::channel_test::DeadResolver::answer_nothing();
    return EAI_AGAIN;
  }
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(dlsym(RTLD_NEXT, "getaddrinfo"));
  return real(name, service, hints, found);
}

namespace ferry::telemetry {
namespace {

using Outcome = Delivery::Outcome;

/// A socket on loopback, of TCP or UDP.
class Peer {
 public:
  explicit Peer(int type, std::uint16_t port = 0) : socket_(socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    const int on = 1;
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    local.sin_port = htons(port);
    socklen_t size = sizeof local;
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&local), size), 0);
    if (type == SOCK_STREAM) listen(socket_, 4);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&local), &size);
    port_ = ntohs(local.sin_port);
  }
  ~Peer() {
    hang_up();
    close(socket_);
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] ServerName name() const { return {"127.0.0.1", port_}; }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  void take_connection() { connection_ = accept(socket_, nullptr, nullptr); }
  void hang_up() {
    if (connection_ >= 0) close(connection_);
    connection_ = -1;
  }
  /// Sends until nothing more is taken. Returns how many octets were.
  std::size_t fill() const {
    const std::string much(1 << 20, 'x');
    std::size_t sent = 0;
    pollfd wanted{connection_, POLLOUT, 0};
    while (poll(&wanted, 1, 100) == 1) {
      const ssize_t size = ::send(connection_, much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (size > 0) sent += static_cast<std::size_t>(size);
    }
    return sent;
  }
  std::string read_some() const {
    char text[2048];
    const ssize_t size = recv(connection_ >= 0 ? connection_ : socket_, text, sizeof text, 0);
    return size <= 0 ? std::string() : std::string(text, static_cast<std::size_t>(size));
  }

 private:
  int socket_;
  int connection_ = -1;
  std::uint16_t port_ = 0;
};

TEST(StreamChannel, AServerThatHungUpIsNoticedBeforeTheNextMessage) {
  Peer peer(SOCK_STREAM);
  const auto channel = make_stream_channel(peer.name(), {});
  ASSERT_EQ(channel->open({}), "");
  peer.take_connection();
  EXPECT_EQ(channel->send("one\n", {}).outcome, Outcome::kSent);
  EXPECT_EQ(peer.read_some(), "one\n");
  peer.hang_up();
  EXPECT_EQ(channel->send("two\n", {}).outcome, Outcome::kBroken);
  ASSERT_EQ(channel->open({}), "");
  peer.take_connection();
  EXPECT_EQ(channel->send("two\n", {}).outcome, Outcome::kSent);
  EXPECT_EQ(peer.read_some(), "two\n");
}

TEST(StreamChannel, AServerThatIsNotThereIsAnError) {
  std::uint16_t port = 0;
  { port = Peer(SOCK_STREAM).port(); }
  const auto channel = make_stream_channel({"127.0.0.1", port}, {});
  EXPECT_NE(channel->open({}), "");
}

TEST(StreamChannel, AServerThatReadsNothingIsGivenUp) {
  Peer peer(SOCK_STREAM);
  const auto channel = make_stream_channel(peer.name(), {.timeout = std::chrono::seconds(1)});
  ASSERT_EQ(channel->open({}), "");
  const std::string much(64 << 20, 'x');
  const Delivery delivery = channel->send(much, {});
  EXPECT_EQ(delivery.outcome, Outcome::kBroken);
  EXPECT_EQ(delivery.why, "the server takes nothing");
}

TEST(StreamChannel, TlsWithoutAServerThatSpeaksItIsAnError) {
  Peer peer(SOCK_STREAM);
  const auto channel =
      make_stream_channel(peer.name(), {.has_tls = true, .timeout = std::chrono::seconds(1)});
  EXPECT_NE(channel->open({}), "");
}

TEST(DatagramChannel, EachMessageIsADatagram) {
  Peer peer(SOCK_DGRAM);
  const auto channel = make_datagram_channel(peer.name());
  ASSERT_EQ(channel->open({}), "");
  EXPECT_EQ(channel->send("one", {}).outcome, Outcome::kSent);
  EXPECT_EQ(channel->send("two", {}).outcome, Outcome::kSent);
  EXPECT_EQ(peer.read_some(), "one");
  EXPECT_EQ(peer.read_some(), "two");
  EXPECT_EQ(channel->send(std::string(70'000, 'x'), {}).outcome, Outcome::kRefused)
      << "larger than a datagram";
}

/// How long a channel takes to return after `stop`, if its server's name is never resolved.
std::chrono::steady_clock::duration time_to_stop(Channel& channel, bool sends) {
  std::optional<channel_test::DeadResolver> resolver(std::in_place);
  std::stop_source stop;
  std::binary_semaphore is_back(0);
  std::jthread user([&] {
    const std::string wrong = channel.open(stop.get_token());
    if (sends)
      EXPECT_EQ(channel.send("x", stop.get_token()).outcome, Outcome::kBroken);
    else
      EXPECT_NE(wrong, "");
    is_back.release();
  });
  channel_test::DeadResolver::wait_until_asked();
  const auto told = std::chrono::steady_clock::now();
  stop.request_stop();
  // After this time the resolver answers, so that a channel that waits for it fails the test and ends.
  (void)is_back.try_acquire_for(std::chrono::seconds(10));
  const auto time = std::chrono::steady_clock::now() - told;
  resolver.reset();
  return time;
}

TEST(Channels, AResolverThatDoesNotAnswerHoldsNobodyUp) {
  constexpr auto kSoon = std::chrono::seconds(4);
  const ServerName nowhere{std::string(channel_test::DeadResolver::kName), 9};
  EXPECT_LT(time_to_stop(*make_datagram_channel(nowhere), false), kSoon);
  EXPECT_LT(time_to_stop(*make_stream_channel(nowhere, {}), false), kSoon);
  EXPECT_LT(time_to_stop(*make_post_channel("http://dead.example/write", {}), true), kSoon);
}

TEST(StreamChannel, AServerThatSendsWithoutEndHoldsNoMessageUp) {
  Peer peer(SOCK_STREAM);
  const auto channel = make_stream_channel(peer.name(), {});
  ASSERT_EQ(channel->open({}), "");
  peer.take_connection();
  const std::size_t before = peer.fill();
  EXPECT_EQ(channel->send("one\n", {}).outcome, Outcome::kSent);
  EXPECT_LT(peer.fill(), before) << "the channel read all that there was";
}

TEST(PostChannel, TheStatusSaysWhatBecomesOfTheMessage) {
  const std::vector<int> statuses = {204, 400, 429, 500, 302};
  test::HttpServer server([&](std::size_t n) { return statuses.at(n); });
  const auto channel = make_post_channel(server.url() + "/write?db=x", "hush");
  std::vector<Outcome> outcomes;
  for (std::size_t n = 0; n < statuses.size(); ++n) {
    ASSERT_EQ(channel->open({}), "");
    outcomes.push_back(channel->send("m value=1 1\n", {}).outcome);
  }
  EXPECT_EQ(outcomes, (std::vector<Outcome>{Outcome::kSent, Outcome::kRefused, Outcome::kBroken,
                                            Outcome::kBroken, Outcome::kRefused}))
      << "CTL-9: no redirect is followed";
  const auto request = server.requests().front();
  EXPECT_EQ(request.body, "m value=1 1\n");
  EXPECT_TRUE(request.head.starts_with("POST /write?db=x HTTP/1.1\r\n"));
  EXPECT_NE(request.head.find("Authorization: Token hush"), std::string::npos);
}

}  // namespace
}  // namespace ferry::telemetry
