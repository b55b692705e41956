// SPDX-License-Identifier: Apache-2.0
#include "relay/core/output/timeline.hpp"

#include <gtest/gtest.h>

namespace ferry::timeline_test {
namespace {

TEST(OutputTimeline, SSR2_ChangeOfInputContinuesWithoutAJump) {
  OutputTimeline timeline(Ssrc{77}, SeqNo{65535}, 4'294'967'200u);
  const auto first = timeline.follow(Ssrc{1}, 1000, false, 0);
  EXPECT_EQ(first.sequence, SeqNo{65535});
  EXPECT_EQ(first.timestamp, 4'294'967'200u) << "the first packet has the first time stamp";
  const auto second = timeline.follow(Ssrc{1}, 1320, false, 8000);
  EXPECT_EQ(second.sequence, SeqNo{0}) << "numbers rise by one, over the wrap";
  EXPECT_EQ(second.timestamp - first.timestamp, 320u) << "the sender's own clock, whatever time has passed";
  const auto prompt = timeline.generate(160, true);
  EXPECT_EQ(prompt.sequence, SeqNo{1});
  EXPECT_EQ(prompt.timestamp - second.timestamp, 160u);
  const auto other = timeline.follow(Ssrc{2}, 99, false, 480);
  EXPECT_EQ(other.sequence, SeqNo{2});
  EXPECT_EQ(other.timestamp - prompt.timestamp, 480u) << "the time that has passed since the prompt";
  EXPECT_TRUE(other.marker);
  EXPECT_EQ(other.ssrc, Ssrc{77});
}

TEST(OutputTimeline, SSR2_TheSameInputBehindAPromptIsPlacedByTheTimeThatHasPassed) {
  OutputTimeline timeline(Ssrc{1}, SeqNo{10}, 1000);
  (void)timeline.follow(Ssrc{1}, 1000, true, 0);
  (void)timeline.generate(160, true);
  const auto back = timeline.follow(Ssrc{1}, 90'000, false, 160);
  EXPECT_EQ(back.timestamp, 1320u) << "its own time stamps ran on while nobody heard it";
  EXPECT_TRUE(back.marker);
  EXPECT_EQ(timeline.follow(Ssrc{1}, 90'160, false, 7).timestamp, 1480u);
}

TEST(OutputTimeline, GoesOnBehindAStreamThatLeftAsItCame) {
  OutputTimeline timeline = OutputTimeline::behind(Ssrc{5}, SeqNo{65535}, 400);
  const auto next = timeline.generate(160, true);
  EXPECT_EQ(next.ssrc, Ssrc{5});
  EXPECT_EQ(next.sequence, SeqNo{0});
  EXPECT_EQ(next.timestamp, 560u);
}

}  // namespace
}  // namespace ferry::timeline_test
