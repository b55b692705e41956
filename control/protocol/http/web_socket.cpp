// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/http/web_socket.hpp"

#include <algorithm>
#include <array>
#include <new>

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <wslay/wslay.h>

namespace ferry::http {

std::optional<FrameShape> shape_of_frame(std::string_view octets) {
  if (octets.size() < 2) return std::nullopt;
  const auto octet = [&](std::size_t at) { return static_cast<std::uint8_t>(octets[at]); };
  const std::uint8_t short_size = octet(1) & 0x7f;
  const std::size_t size_octets = short_size == 127 ? 8 : short_size == 126 ? 2 : 0;
  const std::size_t mask_octets = (octet(1) & 0x80) != 0 ? 4 : 0;
  const std::size_t header = 2 + size_octets + mask_octets;
  if (octets.size() < header) return std::nullopt;
  std::uint64_t payload = size_octets == 0 ? short_size : 0;
  for (std::size_t i = 0; i < size_octets; ++i) payload = payload << 8 | octet(2 + i);
  // RFC 6455 §5.2 forbids lengths from 2^63 on; the sum must not overflow.
  const std::uint64_t size = std::min<std::uint64_t>(payload, std::uint64_t{1} << 62) + header;
  return FrameShape{size, (octet(0) & 0x08) != 0, (octet(0) & 0x80) != 0};
}

std::string accept_value(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> encoded{};
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), SHA_DIGEST_LENGTH);
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

bool asks_for_web_socket(const Request& request) {
  return request.method == "GET" && has_word(request.header("Upgrade"), "websocket") &&
         !request.header("Sec-WebSocket-Key").empty() && request.header("Sec-WebSocket-Version") == "13";
}

std::string upgrade_reply(const Request& request, std::string_view more) {
  return fmt::format(
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: {}\r\n{}\r\n",
      accept_value(request.header("Sec-WebSocket-Key")), more);
}

WebSocket::WebSocket(Connection& connection, OnMessage on_message)
    : connection_(connection), on_message_(std::move(on_message)) {
  wslay_event_callbacks callbacks{};
  callbacks.recv_callback = [](wslay_event_context* context, std::uint8_t* data, std::size_t size, int,
                               void* self) -> ssize_t {
    auto& socket = *static_cast<WebSocket*>(self);
    const std::size_t taken = socket.frame_.copy(reinterpret_cast<char*>(data), size, socket.frame_taken_);
    socket.frame_taken_ += taken;
    if (taken > 0) return static_cast<ssize_t>(taken);
    wslay_event_set_error(context, WSLAY_ERR_WOULDBLOCK);
    return -1;
  };
  callbacks.send_callback = [](wslay_event_context*, const std::uint8_t* data, std::size_t size, int,
                               void* self) -> ssize_t {
    static_cast<WebSocket*>(self)->connection_.write({reinterpret_cast<const char*>(data), size});
    return static_cast<ssize_t>(size);
  };
  callbacks.on_msg_recv_callback = [](wslay_event_context*, const wslay_event_on_msg_recv_arg* message,
                                      void* self) {
    // wslay answers pings and closes itself.
    if (wslay_is_ctrl_frame(message->opcode) != 0) return;
    static_cast<WebSocket*>(self)->answer({reinterpret_cast<const char*>(message->msg), message->msg_length},
                                          message->opcode);
  };
  // The one fault that it knows is a lack of memory.
  if (wslay_event_context_server_init(&context_, &callbacks, this) != 0) throw std::bad_alloc();
  wslay_event_config_set_max_recv_msg_length(context_, kMaxMessage);
  connection_.may_idle();
}

WebSocket::~WebSocket() { wslay_event_context_free(context_); }

void WebSocket::answer(std::string_view message, std::uint8_t opcode) {
  if (const auto reply = on_message_(message)) queue(*reply, opcode);
}

void WebSocket::queue(std::string_view message, std::uint8_t opcode) {
  const wslay_event_msg out{opcode, reinterpret_cast<const std::uint8_t*>(message.data()), message.size()};
  wslay_event_queue_msg(context_, &out);
}

void WebSocket::push(std::string_view text) {
  queue(text, WSLAY_TEXT_FRAME);
  wslay_event_send(context_);
}

void WebSocket::ping() {
  queue({}, WSLAY_PING);
  wslay_event_send(context_);
}

Progress WebSocket::serve(evbuffer* input) {
  // The longest header there is.
  std::array<char, 14> header{};
  const ev_ssize_t got = evbuffer_copyout(input, header.data(), header.size());
  if (got <= 0) return in_message_ ? Progress::kUnfinished : Progress::kNothing;
  const auto shape = shape_of_frame({header.data(), static_cast<std::size_t>(got)});
  if (!shape) return Progress::kUnfinished;
  // wslay reads only the header of a frame that is too large, and tells the peer.
  const bool is_too_large = shape->size > kMaxMessage + header.size();
  const std::size_t wanted =
      is_too_large ? static_cast<std::size_t>(got) : static_cast<std::size_t>(shape->size);
  if (evbuffer_get_length(input) < wanted) return Progress::kUnfinished;
  frame_.resize(wanted);
  evbuffer_remove(input, frame_.data(), frame_.size());
  frame_taken_ = 0;
  const bool is_broken = wslay_event_recv(context_) != 0;
  wslay_event_send(context_);
  if (wslay_event_get_close_received(context_) != 0) return Progress::kFinish;
  if (is_broken || is_too_large || wslay_event_get_close_sent(context_) != 0) return Progress::kMalformed;
  if (shape->is_control) return Progress::kTook;
  in_message_ = !shape->is_final;
  return in_message_ ? Progress::kTook : Progress::kServed;
}

}  // namespace ferry::http
