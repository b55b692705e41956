// SPDX-License-Identifier: Apache-2.0
// Keys that come back after many others (SRT-6, SRT-7a, SRT-9): a phone may take a new key with every
// message.

#include "relay/core/srtp/srtp_contexts.hpp"

#include "relay/srtp/backends.hpp"
#include "tests/support/srtp_judge.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::open;
using test::Packet;
using test::random_key;
using test::rtp;
using test::seal;

constexpr SrtpParty kParty{1, 1};
constexpr SrtpParty kOther{1, 2};

class SrtpContextsTest : public ::testing::TestWithParam<int> {
 protected:
  /// Other keys come and go.
  void use_other_keys() {
    for (int n = 0; n < GetParam(); ++n) {
      const SrtpMasterKey other = random_key(random_, SrtpSuite::kAes128Cm80);
      ASSERT_TRUE(contexts_->receiving(other, backend_, 128));
      ASSERT_TRUE(contexts_->sending(other, kParty, backend_, 128));
    }
  }
  /// Another process goes on with what this one knew.
  void move() {
    const SrtpContexts::State state = contexts_->state();
    contexts_ = std::make_unique<SrtpContexts>();
    contexts_->restore(state, StateAge::kLatest, backend_, 128);
  }

  std::mt19937 random_{3};
  EvpBackend backend_;
  SrtpMasterKey key_ = random_key(random_, SrtpSuite::kAes128Cm80);
  std::unique_ptr<SrtpContexts> contexts_ = std::make_unique<SrtpContexts>();
};

TEST_P(SrtpContextsTest, SRT7a_NothingIsReceivedTwiceUnderAKeyThatComesBack) {
  SrtpSender phone(backend_.make(key_));
  std::vector<Packet> wire;
  for (std::uint32_t n = 0; n < 200; ++n) {
    Packet packet = rtp('A', 1 + n % 100, static_cast<std::uint16_t>(65'500 + n));
    ASSERT_EQ(seal(phone, packet), SrtpResult::kOk);
    wire.push_back(packet);
  }
  for (const Packet& each : wire) {
    Packet packet = each;
    ASSERT_EQ(open(contexts_->receiving(key_, backend_, 128)->context, packet), SrtpResult::kOk);
  }
  use_other_keys();
  move();
  use_other_keys();
  const auto again = contexts_->receiving(key_, backend_, 128);
  for (const Packet& each : wire) {
    Packet packet = each;
    EXPECT_EQ(open(again->context, packet), SrtpResult::kReplayed);
  }
  for (std::uint32_t ssrc = 1; ssrc <= 100; ++ssrc) {
    Packet packet = rtp('A', ssrc, static_cast<std::uint16_t>(65'500 + 200 + ssrc));
    ASSERT_EQ(seal(phone, packet), SrtpResult::kOk);
    EXPECT_EQ(open(again->context, packet), SrtpResult::kOk) << "SSRC " << ssrc << " goes on";
  }
}

TEST_P(SrtpContextsTest, SRT9_NothingIsSentTwiceUnderAKeyThatComesBack) {
  const auto send = [&](SrtpSending& to, std::uint16_t sequence) {
    Packet packet = rtp('A', 1, sequence);
    return seal(to.context, packet);
  };
  ASSERT_EQ(send(*contexts_->sending(key_, kParty, backend_, 128), 100), SrtpResult::kOk);
  Packet report = test::sender_report(1, 1);
  std::size_t size = report.size();
  report.resize(size + 64);
  ASSERT_EQ(contexts_->sending(key_, kParty, backend_, 128)->context.seal_rtcp(report, size),
            SrtpResult::kOk);
  use_other_keys();
  move();
  use_other_keys();
  const auto again = contexts_->sending(key_, kParty, backend_, 128);
  EXPECT_EQ(send(*again, 100), SrtpResult::kReplayed);
  EXPECT_EQ(send(*again, 101), SrtpResult::kOk);
  EXPECT_EQ(again->context.state().next_rtcp, 1u);
}

TEST_P(SrtpContextsTest, SRT9_AnotherPartyUnderTheKeyGetsNoIndexOfTheFormer) {
  Packet packet = rtp('A', 1, 100);
  ASSERT_EQ(seal(contexts_->sending(key_, kParty, backend_, 128)->context, packet), SrtpResult::kOk);
  use_other_keys();
  packet = rtp('A', 1, 100);
  EXPECT_NE(seal(contexts_->sending(key_, kOther, backend_, 128)->context, packet), SrtpResult::kOk);
}

INSTANTIATE_TEST_SUITE_P(Others, SrtpContextsTest, ::testing::Values(0, 7, 8, 9, 60));

TEST(SrtpContextsMemory, SRT7a_KeysThatGaveWayAreBounded) {
  std::mt19937 random(5);
  const EvpBackend backend;
  SrtpContexts contexts;
  for (int n = 0; n < 500; ++n) {
    const SrtpMasterKey key = random_key(random, SrtpSuite::kAes128Cm80);
    ASSERT_TRUE(contexts.receiving(key, backend, 128));
    ASSERT_TRUE(contexts.sending(key, kParty, backend, 128));
  }
  EXPECT_LE(contexts.state().received.size(), SrtpContexts::kRemembered + SrtpContexts::kKept + 1);
  EXPECT_LE(contexts.state().sent.size(), SrtpContexts::kRemembered + SrtpContexts::kKept + 1);
}

}  // namespace
}  // namespace ferry
