// SPDX-License-Identifier: Apache-2.0
// By which SSRCs an encrypting receiver knows streams.

#include "relay/core/srtp/ssrc_translation.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace ferry::ssrc_translation_test {
namespace {

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
