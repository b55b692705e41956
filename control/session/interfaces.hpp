// Where media may live: local addresses, the names that signalling calls them by, and their ports.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/result.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/io/port_provider.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Free even/odd port pairs of one address (media-security PRT-1, PRT-2). Control thread only.
class PortPool {
 public:
  static constexpr Duration kRest = std::chrono::seconds(10);

  /// `first`..`last` inclusive; only whole pairs starting at an even port are used.
  PortPool(UdpPort first, UdpPort last);

  struct Pair {
    UdpPort rtp;
    /// Who used the pair last and may still send; set only if the pair had no time to rest.
    Endpoint barred;
  };
  /// Draws a pair at random from the least recently freed half. When nothing has rested, the pair that was
  /// freed longest ago is used and `barred` tells whose late packets must not pass. Nothing if all are in
  /// use.
  std::optional<Pair> draw(Instant now);
  /// Takes a certain pair, for a restored call. False if it is in use.
  bool take(UdpPort rtp);
  /// Gives a pair back; it rests first. `last_peer` is the endpoint that sent to it.
  void give_back(UdpPort rtp, const Endpoint& last_peer, Instant now);

  /// Ports that are drawn and not given back, for the workers.
  [[nodiscard]] std::shared_ptr<const OpenPorts> open_ports() const { return open_; }
  [[nodiscard]] std::size_t used() const { return total_ - ready_.size() - resting_.size(); }
  [[nodiscard]] std::size_t resting() const { return resting_.size(); }
  [[nodiscard]] std::size_t total() const { return total_; }
  [[nodiscard]] UdpPort first() const { return first_; }
  [[nodiscard]] UdpPort last() const { return last_; }
  /// Who has a pair now: any pointer of the caller's, null if nobody.
  void set_owner(UdpPort rtp, void* owner) { owners_[(rtp.value - first_.value) / 2] = owner; }
  [[nodiscard]] void* owner(UdpPort rtp) const {
    return rtp < first_ || last_ < rtp ? nullptr : owners_[(rtp.value - first_.value) / 2];
  }

  /// Pairs that were reused before their rest was over.
  [[nodiscard]] std::uint64_t forced_reuses() const { return forced_reuses_; }

 private:
  struct Resting {
    std::uint16_t port = 0;
    Instant freed_at{};
    Endpoint peer;
  };
  void mark(UdpPort rtp, bool open) {
    open_->set(rtp, open);
    open_->set(UdpPort{static_cast<std::uint16_t>(rtp.value + 1)}, open);
  }

  UdpPort first_;
  UdpPort last_;
  std::size_t total_ = 0;
  std::deque<std::uint16_t> ready_;  // longest unused first
  std::deque<Resting> resting_;      // freed longest ago first
  std::vector<void*> owners_;
  std::shared_ptr<OpenPorts> open_;
  std::uint64_t forced_reuses_ = 0;
};

/// One address of one logical interface.
struct LocalAddress {
  IpAddress address;
  /// What the far end is told; equal to `address` without `!advertised`.
  IpAddress advertised;
  std::shared_ptr<PortPool> ports;
  /// Counts through all addresses of all interfaces.
  std::uint8_t index = 0;
};

struct LogicalInterface {
  std::string name;
  std::vector<LocalAddress> addresses;
  /// Of the parties on this interface no payload types pass that were not negotiated (DMX-4).
  bool strict_payload_types = false;
  /// First address of the family, or nullptr.
  [[nodiscard]] const LocalAddress* address_of(AddressFamily family) const;
};

/// One `interface=` setting, taken apart.
struct InterfaceSpec {
  std::string name;
  std::string address;     // numeric, or the name of a system interface
  std::string advertised;  // empty = same
  std::string alias_of;    // set for `name=other`
  std::optional<UdpPort> port_min;
  std::optional<UdpPort> port_max;
  /// Key `strict-payload-types` of its section.
  bool strict_payload_types = false;
};
/// `[name/]addr[!advertised]` or `name=other`.
InterfaceSpec parse_interface_spec(std::string_view text);

/// All logical interfaces. The first one named is the default.
class InterfaceSet {
 public:
  /// Checks that every address is local and every range has a pair. The error is a sentence for the operator.
  static Result<InterfaceSet, std::string> build(const std::vector<InterfaceSpec>& specs, UdpPort port_min,
                                                 UdpPort port_max, bool check_local = true);

  /// The interface called `name`, or the group of round-robin members `name:…` in turn. nullptr if there is
  /// none.
  [[nodiscard]] const LogicalInterface* find(std::string_view name) const;
  /// Whether a request may name it: an interface, an alias, the beginning of a group, or one of the words
  /// that choose an IP version or a member (`internal`, `external`, `round-robin-calls`).
  [[nodiscard]] bool has(std::string_view name) const;
  /// The interface from whose address the host would send to `peer`; nullptr if that is none of ours or
  /// unknown.
  [[nodiscard]] const LogicalInterface* toward(const IpAddress& peer) const;
  /// How the host routes: its own address toward a peer. Set once, by the program.
  void set_route_lookup(std::function<std::optional<IpAddress>(const IpAddress&)> lookup) {
    route_lookup_ = std::move(lookup);
  }
  [[nodiscard]] const LogicalInterface* default_interface() const { return &interfaces_.front(); }
  [[nodiscard]] const std::vector<LogicalInterface>& all() const { return interfaces_; }
  /// Media addresses and port ranges, for the rules about our own ports.
  [[nodiscard]] std::shared_ptr<const OwnMedia> own_media() const { return own_; }
  /// An address of this host that a command asks for, with the usual port range; nullptr if it is none of
  /// this host's, or if there were too many of them. The result stays where it is.
  const LocalAddress* local_address(const IpAddress& address);
  /// One that there is already; nullptr if there is none.
  [[nodiscard]] const LocalAddress* known_address(const IpAddress& address) const;
  /// The host's own address toward a peer.
  [[nodiscard]] std::optional<IpAddress> route_to(const IpAddress& peer) const {
    return route_lookup_ ? route_lookup_(peer) : std::nullopt;
  }
  /// Every address of this host that is known: those for media as bound and as advertised, and where
  /// addresses are checked at all, whatever the system has now.
  [[nodiscard]] std::vector<IpAddress> host_addresses() const;
  /// Whose port `endpoint` is, as bound or as advertised; null if it is none of ours.
  [[nodiscard]] void* owner_of(const Endpoint& endpoint) const;

 private:
  void collect_own_media();

  std::vector<LogicalInterface> interfaces_;
  std::deque<LocalAddress> asked_for_;
  std::shared_ptr<OwnMedia> own_;
  UdpPort port_min_;
  UdpPort port_max_;
  bool check_local_ = true;
  std::vector<std::pair<std::string, std::string>> aliases_;
  std::function<std::optional<IpAddress>(const IpAddress&)> route_lookup_;
  mutable std::size_t next_in_group_ = 0;
};

}  // namespace ferry
