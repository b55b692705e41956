// SPDX-License-Identifier: Apache-2.0
// Compounds of the relay's own, read back by the code that reads those of parties.

#include "relay/core/rtcp/report_writer.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::report_writer_test {
namespace {

using namespace std::chrono_literals;

ReportBlock block(std::uint32_t about, std::int32_t lost = 7) {
  ReportBlock made;
  made.about = Ssrc{about};
  made.fraction_lost = 64;
  made.cumulative_lost = lost;
  made.highest_sequence = 0x00012345;
  made.jitter = 11;
  made.last_sr = 0xabcdef01;
  made.delay_since_last_sr = 65536;
  return made;
}

/// What a reader finds.
struct Reader {
  std::vector<Ssrc> senders;
  std::vector<std::uint32_t> middles;
  std::vector<std::pair<Ssrc, ReportBlock>> blocks;
  void on_sender_report(Ssrc ssrc, std::uint32_t middle) {
    senders.push_back(ssrc);
    middles.push_back(middle);
  }
  void on_report(Ssrc sender, const ReportBlock& each) { blocks.emplace_back(sender, each); }
  void on_bye(Ssrc) { ADD_FAILURE(); }
};

TEST(ReportWriter, Rfc3550_ASenderReportWithItsNameReadsBack) {
  std::array<std::byte, 200> space{};
  CompoundWriter writer(space);
  const SenderInfo info{0x0123456789abcdef, 4711, 12, 1920};
  const std::array blocks{block(5), block(6, -3)};
  ASSERT_TRUE(writer.add_report(Ssrc{1}, &info, blocks));
  const std::array senders{Ssrc{1}};
  ASSERT_TRUE(writer.add_cname(senders, "0123456789abcdef01234567"));
  const Bytes made = Bytes(space).first(writer.size());
  ASSERT_TRUE(validate_rtcp(made, false));
  Reader reader;
  walk_rtcp(made, reader);
  ASSERT_EQ(reader.senders, std::vector{Ssrc{1}});
  EXPECT_EQ(reader.middles, std::vector<std::uint32_t>{0x456789ab});
  EXPECT_EQ(read_u32(made, 16), 4711u);
  EXPECT_EQ(read_u32(made, 20), 12u);
  EXPECT_EQ(read_u32(made, 24), 1920u);
  ASSERT_EQ(reader.blocks.size(), 2u);
  const ReportBlock& first = reader.blocks[0].second;
  EXPECT_EQ(first.about, Ssrc{5});
  EXPECT_EQ(first.fraction_lost, 64);
  EXPECT_EQ(first.cumulative_lost, 7);
  EXPECT_EQ(first.highest_sequence, 0x00012345u);
  EXPECT_EQ(first.jitter, 11u);
  EXPECT_EQ(first.last_sr, 0xabcdef01u);
  EXPECT_EQ(first.delay_since_last_sr, 65536u);
  EXPECT_EQ(reader.blocks[1].second.cumulative_lost, -3);
}

TEST(ReportWriter, Rfc3550_NamesOfAnyLengthArePadded) {
  for (std::size_t length = 0; length <= 255; ++length) {
    std::array<std::byte, 700> space{};
    CompoundWriter writer(space);
    ASSERT_TRUE(writer.add_report(Ssrc{1}, nullptr, {}));
    const std::array senders{Ssrc{1}, Ssrc{2}};
    ASSERT_TRUE(writer.add_cname(senders, std::string(length, 'x')));
    EXPECT_TRUE(validate_rtcp(Bytes(space).first(writer.size()), false)) << length;
  }
}

TEST(ReportWriter, AtMost31BlocksAndNoneThatHasNoRoom) {
  std::array<std::byte, 1500> space{};
  CompoundWriter writer(space);
  const std::vector<ReportBlock> many(40, block(9));
  ASSERT_TRUE(writer.add_report(Ssrc{1}, nullptr, many));
  EXPECT_EQ(writer.size(), 8u + 31 * 24);
  EXPECT_TRUE(validate_rtcp(Bytes(space).first(writer.size()), false));
  std::array<std::byte, 30> small{};
  CompoundWriter narrow(small);
  EXPECT_FALSE(narrow.add_report(Ssrc{1}, nullptr, many));
  EXPECT_EQ(narrow.size(), 0u);
  EXPECT_TRUE(narrow.add_report(Ssrc{1}, nullptr, {}));
}

TEST(ReportWriter, NtpCountsFrom1900InFractionsOf32Bits) {
  EXPECT_EQ(ntp_of(WallTime{}), std::uint64_t{2'208'988'800} << 32);
  EXPECT_EQ(ntp_of(WallTime{1500ms}), (std::uint64_t{2'208'988'801} << 32) | 0x80000000u);
  EXPECT_EQ(ntp_of(WallTime{-500ms}), (std::uint64_t{2'208'988'799} << 32) | 0x80000000u);
  // 7 February 2036, 06:28:16: a new era begins.
  EXPECT_EQ(ntp_of(WallTime{std::chrono::seconds(2'085'978'496)}) >> 32, 0u);
}

}  // namespace
}  // namespace ferry::report_writer_test
