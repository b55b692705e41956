// SPDX-License-Identifier: Apache-2.0
// What two medias have agreed on if the relay stands between T.38 and the sound of a modem. Pure. Control
// thread only.
#pragma once

#include "control/request/fax_wishes.hpp"
#include "relay/core/audio/fax.hpp"

#include <cstdint>

namespace ferry {

/// A fax gateway as offers and answers have it. Both medias of the call have equal terms; the one whose kind
/// is UDPTL speaks T.38.
struct FaxTerms {
  /// The words that count, without `decode`, `force` and `stop`, which say only when it begins and ends.
  FaxWishes wishes;
  /// The version of T.38 that the relay has shown.
  int shown_version = 0;
  /// What the gateway obeys. Before the T.38 party has said anything: what the relay offers.
  T38Settings settings;
  /// Names the gateway; drawn by chance. Terms that are changed get another gateway.
  std::uint64_t gateway = 0;
  bool operator==(const FaxTerms&) const = default;
};

}  // namespace ferry
