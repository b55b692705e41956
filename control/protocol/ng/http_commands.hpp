// SPDX-License-Identifier: Apache-2.0
// Serves NG over HTTP, HTTPS and WebSocket (docs/reference/ng.md#transports).
#pragma once

#include "control/protocol/http/command_handler.hpp"
#include "control/protocol/ng/service.hpp"

#include <functional>

namespace ferry::ng {

/// Serves `POST /ng` (with a cookie), `POST /ng-plain` (without), `POST /cli` (a text command), `GET
/// /cli/WORD+WORD` (one that changes nothing), and the subprotocols `ng.rtpengine.com`,
/// `ng-plain.rtpengine.com`, `cli.rtpengine.com` and `echo.rtpengine.com`. One object serves any number of
/// HTTP servers. It flushes the commands of a request before it returns the reply. Control thread only.
class HttpCommands final : public http::CommandHandler {
 public:
  /// The references must outlive this object.
  HttpCommands(NgService& service, SessionManager& manager, std::function<Clock()> clock)
      : service_(service), manager_(manager), clock_(std::move(clock)) {}

  [[nodiscard]] std::span<const std::string_view> subprotocols() const override;
  std::optional<std::string> on_message(std::string_view subprotocol, std::string_view message,
                                        const IpAddress& source) override;
  std::optional<http::Reply> on_post(std::string_view path, const http::Request& request,
                                     const IpAddress& source) override;
  std::optional<http::Reply> on_get(std::string_view path) override;

 private:
  NgService& service_;
  SessionManager& manager_;
  std::function<Clock()> clock_;
};

}  // namespace ferry::ng
