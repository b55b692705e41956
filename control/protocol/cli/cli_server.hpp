// SPDX-License-Identifier: Apache-2.0
// The control socket of `rtpferryctl`: each line in is a JSON request, each line out a JSON reply.
#pragma once

#include "control/protocol/cli/cli_service.hpp"
#include "control/protocol/connections/connections.hpp"

#include <memory>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace ferry::cli {

/// Serves the operator's commands on a Unix stream socket with mode 0660. Most commands have one line as
/// reply; `trace` answers with a line for each packet. An operator always gets a connection, however many
/// other clients there are (CTL-12). Control thread only.
class CliServer {
 public:
  /// Binds `path`, and replaces a dead socket file of an earlier run. All references must outlive the server.
  /// Throws std::system_error if the socket cannot be had.
  CliServer(Connections& connections, const std::string& path, CliService& service, SessionManager& manager);
  /// Closes the connections and removes the socket file.
  ~CliServer();
  CliServer(const CliServer&) = delete;
  CliServer& operator=(const CliServer&) = delete;

 private:
  class Client;

  std::string path_;
  CliService& service_;
  SessionManager& manager_;
  /// Connections that run a trace now; their number is bounded.
  std::size_t traces_ = 0;
  /// Declared last: destroying it ends the clients, which use the members above.
  Listener listener_;
};

}  // namespace ferry::cli
