// SPDX-License-Identifier: Apache-2.0
#include "relay/core/latch/early_media.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace ferry::early_media_test {
namespace {

using namespace std::chrono_literals;
using KeepResult = EarlyMedia::KeepResult;

Endpoint at(std::uint8_t host, std::uint16_t port = 5000) {
  return {IpAddress::v4({192, 0, 2, host}), UdpPort{port}};
}

class EarlyMediaTest : public testing::Test {
 protected:
  KeepResult keep(const Endpoint& from, int number, Duration when, std::size_t size = 172) {
    std::vector<std::byte> packet(size, static_cast<std::byte>(number));
    return early_.keep(from, packet, start_ + when);
  }
  void release(const Endpoint& party, Duration when) {
    early_.release([&](const Endpoint& from) { return from == party ? 4u : 0u; }, start_ + when);
  }
  /// Lets everything out by the clock; numbers and times of what came.
  std::vector<std::pair<int, Duration>> let_out() {
    std::vector<std::pair<int, Duration>> out;
    for (auto due = early_.due(); due && !early_.is_over(*due); due = early_.due()) {
      const Bytes next = early_.next(*due);
      if (next.empty()) break;
      out.emplace_back(static_cast<int>(next[0]), *due - start_);
      early_.pop(*due);
    }
    return out;
  }

  Instant start_{1h};
  EarlyBudget budget_;
  EarlyMedia early_{budget_};
};

TEST_F(EarlyMediaTest, LAT14_ComesOutInOrderAtTwiceRealTime) {
  for (int i = 0; i < 10; ++i) EXPECT_EQ(keep(at(1), i, i * 20ms), KeepResult::kKept);
  release(at(1), 200ms);
  EXPECT_EQ(early_.take_dropped(), 0u);
  const auto out = let_out();
  ASSERT_EQ(out.size(), 10u);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(out[static_cast<std::size_t>(i)], std::pair(i, Duration(200ms + i * 10ms)));
}

TEST_F(EarlyMediaTest, LAT14_TheNewest25AndHalfASecondStay) {
  for (int i = 0; i < 60; ++i) EXPECT_EQ(keep(at(1), i, i * 10ms), KeepResult::kKept);
  EXPECT_EQ(early_.size(), 25u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(keep(at(2), i, 600ms + i * 100ms), KeepResult::kKept);
  EXPECT_EQ(early_.size(), 25u + 6u) << "500 ms, both ends";
  EXPECT_EQ(early_.take_dropped(), 35u + 14u);
  release(at(2), 3s);
  EXPECT_EQ(early_.take_dropped(), 25u) << "the other one's";
  EXPECT_EQ(let_out().front().first, 14);
}

TEST_F(EarlyMediaTest, LAT14_FourSourcesAndASilentOneGivesWay) {
  for (std::uint8_t who = 1; who <= 4; ++who) EXPECT_EQ(keep(at(who), who, who * 1ms), KeepResult::kKept);
  EXPECT_EQ(keep(at(5), 5, 100ms), KeepResult::kTooManySources);
  EXPECT_EQ(keep(at(1), 1, 400ms), KeepResult::kKept);
  EXPECT_EQ(keep(at(5), 5, 502ms), KeepResult::kKept) << "the second one has been silent for half a second";
  EXPECT_EQ(early_.take_dropped(), 1u);
  release(at(2), 600ms);
  EXPECT_FALSE(early_.is_releasing());
  EXPECT_EQ(early_.take_dropped(), 5u);
  EXPECT_EQ(budget_.used, 0u);
}

TEST_F(EarlyMediaTest, LAT14_TheBestRankGoesOutAndTheNewestOfEquals) {
  keep(at(1, 1), 1, 0ms);
  keep(at(1, 2), 2, 10ms);
  keep(at(1, 3), 3, 20ms);
  keep(at(2), 4, 30ms);
  early_.release([](const Endpoint& from) { return from.address == at(1).address ? 3u : 0u; }, start_ + 40ms);
  EXPECT_EQ(early_.released(), at(1, 3));
  EXPECT_EQ(early_.take_dropped(), 3u);
}

TEST_F(EarlyMediaTest, LAT14_WhatArrivesMeanwhileGoesBehindUntilTheLineIsEmpty) {
  for (int i = 0; i < 10; ++i) keep(at(1), i, i * 20ms);
  release(at(1), 190ms);
  std::vector<int> order;
  Duration last{-1};
  int next = 10;
  for (Duration now = 190ms; now < 1s; now += 1ms) {
    while (!early_.next(start_ + now).empty()) {
      order.push_back(static_cast<int>(early_.next(start_ + now)[0]));
      EXPECT_GE(now - last, 10ms);
      last = now;
      early_.pop(start_ + now);
    }
    if (now < 200ms || (now % 20ms) != 0ms) continue;
    if (!early_.is_releasing() || early_.has_caught_up(start_ + now)) {
      early_.drop_all();
      order.push_back(next++);
      EXPECT_GE(now - last, 10ms);
      last = now;
    } else {
      EXPECT_EQ(keep(at(1), next++, now), KeepResult::kKept);
    }
  }
  EXPECT_EQ(early_.take_dropped(), 0u);
  ASSERT_EQ(order.size(), 50u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_F(EarlyMediaTest, LAT14_APauseOfTheSpeakerIsNotMadeLongerForLivePackets) {
  keep(at(1), 0, 0ms);
  keep(at(1), 1, 20ms);
  release(at(1), 5s);
  ASSERT_EQ(let_out().size(), 2u);
  EXPECT_FALSE(early_.has_caught_up(start_ + 5010ms + 99ms));
  EXPECT_TRUE(early_.has_caught_up(start_ + 5010ms + 100ms));
  EXPECT_TRUE(early_.is_over(start_ + 5010ms + 100ms));
}

TEST_F(EarlyMediaTest, LAT14_TheBudgetBoundsAllOfAWorker) {
  std::vector<std::unique_ptr<EarlyMedia>> all;
  const std::vector<std::byte> packet(9000);
  KeepResult last = KeepResult::kKept;
  for (int i = 0; last == KeepResult::kKept && i < 10'000; ++i) {
    if (i % 25 == 0) all.push_back(std::make_unique<EarlyMedia>(budget_));
    last = all.back()->keep(at(1), packet, start_ + i * 1ms);
  }
  EXPECT_EQ(last, KeepResult::kNoRoom);
  EXPECT_LE(budget_.used, EarlyBudget::kMost);
  EXPECT_GT(budget_.used, EarlyBudget::kMost - 20'000);
  // Room that a source has stays its own.
  EXPECT_EQ(all.front()->keep(at(1), packet, start_ + 100ms), KeepResult::kKept);
  all.clear();
  EXPECT_EQ(budget_.used, 0u);
}

TEST_F(EarlyMediaTest, LAT14_WhoIsHeardByNowIsForgotten) {
  keep(at(1), 1, 0ms);
  keep(at(2), 2, 0ms);
  early_.forget(at(1));
  EXPECT_EQ(early_.take_dropped(), 1u);
  release(at(1), 10ms);
  EXPECT_FALSE(early_.is_releasing());
  EXPECT_FALSE(early_.due().has_value());
}

}  // namespace
}  // namespace ferry::early_media_test
