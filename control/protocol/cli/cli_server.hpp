// The operator's socket: one JSON object a line in, one JSON object a line out (rtpferryctl).
#pragma once

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/connections/connections.hpp"

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ferry::cli {

/// Unix stream socket with mode 0660. `trace` answers with a line for each packet. An operator always gets
/// in, however many other clients there are.
class CliServer {
 public:
  CliServer(Connections& connections, const std::string& path, CliService& service, SessionManager& manager);
  ~CliServer();
  CliServer(const CliServer&) = delete;
  CliServer& operator=(const CliServer&) = delete;

 private:
  class Client;

  std::string path_;
  CliService& service_;
  SessionManager& manager_;
  std::size_t traces_ = 0;
  Listener listener_;  // the clients end with it
};

}  // namespace ferry::cli
