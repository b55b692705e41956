// SPDX-License-Identifier: Apache-2.0
// The life of a connection:
//
//   start -> (first octet of TLS -> its turn -> handshake) -> requests -> finish -> end
//
// Every callback of libevent enters through on_hello, on_readable, on_written or on_event. None of them frees
// the connection; the owner does that in a later turn of the loop. `pump` is the only place that calls the
// session for requests. It stops for four reasons:
// - no complete request is there;
// - too many octets of replies are unread: on_written goes on;
// - its turn is over: the next turn of the loop goes on;
// - the source has used up its budget: the next `look` goes on.
//
// After the last reply the connection lingers: it closes its direction and reads on for a while, so that a
// reset of the kernel cannot destroy the reply.
#include "control/protocol/connections/connection.hpp"

#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

namespace ferry {

Connection::Connection(ConnectionOwner& owner, const ListenerRules& rules, Id id, FileDescriptor socket,
                       const IpAddress& source, Standing standing)
    : owner_(owner),
      rules_(rules),
      id_(id),
      socket_(std::move(socket)),
      source_(source),
      standing_(standing),
      life_(rules.life, rules.tls != nullptr, owner.now()) {}

Connection::~Connection() {
  session_.reset();
  if (stream_ != nullptr) bufferevent_free(stream_);
}

int Connection::descriptor() const { return stream_ == nullptr ? socket_.get() : bufferevent_getfd(stream_); }

void Connection::start(std::unique_ptr<Session> session) {
  session_ = std::move(session);
  if (rules_.tls == nullptr) {
    // The stream does not own the descriptor: libevent closes what it owns some time later, but a descriptor
    // has to be free at once if they ran out.
    open(bufferevent_socket_new(base(), socket_.get(), 0));
    return;
  }
  in_handshake_ = true;
  hello_.reset(event_new(
      base(), socket_.get(), EV_READ,
      [](evutil_socket_t, short, void* self) { static_cast<Connection*>(self)->on_hello(); }, this));
  if (!hello_ || event_add(hello_.get(), nullptr) != 0) end(std::nullopt);
}

void Connection::on_hello() {
  char first = 0;
  if (recv(socket_.get(), &first, 1, MSG_PEEK) == 1)
    owner_.queue_handshake(*this);
  else
    end(std::nullopt);
}

void Connection::begin_handshake() {
  if (has_ended_) return;
  hello_.reset();
  SSL* ssl = SSL_new(rules_.tls->get());
  bufferevent* stream =
      ssl == nullptr ? nullptr
                     : bufferevent_openssl_socket_new(base(), socket_.get(), ssl, BUFFEREVENT_SSL_ACCEPTING,
                                                      BEV_OPT_CLOSE_ON_FREE);
  if (stream != nullptr) socket_.release();
  open(stream);
}

void Connection::open(bufferevent* stream) {
  if (stream == nullptr) return end(std::nullopt);
  stream_ = stream;
  bufferevent_setcb(
      stream_, [](bufferevent*, void* self) { static_cast<Connection*>(self)->on_readable(); },
      [](bufferevent*, void* self) { static_cast<Connection*>(self)->on_written(); },
      [](bufferevent*, short what, void* self) { static_cast<Connection*>(self)->on_event(what); }, this);
  bufferevent_setwatermark(stream_, EV_READ, 0, kMaxInput);
  bufferevent_setwatermark(stream_, EV_WRITE, kPauseAbove / 2, 0);
  bufferevent_enable(stream_, EV_READ | EV_WRITE);
}

std::size_t Connection::unread() const {
  return stream_ == nullptr ? 0 : evbuffer_get_length(bufferevent_get_output(stream_));
}

void Connection::write(std::string_view octets) {
  if (has_ended_ || stream_ == nullptr) return;
  if (unread() > kMaxUnread) return end(CloseReason::kUnread);
  bufferevent_write(stream_, octets.data(), octets.size());
  written_ += octets.size();
}

void Connection::pump() {
  if (has_ended_ || is_finishing_ || is_throttled_ || stream_ == nullptr) return;
  evbuffer* input = bufferevent_get_input(stream_);
  for (int taken = 0; taken < kPerTurn; ++taken) {
    if (unread() > kPauseAbove) {
      is_paused_ = true;
      life_.on_pause(owner_.now());
      bufferevent_disable(stream_, EV_READ);
      return;
    }
    if (!go_on(session_->serve(input), input) || has_ended_) return;
  }
  owner_.pump_later(*this);
}

bool Connection::go_on(Progress progress, evbuffer* input) {
  switch (progress) {
    case Progress::kServed:
      life_.on_request(owner_.now());
      is_throttled_ = !owner_.on_request(*this);
      return !is_throttled_;
    case Progress::kTook:
      return true;
    case Progress::kUnfinished:
    case Progress::kNothing:
      life_.on_input(progress == Progress::kUnfinished, owner_.now());
      if (peer_is_done_) {
        session_->on_end_of_input(input);
        finish(std::nullopt);
      }
      return false;
    case Progress::kFinish:
      finish(std::nullopt);
      return false;
    case Progress::kMalformed:
      finish(CloseReason::kMalformed);
      return false;
  }
  return false;
}

void Connection::on_readable() {
  if (!is_finishing_) return pump();
  evbuffer* input = bufferevent_get_input(stream_);
  evbuffer_drain(input, evbuffer_get_length(input));
}

void Connection::on_written() {
  if (has_ended_) return;
  if (is_finishing_) return end_when_taken();
  session_->on_taken();
  if (has_ended_ || !is_paused_) return;
  is_paused_ = false;
  life_.on_resume(owner_.now());
  if (!peer_is_done_) bufferevent_enable(stream_, EV_READ);
  pump();
}

void Connection::on_event(short what) {
  if (has_ended_) return;
  if ((what & BEV_EVENT_CONNECTED) != 0) {
    in_handshake_ = false;
    life_.on_open(owner_.now());
    owner_.on_handshake();
    return;
  }
  ERR_clear_error();
  if (in_handshake_) return end(CloseReason::kHandshakeFailed);
  peer_is_done_ = true;
  // TLS takes no replies once the peer has closed its direction.
  const bool can_answer = (what & BEV_EVENT_EOF) != 0 && rules_.tls == nullptr && !linger_until_;
  if (!can_answer) return end(finish_reason_);
  if (is_finishing_) return end_when_taken();
  if (!is_paused_) pump();
}

void Connection::finish(std::optional<CloseReason> reason) {
  if (has_ended_) return;
  is_finishing_ = true;
  finish_reason_ = reason;
  end_when_taken();
}

void Connection::end_when_taken() {
  if (has_ended_ || linger_until_ || unread() != 0) return;
  if (peer_is_done_ || rules_.tls != nullptr) return end(finish_reason_);
  shutdown(descriptor(), SHUT_WR);
  linger_until_ = owner_.now() + kLinger;
  bufferevent_enable(stream_, EV_READ);
}

void Connection::look(Instant now) {
  if (has_ended_) return;
  if (linger_until_) {
    if (now >= *linger_until_) end(finish_reason_);
    return;
  }
  life_.on_output(unread(), written_ - unread(), now);
  if (const auto reason = life_.due(now)) return end(reason);
  if (is_throttled_) {
    is_throttled_ = false;
    owner_.pump_later(*this);
  }
}

void Connection::end(std::optional<CloseReason> reason) {
  if (has_ended_) return;
  has_ended_ = true;
  hello_.reset();
  if (stream_ != nullptr) {
    bufferevent_setcb(stream_, nullptr, nullptr, nullptr, nullptr);
    bufferevent_disable(stream_, EV_READ | EV_WRITE);
    SSL* ssl = rules_.tls == nullptr || in_handshake_ ? nullptr : bufferevent_openssl_get_ssl(stream_);
    if (ssl != nullptr) SSL_shutdown(ssl);
    ERR_clear_error();
  }
  owner_.on_end(*this, reason);
}

}  // namespace ferry
