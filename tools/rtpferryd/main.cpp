// The program: reads the configuration, says what is wrong with it, gives up its rights, serves.

#include "control/log/log.hpp"
#include "recorder/settings_check.hpp"
#include "tools/rtpferryd/daemon.hpp"
#include "tools/rtpferryd/host.hpp"
#include "tools/rtpferryd/rights.hpp"
#include "tools/rtpferryd/start_checks.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

namespace ferry {
namespace {

/// Starts the process that attaches BPF programs for us. The error says why there is none.
Result<std::unique_ptr<bpf::Helper>, std::string> start_helper(const Config& config) {
  const bool wanted = config.offload != OffloadMode::kOff ||
                      std::ranges::any_of(config.offload_of,
                                          [](const auto& each) { return each.second != OffloadMode::kOff; });
  if (!wanted) return fail(std::string("switched off (offload=off)"));
  if (config.engine == EngineKind::kDpdk)
    return fail(std::string("engine dpdk takes the packets before the kernel sees them"));
  return bpf::Helper::start();
}

int run(std::span<char* const> arguments) {
  Config loaded;
  std::vector<std::string> wrongs = read_config(arguments, loaded);
  const Config* config = &loaded;
  if (config->show_help) {
    fmt::print("{}", help_text());
    return 0;
  }
  if (config->show_manual) {
    fmt::print("{}", manual_page());
    return 0;
  }
  if (config->show_version) {
    fmt::print("rtpferryd {}\n", FERRY_VERSION);
    return 0;
  }
  Result<InterfaceSet, std::string> interfaces = fail(std::string());
  if (!config->interfaces.empty())
    interfaces = InterfaceSet::build(config->interfaces, config->port_min, config->port_max);
  if (!interfaces && !interfaces.error().empty()) wrongs.push_back(interfaces.error());
  for (std::string& wrong : what_cannot_work(*config, interfaces ? &*interfaces : nullptr))
    wrongs.push_back(std::move(wrong));
  if (!wrongs.empty()) {
    for (const std::string& wrong : wrongs) fmt::print(stderr, "rtpferryd: {}\n", wrong);
    return 1;
  }
  interfaces->set_route_lookup(route_to);
  const auto classic = classic_listeners(*config, *interfaces);
  if (config->check_only) {
    fmt::print("configuration is good\n");
    return 0;
  }
  if (!config->foreground && daemon(0, config->log_facility.empty() ? 1 : 0) != 0) {
    fmt::print(stderr, "rtpferryd: cannot go to the background: {}\n", strerror(errno));
    return 1;
  }
  log::configure(config->log_level,
                 config->log_stderr && (config->foreground || config->log_facility.empty()),
                 config->log_facility, config->log_format == LogFormat::kJson);
  signal(SIGPIPE, SIG_IGN);
  for (const std::string& notice : config->notices) log::warn("{}", notice);
  raise_descriptor_limit(*interfaces, config->max_clients);
  const PidFile pid_file(config->pid_file);
  auto helper = start_helper(*config);
  auto engine = make_engine(*config, *interfaces);
  if (!engine) throw std::runtime_error(engine.error());
  std::vector<std::string> files = config->listen_unix_ng;
  for (const rtpp::ListenSpec& spec : *classic) {
    if (!spec.path.empty()) files.push_back(spec.path);
  }
  if (config->control_socket != "none") files.push_back(config->control_socket);
  // Their folders are made for the user that records.
  for (const std::string& folder : {config->recorder.directory, config->recorder.spool}) {
    if (!folder.empty()) files.push_back(folder + "/recordings");
  }
  if (config->recorder.has_work()) files.push_back(config->recorder.state_directory + "/after-call");
  give_up_rights(config->user, config->group, files, !config->recorder.hook.empty(),
                 [&](const std::function<void()>& task) { (*engine)->on_threads(task); });
  // Checked again as the user that the daemon has become: every recording would fail for a key that only root
  // can read.
  if (const auto faults = faults_of(config->recorder, false); !faults.empty())
    throw std::runtime_error(fmt::format("{}", fmt::join(faults, "\n")));
  if (!config->core_dumps) hide_memory();
  (*engine)->serve();
  serve(*config, *interfaces, *classic, std::move(*engine), std::move(helper), arguments);
  return 0;
}

}  // namespace
}  // namespace ferry

int main(int argc, char** argv) {
  try {
    return ferry::run({argv, static_cast<std::size_t>(argc)});
  } catch (const std::exception& e) {
    fmt::print(stderr, "rtpferryd: {}\n", e.what());
    return 1;
  }
}
