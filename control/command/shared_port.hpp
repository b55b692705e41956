// SPDX-License-Identifier: Apache-2.0
// Who may live on the port that all ICE legs of an address share (`ice-port`, ONE-3).
#pragma once

#include "control/call/call.hpp"
#include "control/ports/interfaces.hpp"
#include "control/request/request.hpp"
#include "control/sdp/ice.hpp"

#include <optional>
#include <vector>

namespace ferry {

/// True if a party with these candidates is behind a shared port of ours: both ends of its pair would be one
/// endpoint.
[[nodiscard]] bool is_behind_shared_port(const std::vector<sdp::IceCandidateLine>& candidates,
                                         const InterfaceSet& interfaces);
/// The same for a party that is known.
[[nodiscard]] bool is_behind_shared_port(const Leg& leg, const InterfaceSet& interfaces);

/// True if the relay is, or by `word` becomes, a lite agent toward the party. It then sends no checks, so
/// that nothing proves where the party was reached (ONE-3). `leg` null = the party is made later.
[[nodiscard]] bool is_lite_toward(const Leg* leg, std::optional<bool> word);

/// What is certain about a party that is made an offer with ICE. An offer names the shared port alone, so its
/// party must have ICE and rtcp-mux.
struct CertainIce {
  /// The party; null = it is made later.
  const Leg* leg = nullptr;
  /// The words of this offer and of earlier ones.
  IceWishes::Offer ice = IceWishes::Offer::kAsOffered;
  /// True if this offer or an earlier one said `SDES-off`.
  bool sdes_off = false;
  /// True if rtcp-mux is offered.
  bool has_mux = false;
  /// True if the party has both already, or if the words say that it is a browser: ICE is forced, SDES is off
  /// and rtcp-mux is offered. The flag `WebRTC` is all three.
  [[nodiscard]] bool is_certain() const;
};

}  // namespace ferry
