// SPDX-License-Identifier: Apache-2.0
// Lists on the command line and in the file: one rule for all of them.

#include "control/config/config.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace ferry::test {
namespace {

std::string texts(const std::vector<Endpoint>& endpoints) {
  std::string text;
  for (const Endpoint& each : endpoints) text += each.to_string() + ' ';
  return text;
}

std::string texts(const std::vector<Network>& networks) {
  std::string text;
  for (const Network& each : networks) text += each.address.to_string() + ' ';
  return text;
}

/// Two values of a list option, and the list as text.
struct Sample {
  std::string_view name;
  std::string_view in_file;
  std::string_view on_command_line;
  std::string (*list)(const Config& config);
};

std::string rtpp_listeners(const Config& c) { return fmt::format("{}", c.listen_rtpp); }

// clang-format off
const Sample kSamples[] = {
  {"interface", "one/192.0.2.1", "two/192.0.2.2", [](const Config& c) {
     std::string text;
     for (const InterfaceSpec& each : c.interfaces) text += each.name + ' ';
     return text;
   }},
  {"listen-ng", "127.0.0.1:1001", "127.0.0.1:1002", [](const Config& c) { return texts(c.listen_ng); }},
  {"listen-tcp-ng", "127.0.0.1:1001", "127.0.0.1:1002", [](const Config& c) { return texts(c.listen_tcp_ng); }},
  {"listen-unix-ng", "/one", "/two", [](const Config& c) { return fmt::format("{}", c.listen_unix_ng); }},
  {"listen-cli", "127.0.0.1:1001", "127.0.0.1:1002", [](const Config& c) { return texts(c.listen_cli); }},
  {"listen-http", "127.0.0.1:1001", "127.0.0.1:1002", [](const Config& c) { return texts(c.listen_http); }},
  {"listen-https", "127.0.0.1:1001", "127.0.0.1:1002", [](const Config& c) { return texts(c.listen_https); }},
  {"listen-rtpp", "unix:/one", "unix:/two", rtpp_listeners},
  {"listen-udp", "127.0.0.1:1001", "127.0.0.1:1002", rtpp_listeners},
  {"rtpp-notify", "unix:/one", "unix:/two", [](const Config& c) { return fmt::format("{}", c.rtpproxy_notify); }},
  {"rtpp-prompts", "/one", "/two", [](const Config& c) { return fmt::format("{}", c.rtpproxy_prompts); }},
  {"media-files", "/one", "/two", [](const Config& c) { return fmt::format("{}", c.media_files); }},
  {"tone", "busy=425", "dial=450", [](const Config& c) { return c.tones.empty() ? std::string() : c.tones.front().first + c.tones.back().first; }},
  {"control-allow", "192.0.2.0/24", "198.51.100.0/24", [](const Config& c) { return texts(c.control_allow); }},
  {"http-names", "one.example", "two.example", [](const Config& c) { return fmt::format("{}", c.http_names); }},
  {"offload", "tc; eth1=xdp", "eth0=off", [](const Config& c) {
     std::string text = fmt::format("{} ", static_cast<int>(c.offload));
     for (const auto& [name, mode] : c.offload_of) text += fmt::format("{}={} ", name, static_cast<int>(mode));
     return text;
   }},
  {"deny-peer", "192.0.2.0/24", "198.51.100.0/24", [](const Config& c) { return texts(c.session.peers.denied); }},
  {"allow-peer", "192.0.2.0/24", "198.51.100.0/24", [](const Config& c) { return texts(c.session.peers.allowed); }},
  {"deny-peer-ports", "7000", "8000", [](const Config& c) {
     std::string text;
     for (const PortSpan& each : c.session.peers.ports) text += fmt::format("{} ", each.first.value);
     return text;
   }},
  {"dpdk-eal", "--no-huge", "--no-pci", [](const Config& c) { return fmt::format("{}", c.dpdk.eal); }},
  {"dpdk-port", "net_tap0=one", "net_tap1=two", [](const Config& c) {
     std::string text;
     for (const DpdkOptions::Port& each : c.dpdk.ports) text += each.device + ' ';
     return text;
   }},
  {"event-webhook", "http://192.0.2.1/a", "http://192.0.2.1/b", [](const Config& c) {
     std::string text;
     for (const std::string& each : c.events.webhook.urls) text += each + ' ';
     return text;
   }},
  {"event-webhook-types", "call-end", "call-start", [](const Config& c) { return c.events.webhook.types.to_string(); }},
  {"recording-method", "all", "audio", [](const Config& c) { return fmt::format("{} {}", c.recorder.packets, c.recorder.audio); }},
};
// clang-format on

/// Reads a file with `line`, and the command line `words`.
Config read(std::string_view line, std::vector<std::string> words) {
  const std::string path = testing::TempDir() + "lists-" + std::to_string(getpid()) + ".conf";
  std::ofstream(path) << "https-cert = /cert.pem\n" << line << '\n';
  words.insert(words.begin(), {"rtpferryd", "--config-file=" + path});
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  Config config;
  read_config(arguments, config);
  std::filesystem::remove(path);
  return config;
}

TEST(ListOptions, TheCommandLineReplacesTheListOfTheFile) {
  for (const OptionRow& row : option_rows()) {
    SCOPED_TRACE(row.name);
    const auto sample = std::ranges::find(kSamples, row.name, &Sample::name);
    ASSERT_EQ(row.kind == OptionKind::kList, sample != std::end(kSamples)) << "each list has a sample here";
    ASSERT_EQ(row.kind == OptionKind::kList, row.clear != nullptr);
    if (row.kind != OptionKind::kList) continue;
    const std::string line = fmt::format("{} = {}", row.name, sample->in_file);
    const std::string word = fmt::format("--{}={}", row.name, sample->on_command_line);
    const std::string of_file = sample->list(read(line, {}));
    const std::string of_words = sample->list(read("", {word}));
    ASSERT_NE(of_file, sample->list(read("", {}))) << "the sample can show a difference";
    ASSERT_NE(of_file, of_words);
    EXPECT_EQ(sample->list(read(line, {word})), of_words);
    // What stands on the command line adds up, and so do lines of the file.
    const std::string both =
        sample->list(read("", {fmt::format("--{}={}", row.name, sample->in_file), word}));
    EXPECT_EQ(sample->list(read(fmt::format("{}\n{} = {}", line, row.name, sample->on_command_line), {})),
              both);
    EXPECT_NE(both, of_words);
    // Several words are one list: only the first of them takes away what the file says.
    EXPECT_EQ(sample->list(read(line, {fmt::format("--{}={}", row.name, sample->in_file), word})), both);
  }
}

TEST(ListOptions, TwoOptionsOfOneListReplaceItTogether) {
  const Config config = read("listen-rtpp = unix:/one\nlisten-udp = 127.0.0.1:1001",
                             {"--listen-udp=127.0.0.1:1002", "--listen-rtpp=unix:/two"});
  EXPECT_EQ(config.listen_rtpp, (std::vector<std::string>{"udp:127.0.0.1:1002", "unix:/two"}));
}

}  // namespace
}  // namespace ferry::test
