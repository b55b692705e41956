// SPDX-License-Identifier: Apache-2.0
// Compound RTCP packets: what is checked, and what is cut out.

#include "relay/core/rtcp/rtcp.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::rtcp_test {
namespace {

using test::bytes_of;
using test::Packet;

TEST(Rtcp, RTC1_CompoundIsCheckedAsAWhole) {
  EXPECT_TRUE(validate_rtcp(test::receiver_report(1), false));
  EXPECT_TRUE(validate_rtcp(test::sender_report(1, 2), false));
  EXPECT_EQ(validate_rtcp(bytes_of({0x80, 201, 0, 0}), false).error(), RtcpError::kTooShort);
  EXPECT_EQ(validate_rtcp(bytes_of({0x80, 201, 0, 2, 0, 0, 0, 1}), false).error(), RtcpError::kLengthPastEnd);
  EXPECT_EQ(validate_rtcp(bytes_of({0x81, 201, 0, 1, 0, 0, 0, 1}), false).error(), RtcpError::kBlocksPastEnd);
  EXPECT_EQ(validate_rtcp(bytes_of({0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2}), false).error(),
            RtcpError::kFirstNotReport);
  EXPECT_TRUE(validate_rtcp(bytes_of({0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2}), true))
      << "reduced size, RFC 5506";
  Packet many;
  for (int i = 0; i < 65; ++i) {
    const Packet one = test::receiver_report(1);
    many.insert(many.end(), one.begin(), one.end());
  }
  EXPECT_EQ(validate_rtcp(many, false).error(), RtcpError::kTooManyPackets);
}

TEST(Rtcp, RTC1_SdesByeAndXrStayInside) {
  const Packet report = test::receiver_report(1);
  const auto with = [&](std::initializer_list<int> rest) {
    Packet packet = report;
    const Packet more = bytes_of(rest);
    packet.insert(packet.end(), more.begin(), more.end());
    return packet;
  };
  EXPECT_TRUE(validate_rtcp(with({0x81, 202, 0, 2, 0, 0, 0, 1, 1, 1, 'a', 0}), false));
  EXPECT_EQ(validate_rtcp(with({0x81, 202, 0, 2, 0, 0, 0, 1, 1, 9, 'a', 0}), false).error(),
            RtcpError::kItemPastChunk);
  EXPECT_TRUE(validate_rtcp(with({0x81, 203, 0, 1, 0, 0, 0, 1}), false));
  EXPECT_EQ(validate_rtcp(with({0x85, 203, 0, 1, 0, 0, 0, 1}), false).error(), RtcpError::kBlocksPastEnd);
  EXPECT_EQ(validate_rtcp(with({0x81, 203, 0, 2, 0, 0, 0, 1, 9, 'x', 0, 0}), false).error(),
            RtcpError::kReasonPastEnd);
  EXPECT_EQ(validate_rtcp(with({0x80, 207, 0, 2, 0, 0, 0, 1, 4, 0, 0, 7}), false).error(),
            RtcpError::kXrPastEnd);
}

/// transport-cc feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) of `words` words behind
/// its SSRCs, whose last octet is the padding count.
Packet transport_feedback(std::size_t words, std::uint8_t padding, bool flagged = true) {
  Packet packet(12 + 4 * words, std::byte{0x11});
  write_u8(packet, 0, flagged ? 0xaf : 0x8f);
  write_u8(packet, 1, rtcp_type::kRtpFeedback);
  write_u16(packet, 2, static_cast<std::uint16_t>(2 + words));
  packet.back() = static_cast<std::byte>(padding);
  return packet;
}

/// The packets of `parts` as one compound.
Packet joined(std::initializer_list<Packet> parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

TEST(Rtcp, RTC1_PaddingIsOneOctetToTheRestOfTheLastPacket) {
  // Failed before: counts that are no multiple of four, which is most feedback of a browser.
  struct Row {
    const char* what;
    std::size_t words;  // of feedback behind the SSRCs
    std::uint8_t padding;
    bool flagged;
    std::optional<RtcpError> error;
  };
  const Row rows[] = {
      {"no padding", 3, 0x11, false, {}},
      {"flag with a count of zero", 3, 0, true, RtcpError::kBadPadding},
      {"one octet", 3, 1, true, {}},
      {"two octets", 3, 2, true, {}},
      {"three octets", 3, 3, true, {}},
      {"a whole word", 3, 4, true, {}},
      {"five octets", 3, 5, true, {}},
      {"all behind the SSRCs", 3, 12, true, {}},
      {"into the SSRCs: no feedback is that short", 3, 13, true, RtcpError::kBlocksPastEnd},
      {"all but the header", 3, 20, true, RtcpError::kBlocksPastEnd},
      {"into the header", 3, 21, true, RtcpError::kBadPadding},
      {"more than the packet", 3, 255, true, RtcpError::kBadPadding},
  };
  for (const Row& row : rows) {
    const Packet feedback = transport_feedback(row.words, row.padding, row.flagged);
    const Packet report = test::receiver_report(1);
    for (const bool alone : {false, true}) {
      const auto judged = validate_rtcp(alone ? feedback : joined({report, feedback}), alone);
      EXPECT_EQ(judged.has_value(), !row.error.has_value()) << row.what << (alone ? ", alone" : "");
      if (row.error && !judged) {
        EXPECT_EQ(judged.error(), *row.error) << row.what;
      }
    }
    if (row.flagged) {
      EXPECT_EQ(validate_rtcp(joined({report, feedback, report}), false).error(), RtcpError::kBadPadding)
          << row.what << ": padding in a packet that is not the last";
    }
  }
}

TEST(Rtcp, RTC1_PaddingOfReportsAndListsLeavesTheirContentWhole) {
  const Packet report = test::receiver_report(1);
  // A report block that the padding reaches into; a BYE reason and an SDES chunk that it cuts.
  Packet block = test::sender_report(1, 2);
  write_u8(block, 0, 0xa1);
  for (const int count : {1, 3, 4, 24}) {
    write_u8(block, block.size() - 1, static_cast<std::uint8_t>(count));
    EXPECT_EQ(validate_rtcp(block, false).error(), RtcpError::kBlocksPastEnd) << count;
  }
  const Packet padded_report = bytes_of({0xa0, 201, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4});
  EXPECT_TRUE(validate_rtcp(padded_report, false));
  EXPECT_EQ(validate_rtcp(joined({report, bytes_of({0xa1, 203, 0, 2, 0, 0, 0, 1, 2, 'x', 'y', 1})}), false)
                .has_value(),
            true)
      << "a reason of two octets and one of padding";
  EXPECT_EQ(
      validate_rtcp(joined({report, bytes_of({0xa1, 203, 0, 2, 0, 0, 0, 1, 3, 'x', 'y', 1})}), false).error(),
      RtcpError::kReasonPastEnd);
  EXPECT_EQ(
      validate_rtcp(joined({report, bytes_of({0xa1, 202, 0, 2, 0, 0, 0, 1, 1, 1, 'a', 1})}), false).error(),
      RtcpError::kItemPastChunk);
}

TEST(Rtcp, RTC3_FeedbackIsCutOutAndTheRestStays) {
  const Packet report = test::receiver_report(7);
  const Packet sender = test::sender_report(7, 2, 9);
  const Packet names = bytes_of({0x81, 202, 0, 2, 0, 0, 0, 7, 1, 1, 'a', 0});
  const Packet bye = bytes_of({0xa1, 203, 0, 2, 0, 0, 0, 7, 0, 0, 0, 4});
  const Packet pli = bytes_of({0x81, 206, 0, 2, 0, 0, 0, 7, 0, 0, 0, 9});
  const Packet nack = bytes_of({0x81, 205, 0, 3, 0, 0, 0, 7, 0, 0, 0, 9, 0, 1, 0, 0});
  const Packet transport = transport_feedback(3, 2);
  const Packet quality = bytes_of({0x80, 207, 0, 1, 0, 0, 0, 7});
  const Packet own = bytes_of({0x80, 204, 0, 2, 0, 0, 0, 7, 'T', 'E', 'S', 'T'});
  const Packet unknown = bytes_of({0x80, 212, 0, 1, 0, 0, 0, 7});
  struct Row {
    const char* what;
    Packet before;
    Packet after;
  };
  const Row rows[] = {
      {"a report", report, report},
      {"no feedback at all", joined({sender, names, own, quality, unknown, bye}),
       joined({sender, names, own, quality, unknown, bye})},
      {"feedback alone", pli, {}},
      {"several of them", joined({nack, pli, transport}), {}},
      {"at the end", joined({sender, names, pli}), joined({sender, names})},
      {"with padding at the end", joined({report, transport}), report},
      {"in the middle", joined({sender, pli, nack, names}), joined({sender, names})},
      {"between, before padding", joined({report, nack, bye}), joined({report, bye})},
      {"first: an empty report takes its place", joined({pli, names}), joined({report, names})},
      {"first and last", joined({nack, quality, own, pli}), joined({report, quality, own})},
      {"first, then a report", joined({nack, sender}), joined({report, sender})},
  };
  for (const Row& row : rows) {
    ASSERT_TRUE(validate_rtcp(row.before, true)) << row.what;
    Packet packet = row.before;
    EXPECT_EQ(has_feedback(packet), row.before != row.after) << row.what;
    packet.resize(cut_feedback(packet));
    EXPECT_EQ(packet, row.after) << row.what;
    if (!packet.empty()) {
      EXPECT_TRUE(validate_rtcp(packet, false)) << row.what;
    }
  }
}

TEST(Rtcp, RTC3_AFullIntraRequestIsReplacedOrCutOut) {
  const Packet report = test::receiver_report(7);
  const Packet names = bytes_of({0x81, 202, 0, 2, 0, 0, 0, 7, 1, 1, 'a', 0});
  const auto request = [](std::initializer_list<std::uint8_t> about, bool is_padded = false) {
    const std::size_t words = 2 + 2 * about.size() + (is_padded ? 2 : 0);
    Packet packet =
        bytes_of({is_padded ? 0xa4 : 0x84, 206, 0, static_cast<int>(words), 0, 0, 0, 7, 0, 0, 0, 0});
    for (const std::uint8_t ssrc : about) packet = joined({packet, bytes_of({0, 0, 0, ssrc, 5, 0, 0, 0})});
    return is_padded ? joined({packet, bytes_of({0, 0, 0, 0, 0, 0, 0, 8})}) : packet;
  };
  const auto loss = [](std::uint8_t about) {
    return bytes_of({0x81, 206, 0, 2, 0, 0, 0, 7, 0, 0, 0, about});
  };
  struct Row {
    const char* what;
    Packet before;
    Packet with_loss;
    Packet without;
  };
  const Row rows[] = {
      {"no request", joined({report, loss(9)}), joined({report, loss(9)}), joined({report, loss(9)})},
      {"behind a report", joined({report, request({9})}), joined({report, loss(9)}), report},
      {"alone", request({9}), loss(9), {}},
      {"in the middle", joined({report, request({9}), names}), joined({report, loss(9), names}),
       joined({report, names})},
      {"about three", joined({report, request({8, 9, 10})}), joined({report, loss(8), loss(9), loss(10)}),
       report},
      {"about five", joined({request({8, 9, 10, 11, 12}), names}),
       joined({loss(8), loss(9), loss(10), names}), names},
      {"with padding", joined({report, request({9}, true)}), joined({report, loss(9)}), report},
      {"about nobody", joined({report, request({})}), report, report},
  };
  for (const Row& row : rows) {
    ASSERT_TRUE(validate_rtcp(row.before, true)) << row.what;
    EXPECT_EQ(has_full_intra(row.before), row.before != row.without) << row.what;
    for (const bool with_loss : {true, false}) {
      Packet packet = row.before;
      packet.resize(replace_full_intra(
          packet, with_loss ? InsteadOfFullIntra::kPictureLoss : InsteadOfFullIntra::kNothing));
      EXPECT_EQ(packet, with_loss ? row.with_loss : row.without) << row.what;
      if (!packet.empty()) {
        EXPECT_TRUE(validate_rtcp(packet, true)) << row.what;
      }
    }
  }
}

}  // namespace
}  // namespace ferry::rtcp_test
