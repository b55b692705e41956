// SPDX-License-Identifier: Apache-2.0
// LAT-15 between two latches: who judges a packet, and which of them stays after the answer.

#include "relay/core/latch/proposed_latch.hpp"

#include <gtest/gtest.h>

namespace ferry::proposed_latch_test {
namespace {

using namespace std::chrono_literals;
using Decision = Latch::Judgement::Decision;

constexpr Instant kStart{1h};
Endpoint at(std::uint8_t host, std::uint16_t port) {
  return {IpAddress::v4({192, 0, 2, host}), UdpPort{port}};
}

class ProposedLatch : public ::testing::Test {
 protected:
  void begin(const LatchConfig& agreed, const Endpoint& proposed) {
    agreed_.restart(agreed, kStart);
    offered_ = agreed;
    offered_.signalled = proposed;
    offered_.signalled_void = false;
    offered_.is_proposed = true;
    proposed_.restart(offered_, kStart);
  }
  SourceJudgement packet(const Endpoint& from, std::uint16_t sequence, Duration after) {
    return judge_source(agreed_, &proposed_, from, [&](Latch& latch) {
      return latch.on_rtp(from, Ssrc{from.port.value}, SeqNo{sequence}, kStart + after, own_);
    });
  }
  bool settles_anew() {
    LatchConfig answered = offered_;
    answered.is_proposed = false;
    return settle(agreed_, &proposed_, answered, kStart + 1s);
  }

  Latch agreed_;
  Latch proposed_;
  LatchConfig offered_;
  OwnMedia own_{{}};
};

TEST_F(ProposedLatch, LAT15_WhoIsForeignToOneMayBeTheOthersSource) {
  struct Row {
    const char* what;
    Endpoint agreed;
    IpAddress signalled_by;
    Endpoint from;  // after the proposed source at 192.0.2.20:4000 and the agreed one were heard
    bool passes;
  };
  for (const Row& row : {
           Row{"the agreed party, whose NAT has the proposed address", at(10, 4000), at(20, 0).address,
               at(20, 5000), true},
           Row{"a neighbour of the proposed party", at(10, 4000), {}, at(20, 5000), false},
           Row{"the agreed party at another port of the proposed host", at(20, 6000), {}, at(20, 5000), true},
           Row{"nobody's", at(10, 4000), {}, at(30, 5000), false},
       }) {
    LatchConfig config;
    config.signalled = row.agreed;
    config.signalling_source = row.signalled_by;
    begin(config, at(20, 4000));
    EXPECT_TRUE(packet(at(20, 4000), 1, 0ms).is_proposed) << row.what;
    packet(row.from, 1, 20ms);
    const SourceJudgement last = packet(row.from, 2, 40ms);
    EXPECT_EQ(last.judgement.decision == Decision::kRelease, row.passes) << row.what;
    EXPECT_EQ(proposed_.learned(), at(20, 4000)) << row.what;
  }
}

TEST_F(ProposedLatch, LAT3a_NobodyIsTheOnlySourceBesideAProposedOne) {
  for (const bool is_void : {false, true}) {
    LatchConfig config;
    config.policy = is_void ? LatchPolicy::kSignalled : LatchPolicy::kUncontested;
    config.signalled = at(10, 4000);
    config.signalled_void = is_void;
    begin(config, at(20, 4000));
    const Endpoint stranger = at(66, 6000);
    for (std::uint16_t n = 0; n < 60; ++n) {
      EXPECT_EQ(packet(stranger, n, n * 20ms).judgement.decision, Decision::kReject) << n;
      if (n % 10 == 0) {
        EXPECT_EQ(packet(at(20, 4000), n, n * 20ms + 1ms).judgement.decision, Decision::kAccept);
      }
    }
    EXPECT_FALSE(agreed_.contested()) << "the offer may be refused, and the only source is heard then";
    for (std::uint16_t n = 60; n < 100; ++n) packet(stranger, n, n * 20ms);
    EXPECT_FALSE(agreed_.learned().is_set());
    for (std::uint16_t n = 100; n < 110; ++n) packet(stranger, n, n * 20ms);
    EXPECT_EQ(agreed_.learned(), stranger) << "alone for a second";
  }
}

TEST_F(ProposedLatch, LAT15_WhatWasProposedAndHeardTakesTheAgreedPlace) {
  LatchConfig config;
  config.signalled = at(10, 4000);
  begin(config, at(20, 4000));
  packet(at(10, 4000), 1, 0ms);
  packet(at(20, 4000), 1, 20ms);
  EXPECT_FALSE(settles_anew());
  EXPECT_EQ(agreed_.learned(), at(20, 4000));
  EXPECT_FALSE(agreed_.config().is_proposed);
}

TEST_F(ProposedLatch, T07_WhatWasNotHeardIsLearnedAnewAndTheFormerPeerBarred) {
  LatchConfig config;
  config.signalled = at(10, 4000);
  for (const bool stays : {false, true}) {
    begin(config, stays ? at(10, 4000) : at(10, 5000));
    packet(at(10, 4000), 1, 0ms);
    EXPECT_TRUE(settles_anew());
    const auto late = agreed_.on_rtp(at(10, 4000), Ssrc{4000}, SeqNo{2}, kStart + 1001ms, own_);
    EXPECT_EQ(late.decision, stays ? Decision::kAccept : Decision::kReject);
    EXPECT_EQ(late.reason, stays ? DropReason::kNone : DropReason::kBarredSource);
  }
}

}  // namespace
}  // namespace ferry::proposed_latch_test
