// SPDX-License-Identifier: Apache-2.0
// Where media may live: local addresses, the names that signalling calls them by, and their ports. Control
// thread only, except for `OpenPorts` and `OwnMedia`, which the workers read.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/latch/peer_policy.hpp"
#include "relay/io/port_provider.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

struct MediaTransport;

/// The free even/odd port pairs of one address (PRT-1, PRT-2). A pair that is given back rests for 10 s
/// before it is drawn again, because packets for its last owner may be under way.
class PortPool {
 public:
  /// How long a pair rests.
  static constexpr Duration kRest = std::chrono::seconds(10);

  /// Has the ports from `first` to `last`, but for `excluded`. Only whole pairs that begin at an even port
  /// are used.
  PortPool(UdpPort first, UdpPort last, std::span<const PortSpan> excluded = {});

  /// A pair that was drawn.
  struct Pair {
    /// The even port; RTCP has the next one.
    UdpPort rtp;
    /// The endpoint that used the pair last and may still send. Unset if the pair has rested.
    Endpoint barred;
  };
  /// Draws a pair at random from the half that was freed longest ago. If no pair has rested, it draws the one
  /// that was freed longest ago, and `barred` tells whose late packets must not pass. Nothing if all are in
  /// use.
  std::optional<Pair> draw(Instant now);
  /// Takes a certain pair, for a restored call. False if it is in use.
  bool take(UdpPort rtp);
  /// Gives a pair back, which rests first. `last_peer` is the endpoint that sent to it; it may be unset.
  void give_back(UdpPort rtp, const Endpoint& last_peer, Instant now);

  /// The ports that are in use, for the workers. Control updates them in place, without locks.
  [[nodiscard]] std::shared_ptr<const OpenPorts> open_ports() const { return open_; }
  /// Counts of pairs: in use, resting, and all.
  [[nodiscard]] std::size_t used() const { return total_ - ready_.size() - resting_.size(); }
  [[nodiscard]] std::size_t resting() const { return resting_.size(); }
  [[nodiscard]] std::size_t total() const { return total_; }
  [[nodiscard]] UdpPort first() const { return first_; }
  [[nodiscard]] UdpPort last() const { return last_; }
  /// Notes the transport that has a pair now; null if nobody has.
  void set_owner(UdpPort rtp, MediaTransport* owner) { owners_[pair_of(rtp)] = owner; }
  /// The transport whose RTP or RTCP port this is. Null if nobody has it.
  [[nodiscard]] MediaTransport* owner(UdpPort port) const {
    const bool is_ours = first_ <= port && port <= last_ && pair_of(port) < owners_.size();
    return is_ours ? owners_[pair_of(port)] : nullptr;
  }

  /// How many pairs were drawn before their rest was over, since the start.
  [[nodiscard]] std::uint64_t forced_reuses() const { return forced_reuses_; }

 private:
  /// A pair that rests.
  struct Resting {
    std::uint16_t port = 0;
    Instant freed_at{};
    Endpoint peer;
  };
  /// Counts pairs from that of the first even port; a large number for the odd port before it.
  [[nodiscard]] std::size_t pair_of(UdpPort port) const {
    return std::size_t{port.value / 2u} - (first_.value + 1u) / 2u;
  }
  /// Tells the workers whether both ports of a pair are in use.
  void mark(UdpPort rtp, bool open) {
    open_->set(rtp, open);
    open_->set(UdpPort{static_cast<std::uint16_t>(rtp.value + 1)}, open);
  }

  UdpPort first_;
  UdpPort last_;
  std::size_t total_ = 0;
  /// Pairs that may be drawn, the one that was freed longest ago first.
  std::deque<std::uint16_t> ready_;
  /// Pairs that rest, in the same order.
  std::deque<Resting> resting_;
  /// The transport of each pair, by half its distance from the first port; null if nobody has it.
  std::vector<MediaTransport*> owners_;
  std::shared_ptr<OpenPorts> open_;
  std::uint64_t forced_reuses_ = 0;
};

/// One address of one logical interface, with its ports.
struct LocalAddress {
  /// The address that sockets are bound to.
  IpAddress address;
  /// The address that parties are shown. Equal to `address` unless the configuration names another one.
  IpAddress advertised;
  /// Shared with other names of the same address.
  std::shared_ptr<PortPool> ports;
  /// Its number among all addresses of all interfaces, for totals. 255 = that one or a later one.
  std::uint8_t index = 0;
  /// The one port of all ICE legs (ONE-1), shared with other names of the same address. 0 = there is none.
  UdpPort ice_port{};
};

/// One interface of the configuration, with its addresses.
struct LogicalInterface {
  /// The name that requests use.
  std::string name;
  std::vector<LocalAddress> addresses;
  /// True if payload types that were not negotiated never pass for the parties on this interface (DMX-4).
  bool strict_payload_types = false;
  /// The first address of that IP version. Null if there is none.
  [[nodiscard]] const LocalAddress* address_of(AddressFamily family) const;
};

/// One `interface=` setting, taken apart but not checked.
struct InterfaceSpec {
  std::string name;
  /// An address, the name of a system interface, or `any`: every address of the host but loopback and
  /// link-local ones.
  std::string address;
  /// Empty = the same as `address`.
  std::string advertised;
  /// Set for `name=other`, which only gives an interface another name.
  std::string alias_of;
  /// The first and last port; unset = those of the daemon.
  std::optional<UdpPort> port_min;
  std::optional<UdpPort> port_max;
  /// Ports of that range that others have.
  std::vector<PortSpan> excluded_ports;
  /// The port that all ICE legs share; 0 = none, unset = that of the daemon.
  std::optional<UdpPort> ice_port;
  /// Key `strict-payload-types` of its section.
  bool strict_payload_types = false;
};
/// Takes `[name/]address[!advertised]` or `name=other` apart. Without a name it is `default`.
InterfaceSpec parse_interface_spec(std::string_view text);

/// All logical interfaces. The first one named is the default. It must outlive everything that was chosen
/// from it: `LocalPorts` point into it.
class InterfaceSet {
 public:
  /// Makes the set. Checks that every range has a pair, and with `check_local` that every address is one of
  /// this host. `ice_port`: the port that ICE legs share at each address whose setting names none; 0 = none.
  /// The error has a sentence for the operator about each wrong setting.
  static Result<InterfaceSet, std::string> build(const std::vector<InterfaceSpec>& specs, UdpPort port_min,
                                                 UdpPort port_max, bool check_local = true,
                                                 UdpPort ice_port = {});

  /// The interface of this name or alias. For a group, `name` is the part of its members' names before the
  /// colon, and each call gives the next member in turn. Null if there is none.
  [[nodiscard]] const LogicalInterface* find(std::string_view name) const;
  /// True if a request may name it: an interface, an alias, a group, or a word that chooses an IP version or
  /// a member (`internal`, `external`, `round-robin-calls`).
  [[nodiscard]] bool has(std::string_view name) const;
  /// The interface from whose address the host would send to `peer`. Null if the route is unknown, or leads
  /// through no interface of ours.
  [[nodiscard]] const LogicalInterface* toward(const IpAddress& peer) const;
  /// Sets what tells the host's own address toward a peer. The program calls it once; without it no route is
  /// known.
  void set_route_lookup(std::function<std::optional<IpAddress>(const IpAddress&)> lookup) {
    route_lookup_ = std::move(lookup);
  }
  /// The interface that was named first.
  [[nodiscard]] const LogicalInterface* default_interface() const { return &interfaces_.front(); }
  [[nodiscard]] const std::vector<LogicalInterface>& all() const { return interfaces_; }
  /// Media addresses with their ports in use, for the rules about our own ports. Shared with the workers.
  [[nodiscard]] std::shared_ptr<const OwnMedia> own_media() const { return own_; }
  /// An address of this host that a command asks for, with the daemon's port range. It is added if it is not
  /// known yet. Null if it is no address of this host, or if too many were added. The result stays in place.
  const LocalAddress* local_address(const IpAddress& address);
  /// The same without adding one. Null if it is not known.
  [[nodiscard]] const LocalAddress* known_address(const IpAddress& address) const;
  /// The host's own address toward a peer. Nothing if it is unknown.
  [[nodiscard]] std::optional<IpAddress> route_to(const IpAddress& peer) const {
    return route_lookup_ ? route_lookup_(peer) : std::nullopt;
  }
  /// Every known address of this host: those for media, as bound and as advertised, and with `check_local`
  /// all that the system has at this moment.
  [[nodiscard]] std::vector<IpAddress> host_addresses() const;
  /// True if `endpoint` is a port of ours that ICE legs share, as bound or as advertised.
  [[nodiscard]] bool is_shared(const Endpoint& endpoint) const;
  /// The transport that has `endpoint` as a port, as bound or as advertised. Null if it is none of ours.
  [[nodiscard]] MediaTransport* owner_of(const Endpoint& endpoint) const;

 private:
  void collect_own_media();

  std::vector<LogicalInterface> interfaces_;
  /// Addresses that commands asked for. A deque, because `LocalPorts` point to its elements.
  std::deque<LocalAddress> asked_for_;
  std::shared_ptr<OwnMedia> own_;
  UdpPort port_min_;
  UdpPort port_max_;
  bool check_local_ = true;
  /// Other names, and the names that they stand for.
  std::vector<std::pair<std::string, std::string>> aliases_;
  std::function<std::optional<IpAddress>(const IpAddress&)> route_lookup_;
  /// Counts the members that groups gave, so that they come in turn.
  mutable std::size_t next_in_group_ = 0;
};

}  // namespace ferry
