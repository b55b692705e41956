// SPDX-License-Identifier: Apache-2.0
// Options that change while the daemon runs: each of them, by one rule.

#include "control/config/parameters.hpp"

#include <algorithm>
#include <map>
#include <string>

#include <gtest/gtest.h>

namespace ferry::test::parameters_test {
namespace {

/// Two values of each parameter, spelled as they are shown. None is a default.
const std::map<std::string, std::pair<std::string, std::string>, std::less<>> kValues = {
    {"log-level", {"3", "7"}},
    {"max-sessions", {"100", "0"}},
    {"max-cpu", {"80", "92.5"}},
    {"max-load", {"4", "2.5"}},
    {"max-bandwidth", {"1000000", "5"}},
    {"timeout", {"90", "120"}},
    {"silent-timeout", {"900", "1800"}},
    {"offer-timeout", {"200", "400"}},
    {"final-timeout", {"7200", "86400"}},
    {"delete-delay", {"0", "5"}},
    {"flight-recorder", {"all", "off"}},
    {"measure-rtp", {"yes", "no"}},
    {"deny-peer", {"10.0.0.0/8", "10.0.0.0/8;2001:db8::/32"}},
    {"allow-peer", {"10.1.0.0/16", "192.0.2.7/32"}},
    {"deny-peer-ports", {"9000", "7000;9000-9003"}},
    {"cdr", {"no", "yes"}},
    {"max-transcoding-load", {"50", "70"}},
};

TEST(Parameters, EachIsSetAsItIsShownAndLeavesTheOthersAlone) {
  Config applied;
  unsigned times = 0;
  Parameters parameters(Config(), [&](const Config& now) {
    applied = now;
    ++times;
  });
  const auto before = parameters.list();
  ASSERT_EQ(before.size(), kValues.size()) << "each parameter has values here";
  for (const auto& parameter : before) {
    const std::string name(parameter.name);
    SCOPED_TRACE(name);
    ASSERT_TRUE(kValues.contains(name));
    EXPECT_FALSE(parameter.help.empty()) << "a parameter is an option";
    const auto& [first, second] = kValues.at(name);
    for (const std::string& value : {first, second}) {
      const unsigned so_far = times;
      EXPECT_EQ(parameters.set(name, value), "");
      EXPECT_EQ(times, so_far + 1) << "it is put in force";
      EXPECT_EQ(parameters.get(name), value);
      // What was applied shows the same.
      EXPECT_EQ(Parameters(applied, [](const Config&) {}).get(name), value);
      for (const auto& other : parameters.list()) {
        if (other.name == name) continue;
        const auto was = std::ranges::find(before, other.name, &ParameterAccess::Parameter::name);
        EXPECT_EQ(other.value, was->value) << other.name;
      }
    }
    EXPECT_EQ(parameters.set(name, "no such value"), parameters.set(name, "no such value"));
    EXPECT_NE(parameters.set(name, "no such value"), "");
    EXPECT_EQ(parameters.get(name), second) << "a bad value changes nothing";
    parameters.revert();
    EXPECT_EQ(parameters.get(name), parameter.value);
  }
}

TEST(Parameters, WhatCannotBeSetSaysWhy) {
  bool is_applied = false;
  Parameters parameters(Config(), [&](const Config&) { is_applied = true; });
  EXPECT_EQ(parameters.set("port-min", "5000"), "'port-min' can only be set at the start");
  EXPECT_EQ(parameters.set("port-mim", "5000"), "no parameter is called 'port-mim'");
  EXPECT_FALSE(is_applied);
}

TEST(Parameters, AFileThatIsReadAgainGivesAllOfThemNewValuesOfTheStart) {
  Config applied;
  Parameters parameters(Config(), [&](const Config& now) { applied = now; });
  EXPECT_EQ(parameters.set("timeout", "90"), "");
  Config file;
  file.port_min = UdpPort{1000};
  for (const auto& [name, values] : kValues) {
    const auto row = std::ranges::find(option_rows(), name, &OptionRow::name);
    ASSERT_NE(row, option_rows().end()) << name;
    EXPECT_EQ(apply_option(file, *row, values.first), "") << name;
  }
  parameters.take(file);
  EXPECT_EQ(applied.port_min, Config().port_min) << "this needs another start";
  for (const auto& [name, values] : kValues) {
    EXPECT_EQ(parameters.get(name), values.first) << name;
    EXPECT_EQ(parameters.set(name, values.second), "");
  }
  parameters.revert();
  for (const auto& [name, values] : kValues) EXPECT_EQ(parameters.get(name), values.first) << name;
}

}  // namespace
}  // namespace ferry::test::parameters_test
