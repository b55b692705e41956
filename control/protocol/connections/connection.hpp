// SPDX-License-Identifier: Apache-2.0
// One connection of a control protocol, with bounds on memory, time and turns that hold for every protocol
// (CTL-12).
#pragma once

#include "control/protocol/connections/connection_life.hpp"
#include "control/protocol/connections/connection_table.hpp"
#include "control/protocol/connections/listener_rules.hpp"
#include "control/protocol/event_loop.hpp"
#include "relay/base/file_descriptor.hpp"

#include <memory>
#include <optional>
#include <string_view>

namespace ferry {

class Connection;

/// Result of `Session::serve`.
enum class Progress : std::uint8_t {
  /// It took a whole request.
  kServed,
  /// It took something that is no whole request: a blank line, a control frame or a fragment.
  kTook,
  /// It took nothing: a request has begun, and its rest has not come yet.
  kUnfinished,
  /// It took nothing: no request has begun.
  kNothing,
  /// It took the last request. The connection ends once the reply has been sent.
  kFinish,
  /// The input is no request. The connection ends once the reply, if there is one, has been sent.
  kMalformed
};

/// Speaks the protocol of one connection. Owned by the connection, which it may use while it lives. Control
/// thread only.
class Session {
 public:
  virtual ~Session() = default;
  /// Takes at most one request off the front of `input` and writes its reply with `Connection::write`. Leaves
  /// what is not complete.
  virtual Progress serve(evbuffer* input) = 0;
  /// Called if most of what was written has left, so that more may be written.
  virtual void on_taken() {}
  /// Called if the peer closed its direction. `input` has what `serve` left; a reply can still be written.
  virtual void on_end_of_input(evbuffer* /*input*/) {}
};

/// What a connection needs of its owner. Implemented by `Connections`, and by tests. Control thread only.
class ConnectionOwner {
 public:
  /// The event loop that serves the connection. Never null.
  [[nodiscard]] virtual event_base* base() const = 0;
  /// The present time, on a monotonic clock.
  [[nodiscard]] virtual Instant now() const = 0;
  /// Called for each whole request. False if the source has used up its budget (CTL-5): the connection then
  /// takes no more requests until the next `look`.
  virtual bool on_request(const Connection& connection) = 0;
  /// Makes the owner call `Connection::pump` in the next turn of the event loop.
  virtual void pump_later(const Connection& connection) = 0;
  /// Makes the owner call `Connection::begin_handshake` when the budget of handshakes allows it.
  virtual void queue_handshake(const Connection& connection) = 0;
  /// Called when a TLS handshake is complete.
  virtual void on_handshake() = 0;
  /// Called once, when the connection has ended; `reason` is unset if the relay did not close it for a reason
  /// of its own. The owner frees the connection in a later turn of the event loop, never in this call.
  virtual void on_end(const Connection& connection, std::optional<CloseReason> reason) = 0;

 protected:
  ~ConnectionOwner() = default;
};

/// Reads, writes and ends one stream. It reads nothing while many replies are unread, so a client that does
/// not read holds little more memory than one reply. Owned by a `ConnectionOwner`. Control thread only.
class Connection {
 public:
  using Id = ConnectionTable::Id;
  /// No request is taken while more octets of replies than this are unread.
  static constexpr std::size_t kPauseAbove = 64 * 1024;
  /// If more octets of replies than this are unread, nothing more is written and the connection ends.
  static constexpr std::size_t kMaxUnread = 1024 * 1024;
  /// Most octets that are read before a request is taken: the largest request (CTL-4) with its header.
  static constexpr std::size_t kMaxInput = 320 * 1024;
  /// Requests that are taken in one turn, before other connections get theirs.
  static constexpr int kPerTurn = 32;
  /// Time after the last reply in which input is read and thrown away. Without it the kernel would answer
  /// late input with a reset, which could destroy the reply on its way.
  static constexpr std::chrono::seconds kLinger{1};

  /// `owner` and `rules` must outlive the connection. `socket` is non-blocking and owned from now on. `id` is
  /// the place in the table, `standing` what `source` is to the bounds.
  Connection(ConnectionOwner& owner, const ListenerRules& rules, Id id, FileDescriptor socket,
             const IpAddress& source, Standing standing);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // For sessions. `source` is the peer's address, loopback for a Unix socket.
  [[nodiscard]] const IpAddress& source() const { return source_; }
  /// The socket's descriptor. The connection keeps it.
  [[nodiscard]] int descriptor() const;
  [[nodiscard]] event_base* base() const { return owner_.base(); }
  /// Queues octets: a reply, a part of one, or a message that nobody asked for. Does nothing once the
  /// connection has ended.
  void write(std::string_view octets);
  /// Octets that were queued and that the kernel has not taken yet.
  [[nodiscard]] std::size_t unread() const;
  /// Lets the connection stay open without requests (WebSocket): the idle limit no longer applies.
  void may_idle() { life_.may_idle(); }

  // For the owner.
  [[nodiscard]] Id id() const { return id_; }
  [[nodiscard]] Standing standing() const { return standing_; }
  /// Begins to serve requests; with TLS it first waits for the first octet of the client. Called once.
  void start(std::unique_ptr<Session> session);
  /// Begins the TLS handshake. Called by the owner when its turn has come.
  void begin_handshake();
  /// Takes the requests that have come, at most `kPerTurn`.
  void pump();
  /// Checks the deadlines and ends a lingering connection. The owner calls it every 250 ms.
  void look(Instant now);
  /// Ends the connection at once. With a reason, the owner counts it.
  void end(std::optional<CloseReason> reason);

 private:
  /// Takes over `stream` and begins to read; null ends the connection.
  void open(bufferevent* stream);
  /// The first octet of a TLS client has come.
  void on_hello();
  void on_readable();
  void on_written();
  void on_event(short what);
  /// Acts on the result of one `serve`. False if no more requests can be taken now.
  bool go_on(Progress progress, evbuffer* input);
  /// Takes no more requests, and ends the connection once all replies have been sent.
  void finish(std::optional<CloseReason> reason);
  /// Ends a finishing connection if all replies have been sent; in the clear it lingers first.
  void end_when_taken();

  ConnectionOwner& owner_;
  const ListenerRules& rules_;
  Id id_;
  /// Empty after a TLS handshake has begun: `stream_` then owns the descriptor.
  FileDescriptor socket_;
  IpAddress source_;
  Standing standing_;
  ConnectionLife life_;
  std::unique_ptr<Session> session_;
  Event hello_;
  /// libevent's buffers of the socket. Owned; null until `start`, with TLS until the handshake begins.
  bufferevent* stream_ = nullptr;
  /// Octets that were queued since the beginning.
  std::uint64_t written_ = 0;
  bool in_handshake_ = false;
  /// Reading stands still, because too many octets of replies are unread.
  bool is_paused_ = false;
  /// The source has used up its budget: no requests are taken until the next `look`.
  bool is_throttled_ = false;
  /// The peer has closed its direction.
  bool peer_is_done_ = false;
  /// The last request was taken; what still comes is thrown away.
  bool is_finishing_ = false;
  bool has_ended_ = false;
  /// End of the time after the last reply (`kLinger`); unset before it.
  std::optional<Instant> linger_until_;
  /// Reason that is counted when a finishing connection ends; unset = none.
  std::optional<CloseReason> finish_reason_;
};

}  // namespace ferry
