// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/udp_listener.hpp"

#include "relay/io/portable/socket_address.hpp"
#include "tests/support/world.hpp"

#include <string>
#include <vector>

#include <event2/event.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

const IpAddress kLoopback = IpAddress::v4({127, 0, 0, 1});

/// Remembers what it was asked; the command `close` closes a media port.
class Recorder final : public DatagramService {
 public:
  Recorder(OpenPorts& ports, UdpPort& media) : ports_(ports), media_(media) {}
  [[nodiscard]] std::string_view protocol() const override { return "test"; }
  std::optional<std::string> handle(std::string_view message, const IpAddress&) override {
    if (message == "close") ports_.set(media_, false);
    asked.emplace_back(message);
    return "reply to " + std::string(message);
  }
  void set_overloaded(bool) override {}

  std::vector<std::string> asked;

 private:
  OpenPorts& ports_;
  UdpPort& media_;
};

/// A socket on loopback, as of a proxy or of media.
class Peer {
 public:
  Peer() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)) {
    const SocketAddress any(Endpoint{kLoopback, UdpPort{0}});
    EXPECT_EQ(bind(fd_, any.get(), any.size()), 0);
  }
  ~Peer() { ::close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;
  [[nodiscard]] UdpPort port() const {
    SocketAddress address;
    getsockname(fd_, address.get(), address.size_pointer());
    return address.endpoint().port;
  }
  void send(const Endpoint& to, std::string_view text) const {
    const SocketAddress address(to);
    EXPECT_EQ(sendto(fd_, text.data(), text.size(), 0, address.get(), address.size()),
              static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] bool has_reply() const {
    pollfd waiting{fd_, POLLIN, 0};
    return poll(&waiting, 1, 0) == 1;
  }

 private:
  int fd_;
};

class UdpListenerTest : public ::testing::Test {
 protected:
  UdpListenerTest() { ports_->set(media_port_, true); }
  /// On loopback what was sent waits already: one look serves all of it.
  void serve() const { event_base_loop(base_.get(), EVLOOP_NONBLOCK); }

  Peer proxy_;
  Peer media_;
  UdpPort media_port_ = media_.port();
  std::shared_ptr<OpenPorts> ports_ = std::make_shared<OpenPorts>(UdpPort{1}, UdpPort{65535});
  std::unique_ptr<World> world_ = make_sim_world();
  EventBase base_{event_base_new()};
  AccessList access_{
      {}, false, std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{{kLoopback, ports_}})};
  Recorder service_{*ports_, media_port_};
  UdpListener listener_{base_.get(),
                        {kLoopback, UdpPort{0}},
                        service_,
                        world_->manager(),
                        access_,
                        [this] { return world_->clock(); },
                        0};
};

TEST_F(UdpListenerTest, LAT11a_MediaIsNoCommandAndGetsNoReply) {
  media_.send(listener_.local(), "list");
  proxy_.send(listener_.local(), "ping");
  serve();
  EXPECT_EQ(service_.asked, std::vector<std::string>{"ping"});
  EXPECT_TRUE(proxy_.has_reply());
  EXPECT_FALSE(media_.has_reply());
  EXPECT_EQ(listener_.refused(), 1u);
  EXPECT_EQ(access_.refused_from_media(), 1u);
}

TEST_F(UdpListenerTest, LAT11a_AllOfABatchIsJudgedBeforeACommandClosesTheMediaPort) {
  proxy_.send(listener_.local(), "close");
  media_.send(listener_.local(), "list");
  serve();
  EXPECT_EQ(service_.asked, std::vector<std::string>{"close"});
  EXPECT_EQ(access_.refused_from_media(), 1u);
}

TEST_F(UdpListenerTest, LAT11a_ItsPortIsOneThatNoSdpMayName) {
  ASSERT_EQ(access_.listening().size(), 1u);
  EXPECT_EQ(access_.listening().front(), listener_.local().port);
}

}  // namespace
}  // namespace ferry::test
