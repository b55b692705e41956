// SPDX-License-Identifier: Apache-2.0
// Options about where parties may be: how they are read, and how they change at run time.

#include "control/config/parameters.hpp"

#include <gtest/gtest.h>

namespace ferry::test {
namespace {

Config read(std::string_view text) {
  Config config;
  const auto taken = apply_ini(config, text, "test.conf");
  EXPECT_TRUE(taken) << taken.error().text;
  return config;
}

std::string fault(std::string_view text) {
  Config config;
  const auto taken = apply_ini(config, text, "test.conf");
  return taken ? std::string() : taken.error().text;
}

TEST(PeerOptions, LAT11a_NetworksAndPortsAreLists) {
  const Config config = read(
      "[rtpferry]\ndeny-peer = 172.16.0.0/12; 2001:db8:bad::/48\nallow-peer = 172.16.5.9\n"
      "deny-peer-ports = 8080; 9000-9003\ndeny-peer-ports = 7000\n");
  const PeerRules& peers = config.session.peers;
  EXPECT_EQ(peers.denied,
            (std::vector{*Network::parse("172.16.0.0/12"), *Network::parse("2001:db8:bad::/48")}));
  EXPECT_EQ(peers.allowed, std::vector{*Network::parse("172.16.5.9/32")});
  EXPECT_EQ(peers.ports, (std::vector<PortSpan>{{UdpPort{8080}, UdpPort{8080}},
                                                {UdpPort{9000}, UdpPort{9003}},
                                                {UdpPort{7000}, UdpPort{7000}}}));
}

TEST(PeerOptions, LAT11a_WhatIsNoneIsAClearError) {
  for (const char* bad : {"deny-peer = localhost", "deny-peer = 10.0.0.0/33", "allow-peer = 10.0.0",
                          "deny-peer-ports = 0", "deny-peer-ports = 65536", "deny-peer-ports = 9003-9000",
                          "deny-peer-ports = 9000-", "deny-peer-ports = -9000", "deny-peer-ports = sip"}) {
    const std::string text = fault(std::string("[rtpferry]\n") + bad + "\n");
    EXPECT_TRUE(text.starts_with("test.conf:2: ")) << bad << ": " << text;
  }
}

TEST(PeerOptions, LAT11a_TheyChangeAtRunTimeAsAWhole) {
  const Config start = read("[rtpferry]\ndeny-peer = 172.16.0.0/12\ndeny-peer-ports = 9000-9003\n");
  Config applied;
  Parameters parameters(start, [&](const Config& now) { applied = now; });
  EXPECT_EQ(parameters.get("deny-peer"), "172.16.0.0/12");
  EXPECT_EQ(parameters.get("deny-peer-ports"), "9000-9003");
  EXPECT_EQ(parameters.set("deny-peer", "10.0.0.0/8; 2001:db8::/32"), "");
  EXPECT_EQ(parameters.get("deny-peer"), "10.0.0.0/8;2001:db8::/32") << "the value replaces the list";
  EXPECT_EQ(applied.session.peers.denied.size(), 2u);
  EXPECT_EQ(parameters.set("deny-peer", *parameters.get("deny-peer")), "") << "as it is shown it is read";
  EXPECT_NE(parameters.set("deny-peer", "everything"), "");
  EXPECT_EQ(parameters.get("deny-peer"), "10.0.0.0/8;2001:db8::/32") << "a bad one changes nothing";
  EXPECT_EQ(parameters.set("allow-peer", ""), "");
  EXPECT_EQ(parameters.get("allow-peer"), "");
  parameters.revert();
  EXPECT_EQ(parameters.get("deny-peer"), "172.16.0.0/12");
  parameters.take(read("[rtpferry]\nallow-peer = 10.1.0.0/16\n"));
  EXPECT_EQ(parameters.get("deny-peer"), "") << "SIGHUP: as the file says now";
  EXPECT_EQ(applied.session.peers.allowed, std::vector{*Network::parse("10.1.0.0/16")});
}

TEST(PeerOptions, LAT11a_OnTheCommandLineTheyReplaceThoseOfTheFile) {
  std::vector<std::string> words = {"rtpferryd",
                                    "--config-file=none",
                                    "--interface=192.0.2.1",
                                    "--deny-peer=10.0.0.0/8",
                                    "--deny-peer=172.16.0.0/12",
                                    "--allow-peer=10.1.0.0/16",
                                    "--deny-peer-ports=9000"};
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  Config config = read("[rtpferry]\ndeny-peer = 192.168.0.0/16\nallow-peer = 192.168.1.0/24\n");
  EXPECT_TRUE(read_config(arguments, config).empty());
  EXPECT_EQ(config.session.peers.denied.size(), 2u);
  EXPECT_EQ(config.session.peers.allowed, std::vector{*Network::parse("10.1.0.0/16")});
  EXPECT_EQ(config.session.peers.ports.size(), 1u);
}

}  // namespace
}  // namespace ferry::test
