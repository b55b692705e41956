// SPDX-License-Identifier: Apache-2.0
// The operator's commands, independent of how they arrive: a JSON object in, a JSON object out.
#pragma once

#include "control/protocol/ng/service.hpp"
#include "control/session/parameter_access.hpp"

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry::cli {

/// Access to what only the daemon knows or can do. Each member may be empty or null. The part of the reply
/// that needs it is then left out, or the command answers with an error.
struct DaemonAccess {
  /// Describes the engines that move media, and why they were chosen.
  std::function<nlohmann::json()> engines;
  /// Figures that `stats` shows about recordings, events, and the rtpproxy protocol.
  std::function<nlohmann::json()> recorder;
  std::function<nlohmann::json()> events;
  std::function<nlohmann::json()> rtpproxy;
  /// Facts that `rtpferryctl doctor` examines: listeners, limits, files, port ranges.
  std::function<nlohmann::json()> facts;
  /// Begins (true) or ends (false) draining: no new calls, and the daemon ends after the last one.
  std::function<void(bool on)> drain;
  /// Run-time parameters for `get`, `set` and `params`. Not owned; null = they cannot be read.
  ParameterAccess* parameters = nullptr;
};

/// Executes the operator's commands. If a request has `"printable": true`, `printable` makes every text of
/// its reply safe for a terminal (CTL-14), and the request's own Call-ID and `match` are in that form, too.
/// Otherwise texts are as they came from the network.
///
/// Control thread only. Unknown commands and bad arguments give `{"error": "…"}`.
class CliService {
 public:
  /// The references must outlive the service. `clock` gives the time of each request.
  CliService(SessionManager& manager, ng::NgService& ng, std::function<Clock()> clock)
      : manager_(manager), ng_(ng), clock_(std::move(clock)) {}
  void set_daemon(DaemonAccess daemon) { daemon_ = std::move(daemon); }

  /// Executes one request and returns its reply. `peer` names the client in the audit line of commands that
  /// change something (CTL-7).
  nlohmann::json execute(const nlohmann::json& request, std::string_view peer);
  /// The time at which a request is served.
  [[nodiscard]] Clock now() const { return clock_(); }
  /// Returns the Call-ID that `text` means: `text` itself, or the Call-ID whose printable form it is. With
  /// `is_printed`, the printable form is tried first, else the text itself is.
  [[nodiscard]] std::string call_id_of(const std::string& text, bool is_printed) const;

 private:
  struct Row;
  static const Row kRows[];
  /// One function for each command of the table.
  nlohmann::json list(const nlohmann::json& request);
  nlohmann::json top(const nlohmann::json& request);
  /// The error of a command that found no call: that several sessions of the rtpproxy protocol have the
  /// Call-ID, or else `otherwise`.
  nlohmann::json no_call(const nlohmann::json& request, std::string_view otherwise) const;
  nlohmann::json show(const nlohmann::json& request);
  nlohmann::json explain(const nlohmann::json& request);
  nlohmann::json where(const nlohmann::json& request);
  nlohmann::json terminate(const nlohmann::json& request);
  nlohmann::json record(const nlohmann::json& request);
  nlohmann::json stats(const nlohmann::json& request);
  nlohmann::json interfaces(const nlohmann::json& request);
  nlohmann::json ports(const nlohmann::json& request);
  nlohmann::json engines(const nlohmann::json& request);
  nlohmann::json get(const nlohmann::json& request);
  nlohmann::json set(const nlohmann::json& request);
  nlohmann::json params(const nlohmann::json& request);
  nlohmann::json log_level(const nlohmann::json& request);
  nlohmann::json drain(const nlohmann::json& request);
  nlohmann::json ready(const nlohmann::json& request);
  nlohmann::json facts(const nlohmann::json& request);
  nlohmann::json unknown_flags(const nlohmann::json& request);
  nlohmann::json version(const nlohmann::json& request);

  SessionManager& manager_;
  ng::NgService& ng_;
  std::function<Clock()> clock_;
  DaemonAccess daemon_;
  /// Client of the request that is executed now.
  std::string peer_;
};

}  // namespace ferry::cli
