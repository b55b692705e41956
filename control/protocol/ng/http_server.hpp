// NG over HTTP(S) and WebSocket (NG reference, section 1).
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/event_loop.hpp"
#include "control/protocol/ng/service.hpp"

#include <chrono>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include <event2/http.h>

struct ssl_ctx_st;

namespace ferry::ng {

/// Certificate and key of a listener. The files are PEM; the chain may hold the key.
class TlsContext {
 public:
  /// With `client_ca` clients must show a certificate of it. Throws std::runtime_error with OpenSSL's reason.
  TlsContext(const std::string& certificate, const std::string& key, const std::string& client_ca = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  [[nodiscard]] ssl_ctx_st* get() const { return context_; }
  [[nodiscard]] bool asks_for_certificate() const { return asks_for_certificate_; }

 private:
  bool asks_for_certificate_ = false;
  ssl_ctx_st* context_ = nullptr;
};

/// What a listener shows besides the protocol.
struct HttpPage {
  int status = 200;
  std::string type;
  std::string body;
};
/// By path and query; nothing if there is no such page.
using HttpPages = std::function<std::optional<HttpPage>(std::string_view target)>;

/// `POST /ng` (with cookie), `POST /ng-plain` (without), `GET /ping`, and WebSocket with the subprotocols
/// `ng.rtpengine.com`, `ng-plain.rtpengine.com`, `cli.rtpengine.com`, `echo.rtpengine.com`. Control thread
/// only.
class HttpServer {
 public:
  /// Plain HTTP without `tls`. `tls` must outlive the server. Throws std::system_error if the address cannot
  /// be bound.
  HttpServer(event_base* base, const Endpoint& local, const TlsContext* tls, NgService& service,
             SessionManager& manager, AccessList& access, std::function<Clock()> clock,
             std::chrono::seconds idle, std::string token = {});
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Shown to this host, and to others if a token or a client certificate is asked for.
  void set_pages(HttpPages pages) { pages_ = std::move(pages); }
  /// Port that was bound: for tests that ask for any.
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  class WebSocket;
  void on_request(evhttp_request* request);
  /// CTL-8: the bearer token if one is set, and no page of another site.
  [[nodiscard]] bool may(evhttp_request* request) const;
  void post(evhttp_request* request, const IpAddress& source, bool with_cookie);
  bool upgrade(evhttp_request* request, const IpAddress& source);
  void close(WebSocket& socket);
  /// Reply to one message of a subprotocol; nothing if it deserves none.
  std::optional<std::string> serve(std::string_view protocol, std::string_view message,
                                   const IpAddress& source);

  std::unique_ptr<evhttp, FreeWith<evhttp_free>> http_;
  const TlsContext* tls_;
  NgService& service_;
  SessionManager& manager_;
  AccessList& access_;
  std::function<Clock()> clock_;
  std::chrono::seconds idle_;
  std::string token_;
  HttpPages pages_;
  std::uint16_t port_ = 0;
  std::list<std::unique_ptr<WebSocket>> sockets_;
};

}  // namespace ferry::ng
