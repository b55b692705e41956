// SPDX-License-Identifier: Apache-2.0
// Serves the rtpproxy protocol over streams. Two forms differ in where a command ends: over `unix:` all
// that comes at once is the only command of its connection, over the other sockets and standard input each
// line is one.
//
// Standard input is no connection: it has no limits of time and no `Session`, and its end may end the daemon.

#include "control/protocol/rtpproxy/listeners.hpp"

#include "control/protocol/stream_listener.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ferry::rtpproxy {

namespace {

constexpr UdpPort kDefaultPort{22222};
/// sd_listen_fds(3).
constexpr int kFirstSystemdSocket = 3;

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Parses a host with or without a port: the port follows the last colon. A host alone, IPv6 too, has the
/// usual port; a port alone is on loopback.
std::optional<Endpoint> parse_host(std::string_view text, bool is_v6) {
  const auto colon = text.rfind(':');
  std::string_view host = text;
  std::optional<std::int64_t> port = kDefaultPort.value;
  const bool has_port =
      colon != std::string_view::npos &&
      (!is_v6 || !IpAddress::parse(text).has_value() || IpAddress::parse(text.substr(0, colon)).has_value());
  if (has_port) {
    host = text.substr(0, colon);
    port = parse_number(text.substr(colon + 1), 1, 65535);
  }
  if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
    host = "localhost";
    port = parse_number(text, 1, 65535);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = is_v6 ? "::1" : "127.0.0.1";
  const AddressFamily family = is_v6 ? AddressFamily::kIpv6 : AddressFamily::kIpv4;
  const auto address = host == "*" ? IpAddress::unspecified(family) : IpAddress::parse(host);
  if (!address || address->family() != family || !port) return std::nullopt;
  return Endpoint{*address, UdpPort{static_cast<std::uint16_t>(*port)}};
}

}  // namespace

std::string describe(const ListenSpec& spec) {
  if (!spec.path.empty()) return spec.path;
  if (spec.endpoint.is_set()) return "tcp " + spec.endpoint.to_string();
  return spec.kind == ListenSpec::Kind::kStdio ? "standard input" : "a socket from systemd";
}

Result<ListenSpec, std::string> parse_listen_spec(std::string_view text) {
  using Kind = ListenSpec::Kind;
  ListenSpec spec;
  const auto colon = text.find(':');
  const std::string_view scheme = text.starts_with('/') ? "unix" : text.substr(0, colon);
  const std::string_view rest = text.starts_with('/')             ? text
                                : colon == std::string_view::npos ? ""
                                                                  : text.substr(colon + 1);
  if (scheme == "udp" || scheme == "udp6" || scheme == "tcp" || scheme == "tcp6") {
    const auto endpoint = parse_host(rest, scheme.ends_with('6'));
    if (!endpoint) return fail(fmt::format("'{}' is no {}:ADDRESS[:PORT]", text, scheme));
    spec.kind = scheme.starts_with("udp") ? Kind::kUdp : Kind::kTcp;
    spec.endpoint = *endpoint;
  } else if ((scheme == "unix" || scheme == "cunix") && !rest.empty()) {
    spec.kind = scheme == "unix" ? Kind::kUnix : Kind::kUnixLines;
    spec.path = rest;
  } else if ((scheme == "stdio" || scheme == "stdioc") && rest.empty()) {
    spec.kind = Kind::kStdio;
    spec.ends_daemon = scheme == "stdioc";
  } else if (scheme == "systemd" && rest.empty()) {
    spec.kind = Kind::kSystemd;
  } else {
    return fail(fmt::format(
        "'{}' is none of udp:, udp6:, tcp:, tcp6:ADDRESS[:PORT], unix:, cunix:PATH, stdio:, systemd:", text));
  }
  return spec;
}

class StreamListeners::Client final : public Session {
 public:
  Client(StreamListeners& owner, Connection& connection) : owner_(owner), connection_(connection) {}

  Progress serve(evbuffer* input) override {
    const std::size_t available = evbuffer_get_length(input);
    if (available == 0) return Progress::kNothing;
    const std::string_view text(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), available);
    // Over a Unix socket (`unix:`) all that comes at once is one command, and the only one.
    const bool is_only = owner_.spec_.kind == ListenSpec::Kind::kUnix;
    const auto end = is_only ? available - 1 : text.find('\n');
    // More input than a command may have is no command.
    if (!is_only && std::min(end, available) > kMaxCommand) return Progress::kMalformed;
    if (end == std::string_view::npos) return Progress::kUnfinished;
    const std::string command(text.substr(0, end + 1));
    evbuffer_drain(input, command.size());
    connection_.write(owner_.answer(command, connection_.source()));
    return is_only ? Progress::kFinish : Progress::kServed;
  }

 private:
  StreamListeners& owner_;
  Connection& connection_;
};

StreamListeners::StreamListeners(Connections& connections, const ListenSpec& spec, Service& service,
                                 SessionManager& manager, std::function<Clock()> clock, unsigned mode,
                                 OnEnd on_end)
    : spec_(spec),
      connections_(connections),
      service_(service),
      manager_(manager),
      clock_(std::move(clock)),
      on_end_(std::move(on_end)) {
  switch (spec_.kind) {
    case ListenSpec::Kind::kUdp:
      break;
    case ListenSpec::Kind::kUnix:
    case ListenSpec::Kind::kUnixLines:
      listen(listen_on_path(spec_.path, mode), Standing::kLocalSocket);
      break;
    case ListenSpec::Kind::kTcp:
      listen(listen_on_tcp(spec_.endpoint), std::nullopt);
      break;
    case ListenSpec::Kind::kSystemd: {
      const char* count = getenv("LISTEN_FDS");
      if (count == nullptr || parse_number(count, 1, 64) == std::nullopt) {
        errno = ENOENT;
        throw_errno("control listener systemd: there is no socket from systemd (LISTEN_FDS)");
      }
      evutil_make_socket_nonblocking(kFirstSystemdSocket);
      evutil_make_socket_closeonexec(kFirstSystemdSocket);
      listen(FileDescriptor(kFirstSystemdSocket), std::nullopt);
      break;
    }
    case ListenSpec::Kind::kStdio:
      open_stdin(connections.base());
      break;
  }
}

StreamListeners::~StreamListeners() {
  if (!spec_.path.empty()) unlink(spec_.path.c_str());
}

void StreamListeners::listen(FileDescriptor socket, std::optional<Standing> standing) {
  listener_.emplace(
      connections_, std::move(socket),
      ListenerRules{.name = "rtpproxy protocol on " + describe(spec_), .standing = standing, .life = {}},
      [this](Connection& connection) { return std::make_unique<Client>(*this, connection); });
}

void StreamListeners::open_stdin(event_base* base) {
  struct stat info {};
  // libevent cannot wait for a file, which is always readable. It is read in pieces, one in each turn of the
  // loop.
  is_file_ = fstat(STDIN_FILENO, &info) == 0 && S_ISREG(info.st_mode);
  input_.reset(event_new(
      base, STDIN_FILENO, EV_READ | EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<StreamListeners*>(self)->serve_stdin(); }, this));
  if (!input_ || (!is_file_ && event_add(input_.get(), nullptr) != 0))
    throw_errno("control listener stdio: standard input cannot be read");
  if (is_file_) event_active(input_.get(), EV_READ, 0);
}

std::string StreamListeners::answer(std::string_view line, const IpAddress& source) {
  std::string reply = service_.handle_line(line, source);
  manager_.flush(clock_());
  return reply;
}

void StreamListeners::serve_stdin() {
  std::array<char, 4096> buffer{};
  const ssize_t got = read(STDIN_FILENO, buffer.data(), buffer.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    event_del(input_.get());
    is_file_ = false;
    if (on_end_) on_end_();
    return;
  }
  typed_.append(buffer.data(), static_cast<std::size_t>(got));
  // Whoever writes to standard input is on this host.
  const IpAddress here = IpAddress::v4({127, 0, 0, 1});
  for (auto end = typed_.find('\n'); end != std::string::npos; end = typed_.find('\n')) {
    std::string reply = answer(std::string_view(typed_).substr(0, end), here);
    typed_.erase(0, end + 1);
    for (std::string_view rest = reply; !rest.empty();) {
      const ssize_t sent = write(STDOUT_FILENO, rest.data(), rest.size());
      if (sent <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  // What is too long for a command is thrown away, so that it cannot grow without end.
  if (typed_.size() > kMaxCommand) typed_.clear();
  if (is_file_) event_active(input_.get(), EV_READ, 0);
}

}  // namespace ferry::rtpproxy
