// NG over HTTP(S) and WebSocket (NG reference, section 1).
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/http/host_guard.hpp"
#include "control/protocol/http/request_reader.hpp"
#include "control/protocol/ng/service.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::ng {

/// What a listener shows besides the protocol.
struct HttpPage {
  int status = 200;
  std::string type;
  std::string body;
};
/// By path and query; nothing if there is no such page.
using HttpPages = std::function<std::optional<HttpPage>(std::string_view target)>;

struct HttpOptions {
  std::chrono::seconds idle{60};
  /// Bearer token that clients must send; empty = none is asked for.
  std::string token;
  /// Names that this host is called by, beside addresses, `localhost` and those of the certificate (CTL-13).
  std::vector<std::string> names;
};

/// `POST /ng` (with cookie), `POST /ng-plain` (without), `GET /ping`, and WebSocket with the subprotocols
/// `ng.rtpengine.com`, `ng-plain.rtpengine.com`, `cli.rtpengine.com`, `echo.rtpengine.com`. Control thread
/// only.
class HttpServer {
 public:
  /// Plain HTTP without `tls`. `tls` must outlive the server. Throws std::system_error if the address cannot
  /// be bound.
  HttpServer(Connections& connections, const Endpoint& local, const TlsContext* tls, NgService& service,
             SessionManager& manager, std::function<Clock()> clock, HttpOptions options);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Shown to this host, and to others if a token or a client certificate is asked for.
  void set_pages(HttpPages pages) { pages_ = std::move(pages); }
  /// The token is another one, or the certificate has other names.
  void renew(std::string token, const TlsContext* tls);
  /// Port that was bound: for tests that ask for any.
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  struct Reply;
  class Client;
  /// The reply that a request deserves; nothing if it is to become a WebSocket.
  std::optional<Reply> answer(const http::Request& request, const IpAddress& source);
  [[nodiscard]] bool has_token(const http::Request& request) const;
  /// CTL-8, CTL-13: what is wrong with who asks and how this host is called; nothing if all is well.
  [[nodiscard]] std::optional<Reply> refusal(const http::Request& request) const;
  Reply post(const http::Request& request, const IpAddress& source, bool with_cookie);
  Reply get(const http::Request& request, const IpAddress& source) const;
  /// Reply to one message of a subprotocol; nothing if it deserves none.
  std::optional<std::string> serve(std::string_view protocol, std::string_view message,
                                   const IpAddress& source);

  NgService& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
  HttpOptions options_;
  bool asks_for_certificate_;
  http::HostGuard hosts_;
  HttpPages pages_;
  Listener listener_;  // the clients end with it
};

}  // namespace ferry::ng
