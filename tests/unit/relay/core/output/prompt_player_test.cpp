// SPDX-License-Identifier: Apache-2.0
// Which packet of a prompt is due when: rounds, a longest time, places to begin at, pauses, and waiting.
#include "relay/core/output/prompt_player.hpp"

#include <gtest/gtest.h>

namespace ferry::prompt_player_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{10s};

/// A prompt of packets of 20 ms that have so many octets.
std::shared_ptr<Prompt> prompt_of(std::vector<std::uint16_t> sizes) {
  auto prompt = std::make_shared<Prompt>(PromptTiming{});
  std::size_t octets = 0;
  for (const std::uint16_t size : sizes) octets += size;
  prompt->append({std::vector<std::byte>(octets), std::move(sizes)});
  prompt->finish();
  return prompt;
}

PromptOrder order_of(std::shared_ptr<const Prompt> prompt, std::int64_t rounds = 1) {
  PromptOrder order;
  order.prompt = std::move(prompt);
  order.rounds = rounds;
  return order;
}

struct Heard {
  std::int64_t at_ms;
  std::size_t octets;
  std::uint32_t units;
  bool begins;
  bool ends_pause;
};

/// Plays for `time`, always when something is due.
std::vector<Heard> play(PromptPlayer& player, Duration time, bool can_send = true) {
  std::vector<Heard> heard;
  while (!player.is_over() && player.due() < kBegin + time) {
    const Instant now = player.due();
    const auto packet = player.take(now, can_send);
    if (packet)
      heard.push_back(
          {(now - kBegin) / 1ms, packet->payload.size(), packet->units, packet->begins, packet->ends_pause});
  }
  return heard;
}

TEST(PromptPlayer, PlaysRoundsWithoutAGap) {
  PromptPlayer player(order_of(prompt_of({10, 20, 30}), 2), kBegin);
  const auto heard = play(player, 1s);
  ASSERT_EQ(heard.size(), 6u);
  for (std::size_t i = 0; i < heard.size(); ++i) {
    EXPECT_EQ(heard[i].at_ms, static_cast<std::int64_t>(i) * 20);
    EXPECT_EQ(heard[i].octets, 10 + 10 * (i % 3));
    EXPECT_EQ(heard[i].units, 160u);
    EXPECT_EQ(heard[i].begins, i == 0);
  }
  EXPECT_TRUE(player.is_over());
  EXPECT_EQ(player.due(), kBegin + 120ms) << "the last packet lasts, too";
}

TEST(PromptPlayer, EndsAtTheLongestTimeWhateverTheRounds) {
  PromptOrder order = order_of(prompt_of({1, 1, 1}), Prompt::kForEver);
  order.longest = 90ms;
  PromptPlayer player(order, kBegin);
  EXPECT_EQ(play(player, 10s).size(), 5u);
  EXPECT_TRUE(player.is_over());
}

TEST(PromptPlayer, OnlyTheFirstRoundLeavesItsBeginOut) {
  PromptOrder order = order_of(prompt_of({1, 2, 3}), 2);
  order.skipped = 2;
  order.progress = std::make_shared<PromptProgress>();
  PromptPlayer player(order, kBegin);
  std::vector<std::size_t> sizes;
  for (const Heard& each : play(player, 30ms)) sizes.push_back(each.octets);
  EXPECT_EQ(order.progress->packet.load(), 0u) << "the first packet of the second round";
  for (const Heard& each : play(player, 1s)) sizes.push_back(each.octets);
  EXPECT_EQ(sizes, (std::vector<std::size_t>{3, 1, 2, 3}));
  EXPECT_EQ(order.progress->packet.load(), 2u);
}

TEST(PromptPlayer, APauseOfTheCodecTakesTimeAndSendsNothing) {
  PromptPlayer player(order_of(prompt_of({5, 0, 0, 7, 8})), kBegin);
  const auto heard = play(player, 1s);
  ASSERT_EQ(heard.size(), 3u);
  EXPECT_EQ(heard[1].at_ms, 60);
  EXPECT_EQ(heard[1].units, 480u);
  EXPECT_TRUE(heard[1].ends_pause);
  EXPECT_FALSE(heard[2].ends_pause);
  EXPECT_EQ(heard[2].units, 160u);
}

TEST(PromptPlayer, WaitsForWhatIsNotEncodedYet) {
  auto prompt = std::make_shared<Prompt>(PromptTiming{});
  PromptPlayer player(order_of(prompt), kBegin);
  EXPECT_TRUE(play(player, 55ms).empty());
  prompt->append({std::vector<std::byte>(4), {2, 2}});
  auto heard = play(player, 105ms);
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_TRUE(heard[0].begins);
  EXPECT_FALSE(player.is_over());
  prompt->append({std::vector<std::byte>(2), {2}});
  prompt->finish();
  heard = play(player, 1s);
  ASSERT_EQ(heard.size(), 1u);
  EXPECT_TRUE(heard[0].begins) << "time has passed without sound";
  EXPECT_TRUE(player.is_over());
}

TEST(PromptPlayer, WaitsForAnAddress) {
  PromptPlayer player(order_of(prompt_of({1, 2})), kBegin);
  EXPECT_TRUE(play(player, 1s, false).empty());
  const auto heard = play(player, 2s);
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[0].octets, 1u);
}

TEST(PromptPlayer, ALateOneGoesOnFromNow) {
  PromptPlayer player(order_of(prompt_of({1, 1, 1, 1})), kBegin);
  ASSERT_TRUE(player.take(kBegin, true));
  const auto late = player.take(kBegin + 500ms, true);
  ASSERT_TRUE(late);
  EXPECT_TRUE(late->begins);
  EXPECT_EQ(player.due(), kBegin + 520ms) << "nothing is made up for";
  EXPECT_FALSE(player.take(kBegin + 545ms, true)->begins) << "a little lateness is caught up with";
  EXPECT_EQ(player.due(), kBegin + 540ms);
}

TEST(PromptPlayer, NothingToPlayIsTheEnd) {
  for (const std::int64_t rounds : {std::int64_t{1}, Prompt::kForEver}) {
    PromptPlayer player(order_of(prompt_of({}), rounds), kBegin);
    EXPECT_FALSE(player.take(kBegin, true));
    EXPECT_TRUE(player.is_over());
  }
  PromptOrder behind = order_of(prompt_of({1}), 5);
  behind.skipped = 9;
  PromptPlayer player(behind, kBegin);
  EXPECT_FALSE(player.take(kBegin, true));
  EXPECT_TRUE(player.is_over()) << "its begin lies behind its end";
}

TEST(PromptPlayer, TellsItsEnd) {
  PromptOrder order = order_of(prompt_of({1}), Prompt::kForEver);
  order.progress = std::make_shared<PromptProgress>();
  {
    PromptPlayer player(order, kBegin);
    EXPECT_FALSE(order.progress->is_over.load());
  }
  EXPECT_TRUE(order.progress->is_over.load());
}

}  // namespace
}  // namespace ferry::prompt_player_test
