// SPDX-License-Identifier: Apache-2.0
// STUN messages of ICE: the vectors of the RFC, what is written is read, and what nobody should believe.

#include "relay/core/ice/stun.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::stun_test {
namespace {

/// RFC 5769 §2.1 and §2.2: a request and its answer, with their password.
TEST(Stun, TheVectorsOfRfc5769) {
  const std::string_view password = "VOkJxbRl1RmTxUk/WvJxBt";
  const auto bytes = [](std::string_view hex) {
    std::vector<std::byte> out;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
      out.push_back(static_cast<std::byte>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return out;
  };
  const auto request = bytes(
      "000100582112a442b7e7a701bc34d686fa87dfae80220010"
      "5354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
      "000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf");
  const auto parsed = stun::parse(request);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->kind, stun::Kind::kRequest);
  EXPECT_EQ(parsed->username, "evtj:h6vY");
  EXPECT_EQ(parsed->priority, 0x6e0001ffu);
  EXPECT_EQ(parsed->controlled, 0x932ff9b151263b36u);
  EXPECT_TRUE(parsed->has_fingerprint);
  EXPECT_TRUE(stun::is_authentic(request, *parsed, password));
  EXPECT_FALSE(stun::is_authentic(request, *parsed, "another"));
  const auto answer = bytes(
      "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
      "002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96");
  const auto success = stun::parse(answer);
  ASSERT_TRUE(success);
  EXPECT_EQ(success->kind, stun::Kind::kSuccess);
  EXPECT_EQ(success->mapped, *Endpoint::parse("192.0.2.1:32853"));
  EXPECT_TRUE(success->has_fingerprint);
  EXPECT_TRUE(stun::is_authentic(answer, *success, password));
}

TEST(Stun, WhatIsWrittenIsRead) {
  for (const Endpoint& at : {*Endpoint::parse("192.0.2.10:4000"), *Endpoint::parse("[2001:db8::10]:4010")}) {
    stun::Contents contents;
    contents.mapped = at;
    contents.error = 487;
    contents.controlling = 0x0123456789abcdefu;
    contents.use_candidate = true;
    const auto octets = stun::write(stun::Kind::kError, {std::byte{1}, std::byte{2}}, contents, "secret");
    const auto parsed = stun::parse(octets);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->mapped, at);
    EXPECT_EQ(parsed->error, 487);
    EXPECT_EQ(parsed->controlling, contents.controlling);
    EXPECT_TRUE(parsed->use_candidate);
    EXPECT_TRUE(stun::is_authentic(octets, *parsed, "secret"));
    for (std::size_t cut = 0; cut < octets.size(); ++cut) EXPECT_FALSE(stun::parse(Bytes(octets).first(cut)));
    for (std::size_t at_octet = 0; at_octet < octets.size(); ++at_octet) {
      auto spoiled = octets;
      spoiled[at_octet] ^= std::byte{0x40};
      const auto other = stun::parse(spoiled);
      EXPECT_FALSE(other && other->has_fingerprint && stun::is_authentic(spoiled, *other, "secret"));
    }
  }
}

/// A message of these attributes: type, then value. Not signed.
std::vector<std::byte> message_of(std::uint16_t type,
                                  const std::vector<std::pair<std::uint16_t, std::vector<std::byte>>>& all) {
  std::vector<std::byte> out(20);
  write_u16(out, 0, type);
  write_u32(out, 4, 0x2112a442);
  for (const auto& [attribute, value] : all) {
    const std::size_t at = out.size();
    out.resize(at + 4 + (value.size() + 3) / 4 * 4);
    write_u16(out, at, attribute);
    write_u16(out, at + 2, static_cast<std::uint16_t>(value.size()));
    std::ranges::copy(value, out.begin() + static_cast<std::ptrdiff_t>(at) + 4);
  }
  write_u16(out, 2, static_cast<std::uint16_t>(out.size() - 20));
  return out;
}
std::vector<std::byte> octets_of(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (const int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

TEST(Stun, TheFourKindsOfBindingAndNothingElse) {
  const std::map<std::uint16_t, stun::Kind> kinds = {{0x0001, stun::Kind::kRequest},
                                                     {0x0011, stun::Kind::kIndication},
                                                     {0x0101, stun::Kind::kSuccess},
                                                     {0x0111, stun::Kind::kError}};
  for (std::uint32_t type = 0; type <= 0xffff; ++type) {
    const auto parsed = stun::parse(message_of(static_cast<std::uint16_t>(type), {}));
    const auto known = kinds.find(static_cast<std::uint16_t>(type));
    ASSERT_EQ(parsed.has_value(), known != kinds.end()) << type;
    if (parsed) {
      EXPECT_EQ(parsed->kind, known->second);
    }
  }
  for (const auto& [type, kind] : kinds)
    EXPECT_EQ(read_u16(stun::write(kind, {}, {}, "secret"), 0), type) << type;
}

TEST(Stun, WhatIsNoWholeMessageIsNone) {
  const auto good = message_of(0x0001, {{0x0024, octets_of({0, 0, 0, 1})}});
  ASSERT_TRUE(stun::parse(good));
  struct Row {
    const char* what;
    std::size_t at;
    std::uint16_t value;
  };
  for (const Row& row : {Row{"another cookie", 4, 0x2113}, Row{"a length that is no whole words", 2, 7},
                         Row{"a length past the end", 2, 12}, Row{"a length before the end", 2, 4},
                         Row{"an attribute past the end", 22, 5}}) {
    auto bad = good;
    write_u16(bad, row.at, row.value);
    EXPECT_FALSE(stun::parse(bad)) << row.what;
  }
  auto longer = good;
  longer.resize(good.size() + 4);
  EXPECT_FALSE(stun::parse(longer)) << "something behind it";
}

// RFC 8489 §14: types below 0x8000 must be understood; others may be passed over.
TEST(Stun, UnknownAttributesAreSaidOrPassedOver) {
  for (const auto& [attribute, must] : std::map<int, bool>{{0x0002, true},
                                                           {0x0019, true},
                                                           {0x7fff, true},
                                                           {0x8000, false},
                                                           {0x8022, false},
                                                           {0xc057, false}}) {
    const auto parsed = stun::parse(
        message_of(0x0001, {{static_cast<std::uint16_t>(attribute), octets_of({1, 2, 3})}, {0x0025, {}}}));
    ASSERT_TRUE(parsed) << attribute;
    EXPECT_EQ(parsed->has_unknown, must) << attribute;
    EXPECT_TRUE(parsed->use_candidate) << "the next one is found behind the padding";
  }
}

TEST(Stun, AttributesOfAnotherSizeSayNothing) {
  const auto parsed = stun::parse(message_of(0x0001, {{0x0024, octets_of({1, 2, 3})},
                                                      {0x802a, octets_of({1, 2, 3, 4})},
                                                      {0x8029, octets_of({1, 2, 3, 4, 5, 6, 7, 8, 9})},
                                                      {0x0020, octets_of({0, 1, 2, 3, 4, 5, 6})},
                                                      {0x0009, octets_of({0, 0, 4})}}));
  ASSERT_TRUE(parsed);
  EXPECT_FALSE(parsed->priority);
  EXPECT_FALSE(parsed->controlling);
  EXPECT_FALSE(parsed->controlled);
  EXPECT_FALSE(parsed->mapped.is_set());
  EXPECT_EQ(parsed->error, 0);
  EXPECT_FALSE(stun::parse(message_of(0x0001, {{0x0008, std::vector<std::byte>(19)}}))) << "a short digest";
  EXPECT_FALSE(stun::parse(message_of(0x0001, {{0x8028, std::vector<std::byte>(8)}})))
      << "a long fingerprint";
}

TEST(Stun, AMappedAddressOfAnUnknownFamilyIsNone) {
  for (const auto& [family, size] : std::vector<std::pair<int, int>>{{0, 4}, {3, 16}, {2, 4}, {2, 15}}) {
    auto value = octets_of({0, family, 1, 1});
    value.resize(static_cast<std::size_t>(4 + size), std::byte{9});
    const auto parsed = stun::parse(message_of(0x0101, {{0x0020, value}}));
    ASSERT_TRUE(parsed);
    EXPECT_FALSE(parsed->mapped.is_set()) << family << " " << size;
  }
}

// Nothing protects what stands behind MESSAGE-INTEGRITY, so anybody could have written it.
TEST(Stun, BehindTheDigestOnlyTheFingerprintIsRead) {
  const auto last = message_of(0x0001, {{0x0008, std::vector<std::byte>(20)},
                                        {0x0006, octets_of({'e', 'v', 'i', 'l'})},
                                        {0x0025, {}},
                                        {0x7fff, {}}});
  const auto parsed = stun::parse(last);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->integrity_at, 20u);
  EXPECT_TRUE(parsed->username.empty());
  EXPECT_FALSE(parsed->use_candidate);
  EXPECT_FALSE(parsed->has_unknown);
  EXPECT_FALSE(stun::is_authentic(last, *parsed, ""));
  // The fingerprint is the very last one, or the message is none.
  EXPECT_FALSE(stun::parse(message_of(0x0001, {{0x8028, std::vector<std::byte>(4)}, {0x0025, {}}})));
  const auto wrong = stun::parse(message_of(0x0001, {{0x8028, std::vector<std::byte>(4)}}));
  ASSERT_TRUE(wrong);
  EXPECT_FALSE(wrong->has_fingerprint);
}

TEST(Stun, WithoutADigestNothingIsAuthentic) {
  const auto plain = message_of(0x0001, {{0x0006, octets_of({'a'})}});
  EXPECT_FALSE(stun::is_authentic(plain, *stun::parse(plain), ""));
}

}  // namespace
}  // namespace ferry::stun_test
