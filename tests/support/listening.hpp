// SPDX-License-Identifier: Apache-2.0
// Control listeners on sockets of loopback, with a clock that the test moves.
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <functional>
#include <string>

#include <event2/event.h>
#include <gtest/gtest.h>
#include <poll.h>

namespace ferry::test {

/// A client that never blocks.
class StreamClient {
 public:
  explicit StreamClient(FileDescriptor socket) : socket_(std::move(socket)) {}
  static StreamClient to(std::uint16_t port) {
    const SocketAddress address(Endpoint{IpAddress::v4({127, 0, 0, 1}), UdpPort{port}});
    FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(connect(socket.get(), address.get(), address.size()), 0) << errno;
    return StreamClient(std::move(socket));
  }

  /// As much as the kernel takes now.
  std::size_t send(std::string_view octets) {
    std::size_t sent = 0;
    while (sent < octets.size()) {
      const ssize_t n =
          ::send(socket_.get(), octets.data() + sent, octets.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n <= 0) break;
      sent += static_cast<std::size_t>(n);
    }
    return sent;
  }
  /// All that has come since the beginning.
  const std::string& heard() {
    std::array<char, 65536> buffer;
    while (!is_closed_) {
      const ssize_t n = recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0)
        heard_.append(buffer.data(), static_cast<std::size_t>(n));
      else if (n == 0 || errno != EAGAIN)
        is_closed_ = true;
      else
        break;
    }
    return heard_;
  }
  bool is_closed() {
    heard();
    return is_closed_;
  }
  void forget() { heard_.clear(); }
  void end_output() { shutdown(socket_.get(), SHUT_WR); }
  [[nodiscard]] int descriptor() const { return socket_.get(); }
  void close() { socket_.reset(); }

 private:
  FileDescriptor socket_;
  std::string heard_;
  bool is_closed_ = false;
};

class Listening : public ::testing::Test {
 protected:
  explicit Listening(std::size_t max_clients = 1024, bool is_open = false)
      : access_({}, is_open),
        all_(
            base_.get(), access_, [this] { return now_; }, max_clients) {}

  void turn(int times = 1) {
    for (int n = 0; n < times; ++n) event_base_loop(base_.get(), EVLOOP_NONBLOCK);
  }
  /// Turns the loop until it is so; fails the test where it never is.
  testing::AssertionResult until(const std::function<bool()>& is_so) {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::seconds(20)) {
      if (is_so()) return testing::AssertionSuccess();
      const timeval soon{0, 2'000};
      event_base_loopexit(base_.get(), &soon);
      event_base_dispatch(base_.get());
    }
    return testing::AssertionFailure() << "it never was";
  }
  [[nodiscard]] std::uint64_t closed(CloseReason reason) const {
    return all_.counts().closed[static_cast<std::size_t>(reason)];
  }

  EventBase base_{event_base_new()};
  Instant now_{std::chrono::hours(1)};
  AccessList access_;
  Connections all_;
};

}  // namespace ferry::test
