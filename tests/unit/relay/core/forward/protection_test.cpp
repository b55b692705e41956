// SPDX-License-Identifier: Apache-2.0
// The SRTP keys of one component, without a transport: which key opens a packet, when it runs out, and what
// must not leave under it.

#include "relay/core/forward/protection.hpp"

#include "relay/srtp/backends.hpp"
#include "tests/support/srtp_judge.hpp"

#include <gtest/gtest.h>

namespace ferry::protection_test {
namespace {

using namespace std::chrono_literals;
using test::Packet;
using test::random_key;
using test::rtp;
using test::seal;

constexpr Instant kStart{1h};
constexpr SrtpParty kParty{1, 1};

class ProtectionTest : public ::testing::Test {
 protected:
  SrtpMasterKey new_key() { return random_key(random_, SrtpSuite::kAes128Cm80); }
  /// Keys that the peer may use, and the one that we use.
  void follow(std::vector<SrtpMasterKey> receive, std::optional<SrtpMasterKey> send = std::nullopt) {
    SrtpPlan plan;
    plan.backend = backend_;
    plan.receive = std::move(receive);
    plan.send = std::move(send);
    plan.party = kParty;
    plan.contexts = contexts_;
    protection_.follow(plan, now_);
  }
  /// What the peer sends under its key.
  Packet from_peer(SrtpSender& peer, std::uint16_t sequence, std::uint32_t ssrc = 1) {
    Packet packet = rtp('A', ssrc, sequence);
    EXPECT_EQ(seal(peer, packet), SrtpResult::kOk);
    return packet;
  }
  SrtpResult open(Packet packet) {
    const ReceivedPacket received({}, {}, packet, now_);
    std::size_t size = packet.size();
    return protection_.open(received, size, origin_, nullptr, [&](Ssrc) { return plain_index_; });
  }
  Protection::Sealed send(std::uint16_t sequence, std::uint32_t ssrc = 1,
                          std::optional<std::uint64_t> index = std::nullopt) {
    Packet packet = rtp('B', ssrc, sequence);
    std::size_t size = packet.size();
    packet.resize(size + 64);
    return protection_.seal(false, packet, size, index, nullptr);
  }

  std::mt19937 random_{5};
  std::shared_ptr<const SrtpBackend> backend_ = make_srtp_backend("openssl");
  std::shared_ptr<SrtpContexts> contexts_ = std::make_shared<SrtpContexts>();
  Instant now_ = kStart;
  SrtpOrigin origin_;
  std::optional<std::uint64_t> plain_index_;
  Protection protection_;
};

TEST_F(ProtectionTest, SRT11_WithoutAKeyNothingIsOpenedOrSent) {
  follow({});
  EXPECT_EQ(open(rtp('A', 1, 1)), SrtpResult::kNoKey);
  EXPECT_FALSE(protection_.can_send());
}

TEST_F(ProtectionTest, SRT6_AFormerKeyIsGoodForTwoSecondsMore) {
  const SrtpMasterKey old_key = new_key();
  SrtpSender peer(backend_->make(old_key));
  follow({old_key});
  EXPECT_EQ(open(from_peer(peer, 1)), SrtpResult::kOk);
  const std::uint32_t number = origin_.key;
  follow({new_key()});
  now_ += 2s - 1ns;
  EXPECT_EQ(open(from_peer(peer, 2)), SrtpResult::kOk);
  EXPECT_EQ(origin_.key, number) << "a key keeps its name";
  now_ += 1ns;
  EXPECT_EQ(open(from_peer(peer, 3)), SrtpResult::kNotAuthentic);
}

TEST_F(ProtectionTest, C13_AFormerKeyDoesNotRunOutWhileTheProcessStands) {
  const SrtpMasterKey old_key = new_key();
  SrtpSender peer(backend_->make(old_key));
  follow({old_key});
  follow({new_key()});
  now_ += 10s;
  protection_.skip(10s);
  EXPECT_EQ(open(from_peer(peer, 1)), SrtpResult::kOk);
}

TEST_F(ProtectionTest, SRT4_APacketIsOpenedOnceAlsoAfterItsKeyCameBack) {
  const SrtpMasterKey key = new_key();
  SrtpSender peer(backend_->make(key));
  const Packet packet = from_peer(peer, 1);
  follow({key});
  EXPECT_EQ(open(packet), SrtpResult::kOk);
  EXPECT_EQ(open(packet), SrtpResult::kReplayed);
  follow({new_key()});
  now_ += 5s;
  follow({key});
  EXPECT_EQ(open(packet), SrtpResult::kReplayed);
}

TEST_F(ProtectionTest, LAT10_OnlyACopyOfARealPacketIsAnAuthenticReplay) {
  const SrtpMasterKey key = new_key();
  SrtpSender peer(backend_->make(key));
  Packet packet = from_peer(peer, 1);
  follow({key});
  ASSERT_EQ(open(packet), SrtpResult::kOk);
  ASSERT_EQ(open(packet), SrtpResult::kReplayed);
  Packet forged = packet;
  forged.back() ^= std::byte{1};
  EXPECT_FALSE(protection_.is_authentic_replay(ReceivedPacket({}, {}, forged, now_), origin_));
  EXPECT_TRUE(protection_.is_authentic_replay(ReceivedPacket({}, {}, packet, now_), origin_));
}

TEST_F(ProtectionTest, LAT8b_TheNewestPacketIsAboveEveryIndex) {
  const SrtpMasterKey key = new_key();
  SrtpSender peer(backend_->make(key));
  follow({key});
  ASSERT_EQ(open(from_peer(peer, 100)), SrtpResult::kOk);
  EXPECT_FALSE(protection_.is_newest(rtp('A', 1, 99)));
  EXPECT_FALSE(protection_.is_newest(rtp('A', 1, 100)));
  EXPECT_TRUE(protection_.is_newest(rtp('A', 1, 101)));
  EXPECT_TRUE(protection_.is_newest(rtp('A', 2, 1))) << "another stream";
  EXPECT_FALSE(protection_.is_newest(test::bytes_of({0x80, 8, 0, 200}))) << "no whole header";
}

TEST_F(ProtectionTest, Rfc3711_AStreamThatWasPlainGoesOnCounting) {
  const SrtpMasterKey key = new_key();
  SrtpSender peer(backend_->make(key));
  follow({key});
  constexpr std::uint64_t kIndex = 3 * 65'536 + 10;
  Packet packet = rtp('A', 1, 10);
  std::size_t size = packet.size();
  packet.resize(size + 64);
  ASSERT_EQ(peer.seal_rtp_as(packet, size, kIndex), SrtpResult::kOk);
  packet.resize(size);
  EXPECT_EQ(open(packet), SrtpResult::kNotAuthentic) << "the roll-over counter of a new stream is 0";
  plain_index_ = kIndex - 1;
  EXPECT_EQ(open(packet), SrtpResult::kOk);
  EXPECT_EQ(origin_.index, kIndex);
}

TEST_F(ProtectionTest, ARollOverIsLookedForAtMostOnceASecond) {
  const SrtpMasterKey key = new_key();
  SrtpSender peer(backend_->make(key));
  follow({key});
  Packet packet = rtp('A', 1, 10);
  std::size_t size = packet.size();
  packet.resize(size + 64);
  ASSERT_EQ(peer.seal_rtp_as(packet, size, 65'536 + 10), SrtpResult::kOk);
  packet.resize(size);
  const auto found = protection_.find_roll_over(packet, now_);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->expected, 0u);
  EXPECT_EQ(found->used, 1u);
  EXPECT_FALSE(protection_.find_roll_over(packet, now_ + 999ms));
  EXPECT_TRUE(protection_.find_roll_over(packet, now_ + 1s));
}

TEST_F(ProtectionTest, SRT1_WithOneKeyForBothDirectionsAnSsrcHasOne) {
  const SrtpMasterKey key = new_key();
  SrtpSender peer(backend_->make(key));
  follow({key}, key);
  ASSERT_EQ(open(from_peer(peer, 1, 1)), SrtpResult::kOk);
  EXPECT_EQ(send(1, 1).reason, DropReason::kSharedKey);
  EXPECT_EQ(send(1, 2).reason, DropReason::kNone);
  Packet ours = rtp('B', 2, 1);
  EXPECT_TRUE(protection_.is_our_own(ReceivedPacket({}, {}, ours, now_)));
  Packet theirs = rtp('A', 1, 2);
  EXPECT_FALSE(protection_.is_our_own(ReceivedPacket({}, {}, theirs, now_)));
}

TEST_F(ProtectionTest, SRT9_NoIndexIsSentTwice) {
  follow({}, new_key());
  EXPECT_EQ(send(1).reason, DropReason::kNone);
  const auto again = send(1);
  EXPECT_EQ(again.reason, DropReason::kReplayed);
  EXPECT_TRUE(again.is_copy);
  EXPECT_FALSE(again.is_nearly_used_up);
}

TEST_F(ProtectionTest, SRT9_OnlyPacketsThatCameUnderTheSameKeyLeaveAsTheyCame) {
  const SrtpMasterKey key = new_key();
  const SrtpMasterKey other = new_key();
  SrtpSender peer(backend_->make(key));
  follow({key, other});
  ASSERT_EQ(open(from_peer(peer, 1)), SrtpResult::kOk);
  Protection receiver;
  SrtpPlan plan;
  plan.backend = backend_;
  plan.send = key;
  receiver.follow(plan, now_);
  EXPECT_TRUE(receiver.sends_under_key_of(protection_, origin_.key));
  EXPECT_FALSE(receiver.sends_under_key_of(protection_, origin_.key + 1));
  plan.send = other;
  receiver.follow(plan, now_);
  EXPECT_FALSE(receiver.sends_under_key_of(protection_, origin_.key));
}

}  // namespace
}  // namespace ferry::protection_test
