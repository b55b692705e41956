// SPDX-License-Identifier: Apache-2.0
// The table of crypto suites: what other code relies on, and the sizes of the RFCs.

#include "relay/core/srtp/srtp_suite.hpp"

#include <set>

#include <gtest/gtest.h>

namespace ferry::srtp_suite_test {
namespace {

TEST(SrtpSuites, RowsStandInTheOrderOfTheEnum) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kSrtpSuites.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kSrtpSuites[i].suite), i);
    EXPECT_EQ(&row_of(kSrtpSuites[i].suite), &kSrtpSuites[i]);
    names.insert(kSrtpSuites[i].name);
  }
  EXPECT_EQ(names.size(), kSrtpSuites.size());
}

TEST(SrtpSuites, SRT8_ThoseOfTheLegacyAreNeverChosen) {
  std::size_t usable = 0;
  for (const SrtpSuiteRow& row : kSrtpSuites) usable += row.is_legacy ? 0 : 1;
  EXPECT_EQ(kUsableSrtpSuites.size(), usable);
  for (const SrtpSuiteRow& row : kUsableSrtpSuites) EXPECT_FALSE(row.is_legacy) << row.name;
}

// RFC 4568 §6.2, RFC 6188 §3, RFC 7714 §12: the name says the sizes.
TEST(SrtpSuites, SizesAreThoseOfTheName) {
  for (const SrtpSuiteRow& row : kSrtpSuites) {
    const auto says = [&](std::string_view part) { return row.name.find(part) != std::string_view::npos; };
    EXPECT_EQ(row.key, says("256") ? 32 : says("192") ? 24 : 16) << row.name;
    EXPECT_EQ(row.is_aead, says("GCM")) << row.name;
    EXPECT_EQ(row.salt, says("GCM") ? 12 : 14) << row.name;
    EXPECT_EQ(row.rtp_tag, says("GCM") ? 16 : says("_32") ? 4 : 10) << row.name;
    EXPECT_EQ(row.rtcp_tag, says("GCM") ? 16 : 10) << row.name;
  }
}

}  // namespace
}  // namespace ferry::srtp_suite_test
