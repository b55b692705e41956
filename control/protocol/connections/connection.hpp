// One stream of a control protocol: what it may cost us, whatever the protocol (CTL-12).
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

/// What `Session::serve` did.
enum class Progress : std::uint8_t {
  kServed,      // took a whole request
  kTook,        // took something that is no whole request: a blank line, a control frame, a fragment
  kUnfinished,  // took nothing: a request has begun, and its rest is on its way
  kNothing,     // took nothing: no request has begun
  kFinish,      // took the last request: the connection ends when the reply has left
  kMalformed    // what came is no request: the connection ends when the reply, if there is one, has left
};

/// The protocol of one connection. Control thread only.
class Session {
 public:
  virtual ~Session() = default;
  /// Takes at most one request off the front of `input`, and writes its reply.
  virtual Progress serve(evbuffer* input) = 0;
  /// The peer has closed its direction; `input` has what `serve` left. A reply can still be written.
  virtual void on_end_of_input(evbuffer* /*input*/) {}
};

/// Whoever owns connections, as they see it.
class ConnectionOwner {
 public:
  [[nodiscard]] virtual event_base* base() const = 0;
  [[nodiscard]] virtual Instant now() const = 0;
  /// A whole request came. False: its source has used up its budget (CTL-5), and waits.
  virtual bool on_request(const Connection& connection) = 0;
  /// Calls `pump` in the next turn of the loop.
  virtual void pump_later(const Connection& connection) = 0;
  /// Calls `begin_handshake` when its turn comes.
  virtual void queue_handshake(const Connection& connection) = 0;
  virtual void on_handshake() = 0;
  /// Frees the connection in a later turn of the loop.
  virtual void on_end(const Connection& connection, std::optional<CloseReason> reason) = 0;

 protected:
  ~ConnectionOwner() = default;
};

/// Reads, writes and ends a stream. While replies are unread nothing more is read, so a client that does not
/// listen holds what one request asked for and no more. Control thread only.
class Connection {
 public:
  using Id = ConnectionTable::Id;
  /// No request is taken while more replies than these are unread.
  static constexpr std::size_t kPauseAbove = 64 * 1024;
  /// A client that leaves more octets than these unread gets no more, and its connection ends.
  static constexpr std::size_t kMaxUnread = 1024 * 1024;
  /// Octets that are read before a request is taken: the largest one (CTL-4) with its header.
  static constexpr std::size_t kMaxInput = 320 * 1024;
  /// Requests that are taken before other connections get their turn.
  static constexpr int kPerTurn = 32;
  /// After the last reply: what the peer still sends is thrown away, so that the reply is not lost in a
  /// reset.
  static constexpr std::chrono::seconds kLinger{1};

  /// `rules` outlive it.
  Connection(ConnectionOwner& owner, const ListenerRules& rules, Id id, FileDescriptor socket,
             const IpAddress& source, Standing standing);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // For sessions.
  [[nodiscard]] const IpAddress& source() const { return source_; }
  [[nodiscard]] int descriptor() const;
  [[nodiscard]] event_base* base() const { return owner_.base(); }
  /// A reply, a part of one, or something that nobody asked for.
  void write(std::string_view octets);
  /// Octets that the peer has not taken.
  [[nodiscard]] std::size_t unread() const;
  /// No more requests need come (WebSocket).
  void may_idle() { life_.may_idle(); }

  // For the owner.
  [[nodiscard]] Id id() const { return id_; }
  [[nodiscard]] Standing standing() const { return standing_; }
  /// Serves requests from now on, or waits for the first message of TLS.
  void start(std::unique_ptr<Session> session);
  void begin_handshake();
  /// Takes requests that have come.
  void pump();
  /// Some hundred milliseconds have passed.
  void look(Instant now);
  /// Ends now; counted if there is a reason.
  void end(std::optional<CloseReason> reason);

 private:
  void open(bufferevent* stream);
  void on_hello();
  void on_readable();
  void on_written();
  void on_event(short what);
  /// What the outcome of one `serve` means; false: no more for now.
  bool go_on(Progress progress, evbuffer* input);
  void finish(std::optional<CloseReason> reason);
  void end_when_taken();

  ConnectionOwner& owner_;
  const ListenerRules& rules_;
  Id id_;
  FileDescriptor socket_;  // unless the stream has it, for TLS
  IpAddress source_;
  Standing standing_;
  ConnectionLife life_;
  std::unique_ptr<Session> session_;
  Event hello_;
  bufferevent* stream_ = nullptr;
  std::uint64_t written_ = 0;
  bool in_handshake_ = false;
  bool is_paused_ = false;     // replies wait for the peer
  bool is_throttled_ = false;  // until the next look
  bool peer_is_done_ = false;
  bool is_finishing_ = false;
  bool has_ended_ = false;
  std::optional<Instant> linger_until_;
  std::optional<CloseReason> finish_reason_;
};

}  // namespace ferry
