// Who gets a connection to a control listener, and who makes room for it (CTL-12).
#pragma once

#include "control/protocol/connections/close_reason.hpp"
#include "relay/base/address.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>

namespace ferry {

/// What a source is to the bounds.
enum class Standing : std::uint8_t {
  kOperator,     // the socket of rtpferryctl
  kLocalSocket,  // another Unix socket
  kTrusted,      // loopback, or on the allow-list
  kStranger      // let in by allow-open-control only
};

/// What is counted as one source: the address, but strangers of IPv6 by their /64, which one subscriber has
/// (RFC 6177).
IpAddress counted_as(const IpAddress& address, Standing standing);

/// Pure: no socket and no clock. A newcomer always gets in; a source that has all it may have loses a
/// connection for it, and where the table is full the source with the most connections does. Lost is the
/// oldest connection that never carried a request; if all have, the one whose last request is the oldest. So
/// clients that open connections and say nothing close their own. Operators never give way to others. All
/// listeners of the daemon share one table. Control thread only.
class ConnectionTable {
 public:
  using Id = std::uint64_t;
  struct Limits {
    std::size_t total = 1024;
    std::size_t of_stranger = 64;
  };
  struct Admission {
    Id id = 0;
    /// Has to be closed, and is no longer in the table.
    std::optional<Id> evicted;
    CloseReason why = CloseReason::kAllFull;
  };

  explicit ConnectionTable(Limits limits) : limits_(limits) {}

  Admission admit(const IpAddress& address, Standing standing);
  /// A whole request came over it.
  void on_request(Id id);
  void remove(Id id);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// How many connections a source of that standing may have.
  [[nodiscard]] std::size_t limit_of(Standing standing) const;
  [[nodiscard]] std::size_t limit() const { return limits_.total; }

 private:
  struct Key {
    Standing standing = Standing::kTrusted;
    IpAddress address;
    auto operator<=>(const Key&) const = default;
  };
  struct Source {
    std::list<Id> silent;   // no request came yet; oldest first
    std::list<Id> talking;  // oldest last request first
    [[nodiscard]] std::size_t size() const { return silent.size() + talking.size(); }
    [[nodiscard]] Id oldest() const { return silent.empty() ? talking.front() : silent.front(); }
  };
  using Sources = std::map<Key, Source>;
  struct Entry {
    Sources::iterator source;
    std::list<Id>::iterator place;
    bool is_talking = false;
  };

  /// Of all sources but the operator; nothing if there are none.
  [[nodiscard]] std::optional<Id> oldest_of_heaviest() const;

  Limits limits_;
  Id last_id_ = 0;
  Sources sources_;
  std::unordered_map<Id, Entry> entries_;
};

}  // namespace ferry
