// The operator's commands without their transports: JSON in, JSON out.
#pragma once

#include "control/protocol/ng/service.hpp"
#include "control/session/parameter_access.hpp"

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry::cli {

/// What only the daemon knows or can do. Any of them may be empty.
struct DaemonAccess {
  /// The engines that move media and why they were chosen.
  std::function<nlohmann::json()> engines;
  /// What `stats` says of recordings, and of the classic protocol.
  std::function<nlohmann::json()> recorder;
  std::function<nlohmann::json()> rtpproxy;
  /// What `doctor` looks at: listeners, limits, files, ranges.
  std::function<nlohmann::json()> facts;
  std::function<void(bool on)> drain;
  ParameterAccess* parameters = nullptr;
};

/// A request with `"printable": true` gets a reply whose texts are all made by `printable` (CTL-14), and its
/// own Call-ID and `match` are in that form; without it texts are as the network had them.
///
/// Control thread only. Unknown commands and bad arguments give `{"error": "…"}`.
class CliService {
 public:
  CliService(SessionManager& manager, ng::NgService& ng, std::function<Clock()> clock)
      : manager_(manager), ng_(ng), clock_(std::move(clock)) {}
  void set_daemon(DaemonAccess daemon) { daemon_ = std::move(daemon); }

  /// `peer` names who asks, for the audit line of commands that change something (CTL-7).
  nlohmann::json execute(const nlohmann::json& request, std::string_view peer);
  [[nodiscard]] Clock now() const { return clock_(); }
  /// The Call-ID that a text of a request means: the text itself, or what it is the printed form of. A
  /// request that wants a printable reply has printed forms, so that comes first in it, else the text itself.
  [[nodiscard]] std::string call_id_of(const std::string& text, bool is_printed) const;

 private:
  struct Row;
  static const Row kRows[];
  nlohmann::json list(const nlohmann::json& request);
  nlohmann::json top(const nlohmann::json& request);
  /// Why a command found no call: several sessions of the rtpproxy protocol have that Call-ID, or
  /// `otherwise`.
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
  nlohmann::json facts(const nlohmann::json& request);
  nlohmann::json unknown_flags(const nlohmann::json& request);
  nlohmann::json version(const nlohmann::json& request);

  SessionManager& manager_;
  ng::NgService& ng_;
  std::function<Clock()> clock_;
  DaemonAccess daemon_;
  std::string peer_;  // who asks now
};

}  // namespace ferry::cli
