// SPDX-License-Identifier: Apache-2.0
// The interface between the HTTP server and the protocols that are posted to it or spoken over its
// WebSockets.
#pragma once

#include "control/protocol/http/request_reader.hpp"
#include "relay/base/address.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace ferry::http {

/// A reply to one request. The server adds date, length and whether the connection stays open.
struct Reply {
  int status = 200;
  /// Reason phrase of the status line. The text must live as long as the program.
  std::string_view reason = "OK";
  /// Value of Content-Type.
  std::string type = "text/plain";
  std::string body;
  /// Further header lines, each with its CR LF; empty = none. The text must live as long as the program.
  std::string_view headers;
};

/// Implemented by a protocol. The server checks the source, the token and the host name before it calls.
/// Control thread only.
class CommandHandler {
 public:
  virtual ~CommandHandler() = default;
  /// Names of the WebSocket subprotocols that it speaks, the preferred one first. They live as long as the
  /// handler.
  [[nodiscard]] virtual std::span<const std::string_view> subprotocols() const = 0;
  /// Returns the reply to one message of a subprotocol; nothing if it deserves none. `source` is the client's
  /// address.
  virtual std::optional<std::string> on_message(std::string_view subprotocol, std::string_view message,
                                                const IpAddress& source) = 0;
  /// Returns the reply to a POST; `path` is the target without its query. Nothing if the handler does not
  /// serve that path.
  virtual std::optional<Reply> on_post(std::string_view path, const Request& request,
                                       const IpAddress& source) = 0;
  /// Returns the page of a GET, which changes nothing; `path` is the target without its query. Nothing if the
  /// handler does not serve that path. Not called for clients that may not read about calls (CTL-8).
  virtual std::optional<Reply> on_get(std::string_view path) = 0;
};

}  // namespace ferry::http
