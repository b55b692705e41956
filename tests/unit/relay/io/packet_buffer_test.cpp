// SPDX-License-Identifier: Apache-2.0
// Handles to packet memory: who owns it, where the octets lie, and what a stock does at its end.

#include "relay/io/packet_buffer.hpp"

#include <cstring>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::packet_buffer_test {
namespace {

/// Notes what it gets back.
class Owner final : public PacketOwner {
 public:
  void release(PacketSlot* slot) noexcept override { returned.push_back(slot); }
  std::vector<PacketSlot*> returned;
};

class PacketBufferTest : public ::testing::Test {
 protected:
  PacketBufferTest() {
    for (PacketSlot* each : {&one_, &two_}) each->owner = &owner_;
    one_.bytes = octets_.data();
    one_.capacity = static_cast<std::uint32_t>(octets_.size());
  }
  Owner owner_;
  PacketSlot one_;
  PacketSlot two_;
  std::vector<std::byte> octets_ = std::vector<std::byte>(kHeadroom + 100 + kTailroom);
};

TEST_F(PacketBufferTest, TheLastHandleGivesTheMemoryBackOnce) {
  {
    PacketBuffer first(&one_);
    PacketBuffer second(std::move(first));
    EXPECT_FALSE(first);
    ASSERT_TRUE(second);
    EXPECT_EQ(second.operator->(), &one_);
    EXPECT_TRUE(owner_.returned.empty());
  }
  EXPECT_EQ(owner_.returned, std::vector<PacketSlot*>{&one_});
}

TEST_F(PacketBufferTest, AnAssignmentGivesBackWhatWasHeldBefore) {
  PacketBuffer first(&one_);
  first = PacketBuffer(&two_);
  EXPECT_EQ(owner_.returned, std::vector<PacketSlot*>{&one_});
  PacketBuffer& same = first;
  first = std::move(same);
  ASSERT_TRUE(first);
  EXPECT_EQ(first.operator->(), &two_);
  EXPECT_EQ(owner_.returned.size(), 1u);
  first.reset();
  first.reset();
  EXPECT_EQ(owner_.returned, (std::vector<PacketSlot*>{&one_, &two_}));
}

TEST_F(PacketBufferTest, WhoTakesTheSlotOwesItToTheOwner) {
  PacketBuffer buffer(&one_);
  EXPECT_EQ(buffer.release(), &one_);
  EXPECT_FALSE(buffer);
  EXPECT_EQ(buffer.release(), nullptr);
  buffer.reset();
  EXPECT_TRUE(owner_.returned.empty());
  EXPECT_FALSE(PacketBuffer(nullptr));
}

TEST_F(PacketBufferTest, TheDatagramHasRoomBeforeAndBehindIt) {
  const PacketBuffer buffer(&one_);
  EXPECT_EQ(buffer.data().size(), 0u);
  EXPECT_EQ(buffer.space().size(), 100u);
  EXPECT_EQ(buffer.space().data(), octets_.data() + kHeadroom);
  buffer.set_data_size(40);
  EXPECT_EQ(buffer.data().data(), buffer.space().data());
  EXPECT_EQ(buffer.data().size(), 40u);
  EXPECT_EQ(buffer.data_and_tailroom().size(), 100u + kTailroom);
  buffer->offset -= 12;  // something was put before it
  buffer->length += 12;
  EXPECT_EQ(buffer.data().data(), octets_.data() + kHeadroom - 12);
  EXPECT_EQ(buffer.data().size(), 52u);
  EXPECT_EQ(buffer.data_and_tailroom().data() + buffer.data_and_tailroom().size(),
            octets_.data() + octets_.size())
      << "never past the end";
  buffer.set_data_size(100);
  EXPECT_EQ(buffer.data().data(), buffer.space().data()) << "written anew, from the start";
}

TEST(PortHandle, NegativeNumbersNameNoPort) {
  EXPECT_FALSE(PortHandle().is_open());
  EXPECT_FALSE(PortHandle{-5}.is_open());
  EXPECT_TRUE(PortHandle{0}.is_open());
}

TEST(PacketPool, GivesOutEachBufferOnceAndTakesAllBack) {
  constexpr std::size_t kSlots = 5;
  PacketPool pool(kSlots);
  EXPECT_EQ(pool.size(), kSlots);
  EXPECT_EQ(pool.touched(), 0u);
  for (int round = 0; round < 3; ++round) {
    std::vector<PacketBuffer> taken;
    for (std::size_t i = 0; i < kSlots; ++i) {
      taken.push_back(pool.allocate());
      ASSERT_TRUE(taken.back());
      EXPECT_EQ(pool.free_count(), kSlots - i - 1);
      EXPECT_EQ(taken.back().space().size(), kMaxDatagram);
      std::memset(taken.back().space().data(), static_cast<int>(i), kMaxDatagram);
    }
    EXPECT_FALSE(pool.allocate()) << "used up";
    for (std::size_t i = 0; i < kSlots; ++i) {
      const auto octet = static_cast<std::byte>(i);
      EXPECT_EQ(taken[i].space().front(), octet) << "each has memory of its own";
      EXPECT_EQ(taken[i].space().back(), octet);
    }
    taken.clear();
    EXPECT_EQ(pool.free_count(), kSlots);
    EXPECT_EQ(pool.touched(), kSlots);
  }
}

TEST(PacketPool, OneBufferAtATimeTakesTheMemoryOfOne) {
  PacketPool pool(1000);
  for (int i = 0; i < 50; ++i) EXPECT_TRUE(pool.allocate());
  EXPECT_EQ(pool.touched(), 1u);
}

TEST(PacketPool, ABufferComesEmptyWhateverItHeldBefore) {
  PacketPool pool(1);
  {
    const PacketBuffer used = pool.allocate();
    used.set_data_size(99);
    used->offset = 3;
    used->truncated = true;
  }
  const PacketBuffer again = pool.allocate();
  EXPECT_EQ(again->offset, kHeadroom);
  EXPECT_EQ(again->length, 0u);
  EXPECT_FALSE(again->truncated);
}

}  // namespace
}  // namespace ferry::packet_buffer_test
