// NG over streams (TCP, Unix sockets).
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace ferry::ng {

/// Streams of `cookie SP document`, bencode or JSON, split and joined at any octet.
class StreamServer {
 public:
  /// TCP.
  StreamServer(event_base* base, const Endpoint& local, NgService& service, SessionManager& manager,
               AccessList& access, std::function<Clock()> clock);
  /// Unix socket with mode 0660; a dead socket file of an earlier run is replaced.
  StreamServer(event_base* base, const std::string& path, NgService& service, SessionManager& manager,
               AccessList& access, std::function<Clock()> clock);
  ~StreamServer();
  StreamServer(const StreamServer&) = delete;
  /// Sends a message of our own, with a cookie of our own, to every client.
  void broadcast(const Dict& message);
  StreamServer& operator=(const StreamServer&) = delete;

 private:
  struct Connection;
  static void on_accept(evconnlistener*, evutil_socket_t fd, sockaddr* from, int from_size, void* self);
  void accept(int fd, const IpAddress& source);
  void serve(Connection& connection);
  void close(Connection& connection);

  StreamListener listener_;
  event_base* base_;
  std::string unlink_path_;
  NgService& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  std::list<std::unique_ptr<Connection>> connections_;
};

}  // namespace ferry::ng
