// SPDX-License-Identifier: Apache-2.0
// A worker marks its transports by time: what a snapshot tells of the last seconds, in user space and for
// streams that the kernel forwards.

#include "relay/io/sim/sim_network.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::marks_test {
namespace {

using namespace std::chrono_literals;
using test::rtp;

const IpAddress kRelay = IpAddress::v4({198, 18, 0, 1});
const std::array<Endpoint, 2> kParty = {
    {{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}}, {IpAddress::v4({192, 0, 2, 21}), UdpPort{4000}}}};
const std::array<Endpoint, 2> kPort = {{{kRelay, UdpPort{30000}}, {kRelay, UdpPort{30010}}}};

enum class Below { kNothing, kModel };

/// Two parties that speak to each other, in virtual time.
class MarkedCall {
 public:
  explicit MarkedCall(Below below = Below::kNothing) {
    network_.set_outlet([](const SimDatagram&) { return true; });
    std::unique_ptr<FlowOffload> offload;
    if (below == Below::kModel) {
      auto model = std::make_unique<test::KernelModel>(network_);
      kernel = model.get();
      offload = std::move(model);
    }
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       std::move(offload));
    for (const unsigned side : {0u, 1u}) {
      InstallTransport command;
      command.id = {side, 0};
      command.plan = std::make_shared<const TransportPlan>(plan(side));
      const Endpoint rtcp{kRelay, UdpPort{static_cast<std::uint16_t>(kPort[side].port.value + 1)}};
      command.ports = {*network_.activate(kPort[side], 0), *network_.activate(rtcp, 0)};
      command.activity = activity[side] = std::make_shared<TransportActivity>();
      run(std::move(command));
    }
  }
  ~MarkedCall() { worker_.reset(); }
  MarkedCall(const MarkedCall&) = delete;
  MarkedCall& operator=(const MarkedCall&) = delete;

  static TransportPlan plan(unsigned side) {
    TransportPlan plan;
    plan.rtp_latch.signalled = kParty[side];
    plan.rtcp_latch.signalled = {kParty[side].address, UdpPort{4001}};
    SourcePlan source;
    source.media = MediaId{side + 1};
    source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000}};
    source.sinks.resize(1);
    source.sinks[0].via = {1 - side, 0};
    source.sinks[0].to = MediaId{2 - side};
    plan.sources = {source};
    return plan;
  }
  void update(unsigned side, TransportPlan plan) {
    run(UpdatePlan{{side, 0}, std::make_shared<const TransportPlan>(std::move(plan))});
  }
  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void arrives(unsigned side, test::Packet packet, bool is_rtcp = false) {
    Endpoint from = kParty[side];
    Endpoint to = kPort[side];
    if (is_rtcp) {
      ++from.port.value;
      ++to.port.value;
    }
    network_.send_to_relay({from, to, std::move(packet)});
    worker_->run_until_idle();
  }
  void pass(Duration time) {
    network_.advance_to(network_.now() + time);
    worker_->run_until_idle();
  }
  /// Both speak; `keeps(n)`: packet n of the first party arrives.
  void talk(
      Duration time, const std::function<bool(int)>& keeps = [](int) { return true; }) {
    for (int n = 0; n < time / 20ms; ++n, ++number_) {
      pass(20ms);
      if (keeps(n)) arrives(0, rtp('A', 1, number_));
      arrives(1, rtp('B', 2, number_));
    }
  }
  TransportSnapshot read(unsigned side) {
    TransportSnapshot snapshot;
    run(ReadTransport{{side, 0}, &snapshot});
    return snapshot;
  }
  std::uint32_t standing(unsigned side) const { return activity[side]->standing.load(); }
  Worker& worker() { return *worker_; }

  test::KernelModel* kernel = nullptr;
  std::array<std::shared_ptr<TransportActivity>, 2> activity;

 private:
  SimNetwork network_;
  std::unique_ptr<Worker> worker_;
  std::uint16_t number_ = 65'000;
};

class Marked : public ::testing::TestWithParam<Below> {};
INSTANTIATE_TEST_SUITE_P(Both, Marked, ::testing::Values(Below::kNothing, Below::kModel),
                         [](const auto& each) {
                           return each.param == Below::kModel ? "Kernel" : "UserSpace";
                         });

bool one_in_twenty_is_lost(int n) { return n % 20 != 7; }

TEST_P(Marked, LossOfTheLastSecondsIsToldFromThatOfTheCall) {
  MarkedCall call(GetParam());
  call.talk(25s);
  call.talk(5s, one_in_twenty_is_lost);
  if (call.kernel != nullptr) {
    EXPECT_GT(call.kernel->forwarded(), 2500u);
  }
  // Where it came in and where it left, and the other direction.
  for (const unsigned side : {0u, 1u}) {
    const TransportSnapshot seen = call.read(side);
    const auto& source = seen.sources.at(0);
    ASSERT_EQ(source.ingress_recent.size(), 1u);
    ASSERT_EQ(source.egress_recent.size(), 1u);
    for (const bool arrives : {true, false}) {
      const RecentStream& recent = arrives ? source.ingress_recent[0] : source.egress_recent[0];
      const bool is_of_first = arrives == (side == 0);
      EXPECT_GE(recent.span, 10s) << side;
      EXPECT_LE(recent.span, 12s + 150ms) << side;
      EXPECT_NEAR(static_cast<double>(recent.counts.expected), static_cast<double>(recent.span / 20ms), 3)
          << "the counts are of that time";
      EXPECT_EQ(recent.lost(), is_of_first ? 13u : 0u) << side;
      EXPECT_EQ(recent.longest_burst, is_of_first ? 1u : 0u) << side;
    }
    EXPECT_GE(seen.recent_drops.span, 10s);
    EXPECT_EQ(seen.recent_drops.total(DropSide::kArriving) + seen.recent_drops.total(DropSide::kLeaving), 0u);
  }
  call.talk(15s);
  EXPECT_EQ(call.read(0).sources[0].ingress_recent[0].lost(), 0u);
  EXPECT_EQ(call.read(0).sources[0].ingress[0].lost(), 13u);
  EXPECT_EQ(call.read(1).sources[0].egress_recent[0].lost(), 0u);
}

TEST_P(Marked, ABurstIsToldInBothPlacesUntilItIsOver) {
  MarkedCall call(GetParam());
  call.talk(20s);
  call.talk(2s, [](int n) { return n < 30 || n >= 42; });
  call.talk(1s);
  EXPECT_EQ(call.read(0).sources[0].ingress_recent[0].longest_burst, 12u);
  EXPECT_EQ(call.read(1).sources[0].egress_recent[0].longest_burst, 12u);
  call.talk(14s);
  EXPECT_EQ(call.read(0).sources[0].ingress_recent[0].longest_burst, 0u);
  EXPECT_EQ(call.read(1).sources[0].egress_recent[0].longest_burst, 0u);
}

TEST_P(Marked, WhoStopsHasNothingInTheWindow) {
  MarkedCall call(GetParam());
  call.talk(20s);
  for (int i = 0; i < 650; ++i) call.pass(20ms);
  const TransportSnapshot seen = call.read(0);
  EXPECT_EQ(seen.sources[0].ingress_recent[0].counts, StreamMark{});
  EXPECT_EQ(seen.sources[0].egress_recent[0].counts, StreamMark{});
  EXPECT_GE(seen.sources[0].ingress_recent[0].span, 10s);
}

TEST(MarkedSsrcs, WhatLeftInTheLastSecondsIsKnownWhateverItsSsrc) {
  MarkedCall call;
  // The party renews its SSRC twice a second: more of them than the relay keeps streams of.
  std::uint16_t number = 1;
  for (int n = 0; n < 30 * 50; ++n) {
    call.pass(20ms);
    call.arrives(0, rtp('A', 100 + static_cast<std::uint32_t>(n / 25), number++));
  }
  const TransportSnapshot seen = call.read(1);
  std::uint32_t of_streams = 0;
  for (const RecentStream& each : seen.sources.at(0).egress_recent) of_streams += each.counts.packets;
  EXPECT_LT(of_streams, 250u) << "streams that gave way are forgotten";
  EXPECT_NEAR(seen.recent_sent, static_cast<double>(seen.recent_drops.span / 20ms), 15)
      << "11 s of 50 packets";
  EXPECT_EQ(call.read(0).recent_sent, 0u);
  for (int n = 0; n < 650; ++n) call.pass(20ms);
  EXPECT_EQ(call.read(1).recent_sent, 0u);
  EXPECT_GT(call.read(1).counters[0].packets_out, 1400u);
}

TEST(MarkedRestored, ATransportThatWasRestoredHasSentNothingInItsLastSeconds) {
  MarkedCall call;
  call.talk(20s);
  const TransportSnapshot snapshot = call.read(1);
  ASSERT_GT(snapshot.recent_sent, 400u);
  Transport other(std::make_shared<const TransportPlan>(MarkedCall::plan(1)),
                  std::make_shared<TransportActivity>(), Instant{2h});
  other.restore(snapshot, Instant{2h});
  EXPECT_EQ(other.snapshot(Instant{2h}).counters, snapshot.counters);
  EXPECT_EQ(other.snapshot(Instant{2h}).recent_sent, 0u);
}

TEST_P(Marked, AHoldIsCountedAsArriving) {
  MarkedCall call(GetParam());
  call.talk(5s);
  TransportPlan held = MarkedCall::plan(0);
  held.sources[0].sinks[0].media_allowed = false;
  call.update(0, held);
  call.talk(5s);
  const RecentDrops drops = call.read(0).recent_drops;
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kDirection), 250u);
  EXPECT_EQ(drops.total(DropSide::kLeaving), 0u);
  EXPECT_EQ(call.read(1).recent_drops.total(DropSide::kLeaving), 0u);
}

TEST_P(Marked, ARefusedPacketOfNumbersOutOfPlaceLeavesAGap) {
  MarkedCall call(GetParam());
  for (std::uint16_t n = 0; n < 500; ++n) {
    call.pass(20ms);
    call.arrives(0, rtp('A', 1, static_cast<std::uint16_t>(n % 10 == 5 ? n + 9000 : n)));
  }
  const TransportSnapshot seen = call.read(0);
  const RecentDrops& drops = seen.recent_drops;
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kSequenceJump), 50u);
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kNone, DropTrait::kInGap), 50u);
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kSequenceJump, DropTrait::kCopy), 0u);
  EXPECT_EQ(seen.sources[0].ingress_recent[0].lost(), 50u);
}

TEST_P(Marked, AnOldPacketThatComesAgainIsACopyAndLeavesNoGap) {
  MarkedCall call(GetParam());
  for (std::uint16_t n = 0; n < 500; ++n) {
    call.pass(20ms);
    call.arrives(0, rtp('A', 1, n));
    if (n >= 300 && n % 10 == 5) call.arrives(0, rtp('A', 1, static_cast<std::uint16_t>(n - 200)));
  }
  const RecentDrops drops = call.read(0).recent_drops;
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kSequenceJump), 20u);
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kSequenceJump, DropTrait::kCopy), 20u);
  EXPECT_EQ(drops.of(DropSide::kArriving, DropReason::kNone, DropTrait::kInGap), 0u);
}

TEST(WorkerMarks, WhatIsDroppedOnItsWayOutIsSaidOfTheReceiver) {
  MarkedCall call;
  TransportPlan unknown = MarkedCall::plan(1);
  unknown.rtp_latch.signalled = {};
  call.update(1, unknown);
  for (int n = 0; n < 100; ++n) {
    call.pass(20ms);
    call.arrives(0, rtp('A', 1, static_cast<std::uint16_t>(n)));
  }
  const TransportSnapshot receiver = call.read(1);
  EXPECT_EQ(receiver.recent_drops.of(DropSide::kLeaving, DropReason::kNoDestination), 100u);
  EXPECT_EQ(receiver.recent_drops.total(DropSide::kArriving), 0u);
  EXPECT_EQ(receiver.drops[DropReason::kNoDestination], 100u);
  ASSERT_EQ(receiver.leaving.size(), 1u);
  EXPECT_EQ(receiver.leaving[0].reason, DropReason::kNoDestination);
  EXPECT_EQ(receiver.leaving[0].times, 100u);
  EXPECT_EQ(receiver.leaving[0].last - receiver.leaving[0].first, 99 * 20ms);
  EXPECT_EQ(call.read(0).recent_drops.total(DropSide::kArriving), 0u);
  EXPECT_EQ(call.worker().totals().drops[static_cast<std::size_t>(DropReason::kNoDestination)].load(), 100u);
}

TEST_P(Marked, WhoHearsAPromptIsNotSentTheOther) {
  MarkedCall call(GetParam());
  call.talk(5s);
  StartPrompt start;
  start.id = {1, 0};
  start.order.prompt = whole_prompt({}, std::vector<std::byte>(std::size_t{160} * 500, std::byte{0x55}), 160);
  start.order.type = PayloadType{8};
  start.numbers.ssrc = Ssrc{77};
  call.run(std::move(start));
  call.talk(2s);
  const auto total = [&] {
    return call.worker().totals().drops[static_cast<std::size_t>(DropReason::kPromptPlaying)].load();
  };
  const TransportSnapshot receiver = call.read(1);
  EXPECT_EQ(receiver.recent_drops.of(DropSide::kLeaving, DropReason::kPromptPlaying), 100u);
  EXPECT_EQ(call.read(0).drops[DropReason::kPromptPlaying], 0u);
  EXPECT_EQ(total(), 100u);
}

TEST_P(Marked, StandingIsSetByTimeAndChangesWithWhatHappens) {
  MarkedCall call(GetParam());
  EXPECT_EQ(call.standing(0), 0u) << "no mark yet";
  for (int i = 0; i < 150; ++i) call.pass(20ms);
  EXPECT_EQ(call.standing(0), 0u) << "nothing happened so far";
  call.talk(14s);
  const std::uint32_t fine = call.standing(0);
  EXPECT_NE(fine, 0u);
  call.talk(6s);
  EXPECT_EQ(call.standing(0), fine) << "nothing happened";
  call.talk(10s, [](int n) { return n % 6 != 2; });
  const std::uint32_t lossy = call.standing(0);
  EXPECT_NE(lossy, fine);
  call.talk(16s);
  EXPECT_EQ(call.standing(0), fine) << "it is over";
  for (int i = 0; i < 450; ++i) call.pass(20ms);
  EXPECT_NE(call.standing(0), fine);
  EXPECT_NE(call.standing(0), 0u);
}

/// A receiver report of `reporter` with one block.
test::Packet report(std::uint32_t reporter, const ReportBlock& block) {
  test::Packet packet(32);
  write_u8(packet, 0, 0x81);
  write_u8(packet, 1, rtcp_type::kRr);
  write_u16(packet, 2, 7);
  write_u32(packet, 4, reporter);
  write_u32(packet, 8, block.about.value);
  write_u32(packet, 12, static_cast<std::uint32_t>(block.cumulative_lost) & 0xffffff);
  write_u8(packet, 12, block.fraction_lost);
  write_u32(packet, 16, block.highest_sequence);
  write_u32(packet, 20, block.jitter);
  return packet;
}

TEST_P(Marked, WhatAPartyReportsIsKeptByStream) {
  MarkedCall call(GetParam());
  call.talk(1s);
  ReportBlock block;
  block.about = Ssrc{2};
  block.fraction_lost = 51;
  block.jitter = 40;
  for (int n = 0; n < 5; ++n) {
    block.cumulative_lost = 50 * n;
    block.highest_sequence = 65'000u + 250u * static_cast<unsigned>(n);
    call.talk(5s);
    call.arrives(0, report(1, block), true);
  }
  ReportBlock foreign = block;
  foreign.about = Ssrc{99};
  call.arrives(0, report(1, foreign), true);
  const TransportSnapshot seen = call.read(0);
  ASSERT_EQ(seen.sources[0].reports.size(), 1u) << "nobody sent it another stream";
  const ListenerReport& newest = seen.sources[0].reports[0];
  EXPECT_EQ(newest.about, Ssrc{2});
  EXPECT_EQ(newest.fraction_lost, 51u);
  EXPECT_EQ(newest.jitter, 40u);
  EXPECT_EQ(newest.cumulative_lost, 200);
  EXPECT_EQ(newest.at, call.worker().now());
  EXPECT_EQ(newest.highest_before, 65'750u);
  EXPECT_EQ(newest.at - newest.earlier.at, 10s);
  EXPECT_NEAR(newest.recent_loss_percent(), 20, 0.01);
  EXPECT_TRUE(call.read(1).sources[0].reports.empty());
  // Of a source that is not the party nothing is read.
  block.fraction_lost = 255;
  MarkedCall other(GetParam());
  other.talk(1s);
  TransportPlan moved = MarkedCall::plan(0);
  moved.rtcp_latch.signalled = {kParty[1].address, UdpPort{4001}};
  moved.learning_epoch = 1;
  other.update(0, moved);
  other.arrives(0, report(1, block), true);
  EXPECT_TRUE(other.read(0).sources[0].reports.empty());
}

TEST(WorkerMarks, ThePayloadSizeOfTheNewestPacketIsKnown) {
  for (const Below below : {Below::kNothing, Below::kModel}) {
    MarkedCall call(below);
    call.talk(1s);
    EXPECT_EQ(call.read(0).sources[0].ingress[0].last_payload_size, 160u);
    call.arrives(0, rtp('A', 1, 65'050, 8, 2));
    EXPECT_EQ(call.read(0).sources[0].ingress[0].last_payload_size, 2u);
  }
}

}  // namespace
}  // namespace ferry::marks_test
