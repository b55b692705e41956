// SPDX-License-Identifier: Apache-2.0
#include "relay/core/output/repacketizer.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace ferry::repacketizer_test {
namespace {

struct Sent {
  std::uint32_t ssrc;
  std::uint32_t timestamp;
  unsigned type;
  std::size_t octets;
  bool marker;
};

/// Feeds packets of `octets` of a payload type, numbered as a sender would.
class Feed {
 public:
  explicit Feed(unsigned ptime) : ptime_(ptime) {}
  bool packet(std::uint16_t sequence, std::uint32_t timestamp, std::size_t octets, unsigned type = 0,
              std::uint32_t ssrc = 7) {
    const std::vector<std::byte> payload(octets, std::byte{0x55});
    RtpView view;
    view.ssrc = Ssrc{ssrc};
    view.sequence = SeqNo{sequence};
    view.timestamp = timestamp;
    view.payload_type = PayloadType{static_cast<std::uint8_t>(type)};
    view.payload = payload;
    return repacketizer_.take(view, ptime_, [&](const Repacketizer::Made& made) {
      sent_.push_back({made.ssrc.value, made.timestamp, made.type.value, made.payload.size(), made.marker});
    });
  }
  void set_ptime(unsigned ptime) { ptime_ = ptime; }
  std::vector<Sent> sent_;

 private:
  Repacketizer repacketizer_;
  unsigned ptime_;
};

TEST(Repacketizer, JoinsAndCuts) {
  Feed joined(60);
  for (std::uint16_t n = 0; n < 12; ++n) joined.packet(static_cast<std::uint16_t>(65'530 + n), n * 160u, 160);
  ASSERT_EQ(joined.sent_.size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(joined.sent_[i].octets, 480u);
    EXPECT_EQ(joined.sent_[i].timestamp, i * 480);
    EXPECT_EQ(joined.sent_[i].ssrc, 7u);
  }
  Feed cut(20);
  for (std::uint16_t n = 0; n < 2; ++n) cut.packet(n, n * 480u, 480, 8);
  ASSERT_EQ(cut.sent_.size(), 6u);
  EXPECT_EQ(cut.sent_[5].timestamp, 800u);
  EXPECT_EQ(cut.sent_[5].octets, 160u);
}

TEST(Repacketizer, WholeFramesOnly) {
  Feed gsm(30);  // frames of 20 ms: 40 ms it is
  for (std::uint16_t n = 0; n < 4; ++n) gsm.packet(n, n * 160u, 33, 3);
  ASSERT_EQ(gsm.sent_.size(), 2u);
  EXPECT_EQ(gsm.sent_[0].octets, 66u);
  Feed g729(20);
  g729.packet(0, 0, 10, 18);
  EXPECT_TRUE(g729.packet(1, 80, 2, 18));  // a SID frame is no whole frame: what waits goes first
  ASSERT_EQ(g729.sent_.size(), 2u);
  EXPECT_EQ(g729.sent_[0].octets, 10u);
  EXPECT_EQ(g729.sent_[1].octets, 2u);
  EXPECT_EQ(g729.sent_[1].timestamp, 80u);
}

TEST(Repacketizer, GapsLateOnesAndOtherTypes) {
  Feed feed(40);
  feed.packet(1, 0, 160);
  feed.packet(5, 640, 160);  // three were lost: what there is goes out as it is
  ASSERT_EQ(feed.sent_.size(), 1u);
  EXPECT_EQ(feed.sent_[0].octets, 160u);
  EXPECT_FALSE(feed.packet(4, 480, 160));  // its place is gone
  feed.packet(6, 800, 160);
  ASSERT_EQ(feed.sent_.size(), 2u);
  EXPECT_EQ(feed.sent_[1].octets, 320u);
  EXPECT_EQ(feed.sent_[1].timestamp, 640u);
  feed.packet(7, 960, 4, 101);  // an event
  ASSERT_EQ(feed.sent_.size(), 3u);
  EXPECT_EQ(feed.sent_[2].type, 101u);
  feed.packet(8, 960, 160);  // waits
  feed.packet(1, 0, 160, 0, 9);
  ASSERT_EQ(feed.sent_.size(), 4u) << "another sender: what waits goes out first";
  EXPECT_EQ(feed.sent_.back().ssrc, 7u);
  feed.set_ptime(0);
  feed.packet(2, 160, 160, 0, 9);
  ASSERT_EQ(feed.sent_.size(), 6u) << "as it comes, behind what waited";
  EXPECT_EQ(feed.sent_.back().ssrc, 9u);
}

}  // namespace
}  // namespace ferry::repacketizer_test
