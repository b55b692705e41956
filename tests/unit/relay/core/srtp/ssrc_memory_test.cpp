// SPDX-License-Identifier: Apache-2.0
// What a key remembers of SSRCs whose replay lists gave way (SRT-7a).

#include "relay/core/srtp/ssrc_memory.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::ssrc_memory_test {
namespace {

SsrcRecord record_of(std::uint32_t ssrc, std::uint64_t highest) {
  SsrcRecord record;
  record.ssrc = Ssrc{ssrc};
  record.has_rtp = true;
  record.highest_rtp = highest;
  return record;
}

TEST(SsrcMemory, SRT7a_ARecordIsReplacedAndRemoved) {
  SsrcMemory memory;
  EXPECT_EQ(memory.find(Ssrc{1}), nullptr);
  ASSERT_TRUE(memory.keep(record_of(1, 10)));
  ASSERT_TRUE(memory.keep(record_of(1, 20)));
  ASSERT_NE(memory.find(Ssrc{1}), nullptr);
  EXPECT_EQ(memory.find(Ssrc{1})->highest_rtp, 20u);
  EXPECT_EQ(memory.state().records.size(), 1u);
  memory.remove(Ssrc{1});
  memory.remove(Ssrc{2});
  EXPECT_EQ(memory.find(Ssrc{1}), nullptr);
  EXPECT_FALSE(memory.is_forgotten(Ssrc{1})) << "it has replay lists again";
}

TEST(SsrcMemory, SRT7a_TheOldestIsForgottenButWasUsed) {
  SsrcMemory memory;
  for (std::uint32_t i = 0; i < SsrcMemory::kRecords; ++i) ASSERT_TRUE(memory.keep(record_of(i, i)));
  EXPECT_FALSE(memory.is_forgotten(Ssrc{0}));
  // Heard again: now the second one is the oldest.
  ASSERT_TRUE(memory.keep(record_of(0, 9)));
  ASSERT_TRUE(memory.keep(record_of(1'000'000, 1)));
  EXPECT_NE(memory.find(Ssrc{0}), nullptr);
  EXPECT_EQ(memory.find(Ssrc{1}), nullptr);
  EXPECT_TRUE(memory.is_forgotten(Ssrc{1}));
  EXPECT_EQ(memory.state().records.size(), SsrcMemory::kRecords);
}

TEST(SsrcMemory, SRT7a_NothingThatWasForgottenIsEverNew) {
  SsrcMemory memory;
  constexpr std::uint32_t kMany = 40'000;
  for (std::uint32_t i = 0; i < kMany; ++i) ASSERT_TRUE(memory.keep(record_of(i * 2'654'435'761u, i)));
  for (std::uint32_t i = 0; i < kMany; ++i) {
    const Ssrc ssrc{i * 2'654'435'761u};
    ASSERT_EQ(memory.find(ssrc) != nullptr, i >= kMany - SsrcMemory::kRecords) << i;
    ASSERT_TRUE(memory.find(ssrc) != nullptr || memory.is_forgotten(ssrc)) << i;
  }
  // And hardly anything else is taken for forgotten: 1 in 100,000 after 35,000.
  int mistakes = 0;
  for (std::uint32_t i = 0; i < 100'000; ++i)
    mistakes += memory.is_forgotten(Ssrc{i * 2'654'435'761u + 1}) ? 1 : 0;
  EXPECT_LT(mistakes, 20);
}

TEST(SsrcMemory, SRT7_CloseAllClosesEveryRecord) {
  SsrcMemory memory;
  for (std::uint32_t i = 0; i < 5; ++i) ASSERT_TRUE(memory.keep(record_of(i, i)));
  memory.remove(Ssrc{2});
  memory.close_all();
  for (std::uint32_t i : {0u, 1u, 3u, 4u}) EXPECT_TRUE(memory.find(Ssrc{i})->is_closed) << i;
}

TEST(SsrcMemory, KeepsTheNewestAndTheirOrder) {
  SsrcMemory memory;
  std::mt19937 random(7);
  std::set<std::uint32_t> all;
  while (all.size() < 3 * SsrcMemory::kRecords) all.insert(static_cast<std::uint32_t>(random()));
  std::vector<std::uint32_t> order(all.begin(), all.end());
  std::ranges::shuffle(order, random);
  for (const std::uint32_t ssrc : order) {
    EXPECT_TRUE(memory.keep({.ssrc = Ssrc{ssrc}, .highest_rtp = ssrc}));
    // Some come back.
    if (ssrc % 3 != 0) continue;
    memory.remove(Ssrc{ssrc});
    EXPECT_TRUE(memory.keep({.ssrc = Ssrc{ssrc}, .highest_rtp = ssrc + std::uint64_t{1}}));
  }
  const auto first_kept = order.size() - SsrcMemory::kRecords;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const SsrcRecord* record = memory.find(Ssrc{order[i]});
    ASSERT_EQ(record != nullptr, i >= first_kept) << i;
    if (record == nullptr) {
      EXPECT_TRUE(memory.is_forgotten(Ssrc{order[i]}));
    } else {
      EXPECT_EQ(record->highest_rtp, order[i] + std::uint64_t{order[i] % 3 == 0});
    }
  }
  std::size_t mistaken = 0;
  for (std::uint32_t n = 0; n < 100'000; ++n) {
    const auto ssrc = static_cast<std::uint32_t>(random());
    mistaken += !all.contains(ssrc) && memory.is_forgotten(Ssrc{ssrc}) ? 1 : 0;
  }
  EXPECT_LE(mistaken, 2u);
  SsrcMemory restored;
  restored.restore(memory.state());
  EXPECT_EQ(restored.state(), memory.state());
  std::size_t at = first_kept;
  restored.for_each([&](const SsrcRecord& record) { EXPECT_EQ(record.ssrc.value, order[at++]); });
}

// Against a map, with few SSRCs so that chains and free places are used again.
TEST(SsrcMemory, SRT7a_AnswersAsAMapDoes) {
  rc::check([] {
    SsrcMemory memory;
    std::map<std::uint32_t, std::uint64_t> truth;
    std::uint64_t number = 0;
    const auto steps = *rc::gen::container<std::vector<std::pair<std::uint32_t, bool>>>(
        rc::gen::pair(rc::gen::inRange<std::uint32_t>(0, 12), rc::gen::arbitrary<bool>()));
    for (const auto& [ssrc, keeps] : steps) {
      if (keeps) {
        RC_ASSERT(memory.keep(record_of(ssrc, ++number)));
        truth[ssrc] = number;
      } else {
        memory.remove(Ssrc{ssrc});
        truth.erase(ssrc);
      }
      for (std::uint32_t i = 0; i < 12; ++i) {
        const SsrcRecord* found = memory.find(Ssrc{i});
        RC_ASSERT((found != nullptr) == truth.contains(i));
        if (found != nullptr) RC_ASSERT(found->highest_rtp == truth[i]);
      }
    }
    // Oldest first, through an export and back.
    SsrcMemory restored;
    restored.restore(memory.state());
    RC_ASSERT(restored.state() == memory.state());
    std::uint64_t last = 0;
    restored.for_each([&](const SsrcRecord& record) {
      RC_ASSERT(record.highest_rtp > last);
      last = record.highest_rtp;
    });
  });
}

}  // namespace
}  // namespace ferry::ssrc_memory_test
