// SPDX-License-Identifier: Apache-2.0
// Options of the rtpproxy protocol, and what follows from them for others.

#include "tests/unit/control/config/option_reading.hpp"

#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::rtpproxy_options_test {
namespace {

using namespace std::chrono_literals;

/// The whole configuration, as the daemon reads it.
Config whole(std::vector<std::string> words) {
  words.insert(words.begin(), {"rtpferryd", "--config-file=none", "--interface=192.0.2.1"});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  Config config;
  const auto wrongs = read_config(arguments, config);
  EXPECT_TRUE(wrongs.empty()) << wrongs.front();
  return config;
}

TEST(RtpproxyOptions, AnAddressOfListenUdpBecomesAListener) {
  const std::pair<const char*, const char*> rows[] = {{"22222", "udp:127.0.0.1:22222"},
                                                      {"192.0.2.1:22222", "udp:192.0.2.1:22222"},
                                                      {"[::1]:22222", "udp6:[::1]:22222"}};
  for (const auto& [value, listener] : rows) {
    Config config;
    EXPECT_EQ(set_option(config, "listen-udp", value), "");
    EXPECT_EQ(config.listen_rtpp, std::vector<std::string>{listener});
  }
}

TEST(RtpproxyOptions, GoodAndBadValues) {
  const struct {
    const char* name;
    const char* good;
    const char* bad;
  } rows[] = {
      {"rtpp-bridge", "int/ext", "int"},       {"rtpp-bridge", "a/b", "/ext"},
      {"rtpp-bridge", "a/b", "int/"},          {"rtpp-latch", "any", "strict"},
      {"rtpp-prompts", "/var/prompts", "/"},   {"rtpp-prompts", "/a", "prompts"},
      {"rtpp-recording", "call", "wav"},       {"rtpp-socket-mode", "600", "rw"},
      {"rtpp-timeout", "90", "90s"},           {"rtpp-setup-timeout", "0", "-1"},
      {"rtpp-independent-legs", "on", "both"}, {"sighup", "drain", "restart"},
  };
  for (const auto& row : rows) {
    Config config;
    EXPECT_EQ(set_option(config, row.name, row.good), "") << row.name << " = " << row.good;
    const std::string wrong = set_option(config, row.name, row.bad);
    EXPECT_NE(wrong, "") << row.name << " = " << row.bad;
    EXPECT_FALSE(wrong.starts_with("not about the value")) << wrong;
  }
}

TEST(RtpproxyOptions, WhatIsUnsafeIsLogged) {
  for (const char* policy : {"off", "signalled", "uncontested", "any"}) {
    Config config;
    EXPECT_EQ(set_option(config, "rtpp-latch", policy), "");
    EXPECT_EQ(config.notices.size(), std::string_view(policy) == "any" ? 1u : 0u) << policy;
  }
}

TEST(RtpproxyOptions, AFolderOfPromptsHasNoSlashAtItsEnd) {
  Config config;
  EXPECT_EQ(set_option(config, "rtpp-prompts", "/var/prompts//"), "");
  EXPECT_EQ(config.rtpproxy_prompts, std::vector<std::string>{"/var/prompts"});
}

TEST(RtpproxyOptions, TheTimeOutIsThatOfOtherCallsUnlessItIsGiven) {
  EXPECT_EQ(whole({}).session.rtpproxy.timeout, 60s);
  EXPECT_EQ(whole({"--timeout=90"}).session.rtpproxy.timeout, 90s);
  EXPECT_EQ(whole({"--timeout=90", "--rtpp-timeout=30"}).session.rtpproxy.timeout, 30s);
  EXPECT_EQ(whole({"--rtpp-timeout=60", "--timeout=90"}).session.rtpproxy.timeout, 60s) << "as the default";
}

TEST(RtpproxyOptions, BridgedPartiesAreAsymmetricUnlessTheOptionSaysOtherwise) {
  const struct {
    std::vector<std::string> words;
    bool is_asymmetric;
  } rows[] = {{{}, false},
              {{"--rtpp-asymmetric"}, true},
              {{"--rtpp-bridge=int/ext"}, true},
              {{"--rtpp-bridge=int/ext", "--rtpp-bridge-symmetric"}, false},
              {{"--rtpp-bridge=int/ext", "--rtpp-bridge-symmetric", "--rtpp-asymmetric"}, true}};
  for (const auto& row : rows)
    EXPECT_EQ(whole(row.words).session.rtpproxy.asymmetric, row.is_asymmetric)
        << testing::PrintToString(row.words);
}

TEST(RtpproxyOptions, WithItsListenerAloneThereIsNoneForNg) {
  EXPECT_EQ(whole({}).listen_ng.size(), 1u);
  EXPECT_TRUE(whole({"--listen-udp=22222"}).listen_ng.empty());
  EXPECT_EQ(whole({"--listen-udp=22222", "--listen-ng=2223"}).listen_ng.size(), 1u);
}

}  // namespace
}  // namespace ferry::test::rtpproxy_options_test
