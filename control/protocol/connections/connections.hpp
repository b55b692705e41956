// SPDX-License-Identifier: Apache-2.0
// Owns all connections of the control protocols, and accepts those of their listeners (CTL-12).
#pragma once

#include "control/protocol/access.hpp"
#include "control/protocol/connections/acceptor.hpp"
#include "control/protocol/connections/connection.hpp"
#include "control/protocol/connections/handshake_queue.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace ferry {

class Connections;

/// A socket that accepts connections for one protocol. Destroying it ends them. Control thread only.
class Listener {
 public:
  /// Makes the protocol's session for a new connection; never null.
  using OpenSession = std::function<std::unique_ptr<Session>(Connection& connection)>;

  /// `listening` is bound and in the state of listening; the listener owns it. `all` must outlive the
  /// listener.
  Listener(Connections& all, FileDescriptor listening, ListenerRules rules, OpenSession open);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  /// How connections of this listener are treated.
  [[nodiscard]] const ListenerRules& rules() const { return rules_; }
  /// Notes a client that did not send the token that this listener asks for (CTL-8).
  void note_without_token(const IpAddress& source) const;
  /// Makes the session of a new connection.
  [[nodiscard]] std::unique_ptr<Session> open(Connection& connection) const { return open_(connection); }
  /// The port that was bound, for tests that bind port 0; 0 for a Unix socket.
  [[nodiscard]] std::uint16_t port() const;

 private:
  Connections& all_;
  ListenerRules rules_;
  OpenSession open_;
  Acceptor acceptor_;
};

/// Counts of connections since the start of the daemon.
struct ConnectionCounts {
  std::uint64_t accepted = 0;
  /// TLS handshakes that were completed.
  std::uint64_t handshakes = 0;
  /// Times that a listener paused because no descriptor was left.
  std::uint64_t pauses = 0;
  CloseCounts closed{};
};

/// Owns the connections of all listeners, which share one table, one budget of TLS handshakes and one spare
/// descriptor. Must outlive the listeners. Control thread only.
class Connections final : private ConnectionOwner {
 public:
  /// `base` and `access` must outlive this. `max_clients` bounds all connections together. Throws
  /// std::bad_alloc if a timer cannot be made.
  Connections(event_base* base, AccessList& access, std::function<Instant()> now, std::size_t max_clients);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  [[nodiscard]] event_base* base() const override { return base_; }
  [[nodiscard]] Instant now() const override { return now_(); }
  /// Connections that are open now, and the most there may be (`max-clients`).
  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] std::size_t limit() const { return table_.limit(); }
  /// Clients that wait for the turn of their TLS handshake.
  [[nodiscard]] std::size_t waiting_handshakes() const { return handshakes_.size(); }
  /// Counts since the start.
  [[nodiscard]] const ConnectionCounts& counts() const { return counts_; }

  // For listeners. `accept` takes over `socket` and opens a session for it, or closes it if the source may
  // not speak.
  void accept(const Listener& listener, FileDescriptor socket, const sockaddr* from, socklen_t size);
  /// Ends and frees the connections of a listener that is destroyed.
  void end_all_of(const Listener& listener);
  /// Counts and logs that a listener paused; `error` is the `errno` of the accept.
  void on_shortage(const Listener& listener, int error);
  void note_without_token(const Listener& listener, const IpAddress& source);
  /// Notes the port of a listening socket, so that no media is sent to it (LAT-11a).
  void note_listener(int socket) { access_.note_listener(socket); }
  /// The descriptor in reserve for the operator's listener.
  [[nodiscard]] SpareDescriptor& spare() { return spare_; }
  /// Bounds the TLS handshakes of all listeners to the most that a listener's key allows in a second: the
  /// costliest key decides.
  void bound_handshakes(std::uint32_t per_second);

 private:
  /// A connection and the listener that accepted it; null only in an empty value.
  struct Open {
    const Listener* listener = nullptr;
    std::unique_ptr<Connection> connection;
  };

  bool on_request(const Connection& connection) override;
  void pump_later(const Connection& connection) override;
  void queue_handshake(const Connection& connection) override;
  void on_handshake() override { ++counts_.handshakes; }
  void on_end(const Connection& connection, std::optional<CloseReason> reason) override;

  /// The open connection with this number; null if it has ended.
  [[nodiscard]] Connection* find(Connection::Id id);
  /// Begins the TLS handshakes that the budget allows now, and sets the timer if clients still wait.
  void begin_handshakes();
  /// Frees the connections that have ended, and pumps those that were left for this turn of the loop.
  void tidy();
  /// Lets each connection check its deadlines.
  void look_at_all();
  /// Logs, at most every 10 s, that a connection had to give way.
  void note_crowd(CloseReason why);

  event_base* base_;
  AccessList& access_;
  std::function<Instant()> now_;
  ConnectionTable table_;
  HandshakeQueue handshakes_;
  SpareDescriptor spare_;
  ConnectionCounts counts_;
  std::unordered_map<Connection::Id, Open> open_;
  /// Connections that have ended and are freed in the next turn.
  std::vector<Open> ended_;
  /// Connections that take further requests in the next turn.
  std::vector<Connection::Id> to_pump_;
  Event tidy_;
  Event look_;
  Event next_handshake_;
  /// Time of the last shortage of descriptors, and of the last line of `note_crowd`; unset = never.
  std::optional<Instant> shortage_at_;
  std::optional<Instant> crowd_told_;
};

}  // namespace ferry
