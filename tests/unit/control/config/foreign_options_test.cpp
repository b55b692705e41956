// SPDX-License-Identifier: Apache-2.0
// Every option of rtpengine 26.3, in the file and on the command line.

#include "control/config/foreign_options.hpp"

#include "control/config/config.hpp"
#include "tests/support/rtpengine_options.hpp"

#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::foreign_options_test {
namespace {

Result<Config, ConfigError> load(std::vector<std::string> words) {
  words.insert(words.begin(), {"rtpferryd", "--config-file=none", "--interface=192.0.2.1"});
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  return load_config(arguments);
}

TEST(ForeignOptions, EveryOptionOfRtpengineIsTakenInTheFile) {
  for (const test::RtpengineOption& option : test::kRtpengineOptions) {
    Config config;
    const auto taken =
        apply_ini(config, fmt::format("[rtpengine]\n{} = {}\n", option.name, option.value), "f");
    EXPECT_TRUE(taken) << option.name << ": " << (taken ? "" : taken.error().text);
    for (const std::string& notice : config.notices)
      EXPECT_EQ(notice.find("unknown"), std::string::npos) << notice;
  }
}

TEST(ForeignOptions, EveryOptionOfRtpengineIsTakenOnTheCommandLine) {
  for (const test::RtpengineOption& option : test::kRtpengineOptions) {
    // These print something, or need a second option or a file.
    static const std::set<std::string_view> kOthers = {"version", "codecs", "config-file", "listen-https",
                                                       "templates"};
    if (kOthers.contains(option.name)) continue;
    const auto config = load({option.is_switch ? fmt::format("--{}", option.name)
                                               : fmt::format("--{}={}", option.name, option.value)});
    EXPECT_TRUE(config) << option.name << ": " << (config ? "" : config.error().text);
    if (option.letter == 0) continue;
    std::vector<std::string> words = {fmt::format("-{}", option.letter)};
    if (!option.is_switch) words.emplace_back(option.value);
    const auto by_letter = load(words);
    EXPECT_TRUE(by_letter) << option.letter << ": " << (by_letter ? "" : by_letter.error().text);
  }
}

TEST(ForeignOptions, NoNameOrLetterStandsInBothTables) {
  std::set<std::string_view> names;
  std::set<char> letters;
  const auto add = [&](std::string_view name, char letter) {
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_TRUE(letter == 0 || letters.insert(letter).second) << letter;
  };
  for (const OptionRow& row : option_rows()) add(row.name, row.letter);
  for (const ForeignOption& option : foreign_options()) {
    add(option.name, option.letter);
    EXPECT_FALSE(option.instead.empty()) << option.name;
    EXPECT_TRUE(option.own_name.empty() || find_option(option.own_name) != nullptr) << option.name;
  }
}

TEST(ForeignOptions, ANoticeSaysOnceWhatTakesTheirPlace) {
  const auto config = load({"--table=42", "--redis=127.0.0.1:6379/1", "-t", "7"});
  ASSERT_TRUE(config);
  ASSERT_EQ(config->notices.size(), 2u);
  EXPECT_TRUE(config->notices[0].starts_with("table has no effect: packets are forwarded in the kernel"));
  EXPECT_TRUE(config->notices[1].starts_with("redis has no effect: "));
}

TEST(ForeignOptions, SecretsAreNotInNotices) {
  const auto config = load({"--mysql-pass=hush", "--mqtt-pass=hush"});
  ASSERT_TRUE(config);
  for (const std::string& notice : config->notices) EXPECT_EQ(notice.find("hush"), std::string::npos);
}

TEST(ForeignOptions, WhatHasACounterpartIsObeyed) {
  EXPECT_EQ(load({"--media-num-threads=3"})->media_threads, 3u);
  EXPECT_EQ(load({"--codec-num-threads=2"})->media_threads, 2u);
  EXPECT_EQ(load({"--software-id=relay"})->session.software_name, "relay");
  // No counterpart: the number of cores counts, as it would without the option.
  const auto by_cores = load({"--media-num-threads=-1"});
  ASSERT_TRUE(by_cores);
  EXPECT_FALSE(by_cores->media_threads);
  EXPECT_EQ(by_cores->notices.size(), 1u);
  const auto odd = load({"--software-id=two words"});
  ASSERT_TRUE(odd);
  EXPECT_EQ(odd->notices.size(), 1u);
}

TEST(ForeignOptions, ABeginningOfANameIsNoName) {
  for (const char* word : {"--listen-t=2223", "--redis-w=x", "--nftables=x", "--homer-e"})
    EXPECT_FALSE(load({word})) << word;
  const auto whole = load({"--listen-tcp=25060"});
  ASSERT_TRUE(whole);
  EXPECT_TRUE(whole->listen_tcp_ng.empty());
}

TEST(ForeignOptions, LevelsOfTheLogAboveTheMostDetailedOneAreThat) {
  const auto config = load({"--log-level=10"});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->log_level, 7);
  EXPECT_FALSE(load({"--log-level=-1"}));
}

TEST(ForeignOptions, RecordingByTheKernelModuleIsRecordingOfAudio) {
  const auto config = load({"--recording-method=proc"});
  ASSERT_TRUE(config);
  EXPECT_TRUE(config->recorder.audio);
  EXPECT_FALSE(config->recorder.packets);
  EXPECT_EQ(config->notices.size(), 1u);
}

}  // namespace
}  // namespace ferry::foreign_options_test
