// Which addresses of signalling are refused, and which are left out (LAT-11a). Control thread only.
#pragma once

#include "control/session/interfaces.hpp"
#include "control/session/request.hpp"
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
  /// Not said if unset or unspecified.
  Endpoint rtp;
  Endpoint rtcp;
  /// RTCP may go to the RTP port instead.
  bool has_mux = false;
  /// The address cannot be meant for us (LAT-4): where packets come from decides.
  bool is_void = false;
  /// The party talks ICE, so that its candidates say where it is.
  bool has_ice = false;
  bool trickles = false;
  std::vector<Endpoint> candidates;
};

/// An address that signalling named, and that is never sent to.
struct LeftOutPeer {
  enum class Kind : std::uint8_t { kRtp, kRtcp, kCandidate };
  Kind kind = Kind::kRtp;
  Endpoint at;
  PeerDenial denial = PeerDenial::kNone;
  bool operator==(const LeftOutPeer&) const = default;
};
std::string_view to_string(LeftOutPeer::Kind kind) noexcept;
/// `candidate 127.0.0.1:4000, a loopback address …`
[[nodiscard]] std::string in_words(const LeftOutPeer& peer);

/// Makes the policies that workers have, from the rules of the configuration and the addresses of the host,
/// and judges what signalling names by the same ones.
class PeerGuard {
 public:
  /// `rules`: without the addresses of the host.
  PeerGuard(const PeerRules& rules, const InterfaceSet& interfaces);

  /// True if they differ from those in force: plans have to be made again.
  bool set_rules(const PeerRules& rules);
  /// Reads the addresses of the host again, once in 10 s. True as above.
  bool follow_host(Instant now);

  [[nodiscard]] static PeerScope scope_of(const LocalAddress& local);
  /// The policy for parties on interfaces of this kind.
  [[nodiscard]] const std::shared_ptr<const PeerPolicy>& policy_of(PeerScope scope) const;
  [[nodiscard]] PeerDenial judge(const Endpoint& peer, const LocalAddress& local) const {
    return policy_of(scope_of(local))->judge(peer);
  }

  /// What of `named` is left out, for a party whose port is at `local`; counted. The error says why no usable
  /// way to the party is left.
  Result<std::vector<LeftOutPeer>, PeerDenial> admit(const NamedPeer& named, const LocalAddress& local);
  /// The same for an address that a command names; also LAT-11.
  Result<void, PeerDenial> admit(const Endpoint& peer, const LocalAddress& local);
  /// Addresses that were refused or left out, by `PeerDenial`.
  [[nodiscard]] const std::array<std::uint64_t, kPeerDenials>& counts() const { return counts_; }

 private:
  bool rebuild();

  const InterfaceSet& interfaces_;
  PeerRules rules_;
  Instant read_at_{};
  std::shared_ptr<const PeerTables> tables_;
  std::array<std::shared_ptr<const PeerPolicy>, 4> policies_;  // by scope
  std::array<std::uint64_t, kPeerDenials> counts_{};
};

/// The reply to a request that names such an address for `what`.
[[nodiscard]] RequestError denied_error(std::string_view what, PeerDenial denial);

}  // namespace ferry
