// SPDX-License-Identifier: Apache-2.0
// Serves the rtpproxy protocol over streams: Unix sockets, TCP, standard input, or a socket from systemd.
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/rtpproxy/service.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace ferry::rtpproxy {

/// One control socket, as the option `listen-rtpp` names it.
struct ListenSpec {
  /// `kUnix` takes one command for each connection, `kUnixLines` takes lines.
  enum class Kind : std::uint8_t { kUdp, kUnix, kUnixLines, kTcp, kStdio, kSystemd };
  Kind kind = Kind::kUdp;
  /// Set for kUdp and kTcp.
  Endpoint endpoint;
  /// Set for kUnix and kUnixLines.
  std::string path;
  /// If true, the daemon ends when the input ends, whatever other sockets there are. Only for kStdio.
  bool ends_daemon = false;
};

/// Parses `udp:HOST[:PORT]`, `udp6:`, `tcp:`, `tcp6:`, `unix:PATH`, `cunix:PATH`, a path, `stdio:`, `stdioc:`
/// or `systemd:`. HOST `*` means any address; PORT is 22222 if it is missing. The error is a sentence.
Result<ListenSpec, std::string> parse_listen_spec(std::string_view text);

/// Names the socket of a stream for people.
std::string describe(const ListenSpec& spec);

/// Accepts the connections of one socket, or serves standard input and output. Does nothing for kUdp. The
/// references must outlive it. Control thread only.
class StreamListeners {
 public:
  /// Called when standard input has ended. The caller decides whether the daemon ends then
  /// (`ListenSpec::ends_daemon`).
  using OnEnd = std::function<void()>;

  /// `mode` is that of a Unix socket's file. Throws std::system_error that names the socket.
  StreamListeners(Connections& connections, const ListenSpec& spec, Service& service, SessionManager& manager,
                  std::function<Clock()> clock, unsigned mode, OnEnd on_end);
  ~StreamListeners();
  StreamListeners(const StreamListeners&) = delete;
  StreamListeners& operator=(const StreamListeners&) = delete;

  /// The TCP port that was bound, for tests that bind port 0. Not for standard input.
  [[nodiscard]] std::uint16_t port() const { return listener_->port(); }

 private:
  class Client;
  /// Accepts connections on a socket that listens. `standing` is unset for TCP.
  void listen(FileDescriptor socket, std::optional<Standing> standing);
  /// Begins to read standard input, and serves what has come.
  void open_stdin(event_base* base);
  void serve_stdin();
  /// Executes one command and returns its reply, which may leave at once.
  std::string answer(std::string_view line, const IpAddress& source);

  ListenSpec spec_;
  Connections& connections_;
  Service& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  OnEnd on_end_;
  Event input_;
  /// True if standard input is a regular file. libevent cannot wait for one, so it is read in pieces.
  bool is_file_ = false;
  /// Input that is not a whole line yet.
  std::string typed_;
  /// Unset for standard input. Declared last: destroying it ends the clients, which use the members above.
  std::optional<Listener> listener_;
};

}  // namespace ferry::rtpproxy
