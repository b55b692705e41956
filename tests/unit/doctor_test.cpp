// SPDX-License-Identifier: Apache-2.0
// The doctor's checks on hosts made of files.

#include "tools/rtpferryctl/doctor.hpp"

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ferry::test {
namespace {

using nlohmann::json;

class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() { std::filesystem::create_directories(root_); }
  ~DoctorTest() override { std::filesystem::remove_all(root_); }
  void file(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text << "\n";
  }
  std::map<std::string, ctl::Health> examine() {
    std::map<std::string, ctl::Health> found;
    for (const ctl::Check& check : ctl::examine(facts_, ctl::Host(root_))) {
      found[check.name] = check.health;
      EXPECT_EQ(check.advice.empty(), check.health == ctl::Health::kOk)
          << check.name << ": who finds fault says what to do";
    }
    return found;
  }

  std::string root_ =
      (std::filesystem::temp_directory_path() / ("ferry-doctor-" + std::to_string(getpid()))).string();
  json facts_ = {
      {"workers", 4},
      {"descriptor_limit", 200000},
      {"descriptors_wanted", 16024},
      {"ranges",
       {{{"address", "192.0.2.1"},
         {"first", 30000},
         {"last", 40000},
         {"used", 10},
         {"pairs", 5000},
         {"links", {"eth0"}}}}},
      {"engines", {{"offload", {{{"interface", "eth0"}, {"mode", "xdp"}, {"reason", "the driver can"}}}}}},
      {"exposure", {"loopback"}},
      {"listeners", {{"http", json::array()}, {"https", json::array()}}},
      {"connections",
       {{"open", 3}, {"limit", 1024}, {"pauses", 0}, {"closed", {{"idle", 5}, {"request-late", 0}}}}},
      {"refused_sources", json::array()},
      {"unknown_interfaces", json::array()},
      {"has_http_token", false},
      {"asks_client_certificate", false},
      {"latch", "signalled"},
      {"latch_by_rules", true},
      {"offload_wanted", true},
      {"recording_dir", ""},
      {"core_dumps", false}};
};

TEST_F(DoctorTest, MediaThreadsThatHaveNoTimeLeftAreToldWithWhatIsRefused) {
  const struct {
    std::string what;
    double first;
    double second;
    std::optional<ctl::Health> health;
  } rows[] = {{"one has time", 99, 84, ctl::Health::kOk}, {"both are busy", 99, 85, ctl::Health::kWarn}};
  const auto check = [&]() -> std::optional<ctl::Health> {
    const auto found = examine();
    const auto row = found.find("media threads");
    return row == found.end() ? std::nullopt : std::optional(row->second);
  };
  EXPECT_EQ(check(), std::nullopt) << "an older daemon, or media-threads=0";
  facts_["max_transcoding_load"] = 85;
  for (const auto& row : rows) {
    facts_["engines"]["media_threads"] = {{{"load", row.first}, {"streams", 20}},
                                          {{"load", row.second}, {"streams", 10}}};
    EXPECT_EQ(check(), row.health) << row.what;
  }
}

// CTL-3: who is refused, by which listener, when, how often, and the option that would let him in.
TEST_F(DoctorTest, AClientThatIsNotAllowedIsToldWithTheOptionThatWouldAllowIt) {
  facts_["refused_sources"] = {{{"source", "198.51.100.9"},
                                {"listener", "NG over UDP on 192.0.2.1:2223"},
                                {"why", "not-allowed"},
                                {"count", 12},
                                {"first_age_s", 90},
                                {"last_age_s", 3}},
                               {{"source", "2001:db8::9"}, {"count", 1}},
                               {{"source", "192.0.2.44"}, {"why", "no-token"}, {"count", 2}}};
  std::map<std::string, std::string> told;
  for (const ctl::Check& check : ctl::examine(facts_, ctl::Host(root_)))
    told[check.name] = check.finding + " | " + check.advice;
  EXPECT_EQ(told["control from 198.51.100.9"],
            "12 refused by NG over UDP on 192.0.2.1:2223, first 90 s and last 3 s ago: it is not in "
            "control-allow | if it is your proxy: control-allow=198.51.100.9/32; else somebody tries the "
            "control port");
  EXPECT_EQ(
      told["control from 2001:db8::9"],
      "1 refused: it is not in control-allow | if it is your proxy: control-allow=2001:db8::9/128; else "
      "somebody tries the control port")
      << "an older daemon does not say where and when";
  EXPECT_EQ(told["control from 192.0.2.44"],
            "2 refused: it does not send the token of http-token | give it the token, if it is yours; else "
            "somebody tries the HTTP listener");
}

TEST_F(DoctorTest, AHealthyHostHasNoComplaint) {
  file("/proc/sys/net/core/rmem_default", "212992");
  file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
  file("/proc/sys/net/ipv4/ip_local_reserved_ports", "5000,30000-40000");
  file("/proc/sys/fs/epoll/max_user_watches", "5000000");
  file("/sys/class/net/eth0/mtu", "1500");
  file("/clock_synchronized", "1");
  file("/nftables", "table inet x { chain output { type filter hook output priority 0; } }");
  for (const auto& [name, health] : examine()) EXPECT_EQ(health, ctl::Health::kOk) << name;
}

TEST_F(DoctorTest, ThePortOfAllIceLegs) {
  file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
  struct Row {
    int port;
    const char* reserved;
    const char* most;
    ctl::Health of_port;
    ctl::Health of_buffer;
  };
  using ctl::Health;
  const Row rows[] = {{3478, "", "212992", Health::kOk, Health::kWarn},
                      {40000, "", "8388608", Health::kWarn, Health::kOk},
                      {40000, "39999-40001", "16777216", Health::kOk, Health::kOk}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.port);
    facts_["ranges"][0]["ice_port"] = row.port;
    file("/proc/sys/net/ipv4/ip_local_reserved_ports", row.reserved);
    file("/proc/sys/net/core/rmem_max", row.most);
    auto found = examine();
    EXPECT_EQ(found.at("ice-port"), Health::kOk);
    EXPECT_EQ(found["ice-port " + std::to_string(row.port)], row.of_port);
    EXPECT_EQ(found.at("ice-port buffer"), row.of_buffer);
  }
}

TEST_F(DoctorTest, TheContainerHasToPublishThePort) {
  facts_["ranges"][0]["ice_port"] = 3478;
  const auto told = [&] {
    for (const ctl::Check& check : ctl::examine(facts_, ctl::Host(root_))) {
      if (check.name == "ice-port") return check.finding;
    }
    return std::string();
  };
  EXPECT_EQ(told(), "3478 is open, for all parties with ICE and rtcp-mux");
  file("/.dockerenv", "");
  EXPECT_EQ(
      told(),
      "3478 is open, for all parties with ICE and rtcp-mux. The container has to publish it as UDP, under "
      "the same number");
  facts_["ranges"][0]["ice_port"] = 0;
  EXPECT_EQ(told(), "") << "there is none";
}

/// An engine with a port of its own, as `engines` shows it.
json dpdk_engine() {
  const json port = {{"device", "0000:01:00.0"}, {"driver", "net_ice"},  {"virtual", false},
                     {"numa_node", 0},           {"up", true},           {"rx_queues", 4},
                     {"tx_queues", 4},           {"interface", "ferry0"}};
  return {
      {"engine", "dpdk"},
      {"offload", json::array()},
      {"dpdk",
       {{"memory", "hugepages"}, {"iova", "virtual"}, {"worker_nodes", {0, 0, 0, 0}}, {"ports", {port}}}}};
}

TEST_F(DoctorTest, DpdkOnAHostThatIsMadeForIt) {
  file("/sys/class/iommu/dmar0/x", "");
  file("/clock_synchronized", "1");
  file("/nftables", "");
  facts_["offload_wanted"] = false;
  facts_["engines"] = dpdk_engine();
  const auto found = examine();
  for (const auto& [name, health] : found) EXPECT_EQ(health, ctl::Health::kOk) << name;
  for (const char* name : {"offload", "dpdk memory", "dpdk iommu", "dpdk port 0000:01:00.0"})
    EXPECT_TRUE(found.contains(name)) << name;
}

TEST_F(DoctorTest, DpdkOnAHostThatIsNot) {
  facts_["offload_wanted"] = false;
  facts_["engines"] = dpdk_engine();
  json& dpdk = facts_["engines"]["dpdk"];
  dpdk["memory"] = "no hugepages";
  auto found = examine();
  EXPECT_EQ(found["dpdk memory"], ctl::Health::kWarn);
  EXPECT_EQ(found["dpdk iommu"], ctl::Health::kWarn) << "a device may write anywhere";
  dpdk["worker_nodes"] = {0, 0, 1, 0};
  EXPECT_EQ(examine()["dpdk port 0000:01:00.0"], ctl::Health::kWarn) << "a worker on another NUMA node";
  dpdk["worker_nodes"] = {0, 0, 0, 0};
  dpdk["ports"][0]["rx_queues"] = 1;
  EXPECT_EQ(examine()["dpdk port 0000:01:00.0"], ctl::Health::kWarn) << "fewer queues than workers";
  dpdk["ports"][0]["up"] = false;
  EXPECT_EQ(examine()["dpdk port 0000:01:00.0"], ctl::Health::kFail) << "no link";
  dpdk["ports"][0]["up"] = true;
  dpdk["ports"][0]["virtual"] = true;
  dpdk["ports"][0]["driver"] = "net_af_packet";
  found = examine();
  EXPECT_EQ(found["dpdk port 0000:01:00.0"], ctl::Health::kWarn) << "the kernel is below all the same";
  EXPECT_EQ(found["dpdk memory"], ctl::Health::kOk) << "such a driver gains nothing by hugepages";
  EXPECT_EQ(found["dpdk iommu"], ctl::Health::kOk) << "no device of the bus";
}

TEST_F(DoctorTest, EachComplaintHasItsCause) {
  file("/proc/sys/net/core/rmem_default", "1000");
  file("/proc/sys/net/ipv4/ip_local_port_range", "32768\t60999");
  file("/proc/sys/net/ipv4/ip_local_reserved_ports", "30000-35000");
  file("/proc/sys/fs/epoll/max_user_watches", "100");
  file("/proc/sys/net/netfilter/nf_conntrack_count", "95000");
  file("/proc/sys/net/netfilter/nf_conntrack_max", "100000");
  file("/sys/class/net/eth0/mtu", "1400");
  file("/sys/class/net/eth0/queues/rx-0/x", "");
  file("/sys/class/net/eth0/device/x", "");
  file("/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet");
  file("/clock_synchronized", "0");
  file("/nftables", "table inet x { chain input { type filter hook input priority 0; } }");
  facts_["descriptor_limit"] = 1024;
  facts_["exposure"] = {"open"};
  facts_["listeners"]["http"] = {"192.0.2.1:2225"};
  facts_["latch"] = "any";
  facts_["core_dumps"] = true;
  facts_["ranges"][0]["used"] = 4900;
  facts_["recording_dir"] = root_ + "/nowhere";
  facts_["port_failures"] = {
      {{"reason", "descriptors"}, {"text", "none left"}, {"advice", "more"}, {"times", 3}, {"age_s", 10}},
      {{"reason", "address"}, {"text", "gone"}, {"advice", "back"}, {"times", 1}, {"age_s", 4000}}};
  const auto found = examine();
  using ctl::Health;
  for (const auto& [name, health] :
       std::map<std::string, Health>{{"socket buffers", Health::kWarn},
                                     {"ports 30000-40000 of 192.0.2.1", Health::kWarn},
                                     {"ports of 192.0.2.1", Health::kFail},
                                     {"epoll watches", Health::kWarn},
                                     {"conntrack", Health::kFail},
                                     {"mtu of eth0", Health::kWarn},
                                     {"queues of eth0", Health::kWarn},
                                     {"clock", Health::kWarn},
                                     {"clock source", Health::kWarn},
                                     {"firewall", Health::kWarn},
                                     {"descriptors", Health::kWarn},
                                     {"ports refused (descriptors)", Health::kFail},
                                     {"ports refused (address)", Health::kOk},
                                     {"control", Health::kFail},
                                     {"http", Health::kWarn},
                                     {"latch", Health::kFail},
                                     {"core dumps", Health::kWarn},
                                     {"recordings", Health::kWarn}}) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name), health) << name;
  }
  EXPECT_FALSE(found.contains("control from media ports"));
  facts_["connections"]["refused"] = {{"not-allowed", 0}, {"media-port", 7}};
  EXPECT_EQ(examine().at("control from media ports"), Health::kFail) << "LAT-11a";
  facts_["engines"]["offload"] = json::array();
  EXPECT_EQ(examine().at("offload"), Health::kWarn);
  facts_["offload_wanted"] = false;
  EXPECT_EQ(examine().at("offload"), Health::kWarn);
}

TEST_F(DoctorTest, CTL17_ADaemonWithMoreRightsThanItNeedsIsTold) {
  using ctl::Health;
  facts_["uid"] = 65534;
  facts_["confined"] = true;
  auto found = examine();
  EXPECT_FALSE(found.contains("user"));
  EXPECT_FALSE(found.contains("system calls"));
  facts_["uid"] = 0;
  facts_["confined"] = false;
  found = examine();
  EXPECT_EQ(found["user"], Health::kWarn);
  EXPECT_EQ(found["system calls"], Health::kWarn);
}

}  // namespace
}  // namespace ferry::test
