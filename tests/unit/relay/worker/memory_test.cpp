// SPDX-License-Identifier: Apache-2.0
// Row C-12, memory: a call in virtual time with an allocator that fails, at every allocation that the packet
// path makes and for as long as one likes. The process lives, and the call goes on once there is memory.
//
// `operator new` is replaced in this program. It fails only while the worker takes packets in: what the test
// itself needs is made before. The engine here allocates nothing, so that every failure is the relay's.

#include "relay/srtp/backends.hpp"
#include "relay/worker/worker.hpp"
#include "tests/support/echo_stage.hpp"
#include "tests/support/failing_memory.hpp"
#include "tests/support/srtp_judge.hpp"

#include <functional>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::FailingMemory;
using test::Packet;
using test::random_key;
using test::rtp;

Endpoint host(std::uint8_t n, std::uint16_t port = 4000) {
  return {IpAddress::v4({192, 0, 2, n}), UdpPort{port}};
}

struct Arriving {
  Endpoint from;
  std::uint64_t cookie = 0;
  const Packet* packet = nullptr;
};

/// Hands over one datagram at a time and counts what leaves.
class StillIo final : public PacketIo {
 public:
  bool attach(PortHandle, std::uint64_t) noexcept override { return true; }
  void detach(PortHandle) noexcept override {}
  [[nodiscard]] Endpoint local_of(PortHandle port) const noexcept override {
    return {IpAddress::v4({198, 18, 0, 1}), UdpPort{static_cast<std::uint16_t>(30000 + port.native)}};
  }
  std::size_t receive(std::span<PacketBuffer> batch) noexcept override {
    if (next.packet == nullptr) return 0;
    PacketBuffer buffer = pool_.allocate();
    std::ranges::copy(*next.packet, buffer.space().begin());
    buffer.set_data_size(next.packet->size());
    buffer->remote = next.from;
    buffer->cookie = next.cookie;
    next = {};
    batch[0] = std::move(buffer);
    return 1;
  }
  void send(std::span<PacketBuffer> batch, std::span<SendError> errors) noexcept override {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      errors[i] = SendError::kNone;
      if (batch[i]->via.native < 2) continue;
      ++sent;
      batch[i].reset();
    }
  }
  PacketBuffer allocate() noexcept override { return pool_.allocate(); }
  [[nodiscard]] Stock stock() const noexcept override { return {}; }
  void wait(Instant) noexcept override {}
  void wake() noexcept override {}
  [[nodiscard]] Instant now() const noexcept override { return time; }

  Arriving next;
  Instant time{1h};
  std::size_t sent = 0;  // to B

 private:
  PacketPool pool_{2048};
};

/// Takes every flow and forwards none: whoever sends to a flow is heard by user space all the same.
class WillingOffload final : public FlowOffload {
 public:
  void install(std::span<OffloadInstallation> flows) override {
    for (OffloadInstallation& each : flows) each.answer = OffloadAnswer::kTaken;
  }
  OffloadAnswer update(const OffloadFlow&, OffloadState&) override { return OffloadAnswer::kTaken; }
  void remove(std::span<OffloadReading>) override {}
  void read(std::span<OffloadReading>) override {}
  void collect(const std::function<void(const OffloadSample&)>&) override {}
};

/// What sort of call, and what its packets are like.
struct Kind {
  std::string name;
  bool a_has_keys = false;
  bool b_has_keys = false;
  bool is_offloaded = false;
  /// Others than the party send too, some of them better placed; or the party is not where it said.
  bool is_contested = false;
  /// An offer waits for its answer.
  bool is_proposed = false;
  bool is_early = false;
  std::uint16_t ptime_ms = 0;
  /// B gets another codec than A sends.
  bool is_converted = false;
  unsigned ssrcs = 1;
  SrtpSuite suite = SrtpSuite::kAes128Cm80;
  std::string_view backend = "openssl";
};

const std::vector<Kind> kKinds = {
    {.name = "plain"},
    {.name = "plain, below", .is_offloaded = true},
    {.name = "plain, from another port, with strangers", .is_contested = true},
    {.name = "with a proposal", .is_contested = true, .is_proposed = true},
    {.name = "before the answer", .is_contested = true, .is_early = true},
    {.name = "another packet time", .ptime_ms = 40},
    {.name = "another codec", .is_converted = true},
    {.name = "many SSRCs", .ssrcs = 90},
    {.name = "encrypted to plain", .a_has_keys = true},
    {.name = "plain to encrypted", .b_has_keys = true},
    {.name = "encrypted, with strangers", .a_has_keys = true, .b_has_keys = true, .is_contested = true},
    {.name = "encrypted, many SSRCs", .a_has_keys = true, .b_has_keys = true, .ssrcs = 90},
    {.name = "GCM", .a_has_keys = true, .b_has_keys = true, .suite = SrtpSuite::kAeadAes256Gcm},
    {.name = "libsrtp, many SSRCs",
     .a_has_keys = true,
     .b_has_keys = true,
     .ssrcs = 90,
     .backend = "libsrtp2"},
    {.name = "ipsec-mb", .a_has_keys = true, .b_has_keys = true, .backend = "ipsec-mb"},
    {.name = "ipsec-mb, GCM",
     .a_has_keys = true,
     .b_has_keys = true,
     .suite = SrtpSuite::kAeadAes256Gcm,
     .backend = "ipsec-mb"},
};

class FailingCall {
 public:
  explicit FailingCall(const Kind& kind) : kind_(kind), backend_(make_srtp_backend(kind.backend)) {
    std::mt19937 random(5);
    if (kind.a_has_keys) {
      keys_ = test::SrtpKeys{random_key(random, kind.suite), random_key(random, kind.suite)};
      end_ = std::make_unique<test::SrtpEnd>(*keys_);
    }
    b_key_ = random_key(random, kind.suite);
    auto io = std::make_unique<StillIo>();
    io_ = io.get();
    worker_ = std::make_unique<Worker>(std::move(io),
                                       std::make_shared<const OwnMedia>(std::vector<OwnMedia::Range>{}),
                                       kind.is_offloaded ? std::make_unique<WillingOffload>() : nullptr);
    worker_->set_flight_mode(FlightMode::kAll);
    worker_->set_stages(std::make_unique<test::EchoStages>());
    for (std::uint32_t side = 0; side < 2; ++side) {
      InstallTransport command;
      command.id = {side, 0};
      command.plan = plan(side, kind.is_early, kind.is_proposed);
      command.ports = {PortHandle{static_cast<std::int32_t>(2 * side)},
                       PortHandle{static_cast<std::int32_t>(2 * side + 1)}};
      command.activity = std::make_shared<TransportActivity>();
      worker_->post(std::move(command));
    }
    worker_->run_until_idle();
    make_script();
  }

  std::shared_ptr<const TransportPlan> plan(std::uint32_t side, bool is_early, bool is_proposed) const {
    auto p = std::make_shared<TransportPlan>();
    const Endpoint peer = side == 0 ? host(10) : host(21);
    p->rtp_latch.signalled = peer;
    p->rtp_latch.signalling_source = host(12).address;
    p->rtcp_latch.signalled = {peer.address, UdpPort{4001}};
    SourcePlan source;
    source.media = MediaId{side + 1};
    source.payloads = {{PayloadType{8}, G711Law::kA, 0xd5, false, 8000},
                       {PayloadType{101}, G711Law::kNone, 0, true, 8000}};
    source.has_events = true;
    source.passes_other_types = true;
    source.sinks.resize(1);
    source.sinks[0].via = {1 - side, 0};
    source.sinks[0].to = MediaId{2 - side};
    source.sinks[0].ptime_ms = side == 0 ? kind_.ptime_ms : std::uint16_t{0};
    if (side == 0 && kind_.is_converted)
      source.sinks[0].conversion = std::make_shared<const AudioConversion>();
    p->sources = {source};
    if (side == 0 && is_early) p->early_until = Instant::max();
    if (side == 0 && is_proposed) {
      ProposedPeer proposed;
      proposed.rtp = p->rtp_latch;
      proposed.rtp.signalled = host(30);
      proposed.rtcp = p->rtcp_latch;
      p->proposed = std::make_shared<const ProposedPeer>(proposed);
    }
    if (side == 0 ? kind_.a_has_keys : kind_.b_has_keys) {
      auto srtp = std::make_shared<SrtpPlan>();
      srtp->backend = backend_;
      if (side == 0) {
        srtp->receive = {keys_->to_relay};
        srtp->send = keys_->from_relay;
      } else {
        srtp->send = b_key_;
      }
      p->srtp = srtp;
    }
    return p;
  }

  /// Plays the script. With `failures`, those many allocations fail from the `first` on. Whether any did.
  bool play(long first, long failures) {
    const long before = FailingMemory::failed;
    for (const Step& step : script_) {
      io_->time += step.after;
      io_->next = {step.from, step.cookie, &step.packet};
      if (&step == &script_.front()) {
        FailingMemory::left = failures > 0 ? first : -1;
        FailingMemory::failures = failures;
      }
      worker_->run_until_idle();
    }
    FailingMemory::left = -1;
    return FailingMemory::failed != before;
  }
  /// There is memory again: the answer comes if it has not, and A goes on talking. Packets that B hears.
  std::size_t goes_on() {
    worker_->post(UpdatePlan{{0, 0}, plan(0, false, false)});
    io_->time += 2s;
    worker_->run_until_idle();
    constexpr std::uint16_t kWarmUp = 10;
    std::size_t before = 0;
    for (std::uint16_t n = 0; n < kWarmUp + 20; ++n) {
      if (n == kWarmUp) before = io_->sent;
      const Packet packet = sealed(rtp('A', 1, static_cast<std::uint16_t>(5000 + n)));
      io_->next = {voice_, make_cookie({0, 0}, {}), &packet};
      io_->time += 20ms;
      worker_->run_until_idle();
    }
    return io_->sent - before;
  }

 private:
  struct Step {
    Endpoint from;
    std::uint64_t cookie = 0;
    Packet packet;
    Duration after{20ms};
  };
  Packet sealed(Packet packet, bool rtcp = false) {
    return end_ ? end_->sealed(std::move(packet), rtcp) : packet;
  }
  void arrives(const Endpoint& from, Packet packet, bool rtcp = false, Duration after = 20ms) {
    const LocalPort port{rtcp ? Component::kRtcp : Component::kRtp, 0};
    script_.push_back({from, make_cookie({0, 0}, port), std::move(packet), after});
  }
  void make_script() {
    if (kind_.is_contested && !kind_.a_has_keys) voice_ = host(10, 4444);
    for (std::uint16_t n = 0; n < 40; ++n) {
      const Packet packet = sealed(rtp('A', 1, static_cast<std::uint16_t>(n < 20 ? n : 4000 + n)));
      if (kind_.is_contested) {
        arrives(host(99), kind_.a_has_keys && n < 2 ? packet : rtp('X', 9, n), false, 0ms);
        arrives(host(30), rtp('A', 7, n), false, 0ms);
      }
      arrives(voice_, packet);
    }
    for (std::uint16_t n = 0; n < 6; ++n) {
      Packet press = rtp('A', 1, static_cast<std::uint16_t>(4040 + n), 101, 4);
      write_u32(press, 4, 77);
      write_u32(press, kRtpFixedHeaderSize, 0x050a0000u + (n < 3 ? 0u : 0x00800000u) + 160u * n);
      arrives(voice_, sealed(press));
    }
    arrives(voice_, sealed(rtp('A', 1, 4046, 13, 1)));  // comfort noise, which nobody negotiated
    for (std::uint32_t n = 1; n < 4; ++n)
      arrives(host(10, 4001), sealed(test::sender_report(1, n, 2, n), true), true, 500ms);
    // Every stream begins with two packets in sequence; more than five a second are not admitted.
    for (std::uint32_t ssrc = 100; kind_.ssrcs > 1 && ssrc < 100 + kind_.ssrcs; ++ssrc) {
      arrives(voice_, sealed(rtp('A', ssrc, 1)), false, 250ms);
      arrives(voice_, sealed(rtp('A', ssrc, 2)));
    }
    for (std::uint16_t n = 0; n < 4; ++n) {
      Packet forged = sealed(rtp('A', 1, static_cast<std::uint16_t>(4050 + n)));
      forged.back() ^= std::byte{1};
      arrives(voice_, forged, false, 700ms);
    }
    // The source begins anew, twice.
    for (const int base : {100, 90}) {
      for (int n = 0; n < 6; ++n) {
        Packet packet = rtp('A', kind_.a_has_keys ? 2u : 1u, static_cast<std::uint16_t>(base + n));
        write_u32(packet, 4, 900'000u + 160u * static_cast<unsigned>(n - base));
        arrives(voice_, kind_.a_has_keys && base == 90 ? packet : sealed(packet));
      }
    }
  }

  Kind kind_;
  std::shared_ptr<const SrtpBackend> backend_;
  std::optional<test::SrtpKeys> keys_;
  SrtpMasterKey b_key_;
  std::unique_ptr<test::SrtpEnd> end_;
  StillIo* io_ = nullptr;
  std::unique_ptr<Worker> worker_;
  Endpoint voice_ = host(10);
  std::vector<Step> script_;
};

class Memory : public ::testing::TestWithParam<Kind> {};

TEST(PortTableMemory, FindingAPacketAtASharedPortTakesNone) {
  TransportTable transports;
  PortTable ports(transports);
  const TransportId id{3, 1};
  transports.put(
      id, std::make_unique<TransportEntry>(id, std::make_shared<const TransportPlan>(),
                                           std::make_shared<TransportActivity>(), Instant{1h}, Endpoint{}));
  const SharedPortId port = ports.add_shared();
  const std::uint64_t cookie = make_cookie(port);
  const Instant now{1h};
  // Longer than what a std::string holds without memory of its own.
  const std::string ufrag = "a-ufrag-of-more-than-fifteen-letters";
  ASSERT_TRUE(ports.set_ufrag(port, id, ufrag));
  ASSERT_TRUE(ports.bind(cookie, id, host(10), BindingProof::kCheck, now));
  stun::Contents contents;
  const std::string username = ufrag + ":peer";
  contents.username = username;
  const auto request = stun::write(stun::Kind::kRequest, {}, contents, "password");
  const Packet media = rtp('A', 1, 0);
  FailingMemory::left = 0;
  FailingMemory::failures = 3;
  const long before = FailingMemory::failed;
  const TransportEntry* bound = ports.find(cookie, host(10), media, now).entry;
  const TransportEntry* named = ports.find(cookie, host(11), request, now).entry;
  const TransportEntry* stranger = ports.find(cookie, host(11), media, now).entry;
  const long failed = FailingMemory::failed - before;
  // Binding needs memory; without it the endpoint stays a stranger (C-12).
  FailingMemory::failures = 1;
  const bool has_bound = ports.bind(cookie, id, host(11), BindingProof::kCheck, now);
  FailingMemory::left = -1;
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(bound, transports.find(id));
  EXPECT_EQ(named, transports.find(id));
  EXPECT_EQ(stranger, nullptr);
  EXPECT_FALSE(has_bound);
  EXPECT_EQ(ports.bindings(port), 1u);
  EXPECT_TRUE(ports.bind(cookie, id, host(11), BindingProof::kCheck, now)) << "there is memory again";
}

TEST_P(Memory, C12_APacketIsLostAndTheCallGoesOnWhicheverAllocationFails) {
  const Kind& kind = GetParam();
  if (std::ranges::find(srtp_backend_names(), kind.backend) == srtp_backend_names().end())
    GTEST_SKIP() << "this build has no back end " << kind.backend;
  const std::size_t wanted = kind.ptime_ms != 0 ? 10 : 20;
  for (const long failures : {1L, 1'000'000L}) {
    long first = 0;
    for (bool has_failed = true; has_failed; ++first) {
      FailingCall call(kind);
      has_failed = call.play(first, failures);
      ASSERT_EQ(call.goes_on(), wanted)
          << kind.name << ": allocation " << first << " failed, and " << failures - 1 << " more";
    }
    EXPECT_GT(first, 5) << kind.name << ": nothing was allocated, so nothing was tried";
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Memory, ::testing::ValuesIn(kKinds), [](const auto& kind) {
  std::string name;
  for (const char each : kind.param.name) {
    if (std::isalnum(static_cast<unsigned char>(each)) != 0) name += each;
  }
  return name;
});

}  // namespace
}  // namespace ferry
