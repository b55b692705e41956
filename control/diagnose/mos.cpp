// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/mos.hpp"

#include "control/diagnose/hearing.hpp"

#include <algorithm>

namespace ferry {

namespace {

double mos_with(QualityFigures figures, std::uint8_t payload_type) {
  // ITU-T G.113 appendix I has values for G.729A and G.723.1; all other codecs are taken for G.711.
  if (payload_type == 18) {
    figures.equipment_impairment = 11;
    figures.loss_robustness = 19;
  } else if (payload_type == 4) {
    figures.equipment_impairment = 15;
    figures.loss_robustness = 16.1;
  }
  return estimate_mos(figures);
}

}  // namespace

double mos_of(const SsrcCounters& stream) {
  return mos_with(
      {.jitter = stream.jitter(), .loss_percent = stream.loss_percent(), .burst_ratio = stream.burst_ratio()},
      stream.last_payload_type);
}

std::optional<double> mos_of(const RecentStream& recent, std::uint8_t payload_type) {
  if (recent.counts.expected < kEnough) return std::nullopt;
  const double loss = recent.loss_percent();
  const std::uint32_t bursts = recent.counts.loss_bursts;
  const double mean = bursts == 0 ? 1.0 : static_cast<double>(recent.lost()) / bursts;
  return mos_with({.jitter = recent.jitter,
                   .loss_percent = loss,
                   .burst_ratio = std::max(1.0, mean * (1.0 - loss / 100.0))},
                  payload_type);
}

}  // namespace ferry
