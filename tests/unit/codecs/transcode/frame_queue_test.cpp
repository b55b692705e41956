// SPDX-License-Identifier: Apache-2.0
// Frames that wait for their turn.
#include "codecs/transcode/frame_queue.hpp"

#include <array>

#include <gtest/gtest.h>

namespace ferry::frame_queue_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};

class FrameQueueTest : public testing::Test {
 protected:
  FrameQueueTest() { queue.configure(2); }
  void add(std::int16_t value, Instant at) { queue.add(std::array{value, value}, at); }
  /// The value of the frame of a turn; -1 if there is none.
  int take(Instant at) {
    const auto frame = queue.take(at);
    return frame.empty() ? -1 : frame[0];
  }
  FrameQueue queue;
};

TEST_F(FrameQueueTest, TheFirstFrameWaitsForTheSlackAndTheOthersFollow) {
  add(1, kBegin);
  EXPECT_EQ(take(kBegin + 9ms), -1);
  EXPECT_EQ(take(kBegin + 10ms), 1);
  // The slack is there for this one.
  add(2, kBegin + 29ms);
  EXPECT_EQ(take(kBegin + 30ms), 2);
  EXPECT_TRUE(queue.flows());
}

TEST_F(FrameQueueTest, BehindAPauseItWaitsAnew) {
  add(1, kBegin);
  EXPECT_EQ(take(kBegin + 20ms), 1);
  EXPECT_EQ(take(kBegin + 40ms), -1);
  EXPECT_FALSE(queue.flows());
  add(2, kBegin + 55ms);
  EXPECT_EQ(take(kBegin + 60ms), -1);
  EXPECT_EQ(take(kBegin + 80ms), 2);
}

TEST_F(FrameQueueTest, FramesOfAnotherLengthAreLeftOut) {
  queue.add(std::array<std::int16_t, 3>{1, 1, 1}, kBegin);
  EXPECT_TRUE(queue.is_empty());
}

TEST_F(FrameQueueTest, WhatIsTooManyForAWhileGoesWhereItIsQuiet) {
  add(9000, kBegin);
  add(9000, kBegin);
  Instant at = kBegin + 10ms;
  for (int n = 0; n < 150; ++n, at += 20ms) {
    EXPECT_EQ(take(at), 9000);
    add(9000, at);
    ASSERT_EQ(queue.waiting(), 2u) << "nothing of a loud sound is cut out";
  }
  add(3, at);
  EXPECT_EQ(take(at), 9000);
  add(9000, at);
  EXPECT_EQ(take(at + 20ms), 9000);
  EXPECT_EQ(take(at + 40ms), 9000) << "the quiet frame is gone";
  EXPECT_EQ(queue.waiting(), 0u);
}

TEST_F(FrameQueueTest, NeverMoreThanTheMost) {
  for (std::int16_t n = 0; n < 40; ++n) add(n, kBegin);
  EXPECT_EQ(queue.waiting(), FrameQueue::kMost);
  int last = -1;
  for (int n = 0; n < 20; ++n) {
    const int value = take(kBegin + 100ms + 20ms * n);
    if (value < 0) continue;
    EXPECT_GT(value, last);
    last = value;
  }
  EXPECT_EQ(last, 39);
}

}  // namespace
}  // namespace ferry::frame_queue_test
