// The streams of the classic protocol: Unix sockets, TCP, standard input, a socket from systemd.
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/protocol/rtpp/service.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

namespace ferry::rtpp {

/// One control socket as an option names it.
struct ListenSpec {
  enum class Kind : std::uint8_t { kUdp, kUnix, kUnixLines, kTcp, kStdio, kSystemd };
  Kind kind = Kind::kUdp;
  Endpoint endpoint;  // kUdp, kTcp
  std::string path;   // kUnix, kUnixLines
  /// The end of the input ends the daemon, whatever other sockets there are.
  bool ends_daemon = false;
};

/// `udp:HOST[:PORT]`, `udp6:`, `tcp:`, `tcp6:`, `unix:PATH`, `cunix:PATH`, a path, `stdio:`, `stdioc:`,
/// `systemd:`. The error is a sentence. HOST `*` is any address, PORT is 22222 unless it is said.
Result<ListenSpec, std::string> parse_listen_spec(std::string_view text);

/// Accepts connections of one socket, or serves standard input and output.
class StreamListeners {
 public:
  /// Called when a stream that ends the daemon has ended.
  using OnEnd = std::function<void()>;

  /// Throws std::system_error with the socket in the text. `mode` is that of a Unix socket's file.
  StreamListeners(event_base* base, const ListenSpec& spec, Service& service, SessionManager& manager,
                  AccessList& access, std::function<Clock()> clock, unsigned mode, OnEnd on_end);
  ~StreamListeners();
  StreamListeners(const StreamListeners&) = delete;
  StreamListeners& operator=(const StreamListeners&) = delete;

 private:
  struct Connection;
  static void on_accept(evconnlistener*, evutil_socket_t fd, sockaddr* from, int from_size, void* self);
  void accept(int fd, const IpAddress& source);
  void serve(Connection& connection);
  void close(Connection& connection);
  void serve_stdin();
  /// The reply of one command, which may leave now.
  std::string answer(std::string_view line, const IpAddress& source);

  ListenSpec spec_;
  event_base* base_;
  Service& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  OnEnd on_end_;
  StreamListener listener_;
  Event input_;
  /// Standard input is a regular file.
  bool is_file_ = false;
  std::string typed_;
  std::list<std::unique_ptr<Connection>> connections_;
};

}  // namespace ferry::rtpp
