// SPDX-License-Identifier: Apache-2.0
// The seams of the worker: sources and sinks, several media on a transport, moving calls, buffers, taps,
// events.

#include "relay/worker/worker.hpp"

#include "relay/io/sim/sim_network.hpp"
#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::rtp;

constexpr std::size_t kBuffers = 1024;
const IpAddress kRelay = IpAddress::v4({198, 18, 0, 1});
Endpoint host(std::uint8_t n) { return {IpAddress::v4({192, 0, 2, n}), UdpPort{4000}}; }

class WorkerTest : public ::testing::Test {
 protected:
  WorkerTest() {
    network_.set_outlet([this](const SimDatagram& d) {
      sent_.push_back(d);
      return true;
    });
  }

  static std::unique_ptr<Worker> make_worker(SimNetwork& network, SimIo** io = nullptr) {
    auto engine = std::make_unique<SimIo>(network, kBuffers);
    if (io != nullptr) *io = engine.get();
    return std::make_unique<Worker>(std::move(engine),
                                    std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}));
  }
  TransportPlan plan(const Endpoint& peer, std::vector<SourcePlan> sources) {
    TransportPlan p;
    p.rtp_latch.signalled = peer;
    p.rtcp_latch.signalled = {peer.address, UdpPort{static_cast<std::uint16_t>(peer.port.value + 1)}};
    p.sources = std::move(sources);
    return p;
  }
  void install(Worker& worker, std::uint32_t slot, std::uint16_t port, TransportPlan p) {
    InstallTransport command;
    command.id = {slot, 0};
    command.plan = std::make_shared<const TransportPlan>(std::move(p));
    command.ports = {*network_.activate({kRelay, UdpPort{port}}, 0),
                     *network_.activate({kRelay, UdpPort{static_cast<std::uint16_t>(port + 1)}}, 0)};
    command.activity = std::make_shared<TransportActivity>();
    worker.post(std::move(command));
    worker.run_once();
  }
  static SourcePlan source(std::uint32_t id, std::vector<std::uint8_t> types, std::vector<Sink> sinks) {
    SourcePlan s;
    s.media = MediaId{id};
    for (const auto type : types) s.payloads.push_back({PayloadType{type}, G711Law::kNone, 0, false, 8000});
    s.sinks = std::move(sinks);
    return s;
  }
  static Sink to(std::uint32_t slot, std::uint32_t media) {
    Sink sink;
    sink.via = {slot, 0};
    sink.to = MediaId{media};
    return sink;
  }
  std::size_t arrived(const Endpoint& at) const {
    return static_cast<std::size_t>(
        std::count_if(sent_.begin(), sent_.end(), [&](const auto& d) { return d.to == at; }));
  }

  SimNetwork network_;
  std::vector<SimDatagram> sent_;
};

TEST_F(WorkerTest, Seam1_OneSourceFeedsThreeSinks) {
  auto worker = make_worker(network_);
  for (std::uint32_t i = 1; i <= 3; ++i) {
    install(*worker, i, static_cast<std::uint16_t>(30000 + 10 * i),
            plan(host(static_cast<std::uint8_t>(20 + i)), {source(i + 1, {8}, {})}));
  }
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 2), to(2, 3), to(3, 4)})}));
  for (std::uint16_t n = 0; n < 50; ++n)
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
  worker->run_until_idle();
  for (const auto* last : {"192.0.2.21:4000", "192.0.2.22:4000", "192.0.2.23:4000"})
    EXPECT_EQ(arrived(*Endpoint::parse(last)), 50u);
  EXPECT_EQ(sent_.front().payload, rtp('A', 1, 0)) << "nothing in a packet changes";
}

TEST_F(WorkerTest, Seam2_TwoMediaShareOneTransport) {
  auto worker = make_worker(network_);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*worker, 2, 30020, plan(host(22), {source(12, {99}, {})}));
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)}), source(2, {99}, {to(2, 12)})}));
  for (std::uint16_t n = 0; n < 20; ++n) {
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n, 8)});
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('V', 2, n, 99)});
  }
  worker->run_until_idle();
  EXPECT_EQ(arrived(host(21)), 20u);
  EXPECT_EQ(arrived(host(22)), 20u);
  TransportSnapshot snapshot;
  worker->post(ReadTransport{{0, 0}, &snapshot});
  worker->run_once();
  ASSERT_EQ(snapshot.sources.size(), 2u);
  EXPECT_EQ(snapshot.sources[0].ingress[0].packets, 20u);
  EXPECT_EQ(snapshot.sources[1].ingress[0].packets, 20u);
}

TEST_F(WorkerTest, Seam3_PlanSwapKeepsWhatWasLearnedAndCounted) {
  auto worker = make_worker(network_);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  auto p = plan(host(10), {source(1, {8}, {to(1, 11)})});
  install(*worker, 0, 30000, p);
  for (std::uint16_t n = 0; n < 10; ++n)
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
  worker->run_until_idle();
  p.sources[0].sinks[0].media_allowed = false;  // hold
  worker->post(UpdatePlan{{0, 0}, std::make_shared<const TransportPlan>(p)});
  for (std::uint16_t n = 10; n < 20; ++n)
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
  worker->run_until_idle();
  EXPECT_EQ(arrived(host(21)), 10u);
  TransportSnapshot snapshot;
  worker->post(ReadTransport{{0, 0}, &snapshot});
  worker->run_once();
  EXPECT_EQ(snapshot.sources[0].ingress[0].packets, 20u);
  EXPECT_EQ(snapshot.latch[0].state, Latch::State::kLocked);
  EXPECT_EQ(snapshot.drops[DropReason::kDirection], 10u);
}

TEST_F(WorkerTest, Seam4_EveryBufferComesBack) {
  SimIo* io = nullptr;
  auto worker = make_worker(network_, &io);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  const Endpoint other{host(10).address, UdpPort{5555}};
  for (std::uint16_t n = 0; n < 500; ++n) {
    network_.send_to_relay({other,
                            {kRelay, UdpPort{30000}},
                            rtp('A', 1, static_cast<std::uint16_t>(n * 7))});  // held, never confirmed
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 2, n)});
  }
  worker->run_until_idle();
  worker->post(RemoveTransport{{0, 0}, nullptr});
  worker->post(RemoveTransport{{1, 0}, nullptr});
  worker->run_once();
  EXPECT_EQ(io->free_buffers(), kBuffers);
  EXPECT_EQ(worker->transports(), 0u);
}

TEST_F(WorkerTest, LAT5_PacketsHeldForManyCallsNeverStopTheWorker) {
  SimIo* io = nullptr;
  auto worker = make_worker(network_, &io);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  // Each of these calls gets one packet that is held and never confirmed.
  for (std::uint32_t i = 2; i < 2000; ++i) {
    const auto port = static_cast<std::uint16_t>(30020 + 2 * i);
    install(*worker, i, port, plan(host(10), {source(100 + i, {8}, {})}));
    network_.send_to_relay({{host(10).address, UdpPort{5555}}, {kRelay, UdpPort{port}}, rtp('H', i, 1)});
    worker->run_until_idle();
  }
  for (std::uint16_t n = 0; n < 50; ++n) {
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
    worker->run_until_idle();
  }
  EXPECT_EQ(arrived(host(21)), 50u);
  EXPECT_GE(io->free_buffers(), kBuffers - Worker::kMaxHeld);
}

TEST_F(WorkerTest, LAT5_HeldFirstPacketIsDeliveredInOrder) {
  auto worker = make_worker(network_);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  const Endpoint natted{host(10).address, UdpPort{5555}};
  for (std::uint16_t n = 0; n < 5; ++n)
    network_.send_to_relay({natted, {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
  worker->run_until_idle();
  ASSERT_EQ(sent_.size(), 5u);
  for (std::uint16_t n = 0; n < 5; ++n) EXPECT_EQ(sent_[n].payload, rtp('A', 1, n));
}

TEST_F(WorkerTest, Seam7_TransportsMoveToAnotherWorkerWithoutLoss) {
  auto first = make_worker(network_);
  auto second = make_worker(network_);
  install(*first, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*first, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  for (std::uint16_t n = 0; n < 10; ++n)
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
  first->run_until_idle();
  std::array<std::unique_ptr<TransportEntry>, 2> moving;
  for (std::uint32_t i = 0; i < 2; ++i) first->post(ExtractTransport{{i, 0}, &moving[i]});
  first->run_once();
  for (std::uint16_t n = 10; n < 20; ++n)
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
  for (std::uint32_t i = 0; i < 2; ++i) second->post(AdoptTransport{{i, 0}, std::move(moving[i])});
  second->run_until_idle();
  EXPECT_EQ(arrived(host(21)), 20u);
  EXPECT_EQ(first->transports(), 0u);
}

class CountingTap final : public PacketTap {
 public:
  void on_packet(const TapPacket& packet) noexcept override { octets += packet.datagram.size(); }
  std::size_t octets = 0;
};

TEST_F(WorkerTest, TapSeesAcceptedPacketsOnly) {
  auto worker = make_worker(network_);
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {})}));
  CountingTap tap;
  worker->post(AttachTap{{0, 0}, &tap});
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 1)});
  network_.send_to_relay({host(66), {kRelay, UdpPort{30000}}, rtp('X', 1, 2)});
  worker->run_until_idle();
  EXPECT_EQ(tap.octets, 172u);
  worker->post(DetachTap{{0, 0}, &tap});
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 2)});
  worker->run_until_idle();
  EXPECT_EQ(tap.octets, 172u);
}

TEST_F(WorkerTest, LIM4_OneEventForManyForeignPackets) {
  auto worker = make_worker(network_);
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {})}));
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 1)});
  for (std::uint16_t n = 0; n < 1000; ++n)
    network_.send_to_relay({host(66), {kRelay, UdpPort{30000}}, rtp('X', 1, n)});
  worker->run_until_idle();
  WorkerEvent event;
  unsigned events = 0;
  while (worker->next_event(event)) events += event.event == TransportEvent::kForeignSource ? 1u : 0u;
  EXPECT_EQ(events, 1u);
}

// Control says which of too many silent receivers is not fed (PeerRegister).
TEST_F(WorkerTest, LAT12_SilentReceiverIsFedUntilControlSaysSo) {
  auto worker = make_worker(network_);
  auto out = plan(host(21), {source(11, {8}, {})});
  out.unheard_until = network_.now() + 10s;
  install(*worker, 1, 30010, out);
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  const Instant start = network_.now();
  for (std::uint16_t n = 0; n < 1000; ++n) {  // 20 s
    network_.advance_to(start + n * 20ms);
    network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, n)});
    worker->run_until_idle();
  }
  EXPECT_NEAR(static_cast<double>(arrived(host(21))), 501.0, 1.0);
  network_.send_to_relay({host(21), {kRelay, UdpPort{30010}}, rtp('B', 2, 1)});
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 1000)});
  worker->run_until_idle();
  EXPECT_NEAR(static_cast<double>(arrived(host(21))), 502.0, 1.0) << "resumes when it speaks";
}

TEST_F(WorkerTest, SSR1_NewSsrcNeedsTwoPacketsAndBothArrive) {
  auto worker = make_worker(network_);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 1)});
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 2, 50)});
  worker->run_until_idle();
  EXPECT_EQ(arrived(host(21)), 1u);
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 2, 51)});
  worker->run_until_idle();
  EXPECT_EQ(arrived(host(21)), 3u);
}

// Row R-03: a forged BYE is at most an idle mark.
TEST_F(WorkerTest, RTC4_ByeDoesNotEndAnything) {
  auto worker = make_worker(network_);
  install(*worker, 1, 30010, plan(host(21), {source(11, {8}, {})}));
  install(*worker, 0, 30000, plan(host(10), {source(1, {8}, {to(1, 11)})}));
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 1)});
  auto bye = test::receiver_report(1);
  const auto rest = test::bytes_of({0x81, 203, 0, 1, 0, 0, 0, 1});
  bye.insert(bye.end(), rest.begin(), rest.end());
  network_.send_to_relay({{host(10).address, UdpPort{4001}}, {kRelay, UdpPort{30001}}, bye});
  network_.send_to_relay({host(10), {kRelay, UdpPort{30000}}, rtp('A', 1, 2)});
  worker->run_until_idle();
  EXPECT_EQ(arrived(host(21)), 2u);
  EXPECT_EQ(arrived({host(21).address, UdpPort{4001}}), 1u);
}

}  // namespace
}  // namespace ferry
