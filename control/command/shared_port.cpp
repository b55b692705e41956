// SPDX-License-Identifier: Apache-2.0
#include "control/command/shared_port.hpp"

#include <algorithm>

namespace ferry {

bool is_behind_shared_port(const std::vector<sdp::IceCandidateLine>& candidates,
                           const InterfaceSet& interfaces) {
  return std::ranges::any_of(candidates, [&](const auto& each) { return interfaces.is_shared(each.at); });
}

bool is_behind_shared_port(const Leg& leg, const InterfaceSet& interfaces) {
  return std::ranges::any_of(leg.transports, [&](const MediaTransport& each) {
    return each.ice && is_behind_shared_port(each.ice->theirs.candidates, interfaces);
  });
}

bool is_lite_toward(const Leg* leg, std::optional<bool> word) {
  return word.value_or(leg != nullptr && leg->kept().ice_lite);
}

bool CertainIce::is_certain() const {
  const auto has_both = [](const MediaTransport& each) { return each.has_ice() && each.mux_used; };
  if (leg != nullptr && std::ranges::any_of(leg->transports, has_both)) return true;
  return ice == IceWishes::Offer::kAlways && sdes_off && has_mux;
}

}  // namespace ferry
