// SPDX-License-Identifier: Apache-2.0
// The network of the tests itself: what it carries where, and how it fails when it is told to.

#include "relay/io/sim/sim_network.hpp"

#include <array>
#include <chrono>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::sim_network_test {
namespace {

using namespace std::chrono_literals;

const Endpoint kHere = *Endpoint::parse("203.0.113.1:30000");
const Endpoint kThere = *Endpoint::parse("203.0.113.1:30010");
const Endpoint kPeer = *Endpoint::parse("192.0.2.10:4000");

class SimNetworkTest : public ::testing::Test {
 protected:
  SimNetworkTest() {
    network_.set_outlet([this](const SimDatagram& datagram) {
      out_.push_back(datagram);
      return wire_takes_;
    });
  }
  PortHandle open(const Endpoint& local, SimIo& io, std::uint64_t cookie) {
    const PortHandle port = *network_.activate(local, 0);
    EXPECT_TRUE(io.attach(port, cookie));
    return port;
  }
  static std::vector<std::byte> octets(std::size_t size) {
    return std::vector<std::byte>(size, std::byte{7});
  }
  /// Sends one datagram by `io`.
  SendError send(SimIo& io, PortHandle via, const Endpoint& to) {
    std::array<PacketBuffer, 1> batch = {io.allocate()};
    batch[0].set_data_size(3);
    batch[0]->via = via;
    batch[0]->remote = to;
    std::array<SendError, 1> errors{};
    io.send(batch, errors);
    EXPECT_FALSE(batch[0]) << "the engine takes every buffer";
    return errors[0];
  }
  /// Cookies of what waits for `io`.
  std::vector<std::uint64_t> received(SimIo& io, std::size_t most = 8) {
    std::vector<PacketBuffer> batch(most);
    const std::size_t count = io.receive(batch);
    std::vector<std::uint64_t> cookies;
    for (std::size_t i = 0; i < count; ++i) cookies.push_back(batch[i]->cookie);
    return cookies;
  }

  SimNetwork network_;
  SimIo io_{network_, 4};
  std::vector<SimDatagram> out_;
  bool wire_takes_ = true;
};

TEST_F(SimNetworkTest, ADatagramOfAPeerArrivesWithItsSourceAndCookie) {
  open(kHere, io_, 11);
  EXPECT_TRUE(network_.send_to_relay({kPeer, kHere, octets(5)}));
  EXPECT_FALSE(network_.send_to_relay({kPeer, kThere, octets(5)})) << "nobody listens there";
  std::array<PacketBuffer, 3> batch;
  ASSERT_EQ(io_.receive(batch), 1u);
  EXPECT_EQ(batch[0]->remote, kPeer);
  EXPECT_EQ(batch[0]->cookie, 11u);
  EXPECT_EQ(batch[0].data().size(), 5u);
  EXPECT_EQ(batch[0].data().front(), std::byte{7});
  EXPECT_FALSE(batch[0]->truncated);
  EXPECT_EQ(io_.receive(batch), 0u);
}

TEST_F(SimNetworkTest, WhatDoesNotFitWaitsOrIsCut) {
  open(kHere, io_, 11);
  for (int i = 0; i < 6; ++i) network_.send_to_relay({kPeer, kHere, octets(1)});
  EXPECT_EQ(received(io_, 2).size(), 2u) << "as many as the batch has room for";
  std::array<PacketBuffer, 8> batch;
  EXPECT_EQ(io_.receive(batch), 4u) << "as many as there are buffers";
  network_.send_to_relay({kPeer, kHere, octets(kMaxDatagram + 1)});
  EXPECT_EQ(received(io_).size(), 0u) << "it waits for a buffer";
  for (PacketBuffer& each : batch) each.reset();
  ASSERT_EQ(io_.receive(batch), 1u);
  EXPECT_TRUE(batch[0]->truncated);
  EXPECT_EQ(batch[0].data().size(), kMaxDatagram);
}

TEST_F(SimNetworkTest, EachEngineTakesWhatItHasAttached) {
  SimIo other(network_);
  open(kHere, io_, 11);
  const PortHandle there = open(kThere, other, 22);
  network_.send_to_relay({kPeer, kHere, octets(1)});
  network_.send_to_relay({kPeer, kThere, octets(1)});
  EXPECT_EQ(received(other), std::vector<std::uint64_t>{22});
  EXPECT_EQ(received(io_), std::vector<std::uint64_t>{11});
  network_.send_to_relay({kPeer, kThere, octets(1)});
  other.detach(there);
  EXPECT_TRUE(received(other).empty());
  EXPECT_TRUE(io_.attach(there, 33));
  EXPECT_EQ(received(io_), std::vector<std::uint64_t>{33}) << "it has waited in the port";
}

TEST_F(SimNetworkTest, WhatLeavesGoesToThePeerOrToAnotherPortOfTheRelay) {
  const PortHandle here = open(kHere, io_, 11);
  open(kThere, io_, 22);
  EXPECT_EQ(send(io_, here, kPeer), SendError::kNone);
  ASSERT_EQ(out_.size(), 1u);
  EXPECT_EQ(out_[0].from, kHere);
  EXPECT_EQ(out_[0].to, kPeer);
  EXPECT_EQ(out_[0].payload.size(), 3u);
  EXPECT_EQ(send(io_, here, kThere), SendError::kNone);
  EXPECT_EQ(out_.size(), 1u);
  EXPECT_EQ(received(io_), std::vector<std::uint64_t>{22});
  wire_takes_ = false;
  EXPECT_EQ(send(io_, here, kPeer), SendError::kOther);
  network_.release(here);
  EXPECT_EQ(send(io_, here, kPeer), SendError::kOther) << "by a port that is closed";
  EXPECT_EQ(io_.free_buffers(), 4u);
}

TEST_F(SimNetworkTest, ARefusingPeerIsToldToWhoeverHasThePort) {
  SimIo other(network_);
  const PortHandle here = open(kHere, io_, 11);
  network_.refuse(kPeer);
  EXPECT_EQ(send(io_, here, kPeer), SendError::kNone) << "ICMP comes later";
  EXPECT_TRUE(out_.empty());
  std::array<PortProblem, 4> problems;
  EXPECT_EQ(other.take_problems(problems), 0u);
  ASSERT_EQ(io_.take_problems(problems), 1u);
  EXPECT_EQ(problems[0].cookie, 11u);
  EXPECT_EQ(problems[0].to, kPeer);
  EXPECT_EQ(problems[0].error, SendError::kPortUnreachable);
  EXPECT_EQ(problems[0].reporter, kPeer.address);
  EXPECT_EQ(io_.take_problems(problems), 0u) << "once";
  network_.accept(kPeer);
  EXPECT_EQ(send(io_, here, kPeer), SendError::kNone);
  EXPECT_EQ(out_.size(), 1u);
}

TEST_F(SimNetworkTest, PortsFailAsTheyAreTold) {
  const PortHandle here = *network_.activate(kHere, 0);
  EXPECT_EQ(network_.activate(kHere, 0).error(), PortError::kInUse);
  network_.occupy(kThere);
  EXPECT_EQ(network_.activate(kThere, 0).error(), PortError::kInUse);
  EXPECT_EQ(network_.open_ports(), 1u);
  network_.release(here);
  network_.release(here);
  EXPECT_EQ(network_.open_ports(), 0u);
  network_.set_descriptor_limit(0);
  EXPECT_EQ(network_.activate(kHere, 0).error(), PortError::kNoDescriptors);
  network_.set_descriptor_limit(1);
  network_.set_port_error(PortError::kNoAddress);
  EXPECT_EQ(network_.activate(kHere, 0).error(), PortError::kNoAddress);
  network_.set_port_error(std::nullopt);
  const PortHandle again = *network_.activate(kHere, 0);
  EXPECT_NE(again, here) << "a handle is never used twice";
  network_.set_refuses_ports(true);
  EXPECT_FALSE(io_.attach(again, 1));
  EXPECT_EQ(io_.local_of(again), kHere);
  EXPECT_FALSE(io_.local_of(here).is_set());
}

TEST_F(SimNetworkTest, TheKernelSeesADatagramBeforeThePorts) {
  open(kHere, io_, 11);
  bool takes = true;
  network_.set_kernel([&](const SimDatagram&) { return takes; });
  EXPECT_TRUE(network_.send_to_relay({kPeer, kHere, octets(1)}));
  EXPECT_TRUE(received(io_).empty());
  takes = false;
  EXPECT_TRUE(network_.send_to_relay({kPeer, kHere, octets(1)}));
  EXPECT_EQ(received(io_).size(), 1u);
}

TEST_F(SimNetworkTest, TimeNeverGoesBack) {
  const Instant begin = network_.now();
  EXPECT_NE(begin, Instant{}) << "that would mean: not set";
  network_.advance_to(begin + 2s);
  network_.advance_to(begin + 1s);
  EXPECT_EQ(io_.now(), begin + 2s);
}

}  // namespace
}  // namespace ferry::sim_network_test
