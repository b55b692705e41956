// SPDX-License-Identifier: Apache-2.0
#include "control/events/delivery_queue.hpp"

#include <chrono>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::events::delivery_queue_test {
namespace {

using namespace std::chrono_literals;

using Numbers = std::vector<std::uint64_t>;

class DeliveryQueueTest : public ::testing::Test {
 protected:
  void add(std::uint64_t number, const std::string& call) {
    queue_.add({number, EventType::kDtmf, call, "{}"});
  }
  void fail(std::uint64_t number, bool is_refused) {
    EXPECT_FALSE(queue_.on_failed(number, is_refused, now_));
  }
  /// The number of the next event; 0 = none.
  std::uint64_t take() {
    const Event* event = queue_.take(now_);
    return event == nullptr ? 0 : event->number;
  }
  DeliveryQueue queue_{100};
  Instant now_{1h};
};

TEST_F(DeliveryQueueTest, EventsOfOneCallGoOneAfterAnother) {
  add(1, "a");
  add(2, "a");
  add(3, "b");
  EXPECT_EQ(take(), 1u);
  EXPECT_EQ(take(), 3u);
  EXPECT_EQ(take(), 0u) << "2 waits for 1";
  EXPECT_FALSE(queue_.next_due());
  queue_.on_taken(1);
  EXPECT_EQ(take(), 2u);
  queue_.on_taken(3);
  queue_.on_taken(2);
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(DeliveryQueueTest, AnEventThatIsRefusedHoldsUpItsCallAlone) {
  add(1, "a");
  add(2, "a");
  add(3, "b");
  EXPECT_EQ(take(), 1u);
  fail(1, true);
  EXPECT_EQ(take(), 3u);
  queue_.on_taken(3);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(queue_.next_due(), now_ + 1s);
  now_ += 1s;
  EXPECT_EQ(take(), 1u) << "the order of a call stays";
  fail(1, true);
  EXPECT_EQ(queue_.next_due(), now_ + 2s);
  now_ += 2s;
  EXPECT_EQ(take(), 1u);
  queue_.on_taken(1);
  EXPECT_EQ(take(), 2u);
}

TEST_F(DeliveryQueueTest, IfNobodyAnswersOneAtATimeIsTriedWithGrowingPauses) {
  for (std::uint64_t n = 1; n <= 20; ++n) add(n, std::to_string(n));
  for (std::size_t n = 1; n <= DeliveryQueue::kParallel; ++n) EXPECT_EQ(take(), n);
  EXPECT_EQ(take(), 0u) << "no more are under way at a time";
  for (std::size_t n = 1; n <= DeliveryQueue::kParallel; ++n) fail(n, false);
  EXPECT_TRUE(queue_.is_failing());
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(queue_.next_due(), now_ + 1s) << "failures at the same time count as one";
  now_ += 1s;
  const auto second = take();
  EXPECT_EQ(second, DeliveryQueue::kParallel + 1)
      << "another call, because each of the first may be the reason";
  EXPECT_EQ(take(), 0u);
  fail(second, false);
  EXPECT_EQ(queue_.next_due(), now_ + 2s);
  now_ += 2s;
  const auto first = take();
  queue_.on_taken(first);
  EXPECT_FALSE(queue_.is_failing());
  for (std::size_t n = 0; n < DeliveryQueue::kParallel; ++n) EXPECT_NE(take(), 0u);
}

TEST_F(DeliveryQueueTest, ThePauseGrowsToAMinute) {
  EXPECT_EQ(back_off(0), 0s);
  EXPECT_EQ(back_off(1), 1s);
  EXPECT_EQ(back_off(2), 2s);
  EXPECT_EQ(back_off(6), 32s);
  EXPECT_EQ(back_off(7), 60s);
  EXPECT_EQ(back_off(1000), 60s);
}

TEST_F(DeliveryQueueTest, TheOldestGoesIfTooManyWaitButNotOneUnderWay) {
  DeliveryQueue small(2);
  EXPECT_TRUE(small.add({1, EventType::kDtmf, "a", {}}).dropped.empty());
  EXPECT_TRUE(small.add({2, EventType::kDtmf, "a", {}}).dropped.empty());
  EXPECT_EQ(small.take(now_)->number, 1u);
  EXPECT_EQ(small.add({3, EventType::kDtmf, "a", {}}).dropped, Numbers{2});
  EXPECT_EQ(small.add({4, EventType::kDtmf, "b", {}}).dropped, Numbers{3});
  small.on_taken(1);
  EXPECT_EQ(small.take(now_)->number, 4u);
  EXPECT_EQ(small.size(), 1u);
}

TEST_F(DeliveryQueueTest, AnEventThatBreaksTheReceiverDoesNotHoldUpOtherCalls) {
  for (std::uint64_t n = 1; n <= 5; ++n) add(n, std::to_string(n));
  std::set<std::uint64_t> taken;
  // 1 gets status 500 whenever it is tried.
  for (const auto end = now_ + 10min; now_ < end && taken.size() < 4; now_ += 100ms) {
    const std::uint64_t number = take();
    if (number == 0) continue;
    if (number == 1) {
      fail(number, false);
    } else {
      queue_.on_taken(number);
      taken.insert(number);
    }
  }
  EXPECT_EQ(taken, (std::set<std::uint64_t>{2, 3, 4, 5}));
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(DeliveryQueueTest, AnEventIsGivenUpIfTheReceiverTakesOthersAgainAndAgain) {
  add(1, "a");
  add(2, "a");
  std::uint64_t next = 3;
  unsigned tries = 0;
  for (const auto end = now_ + 24h; now_ < end && tries <= DeliveryQueue::kMostStrikes; now_ += 1s) {
    const std::uint64_t number = take();
    if (number == 0) continue;
    if (number != 1) {
      queue_.on_taken(number);
      continue;
    }
    ++tries;
    if (queue_.on_failed(1, tries % 2 == 0, now_)) break;
    add(next++, "b");
  }
  EXPECT_EQ(tries, DeliveryQueue::kMostStrikes + 1) << "the first failure says nothing";
  now_ += 1min;
  EXPECT_EQ(take(), 2u) << "its call goes on";
}

TEST_F(DeliveryQueueTest, NothingIsGivenUpWhileNobodyTakesAnything) {
  add(1, "a");
  for (unsigned n = 0; n < 10 * DeliveryQueue::kMostStrikes; ++n) {
    ASSERT_EQ(take(), 1u);
    fail(1, n % 2 == 0);
    now_ += 1min;
  }
  EXPECT_EQ(queue_.size(), 1u);
}

TEST_F(DeliveryQueueTest, AReceiverThatRefusesEveryCallIsAskedByOneEventAtATime) {
  for (std::uint64_t n = 1; n <= 90; ++n) add(n, std::to_string(n));
  for (unsigned n = 0; n < DeliveryQueue::kMostRefused; ++n) fail(take(), true);
  EXPECT_TRUE(queue_.is_failing());
  EXPECT_EQ(take(), 0u);
  now_ += 1s;
  const std::uint64_t probe = take();
  EXPECT_NE(probe, 0u);
  EXPECT_EQ(take(), 0u);
  queue_.on_taken(probe);
  EXPECT_FALSE(queue_.is_failing());
}

TEST_F(DeliveryQueueTest, WhatWaitsIsBoundedByOctets) {
  const Event large{1, EventType::kDtmf, "a", std::string(1000, 'x')};
  DeliveryQueue small(100, 3 * octets_of(large));
  for (std::uint64_t n = 1; n <= 3; ++n)
    EXPECT_TRUE(small.add({n, EventType::kDtmf, "a", large.text}).dropped.empty());
  EXPECT_EQ(small.octets(), 3 * octets_of(large));
  EXPECT_EQ(small.add({4, EventType::kDtmf, "b", std::string(2500, 'x')}).dropped, (Numbers{1, 2, 3}));
  small.on_taken(small.take(now_)->number);
  EXPECT_EQ(small.octets(), 0u);
}

TEST_F(DeliveryQueueTest, ANumberThatIsThereAlreadyIsIgnored) {
  add(1, "a");
  EXPECT_FALSE(queue_.add({1, EventType::kDtmf, "b", "other"}).is_new);
  EXPECT_EQ(take(), 1u);
  EXPECT_EQ(queue_.events().at(1).call_id, "a");
  queue_.on_taken(1);
  EXPECT_EQ(take(), 0u);
  EXPECT_EQ(queue_.size(), 0u);
}

TEST_F(DeliveryQueueTest, WhateverFailsEachEventIsTakenOnceAndTheOrderOfItsCallStays) {
  std::mt19937 chance(7);
  std::map<std::string, std::uint64_t> last;
  std::uint64_t added = 0, taken = 0;
  std::vector<Event> under_way;
  DeliveryQueue queue(10'000);
  while (taken < 2000) {
    if (added < 2000 && chance() % 2 == 0) {
      ++added;
      queue.add({added, EventType::kDtmf, std::to_string(chance() % 5), {}});
    }
    if (const Event* event = queue.take(now_)) under_way.push_back(*event);
    if (!under_way.empty() && chance() % 2 == 0) {
      const auto which = under_way.begin() + static_cast<std::ptrdiff_t>(chance() % under_way.size());
      const Event event = *which;
      under_way.erase(which);
      if (const auto luck = chance() % 10; luck < 7) {
        queue.on_taken(event.number);
        EXPECT_LT(last[event.call_id], event.number);
        last[event.call_id] = event.number;
        ++taken;
      } else {
        EXPECT_FALSE(queue.on_failed(event.number, luck == 7, now_));
      }
    }
    now_ += 100ms;
  }
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(queue.under_way(), 0u);
}

}  // namespace
}  // namespace ferry::events::delivery_queue_test
