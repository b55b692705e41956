// SPDX-License-Identifier: Apache-2.0
// The kernel programs, frame by frame through the kernel's test run: every rewrite, every punt, every count.

#include "relay/core/rtp/stream_stats.hpp"
#include "tests/support/kernel_programs.hpp"

#include <fstream>
#include <random>

#include <gtest/gtest.h>

namespace ferry::bpf {
namespace {

using test::FakeHops;
using test::frame;
using test::FrameOptions;
using test::kGateway;
using test::kOwn;
using test::LoadedPrograms;
using test::Outcome;
using test::Packet;
using test::Program;

const Endpoint kPeer4{IpAddress::v4({192, 0, 2, 10}), UdpPort{4000}};
const Endpoint kLocal4{IpAddress::v4({203, 0, 113, 1}), UdpPort{30000}};
const Endpoint kOut4{IpAddress::v4({203, 0, 113, 1}), UdpPort{30010}};
const Endpoint kFar4{IpAddress::v4({198, 51, 100, 20}), UdpPort{5000}};
const Endpoint kPeer6 = *Endpoint::parse("[2001:db8:10::10]:4000");
const Endpoint kLocal6 = *Endpoint::parse("[2001:db8:1::1]:30000");
const Endpoint kOut6 = *Endpoint::parse("[2001:db8:1::1]:30010");
const Endpoint kFar6 = *Endpoint::parse("[2001:db8:20::20]:5000");
constexpr std::uint32_t kSsrc = 0x1234;

/// Within and between address families.
const struct {
  Endpoint local, peer, out, far;
} kFamilies[] = {{kLocal4, kPeer4, kOut4, kFar4},
                 {kLocal6, kPeer6, kOut6, kFar6},
                 {kLocal4, kPeer4, kOut6, kFar6},
                 {kLocal6, kPeer6, kOut4, kFar4}};

Packet media(std::uint16_t sequence = 100, std::uint8_t type = 8, std::uint32_t ssrc = kSsrc,
             std::size_t payload = 160) {
  return test::rtp('A', ssrc, sequence, type, payload);
}

/// The programs loaded once for each test; skipped where the kernel or the rights are missing.
class BpfTest : public ::testing::TestWithParam<Program> {
 protected:
  void SetUp() override {
    std::string why;
    programs_ = LoadedPrograms::load(why);
    if (!programs_) GTEST_SKIP() << why;
    skeleton_ = programs_->skeleton();
    hops_ = &programs_->hops();
    programs_->set_time(now());
    offload_ = std::make_unique<BpfOffload>(programs_->handles(), *hops_);
  }
  void TearDown() override { offload_.reset(); }

  /// The programs that a packet comes by, and the one that counts and limits.
  static test::Attached path() {
    if (GetParam() == Program::kXdpAlone) return {Program::kXdpAlone};
    return {Program::kXdp, Program::kTc};
  }
  static Program last() { return path().back(); }

  /// Moves the programs' clock.
  void pass(Duration time) { programs_->set_time(now_ += time); }
  [[nodiscard]] Instant now() const { return now_; }
  Outcome run(const Packet& in, int repeat = 1) { return run_on(GetParam(), in, repeat); }
  Outcome run_on(Program which, const Packet& in, int repeat = 1) {
    return programs_->run(which, in, repeat);
  }
  OffloadAnswer install(const OffloadFlow& flow, const OffloadState& with) {
    OffloadInstallation one{&flow, &with};
    offload_->install({&one, 1});
    return one.answer;
  }
  bool remove(const Endpoint& local, OffloadState& last) {
    OffloadReading one{local, false, {}};
    offload_->remove({&one, 1});
    last = one.state;
    return one.found;
  }
  OffloadAnswer update(const OffloadFlow& flow) {
    OffloadState before;
    return offload_->update(flow, before);
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
    f.sinks = {{out, far, 0xb8, false}};
    f.ssrc = Ssrc{kSsrc};
    f.payloads = {{PayloadType{8}, G711Law::kNone, 0, false, 8000},
                  {PayloadType{96}, G711Law::kNone, 0, false, 0}};
    return f;
  }
  static OffloadFlow flow4() { return flow(kLocal4, kPeer4, kOut4, kFar4); }
  OffloadState state(std::uint16_t sequence = 99) {
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

  std::unique_ptr<LoadedPrograms> programs_;
  ferry_test_bpf* skeleton_ = nullptr;
  FakeHops* hops_ = nullptr;
  std::unique_ptr<BpfOffload> offload_;
  Instant now_{std::chrono::hours(1)};
};

INSTANTIATE_TEST_SUITE_P(Programs, BpfTest,
                         ::testing::Values(Program::kXdp, Program::kXdpAlone, Program::kTc),
                         [](const auto& each) {
                           return each.param == Program::kXdp        ? "Xdp"
                                  : each.param == Program::kXdpAlone ? "XdpAlone"
                                                                     : "Tc";
                         });

TEST_P(BpfTest, RewritesWithinAndBetweenAddressFamilies) {
  for (const auto& row : kFamilies) {
    ASSERT_EQ(install(flow(row.local, row.peer, row.out, row.far), state()), OffloadAnswer::kTaken);
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
    EXPECT_TRUE(remove(row.local, last));
    EXPECT_EQ(last.stream.counters.packets, 201u);
  }
}

TEST_P(BpfTest, ADatagramWithoutChecksumStaysWithoutButNotAsIpv6) {
  FrameOptions none;
  none.checksum = false;
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
  const Outcome outcome = run(frame(kPeer4, kLocal4, media(), none));
  ASSERT_TRUE(outcome.sent);
  EXPECT_EQ(read_u16(outcome.packet, 14 + 20 + 6), 0u);
  auto to_v6 = flow4();
  to_v6.sinks = {{kOut6, kFar6, 0, false}};
  ASSERT_EQ(update(to_v6), OffloadAnswer::kTaken);
  const Outcome other = run(frame(kPeer4, kLocal4, media(101), none));
  EXPECT_FALSE(other.sent || other.dropped) << "RFC 8200 section 8.1 wants a checksum: to the sockets";
}

TEST_P(BpfTest, DMX4_EverythingElseGoesToTheSocketsUnchanged) {
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
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
  const bool counts = GetParam() != Program::kXdp;
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
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
  const Endpoint other_port{kPeer4.address, UdpPort{4001}};
  const Endpoint other_address{IpAddress::v4({192, 0, 2, 11}), UdpPort{4000}};
  EXPECT_TRUE(run(frame(other_port, kLocal4, media())).dropped);
  EXPECT_TRUE(run(frame(other_address, kLocal4, media())).dropped);
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, media())).sent);
  EXPECT_EQ(read(kLocal4).foreign, 2u);
  OffloadState last;
  ASSERT_TRUE(remove(kLocal4, last));
  EXPECT_EQ(last.stream.counters.packets, 2u);
  const Outcome after = run(frame(kPeer4, kLocal4, media(101)));
  EXPECT_FALSE(after.sent || after.dropped);
  EXPECT_FALSE(remove(kLocal4, last));
}

TEST_P(BpfTest, NothingIsForwardedForADaemonThatWasKilled) {
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
  skeleton_->bss->alive_until = static_cast<std::uint64_t>(now().time_since_epoch().count()) - 1;
  const Outcome outcome = run(frame(kPeer4, kLocal4, media()));
  EXPECT_FALSE(outcome.sent || outcome.dropped);
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 1u);
}

TEST_P(BpfTest, LAT6_OthersArePuntedWhileThePeerMayImproveAndAtMostSoMany) {
  auto open = flow4();
  open.open_until = now() + std::chrono::seconds(60);
  ASSERT_EQ(install(open, state()), OffloadAnswer::kTaken);
  const Endpoint other{IpAddress::v4({192, 0, 2, 11}), UdpPort{4000}};
  for (const Program program : path()) {
    const Outcome outcome = run_on(program, frame(other, kLocal4, media()));
    EXPECT_FALSE(outcome.sent || outcome.dropped);
  }
  EXPECT_EQ(counter(FERRY_PUNT_SOURCE), 1u) << "one packet that passed both programs";
  run_on(last(), frame(other, kLocal4, media()), 50'000);
  EXPECT_EQ(counter(FERRY_PUNT_SOURCE), 2'000u) << "LIM-3: a second's worth";
  EXPECT_EQ(read(kLocal4).foreign, 48'001u);
  EXPECT_TRUE(run(frame(other, kLocal4, media())).dropped) << "by either program";
  pass(std::chrono::seconds(1));
  run_on(last(), frame(other, kLocal4, media()), 3'000);
  EXPECT_EQ(counter(FERRY_PUNT_SOURCE), 4'000u) << "and another in the next";
}

TEST_P(BpfTest, LIM3_WhateverAStrangerSendsIsLimited) {
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
  const Endpoint other{IpAddress::v4({192, 0, 2, 11}), UdpPort{4000}};
  Packet report(40, std::byte{0});
  report[0] = std::byte{0x80};
  report[1] = std::byte{200};
  run_on(last(), frame(other, kLocal4, report), 10'000);
  EXPECT_EQ(counter(FERRY_PUNT_NOT_RTP), 2'000u);
  EXPECT_EQ(read(kLocal4).foreign, 8'000u);
  run_on(last(), frame(kPeer4, kLocal4, report), 10'000);
  EXPECT_EQ(counter(FERRY_PUNT_NOT_RTP), 12'000u) << "the peer is not under this limit";
}

TEST_P(BpfTest, LIM3_TheStrangersOfAllPortsTogetherAreLimitedToo) {
  const Endpoint other{IpAddress::v4({192, 0, 2, 11}), UdpPort{4000}};
  for (std::uint16_t n = 0; n < 40; ++n) {
    auto open = flow4();
    open.local.port = UdpPort{static_cast<std::uint16_t>(31000 + 2 * n)};
    open.open_until = now() + std::chrono::seconds(60);
    ASSERT_EQ(install(open, state()), OffloadAnswer::kTaken);
    run_on(last(), frame(other, open.local, media()), 2'500);
  }
  EXPECT_EQ(counter(FERRY_PUNT_SOURCE), 50'000u) << "40 ports with 2,000 each would be 80,000";
  EXPECT_TRUE(run(frame(other, {kLocal4.address, UdpPort{31078}}, media())).dropped);
}

TEST_P(BpfTest, LAT8_AnotherPortThatContinuesTheStreamAfterSilenceIsPunted) {
  OffloadState silent = state();
  silent.heard_at = now() - std::chrono::milliseconds(600);
  ASSERT_EQ(install(flow4(), silent), OffloadAnswer::kTaken);
  const Endpoint rebound{kPeer4.address, UdpPort{4001}};
  for (const int ahead : {1, 200}) {
    const Outcome outcome = run(frame(rebound, kLocal4, media(static_cast<std::uint16_t>(99 + ahead))));
    EXPECT_FALSE(outcome.sent || outcome.dropped) << ahead;
  }
  EXPECT_TRUE(run(frame(rebound, kLocal4, media(99 + 201))).dropped);
  EXPECT_TRUE(run(frame(rebound, kLocal4, media(99))).dropped);
  EXPECT_TRUE(run(frame(rebound, kLocal4, media(100, 8, 99))).dropped);
}

TEST_P(BpfTest, LAT8_WhoMayTakeTheStreamBackIsPunted) {
  const Endpoint other_port{kPeer4.address, UdpPort{4002}};
  const Endpoint other_host{IpAddress::v4({192, 0, 2, 77}), UdpPort{4000}};
  for (const Endpoint& home : {other_port, other_host}) {
    auto flow = flow4();
    flow.home = home;
    ASSERT_EQ(install(flow, state()), OffloadAnswer::kTaken);
    const Outcome outcome = run(frame(home, kLocal4, media(7, 8, 99)));
    EXPECT_FALSE(outcome.sent || outcome.dropped) << home.to_string();
    const Endpoint& stranger = home == other_port ? other_host : other_port;
    EXPECT_TRUE(run(frame(stranger, kLocal4, media(7, 8, 99))).dropped) << stranger.to_string();
    OffloadState last;
    ASSERT_TRUE(remove(kLocal4, last));
  }
}

TEST_P(BpfTest, LIM1_RateLimitHoldsInTheKernel) {
  auto limited = flow4();
  limited.rate = {50, 0};
  ASSERT_EQ(install(limited, state()), OffloadAnswer::kTaken);
  unsigned sent = 0;
  for (std::uint16_t n = 100; n < 400; ++n) sent += run(frame(kPeer4, kLocal4, media(n))).sent ? 1u : 0u;
  const OffloadState after = read(kLocal4);
  EXPECT_EQ(sent, 50u) << "a second's worth";
  EXPECT_EQ(after.rate_limited, 300u - sent);
  EXPECT_EQ(after.heard_sequence, SeqNo{399}) << "the peer was heard all the same";
}

TEST_P(BpfTest, RefusedPacketsAreCountedAndDropped) {
  auto held = flow4();
  held.sinks.clear();
  ASSERT_EQ(install(held, state()), OffloadAnswer::kTaken);
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, media())).dropped);
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 2u);
  ASSERT_EQ(update(flow4()), OffloadAnswer::kTaken);
  EXPECT_TRUE(run(frame(kPeer4, kLocal4, media(101))).sent);
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 3u) << "an update keeps the state";
}

TEST_P(BpfTest, WithoutAWayOrWithTooSmallAnMtuItIsTheSocketsTurn) {
  hops_->known = false;
  EXPECT_EQ(install(flow4(), state()), OffloadAnswer::kLater);
  hops_->known = true;
  hops_->mtu = 199;
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
  const Outcome outcome = run(frame(kPeer4, kLocal4, media()));
  EXPECT_FALSE(outcome.sent || outcome.dropped);
  EXPECT_EQ(counter(FERRY_PUNT_MTU), GetParam() == Program::kXdp ? 0u : 1u);
}

TEST_P(BpfTest, SilenceReplacesThePayloadAndTheChecksumFollows) {
  for (const auto& row : kFamilies) {
    auto silent = flow(row.local, row.peer, row.out, row.far);
    silent.payloads = {{PayloadType{8}, G711Law::kNone, 0xd5, false, 8000}};
    silent.sinks[0].silenced = true;
    ASSERT_EQ(install(silent, state()), OffloadAnswer::kTaken);
    std::mt19937 random(3);
    for (std::uint16_t n = 100; n < 300; ++n) {
      Packet payload = media(n, 8, kSsrc, n < 200 ? n - 100u : random() % 1400);
      for (std::size_t i = 12; i < payload.size(); ++i) payload[i] = static_cast<std::byte>(random());
      Packet quiet = payload;
      std::size_t header = 12;
      std::size_t padding = 0;
      if (payload.size() > 40 && n % 3 == 0) {  // two CSRCs and padding
        payload[0] = std::byte{0xa2};
        payload.back() = std::byte{7};
        quiet = payload;
        header = 20;
        padding = 7;
      }
      std::fill(quiet.begin() + static_cast<std::ptrdiff_t>(header),
                quiet.end() - static_cast<std::ptrdiff_t>(padding), std::byte{0xd5});
      FrameOptions expected;
      expected.to = kGateway;
      expected.from = kOwn;
      expected.ttl = 64;
      expected.tos = 0xb8;
      if (row.local.address.is_v6()) expected.id = 0;
      const Packet in = frame(row.peer, row.local, payload);
      const Outcome xdp = run_on(Program::kXdp, in);
      ASSERT_FALSE(xdp.sent || xdp.dropped) << "tc does it";
      const Outcome outcome = run_on(Program::kTc, in);
      ASSERT_TRUE(outcome.sent);
      ASSERT_EQ(outcome.packet, frame(row.out, row.far, quiet, expected))
          << row.far.to_string() << " packet " << n;
    }
    OffloadState last;
    EXPECT_TRUE(remove(row.local, last));
  }
}

TEST_P(BpfTest, SeveralReceiversGetACopyEach) {
  const Endpoint third{IpAddress::v4({198, 51, 100, 30}), UdpPort{6000}};
  auto several = flow4();
  several.payloads[0].silence = 0xd5;
  several.sinks.push_back({kOut6, kFar6, 0, false});
  several.sinks.push_back({kOut4, third, 0, true});
  ASSERT_EQ(install(several, state()), OffloadAnswer::kTaken);
  const Outcome xdp = run_on(Program::kXdp, frame(kPeer4, kLocal4, media()));
  EXPECT_FALSE(xdp.sent || xdp.dropped) << "XDP cannot copy";
  const Outcome outcome = run_on(Program::kTc, frame(kPeer4, kLocal4, media()));
  ASSERT_TRUE(outcome.sent);
  EXPECT_EQ(counter(FERRY_SENT_TC), 3u);
  // The run shows the last copy, which went through the rewrites of the others.
  Packet quiet = media();
  std::fill(quiet.begin() + 12, quiet.end(), std::byte{0xd5});
  FrameOptions expected;
  expected.to = kGateway;
  expected.from = kOwn;
  expected.ttl = 64;
  expected.id = 0;  // it was IPv6 in between
  EXPECT_EQ(outcome.packet, frame(kOut4, third, quiet, expected));
  EXPECT_EQ(read(kLocal4).stream.counters.packets, 2u) << "counted once";
  several.sinks.resize(FERRY_SINKS + 1, several.sinks[2]);
  EXPECT_EQ(update(several), OffloadAnswer::kRefused) << "more than the table holds";
}

/// The packet as it leaves by other numbers, made independently of the programs.
Packet shifted(Packet packet, const StreamShift& by) {
  shift_numbers(by, packet);
  return packet;
}

TEST_P(BpfTest, SSR2_NumbersAreShiftedAndTheChecksumFollows) {
  std::mt19937 random(17);
  for (const auto& row : kFamilies) {
    for (unsigned round = 0; round < 40; ++round) {
      StreamShift by{Ssrc{round % 3 == 0 ? kSsrc : static_cast<std::uint32_t>(random())},
                     static_cast<std::uint16_t>(random()), static_cast<std::uint32_t>(random())};
      if (round == 0) by = {Ssrc{kSsrc}, 0, 0};
      auto one = flow(row.local, row.peer, row.out, row.far);
      one.sinks[0].shift = by;
      ASSERT_EQ(install(one, state()), OffloadAnswer::kTaken);
      for (std::uint16_t n = 100; n < 106; ++n) {
        Packet payload = media(n, 8, kSsrc, random() % 300);
        write_u32(payload, 4, static_cast<std::uint32_t>(random()));
        const Outcome outcome = run(frame(row.peer, row.local, payload));
        ASSERT_TRUE(outcome.sent) << row.local.to_string();
        FrameOptions expected;
        expected.to = kGateway;
        expected.from = kOwn;
        expected.ttl = 64;
        expected.tos = 0xb8;
        if (row.local.address.is_v6()) expected.id = 0;
        ASSERT_EQ(outcome.packet, frame(row.out, row.far, shifted(payload, by), expected))
            << row.local.to_string() << " to " << row.far.to_string() << " packet " << n;
      }
      OffloadState last;
      ASSERT_TRUE(remove(row.local, last));
      EXPECT_EQ(last.stream.counters.ssrc.value, state().stream.counters.ssrc.value);
      EXPECT_EQ(static_cast<std::uint16_t>(last.stream.counters.highest_extended), 105)
          << "counted by the numbers that it came by";
    }
  }
}

TEST_P(BpfTest, SSR2_EachOfSeveralReceiversHasItsOwnNumbers) {
  if (GetParam() != Program::kTc) GTEST_SKIP() << "XDP cannot copy";
  const StreamShift first{Ssrc{0x77}, 1000, 160'000};
  const StreamShift third_shift{Ssrc{0x99}, 65'500, 0xffff'0000};
  const Endpoint third{IpAddress::v4({198, 51, 100, 30}), UdpPort{6000}};
  // The run shows the last copy, which went through the rewrites of the others.
  for (const bool last_is_shifted : {false, true}) {
    auto several = flow4();
    several.payloads[0].silence = 0xd5;
    several.sinks[0].shift = first;
    several.sinks.push_back({kOut6, kFar6, 0, false, {}});
    several.sinks.push_back({kOut4, third, 0, true, {}});
    if (last_is_shifted) several.sinks[2].shift = third_shift;
    ASSERT_EQ(install(several, state()), OffloadAnswer::kTaken);
    const Outcome outcome = run(frame(kPeer4, kLocal4, media()));
    ASSERT_TRUE(outcome.sent);
    Packet quiet = media();
    std::fill(quiet.begin() + 12, quiet.end(), std::byte{0xd5});
    if (last_is_shifted) quiet = shifted(quiet, third_shift);
    FrameOptions expected;
    expected.to = kGateway;
    expected.from = kOwn;
    expected.ttl = 64;
    expected.id = 0;
    EXPECT_EQ(outcome.packet, frame(kOut4, third, quiet, expected)) << last_is_shifted;
    OffloadState last;
    ASSERT_TRUE(remove(kLocal4, last));
  }
}

TEST_P(BpfTest, SSR2_ADatagramWithoutChecksumIsShiftedToo) {
  FrameOptions none;
  none.checksum = false;
  const StreamShift by{Ssrc{5}, 3, 480};
  auto one = flow4();
  one.sinks[0].shift = by;
  ASSERT_EQ(install(one, state()), OffloadAnswer::kTaken);
  const Outcome outcome = run(frame(kPeer4, kLocal4, media(), none));
  ASSERT_TRUE(outcome.sent);
  EXPECT_EQ(read_u16(outcome.packet, 14 + 20 + 6), 0u);
  EXPECT_EQ(read_u16(outcome.packet, 14 + 20 + 8 + 2), 103u);
  EXPECT_EQ(read_u32(outcome.packet, 14 + 20 + 8 + 8), 5u);
}

TEST_P(BpfTest, CountsAsStreamStatsDoes) {
  std::mt19937 random(11);
  OffloadState given = state(65'000);
  ASSERT_EQ(install(flow4(), given), OffloadAnswer::kTaken);
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
    pass(std::chrono::microseconds(random() % 40'000));
  }
  OffloadState actual;
  ASSERT_TRUE(remove(kLocal4, actual));
  EXPECT_EQ(actual.stream, expected.state());
  EXPECT_GT(actual.stream.counters.jitter_q4, 0u);
}

TEST_P(BpfTest, AHundredThousandFlowsInstallReadForwardAndLeave) {
  constexpr std::size_t kFlows = 100'000;
  constexpr std::size_t kBatch = 64;  // what a worker receives at a time
  const auto local_of = [](std::size_t n) {
    return Endpoint{IpAddress::v4({203, 0, 113, static_cast<std::uint8_t>(n / 5000)}),
                    UdpPort{static_cast<std::uint16_t>(30000 + n % 5000 * 2)}};
  };
  const OffloadState given = state();
  const auto timed = [](const char* what, auto work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double, std::micro> spent = std::chrono::steady_clock::now() - start;
    std::printf("%s: %.2f us a flow\n", what, spent.count() / kFlows);
  };
  timed("install", [&] {
    for (std::size_t first = 0; first < kFlows; first += kBatch) {
      std::vector<OffloadFlow> flows;
      for (std::size_t n = first; n < std::min(first + kBatch, kFlows); ++n) {
        flows.push_back(flow4());
        flows.back().local = local_of(n);
      }
      std::vector<OffloadInstallation> batch;
      for (const OffloadFlow& each : flows) batch.push_back({&each, &given});
      offload_->install(batch);
      for (const auto& each : batch) ASSERT_EQ(each.answer, OffloadAnswer::kTaken);
    }
  });
  const std::string folder = "/proc/self/fdinfo/";
  for (const auto& [what, map] : {std::pair{"flows", programs_->handles().flows},
                                  std::pair{"next hops", bpf_map__fd(skeleton_->maps.hops)}}) {
    std::ifstream facts(folder + std::to_string(map));
    for (std::string line; std::getline(facts, line);) {
      if (line.starts_with("memlock")) std::printf("kernel memory of the %s: %s\n", what, line.c_str() + 8);
    }
  }
  for (std::size_t n = 0; n < kFlows; n += 997)
    EXPECT_TRUE(run(frame(kPeer4, local_of(n), media())).sent) << n;
  std::vector<OffloadReading> all;
  for (std::size_t n = 0; n < kFlows; ++n) all.push_back({local_of(n), false, {}});
  timed("read", [&] { offload_->read(all); });
  for (std::size_t n = 0; n < kFlows; ++n) {
    ASSERT_TRUE(all[n].found);
    ASSERT_EQ(all[n].state.stream.counters.packets, n % 997 == 0 ? 2u : 1u);
  }
  timed("remove", [&] { offload_->remove(all); });
  ferry_key key{};
  EXPECT_NE(bpf_map_get_next_key(programs_->handles().flows, nullptr, &key), 0) << "the map is empty";
  const Outcome after = run(frame(kPeer4, local_of(0), media(101)));
  EXPECT_FALSE(after.sent || after.dropped);
}

TEST_P(BpfTest, PrintsWhatForeignTrafficCosts) {
  ASSERT_EQ(install(flow4(), state()), OffloadAnswer::kTaken);
  const Outcome foreign = run(frame(kPeer4, {kLocal4.address, UdpPort{53}}, media()), 1'000'000);
  const Outcome in_range = run(frame(kPeer4, {kLocal4.address, UdpPort{30002}}, media()), 1'000'000);
  EXPECT_FALSE(foreign.sent || foreign.dropped);
  // Leaves as it came, so that each run sees the same packet.
  auto circle = flow(kOut4, kFar4, kFar4, kOut4);
  ASSERT_EQ(install(circle, state()), OffloadAnswer::kTaken);
  const Outcome forwarded = run(frame(kFar4, kOut4, media()), 1'000'000);
  EXPECT_TRUE(forwarded.sent);
  std::printf("outside the port range %u ns, in it without a flow %u ns, forwarded %u ns\n",
              foreign.duration_ns, in_range.duration_ns, forwarded.duration_ns);
}

}  // namespace
}  // namespace ferry::bpf
