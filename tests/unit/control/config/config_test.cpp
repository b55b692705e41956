// SPDX-License-Identifier: Apache-2.0
// How the configuration is read: the file, the command line over it, and what is wrong with either.

#include "control/config/config.hpp"

#include "control/ports/interfaces.hpp"

#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::config_test {
namespace {

using namespace std::chrono_literals;

Result<Config, ConfigError> load(std::vector<std::string> words) {
  words.insert(words.begin(), {"rtpferryd", "--config-file=none"});
  std::vector<char*> arguments;
  for (auto& word : words) arguments.push_back(word.data());
  return load_config(arguments);
}

TEST(Config, CTL1_DefaultsAreLoopbackAndAUnixSocket) {
  const auto config = load({"-i", "192.0.2.1"});
  ASSERT_TRUE(config);
  ASSERT_EQ(config->listen_ng.size(), 1u);
  EXPECT_EQ(config->listen_ng[0].to_string(), "127.0.0.1:2223");
  EXPECT_TRUE(config->listen_tcp_ng.empty());
  EXPECT_EQ(config->control_socket.front(), '/');
}

TEST(Config, CTL2_OpenListenerNeedsAnAllowListOrTheExplicitOption) {
  EXPECT_FALSE(load({"-i", "192.0.2.1", "-n", "192.0.2.1:2223"}));
  EXPECT_FALSE(load({"-i", "192.0.2.1", "--listen-tcp-ng=[2001:db8::1]:2223"}));
  EXPECT_TRUE(load({"-i", "192.0.2.1", "-n", "192.0.2.1:2223", "--control-allow=192.0.2.0/24"}));
  EXPECT_TRUE(load({"-i", "192.0.2.1", "-n", "192.0.2.1:2223", "--allow-open-control"}));
}

TEST(Config, ListsMayBeRepeatedOrDividedBySemicolons) {
  const auto config = load({"--interface=a/192.0.2.1;b/192.0.2.2!203.0.113.2", "--interface=c=a"});
  ASSERT_TRUE(config);
  ASSERT_EQ(config->interfaces.size(), 3u);
  EXPECT_EQ(config->interfaces[1].advertised, "203.0.113.2");
  EXPECT_EQ(config->interfaces[2].alias_of, "a");
}

TEST(Config, ErrorsAreOneLineWithAHint) {
  EXPECT_EQ(load({"--timout=3"}).error().text, "unknown option 'timout': did you mean 'timeout'?");
  EXPECT_EQ(load({"-i", "x", "--timeout=soon"}).error().text,
            "--timeout: 'soon' is no number from 0 to 31536000");
  EXPECT_EQ(load({"--interface"}).error().text, "option 'interface' needs a value");
  EXPECT_NE(load({"-i", "192.0.2.1", "-m", "5000", "-M", "4000"}).error().text.find("port-min"),
            std::string::npos);
  Config config;
  EXPECT_EQ(apply_ini(config, "[rtpferry]\n# c\ntimeout = 5\nlatsh = any\n", "f.conf").error().text,
            "f.conf:4: unknown option 'latsh': did you mean 'latch'?");
}

TEST(Config, EverythingThatIsWrongIsToldAtOnce) {
  Config config;
  const auto from_file = apply_ini(
      config, "timout=1\n[rtpferri]\nport-min = 1\n[rtpferry]\ntimeout = soon\nlatch = some\n", "f.conf");
  EXPECT_EQ(from_file.error().text,
            "f.conf:1: unknown option 'timout': did you mean 'timeout'?\n"
            "f.conf:2: unknown section '[rtpferri]': there are [rtpferry], [interface-NAME] and [templates]\n"
            "f.conf:5: timeout: 'soon' is no number from 0 to 31536000\n"
            "f.conf:6: latch: 'some' is none of off, signalled, uncontested, any");
  const auto from_words = load({"--timeout=soon", "--nothing", "-Q", "-n", "192.0.2.1:2223", "--port-min"});
  EXPECT_EQ(from_words.error().text,
            "--timeout: 'soon' is no number from 0 to 31536000\n"
            "unknown option 'nothing' (--help lists them)\n"
            "unknown option '-Q' (--help lists them)\n"
            "option 'port-min' needs a value\n"
            "control listener 192.0.2.1:2223 is not on loopback: name who may use it with "
            "control-allow=NETWORK (or accept anybody with allow-open-control)");
}

// The beginning of a name opened a listener that nobody asked for.
TEST(Config, LongOptionsGoByTheirWholeName) {
  for (const char* word : {"--listen-tcp-n=127.0.0.1:2223", "--listen-tc=127.0.0.1:2223", "--num=2",
                           "--max-ses=5", "--check", "--l=7", "--interfac=192.0.2.1"}) {
    const auto config = load({"-i", "192.0.2.1", word});
    ASSERT_FALSE(config) << word;
    EXPECT_NE(config.error().text.find("unknown option '"), std::string::npos) << config.error().text;
  }
  EXPECT_FALSE(load({"-i", "192.0.2.1", "--listen-tc", "127.0.0.1:2223"}))
      << "the value in a word of its own";
  EXPECT_TRUE(load({"-i", "192.0.2.1", "--listen-tcp-ng", "127.0.0.1:2223"}));
  EXPECT_TRUE(load({"--interface", "192.0.2.1", "--num-threads", "2", "--cdr", "--cdr=no"}));
}

TEST(Config, AVariableThatIsNotSetIsNoInterface) {
  for (const char* value : {"", "pub/", "/192.0.2.1", "pub/192.0.2.1!", "old=", "=pub"}) {
    const auto config = load({std::string("--interface=").append(value)});
    ASSERT_FALSE(config) << value;
    EXPECT_TRUE(config.error().text.starts_with("--interface: ")) << config.error().text;
  }
  EXPECT_EQ(load({}).error().text, "no interface: give at least one, e.g. --interface=192.0.2.1");
}

TEST(Config, InterfaceSectionsStandBesideTheList) {
  Config config;
  ASSERT_TRUE(apply_ini(config,
                        "interface = int/10.0.0.5\n[interface-ext]\naddress = "
                        "192.0.2.1\n[rtpferry]\ninterface=third/192.0.2.3\n",
                        "f"));
  ASSERT_EQ(config.interfaces.size(), 3u);
  EXPECT_EQ(config.interfaces[0].name, "int") << "the first one is the default";
  EXPECT_EQ(config.interfaces[1].name, "ext");
  EXPECT_EQ(config.interfaces[2].name, "third");
  InterfaceSpec empty;
  empty.name = "b";
  EXPECT_EQ(InterfaceSet::build({parse_interface_spec("a/192.0.2.250"), empty, parse_interface_spec("c=d")},
                                UdpPort{30000}, UdpPort{30010})
                .error(),
            "interface 'a': 192.0.2.250 is not an address of this host\ninterface 'b': no address\n"
            "interface alias 'c': there is no interface 'd'");
}

TEST(Config, TemplatesMayBeChosenAfterTheirSection) {
  const std::string path = testing::TempDir() + "templates.conf";
  const auto choose = [&](const std::string& name) {
    std::vector<std::string> words = {"rtpferryd", "--config-file=" + path, "--templates=" + name};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    return load_config(arguments);
  };
  std::ofstream(path) << "interface=192.0.2.1\n[my-templates]\noffer = replace-origin\n";
  ASSERT_TRUE(choose("my-templates"));
  EXPECT_EQ(choose("my-templates")->templates.at("offer"), "replace-origin");
  EXPECT_EQ(choose("your-templates").error().text,
            "templates: there is no section '[your-templates]' in '" + path + "'");
}

TEST(Config, InterfaceSectionsHaveTheirOwnPorts) {
  Config config;
  ASSERT_TRUE(apply_ini(
      config,
      "timeout=7\n[interface-ext]\naddress = 192.0.2.1!203.0.113.9\nport-min=1000\nport-max = 2000\n"
      "ice-port = 443\n",
      "f"));
  EXPECT_EQ(config.session.timeout, 7s);
  ASSERT_EQ(config.interfaces.size(), 1u);
  EXPECT_EQ(config.interfaces[0].name, "ext");
  EXPECT_EQ(config.interfaces[0].advertised, "203.0.113.9");
  EXPECT_EQ(config.interfaces[0].port_max->value, 2000);
  EXPECT_EQ(config.interfaces[0].ice_port->value, 443);
  EXPECT_FALSE(apply_ini(config, "[interface-two]\nice-port = 70000\n", "f"));
}

}  // namespace
}  // namespace ferry::test::config_test
