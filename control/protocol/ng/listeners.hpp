// NG over streams (TCP, Unix sockets).
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>
#include <string>
#include <vector>

namespace ferry::ng {

/// Streams of `cookie SP document`, bencode or JSON, split and joined at any octet. Clients may be silent for
/// as long as they like.
class StreamServer {
 public:
  /// TCP.
  StreamServer(Connections& connections, const Endpoint& local, NgService& service, SessionManager& manager,
               std::function<Clock()> clock);
  /// Unix socket with mode 0660; a dead socket file of an earlier run is replaced.
  StreamServer(Connections& connections, const std::string& path, NgService& service, SessionManager& manager,
               std::function<Clock()> clock);
  ~StreamServer();
  StreamServer(const StreamServer&) = delete;
  StreamServer& operator=(const StreamServer&) = delete;

  /// Sends a message of our own, with a cookie of our own, to every client.
  void broadcast(const Dict& message);
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  class Client;
  std::unique_ptr<Session> open(Connection& connection);

  std::string unlink_path_;
  NgService& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  std::vector<Client*> clients_;
  Listener listener_;  // the clients end with it
};

}  // namespace ferry::ng
