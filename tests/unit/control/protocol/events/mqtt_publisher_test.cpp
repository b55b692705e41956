// SPDX-License-Identifier: Apache-2.0
// A client of MQTT and a broker that the test plays.
#include "control/protocol/events/mqtt_publisher.hpp"

#include "relay/base/file_descriptor.hpp"

#include <array>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <sys/socket.h>

namespace ferry::events::mqtt_publisher_test {
namespace {

using namespace std::chrono_literals;

/// Takes one connection after another, and speaks as much MQTT 3.1.1 as these tests need.
class Broker {
 public:
  explicit Broker(bool acknowledges = true)
      : acknowledges_(acknowledges), listening_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof local;
    EXPECT_EQ(bind(listening_.get(), reinterpret_cast<sockaddr*>(&local), size), 0);
    EXPECT_EQ(listen(listening_.get(), 8), 0);
    getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&local), &size);
    port_ = ntohs(local.sin_port);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }
  /// Waits for a connection and its CONNECT, and accepts it.
  void accept() {
    pollfd waiting{listening_.get(), POLLIN, 0};
    ASSERT_EQ(poll(&waiting, 1, 20'000), 1);
    client_.reset(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    const auto [type, body] = read();
    ASSERT_EQ(type >> 4, 1);
    connect = body;
    write("\x20\x02\0\0", 4);
  }
  /// Waits for a connection and its first octet; -1 if none comes.
  int first_octet() {
    pollfd waiting{listening_.get(), POLLIN, 0};
    if (poll(&waiting, 1, 20'000) != 1) return -1;
    client_.reset(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char octet = 0;
    return read_exactly(&octet, 1) ? static_cast<std::uint8_t>(octet) : -1;
  }
  void hang_up() { client_.reset(); }
  struct Message {
    std::string topic, payload;
    bool operator==(const Message&) const = default;
  };
  /// The next PUBLISH.
  Message next() {
    while (true) {
      const auto [type, body] = read();
      if (type == 0) return {"nothing", "came"};
      if (type >> 4 == 12) write("\xd0\0", 2);
      if (type >> 4 != 3) continue;
      const std::size_t size = static_cast<std::uint8_t>(body[0]) * 256u + static_cast<std::uint8_t>(body[1]);
      const bool has_id = (type & 6) != 0;
      if (has_id && acknowledges_) write(std::string("\x40\x02", 2) + body.substr(2 + size, 2));
      return {body.substr(2, size), body.substr(2 + size + (has_id ? 2 : 0))};
    }
  }
  std::string connect;

 private:
  void write(const char* text, std::size_t size) { write(std::string(text, size)); }
  void write(const std::string& text) {
    EXPECT_EQ(send(client_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  bool read_exactly(char* into, std::size_t size) {
    for (std::size_t got = 0; got < size;) {
      pollfd waiting{client_.get(), POLLIN, 0};
      if (poll(&waiting, 1, 20'000) != 1) return false;
      const ssize_t more = recv(client_.get(), into + got, size - got, 0);
      if (more <= 0) return false;
      got += static_cast<std::size_t>(more);
    }
    return true;
  }
  /// The first octet of the next packet and its rest; 0 if none comes.
  std::pair<int, std::string> read() {
    char first = 0;
    if (!read_exactly(&first, 1)) return {0, {}};
    std::size_t size = 0;
    for (unsigned shift = 0;; shift += 7) {
      char octet = 0;
      if (!read_exactly(&octet, 1)) return {0, {}};
      size |= static_cast<std::size_t>(octet & 0x7f) << shift;
      if ((octet & 0x80) == 0) break;
    }
    std::string body(size, '\0');
    if (!read_exactly(body.data(), size)) return {0, {}};
    return {static_cast<std::uint8_t>(first), body};
  }
  bool acknowledges_;
  FileDescriptor listening_, client_;
  std::uint16_t port_ = 0;
};

class MqttPublisherTest : public ::testing::Test {
 protected:
  MqttSettings settings(const Broker& broker) {
    MqttSettings made;
    made.host = "127.0.0.1";
    made.port = broker.port();
    made.topic = "ferry";
    return made;
  }
  Event event(std::uint64_t number) {
    return {number, EventType::kDtmf, "c", "{\"id\":" + std::to_string(number) + "}"};
  }
  static bool until(const std::function<bool()>& is_so) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (!is_so() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(1ms);
    return is_so();
  }
};

TEST_F(MqttPublisherTest, EventsAndReportsAreAtTheirTopics) {
  Broker broker;
  auto with_user = settings(broker);
  with_user.id = "relay-1";
  with_user.user = "me";
  with_user.password = "secret";
  MqttPublisher publisher(with_user);
  publisher.on_event(event(1));
  broker.accept();
  for (const char* word : {"relay-1", "me", "secret"})
    EXPECT_NE(broker.connect.find(word), std::string::npos) << word;
  EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
  publisher.go_on();
  EXPECT_EQ(broker.next(), (Broker::Message{"ferry/events/dtmf", "{\"id\":1}"}));
  EXPECT_TRUE(publisher.wants_reports());
  publisher.report("{\"type\":\"report\"}");
  EXPECT_EQ(broker.next(), (Broker::Message{"ferry", "{\"type\":\"report\"}"}));
  EXPECT_TRUE(until([&] { return publisher.counts().published == 2; }));
}

TEST_F(MqttPublisherTest, WhatABrokerDidNotAcknowledgeIsSentToTheNextOne) {
  Broker broker(false);
  MqttPublisher publisher(settings(broker));
  broker.accept();
  EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
  publisher.on_event(event(1));
  EXPECT_EQ(broker.next().payload, "{\"id\":1}");
  broker.hang_up();
  EXPECT_TRUE(until([&] { return !publisher.is_connected(); }));
  publisher.on_event(event(2));
  broker.accept();
  EXPECT_EQ(broker.next().payload, "{\"id\":1}");
  EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
  publisher.go_on();
  EXPECT_EQ(broker.next().payload, "{\"id\":2}");
}

TEST_F(MqttPublisherTest, WithoutABrokerMessagesWaitUpToABound) {
  MqttSettings nobody;
  nobody.host = "127.0.0.1";
  nobody.port = 1;
  MqttPublisher publisher(nobody);
  for (std::uint64_t n = 0; n < MqttPublisher::kMostWaiting + 5; ++n) publisher.on_event(event(n));
  EXPECT_EQ(publisher.waiting(), MqttPublisher::kMostWaiting);
  EXPECT_EQ(publisher.counts().dropped, 5u);
  EXPECT_FALSE(publisher.wants_reports());
}

TEST_F(MqttPublisherTest, WithQualityOfServiceZeroNothingIsAcknowledged) {
  Broker broker(false);
  auto at_most_once = settings(broker);
  at_most_once.qos = 0;
  MqttPublisher publisher(at_most_once);
  broker.accept();
  EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
  for (std::uint64_t n = 1; n <= 3; ++n) publisher.on_event(event(n));
  for (std::uint64_t n = 1; n <= 3; ++n) EXPECT_EQ(broker.next().payload, event(n).text);
  EXPECT_TRUE(until([&] { return publisher.counts().published == 3; }));
}

TEST_F(MqttPublisherTest, ACertificateThatCannotBeReadIsASentence) {
  MqttSettings bad;
  bad.host = "127.0.0.1";
  EXPECT_EQ(fault_of(bad), "");
  bad.ca_file = "/nowhere";
  EXPECT_TRUE(fault_of(bad).starts_with("mqtt-cafile")) << fault_of(bad);
  EXPECT_THROW(MqttPublisher{bad}, std::runtime_error);
  bad.key = "/nowhere";
  EXPECT_EQ(fault_of(bad), "mqtt-certfile and mqtt-keyfile belong together");
  bad.host.clear();
  EXPECT_EQ(fault_of(bad), "") << "without a broker nobody asks";
}

TEST_F(MqttPublisherTest, AMessageThatIsTooLargeIsDroppedAndCounted) {
  Broker broker;
  auto small = settings(broker);
  small.largest = 1024;
  MqttPublisher publisher(small);
  publisher.on_event({1, EventType::kDtmf, "c", std::string(1025, 'x')});
  publisher.on_event(event(2));
  EXPECT_EQ(publisher.counts().dropped, 1u);
  broker.accept();
  EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
  publisher.go_on();
  EXPECT_EQ(broker.next().payload, "{\"id\":2}");
}

TEST_F(MqttPublisherTest, AMessageThatTheBrokerNeverTakesIsGivenUp) {
  Broker broker(false);
  MqttPublisher publisher(settings(broker));
  publisher.on_event(event(1));
  for (int n = 0; n < MqttPublisher::kMostShortLives; ++n) {
    broker.accept();
    EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
    publisher.go_on();
    EXPECT_EQ(broker.next().payload, "{\"id\":1}");
    broker.hang_up();
    EXPECT_TRUE(until([&] { return !publisher.is_connected(); }));
  }
  publisher.on_event(event(2));
  EXPECT_EQ(publisher.counts().dropped, 1u);
  broker.accept();
  EXPECT_TRUE(until([&] { return publisher.is_connected(); }));
  publisher.go_on();
  EXPECT_EQ(broker.next().payload, "{\"id\":2}");
}

TEST_F(MqttPublisherTest, OctetsThatWaitAreBounded) {
  MqttSettings nobody;
  nobody.host = "127.0.0.1";
  nobody.port = 1;
  nobody.largest = 4 * 1024 * 1024;
  MqttPublisher publisher(nobody);
  const std::string large(1024 * 1024, 'x');
  for (std::uint64_t n = 0; n < 100; ++n) publisher.on_event({n, EventType::kDtmf, "c", large});
  EXPECT_LE(publisher.waiting() * large.size(), MqttPublisher::kMostOctets);
  EXPECT_EQ(publisher.counts().dropped + publisher.waiting(), 100u);
}

TEST_F(MqttPublisherTest, APasswordInClearIsWarnedOfAndAnyOptionOfTlsMeansTls) {
  MqttSettings unsafe;
  unsafe.host = "broker.example";
  unsafe.password = "secret";
  EXPECT_TRUE(warning_about(unsafe).starts_with("mqtt-pass goes to the broker in clear"));
  MqttSettings here = unsafe;
  here.host = "127.0.0.1";
  EXPECT_EQ(warning_about(here), "");
  for (std::string MqttSettings::*option :
       {&MqttSettings::ca_file, &MqttSettings::ca_path, &MqttSettings::certificate, &MqttSettings::key,
        &MqttSettings::alpn}) {
    MqttSettings safe = unsafe;
    safe.*option = "x";
    EXPECT_TRUE(safe.has_tls());
    EXPECT_EQ(warning_about(safe), "");
  }
}

TEST_F(MqttPublisherTest, WithAnOptionOfTlsAloneNothingGoesOutInClear) {
  Broker broker;
  auto tls = settings(broker);
  tls.user = "me";
  tls.password = "secret";
  tls.alpn = "mqtt";
  MqttPublisher publisher(tls);
  // A handshake of TLS begins with 22 (RFC 8446 section 5.1), CONNECT with 16.
  EXPECT_EQ(broker.first_octet(), 22);
}

}  // namespace
}  // namespace ferry::events::mqtt_publisher_test
