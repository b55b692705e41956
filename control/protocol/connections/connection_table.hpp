// SPDX-License-Identifier: Apache-2.0
// Decides which source gets a connection to a control listener, and which connection is closed for it
// (CTL-12).
#pragma once

#include "control/protocol/connections/close_reason.hpp"
#include "relay/base/address.hpp"

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <unordered_map>

namespace ferry {

/// Class of a source, on which its number of connections depends.
enum class Standing : std::uint8_t {
  /// The control socket of `rtpferryctl`.
  kOperator,
  /// Any other Unix socket.
  kLocalSocket,
  /// Loopback, or an address on the allow-list.
  kTrusted,
  /// An address that was let in only because `allow-open-control` is on.
  kStranger
};

/// The address under which connections are counted: `address` itself, but the /64 network for strangers with
/// IPv6, because one subscriber has a whole /64 (RFC 6177).
IpAddress counted_as(const IpAddress& address, Standing standing);

/// The open connections of all control listeners of the daemon, by source. A new connection always gets in.
/// If its source has as many as it may have, it loses one for it; if the table is full, the source with most
/// connections loses one. The source loses its oldest connection that never carried a request; if all have
/// carried one, that whose last request is the oldest. So clients that open connections and say nothing close
/// their own. The operator's connections never give way to those of others.
///
/// Pure: no socket and no clock. Control thread only.
class ConnectionTable {
 public:
  using Id = std::uint64_t;
  /// Bounds. `total` counts all connections (option `max-clients`); `of_stranger` is the most that a stranger
  /// gets, if that is less than a quarter of `total`.
  struct Limits {
    std::size_t total = 1024;
    std::size_t of_stranger = 64;
  };
  /// Result of `admit`: the number of the new connection.
  struct Admission {
    Id id = 0;
    /// A connection that the caller has to close, with the reason `why`; it is no longer in the table. Unset
    /// = none.
    std::optional<Id> evicted;
    CloseReason why = CloseReason::kAllFull;
  };

  explicit ConnectionTable(Limits limits) : limits_(limits) {}

  /// Adds a connection of this source.
  Admission admit(const IpAddress& address, Standing standing);
  /// Notes that a whole request came over the connection. An unknown `id` is ignored.
  void on_request(Id id);
  /// Removes a connection. An unknown `id` is ignored.
  void remove(Id id);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// Most connections that one source of that standing may have: a quarter of all, and less for a stranger.
  [[nodiscard]] std::size_t limit_of(Standing standing) const;
  [[nodiscard]] std::size_t limit() const { return limits_.total; }

 private:
  /// One source, as `counted_as` gives it.
  struct Key {
    Standing standing = Standing::kTrusted;
    IpAddress address;
    auto operator<=>(const Key&) const = default;
  };
  /// The connections of one source.
  struct Source {
    /// Connections over which no request came yet, the oldest first.
    std::list<Id> silent;
    /// The other connections, the one with the oldest last request first.
    std::list<Id> talking;
    [[nodiscard]] std::size_t size() const { return silent.size() + talking.size(); }
    [[nodiscard]] Id oldest() const { return silent.empty() ? talking.front() : silent.front(); }
  };
  using Sources = std::map<Key, Source>;
  /// Where a connection stands: its source, and its place in one of the two lists.
  struct Entry {
    Sources::iterator source;
    std::list<Id>::iterator place;
    bool is_talking = false;
  };

  /// The oldest connection of the source that has most of them, the operator left out; unset if there is
  /// none.
  [[nodiscard]] std::optional<Id> oldest_of_heaviest() const;

  Limits limits_;
  Id last_id_ = 0;
  Sources sources_;
  std::unordered_map<Id, Entry> entries_;
};

}  // namespace ferry
