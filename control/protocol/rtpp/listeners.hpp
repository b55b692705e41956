// The streams of the classic protocol: Unix sockets, TCP, standard input, a socket from systemd.
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/rtpp/service.hpp"

#include <functional>
#include <memory>
#include <optional>
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

/// A stream's place, for people.
std::string describe(const ListenSpec& spec);

/// Accepts connections of one socket, or serves standard input and output.
class StreamListeners {
 public:
  /// Called when a stream that ends the daemon has ended.
  using OnEnd = std::function<void()>;

  /// Throws std::system_error with the socket in the text. `mode` is that of a Unix socket's file.
  StreamListeners(Connections& connections, const ListenSpec& spec, Service& service, SessionManager& manager,
                  std::function<Clock()> clock, unsigned mode, OnEnd on_end);
  ~StreamListeners();
  StreamListeners(const StreamListeners&) = delete;
  StreamListeners& operator=(const StreamListeners&) = delete;

  /// Of TCP: for tests that ask for any.
  [[nodiscard]] std::uint16_t port() const { return listener_->port(); }

 private:
  class Client;
  void listen(FileDescriptor socket, std::optional<Standing> standing);
  void open_stdin(event_base* base);
  void serve_stdin();
  /// The reply of one command, which may leave now.
  std::string answer(std::string_view line, const IpAddress& source);

  ListenSpec spec_;
  Connections& connections_;
  Service& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  OnEnd on_end_;
  Event input_;
  /// Standard input is a regular file.
  bool is_file_ = false;
  std::string typed_;
  std::optional<Listener> listener_;  // the clients end with it
};

}  // namespace ferry::rtpp
