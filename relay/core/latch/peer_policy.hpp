// SPDX-License-Identifier: Apache-2.0
// Decides where the party of a call may be. The same decision applies to addresses that signalling names and
// to those that packets come from (LAT-11, LAT-11a).
#pragma once

#include "relay/base/address.hpp"

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace ferry {

/// Why an address is never sent to and never learned. `kPeerDenialRows` explains each in words.
enum class PeerDenial : std::uint8_t {
  kNone,
  kNoParty,
  kLoopback,
  kLinkLocal,
  kControlPort,
  kDeniedNetwork,
  kCount,
};

/// Number of enumerators, `kNone` included.
constexpr std::size_t kPeerDenials = static_cast<std::size_t>(PeerDenial::kCount);

/// The texts of one reason.
struct PeerDenialRow {
  PeerDenial denial;
  /// Spelling in metrics and messages.
  std::string_view name;
  /// Description of such an address; it completes "the SDP names …".
  std::string_view meaning;
};

// clang-format off
inline constexpr std::array<PeerDenialRow, kPeerDenials> kPeerDenialRows = {{
  {PeerDenial::kNone, "none", "an address where a party may be"},
  {PeerDenial::kNoParty, "no-party", "a multicast, broadcast or unspecified address, or the port of a service that answers anybody (LAT-11)"},
  {PeerDenial::kLoopback, "loopback", "a loopback address, and the interface of its party is not on loopback (LAT-11a)"},
  {PeerDenial::kLinkLocal, "link-local", "a link-local address, and the interface of its party is not link-local (LAT-11a)"},
  {PeerDenial::kControlPort, "control-port", "a port for control or signalling, at this host or in control-allow (LAT-11a)"},
  {PeerDenial::kDeniedNetwork, "denied-network", "an address in a network of deny-peer (LAT-11a)"},
}};
// clang-format on

/// The row of a reason.
constexpr const PeerDenialRow& row_of(PeerDenial denial) noexcept {
  return kPeerDenialRows[static_cast<std::size_t>(denial)];
}
constexpr std::string_view to_string(PeerDenial denial) noexcept { return row_of(denial).name; }

/// True for the reasons of LAT-11a: signalling that names only such addresses is answered with an error. The
/// reasons of LAT-11 merely make an address unusable.
constexpr bool is_refusal(PeerDenial denial) noexcept {
  return denial != PeerDenial::kNone && denial != PeerDenial::kNoParty;
}

/// A range of ports, both ends included.
struct PortSpan {
  UdpPort first;
  UdpPort last;
  bool operator==(const PortSpan&) const = default;
};

/// Forbidden addresses as the operator and the host have them. Control fills it from the configuration.
struct PeerRules {
  /// This host's own addresses, and those that it advertises.
  std::vector<IpAddress> host;
  /// Networks that control commands may come from (option `control-allow`).
  std::vector<Network> control;
  /// Ports that no party may have at an address of `host` or `control`: where this process listens, and
  /// `deny-peer-ports`. Ports that are reserved on every host come on top.
  std::vector<PortSpan> ports;
  /// Networks where no party may be (option `deny-peer`).
  std::vector<Network> denied;
  /// Exceptions from `denied` (option `allow-peer`).
  std::vector<Network> allowed;
  bool operator==(const PeerRules&) const = default;
};

/// Kind of the interface that a party is reached by. A loopback or link-local address is fine only on an
/// interface of the same kind.
struct PeerScope {
  bool is_loopback = false;
  bool is_link_local = false;
  bool operator==(const PeerScope&) const = default;
};

/// The rules in a form that is quick to ask. Immutable; control makes a new one when something changes.
class PeerTables {
 public:
  /// Takes the rules over; mapped addresses become IPv4 addresses.
  explicit PeerTables(PeerRules rules);
  /// Judges `peer` for a party on an interface of kind `scope`.
  [[nodiscard]] PeerDenial judge(const Endpoint& peer, PeerScope scope) const noexcept;
  [[nodiscard]] const PeerRules& rules() const noexcept { return rules_; }

 private:
  /// True if the ports of `ports_` are closed to parties at this address.
  [[nodiscard]] bool is_guarded(const IpAddress& address) const noexcept;

  PeerRules rules_;
  /// Set for each port that no party may have at a guarded address.
  std::bitset<65536> ports_;
};

/// The rules for parties on one kind of interface. Immutable and pure; control and all workers share it.
/// `judge` neither allocates nor locks.
class PeerPolicy {
 public:
  PeerPolicy(std::shared_ptr<const PeerTables> tables, PeerScope scope)
      : tables_(std::move(tables)), scope_(scope) {}
  /// Why no party may be at `peer`; kNone if one may. An IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is
  /// judged as the IPv4 address.
  [[nodiscard]] PeerDenial judge(const Endpoint& peer) const noexcept { return tables_->judge(peer, scope_); }

 private:
  std::shared_ptr<const PeerTables> tables_;
  PeerScope scope_;
};

/// Judges by a policy that may be null; then only LAT-11 applies.
[[nodiscard]] PeerDenial judge_peer(const std::shared_ptr<const PeerPolicy>& policy,
                                    const Endpoint& peer) noexcept;

}  // namespace ferry
