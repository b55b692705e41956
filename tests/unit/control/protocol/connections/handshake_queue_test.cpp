// SPDX-License-Identifier: Apache-2.0
// The budget of TLS handshakes (CTL-12): in virtual time.

#include "control/protocol/connections/handshake_queue.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::handshake_queue_test {
namespace {

using namespace std::chrono_literals;

constexpr Instant kStart{1h};

IpAddress source(std::uint8_t last) { return IpAddress::v4({192, 0, 2, last}); }

unsigned begun(HandshakeQueue& queue, Instant from, Duration time) {
  unsigned count = 0;
  for (Duration passed{0}; passed < time; passed += 1ms) {
    while (queue.next(from + passed)) ++count;
  }
  return count;
}

TEST(HandshakeQueue, CTL12_AFloodIsServedAtTheBudget) {
  for (const std::uint32_t rate : {25u, 100u, 200u}) {
    HandshakeQueue queue(rate);
    for (ConnectionTable::Id id = 1; id <= 5000; ++id) queue.add(id, source(1));
    const unsigned at_once = begun(queue, kStart, 1ms);
    EXPECT_LE(at_once, rate / 10 + 1) << "no burst holds up commands";
    const unsigned in_ten_seconds = begun(queue, kStart + 1ms, 10s);
    EXPECT_NEAR(in_ten_seconds, rate * 10.0, rate * 0.2) << rate;
  }
}

TEST(HandshakeQueue, CTL12_SourcesTakeTurns) {
  HandshakeQueue queue(100);
  for (ConnectionTable::Id id = 1; id <= 1000; ++id) queue.add(id, source(1));
  begun(queue, kStart, 1s);
  queue.add(5001, source(2));
  queue.add(5002, source(3));
  std::vector<ConnectionTable::Id> next;
  for (Duration passed{0}; next.size() < 4 && passed < 1s; passed += 1ms) {
    if (const auto id = queue.next(kStart + 1s + passed)) next.push_back(*id);
  }
  EXPECT_NE(std::ranges::find(next, 5001u), next.end()) << "one flood does not hold up others";
  EXPECT_NE(std::ranges::find(next, 5002u), next.end());
}

TEST(HandshakeQueue, CTL12_InOrderWithinASourceAndWithoutThoseThatLeft) {
  HandshakeQueue queue(200);
  for (ConnectionTable::Id id = 1; id <= 4; ++id) queue.add(id, source(1));
  queue.remove(1);
  queue.remove(3);
  queue.remove(99);
  EXPECT_EQ(queue.size(), 2u);
  EXPECT_EQ(queue.next(kStart), ConnectionTable::Id{2});
  EXPECT_EQ(queue.next(kStart + 10ms), ConnectionTable::Id{4});
  EXPECT_FALSE(queue.next(kStart + 20ms));
  EXPECT_EQ(queue.size(), 0u);
}

TEST(HandshakeQueue, CTL12_TheCostliestKeyDecides) {
  HandshakeQueue queue(200);
  queue.bound(25);
  queue.bound(100);
  for (ConnectionTable::Id id = 1; id <= 1000; ++id) queue.add(id, source(1));
  EXPECT_NEAR(begun(queue, kStart, 10s), 250.0, 10.0);
}

}  // namespace
}  // namespace ferry::test::handshake_queue_test
