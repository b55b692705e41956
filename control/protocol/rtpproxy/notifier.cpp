// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/rtpproxy/notifier.hpp"

#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace ferry::rtpproxy {

namespace {

constexpr std::string_view kSelf = "%%CC_SELF%%";
constexpr unsigned kTries = 3;
// Most octets that wait for one target.
constexpr std::size_t kMaxWaiting = 1 << 20;
// The wildcard makes a connection for each client.
constexpr std::size_t kMaxConnections = 1024;

std::string in_full(std::string_view target) {
  for (const std::string_view known : {"unix:", "tcp:", "udp:"}) {
    if (target.starts_with(known)) return std::string(target);
  }
  return std::string(target.starts_with('/') ? "unix:" : "tcp:").append(target);
}

std::string with_client(std::string target, const IpAddress& client) {
  const auto at = target.find(kSelf);
  if (at == std::string::npos) return target;
  // A client over a Unix socket or over IPv6 is taken for this host.
  const std::string address = client.is_v4() ? client.to_string() : "127.0.0.1";
  return target.replace(at, kSelf.size(), address);
}

}  // namespace

bool is_notify_target(std::string_view text) {
  const std::string target = in_full(text);
  if (target.starts_with("unix:"))
    return target.size() > 5 && target.size() - 5 < sizeof(sockaddr_un::sun_path);
  const auto endpoint = Endpoint::parse(with_client(target, IpAddress::v4({127, 0, 0, 1})).substr(4));
  return endpoint && endpoint->port.value != 0;
}

/// The connection to one target. Lines that were handed to the stream wait in its buffer until the peer takes
/// them.
struct Notifier::Connection {
  Notifier* owner = nullptr;
  std::string target;
  bufferevent* stream = nullptr;
  // Lines since the last time that everything was taken.
  std::string unsent;
  unsigned tries = 0;
  bool is_connected = false;

  ~Connection() {
    if (stream != nullptr) bufferevent_free(stream);
  }
};

Notifier::Notifier(event_base* base, const std::vector<std::string>& targets) : base_(base) {
  for (const std::string& target : targets) {
    if (!is_notify_target(target))
      throw std::runtime_error(
          fmt::format("rtpp-notify: '{}' is no unix:PATH, tcp:ADDRESS:PORT or udp:", target));
    targets_.push_back(in_full(target));
  }
}

Notifier::~Notifier() = default;

std::string Notifier::allowed(std::string_view named, const IpAddress& client) const {
  const std::string wanted = in_full(named);
  for (const std::string& target : targets_) {
    const std::string real = with_client(target, client);
    if (wanted == target || wanted == real) return real;
    // A name without a prefix may also mean a datagram socket.
    if (std::string("udp:").append(named) == real) return real;
  }
  return {};
}

void Notifier::send(const std::string& target, const std::string& line) {
  if (target.starts_with("udp:")) {
    const auto to = Endpoint::parse(std::string_view(target).substr(4));
    if (!to) return;
    const SocketAddress address(*to);
    const int fd = socket(address.family(), SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || sendto(fd, line.data(), line.size(), 0, address.get(), address.size()) < 0) ++lost_;
    if (fd >= 0) close(fd);
    return;
  }
  if (!connections_.contains(target) && connections_.size() >= kMaxConnections) {
    ++lost_;
    return;
  }
  auto& connection = connections_[target];
  if (!connection) {
    connection = std::make_unique<Connection>();
    connection->owner = this;
    connection->target = target;
  }
  if (connection->unsent.size() + line.size() > kMaxWaiting) {
    ++lost_;
    return;
  }
  connection->unsent += line;
  if (connection->stream == nullptr) {
    connection->tries = 0;
    connect(*connection);
  } else if (connection->is_connected) {
    bufferevent_write(connection->stream, line.data(), line.size());
  }
}

void Notifier::connect(Connection& connection) {
  connection.is_connected = false;
  ++connection.tries;
  connection.stream = bufferevent_socket_new(base_, -1, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
  bufferevent_setcb(
      connection.stream,
      // The target has nothing to say: its input is thrown away.
      [](bufferevent* stream, void*) {
        evbuffer* input = bufferevent_get_input(stream);
        evbuffer_drain(input, evbuffer_get_length(input));
      },
      [](bufferevent* stream, void* c) {
        auto& self = *static_cast<Connection*>(c);
        if (self.is_connected && evbuffer_get_length(bufferevent_get_output(stream)) == 0)
          self.unsent.clear();
      },
      [](bufferevent*, short what, void* c) {
        static_cast<Connection*>(c)->owner->on_event(*static_cast<Connection*>(c), what);
      },
      &connection);
  bufferevent_enable(connection.stream, EV_READ | EV_WRITE);
  const auto begin = [&](const sockaddr* address, std::size_t size) {
    const int result =
        bufferevent_socket_connect(connection.stream, const_cast<sockaddr*>(address), static_cast<int>(size));
    // libevent reports no event if the host refuses at once, as it does for a path that is not there.
    if (result != 0) on_event(connection, BEV_EVENT_ERROR);
  };
  if (connection.target.starts_with("unix:")) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    connection.target.copy(address.sun_path, sizeof address.sun_path - 1, 5);
    begin(reinterpret_cast<const sockaddr*>(&address), sizeof address);
    return;
  }
  const auto to = Endpoint::parse(std::string_view(connection.target).substr(4));
  const SocketAddress address(*to);
  begin(address.get(), address.size());
}

void Notifier::on_event(Connection& connection, short what) {
  if ((what & BEV_EVENT_CONNECTED) != 0) {
    connection.is_connected = true;
    bufferevent_write(connection.stream, connection.unsent.data(), connection.unsent.size());
    return;
  }
  if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) == 0) return;
  bufferevent_free(std::exchange(connection.stream, nullptr));
  // The connection is made again when there is a line to send.
  if (connection.unsent.empty()) return;
  if (connection.tries < kTries) {
    connect(connection);
    return;
  }
  lost_ += static_cast<std::uint64_t>(std::ranges::count(connection.unsent, '\n'));
  connection.unsent.clear();
}

}  // namespace ferry::rtpproxy
