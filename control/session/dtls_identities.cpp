// SPDX-License-Identifier: Apache-2.0
#include "control/session/dtls_identities.hpp"

namespace ferry {

std::shared_ptr<const DtlsIdentity> DtlsIdentities::current(Instant now) {
  constexpr Duration kRotation = std::chrono::hours(24);
  const bool is_old = !identity_ || now - made_at_ >= kRotation;
  if (is_old && config_.backend) {
    if (auto made = config_.backend->make_identity()) identity_ = std::move(made);
    made_at_ = now;
  }
  return identity_;
}

}  // namespace ferry
