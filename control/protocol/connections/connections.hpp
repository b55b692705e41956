// All streams of the control protocols, and the sockets that they come through (CTL-12).
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

/// A socket that accepts connections for one protocol. They end with it. Control thread only.
class Listener {
 public:
  using OpenSession = std::function<std::unique_ptr<Session>(Connection& connection)>;

  /// `listening` is bound and listens.
  Listener(Connections& all, FileDescriptor listening, ListenerRules rules, OpenSession open);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] const ListenerRules& rules() const { return rules_; }
  /// A client of this listener has not the token that it asks for (CTL-8).
  void note_without_token(const IpAddress& source) const;
  [[nodiscard]] std::unique_ptr<Session> open(Connection& connection) const { return open_(connection); }
  /// Port that was bound: for tests that ask for any.
  [[nodiscard]] std::uint16_t port() const;

 private:
  Connections& all_;
  ListenerRules rules_;
  OpenSession open_;
  Acceptor acceptor_;
};

/// What happened to connections since the start.
struct ConnectionCounts {
  std::uint64_t accepted = 0;
  std::uint64_t handshakes = 0;
  std::uint64_t pauses = 0;  // a listener waited, because no descriptor was left
  CloseCounts closed{};
};

/// Owns the connections of all listeners: they share one table, one budget of handshakes and one spare
/// descriptor. Outlives the listeners. Control thread only.
class Connections final : private ConnectionOwner {
 public:
  Connections(event_base* base, AccessList& access, std::function<Instant()> now, std::size_t max_clients);
  ~Connections();
  Connections(const Connections&) = delete;
  Connections& operator=(const Connections&) = delete;

  [[nodiscard]] event_base* base() const override { return base_; }
  [[nodiscard]] Instant now() const override { return now_(); }
  [[nodiscard]] std::size_t size() const { return table_.size(); }
  [[nodiscard]] std::size_t limit() const { return table_.limit(); }
  [[nodiscard]] std::size_t waiting_handshakes() const { return handshakes_.size(); }
  [[nodiscard]] const ConnectionCounts& counts() const { return counts_; }

  // For listeners.
  void accept(const Listener& listener, FileDescriptor socket, const sockaddr* from, socklen_t size);
  void end_all_of(const Listener& listener);
  void on_shortage(const Listener& listener, int error);
  void note_without_token(const Listener& listener, const IpAddress& source);
  /// Media must not go to the port of this socket (LAT-11a).
  void note_listener(int socket) { access_.note_listener(socket); }
  [[nodiscard]] SpareDescriptor& spare() { return spare_; }
  /// Handshakes that the key of this listener allows in a second: the costliest key decides.
  void bound_handshakes(std::uint32_t per_second);

 private:
  struct Open {
    const Listener* listener = nullptr;
    std::unique_ptr<Connection> connection;
  };

  bool on_request(const Connection& connection) override;
  void pump_later(const Connection& connection) override;
  void queue_handshake(const Connection& connection) override;
  void on_handshake() override { ++counts_.handshakes; }
  void on_end(const Connection& connection, std::optional<CloseReason> reason) override;

  [[nodiscard]] Connection* find(Connection::Id id);
  void begin_handshakes();
  /// Frees what has ended, and takes up requests that were left for this turn.
  void tidy();
  void look_at_all();
  void note_crowd(CloseReason why);

  event_base* base_;
  AccessList& access_;
  std::function<Instant()> now_;
  ConnectionTable table_;
  HandshakeQueue handshakes_;
  SpareDescriptor spare_;
  ConnectionCounts counts_;
  std::unordered_map<Connection::Id, Open> open_;
  std::vector<Open> ended_;
  std::vector<Connection::Id> to_pump_;
  Event tidy_;
  Event look_;
  Event next_handshake_;
  std::optional<Instant> shortage_at_;
  std::optional<Instant> crowd_told_;
};

}  // namespace ferry
