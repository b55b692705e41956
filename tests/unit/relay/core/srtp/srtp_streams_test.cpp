// SPDX-License-Identifier: Apache-2.0
// Many SSRCs under one key (SRT-7a).

#include "relay/core/srtp/srtp_contexts.hpp"
#include "relay/srtp/backends.hpp"
#include "tests/support/srtp_judge.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::Judge;
using test::open;
using test::Packet;
using test::random_key;
using test::rtp;
using test::seal;

constexpr std::size_t kRemembered = SrtpStreams::kLive + SsrcMemory::kRecords;

struct SrtpStreamsTest : ::testing::Test {
  std::unique_ptr<SrtpCipher> cipher() const { return EvpBackend().make(key); }
  static Packet plain(std::uint32_t ssrc, unsigned sequence) {
    return rtp('A', ssrc, static_cast<std::uint16_t>(sequence));
  }
  Packet sealed(std::uint32_t ssrc, unsigned sequence) {
    Packet packet = plain(ssrc, sequence);
    EXPECT_EQ(seal(sender, packet), SrtpResult::kOk) << ssrc << " " << sequence;
    return packet;
  }
  std::mt19937 random{1};
  SrtpMasterKey key = random_key(random, SrtpSuite::kAes128Cm80);
  SrtpSender sender{EvpBackend().make(key)};
  SrtpReceiver receiver{EvpBackend().make(key)};
};

TEST_F(SrtpStreamsTest, SRT7a_TheLongestIdleGivesWayAndNothingIsTakenTwice) {
  std::vector<Packet> wire;
  Judge judge(key, true);
  for (std::uint32_t ssrc = 1; ssrc <= 3000; ++ssrc) {
    for (const unsigned sequence : {100u, 101u}) {
      wire.push_back(sealed(ssrc, sequence));
      Packet packet = wire.back();
      ASSERT_EQ(open(receiver, packet), SrtpResult::kOk) << "SSRC " << ssrc;
      packet = wire.back();
      ASSERT_EQ(judge.unprotect(packet), srtp_err_status_ok);
    }
    // One that never rests keeps its list: packets may still come out of order.
    for (const unsigned sequence : {2 * ssrc + 1, 2 * ssrc}) {
      wire.push_back(sealed(77'777, sequence));
      Packet packet = wire.back();
      ASSERT_EQ(open(receiver, packet), SrtpResult::kOk) << "after SSRC " << ssrc;
    }
  }
  EXPECT_EQ(receiver.state().streams.size(), SrtpStreams::kLive);
  for (const Packet& each : wire) {
    Packet packet = each;
    ASSERT_EQ(open(receiver, packet), SrtpResult::kReplayed);
  }
  for (const std::uint32_t ssrc : {1u, 1500u, 2900u}) {
    for (const unsigned sequence : {50u, 100u, 101u}) {
      Packet packet = plain(ssrc, sequence);
      EXPECT_EQ(seal(sender, packet), SrtpResult::kReplayed) << ssrc << ": at or below its highest index";
    }
    Packet packet = sealed(ssrc, 102);
    EXPECT_EQ(open(receiver, packet), SrtpResult::kOk) << ssrc << " goes on";
  }
}

TEST_F(SrtpStreamsTest, SRT7a_ARollOverCounterComesBackWithItsSsrc) {
  for (std::uint32_t n = 0; n < 3; ++n) {
    for (const unsigned sequence : {10'000u, 40'000u, 65'000u}) {
      Packet packet = sealed(5, sequence);
      ASSERT_EQ(open(receiver, packet), SrtpResult::kOk);
    }
  }
  for (std::uint32_t ssrc = 100; ssrc < 200; ++ssrc) {
    Packet packet = sealed(ssrc, 1);
    ASSERT_EQ(open(receiver, packet), SrtpResult::kOk);
  }
  ASSERT_EQ(receiver.highest_index(Ssrc{5}) >> 16, 2u);
  Packet packet = sealed(5, 30);  // the counter rises to 3
  EXPECT_EQ(open(receiver, packet), SrtpResult::kOk);
  EXPECT_EQ(receiver.highest_index(Ssrc{5}), 3u * 65'536 + 30);
}

TEST_F(SrtpStreamsTest, SRT7a_WhatIsForgottenIsRecognisedAndRefused) {
  std::vector<Packet> first;
  const auto count = static_cast<std::uint32_t>(kRemembered + 500);
  for (std::uint32_t ssrc = 1; ssrc <= count; ++ssrc) {
    Packet packet = sealed(ssrc, 7);
    if (ssrc <= 600) first.push_back(packet);
    ASSERT_EQ(open(receiver, packet), SrtpResult::kOk) << ssrc << ": no new one is refused";
    if (ssrc % 50 != 0) continue;
    Packet report = test::receiver_report(ssrc);
    ASSERT_EQ(seal(sender, report, true), SrtpResult::kOk);
    ASSERT_EQ(open(receiver, report, true), SrtpResult::kOk);
  }
  for (std::uint32_t ssrc = 1; ssrc <= 600; ++ssrc) {
    const bool forgotten = ssrc <= 500;
    Packet packet = first[ssrc - 1];
    EXPECT_EQ(open(receiver, packet), forgotten ? SrtpResult::kForgotten : SrtpResult::kReplayed) << ssrc;
    packet = rtp('A', ssrc, 7);
    EXPECT_EQ(seal(sender, packet), forgotten ? SrtpResult::kForgotten : SrtpResult::kReplayed) << ssrc;
  }
  // RTCP of a forgotten SSRC as well: an old report could come again.
  Packet report = test::receiver_report(50);
  EXPECT_EQ(seal(sender, report, true), SrtpResult::kOk) << "our own indices are those of the key";
  EXPECT_EQ(open(receiver, report, true), SrtpResult::kForgotten);
  EXPECT_EQ(sender.standing(Ssrc{50}, SeqNo{9}, 0), SrtpSender::Standing::kForgotten);
  const auto fresh = sender.unused_ssrc();
  ASSERT_TRUE(fresh.has_value());
  EXPECT_FALSE(sender.knows(*fresh));
}

TEST_F(SrtpStreamsTest, S12_ARestoredStateKnowsWhatGaveWay) {
  const auto count = static_cast<std::uint32_t>(kRemembered + 100);
  std::vector<Packet> wire;
  for (std::uint32_t ssrc = 1; ssrc <= count; ++ssrc) {
    wire.push_back(sealed(ssrc, 7));
    Packet packet = wire.back();
    ASSERT_EQ(open(receiver, packet), SrtpResult::kOk);
  }
  for (const StateAge age : {StateAge::kLatest, StateAge::kEarlier}) {
    SrtpReceiver restored(cipher());
    restored.restore(receiver.state(), age);
    SrtpSender resumed(cipher());
    resumed.restore(sender.state(), age);
    EXPECT_EQ(restored.state().past, receiver.state().past) << "with the order in which they give way";
    for (std::uint32_t ssrc = 1; ssrc <= count; ++ssrc) {
      Packet packet = wire[ssrc - 1];
      ASSERT_NE(open(restored, packet), SrtpResult::kOk) << ssrc;
      packet = rtp('A', ssrc, 7);
      ASSERT_NE(seal(resumed, packet), SrtpResult::kOk) << ssrc;
    }
    Packet packet = rtp('A', count - 70, 8);
    EXPECT_EQ(seal(resumed, packet), SrtpResult::kOk);
    EXPECT_EQ(open(restored, packet), SrtpResult::kOk);
  }
}

TEST_F(SrtpStreamsTest, SRT2_AForgeryMakesNobodyGiveWay) {
  for (std::uint32_t ssrc = 1; ssrc <= 100; ++ssrc) {
    Packet packet = sealed(ssrc, 7);
    ASSERT_EQ(open(receiver, packet), SrtpResult::kOk);
  }
  const auto before = receiver.state();
  for (std::uint32_t ssrc = 1; ssrc <= 1000; ++ssrc) {
    Packet packet = sealed(ssrc, 8);
    packet.back() ^= std::byte{1};
    ASSERT_EQ(open(receiver, packet), SrtpResult::kNotAuthentic);
  }
  EXPECT_EQ(receiver.state(), before);
}

}  // namespace
}  // namespace ferry
