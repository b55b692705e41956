// Where the party of a call may be: the one decision about addresses that signalling names and packets come
// from (LAT-11, LAT-11a).
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

/// Why an address is never sent to and never learned.
enum class PeerDenial : std::uint8_t {
  kNone,
  kNoParty,
  kLoopback,
  kLinkLocal,
  kControlPort,
  kDeniedNetwork,
  kCount,
};

constexpr std::size_t kPeerDenials = static_cast<std::size_t>(PeerDenial::kCount);

struct PeerDenialRow {
  PeerDenial denial;
  std::string_view name;
  /// What such an address is: "the SDP names …".
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

constexpr const PeerDenialRow& row_of(PeerDenial denial) noexcept {
  return kPeerDenialRows[static_cast<std::size_t>(denial)];
}
constexpr std::string_view to_string(PeerDenial denial) noexcept { return row_of(denial).name; }

/// LAT-11a, as opposed to LAT-11: signalling that names such an address and no other is answered with an
/// error.
constexpr bool is_refusal(PeerDenial denial) noexcept {
  return denial != PeerDenial::kNone && denial != PeerDenial::kNoParty;
}

/// The first and the last of some ports.
struct PortSpan {
  UdpPort first;
  UdpPort last;
  bool operator==(const PortSpan&) const = default;
};

/// What an operator and the host say about it.
struct PeerRules {
  /// Of this host: addresses that it has, and those that it advertises.
  std::vector<IpAddress> host;
  /// Networks that control commands may come from (`control-allow`).
  std::vector<Network> control;
  /// Ports that no party may have at `host` or in `control`, beside those that every host reserves: where
  /// this process listens, and `deny-peer-ports`.
  std::vector<PortSpan> ports;
  /// `deny-peer`, and `allow-peer`, which makes exceptions from it.
  std::vector<Network> denied;
  std::vector<Network> allowed;
  bool operator==(const PeerRules&) const = default;
};

/// What the interface of a party is. Only its own kind of such addresses is near it.
struct PeerScope {
  bool is_loopback = false;
  bool is_link_local = false;
  bool operator==(const PeerScope&) const = default;
};

/// The rules in a form to be asked. Immutable; control makes a new one when something changed.
class PeerTables {
 public:
  explicit PeerTables(PeerRules rules);
  [[nodiscard]] PeerDenial judge(const Endpoint& peer, PeerScope scope) const noexcept;
  [[nodiscard]] const PeerRules& rules() const noexcept { return rules_; }

 private:
  [[nodiscard]] bool is_guarded(const IpAddress& address) const noexcept;

  PeerRules rules_;
  std::bitset<65536> ports_;
};

/// For the parties of one kind of interface. Immutable, pure, shared by control and all workers; no
/// allocation and no lock in `judge`.
class PeerPolicy {
 public:
  PeerPolicy(std::shared_ptr<const PeerTables> tables, PeerScope scope)
      : tables_(std::move(tables)), scope_(scope) {}
  /// Of `peer` as it is, an IPv4 address in IPv6 form (RFC 4291 §2.5.5.2) as the IPv4 address.
  [[nodiscard]] PeerDenial judge(const Endpoint& peer) const noexcept { return tables_->judge(peer, scope_); }

 private:
  std::shared_ptr<const PeerTables> tables_;
  PeerScope scope_;
};

/// The same where no policy was set (null): LAT-11 alone.
[[nodiscard]] PeerDenial judge_peer(const std::shared_ptr<const PeerPolicy>& policy,
                                    const Endpoint& peer) noexcept;

}  // namespace ferry
