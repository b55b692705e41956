// SPDX-License-Identifier: Apache-2.0
// Protected transports in the worker: every combination of two sides, with independent ends, and the attack
// rows.

#include "tests/support/srtp_call.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;
using End = test::SrtpEnd;
using Keys = test::SrtpKeys;
using test::host;
using test::Packet;
using test::random_key;
using test::rtp;
using test::SrtpCall;

std::vector<std::optional<SrtpSuite>> all_sides() {
  std::vector<std::optional<SrtpSuite>> sides = {std::nullopt};
  for (const SrtpSuiteRow& row : kUsableSrtpSuites) sides.emplace_back(row.suite);
  return sides;
}

std::optional<Keys> keys_for(std::mt19937& random, std::optional<SrtpSuite> suite) {
  if (!suite) return std::nullopt;
  return Keys{random_key(random, *suite), random_key(random, *suite)};
}
Keys cm80(std::mt19937& random) { return *keys_for(random, SrtpSuite::kAes128Cm80); }

TEST(SrtpWorker, EveryCombinationOfTwoSidesBothWaysRtpAndRtcp) {
  std::mt19937 random(5);
  for (const auto a : all_sides()) {
    for (const auto b : all_sides()) {
      SrtpCall call(keys_for(random, a), keys_for(random, b));
      const std::string what =
          std::string(a ? row_of(*a).name : "plain") + " and " + std::string(b ? row_of(*b).name : "plain");
      for (std::uint16_t n = 0; n < 30; ++n) {
        call.pass(20ms);
        const auto sequence = static_cast<std::uint16_t>(65'520 + n);
        for (const std::uint32_t side : {0u, 1u}) {
          const Packet packet = rtp(side == 0 ? 'A' : 'B', side + 1, sequence);
          ASSERT_EQ(call.across(side, packet), packet) << what << " packet " << n << " from " << side;
        }
      }
      for (const std::uint32_t side : {0u, 1u}) {
        const Packet report = test::sender_report(side + 1, 1);
        ASSERT_EQ(call.across(side, report, true), report) << what << " RTCP from " << side;
        EXPECT_EQ(call.read(side).counters[0].packets_in, 30u) << what;
      }
      EXPECT_EQ(call.flows(), a || b ? 0u : 2u) << what << ": SRT-4, nothing with keys goes below";
    }
  }
}

TEST(SrtpWorker, SRT4_BatchesAreOpenedAndSealedLikeOneByOne) {
  for (const std::string_view backend : srtp_backend_names()) {
    std::mt19937 random(8);
    for (const auto a : all_sides()) {
      for (const auto b : {std::optional<SrtpSuite>(), std::optional(SrtpSuite::kAes128Cm80),
                           std::optional(SrtpSuite::kAeadAes256Gcm), std::optional(SrtpSuite::kAes192Cm32)}) {
        SrtpCall call(keys_for(random, a), keys_for(random, b), backend);
        std::set<Packet> wanted;
        std::uint16_t sequence = 65'400;
        for (int burst = 0; burst < 8; ++burst) {
          std::vector<Packet> wire;
          for (int n = 0; n < 30; ++n) {
            const Packet packet = rtp('A', 1, sequence++, 8, random() % 1000);
            wire.push_back(a ? call.end(0).sealed(packet) : packet);
            wanted.insert(packet);
            if (a && n % 7 == 0) wire.push_back(wire.back());  // there twice
            if (a && n % 5 == 0 && packet.size() > 40) {
              wire.push_back(wire.back());
              wire.back()[30] ^= std::byte{1};
              std::swap(wire.back(), wire[wire.size() - 2]);  // the forged one comes first
            }
          }
          if (a) std::shuffle(wire.begin() + 1, wire.begin() + 9, random);
          call.arrive_at_once(wire);
          call.pass(20ms * 30);
        }
        const std::string what = std::string(backend) + ": " + std::string(a ? row_of(*a).name : "plain") +
                                 " and " + std::string(b ? row_of(*b).name : "plain");
        for (const SimDatagram& each : call.sent) {
          const Packet got = b ? call.end(1).opened(each.payload) : each.payload;
          EXPECT_EQ(wanted.erase(got), 1u) << what;
        }
        ASSERT_TRUE(wanted.empty()) << what << ": " << wanted.size() << " of 240 lost";
      }
    }
  }
}

TEST(SrtpWorker, S01_ReplaysAreDroppedAndCounted) {
  std::mt19937 random(6);
  SrtpCall call(cm80(random), std::nullopt);
  std::vector<Packet> wire;
  for (std::uint16_t n = 0; n < 50; ++n) {
    wire.push_back(call.end(0).sealed(rtp('A', 1, n)));
    call.arrives(host(10), 0, wire.back());
  }
  EXPECT_EQ(call.sent.size(), 50u);
  for (std::size_t n = 30; n < 50; ++n) call.arrives(host(10), 0, wire[n]);
  for (int i = 0; i < 20; ++i) call.arrives(host(10), 0, wire[40]);
  call.update(0, call.plan(0));  // S-02: a re-offer with the same key
  for (const Packet& packet : wire) call.arrives(host(10), 0, packet);
  EXPECT_EQ(call.sent.size(), 50u);
  EXPECT_EQ(call.read(0).drops[DropReason::kReplayed], 90u);
}

TEST(SrtpWorker, S03_AFlippedBitPassesNothingAndChangesNothing) {
  std::mt19937 random(7);
  SrtpCall call(cm80(random), std::nullopt);
  call.across(0, rtp('A', 1, 1));
  const Packet good = call.end(0).sealed(rtp('A', 1, 2));
  auto before = call.read(0);
  for (std::size_t bit = 8; bit < good.size() * 8; bit += 5) {
    Packet bad = good;
    bad[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    call.arrives(host(10), 0, bad);
  }
  EXPECT_EQ(call.sent.size(), 1u);
  auto after = call.read(0);
  EXPECT_GT(after.drops[DropReason::kNotAuthentic], 200u);
  after.drops = before.drops;
  ASSERT_TRUE(after.evidence && after.evidence->find(DropReason::kNotAuthentic) != nullptr);
  after.evidence = before.evidence;
  after.recent_drops = before.recent_drops;
  for (auto* each : {&before, &after}) each->counters[0].errors_in = 0;
  EXPECT_EQ(after, before) << "but for what is counted and kept for explanations";
  call.arrives(host(10), 0, good);
  EXPECT_EQ(call.sent.size(), 2u);
}

TEST(SrtpWorker, LAT10_TheFirstPacketThatAuthenticatesLocksAndNoOther) {
  std::mt19937 random(8);
  SrtpCall call(cm80(random), std::nullopt);
  // X is first, also from A's own address, with another key and without any.
  End stranger(cm80(random));
  for (std::uint16_t n = 0; n < 20; ++n) {
    call.arrives(host(66), 0, stranger.sealed(rtp('X', 9, n)));
    call.arrives(host(66), 0, rtp('X', 9, n));
    call.arrives(host(10), 0, rtp('X', 9, n));
  }
  EXPECT_TRUE(call.sent.empty());
  EXPECT_EQ(call.read(0).latch[0].state, Latch::State::kLearning);
  // A comes from a port that nobody signalled: the key is proof enough.
  call.arrives(host(10, 5555), 0, call.end(0).sealed(rtp('A', 1, 1)));
  EXPECT_EQ(call.sent.size(), 1u);
  EXPECT_EQ(call.read(0).latch[0].peer, host(10, 5555));
  for (std::uint16_t n = 0; n < 20; ++n) call.arrives(host(66), 0, stranger.sealed(rtp('X', 1, n)));
  EXPECT_EQ(call.sent.size(), 1u);
}

TEST(SrtpWorker, SRT11_WithoutKeysNothingPassesEitherWay) {
  std::mt19937 random(9);
  SrtpCall call(std::nullopt, std::nullopt);
  auto keyless = call.plan(1);
  keyless.srtp = std::make_shared<SrtpPlan>();  // row S-10
  call.update(1, keyless);
  for (std::uint16_t n = 0; n < 10; ++n) {
    call.arrives(host(10), 0, rtp('A', 1, n));
    call.arrives(host(21), 1, rtp('B', 2, n));
  }
  EXPECT_TRUE(call.sent.empty());
  EXPECT_EQ(call.read(1).drops[DropReason::kNoKey], 20u);
}

TEST(SrtpWorker, SRT6_ANewKeyTakesOverAndTheOldOneRunsOut) {
  std::mt19937 random(10);
  SrtpCall call(cm80(random), std::nullopt);
  for (std::uint16_t n = 0; n < 5; ++n) ASSERT_FALSE(call.across(0, rtp('A', 1, n)).empty());
  const Packet on_the_way = call.end(0).sealed(rtp('A', 1, 5));
  const Packet too_late = call.end(0).sealed(rtp('A', 1, 6));
  call.set_keys(0, cm80(random));
  call.update(0, call.plan(0));
  EXPECT_FALSE(call.across(0, rtp('A', 1, 7)).empty()) << "by the new key";
  call.arrives(host(10), 0, on_the_way);
  EXPECT_EQ(call.sent.size(), 7u) << "by the old one, for two seconds";
  call.pass(2100ms);
  call.arrives(host(10), 0, too_late);
  EXPECT_EQ(call.sent.size(), 7u);
}

TEST(SrtpWorker, SRT9_AKeyThatComesBackGoesOnWithItsIndices) {
  std::mt19937 random(13);
  const Keys first = cm80(random);
  const Keys second = cm80(random);
  SrtpCall call(std::nullopt, first);
  Packet wire;
  for (int round = 0; round < 3; ++round) {
    for (const Keys& keys : {first, second}) {
      call.set_keys(1, keys);
      call.update(1, call.plan(1));
      call.pass(3s);
      call.arrives(host(10, 4001), 0, test::sender_report(1, 1), true);
      const Packet& report = call.sent.back().payload;
      const std::uint32_t index = read_u32(report, report.size() - 14) & 0x7fffffff;
      EXPECT_EQ(index, static_cast<std::uint32_t>(round));
    }
    // Under the first key, B sends one packet; when the key is back, nobody can send it again.
    call.set_keys(1, first);
    call.update(1, call.plan(1));
    const std::size_t before = call.sent.size();
    if (round == 0) wire = call.end(1).sealed(rtp('B', 2, 77));
    call.arrives(host(21), 1, wire);
    EXPECT_EQ(call.sent.size() - before, round == 0 ? 1u : 0u) << "round " << round;
  }
}

TEST(SrtpWorker, SRT6_PlainForAWhileForgetsNoReplayList) {
  std::mt19937 random(14);
  const Keys keys = cm80(random);
  SrtpCall call(keys, std::nullopt);
  const Packet wire = call.end(0).sealed(rtp('A', 1, 5));
  call.arrives(host(10), 0, wire);
  EXPECT_EQ(call.sent.size(), 1u);
  TransportPlan plain = call.plan(0);
  plain.srtp.reset();
  call.update(0, plain);
  call.arrives(host(10), 0, rtp('A', 1, 6));
  EXPECT_EQ(call.sent.size(), 2u);
  call.pass(3s);
  call.update(0, call.plan(0));
  call.arrives(host(10), 0, wire);
  EXPECT_EQ(call.sent.size(), 2u);
  EXPECT_EQ(call.across(0, rtp('A', 1, 7)), rtp('A', 1, 7));
}

TEST(SrtpWorker, S08_OneKeyOnBothLegsIsCheckedAllTheSame) {
  std::mt19937 random(11);
  const Keys keys = cm80(random);
  SrtpCall call(keys, Keys{keys.from_relay, keys.to_relay});
  ASSERT_FALSE(call.across(0, rtp('A', 1, 1)).empty());
  Packet garbage = call.end(0).sealed(rtp('A', 1, 2));
  garbage[100] ^= std::byte{1};
  call.arrives(host(10), 0, garbage);
  EXPECT_EQ(call.sent.size(), 1u) << "SRT-10";
}

TEST(SrtpWorker, SRT11_AProtectedTransportOfAnotherKindCarriesNothing) {
  for (const TransportKind kind : {TransportKind::kUdptl, TransportKind::kOpaque, TransportKind::kBfcp}) {
    std::mt19937 random(13);
    SrtpCall call(cm80(random), std::nullopt);
    ASSERT_FALSE(call.across(0, rtp('A', 1, 1)).empty());
    ASSERT_FALSE(call.across(1, rtp('B', 2, 1)).empty());
    TransportPlan plan = call.plan(0);
    plan.kind = kind;
    plan.takes_rtp = true;
    call.update(0, plan);
    call.sent.clear();
    call.arrives(host(21), 1, rtp('B', 2, 2));
    EXPECT_TRUE(call.sent.empty()) << "nothing leaves in the clear";
    call.arrives(host(10), 0, rtp('A', 1, 2));
    call.arrives(host(10), 0, Packet{std::byte{0}, std::byte{1}, std::byte{1}, std::byte{0}, std::byte{0}});
    EXPECT_TRUE(call.sent.empty()) << "nothing is taken that nobody can authenticate";
    EXPECT_GE(call.read(0).drops[DropReason::kNoKey], 2u);
  }
}

TEST(SrtpWorker, S12_NoIndexLeavesTwiceUnderOneKey) {
  std::mt19937 random(12);
  SrtpCall call(std::nullopt, cm80(random));
  std::uint16_t sequence = 65'000;
  for (unsigned n = 0; n < 2000; ++n) {
    if (n % 400 == 0) call.update(1, call.plan(1));
    const auto jump = static_cast<std::uint16_t>(random() % 10 == 0 ? random() % 60 : 0);
    call.arrives(host(10), 0, rtp('A', 1, static_cast<std::uint16_t>(sequence - jump)));
    if (jump == 0) ++sequence;
  }
  std::set<Packet>
      heads;  // SSRC and sequence number; the wrap makes a new roll-over counter, 2,000 packets one at most
  std::size_t repeated = 0;
  for (const SimDatagram& each : call.sent) {
    if (each.to == host(21))
      repeated += heads.insert(Packet(each.payload.begin(), each.payload.begin() + 4)).second ? 0 : 1;
  }
  EXPECT_GT(heads.size(), 1000u);
  EXPECT_EQ(repeated, 0u);
}

}  // namespace
}  // namespace ferry
