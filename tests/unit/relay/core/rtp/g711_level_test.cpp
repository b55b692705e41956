// SPDX-License-Identifier: Apache-2.0
// Silence and speech in G.711.

#include "relay/core/rtp/g711_level.hpp"

#include "tests/support/packets.hpp"

#include <gtest/gtest.h>

namespace ferry::g711_level_test {
namespace {

using test::Packet;

TEST(G711Level, TellsSilenceFromSpeech) {
  const Packet a_law_silence(160, std::byte{0xd5});
  const Packet mu_law_silence(160, std::byte{0xff});
  Packet speech = a_law_silence;
  speech[80] = std::byte{0x2a};
  EXPECT_TRUE(is_silent(G711Law::kA, a_law_silence));
  EXPECT_TRUE(is_silent(G711Law::kMu, mu_law_silence));
  EXPECT_FALSE(is_silent(G711Law::kA, speech));
}

}  // namespace
}  // namespace ferry::g711_level_test
