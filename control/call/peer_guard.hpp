// SPDX-License-Identifier: Apache-2.0
// Which addresses that signalling names are refused, and which are left out (LAT-11a). Control thread only.
#pragma once

#include "control/ports/interfaces.hpp"
#include "control/request/request.hpp"
#include "relay/core/latch/peer_policy.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ferry {

/// Where one section of an SDP, or one command, says that a party is.
struct NamedPeer {
  /// Not named if unset or unspecified.
  Endpoint rtp;
  Endpoint rtcp;
  /// True if RTCP may go to the RTP port instead.
  bool has_mux = false;
  /// True if the address cannot be meant for us (LAT-4): the source of packets decides then.
  bool is_void = false;
  /// True if the party talks ICE, so that `candidates` say where it is; with `trickles` more may come.
  /// Without ICE there are none.
  bool has_ice = false;
  bool trickles = false;
  std::vector<Endpoint> candidates;
};

/// An address that signalling named and that is never sent to.
struct LeftOutPeer {
  /// What the address was named for.
  enum class Kind : std::uint8_t { kRtp, kRtcp, kCandidate };
  /// By the line of the SDP that named the address.
  Kind kind = Kind::kRtp;
  /// The address.
  Endpoint at;
  /// Why it is left out; never kNone.
  PeerDenial denial = PeerDenial::kNone;
  bool operator==(const LeftOutPeer&) const = default;
};
std::string_view to_string(LeftOutPeer::Kind kind) noexcept;
/// The address and the reason in words, such as `candidate 127.0.0.1:4000, a loopback address …`.
[[nodiscard]] std::string in_words(const LeftOutPeer& peer);

/// Judges the addresses that signalling names. Makes the policies of the workers from the rules of the
/// configuration and the addresses of the host, and uses the same ones itself.
class PeerGuard {
 public:
  /// `rules` come without the addresses of the host, which the guard reads. `interfaces` must outlive it.
  PeerGuard(const PeerRules& rules, const InterfaceSet& interfaces);

  /// Replaces the rules. True if the result differs from what was in force: all plans must be made again.
  bool set_rules(const PeerRules& rules);
  /// Reads the addresses of the host again, at most once in 10 s. True if plans must be made again.
  bool follow_host(Instant now);

  /// Whether parties of this local address may be on loopback or link-local addresses.
  [[nodiscard]] static PeerScope scope_of(const LocalAddress& local);
  /// The policy for parties on interfaces of this kind. Never null; shared with the workers.
  [[nodiscard]] const std::shared_ptr<const PeerPolicy>& policy_of(PeerScope scope) const;
  /// Why a party of this local address may not be at `peer`; kNone if it may. Counts nothing.
  [[nodiscard]] PeerDenial judge(const Endpoint& peer, const LocalAddress& local) const {
    return policy_of(scope_of(local))->judge(peer);
  }

  /// The addresses of `named` that are left out, for a party whose port is at `local`. Counts them. The error
  /// says why no usable way to the party remains.
  Result<std::vector<LeftOutPeer>, PeerDenial> admit(const NamedPeer& named, const LocalAddress& local);
  /// The same for an address that a command names. It must also fit LAT-11.
  Result<void, PeerDenial> admit(const Endpoint& peer, const LocalAddress& local);
  /// How many addresses were refused or left out, by `PeerDenial`.
  [[nodiscard]] const std::array<std::uint64_t, kPeerDenials>& counts() const { return counts_; }

 private:
  /// Makes tables and policies again. True if they differ from before.
  bool rebuild();

  const InterfaceSet& interfaces_;
  PeerRules rules_;
  /// When the addresses of the host were read last; `Instant{}` = never.
  Instant read_at_{};
  std::shared_ptr<const PeerTables> tables_;
  /// By scope: index 1 is loopback, 2 link-local, 3 both.
  std::array<std::shared_ptr<const PeerPolicy>, 4> policies_;
  std::array<std::uint64_t, kPeerDenials> counts_{};
};

}  // namespace ferry
