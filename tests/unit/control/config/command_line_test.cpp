// SPDX-License-Identifier: Apache-2.0
#include "control/config/command_line.hpp"

#include "control/config/config.hpp"
#include "control/config/foreign_options.hpp"

#include <gtest/gtest.h>

namespace ferry::command_line_test {
namespace {

std::vector<std::string> told(std::vector<std::string> words) {
  words.insert(words.begin(), "rtpferryd");
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  std::vector<std::string> all;
  for (const GivenOption& option : given_options(arguments)) {
    EXPECT_EQ((option.own != nullptr) + (option.foreign != nullptr) + !option.wrong.empty(), 1);
    const std::string name(option.own != nullptr       ? option.own->name
                           : option.foreign != nullptr ? option.foreign->name
                                                       : std::string_view());
    all.push_back(name.empty() ? option.wrong : name + "=" + std::string(option.value));
  }
  return all;
}

TEST(CommandLine, OptionsComeInTheirOrder) {
  EXPECT_EQ(told({"--timeout=5", "-m", "2000", "-M3000", "--interface", "192.0.2.1", "-f", "--cdr=no"}),
            (std::vector<std::string>{"timeout=5", "port-min=2000", "port-max=3000", "interface=192.0.2.1",
                                      "foreground=", "cdr=no"}));
  EXPECT_EQ(told({"-t", "0", "--redis", "x", "-q"}),
            (std::vector<std::string>{"table=0", "redis=x", "no-redis-required="}));
}

TEST(CommandLine, WordsThatAreNoOptionsAreTold) {
  EXPECT_EQ(told({"--timout=3", "-?", "--zzzzzz=3"}),
            (std::vector<std::string>{"unknown option 'timout': did you mean 'timeout'?",
                                      "unknown option '-?' (--help lists them)",
                                      "unknown option 'zzzzzz' (--help lists them)"}));
  EXPECT_EQ(told({"word"}), (std::vector<std::string>{"unexpected argument 'word'"}));
  EXPECT_EQ(told({"--interface"}), (std::vector<std::string>{"option 'interface' needs a value"}));
  EXPECT_EQ(told({"-m"}), (std::vector<std::string>{"option 'm' needs a value"}));
}

}  // namespace
}  // namespace ferry::command_line_test
