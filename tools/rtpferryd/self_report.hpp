// SPDX-License-Identifier: Apache-2.0
// Makes the figures that the daemon shows about itself, for metrics, `rtpferryctl stats` and `rtpferryctl
// doctor`. Control thread only.
#pragma once

#include "control/config/config.hpp"
#include "control/protocol/connections/connections.hpp"
#include "control/protocol/ng/service.hpp"
#include "control/protocol/rtpproxy/notifier.hpp"
#include "recorder/recorder.hpp"

#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// Sessions and commands of the rtpproxy protocol.
[[nodiscard]] nlohmann::json figures_of(const rtpproxy::Service& service, const rtpproxy::Notifier& notifier,
                                        const SessionManager& manager);
/// Connections of clients, and the sources that were refused.
[[nodiscard]] nlohmann::json figures_of(const Connections& connections, const AccessList& access);
/// Recordings, and work that waits for them.
[[nodiscard]] nlohmann::json figures_of(const Recorder& recorder);

/// How the control listeners are guarded (CTL-2), as metrics name it.
[[nodiscard]] std::vector<std::string> exposure_of(const Config& config, bool has_token);
/// The sources whose control commands were refused (CTL-3), each with its number of commands.
[[nodiscard]] nlohmann::json refused_sources(const AccessList& access, Instant now);
/// Interface names in requests that do not exist here, with their number.
[[nodiscard]] nlohmann::json unknown_interfaces(const ng::NgService& service);
/// Why pairs of ports could not be opened, how often, and how long ago the last time was.
[[nodiscard]] nlohmann::json port_failures(const SessionManager& manager, Instant now);

}  // namespace ferry
