// SPDX-License-Identifier: Apache-2.0
// The words for how the kernel forwards.

#include "relay/core/offload/offload_mode.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry::offload_mode_test {
namespace {

TEST(OffloadMode, EachHasAWordOfItsOwnThatIsReadAgain) {
  std::set<std::string_view> words;
  for (std::size_t i = 0; i < kOffloadModes.size(); ++i) {
    const auto mode = static_cast<OffloadMode>(i);
    EXPECT_EQ(kOffloadModes[i].mode, mode) << "the rows are in the order of the enum";
    EXPECT_EQ(parse_offload_mode(to_string(mode)), mode) << to_string(mode);
    words.insert(to_string(mode));
  }
  EXPECT_EQ(words.size(), kOffloadModes.size());
  EXPECT_EQ(to_string(OffloadMode::kXdpGeneric), "xdp-generic");
  EXPECT_EQ(to_string(OffloadMode::kOff), "off");
}

TEST(OffloadMode, OtherWordsAreNone) {
  for (const std::string_view text : {"", "XDP", "xdp ", "xdp-", "xdp-genericc", "on", "0"})
    EXPECT_FALSE(parse_offload_mode(text)) << text;
}

}  // namespace
}  // namespace ferry::offload_mode_test
