// SPDX-License-Identifier: Apache-2.0
// SSR-1 and SRT-7a: many streams of one party, which begin at once or begin anew at once.

#include "tests/support/srtp_call.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::host;
using test::Packet;
using test::rtp;
using test::SrtpCall;
using test::SrtpKeys;

std::optional<SrtpKeys> keys(bool are_there) {
  if (!are_there) return std::nullopt;
  std::mt19937 random(7);
  return SrtpKeys{test::random_key(random, SrtpSuite::kAes128Cm80),
                  test::random_key(random, SrtpSuite::kAes128Cm80)};
}

TEST(TransportSsrcs, SSR1_SRT7a_HoweverManyStreamsBeginAtOnceAllAreAdmitted) {
  for (const bool is_protected : {false, true}) {
    for (const std::uint32_t streams : {2u, 8u, 9u, 12u, 40u, 64u}) {
      SrtpCall call(keys(is_protected), std::nullopt, "openssl", false);
      TransportPlan plan = call.plan(0);
      plan.sources[0].max_ssrcs = 64;
      call.update(0, plan);
      const int seconds = static_cast<int>(streams) / 5 + 4;  // at most five a second are admitted
      for (int n = 0; n < seconds * 50; ++n) {
        for (std::uint32_t ssrc = 1; ssrc <= streams; ++ssrc) {
          const Packet packet = rtp('A', ssrc, static_cast<std::uint16_t>(n));
          call.arrives(host(10), 0, is_protected ? call.end(0).sealed(packet) : packet);
          call.pass(Duration{20ms} / streams);
        }
      }
      EXPECT_EQ(call.read(0).sources[0].ingress.size(), streams) << "protected: " << is_protected;
    }
  }
}

TEST(TransportSsrcs, SSR1_SingleSsrcsKeepNobodyOutForLong) {
  SrtpCall call(std::nullopt, std::nullopt, "openssl", false);
  std::uint16_t sequence = 0;
  for (int n = 0; n < 100; ++n) {
    call.arrives(host(10), 0, rtp('A', 1, sequence++));
    if (n < 50)
      call.arrives(host(10), 0, rtp('A', 1000 + static_cast<std::uint32_t>(n), 1));  // once each
    call.arrives(host(10), 0, rtp('A', 2, sequence));
    call.pass(20ms);
  }
  std::set<std::uint32_t> admitted;
  const TransportSnapshot snapshot = call.read(0);
  for (const SsrcCounters& each : snapshot.sources[0].ingress) admitted.insert(each.ssrc.value);
  EXPECT_EQ(admitted, (std::set<std::uint32_t>{1, 2}));
}

TEST(TransportSsrcs, SRT7a_HoweverManyStreamsBeginAnewAtOnceAllAreHeardAgain) {
  for (const std::uint32_t streams : {2u, 9u, 20u}) {
    SrtpCall call(std::nullopt, keys(true), "openssl", false);
    TransportPlan plan = call.plan(0);
    plan.sources[0].max_ssrcs = 64;
    call.update(0, plan);
    const auto all_say = [&](int n, std::uint32_t timestamp) {
      for (std::uint32_t ssrc = 1; ssrc <= streams; ++ssrc) {
        Packet packet = rtp('A', ssrc, static_cast<std::uint16_t>(n));
        write_u32(packet, 4, timestamp + 160u * static_cast<unsigned>(n));
        call.arrives(host(10), 0, packet);
      }
      call.pass(20ms);
    };
    for (int n = 0; n < 400; ++n) all_say(1000 + n, 0);
    // Each steps back by fifty, which is no jump (SSR-4), and its receiver cannot follow.
    for (int n = 0; n < 40; ++n) all_say(1350 + n, 500'000);
    call.sent.clear();
    all_say(1390, 500'000);
    EXPECT_EQ(call.sent.size(), streams);
  }
}

}  // namespace
}  // namespace ferry
