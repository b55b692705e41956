// SPDX-License-Identifier: Apache-2.0
// Which sections of a file count, and what a file that was made for rtpengine may have.

#include "control/config/file_reader.hpp"

#include "control/config/config.hpp"
#include "tests/support/rtpengine_configurations.hpp"

#include <fstream>
#include <sstream>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

namespace ferry::file_reader_test {
namespace {

struct Read {
  Config config;
  std::vector<std::string> wrongs;
  [[nodiscard]] bool says(std::string_view words) const {
    return fmt::format("{}", fmt::join(config.notices, "\n")).find(words) != std::string::npos;
  }
};

Read read(std::string_view text, std::string section = {}) {
  Read result;
  result.config.config_section = std::move(section);
  read_file(result.config, text, "f.conf", result.wrongs);
  return result;
}

TEST(FileReader, TheShapesOfPublicConfigurationsStart) {
  for (const test::RtpengineConfiguration& shape : test::kRtpengineConfigurations) {
    SCOPED_TRACE(shape.name);
    Read result = read(shape.text);
    EXPECT_EQ(result.wrongs, std::vector<std::string>{});
    EXPECT_TRUE(result.config.was_made_for_rtpengine);
    EXPECT_FALSE(result.config.interfaces.empty());
    Config again = result.config;
    const auto faults = complete_config(again, true);
    EXPECT_EQ(faults.empty(), !shape.needs_allow_list) << fmt::format("{}", fmt::join(faults, "\n"));
    for (const std::string& fault : faults) EXPECT_NE(fault.find("control-allow"), std::string::npos);
    ASSERT_EQ(apply_option(result.config, *find_option("control-allow"), "192.0.2.0/24"), "");
    EXPECT_TRUE(complete_config(result.config, true).empty());
  }
}

// Debian's package, where it is installed: as it is, and with every comment of a setting taken off.
TEST(FileReader, DebiansOwnFileStarts) {
  std::ifstream in("/etc/rtpengine/rtpengine.conf");
  if (!in) GTEST_SKIP() << "rtpengine-daemon is not installed";
  std::stringstream text;
  text << in.rdbuf();
  Read result = read(text.str());
  EXPECT_EQ(result.wrongs, std::vector<std::string>{});
  std::string bare;
  std::istringstream lines(text.str());
  for (std::string line; std::getline(lines, line);) {
    const auto begin = line.find_first_not_of("# ");
    const bool is_setting = line.starts_with('#') && begin != std::string::npos &&
                            line.find(" = ") != std::string::npos &&
                            line.substr(begin, line.find(" = ") - begin).find(' ') == std::string::npos;
    bare += (is_setting ? line.substr(begin) : line) + "\n";
  }
  EXPECT_EQ(read(bare).wrongs, std::vector<std::string>{}) << bare;
}

TEST(FileReader, WordsThatNobodyKnowsAreFaultsInTheRelaysOwnSectionAlone) {
  const Read own = read("[rtpferry]\ninterface = 192.0.2.1\nMAX_SESSIONS = 5\n");
  ASSERT_EQ(own.wrongs.size(), 1u);
  EXPECT_NE(own.wrongs[0].find("f.conf:3: unknown option 'MAX_SESSIONS': did you mean 'max-sessions'?"),
            std::string::npos);
  const Read foreign = read("[rtpengine]\ninterface = 192.0.2.1\nmax-sesions = 5\ndtls = yes\n");
  EXPECT_TRUE(foreign.wrongs.empty());
  EXPECT_TRUE(foreign.says("f.conf:3: unknown option 'max-sesions': did you mean 'max-sessions'?"));
  EXPECT_TRUE(foreign.says("unknown option 'dtls'"));
}

TEST(FileReader, ValuesThatCannotBeAreFaultsInEachFile) {
  const Read result = read("[rtpengine]\nport-min = many\ninterface = 192.0.2.1\ntos = 300\n");
  ASSERT_EQ(result.wrongs.size(), 2u);  // all of them at once
  EXPECT_EQ(result.wrongs[0], "f.conf:2: port-min: 'many' is no number from 1 to 65535");
  EXPECT_TRUE(result.wrongs[1].starts_with("f.conf:4: tos:"));
}

TEST(FileReader, SectionsOfOthersAreNotRead) {
  const Read foreign = read("[rtpengine]\nport-min = 20000\n[rtpengine-testing]\nport-min = 1\nodd words\n");
  EXPECT_TRUE(foreign.wrongs.empty());
  EXPECT_EQ(foreign.config.port_min.value, 20000);
  EXPECT_TRUE(foreign.says("rtpferryd does not read section [rtpengine-testing]"));
  // In a file of the relay's own such a name is misspelt.
  EXPECT_EQ(read("[rtpfery]\nport-min = 20000\n").wrongs.size(), 1u);
}

TEST(FileReader, ConfigSectionNamesTheOneThatIsRead) {
  const char* text = "[rtpengine]\nport-min = 20000\n[second]\nport-min = 50000\nodd = 1\n";
  const Read result = read(text, "second");
  EXPECT_TRUE(result.wrongs.empty());
  EXPECT_EQ(result.config.port_min.value, 50000);
  EXPECT_EQ(read(text).config.port_min.value, 20000);
}

TEST(FileReader, SectionsOfInterfacesStandBesideTheList) {
  const Read result = read(
      "[interface-first]\naddress = 192.0.2.1!203.0.113.1\n"
      "[rtpengine]\ninterface = second/192.0.2.2\n"
      "[interface-x]\nname = third\naddress = any\nport-min = 50000\nport-max = 50100\n"
      "exclude-ports = 50004-50007; 50010,50013\n");
  EXPECT_EQ(result.wrongs, std::vector<std::string>{});
  ASSERT_EQ(result.config.interfaces.size(), 3u);
  EXPECT_EQ(result.config.interfaces[0].name, "first");
  EXPECT_EQ(result.config.interfaces[0].advertised, "203.0.113.1");
  EXPECT_EQ(result.config.interfaces[1].name, "second");
  const InterfaceSpec& third = result.config.interfaces[2];
  EXPECT_EQ(third.name, "third");
  EXPECT_EQ(third.address, "any");
  ASSERT_EQ(third.excluded_ports.size(), 3u);
  EXPECT_EQ(third.excluded_ports[0], (PortSpan{UdpPort{50004}, UdpPort{50007}}));
  EXPECT_EQ(third.excluded_ports[2], (PortSpan{UdpPort{50013}, UdpPort{50013}}));
}

TEST(FileReader, InterfacesConfigNamesThePrefixOfTheirSections) {
  const Read result = read("[rtpengine]\ninterfaces-config = address\n[address-a]\naddress = 192.0.2.1\n");
  EXPECT_EQ(result.wrongs, std::vector<std::string>{});
  ASSERT_EQ(result.config.interfaces.size(), 1u);
  EXPECT_EQ(result.config.interfaces[0].name, "a");
}

TEST(FileReader, WrongKeysOfInterfacesAreFaults) {
  for (const char* line :
       {"exclude-ports = x", "exclude-ports = 9-1", "port-min = 0", "colour = red", "name ="})
    EXPECT_EQ(read(std::string("[interface-a]\n") + line + "\n").wrongs.size(), 1u) << line;
}

TEST(FileReader, AListenerThatIsAPortAloneIsWorthANotice) {
  Read foreign = read("[rtpengine]\ninterface = 192.0.2.1\nlisten-ng = 22222\nlisten-cli = 127.0.0.1:9900\n");
  EXPECT_TRUE(complete_config(foreign.config, true).empty());
  EXPECT_EQ(foreign.config.listen_ng[0].to_string(), "127.0.0.1:22222");
  EXPECT_TRUE(foreign.says("listen-ng=22222 is reached from this host alone"));
  EXPECT_FALSE(foreign.says("listen-cli"));
  Read own = read("[rtpferry]\ninterface = 192.0.2.1\nlisten-ng = 22222\n");
  EXPECT_TRUE(complete_config(own.config, true).empty());
  EXPECT_TRUE(own.config.notices.empty());
}

}  // namespace
}  // namespace ferry::file_reader_test
