// SPDX-License-Identifier: Apache-2.0
// The codecs that can be converted.
#include "control/call/codec_catalogue.hpp"

#include <gtest/gtest.h>

namespace ferry::test::codec_catalogue_test {
namespace {

TEST(CodecCatalogue, KnowsEachFormatByNameClockAndChannels) {
  const CodecCatalogue catalogue({{{"G722", 8000, 1, {}}, 16000, true, true},
                                  {{"EVS", 16000, 1, {}}, 16000, true, false},
                                  {{"x", 8000, 1, {}}, 8000, false, true}});
  EXPECT_TRUE(catalogue.converts({"g722", 8000, 1, "a=b"}));
  EXPECT_EQ(catalogue.find({"G722", 8000, 1, {}})->sample_rate_hz, 16000u);
  EXPECT_FALSE(catalogue.converts({"G722", 16000, 1, {}}));
  EXPECT_FALSE(catalogue.decodes({"G722", 8000, 2, {}}));
  EXPECT_TRUE(catalogue.decodes({"EVS", 16000, 1, {}}));
  EXPECT_FALSE(catalogue.converts({"EVS", 16000, 1, {}})) << "it is only decoded";
  EXPECT_TRUE(catalogue.encodes({"x", 8000, 1, {}}));
  EXPECT_FALSE(catalogue.converts({"x", 8000, 1, {}})) << "it is only encoded";
}

TEST(CodecCatalogue, IsEmptyByDefault) {
  EXPECT_EQ(CodecCatalogue().find({"PCMU", 8000, 1, {}}), nullptr);
  EXPECT_FALSE(CodecCatalogue().converts({"PCMU", 8000, 1, {}}));
}

}  // namespace
}  // namespace ferry::test::codec_catalogue_test
