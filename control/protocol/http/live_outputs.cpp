// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/http/live_outputs.hpp"

#include "control/protocol/http/web_socket.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace ferry::http {

namespace {

bool takes_more(const Connection& connection) { return connection.unread() <= Connection::kPauseAbove; }

/// The value of a parameter of the query; empty if there is none. Numbers need no decoding.
std::string_view in_query(std::string_view target, std::string_view name) {
  target.remove_prefix(std::min(target.find('?'), target.size()));
  while (!target.empty()) {
    target.remove_prefix(1);
    const std::string_view pair = target.substr(0, target.find('&'));
    target.remove_prefix(pair.size());
    if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return {};
}

/// Server-Sent Events (the HTML standard, "Server-sent events").
class EventStreamConnection final : public LiveConnection {
 public:
  EventStreamConnection(Connection& connection, EventStreamText& text)
      : connection_(connection), text_(text) {}

  void begin(const Request&, std::string_view date) override {
    connection_.may_idle();
    // Without X-Accel-Buffering nginx keeps messages back. Clients that lose the connection come back after
    // 2000 ms.
    connection_.write(
        fmt::format("HTTP/1.1 200 OK\r\nDate: {}\r\nContent-Type: text/event-stream\r\n"
                    "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n{}Connection: close\r\n\r\n"
                    "retry: 2000\n\n",
                    date, kReplyGuards));
  }
  Progress serve(evbuffer* input) override {
    evbuffer_drain(input, evbuffer_get_length(input));
    return Progress::kNothing;
  }
  [[nodiscard]] bool is_ready() const override { return takes_more(connection_); }
  void send(const LiveMessage& message) override { connection_.write(text_.of(message)); }
  void send_sign_of_life() override { connection_.write(":\n\n"); }

 private:
  Connection& connection_;
  EventStreamText& text_;
};

/// Text messages of a WebSocket.
class WebSocketConnection final : public LiveConnection {
 public:
  explicit WebSocketConnection(Connection& connection)
      : connection_(connection), socket_(connection, [](std::string_view) { return std::nullopt; }) {}

  void begin(const Request& request, std::string_view) override {
    connection_.write(upgrade_reply(request, {}));
  }
  Progress serve(evbuffer* input) override { return socket_.serve(input); }
  [[nodiscard]] bool is_ready() const override { return takes_more(connection_); }
  void send(const LiveMessage& message) override { socket_.push(message.text); }
  void send_sign_of_life() override { socket_.ping(); }

 private:
  Connection& connection_;
  WebSocket socket_;
};

}  // namespace

std::optional<std::uint64_t> last_event_id(const Request& request) {
  std::string_view text = request.header("Last-Event-ID");
  if (text.empty()) text = in_query(request.target, "last-event-id");
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string_view EventStreamText::of(const LiveMessage& message) {
  // The number alone does not name a message: a client that missed events is told so under the number of one.
  if (octets_.empty() || message.number != number_ || message.name != name_ || message.text != text_) {
    octets_.clear();
    number_ = message.number;
    name_ = message.name;
    text_ = message.text;
    octets_ = fmt::format("id: {}\nevent: {}\ndata: {}\n\n", message.number, message.name, message.text);
    ++made_;
  }
  return octets_;
}

std::unique_ptr<LiveConnection> make_live_connection(Connection& connection, const Request& request,
                                                     EventStreamText& text) {
  if (asks_for_web_socket(request)) return std::make_unique<WebSocketConnection>(connection);
  return std::make_unique<EventStreamConnection>(connection, text);
}

}  // namespace ferry::http
