#include "control/protocol/ng/http_server.hpp"

#include "control/protocol/ng/text_command.hpp"
#include "control/sdp/sdp.hpp"
#include "relay/io/portable/socket_address.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <system_error>

#include <event2/bufferevent_ssl.h>
#include <event2/keyvalq_struct.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <wslay/wslay.h>

namespace ferry::ng {

namespace {

constexpr std::size_t kMaxBody = 256 * 1024;
constexpr std::size_t kMaxHeaders = 16 * 1024;
constexpr std::size_t kMaxSockets = 256;
constexpr std::array<std::string_view, 4> kProtocols = {"ng.rtpengine.com", "ng-plain.rtpengine.com",
                                                        "cli.rtpengine.com", "echo.rtpengine.com"};

std::string_view header(evhttp_request* request, const char* name) {
  const char* value = evhttp_find_header(evhttp_request_get_input_headers(request), name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

bool contains_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const auto comma = std::min(list.find(','), list.size());
    std::string_view each = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (each.starts_with(' ')) each.remove_prefix(1);
    while (each.ends_with(' ')) each.remove_suffix(1);
    if (sdp::equal_ignoring_case(each, word)) return true;
  }
  return false;
}

/// RFC 6455 §4.2.2: what proves that the key was read.
std::string accept_value(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> encoded{};
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

void reply(evhttp_request* request, int code, const char* reason, const char* type, std::string_view body) {
  evkeyvalq* headers = evhttp_request_get_output_headers(request);
  evhttp_add_header(headers, "Content-Type", type);
  evbuffer* out = evhttp_request_get_output_buffer(request);
  evbuffer_add(out, body.data(), body.size());
  evhttp_send_reply(request, code, reason, nullptr);
}

void not_found(evhttp_request* request) { reply(request, 404, "Not found", "text/plain", "not found\n"); }

}  // namespace

TlsContext::TlsContext(const std::string& certificate, const std::string& key, const std::string& client_ca)
    : context_(SSL_CTX_new(TLS_server_method())) {
  const auto refuse = [&](const std::string& what) {
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    SSL_CTX_free(context_);
    throw std::runtime_error(what + ": " + reason.data());
  };
  if (context_ == nullptr) refuse("TLS");
  SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
  if (SSL_CTX_use_certificate_chain_file(context_, certificate.c_str()) != 1)
    refuse("https-cert " + certificate);
  const std::string& key_file = key.empty() ? certificate : key;
  if (SSL_CTX_use_PrivateKey_file(context_, key_file.c_str(), SSL_FILETYPE_PEM) != 1)
    refuse("https-key " + key_file);
  if (SSL_CTX_check_private_key(context_) != 1) refuse("https-key " + key_file);
  asks_for_certificate_ = !client_ca.empty();
  if (client_ca.empty()) return;
  if (SSL_CTX_load_verify_locations(context_, client_ca.c_str(), nullptr) != 1)
    refuse("https-client-ca " + client_ca);
  SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

/// One connection after the upgrade. The framing is wslay's; octets go through the bufferevent that evhttp
/// made.
class HttpServer::WebSocket {
 public:
  WebSocket(HttpServer& server, evhttp_connection* connection, std::string_view protocol,
            const IpAddress& source)
      : server_(server),
        connection_(connection),
        stream_(evhttp_connection_get_bufferevent(connection)),
        protocol_(protocol),
        source_(source) {
    wslay_event_callbacks callbacks{};
    callbacks.recv_callback = [](wslay_event_context*, std::uint8_t* data, std::size_t size, int,
                                 void* self) -> ssize_t {
      evbuffer* input = bufferevent_get_input(static_cast<WebSocket*>(self)->stream_);
      const int n = evbuffer_remove(input, data, size);
      if (n > 0) return n;
      wslay_event_set_error(static_cast<WebSocket*>(self)->context_, WSLAY_ERR_WOULDBLOCK);
      return -1;
    };
    callbacks.send_callback = [](wslay_event_context*, const std::uint8_t* data, std::size_t size, int,
                                 void* self) -> ssize_t {
      bufferevent_write(static_cast<WebSocket*>(self)->stream_, data, size);
      return static_cast<ssize_t>(size);
    };
    callbacks.on_msg_recv_callback = [](wslay_event_context*, const wslay_event_on_msg_recv_arg* message,
                                        void* self) { static_cast<WebSocket*>(self)->on_message(*message); };
    wslay_event_context_server_init(&context_, &callbacks, this);
    wslay_event_config_set_max_recv_msg_length(context_, kMaxBody);
    bufferevent_setcb(
        stream_, [](bufferevent*, void* self) { static_cast<WebSocket*>(self)->on_readable(); },
        [](bufferevent*, void* self) { static_cast<WebSocket*>(self)->on_written(); },
        [](bufferevent*, short, void* self) {
          auto* socket = static_cast<WebSocket*>(self);
          socket->server_.close(*socket);
        },
        this);
    // Frames may wait behind the request already; clients that only listen must not be cut off.
    bufferevent_set_timeouts(stream_, nullptr, nullptr);
    bufferevent_enable(stream_, EV_READ | EV_WRITE);
  }
  ~WebSocket() {
    wslay_event_context_free(context_);
    bufferevent_setcb(stream_, nullptr, nullptr, nullptr, nullptr);
    evhttp_connection_free(connection_);
  }
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  void write(std::string_view octets) { bufferevent_write(stream_, octets.data(), octets.size()); }

  void on_readable() {
    const bool broken = wslay_event_recv(context_) != 0;
    wslay_event_send(context_);
    const bool done = wslay_event_get_close_received(context_) != 0 && wslay_event_want_write(context_) == 0;
    if (broken || done) closing_ = true;
    if (closing_ && evbuffer_get_length(bufferevent_get_output(stream_)) == 0) server_.close(*this);
  }

 private:
  void on_written() {
    if (closing_) server_.close(*this);
  }

  void on_message(const wslay_event_on_msg_recv_arg& message) {
    if (wslay_is_ctrl_frame(message.opcode) != 0) return;  // wslay answers pings and closes
    const std::string_view text(reinterpret_cast<const char*>(message.msg), message.msg_length);
    const auto answer = server_.serve(protocol_, text, source_);
    if (!answer) return;
    const wslay_event_msg out{message.opcode, reinterpret_cast<const std::uint8_t*>(answer->data()),
                              answer->size()};
    wslay_event_queue_msg(context_, &out);
  }

  HttpServer& server_;
  evhttp_connection* connection_;
  bufferevent* stream_;
  std::string protocol_;
  IpAddress source_;
  wslay_event_context* context_ = nullptr;
  bool closing_ = false;
};

HttpServer::HttpServer(event_base* base, const Endpoint& local, const TlsContext* tls, NgService& service,
                       SessionManager& manager, AccessList& access, std::function<Clock()> clock,
                       std::chrono::seconds idle, std::string token)
    : http_(evhttp_new(base)),
      tls_(tls),
      service_(service),
      manager_(manager),
      access_(access),
      clock_(std::move(clock)),
      idle_(idle),
      token_(std::move(token)) {
  evhttp_set_max_body_size(http_.get(), kMaxBody);
  evhttp_set_max_headers_size(http_.get(), kMaxHeaders);
  evhttp_set_allowed_methods(http_.get(),
                             EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST | EVHTTP_REQ_OPTIONS);
  if (idle_.count() > 0) evhttp_set_timeout(http_.get(), static_cast<int>(idle_.count()));
  if (tls_ != nullptr) {
    evhttp_set_bevcb(
        http_.get(),
        [](event_base* b, void* self) -> bufferevent* {
          SSL* ssl = SSL_new(static_cast<HttpServer*>(self)->tls_->get());
          return bufferevent_openssl_socket_new(b, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
        },
        this);
  }
  evhttp_set_gencb(
      http_.get(),
      [](evhttp_request* request, void* self) { static_cast<HttpServer*>(self)->on_request(request); }, this);
  evhttp_bound_socket* socket =
      evhttp_bind_socket_with_handle(http_.get(), local.address.to_string().c_str(), local.port.value);
  if (socket == nullptr)
    throw std::system_error(errno, std::generic_category(), "NG listener http " + local.to_string());
  SocketAddress bound;
  getsockname(evhttp_bound_socket_get_fd(socket), bound.get(), bound.size_pointer());
  port_ = bound.endpoint().port.value;
}

HttpServer::~HttpServer() { sockets_.clear(); }

void HttpServer::close(WebSocket& socket) {
  sockets_.remove_if([&](const auto& each) { return each.get() == &socket; });
}

std::optional<std::string> HttpServer::serve(std::string_view protocol, std::string_view message,
                                             const IpAddress& source) {
  if (!access_.admit(source, clock_().now)) return std::nullopt;
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

bool HttpServer::may(evhttp_request* request) const {
  if (!token_.empty()) {
    const std::string wanted = "Bearer " + token_;
    const std::string_view given = header(request, "Authorization");
    if (given.size() != wanted.size() || CRYPTO_memcmp(given.data(), wanted.data(), wanted.size()) != 0)
      return false;
  }
  // A browser names the page that asks; programs name none.
  std::string_view origin = header(request, "Origin");
  if (origin.empty()) return true;
  if (const auto scheme = origin.find("://"); scheme != std::string_view::npos)
    origin.remove_prefix(scheme + 3);
  const auto host_of = [](std::string_view text) {
    const auto bracket = text.starts_with('[') ? text.find(']') : std::string_view::npos;
    return bracket != std::string_view::npos ? text.substr(0, bracket + 1) : text.substr(0, text.find(':'));
  };
  return sdp::equal_ignoring_case(host_of(origin), host_of(header(request, "Host")));
}

void HttpServer::on_request(evhttp_request* request) {
  char* host = nullptr;
  std::uint16_t port = 0;
  evhttp_connection_get_peer(evhttp_request_get_connection(request), &host, &port);
  const auto source = host == nullptr ? std::nullopt : IpAddress::parse(host);
  if (!source || !access_.admit(*source, clock_().now)) {
    reply(request, 403, "Forbidden", "text/plain", "forbidden\n");
    return;
  }
  if (!may(request)) {
    reply(request, token_.empty() ? 403 : 401, "Refused", "text/plain", "refused\n");
    return;
  }
  const std::string_view uri = evhttp_request_get_uri(request);
  const std::string_view path = uri.substr(0, uri.find('?'));
  switch (evhttp_request_get_command(request)) {
    case EVHTTP_REQ_OPTIONS:
      reply(request, 200, "OK", "text/plain", "");
      return;
    case EVHTTP_REQ_POST:
      if (path == "/ng" || path == "/ng-plain") {
        post(request, *source, path == "/ng");
        return;
      }
      not_found(request);
      return;
    default:
      if (contains_word(header(request, "Upgrade"), "websocket") && upgrade(request, *source)) return;
      if (path == "/ping") {
        reply(request, 200, "OK", "text/plain", "pong\n");
        return;
      }
      if (pages_) {
        // Beyond this host nobody reads about calls without a secret (CTL-8).
        const bool has_secret = !token_.empty() || (tls_ != nullptr && tls_->asks_for_certificate());
        const auto page = has_secret || source->is_loopback() ? pages_(uri) : std::nullopt;
        if (page) {
          reply(request, page->status, page->status == 200 ? "OK" : "Failed", page->type.c_str(), page->body);
          return;
        }
      }
      not_found(request);
      return;
  }
}

void HttpServer::post(evhttp_request* request, const IpAddress& source, bool with_cookie) {
  const std::string_view type = header(request, "Content-Type");
  const bool is_ng = sdp::equal_ignoring_case(type, "application/x-rtpengine-ng");
  const bool is_json = !with_cookie && sdp::equal_ignoring_case(type, "application/json");
  if ((!is_ng && !is_json) || header(request, "Content-Length").empty()) {
    not_found(request);
    return;
  }
  evbuffer* input = evhttp_request_get_input_buffer(request);
  const std::size_t size = evbuffer_get_length(input);
  const std::string_view body =
      size == 0 ? std::string_view()
                : std::string_view(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), size);
  const auto answer = with_cookie ? service_.handle_stream(body, source)
                                  : std::optional<std::string>(service_.handle_document(body, source));
  manager_.flush(clock_());
  if (!answer) {
    reply(request, 400, "Bad request", "text/plain", "no cookie\n");
    return;
  }
  reply(request, 200, "OK", is_json ? "application/json" : "application/x-rtpengine-ng", *answer);
}

bool HttpServer::upgrade(evhttp_request* request, const IpAddress& source) {
  const std::string_view key = header(request, "Sec-WebSocket-Key");
  const std::string_view offered = header(request, "Sec-WebSocket-Protocol");
  const auto protocol =
      std::ranges::find_if(kProtocols, [&](std::string_view p) { return contains_word(offered, p); });
  if (key.empty() || protocol == kProtocols.end() || header(request, "Sec-WebSocket-Version") != "13" ||
      sockets_.size() >= kMaxSockets) {
    return false;
  }
  const std::string head =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
      "Upgrade\r\nSec-WebSocket-Accept: " +
      accept_value(key) + "\r\nSec-WebSocket-Protocol: " + std::string(*protocol) + "\r\n\r\n";
  evhttp_connection* connection = evhttp_request_get_connection(request);
  evhttp_connection_set_closecb(connection, nullptr, nullptr);
  auto socket = std::make_unique<WebSocket>(*this, connection, *protocol, source);
  socket->write(head);
  WebSocket& placed = *sockets_.emplace_back(std::move(socket));
  placed.on_readable();
  return true;
}

}  // namespace ferry::ng
