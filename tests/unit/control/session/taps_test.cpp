// SPDX-License-Identifier: Apache-2.0
// Taps follow their calls: through re-offers with new ports, to another worker, through merges, to the end.
#include "control/session/taps.hpp"

#include "tests/support/world.hpp"

#include <map>

#include <gtest/gtest.h>

namespace ferry::test::taps_test {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

const Endpoint kAlice{IpAddress::v4({198, 51, 100, 10}), UdpPort{4000}};
const Endpoint kBob{IpAddress::v4({198, 51, 100, 20}), UdpPort{4000}};

/// Counts packets by the transport that received them.
struct Counter final : PacketTap {
  void on_packet(const TapPacket& packet) noexcept override { ++packets[packet.transport.slot]; }
  [[nodiscard]] int total() const {
    int sum = 0;
    for (const auto& [slot, count] : packets) sum += count;
    return sum;
  }
  std::map<std::uint32_t, int> packets;
};

class TapsTest : public ::testing::Test {
 protected:
  TapsTest() {
    WorldOptions options;
    options.workers = 2;
    world_ = make_sim_world(options);
  }
  void set_up(const std::string& id, const Endpoint& a, const Endpoint& b) {
    const json offered = world_->ng(offer(id, "A", audio_sdp(a)));
    const json answered = world_->ng(answer(id, "A", "B", audio_sdp(b)));
    ASSERT_EQ(answered["result"], "ok") << answered;
    toward_b_ = World::port_of(offered);
    toward_a_ = World::port_of(answered);
  }
  Call& call(const std::string& id) { return *world_->manager().find(id); }
  Taps& taps() { return world_->manager().taps(); }
  static TapOrder everything(PacketTap& tap) {
    return {.tap = &tap,
            .hears = [](const MediaTransport&, const LocalPorts&) { return true; },
            .on_attached = {}};
  }
  void settle() { world_->manager().flush(world_->clock()); }
  /// A sends some packets.
  void speak(const Endpoint& from, int packets = 5) {
    for (int i = 0; i < packets; ++i) {
      world_->send(from, {world_->relay_address(), toward_a_}, rtp('A', 0x11, sequence_++));
      world_->run(world_->elapsed() + 20ms);
    }
  }

  std::unique_ptr<World> world_;
  UdpPort toward_a_;
  UdpPort toward_b_;
  std::uint16_t sequence_ = 1;
};

TEST_F(TapsTest, SeveralTapsHearOneCallAndEachEndsAlone) {
  set_up("one", kAlice, kBob);
  Counter first;
  Counter second;
  const TapId a = taps().attach(call("one"), everything(first));
  const TapId b = taps().attach(call("one"), everything(second));
  settle();
  speak(kAlice);
  EXPECT_EQ(first.total(), 5);
  EXPECT_EQ(second.total(), 5);
  taps().detach(a);
  settle();
  speak(kAlice);
  EXPECT_EQ(first.total(), 5) << "it was detached";
  EXPECT_EQ(second.total(), 10);
  taps().detach(a);  // is gone already
  taps().detach(b);
  settle();
}

TEST_F(TapsTest, ATapIsAskedAgainWhenItsAnswerMayHaveChanged) {
  set_up("one", kAlice, kBob);
  Counter counter;
  bool hears = false;
  const TapId id = taps().attach(
      call("one"), {.tap = &counter,
                    .hears = [&](const MediaTransport& transport,
                                 const LocalPorts&) { return hears && transport.leg->tag == "A"; },
                    .on_attached = {}});
  settle();
  speak(kAlice);
  EXPECT_EQ(counter.total(), 0);
  hears = true;
  taps().renew(call("one"));
  settle();
  speak(kAlice);
  EXPECT_EQ(counter.total(), 5);
  hears = false;
  taps().renew(call("one"));
  settle();
  speak(kAlice);
  EXPECT_EQ(counter.total(), 5);
  taps().detach(id);
  settle();
}

TEST_F(TapsTest, NewPortsOfAReOfferAreHeard) {
  set_up("one", kAlice, kBob);
  Counter counter;
  std::vector<TransportId> told;
  const TapId id = taps().attach(
      call("one"), {.tap = &counter,
                    .hears = [](const MediaTransport&, const LocalPorts&) { return true; },
                    .on_attached = [&](const MediaTransport&,
                                       const LocalPorts& ports) { told.push_back(ports.transport); }});
  settle();
  EXPECT_EQ(told.size(), 2u);
  // B moves, so that A is shown another port.
  const Endpoint elsewhere{kBob.address, UdpPort{5000}};
  json again = offer("one", "B", audio_sdp(elsewhere));
  again["to-tag"] = "A";
  ASSERT_EQ(world_->ng(again)["result"], "ok");
  const json answered = world_->ng(answer("one", "B", "A", audio_sdp(kAlice)));
  ASSERT_EQ(answered["result"], "ok");
  settle();
  EXPECT_GT(told.size(), 2u);
  for (const TransportId transport : told) EXPECT_TRUE(taps().hears(id, transport));
  taps().detach(id);
  settle();
}

TEST_F(TapsTest, ATapMovesToAnotherWorkerWithItsCall) {
  set_up("one", kAlice, kBob);
  Counter counter;
  std::size_t told = 0;
  const TapId id =
      taps().attach(call("one"), {.tap = &counter,
                                  .hears = [](const MediaTransport&, const LocalPorts&) { return true; },
                                  .on_attached = [&](const MediaTransport&, const LocalPorts&) { ++told; }});
  settle();
  speak(kAlice);
  EXPECT_EQ(counter.total(), 5);
  ASSERT_TRUE(world_->manager().move_call("one", 1 - call("one").worker));
  EXPECT_EQ(told, 4u) << "both transports have new numbers";
  speak(kAlice);
  EXPECT_EQ(counter.total(), 10);
  taps().detach(id);
  settle();
  speak(kAlice);
  EXPECT_EQ(counter.total(), 10) << "it was detached at the worker that has the call now";
}

TEST_F(TapsTest, ATapGoesWithItsCall) {
  set_up("one", kAlice, kBob);
  Counter counter;
  const TapId id = taps().attach(call("one"), everything(counter));
  settle();
  world_->manager().terminate("one", world_->clock());
  EXPECT_FALSE(taps().is_there(id));
  settle();
  taps().detach(id);  // nothing is left to do
}

TEST_F(TapsTest, AfterAMergeATapHearsAllPartiesOfTheCall) {
  world_->ng(offer("one", "A", audio_sdp(kAlice)));
  world_->ng(offer("two", "B", audio_sdp(kBob)));
  Counter counter;
  std::vector<std::string> told;
  const TapId id = taps().attach(
      call("two"), {.tap = &counter,
                    .hears = [](const MediaTransport&, const LocalPorts&) { return true; },
                    .on_attached = [&](const MediaTransport& transport,
                                       const LocalPorts&) { told.push_back(transport.leg->tag); }});
  settle();
  const json connected = world_->ng({{"command", "connect"},
                                     {"call-id", "one"},
                                     {"from-tag", "A"},
                                     {"to-call-id", "two"},
                                     {"to-tag", "B"}});
  ASSERT_EQ(connected["result"], "ok") << connected;
  EXPECT_TRUE(taps().is_there(id));
  EXPECT_NE(std::ranges::find(told, "A"), told.end());
  EXPECT_NE(std::ranges::find(told, "B"), told.end());
  taps().detach(id);
  settle();
}

}  // namespace
}  // namespace ferry::test::taps_test
