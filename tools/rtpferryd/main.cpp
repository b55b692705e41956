// The program: reads the configuration, says what is wrong with it, gives up its rights, serves.

#include "control/log/log.hpp"
#include "control/protocol/rtpp/notifier.hpp"
#include "relay/srtp/backends.hpp"
#include "tools/rtpferryd/daemon.hpp"
#include "tools/rtpferryd/host.hpp"
#include "tools/rtpferryd/rights.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include <fmt/format.h>
#include <unistd.h>

namespace ferry {
namespace {

/// The process that attaches programs for us. Null where in-kernel forwarding is off or it cannot be started.
std::unique_ptr<bpf::Helper> start_helper(const Config& config) {
  const bool wanted = config.offload != OffloadMode::kOff ||
                      std::ranges::any_of(config.offload_of,
                                          [](const auto& each) { return each.second != OffloadMode::kOff; });
  if (!wanted) return nullptr;
  if (config.engine == EngineKind::kDpdk) {
    log::info("offload: off, engine dpdk has the packets before the kernel");
    return nullptr;
  }
  auto helper = bpf::Helper::start();
  if (helper) return std::move(*helper);
  log::warn("offload: {}; all media goes through user space", helper.error());
  return nullptr;
}

/// SDP needs an address: why these interfaces have none to show; empty = they have.
std::string unusable_for_ng(const Config& config, const InterfaceSet& interfaces) {
  if (!config.listens_for_ng()) return {};
  for (const LogicalInterface& logical : interfaces.all()) {
    for (const LocalAddress& local : logical.addresses) {
      if (local.advertised.is_unspecified())
        return fmt::format(
            "interface '{}': {} cannot stand in SDP: name an address, or what to advertise "
            "({}!ADDRESS)",
            logical.name, local.address.to_string(), local.address.to_string());
    }
  }
  return {};
}

/// The sockets of the classic protocol; the error is a sentence.
Result<std::vector<rtpp::ListenSpec>, std::string> classic_listeners(const Config& config,
                                                                     const InterfaceSet& interfaces) {
  const AccessList access(config.control_allow, config.allow_open_control);
  std::vector<rtpp::ListenSpec> specs;
  for (const std::string& text : config.listen_rtpp) {
    auto spec = rtpp::parse_listen_spec(text);
    if (!spec) return fail("listen-rtpp: " + spec.error());
    if (spec->endpoint.is_set() && !access.may_listen_on(spec->endpoint.address))
      return fail(
          fmt::format("control listener {} is not on loopback: name who may use it with "
                      "control-allow=NETWORK, or say allow-open-control",
                      spec->endpoint.to_string()));
    specs.push_back(std::move(*spec));
  }
  for (const std::string& name : {config.rtpp_internal, config.rtpp_external}) {
    if (!name.empty() && interfaces.find(name) == nullptr)
      return fail(fmt::format("rtpp-bridge: there is no interface '{}'", name));
  }
  for (const std::string& target : config.rtpp_notify) {
    if (!rtpp::is_notify_target(target))
      return fail(
          fmt::format("rtpp-notify: '{}' is none of unix:PATH, tcp:ADDRESS:PORT, udp:ADDRESS:PORT", target));
  }
  return specs;
}

int run(std::span<char* const> arguments) {
  const auto config = load_config(arguments);
  if (!config) {
    fmt::print(stderr, "rtpferryd: {}\n", config.error().text);
    return 1;
  }
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
  auto interfaces = InterfaceSet::build(config->interfaces, config->port_min, config->port_max);
  if (!interfaces) {
    fmt::print(stderr, "rtpferryd: {}\n", interfaces.error());
    return 1;
  }
  if (make_srtp_backend(config->srtp_backend) == nullptr) {
    std::string names;
    for (const std::string_view name : srtp_backend_names())
      names.append(names.empty() ? "" : ", ").append(name);
    fmt::print(stderr, "rtpferryd: srtp-backend: '{}' is not part of this build, which has {}\n",
               config->srtp_backend, names);
    return 1;
  }
  if (const std::string wrong = unusable_for_ng(*config, *interfaces); !wrong.empty()) {
    fmt::print(stderr, "rtpferryd: {}\n", wrong);
    return 1;
  }
  if (const std::string wrong = missing_engine(*config); !wrong.empty()) {
    fmt::print(stderr, "rtpferryd: {}\n", wrong);
    return 1;
  }
  interfaces->set_route_lookup(route_to);
  const auto classic = classic_listeners(*config, *interfaces);
  if (!classic) {
    fmt::print(stderr, "rtpferryd: {}\n", classic.error());
    return 1;
  }
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
  raise_descriptor_limit(*interfaces);
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
  give_up_rights(config->user, config->group, files, !config->recorder.hook.empty(),
                 [&](const std::function<void()>& task) { (*engine)->on_threads(task); });
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
