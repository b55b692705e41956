// SPDX-License-Identifier: Apache-2.0
// Speaks WebSocket (RFC 6455) over a connection that HTTP has upgraded. wslay does the framing.
#pragma once

#include "control/protocol/connections/connection.hpp"
#include "control/protocol/http/request_reader.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

struct wslay_event_context;

namespace ferry::http {

/// Length and kind of a frame, as its header tells them (RFC 6455 §5.2).
struct FrameShape {
  /// Octets of the frame, its header included.
  std::uint64_t size = 0;
  bool is_control = false;
  bool is_final = false;
};
/// The shape of the frame at the front of `octets`; nothing if its header is not complete.
std::optional<FrameShape> shape_of_frame(std::string_view octets);

/// The value of Sec-WebSocket-Accept for the client's `key` (RFC 6455 §4.2.2).
std::string accept_value(std::string_view key);

/// True if the request asks for a WebSocket (RFC 6455 §4.2.1).
[[nodiscard]] bool asks_for_web_socket(const Request& request);
/// The reply that agrees to a WebSocket. `more` has further header lines, each with its CR LF.
[[nodiscard]] std::string upgrade_reply(const Request& request, std::string_view more);

/// Session that answers the messages of one subprotocol. It takes one frame at a time, once it is complete.
/// So a frame that comes slowly is late like any other request, and none is taken while replies are unread.
/// Control thread only.
class WebSocket final : public Session {
 public:
  static constexpr std::size_t kMaxMessage = 256 * 1024;  // CTL-4

  /// Returns the reply to one message; nothing if it deserves none.
  using OnMessage = std::function<std::optional<std::string>(std::string_view message)>;
  /// `connection` must outlive this object. It is no longer closed for idleness. Throws std::bad_alloc.
  WebSocket(Connection& connection, OnMessage on_message);
  ~WebSocket() override;
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  Progress serve(evbuffer* input) override;
  /// Sends a text message that nobody asked for.
  void push(std::string_view text);
  /// Sends a ping without octets.
  void ping();

 private:
  /// Answers a message with one of the same kind (`opcode`: text or binary).
  void answer(std::string_view message, std::uint8_t opcode);
  void queue(std::string_view message, std::uint8_t opcode);

  Connection& connection_;
  OnMessage on_message_;
  /// wslay's state. Owned.
  wslay_event_context* context_ = nullptr;
  /// The frame that wslay reads now, and how much of it wslay has taken.
  std::string frame_;
  std::size_t frame_taken_ = 0;
  /// Fragments of a message have come, but not its last one.
  bool in_message_ = false;
};

}  // namespace ferry::http
