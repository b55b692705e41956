// SPDX-License-Identifier: Apache-2.0
#include "relay/core/latch/peer_policy.hpp"

#include <algorithm>
#include <optional>

namespace ferry {

namespace {

/// LAT-11: ports of services that answer whoever asks, and port 0. Media sent there would come back or hit a
/// third party.
constexpr std::array<std::uint16_t, 11> kReflectorPorts = {19,  53,   111,  123,   137, 161,
                                                           389, 1900, 5353, 11211, 0};

/// LAT-11a: system ports (RFC 6335 §6), SIP (RFC 3261 §19.1.2), and the usual ports of the NG and rtpproxy
/// protocols, where another relay of this host may listen.
constexpr std::array<PortSpan, 4> kReservedPorts = {{
    {UdpPort{0}, UdpPort{1023}},
    {UdpPort{2223}, UdpPort{2223}},
    {UdpPort{5060}, UdpPort{5061}},
    {UdpPort{22222}, UdpPort{22222}},
}};

bool is_no_party(const Endpoint& peer) noexcept {
  const IpAddress& address = peer.address;
  return address.is_multicast() || address.is_broadcast() || address.is_unspecified() ||
         std::ranges::find(kReflectorPorts, peer.port.value) != kReflectorPorts.end();
}

/// The IPv4 address that a NAT64 translator reaches for an address with the well-known prefix 64:ff9b::/96
/// (RFC 6052 §2.1). Nothing for other addresses.
std::optional<IpAddress> behind_translator(const IpAddress& address) noexcept {
  constexpr std::array<std::uint8_t, 12> kPrefix = {0x00, 0x64, 0xff, 0x9b};
  const auto& octets = address.octets();
  if (!address.is_v6() || !std::equal(kPrefix.begin(), kPrefix.end(), octets.begin())) return std::nullopt;
  return IpAddress::v4({octets[12], octets[13], octets[14], octets[15]});
}

bool contains(const std::vector<Network>& networks, const IpAddress& address) noexcept {
  return std::ranges::any_of(networks, [&](const Network& network) { return network.contains(address); });
}

}  // namespace

PeerTables::PeerTables(PeerRules rules) : rules_(std::move(rules)) {
  for (IpAddress& address : rules_.host) address = address.unmapped();
  const auto close = [this](const PortSpan& span) {
    for (std::size_t port = span.first.value; port <= span.last.value; ++port) ports_.set(port);
  };
  // Both kinds of ports are closed only at guarded addresses (`is_guarded`).
  std::ranges::for_each(kReservedPorts, close);
  std::ranges::for_each(rules_.ports, close);
}

PeerDenial PeerTables::judge(const Endpoint& peer, PeerScope scope) const noexcept {
  const Endpoint real{peer.address.unmapped(), peer.port};
  const IpAddress& address = real.address;
  if (is_no_party(real)) return PeerDenial::kNoParty;
  if (address.is_loopback() && !scope.is_loopback) return PeerDenial::kLoopback;
  if (address.is_link_local() && !scope.is_link_local) return PeerDenial::kLinkLocal;
  if (ports_.test(real.port.value) && is_guarded(address)) return PeerDenial::kControlPort;
  // The operator may except networks, for example his own media servers inside a denied range.
  if (contains(rules_.denied, address) && !contains(rules_.allowed, address))
    return PeerDenial::kDeniedNetwork;
  // A translator would turn an innocent IPv6 address into a forbidden IPv4 one, so that one is judged as
  // well.
  const auto behind = behind_translator(address);
  return behind ? judge({*behind, real.port}, scope) : PeerDenial::kNone;
}

bool PeerTables::is_guarded(const IpAddress& address) const noexcept {
  return address.is_loopback() || std::ranges::find(rules_.host, address) != rules_.host.end() ||
         contains(rules_.control, address);
}

PeerDenial judge_peer(const std::shared_ptr<const PeerPolicy>& policy, const Endpoint& peer) noexcept {
  if (policy) return policy->judge(peer);
  return is_no_party({peer.address.unmapped(), peer.port}) ? PeerDenial::kNoParty : PeerDenial::kNone;
}

}  // namespace ferry
