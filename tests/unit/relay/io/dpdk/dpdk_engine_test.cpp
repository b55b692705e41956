// SPDX-License-Identifier: Apache-2.0
// The engine of DPDK on a port made of rings: which frame becomes a packet of whom, and what leaves.

#include "relay/io/dpdk/dpdk_engine.hpp"

#include "relay/worker/worker.hpp"
#include "tests/support/dpdk_ring.hpp"

#include <array>
#include <optional>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::frame_to;
using test::Packet;
using test::RingPort;

const IpAddress kLocal = IpAddress::v4({127, 250, 7, 1});
const Endpoint kPeer{IpAddress::v4({198, 51, 100, 9}), UdpPort{4000}};

class DpdkTest : public ::testing::Test {
 protected:
  void SetUp() override { start(1); }
  void start(unsigned workers) {
    ios_.clear();
    port_.reset();
    std::string why;
    port_ = RingPort::make(workers, {kLocal}, why);
    if (!port_) GTEST_SKIP() << why;
    for (unsigned i = 0; i < workers; ++i) ios_.push_back(port_->engine().make_io(i));
  }
  void TearDown() override {
    for (const PortHandle each : open_) port_->engine().provider().release(each);
    ios_.clear();
  }

  /// A port of a free number that worker `worker` has.
  std::pair<PortHandle, Endpoint> open(std::uint64_t cookie, unsigned worker = 0, std::uint8_t tos = 0) {
    for (;; ++next_) {
      const Endpoint local{kLocal, UdpPort{next_}};
      const auto port = port_->engine().provider().activate(local, tos);
      if (!port) continue;
      ++next_;
      open_.push_back(*port);
      EXPECT_TRUE(ios_[worker]->attach(*port, cookie));
      return {*port, local};
    }
  }
  std::vector<PacketBuffer> receive(unsigned worker = 0) {
    std::vector<PacketBuffer> all;
    std::array<PacketBuffer, 64> batch;
    ios_[worker]->wait(Instant{});
    for (std::size_t count = 0; (count = ios_[worker]->receive(batch)) > 0;) {
      for (std::size_t i = 0; i < count; ++i) all.push_back(std::move(batch[i]));
    }
    return all;
  }
  SendError send(PortHandle via, const Endpoint& to, Bytes payload, unsigned worker = 0) {
    std::array<PacketBuffer, 1> batch = {ios_[worker]->allocate()};
    std::ranges::copy(payload, batch[0]->bytes + kHeadroom);
    batch[0].set_data_size(payload.size());
    batch[0]->via = via;
    batch[0]->remote = to;
    std::array<SendError, 1> errors{};
    ios_[worker]->send(batch, errors);
    return errors[0];
  }
  static Packet text(std::string_view words) {
    const auto octets = std::as_bytes(std::span(words));
    return {octets.begin(), octets.end()};
  }

  std::unique_ptr<RingPort> port_;
  std::vector<std::unique_ptr<PacketIo>> ios_;
  std::vector<PortHandle> open_;
  std::uint16_t next_ = 41000;
};

TEST_F(DpdkTest, AFrameToAnAttachedPortIsAPacketOfItsCookie) {
  const auto [handle, local] = open(42);
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("hello"))));
  const auto got = receive();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0]->cookie, 42u);
  EXPECT_EQ(got[0]->remote, kPeer);
  EXPECT_EQ(Packet(got[0].data().begin(), got[0].data().end()), text("hello"));
  EXPECT_GE(got[0].data_and_tailroom().size(), 5 + kTailroom);
  EXPECT_EQ(port_->count("media"), 1u);
  // And no longer than it is attached.
  ios_[0]->detach(handle);
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("late"))));
  EXPECT_TRUE(receive().empty());
  EXPECT_EQ(port_->count("to_kernel") + port_->count("drop_kernel_full"), 0u) << "it waits for the kernel";
}

TEST_F(DpdkTest, WhatLeavesIsAWholeFrameFromTheAdvertisedPort) {
  const auto [handle, local] = open(1, 0, 0xb8);
  EXPECT_EQ(send(handle, kPeer, text("answer")), SendError::kNone);
  const Packet frame = port_->take();
  dpdk::UdpFrame udp;
  ASSERT_EQ(dpdk::parse_frame(frame, udp), dpdk::FrameKind::kUdp);
  EXPECT_EQ(udp.from, local);
  EXPECT_EQ(udp.to, kPeer);
  EXPECT_EQ(dpdk::check_udp(frame, udp), dpdk::UdpChecksum::kGood);
  EXPECT_EQ(read_u8(frame, 15), 0xb8) << "DSCP of the port";
  EXPECT_TRUE(std::ranges::equal(std::span(frame).first(6), std::as_bytes(std::span(test::kNetworkMac))));
  port_->engine().provider().set_tos(handle, AddressFamily::kIpv4, 0x20);
  send(handle, kPeer, text("answer"));
  EXPECT_EQ(read_u8(port_->take(), 15), 0x20);
  EXPECT_EQ(port_->count("sent"), 2u);
  EXPECT_EQ(port_->count("sent_by_socket"), 0u);
}

TEST_F(DpdkTest, APacketGoesOnInItsOwnMemory) {
  const auto [in, local] = open(1);
  const auto [out, from] = open(2);
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("through"))));
  auto got = receive();
  ASSERT_EQ(got.size(), 1u);
  const std::byte* const where = got[0].data().data();
  got[0]->via = out;
  got[0]->remote = {kPeer.address, UdpPort{5000}};
  std::array<SendError, 1> errors{};
  ios_[0]->send(got, errors);
  EXPECT_EQ(errors[0], SendError::kNone);
  const std::byte* start = nullptr;
  const Packet frame = port_->take(&start);
  ASSERT_EQ(frame.size(), 42u + 7);
  EXPECT_EQ(Packet(frame.begin() + 42, frame.end()), text("through"));
  EXPECT_EQ(start + 42, where);
}

TEST_F(DpdkTest, EveryFrameThatIsNotTakenIsCountedByItsReason) {
  const auto [handle, local] = open(1);
  Packet bad = frame_to(port_->mac(), kPeer, local, text("spoiled"));
  bad.back() ^= std::byte{1};
  ASSERT_TRUE(port_->put(bad));
  ASSERT_TRUE(port_->put(frame_to({2, 9, 9, 9, 9, 9}, kPeer, local, text("not ours"))));
  ASSERT_TRUE(port_->put(Bytes(bad).first(20)));
  ASSERT_TRUE(
      port_->put(frame_to(port_->mac(), {IpAddress::v4({127, 0, 0, 1}), UdpPort{1}}, local, text("x"))));
  ASSERT_TRUE(
      port_->put(frame_to(port_->mac(), {IpAddress::v4({224, 0, 0, 1}), UdpPort{1}}, local, text("x"))));
  // The device says that the sum is wrong, whatever it looks like.
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("x")), ~std::size_t{0},
                         RTE_MBUF_F_RX_L4_CKSUM_BAD));
  EXPECT_TRUE(receive().empty());
  EXPECT_EQ(port_->count("drop_bad_checksum"), 2u);
  EXPECT_EQ(port_->count("drop_other_mac"), 1u);
  EXPECT_EQ(port_->count("drop_malformed"), 1u);
  EXPECT_EQ(port_->count("drop_martian"), 2u);
  EXPECT_EQ(port_->count("received"), 6u);
}

TEST_F(DpdkTest, TaggedFramesAreMediaIfTheKernelHasTheirVlan) {
  const auto [handle, local] = open(1);
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("known"), 7)));
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("unknown"), 8)));
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, text("known too"), 4094)));
  const auto got = receive();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(Packet(got[0].data().begin(), got[0].data().end()), text("known"));
  EXPECT_EQ(Packet(got[1].data().begin(), got[1].data().end()), text("known too"));
}

TEST_F(DpdkTest, AFrameInSeveralPiecesBecomesOne) {
  const auto [handle, local] = open(1);
  const Packet payload(1300, std::byte{7});
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, payload), 100));
  const auto got = receive();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_TRUE(std::ranges::equal(got[0].data(), payload));
}

TEST_F(DpdkTest, LongerThanADatagramMayBeIsMarkedAsSuch) {
  const auto [handle, local] = open(1);
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, local, Packet(dpdk::kMaxFrameDatagram + 10))));
  const auto got = receive();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_TRUE(got[0]->truncated);
  EXPECT_EQ(got[0].data().size(), dpdk::kMaxFrameDatagram);
}

TEST_F(DpdkTest, AVlanOnTheWayOut) {
  port_->hops().hop.vlan = 7;
  port_->hops().hop.lower_ifindex = port_->hops().hop.ifindex;
  port_->hops().hop.ifindex = 9999;
  const auto [handle, local] = open(1);
  EXPECT_EQ(send(handle, kPeer, text("tagged")), SendError::kNone);
  const Packet frame = port_->take();
  dpdk::UdpFrame udp;
  ASSERT_EQ(dpdk::parse_frame(frame, udp), dpdk::FrameKind::kUdp);
  EXPECT_EQ(udp.vlan, 7);
  EXPECT_EQ(dpdk::check_udp(frame, udp), dpdk::UdpChecksum::kGood);
}

/// A socket that hears what leaves by the kernel.
class Listener {
 public:
  Listener() : fd_(socket(AF_INET, SOCK_DGRAM, 0)) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    inet_pton(AF_INET, "127.250.7.2", &any.sin_addr);
    socklen_t size = sizeof any;
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&any), size), 0);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&any), &size);
    endpoint = {IpAddress::v4({127, 250, 7, 2}), UdpPort{ntohs(any.sin_port)}};
  }
  ~Listener() { close(fd_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  std::size_t hear() {
    std::array<char, 2048> room;
    std::size_t count = 0;
    while (recv(fd_, room.data(), room.size(), MSG_DONTWAIT) >= 0) ++count;
    return count;
  }
  Endpoint endpoint;

 private:
  int fd_;
};

TEST_F(DpdkTest, WithoutAWayPacketsLeaveBySocketAndTheKernelIsNotAskedForEach) {
  Listener peer;
  const auto [handle, local] = open(1);
  port_->hops().answer = HopAnswer::kLater;
  for (int i = 0; i < 50; ++i) EXPECT_EQ(send(handle, peer.endpoint, text("by socket")), SendError::kNone);
  EXPECT_EQ(peer.hear(), 50u);
  EXPECT_EQ(port_->count("sent_by_socket"), 50u);
  EXPECT_LE(port_->hops().asked, 2u);
}

TEST_F(DpdkTest, AWayThatGoesAndComesBackIsFollowedAtOnce) {
  Listener peer;
  const auto [handle, local] = open(1);
  EXPECT_EQ(send(handle, peer.endpoint, text("1")), SendError::kNone);
  EXPECT_FALSE(port_->take().empty());
  port_->hops().tell(nullptr);
  EXPECT_EQ(send(handle, peer.endpoint, text("2")), SendError::kNone);
  EXPECT_TRUE(port_->take().empty());
  EXPECT_EQ(peer.hear(), 1u);
  NextHop other = port_->hops().hop;
  other.destination = {2, 0, 0, 0, 0, 0x77};
  port_->hops().tell(&other);
  EXPECT_EQ(send(handle, peer.endpoint, text("3")), SendError::kNone);
  EXPECT_EQ(read_u8(port_->take(), 5), 0x77) << "the neighbour's new MAC address";
  other.ifindex = 12345;  // a link that is none of DPDK's
  port_->hops().tell(&other);
  EXPECT_EQ(send(handle, peer.endpoint, text("4")), SendError::kNone);
  EXPECT_EQ(peer.hear(), 1u);
}

TEST_F(DpdkTest, WhatDoesNotFitTheLinkIsTheKernelsToFragment) {
  Listener peer;
  const auto [handle, local] = open(1);
  NextHop narrow = port_->hops().hop;
  narrow.mtu = 200;
  port_->hops().hop = narrow;
  EXPECT_EQ(send(handle, peer.endpoint, Packet(172)), SendError::kNone);  // 200 with its headers
  EXPECT_FALSE(port_->take().empty());
  EXPECT_EQ(send(handle, peer.endpoint, Packet(173)), SendError::kNone);
  EXPECT_TRUE(port_->take().empty());
  EXPECT_EQ(peer.hear(), 1u);
}

TEST_F(DpdkTest, WaysAreGivenBackWithTheirPorts) {
  const auto [first, a] = open(1);
  const auto [second, b] = open(2);
  send(first, kPeer, text("x"));
  send(second, kPeer, text("x"));
  send(second, {IpAddress::v4({198, 51, 100, 10}), UdpPort{1}}, text("x"));
  EXPECT_EQ(port_->hops().users(), 2u);
  ios_[0]->detach(first);
  EXPECT_EQ(port_->hops().users(), 1u);
  ios_[0]->detach(second);
  EXPECT_EQ(port_->hops().users(), 0u);
}

TEST_F(DpdkTest, APacketComesToTheWorkerThatHasItsPort) {
  start(2);
  if (IsSkipped()) return;
  const auto [mine, here] = open(10, 0);
  const auto [other, there] = open(20, 1);
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, there, text("for the second"))));
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, here, text("for the first"))));
  // The rings have one queue, which is the first worker's.
  const auto first = receive(0);
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0]->cookie, 10u);
  const auto second = receive(1);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0]->cookie, 20u);
  EXPECT_EQ(port_->count("handed_over"), 1u);
  // The call moves while a packet is on its way between them.
  ASSERT_TRUE(port_->put(frame_to(port_->mac(), kPeer, there, text("late"))));
  EXPECT_TRUE(receive(0).empty());
  ios_[1]->detach(other);
  ASSERT_TRUE(ios_[0]->attach(other, 30));
  EXPECT_TRUE(receive(1).empty());
  const auto moved = receive(0);
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_EQ(moved[0]->cookie, 30u);
  // The second worker has no transmit queue: the first one sends for it.
  ios_[0]->detach(other);
  ASSERT_TRUE(ios_[1]->attach(other, 40));
  EXPECT_EQ(send(other, kPeer, text("answer"), 1), SendError::kNone);
  EXPECT_TRUE(port_->take().empty());
  EXPECT_TRUE(receive(0).empty());
  EXPECT_FALSE(port_->take().empty());
}

TEST_F(DpdkTest, NoBufferIsLost) {
  const auto [handle, local] = open(1);
  const auto free_buffers = [&] {
    // Known every 1024th time.
    PacketIo::Stock stock;
    for (int i = 0; i < 1024; ++i) stock = ios_[0]->stock();
    return stock.free;
  };
  const std::size_t before = free_buffers();
  for (int round = 0; round < 300; ++round) {
    for (int i = 0; i < 40; ++i) {
      Packet frame = frame_to(i % 3 == 0 ? dpdk::MacAddress{2, 9, 9, 9, 9, 9} : port_->mac(), kPeer, local,
                              text("packet"));
      if (i % 4 == 1) frame.back() ^= std::byte{1};
      ASSERT_TRUE(port_->put(frame));
    }
    for (PacketBuffer& packet : receive()) {
      packet->via = handle;
      packet->remote = kPeer;
      std::array<SendError, 1> errors{};
      ios_[0]->send(std::span(&packet, 1), errors);
    }
    while (!port_->take().empty()) {
    }
  }
  EXPECT_EQ(free_buffers(), before);
}

TEST_F(DpdkTest, AFullDeviceIsToldToTheSenderAndCounted) {
  const auto [handle, local] = open(77);
  std::size_t told = 0;
  std::array<PortProblem, 16> problems;
  for (int i = 0; i < 5000; ++i) {
    send(handle, kPeer, text("x"));
    for (const PortProblem& each : std::span(problems).first(ios_[0]->take_problems(problems))) {
      EXPECT_EQ(each.error, SendError::kNoBuffers);
      EXPECT_EQ(each.cookie, 77u);
      EXPECT_EQ(each.to, kPeer);
      ++told;
    }
  }
  EXPECT_GT(told, 800u);  // the ring holds 4095
  EXPECT_EQ(port_->count("drop_send_full"), told);
}

TEST_F(DpdkTest, SleepsUntilWokenAndUntilItsDeadline) {
  const auto start_time = std::chrono::steady_clock::now();
  ios_[0]->wait(start_time + 30ms);
  EXPECT_GE(std::chrono::steady_clock::now() - start_time, 30ms);
  std::thread waker([&] {
    std::this_thread::sleep_for(20ms);
    ios_[0]->wake();
  });
  ios_[0]->wait(start_time + 60s);
  waker.join();
  EXPECT_LT(std::chrono::steady_clock::now() - start_time, 30s);
}

TEST_F(DpdkTest, FiguresNameThePortAndTheMemory) {
  const dpdk::DpdkFigures figures = port_->engine().figures();
  ASSERT_EQ(figures.ports.size(), 1u);
  EXPECT_EQ(figures.ports[0].driver, "net_ring");
  EXPECT_EQ(figures.ports[0].rx_queues, 1u);
  EXPECT_EQ(figures.memory, "no hugepages");
  EXPECT_EQ(figures.buffers, 8191u);
  EXPECT_FALSE(figures.ports[0].counts.empty());
}

TEST(DpdkSettingsTest, WhatCannotStartSaysWhy) {
  std::string why;
  if (!RingPort::make(1, {kLocal}, why)) GTEST_SKIP() << why;
  dpdk::DpdkSettings settings;
  settings.ports = {{"net_nothing", ""}};
  auto engine = dpdk::DpdkEngine::start(settings, nullptr);
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().find("DPDK has no port 'net_nothing'"), std::string::npos) << engine.error();
  settings.ports.clear();
  settings.workers = 50;
  engine = dpdk::DpdkEngine::start(settings, nullptr);
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().find("50 workers need as many lcores"), std::string::npos) << engine.error();
}

}  // namespace
}  // namespace ferry
