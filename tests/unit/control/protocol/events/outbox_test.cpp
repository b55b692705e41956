// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/events/outbox.hpp"

#include <thread>

#include <gtest/gtest.h>

namespace ferry::events::outbox_test {
namespace {

TEST(Outbox, KeepsTheOrderAndCountsWhatDoesNotFit) {
  int woken = 0;
  Outbox<int> box(3, 1000, [&] { ++woken; });
  for (int n = 1; n <= 5; ++n) box.add(n);
  EXPECT_EQ(box.take(), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(box.lost(), 2u);
  EXPECT_EQ(woken, 3);
  EXPECT_TRUE(box.take().empty());
  box.add(6);
  EXPECT_EQ(box.take(), std::vector<int>{6});
}

TEST(Outbox, OctetsAreBoundedToo) {
  Outbox<int> box(100, 1000, [] {});
  box.add(1, 600);
  box.add(2, 600);
  box.add(3, 400);
  EXPECT_EQ(box.lost(), 1u);
  EXPECT_EQ(box.take(), (std::vector<int>{1, 3}));
  box.add(4, 1000);
  EXPECT_EQ(box.take(), std::vector<int>{4}) << "what was taken waits no more";
}

TEST(Outbox, EachValueReachesTheOtherThreadOnce) {
  constexpr int kValues = 20'000;
  Outbox<int> box(kValues, 0, [] {});
  std::jthread control([&] {
    for (int n = 0; n < kValues; ++n) box.add(n);
  });
  std::vector<int> all;
  while (all.size() < kValues) {
    for (const int value : box.take()) all.push_back(value);
    std::this_thread::yield();
  }
  for (int n = 0; n < kValues; ++n) ASSERT_EQ(all[static_cast<std::size_t>(n)], n);
}

}  // namespace
}  // namespace ferry::events::outbox_test
