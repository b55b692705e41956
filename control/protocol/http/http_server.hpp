// SPDX-License-Identifier: Apache-2.0
// One listener for HTTP or HTTPS with WebSocket. What it serves comes from a `CommandHandler` and a
// `PageSource`.
#pragma once

#include "control/protocol/connections/connections.hpp"
#include "control/protocol/http/command_handler.hpp"
#include "control/protocol/http/host_guard.hpp"
#include "control/protocol/http/live_outputs.hpp"
#include "control/protocol/http/live_page.hpp"
#include "control/protocol/http/request_reader.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ferry::http {

/// Returns the page for GET and HEAD by the request's path and query; nothing if there is no such page.
using PageSource = std::function<std::optional<Reply>(std::string_view target)>;

/// Returns a file that says nothing of calls, such as the script of the web page; nothing if there is no such
/// file.
using FrontSource = std::function<std::optional<Reply>(std::string_view path)>;

/// Settings of a listener, from the configuration.
struct HttpOptions {
  /// Time without a request after which a connection is closed; zero = never.
  std::chrono::seconds idle{60};
  /// Bearer token that clients must send (RFC 6750); empty = no token is needed.
  std::string token;
  /// Names that this host may be called by, beside addresses, `localhost` and the names of the certificate
  /// (CTL-13).
  std::vector<std::string> names;
};

/// Serves `GET /ping`, the pages, the commands that are posted, and WebSocket with the subprotocols of the
/// handler. Control thread only.
class HttpServer {
 public:
  /// The most clients that read live pages, over all listeners (CTL-12): each message goes to each of them.
  /// One more gets 503.
  static constexpr std::size_t kMostLivePages = 32;

  /// Binds `local`. `tls` null = HTTP, else HTTPS. `connections`, `tls` and `handler` must outlive the
  /// server. `clock` gives the date of replies. Throws std::system_error if the address cannot be bound.
  HttpServer(Connections& connections, const Endpoint& local, const TlsContext* tls, CommandHandler& handler,
             std::function<WallTime()> clock, HttpOptions options);
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// Sets the pages. They are shown to loopback, and to other clients only if a token or a client certificate
  /// is asked for (CTL-8). Without this call there are none.
  void set_pages(PageSource pages) { pages_ = std::move(pages); }
  /// Sets the live pages, which go to the same clients. They outlive the server. Without this call there are
  /// none.
  void set_live_pages(LivePages& pages) { live_pages_ = &pages; }
  /// Sets the files that a client gets without the token, if one is asked for: a browser has none before it
  /// has loaded the page that asks for it (CTL-8). Without this call there are none.
  void set_front(FrontSource front) { front_ = std::move(front); }
  /// Takes a new token, and the names of a new certificate. `tls` may be null, as at the construction.
  void renew(std::string token, const TlsContext* tls);
  /// The port that was bound, for tests that bind port 0.
  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

 private:
  class Client;
  /// What a connection becomes after a request: a WebSocket with a subprotocol, or a live page.
  enum class Becomes : std::uint8_t { kSubprotocol, kLivePage };
  /// Returns the reply to a request, or what the connection becomes instead.
  std::variant<Reply, Becomes> answer(const Request& request, const IpAddress& source);
  /// True if the client may read about calls: those of other hosts only with a secret (CTL-8).
  [[nodiscard]] bool may_read(const IpAddress& source) const;
  /// The subprotocol that a request for WebSocket gets; nothing if it is no such request, or names none that
  /// the handler speaks.
  [[nodiscard]] std::optional<std::string_view> subprotocol_of(const Request& request) const;
  /// True if a token is asked for and the request has it. The comparison takes constant time.
  [[nodiscard]] bool has_token(const Request& request) const;
  /// The reply that refuses a request for its token (CTL-8), for the name that it calls this host by, or for
  /// the origin of the page that sends it (CTL-13); nothing if all is well. A client with the token or a
  /// certificate may use any name.
  [[nodiscard]] std::optional<Reply> refusal(const Request& request) const;
  /// The reply to GET and HEAD: `/ping`, a page, or 404.
  Reply get(const Request& request, const IpAddress& source) const;

  CommandHandler& handler_;
  std::function<WallTime()> clock_;
  HttpOptions options_;
  bool has_tls_;
  bool asks_for_certificate_;
  HostGuard hosts_;
  PageSource pages_;
  /// Null if there are none.
  LivePages* live_pages_ = nullptr;
  EventStreamText live_text_;
  FrontSource front_;
  /// Declared last: destroying it ends the clients, which use the members above.
  Listener listener_;
};

}  // namespace ferry::http
