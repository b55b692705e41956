// SPDX-License-Identifier: Apache-2.0
// A bell and descriptors with an owner.

#include "relay/base/bell.hpp"

#include "relay/base/file_descriptor.hpp"

#include <array>
#include <atomic>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

namespace ferry::bell_test {
namespace {

bool is_ringing(const Bell& bell, int wait_ms = 0) {
  pollfd wait{bell.fd(), POLLIN, 0};
  return poll(&wait, 1, wait_ms) == 1;
}

TEST(Bell, RingsUntilItIsQuiet) {
  Bell bell;
  EXPECT_FALSE(is_ringing(bell));
  bell.quiet();
  EXPECT_FALSE(is_ringing(bell));
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 5; ++i) bell.ring();
    EXPECT_TRUE(is_ringing(bell));
    EXPECT_TRUE(is_ringing(bell)) << "looking does not end it";
    EXPECT_TRUE(bell.is_rung());
    bell.quiet();
    EXPECT_FALSE(is_ringing(bell)) << "once is enough for all rings";
    EXPECT_FALSE(bell.is_rung());
  }
}

// What is put into a queue before the ring is seen by whoever empties it after `quiet`.
TEST(Bell, NoRingIsLostBetweenThreads) {
  constexpr int kValues = 20'000;
  Bell bell;
  std::atomic<int> filled{0};
  std::thread filler([&] {
    for (int i = 0; i < kValues; ++i) {
      filled.fetch_add(1, std::memory_order_release);
      bell.ring();
    }
  });
  int seen = 0;
  while (seen < kValues && is_ringing(bell, 10'000)) {
    bell.quiet();
    seen = filled.load(std::memory_order_acquire);
  }
  filler.join();
  EXPECT_EQ(seen, kValues);
}

bool is_open(int fd) { return fcntl(fd, F_GETFD) >= 0; }

TEST(FileDescriptor, IsClosedByItsLastOwnerOnly) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  {
    FileDescriptor first(ends[0]);
    FileDescriptor second(std::move(first));
    EXPECT_FALSE(first);
    ASSERT_TRUE(second);
    EXPECT_EQ(second.get(), ends[0]);
    second = FileDescriptor(ends[1]);
    EXPECT_FALSE(is_open(ends[0])) << "what it held before";
    FileDescriptor& same = second;
    second = std::move(same);
    EXPECT_TRUE(is_open(ends[1]));
  }
  EXPECT_FALSE(is_open(ends[1]));
  ASSERT_EQ(pipe(ends.data()), 0);
  FileDescriptor held(ends[0]);
  EXPECT_EQ(held.release(), ends[0]);
  EXPECT_FALSE(held);
  EXPECT_TRUE(is_open(ends[0]));
  held.reset(ends[1]);
  held.reset();
  held.reset();
  EXPECT_FALSE(is_open(ends[1]));
  close(ends[0]);
}

}  // namespace
}  // namespace ferry::bell_test
