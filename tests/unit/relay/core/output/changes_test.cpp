// SPDX-License-Identifier: Apache-2.0
// What a packet becomes on its way to one receiver.

#include "relay/core/output/changes.hpp"

#include "tests/support/packets.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::changes_test {
namespace {

using test::bytes_of;
using test::Packet;

PayloadEntry a_law() {
  PayloadEntry entry;
  entry.type = PayloadType{8};
  entry.silence = 0xd5;
  return entry;
}
PayloadEntry event() {
  PayloadEntry entry;
  entry.type = PayloadType{101};
  entry.is_event = true;
  return entry;
}
/// A NACK behind a receiver report (RFC 4585 §3.1).
Packet report_with_feedback() {
  Packet packet = test::receiver_report(1);
  const Packet nack = bytes_of({0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 7, 0, 0});
  packet.insert(packet.end(), nack.begin(), nack.end());
  return packet;
}

TEST(PacketChanges, APacketForAPlainSinkStaysAsItIs) {
  const Sink sink;
  const PayloadEntry entry = a_law();
  for (const Packet& each : {test::rtp('A', 1, 1), report_with_feedback()}) {
    const bool is_rtcp = each.size() != test::rtp('A', 1, 1).size();
    Packet packet = each;
    const PacketChanges changes(sink, packet, &entry, is_rtcp, !is_rtcp);
    EXPECT_FALSE(PacketChanges::are_possible(sink, is_rtcp));
    EXPECT_FALSE(changes.any());
    EXPECT_EQ(changes.apply(packet), each.size());
    EXPECT_EQ(packet, each);
  }
}

TEST(PacketChanges, SilenceTakesThePlaceOfThePayloadAlone) {
  Sink sink;
  sink.silenced = true;
  const PayloadEntry entry = a_law();
  const Packet before = test::rtp('A', 1, 1);
  Packet packet = before;
  const PacketChanges changes(sink, packet, &entry, false, true);
  EXPECT_TRUE(changes.any());
  EXPECT_EQ(changes.apply(packet), before.size());
  EXPECT_TRUE(std::equal(packet.begin(), packet.begin() + kRtpFixedHeaderSize, before.begin()));
  EXPECT_TRUE(std::all_of(packet.begin() + kRtpFixedHeaderSize, packet.end(),
                          [](std::byte each) { return each == std::byte{0xd5}; }));
}

TEST(PacketChanges, ATypeThatTheReceiverKnowsByAnotherNumberIsRenumberedAlone) {
  auto numbers = std::make_shared<TypeRenumbering>();
  numbers->to[8] = 118;
  Sink sink;
  sink.renumbering = numbers;
  const struct {
    std::string what;
    int first_octets[2];
    bool is_rtcp;
    int becomes;
  } rows[] = {{"a type of the table", {0x80, 8}, false, 118},
              {"the marker stays", {0x80, 0x80 | 8}, false, 0x80 | 118},
              {"a type that stays", {0x80, 9}, false, 9},
              {"RTCP", {0x80, 200}, true, 200}};
  for (const auto& row : rows) {
    Packet packet = row.is_rtcp ? test::sender_report(1, 1) : test::rtp('A', 1, 1);
    packet[1] = static_cast<std::byte>(row.first_octets[1]);
    Packet wanted = packet;
    wanted[1] = static_cast<std::byte>(row.becomes);
    const PacketChanges changes(sink, packet, nullptr, row.is_rtcp, !row.is_rtcp);
    EXPECT_EQ(PacketChanges::are_possible(sink, row.is_rtcp), !row.is_rtcp) << row.what;
    EXPECT_EQ(changes.any(), wanted != packet) << row.what;
    EXPECT_EQ(changes.apply(packet), packet.size()) << row.what;
    EXPECT_EQ(packet, wanted) << row.what;
  }
}

TEST(PacketChanges, WhatHasNoPayloadToSilenceIsLeft) {
  Sink sink;
  sink.silenced = true;
  const PayloadEntry digits = event();
  const PayloadEntry entry = a_law();
  const Packet packet = test::rtp('A', 1, 1, 101, 4);
  EXPECT_FALSE(PacketChanges(sink, packet, &digits, false, true).any()) << "a key press";
  EXPECT_FALSE(PacketChanges(sink, packet, nullptr, false, true).any()) << "no entry";
  EXPECT_FALSE(PacketChanges(sink, test::receiver_report(1), &entry, true, false).any()) << "RTCP";
}

TEST(PacketChanges, RTC3_FeedbackIsCutForAReceiverWithoutIt) {
  Sink sink;
  sink.takes_feedback = false;
  const Packet before = report_with_feedback();
  Packet packet = before;
  const PacketChanges changes(sink, packet, nullptr, true, false);
  EXPECT_TRUE(changes.any());
  packet.resize(changes.apply(packet));
  EXPECT_EQ(packet, test::receiver_report(1));
  EXPECT_FALSE(PacketChanges(sink, test::receiver_report(1), nullptr, true, false).any()) << "there is none";
  Packet alone(before.begin() + static_cast<std::ptrdiff_t>(test::receiver_report(1).size()), before.end());
  const PacketChanges all(sink, alone, nullptr, true, false);
  EXPECT_TRUE(all.any());
  EXPECT_EQ(all.apply(alone), 0u) << "nothing is left to send";
}

TEST(PacketChanges, ExtensionsAreThoseOfTheReceiver) {
  Sink sink;
  sink.extensions = HeaderExtensionMap(std::vector<HeaderExtensionMap::Entry>{{1, 5}});
  // Two elements of one octet each: ID 1, which becomes 5, and ID 2, which is removed.
  const Packet before =
      bytes_of({0x90, 8, 0, 1, 0, 0, 0, 1, 0, 0, 0, 9, 0xbe, 0xde, 0, 1, 0x10, 0xaa, 0x20, 0xbb, 7});
  Packet packet = before;
  EXPECT_FALSE(PacketChanges(sink, packet, nullptr, false, false).any()) << "it is no RTP";
  const PacketChanges changes(sink, packet, nullptr, false, true);
  EXPECT_TRUE(changes.any());
  packet.resize(changes.apply(packet));
  ASSERT_LE(packet.size(), before.size());
  const auto found = find_extension(packet, 5);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->front(), std::byte{0xaa});
  EXPECT_FALSE(find_extension(packet, 2));
  EXPECT_EQ(packet.back(), std::byte{7}) << "the payload";
}

/// A receiver of one media that no stream has left for.
struct Receiver {
  TransportPlan plan = [] {
    TransportPlan made;
    made.sources.resize(1);
    return made;
  }();
  TransportActivity activity;
  Streams streams{plan, activity};
  [[nodiscard]] bool hears_plain(const Sink& sink, const Output* output = nullptr) const {
    return plain_passing(sink, output, streams, MediaId{1}, Ssrc{1}).is_plain;
  }
};

TEST(IsPlain, ASinkIsPlainWithoutPacketTimeExtensionsMidAndOutput) {
  const Receiver receiver;
  const Sink plain;
  EXPECT_TRUE(receiver.hears_plain(plain));
  Sink silenced;
  silenced.silenced = true;
  EXPECT_TRUE(receiver.hears_plain(silenced)) << "the kernel can do that, too";
  Sink timed;
  timed.ptime_ms = 30;
  EXPECT_FALSE(receiver.hears_plain(timed));
  Sink renamed;
  renamed.extensions = HeaderExtensionMap(std::vector<HeaderExtensionMap::Entry>{});
  EXPECT_FALSE(receiver.hears_plain(renamed));
  Sink named;
  named.mid_extension = 4;
  named.mid = std::make_shared<const std::string>("1");
  EXPECT_FALSE(receiver.hears_plain(named)) << "BND-22: nobody has reported about the stream";
  const Output nothing;
  EXPECT_TRUE(receiver.hears_plain(plain, &nothing));
}

}  // namespace
}  // namespace ferry::changes_test
