// Streams below the sockets (design seam 6): which are offered, when they come back, and that nobody can tell
// the difference from what was counted.

#include "relay/worker/worker.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/packets.hpp"

#include <optional>
#include <random>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::rtp;

const IpAddress kRelay = IpAddress::v4({198, 18, 0, 1});
Endpoint host(std::uint8_t n) { return {IpAddress::v4({192, 0, 2, n}), UdpPort{4000}}; }
Endpoint natted(std::uint8_t n) { return {host(n).address, UdpPort{5555}}; }
Endpoint port(std::uint16_t n) { return {kRelay, UdpPort{n}}; }

/// A relay between two parties: 0 (host 10, port 30000) and 1 (host 21, port 30010).
class Relay {
 public:
  explicit Relay(bool with_kernel) {
    network_.set_outlet([this](const SimDatagram& d) {
      sent.push_back(d);
      return true;
    });
    std::unique_ptr<test::KernelModel> model;
    if (with_kernel) {
      model = std::make_unique<test::KernelModel>(network_);
      kernel = model.get();
    }
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       std::move(model));
  }
  ~Relay() { worker_.reset(); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  static TransportPlan plan(std::uint8_t peer, std::uint32_t media, std::uint32_t to_slot,
                            std::uint32_t to_media) {
    TransportPlan p;
    p.rtp_latch.signalled = host(peer);
    p.rtcp_latch.signalled = {host(peer).address, UdpPort{4001}};
    SourcePlan source;
    source.media = MediaId{media};
    source.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000},
                       {PayloadType{101}, G711Law::kNone, 0, true, 8000}};
    source.has_events = true;
    source.rate = {100, 20000};
    source.sinks = {{{to_slot, 0}, MediaId{to_media}}};
    p.sources = {source};
    return p;
  }
  void install_both() {
    install(0, 30000, plan(10, 1, 1, 2));
    install(1, 30010, plan(21, 2, 0, 1));
  }
  void install(std::uint32_t slot, std::uint16_t at, TransportPlan p) {
    InstallTransport command;
    command.id = {slot, 0};
    command.plan = std::make_shared<const TransportPlan>(std::move(p));
    command.ports = {*network_.activate(port(at), 0),
                     *network_.activate(port(static_cast<std::uint16_t>(at + 1)), 0)};
    command.activity = activity[slot] = std::make_shared<TransportActivity>();
    run(std::move(command));
  }
  void update(std::uint32_t slot, TransportPlan p) {
    run(UpdatePlan{{slot, 0}, std::make_shared<const TransportPlan>(std::move(p))});
  }
  void run(WorkerCommand command) {
    worker_->post(std::move(command));
    worker_->run_until_idle();
  }
  void arrives(const Endpoint& from, std::uint16_t at, test::Packet packet) {
    network_.send_to_relay({from, port(at), std::move(packet)});
    worker_->run_until_idle();
  }
  void pass(Duration time) {
    network_.advance_to(network_.now() + time);
    worker_->run_until_idle();
  }
  TransportSnapshot read(std::uint32_t slot) {
    TransportSnapshot snapshot;
    run(ReadTransport{{slot, 0}, &snapshot});
    return snapshot;
  }
  /// Both parties have spoken: both streams are with the kernel.
  void talk(std::uint16_t packets = 5) {
    for (std::uint16_t n = 0; n < packets; ++n) {
      pass(20ms);
      arrives(host(10), 30000, rtp('A', 1, n));
      arrives(host(21), 30010, rtp('B', 2, n));
    }
  }
  std::size_t sent_to(const Endpoint& to) const {
    return static_cast<std::size_t>(std::ranges::count(sent, to, &SimDatagram::to));
  }
  Worker& worker() { return *worker_; }

  std::vector<SimDatagram> sent;
  std::array<std::shared_ptr<TransportActivity>, 2> activity;
  test::KernelModel* kernel = nullptr;

 private:
  SimNetwork network_;
  std::unique_ptr<Worker> worker_;
};

TEST(OffloadTest, Seam6_AStreamIsOfferedWithTheFirstPacketAfterTheLock) {
  Relay relay(true);
  relay.install_both();
  relay.arrives(host(10), 30000, rtp('A', 1, 1));
  ASSERT_EQ(relay.kernel->flows().size(), 1u);
  const OffloadFlow& flow = relay.kernel->flows().at(port(30000));
  EXPECT_EQ(flow.peer, host(10));
  EXPECT_EQ(flow.out_local, port(30010));
  EXPECT_EQ(flow.out_peer, host(21)) << "signalled; nothing came from there yet";
  EXPECT_EQ(flow.payloads.size(), 1u) << "DTMF events are told to control: user space sees them";
  relay.arrives(host(10), 30000, rtp('A', 1, 2));
  EXPECT_EQ(relay.kernel->forwarded(), 1u);
  EXPECT_EQ(relay.sent_to(host(21)), 2u);
  EXPECT_EQ(relay.sent.back().payload, rtp('A', 1, 2));
  EXPECT_EQ(relay.worker().totals().offloaded_flows, 1u);
}

TEST(OffloadTest, Seam6_ARefusalLeavesEverythingInUserSpace) {
  Relay relay(true);
  relay.kernel->refuse_everything(true);
  relay.install_both();
  relay.talk(50);
  EXPECT_EQ(relay.sent_to(host(21)), 50u);
  EXPECT_EQ(relay.kernel->forwarded(), 0u);
  relay.kernel->refuse_everything(false);
  relay.pass(5s);
  relay.arrives(host(10), 30000, rtp('A', 1, 50));
  EXPECT_EQ(relay.kernel->flows().size(), 1u) << "asked again after a while";
}

TEST(OffloadTest, LAT13_DeleteAndMoveLeaveNoFlowEitherWay) {
  for (const bool moves : {false, true}) {
    Relay relay(true);
    relay.install_both();
    relay.talk();
    ASSERT_EQ(relay.kernel->flows().size(), 2u);
    std::unique_ptr<TransportEntry> taken;
    if (moves) {
      relay.run(ExtractTransport{{1, 0}, &taken});
    } else {
      relay.run(RemoveTransport{{1, 0}, nullptr});
    }
    EXPECT_TRUE(relay.kernel->flows().empty()) << "from it and to it";
    EXPECT_EQ(relay.worker().offloaded_flows(), 0u);
    const auto before = relay.sent.size();
    relay.arrives(host(10), 30000, rtp('A', 1, 6));
    EXPECT_EQ(relay.sent.size(), before);
    EXPECT_EQ(relay.read(0).drops[DropReason::kNoSink], 1u);
    if (moves) {
      EXPECT_EQ(taken->state.snapshot().counters[0].packets_in, 5u);
    }
  }
}

TEST(OffloadTest, Seam6_AReofferThatChangesNothingKeepsTheFlow) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  const auto before = relay.kernel->calls();
  relay.update(0, Relay::plan(10, 1, 1, 2));
  EXPECT_EQ(relay.kernel->calls().removals, before.removals);
  EXPECT_EQ(relay.kernel->calls().updates, before.updates);
  EXPECT_EQ(relay.kernel->flows().size(), 2u);
}

TEST(OffloadTest, Seam6_AMarkThatChangesReachesTheFlow) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  auto marked = Relay::plan(21, 2, 0, 1);
  marked.tos = 0xb8;
  relay.update(1, marked);
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).tos, 0xb8) << "of the port it leaves from";
  EXPECT_EQ(relay.kernel->flows().at(port(30010)).tos, 0);
}

TEST(OffloadTest, Seam6_HoldIsCountedBelowAsAbove) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  auto held = Relay::plan(10, 1, 1, 2);
  held.sources[0].sinks[0].media_allowed = false;
  relay.update(0, held);
  EXPECT_FALSE(relay.kernel->flows().at(port(30000)).forwards);
  const auto before = relay.sent_to(host(21));
  for (std::uint16_t n = 5; n < 15; ++n) relay.arrives(host(10), 30000, rtp('A', 1, n));
  EXPECT_EQ(relay.sent_to(host(21)), before);
  EXPECT_EQ(relay.read(0).drops[DropReason::kDirection], 10u);
  EXPECT_EQ(relay.read(0).counters[0].packets_in, 15u);
  EXPECT_EQ(relay.read(1).counters[0].packets_out, 5u);
  relay.update(0, Relay::plan(10, 1, 1, 2));
  relay.arrives(host(10), 30000, rtp('A', 1, 15));
  EXPECT_EQ(relay.sent_to(host(21)), before + 1);
}

TEST(OffloadTest, LAT8_ANewPeerEndsTheFlowFromItAndToIt) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  auto moved = Relay::plan(30, 2, 0, 1);
  moved.learning_epoch = 1;
  relay.update(1, moved);
  EXPECT_FALSE(relay.kernel->flows().contains(port(30010)));
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).out_peer, host(30)) << "updated in place";
  relay.arrives(host(21), 30010, rtp('B', 2, 5));
  EXPECT_EQ(relay.sent_to(host(10)), 5u) << "the old peer is heard no more";
  relay.arrives(host(30), 30010, rtp('C', 2, 5));
  EXPECT_EQ(relay.sent_to(host(10)), 6u);
}

TEST(OffloadTest, LAT8_ARebindingPeerIsFollowedInBothDirections) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  relay.pass(4s);  // LAT-6 is over, and the old port was silent
  relay.arrives(natted(21), 30010, rtp('B', 2, 6));
  EXPECT_EQ(relay.sent_to(host(10)), 6u);
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).out_peer, natted(21));
  relay.arrives(natted(21), 30010, rtp('B', 2, 7));
  EXPECT_EQ(relay.kernel->flows().at(port(30010)).peer, natted(21));
}

TEST(OffloadTest, LAT6_AForeignSourceIsDroppedAndCountedBelow) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  relay.pass(4s);
  relay.arrives(host(10), 30000, rtp('A', 1, 6));
  for (std::uint16_t n = 0; n < 100; ++n) relay.arrives(host(66), 30000, rtp('X', 1, n));
  EXPECT_EQ(relay.sent_to(host(21)), 6u);
  EXPECT_EQ(relay.kernel->flows().size(), 2u);
  EXPECT_EQ(relay.read(0).drops[DropReason::kForeignSource], 100u);
}

class SilentTap final : public PacketTap {
 public:
  void on_packet(const TapPacket&) noexcept override { ++packets; }
  unsigned packets = 0;
};

TEST(OffloadTest, Seam6_ATapBringsTheStreamBackAndLetsItGoAgain) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  SilentTap tap;
  relay.run(AttachTap{{0, 0}, &tap});
  EXPECT_FALSE(relay.kernel->flows().contains(port(30000)));
  EXPECT_TRUE(relay.kernel->flows().contains(port(30010)));
  for (std::uint16_t n = 5; n < 10; ++n) relay.arrives(host(10), 30000, rtp('A', 1, n));
  EXPECT_EQ(tap.packets, 5u);
  relay.run(DetachTap{{0, 0}, &tap});
  relay.pass(20ms);
  relay.arrives(host(10), 30000, rtp('A', 1, 10));
  EXPECT_TRUE(relay.kernel->flows().contains(port(30000)));
}

TEST(OffloadTest, Seam6_TimeoutsSeePacketsThatUserSpaceNeverSaw) {
  Relay relay(true);
  relay.install_both();
  relay.talk();
  for (std::uint16_t n = 5; n < 500; ++n) {
    relay.pass(20ms);
    relay.arrives(host(10), 30000, rtp('A', 1, n));
  }
  const Instant last{Duration{relay.activity[0]->last_rtp_ns.load()}};
  EXPECT_LT(relay.worker().now() - last, 3s);
  EXPECT_GE(relay.kernel->forwarded(), 490u);
}

/// Random traffic of two parties and a stranger, the same for every relay with the same seed.
void random_call(Relay& relay, std::uint32_t seed) {
  std::mt19937 random(seed);
  const auto roll = [&](unsigned sides) { return static_cast<unsigned>(random() % sides); };
  relay.install_both();
  struct Party {
    Endpoint from;
    std::uint16_t at;
    std::uint32_t ssrc;
    std::uint16_t sequence;
  };
  std::array<Party, 2> parties = {{{host(10), 30000, 1, static_cast<std::uint16_t>(random())},
                                   {host(21), 30010, 2, static_cast<std::uint16_t>(random())}}};
  std::uint32_t epoch = 0;
  for (unsigned step = 0; step < 600; ++step) {
    relay.pass(Duration{1ms} * (5 + roll(30)));
    Party& party = parties[roll(2)];
    const auto packet = [&](std::uint16_t sequence, std::uint8_t type = 8, std::uint32_t ssrc = 0) {
      return rtp('P', ssrc != 0 ? ssrc : party.ssrc, sequence, type, 20u + static_cast<unsigned>(roll(150)));
    };
    switch (roll(40)) {
      case 0:
        party.sequence = static_cast<std::uint16_t>(party.sequence + 1 + roll(5));  // loss
        break;
      case 1:
        party.sequence = static_cast<std::uint16_t>(party.sequence + 3000 + roll(100));  // jump
        break;
      case 2:
        relay.arrives(party.from, party.at, packet(static_cast<std::uint16_t>(party.sequence - roll(120))));
        break;
      case 3:
        party.ssrc += 10;
        break;
      case 4:
        relay.arrives(party.from, party.at, packet(party.sequence, 101));
        break;
      case 5:
        relay.arrives(party.from, party.at, packet(party.sequence, 77));
        break;
      case 6:
        relay.pass(600ms);
        party.from = roll(2) == 0 ? host(party.at == 30000 ? 10 : 21) : natted(party.at == 30000 ? 10 : 21);
        break;
      case 7:
        for (unsigned i = 0; i < 30; ++i) relay.arrives(host(66), party.at, packet(party.sequence));
        break;
      case 8: {
        auto next = party.at == 30000 ? Relay::plan(10, 1, 1, 2) : Relay::plan(21, 2, 0, 1);
        next.sources[0].sinks[0].media_allowed = roll(3) != 0;
        if (roll(4) == 0) next.learning_epoch = ++epoch;
        next.learning_epoch = epoch;
        relay.update(party.at == 30000 ? 0 : 1, next);
        break;
      }
      case 9:
        for (unsigned i = 0; i < 130; ++i) relay.arrives(party.from, party.at, packet(++party.sequence));
        break;
      case 10:
        relay.arrives(party.from, party.at, test::receiver_report(party.ssrc));
        break;
      case 11: {
        auto broken = packet(party.sequence);
        broken[0] |= std::byte{0x2f};
        broken.resize(20);
        relay.arrives(party.from, party.at, broken);
        break;
      }
      default:
        break;
    }
    relay.arrives(party.from, party.at, packet(++party.sequence));
  }
}

/// Without the number of the first packet of each SSRC sent, which is known above only, and never reported.
TransportSnapshot without_first_sent(TransportSnapshot snapshot) {
  for (auto& source : snapshot.sources) {
    for (auto& stream : source.egress) stream.base_extended = 0;
  }
  return snapshot;
}

TEST(OffloadTest, Seam6_BothWaysCountAndForwardTheSame) {
  std::uint64_t forwarded = 0;
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    Relay above(false);
    Relay below(true);
    random_call(above, seed);
    random_call(below, seed);
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      const TransportSnapshot expected = without_first_sent(above.read(slot));
      const TransportSnapshot actual = without_first_sent(below.read(slot));
      ASSERT_EQ(actual.counters, expected.counters) << "seed " << seed << " slot " << slot;
      for (std::size_t i = 0; i < kDropReasons; ++i) {
        const auto reason = static_cast<DropReason>(i);
        ASSERT_EQ(actual.drops[reason], expected.drops[reason]) << to_string(reason) << " seed " << seed;
      }
      ASSERT_EQ(actual.latch, expected.latch) << "seed " << seed << " slot " << slot;
      ASSERT_EQ(actual.sources, expected.sources) << "seed " << seed << " slot " << slot;
      ASSERT_EQ(actual, expected) << "seed " << seed << " slot " << slot;
    }
    ASSERT_EQ(below.sent.size(), above.sent.size()) << "seed " << seed;
    for (std::size_t i = 0; i < above.sent.size(); ++i) {
      ASSERT_EQ(below.sent[i].payload, above.sent[i].payload) << "seed " << seed << " packet " << i;
      ASSERT_EQ(below.sent[i].to, above.sent[i].to) << "seed " << seed << " packet " << i;
    }
    forwarded += below.kernel->forwarded();
    EXPECT_EQ(below.worker().totals().packets, above.worker().totals().packets);
    EXPECT_EQ(below.worker().totals().errors, above.worker().totals().errors);
  }
  EXPECT_GT(forwarded, 10'000u);
}

}  // namespace
}  // namespace ferry
