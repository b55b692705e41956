// SPDX-License-Identifier: Apache-2.0
// Every SSRC of a compound packet is visited, with whose stream it names; nothing outside the packet is
// touched.

#include "relay/core/rtcp/rtcp_ssrcs.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace ferry::rtcp_ssrcs_test {
namespace {

using test::Packet;

/// A packet of 32-bit words; its length field is filled in.
Packet words_of(std::uint8_t count, std::uint8_t type, std::initializer_list<std::uint32_t> words) {
  Packet packet(4 + 4 * words.size());
  write_u8(packet, 0, static_cast<std::uint8_t>(0x80 | count));
  write_u8(packet, 1, type);
  write_u16(packet, 2, static_cast<std::uint16_t>(words.size()));
  std::size_t at = 4;
  for (const std::uint32_t word : words) {
    write_u32(packet, at, word);
    at += 4;
  }
  return packet;
}

constexpr std::uint32_t kAnything = 0x5555'5555;

/// "o17 h23": own 17, heard 23.
std::string ssrcs_of(Packet packet) {
  std::string text;
  for_each_ssrc(packet, [&](MutableBytes octets, SsrcRole role) {
    ASSERT_EQ(octets.size(), 4u);
    text += (text.empty() ? "" : " ") + std::string(role == SsrcRole::kOwn ? "o" : "h") +
            std::to_string(read_u32(octets, 0));
  });
  return text;
}

TEST(RtcpSsrcs, EachKindOfPacketNamesItsOwn) {
  constexpr std::uint32_t kX = kAnything;
  struct Row {
    const char* name;
    Packet packet;
    const char* ssrcs;
  };
  const Row rows[] = {
      {"SR", words_of(1, 200, {1, kX, kX, kX, kX, kX, 2, kX, kX, kX, kX, kX}), "o1 h2"},
      {"SR without blocks", words_of(0, 200, {1, kX, kX, kX, kX, kX}), "o1"},
      {"RR with two blocks", words_of(2, 201, {1, 2, kX, kX, kX, kX, kX, 3, kX, kX, kX, kX, kX}), "o1 h2 h3"},
      {"RR whose count promises more than there is", words_of(31, 201, {1, 2, kX, kX, kX, kX, kX}), "o1 h2"},
      {"BYE of three", words_of(3, 203, {1, 2, 3}), "o1 o2 o3"},
      {"BYE with a reason", words_of(1, 203, {1, 0x0362'7965}), "o1"},
      {"APP", words_of(0, 204, {1, 0x6e61'6d65, kX}), "o1"},
      {"SDES of two, each with a name of two letters",
       words_of(2, 202, {1, 0x0102'6162, 0, 2, 0x0102'6364, 0}), "o1 o2"},
      {"SDES whose items end within the word", words_of(2, 202, {1, 0x0101'6100, 2, 0x0101'6200}), "o1 o2"},
      {"NACK", words_of(1, 205, {1, 2, kX}), "o1 h2"},
      {"transport-cc", words_of(15, 205, {1, 2, 0x0007'0001, 0x0000'0000, 0x2001'0000}), "o1 h2"},
      {"PLI", words_of(1, 206, {1, 2}), "o1 h2"},
      {"FIR of two", words_of(4, 206, {1, 0, 2, kX, 3, kX}), "o1 h0 h2 h3"},
      {"TMMBR", words_of(3, 205, {1, 0, 2, kX}), "o1 h0 h2"},
      {"TMMBN of two", words_of(4, 205, {1, 0, 2, kX, 3, kX}), "o1 h0 h2 h3"},
      {"REMB", words_of(15, 206, {1, 0, 0x5245'4d42, 0x0200'0000, 2, 3}), "o1 h0 h2 h3"},
      {"an application message that is no REMB", words_of(15, 206, {1, 0, 0x5858'5858, 0x0200'0000, 2, 3}),
       "o1 h0"},
      {"XR: receiver reference time names none", words_of(0, 207, {1, 0x0400'0002, kX, kX}), "o1"},
      {"XR: DLRR of two", words_of(0, 207, {1, 0x0500'0006, 2, kX, kX, 3, kX, kX}), "o1 h2 h3"},
      {"XR: loss RLE, then statistics", words_of(0, 207, {1, 0x0100'0002, 2, kX, 0x0600'0001, 3}),
       "o1 h2 h3"},
      {"XR: VoIP metrics", words_of(0, 207, {1, 0x0700'0008, 2, kX, kX, kX, kX, kX, kX, kX}), "o1 h2"},
      {"RFC 8888 of two streams, one report each",
       words_of(11, 205, {1, 2, 0x0000'0001, kX, 3, 0x0000'0001, kX, kX}), "o1 h2 h3"},
      {"an unknown type", words_of(1, 210, {1, 2}), ""},
  };
  for (const Row& row : rows) EXPECT_EQ(ssrcs_of(row.packet), row.ssrcs) << row.name;
}

TEST(RtcpSsrcs, APacketBehindAnotherIsVisitedToo) {
  Packet compound = words_of(0, 201, {1});
  const Packet feedback = words_of(1, 206, {1, 2});
  compound.insert(compound.end(), feedback.begin(), feedback.end());
  EXPECT_EQ(ssrcs_of(compound), "o1 o1 h2");
}

TEST(RtcpSsrcs, PaddingNamesNobody) {
  Packet packet = words_of(3, 203, {1, 2, 4});
  write_u8(packet, 0, 0xa3);
  EXPECT_EQ(ssrcs_of(packet), "o1 o2") << "the last word is four octets of padding";
}

// Whatever octets come: nothing is visited twice or outside, and no SSRC lies over the head of its packet.
TEST(RtcpSsrcs, AnyOctetsStayInside) {
  rc::check([](std::vector<std::uint8_t> octets) {
    // Mostly types that are known.
    for (std::size_t i = 1; i < octets.size(); i += 4)
      octets[i] = static_cast<std::uint8_t>(200 + octets[i] % 8);
    Packet packet;
    for (const std::uint8_t each : octets) packet.push_back(std::byte{each});
    if (packet.size() >= 4) write_u16(packet, 2, static_cast<std::uint16_t>(packet.size() / 4 - 1));
    // At the end of its memory, so that the address sanitizer sees a step outside.
    const std::byte* last = nullptr;
    for_each_ssrc(packet, [&](MutableBytes visited, SsrcRole) {
      RC_ASSERT(visited.size() == 4u);
      RC_ASSERT(visited.data() >= packet.data() + 4);
      RC_ASSERT(visited.data() + 4 <= packet.data() + packet.size());
      RC_ASSERT(last == nullptr || visited.data() > last);
      last = visited.data();
    });
  });
}

}  // namespace
}  // namespace ferry::rtcp_ssrcs_test
