// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/offload.hpp"

#include "control/log/log.hpp"
#include "tools/rtpferryd/host.hpp"

#include <algorithm>
#include <set>
#include <string>

namespace ferry {

Offload make_offload(const Config& config, const InterfaceSet& interfaces, unsigned workers,
                     Result<std::unique_ptr<bpf::Helper>, std::string> helper, Instant (*now)()) {
  const auto mode_of = [&](const std::string& name) {
    const auto named = config.offload_of.find(name);
    return named == config.offload_of.end() ? config.offload : named->second;
  };
  std::set<std::string> names;
  for (const auto& [name, mode] : config.offload_of) {
    if (mode != OffloadMode::kOff) names.insert(name);
  }
  bpf::ProgramSettings settings;
  settings.first = UdpPort{0xffff};
  settings.last = UdpPort{0};
  settings.workers = workers;
  for (const LogicalInterface& logical : interfaces.all()) {
    for (const LocalAddress& local : logical.addresses) {
      settings.first = std::min(settings.first, local.ports->first());
      settings.last = std::max(settings.last, local.ports->last());
      for (const std::string& name : system_interfaces_of(local.address)) {
        const bool named = config.offload_of.contains(name);
        if (mode_of(name) != OffloadMode::kOff && (name != "lo" || named)) names.insert(name);
      }
    }
  }
  const auto refuse = [&](const std::string& why, bool is_wanted) {
    spdlog::log(is_wanted ? spdlog::level::warn : spdlog::level::info,
                "offload: {}; all media goes through user space", why);
    return Offload{nullptr, why};
  };
  const bool is_wanted = config.engine != EngineKind::kDpdk &&
                         (config.offload != OffloadMode::kOff || !config.offload_of.empty());
  if (!helper) return refuse(helper.error(), is_wanted);
  if (names.empty()) return refuse("no media address is on an interface other than lo", false);
  auto engine = bpf::BpfEngine::load(std::move(*helper), settings);
  if (!engine) return refuse(engine.error(), true);
  (*engine)->keep_alive(now());
  for (const std::string& name : names) {
    const auto& got = (*engine)->attach(name, mode_of(name), config.offload_of.contains(name));
    log::info("offload on {}: {} ({})", name, to_string(got.mode), got.reason);
  }
  return Offload{std::move(*engine), {}};
}

}  // namespace ferry
