// SPDX-License-Identifier: Apache-2.0
// The program rtpferryd. It goes through these steps, and their order is what keeps secrets and rights apart:
//
//   fork helper and launcher -> read and check the configuration -> background, log, limits, pid file
//   -> engine -> give up rights -> check as the new user -> serve
//
// The helpers are forked first, before anything secret is in memory. What only root can open is opened before
// rights are given up. Checks of files run again afterwards, because the new user may see less. Faults end
// the program with a sentence each and status 1.

#include "codecs/audio/codec_table.hpp"
#include "codecs/audio/plugin.hpp"
#include "control/log/log.hpp"
#include "recorder/settings_check.hpp"
#include "tools/rtpferryd/codec_list.hpp"
#include "tools/rtpferryd/daemon.hpp"
#include "tools/rtpferryd/host.hpp"
#include "tools/rtpferryd/rights.hpp"
#include "tools/rtpferryd/signals.hpp"
#include "tools/rtpferryd/start_checks.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

namespace ferry {
namespace {

constexpr uid_t kNobody = 65534;

std::string without_slashes_behind(std::string path) {
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

using StartedHelper = Result<std::unique_ptr<bpf::Helper>, std::string>;

/// Returns the process that attaches BPF programs, if they are wanted; else the error says why there is none.
StartedHelper if_wanted(const Config& config, StartedHelper helper) {
  const bool wanted = config.offload != OffloadMode::kOff ||
                      std::ranges::any_of(config.offload_of,
                                          [](const auto& each) { return each.second != OffloadMode::kOff; });
  if (!wanted) return fail(std::string("switched off (offload=off)"));
  if (config.engine == EngineKind::kDpdk)
    return fail(std::string("engine dpdk takes the packets before the kernel sees them"));
  return helper;
}

/// Tells the launcher what to start; null if there are no hooks. Throws std::runtime_error with a sentence if
/// hooks could not be started.
std::unique_ptr<Launcher> settled(const Config& config, const NewUser& user,
                                  Result<std::unique_ptr<Launcher>, std::string> launcher) {
  const RecorderSettings& recorder = config.recorder;
  if (recorder.directory.empty() || recorder.hook.empty()) return nullptr;
  if (!launcher) throw std::runtime_error(launcher.error());
  LauncherSettings settings{recorder.hook, without_slashes_behind(recorder.directory), user.name, user.uid,
                            user.gid};
  if (user.uid == 0) {
    // Programs that run for the daemon must not be root.
    settings.user.clear();
    settings.uid = recorder.owner.value_or(kNobody);
    settings.gid = recorder.group.value_or(settings.uid);
  }
  if (const auto done = (*launcher)->settle(settings); !done) throw std::runtime_error(done.error());
  return std::move(*launcher);
}

/// Checks the recorder's files as the user that the daemon has become: otherwise every recording would fail
/// for a key that only root can read. Throws std::runtime_error with a sentence for each fault.
void check_as_new_user(const Config& config, const NewUser& user) {
  const auto faults = faults_of(config.recorder, false);
  if (faults.empty()) return;
  throw std::runtime_error(
      fmt::format("{}\n(as user {}: give it to that user, or start with user=NAME or user=root)",
                  fmt::join(faults, "\n"), user.name.empty() ? "?" : user.name));
}

/// Prints what was asked for, such as the help. True if there is nothing else to do.
bool only_prints(const Config& config) {
  if (config.show_help) {
    fmt::print("{}", help_text());
  } else if (config.show_manual) {
    fmt::print("{}", manual_page());
  } else if (config.show_codecs) {
    if (!config.codec_plugins.empty()) set_codec_plugin_folder(config.codec_plugins);
    fmt::print("{}", codec_table_text(list_codecs()));
  } else if (config.show_version) {
    fmt::print("rtpferryd {}\n", FERRY_VERSION);
  } else {
    return false;
  }
  return true;
}

int run(std::span<char* const> arguments) {
  fill_standard_streams();
  // Forked before anything secret is in memory.
  StartedHelper helper = bpf::Helper::start();
  auto launcher = Launcher::start();
  Config loaded;
  std::vector<std::string> wrongs = read_config(arguments, loaded);
  const Config* config = &loaded;
  if (only_prints(*config)) return 0;
  Result<InterfaceSet, std::string> interfaces = fail(std::string());
  if (!config->interfaces.empty())
    interfaces =
        InterfaceSet::build(config->interfaces, config->port_min, config->port_max, true, config->ice_port);
  if (!interfaces && !interfaces.error().empty()) wrongs.push_back(interfaces.error());
  for (std::string& wrong : what_cannot_work(*config, interfaces ? &*interfaces : nullptr))
    wrongs.push_back(std::move(wrong));
  if (!wrongs.empty()) {
    for (const std::string& wrong : wrongs) fmt::print(stderr, "rtpferryd: {}\n", wrong);
    return 1;
  }
  interfaces->set_route_lookup(route_to);
  const auto rtpproxy_sockets = rtpproxy_listeners(*config, *interfaces);
  if (config->check_only) {
    for (const std::string& notice : config->notices) fmt::print("note: {}\n", notice);
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
  ignore_unused_signals();
  for (const std::string& notice : config->notices) log::warn("{}", notice);
  raise_descriptor_limit(*interfaces, config->max_clients);
  const PidFile pid_file(config->pid_file);
  helper = if_wanted(*config, std::move(helper));
  auto engine = make_engine(*config, *interfaces);
  if (!engine) throw std::runtime_error(engine.error());
  const auto user = new_user(*config);
  if (!user) throw std::runtime_error(user.error());
  ProcessesBeside beside{std::move(helper), settled(*config, *user, std::move(launcher))};
  give_up_rights(*config, *user, places_of(*config, *rtpproxy_sockets),
                 [&](const std::function<void()>& task) { engine->engine->on_threads(task); });
  check_as_new_user(*config, *user);
  show_memory(config->core_dumps);
  engine->engine->serve();
  serve(*config, *interfaces, *rtpproxy_sockets, std::move(*engine), std::move(beside), arguments);
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
