// SPDX-License-Identifier: Apache-2.0
// Orders come out in the order in which each thread gave them, and none gets lost.

#include "relay/media/order_list.hpp"

#include <array>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::order_list_test {
namespace {

std::unique_ptr<MediaOrder> order(unsigned worker, std::uint64_t serial) {
  auto made = std::make_unique<MediaOrder>();
  made->worker = worker;
  made->owner.serial = serial;
  return made;
}

TEST(OrderList, TheOldestComesFirst) {
  OrderList list;
  EXPECT_EQ(list.take_all(), nullptr);
  for (std::uint64_t n = 0; n < 5; ++n) list.give(order(0, n));
  std::uint64_t seen = 0;
  for (auto each = list.take_all(); each; each = std::move(each->next)) EXPECT_EQ(each->owner.serial, seen++);
  EXPECT_EQ(seen, 5u);
  EXPECT_EQ(list.take_all(), nullptr);
}

TEST(OrderList, AListThatEndsTakesItsOrdersAlong) {
  const auto shared = std::make_shared<std::atomic<bool>>(false);
  {
    OrderList list;
    // A chain of so many objects must not take a deep stack.
    for (std::uint64_t n = 0; n < 200'000; ++n) {
      auto next = order(0, n);
      next->done = shared;
      list.give(std::move(next));
    }
    EXPECT_EQ(shared.use_count(), 200'001);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(OrderList, SeveralThreadsLoseNothing) {
  constexpr unsigned kThreads = 3;
  constexpr std::uint64_t kEach = 20'000;
  OrderList list;
  std::vector<std::thread> givers;
  for (unsigned worker = 0; worker < kThreads; ++worker) {
    givers.emplace_back([&list, worker] {
      for (std::uint64_t n = 0; n < kEach; ++n) list.give(order(worker, n));
    });
  }
  std::array<std::uint64_t, kThreads> seen{};
  bool in_order = true;
  for (std::uint64_t taken = 0; taken < kThreads * kEach;) {
    auto each = list.take_all();
    if (!each) std::this_thread::yield();
    for (; each; each = std::move(each->next), ++taken)
      in_order = in_order && each->owner.serial == seen[each->worker]++;
  }
  for (std::thread& giver : givers) giver.join();
  EXPECT_TRUE(in_order);
}

}  // namespace
}  // namespace ferry::order_list_test
