// SPDX-License-Identifier: Apache-2.0
// The two forms in which a live page is sent.
#pragma once

#include "control/protocol/connections/connection.hpp"
#include "control/protocol/http/live_page.hpp"

#include <memory>
#include <string_view>

namespace ferry::http {

/// A connection that has become a live page. Control thread only.
class LiveConnection : public LiveOutput {
 public:
  /// Sends the header of the reply. Called once, before anything else. `date` is the value of Date.
  virtual void begin(const Request& request, std::string_view date) = 0;
  /// Takes what the client sends, as `Session::serve` does. It may ask for nothing more.
  virtual Progress serve(evbuffer* input) = 0;
};

/// The form that the request asks for: messages of a WebSocket, whose texts are those of the live messages,
/// or Server-Sent Events in a reply that ends with the connection. `connection` outlives it, and is no longer
/// closed for idleness. Throws std::bad_alloc.
[[nodiscard]] std::unique_ptr<LiveConnection> make_live_connection(Connection& connection,
                                                                   const Request& request);

}  // namespace ferry::http
