// SPDX-License-Identifier: Apache-2.0
// A network link between the peers of a simulation and the relay: it loses, delays, reorders and repeats
// datagrams, and a peer may sit behind a NAT.
//
// A `Link` is given to a simulated world (`WorldOptions::link`), which asks it about each datagram and
// carries it in virtual time. A peer that has no `Access` of its own is reached at once and without loss.
// Everything random comes from the seed of the link, by generators of its own: each direction of each access
// and each NAT has one, so that the fate of one peer's packets does not depend on what the others send.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string_view>
#include <vector>

namespace ferry::test {

/// Random numbers of one part of a link. The same seed and part give the same numbers with every compiler.
class LinkRandom {
 public:
  /// `part` tells generators of one seed apart.
  LinkRandom(std::uint64_t seed, std::uint64_t part);
  /// True with this probability, from 0 to 1.
  bool chance(double share);
  /// A number from 0 to `limit` - 1; `limit` is at least 1.
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  /// A time from 0 to `most`, both included.
  Duration up_to(Duration most);

 private:
  std::mt19937_64 engine_;
};

/// What one direction of a link does. Shares are probabilities from 0 to 1; the default does nothing.
struct Trouble {
  /// Share of the datagrams that are lost, each on its own.
  double loss = 0;
  /// Losses in bursts (Gilbert and Elliott): before each datagram the link goes from its good state to its
  /// bad one with `burst_begin`, and back with `burst_end`; a burst has 1 / `burst_end` datagrams on average.
  /// In the bad state a datagram is lost with `burst_loss`.
  double burst_begin = 0;
  double burst_end = 0.25;
  double burst_loss = 1;
  /// A burst is over after this time, however few datagrams left in it. It begins with its first datagram.
  Duration burst_longest = Duration::max();
  /// How long each datagram travels.
  Duration delay{0};
  /// A datagram travels up to so much longer; every time is equally likely.
  Duration jitter{0};
  /// True: jitter comes from a queue, so that no datagram overtakes another.
  bool keeps_order = false;
  /// Share of the datagrams that are held for `held_for` besides, so that later ones overtake them.
  double held = 0;
  Duration held_for{0};
  /// Share of the datagrams that arrive twice. The copy has a delay and a jitter of its own.
  double doubled = 0;
};

/// One direction of a link.
class LinkPath {
 public:
  LinkPath(std::uint64_t seed, std::uint64_t part) : random_(seed, part) {}
  /// Datagrams that leave from now on meet this trouble. A burst of the trouble before is over.
  void set(const Trouble& trouble) {
    trouble_ = trouble;
    is_in_burst_ = false;
  }
  /// A datagram leaves at `now`: the times that its copies travel. Empty if it is lost.
  std::vector<Duration> carry(Duration now);
  /// Datagrams that left, and those of them that were lost.
  [[nodiscard]] std::uint64_t sent() const { return sent_; }
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  /// How long the next copy travels.
  Duration travel(Duration now);

  LinkRandom random_;
  Trouble trouble_;
  bool is_in_burst_ = false;
  /// When the present burst began.
  Duration burst_began_{0};
  /// When the newest datagram that was not held arrives.
  Duration newest_{0};
  std::uint64_t sent_ = 0;
  std::uint64_t lost_ = 0;
};

/// The kinds of RFC 3489 §5. In the words of RFC 4787: the first three map independently of the remote
/// endpoint, and filter independently of it, by its address, or by its address and port. `kSymmetric` maps
/// and filters by address and port.
enum class NatKind : std::uint8_t { kFullCone, kAddressRestricted, kPortRestricted, kSymmetric };
/// Name for messages of tests.
std::string_view to_string(NatKind kind);

/// A NAT with one address outside. It forgets nothing by itself.
class Nat {
 public:
  Nat(NatKind kind, const IpAddress& outside, std::uint64_t seed, std::uint64_t part)
      : kind_(kind), outside_(outside), random_(seed, part) {}

  /// A datagram leaves from `inside` to `to`: where it comes from, as seen outside. Makes the mapping if
  /// there is none.
  Endpoint leave(const Endpoint& inside, const Endpoint& to);
  /// A datagram from `from` reaches the outside endpoint `at`: the endpoint inside that gets it. Nothing if
  /// the NAT drops it.
  [[nodiscard]] std::optional<Endpoint> enter(const Endpoint& at, const Endpoint& from) const;
  /// Forgets all mappings, as after a restart: what was sent to them is dropped, and the next datagram from
  /// inside gets a port that was never used before.
  void rebind() { mappings_.clear(); }
  /// The same, and the NAT has another address from now on, as when a phone changes networks.
  void rebind(const IpAddress& outside) {
    rebind();
    outside_ = outside;
  }
  /// Address outside.
  [[nodiscard]] const IpAddress& outside() const { return outside_; }

 private:
  struct Mapping {
    Endpoint inside;
    /// kSymmetric: the only remote endpoint it is for; otherwise unset.
    Endpoint only;
    Endpoint outside;
    /// Whom `inside` has sent to through it.
    std::set<Endpoint> remotes;
  };
  /// A free port. NATs of the field may give any; this one avoids ports that the relay never learns (LAT-11).
  UdpPort fresh_port();

  NatKind kind_;
  IpAddress outside_;
  LinkRandom random_;
  std::vector<Mapping> mappings_;
  std::set<std::uint16_t> used_;
};

/// How one address of a peer reaches the network.
struct Access {
  /// From the peer toward the relay, and back.
  LinkPath up;
  LinkPath down;
  /// Nothing if the peer is on the public network.
  std::optional<Nat> nat;
  /// Nothing gets through in either direction.
  bool is_cut = false;

  void set(const Trouble& both) {
    up.set(both);
    down.set(both);
  }
};

/// What lies between the peers of a simulated world and its relay.
class Link {
 public:
  explicit Link(std::uint64_t seed) : seed_(seed) {}

  /// Gives the address `peer` an access on the public network, in place of the one it had. The reference
  /// stays valid.
  Access& join(const IpAddress& peer, const Trouble& trouble = {});
  /// Gives the address `peer` an access behind a NAT of its own with the address `outside`.
  Access& join(const IpAddress& peer, const Trouble& trouble, NatKind kind, const IpAddress& outside);

  /// A datagram on its way: where it comes from, as the receiver sees it, and when its copies arrive.
  struct Passage {
    Endpoint from;
    std::vector<Duration> travels;
  };
  /// A peer sends a datagram to the relay at `now`.
  Passage to_relay(const Endpoint& from, const Endpoint& to, Duration now);
  /// The relay sends a datagram to `to` at `now`: the times that its copies travel to the peer's side.
  std::vector<Duration> to_peer(const Endpoint& to, Duration now);
  /// A datagram of the relay has come to `at`: the endpoint of the peer that gets it. Nothing if a NAT drops
  /// it, if `at` is an address behind a NAT, or if the access is cut.
  [[nodiscard]] std::optional<Endpoint> arrive(const Endpoint& at, const Endpoint& from);

 private:
  Access& make(const IpAddress& peer, const Trouble& trouble);
  /// The access whose peer, or whose NAT, is seen at this address; null if there is none.
  [[nodiscard]] Access* seen_at(const IpAddress& address);

  std::uint64_t seed_;
  std::uint64_t parts_ = 0;
  /// By the peer's own address.
  std::map<IpAddress, Access> accesses_;
};

}  // namespace ferry::test
