// SPDX-License-Identifier: Apache-2.0
// Formats of static payload types, and parameters of `a=fmtp`.

#include "codecs/audio/audio_format.hpp"

#include <gtest/gtest.h>

namespace ferry {
namespace {

TEST(AudioFormat, ParametersOfFmtp) {
  struct Row {
    const char* parameters;
    const char* name;
    const char* value;
  };
  constexpr Row kRows[] = {
      {"a=1; octet-align=0;b", "Octet-Align", "0"},
      {"a=1; octet-align=0;b", "b", "1"},
      {"a=1", "x", ""},
      {"", "x", ""},
      {"; ;=;x=2", "x", "2"},
      {" x = 3", "x ", " 3"},
      {"x=1;x=2", "x", "1"},
      {"xy=1", "x", ""},
      {"x=", "x", ""},
  };
  for (const Row& row : kRows)
    EXPECT_EQ(format_parameter(row.parameters, row.name), row.value) << row.parameters << " " << row.name;
}

TEST(AudioFormat, StaticTypesThatAreAudio) {
  EXPECT_EQ(static_audio_format(PayloadType{0}), (AudioFormat{"PCMU", 8000, 1, ""}));
  EXPECT_EQ(static_audio_format(PayloadType{9}), (AudioFormat{"G722", 8000, 1, ""}))
      << "RFC 3551 section 4.5.2";
  EXPECT_EQ(static_audio_format(PayloadType{10}), (AudioFormat{"L16", 44'100, 2, ""}));
  EXPECT_FALSE(static_audio_format(PayloadType{26})) << "JPEG is video";
  EXPECT_FALSE(static_audio_format(PayloadType{96})) << "dynamic";
  EXPECT_FALSE(static_audio_format(PayloadType{127}));
}

}  // namespace
}  // namespace ferry
