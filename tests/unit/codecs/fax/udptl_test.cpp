// SPDX-License-Identifier: Apache-2.0
// Streams of UDPTL: what comes out of datagrams that are lost, doubled, late or from another stream.

#include "codecs/fax/udptl.hpp"

#include "tests/support/packets.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace ferry::test::udptl_test {
namespace {

using Outcome = UdptlReader::Outcome;
constexpr UdptlView::Recovery kParity = UdptlView::Recovery::kParity;

UdptlProtection earlier(std::size_t count) { return {.earlier = count}; }
UdptlProtection parity(std::size_t groups, std::size_t span) {
  return {.recovery = kParity, .groups = groups, .span = span};
}

/// An IFP packet that tells its number: its length and all its octets follow from it.
Packet ifp_of(std::size_t number) {
  return Packet(1 + number * 7 % 60, static_cast<std::byte>(number * 31 % 255 + 1));
}

/// The datagrams of the packets 0 to `count` - 1.
std::vector<Packet> stream_of(const UdptlProtection& protection, std::size_t count, std::size_t room = 1400) {
  UdptlWriter writer(protection);
  std::vector<Packet> datagrams;
  for (std::size_t i = 0; i < count; ++i) {
    Packet out(room);
    out.resize(writer.write(ifp_of(i), out));
    datagrams.push_back(out);
  }
  return datagrams;
}

/// The numbers of the packets that come out, each of them checked octet by octet.
std::vector<std::size_t> numbers_of(const UdptlReader& reader) {
  std::vector<std::size_t> numbers;
  for (const IfpPacket& each : reader.packets()) {
    const Packet whole = ifp_of(each.sequence.value);
    EXPECT_GE(each.ifp.size(), whole.size());
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), each.ifp.begin())) << each.sequence.value;
    numbers.push_back(each.sequence.value);
  }
  return numbers;
}

struct Heard {
  std::vector<std::size_t> numbers;
  UdptlReader::Figures figures;
};
Heard hear(const std::vector<Packet>& datagrams, const std::set<std::size_t>& lost) {
  UdptlReader reader;
  Heard heard;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    if (lost.contains(i)) continue;
    EXPECT_EQ(reader.read(datagrams[i]), Outcome::kTaken);
    for (const std::size_t number : numbers_of(reader)) heard.numbers.push_back(number);
  }
  heard.figures = reader.figures();
  return heard;
}

struct LossRow {
  const char* what;
  UdptlProtection protection;
  std::set<std::size_t> lost;
  std::set<std::size_t> missing;
};

TEST(Udptl, LossIsMadeGoodAsFarAsTheProtectionReaches) {
  const std::vector<LossRow> rows = {
      {"nothing lost", earlier(3), {}, {}},
      {"the first one", earlier(3), {0}, {}},
      {"the first three", earlier(3), {0, 1, 2}, {}},
      {"three in a row", earlier(3), {5, 6, 7}, {}},
      {"four in a row", earlier(3), {5, 6, 7, 8}, {5}},
      {"every second one", earlier(1), {1, 3, 5, 7, 9}, {}},
      {"no redundancy", earlier(0), {5}, {5}},
      {"parity, nothing lost", parity(3, 3), {}, {}},
      {"parity, the first one", parity(3, 3), {0}, {}},
      {"parity, the first three", parity(3, 3), {0, 1, 2}, {}},
      {"parity, one", parity(3, 3), {12}, {}},
      {"parity, three in a row", parity(3, 3), {12, 13, 14}, {}},
      {"parity, four in a row", parity(3, 3), {12, 13, 14, 15}, {12, 15}},
      {"parity, two rows apart", parity(3, 3), {12, 13, 16, 17}, {}},
      {"parity of one group, two in a row", parity(1, 4), {12, 13}, {12, 13}},
  };
  for (const LossRow& row : rows) {
    const Heard heard = hear(stream_of(row.protection, 30), row.lost);
    std::vector<std::size_t> all;
    for (std::size_t i = 0; i < 30; ++i)
      if (!row.missing.contains(i)) all.push_back(i);
    EXPECT_EQ(heard.numbers, all) << row.what;
    EXPECT_EQ(heard.figures.lost, row.missing.size()) << row.what;
    const auto found = heard.figures.repeated_earlier + heard.figures.recovered_by_parity;
    EXPECT_EQ(found, row.lost.size() - row.missing.size()) << row.what;
    EXPECT_EQ(heard.figures.taken, all.size()) << row.what;
  }
}

TEST(Udptl, EveryDatagramHasAnOutcome) {
  const std::vector<Packet> stream = stream_of(earlier(1), 200);
  UdptlReader reader;
  EXPECT_EQ(reader.read({}), Outcome::kMalformed);
  EXPECT_EQ(reader.read(stream[0]), Outcome::kTaken);
  EXPECT_EQ(reader.read(stream[0]), Outcome::kRepeated);
  EXPECT_EQ(reader.read(stream[4]), Outcome::kTaken);
  EXPECT_EQ(numbers_of(reader), (std::vector<std::size_t>{3, 4}));
  EXPECT_EQ(reader.read(stream[3]), Outcome::kRepeated) << "redundancy has brought it";
  EXPECT_EQ(reader.read(stream[2]), Outcome::kLate);
  EXPECT_TRUE(reader.packets().empty());
  EXPECT_EQ(reader.read(stream[100]), Outcome::kFar);
  EXPECT_EQ(reader.read(stream[5]), Outcome::kTaken);
  EXPECT_EQ(reader.read(stream[101]), Outcome::kFar) << "the stream went on in between";
  EXPECT_EQ(reader.figures().refused, 4u);

  Packet too_long = bytes_of({0, 6, 0x82, 1});
  too_long.insert(too_long.end(), kLongestIfp + 1, std::byte{1});
  too_long.insert(too_long.end(), 2, std::byte{0});
  EXPECT_EQ(reader.read(too_long), Outcome::kTooLong);
}

TEST(Udptl, SSR4_AJumpIsFollowedOnceTwoInARowConfirmIt) {
  const std::vector<Packet> stream = stream_of(earlier(2), 600);
  UdptlReader reader;
  EXPECT_EQ(reader.read(stream[500]), Outcome::kTaken);
  EXPECT_EQ(numbers_of(reader), (std::vector<std::size_t>{498, 499, 500}));
  EXPECT_EQ(reader.read(stream[3]), Outcome::kFar);
  EXPECT_EQ(reader.read(stream[3]), Outcome::kFar) << "the same again confirms nothing";
  EXPECT_EQ(reader.read(stream[4]), Outcome::kTaken);
  EXPECT_EQ(numbers_of(reader), (std::vector<std::size_t>{2, 3, 4}))
      << "the first one of the two is not lost";
  EXPECT_EQ(reader.read(stream[500]), Outcome::kFar);
}

TEST(Udptl, NumbersWrapAround) {
  UdptlWriter writer(earlier(2));
  UdptlReader reader;
  std::array<std::byte, 64> out{};
  std::uint64_t came = 0;
  for (std::size_t i = 0; i < 70'000; ++i) {
    const std::array<std::byte, 2> ifp{static_cast<std::byte>(i >> 8), static_cast<std::byte>(i)};
    const std::size_t size = writer.write(ifp, out);
    if (i % 3 == 1) continue;
    ASSERT_EQ(reader.read(Bytes(out).first(size)), Outcome::kTaken) << i;
    came += reader.packets().size();
    ASSERT_TRUE(std::ranges::equal(reader.packets().back().ifp, ifp)) << i;
  }
  EXPECT_EQ(came, 70'000u);
  EXPECT_EQ(reader.figures().lost, 0u);
}

TEST(Udptl, TheRoomBoundsTheProtectionAndNotThePacket) {
  UdptlWriter redundant(earlier(3));
  UdptlWriter by_parity(parity(2, 2));
  Packet out(400);
  for (int i = 0; i < 4; ++i) {
    EXPECT_GT(redundant.write(Packet(60), out), 0u);
    EXPECT_GT(by_parity.write(Packet(60), out), 0u);
  }
  struct RoomRow {
    std::size_t room, earlier;
    bool has_parity;
  };
  // 65 octets with the packet alone, 61 more for each earlier one; 63 + 4 + 2 * 61 with parity.
  const std::vector<RoomRow> rows = {{65, 0, false}, {125, 0, false}, {126, 1, false}, {188, 2, false},
                                     {189, 2, true}, {248, 3, true},  {400, 3, true}};
  for (const RoomRow& row : rows) {
    Packet some(row.room);
    const auto first = parse_udptl(Bytes(some).first(redundant.write(Packet(60), some)));
    ASSERT_TRUE(first);
    EXPECT_EQ(first->count, row.earlier) << row.room;
    const auto second = parse_udptl(Bytes(some).first(by_parity.write(Packet(60), some)));
    ASSERT_TRUE(second);
    EXPECT_EQ(second->recovery == kParity, row.has_parity) << row.room;
  }
  Packet little(64);
  EXPECT_EQ(redundant.write(Packet(60), little), 0u);
  Packet much(2000);
  EXPECT_EQ(redundant.write(Packet(kLongestIfp + 1), much), 0u);
}

RC_GTEST_PROP(UdptlProperty, WhatComesOutIsWhatWentInInOrder, ()) {
  const bool has_parity = *rc::gen::arbitrary<bool>();
  const auto protection =
      has_parity ? parity(*rc::gen::inRange<std::size_t>(1, 9), *rc::gen::inRange<std::size_t>(1, 9))
                 : earlier(*rc::gen::inRange<std::size_t>(0, 16));
  const auto stream = stream_of(protection, 60, *rc::gen::inRange<std::size_t>(70, 1400));
  const auto order = *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(0, 60));
  UdptlReader reader;
  std::size_t next = 0;
  std::uint64_t came = 0;
  for (const std::size_t each : order) {
    const Outcome outcome = reader.read(stream[each]);
    RC_ASSERT((outcome == Outcome::kTaken) == !reader.packets().empty());
    for (const std::size_t number : numbers_of(reader)) {
      RC_ASSERT(number >= next);
      next = number + 1;
      ++came;
    }
  }
  RC_ASSERT(reader.figures().taken == came);
}

RC_GTEST_PROP(UdptlProperty, RunsOfLossWithinTheProtectionAreMadeGood, ()) {
  const std::size_t reach = *rc::gen::inRange<std::size_t>(1, 6);
  const bool has_parity = *rc::gen::arbitrary<bool>();
  const auto stream = stream_of(has_parity ? parity(reach, 2) : earlier(reach), 80);
  std::set<std::size_t> lost;
  // Behind a run all groups must be whole once before the next one.
  for (std::size_t at = *rc::gen::inRange<std::size_t>(0, 10); at + reach < 80;
       at += 3 * reach + *rc::gen::inRange<std::size_t>(0, 9))
    for (std::size_t i = 0, run = *rc::gen::inRange<std::size_t>(1, reach + 1); i < run; ++i)
      lost.insert(at + i);
  lost.erase(79);
  RC_ASSERT(hear(stream, lost).numbers.size() == 80u);
}

}  // namespace
}  // namespace ferry::test::udptl_test
