// SPDX-License-Identifier: Apache-2.0
// What `rtpferryd --codecs` prints.

#include "tools/rtpferryd/codec_list.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(CodecList, SaysWhatIsThereAndWhyTheRestIsNot) {
  const std::vector<CodecAbility> codecs = {
      {{"PCMU", 8000, 1, ""}, "", "", ""},
      {{"opus", 48'000, 2, ""}, "mono or stereo", "", ""},
      {{"G729", 8000, 1, ""}, "plug-in", "no decoder: x is not installed", "no encoder: x is not installed"},
      {{"iLBC", 8000, 1, ""}, "", "", "no encoder: this build has none"},
  };
  EXPECT_EQ(codec_table_text(codecs),
            "codec                decode  encode  remark\n"
            "PCMU/8000            yes     yes\n"
            "opus/48000/2         yes     yes     mono or stereo\n"
            "G729/8000            no      no      plug-in; no decoder: x is not installed\n"
            "iLBC/8000            yes     no      no encoder: this build has none\n"
            "red                  yes     yes     earlier payloads of any codec travel again (RFC 2198)\n"
            "telephone-event      yes     yes     keys (RFC 4733), at the clock of the audio beside them\n");
}

TEST(CodecList, HasALineForEachCodecOfTheTable) {
  const auto all = list_codecs();
  const std::string text = codec_table_text(all);
  for (const CodecAbility& codec : all)
    EXPECT_NE(text.find("\n" + codec.format.encoding + "/"), std::string::npos) << codec.format.encoding;
}

}  // namespace
}  // namespace ferry
