// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/engine.hpp"

#include "control/log/log.hpp"
#include "relay/io/portable/portable_engine.hpp"
#ifdef FERRY_HAS_DPDK
#include "relay/io/dpdk/dpdk_engine.hpp"
#endif

#include <algorithm>
#include <thread>

#include <nlohmann/json.hpp>

namespace ferry {

namespace {

#ifdef FERRY_HAS_DPDK
nlohmann::json counts_of(const std::vector<dpdk::DpdkCount>& counts) {
  nlohmann::json object = nlohmann::json::object();
  for (const dpdk::DpdkCount& each : counts) object[each.name] = each.value;
  return object;
}

nlohmann::json describe(const dpdk::DpdkEngine& engine) {
  const dpdk::DpdkFigures figures = engine.figures();
  nlohmann::json ports = nlohmann::json::array();
  for (const dpdk::DpdkPortFigures& port : figures.ports) {
    ports.push_back({{"device", port.device},
                     {"driver", port.driver},
                     {"interface", port.kernel_interface},
                     {"mac", port.mac},
                     {"numa_node", port.numa_node},
                     {"virtual", port.is_virtual},
                     {"mtu", port.mtu},
                     {"rx_queues", port.rx_queues},
                     {"tx_queues", port.tx_queues},
                     {"up", port.is_up},
                     {"speed_mbps", port.speed_mbps},
                     {"offloads", port.offloads},
                     {"counts", counts_of(port.counts)}});
  }
  return {{"engine", "dpdk"},
          {"reason", "asked for"},
          {"dpdk",
           {{"version", figures.version},
            {"memory", figures.memory},
            {"iova", figures.iova},
            {"buffers", figures.buffers},
            {"worker_nodes", figures.worker_nodes},
            {"distribution", figures.distribution},
            {"ports", std::move(ports)},
            {"counts", counts_of(figures.counts)}}}};
}

Result<ChosenEngine, std::string> make_dpdk(const Config& config, const InterfaceSet& interfaces) {
  dpdk::DpdkSettings settings;
  settings.eal = config.dpdk.eal;
  for (const DpdkOptions::Port& port : config.dpdk.ports)
    settings.ports.push_back({port.device, port.interface});
  settings.sleeps = config.dpdk.sleeps;
  settings.buffers = config.dpdk.buffers;
  settings.workers = static_cast<unsigned>(config.threads);
  for (const LogicalInterface& logical : interfaces.all()) {
    for (const LocalAddress& local : logical.addresses) {
      if (std::ranges::find(settings.addresses, local.address) == settings.addresses.end())
        settings.addresses.push_back(local.address);
    }
  }
  auto engine = dpdk::DpdkEngine::start(settings, [](std::string_view line) { log::info("{}", line); });
  if (!engine) return fail(engine.error());
  const dpdk::DpdkEngine& started = **engine;
  return ChosenEngine{std::move(*engine), [&started] { return describe(started); }};
}
#endif

}  // namespace

std::string missing_engine(const Config& config) {
#ifndef FERRY_HAS_DPDK
  if (config.engine == EngineKind::kDpdk) return "engine=dpdk is not part of this build, which has portable";
#else
  (void)config;
#endif
  return {};
}

Result<ChosenEngine, std::string> make_engine(const Config& config, const InterfaceSet& interfaces) {
#ifdef FERRY_HAS_DPDK
  if (config.engine == EngineKind::kDpdk) return make_dpdk(config, interfaces);
#else
  (void)interfaces;
#endif
  if (!config.dpdk.eal.empty() || !config.dpdk.ports.empty())
    log::warn("dpdk-eal and dpdk-port have no effect: engine is not dpdk");
  const auto workers =
      config.threads != 0 ? config.threads : std::max(1u, std::thread::hardware_concurrency());
  const std::string reason = config.engine == EngineKind::kAuto
                                 ? "auto: works everywhere, and plain streams go below it"
                                 : "asked for";
  return ChosenEngine{std::make_unique<PortableEngine>(static_cast<unsigned>(workers)), [reason] {
                        return nlohmann::json{{"engine", "portable"}, {"reason", reason}};
                      }};
}

}  // namespace ferry
