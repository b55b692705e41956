// SPDX-License-Identifier: Apache-2.0
// Many parties on one port for ICE. FERRY_PARTIES says how many (`make soak`: 10,000); half of them call the
// other half. They use no media port at all.

#include "tests/support/ice_phone.hpp"

#include <cstdlib>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::one_port_crowd_test {
namespace {

using namespace ferry::test;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr UdpPort kIcePort{29'000};

std::size_t wanted_parties() {
  const char* text = std::getenv("FERRY_PARTIES");
  return text != nullptr ? std::strtoul(text, nullptr, 10) : 1'000;
}

class Crowd : public ::testing::TestWithParam<std::size_t> {
 protected:
  Crowd() {
    WorldOptions options;
    options.ice_port = kIcePort;
    options.workers = GetParam();
    world_ = make_sim_world(options);
    ports_before_ = world_->open_ports();
    const auto identity = OpenSslDtls().make_identity();
    for (std::size_t n = 0; n < wanted_parties() / 2 * 2; ++n) {
      const Endpoint at{
          world_->peer_address(static_cast<unsigned>(n / 250 % 250), static_cast<char>(n % 250 + 1)),
          UdpPort{static_cast<std::uint16_t>(12'000 + n)}};
      parties_.push_back(
          std::make_unique<IcePhone>(*world_, at, "P" + std::to_string(n) + "x", false, "active", identity));
      by_place_[at] = parties_.back().get();
    }
  }
  void call(std::size_t n) {
    IcePhone& caller = *parties_[n];
    IcePhone& callee = *parties_[n + 1];
    const std::string id = "call" + std::to_string(n);
    json request = offer(id, "A", caller.sdp());
    request.update({{"ICE", "force"}, {"SDES", {"off"}}, {"rtcp-mux", {"offer"}}});
    const json offered = world_->ng(request);
    ASSERT_EQ(offered["result"], "ok") << offered;
    ASSERT_EQ(World::port_of(offered), kIcePort);
    callee.hears(offered);
    const json answered = world_->ng(answer(id, "A", "B", callee.sdp()));
    ASSERT_EQ(answered["result"], "ok") << answered;
    ASSERT_EQ(World::port_of(answered), kIcePort);
    caller.hears(answered);
    ufrags_.insert(caller.plan.peer.ufrag);
    ufrags_.insert(callee.plan.peer.ufrag);
  }
  void pass(Duration time, Duration step) {
    for (Duration done{0}; done < time; done += step) {
      for (const auto& each : parties_) each->drive();
      world_->run(world_->elapsed() + step);
      share_out();
    }
  }
  /// Gives each datagram to the party that it came to. Each is asked once, not every party about each.
  void share_out() {
    for (const auto& all = world_->received(); seen_ < all.size(); ++seen_) {
      const Received each = all[seen_];
      if (const auto party = by_place_.find(each.at); party != by_place_.end()) party->second->take(each);
    }
  }

  std::unique_ptr<World> world_;
  std::size_t ports_before_ = 0;
  std::vector<std::unique_ptr<IcePhone>> parties_;
  std::unordered_map<Endpoint, IcePhone*> by_place_;
  std::set<std::string> ufrags_;
  std::size_t seen_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Workers, Crowd, ::testing::Values(1, 4));

TEST_P(Crowd, EveryPartyHearsItsOwnCallAndNoOther) {
  for (std::size_t n = 0; n < parties_.size(); n += 2) ASSERT_NO_FATAL_FAILURE(call(n));
  EXPECT_EQ(ufrags_.size(), parties_.size()) << "ONE-1: no ufrag twice";
  EXPECT_EQ(world_->open_ports(), ports_before_) << "not one port more";
  pass(2s, 100ms);
  for (const auto& each : parties_)
    ASSERT_EQ(each->agent.state(), IceAgent::State::kConnected) << each->at().to_string();
  constexpr std::size_t kPackets = 3;
  for (std::uint16_t sequence = 1; sequence <= kPackets; ++sequence) {
    for (std::size_t n = 0; n < parties_.size(); ++n)
      parties_[n]->send(rtp('A', static_cast<std::uint32_t>(n), sequence));
    pass(100ms, 100ms);
  }
  for (std::size_t n = 0; n < parties_.size(); ++n) {
    ASSERT_EQ(parties_[n]->heard.size(), kPackets) << n;
    for (const Packet& each : parties_[n]->heard) ASSERT_EQ(read_u32(each, 8), n ^ 1) << "the other call's";
  }
  for (std::size_t n = 0; n < parties_.size(); n += 2)
    world_->ng({{"command", "delete"}, {"call-id", "call" + std::to_string(n)}, {"delete-delay", 0}});
  EXPECT_EQ(world_->open_ports(), ports_before_);
  EXPECT_EQ(world_->manager().size(), 0u);
}

}  // namespace
}  // namespace ferry::one_port_crowd_test
