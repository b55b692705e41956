// SPDX-License-Identifier: Apache-2.0
// Serves HTTP requests and WebSockets.
//
// The session of a client is a RequestReader until a request asks for a WebSocket or a live page, and that
// from then on. Each request passes `refusal` first, whatever its path and method: the number of Host lines,
// the token (CTL-8), the name that it calls this host by, and the origin of the page that sends it (CTL-13).
// A page that the browser does not name gets the files of the front alone. Only then does `answer` choose
// between POST for the handler, WebSocket, live pages, and pages.
#include "control/protocol/http/http_server.hpp"

#include "control/log/log.hpp"
#include "control/protocol/http/live_outputs.hpp"
#include "control/protocol/http/origin_guard.hpp"
#include "control/protocol/http/web_socket.hpp"
#include "control/protocol/stream_listener.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include <fmt/format.h>
#include <openssl/crypto.h>

namespace ferry::http {

namespace {

/// Writes a date for the header (RFC 9110 §5.6.7).
std::string date_of(WallTime now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

/// The subprotocol of a request for WebSocket that is among `known`; nothing if there is none.
std::optional<std::string_view> wanted_protocol(const Request& request,
                                                std::span<const std::string_view> known) {
  if (!asks_for_web_socket(request)) return std::nullopt;
  const std::string_view offered = request.header("Sec-WebSocket-Protocol");
  const auto found =
      std::ranges::find_if(known, [&](std::string_view each) { return has_word(offered, each); });
  return found == known.end() ? std::nullopt : std::optional(*found);
}

/// Names of the host: those of the configuration, and those of the certificate.
std::vector<std::string> all_names(const TlsContext* tls, std::vector<std::string> names) {
  if (tls == nullptr) return names;
  const auto certified = tls->names();
  names.insert(names.end(), certified.begin(), certified.end());
  return names;
}

Reply plain(int status, std::string_view reason, std::string body) {
  return {status, reason, "text/plain", std::move(body), {}};
}
Reply not_found() { return plain(404, "Not Found", "not found\n"); }
Reply foreign_page() { return plain(403, "Forbidden", "refused: the page is of another site\n"); }

bool only_reads(const Request& request) { return request.method == "GET" || request.method == "HEAD"; }

std::string text_of(const Reply& reply, bool with_body, bool stays_open, WallTime now) {
  // A browser that reads one of them twice takes it for damaged.
  const bool has_guards = reply.headers.find("Cross-Origin-Resource-Policy") != std::string_view::npos;
  return fmt::format(
      "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n{}Connection: {}\r\n{}\r\n{}",
      reply.status, reply.reason, date_of(now), reply.type, reply.body.size(),
      has_guards ? std::string_view() : kReplyGuards, stays_open ? "keep-alive" : "close", reply.headers,
      with_body ? std::string_view(reply.body) : std::string_view());
}

}  // namespace

/// The session of one client: HTTP first, then perhaps a WebSocket or a live page.
class HttpServer::Client final : public Session {
 public:
  Client(HttpServer& server, Connection& connection) : server_(server), connection_(connection) {}

  Progress serve(evbuffer* input) override {
    if (web_socket_) return web_socket_->serve(input);
    if (live_) return live_->serve(input);
    const std::size_t available = evbuffer_get_length(input);
    if (available == 0) return Progress::kNothing;
    const std::string_view text(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), available);
    // Empty lines before a request are skipped (RFC 9112 §2.2).
    if (const auto lines = std::min(text.find_first_not_of("\r\n"), available); lines != 0) {
      evbuffer_drain(input, lines);
      return Progress::kTook;
    }
    std::size_t taken = 0;
    const auto request = reader_.read(text, taken);
    if (!request) {
      refuse(request.error());
      return Progress::kMalformed;
    }
    if (!*request) {
      if (reader_.take_expectation()) connection_.write("HTTP/1.1 100 Continue\r\n\r\n");
      return Progress::kUnfinished;
    }
    evbuffer_drain(input, taken);
    return answer(**request);
  }
  void on_taken() override {
    if (feed_) feed_->go_on();
  }

 private:
  Progress answer(const Request& request) {
    const auto answered = server_.answer(request, connection_.source());
    if (const auto* said = std::get_if<Reply>(&answered)) return send(*said, request);
    if (std::get<Becomes>(answered) == Becomes::kLivePage) return begin_live_page(request);
    const std::string_view protocol = *server_.subprotocol_of(request);
    connection_.write(upgrade_reply(request, fmt::format("Sec-WebSocket-Protocol: {}\r\n", protocol)));
    web_socket_ = std::make_unique<WebSocket>(connection_, [this, protocol](std::string_view message) {
      return server_.handler_.on_message(protocol, message, connection_.source());
    });
    return Progress::kServed;
  }

  Progress send(const Reply& reply, const Request& request) {
    const bool stays_open = request.stays_open();
    connection_.write(text_of(reply, request.method != "HEAD", stays_open, server_.clock_()));
    return stays_open ? Progress::kServed : Progress::kFinish;
  }

  /// Nothing is sent before the page has taken the request, because it may refuse it.
  Progress begin_live_page(const Request& request) {
    auto live = make_live_connection(connection_, request, server_.live_text_);
    auto opened = server_.live_pages_->open(request.target, last_event_id(request), *live);
    if (const auto* refused = std::get_if<Reply>(&opened)) {
      connection_.write(text_of(*refused, true, false, server_.clock_()));
      return Progress::kFinish;
    }
    live_ = std::move(live);
    live_->begin(request, date_of(server_.clock_()));
    feed_ = std::move(std::get<std::unique_ptr<LiveFeed>>(opened));
    feed_->go_on();
    return Progress::kServed;
  }

  void refuse(RequestError error) {
    const std::string_view reason = to_string(error);
    const Reply reply = plain(static_cast<int>(error), reason, fmt::format("{}\n", reason));
    connection_.write(text_of(reply, true, false, server_.clock_()));
  }

  HttpServer& server_;
  Connection& connection_;
  RequestReader reader_;
  std::unique_ptr<WebSocket> web_socket_;
  /// Both are null before a live page begins. The feed goes first, because it writes to the connection.
  std::unique_ptr<LiveConnection> live_;
  std::unique_ptr<LiveFeed> feed_;
};

HttpServer::HttpServer(Connections& connections, const Endpoint& local, const TlsContext* tls,
                       CommandHandler& handler, std::function<WallTime()> clock, HttpOptions options)
    : handler_(handler),
      clock_(std::move(clock)),
      options_(std::move(options)),
      has_tls_(tls != nullptr),
      asks_for_certificate_(tls != nullptr && tls->asks_for_certificate()),
      hosts_(all_names(tls, options_.names)),
      listener_(connections, listen_on_tcp(local),
                {.name = fmt::format("{} on {}", tls == nullptr ? "HTTP" : "HTTPS", local.to_string()),
                 .standing = {},
                 .life = {.asks_at_once = true, .idle = options_.idle},
                 .tls = tls},
                [this](Connection& connection) { return std::make_unique<Client>(*this, connection); }) {}

void HttpServer::renew(std::string token, const TlsContext* tls) {
  options_.token = std::move(token);
  hosts_ = HostGuard(all_names(tls, options_.names));
}

std::optional<std::string_view> HttpServer::subprotocol_of(const Request& request) const {
  return wanted_protocol(request, handler_.subprotocols());
}

bool HttpServer::has_token(const Request& request) const {
  if (options_.token.empty()) return false;
  const std::string wanted = "Bearer " + options_.token;
  const std::string_view given = request.header("Authorization");
  return given.size() == wanted.size() && CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

std::optional<Reply> HttpServer::refusal(const Request& request) const {
  if (!has_good_host_count(request)) return plain(400, "Bad Request", "HTTP/1.1 has exactly one Host\n");
  // A client with the token or a certificate is no page of a stranger, so it may call this host by any name.
  const bool is_known_client = has_token(request) || asks_for_certificate_;
  if (!options_.token.empty() && !has_token(request)) return plain(401, "Unauthorized", "refused\n");
  if (!is_known_client) {
    if (const auto name = hosts_.foreign_name(request))
      return plain(
          421, "Misdirected Request",
          fmt::format("'{}' is no name of this host: the option http-names adds one, and a client that "
                      "sends the token of http-token may use any\n",
                      log::quote(*name)));
  }
  if (requester_of(request, has_tls_) == Requester::kForeignOrigin) return foreign_page();
  return std::nullopt;
}

std::variant<Reply, HttpServer::Becomes> HttpServer::answer(const Request& request, const IpAddress& source) {
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  if (auto refused = refusal(request)) {
    if (refused->status != 401) return std::move(*refused);
    if (front_ && only_reads(request)) {
      if (auto file = front_(path)) return std::move(*file);
    }
    listener_.note_without_token(source);
    return std::move(*refused);
  }
  if (requester_of(request, has_tls_) == Requester::kForeignPage) {
    // A link on another page may lead to the relay's page, but only its own page may ask for more.
    const bool is_front = front_ && only_reads(request) && front_(path);
    return is_front ? get(request, source) : foreign_page();
  }
  if (request.method == "OPTIONS") return Reply{};
  if (request.method == "POST") {
    auto reply = handler_.on_post(path, request, source);
    return reply ? std::move(*reply) : not_found();
  }
  if (!only_reads(request))
    return Reply{405, "Method Not Allowed", "text/plain", "no such method\n",
                 "Allow: GET, HEAD, POST, OPTIONS\r\n"};
  if (subprotocol_of(request)) return Becomes::kSubprotocol;
  if (request.method == "GET" && live_pages_ != nullptr && live_pages_->has(path) && may_read(source)) {
    if (live_pages_->clients() < kMostLivePages) return Becomes::kLivePage;
    return Reply{503, "Service Unavailable", "text/plain",
                 fmt::format("{} clients read live pages already\n", kMostLivePages), "Retry-After: 10\r\n"};
  }
  return get(request, source);
}

bool HttpServer::may_read(const IpAddress& source) const {
  return !options_.token.empty() || asks_for_certificate_ || source.is_loopback();
}

Reply HttpServer::get(const Request& request, const IpAddress& source) const {
  const std::string_view target = request.target;
  const std::string_view path = target.substr(0, target.find('?'));
  if (path == "/ping") return plain(200, "OK", "pong\n");
  if (!may_read(source)) return not_found();
  // A HEAD: the page itself has no end.
  if (live_pages_ != nullptr && live_pages_->has(path)) return {200, "OK", "text/event-stream", {}, {}};
  if (auto page = handler_.on_get(path)) return std::move(*page);
  auto page = pages_ ? pages_(target) : std::nullopt;
  return page ? std::move(*page) : not_found();
}

}  // namespace ferry::http
