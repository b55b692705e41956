// SPDX-License-Identifier: Apache-2.0
// FB-1, FB-2: an RTCP compound of a group, taken apart by what its packets speak of.

#include "relay/core/rtcp/rtcp_sections.hpp"

#include "relay/core/rtcp/rtcp.hpp"
#include "tests/support/packets.hpp"

#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::rtcp_sections_test {
namespace {

using test::bytes_of;
using test::Packet;

// The party sends A1 as audio and V1 as video. It hears A2 and V2 there. Nobody knows X.
constexpr int kA1 = 0xa1;
constexpr int kV1 = 0xb1;
constexpr int kA2 = 0xa2;
constexpr int kV2 = 0xb2;
constexpr int kX = 0x77;
constexpr SectionMask kAudio = 1;
constexpr SectionMask kVideo = 2;
constexpr SectionMask kBoth = 3;

class Known final : public SectionDirectory {
 public:
  [[nodiscard]] SectionMask sent_in(Ssrc ssrc) const noexcept override {
    return ssrc.value == kA1 ? kAudio : ssrc.value == kV1 ? kVideo : 0;
  }
  [[nodiscard]] SectionMask heard_in(Ssrc ssrc) const noexcept override {
    return ssrc.value == kA2 ? kAudio : ssrc.value == kV2 ? kVideo : 0;
  }
};

Packet joined(const std::vector<Packet>& parts) {
  Packet all;
  for (const Packet& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// A report with a block for each of `about`; its last octet tells blocks apart.
Packet report(bool is_sr, int sender, const std::vector<int>& about, const std::vector<int>& more = {}) {
  Packet packet(is_sr ? 28 : 8);
  write_u8(packet, 0, static_cast<std::uint8_t>(0x80 | about.size()));
  write_u8(packet, 1, is_sr ? 200 : 201);
  write_u32(packet, 4, static_cast<std::uint32_t>(sender));
  for (std::size_t i = 8; i < packet.size(); ++i) packet[i] = static_cast<std::byte>(i);
  for (const int ssrc : about) {
    Packet block(24, static_cast<std::byte>(ssrc));
    write_u32(block, 0, static_cast<std::uint32_t>(ssrc));
    packet.insert(packet.end(), block.begin(), block.end());
  }
  for (const int octet : more) packet.push_back(static_cast<std::byte>(octet));
  write_u16(packet, 2, static_cast<std::uint16_t>(packet.size() / 4 - 1));
  return packet;
}
Packet sr(int sender, const std::vector<int>& about = {}, const std::vector<int>& more = {}) {
  return report(true, sender, about, more);
}
Packet rr(int sender, const std::vector<int>& about = {}, const std::vector<int>& more = {}) {
  return report(false, sender, about, more);
}
/// SDES with a CNAME of one letter for each SSRC.
Packet names(const std::vector<int>& ssrcs) {
  Packet packet =
      bytes_of({0x80 | static_cast<int>(ssrcs.size()), 202, 0, 2 * static_cast<int>(ssrcs.size())});
  for (const int ssrc : ssrcs) {
    const Packet chunk = bytes_of({0, 0, 0, ssrc, 1, 1, 'n', 0});
    packet.insert(packet.end(), chunk.begin(), chunk.end());
  }
  return packet;
}
Packet bye(const std::vector<int>& ssrcs, bool has_reason = false) {
  Packet packet = bytes_of(
      {0x80 | static_cast<int>(ssrcs.size()), 203, 0, static_cast<int>(ssrcs.size()) + (has_reason ? 1 : 0)});
  for (const int ssrc : ssrcs) {
    const Packet one = bytes_of({0, 0, 0, ssrc});
    packet.insert(packet.end(), one.begin(), one.end());
  }
  if (has_reason) packet = joined({packet, bytes_of({3, 'b', 'y', 'e'})});
  return packet;
}
/// Feedback with words behind its media source.
Packet feedback(int type, int format, int source, const std::vector<int>& words = {}, int sender = kX) {
  Packet packet = bytes_of(
      {0x80 | format, type, 0, 2 + static_cast<int>(words.size()), 0, 0, 0, sender, 0, 0, 0, source});
  for (const int word : words) {
    Packet four(4);
    write_u32(four, 0, static_cast<std::uint32_t>(word));
    packet.insert(packet.end(), four.begin(), four.end());
  }
  return packet;
}
constexpr int kRemb = 0x52454d42;

Packet written(const RtcpAudience& audience, const Packet& compound, std::size_t room = 2000) {
  Packet into(room);
  into.resize(write_rtcp_for(audience, compound, Known(), into));
  return into;
}

struct Row {
  const char* what;
  Packet sent;
  SectionMask topics;
  Packet audio;
  Packet video;
};

const std::vector<Row>& rows() {
  static const Packet kPli = feedback(206, 1, kV2);
  static const Packet kPadded =
      bytes_of({0xaf, 205, 0, 5, 0, 0, 0, kX, 0, 0, 0, kV2, 0, 1, 0, 1, 0, 0, 1, 0, 0x20, 1, 0, 2});
  static const Packet kXrAudio =
      bytes_of({0x80, 207, 0, 4, 0, 0, 0, kA1, 6, 0, 0, 2, 0, 0, 0, kA2, 1, 2, 3, 4});
  static const Packet kXrBoth = bytes_of({0x80, 207, 0, 7, 0, 0, 0, kX, 6, 0, 0, 2,   0, 0, 0, kA2,
                                          1,    2,   3, 4, 6, 0, 0, 2,  0, 0, 0, kV2, 5, 6, 7, 8});
  static const std::vector<Row> kRows = {
      {"a sender report", sr(kA1), kAudio, sr(kA1), {}},
      {"with its names", joined({sr(kV1), names({kV1})}), kVideo, {}, joined({sr(kV1), names({kV1})})},
      {"a block about the other media becomes a receiver report", sr(kA1, {kA2, kV2}), kBoth, sr(kA1, {kA2}),
       rr(kA1, {kV2})},
      {"and a profile's octets stay with all blocks only",
       sr(kA1, {kA2}, {1, 2, 3, 4}),
       kAudio,
       sr(kA1, {kA2}, {1, 2, 3, 4}),
       {}},
      {"blocks of a receiver report", rr(kX, {kA2, kV2}), kBoth, rr(kX, {kA2}), rr(kX, {kV2})},
      {"names go along with a report about the other media", joined({rr(kX, {kA2, kV2}), names({kX})}), kBoth,
       joined({rr(kX, {kA2}), names({kX})}), joined({rr(kX, {kV2}), names({kX})})},
      {"names of both", joined({sr(kA1), sr(kV1), names({kA1, kV1})}), kBoth, joined({sr(kA1), names({kA1})}),
       joined({sr(kV1), names({kV1})})},
      {"an empty receiver report of a sender", rr(kV1), kVideo, {}, rr(kV1)},
      {"bye of both", joined({rr(kA1), bye({kA1, kV1})}), kBoth, joined({rr(kA1), bye({kA1})}),
       joined({rr(kV1), bye({kV1})})},
      {"bye with a reason", joined({rr(kA1), bye({kA1, kV1}, true)}), kBoth,
       joined({rr(kA1), bye({kA1}, true)}), joined({rr(kV1), bye({kV1}, true)})},
      {"picture loss", joined({rr(kX), kPli}), kVideo, {}, joined({rr(kX), kPli})},
      {"picture loss alone", kPli, kVideo, {}, kPli},
      {"picture loss behind a report about the other media", joined({rr(kX, {kA2}), kPli}), kBoth,
       rr(kX, {kA2}), joined({rr(kX), kPli})},
      {"slice loss and reference picture",
       joined({rr(kX), feedback(206, 2, kV2, {1}), feedback(206, 3, kA2, {1})}), kBoth,
       joined({rr(kX), feedback(206, 3, kA2, {1})}), joined({rr(kX), feedback(206, 2, kV2, {1})})},
      {"negative acknowledgement",
       joined({rr(kX), feedback(205, 1, kA2, {7})}),
       kAudio,
       joined({rr(kX), feedback(205, 1, kA2, {7})}),
       {}},
      {"full intra request by its entry",
       joined({rr(kX), feedback(206, 4, 0, {kV2, 0x01000000})}),
       kVideo,
       {},
       joined({rr(kX), feedback(206, 4, 0, {kV2, 0x01000000})})},
      {"entries of both", joined({rr(kX), feedback(206, 4, 0, {kV2, 1, kA2, 2})}), kBoth,
       joined({rr(kX), feedback(206, 4, 0, {kA2, 2})}), joined({rr(kX), feedback(206, 4, 0, {kV2, 1})})},
      {"bit rate request",
       joined({rr(kX), feedback(205, 3, 0, {kA2, 9})}),
       kAudio,
       joined({rr(kX), feedback(205, 3, 0, {kA2, 9})}),
       {}},
      {"bit rate notice, by its sender",
       joined({rr(kV1), feedback(205, 4, 0, {kX, 9}, kV1)}),
       kVideo,
       {},
       joined({rr(kV1), feedback(205, 4, 0, {kX, 9}, kV1)})},
      {"REMB of one",
       joined({rr(kX), feedback(206, 15, 0, {kRemb, 0x01000009, kV2})}),
       kVideo,
       {},
       joined({rr(kX), feedback(206, 15, 0, {kRemb, 0x01000009, kV2})})},
      {"REMB of both goes to both", joined({rr(kX), feedback(206, 15, 0, {kRemb, 0x02000009, kV2, kA2})}),
       kBoth, joined({rr(kX), feedback(206, 15, 0, {kRemb, 0x02000009, kV2, kA2})}),
       joined({rr(kX), feedback(206, 15, 0, {kRemb, 0x02000009, kV2, kA2})})},
      {"transport-cc keeps its padding", joined({rr(kX), kPadded}), kVideo, {}, joined({rr(kX), kPadded})},
      {"RFC 8888 of both", feedback(205, 11, kA2, {0x00010001, 0x11110000, kV2, 0x00010001, 0x22220000, 9}),
       kBoth, feedback(205, 11, kA2, {0x00010001, 0x11110000, kV2, 0x00010001, 0x22220000, 9}),
       feedback(205, 11, kA2, {0x00010001, 0x11110000, kV2, 0x00010001, 0x22220000, 9})},
      {"extended report", joined({rr(kA1), kXrAudio}), kAudio, joined({rr(kA1), kXrAudio}), {}},
      {"blocks of an extended report", joined({rr(kX), kXrBoth}), kBoth,
       joined({rr(kX), bytes_of({0x80, 207, 0, 4, 0, 0, 0, kX, 6, 0, 0, 2, 0, 0, 0, kA2, 1, 2, 3, 4})}),
       joined({rr(kX), bytes_of({0x80, 207, 0, 4, 0, 0, 0, kX, 6, 0, 0, 2, 0, 0, 0, kV2, 5, 6, 7, 8})})},
      {"the receiver's time, by its sender",
       joined({rr(kV1), bytes_of({0x80, 207, 0, 4, 0, 0, 0, kV1, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2})}),
       kVideo,
       {},
       joined({rr(kV1), bytes_of({0x80, 207, 0, 4, 0, 0, 0, kV1, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2})})},
      {"its answer, by who asked",
       joined({rr(kX),
               bytes_of({0x80, 207, 0, 5, 0, 0, 0, kX, 5, 0, 0, 3, 0, 0, 0, kA2, 0, 0, 0, 1, 0, 0, 0, 2})}),
       kAudio,
       joined({rr(kX),
               bytes_of({0x80, 207, 0, 5, 0, 0, 0, kX, 5, 0, 0, 3, 0, 0, 0, kA2, 0, 0, 0, 1, 0, 0, 0, 2})}),
       {}},
      {"of an application",
       joined({rr(kA1), bytes_of({0x80, 204, 0, 2, 0, 0, 0, kA1, 'T', 'E', 'S', 'T'})}),
       kAudio,
       joined({rr(kA1), bytes_of({0x80, 204, 0, 2, 0, 0, 0, kA1, 'T', 'E', 'S', 'T'})}),
       {}},
      {"of a type that nobody knows",
       joined({rr(kX), bytes_of({0x80, 192, 0, 1, 0, 0, 0, kV2})}),
       kVideo,
       {},
       joined({rr(kX), bytes_of({0x80, 192, 0, 1, 0, 0, 0, kV2})})},
      {"nothing that belongs to anybody",
       joined({rr(kX, {kX}), names({kX}), bye({kX}), feedback(206, 1, kX)}),
       0,
       {},
       {}},
      {"a header alone", joined({rr(kX), bytes_of({0x80, 210, 0, 0})}), 0, {}, {}},
  };
  return kRows;
}

TEST(RtcpSections, FB1_FB2_EachReceiverGetsWhatIsAboutItsMedias) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(row.what);
    ASSERT_TRUE(validate_rtcp(row.sent, true));
    EXPECT_EQ(rtcp_topics(row.sent, Known()), row.topics);
    const Packet audio = written({kAudio, kAudio, false, true}, row.sent);
    EXPECT_EQ(audio, row.audio);
    const Packet video = written({kVideo, kVideo, false, true}, row.sent);
    EXPECT_EQ(video, row.video);
    for (const Packet& part : {audio, video}) {
      if (!part.empty()) {
        EXPECT_TRUE(validate_rtcp(part, true));
      }
    }
    EXPECT_EQ(written({kBoth, kBoth, true, true}, row.sent), row.sent) << "one receiver of everything";
  }
}

TEST(RtcpSections, FB6_WhoHasNotAgreedToReducedSizeGetsAReportFirst) {
  const Packet pli = feedback(206, 1, kV2);
  EXPECT_EQ(written({kVideo, kVideo, false, false}, pli), joined({rr(kX), pli}));
  EXPECT_EQ(written({kBoth, kBoth, true, false}, pli), joined({rr(kX), pli}));
  EXPECT_EQ(written({kVideo, kVideo, false, true}, pli), pli);
  for (const Row& row : rows()) {
    for (const SectionMask sections : {kAudio, kVideo}) {
      const Packet part = written({sections, sections, false, false}, row.sent);
      if (!part.empty()) {
        EXPECT_TRUE(validate_rtcp(part, false)) << row.what;
      }
    }
  }
}

TEST(RtcpSections, RTC3_FeedbackStaysAwayFromWhoTakesNone) {
  const Packet sent = joined({rr(kX, {kV2}), names({kX}), feedback(206, 1, kV2), feedback(206, 1, kA2)});
  EXPECT_EQ(written({kVideo, 0, false, false}, sent), joined({rr(kX, {kV2}), names({kX})}));
  EXPECT_EQ(written({kBoth, kAudio, true, false}, sent),
            joined({rr(kX, {kV2}), names({kX}), feedback(206, 1, kA2)}));
  EXPECT_EQ(written({kBoth, 0, true, false}, feedback(206, 1, kV2)), Packet{});
  // Of nobody's feedback, too.
  EXPECT_EQ(written({kBoth, 0, true, false}, joined({rr(kX), feedback(206, 1, kX)})), rr(kX));
}

TEST(RtcpSections, WhatDoesNotFitIsNotWritten) {
  for (const Row& row : rows()) {
    const Packet part = written({kVideo, kVideo, false, false}, row.sent);
    for (std::size_t room = 0; room < part.size(); ++room)
      EXPECT_EQ(written({kVideo, kVideo, false, false}, row.sent, room), Packet{}) << row.what << " " << room;
    EXPECT_EQ(written({kVideo, kVideo, false, false}, row.sent, part.size()), part) << row.what;
  }
}

TEST(RtcpSections, SectionsFromThe64thOnShareABit) {
  EXPECT_EQ(section_bit(0), 1u);
  EXPECT_EQ(section_bit(63), SectionMask{1} << 63);
  EXPECT_EQ(section_bit(200), SectionMask{1} << 63);
}

}  // namespace
}  // namespace ferry::rtcp_sections_test
