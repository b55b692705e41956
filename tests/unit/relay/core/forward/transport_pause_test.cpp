// SPDX-License-Identifier: Apache-2.0
// Row C-13 at one transport: what waited while nobody ran, and silences that were none.

#include "tests/support/shapes.hpp"
#include "tests/support/srtp_call.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using test::host;
using test::Packet;
using test::rtp;
using test::SrtpCall;
using test::SrtpKeys;

SrtpKeys some_keys() {
  std::mt19937 random(7);
  return {test::random_key(random, SrtpSuite::kAes128Cm80), test::random_key(random, SrtpSuite::kAes128Cm80)};
}

/// A talks to B, who is plain; the worker can be stopped.
class Pausing : public SrtpCall {
 public:
  explicit Pausing(bool is_protected = false)
      : SrtpCall(is_protected ? std::optional(some_keys()) : std::nullopt, std::nullopt, "openssl", false),
        is_protected_(is_protected) {}

  Packet next(std::uint32_t ssrc = 1) {
    const Packet packet = rtp('A', ssrc, sequence_++);
    return is_protected_ ? end(0).sealed(packet) : packet;
  }
  void talk(int packets) {
    for (int n = 0; n < packets; ++n) {
      arrives(host(10), 0, next());
      pass(20ms);
    }
  }
  /// Time passes without anybody; then `waited` is there at once. How many of them B hears.
  std::size_t heard_after(Duration pause, const std::vector<std::pair<Endpoint, Packet>>& waited) {
    const std::size_t before = sent.size();
    pass(pause);
    worker().after_pause(pause);
    arrive_at_once(waited);
    return sent.size() - before;
  }
  std::vector<std::pair<Endpoint, Packet>> what_a_says(int packets, std::uint32_t ssrc = 1) {
    std::vector<std::pair<Endpoint, Packet>> all;
    for (int n = 0; n < packets; ++n) all.emplace_back(host(10), next(ssrc));
    return all;
  }
  std::uint32_t stale() { return read(0).drops[DropReason::kStaleAfterPause]; }

 private:
  bool is_protected_;
  std::uint16_t sequence_ = 100;
};

TEST(TransportPause, C13_OfSoundThatWaitedTheNewest200MillisecondsPass) {
  for (const bool is_protected : {false, true}) {
    for (const Duration pause : {Duration{1s}, Duration{5s}, Duration{60s}}) {
      Pausing call(is_protected);
      call.talk(50);
      const auto packets = static_cast<int>(pause / 20ms);
      // The newest is 10 ms old.
      EXPECT_EQ(call.heard_after(pause - 10ms, call.what_a_says(packets)), 10u);
      EXPECT_EQ(call.stale(), static_cast<std::uint32_t>(packets) - 10);
      const std::uint16_t last = read_u16(call.sent.back().payload, 2);
      EXPECT_EQ(last, 100 + 50 + packets - 1) << "the newest";
      const SsrcCounters stream = call.read(0).sources[0].ingress[0];
      EXPECT_EQ(stream.lost(), 0u) << "all of them arrived";
      call.talk(20);
      EXPECT_EQ(call.stale(), static_cast<std::uint32_t>(packets) - 10) << "and nothing afterwards";
      EXPECT_LT(call.read(0).sources[0].ingress[0].jitter(), 5ms) << "what waited is no jitter";
    }
  }
}

TEST(TransportPause, EXP1_CopiesOfWhatWaitedAreNoMissingSpeech) {
  Pausing call(false);
  call.talk(50);
  std::vector<std::pair<Endpoint, Packet>> twice;
  for (const auto& each : call.what_a_says(60)) twice.insert(twice.end(), 2, each);
  call.heard_after(2s, twice);
  const RecentDrops drops = call.read(0).recent_drops;
  const std::uint32_t all = drops.of(DropSide::kArriving, DropReason::kStaleAfterPause);
  EXPECT_EQ(all, call.stale());
  EXPECT_GT(all, 60u);
  EXPECT_EQ(2 * drops.of(DropSide::kArriving, DropReason::kStaleAfterPause, DropTrait::kCopy), all);
}

TEST(TransportPause, C13_SocketsThatOverflowedHoldOnlyOldSound) {
  Pausing call;
  call.talk(50);
  EXPECT_EQ(call.heard_after(30s, call.what_a_says(200)), 0u) << "the first four seconds of thirty";
  EXPECT_EQ(call.stale(), 200u);
}

TEST(TransportPause, C13_WhereNothingWaitedThePartyIsHeardAtOnce) {
  for (const bool has_stopped_too : {false, true}) {
    Pausing call;
    call.talk(50);
    EXPECT_EQ(call.heard_after(3s, {}), 0u);
    if (!has_stopped_too) static_cast<void>(call.what_a_says(150));  // lost
    const std::size_t before = call.sent.size();
    call.talk(10);
    EXPECT_EQ(call.sent.size() - before, 10u);
  }
}

TEST(TransportPause, C13_AStreamOfUnknownAgeWaitsUntilAllIsTakenIn) {
  Pausing call;
  TransportPlan plan = call.plan(0);
  plan.sources[0].payloads.clear();  // signalling names no types, so nobody knows the clock
  call.update(0, plan);
  call.talk(50);
  EXPECT_EQ(call.heard_after(5s, call.what_a_says(250)), 0u);
  const std::size_t before = call.sent.size();
  call.talk(10);
  EXPECT_EQ(call.sent.size() - before, 10u);
}

TEST(TransportPause, C13_KeyPressesAreHeardLate) {
  Pausing call;
  TransportPlan plan = call.plan(0);
  plan.sources[0].payloads.push_back({PayloadType{101}, G711Law::kNone, 0, true, 8000});
  call.update(0, plan);
  call.talk(50);
  auto waited = call.what_a_says(20);
  for (auto& [from, packet] : waited) packet[1] = std::byte{101};
  EXPECT_EQ(call.heard_after(5s, waited), 20u);
}

TEST(TransportPause, C13_ReportsAndFaxesAreNoSound) {
  Pausing call;
  call.talk(5);
  call.pass(5s);
  call.worker().after_pause(5s);
  const std::size_t before = call.sent.size();
  call.arrives(host(10, 4001), 0, test::sender_report(1, 1), true);
  EXPECT_EQ(call.sent.size() - before, 1u);
  TransportPlan fax = call.plan(0);
  fax.kind = TransportKind::kUdptl;
  call.update(0, fax);
  call.pass(5s);
  call.worker().after_pause(5s);
  call.arrives(host(10), 0, test::udptl_packet());
  EXPECT_EQ(call.sent.size() - before, 2u);
}

TEST(TransportPause, C13_WhatWaitedSaysThatThePartyIsThere) {
  for (const bool is_protected : {false, true}) {
    Pausing call(is_protected);
    call.talk(5);
    const Instant before = call.read(0).last_packet[0];
    EXPECT_EQ(call.heard_after(90s, call.what_a_says(10)), 0u);
    EXPECT_GE(call.read(0).last_packet[0], before + 90s) << "though all of it was too old to be heard";
  }
}

TEST(TransportPause, LAT8_APauseIsNoSilenceOfThePort) {
  // T-08: somebody behind the same address imitates the stream, and was first in the queue.
  for (const bool is_protected : {false, true}) {
    Pausing call(is_protected);
    call.talk(50);
    auto waited = call.what_a_says(20);
    waited.insert(waited.begin(), {host(10, 4444), waited.front().second});
    static_cast<void>(call.heard_after(20 * 20ms + 2s, waited));
    EXPECT_EQ(call.read(0).latch[0].peer, host(10));
    EXPECT_EQ(call.stale(), 20u) << "and its index was not used up";
  }
}

TEST(TransportPause, LAT3a_APauseIsNoTimeInWhichNobodyElseCame) {
  Pausing call;
  TransportPlan plan = call.plan(0);
  plan.rtp_latch.signalled_void = true;
  ++plan.learning_epoch;
  call.update(0, plan);
  const Endpoint one = host(66);
  call.arrives(one, 0, call.next());
  auto waited = call.what_a_says(20);
  for (auto& [from, packet] : waited) from = one;
  waited.emplace_back(host(67), rtp('X', 5, 1));
  EXPECT_EQ(call.heard_after(5s, waited), 0u);
  EXPECT_TRUE(call.read(0).latch[0].contested) << "the second source waited too";
}

TEST(TransportPause, LAT6_TheThreeSecondsOfABetterRankGoOn) {
  for (const Duration pause : {Duration{0}, Duration{60s}}) {
    Pausing call(true);
    call.arrives(host(99), 0, call.next());
    call.pass(pause);
    if (pause > 0s) call.worker().after_pause(pause);
    call.pass(2s);
    call.arrives(host(10), 0, call.next());
    EXPECT_EQ(call.read(0).latch[0].peer, host(10));
  }
}

TEST(TransportPause, PRT2_ABarredSourceStaysBarred) {
  Pausing call;
  call.talk(5);
  TransportPlan moved = call.plan(0);
  moved.rtp_latch.signalled = host(10, 4100);
  ++moved.learning_epoch;
  call.update(0, moved);
  static_cast<void>(call.heard_after(30s, call.what_a_says(5)));
  EXPECT_EQ(call.read(0).drops[DropReason::kBarredSource], 5u);
}

TEST(TransportPause, SRT6_TheFormerKeyHasItsTwoSeconds) {
  Pausing call(true);
  call.talk(5);
  const auto waited = call.what_a_says(5);
  std::mt19937 random(9);
  call.set_keys(0, {test::random_key(random, SrtpSuite::kAes128Cm80),
                    test::random_key(random, SrtpSuite::kAes128Cm80)});
  call.update(0, call.plan(0));
  static_cast<void>(call.heard_after(30s, waited));
  EXPECT_EQ(call.stale(), 5u) << "known by their key, but too old to be heard";
}

TEST(TransportPause, SSR1_APauseMakesNoSsrcIdle) {
  Pausing call;
  call.talk(2);
  for (std::uint32_t ssrc = 2; ssrc <= 8; ++ssrc) {
    call.pass(300ms);
    call.arrives(host(10), 0, rtp('A', ssrc, 1));
    call.arrives(host(10), 0, rtp('A', ssrc, 2));
  }
  for (std::uint32_t ssrc = 1; ssrc <= 8; ++ssrc)
    call.arrives(host(10), 0, rtp('A', ssrc, ssrc == 1 ? 102 : 3));
  ASSERT_EQ(call.read(0).sources[0].ingress.size(), 8u);
  call.pass(5s);
  call.worker().after_pause(5s);
  // What waited is looked at; then one more begins, before those of now have said anything again.
  call.worker().run_until_idle();
  call.arrives(host(10), 0, rtp('A', 9, 1));
  call.arrives(host(10), 0, rtp('A', 9, 2));
  EXPECT_EQ(call.read(0).drops[DropReason::kSsrcNotAdmitted], 1u);
}

}  // namespace
}  // namespace ferry
