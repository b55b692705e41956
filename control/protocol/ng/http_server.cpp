// A client's session is a RequestReader until a request asks for WebSocket, and a WebSocket from then on.
// Each request goes through `refusal` first, whatever its path and method.
#include "control/protocol/ng/http_server.hpp"

#include "control/log/log.hpp"
#include "control/protocol/http/web_socket.hpp"
#include "control/protocol/ng/text_command.hpp"
#include "control/protocol/stream_listener.hpp"
#include "control/sdp/sdp.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>

#include <fmt/format.h>
#include <openssl/crypto.h>

namespace ferry::ng {

namespace {

constexpr std::array<std::string_view, 4> kProtocols = {"ng.rtpengine.com", "ng-plain.rtpengine.com",
                                                        "cli.rtpengine.com", "echo.rtpengine.com"};
constexpr std::string_view kText = "text/plain";

/// RFC 9110 §5.6.7.
std::string date_of(WallTime now) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(
      std::chrono::time_point_cast<std::chrono::system_clock::duration>(now));
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

/// A request for WebSocket with a subprotocol of ours.
std::optional<std::string_view> wanted_protocol(const http::Request& request) {
  if (request.method != "GET" || !http::has_word(request.header("Upgrade"), "websocket") ||
      request.header("Sec-WebSocket-Key").empty() || request.header("Sec-WebSocket-Version") != "13")
    return std::nullopt;
  const std::string_view offered = request.header("Sec-WebSocket-Protocol");
  const auto found =
      std::ranges::find_if(kProtocols, [&](std::string_view each) { return http::has_word(offered, each); });
  return found == kProtocols.end() ? std::nullopt : std::optional(*found);
}

/// The page that asks (Origin) is of the host that it asks. A browser names the page; programs name none.
bool is_own_page(const http::Request& request) {
  std::string_view origin = request.header("Origin");
  if (origin.empty()) return true;
  if (const auto scheme = origin.find("://"); scheme != std::string_view::npos)
    origin.remove_prefix(scheme + 3);
  const auto from = http::host_of(origin);
  const auto to = http::host_of(request.header("Host"));
  return from && to && sdp::equal_ignoring_case(*from, *to);
}

std::vector<std::string> all_names(const TlsContext* tls, std::vector<std::string> names) {
  if (tls == nullptr) return names;
  const auto certified = tls->names();
  names.insert(names.end(), certified.begin(), certified.end());
  return names;
}

}  // namespace

struct HttpServer::Reply {
  int status = 200;
  std::string_view reason = "OK";
  std::string type = std::string(kText);
  std::string body;
  std::string_view extra;  // further header lines, each with its end

  static Reply not_found() { return {404, "Not Found", std::string(kText), "not found\n", {}}; }

  [[nodiscard]] std::string text(bool with_body, bool stays_open, WallTime now) const {
    return fmt::format(
        "HTTP/1.1 {} {}\r\nDate: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: {}\r\n{}\r\n{}",
        status, reason, date_of(now), type, body.size(), stays_open ? "keep-alive" : "close", extra,
        with_body ? std::string_view(body) : std::string_view());
  }
};

class HttpServer::Client final : public Session {
 public:
  Client(HttpServer& server, Connection& connection) : server_(server), connection_(connection) {}

  Progress serve(evbuffer* input) override {
    if (web_socket_) return web_socket_->serve(input);
    const std::size_t available = evbuffer_get_length(input);
    if (available == 0) return Progress::kNothing;
    const std::string_view text(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), available);
    // Empty lines before a request (RFC 9112 §2.2).
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

 private:
  Progress answer(const http::Request& request) {
    const auto reply = server_.answer(request, connection_.source());
    if (!reply) {
      upgrade(request);
      return Progress::kServed;
    }
    const bool stays_open = request.stays_open();
    connection_.write(reply->text(request.method != "HEAD", stays_open, server_.clock_().wall));
    return stays_open ? Progress::kServed : Progress::kFinish;
  }

  void refuse(http::RequestError error) {
    const std::string_view reason = to_string(error);
    const Reply reply{static_cast<int>(error), reason, std::string(kText), fmt::format("{}\n", reason), {}};
    connection_.write(reply.text(true, false, server_.clock_().wall));
  }

  void upgrade(const http::Request& request) {
    const std::string_view protocol = *wanted_protocol(request);
    connection_.write(
        fmt::format("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                    "Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: {}\r\n\r\n",
                    http::accept_value(request.header("Sec-WebSocket-Key")), protocol));
    web_socket_ = std::make_unique<http::WebSocket>(connection_, [this, protocol](std::string_view message) {
      return server_.serve(protocol, message, connection_.source());
    });
  }

  HttpServer& server_;
  Connection& connection_;
  http::RequestReader reader_;
  std::unique_ptr<http::WebSocket> web_socket_;
};

HttpServer::HttpServer(Connections& connections, const Endpoint& local, const TlsContext* tls,
                       NgService& service, SessionManager& manager, std::function<Clock()> clock,
                       HttpOptions options)
    : service_(service),
      manager_(manager),
      clock_(std::move(clock)),
      options_(std::move(options)),
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
  hosts_ = http::HostGuard(all_names(tls, options_.names));
}

std::optional<std::string> HttpServer::serve(std::string_view protocol, std::string_view message,
                                             const IpAddress& source) {
  std::optional<std::string> answer;
  if (protocol == kProtocols[0]) {
    answer = service_.handle_stream(message, source);
  } else if (protocol == kProtocols[1]) {
    answer = service_.handle_document(message, source);
  } else if (protocol == kProtocols[2]) {
    answer = run_text_command(message, manager_, service_, clock_());
  } else {
    answer = std::string(message);
  }
  manager_.flush(clock_());
  return answer;
}

bool HttpServer::has_token(const http::Request& request) const {
  if (options_.token.empty()) return false;
  const std::string wanted = "Bearer " + options_.token;
  const std::string_view given = request.header("Authorization");
  return given.size() == wanted.size() && CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) == 0;
}

std::optional<HttpServer::Reply> HttpServer::refusal(const http::Request& request) const {
  const auto refuse = [](int status, std::string_view reason, std::string text) {
    return Reply{status, reason, std::string(kText), std::move(text), {}};
  };
  if (!http::has_good_host_count(request))
    return refuse(400, "Bad Request", "HTTP/1.1 has exactly one Host\n");
  const bool is_known_client = has_token(request) || asks_for_certificate_;
  if (!options_.token.empty() && !has_token(request)) return refuse(401, "Unauthorized", "refused\n");
  if (!is_known_client) {
    if (const auto name = hosts_.foreign_name(request))
      return refuse(
          421, "Misdirected Request",
          fmt::format("'{}' is no name of this host: the option http-names adds one, and a client that "
                      "sends the token of http-token may use any\n",
                      log::quote(*name)));
  }
  if (!is_own_page(request)) return refuse(403, "Forbidden", "refused: the page is of another site\n");
  return std::nullopt;
}

std::optional<HttpServer::Reply> HttpServer::answer(const http::Request& request, const IpAddress& source) {
  if (auto refused = refusal(request)) {
    if (refused->status == 401) listener_.note_without_token(source);
    return refused;
  }
  const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  if (request.method == "OPTIONS") return Reply{};
  if (request.method == "POST") {
    return path == "/ng" || path == "/ng-plain" ? post(request, source, path == "/ng") : Reply::not_found();
  }
  if (request.method != "GET" && request.method != "HEAD")
    return Reply{405, "Method Not Allowed", std::string(kText), "no such method\n",
                 "Allow: GET, HEAD, POST, OPTIONS\r\n"};
  if (wanted_protocol(request)) return std::nullopt;
  return get(request, source);
}

HttpServer::Reply HttpServer::get(const http::Request& request, const IpAddress& source) const {
  const std::string_view target = request.target;
  if (target.substr(0, target.find('?')) == "/ping") return {200, "OK", std::string(kText), "pong\n", {}};
  // Beyond this host nobody reads about calls without a secret (CTL-8).
  const bool may_read = !options_.token.empty() || asks_for_certificate_ || source.is_loopback();
  auto page = pages_ && may_read ? pages_(target) : std::nullopt;
  if (!page) return Reply::not_found();
  return {
      page->status, page->status == 200 ? "OK" : "Failed", std::move(page->type), std::move(page->body), {}};
}

HttpServer::Reply HttpServer::post(const http::Request& request, const IpAddress& source, bool with_cookie) {
  const std::string_view type = request.header("Content-Type");
  const bool is_ng = sdp::equal_ignoring_case(type, "application/x-rtpengine-ng");
  const bool is_json = !with_cookie && sdp::equal_ignoring_case(type, "application/json");
  if ((!is_ng && !is_json) || !request.has_header("Content-Length")) return Reply::not_found();
  auto reply = with_cookie ? service_.handle_stream(request.body, source)
                           : std::optional(service_.handle_document(request.body, source));
  manager_.flush(clock_());
  if (!reply) return {400, "Bad Request", std::string(kText), "no cookie\n", {}};
  return {200, "OK", is_json ? "application/json" : "application/x-rtpengine-ng", std::move(*reply), {}};
}

}  // namespace ferry::ng
