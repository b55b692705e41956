// SPDX-License-Identifier: Apache-2.0
#include "control/call/peer_guard.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ferry {

namespace {

constexpr Duration kReadEvery = std::chrono::seconds(10);

/// Index of a scope in `policies_`.
std::size_t index(PeerScope scope) { return (scope.is_loopback ? 1u : 0u) + (scope.is_link_local ? 2u : 0u); }

}  // namespace

std::string_view to_string(LeftOutPeer::Kind kind) noexcept {
  switch (kind) {
    case LeftOutPeer::Kind::kRtp:
      return "rtp";
    case LeftOutPeer::Kind::kRtcp:
      return "rtcp";
    case LeftOutPeer::Kind::kCandidate:
      return "candidate";
  }
  return "unknown";
}

std::string in_words(const LeftOutPeer& peer) {
  return fmt::format("{} {}, {}", to_string(peer.kind), peer.at.to_string(), row_of(peer.denial).meaning);
}

PeerGuard::PeerGuard(const PeerRules& rules, const InterfaceSet& interfaces)
    : interfaces_(interfaces), rules_(rules) {
  rebuild();
}

bool PeerGuard::set_rules(const PeerRules& rules) {
  rules_ = rules;
  return rebuild();
}

bool PeerGuard::follow_host(Instant now) {
  if (read_at_ != Instant{} && now - read_at_ < kReadEvery) return false;
  read_at_ = now;
  return rebuild();
}

bool PeerGuard::rebuild() {
  PeerRules all = rules_;
  all.host = interfaces_.host_addresses();
  if (tables_ && tables_->rules() == all) return false;
  tables_ = std::make_shared<const PeerTables>(std::move(all));
  for (const bool is_loopback : {false, true}) {
    for (const bool is_link_local : {false, true}) {
      const PeerScope scope{is_loopback, is_link_local};
      policies_[index(scope)] = std::make_shared<const PeerPolicy>(tables_, scope);
    }
  }
  return true;
}

PeerScope PeerGuard::scope_of(const LocalAddress& local) {
  // Ports at every address of the host are on loopback as well, unless their parties are told another
  // address.
  const bool is_everywhere = local.address.is_unspecified() && local.advertised.is_unspecified();
  return {local.address.is_loopback() || local.advertised.is_loopback() || is_everywhere,
          local.address.is_link_local() || local.advertised.is_link_local()};
}

const std::shared_ptr<const PeerPolicy>& PeerGuard::policy_of(PeerScope scope) const {
  return policies_[index(scope)];
}

Result<std::vector<LeftOutPeer>, PeerDenial> PeerGuard::admit(const NamedPeer& named,
                                                              const LocalAddress& local) {
  std::vector<LeftOutPeer> left_out;
  const auto look = [&](LeftOutPeer::Kind kind, const Endpoint& at) {
    const PeerDenial denial = at.is_reachable() ? judge(at, local) : PeerDenial::kNone;
    if (!is_refusal(denial)) return denial;
    ++counts_[static_cast<std::size_t>(denial)];
    left_out.push_back({kind, at, denial});
    return denial;
  };
  // With ICE one usable candidate is enough, or the default address; more candidates may trickle in. Without
  // ICE the address of RTP must be usable, and that of RTCP unless it may be multiplexed.
  const PeerDenial rtp = look(LeftOutPeer::Kind::kRtp, named.rtp);
  const PeerDenial rtcp = look(LeftOutPeer::Kind::kRtcp, named.rtcp);
  PeerDenial candidate = PeerDenial::kNone;
  bool is_open = !named.has_ice || named.candidates.empty() || named.trickles;
  for (const Endpoint& each : named.candidates) {
    const PeerDenial denial = look(LeftOutPeer::Kind::kCandidate, each);
    is_open = is_open || denial == PeerDenial::kNone;
    if (is_refusal(denial)) candidate = denial;
  }
  if (named.has_ice) {
    const bool has_default = named.rtp.is_reachable() && !is_refusal(rtp);
    if (!is_open && !has_default && is_refusal(candidate)) return fail(candidate);
    return left_out;
  }
  // Packets will say where such a party is; the latch judges their source.
  if (named.is_void) return left_out;
  if (is_refusal(rtp)) return fail(rtp);
  if (is_refusal(rtcp) && !named.has_mux) return fail(rtcp);
  return left_out;
}

Result<void, PeerDenial> PeerGuard::admit(const Endpoint& peer, const LocalAddress& local) {
  const PeerDenial denial = judge(peer, local);
  if (denial == PeerDenial::kNone) return {};
  ++counts_[static_cast<std::size_t>(denial)];
  return fail(denial);
}

}  // namespace ferry
