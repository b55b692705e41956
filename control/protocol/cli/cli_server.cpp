#include "control/protocol/cli/cli_server.hpp"

#include "control/protocol/stream_listener.hpp"
#include "control/session/trace.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::cli {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxLine = 64 * 1024;
constexpr std::size_t kMaxTraces = 8;
constexpr std::size_t kMaxUnread = 4 * 1024 * 1024;  // octets that a reader of a trace has not taken
constexpr timeval kTraceInterval{0, 50'000};

json error(std::string text) { return {{"error", std::move(text)}}; }

std::string line_of(const json& reply) {
  return reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string hex_of(Bytes octets) {
  std::string text;
  for (const std::byte octet : octets) text += fmt::format("{:02x}", std::to_integer<unsigned>(octet));
  return text;
}

}  // namespace

struct CliServer::Connection {
  CliServer* server = nullptr;
  bufferevent* stream = nullptr;
  std::string peer;
  // Of a trace.
  std::unique_ptr<Trace> trace;
  Event timer;
  std::uint64_t packets_left = 0;
  Instant until{};
  Instant started{};

  void write(const json& reply) const {
    const std::string text = line_of(reply);
    bufferevent_write(stream, text.data(), text.size());
  }
};

CliServer::CliServer(event_base* base, const std::string& path, CliService& service, SessionManager& manager)
    : base_(base), path_(path), service_(service), manager_(manager) {
  listener_ = listen_on_path(
      base, path,
      [](evconnlistener*, evutil_socket_t fd, sockaddr*, int, void* self) {
        static_cast<CliServer*>(self)->accept(fd);
      },
      this);
}

CliServer::~CliServer() {
  while (!connections_.empty()) close(*connections_.front());
  unlink(path_.c_str());
}

void CliServer::accept(int fd) {
  auto connection = std::make_unique<Connection>();
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0) {
    connection->peer = fmt::format("uid {} pid {}", credentials.uid, credentials.pid);
  }
  connection->server = this;
  connection->stream = bufferevent_socket_new(base_, fd, BEV_OPT_CLOSE_ON_FREE);
  bufferevent_setcb(
      connection->stream,
      [](bufferevent*, void* c) { static_cast<Connection*>(c)->server->serve(*static_cast<Connection*>(c)); },
      nullptr,
      [](bufferevent*, short what, void* c) {
        if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
          static_cast<Connection*>(c)->server->close(*static_cast<Connection*>(c));
        }
      },
      connection.get());
  bufferevent_enable(connection->stream, EV_READ | EV_WRITE);
  connections_.push_back(std::move(connection));
}

void CliServer::serve(Connection& connection) {
  evbuffer* input = bufferevent_get_input(connection.stream);
  while (char* line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_LF)) {
    const json request = json::parse(line, nullptr, false);
    free(line);  // libevent's buffer is from malloc
    if (!request.is_object()) {
      connection.write(error("not a JSON object"));
    } else if (request.value("command", json()) == "trace") {
      start_trace(connection, request);
    } else {
      connection.write(service_.execute(request, connection.peer));
    }
  }
  if (evbuffer_get_length(input) > kMaxLine) close(connection);
}

void CliServer::start_trace(Connection& connection, const json& request) {
  constexpr std::uint64_t kUsualPackets = 100;
  constexpr std::int64_t kLongest = 3600;  // seconds
  const auto text = [&](const char* key) { return request.value(key, json()); };
  const std::string call_id =
      text("call_id").is_string() ? text("call_id").get<std::string>() : std::string();
  if (manager_.find(call_id) == nullptr) {
    connection.write(error("no such call"));
    return;
  }
  const auto running =
      std::ranges::count_if(connections_, [](const auto& each) { return each->trace != nullptr; });
  if (connection.trace || static_cast<std::size_t>(running) >= kMaxTraces) {
    connection.write(error("too many traces are running"));
    return;
  }
  const auto seconds = text("seconds").is_number() ? text("seconds").get<std::int64_t>() : 30;
  connection.packets_left =
      text("count").is_number_unsigned() ? text("count").get<std::uint64_t>() : kUsualPackets;
  connection.started = service_.now().now;
  connection.until =
      connection.started + std::chrono::seconds(std::clamp<std::int64_t>(seconds, 1, kLongest));
  connection.trace = std::make_unique<Trace>(manager_, call_id);
  connection.timer.reset(event_new(
      base_, -1, EV_PERSIST,
      [](evutil_socket_t, short, void* c) {
        auto& self = *static_cast<Connection*>(c);
        self.server->follow_trace(self);
      },
      &connection));
  event_add(connection.timer.get(), &kTraceInterval);
  connection.write({{"tracing", call_id}});
  follow_trace(connection);
}

void CliServer::follow_trace(Connection& connection) {
  const bool is_alive = connection.trace->poll([&](const Trace::Seen& seen) {
    if (connection.packets_left == 0) return;
    --connection.packets_left;
    const TracedPacket& packet = seen.packet;
    connection.write(
        {{"t", std::chrono::duration<double>(packet.at - connection.started).count()},
         {"leg", seen.leg},
         {"media", seen.media},
         {"port", packet.port == Component::kRtp ? "rtp" : "rtcp"},
         {"is_rtcp", packet.is_rtcp},
         {"from", packet.from.to_string()},
         {"to", Endpoint{seen.local.address,
                         UdpPort{static_cast<std::uint16_t>(seen.local.port.value +
                                                            (packet.port == Component::kRtcp ? 1 : 0))}}
                    .to_string()},
         {"size", packet.size},
         {"verdict", packet.reason == DropReason::kNone ? "forwarded" : to_string(packet.reason)},
         {"start", hex_of(Bytes(packet.start).first(packet.kept))}});
  });
  const bool is_slow = evbuffer_get_length(bufferevent_get_output(connection.stream)) > kMaxUnread;
  if (is_alive && !is_slow && connection.packets_left > 0 && service_.now().now < connection.until) return;
  connection.write({{"end", !is_alive ? "the call ended"
                            : is_slow ? "the reader is too slow"
                                      : "done"},
                    {"lost", connection.trace->lost()}});
  connection.timer.reset();
  connection.trace.reset();
}

void CliServer::close(Connection& connection) {
  bufferevent_free(connection.stream);
  connections_.remove_if([&](const auto& each) { return each.get() == &connection; });
}

}  // namespace ferry::cli
