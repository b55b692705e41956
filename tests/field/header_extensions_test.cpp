// SPDX-License-Identifier: Apache-2.0
// Header extensions (RFC 8285, EXT-1 to EXT-5): what SDP no longer has is not in packets, and numbers
// are those of the party that gets them.

#include "relay/srtp/backends.hpp"
#include "tests/support/dialogue.hpp"
#include "tests/support/kernel_model.hpp"
#include "tests/support/secure_call.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

using test::bytes_of;
using test::Dialogue;
using test::Packet;
using test::values_of;
using test::Words;

const std::string kLevel = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const std::string kTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
const std::string kMid = "urn:ietf:params:rtp-hdrext:sdes:mid";

/// `packet` with an extension block; `octets` are a multiple of four.
Packet with_block(Packet packet, int profile, std::initializer_list<int> octets) {
  Packet block = bytes_of({profile >> 8, profile & 0xff, 0, static_cast<int>(octets.size() / 4)});
  for (const int octet : octets) block.push_back(static_cast<std::byte>(octet));
  write_u8(packet, 0, 0x90);
  packet.insert(packet.begin() + kRtpFixedHeaderSize, block.begin(), block.end());
  return packet;
}

/// The extension block of a packet with its header; empty without one.
Packet block_of(const Packet& packet) {
  const auto view = parse_rtp(packet);
  if (!view) return bytes_of({255});
  return Packet(packet.begin() + kRtpFixedHeaderSize,
                packet.begin() + static_cast<std::ptrdiff_t>(view->header_size));
}

Packet block(int profile, std::initializer_list<int> octets) {
  return block_of(with_block(test::rtp('A', 1, 1), profile, octets));
}

test::Sections audio(const Words& lines) { return {{"", "audio", false, "RTP/AVP", lines}}; }
Words extmaps(const Words& values) {
  Words lines;
  for (const std::string& value : values) lines.push_back("extmap:" + value);
  return lines;
}

/// A packet of `who` with a block, and the block that `to` gets.
Packet passed(Dialogue& call, char who, char to, int profile, std::initializer_list<int> octets) {
  call.heard(to);
  const auto ssrc = static_cast<std::uint32_t>(who);
  call.send(who, with_block(test::rtp(who, ssrc, call.next_sequence(who)), profile, octets));
  const auto got = call.heard(to);
  if (got.size() != 1) return bytes_of({254});
  const auto view = parse_rtp(got.front());
  if (!view || view->payload.size() != 160) return bytes_of({253});
  return block_of(got.front());
}

TEST(FieldHeaderExtensions, EXT2_WhatSdpDoesNotHaveIsNotInPackets) {
  struct Row {
    const char* what;
    Words offer;
    nlohmann::json wish;  // key `extmap` of the offer
    Words shown;          // to B
    Words answer;
    Words answered;   // to A
    Packet one_byte;  // what B gets of {1: level, 2: time, 3: other}
    Packet two_byte;
  };
  const Words all = {"1 " + kLevel, "2 " + kTime, "3 urn:other"};
  const Packet nothing;
  const auto one = [](std::initializer_list<int> octets) { return block(0xbede, octets); };
  const auto two = [](std::initializer_list<int> octets) { return block(0x1000, octets); };
  const Row rows[] = {
      {"all agreed",
       all,
       {},
       all,
       all,
       all,
       one({0x10, 1, 0x21, 2, 3, 0x30, 4, 0}),
       two({1, 1, 1, 2, 0, 3, 1, 4})},
      {"one stripped",
       all,
       {{"strip", {kTime}}},
       {all[0], all[2]},
       {all[0], all[2]},
       {all[0], all[2]},
       one({0x10, 1, 0x30, 4}),
       two({1, 1, 1, 3, 1, 4, 0, 0})},
      {"one masked",
       all,
       {{"mask", {kLevel}}},
       {all[1], all[2]},
       {all[1], all[2]},
       {all[1], all[2], all[0]},
       one({0x21, 2, 3, 0x30, 4, 0, 0, 0}),
       two({2, 0, 3, 1, 4, 0, 0, 0})},
      {"all stripped", all, {{"strip", {"all"}}}, {}, {}, {}, nothing, nothing},
      {"one not answered",
       all,
       {},
       all,
       {all[0], all[1]},
       {all[0], all[1]},
       one({0x10, 1, 0x21, 2, 3, 0, 0, 0}),
       two({1, 1, 1, 2, 0, 0, 0, 0})},
      {"none answered", all, {}, all, {}, {}, nothing, nothing},
      {"one way only",
       {"1/recvonly " + kLevel, "2 " + kTime},
       {},
       {"1/recvonly " + kLevel, "2 " + kTime},
       {"1/sendonly " + kLevel, "2 " + kTime},
       {"1/sendonly " + kLevel, "2 " + kTime},
       one({0x21, 2, 3, 0}),
       two({2, 0, 0, 0})},
      {"one that nobody spoke of",
       {all[0]},
       {},
       {all[0]},
       {all[0]},
       {all[0]},
       one({0x10, 1, 0x21, 2, 3, 0x30, 4, 0}),
       two({1, 1, 1, 2, 0, 3, 1, 4})},
      {"the answer uses numbers of its own",
       {all[0], all[1]},
       {},
       {all[0], all[1]},
       {"9 " + kLevel, "8 " + kTime},
       {all[0], all[1]},
       one({0x90, 1, 0x81, 2, 3, 0, 0, 0}),
       two({9, 1, 1, 8, 0, 0, 0, 0})},
      {"nobody spoke of any",
       {},
       {},
       {},
       {},
       {},
       one({0x10, 1, 0x21, 2, 3, 0x30, 4, 0}),
       two({1, 1, 1, 2, 0, 3, 1, 4})},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    Dialogue call;
    if (!row.wish.is_null() && !row.wish.empty()) call.more["extmap"] = row.wish;
    EXPECT_EQ(values_of(call.offer('A', 'B', audio(extmaps(row.offer))), "extmap"), row.shown);
    EXPECT_EQ(values_of(call.answer('A', 'B', audio(extmaps(row.answer))), "extmap"), row.answered);
    call.settle('A', 'B');
    EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x10, 1, 0x21, 2, 3, 0x30, 4, 0}), row.one_byte);
    EXPECT_EQ(passed(call, 'A', 'B', 0x1000, {1, 1, 1, 2, 0, 3, 1, 4}), row.two_byte);
    const Packet profiles_own = block(0xabac, {1, 2, 3, 4});
    EXPECT_EQ(passed(call, 'A', 'B', 0xabac, {1, 2, 3, 4}), profiles_own);
  }
}

TEST(FieldHeaderExtensions, EXT1_NumbersArePerPartyAndStay) {
  Dialogue call;
  call.offer('A', 'B', audio(extmaps({"1 " + kLevel, "2 " + kTime})));
  call.answer('A', 'B', audio(extmaps({"1 " + kLevel})));
  // B offers with numbers of its own: A sees those that it knows, and a free one for what is new.
  EXPECT_EQ(
      values_of(call.offer('B', 'A', audio(extmaps({"5 " + kLevel, "1 urn:new", "2 " + kTime}))), "extmap"),
      (Words{"1 " + kLevel, "3 urn:new", "2 " + kTime}));
  EXPECT_EQ(values_of(call.answer('B', 'A', audio(extmaps({"1 " + kLevel, "3 urn:new"}))), "extmap"),
            (Words{"5 " + kLevel, "1 urn:new"}));
  call.settle('A', 'B');
  EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x10, 7, 0x20, 8, 0x30, 9, 0, 0}),
            block(0xbede, {0x50, 7, 0x10, 9}));
  EXPECT_EQ(passed(call, 'B', 'A', 0xbede, {0x50, 7, 0x20, 8, 0x10, 9, 0, 0}),
            block(0xbede, {0x10, 7, 0x30, 9}));
  // A refresh by A says to B what B knows.
  EXPECT_EQ(values_of(call.offer('A', 'B', audio(extmaps({"1 " + kLevel, "3 urn:new"}))), "extmap"),
            (Words{"5 " + kLevel, "1 urn:new"}));
  // Refused, or not answered yet: what was agreed goes on.
  EXPECT_EQ(values_of(call.offer('A', 'B', audio({})), "extmap"), Words{});
  EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x10, 7, 0x30, 9}), block(0xbede, {0x50, 7, 0x10, 9}));
}

TEST(FieldHeaderExtensions, EXT1_AnotherFarSideKeepsTheNumbersOfTheOneThatStays) {
  Dialogue call;
  call.offer('A', 'B', audio(extmaps({"1 " + kLevel, "2 " + kTime})));
  call.answer('A', 'B', audio(extmaps({"1 " + kLevel, "2 " + kTime})));
  // C takes B's place, and counts the other way round.
  EXPECT_EQ(
      values_of(call.offer('C', 'A', audio(extmaps({"2 " + kLevel, "1 " + kTime, "14 urn:c"}))), "extmap"),
      (Words{"1 " + kLevel, "2 " + kTime, "14 urn:c"}));
  EXPECT_EQ(values_of(call.answer('C', 'A', audio(extmaps({"1 " + kLevel, "2 " + kTime}))), "extmap"),
            (Words{"2 " + kLevel, "1 " + kTime}));
  call.settle('A', 'C');
  EXPECT_EQ(passed(call, 'A', 'C', 0xbede, {0x10, 7, 0x20, 8}), block(0xbede, {0x20, 7, 0x10, 8}));
  EXPECT_EQ(passed(call, 'C', 'A', 0xbede, {0x20, 7, 0x10, 8}), block(0xbede, {0x10, 7, 0x20, 8}));
}

TEST(FieldHeaderExtensions, Rfc8285_SessionLevelMixedAndSeveralSections) {
  Dialogue call;
  const std::string shown = call.offer('A', 'B',
                                       {{"0", "audio", false, "RTP/AVP", extmaps({"1 " + kLevel, "3 urn:t"})},
                                        {"1", "video", false, "RTP/AVP", extmaps({"20 urn:v", "3 urn:t"})}},
                                       {}, {"extmap:7 urn:s", "extmap-allow-mixed"});
  EXPECT_EQ(values_of(shown, "extmap", -1), Words{}) << "they stand in the sections";
  EXPECT_EQ(values_of(shown, "extmap", 0), (Words{"1 " + kLevel, "3 urn:t", "7 urn:s"}));
  EXPECT_EQ(values_of(shown, "extmap", 1), (Words{"20 urn:v", "3 urn:t", "7 urn:s"}));
  const std::string answered = call.answer('A', 'B',
                                           {{"0", "audio", false, "RTP/AVP", extmaps({"3 urn:t"})},
                                            {"1", "video", false, "RTP/AVP", extmaps({"20 urn:v"})}});
  EXPECT_EQ(values_of(answered, "extmap", 0), Words{"3 urn:t"});
  EXPECT_EQ(values_of(answered, "extmap", 1), Words{"20 urn:v"});
  call.settle('A', 'B');
  EXPECT_EQ(passed(call, 'A', 'B', 0x1000, {7, 0, 3, 1, 5, 200, 0, 0}), block(0x1000, {3, 1, 5, 0}));
}

TEST(FieldHeaderExtensions, EXT5_EncryptedOnesAreRefused) {
  Dialogue call;
  const Words lines = {"1 urn:ietf:params:rtp-hdrext:encrypt " + kLevel, "2 " + kLevel};
  EXPECT_EQ(values_of(call.offer('A', 'B', audio(extmaps(lines))), "extmap"), Words{"2 " + kLevel});
  EXPECT_EQ(values_of(call.answer('A', 'B', audio(extmaps({"2 " + kLevel}))), "extmap"),
            Words{"2 " + kLevel});
  call.settle('A', 'B');
  EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x10, 7, 0x20, 8}), block(0xbede, {0x20, 8, 0, 0}));
}

TEST(FieldHeaderExtensions, EXT4_MidsOfTheOtherLegDoNotReachAParty) {
  Dialogue call;
  const auto sections = [](const char* mid) {
    return test::Sections{{mid, "audio", false, "RTP/AVP", extmaps({"4 " + kMid, "1 " + kLevel})}};
  };
  call.offer('A', 'B', sections("0"));
  call.answer('A', 'B', sections("0"));
  call.settle('A', 'B');
  EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x40, '0', 0x10, 5}), block(0xbede, {0x40, '0', 0x10, 5}));
  call.offer('B', 'A', sections("b"));
  call.answer('B', 'A', sections("0"));
  EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x40, '0', 0x10, 5}), block(0xbede, {0x10, 5, 0, 0}));
}

TEST(FieldHeaderExtensions, EXT2_SubscribersGetWhatTheyAgreedTo) {
  Dialogue call;
  const Words lines = extmaps({"1 " + kLevel, "2 " + kTime});
  call.offer('A', 'B', audio(lines));
  call.answer('A', 'B', audio(lines));
  call.settle('A', 'B');
  const auto asked = call.world().ng(
      {{"command", "subscribe request"}, {"call-id", call.id()}, {"from-tag", "A"}, {"to-tag", "S"}});
  ASSERT_EQ(asked["result"], "ok");
  EXPECT_EQ(values_of(asked["sdp"].get<std::string>(), "extmap"), (Words{"1 " + kLevel, "2 " + kTime}));
  const std::string own = call.sdp_of('S', audio(extmaps({"2 " + kTime})));
  call.world().open(call.rtp_of('S', 0));
  ASSERT_EQ(
      call.world().ng(
          {{"command", "subscribe answer"}, {"call-id", call.id()}, {"to-tag", "S"}, {"sdp", own}})["result"],
      "ok");
  EXPECT_EQ(passed(call, 'A', 'S', 0xbede, {0x10, 7, 0x20, 8}), block(0xbede, {0x20, 8, 0, 0}));
  EXPECT_EQ(passed(call, 'A', 'B', 0xbede, {0x10, 7, 0x20, 8}), block(0xbede, {0x10, 7, 0x20, 8}));
}

TEST(FieldHeaderExtensions, EXT2_EncryptedStreams) {
  // Every pair of suites: also one key on both sides, which must not carry changed packets.
  const test::Suite suites[] = {test::kCm80, test::kGcm, std::nullopt};
  unsigned row = 40;
  for (const test::Suite a : suites) {
    for (const test::Suite b : suites) {
      test::WorldOptions options;
      options.session.srtp.backend = make_srtp_backend("openssl");
      const auto world = test::make_sim_world(options);
      test::SecureCall call(*world, ++row, a, b);
      call.attributes = "a=extmap:1 " + kLevel + "\r\na=extmap:2 " + kTime + "\r\n";
      ASSERT_EQ(call.offer()["result"], "ok");
      call.attributes = "a=extmap:2 " + kTime + "\r\n";
      ASSERT_EQ(call.answer()["result"], "ok");
      for (int i = 0; i < 3; ++i) {
        call.deliver(call.a(), call.next(call.a()));
        call.deliver(call.b(), call.next(call.b()));
        call.pass();
      }
      call.heard(call.b());
      const Packet plain =
          with_block(test::rtp('A', call.a().ssrc, call.a().sequence++), 0xbede, {0x10, 7, 0x20, 8});
      call.deliver(call.a(), call.sealed(call.a(), plain));
      call.pass();
      const auto got = call.heard(call.b());
      ASSERT_EQ(got.size(), 1u) << row;
      EXPECT_EQ(block_of(got.front()), block(0xbede, {0x20, 8, 0, 0})) << row;
      EXPECT_EQ(call.bad, 0u);
    }
  }
}

TEST(FieldHeaderExtensions, EXT2_OnlyStreamsThatNeedItStayOutOfTheKernel) {
  struct Row {
    const char* what;
    Words offer;
    Words answer;
    bool is_offloaded;
  };
  const Row rows[] = {
      {"no extensions", {}, {}, true},
      {"the same on both sides", {"1 " + kLevel}, {"1 " + kLevel}, true},
      {"one not agreed", {"1 " + kLevel, "2 " + kTime}, {"1 " + kLevel}, false},
      {"other numbers", {"1 " + kLevel}, {"4 " + kLevel}, false},
  };
  for (const Row& row : rows) {
    test::WorldOptions options;
    options.offload = [](SimNetwork& network) { return std::make_unique<test::KernelModel>(network); };
    Dialogue call(options);
    call.offer('A', 'B', audio(extmaps(row.offer)));
    call.answer('A', 'B', audio(extmaps(row.answer)));
    for (int i = 0; i < 20; ++i) {
      call.settle('A', 'B');
      call.world().run(call.world().elapsed() + std::chrono::milliseconds(20));
    }
    EXPECT_EQ(call.world().forwarded_by_kernel() > 0, row.is_offloaded) << row.what;
  }
}

}  // namespace
}  // namespace ferry
