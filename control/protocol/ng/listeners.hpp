// NG over UDP and over streams (TCP, Unix sockets).
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

/// One UDP socket. Requests are taken in batches; replies leave after one fence for the whole batch, from the
/// address that the request came to.
class UdpListener {
 public:
  /// Throws std::system_error with the address in the text if it cannot be bound.
  UdpListener(event_base* base, const Endpoint& local, NgService& service, SessionManager& manager,
              AccessList& access, std::function<Clock()> clock, std::uint8_t tos);
  ~UdpListener();
  UdpListener(const UdpListener&) = delete;
  UdpListener& operator=(const UdpListener&) = delete;

  [[nodiscard]] Endpoint local() const;
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Batch;
  void on_readable();
  std::size_t serve_batch();

  int socket_ = -1;
  Event event_;
  NgService& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  std::unique_ptr<Batch> batch_;
  std::uint64_t refused_ = 0;
};

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

/// Listens on a Unix stream socket with mode 0660. Makes the directory if it is missing and replaces a socket
/// that nobody listens on; throws std::system_error for anything else. `accept` gets `self` as its last
/// argument.
StreamListener listen_on_path(event_base* base, const std::string& path, evconnlistener_cb accept,
                              void* self);

}  // namespace ferry::ng
