// SPDX-License-Identifier: Apache-2.0
#include "codecs/transcode/event_source.hpp"

#include <array>

#include <gtest/gtest.h>

namespace ferry::event_source_test {
namespace {

using std::chrono::milliseconds;

class EventSourceTest : public ::testing::Test {
 protected:
  std::optional<EventSource::News> hear(std::uint32_t timestamp, unsigned duration, bool ends = false,
                                        std::uint8_t event = 5, std::uint32_t ssrc = 1) {
    now += milliseconds(20);
    const std::array<std::byte, 4> payload = {
        std::byte{event}, static_cast<std::byte>((ends ? 0x80 : 0) | 10),
        static_cast<std::byte>(duration >> 8), static_cast<std::byte>(duration & 0xff)};
    RtpView rtp;
    rtp.ssrc = Ssrc{ssrc};
    rtp.timestamp = timestamp;
    rtp.payload = payload;
    return source.hear(rtp, 8000, now);
  }
  EventSource source;
  Instant now{std::chrono::hours(1)};
};

TEST_F(EventSourceTest, APressBeginsOnceAndEndsOnce) {
  const auto first = hear(1000, 160);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->begins);
  EXPECT_FALSE(first->ends);
  EXPECT_EQ(first->event, 5);
  EXPECT_EQ(first->volume, 10);
  EXPECT_FALSE(hear(1000, 160)) << "nothing new";
  const auto longer = hear(1000, 320);
  ASSERT_TRUE(longer);
  EXPECT_FALSE(longer->begins);
  EXPECT_EQ(longer->length, milliseconds(40));
  const auto end = hear(1000, 480, true);
  ASSERT_TRUE(end);
  EXPECT_TRUE(end->ends);
  EXPECT_EQ(end->length, milliseconds(60));
  EXPECT_FALSE(hear(1000, 480, true)) << "a copy of the end";
  EXPECT_FALSE(source.is_open());
}

TEST_F(EventSourceTest, AnotherTimestampIsAnotherPressAlsoOfTheSameKey) {
  ASSERT_TRUE(hear(1000, 160));
  const auto second = hear(3000, 160);
  ASSERT_TRUE(second);
  EXPECT_TRUE(second->ends_former);
  EXPECT_TRUE(second->begins);
  EXPECT_FALSE(hear(1000, 800, true)) << "late packets of the one before";
  EXPECT_TRUE(source.is_open());
  const auto other = hear(10, 160, false, 6, 2);
  ASSERT_TRUE(other) << "another stream counts from elsewhere";
  EXPECT_TRUE(other->begins);
}

TEST_F(EventSourceTest, SegmentsAreOnePress) {
  ASSERT_TRUE(hear(0, 160));
  for (unsigned n = 2; n <= 409; ++n) hear(0, std::min(n * 160, 0xffffu));
  const auto next = hear(0xffff, 160);
  ASSERT_TRUE(next);
  EXPECT_FALSE(next->begins);
  EXPECT_FALSE(next->ends_former);
  const auto end = hear(0xffff, 320, true);
  ASSERT_TRUE(end);
  EXPECT_NEAR(static_cast<double>(end->length.count()) / 1e6, (65'535 + 320) / 8.0, 20);
}

TEST_F(EventSourceTest, APressWithoutAnEndExpires) {
  ASSERT_TRUE(hear(1000, 160));
  EXPECT_EQ(source.due(), now + EventSource::kNoUpdate);
  EXPECT_FALSE(source.expire(now + milliseconds(199)));
  const auto news = source.expire(now + milliseconds(200));
  ASSERT_TRUE(news);
  EXPECT_TRUE(news->ends);
  EXPECT_FALSE(source.due());
}

TEST_F(EventSourceTest, ADamagedPacketSaysNothing) {
  RtpView rtp;
  const std::array<std::byte, 3> payload{};
  rtp.payload = payload;
  EXPECT_FALSE(source.hear(rtp, 8000, now));
}

}  // namespace
}  // namespace ferry::event_source_test
