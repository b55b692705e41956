// SPDX-License-Identifier: Apache-2.0
// Kinds of metrics.
#pragma once

#include <cstdint>
#include <string_view>

namespace ferry::metrics {

/// Type of a family, as Prometheus names it.
enum class Kind : std::uint8_t { kCounter, kGauge, kHistogram };
constexpr std::string_view to_string(Kind kind) noexcept {
  return kind == Kind::kCounter ? "counter" : kind == Kind::kGauge ? "gauge" : "histogram";
}

}  // namespace ferry::metrics
