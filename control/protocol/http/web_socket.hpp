// WebSocket (RFC 6455) over a connection that HTTP has upgraded. The framing of messages is wslay's.
#pragma once

#include "control/protocol/connections/connection.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

struct wslay_event_context;

namespace ferry::http {

/// The header of a frame tells how long it is (RFC 6455 §5.2).
struct FrameShape {
  std::uint64_t size = 0;  // with its header
  bool is_control = false;
  bool is_final = false;
};
/// Of the frame at the front of `octets`; nothing if its header is not whole.
std::optional<FrameShape> shape_of_frame(std::string_view octets);

/// RFC 6455 §4.2.2: what proves that the key was read.
std::string accept_value(std::string_view key);

/// One frame is taken at a time, when it is whole: so one that comes slowly is a late request like any other,
/// and no frame is taken while replies are unread. Control thread only.
class WebSocket final : public Session {
 public:
  static constexpr std::size_t kMaxMessage = 256 * 1024;  // CTL-4

  /// The reply to one message; nothing if it deserves none.
  using OnMessage = std::function<std::optional<std::string>(std::string_view message)>;
  WebSocket(Connection& connection, OnMessage on_message);
  ~WebSocket() override;
  WebSocket(const WebSocket&) = delete;
  WebSocket& operator=(const WebSocket&) = delete;

  Progress serve(evbuffer* input) override;

 private:
  void answer(std::string_view message, std::uint8_t opcode);

  Connection& connection_;
  OnMessage on_message_;
  wslay_event_context* context_ = nullptr;
  std::string frame_;            // that wslay reads now
  std::size_t frame_taken_ = 0;  // of it
  bool in_message_ = false;      // fragments have come, the last one has not
};

}  // namespace ferry::http
