// SPDX-License-Identifier: Apache-2.0
// Makes the reply to the NG command `statistics` (docs/reference/ng.md#statistics).
#pragma once

#include "control/manager/manager.hpp"
#include "control/value/value.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ferry::ng {

/// Rates of the last second, which the daemon measures.
struct TrafficRates {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t errors = 0;
  // Part of `packets` and `bytes` that the kernel forwarded.
  std::uint64_t kernel_packets = 0;
  std::uint64_t kernel_bytes = 0;
};

/// What the figures are read from.
/// Where the figures come from. Borrowed for the call.
struct StatisticsSource {
  SessionManager& manager;
  TrafficRates rates;
  /// Time since the service was constructed.
  Duration uptime{0};
};

/// One figure of the reply. Documents and tests are made of these rows.
struct FigureRow {
  /// The dictionary of the reply that contains the figure.
  std::string_view part;
  std::string_view name;
  std::string_view meaning;
};
/// All figures, in the order of the reply.
std::vector<FigureRow> figure_rows();

/// Returns the dictionary `statistics`. `control` becomes its part `controlstatistics`.
Dict make_statistics(const StatisticsSource& source, Dict control);

/// Writes seconds as decimal text with six digits behind the point.
std::string seconds_text(double seconds);

}  // namespace ferry::ng
