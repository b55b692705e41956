// SPDX-License-Identifier: Apache-2.0
// Header extension elements on their way to another party: removed, renumbered, left alone (RFC 8285).

#include "relay/core/rtp/header_extensions.hpp"

#include "relay/core/rtp/rtp.hpp"
#include "tests/support/packets.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace ferry::header_extensions_test {
namespace {

using test::bytes_of;
using test::Packet;
using Map = HeaderExtensionMap;

constexpr int kOneByte = 0xbede;
constexpr int kTwoByte = 0x1000;

/// A packet with an extension block: its profile word and its octets, whose number is a multiple of four.
Packet with_block(int profile, std::initializer_list<int> block, unsigned csrcs = 0,
                  std::uint8_t padding = 0) {
  Packet packet = test::rtp('A', 7, 1);
  packet.insert(packet.begin() + kRtpFixedHeaderSize, csrcs * 4, std::byte{0xcc});
  Packet extension = bytes_of({profile >> 8, profile & 0xff, 0, static_cast<int>(block.size() / 4)});
  for (const int octet : block) extension.push_back(static_cast<std::byte>(octet));
  packet.insert(packet.begin() + kRtpFixedHeaderSize + csrcs * 4, extension.begin(), extension.end());
  write_u8(packet, 0, static_cast<std::uint8_t>(0x90 | csrcs | (padding != 0 ? 0x20 : 0)));
  if (padding != 0) {
    packet.resize(packet.size() + padding);
    packet.back() = static_cast<std::byte>(padding);
  }
  return packet;
}

Packet without_block(unsigned csrcs = 0) {
  Packet packet = test::rtp('A', 7, 1);
  packet.insert(packet.begin() + kRtpFixedHeaderSize, csrcs * 4, std::byte{0xcc});
  write_u8(packet, 0, static_cast<std::uint8_t>(0x80 | csrcs));
  return packet;
}

Packet mapped(const Map& map, Packet packet) {
  packet.resize(map.apply(packet));
  return packet;
}

struct Row {
  const char* what;
  Map map;
  Packet before;
  Packet after;
};

void check(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(row.map.changes(row.before), row.before != row.after);
    const Packet after = mapped(row.map, row.before);
    EXPECT_EQ(after, row.after);
    const auto view = parse_rtp(after);
    ASSERT_TRUE(view);
    const auto before = parse_rtp(row.before);
    EXPECT_TRUE(std::ranges::equal(view->payload, before->payload));
  }
}

TEST(HeaderExtensions, EXT2_OneByteForm) {
  const Packet three = with_block(kOneByte, {0x10, 0xa1, 0x22, 1, 2, 3, 0x31, 7, 8, 0, 0, 0});
  check({
      {"nothing is known of extensions", Map(), three, three},
      {"all pass under their numbers", Map({{1, 1}, {2, 2}, {3, 3}}), three, three},
      {"renumbered in place", Map({{1, 4}, {2, 2}, {3, 1}}), three,
       with_block(kOneByte, {0x40, 0xa1, 0x22, 1, 2, 3, 0x11, 7, 8, 0, 0, 0})},
      {"two change places", Map({{1, 2}, {2, 1}, {3, 3}}), three,
       with_block(kOneByte, {0x20, 0xa1, 0x12, 1, 2, 3, 0x31, 7, 8, 0, 0, 0})},
      {"the first is removed", Map({{2, 2}, {3, 3}}), three,
       with_block(kOneByte, {0x22, 1, 2, 3, 0x31, 7, 8, 0})},
      {"the middle one", Map({{1, 1}, {3, 3}}), three,
       with_block(kOneByte, {0x10, 0xa1, 0x31, 7, 8, 0, 0, 0})},
      {"the last", Map({{1, 1}, {2, 2}}), three, with_block(kOneByte, {0x10, 0xa1, 0x22, 1, 2, 3, 0, 0})},
      {"removed and renumbered", Map({{2, 14}}), three, with_block(kOneByte, {0xe2, 1, 2, 3})},
      {"all: the block goes with the X bit", Map(std::vector<Map::Entry>{}), three, without_block()},
      {"all, behind CSRCs", Map(std::vector<Map::Entry>{}), with_block(kOneByte, {0x10, 1, 0, 0}, 3),
       without_block(3)},
      {"the number does not fit the form", Map({{1, 20}, {2, 2}}), three,
       with_block(kOneByte, {0x22, 1, 2, 3})},
      {"padding between elements stays if nothing goes", Map({{1, 5}}),
       with_block(kOneByte, {0, 0x10, 9, 0, 0, 0, 0, 0}), with_block(kOneByte, {0, 0x50, 9, 0, 0, 0, 0, 0})},
      {"padding goes with an element", Map({{1, 1}}), with_block(kOneByte, {0x20, 9, 0, 0, 0x10, 8, 0, 0}),
       with_block(kOneByte, {0x10, 8, 0, 0})},
      {"an element of 16 octets", Map({{2, 3}}),
       with_block(kOneByte, {0x10, 0, 0x2f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0}),
       with_block(kOneByte, {0x3f, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0, 0})},
      {"the same number twice", Map({{2, 2}}), with_block(kOneByte, {0x10, 1, 0x20, 2, 0x10, 3, 0x20, 4}),
       with_block(kOneByte, {0x20, 2, 0x20, 4})},
      {"what follows 15 is not read, and goes", Map({{1, 1}, {2, 2}}),
       with_block(kOneByte, {0x10, 1, 0xf0, 2, 0x20, 3, 0, 0}), with_block(kOneByte, {0x10, 1, 0, 0})},
      {"what follows 0 with a length as well", Map({{1, 1}, {2, 2}}),
       with_block(kOneByte, {0x10, 1, 0x03, 2, 0x20, 3, 0, 0}), with_block(kOneByte, {0x10, 1, 0, 0})},
      {"an element past the end", Map({{1, 1}, {2, 2}}), with_block(kOneByte, {0x10, 1, 0x2f, 2}),
       with_block(kOneByte, {0x10, 1, 0, 0})},
      {"RTP padding moves along", Map({{1, 1}}), with_block(kOneByte, {0x10, 1, 0x21, 2, 3, 0, 0, 0}, 0, 4),
       with_block(kOneByte, {0x10, 1, 0, 0}, 0, 4)},
      {"a block of padding alone", Map({{1, 1}}), with_block(kOneByte, {0, 0, 0, 0}),
       with_block(kOneByte, {0, 0, 0, 0})},
      {"an empty block", Map({{1, 1}}), with_block(kOneByte, {}), with_block(kOneByte, {})},
      {"no block", Map({{1, 2}}), without_block(), without_block()},
  });
}

TEST(HeaderExtensions, EXT2_TwoByteForm) {
  const Packet three = with_block(kTwoByte, {1, 0, 20, 3, 1, 2, 3, 200, 2, 7, 8, 0});
  check({
      {"all pass under their numbers", Map({{1, 1}, {20, 20}, {200, 200}}), three, three},
      {"renumbered in place", Map({{1, 255}, {20, 2}, {200, 20}}), three,
       with_block(kTwoByte, {255, 0, 2, 3, 1, 2, 3, 20, 2, 7, 8, 0})},
      {"an element without data is removed", Map({{20, 20}, {200, 200}}), three,
       with_block(kTwoByte, {20, 3, 1, 2, 3, 200, 2, 7, 8, 0, 0, 0})},
      {"a number above 16 is removed", Map({{1, 1}, {200, 200}}), three,
       with_block(kTwoByte, {1, 0, 200, 2, 7, 8, 0, 0})},
      {"the last", Map({{1, 1}, {20, 20}}), three, with_block(kTwoByte, {1, 0, 20, 3, 1, 2, 3, 0})},
      {"all", Map(std::vector<Map::Entry>{}), three, without_block()},
      {"15 is a number here", Map({{15, 3}}), with_block(kTwoByte, {15, 1, 9, 0}),
       with_block(kTwoByte, {3, 1, 9, 0})},
      {"bits of the application stay", Map({{1, 2}}), with_block(0x100a, {1, 1, 9, 0}),
       with_block(0x100a, {2, 1, 9, 0})},
      {"padding between elements", Map({{2, 2}}), with_block(kTwoByte, {1, 0, 0, 0, 2, 1, 5, 0}),
       with_block(kTwoByte, {2, 1, 5, 0})},
      {"an element past the end", Map({{1, 1}, {2, 2}}), with_block(kTwoByte, {1, 0, 2, 9}),
       with_block(kTwoByte, {1, 0, 0, 0})},
      {"half a header at the end", Map({{1, 1}, {2, 2}}), with_block(kTwoByte, {1, 1, 5, 2}),
       with_block(kTwoByte, {1, 1, 5, 0})},
  });
}

TEST(HeaderExtensions, OtherFormsBelongToTheirProfiles) {
  const Packet onvif = with_block(0xabac, {1, 2, 3, 4, 5, 6, 7, 8});
  check({{"a profile's own block", Map(std::vector<Map::Entry>{}), onvif, onvif}});
}

TEST(HeaderExtensions, Rfc8285_AnElementIsFoundByItsId) {
  const auto found = [](const Packet& packet, std::uint8_t id) -> std::optional<Packet> {
    const auto element = find_extension(packet, id);
    return element ? std::optional(Packet(element->begin(), element->end())) : std::nullopt;
  };
  const Packet one = with_block(kOneByte, {0x10, 7, 0, 0x31, 8, 9, 0, 0}, 2);
  EXPECT_EQ(found(one, 1), bytes_of({7}));
  EXPECT_EQ(found(one, 3), bytes_of({8, 9})) << "behind padding and CSRCs";
  EXPECT_EQ(found(one, 2), std::nullopt);
  const Packet two = with_block(kTwoByte, {1, 0, 20, 2, 5, 6, 0, 0});
  EXPECT_EQ(found(two, 1), Packet{}) << "an element may be empty";
  EXPECT_EQ(found(two, 20), bytes_of({5, 6}));
  EXPECT_EQ(found(with_block(kOneByte, {0xf0, 1, 0x10, 7}), 1), std::nullopt) << "ID 15 ends the reading";
  EXPECT_EQ(found(with_block(kOneByte, {0x17, 1, 2, 3}), 1), std::nullopt) << "an element past the end";
  EXPECT_EQ(found(with_block(0xabac, {0x10, 7, 0, 0}), 1), std::nullopt) << "a profile's own block";
  EXPECT_EQ(found(without_block(), 1), std::nullopt);
  EXPECT_EQ(found(bytes_of({0x90, 8}), 1), std::nullopt) << "no whole header";
}

/// `packet` with the element `id`; nothing if it does not fit into `room` octets more.
std::optional<Packet> written(Packet packet, std::uint8_t id, std::string_view value,
                              std::size_t room = 300) {
  const Packet before = packet;
  const std::size_t size = packet.size();
  packet.resize(size + room, std::byte{0xee});
  const auto now = write_extension(packet, size, id, std::as_bytes(std::span(value)));
  EXPECT_TRUE(now || Packet(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(size)) == before)
      << "what does not fit changes nothing";
  if (!now) return std::nullopt;
  packet.resize(*now);
  return packet;
}

TEST(HeaderExtensions, Rfc8285_AnElementIsWrittenIntoAnyPacket) {
  struct Written {
    const char* what;
    std::uint8_t id;
    std::string_view value;
    Packet before;
    std::optional<Packet> after;
  };
  const std::string long_value(17, 'x');
  Packet long_block = with_block(kTwoByte, {4, 17});
  write_u16(long_block, 14, 5);
  long_block.insert(long_block.begin() + 18, 17, std::byte{'x'});
  long_block.insert(long_block.begin() + 35, 1, std::byte{0});
  const Written rows[] = {
      {"no block", 4, "a", without_block(), with_block(kOneByte, {0x40, 'a', 0, 0})},
      {"no block, behind CSRCs", 4, "a", without_block(3), with_block(kOneByte, {0x40, 'a', 0, 0}, 3)},
      {"no block, a whole word", 4, "abc", without_block(), with_block(kOneByte, {0x42, 'a', 'b', 'c'})},
      {"no block, an ID of the two-byte form", 15, "a", without_block(),
       with_block(kTwoByte, {15, 1, 'a', 0})},
      {"no block, a value of the two-byte form", 4, long_value, without_block(), long_block},
      {"no block, an empty value", 4, "", without_block(), with_block(kTwoByte, {4, 0, 0, 0})},
      {"behind another element", 4, "a", with_block(kOneByte, {0x10, 7, 0, 0}),
       with_block(kOneByte, {0x10, 7, 0x40, 'a'})},
      {"behind one that fills its block", 4, "ab", with_block(kOneByte, {0x12, 7, 8, 9}),
       with_block(kOneByte, {0x12, 7, 8, 9, 0x41, 'a', 'b', 0})},
      {"the same size in place of an older one", 4, "b", with_block(kOneByte, {0x40, 'a', 0x10, 7}),
       with_block(kOneByte, {0x10, 7, 0x40, 'b'})},
      {"a longer one in place of an older one", 4, "bcd", with_block(kOneByte, {0x40, 'a', 0x10, 7}),
       with_block(kOneByte, {0x10, 7, 0x42, 'b', 'c', 'd', 0, 0})},
      {"a shorter one in place of an older one", 4, "b",
       with_block(kOneByte, {0x44, 'a', 'b', 'c', 'd', 'e', 0, 0}), with_block(kOneByte, {0x40, 'b', 0, 0})},
      {"two older ones", 4, "b", with_block(kOneByte, {0x40, 'a', 0x40, 'c', 0x10, 7, 0, 0}),
       with_block(kOneByte, {0x10, 7, 0x40, 'b'})},
      {"padding between elements goes", 4, "a", with_block(kOneByte, {0x10, 7, 0, 0x20, 8, 0, 0, 0}),
       with_block(kOneByte, {0x10, 7, 0x20, 8, 0x40, 'a', 0, 0})},
      {"what cannot be read goes", 4, "a", with_block(kOneByte, {0x10, 7, 0xf0, 9}),
       with_block(kOneByte, {0x10, 7, 0x40, 'a'})},
      {"an empty block", 4, "a", with_block(kOneByte, {}), with_block(kOneByte, {0x40, 'a', 0, 0})},
      {"the two-byte form", 4, "a", with_block(kTwoByte, {1, 0, 0, 0}),
       with_block(kTwoByte, {1, 0, 4, 1, 'a', 0, 0, 0})},
      {"the two-byte form with bits of the application", 4, "a", with_block(0x100a, {1, 0, 0, 0}),
       with_block(0x100a, {1, 0, 4, 1, 'a', 0, 0, 0})},
      {"RTP padding moves along", 4, "a", with_block(kOneByte, {0x12, 7, 8, 9}, 0, 4),
       with_block(kOneByte, {0x12, 7, 8, 9, 0x40, 'a', 0, 0}, 0, 4)},
      {"an ID that the one-byte form has no room for", 15, "a", with_block(kOneByte, {0x10, 7, 0, 0}), {}},
      {"a value that the one-byte form has no room for",
       4,
       long_value,
       with_block(kOneByte, {0x10, 7, 0, 0}),
       {}},
      {"a profile's own block", 4, "a", with_block(0xabac, {1, 2, 3, 4}), {}},
      {"CSRCs past the end", 4, "a", bytes_of({0x8f, 8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7}), {}},
      {"no whole header", 4, "a", bytes_of({0x80, 8, 0, 1}), {}},
      {"no such ID", 0, "a", without_block(), {}},
  };
  for (const Written& row : rows) {
    SCOPED_TRACE(row.what);
    EXPECT_EQ(written(row.before, row.id, row.value), row.after);
    if (!row.after) continue;
    const auto view = parse_rtp(*row.after);
    ASSERT_TRUE(view);
    EXPECT_TRUE(std::ranges::equal(view->payload, parse_rtp(row.before)->payload));
    EXPECT_TRUE(std::ranges::equal(*find_extension(*row.after, row.id), std::as_bytes(std::span(row.value))));
    // One octet less than it needs.
    if (row.after->size() > row.before.size()) {
      EXPECT_TRUE(written(row.before, row.id, row.value, row.after->size() - row.before.size()));
      EXPECT_FALSE(written(row.before, row.id, row.value, row.after->size() - row.before.size() - 1));
    }
  }
}

}  // namespace
}  // namespace ferry::header_extensions_test
