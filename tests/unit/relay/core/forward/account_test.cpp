// SPDX-License-Identifier: Apache-2.0
// What a transport counts: which missing numbers are those of refused packets, and what a snapshot brings
// back.

#include "relay/core/forward/account.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::account_test {
namespace {

using namespace std::chrono_literals;
using RefusedAs = Account::RefusedAs;

constexpr Instant kStart{1h};
const Endpoint kPeer{IpAddress::v4({192, 0, 2, 1}), UdpPort{4000}};

class AccountTest : public ::testing::Test {
 protected:
  void refuse(DropReason reason, RefusedAs as) {
    auto octets = test::rtp('a', 1, 7);
    account_.count_refused(Component::kRtp, reason, 1);
    account_.note_refusal(ReceivedPacket({}, kPeer, octets, kStart), reason, as);
  }
  /// A stream that has counted a packet after `lost` that are missing.
  void stream_loses(std::uint32_t lost) {
    SsrcCounters stream;
    stream.packets = 2;
    stream.base_extended = 1;
    stream.highest_extended = 2 + lost;
    account_.publish(stream, 1, 0);
  }
  std::uint32_t in_gap() {
    TransportSnapshot snapshot;
    account_.save(snapshot, kStart + 1s);
    return snapshot.recent_drops.of(DropSide::kArriving, DropReason::kNone, DropTrait::kInGap);
  }

  TransportActivity activity_;
  Account account_{activity_, kStart};
};

TEST_F(AccountTest, NumbersOfRefusedPacketsAreFoundInTheGap) {
  refuse(DropReason::kRateLimited, RefusedAs::kMissed);
  refuse(DropReason::kRateLimited, RefusedAs::kMissed);
  refuse(DropReason::kForeignSource, RefusedAs::kForeign);
  stream_loses(5);
  EXPECT_EQ(in_gap(), 2u) << "a foreign packet has no number in the stream";
}

TEST_F(AccountTest, AHeldPacketThatIsConfirmedIsNotMissing) {
  account_.expect_gap();
  account_.expect_no_gap();
  account_.expect_no_gap();
  stream_loses(3);
  EXPECT_EQ(in_gap(), 0u);
}

TEST_F(AccountTest, ControlReadsWhatIsCounted) {
  refuse(DropReason::kReplayed, RefusedAs::kCopy);
  account_.count_in(Component::kRtp, 172, kStart);
  account_.note_rtp(kStart);
  EXPECT_EQ(activity_.refused.load(), 1u);
  EXPECT_EQ(activity_.last_packet_ns.load(), kStart.time_since_epoch().count());
  EXPECT_EQ(activity_.last_user_ns.load(), kStart.time_since_epoch().count());
  EXPECT_EQ(activity_.last_rtp_ns.load(), kStart.time_since_epoch().count());
  account_.count_offloaded_in(10, 1720, kStart + 1s);
  EXPECT_EQ(activity_.last_offloaded_ns.load(), (kStart + 1s).time_since_epoch().count());
  EXPECT_EQ(activity_.last_user_ns.load(), kStart.time_since_epoch().count())
      << "user space saw none of them";
  EXPECT_EQ(account_.counters()[0].packets_in, 11u);
}

TEST_F(AccountTest, ASnapshotBringsTheTotalsBack) {
  refuse(DropReason::kReplayed, RefusedAs::kCopy);
  account_.count_in(Component::kRtcp, 60, kStart);
  account_.count_out(Component::kRtp, 172);
  TransportSnapshot snapshot;
  account_.save(snapshot, kStart);
  TransportActivity activity;
  Account other(activity, kStart);
  other.restore(snapshot);
  EXPECT_EQ(other.counters(), account_.counters());
  EXPECT_EQ(other.last_packet(), account_.last_packet());
  EXPECT_EQ(other.drops(), account_.drops());
  EXPECT_EQ(activity.last_packet_ns.load(), kStart.time_since_epoch().count());
}

}  // namespace
}  // namespace ferry::account_test
