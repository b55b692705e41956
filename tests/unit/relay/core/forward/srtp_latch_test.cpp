// SPDX-License-Identifier: Apache-2.0
// LAT-10 and LAT-8b: whose protected packets say where a party is. A stranger without a key can only send
// copies, and they must neither keep nor take what the other side sends, nor use up the party's indices.

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

/// Where a source of this rank is, for a party that signalled host 10, port 4000, from host 12.
Endpoint source_of_rank(int rank, std::uint16_t port = 0) {
  switch (rank) {
    case 4:
      return host(10);
    case 3:
      return host(10, static_cast<std::uint16_t>(5000 + port));
    case 2:
      return host(12, static_cast<std::uint16_t>(5000 + port));
    default:
      return host(99, static_cast<std::uint16_t>(5000 + port));
  }
}

/// A is protected, B is plain; what B sends shows where A is thought to be.
class Copies {
 public:
  explicit Copies(SrtpSuite suite = SrtpSuite::kAes128Cm80, std::string_view backend = "openssl")
      : random_(7),
        call_(SrtpKeys{test::random_key(random_, suite), test::random_key(random_, suite)}, std::nullopt,
              backend) {
    TransportPlan plan = call_.plan(0);
    plan.rtp_latch.signalling_source = plan.rtcp_latch.signalling_source = host(12).address;
    call_.update(0, plan);
    plan_ = plan;
  }
  /// The next packet of A as it is on the wire.
  Packet next() { return call_.end(0).sealed(rtp('A', 1, sequence_++)); }
  Packet report() { return call_.end(0).sealed(test::sender_report(1, 1), true); }
  /// Whether side 0 took the packet.
  bool takes(const Endpoint& from, const Packet& packet, bool rtcp = false) {
    const std::size_t before = call_.sent.size();
    call_.arrives(from, 0, packet, rtcp);
    return call_.sent.size() != before;
  }
  /// Where what B sends goes.
  Endpoint heard_at() {
    const std::size_t before = call_.sent.size();
    call_.arrives(host(21), 1, rtp('B', 2, from_b_++));
    return call_.sent.size() == before ? Endpoint{} : call_.sent.back().to;
  }
  Endpoint rtcp_heard_at() {
    const std::size_t before = call_.sent.size();
    call_.arrives(host(21, 4001), 1, test::sender_report(2, 1), true);
    return call_.sent.size() == before ? Endpoint{} : call_.sent.back().to;
  }
  void sign_again(const Endpoint& signalled) {
    plan_.rtp_latch.signalled = signalled;
    ++plan_.learning_epoch;
    call_.update(0, plan_);
  }
  SrtpCall& call() { return call_; }
  void pass(Duration time) { call_.pass(time); }

 private:
  std::mt19937 random_;
  SrtpCall call_;
  TransportPlan plan_;
  std::uint16_t sequence_ = 65'500;
  std::uint16_t from_b_ = 1;
};

TEST(SrtpLatch, LAT10_CopiesSentFirstInEveryPairOfRanks) {
  for (int stranger = 1; stranger <= 4; ++stranger) {
    for (int party = 1; party <= 4; ++party) {
      const Endpoint x = source_of_rank(stranger, 1);
      const Endpoint a = source_of_rank(party, 2);
      if (x == a) continue;
      Copies copies;
      for (int n = 0; n < 100; ++n) {
        const Packet packet = copies.next();
        EXPECT_EQ(copies.takes(x, packet), n == 0 || copies.heard_at() == x);
        copies.takes(a, packet);
        // The tag of a replay was verified: it counts against a lock of rank 1, and against no other.
        const bool wins = stranger == 1 && party > 1;
        ASSERT_EQ(copies.heard_at(), wins ? a : x) << stranger << " before " << party << ", packet " << n;
        copies.pass(20ms);
      }
    }
  }
}

TEST(SrtpLatch, LAT10_ANewIndexOfABetterRankReplacesForThreeSeconds) {
  for (int first = 1; first <= 4; ++first) {
    for (int second = 1; second <= 4; ++second) {
      for (const Duration after : {0ms, 2900ms, 3100ms}) {
        const Endpoint one = source_of_rank(first, 1);
        const Endpoint other = source_of_rank(second, 2);
        if (one == other) continue;
        Copies copies;
        ASSERT_TRUE(copies.takes(one, copies.next()));
        for (Duration time{0}; time < after; time += 100ms) {
          copies.pass(100ms);
          ASSERT_TRUE(copies.takes(one, copies.next()));
        }
        const bool wins = second > first && after < 3s;
        EXPECT_EQ(copies.takes(other, copies.next()), wins) << first << " then " << second;
        EXPECT_EQ(copies.heard_at(), wins ? other : one) << first << " then " << second;
      }
    }
  }
}

TEST(SrtpLatch, LAT10_AReplayCountsInEverySuiteAndBackEndAndInABatch) {
  for (const std::string_view backend : srtp_backend_names()) {
    for (const SrtpSuiteRow& row : kUsableSrtpSuites) {
      for (const bool at_once : {false, true}) {
        Copies copies(row.suite, backend);
        const Packet packet = copies.next();
        if (at_once)
          copies.call().arrive_at_once({{host(99), packet}, {host(10), packet}});
        else
          EXPECT_TRUE(copies.takes(host(99), packet) && !copies.takes(host(10), packet));
        const std::string what = std::string(backend) + ", " + std::string(row.name);
        EXPECT_EQ(copies.heard_at(), host(10)) << what << (at_once ? ", at once" : "");
        EXPECT_TRUE(copies.takes(host(10), copies.next())) << what;
      }
    }
  }
}

TEST(SrtpLatch, LAT10_CopiesForEverFromManySourcesTakeNothing) {
  Copies copies;
  std::size_t to_strangers = 0;
  for (int n = 0; n < 400; ++n) {
    const Packet packet = copies.next();
    for (std::uint16_t x = 0; x < 50; ++x)
      copies.takes({host(99).address, UdpPort{static_cast<std::uint16_t>(1024 + (n * 50 + x) % 30'000)}},
                   packet);
    copies.takes(host(10), packet);
    to_strangers += copies.heard_at() != host(10);
    copies.pass(20ms);
  }
  EXPECT_EQ(to_strangers, 0u);
  EXPECT_EQ(copies.call().read(0).counters[0].packets_in, 400u) << "every packet of A once";
}

TEST(SrtpLatch, LAT10_WhoCannotBecomeThePeerUsesUpNoIndex) {
  // Copies that overtake A's packets after A is locked: from the same address, the signalling one, elsewhere.
  for (int rank = 1; rank <= 3; ++rank) {
    for (const Duration locked_for : {Duration{0}, Duration{10s}}) {
      Copies copies;
      ASSERT_TRUE(copies.takes(host(10), copies.next()));
      for (Duration time{0}; time < locked_for; time += 400ms) {
        copies.pass(400ms);
        ASSERT_TRUE(copies.takes(host(10), copies.next()));
      }
      for (int n = 0; n < 20; ++n) {
        const Packet packet = copies.next();
        EXPECT_FALSE(copies.takes(source_of_rank(rank, 1), packet));
        EXPECT_TRUE(copies.takes(host(10), packet)) << "rank " << rank << ", packet " << n;
        EXPECT_EQ(copies.heard_at(), host(10));
        copies.pass(20ms);
      }
    }
  }
}

TEST(SrtpLatch, LAT10_WithoutTheKeyNobodyIsLearned) {
  std::mt19937 random(3);
  test::SrtpEnd forger(SrtpKeys{test::random_key(random, SrtpSuite::kAes128Cm80),
                                test::random_key(random, SrtpSuite::kAes128Cm80)});
  Copies copies;
  const Packet first = copies.next();
  ASSERT_TRUE(copies.takes(host(99), first));
  Packet flipped = first;
  flipped.back() ^= std::byte{1};
  for (int rank = 2; rank <= 4; ++rank) {
    EXPECT_FALSE(copies.takes(source_of_rank(rank), flipped)) << "a replay with a wrong tag";
    const Packet forged = forger.sealed(rtp('X', 1, static_cast<std::uint16_t>(65'500 + rank)));
    EXPECT_FALSE(copies.takes(source_of_rank(rank), forged));
    EXPECT_EQ(copies.heard_at(), host(99));
  }
}

TEST(SrtpLatch, LAT8_APartyThatMovesIsFollowedAfterHalfASecondByANewIndex) {
  for (int rank = 1; rank <= 3; ++rank) {
    Copies copies;
    for (int n = 0; n < 250; ++n) {
      ASSERT_TRUE(copies.takes(host(10), copies.next()));
      copies.pass(20ms);
    }
    const Endpoint moved = source_of_rank(rank, 7);
    const Packet lost = copies.next();
    copies.pass(300ms);
    const Packet early = copies.next();
    EXPECT_FALSE(copies.takes(moved, early)) << "not silent for long enough";
    EXPECT_TRUE(copies.takes(host(10), early)) << "and its index is not used up";
    copies.pass(600ms);
    EXPECT_FALSE(copies.takes(moved, lost)) << "below the highest index: a copy of what was lost";
    EXPECT_FALSE(copies.takes(moved, early)) << "a replay";
    EXPECT_EQ(copies.heard_at(), host(10));
    EXPECT_TRUE(copies.takes(moved, copies.next())) << "rank " << rank;
    EXPECT_EQ(copies.heard_at(), moved);
  }
}

TEST(SrtpLatch, LAT8_AStrangersCopyInAPauseOfThePartyKeepsNothing) {
  Copies copies;
  ASSERT_TRUE(copies.takes(host(10), copies.next()));
  copies.pass(10s);  // a mute phone without comfort noise
  const Packet packet = copies.next();
  copies.takes(host(99), packet);
  EXPECT_FALSE(copies.takes(host(10), packet));
  EXPECT_EQ(copies.heard_at(), host(10));
}

TEST(SrtpLatch, LAT10_ARecordedStreamLocksNothingAfterAnOfferWithTheSameKey) {
  Copies copies;
  std::vector<Packet> recorded;
  for (int n = 0; n < 50; ++n) {
    recorded.push_back(copies.next());
    ASSERT_TRUE(copies.takes(host(10), recorded.back()));
  }
  copies.sign_again(host(11));
  for (const Packet& packet : recorded) EXPECT_FALSE(copies.takes(host(99), packet));
  const Packet late = copies.next();
  EXPECT_FALSE(copies.takes(host(10), late)) << "T-07: from the address before";
  EXPECT_TRUE(copies.takes(host(11), copies.next()));
  EXPECT_EQ(copies.heard_at(), host(11));
}

TEST(SrtpLatch, LAT10_CopiesSentFirstAroundAnOfferWithTheSameKey) {
  Copies copies;
  ASSERT_TRUE(copies.takes(host(10), copies.next()));
  for (std::uint8_t round = 0; round < 20; ++round) {
    const Endpoint a = host(10, static_cast<std::uint16_t>(4002 + round));
    copies.sign_again(a);
    const Packet packet = copies.next();
    EXPECT_TRUE(copies.takes(host(99), packet));
    EXPECT_FALSE(copies.takes(a, packet));
    EXPECT_EQ(copies.heard_at(), a) << "round " << int{round};
    copies.pass(2s);
  }
}

TEST(SrtpLatch, LAT9_ReportsGoWhereTheMediaGoes) {
  // A copy of the first report locks the RTCP port before any media came.
  {
    Copies copies;
    const Packet report = copies.report();
    EXPECT_TRUE(copies.takes(host(99, 5001), report, true));
    EXPECT_EQ(copies.rtcp_heard_at(), host(99, 5001)) << "nobody else is known";
    EXPECT_FALSE(copies.takes(host(10, 4001), report, true));
    EXPECT_EQ(copies.rtcp_heard_at(), host(10, 4001)) << "its replay of rank 4 counts";
  }
  {
    Copies copies;
    EXPECT_TRUE(copies.takes(host(99, 5001), copies.report(), true));
    EXPECT_TRUE(copies.takes(host(10), copies.next()));
    EXPECT_EQ(copies.rtcp_heard_at(), host(10, 4001)) << "media says where the party is";
  }
  {
    Copies copies;
    EXPECT_TRUE(copies.takes(host(10), copies.next()));
    const Packet report = copies.report();
    EXPECT_FALSE(copies.takes(host(99, 5001), report, true)) << "not at the media's address";
    EXPECT_TRUE(copies.takes(host(10, 4001), report, true)) << "and its index is not used up";
  }
}

TEST(SrtpLatch, LAT10_ReportsOnTheMediaPortMoveNothing) {
  Copies copies;
  TransportPlan plan = copies.call().plan(0);
  plan.rtcp_mux = plan.send_rtcp_muxed = true;
  copies.call().update(0, plan);
  const Packet report = copies.report();
  copies.takes(host(99), report);
  EXPECT_EQ(copies.call().read(0).latch[0].state, Latch::State::kLearning);
  ASSERT_TRUE(copies.takes(host(10), copies.next()));
  copies.pass(1s);
  copies.takes(host(99), copies.report());
  EXPECT_EQ(copies.heard_at(), host(10));
}

TEST(SrtpLatch, LAT11_AForbiddenSourceUsesUpNoIndex) {
  Copies copies;
  const Packet packet = copies.next();
  EXPECT_FALSE(copies.takes({host(99).address, UdpPort{53}}, packet));
  EXPECT_TRUE(copies.takes(host(10), packet));
}

TEST(SrtpLatch, SRT4_NothingProtectedGoesBelowWhoeverIsLocked) {
  Copies copies;
  for (int n = 0; n < 50; ++n) {
    const Packet packet = copies.next();
    copies.takes(host(99), packet);
    copies.takes(host(10), packet);
    copies.heard_at();
    copies.pass(20ms);
  }
  EXPECT_EQ(copies.call().flows(), 0u);
}

}  // namespace
}  // namespace ferry
