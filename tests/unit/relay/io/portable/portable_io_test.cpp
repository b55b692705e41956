// SPDX-License-Identifier: Apache-2.0
// The portable engine on real sockets: what a connected second socket may not change.

#include "relay/io/portable/portable_io.hpp"

#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

/// A peer's socket.
class Peer {
 public:
  explicit Peer(const std::string& address) {
    const Endpoint local = *Endpoint::parse(address);
    const SocketAddress any(local);
    fd_ = socket(any.family(), SOCK_DGRAM | SOCK_NONBLOCK, 0);
    if (bind(fd_, any.get(), any.size()) != 0) return;
    SocketAddress bound;
    getsockname(fd_, bound.get(), bound.size_pointer());
    endpoint_ = bound.endpoint();
  }
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  void send(const Endpoint& to, char word) const {
    const SocketAddress target(to);
    sendto(fd_, &word, 1, 0, target.get(), target.size());
  }
  void send(const Endpoint& to, const std::vector<std::byte>& datagram) const {
    const SocketAddress target(to);
    sendto(fd_, datagram.data(), datagram.size(), 0, target.get(), target.size());
  }
  /// Octets of the next datagram; 0 if none comes.
  [[nodiscard]] std::size_t received_size() const {
    std::vector<std::byte> space(65536);
    pollfd waiting{fd_, POLLIN, 0};
    const ssize_t n = poll(&waiting, 1, 1000) > 0 ? recv(fd_, space.data(), space.size(), 0) : 0;
    return static_cast<std::size_t>(std::max<ssize_t>(n, 0));
  }
  /// What came, as a string of first octets.
  [[nodiscard]] std::string received() const {
    std::string words;
    char word = 0;
    pollfd waiting{fd_, POLLIN, 0};
    while (poll(&waiting, 1, 100) > 0 && recv(fd_, &word, 1, 0) == 1) words += word;
    return words;
  }
  /// The error that the kernel reports after an ICMP message, or 0.
  [[nodiscard]] int error() const {
    int value = 0;
    socklen_t size = sizeof value;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &value, &size);
    return value;
  }
  void connect_to(const Endpoint& to) const {
    const SocketAddress target(to);
    connect(fd_, target.get(), target.size());
  }

 private:
  int fd_ = -1;
  Endpoint endpoint_;
};

std::size_t descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

class PortableTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    address_ = GetParam();
    Peer probe(address_ + ":0");
    if (!probe.endpoint().is_set()) GTEST_SKIP() << "no loopback address " << address_;
    for (std::uint16_t number = 41000; number < 42000 && !port_.is_open(); number += 2) {
      local_ = *Endpoint::parse(address_ + ":" + std::to_string(number));
      if (const auto port = provider_.activate(local_, 184)) port_ = *port;
    }
    ASSERT_TRUE(port_.is_open());
  }
  static void send(PortableIo& io, PortHandle via, const Endpoint& to, char word, bool locked) {
    PacketBuffer buffer = io.allocate();
    buffer.space()[0] = static_cast<std::byte>(word);
    buffer.set_data_size(1);
    buffer->remote = to;
    buffer->via = via;
    buffer->to_locked_peer = locked;
    SendError error = SendError::kOther;
    io.send({&buffer, 1}, {&error, 1});
    EXPECT_EQ(error, SendError::kNone);
  }
  static std::string receive(PortableIo& io) {
    std::string words;
    std::array<PacketBuffer, 8> batch;
    for (bool more = true; more;) {
      io.wait(io.now() + 100ms);
      const std::size_t n = io.receive(batch);
      more = n > 0;
      for (std::size_t i = 0; i < n; ++i) {
        words += static_cast<char>(batch[i].data()[0]);
        EXPECT_EQ(batch[i]->cookie, 7u);
        batch[i].reset();
      }
    }
    return words;
  }

  std::string address_;
  std::shared_ptr<ConnectedSockets> connected_ = std::make_shared<ConnectedSockets>();
  PortableProvider provider_{connected_};
  Endpoint local_;
  PortHandle port_;
};

TEST_P(PortableTest, WhatTheNetworkAnswersIsToldOnceAndDoesNotKeepItAwake) {
  PortableIo io(connected_);
  ASSERT_TRUE(io.attach(port_, 7));
  Endpoint closed;
  {
    const Peer gone(address_ + ":0");
    closed = gone.endpoint();
  }
  std::array<PortProblem, 4> problems;
  std::array<PacketBuffer, 8> batch;
  for (const bool locked : {false, true}) {
    send(io, port_, closed, 'a', locked);
    std::size_t count = 0;
    for (const Instant end = io.now() + 2s; count == 0 && io.now() < end;
         count = io.take_problems(problems)) {
      io.wait(end);
      EXPECT_EQ(io.receive(batch), 0u);
    }
    ASSERT_EQ(count, 1u);
    EXPECT_EQ(problems[0].error, SendError::kPortUnreachable);
    EXPECT_EQ(problems[0].to, closed);
    EXPECT_EQ(problems[0].cookie, 7u);
    EXPECT_EQ(io.take_problems(problems), 0u);
    // Nothing is left that would end a wait: the next one lasts until the peer sends.
    Peer peer(address_ + ":0");
    const Instant until = io.now() + 20ms;
    io.wait(until);
    EXPECT_GE(io.now(), until);
    EXPECT_EQ(io.receive(batch), 0u);
    peer.send(local_, 'p');
    EXPECT_EQ(receive(io), "p");
  }
}

TEST_P(PortableTest, LAT7_ConnectingToTheLockedPeerStillHearsAndSilencesStrangers) {
  PortableIo io(connected_);
  Peer peer(address_ + ":0");
  Peer stranger(address_ + ":0");
  ASSERT_TRUE(io.attach(port_, 7));
  send(io, port_, peer.endpoint(), 'a', true);
  ASSERT_GE(connected_->of(port_), 0) << "the port has a socket connected to its peer";
  stranger.connect_to(local_);
  peer.send(local_, 'p');
  stranger.send(local_, 's');
  std::string words = receive(io);
  std::ranges::sort(words);
  EXPECT_EQ(words, "ps") << "both reach the relay, which judges and counts them";
  EXPECT_EQ(stranger.error(), 0) << "no ICMP tells a stranger about the port";
  send(io, port_, stranger.endpoint(), 'b', false);
  EXPECT_EQ(peer.received(), "a");
  EXPECT_EQ(stranger.received(), "b") << "from the same port";
  io.detach(port_);
  provider_.release(port_);
}

TEST_P(PortableTest, NothingIsOvertakenWhenThePeerIsConnectedTo) {
  PortableIo io(connected_);
  Peer peer(address_ + ":0");
  ASSERT_TRUE(io.attach(port_, 7));
  for (const char word : {'a', 'b', 'c'}) peer.send(local_, word);
  std::string heard;
  std::array<PacketBuffer, 8> batch;
  for (char word = 'd'; heard.size() < 12; ++word) {
    const Instant end = io.now() + 2s;
    io.wait(end);
    ASSERT_LT(io.now(), end);
    const std::size_t count = io.receive(batch);
    for (std::size_t i = 0; i < count; ++i) {
      heard += static_cast<char>(batch[i].data()[0]);
      // The relay answers each packet, and the peer goes on.
      send(io, port_, peer.endpoint(), 'r', true);
    }
    if (word <= 'l') peer.send(local_, word);
  }
  EXPECT_EQ(heard, "abcdefghijkl");
}

TEST_P(PortableTest, AFloodDoesNotKeepThePeerFromBeingConnectedTo) {
  PortableIo io(connected_);
  Peer peer(address_ + ":0");
  Peer stranger(address_ + ":0");
  ASSERT_TRUE(io.attach(port_, 7));
  for (int i = 0; i < 60; ++i) {
    stranger.send(local_, 'x');
    send(io, port_, peer.endpoint(), 'r', true);
    if (i < 50) {
      EXPECT_LT(connected_->of(port_), 0) << i;
    }
  }
  EXPECT_GE(connected_->of(port_), 0);
}

// The kernel fragments what the link needs in fragments; loopback needs none up to its 64 kB.
TEST_P(PortableTest, LargeDatagramsPassBothWaysAndLargerOnesAreMarked) {
  PortableIo io(connected_, 16);
  ASSERT_TRUE(io.attach(port_, 7));
  const Peer peer(address_ + ":0");
  for (const bool locked : {false, true}) {
    for (const std::size_t size : {0ul, 1ul, 1472ul, 2049ul, 8999ul, 9000ul, 9001ul, 30'000ul}) {
      peer.send(local_, std::vector<std::byte>(size, std::byte{7}));
      std::array<PacketBuffer, 2> batch;
      std::size_t count = 0;
      for (const Instant end = io.now() + 2s; count == 0 && io.now() < end; count = io.receive(batch))
        io.wait(end);
      ASSERT_EQ(count, 1u) << size;
      EXPECT_EQ(batch[0]->truncated, size > kMaxDatagram) << size;
      if (size > kMaxDatagram) continue;
      EXPECT_EQ(batch[0].data().size(), size);
      EXPECT_GE(batch[0].data_and_tailroom().size(), size + kTailroom);
      batch[0]->remote = peer.endpoint();
      batch[0]->via = port_;
      batch[0]->to_locked_peer = locked;
      SendError error = SendError::kOther;
      io.send({batch.data(), 1}, {&error, 1});
      EXPECT_EQ(error, SendError::kNone);
      EXPECT_EQ(peer.received_size(), size);
    }
  }
  EXPECT_LE(io.stock().touched, 2u) << "the other buffers take no memory";
}

TEST_P(PortableTest, NobodyElseCanJoinThePort) {
  PortableIo io(connected_);
  Peer peer(address_ + ":0");
  ASSERT_TRUE(io.attach(port_, 7));
  send(io, port_, peer.endpoint(), 'a', true);
  ASSERT_GE(connected_->of(port_), 0);
  const auto again = provider_.activate(local_, 0);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), PortError::kInUse);
  const SocketAddress address(local_);
  const int fd = socket(address.family(), SOCK_DGRAM, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  EXPECT_NE(bind(fd, address.get(), address.size()), 0) << "not even one that shares ports";
  close(fd);
  io.detach(port_);
  provider_.release(port_);
}

TEST(PortableProviderErrors, C12_AnAddressThatIsGoneIsNoLackOfPorts) {
  PortableProvider provider;
  const auto gone = provider.activate(Endpoint::parse("192.0.2.77:40000").value(), 0);
  ASSERT_FALSE(gone) << "net.ipv4.ip_nonlocal_bind is on";
  EXPECT_EQ(gone.error(), PortError::kNoAddress);
}

TEST(PortableProviderErrors, C12_DescriptorsRunOutAndComeBack) {
  PortableProvider provider;
  const Endpoint local = Endpoint::parse("127.0.0.1:0").value();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto refused = provider.activate(local, 0);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), PortError::kNoDescriptors);
  const auto opened = provider.activate(local, 0);
  ASSERT_TRUE(opened);
  provider.release(*opened);
}

TEST_P(PortableTest, PeerChangesAndPortMovesLoseNothing) {
  const std::size_t before = descriptors();
  {
    PortableIo first(connected_);
    PortableIo second(connected_);
    Peer peer(address_ + ":0");
    Peer next(address_ + ":0");
    ASSERT_TRUE(first.attach(port_, 7));
    send(first, port_, peer.endpoint(), 'a', true);
    const int fd = connected_->of(port_);
    send(first, port_, next.endpoint(), 'b', true);
    EXPECT_EQ(connected_->of(port_), fd) << "the same socket goes to the new peer";
    peer.send(local_, 'p');
    next.send(local_, 'n');
    first.detach(port_);
    EXPECT_EQ(receive(first), "");
    ASSERT_TRUE(second.attach(port_, 7));
    std::string words = receive(second);
    std::ranges::sort(words);
    EXPECT_EQ(words, "np") << "what waited on either socket is heard on the next worker";
    send(second, port_, next.endpoint(), 'c', true);
    EXPECT_EQ(peer.received(), "a");
    EXPECT_EQ(next.received(), "bc");
    second.detach(port_);
    provider_.release(port_);
  }
  EXPECT_EQ(descriptors(), before - 1) << "the port and its connected socket are closed";
}

TEST_P(PortableTest, TheConnectedSocketCarriesTheMark) {
  PortableIo io(connected_);
  Peer peer(address_ + ":0");
  ASSERT_TRUE(io.attach(port_, 7));
  send(io, port_, peer.endpoint(), 'a', true);
  const bool v6 = local_.address.is_v6();
  const auto mark = [&] {
    int value = 0;
    socklen_t size = sizeof value;
    getsockopt(connected_->of(port_), v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &value,
               &size);
    return value;
  };
  EXPECT_EQ(mark(), 184);
  provider_.set_tos(port_, local_.address.family(), 40);
  EXPECT_EQ(mark(), 40);
  io.detach(port_);
  provider_.release(port_);
}

/// The datagrams that `io` has, as a string of first octets.
std::string taken_by(PortableIo& io) {
  std::string words;
  std::array<PacketBuffer, 8> batch;
  for (;;) {
    io.wait(io.now());
    const std::size_t count = io.receive(batch);
    if (count == 0) return words;
    for (std::size_t i = 0; i < count; ++i) words += static_cast<char>(batch[i].data()[0]);
  }
}

TEST_P(PortableTest, WorkersServeAPortTogether) {
  const Endpoint shared{local_.address, UdpPort{static_cast<std::uint16_t>(local_.port.value ^ 1)}};
  const auto handles = provider_.activate_shared(shared, 184, 3);
  ASSERT_TRUE(handles);
  ASSERT_EQ(handles->size(), 3u);
  // Another daemon, which does the same, finds it in use.
  const auto again = provider_.activate_shared(shared, 0, 3);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error(), PortError::kInUse);
  std::vector<std::unique_ptr<PortableIo>> ios;
  for (const PortHandle handle : *handles) {
    ios.push_back(std::make_unique<PortableIo>(connected_));
    ASSERT_TRUE(ios.back()->attach(handle, 7));
    ios.back()->expect_many(handle);
    EXPECT_EQ(ios.back()->local_of(handle), shared);
  }
  std::set<std::size_t> receivers;
  for (int n = 0; n < 24; ++n) {
    Peer peer(address_ + ":0");
    for (const char word : {'a', 'b', 'c'}) peer.send(shared, word);
    std::size_t receiver = 0;
    std::string words;
    for (std::size_t i = 0; i < ios.size(); ++i) {
      const std::string some = taken_by(*ios[i]);
      if (!some.empty()) receiver = i;
      words += some;
      EXPECT_TRUE(some.empty() || some == "abc") << "one peer, one worker: " << some;
    }
    EXPECT_EQ(words, "abc");
    receivers.insert(receiver);
    // Any worker may answer, and a locked peer does not get a socket of its own.
    for (std::size_t i = 0; i < ios.size(); ++i) send(*ios[i], (*handles)[i], peer.endpoint(), 'x', true);
    EXPECT_EQ(peer.received(), "xxx");
    for (const PortHandle handle : *handles) EXPECT_EQ(connected_->of(handle), -1);
  }
  EXPECT_GT(receivers.size(), 1u) << "24 peers at one of three workers";
  for (std::size_t i = 0; i < ios.size(); ++i) ios[i]->detach((*handles)[i]);
  for (const PortHandle handle : *handles) provider_.release(handle);
}

TEST_P(PortableTest, ManyDatagramsOfASharedPortAreTakenAtOnce) {
  const Endpoint shared{local_.address, UdpPort{static_cast<std::uint16_t>(local_.port.value ^ 1)}};
  const auto handles = provider_.activate_shared(shared, 0, 1);
  ASSERT_TRUE(handles);
  PortableIo io(connected_);
  ASSERT_TRUE(io.attach(handles->front(), 7));
  ASSERT_TRUE(io.attach(port_, 8));
  io.expect_many(handles->front());
  Peer peer(address_ + ":0");
  for (int n = 0; n < 20; ++n) peer.send(shared, 'a');
  peer.send(local_, 'b');
  std::array<PacketBuffer, 16> batch;
  std::string words;
  for (int turn = 0; turn < 2; ++turn) {
    io.wait(io.now());
    const std::size_t count = io.receive(batch);
    for (std::size_t i = 0; i < count; ++i) words += static_cast<char>(batch[i].data()[0]);
    for (PacketBuffer& each : batch) each.reset();
  }
  EXPECT_EQ(std::ranges::count(words, 'b'), 1) << "the other port has its turn: " << words;
  EXPECT_GE(std::ranges::count(words, 'a'), 16) << words;
  io.detach(handles->front());
  io.detach(port_);
  provider_.release(handles->front());
}

INSTANTIATE_TEST_SUITE_P(Families, PortableTest, testing::Values("127.0.0.1", "[::1]"),
                         [](const auto& which) { return which.param.front() == '[' ? "v6" : "v4"; });

TEST(PortableIoTest, AWakeDuringATurnEndsTheNextWait) {
  PortableIo io(std::make_shared<ConnectedSockets>());
  std::array<PacketBuffer, 4> batch;
  io.wake();
  io.wait(io.now() + 10s);
  io.wake();  // the commands of this turn were already run
  EXPECT_EQ(io.receive(batch), 0u);
  const Instant deadline = io.now() + 10s;
  io.wait(deadline);
  EXPECT_LT(io.now(), deadline) << "the command waits for the deadline, and control with it";
}

}  // namespace
}  // namespace ferry
