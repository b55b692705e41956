// SPDX-License-Identifier: Apache-2.0
// Rules LAT-2 … LAT-11 of docs/rules.md, one by one.

#include "relay/core/latch/latch.hpp"

#include <gtest/gtest.h>

namespace ferry::latch_test {
namespace {

using namespace std::chrono_literals;
using Decision = Latch::Judgement::Decision;

constexpr Instant kStart{1h};
const IpAddress kAliceHost = IpAddress::v4({192, 0, 2, 10});
const Endpoint kAlice{kAliceHost, UdpPort{4000}};
const Endpoint kAliceOtherPort{kAliceHost, UdpPort{4100}};
const Endpoint kNat{IpAddress::v4({198, 51, 100, 7}), UdpPort{55000}};
const Endpoint kMallory{IpAddress::v4({203, 0, 113, 66}), UdpPort{6000}};
constexpr Ssrc kSsrc{0xA11CE};

class LatchTest : public ::testing::Test {
 protected:
  void begin(LatchPolicy policy = LatchPolicy::kSignalled, IpAddress source = {}, bool void_address = false) {
    config_.policy = policy;
    config_.signalled = kAlice;
    config_.signalling_source = source;
    config_.signalled_void = void_address;
    latch_.restart(config_, kStart);
  }
  Decision packet(const Endpoint& from, std::uint16_t sequence, Duration after, Ssrc ssrc = kSsrc) {
    last_ = latch_.on_rtp(from, ssrc, SeqNo{sequence}, kStart + after, own_);
    return last_.decision;
  }

  LatchConfig config_;
  Latch latch_;
  Latch::Judgement last_;
  std::shared_ptr<OpenPorts> open_ = [] {
    auto ports = std::make_shared<OpenPorts>(UdpPort{30000}, UdpPort{40000});
    ports->set(UdpPort{30002}, true);
    return ports;
  }();
  OwnMedia own_{{{IpAddress::v4({192, 0, 2, 1}), open_}}};
};

TEST_F(LatchTest, LAT5_SignalledEndpointLocksOnItsFirstPacket) {
  begin();
  EXPECT_EQ(packet(kAlice, 1, 0ms), Decision::kAccept);
  EXPECT_EQ(latch_.state(), Latch::State::kLocked);
  EXPECT_EQ(latch_.learned(), kAlice);
}

TEST_F(LatchTest, LAT5_OtherPortLocksAfterTwoPacketsInSequence) {
  begin();
  EXPECT_EQ(packet(kAliceOtherPort, 5, 0ms), Decision::kHold);
  EXPECT_EQ(latch_.destination(), kAlice) << "nothing goes to a source under probation";
  EXPECT_EQ(packet(kAliceOtherPort, 7, 20ms), Decision::kHold) << "a gap starts the probation again";
  EXPECT_EQ(packet(kAliceOtherPort, 8, 40ms), Decision::kRelease);
  EXPECT_EQ(latch_.learned(), kAliceOtherPort);
}

TEST_F(LatchTest, LAT3_SignalledPolicyRefusesStrangers) {
  begin();
  for (std::uint16_t n = 1; n < 200; ++n) EXPECT_EQ(packet(kMallory, n, n * 20ms), Decision::kReject);
  EXPECT_EQ(last_.reason, DropReason::kSourceNotAllowed);
}

TEST_F(LatchTest, LAT3_OffAcceptsTheSignalledEndpointOnly) {
  begin(LatchPolicy::kOff, kNat.address);
  EXPECT_EQ(packet(kAliceOtherPort, 1, 0ms), Decision::kReject);
  EXPECT_EQ(packet(kNat, 1, 0ms), Decision::kReject);
  EXPECT_EQ(packet(kAlice, 1, 0ms), Decision::kAccept);
}

TEST_F(LatchTest, LAT3_AnyTakesSourcesInTheOrderOfArrival) {
  begin(LatchPolicy::kAny);
  EXPECT_EQ(packet(kMallory, 1, 0ms), Decision::kHold);
  EXPECT_EQ(packet(kMallory, 2, 20ms), Decision::kRelease);
}

TEST_F(LatchTest, LAT2_SignallingSourceIsRankTwo) {
  begin(LatchPolicy::kSignalled, kNat.address);
  EXPECT_EQ(packet(kNat, 1, 0ms), Decision::kHold);
  EXPECT_EQ(packet(kNat, 2, 20ms), Decision::kRelease);
  EXPECT_EQ(latch_.rank(), 2);
}

TEST_F(LatchTest, LAT4_VoidAddressIsNeitherLearnedNorSentTo) {
  begin(LatchPolicy::kSignalled, kNat.address, true);
  EXPECT_FALSE(latch_.destination().is_set());
  EXPECT_EQ(packet(kAlice, 1, 0ms), Decision::kReject) << "the signalled address is worth nothing now";
  EXPECT_EQ(packet(kNat, 1, 0ms), Decision::kHold);
  EXPECT_EQ(packet(kNat, 2, 20ms), Decision::kRelease);
}

TEST_F(LatchTest, LAT3a_OnlySourceIsLearnedAfterASecondAndTenPackets) {
  begin(LatchPolicy::kUncontested);
  for (std::uint16_t n = 0; n < 50; ++n) EXPECT_EQ(packet(kMallory, n, n * 20ms), Decision::kReject) << n;
  EXPECT_EQ(packet(kMallory, 50, 1000ms), Decision::kAccept);
  EXPECT_EQ(latch_.rank(), 1);
}

TEST_F(LatchTest, LAT3a_SecondSourceContestsAndKeepsItClosedUntilABetterRank) {
  begin(LatchPolicy::kUncontested);
  EXPECT_EQ(packet(kMallory, 1, 0ms), Decision::kReject);
  EXPECT_EQ(packet(kNat, 1, 100ms), Decision::kReject);
  EXPECT_TRUE(latch_.contested());
  for (std::uint16_t n = 2; n < 200; ++n) EXPECT_EQ(packet(kMallory, n, n * 20ms), Decision::kReject);
  EXPECT_EQ(last_.reason, DropReason::kContested);
  EXPECT_EQ(packet(kAlice, 1, 5s), Decision::kAccept);
  EXPECT_FALSE(latch_.contested());
}

TEST_F(LatchTest, LAT6_BetterRankReplacesAWorseOneForThreeSeconds) {
  begin();
  packet(kAliceOtherPort, 1, 0ms);
  packet(kAliceOtherPort, 2, 20ms);
  EXPECT_EQ(packet(kAlice, 1, 2s, Ssrc{9}), Decision::kAccept);
  EXPECT_EQ(latch_.learned(), kAlice);
  EXPECT_EQ(packet(kAliceOtherPort, 3, 2020ms), Decision::kReject) << "never the reverse";
}

TEST_F(LatchTest, LAT6_AfterThreeSecondsTheLockIsFinal) {
  begin();
  packet(kAliceOtherPort, 1, 0ms);
  packet(kAliceOtherPort, 2, 20ms);
  packet(kAliceOtherPort, 3, 3900ms);
  EXPECT_EQ(packet(kAlice, 1, 4s, Ssrc{9}), Decision::kReject);
  EXPECT_EQ(last_.reason, DropReason::kForeignSource);
}

TEST_F(LatchTest, LAT7_SecondSourceIsRefusedOnceTheFirstWasLearned) {
  begin();
  packet(kAlice, 1, 0ms);
  EXPECT_EQ(packet(kMallory, 2, 20ms), Decision::kReject);
  EXPECT_EQ(latch_.learned(), kAlice);
}

TEST_F(LatchTest, LAT7_WhomSignallingNamesIsRefusedBesideTheLockedOneToo) {
  begin(LatchPolicy::kSignalled, kNat.address);
  packet(kAlice, 1, 0ms);
  for (const Endpoint& other : {kAliceOtherPort, kNat, kMallory}) {
    for (std::uint16_t n = 2; n < 6; ++n) {
      EXPECT_EQ(packet(other, n, n * 20ms), Decision::kReject);
      EXPECT_EQ(last_.reason, DropReason::kForeignSource);
    }
  }
  EXPECT_EQ(latch_.learned(), kAlice);
}

TEST_F(LatchTest, LAT8c_NatRebindingContinuesTheStreamFromANewPort) {
  begin();
  packet(kAlice, 100, 0ms);
  EXPECT_EQ(packet(kAliceOtherPort, 101, 400ms), Decision::kReject)
      << "the old port is not silent long enough";
  EXPECT_EQ(packet(kAliceOtherPort, 126, 500ms), Decision::kAccept);
  EXPECT_EQ(latch_.learned(), kAliceOtherPort);
}

TEST_F(LatchTest, LAT8c_RebindingNeedsSsrcSequenceAndAddress) {
  begin();
  packet(kAlice, 100, 0ms);
  EXPECT_EQ(packet(kAliceOtherPort, 301, 600ms), Decision::kReject) << "201 ahead";
  EXPECT_EQ(packet(kAliceOtherPort, 100, 600ms), Decision::kReject) << "not ahead";
  EXPECT_EQ(packet(kAliceOtherPort, 101, 600ms, Ssrc{7}), Decision::kReject) << "another SSRC";
  EXPECT_EQ(packet(kMallory, 101, 600ms), Decision::kReject) << "another address";
}

TEST_F(LatchTest, LAT8_HandoverWidensRebindingToTheSignallingSource) {
  config_.handover = true;
  begin(LatchPolicy::kSignalled, kNat.address);
  packet(kAlice, 100, 0ms);
  EXPECT_EQ(packet(kMallory, 101, 600ms), Decision::kReject);
  EXPECT_EQ(packet(kNat, 101, 600ms), Decision::kAccept);
}

TEST_F(LatchTest, LAT8c_TheSignalledPortAlwaysTakesTheStreamBack) {
  struct Case {
    std::string_view name;
    Duration after;
    std::uint16_t sequence;
    Ssrc ssrc;
  };
  const Case cases[] = {
      {"at once", 620ms, 126, kSsrc},
      {"much later", 20s, 1000, kSsrc},
      {"a late packet", 700ms, 50, kSsrc},
      {"another SSRC", 700ms, 7, Ssrc{9}},
      {"while the other port goes on", 900ms, 130, kSsrc},
  };
  for (const Case& each : cases) {
    begin();
    packet(kAlice, 100, 0ms);
    ASSERT_EQ(packet(kAliceOtherPort, 125, 600ms), Decision::kAccept) << each.name;
    EXPECT_EQ(latch_.home(), kAlice);
    EXPECT_TRUE(latch_.may_move_to(kAlice, kStart + each.after));
    EXPECT_EQ(packet(kAlice, each.sequence, each.after, each.ssrc), Decision::kAccept) << each.name;
    EXPECT_EQ(latch_.learned(), kAlice) << each.name;
    EXPECT_FALSE(latch_.home().is_set());
    EXPECT_EQ(packet(kAliceOtherPort, 131, each.after + 20ms), Decision::kReject) << each.name;
  }
}

TEST_F(LatchTest, LAT8c_NeverUnderOff) {
  for (const bool handover : {false, true}) {
    config_.handover = handover;
    begin(LatchPolicy::kOff, kNat.address);
    packet(kAlice, 100, 0ms);
    for (const Endpoint& from : {kAliceOtherPort, kNat, kMallory}) {
      EXPECT_FALSE(latch_.may_move_to(from, kStart + 700ms));
      EXPECT_EQ(packet(from, 126, 700ms), Decision::kReject) << from.to_string();
    }
    EXPECT_EQ(packet(kAlice, 127, 10s), Decision::kAccept);
  }
}

// The port of a caller is known to nobody before the answer.
TEST_F(LatchTest, LAT4a_NobodyIsLearnedBeforeThePortWasTold) {
  struct Case {
    std::string_view name;
    LatchPolicy policy;
    LearningAlgorithm algorithm;
  };
  const Case cases[] = {
      {"heuristic", LatchPolicy::kAny, LearningAlgorithm::kHeuristic},
      {"delayed", LatchPolicy::kAny, LearningAlgorithm::kDelayed},
      {"immediate", LatchPolicy::kAny, LearningAlgorithm::kImmediate},
      {"any", LatchPolicy::kAny, LearningAlgorithm::kRules},
      {"uncontested", LatchPolicy::kUncontested, LearningAlgorithm::kRules},
      {"signalled", LatchPolicy::kSignalled, LearningAlgorithm::kRules},
  };
  for (const Case& each : cases) {
    config_.algorithm = each.algorithm;
    config_.is_told = false;
    begin(each.policy);
    for (std::uint16_t n = 1; n < 100; ++n) {
      for (const Endpoint& from : {kMallory, kAliceOtherPort})
        EXPECT_EQ(packet(from, n, n * 20ms), Decision::kReject) << each.name;
    }
    EXPECT_EQ(latch_.destination(), kAlice) << each.name;
    EXPECT_EQ(packet(kAlice, 1, 3s), Decision::kAccept) << each.name;
  }
}

TEST_F(LatchTest, LAT4a_WithoutAKnownRemoteNothingIsLearned) {
  for (const auto algorithm :
       {LearningAlgorithm::kHeuristic, LearningAlgorithm::kDelayed, LearningAlgorithm::kImmediate}) {
    for (const bool strict : {false, true}) {
      config_.algorithm = algorithm;
      config_.strict_source = strict;
      begin(LatchPolicy::kAny);
      config_.signalled = {};
      latch_.restart(config_, kStart);
      EXPECT_EQ(packet(kMallory, 1, 0ms), strict ? Decision::kReject : Decision::kAccept);
      EXPECT_FALSE(latch_.destination().is_set());
    }
  }
}

// LAT-8a.
TEST_F(LatchTest, LAT8_LatePacketsOfTheFormerPeerAreBarredAfterSignalling) {
  begin();
  packet(kAliceOtherPort, 1, 0ms);
  packet(kAliceOtherPort, 2, 20ms);
  config_.signalled = {kAliceHost, UdpPort{4300}};
  latch_.restart(config_, kStart + 1s, kAliceOtherPort);
  EXPECT_EQ(packet(kAliceOtherPort, 3, 1100ms), Decision::kReject);
  EXPECT_EQ(last_.reason, DropReason::kBarredSource);
  EXPECT_EQ(packet(kAliceOtherPort, 60, 2100ms), Decision::kHold)
      << "a client that never moved is let in after a second";
}

TEST_F(LatchTest, LAT9_RtcpMustShareTheAddressOfLockedRtp) {
  begin(LatchPolicy::kSignalled, kNat.address);
  EXPECT_EQ(latch_.on_unsequenced(kNat, kSsrc, kStart, own_, kAliceHost).decision, Decision::kReject);
  EXPECT_EQ(latch_.on_unsequenced(kAliceOtherPort, kSsrc, kStart, own_, kAliceHost).decision,
            Decision::kHold);
  EXPECT_EQ(latch_.on_unsequenced(kAliceOtherPort, kSsrc, kStart + 5s, own_, kAliceHost).decision,
            Decision::kRelease);
}

TEST_F(LatchTest, LAT11_ReflectorPortsMulticastAndOwnPortsAreNeverLearned) {
  begin(LatchPolicy::kAny);
  for (const unsigned number : {19u, 53u, 123u, 1900u, 11211u, 0u}) {
    const auto port = static_cast<std::uint16_t>(number);
    EXPECT_EQ(packet({kMallory.address, UdpPort{port}}, 1, 0ms), Decision::kReject) << port;
  }
  EXPECT_EQ(packet({IpAddress::v4({224, 0, 0, 1}), UdpPort{4000}}, 1, 0ms), Decision::kReject);
  EXPECT_EQ(packet({IpAddress::v4({192, 0, 2, 1}), UdpPort{30002}}, 1, 0ms), Decision::kReject);
  EXPECT_EQ(last_.reason, DropReason::kForbiddenSource);
  EXPECT_EQ(packet({IpAddress::v4({192, 0, 2, 1}), UdpPort{30004}}, 1, 0ms), Decision::kHold)
      << "a port of the range that is not ours at the moment is a port like others";
}

TEST_F(LatchTest, LIM5_OwnPortIsAcceptedOnAKnownHairpinOnly) {
  begin();
  config_.signalled = {IpAddress::v4({192, 0, 2, 1}), UdpPort{30002}};
  latch_.restart(config_, kStart);
  EXPECT_EQ(packet(config_.signalled, 1, 0ms), Decision::kReject);
  config_.hairpin = true;
  latch_.restart(config_, kStart);
  EXPECT_EQ(packet(config_.signalled, 1, 0ms), Decision::kAccept);
}

TEST_F(LatchTest, LAT5_ThreeNeighboursAtTheSameAddressDoNotPushTheHonestOneOut) {
  begin();
  for (std::uint16_t n = 1; n <= 20; ++n) {
    const auto jumping = static_cast<std::uint16_t>(n * 10);  // never two in sequence
    for (const unsigned port : {7001u, 7002u, 7003u}) {
      EXPECT_EQ(
          packet({kAliceHost, UdpPort{static_cast<std::uint16_t>(port)}}, jumping, n * 20ms, Ssrc{port}),
          Decision::kHold);
    }
  }
  EXPECT_EQ(packet(kAliceOtherPort, 1, 500ms), Decision::kHold);
  for (const unsigned port : {7001u, 7002u, 7003u}) {
    packet({kAliceHost, UdpPort{static_cast<std::uint16_t>(port)}}, 900, 510ms, Ssrc{port});
  }
  EXPECT_EQ(packet(kAliceOtherPort, 2, 520ms), Decision::kRelease);
}

TEST_F(LatchTest, NgHeuristic_PrefersTheBestMatchForThreeSeconds) {
  config_.algorithm = LearningAlgorithm::kHeuristic;
  begin(LatchPolicy::kAny);
  EXPECT_EQ(packet(kMallory, 1, 0ms), Decision::kAccept);
  EXPECT_EQ(latch_.learned(), kMallory);
  EXPECT_EQ(packet(kAliceOtherPort, 1, 1s), Decision::kAccept);
  EXPECT_EQ(latch_.learned(), kAliceOtherPort);
  EXPECT_EQ(packet(kMallory, 2, 1100ms), Decision::kAccept) << "accepted, not followed";
  EXPECT_EQ(latch_.learned(), kAliceOtherPort);
  EXPECT_EQ(packet(kAlice, 1, 2s), Decision::kAccept);
  EXPECT_EQ(latch_.learned(), kAlice);
}

TEST_F(LatchTest, NgImmediate_StrictSourceRefusesOthersAfterTheFirst) {
  config_.algorithm = LearningAlgorithm::kImmediate;
  config_.strict_source = true;
  begin(LatchPolicy::kAny);
  EXPECT_EQ(packet(kMallory, 1, 0ms), Decision::kAccept);
  EXPECT_EQ(packet(kAlice, 1, 20ms), Decision::kReject);
}

// LAT-4a: only the algorithms of rtpengine bring its acceptance of other sources with them. No policy does.
TEST_F(LatchTest, LAT7_StrictSourceDecidesUnderTheNgAlgorithmsAlone) {
  using enum LearningAlgorithm;
  const Endpoint neighbour{kAliceHost, UdpPort{4300}};
  for (const LatchPolicy policy :
       {LatchPolicy::kOff, LatchPolicy::kSignalled, LatchPolicy::kUncontested, LatchPolicy::kAny}) {
    for (const LearningAlgorithm algorithm : {kRules, kImmediate, kDelayed, kHeuristic}) {
      if (algorithm != kRules && policy != LatchPolicy::kAny) continue;  // no call has both
      for (const bool strict : {false, true}) {
        for (const bool handover : {false, true}) {
          if (strict && handover) continue;  // they cancel each other
          SCOPED_TRACE(testing::Message() << static_cast<int>(policy) << ' ' << static_cast<int>(algorithm)
                                          << (strict ? " strict" : "") << (handover ? " handover" : ""));
          config_.algorithm = algorithm;
          config_.strict_source = strict;
          config_.handover = handover;
          begin(policy, kNat.address);
          ASSERT_EQ(packet(kAlice, 1, 0ms), Decision::kAccept);
          ASSERT_EQ(packet(kAlice, 2, 3100ms), Decision::kAccept) << "nothing is open any more";
          const bool passes = algorithm != kRules && !strict;
          for (const Endpoint& from : {kMallory, kNat, neighbour}) {
            EXPECT_EQ(packet(from, 700, 3120ms, Ssrc{0xBAD}), passes ? Decision::kAccept : Decision::kReject);
            EXPECT_EQ(last_.reason, passes ? DropReason::kNone : DropReason::kForeignSource);
            EXPECT_EQ(latch_.learned(), passes && handover ? from : kAlice);
          }
        }
      }
    }
  }
}

TEST_F(LatchTest, SnapshotGoesOnWhereItStopped) {
  begin();
  packet(kAlice, 100, 0ms);
  Latch other;
  other.restore(config_, latch_.snapshot());
  EXPECT_EQ(other.snapshot(), latch_.snapshot());
  EXPECT_EQ(other.on_rtp(kMallory, kSsrc, SeqNo{101}, kStart + 20ms, own_).decision, Decision::kReject);
  EXPECT_EQ(other.on_rtp(kAliceOtherPort, kSsrc, SeqNo{126}, kStart + 600ms, own_).decision,
            Decision::kAccept);
}

TEST_F(LatchTest, SnapshotKnowsProbationAndWhoIsBarred) {
  begin();
  packet(kAlice, 100, 0ms);
  latch_.restart(config_, kStart + 20ms, kNat);
  EXPECT_EQ(packet(kAliceOtherPort, 7, 40ms), Decision::kHold);
  Latch other;
  other.restore(config_, latch_.snapshot());
  EXPECT_EQ(other.snapshot(), latch_.snapshot());
  EXPECT_EQ(other.on_rtp(kNat, kSsrc, SeqNo{1}, kStart + 50ms, own_).reason, DropReason::kBarredSource);
  EXPECT_EQ(other.on_rtp(kAliceOtherPort, kSsrc, SeqNo{8}, kStart + 60ms, own_).decision, Decision::kRelease);
}

}  // namespace
}  // namespace ferry::latch_test
