// SPDX-License-Identifier: Apache-2.0
// Pages without an end: the server sends a message whenever there is one, as Server-Sent Events (the HTML
// standard, "Server-sent events") or over a WebSocket.
#pragma once

#include "control/protocol/http/command_handler.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <variant>

namespace ferry::http {

/// One message of a live page. Borrowed for the call that takes it.
struct LiveMessage {
  /// The client that comes back names the last one that it got.
  std::uint64_t number = 0;
  /// A word that says what it is about.
  std::string_view name;
  /// One line, without the end of the line.
  std::string_view text;
};

/// Where the messages for one client go. Given by the server. Control thread only.
class LiveOutput {
 public:
  virtual ~LiveOutput() = default;
  /// False while much waits for the client. Nothing should be sent then; `LiveFeed::go_on` is called later.
  [[nodiscard]] virtual bool is_ready() const = 0;
  virtual void send(const LiveMessage& message) = 0;
  /// Sends something without a meaning, so that nobody on the way takes the silence for the end.
  virtual void send_sign_of_life() = 0;
};

/// What one client of a live page gets. It ends with the connection.
class LiveFeed {
 public:
  virtual ~LiveFeed() = default;
  /// Sends what there is, as long as the output is ready. Called at the start, and whenever it becomes ready.
  virtual void go_on() = 0;
};

/// Makes live pages. The server checks the source, the token and the host name before it calls, and whether
/// the client may read about calls (CTL-8). Control thread only.
class LivePages {
 public:
  virtual ~LivePages() = default;
  /// True if there is a live page at `path`, the target without its query.
  [[nodiscard]] virtual bool has(std::string_view path) const = 0;
  /// The feed of a new client, or the reply that says what is wrong with the request. `target` is the path
  /// with its query. `last` is the number of the last message that the client has; unset if it is new.
  /// `output` outlives the feed.
  virtual std::variant<std::unique_ptr<LiveFeed>, Reply> open(std::string_view target,
                                                              std::optional<std::uint64_t> last,
                                                              LiveOutput& output) = 0;
  /// Feeds that live now, those of other listeners included.
  [[nodiscard]] virtual std::size_t clients() const = 0;
};

/// The number in `Last-Event-ID`, or in `last-event-id` of the query, for clients that cannot set headers.
/// Nothing if there is none.
[[nodiscard]] std::optional<std::uint64_t> last_event_id(const Request& request);

}  // namespace ferry::http
