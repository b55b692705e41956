// SPDX-License-Identifier: Apache-2.0
// Paces TLS handshakes, so that they cannot use up the control thread (CTL-12).
#pragma once

#include "control/protocol/connections/connection_table.hpp"

#include <algorithm>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

namespace ferry {

/// Queue of clients whose first TLS message has come. A handshake costs the control thread up to some
/// milliseconds of public-key work, so only a limited number begins in a second. Sources take turns: a source
/// that floods waits for itself, and commands of others are served in between.
///
/// Pure: callers pass the time. Control thread only.
class HandshakeQueue {
 public:
  using Id = ConnectionTable::Id;

  /// `per_second` handshakes may begin in a second; not 0.
  explicit HandshakeQueue(std::uint32_t per_second) : per_second_(per_second) {}

  /// Lowers the limit to `per_second` if it is higher; never raises it.
  void bound(std::uint32_t per_second) { per_second_ = std::min(per_second_, per_second); }

  /// Adds a connection of `source`. It must not be in the queue yet.
  void add(Id id, const IpAddress& source);
  /// Removes a connection that ended before its turn. Does nothing if it does not wait.
  void remove(Id id);
  /// Takes the connection whose handshake may begin now off the queue; unset if none waits or the budget is
  /// used up.
  std::optional<Id> next(Instant now);
  /// Connections that wait.
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  /// The waiting connections of one source, the oldest first.
  struct Source {
    IpAddress address;
    std::list<Id> ids;
  };
  using Turns = std::list<Source>;

  std::uint32_t per_second_;
  /// Time from which the next handshake may begin.
  Instant next_at_{};
  /// Sources with waiting connections; the first one has the next turn.
  Turns turns_;
  std::unordered_map<IpAddress, Turns::iterator> sources_;
  std::unordered_map<Id, IpAddress> waiting_;
};

}  // namespace ferry
