// SPDX-License-Identifier: Apache-2.0
// Deadlines of a worker's transports: one of each kind, in order, and none for those who are gone.

#include "relay/worker/deadlines.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::deadlines_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kBegin{1h};
constexpr DeadlineKind kOwn = DeadlineKind::kTransport;
constexpr DeadlineKind kOutput = DeadlineKind::kOutput;

class DeadlinesTest : public ::testing::Test {
 protected:
  TransportEntry& add(std::uint32_t slot, std::uint32_t generation = 0) {
    table_.put({slot, generation},
               std::make_unique<TransportEntry>(TransportId{}, std::make_shared<TransportPlan>(),
                                                std::make_shared<TransportActivity>(), kBegin, Endpoint{}));
    return *table_.at(slot);
  }
  /// Slot and kind of everything that has come by `now`.
  std::vector<std::pair<std::uint32_t, DeadlineKind>> come(Instant now) {
    std::vector<std::pair<std::uint32_t, DeadlineKind>> all;
    while (const auto due = deadlines_.next(now)) all.emplace_back(due->entry->id.slot, due->kind);
    return all;
  }
  using Come = std::vector<std::pair<std::uint32_t, DeadlineKind>>;
  TransportTable table_;
  Deadlines deadlines_{table_};
};

TEST_F(DeadlinesTest, ComeInTheOrderOfTheirTimes) {
  TransportEntry& one = add(1);
  TransportEntry& two = add(2);
  EXPECT_EQ(deadlines_.earliest(kBegin + 1min), kBegin + 1min) << "there is none";
  deadlines_.set(one, kOwn, kBegin + 30ms, kBegin);
  deadlines_.set(two, kOwn, kBegin + 10ms, kBegin);
  deadlines_.set(one, kOutput, kBegin + 20ms, kBegin);
  EXPECT_EQ(deadlines_.earliest(kBegin + 1min), kBegin + 10ms);
  EXPECT_EQ(deadlines_.earliest(kBegin + 5ms), kBegin + 5ms);
  EXPECT_TRUE(come(kBegin + 9ms).empty());
  EXPECT_EQ(come(kBegin + 20ms), (Come{{2, kOwn}, {1, kOutput}}));
  EXPECT_TRUE(come(kBegin + 29ms).empty());
  EXPECT_EQ(come(kBegin + 1h), (Come{{1, kOwn}}));
  EXPECT_TRUE(come(kBegin + 2h).empty()) << "each once";
  EXPECT_EQ(one.due_of(kOwn), Instant{});
}

TEST_F(DeadlinesTest, ALaterOneTakesThePlaceOfAnEarlierOne) {
  TransportEntry& one = add(1);
  for (const Duration at : {10ms, 50ms, 50ms, 30ms}) deadlines_.set(one, kOwn, kBegin + at, kBegin);
  EXPECT_TRUE(come(kBegin + 29ms).empty());
  EXPECT_EQ(come(kBegin + 30ms), (Come{{1, kOwn}}));
  EXPECT_TRUE(come(kBegin + 1h).empty());
}

TEST_F(DeadlinesTest, AnEarlierOneStays) {
  TransportEntry& one = add(1);
  deadlines_.set_earlier(one, kOwn, std::nullopt, kBegin);
  EXPECT_EQ(one.due_of(kOwn), Instant{});
  deadlines_.set_earlier(one, kOwn, kBegin + 20ms, kBegin);
  deadlines_.set_earlier(one, kOwn, kBegin + 40ms, kBegin);
  EXPECT_EQ(one.due_of(kOwn), kBegin + 20ms);
  deadlines_.set_earlier(one, kOwn, kBegin + 10ms, kBegin);
  EXPECT_EQ(come(kBegin + 1h), (Come{{1, kOwn}}));
}

// The worker serves deadlines until none is due: one in the past would keep it from its packets.
TEST_F(DeadlinesTest, OneThatIsPastComesAMillisecondLater) {
  TransportEntry& one = add(1);
  deadlines_.set_earlier(one, kOwn, kBegin - 1s, kBegin);
  EXPECT_TRUE(come(kBegin).empty());
  EXPECT_EQ(come(kBegin + 1ms), (Come{{1, kOwn}}));
}

TEST_F(DeadlinesTest, WhoIsGoneHasNone) {
  deadlines_.set(add(1), kOwn, kBegin + 10ms, kBegin);
  deadlines_.set(add(2), kOwn, kBegin + 10ms, kBegin);
  ASSERT_NE(table_.take({1, 0}), nullptr);
  add(2, 1);  // another one has the slot now
  EXPECT_TRUE(come(kBegin + 1h).empty());
  EXPECT_EQ(deadlines_.earliest(kBegin + 2h), kBegin + 2h);
}

TEST_F(DeadlinesTest, NothingIsLostAsLongAsThereIsMemory) {
  deadlines_.set(add(1), kOwn, kBegin + 10ms, kBegin);
  EXPECT_FALSE(deadlines_.take_lost(kBegin + 1h));
}

}  // namespace
}  // namespace ferry::deadlines_test
