// SPDX-License-Identifier: Apache-2.0
#include "control/call/peer_register.hpp"

#include "relay/core/forward/transport.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using namespace std::chrono_literals;

class PeerRegisterTest : public ::testing::Test {
 protected:
  struct Peer {
    std::unique_ptr<PeerRegister::Member> member;
    std::shared_ptr<TransportActivity> activity = std::make_shared<TransportActivity>();
  };
  /// The victim's component `peer`, as signalling sees it at `now`.
  void signal(Peer& peer, Instant now, bool is_limited, std::uint32_t epoch = 0) {
    register_.follow(peer.member, {.address = victim_,
                                   .activity = peer.activity,
                                   .call = 1,
                                   .is_limited = is_limited,
                                   .epoch = epoch,
                                   .answered_at = now});
  }
  /// When it is stopped, as decided once a second from `from` on; `Instant::max()`: not within a minute.
  Instant stops(const Peer& peer, Instant from) {
    for (Instant now = from; now < from + 60s; now += 1s) {
      static_cast<void>(register_.decide(now));
      if (peer.member->unheard_until() <= now) return now;
    }
    return Instant::max();
  }

  PeerRegister register_{1};
  IpAddress victim_ = IpAddress::v4({203, 0, 113, 9});
  Instant start_{1h};
};

TEST_F(PeerRegisterTest, LAT12_TheSecondUnheardPeerOfAnAddressStopsTenSecondsAfterItsAnswer) {
  Peer first;
  Peer second;
  signal(first, start_ - 30s, false);
  signal(second, start_ - 30s, false);  // offered, and it rings
  signal(first, start_, true);
  signal(second, start_, true);
  EXPECT_EQ(stops(second, start_), start_ + 10s) << "after the answer, not after the offer";
  EXPECT_EQ(first.member->unheard_until(), Instant::max());
}

TEST_F(PeerRegisterTest, LAT12_ReInvitesGiveNobodyMoreTime) {
  Peer first;
  Peer second;
  signal(first, start_, true);
  signal(second, start_, true);
  for (Instant now = start_; now < start_ + 60s; now += 4s) {
    signal(second, now, false);                                                           // hold
    signal(second, now + 1s, true);                                                       // retrieval
    signal(second, now + 2s, true, static_cast<std::uint32_t>((now - start_) / 4s) + 1);  // another port
    static_cast<void>(register_.decide(now + 3s));
    if (now > start_ + 10s) {
      EXPECT_LE(second.member->unheard_until(), now);
    }
  }
}

TEST_F(PeerRegisterTest, LAT12_APeerThatWasHeardBeginsAnewWhenItMoves) {
  Peer first;
  Peer second;
  signal(first, start_, true);
  signal(second, start_, true);
  second.activity->is_heard.store(true);
  second.activity->last_packet_ns.store((start_ - 2h).time_since_epoch().count());
  static_cast<void>(register_.decide(start_ + 60s));
  signal(second, start_ + 60s, true, 1);
  second.activity->is_heard.store(false);  // the worker learns the new port
  EXPECT_EQ(stops(second, start_ + 60s), start_ + 70s);
}

}  // namespace
}  // namespace ferry::test
