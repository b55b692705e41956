// SPDX-License-Identifier: Apache-2.0
// The events of one transport: which of them wait for the worker, and how often each is told (LIM-4).

#include "relay/core/forward/event_queue.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};
constexpr auto kKindsOfEvents = static_cast<std::size_t>(TransportEvent::kCount);

class EventQueueTest : public ::testing::Test {
 protected:
  void note_all() {
    for (std::size_t i = 0; i < kKindsOfEvents; ++i) queue_.note(static_cast<TransportEvent>(i));
  }
  /// What the worker is told at `now`.
  std::multiset<TransportEvent> told(Instant now) {
    std::multiset<TransportEvent> all;
    while (const auto event = queue_.take(now)) all.insert(*event);
    return all;
  }
  static std::multiset<TransportEvent> every_kind() {
    std::multiset<TransportEvent> all;
    for (std::size_t i = 0; i < kKindsOfEvents; ++i) all.insert(static_cast<TransportEvent>(i));
    return all;
  }

  EventQueue queue_;
};

TEST_F(EventQueueTest, EveryKindIsToldThoughAllOfThemWaitAtOnce) {
  note_all();
  EXPECT_EQ(told(kStart), every_kind());
  EXPECT_TRUE(told(kStart).empty());
}

TEST_F(EventQueueTest, TakingOneEventLeavesEveryOtherWaiting) {
  for (std::size_t first = 0; first < kKindsOfEvents; ++first) {
    for (std::size_t second = first + 1; second < kKindsOfEvents; ++second) {
      const Instant now = kStart + (first * kKindsOfEvents + second) * 1min;
      queue_.note(static_cast<TransportEvent>(second));
      queue_.note(static_cast<TransportEvent>(first));
      EXPECT_EQ(queue_.take(now), static_cast<TransportEvent>(first));
      EXPECT_EQ(queue_.take(now), static_cast<TransportEvent>(second)) << "after " << first;
    }
  }
}

TEST_F(EventQueueTest, LIM4_AKindIsToldOnceInTenSeconds) {
  note_all();
  (void)told(kStart);
  note_all();
  EXPECT_TRUE(told(kStart + 10s - 1ns).empty());
  note_all();
  EXPECT_EQ(told(kStart + 10s), every_kind());
}

}  // namespace
}  // namespace ferry
