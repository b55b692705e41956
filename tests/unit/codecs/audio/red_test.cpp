// SPDX-License-Identifier: Apache-2.0
// RED: payloads that travel again, and damaged ones.

#include "codecs/audio/red.hpp"

#include "tests/support/tones.hpp"

#include <algorithm>
#include <map>

#include <rapidcheck.h>

namespace ferry {
namespace {

using test::bytes;
using Octets = std::vector<std::byte>;

Octets octets_of(Bytes payload) { return {payload.begin(), payload.end()}; }

// The example of RFC 2198 section 4: a primary of payload type 5, a redundant one of type 7.
TEST(Red, TheHeaderIsThatOfTheRfc) {
  RedWriter writer(1);
  const Octets older(3, std::byte{0xaa});
  const Octets newer(2, std::byte{0xbb});
  Octets out(100);
  ASSERT_EQ(writer.write(PayloadType{7}, 1000, older, out), 4u);
  EXPECT_EQ(out[0], std::byte{7});
  EXPECT_EQ(writer.octets_for(2), 10u);
  ASSERT_EQ(writer.write(PayloadType{5}, 1160, newer, out), 10u);
  // A set bit, 7; 160 in fourteen bits, 3 in ten; then a clear bit, 5.
  const std::uint8_t expected[] = {0x87, 0x02, 0x80, 0x03, 0x05, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb};
  EXPECT_TRUE(std::ranges::equal(std::span(out).first(10), std::as_bytes(std::span(expected))));
  const auto blocks = red_blocks(std::span(out).first(10));
  ASSERT_TRUE(blocks);
  ASSERT_EQ(blocks->count, 2u);
  EXPECT_EQ(blocks->blocks[0].type, PayloadType{7});
  EXPECT_EQ(blocks->blocks[0].age, 160u);
  EXPECT_EQ(octets_of(blocks->blocks[0].payload), older);
  EXPECT_EQ(blocks->newest().type, PayloadType{5});
  EXPECT_EQ(blocks->newest().age, 0u);
  EXPECT_EQ(octets_of(blocks->newest().payload), newer);
}

TEST(Red, DamagedPayloadsAreRefused) {
  const std::vector<std::vector<std::uint8_t>> damaged = {
      {},
      {0x87},
      {0x87, 0, 0},
      {0x87, 0, 0, 0},              // no header of the newest
      {0x87, 0x02, 0x80, 0x03, 5},  // three octets are missing
      {0x87, 0x02, 0x80, 0x03, 5, 1, 2},
  };
  for (const auto& each : damaged) EXPECT_FALSE(red_blocks(bytes(each.data(), each.size()))) << each.size();
  const std::vector<std::uint8_t> empty = {5};
  const auto blocks = red_blocks(bytes(empty.data(), 1));
  ASSERT_TRUE(blocks) << "a packet of nothing but a header is legal";
  EXPECT_TRUE(blocks->newest().payload.empty());
  // More blocks than anybody sends.
  for (const std::size_t earlier : {15u, 16u}) {
    std::vector<std::uint8_t> many;
    for (std::size_t i = 0; i < earlier; ++i) many.insert(many.end(), {0x80, 0, 0, 0});
    many.push_back(0);
    EXPECT_EQ(red_blocks(bytes(many.data(), many.size())).has_value(), earlier == 15);
  }
}

TEST(Red, RandomOctetsAreReadOrRefused) {
  rc::check([] {
    const auto octets = *rc::gen::arbitrary<std::vector<std::uint8_t>>();
    const auto blocks = red_blocks(bytes(octets.data(), octets.size()));
    if (!blocks) return;
    RC_ASSERT(blocks->count >= 1 && blocks->count <= RedBlocks::kMost);
    std::size_t size = 4 * (blocks->count - 1) + 1;
    for (const RedBlock& each : blocks->all()) size += each.payload.size();
    RC_ASSERT(size == octets.size());
  });
}

// Whatever was sent, and in whatever room: every block is a payload that was sent, of its own time; and a
// packet that is lost is found in one of those behind it.
TEST(Red, WhatTravelsAgainIsWhatWasSent) {
  rc::check([] {
    const auto generations = *rc::gen::inRange<std::size_t>(1, 6);
    RedWriter writer(generations);
    std::map<std::uint32_t, std::pair<PayloadType, Octets>> sent;
    auto timestamp = *rc::gen::arbitrary<std::uint32_t>();
    const auto packets = *rc::gen::inRange<std::size_t>(1, 12);
    for (std::size_t i = 0; i < packets; ++i) {
      timestamp += *rc::gen::element<std::uint32_t>(160, 320, 960, 8000, 20'000);
      const PayloadType type{*rc::gen::inRange<std::uint8_t>(0, 128)};
      Octets payload(*rc::gen::element<std::size_t>(0, 1, 20, 160, 1023, 1024, 1200),
                     static_cast<std::byte>(i));
      sent[timestamp] = {type, payload};
      const std::size_t wanted = writer.octets_for(payload.size());
      Octets out(*rc::gen::elementOf(
          std::vector<std::size_t>{wanted, wanted + 50, payload.size() + 1, payload.size() + 200}));
      const std::size_t size = writer.write(type, timestamp, payload, out);
      RC_ASSERT(size > 0 && size <= out.size());
      const auto blocks = red_blocks(std::span(out).first(size));
      RC_ASSERT(blocks.has_value());
      RC_ASSERT(blocks->count <= generations + 1);
      RC_ASSERT(octets_of(blocks->newest().payload) == payload);
      RC_ASSERT(blocks->newest().type == type);
      std::uint32_t before = UINT32_MAX;
      for (const RedBlock& each : blocks->all()) {
        const auto found = sent.find(timestamp - each.age);
        RC_ASSERT(found != sent.end());
        RC_ASSERT(found->second.first == each.type);
        RC_ASSERT(found->second.second == octets_of(each.payload));
        RC_ASSERT(each.age < before);
        before = each.age;
      }
    }
  });
}

TEST(Red, TwoGenerationsSurviveTwoLossesInARow) {
  RedWriter writer(2);
  std::map<std::uint32_t, int> heard;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const Octets payload(20, static_cast<std::byte>(i));
    Octets out(1200);
    const std::size_t size = writer.write(PayloadType{0}, i * 160, payload, out);
    if (i % 10 == 4 || i % 10 == 5) continue;
    const auto blocks = red_blocks(std::span(out).first(size));
    ASSERT_TRUE(blocks);
    for (const RedBlock& each : blocks->all())
      heard[i * 160 - each.age] = std::to_integer<int>(each.payload[0]);
  }
  ASSERT_EQ(heard.size(), 100u);
  for (const auto& [timestamp, value] : heard) EXPECT_EQ(value, static_cast<int>(timestamp / 160));
}

TEST(Red, WithoutRoomForTheNewestNothingIsWritten) {
  RedWriter writer(1);
  const Octets payload(20);
  Octets out(20);
  EXPECT_EQ(writer.write(PayloadType{0}, 160, payload, out), 0u);
  out.resize(21);
  EXPECT_EQ(writer.write(PayloadType{0}, 160, payload, out), 21u);
  writer.restart();
  EXPECT_EQ(writer.octets_for(20), 21u) << "nothing travels again";
}

}  // namespace
}  // namespace ferry
