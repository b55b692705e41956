// SPDX-License-Identifier: Apache-2.0
// Records of any length from one thread to another, in order and whole.

#include "relay/base/record_ring.hpp"

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace ferry::record_ring_test {
namespace {

struct Numbered {
  std::uint64_t number = 0;
  std::shared_ptr<int> shared;
};
using Ring = RecordRing<Numbered>;

std::vector<std::byte> octets_of(std::uint64_t number) {
  return std::vector<std::byte>(number * 37 % 200, static_cast<std::byte>(number));
}

TEST(RecordRing, AFullRingLeavesTheRecordWithItsProducer) {
  Ring ring(1024);
  const auto shared = std::make_shared<int>(1);
  std::uint64_t pushed = 0;
  Numbered next{0, shared};
  while (ring.push(std::move(next), octets_of(pushed))) next = {++pushed, shared};
  EXPECT_EQ(next.shared, shared) << "not taken";
  EXPECT_GT(pushed, 4u);
  EXPECT_FALSE(ring.has_room(200));
  std::uint64_t seen = 0;
  EXPECT_EQ(ring.drain(ring.end(),
                       [&](Numbered& head, Bytes octets) {
                         EXPECT_EQ(head.number, seen);
                         EXPECT_TRUE(std::ranges::equal(octets, octets_of(seen++)));
                       }),
            pushed);
  EXPECT_TRUE(ring.has_room(200));
  EXPECT_EQ(shared.use_count(), 2) << "heads are destroyed: the last one is ours";
}

TEST(RecordRing, ARecordLongerThanHalfTheRingNeverFits) {
  Ring ring(1024);
  EXPECT_FALSE(ring.has_room(600));
  EXPECT_FALSE(ring.push({}, std::vector<std::byte>(600)));
  EXPECT_TRUE(ring.push({}, std::vector<std::byte>(100)));
}

TEST(RecordRing, ARingThatEndsDestroysItsRecords) {
  const auto shared = std::make_shared<int>(1);
  {
    Ring ring(1024);
    EXPECT_TRUE(ring.push({1, shared}, {}));
    EXPECT_TRUE(ring.push({2, shared}, {}));
    EXPECT_EQ(shared.use_count(), 3);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

TEST(RecordRing, WhatComesBehindTheEndThatWasSeenStays) {
  Ring ring(1024);
  ring.push({1, nullptr}, {});
  const std::size_t end = ring.end();
  ring.push({2, nullptr}, {});
  EXPECT_EQ(ring.drain(end, [](Numbered& head, Bytes) { EXPECT_EQ(head.number, 1u); }), 1u);
  EXPECT_EQ(ring.drain(ring.end(), [](Numbered& head, Bytes) { EXPECT_EQ(head.number, 2u); }), 1u);
}

RC_GTEST_PROP(RecordRing, KeepsOrderAndContentsWhateverTheLengths, ()) {
  Ring ring(*rc::gen::inRange<std::size_t>(512, 4096));
  std::uint64_t pushed = 0;
  std::uint64_t seen = 0;
  for (const std::size_t steps :
       *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 9))) {
    for (std::size_t n = 0; n < steps; ++n) {
      if (ring.push({pushed, nullptr}, octets_of(pushed))) ++pushed;
    }
    if (steps % 3 == 0)
      ring.drain(ring.end(), [&](Numbered& head, Bytes octets) {
        RC_ASSERT(head.number == seen);
        RC_ASSERT(std::ranges::equal(octets, octets_of(seen)));
        ++seen;
      });
  }
  ring.drain(ring.end(), [&](Numbered& head, Bytes) { RC_ASSERT(head.number == seen++); });
  RC_ASSERT(seen == pushed);
}

TEST(RecordRing, TwoThreadsPassAllRecords) {
  constexpr std::uint64_t kMany = 100'000;
  Ring ring(4096);
  std::thread producer([&] {
    for (std::uint64_t n = 0; n < kMany;) {
      if (ring.push({n, nullptr}, octets_of(n)))
        ++n;
      else
        std::this_thread::yield();
    }
  });
  std::uint64_t seen = 0;
  bool is_whole = true;
  while (seen < kMany) {
    const std::size_t taken = ring.drain(ring.end(), [&](Numbered& head, Bytes octets) {
      is_whole = is_whole && head.number == seen && std::ranges::equal(octets, octets_of(seen));
      ++seen;
    });
    if (taken == 0) std::this_thread::yield();
  }
  producer.join();
  EXPECT_TRUE(is_whole);
}

}  // namespace
}  // namespace ferry::record_ring_test
