// SPDX-License-Identifier: Apache-2.0
// The two forms in which a live page is sent.
#pragma once

#include "control/protocol/connections/connection.hpp"
#include "control/protocol/http/live_page.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace ferry::http {

/// The header lines that keep a browser from giving a reply to a page of another origin, and from taking it
/// for something else than its type says.
constexpr std::string_view kReplyGuards =
    "Cross-Origin-Resource-Policy: same-origin\r\nX-Content-Type-Options: nosniff\r\n";

/// Writes messages as Server-Sent Events, and keeps the newest text: most messages go to many clients, one
/// after another. Control thread only.
class EventStreamText {
 public:
  /// The octets of a message. They live until the next call.
  [[nodiscard]] std::string_view of(const LiveMessage& message);
  /// How many texts were made.
  [[nodiscard]] std::uint64_t made() const { return made_; }

 private:
  std::uint64_t number_ = 0;
  std::string name_;
  std::string text_;
  /// Empty before the first message.
  std::string octets_;
  std::uint64_t made_ = 0;
};

/// A connection that has become a live page. Control thread only.
class LiveConnection : public LiveOutput {
 public:
  /// Sends the header of the reply. Called once, before anything else. `date` is the value of Date.
  virtual void begin(const Request& request, std::string_view date) = 0;
  /// Takes what the client sends, as `Session::serve` does. It may ask for nothing more.
  virtual Progress serve(evbuffer* input) = 0;
};

/// The form that the request asks for: messages of a WebSocket, whose texts are those of the live messages,
/// or Server-Sent Events in a reply that ends with the connection. `connection` and `text` outlive it, and
/// the connection is no longer closed for idleness. Throws std::bad_alloc.
[[nodiscard]] std::unique_ptr<LiveConnection> make_live_connection(Connection& connection,
                                                                   const Request& request,
                                                                   EventStreamText& text);

}  // namespace ferry::http
