// SPDX-License-Identifier: Apache-2.0
// What passes of RTCP to a party that the relay reports to itself.

#include "relay/core/rtcp/rtcp_passing.hpp"

#include "relay/core/rtcp/rtcp.hpp"
#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::rtcp_passing_test {
namespace {

using test::Packet;

Packet packet(std::uint8_t type, std::size_t size, std::uint32_t sender = 7) {
  Packet made(size);
  write_u8(made, 0, 0x81);
  write_u8(made, 1, type);
  write_u16(made, 2, static_cast<std::uint16_t>(size / 4 - 1));
  write_u32(made, 4, sender);
  return made;
}
Packet joined(const std::vector<Packet>& parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
Packet kept(Packet compound, bool with_feedback) {
  const bool has_passing = has_passing_rtcp(compound, with_feedback);
  compound.resize(keep_passing_rtcp(compound, with_feedback));
  EXPECT_EQ(has_passing, !compound.empty());
  return compound;
}

const Packet kPictureLoss = packet(206, 12);
const Packet kNack = packet(205, 16);
const Packet kApplication = packet(204, 16);
const Packet kExtended = packet(207, 8);

TEST(RtcpPassing, ReportsNamesAndByeEndHere) {
  const Packet compound =
      joined({test::sender_report(7, 1, 9), test::bytes_of({0x80, 202, 0, 0}), kExtended, packet(203, 8)});
  ASSERT_TRUE(validate_rtcp(compound, false));
  EXPECT_TRUE(kept(compound, true).empty());
  EXPECT_TRUE(kept(compound, false).empty());
}

TEST(RtcpPassing, RTC3_FeedbackPassesBehindAnEmptyReportWhereItsSenderCanObeyIt) {
  const Packet compound = joined({test::sender_report(7, 1, 9), kPictureLoss, kExtended, kNack});
  EXPECT_EQ(kept(compound, true), joined({test::receiver_report(7), kPictureLoss, kNack}));
  EXPECT_TRUE(kept(compound, false).empty());
}

TEST(RtcpPassing, Rfc3550_ApplicationDefinedPacketsPassInAnyCase) {
  const Packet compound = joined({test::receiver_report(7), kApplication, kPictureLoss});
  EXPECT_EQ(kept(compound, false), joined({test::receiver_report(7), kApplication}));
}

TEST(RtcpPassing, Rfc5506_AReducedCompoundStaysReduced) {
  EXPECT_EQ(kept(joined({kPictureLoss, test::receiver_report(7)}), true), kPictureLoss);
}

TEST(RtcpPassing, PaddingOfTheLastPacketStaysWithIt) {
  Packet padded = packet(206, 16);
  write_u8(padded, 0, 0xa1);
  write_u8(padded, 15, 4);
  const Packet compound = joined({test::receiver_report(7), kExtended, padded});
  ASSERT_TRUE(validate_rtcp(compound, false));
  const Packet passed = kept(compound, true);
  EXPECT_TRUE(validate_rtcp(passed, false));
  EXPECT_EQ(passed, joined({test::receiver_report(7), padded}));
}

}  // namespace
}  // namespace ferry::rtcp_passing_test
