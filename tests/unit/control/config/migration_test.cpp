// SPDX-License-Identifier: Apache-2.0
// A file that `migrate` has made means what the one before it meant.

#include "control/config/migration.hpp"

#include "control/config/config.hpp"
#include "control/config/file_reader.hpp"
#include "tests/support/rtpengine_configurations.hpp"
#include "tests/support/rtpengine_options.hpp"

#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::migration_test {
namespace {

Config read(std::string_view text) {
  Config config;
  std::vector<std::string> wrongs;
  read_file(config, text, "f", wrongs);
  EXPECT_EQ(wrongs, std::vector<std::string>{}) << text;
  return config;
}

/// What an operator would see a difference in.
std::string summary(const Config& c) {
  std::string text = fmt::format("{}-{} {} {} {} {} {} {} {} {} {} {} {} {}\n", c.port_min.value,
                                 c.port_max.value, c.log_level, c.log_stderr, c.log_facility, c.foreground,
                                 c.session.tos, c.session.timeout.count(), c.session.silent_timeout.count(),
                                 c.session.delete_delay.count(), c.session.max_sessions, c.threads,
                                 c.recorder.directory, c.recorder.packets + 2 * c.recorder.audio);
  for (const InterfaceSpec& each : c.interfaces)
    text += fmt::format("{} {} {} {} {}\n", each.name, each.address, each.advertised, each.alias_of,
                        each.excluded_ports.size());
  for (const auto* list : {&c.listen_ng, &c.listen_tcp_ng, &c.listen_http, &c.listen_cli})
    for (const Endpoint& each : *list) text += each.to_string() + "\n";
  for (const std::string& each : c.listen_rtpp) text += each + "\n";
  return text;
}

TEST(Migration, FilesMeanTheSameAfterwards) {
  for (const test::RtpengineConfiguration& shape : test::kRtpengineConfigurations) {
    SCOPED_TRACE(shape.name);
    const Migration made = migrate_file(shape.text, "rtpengine.conf");
    EXPECT_EQ(summary(read(made.text)), summary(read(shape.text)));
    EXPECT_EQ(made.wrongs.empty(), !shape.needs_allow_list);
    // The new file is the relay's own, and nothing of it is without effect.
    const Config config = read(made.text);
    EXPECT_FALSE(config.was_made_for_rtpengine);
    for (const std::string& notice : config.notices)
      EXPECT_EQ(notice.find("has no effect"), std::string::npos) << notice;
    // Once more it stays what it is, but for the first line.
    const Migration again = migrate_file(made.text, "rtpengine.conf");
    EXPECT_EQ(summary(read(again.text)), summary(config));
  }
}

TEST(Migration, EachLineHasAComment) {
  for (const test::RtpengineOption& option : test::kRtpengineOptions) {
    const Migration made = migrate_file(
        fmt::format("[rtpengine]\ninterface = 192.0.2.1\n{} = {}\n", option.name, option.value), "f");
    std::istringstream lines(made.text);
    std::string before;
    for (std::string line; std::getline(lines, line); before = line) {
      const bool is_setting = line.find(" = ") != std::string::npos && !line.starts_with("# ");
      if (is_setting) {
        EXPECT_TRUE(before.starts_with("# ")) << made.text;
      }
    }
  }
}

TEST(Migration, WhatHasNoCounterpartIsAComment) {
  const Migration made = migrate_file(
      "[rtpengine]\ninterface = any\nredis = hush@127.0.0.1:6379\nmysql-pass = hush\njanus-secret = "
      "hush\ndtls = yes\n",
      "f");
  EXPECT_NE(made.text.find("# redis has no effect: "), std::string::npos);
  EXPECT_NE(made.text.find("#redis = (left out)"), std::string::npos);
  EXPECT_EQ(made.text.find("hush"), std::string::npos);
  EXPECT_NE(made.text.find("#dtls = yes"), std::string::npos);
  EXPECT_NE(made.text.find("\ninterface = any\n"), std::string::npos);
  EXPECT_TRUE(made.wrongs.empty());
}

TEST(Migration, OtherNamesBecomeTheRelays) {
  const Migration made = migrate_file("[rtpengine]\ninterface = any\nmedia-num-threads = 4\n", "f");
  EXPECT_NE(made.text.find("\nmedia-threads = 4\n"), std::string::npos);
}

TEST(Migration, SectionsKeepTheirMeaning) {
  const Migration made = migrate_file(
      "[rtpengine]\ninterfaces-config = addr\ntemplates = templates-x\n[addr-a]\naddress = 192.0.2.1\n"
      "exclude-ports = 30004\n[templates-x]\noffer = replace-origin\n[other]\nkey = value\n",
      "f");
  EXPECT_TRUE(made.wrongs.empty());
  const Config config = read(made.text);
  ASSERT_EQ(config.interfaces.size(), 1u);
  EXPECT_EQ(config.interfaces[0].name, "a");
  EXPECT_EQ(config.interfaces[0].excluded_ports.size(), 1u);
  EXPECT_EQ(config.template_sections.at("templates-x").at("offer"), "replace-origin");
  EXPECT_NE(made.text.find("# section [other]: rtpferryd does not read it\n#key = value\n"),
            std::string::npos);
}

TEST(Migration, FaultsAreToldAndWrittenDown) {
  const Migration made =
      migrate_file("[rtpengine]\ninterface = 192.0.2.1\ntos = 999\nlisten-ng = 192.0.2.1:2223\n", "f");
  ASSERT_EQ(made.wrongs.size(), 2u);
  EXPECT_NE(made.text.find("#tos = 999"), std::string::npos);
  EXPECT_NE(made.text.find("# To be done"), std::string::npos);
  EXPECT_NE(made.wrongs[1].find("control-allow"), std::string::npos);
}

TEST(Migration, CommandLinesBecomeFiles) {
  std::vector<std::string> words = {"rtpengine",
                                    "--interface=a/192.0.2.1;b/192.0.2.2!203.0.113.9",
                                    "-n",
                                    "127.0.0.1:2223",
                                    "--table=0",
                                    "-m",
                                    "30000",
                                    "--port-max=35000",
                                    "--log-level=10",
                                    "--tos=184",
                                    "--nftables-chain=rtpengine",
                                    "--no-log-timestamps",
                                    "-f"};
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  const Migration made = migrate_arguments(arguments);
  EXPECT_EQ(made.wrongs, std::vector<std::string>{});
  const Config config = read(made.text);
  ASSERT_EQ(config.interfaces.size(), 2u);
  EXPECT_EQ(config.interfaces[1].advertised, "203.0.113.9");
  EXPECT_EQ(config.port_min.value, 30000);
  EXPECT_EQ(config.port_max.value, 35000);
  EXPECT_EQ(config.log_level, 7);
  EXPECT_EQ(config.session.tos, 184);
  EXPECT_TRUE(config.foreground);
}

}  // namespace
}  // namespace ferry::migration_test
