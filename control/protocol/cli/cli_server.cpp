// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/cli/cli_server.hpp"

#include "control/log/printable_json.hpp"
#include "control/protocol/stream_listener.hpp"
#include "control/view/trace.hpp"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/socket.h>
#include <unistd.h>

namespace ferry::cli {

using nlohmann::json;

namespace {

constexpr std::size_t kMaxLine = 64 * 1024;
constexpr std::size_t kMaxTraces = 8;
// A trace whose reader leaves more octets than these unread is ended, before the connection would be.
constexpr std::size_t kMaxUnread = Connection::kMaxUnread / 2;
constexpr timeval kTraceInterval{0, 50'000};

json refusal(std::string text) { return {{"error", std::move(text)}}; }

std::string line_of(const json& reply) {
  return reply.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string hex_of(Bytes octets) {
  std::string text;
  for (const std::byte octet : octets) text += fmt::format("{:02x}", std::to_integer<unsigned>(octet));
  return text;
}

}  // namespace

class CliServer::Client final : public Session {
 public:
  Client(CliServer& server, Connection& connection) : server_(server), connection_(connection) {
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (getsockopt(connection.descriptor(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
      peer_ = fmt::format("uid {} pid {}", credentials.uid, credentials.pid);
  }
  ~Client() override { end_trace(); }

  Progress serve(evbuffer* input) override;

 private:
  void write(const json& reply) { connection_.write(line_of(reply)); }
  void write_packet(json about) {
    is_printed_ ? make_printable(about) : make_utf8(about);
    write(about);
  }
  void start_trace(const json& request);
  void follow_trace();
  void end_trace();

  CliServer& server_;
  Connection& connection_;
  std::string peer_;
  std::unique_ptr<Trace> trace_;
  Event timer_;
  std::uint64_t packets_left_ = 0;
  Instant until_{};
  Instant started_{};
  // The request wants texts that are safe for a terminal.
  bool is_printed_ = false;
};

CliServer::CliServer(Connections& connections, const std::string& path, CliService& service,
                     SessionManager& manager)
    : path_(path),
      service_(service),
      manager_(manager),
      listener_(connections, listen_on_path(path),
                {.name = fmt::format("rtpferryctl on {}", path), .standing = Standing::kOperator, .life = {}},
                [this](Connection& connection) { return std::make_unique<Client>(*this, connection); }) {}

CliServer::~CliServer() { unlink(path_.c_str()); }

Progress CliServer::Client::serve(evbuffer* input) {
  char* line = evbuffer_readln(input, nullptr, EVBUFFER_EOL_LF);
  if (line == nullptr) {
    const std::size_t rest = evbuffer_get_length(input);
    return rest == 0 ? Progress::kNothing : rest > kMaxLine ? Progress::kMalformed : Progress::kUnfinished;
  }
  const json request = json::parse(line, nullptr, false);
  free(line);  // libevent's buffer is from malloc
  if (!request.is_object()) {
    write(refusal("not a JSON object"));
  } else if (request.value("command", json()) == "trace") {
    start_trace(request);
  } else {
    write(server_.service_.execute(request, peer_));
  }
  return Progress::kServed;
}

void CliServer::Client::start_trace(const json& request) {
  constexpr std::uint64_t kUsualPackets = 100;
  // In seconds.
  constexpr std::int64_t kLongest = 3600;
  const auto text = [&](const char* key) { return request.value(key, json()); };
  const std::string asked = text("call_id").is_string() ? text("call_id").get<std::string>() : std::string();
  is_printed_ = text("printable") == true;
  const std::string call_id = server_.service_.call_id_of(asked, is_printed_);
  if (server_.manager_.find(call_id) == nullptr) {
    write(refusal("no such call"));
    return;
  }
  if (trace_ || server_.traces_ >= kMaxTraces) {
    write(refusal("too many traces are running"));
    return;
  }
  const auto seconds = text("seconds").is_number_integer() ? text("seconds").get<std::int64_t>() : 30;
  packets_left_ = text("count").is_number_unsigned() ? text("count").get<std::uint64_t>() : kUsualPackets;
  started_ = server_.service_.now().now;
  until_ = started_ + std::chrono::seconds(std::clamp<std::int64_t>(seconds, 1, kLongest));
  trace_ = std::make_unique<Trace>(server_.manager_.services(), call_id);
  ++server_.traces_;
  timer_.reset(event_new(
      connection_.base(), -1, EV_PERSIST,
      [](evutil_socket_t, short, void* self) { static_cast<Client*>(self)->follow_trace(); }, this));
  event_add(timer_.get(), &kTraceInterval);
  write_packet({{"tracing", call_id}});
  follow_trace();
}

void CliServer::Client::follow_trace() {
  const bool is_alive = trace_->poll([&](const Trace::Seen& seen) {
    if (packets_left_ == 0) return;
    --packets_left_;
    const TracedPacket& packet = seen.packet;
    write_packet({{"t", std::chrono::duration<double>(packet.at - started_).count()},
                  {"leg", seen.leg},
                  {"media", seen.media},
                  {"port", packet.port == Component::kRtp ? "rtp" : "rtcp"},
                  {"is_rtcp", packet.is_rtcp},
                  {"from", packet.from.to_string()},
                  {"to", Endpoint{seen.local.address,
                                  UdpPort{static_cast<std::uint16_t>(
                                      seen.local.port.value + (packet.port == Component::kRtcp ? 1 : 0))}}
                             .to_string()},
                  {"size", packet.size},
                  {"verdict", packet.reason == DropReason::kNone ? "forwarded" : to_string(packet.reason)},
                  {"start", hex_of(Bytes(packet.start).first(packet.kept))}});
  });
  const bool is_slow = connection_.unread() > kMaxUnread;
  if (is_alive && !is_slow && packets_left_ > 0 && server_.service_.now().now < until_) return;
  write({{"end", !is_alive ? "the call ended"
                 : is_slow ? "the reader is too slow"
                           : "done"},
         {"lost", trace_->lost()}});
  end_trace();
}

void CliServer::Client::end_trace() {
  timer_.reset();
  if (trace_) --server_.traces_;
  trace_.reset();
}

}  // namespace ferry::cli
