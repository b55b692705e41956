// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtp/ssrc_counters.hpp"

#include <algorithm>

namespace ferry {

double SsrcCounters::burst_ratio() const noexcept {
  const double loss = loss_percent() / 100.0;
  if (loss_bursts == 0 || loss <= 0 || loss >= 1) return 1.0;
  // BurstR: mean length of a run of losses, against that of random losses with the same share.
  const double mean = static_cast<double>(lost()) / static_cast<double>(loss_bursts);
  return std::max(1.0, mean * (1.0 - loss));
}

std::optional<SsrcCounters::Drift> SsrcCounters::drift() const noexcept {
  // A clock that drifts by some ppm moves little; shorter measurements would only show jitter.
  constexpr auto kLeast = std::chrono::seconds(5);
  const Duration time = last_packet - drift_since;
  if (clock_rate_hz == 0 || drift_since == Instant{} || time < kLeast) return std::nullopt;
  const double units = static_cast<double>(clock_rate_hz) * std::chrono::duration<double>(time).count();
  // The sum of drift over the whole time: how much the transit time has moved.
  const auto moved = static_cast<std::int32_t>(static_cast<std::uint32_t>(transit) -
                                               static_cast<std::uint32_t>(drift_transit));
  return Drift{1e6 * moved / units, 1e6 * 2.0 * (static_cast<double>(jitter_q4) / 16.0) / units};
}

}  // namespace ferry
