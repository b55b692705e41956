// SPDX-License-Identifier: Apache-2.0
// Where packets to the peer of a transport go.
#pragma once

#include "relay/core/forward/component.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/latch/latch.hpp"

namespace ferry {

/// The address that packets go to through the port of `via`; unset if there is none. `latch` is that of the
/// same component.
[[nodiscard]] inline Endpoint destination_of(const TransportPlan& plan, const Latch& latch,
                                             Component via) noexcept {
  // Order: `asymmetric` insists on the signalled endpoint; otherwise the learned peer comes before it.
  const LatchConfig& config = via == Component::kRtp ? plan.rtp_latch : plan.rtcp_latch;
  if (plan.send_to_signalled && config.has_destination()) return config.signalled;
  return latch.destination();
}

}  // namespace ferry
