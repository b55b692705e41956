// The kernel programs, frame by frame through the kernel's test run: every rewrite, every punt, every count.

#include "ferry.skel.h"
#include "relay/bpf/abi.h"
#include "relay/bpf/bpf_offload.hpp"
#include "relay/bpf/kernel_forms.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "tests/support/packets.hpp"

#include <array>
#include <cstring>
#include <optional>
#include <random>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

namespace ferry::bpf {
namespace {

using test::Packet;

const Endpoint kPeer4{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
const Endpoint kLocal4{IpAddress::v4({203, 0, 113, 1}), UdpPort{30000}};
const Endpoint kOut4{IpAddress::v4({203, 0, 113, 1}), UdpPort{30010}};
const Endpoint kFar4{IpAddress::v4({198, 51, 100, 20}), UdpPort{5000}};
const Endpoint kPeer6 = *Endpoint::parse("[2001:db8:10::10]:4000");
const Endpoint kLocal6 = *Endpoint::parse("[2001:db8:1::1]:30000");
const Endpoint kOut6 = *Endpoint::parse("[2001:db8:1::1]:30010");
const Endpoint kFar6 = *Endpoint::parse("[2001:db8:20::20]:5000");
const std::array<std::uint8_t, 6> kGateway = {2, 0, 0, 0, 0, 1};
const std::array<std::uint8_t, 6> kOwn = {2, 0, 0, 0, 0, 2};
constexpr std::uint32_t kSsrc = 0x1234;

std::uint32_t sum_of(Bytes bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i)
    sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  return sum;
}
std::uint16_t finish(std::uint32_t sum) {
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

struct FrameOptions {
  std::array<std::uint8_t, 6> to = kOwn;
  std::array<std::uint8_t, 6> from = {2, 0, 0, 0, 0, 9};
  std::uint8_t ttl = 57;
  std::uint8_t tos = 0;
  bool checksum = true;
  std::uint16_t id = 77;
  std::uint16_t fragment = 0x4000;
};

/// An Ethernet frame of a UDP datagram, made independently of the code under test.
Packet frame(const Endpoint& from, const Endpoint& to, const Packet& payload,
             const FrameOptions& options = {}) {
  const bool v6 = to.address.is_v6();
  const std::size_t ip = v6 ? 40 : 20;
  const std::size_t address_size = v6 ? 16 : 4;
  Packet packet(14 + ip + 8 + payload.size());
  for (std::size_t i = 0; i < 6; ++i) {
    packet[i] = static_cast<std::byte>(options.to[i]);
    packet[6 + i] = static_cast<std::byte>(options.from[i]);
  }
  write_u16(packet, 12, v6 ? 0x86dd : 0x0800);
  const MutableBytes header = MutableBytes(packet).subspan(14);
  const auto udp_size = static_cast<std::uint16_t>(8 + payload.size());
  if (v6) {
    write_u32(header, 0, 0x60000000u | (static_cast<std::uint32_t>(options.tos) << 20));
    write_u16(header, 4, udp_size);
    write_u8(header, 6, 17);
    write_u8(header, 7, options.ttl);
  } else {
    write_u8(header, 0, 0x45);
    write_u8(header, 1, options.tos);
    write_u16(header, 2, static_cast<std::uint16_t>(20 + udp_size));
    write_u16(header, 4, options.id);
    write_u16(header, 6, options.fragment);
    write_u8(header, 8, options.ttl);
    write_u8(header, 9, 17);
  }
  const std::size_t addresses = v6 ? 8 : 12;
  for (std::size_t i = 0; i < address_size; ++i) {
    header[addresses + i] = static_cast<std::byte>(from.address.octets()[i]);
    header[addresses + address_size + i] = static_cast<std::byte>(to.address.octets()[i]);
  }
  if (!v6) write_u16(header, 10, finish(sum_of(header.first(20))));
  const MutableBytes udp = header.subspan(ip);
  write_u16(udp, 0, from.port.value);
  write_u16(udp, 2, to.port.value);
  write_u16(udp, 4, udp_size);
  std::ranges::copy(payload, udp.begin() + 8);
  if (options.checksum) {
    const std::uint16_t check =
        finish(sum_of(header.subspan(addresses, 2 * address_size)) + 17u + udp_size + sum_of(udp));
    write_u16(udp, 6, check == 0 ? 0xffff : check);
  }
  return packet;
}

Packet media(std::uint16_t sequence = 100, std::uint8_t type = 8, std::uint32_t ssrc = kSsrc,
             std::size_t payload = 160) {
  return test::rtp('A', ssrc, sequence, type, payload);
}

class FakeHops final : public HopSource {
 public:
  explicit FakeHops(int map) : map_(map) {}
  OffloadAnswer acquire(const Pair& pair) override {
    if (!known) return OffloadAnswer::kLater;
    ferry_hop hop{};
    hop.ifindex = 1;  // the interface that test runs come in by
    hop.mtu = mtu;
    hop.xdp = 1;
    std::ranges::copy(kGateway, hop.destination_mac);
    std::ranges::copy(kOwn, hop.source_mac);
    const auto key = key_of(pair);
    return bpf_map_update_elem(map_, &key, &hop, BPF_ANY) == 0 ? OffloadAnswer::kTaken
                                                               : OffloadAnswer::kRefused;
  }
  void release(const Pair& pair) override {
    const auto key = key_of(pair);
    bpf_map_delete_elem(map_, &key);
  }
  bool known = true;
  std::uint32_t mtu = 1500;

 private:
  static ferry_hop_key key_of(const Pair& pair) {
    ferry_hop_key key{};
    write_address(key.local, pair.first);
    write_address(key.remote, pair.second);
    return key;
  }
  int map_;
};

enum class Program { kXdp, kTc };

/// The programs loaded once for each test; skipped where the kernel or the rights are missing.
class BpfTest : public ::testing::TestWithParam<Program> {
 protected:
  void SetUp() override {
    libbpf_set_print(nullptr);
    skeleton_ = ferry_bpf__open();
    ASSERT_NE(skeleton_, nullptr);
    skeleton_->bss->port_first = 30000;
    skeleton_->bss->port_last = 39999;
    if (const int error = ferry_bpf__load(skeleton_); error != 0)
      GTEST_SKIP() << "the programs cannot be loaded here: " << std::strerror(-error);
    skeleton_->bss->alive_until =
        static_cast<std::uint64_t>(now().time_since_epoch().count()) + 60'000'000'000;
    hops_ = std::make_unique<FakeHops>(bpf_map__fd(skeleton_->maps.hops));
    offload_ = std::make_unique<BpfOffload>(
        KernelHandles{bpf_map__fd(skeleton_->maps.flows), bpf_program__fd(skeleton_->progs.ferry_control)},
        *hops_);
  }
  void TearDown() override {
    offload_.reset();
    if (skeleton_ != nullptr) ferry_bpf__destroy(skeleton_);
  }

  struct Outcome {
    bool sent = false;
    bool dropped = false;
    Packet packet;
    std::uint32_t duration_ns = 0;
  };
  Outcome run(const Packet& in, int repeat = 1) { return run_on(GetParam(), in, repeat); }
  Outcome run_on(Program which, const Packet& in, int repeat = 1) {
    Packet out(in.size() + 256);
    auto options = sized<bpf_test_run_opts>();
    options.data_in = in.data();
    options.data_size_in = static_cast<std::uint32_t>(in.size());
    options.data_out = out.data();
    options.data_size_out = static_cast<std::uint32_t>(out.size());
    options.repeat = repeat;
    const bool xdp = which == Program::kXdp;
    const int program = bpf_program__fd(xdp ? skeleton_->progs.ferry_xdp : skeleton_->progs.ferry_tc);
    EXPECT_EQ(bpf_prog_test_run_opts(program, &options), 0) << std::strerror(errno);
    Outcome outcome;
    outcome.sent =
        xdp ? options.retval == XDP_TX || options.retval == XDP_REDIRECT : options.retval == TC_ACT_REDIRECT;
    outcome.dropped = options.retval ==
                      (xdp ? static_cast<std::uint32_t>(XDP_DROP) : static_cast<std::uint32_t>(TC_ACT_SHOT));
    out.resize(options.data_size_out);
    outcome.packet = std::move(out);
    outcome.duration_ns = options.duration;
    return outcome;
  }
  std::uint64_t counter(std::uint32_t which) {
    std::vector<std::uint64_t> cpus(static_cast<std::size_t>(libbpf_num_possible_cpus()));
    bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.counters), &which, cpus.data());
    std::uint64_t sum = 0;
    for (const auto cpu : cpus) sum += cpu;
    return sum;
  }
  static OffloadFlow flow(const Endpoint& local, const Endpoint& peer, const Endpoint& out,
                          const Endpoint& far) {
    OffloadFlow f;
    f.local = local;
    f.peer = peer;
    f.out_local = out;
    f.out_peer = far;
    f.tos = 0xb8;
    f.ssrc = Ssrc{kSsrc};
    f.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000},
                  {PayloadType{96}, G711Law::kNone, 0, false, 0}};
    return f;
  }
  static OffloadFlow flow4() { return flow(kLocal4, kPeer4, kOut4, kFar4); }
  static Instant now() { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }
  static OffloadState state(std::uint16_t sequence = 99) {
    StreamStats stats;
    const Packet first = media(sequence);
    stats.count(*parse_rtp(first), first.size(), 8000, now());
    OffloadState s;
    s.stream = stats.state();
    s.heard_sequence = SeqNo{sequence};
    s.heard_at = now();
    return s;
  }
  OffloadState read(const Endpoint& local) {
    OffloadReading reading{local, false, {}};
    offload_->read({&reading, 1});
    EXPECT_TRUE(reading.found);
    return reading.state;
  }

  ferry_bpf* skeleton_ = nullptr;
  std::unique_ptr<FakeHops> hops_;
  std::unique_ptr<BpfOffload> offload_;
};

INSTANTIATE_TEST_SUITE_P(Programs, BpfTest, ::testing::Values(Program::kXdp, Program::kTc),
                         [](const auto& each) { return each.param == Program::kXdp ? "Xdp" : "Tc"; });

TEST_P(BpfTest, RewritesWithinAndBetweenAddressFamilies) {
  const struct {
    Endpoint local, peer, out, far;
  } rows[] = {{kLocal4, kPeer4, kOut4, kFar4},
              {kLocal6, kPeer6, kOut6, kFar6},
              {kLocal4, kPeer4, kOut6, kFar6},
              {kLocal6, kPeer6, kOut4, kFar4}};
  for (const auto& row : rows) {
    ASSERT_EQ(offload_->install(flow(row.local, row.peer, row.out, row.far), state()), OffloadAnswer::kTaken);
    std::mt19937 random(7);
    for (std::uint16_t n = 100; n < 300; ++n) {
      Packet payload = media(n, 8, kSsrc, random() % 300);
      for (std::size_t i = 12; i < payload.size(); ++i) payload[i] = static_cast<std::byte>(random());
      const Outcome outcome = run(frame(row.peer, row.local, payload));
      ASSERT_TRUE(outcome.sent) << row.local.to_string();
      FrameOptions expected;
      expected.to = kGateway;
      expected.from = kOwn;
      expected.ttl = 64;
      expected.tos = 0xb8;
      if (row.local.address.is_v6()) expected.id = 0;  // RFC 6864
      ASSERT_EQ(outcome.packet, frame(row.out, row.far, payload, expected))
          << row.local.to_string() << " to " << row.far.to_string() << " packet " << n;
    }
    OffloadState last;
    EXPECT_TRUE(offload_->remove(row.local, last));
    EXPECT_EQ(last.stream.counters.packets, 201u);
  }
}

TEST_P(BpfTest, ADatagramWithoutChecksumStaysWithoutButNotAsIpv6) {
  FrameOptions none;
  none.checksum = false;
  ASSERT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kTaken);
  const Outcome outcome = run(frame(kPeer4, kLocal4, media(), none));
  ASSERT_TRUE(outcome.sent);
  EXPECT_EQ(read_u16(outcome.packet, 14 + 20 + 6), 0u);
  auto to_v6 = flow4();
  to_v6.out_local = kOut6;
  to_v6.out_peer = kFar6;
  ASSERT_EQ(offload_->update(to_v6), OffloadAnswer::kTaken);
  const Outcome other = run(frame(kPeer4, kLocal4, media(101), none));
  EXPECT_FALSE(other.sent || other.dropped) << "RFC 8200 section 8.1 wants a checksum: to the sockets";
}

TEST_P(BpfTest, DMX4_EverythingElseGoesToTheSocketsUnchanged) {
  ASSERT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kTaken);
  const auto payload_with = [](std::initializer_list<int> start, std::size_t size) {
    Packet packet(size, std::byte{0});
    std::size_t i = 0;
    for (const int octet : start) packet[i++] = static_cast<std::byte>(octet);
    return packet;
  };
  Packet options = frame(kPeer4, kLocal4, media());
  write_u8(options, 14, 0x46);
  Packet long_udp = frame(kPeer4, kLocal4, media());
  write_u16(long_udp, 14 + 20 + 4, 400);
  Packet vlan = frame(kPeer4, kLocal4, media());
  write_u16(vlan, 12, 0x8100);
  FrameOptions fragment;
  fragment.fragment = 0x2000;
  Packet csrcs = media(100, 8, kSsrc, 10);
  csrcs[0] = std::byte{0x8f};
  Packet extension = media(100, 8, kSsrc, 20);
  extension[0] = std::byte{0x90};
  write_u16(extension, 14, 100);
  Packet padding = media(100, 8, kSsrc, 20);
  padding[0] = std::byte{0xa0};
  padding.back() = std::byte{60};
  Packet no_padding = padding;
  no_padding.back() = std::byte{0};
  const struct {
    const char* what;
    Packet frame;
  } rows[] = {{"IP options", options},
              {"a fragment", frame(kPeer4, kLocal4, media(), fragment)},
              {"VLAN", vlan},
              {"a UDP length beyond the packet", long_udp},
              {"STUN", frame(kPeer4, kLocal4, payload_with({0, 1, 0, 0}, 20))},
              {"DTLS", frame(kPeer4, kLocal4, payload_with({22, 254}, 40))},
              {"RTCP", frame(kPeer4, kLocal4, payload_with({0x80, 200}, 40))},
              {"RTCP of the last type", frame(kPeer4, kLocal4, payload_with({0x80, 223}, 40))},
              {"11 octets", frame(kPeer4, kLocal4, payload_with({0x80, 8}, 11))},
              {"CSRCs beyond the packet", frame(kPeer4, kLocal4, csrcs)},
              {"an extension beyond the packet", frame(kPeer4, kLocal4, extension)},
              {"padding beyond the packet", frame(kPeer4, kLocal4, padding)},
              {"padding of 0", frame(kPeer4, kLocal4, no_padding)},
              {"an unknown payload type", frame(kPeer4, kLocal4, media(100, 77))},
              {"another SSRC", frame(kPeer4, kLocal4, media(100, 8, 99))},
              {"a jump ahead", frame(kPeer4, kLocal4, media(99 + 3000))},
              {"a jump back", frame(kPeer4, kLocal4, media(static_cast<std::uint16_t>(99 - 101)))},
              {"another port of the relay", frame(kPeer4, {kLocal4.address, UdpPort{30002}}, media())},
              {"a port outside the range", frame(kPeer4, {kLocal4.address, UdpPort{53}}, media())},
              {"another address", frame(kPeer4, kFar4, media())}};
  for (const auto& row : rows) {
    const Outcome outcome = run(row.frame);
    EXPECT_FALSE(outcome.sent || outcome.dropped) << row.what;
    EXPECT_EQ(outcome.packet, row.frame) << row.what;
  }
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 1u) << "nothing of it was counted";
  // What XDP passes comes to tc, and is counted there.
  const bool counts = GetParam() == Program::kTc;
  EXPECT_EQ(counter(FERRY_PUNT_TYPE), counts ? 1u : 0u);
  EXPECT_EQ(counter(FERRY_PUNT_SSRC), counts ? 1u : 0u);
  EXPECT_EQ(counter(FERRY_PUNT_SEQUENCE), counts ? 2u : 0u);
  // And what is whole passes: CSRCs, extension, padding inside the packet.
  Packet whole = media(100, 8, kSsrc, 60);
  whole[0] = std::byte{0xb2};
  write_u16(whole, 12 + 8 + 2, 3);
  whole.back() = std::byte{5};
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, whole)).sent);
}

TEST_P(BpfTest, LAT13_OnlyTheLockedPeerPassesAndNothingAfterRemoval) {
  ASSERT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kTaken);
  const Endpoint other_port{kPeer4.address, UdpPort{4001}};
  const Endpoint other_address{IpAddress::v4({192, 0, 2, 11}), UdpPort{4000}};
  EXPECT_TRUE(run(frame(other_port, kLocal4, media())).dropped);
  EXPECT_TRUE(run(frame(other_address, kLocal4, media())).dropped);
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, media())).sent);
  EXPECT_EQ(read(kLocal4).foreign, 2u);
  OffloadState last;
  ASSERT_TRUE(offload_->remove(kLocal4, last));
  EXPECT_EQ(last.stream.counters.packets, 2u);
  const Outcome after = run(frame(kPeer4, kLocal4, media(101)));
  EXPECT_FALSE(after.sent || after.dropped);
  EXPECT_FALSE(offload_->remove(kLocal4, last));
}

TEST_P(BpfTest, NothingIsForwardedForADaemonThatWasKilled) {
  ASSERT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kTaken);
  skeleton_->bss->alive_until = static_cast<std::uint64_t>(now().time_since_epoch().count());
  const Outcome outcome = run(frame(kPeer4, kLocal4, media()));
  EXPECT_FALSE(outcome.sent || outcome.dropped);
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 1u);
}

TEST_P(BpfTest, LAT6_OthersArePuntedWhileThePeerMayImproveAndAtMostSoMany) {
  auto open = flow4();
  open.open_until = now() + std::chrono::seconds(60);
  ASSERT_EQ(offload_->install(open, state()), OffloadAnswer::kTaken);
  const Endpoint other{IpAddress::v4({192, 0, 2, 11}), UdpPort{4000}};
  for (const Program program : {Program::kXdp, Program::kTc}) {
    const Outcome outcome = run_on(program, frame(other, kLocal4, media()));
    EXPECT_FALSE(outcome.sent || outcome.dropped);
  }
  EXPECT_EQ(counter(FERRY_PUNT_SOURCE), 1u) << "one packet that passed both programs";
  // LIM-3: 2,000 a second; the run may have touched three of them.
  run_on(Program::kTc, frame(other, kLocal4, media()), 50'000);
  EXPECT_LE(counter(FERRY_PUNT_SOURCE), 6'001u);
  EXPECT_GE(read(kLocal4).foreign, 44'000u);
  EXPECT_TRUE(run(frame(other, kLocal4, media())).dropped) << "by either program";
}

TEST_P(BpfTest, LAT8_AnotherPortThatContinuesTheStreamAfterSilenceIsPunted) {
  OffloadState silent = state();
  silent.heard_at = now() - std::chrono::milliseconds(600);
  ASSERT_EQ(offload_->install(flow4(), silent), OffloadAnswer::kTaken);
  const Endpoint rebound{kPeer4.address, UdpPort{4001}};
  for (const int ahead : {1, 200}) {
    const Outcome outcome = run(frame(rebound, kLocal4, media(static_cast<std::uint16_t>(99 + ahead))));
    EXPECT_FALSE(outcome.sent || outcome.dropped) << ahead;
  }
  EXPECT_TRUE(run(frame(rebound, kLocal4, media(99 + 201))).dropped);
  EXPECT_TRUE(run(frame(rebound, kLocal4, media(99))).dropped);
  EXPECT_TRUE(run(frame(rebound, kLocal4, media(100, 8, 99))).dropped);
}

TEST_P(BpfTest, LIM1_RateLimitHoldsInTheKernel) {
  auto limited = flow4();
  limited.rate = {50, 0};
  ASSERT_EQ(offload_->install(limited, state()), OffloadAnswer::kTaken);
  unsigned sent = 0;
  for (std::uint16_t n = 100; n < 400; ++n) sent += run(frame(kPeer4, kLocal4, media(n))).sent ? 1u : 0u;
  const OffloadState after = read(kLocal4);
  EXPECT_GE(sent, 50u);
  EXPECT_LE(sent, 150u) << "a second's worth, and what came by while it ran";
  EXPECT_EQ(after.rate_limited, 300u - sent);
  EXPECT_EQ(after.heard_sequence, SeqNo{399}) << "the peer was heard all the same";
}

TEST_P(BpfTest, RefusedPacketsAreCountedAndDropped) {
  auto held = flow4();
  held.forwards = false;
  ASSERT_EQ(offload_->install(held, state()), OffloadAnswer::kTaken);
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, media())).dropped);
  EXPECT_EQ(read(kLocal4).refused, 1u);
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 2u);
  ASSERT_EQ(offload_->update(flow4()), OffloadAnswer::kTaken);
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, media(101))).sent);
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 3u) << "an update keeps the state";
}

TEST_P(BpfTest, WithoutAWayOrWithTooSmallAnMtuItIsTheSocketsTurn) {
  hops_->known = false;
  EXPECT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kLater);
  hops_->known = true;
  hops_->mtu = 199;
  ASSERT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kTaken);
  const Outcome outcome = run(frame(kPeer4, kLocal4, media()));
  EXPECT_FALSE(outcome.sent || outcome.dropped);
  EXPECT_EQ(counter(FERRY_PUNT_MTU), GetParam() == Program::kTc ? 1u : 0u);
}

TEST_P(BpfTest, CountsAsStreamStatsDoes) {
  std::mt19937 random(11);
  OffloadState given = state(65'000);
  ASSERT_EQ(offload_->install(flow4(), given), OffloadAnswer::kTaken);
  StreamStats expected(given.stream.counters);
  expected.set_state(given.stream);
  std::uint16_t sequence = 65'000;
  for (int i = 0; i < 3000; ++i) {
    const unsigned what = static_cast<unsigned>(random() % 20);
    std::uint16_t number = ++sequence;
    if (what == 0) sequence = number = static_cast<std::uint16_t>(sequence + random() % 40);
    if (what == 1) number = static_cast<std::uint16_t>(sequence - random() % 90);
    const std::uint8_t type = what == 2 ? 96 : 8;
    const Packet payload = media(number, type, kSsrc, random() % 200);
    ASSERT_TRUE(run(frame(kPeer4, kLocal4, payload)).sent);
    ASSERT_EQ(expected.check(SeqNo{number}), StreamStats::Check::kOk);
    expected.count(*parse_rtp(payload), payload.size(), type == 8 ? 8000 : 0, now());
  }
  OffloadState actual;
  ASSERT_TRUE(offload_->remove(kLocal4, actual));
  const SsrcCounters& a = actual.stream.counters;
  const SsrcCounters& e = expected.counters();
  EXPECT_EQ(a.packets, e.packets);
  EXPECT_EQ(a.bytes, e.bytes);
  EXPECT_EQ(a.base_extended, e.base_extended);
  EXPECT_EQ(a.highest_extended, e.highest_extended);
  EXPECT_EQ(a.duplicates, e.duplicates);
  EXPECT_EQ(a.reordered, e.reordered);
  EXPECT_EQ(a.lost(), e.lost());
  EXPECT_EQ(a.last_timestamp, e.last_timestamp);
  EXPECT_EQ(a.last_payload_type, e.last_payload_type);
  EXPECT_EQ(actual.stream.seen, expected.state().seen);
  // The clocks are those of two programs: the arrival times differ by what lies between them.
  EXPECT_NEAR(static_cast<double>(a.jitter_q4), static_cast<double>(e.jitter_q4), 0.1 * e.jitter_q4 + 800);
}

TEST_P(BpfTest, PrintsWhatForeignTrafficCosts) {
  ASSERT_EQ(offload_->install(flow4(), state()), OffloadAnswer::kTaken);
  const Outcome foreign = run(frame(kPeer4, {kLocal4.address, UdpPort{53}}, media()), 1'000'000);
  const Outcome in_range = run(frame(kPeer4, {kLocal4.address, UdpPort{30002}}, media()), 1'000'000);
  EXPECT_FALSE(foreign.sent || foreign.dropped);
  std::printf("outside the port range %u ns, in it without a flow %u ns\n", foreign.duration_ns,
              in_range.duration_ns);
}

}  // namespace
}  // namespace ferry::bpf
