// SPDX-License-Identifier: Apache-2.0
// Streams below the sockets (docs/architecture.md, seam 6): which are offered, when they come back, and that
// nobody can tell the difference from what was counted.

#include "relay/worker/worker.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/kernel_programs.hpp"
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

/// What is below the sockets.
enum class Below { kNothing, kModel, kTc, kXdpAndTc, kXdpAlone };

test::Attached programs_of(Below below) {
  using enum test::Program;
  if (below == Below::kXdpAlone) return {kXdpAlone};
  return below == Below::kTc ? test::Attached{kTc} : test::Attached{kXdp, kTc};
}

/// A relay between two parties: 0 (host 10, port 30000) and 1 (host 21, port 30010).
class Relay {
 public:
  explicit Relay(Below below) {
    network_.set_outlet([this](const SimDatagram& d) {
      sent.push_back(d);
      return true;
    });
    std::unique_ptr<FlowOffload> offload;
    if (below == Below::kModel) {
      auto model = std::make_unique<test::KernelModel>(network_);
      kernel = model.get();
      offload = std::move(model);
    } else if (below != Below::kNothing) {
      auto real = test::SimKernel::make(network_, programs_of(below), why_not);
      programs = real.get();
      offload = std::move(real);
    }
    worker_ = std::make_unique<Worker>(std::make_unique<SimIo>(network_),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       std::move(offload));
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
    source.sinks.resize(1);
    source.sinks[0].via = {to_slot, 0};
    source.sinks[0].to = MediaId{to_media};
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
  std::array<std::shared_ptr<TransportActivity>, 3> activity;
  test::KernelModel* kernel = nullptr;
  test::SimKernel* programs = nullptr;
  std::string why_not;

 private:
  SimNetwork network_;
  std::unique_ptr<Worker> worker_;
};

TEST(OffloadTest, Seam6_AStreamIsOfferedWithTheFirstPacketAfterTheLock) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.arrives(host(10), 30000, rtp('A', 1, 1));
  ASSERT_EQ(relay.kernel->flows().size(), 1u);
  const OffloadFlow& flow = relay.kernel->flows().at(port(30000));
  EXPECT_EQ(flow.peer, host(10));
  ASSERT_EQ(flow.sinks.size(), 1u);
  EXPECT_EQ(flow.sinks[0].local, port(30010));
  EXPECT_EQ(flow.sinks[0].peer, host(21)) << "signalled; nothing came from there yet";
  EXPECT_EQ(flow.payloads.size(), 1u) << "DTMF events are told to control: user space sees them";
  relay.arrives(host(10), 30000, rtp('A', 1, 2));
  EXPECT_EQ(relay.kernel->forwarded(), 1u);
  EXPECT_EQ(relay.sent_to(host(21)), 2u);
  EXPECT_EQ(relay.sent.back().payload, rtp('A', 1, 2));
  EXPECT_EQ(relay.worker().totals().offloaded_flows, 1u);
}

TEST(OffloadTest, Seam6_ARefusalLeavesEverythingInUserSpace) {
  Relay relay(Below::kModel);
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
    Relay relay(Below::kModel);
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
      EXPECT_EQ(taken->state.snapshot(relay.worker().now()).counters[0].packets_in, 5u);
    }
  }
}

TEST(OffloadTest, Seam6_AReofferThatChangesNothingKeepsTheFlow) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk();
  const auto before = relay.kernel->calls();
  relay.update(0, Relay::plan(10, 1, 1, 2));
  EXPECT_EQ(relay.kernel->calls().removals, before.removals);
  EXPECT_EQ(relay.kernel->calls().updates, before.updates);
  EXPECT_EQ(relay.kernel->flows().size(), 2u);
}

TEST(OffloadTest, Seam6_AMarkThatChangesReachesTheFlow) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk();
  auto marked = Relay::plan(21, 2, 0, 1);
  marked.tos = 0xb8;
  relay.update(1, marked);
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).sinks[0].tos, 0xb8) << "of the port it leaves from";
  EXPECT_EQ(relay.kernel->flows().at(port(30010)).sinks[0].tos, 0);
}

TEST(OffloadTest, Seam6_HoldIsCountedBelowAsAbove) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk();
  auto held = Relay::plan(10, 1, 1, 2);
  held.sources[0].sinks[0].media_allowed = false;
  relay.update(0, held);
  EXPECT_TRUE(relay.kernel->flows().at(port(30000)).sinks.empty());
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

TEST(OffloadTest, Seam6_AReportOnAStreamThatOnlyTheKernelHasSentIsKept) {
  struct {
    const char* name;
    bool has_rtp;
    std::uint32_t about;
    std::size_t kept;
  } const rows[] = {
      {"the kernel has sent a packet of it", true, 1, 1},
      {"none was sent", false, 1, 0},
      {"another stream", true, 9, 0},
  };
  for (const Below below : {Below::kNothing, Below::kModel}) {
    for (const auto& row : rows) {
      Relay relay(below);
      auto held = Relay::plan(10, 1, 1, 2);
      held.sources[0].sinks[0].media_allowed = false;
      relay.install(0, 30000, held);
      relay.install(1, 30010, Relay::plan(21, 2, 0, 1));
      relay.talk();
      relay.update(0, Relay::plan(10, 1, 1, 2));
      if (row.has_rtp) relay.arrives(host(10), 30000, rtp('A', 1, 5));
      relay.arrives({host(21).address, UdpPort{4001}}, 30011, test::sender_report(2, 1, row.about));
      const TransportSnapshot seen = relay.read(1);
      ASSERT_EQ(seen.counters[1].packets_in, 1u) << row.name;
      EXPECT_EQ(seen.sources[0].reports.size(), row.kept) << row.name << (relay.kernel ? ", below" : "");
    }
  }
}

TEST(OffloadTest, LAT8_ANewPeerEndsTheFlowFromItAndToIt) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk();
  auto moved = Relay::plan(30, 2, 0, 1);
  moved.learning_epoch = 1;
  relay.update(1, moved);
  EXPECT_FALSE(relay.kernel->flows().contains(port(30010)));
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).sinks[0].peer, host(30)) << "updated in place";
  relay.arrives(host(21), 30010, rtp('B', 2, 5));
  EXPECT_EQ(relay.sent_to(host(10)), 5u) << "the old peer is heard no more";
  relay.arrives(host(30), 30010, rtp('C', 2, 5));
  EXPECT_EQ(relay.sent_to(host(10)), 6u);
}

TEST(OffloadTest, LAT8_ARebindingPeerIsFollowedInBothDirections) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk();
  relay.pass(4s);  // LAT-6 is over, and the old port was silent
  relay.arrives(natted(21), 30010, rtp('B', 2, 6));
  EXPECT_EQ(relay.sent_to(host(10)), 6u);
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).sinks[0].peer, natted(21));
  relay.arrives(natted(21), 30010, rtp('B', 2, 7));
  EXPECT_EQ(relay.kernel->flows().at(port(30010)).peer, natted(21));
}

TEST(OffloadTest, LAT6_AForeignSourceIsDroppedAndCountedBelow) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk();
  relay.pass(4s);
  relay.arrives(host(10), 30000, rtp('A', 1, 6));
  for (std::uint16_t n = 0; n < 100; ++n) relay.arrives(host(66), 30000, rtp('X', 1, n));
  EXPECT_EQ(relay.sent_to(host(21)), 6u);
  EXPECT_EQ(relay.kernel->flows().size(), 2u);
  EXPECT_EQ(relay.read(0).drops[DropReason::kForeignSource], 100u);
}

class Listener final : public PacketTap {
 public:
  explicit Listener(bool headers = false) : headers_(headers) {}
  void on_packet(const TapPacket& packet) noexcept override {
    sequences.push_back(read_u16(packet.datagram, 2));
    sizes.push_back(packet.size);
    kept.push_back(packet.datagram.size());
    from = packet.from;
  }
  void on_lost(TransportId, std::uint32_t packets) noexcept override { lost += packets; }
  bool wants_headers_only() const noexcept override { return headers_; }
  std::vector<std::uint16_t> sequences;
  std::vector<std::size_t> sizes;
  std::vector<std::size_t> kept;
  Endpoint from;
  std::uint32_t lost = 0;

 private:
  bool headers_;
};

std::vector<std::uint16_t> range(std::uint16_t first, std::uint16_t end) {
  std::vector<std::uint16_t> all;
  for (std::uint16_t n = first; n < end; ++n) all.push_back(n);
  return all;
}

TEST(OffloadTest, Seam6_ATapHearsAStreamThatStaysBelow) {
  for (const Below below : {Below::kModel, Below::kTc, Below::kXdpAndTc, Below::kXdpAlone}) {
    Relay relay(below);
    if (!relay.why_not.empty()) GTEST_SKIP() << relay.why_not;
    relay.install_both();
    relay.talk();
    Listener tap;
    relay.run(AttachTap{{0, 0}, &tap});
    EXPECT_EQ(relay.worker().totals().offloaded_flows, 2u);
    const auto user_space = relay.worker().totals().packets - relay.worker().totals().offloaded_packets;
    for (std::uint16_t n = 5; n < 105; ++n) {
      relay.pass(20ms);
      relay.arrives(host(10), 30000, rtp('A', 1, n));
    }
    relay.read(0);
    EXPECT_EQ(relay.worker().totals().packets - relay.worker().totals().offloaded_packets, user_space);
    // One that user space judges, and one behind it.
    relay.arrives(host(10), 30000, rtp('A', 1, 105, 101));
    relay.arrives(host(10), 30000, rtp('A', 1, 106));
    relay.run(DetachTap{{0, 0}, &tap});
    relay.arrives(host(10), 30000, rtp('A', 1, 107));
    relay.pass(1s);
    EXPECT_EQ(tap.sequences, range(5, 107)) << "each once, in order, until it was detached";
    EXPECT_EQ(tap.sizes, std::vector<std::size_t>(102, rtp('A', 1, 0).size()));
    EXPECT_EQ(tap.kept, tap.sizes);
    EXPECT_EQ(tap.from, host(10));
    EXPECT_EQ(relay.sent_to(host(21)), 108u);
  }
}

TEST(OffloadTest, Seam6_ATapMayWantHeadersOnly) {
  for (const Below below : {Below::kTc, Below::kXdpAndTc, Below::kXdpAlone}) {
    Relay relay(below);
    if (!relay.why_not.empty()) GTEST_SKIP() << relay.why_not;
    relay.install_both();
    relay.talk();
    Listener tap(true);
    relay.run(AttachTap{{0, 0}, &tap});
    relay.arrives(host(10), 30000, rtp('A', 1, 5, 8, 700));
    relay.arrives(host(10), 30000, rtp('A', 1, 6, 8, 20));
    relay.run(DetachTap{{0, 0}, &tap});
    EXPECT_EQ(tap.sizes, (std::vector<std::size_t>{712, 32}));
    EXPECT_EQ(tap.kept, (std::vector<std::size_t>{FERRY_HEADER_SAMPLE, 32}));
  }
}

TEST(OffloadTest, Seam6_CopiesWithoutRoomAreCountedAndTheCallGoesOn) {
  for (const Below below : {Below::kModel, Below::kTc, Below::kXdpAndTc, Below::kXdpAlone}) {
    Relay relay(below);
    if (!relay.why_not.empty()) GTEST_SKIP() << relay.why_not;
    relay.install_both();
    relay.talk();
    Listener tap;
    relay.run(AttachTap{{0, 0}, &tap});
    if (relay.kernel != nullptr) relay.kernel->set_room(20);
    // No time passes: nobody collects.
    auto plan = Relay::plan(10, 1, 1, 2);
    plan.sources[0].rate = {};
    relay.update(0, plan);
    for (std::uint16_t n = 5; n < 405; ++n) relay.arrives(host(10), 30000, rtp('A', 1, n, 8, 700));
    relay.read(0);
    relay.run(DetachTap{{0, 0}, &tap});
    EXPECT_EQ(relay.sent_to(host(21)), 405u);
    EXPECT_GT(tap.lost, 300u);
    EXPECT_EQ(tap.lost + tap.sequences.size(), 400u);
  }
}

/// Without what the kernel tells of a stream as it came, not as it left: the first packet of each SSRC sent,
/// and what is late, missing or there twice around a hold. Without the last seconds, whose marks are made at
/// other moments below.
TransportSnapshot without_first_sent(TransportSnapshot snapshot) {
  for (auto& source : snapshot.sources) {
    for (auto& stream : source.egress) {
      stream.base_extended = 0;
      stream.expected_before_reset = 0;
      stream.first_packet = {};
      stream.duplicates = stream.reordered = stream.resets = 0;
      stream.loss_bursts = stream.longest_loss_burst = 0;
    }
    source.ingress_recent.clear();
    source.egress_recent.clear();
  }
  snapshot.recent_drops = {};
  snapshot.recent_sent = 0;
  return snapshot;
}

/// A third party listens to the first.
void add_listener(Relay& relay, bool silenced) {
  TransportPlan listener = Relay::plan(31, 3, 0, 1);
  listener.sources[0].sinks.clear();
  relay.install(2, 30020, listener);
  auto plan = Relay::plan(10, 1, 1, 2);
  plan.sources[0].payloads[0].silence = 0xd5;
  plan.sources[0].inspects_payload = silenced;
  plan.sources[0].sinks[0].silenced = silenced;
  Sink& other = plan.sources[0].sinks.emplace_back();
  other.via = {2, 0};
  other.to = MediaId{3};
  relay.update(0, plan);
}

TEST(OffloadTest, Seam6_SeveralReceiversAndSilenceStayBelow) {
  for (const bool silenced : {false, true}) {
    Relay above(Below::kNothing);
    Relay below(Below::kModel);
    for (Relay* relay : {&above, &below}) {
      relay->install_both();
      relay->talk();
      add_listener(*relay, silenced);
      for (std::uint16_t n = 5; n < 55; ++n) {
        relay->pass(20ms);
        relay->arrives(host(10), 30000, rtp('A', 1, n));
      }
    }
    EXPECT_EQ(below.kernel->flows().at(port(30000)).sinks.size(), 2u);
    EXPECT_GE(below.kernel->forwarded(), 100u);
    for (const Endpoint& who : {host(10), host(21), host(31)}) {
      const auto to = [&](const Relay& relay) {
        std::vector<test::Packet> packets;
        for (const SimDatagram& each : relay.sent) {
          if (each.to == who) packets.push_back(each.payload);
        }
        return packets;
      };
      EXPECT_EQ(to(below), to(above)) << who.to_string();
    }
    EXPECT_EQ(without_first_sent(below.read(2)), without_first_sent(above.read(2)));
    EXPECT_EQ(below.read(1).counters, above.read(1).counters);
    below.run(RemoveTransport{{2, 0}, nullptr});
    EXPECT_FALSE(below.kernel->flows().contains(port(30000))) << "user space reports the missing receiver";
  }
}

TEST(OffloadTest, Seam6_TimeoutsSeePacketsThatUserSpaceNeverSaw) {
  Relay relay(Below::kModel);
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

/// A digit for the party of a transport.
SendDigit digit_for(std::uint32_t slot, Duration length = 100ms) {
  SendDigit command;
  command.id = {slot, 0};
  command.digit.event = 5;
  command.digit.length = length;
  command.digit.type = PayloadType{101};
  command.numbers = {Ssrc{0xd161}, SeqNo{7}, 0};
  command.media = MediaId{slot + 1};
  return command;
}

/// The RTP packets that a party got, in order.
std::vector<RtpView> heard_by(const Relay& relay, const Endpoint& who) {
  std::vector<RtpView> heard;
  for (const SimDatagram& each : relay.sent) {
    if (each.to == who) heard.push_back(*parse_rtp(each.payload));
  }
  return heard;
}

TEST(OffloadTest, SSR2_AStreamWithADigitInItGoesBackToTheKernel) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk(50);
  ASSERT_TRUE(relay.kernel->flows().contains(port(30000)));
  relay.run(digit_for(1));
  EXPECT_FALSE(relay.kernel->flows().contains(port(30000))) << "the party hears the digit and nobody else";
  const auto speak = [&](std::uint16_t from, std::uint16_t to) {
    for (std::uint16_t n = from; n < to; ++n) {
      relay.pass(20ms);
      relay.arrives(host(10), 30000, rtp('A', 1, n));
    }
  };
  speak(50, 60);
  EXPECT_FALSE(relay.kernel->flows().contains(port(30000))) << "packets from before the digit may still come";
  speak(60, 250);
  ASSERT_TRUE(relay.kernel->flows().contains(port(30000)));
  const auto shift = relay.kernel->flows().at(port(30000)).sinks[0].shift;
  ASSERT_TRUE(shift);
  EXPECT_EQ(shift->ssrc, Ssrc{1}) << "one SSRC";
  const std::uint64_t below = relay.kernel->forwarded();
  speak(250, 500);
  EXPECT_GE(relay.kernel->forwarded(), below + 249);
  // Another digit goes on behind what the kernel has sent.
  relay.run(digit_for(1));
  speak(500, 700);
  EXPECT_TRUE(relay.kernel->flows().contains(port(30000)));
  const auto heard = heard_by(relay, host(21));
  ASSERT_GT(heard.size(), 680u);
  for (std::size_t i = 1; i < heard.size(); ++i) {
    ASSERT_EQ(heard[i].ssrc, Ssrc{1});
    ASSERT_EQ(distance(heard[i].sequence, heard[i - 1].sequence), 1) << "packet " << i;
    const auto step = static_cast<std::int32_t>(heard[i].timestamp - heard[i - 1].timestamp);
    ASSERT_GE(step, 0) << "packet " << i;
    ASSERT_LE(step, 1200) << "packet " << i;
  }
  const TransportSnapshot receiver = relay.read(1);
  ASSERT_EQ(receiver.sources[0].egress.size(), 1u);
  EXPECT_EQ(receiver.sources[0].egress[0].lost(), 0u);
  EXPECT_EQ(receiver.sources[0].egress[0].packets, heard.size());
  EXPECT_EQ(static_cast<std::uint16_t>(receiver.sources[0].egress[0].highest_extended),
            heard.back().sequence.value);
  EXPECT_EQ(receiver.sources[0].egress[0].last_timestamp, heard.back().timestamp);
}

TEST(OffloadTest, SSR2_NoNumberIsGivenTwiceWherePacketsOvertakeTheKernel) {
  Relay relay(Below::kModel);
  relay.install_both();
  relay.talk(50);
  relay.run(digit_for(1));
  std::uint16_t n = 50;
  for (; n < 300; ++n) {
    relay.pass(20ms);
    // Every fiftieth packet comes late, some of them around digits and hand-overs.
    if (n % 50 != 0) relay.arrives(host(10), 30000, rtp('A', 1, n));
    if (n % 50 == 3) relay.arrives(host(10), 30000, rtp('A', 1, static_cast<std::uint16_t>(n - 3)));
    if (n == 202) relay.run(digit_for(1, 60ms));
  }
  std::vector<std::uint16_t> numbers;
  for (const RtpView& each : heard_by(relay, host(21))) numbers.push_back(each.sequence.value);
  std::ranges::sort(numbers);
  EXPECT_EQ(std::ranges::adjacent_find(numbers), numbers.end());
  EXPECT_GT(relay.kernel->forwarded(), 90u);
}

TEST(OffloadTest, SSR2_AReportOnAShiftedStreamThatOnlyTheKernelHasSentIsKept) {
  Relay relay(Below::kModel);
  relay.install_both();
  // The relay speaks first, so the stream has an SSRC of its own.
  relay.run(digit_for(1));
  relay.pass(200ms);
  for (std::uint16_t n = 0; n < 200; ++n) {
    relay.pass(20ms);
    relay.arrives(host(10), 30000, rtp('A', 1, n));
  }
  ASSERT_TRUE(relay.kernel->flows().contains(port(30000)));
  EXPECT_EQ(relay.kernel->flows().at(port(30000)).sinks[0].shift->ssrc, Ssrc{0xd161});
  for (const RtpView& each : heard_by(relay, host(21))) EXPECT_EQ(each.ssrc, Ssrc{0xd161});
  EXPECT_EQ(relay.read(1).sources[0].egress.size(), 1u);
}

/// Random traffic of two parties and a stranger, the same for every relay with the same seed. `digits`: the
/// relay itself sends digits, and plays prompts in the parties' streams.
void random_call(Relay& relay, std::uint32_t seed, bool digits = false) {
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
    if (digits && roll(150) == 0) relay.run(digit_for(roll(2), Duration{1ms} * (40 + roll(200))));
    if (digits && roll(400) == 0) {
      StartPrompt prompt;
      prompt.id = {roll(2), 0};
      prompt.order.prompt = whole_prompt({}, std::vector<std::byte>(1600), 160);
      prompt.order.type = PayloadType{8};
      prompt.numbers = {Ssrc{0xb1b}, SeqNo{9}, 0};
      prompt.is_one_stream = roll(3) != 0;
      relay.run(std::move(prompt));
    }
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

class BothWays : public ::testing::TestWithParam<Below> {};
INSTANTIATE_TEST_SUITE_P(Kernels, BothWays,
                         ::testing::Values(Below::kModel, Below::kTc, Below::kXdpAndTc, Below::kXdpAlone),
                         [](const auto& each) {
                           return each.param == Below::kModel      ? "Model"
                                  : each.param == Below::kTc       ? "Tc"
                                  : each.param == Below::kXdpAlone ? "XdpAlone"
                                                                   : "XdpAndTc";
                         });

void expect_the_same(Below kind, bool digits, std::uint64_t least_forwarded) {
  std::uint64_t forwarded = 0;
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    Relay above(Below::kNothing);
    Relay below(kind);
    if (!below.why_not.empty()) GTEST_SKIP() << below.why_not;
    random_call(above, seed, digits);
    random_call(below, seed, digits);
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
      TransportSnapshot expected = without_first_sent(above.read(slot));
      TransportSnapshot actual = without_first_sent(below.read(slot));
      // The kernel tells of the newest stranger where he came from, not what he sent.
      const auto stranger = [](const TransportSnapshot& s) {
        const Refusal* found = s.evidence ? s.evidence->find(DropReason::kForeignSource) : nullptr;
        return found == nullptr ? Endpoint{} : found->from;
      };
      ASSERT_EQ(stranger(actual), stranger(expected)) << "seed " << seed << " slot " << slot;
      expected.evidence = actual.evidence = std::nullopt;
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
    forwarded += below.kernel != nullptr ? below.kernel->forwarded() : below.programs->forwarded();
    EXPECT_EQ(below.worker().totals().packets, above.worker().totals().packets);
    EXPECT_EQ(below.worker().totals().errors, above.worker().totals().errors);
  }
  EXPECT_GT(forwarded, least_forwarded);
}

TEST_P(BothWays, Seam6_CountAndForwardTheSame) { expect_the_same(GetParam(), false, 10'000); }

TEST_P(BothWays, SSR2_CountAndForwardTheSameAroundDigits) { expect_the_same(GetParam(), true, 2'000); }

}  // namespace
}  // namespace ferry
