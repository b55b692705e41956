// SPDX-License-Identifier: Apache-2.0
// A ring between two threads: first in, first out, and full is full.

#include "relay/base/spsc_ring.hpp"

#include <deque>
#include <memory>
#include <thread>
#include <utility>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::spsc_ring_test {
namespace {

TEST(SpscRing, RoomIsAPowerOfTwoAndAtLeastTwo) {
  for (const auto& [asked, room] : {std::pair{0u, 2u}, {1u, 2u}, {2u, 2u}, {3u, 4u}, {8u, 8u}, {9u, 16u}}) {
    SpscRing<int> ring(asked);
    unsigned fits = 0;
    while (ring.push(1)) ++fits;
    EXPECT_EQ(fits, room) << asked;
  }
}

TEST(SpscRing, AFullRingLeavesTheValueWithItsOwner) {
  SpscRing<std::unique_ptr<int>> ring(2);
  ASSERT_TRUE(ring.push(std::make_unique<int>(1)));
  ASSERT_TRUE(ring.push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(ring.push(std::move(third)));
  ASSERT_TRUE(third);
  EXPECT_EQ(*third, 3);
}

TEST(SpscRing, WhatWasTakenIsNotKeptAlive) {
  SpscRing<std::shared_ptr<int>> ring(4);
  auto value = std::make_shared<int>(1);
  ASSERT_TRUE(ring.push(std::shared_ptr<int>(value)));
  std::shared_ptr<int> taken;
  ASSERT_TRUE(ring.pop(taken));
  taken.reset();
  EXPECT_EQ(value.use_count(), 1) << "no slot of the ring holds it";
}

TEST(SpscRing, AnswersAsAQueueDoes) {
  rc::check([](const std::vector<bool>& pushes) {
    SpscRing<int> ring(4);
    std::deque<int> truth;
    int number = 0;
    for (const bool push : pushes) {
      if (push) {
        int value = ++number;
        RC_ASSERT(ring.push(std::move(value)) == (truth.size() < 4));
        if (truth.size() < 4) truth.push_back(number);
      } else {
        int value = -1;
        RC_ASSERT(ring.pop(value) == !truth.empty());
        RC_ASSERT(value == (truth.empty() ? -1 : truth.front()));
        if (!truth.empty()) truth.pop_front();
      }
      RC_ASSERT(ring.empty() == truth.empty());
    }
  });
}

TEST(SpscRing, TwoThreadsLoseNothingAndKeepTheOrder) {
  constexpr int kValues = 200'000;
  SpscRing<int> ring(64);
  std::thread producer([&] {
    for (int i = 0; i < kValues;) {
      int value = i;
      if (ring.push(std::move(value)))
        ++i;
      else
        std::this_thread::yield();
    }
  });
  // All are taken, so that the producer ends, whatever their order.
  bool in_order = true;
  for (int taken = 0; taken < kValues;) {
    int value = -1;
    if (!ring.pop(value)) {
      std::this_thread::yield();
      continue;
    }
    in_order = in_order && value == taken;
    ++taken;
  }
  EXPECT_TRUE(in_order);
  EXPECT_TRUE(ring.empty());
  producer.join();
}

}  // namespace
}  // namespace ferry::spsc_ring_test
