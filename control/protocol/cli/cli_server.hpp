// The operator's socket: one JSON object a line in, one JSON object a line out (rtpferryctl).
#pragma once

#include "control/protocol/event_loop.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry::cli {

/// Carries out commands; no transport. Unknown ones and bad arguments give `{"error": "…"}`.
class CliService {
 public:
  CliService(SessionManager& manager, ng::NgService& ng, std::function<Clock()> clock)
      : manager_(manager), ng_(ng), clock_(std::move(clock)) {}
  /// What `engines` answers: the engines that move media and why they were chosen.
  void set_engines(std::function<nlohmann::json()> engines) { engines_ = std::move(engines); }
  /// What `stats` says of recordings.
  void set_recorder(std::function<nlohmann::json()> recorder) { recorder_ = std::move(recorder); }
  /// What `stats` says of the classic protocol.
  void set_rtpproxy(std::function<nlohmann::json()> rtpproxy) { rtpproxy_ = std::move(rtpproxy); }
  /// `peer` names who asks, for the audit line of destructive commands (CTL-7).
  nlohmann::json execute(const nlohmann::json& request, std::string_view peer);

 private:
  nlohmann::json stats();
  nlohmann::json ports();
  nlohmann::json unknown_flags();
  nlohmann::json record(const std::string& action, const std::string& call_id);

  SessionManager& manager_;
  ng::NgService& ng_;
  std::function<Clock()> clock_;
  std::function<nlohmann::json()> engines_;
  std::function<nlohmann::json()> recorder_;
  std::function<nlohmann::json()> rtpproxy_;
};

/// Unix stream socket with mode 0660.
class CliServer {
 public:
  CliServer(event_base* base, const std::string& path, CliService& service);
  ~CliServer();
  CliServer(const CliServer&) = delete;
  CliServer& operator=(const CliServer&) = delete;

 private:
  struct Connection;
  void accept(int fd);
  void serve(Connection& connection);
  void close(Connection& connection);

  event_base* base_;
  std::string path_;
  CliService& service_;
  StreamListener listener_;
  std::list<std::unique_ptr<Connection>> connections_;
};

}  // namespace ferry::cli
