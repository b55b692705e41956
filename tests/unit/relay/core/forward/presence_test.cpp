// SPDX-License-Identifier: Apache-2.0
// Whether the peer is there, as packets and ICMP errors say (LAT-12, LAT-12a).

#include "relay/core/forward/presence.hpp"

#include <gtest/gtest.h>

namespace ferry::presence_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
const IpAddress kAddress = IpAddress::v4({192, 0, 2, 1});

class PresenceTest : public ::testing::Test {
 protected:
  /// An error about a packet to the peer; true if it pauses the component.
  bool error(Instant now, bool is_fed_by_kernel = false) {
    return presence_.on_unreachable(Component::kRtp, errors_, kAddress, {}, is_fed_by_kernel, now);
  }

  TransportActivity activity_;
  std::shared_ptr<AddressErrors> errors_ = std::make_shared<AddressErrors>(kAddress);
  Presence presence_{activity_};
};

TEST_F(PresenceTest, LAT12_ControlReadsWhetherThePeerWasHeard) {
  EXPECT_FALSE(presence_.is_heard());
  presence_.hear_keep_alive(kStart);
  EXPECT_TRUE(presence_.is_heard());
  EXPECT_TRUE(activity_.is_heard.load());
  presence_.expect_another();
  EXPECT_FALSE(presence_.is_heard());
  EXPECT_FALSE(activity_.is_heard.load());
}

TEST_F(PresenceTest, LAT12a_ErrorsCountOnlyForWhatWasJustSent) {
  for (int n = 0; n < 10; ++n) EXPECT_FALSE(error(kStart + n * 1s)) << "nothing was sent";
  presence_.on_sent(Component::kRtp, kStart);
  for (int n = 0; n < 10; ++n) EXPECT_FALSE(error(kStart + 2s + n * 1s)) << "it was sent too long ago";
  EXPECT_FALSE(presence_.is_paused(Component::kRtp));
}

TEST_F(PresenceTest, LAT12a_ErrorsInARowPauseUntilThePeerIsHeard) {
  bool has_paused = false;
  for (int n = 0; n < 10 && !has_paused; ++n) has_paused = error(kStart + n * 1s, true);
  EXPECT_TRUE(has_paused);
  EXPECT_TRUE(presence_.is_paused(Component::kRtp));
  EXPECT_FALSE(presence_.is_paused(Component::kRtcp));
  EXPECT_EQ(errors_->paused.load(), 1u);
  TransportSnapshot snapshot;
  presence_.save(snapshot);
  TransportActivity activity;
  Presence other(activity);
  other.restore(snapshot, kStart);
  EXPECT_TRUE(other.is_paused(Component::kRtp));
  presence_.hear();
  EXPECT_FALSE(presence_.is_paused(Component::kRtp));
  EXPECT_EQ(errors_->paused.load(), 0u);
}

TEST_F(PresenceTest, C13_APauseOfTheProcessIsNobodysSilence) {
  EXPECT_EQ(presence_.silence_since(kStart, kStart + 60s), 60s);
  presence_.skip(59s, kStart + 59s);
  EXPECT_EQ(presence_.silence_since(kStart, kStart + 60s), 1s);
}

}  // namespace
}  // namespace ferry::presence_test
