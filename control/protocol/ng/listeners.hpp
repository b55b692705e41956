// SPDX-License-Identifier: Apache-2.0
// Serves NG over streams: TCP and Unix sockets (docs/reference/ng.md#transports).
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>
#include <string>
#include <vector>

namespace ferry::ng {

/// Serves streams of messages `cookie SP document` in bencode or JSON, however the network cuts them. Clients
/// may be silent for as long as they like. Control thread only. The references that the constructors take
/// must outlive the server.
class StreamServer {
 public:
  /// Listens on TCP. Throws std::system_error if the address cannot be bound.
  StreamServer(Connections& connections, const Endpoint& local, NgService& service, SessionManager& manager,
               std::function<Clock()> clock);
  /// Listens on a Unix socket with mode 0660, and replaces a dead socket file of an earlier run. Throws
  /// std::system_error if the socket cannot be had.
  StreamServer(Connections& connections, const std::string& path, NgService& service, SessionManager& manager,
               std::function<Clock()> clock);
  /// Closes the connections and removes the socket file.
  ~StreamServer();
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

  /// Sends `message` to every client, with a cookie that the relay makes.
  void broadcast(const Dict& message);
  /// The TCP port that was bound, for tests that bind port 0.
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  class Client;
  std::unique_ptr<Session> open(Connection& connection);

  /// Socket file to remove at the end; empty for TCP.
  std::string unlink_path_;
  NgService& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  /// Clients that are connected now. Not owned: each adds and removes itself.
  std::vector<Client*> clients_;
  /// Declared last: destroying it ends the clients, which use the members above.
  Listener listener_;
};

}  // namespace ferry::ng
