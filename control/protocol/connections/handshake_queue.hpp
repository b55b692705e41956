// The budget of TLS handshakes (CTL-12).
#pragma once

#include "control/protocol/connections/connection_table.hpp"

#include <algorithm>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>

namespace ferry {

/// Clients whose first TLS message has come wait here for their turn. A handshake costs the control thread up
/// to milliseconds of public-key work, so only so many begin in a second, sources in turn: one that floods
/// waits for itself, and commands of others are served in between. Pure: time comes in. Control thread only.
class HandshakeQueue {
 public:
  using Id = ConnectionTable::Id;

  explicit HandshakeQueue(std::uint32_t per_second) : per_second_(per_second) {}

  /// No more than so many in a second, whatever was said before.
  void bound(std::uint32_t per_second) { per_second_ = std::min(per_second_, per_second); }

  void add(Id id, const IpAddress& source);
  /// It ended before its turn; nothing happens if it does not wait.
  void remove(Id id);
  /// Whose handshake may begin now; nothing if nobody waits or the budget is used up.
  std::optional<Id> next(Instant now);
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  struct Source {
    IpAddress address;
    std::list<Id> ids;
  };
  using Turns = std::list<Source>;

  std::uint32_t per_second_;
  Instant next_at_{};
  Turns turns_;  // whose turn it is first
  std::unordered_map<IpAddress, Turns::iterator> sources_;
  std::unordered_map<Id, IpAddress> waiting_;
};

}  // namespace ferry
