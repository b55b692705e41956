// SPDX-License-Identifier: Apache-2.0
#include "control/session/pauses.hpp"

#include <algorithm>

namespace ferry {

void Pauses::add(Instant began, Instant ended) {
  if (pauses_.size() == kKept) pauses_.erase(pauses_.begin());
  // The rest of the grace of the pause before belongs to the new pause.
  if (!pauses_.empty()) pauses_.back().ended = std::min(pauses_.back().ended, began);
  pauses_.push_back({began, ended + kGrace});
}

Instant Pauses::after(Instant since, Duration silence) const noexcept {
  Instant at = since + silence;
  for (const Pause& each : pauses_) {
    if (each.ended <= since) continue;
    if (each.began >= at) break;
    at += each.ended - std::max(each.began, since);
  }
  return at;
}

}  // namespace ferry
