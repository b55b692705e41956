// SPDX-License-Identifier: Apache-2.0
// Words, names, secrets and random values.

#include "relay/base/bytes.hpp"
#include "relay/base/closest_name.hpp"
#include "relay/base/random.hpp"
#include "relay/base/secret_bytes.hpp"
#include "relay/base/text.hpp"
#include "relay/base/types.hpp"

#include <array>
#include <cstring>
#include <new>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace ferry::small_parts_test {
namespace {

TEST(SeqNo, OrderIsThatOfSerialNumbers) {
  struct Row {
    std::uint16_t a;
    std::uint16_t b;
    bool is_newer;
    int distance;
  };
  constexpr Row kRows[] = {{2, 1, true, 1},           {1, 2, false, -1},         {2, 65534, true, 4},
                           {65534, 2, false, -4},     {5, 5, false, 0},          {32767, 0, true, 32767},
                           {32768, 0, false, -32768}, {0, 32768, false, -32768}, {0, 32769, true, 32767}};
  for (const Row& row : kRows) {
    EXPECT_EQ(is_newer(SeqNo{row.a}, SeqNo{row.b}), row.is_newer) << row.a << " " << row.b;
    EXPECT_EQ(distance(SeqNo{row.a}, SeqNo{row.b}), row.distance) << row.a << " " << row.b;
  }
}

TEST(Bytes, IntegersAreInNetworkOrder) {
  std::array<std::byte, 9> octets{};
  write_u8(octets, 0, 0x12);
  write_u16(octets, 1, 0x3456);
  write_u32(octets, 3, 0x789abcde);
  constexpr std::array<std::uint8_t, 9> kWanted = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0, 0};
  for (std::size_t i = 0; i < octets.size(); ++i) EXPECT_EQ(read_u8(octets, i), kWanted[i]) << i;
  EXPECT_EQ(read_u16(octets, 1), 0x3456);
  EXPECT_EQ(read_u32(octets, 3), 0x789abcdeu);
}

TEST(Text, OnlyAsciiLettersAreCompared) {
  EXPECT_TRUE(equal_ignoring_case("Octet-Align", "oCTET-aLIGN"));
  EXPECT_TRUE(equal_ignoring_case("", ""));
  EXPECT_FALSE(equal_ignoring_case("a", "ab"));
  EXPECT_FALSE(equal_ignoring_case("@", "`")) << "the neighbours of A and a";
  EXPECT_FALSE(equal_ignoring_case("[", "{")) << "and of Z and z";
  EXPECT_FALSE(equal_ignoring_case("\xc4", "\xe4")) << "no locale";
}

TEST(ClosestName, IsAtMostTwoLettersAway) {
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("same", "same"), 0u);
  const std::array<std::string_view, 4> names = {"interface", "listen-ng", "log-level", "no"};
  const auto closest = [&](std::string_view word) {
    return closest_name(word, names, [](std::string_view name) { return name; });
  };
  EXPECT_EQ(closest("interfaces"), "interface");
  EXPECT_EQ(closest("intreface"), "interface") << "two letters have changed places";
  EXPECT_EQ(closest("loglevl"), "log-level");
  EXPECT_EQ(closest("listen"), "") << "three letters";
  EXPECT_EQ(closest("xy"), "") << "two letters away is all of a short name";
  EXPECT_EQ(closest("np"), "no");
}

TEST(SecretBytes, SRT15_AreWipedWhenTheyDie) {
  const std::array<std::byte, 4> key = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  using Secret = SecretBytes<8>;
  alignas(Secret) std::array<std::byte, sizeof(Secret)> place{};
  auto* secret = new (place.data()) Secret(key);
  EXPECT_EQ(secret->size(), 4u);
  EXPECT_EQ(std::memcmp(secret->get().data(), key.data(), 4), 0);
  const auto* octets = place.data() + (secret->get().data() - place.data());
  secret->~Secret();
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(octets[i], std::byte{0}) << i;
  EXPECT_EQ(SecretBytes<3>(key).size(), 3u) << "what is beyond its capacity is left out";
  EXPECT_FALSE(SecretBytes<8>(key) == SecretBytes<8>(Bytes(key).first(3)));
}

TEST(Random, ValuesStayBelowTheirBoundAndReachIt) {
  for (const std::uint32_t bound : {1u, 2u, 7u, 100u}) {
    std::set<std::uint32_t> seen;
    for (std::uint32_t i = 0; i < bound * 60; ++i) seen.insert(random_below(bound));
    EXPECT_EQ(seen.size(), bound);
    EXPECT_LT(*seen.rbegin(), bound);
  }
}

TEST(Random, TextsHaveTheirLengthAndDoNotRepeat) {
  for (const std::size_t digits : {0u, 1u, 15u, 16u, 17u, 40u}) {
    const std::string text = random_hex(digits);
    EXPECT_EQ(text.size(), digits);
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
  }
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random_hex(16));
  EXPECT_EQ(seen.size(), 1000u) << "more than one stock of the generator";
}

TEST(Random, OctetsFillTheirRoomAndNothingElse) {
  for (std::size_t size = 0; size < 20; ++size) {
    // So often that an octet that is never written would stay zero.
    std::array<std::byte, 24> touched{};
    for (int round = 0; round < 40; ++round) {
      std::array<std::byte, 24> octets{};
      random_octets(std::span(octets).first(size));
      for (std::size_t i = 0; i < octets.size(); ++i) touched[i] |= octets[i];
    }
    for (std::size_t i = 0; i < touched.size(); ++i)
      EXPECT_EQ(touched[i] != std::byte{0}, i < size) << size << " " << i;
  }
}

}  // namespace
}  // namespace ferry::small_parts_test
