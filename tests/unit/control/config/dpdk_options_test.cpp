// SPDX-License-Identifier: Apache-2.0
// Options of the DPDK engine.

#include "tests/unit/control/config/option_reading.hpp"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace ferry::test::dpdk_options_test {
namespace {

TEST(DpdkOptions, APortMayNameTheInterfaceOfTheKernel) {
  const struct {
    const char* text;
    const char* device;
    const char* interface;
  } rows[] = {{"0000:01:00.0", "0000:01:00.0", ""},
              {"0000:01:00.0=media0", "0000:01:00.0", "media0"},
              {"net_tap0,iface=x=media0", "net_tap0,iface=x", "media0"}};
  for (const auto& row : rows) {
    Config config;
    EXPECT_EQ(set_option(config, "dpdk-port", row.text), "");
    ASSERT_EQ(config.dpdk.ports.size(), 1u) << row.text;
    EXPECT_EQ(config.dpdk.ports[0].device, row.device) << row.text;
    EXPECT_EQ(config.dpdk.ports[0].interface, row.interface) << row.text;
  }
  for (const char* bad : {"=media0", "0000:01:00.0=", "="}) {
    Config config;
    EXPECT_EQ(set_option(config, "dpdk-port", bad),
              fmt::format("'{}' is no DEVICE or DEVICE=INTERFACE", bad));
    EXPECT_TRUE(config.dpdk.ports.empty());
  }
}

TEST(DpdkOptions, ArgumentsAreWordsAndAddUp) {
  Config config;
  EXPECT_EQ(set_option(config, "dpdk-eal", "--lcores=0-2  --allow=0000:01:00.0 "), "");
  EXPECT_EQ(set_option(config, "dpdk-eal", "--no-huge"), "");
  EXPECT_EQ(config.dpdk.eal, (std::vector<std::string>{"--lcores=0-2", "--allow=0000:01:00.0", "--no-huge"}));
}

TEST(DpdkOptions, WordsAndTheirFaults) {
  Config config;
  EXPECT_EQ(set_option(config, "engine", "dpdk"), "");
  EXPECT_EQ(config.engine, EngineKind::kDpdk);
  EXPECT_EQ(set_option(config, "engine", "xdp"), "'xdp' is none of auto, portable, dpdk");
  EXPECT_EQ(config.engine, EngineKind::kDpdk) << "a bad value changes nothing";
  EXPECT_EQ(set_option(config, "dpdk-idle", "poll"), "");
  EXPECT_FALSE(config.dpdk.sleeps);
  EXPECT_EQ(set_option(config, "dpdk-idle", "spin"), "'spin' is neither sleep nor poll");
  EXPECT_FALSE(config.dpdk.sleeps);
  EXPECT_EQ(set_option(config, "dpdk-idle", "sleep"), "");
  EXPECT_TRUE(config.dpdk.sleeps);
  EXPECT_EQ(set_option(config, "dpdk-buffers", "16777216"), "");
  EXPECT_NE(set_option(config, "dpdk-buffers", "16777217"), "");
}

}  // namespace
}  // namespace ferry::test::dpdk_options_test
