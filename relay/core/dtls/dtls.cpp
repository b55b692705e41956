// SPDX-License-Identifier: Apache-2.0
#include "relay/core/dtls/dtls.hpp"

#include <algorithm>

namespace ferry {

bool is_signalled(const DtlsAssociation& association, const DtlsPlan& plan) {
  // Only the strongest hash function counts, so that a weaker one beside it cannot be attacked (RFC 8122 §5).
  std::optional<FingerprintHash> strongest;
  for (const Fingerprint& each : plan.peer) {
    if (each.hash == FingerprintHash::kSha1 && !plan.allow_sha1) continue;
    if (!strongest || each.hash > *strongest) strongest = each.hash;
  }
  if (!strongest) return false;
  const Fingerprint shown = association.peer_fingerprint(*strongest);
  return !shown.octets.empty() && std::ranges::find(plan.peer, shown) != plan.peer.end();
}

}  // namespace ferry
