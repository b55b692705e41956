// SPDX-License-Identifier: Apache-2.0
// Each check looks at one kind of setting and adds a sentence for each fault. It reports only what cannot
// work with the present configuration. A fault that may pass while the daemon runs, such as a port in use or
// a link that is down, is left to the start itself.

#include "tools/rtpferryd/start_checks.hpp"

#include "codecs/tone/cadence.hpp"
#include "control/protocol/access.hpp"
#include "control/protocol/events/mqtt_publisher.hpp"
#include "control/protocol/rtpproxy/notifier.hpp"
#include "recorder/settings_check.hpp"
#include "relay/srtp/backends.hpp"
#include "relay/worker/port_table.hpp"
#include "tools/rtpferryd/engine.hpp"
#include "tools/rtpferryd/rights.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <net/if.h>
#include <unistd.h>

namespace ferry {

namespace {

using Wrongs = std::vector<std::string>;

/// SDP must name an address that peers can send to, so a wildcard is a fault.
void check_addresses(const Config& config, const InterfaceSet& interfaces, Wrongs& wrongs) {
  if (!config.listens_for_ng()) return;
  for (const LogicalInterface& logical : interfaces.all()) {
    for (const LocalAddress& local : logical.addresses) {
      if (local.advertised.is_unspecified())
        wrongs.push_back(fmt::format(
            "interface '{}': {} cannot stand in SDP: name an address, or what to advertise ({}!ADDRESS)",
            logical.name, local.address.to_string(), local.address.to_string()));
    }
  }
}

void check_tones(const Config& config, Wrongs& wrongs) {
  if (!is_tone_country(config.tone_country))
    wrongs.push_back(fmt::format("tone-country: there are no tones of '{}'", config.tone_country));
  ToneTable tones;
  for (const auto& [name, cadence] : config.tones) {
    if (const auto defined = tones.define(name, cadence); !defined)
      wrongs.push_back(fmt::format("tone={}: {}", name, defined.error()));
  }
}

void check_user(const Config& config, Wrongs& wrongs) {
  if (const auto user = new_user(config); !user) wrongs.push_back(user.error());
}

/// True if the daemon will run as another user than the one that starts it.
bool user_changes(const Config& config) {
  const auto user = new_user(config);
  return user && is_somebody_else(*user);
}

void check_sockets(const Config& config, Wrongs& wrongs) {
  const auto check = [&](std::string_view option, const std::string& path, std::string_view hint) {
    if (const std::string fault = fault_of_place(path, user_changes(config)); !fault.empty())
      wrongs.push_back(fmt::format("{}={}: {}{}", option, path, fault, hint));
  };
  if (config.control_socket != "none")
    check("control-socket", config.control_socket,
          "; name another place with --control-socket=PATH, or none");
  for (const std::string& path : config.listen_unix_ng) check("listen-unix-ng", path, "");
  if (!config.pid_file.empty()) check("pidfile", config.pid_file, "");
}

void check_certificates(const Config& config, Wrongs& wrongs) {
  if (config.listen_https.empty() || config.https_cert.empty()) return;
  try {
    const TlsContext context(config.https_cert, config.https_key, config.https_client_ca);
  } catch (const std::runtime_error& e) {
    wrongs.emplace_back(e.what());
  }
}

void check_homer(const Config& config, Wrongs& wrongs) {
  const HomerSettings& homer = config.telemetry.homer;
  if (homer.transport != HomerTransport::kTls || homer.ca_file.empty()) return;
  if (access(homer.ca_file.c_str(), R_OK) != 0)
    wrongs.push_back(fmt::format("homer-ca={}: {}", homer.ca_file, std::strerror(errno)));
}

void check_offload(const Config& config, Wrongs& wrongs) {
  for (const auto& [name, mode] : config.offload_of) {
    if (mode != OffloadMode::kOff && if_nametoindex(name.c_str()) == 0)
      wrongs.push_back(
          fmt::format("offload={}={}: this host has no interface '{}'", name, to_string(mode), name));
  }
}

/// Checks the port that all ICE legs of an address share.
void check_ice_port(const Config& config, const InterfaceSet& interfaces, Wrongs& wrongs) {
  const bool is_wanted = std::ranges::any_of(interfaces.all(), [](const LogicalInterface& logical) {
    return std::ranges::any_of(logical.addresses,
                               [](const LocalAddress& local) { return local.ice_port.value != 0; });
  });
  if (!is_wanted) return;
  if (config.engine == EngineKind::kDpdk)
    wrongs.emplace_back(
        "ice-port: engine=dpdk has no port that workers share; leave ice-port out, or use engine=portable");
  const std::size_t workers = config.threads != 0 ? config.threads : std::thread::hardware_concurrency();
  if (workers > kMostSharingWorkers)
    wrongs.push_back(
        fmt::format("ice-port: at most {} workers can share a port, and there are {}; set num-threads",
                    kMostSharingWorkers, workers));
}

void check_srtp_backend(const Config& config, Wrongs& wrongs) {
  if (make_srtp_backend(config.srtp_backend) != nullptr) return;
  wrongs.push_back(fmt::format("srtp-backend: '{}' is not part of this build, which has {}",
                               config.srtp_backend, fmt::join(srtp_backend_names(), ", ")));
}

}  // namespace

Result<std::vector<rtpproxy::ListenSpec>, std::string> rtpproxy_listeners(const Config& config,
                                                                          const InterfaceSet& interfaces) {
  const AccessList access(config.control_allow, config.allow_open_control);
  std::vector<rtpproxy::ListenSpec> specs;
  for (const std::string& text : config.listen_rtpp) {
    auto spec = rtpproxy::parse_listen_spec(text);
    if (!spec) return fail("listen-rtpp: " + spec.error());
    if (spec->endpoint.is_set() && !access.may_listen_on(spec->endpoint.address))
      return fail(
          fmt::format("control listener {} is not on loopback: name who may use it with "
                      "control-allow=NETWORK, or say allow-open-control",
                      spec->endpoint.to_string()));
    specs.push_back(std::move(*spec));
  }
  for (const std::string& name : {config.rtpproxy_internal, config.rtpproxy_external}) {
    if (!name.empty() && interfaces.find(name) == nullptr)
      return fail(fmt::format("rtpp-bridge: there is no interface '{}'", name));
  }
  for (const std::string& target : config.rtpproxy_notify) {
    if (!rtpproxy::is_notify_target(target))
      return fail(
          fmt::format("rtpp-notify: '{}' is none of unix:PATH, tcp:ADDRESS:PORT, udp:ADDRESS:PORT", target));
  }
  return specs;
}

std::vector<std::string> what_cannot_work(const Config& config, const InterfaceSet* interfaces) {
  Wrongs wrongs;
  check_srtp_backend(config, wrongs);
  if (std::string missing = missing_engine(config); !missing.empty()) wrongs.push_back(std::move(missing));
  if (interfaces != nullptr) {
    check_addresses(config, *interfaces, wrongs);
    check_ice_port(config, *interfaces, wrongs);
    if (const auto rtpproxy_sockets = rtpproxy_listeners(config, *interfaces); !rtpproxy_sockets)
      wrongs.push_back(rtpproxy_sockets.error());
  }
  check_user(config, wrongs);
  check_tones(config, wrongs);
  check_sockets(config, wrongs);
  check_certificates(config, wrongs);
  check_homer(config, wrongs);
  check_offload(config, wrongs);
  if (std::string fault = events::fault_of(config.events.mqtt); !fault.empty())
    wrongs.push_back(std::move(fault));
  for (std::string& fault : faults_of(config.recorder, user_changes(config)))
    wrongs.push_back(std::move(fault));
  return wrongs;
}

}  // namespace ferry
