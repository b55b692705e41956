// SSRCs in RTCP, and by which of them an encrypting receiver knows streams.

#include "relay/core/srtp/ssrc_translation.hpp"

#include "relay/core/rtcp/rtcp_ssrcs.hpp"

#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::ssrc_translation_test {
namespace {

constexpr std::uint32_t kOwn = 0xaaaa0001;
constexpr std::uint32_t kHeard = 0xbbbb0002;

/// Words of 32 bits, the first one with the header of RFC 3550 §6.4: count or format, type, length.
std::vector<std::byte> packet(unsigned count, unsigned type, std::vector<std::uint32_t> words) {
  std::vector<std::byte> octets(4 + 4 * words.size());
  write_u8(octets, 0, static_cast<std::uint8_t>(0x80 | count));
  write_u8(octets, 1, static_cast<std::uint8_t>(type));
  write_u16(octets, 2, static_cast<std::uint16_t>(words.size()));
  for (std::size_t i = 0; i < words.size(); ++i) write_u32(octets, 4 + 4 * i, words[i]);
  return octets;
}

struct Row {
  const char* what;
  std::vector<std::byte> octets;
  std::size_t own;    // SSRCs of the sender
  std::size_t heard;  // of the streams that it receives
};

std::vector<Row> rows() {
  const std::uint32_t o = kOwn, h = kHeard;
  std::vector<Row> all = {
      {"SR", packet(1, 200, {o, 1, 2, 3, 4, 5, h, 0, 0, 0, 0, 0}), 1, 1},
      {"SR without blocks", packet(0, 200, {o, 1, 2, 3, 4, 5}), 1, 0},
      {"RR with two blocks", packet(2, 201, {o, h, 0, 0, 0, 0, 0, h, 0, 0, 0, 0, 0}), 1, 2},
      {"SDES, two chunks", packet(2, 202, {o, 0x01026162, 0, o, 0x01016100}), 2, 0},
      {"BYE", packet(2, 203, {o, o}), 2, 0},
      {"BYE with a reason", packet(1, 203, {o, 0x03627965}), 1, 0},
      {"APP", packet(1, 204, {o, 0x41414141, h}), 1, 0},
      {"NACK", packet(1, 205, {o, h, 0x00070000}), 1, 1},
      {"transport-cc", packet(15, 205, {o, h, 0x00070001, 0x00000000, 0x20010000}), 1, 1},
      {"TMMBR", packet(3, 205, {o, 0, h, 1, h, 2}), 1, 2},
      {"CCFB", packet(11, 205, {o, h, 0x00640003, 0x80018001, 0x80010000, h, 0x00640001, 0x80010000, 99}), 1,
       2},
      {"PLI", packet(1, 206, {o, h}), 1, 1},
      {"FIR", packet(4, 206, {o, 0, h, 0x01000000, h, 0x02000000}), 1, 2},
      {"REMB", packet(15, 206, {o, 0, 0x52454d42, 0x02000100, h, h}), 1, 2},
      {"another application's", packet(15, 206, {o, h, 0x41424344, h}), 1, 1},
      {"XR: statistics", packet(0, 207, {o, 0x06000009, h, 1, 2, 3, 4, 5, 6, 7, 8}), 1, 1},
      {"XR: loss, receiver time, DLRR, VoIP",
       packet(0, 207, {o, 0x01000003, h, 0x00010005, 0x40000000, 0x04000002, 1, 2, 0x05000006, h, 1, 2,
                       h, 1,          2, 0x07000008, h,          1,          2, 3, 4,          5, 6, 7}),
       1, 4},
  };
  std::vector<std::byte> padded = packet(15, 205, {o, h, 0x00070001, h});
  write_u8(padded, 0, 0xaf);
  write_u8(padded, padded.size() - 1, 3);
  all.push_back({"padded", padded, 1, 1});
  return all;
}

TEST(RtcpSsrcs, EveryKindNamesThemInTheirRoles) {
  for (Row& row : rows()) {
    std::size_t own = 0;
    std::size_t heard = 0;
    auto expected = row.octets;
    for_each_ssrc(row.octets, [&](MutableBytes place, SsrcRole role) {
      const std::uint32_t found = read_u32(place, 0);
      EXPECT_TRUE(found == (role == SsrcRole::kOwn ? kOwn : kHeard) || found == 0) << row.what;
      if (found != 0) ++(role == SsrcRole::kOwn ? own : heard);
      write_u32(place, 0, found);
    });
    EXPECT_EQ(own, row.own) << row.what;
    EXPECT_EQ(heard, row.heard) << row.what;
    EXPECT_EQ(row.octets, expected) << row.what;
  }
}

TEST(RtcpSsrcs, InACompoundAllOfThem) {
  std::vector<std::byte> compound;
  std::size_t own = 0;
  std::size_t heard = 0;
  for (const Row& row : rows()) {
    if (row.what == std::string_view("padded")) continue;
    compound.insert(compound.end(), row.octets.begin(), row.octets.end());
    own += row.own;
    heard += row.heard;
  }
  std::map<std::uint32_t, std::size_t> seen;
  for_each_ssrc(compound, [&](MutableBytes place, SsrcRole) { ++seen[read_u32(place, 0)]; });
  EXPECT_EQ(seen[kOwn], own);
  EXPECT_EQ(seen[kHeard], heard);
}

TEST(RtcpSsrcs, DamagedPacketsStayInTheirBounds) {
  for (const Row& row : rows()) {
    for (std::size_t size = 0; size <= row.octets.size(); ++size) {
      for (unsigned count = 0; count < 32; ++count) {
        std::vector<std::byte> cut(row.octets.begin(),
                                   row.octets.begin() + static_cast<std::ptrdiff_t>(size));
        if (size > 0) write_u8(cut, 0, static_cast<std::uint8_t>(0x80 | count));
        if (size > 3) write_u16(cut, 2, static_cast<std::uint16_t>(size / 4 - 1));
        for_each_ssrc(cut, [&](MutableBytes place, SsrcRole) {
          EXPECT_GE(place.data(), cut.data());
          EXPECT_LE(place.data() + 4, cut.data() + cut.size());
        });
      }
    }
  }
}

TEST(SsrcTranslation, NamesGoBothWaysAndFormerOnesStay) {
  SsrcTranslation names;
  EXPECT_EQ(names.use(1, Ssrc{5}), Ssrc{5});
  EXPECT_TRUE(names.empty());
  EXPECT_TRUE(names.rename(1, Ssrc{5}, Ssrc{100}));
  EXPECT_TRUE(names.rename(1, Ssrc{5}, Ssrc{101}));
  EXPECT_TRUE(names.rename(2, Ssrc{5}, Ssrc{200}));
  EXPECT_EQ(names.use(1, Ssrc{5}), Ssrc{101});
  EXPECT_EQ(names.to_receiver(2, Ssrc{5}), Ssrc{200}) << "two sources may use one SSRC";
  EXPECT_EQ(names.to_receiver(3, Ssrc{5}), Ssrc{5});
  for (const std::uint32_t ours : {5u, 100u, 101u, 200u})
    EXPECT_EQ(names.to_source(Ssrc{ours}), Ssrc{5}) << ours;
  EXPECT_EQ(names.to_source(Ssrc{7}), Ssrc{7});
  SsrcTranslation restored;
  restored.restore(names.state());
  EXPECT_EQ(restored.state(), names.state());
  EXPECT_EQ(restored.use(1, Ssrc{5}), Ssrc{101});
}

TEST(SsrcTranslation, SRT7a_TheLongestIdleGivesWay) {
  SsrcTranslation names;
  for (std::uint32_t n = 0; n < SsrcTranslation::kNames; ++n)
    EXPECT_TRUE(names.rename(1, Ssrc{n}, Ssrc{1000 + n}));
  EXPECT_TRUE(names.rename(1, Ssrc{9}, Ssrc{3000}));
  EXPECT_EQ(names.to_receiver(1, Ssrc{0}), Ssrc{0});
  EXPECT_EQ(names.to_source(Ssrc{1009}), Ssrc{9}) << "reports may still speak of it";
  EXPECT_EQ(names.use(1, Ssrc{1}), Ssrc{1001});
  EXPECT_TRUE(names.rename(1, Ssrc{500}, Ssrc{3001}));
  EXPECT_EQ(names.to_receiver(1, Ssrc{1}), Ssrc{1001}) << "in use";
  EXPECT_EQ(names.to_receiver(1, Ssrc{2}), Ssrc{2});
  EXPECT_EQ(names.state().size(), SsrcTranslation::kNames);
}

TEST(SsrcTranslation, SSR4_CountsWhatComesInSequence) {
  const struct {
    const char* what;
    std::vector<std::uint16_t> sequences;
    unsigned count;
  } cases[] = {
      {"one", {100}, 1},
      {"two in sequence", {100, 101}, 2},
      {"a gap", {100, 102}, 1},
      {"a copy", {100, 100}, 1},
      {"backwards", {101, 100}, 1},
      {"after a stray one", {7, 100, 101}, 2},
      {"over a wrap", {65'534, 65'535, 0, 1}, 4},
  };
  for (const auto& each : cases) {
    SsrcTranslation names;
    unsigned count = 0;
    for (const std::uint16_t sequence : each.sequences)
      count = names.count_unsendable(1, Ssrc{5}, SeqNo{sequence});
    EXPECT_EQ(count, each.count) << each.what;
  }
  SsrcTranslation names;
  EXPECT_EQ(names.count_unsendable(1, Ssrc{5}, SeqNo{100}), 1u);
  EXPECT_EQ(names.count_unsendable(2, Ssrc{5}, SeqNo{101}), 1u) << "of another source";
  names.follows(1, Ssrc{5});
  EXPECT_EQ(names.count_unsendable(1, Ssrc{5}, SeqNo{101}), 1u) << "one that follows came between";
  for (std::uint32_t ssrc = 10; ssrc < 15; ++ssrc) names.count_unsendable(1, Ssrc{ssrc}, SeqNo{7});
  for (std::uint32_t ssrc = 10; ssrc < 15; ++ssrc)
    EXPECT_EQ(names.count_unsendable(1, Ssrc{ssrc}, SeqNo{8}), 2u) << ssrc;
}

}  // namespace
}  // namespace ferry::ssrc_translation_test
