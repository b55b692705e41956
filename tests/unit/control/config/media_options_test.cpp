// SPDX-License-Identifier: Apache-2.0
// Options of what is played to parties.
#include "control/config/config.hpp"
#include "tests/unit/control/config/option_reading.hpp"

#include <gtest/gtest.h>

namespace ferry::test::media_options_test {
namespace {

TEST(MediaOptions, GoodAndBadValues) {
  const struct {
    const char* name;
    const char* good;
    const char* bad;
  } rows[] = {
      {"media-files", "/var/sounds/", "sounds"},
      {"media-files", "/a", "/"},
      {"media-numbers", "/var/n", "n"},
      {"media-cache", "128", "0"},
      {"media-cache", "1", "lots"},
      {"tone", "busy/cn=450/350,0/350", "busy"},
      {"tone", "x=425", "=425"},
      {"tone", "x=425", "x="},
  };
  for (const auto& row : rows) {
    Config config;
    EXPECT_EQ(set_option(config, row.name, row.good), "") << row.name << " = " << row.good;
    EXPECT_NE(set_option(config, row.name, row.bad), "") << row.name << " = " << row.bad;
  }
  Config config;
  set_option(config, "media-files", "/a/");
  set_option(config, "media-files", "/b");
  set_option(config, "media-numbers", "/c//");
  set_option(config, "tone", "busy=425/500,0/500");
  set_option(config, "tone-country", "cn");
  EXPECT_EQ(config.media_files, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(config.media_numbers, "/c");
  EXPECT_EQ(config.tones.front(), (std::pair<std::string, std::string>{"busy", "425/500,0/500"}));
  EXPECT_EQ(config.tone_country, "cn");
  EXPECT_EQ(Config().tone_country, "us");
}

}  // namespace
}  // namespace ferry::test::media_options_test
