// SPDX-License-Identifier: Apache-2.0
// G.711 from one law to the other.

#include "codecs/audio/g711.hpp"

#include "tests/support/codec_judge.hpp"
#include "tests/support/tones.hpp"

#include <algorithm>

namespace ferry {
namespace {

std::vector<std::byte> all_codes() {
  std::vector<std::byte> codes(256);
  for (std::size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<std::byte>(i);
  return codes;
}

TEST(G711, TranslatingIsDecodingAndEncoding) {
  for (const Law from : {Law::kMu, Law::kA}) {
    const auto codes = all_codes();
    const auto decoder = make_audio_decoder({from == Law::kMu ? "PCMU" : "PCMA", 8000, 1, ""});
    const auto encoder = make_audio_encoder({from == Law::kMu ? "PCMA" : "PCMU", 8000, 1, ""});
    const auto samples = test::decoded(**decoder, codes);
    ASSERT_TRUE(samples);
    std::vector<std::byte> expected(256);
    (*encoder)->encode(*samples, expected);
    std::vector<std::byte> translated = codes;
    translate_g711(from, translated, translated);
    EXPECT_EQ(translated, expected) << "in place";
  }
}

// Forth and back: A-law has all samples of its own again, u-law but for the smallest ones.
TEST(G711, ThereAndBackLosesNextToNothing) {
  for (const Law from : {Law::kMu, Law::kA}) {
    auto codes = all_codes();
    translate_g711(from, codes, codes);
    translate_g711(from == Law::kMu ? Law::kA : Law::kMu, codes, codes);
    const auto& samples = g711_samples(from);
    std::size_t same = 0;
    for (std::size_t i = 0; i < 256; ++i) {
      const int off = std::abs(samples[std::to_integer<std::size_t>(codes[i])] - samples[i]);
      EXPECT_LE(off, std::max(16, std::abs(samples[i]) / 16)) << i;
      same += off == 0 ? 1 : 0;
    }
    EXPECT_GT(same, 200u);
  }
}

TEST(G711, SilenceStaysSilence) {
  std::byte mu{0xff};
  translate_g711(Law::kMu, {&mu, 1}, {&mu, 1});
  EXPECT_EQ(mu, std::byte{0xd5});
}

}  // namespace
}  // namespace ferry
