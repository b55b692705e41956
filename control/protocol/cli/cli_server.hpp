// The operator's socket: one JSON object a line in, one JSON object a line out (rtpferryctl).
#pragma once

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/event_loop.hpp"

#include <list>
#include <memory>
#include <string>

namespace ferry::cli {

/// Unix stream socket with mode 0660. `trace` answers with a line for each packet.
class CliServer {
 public:
  CliServer(event_base* base, const std::string& path, CliService& service, SessionManager& manager);
  ~CliServer();
  CliServer(const CliServer&) = delete;
  CliServer& operator=(const CliServer&) = delete;

 private:
  struct Connection;
  void accept(int fd);
  void serve(Connection& connection);
  void start_trace(Connection& connection, const nlohmann::json& request);
  void follow_trace(Connection& connection);
  void close(Connection& connection);

  event_base* base_;
  std::string path_;
  CliService& service_;
  SessionManager& manager_;
  StreamListener listener_;
  std::list<std::unique_ptr<Connection>> connections_;
};

}  // namespace ferry::cli
