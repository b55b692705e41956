// SPDX-License-Identifier: Apache-2.0
// Figures in the line protocol of InfluxDB.
#pragma once

#include "relay/base/types.hpp"

#include <string>
#include <vector>

#include <prometheus/metric_family.h>

namespace ferry::telemetry {

/// Returns a line for each series: the family is the measurement, labels are tags, and the field is `value`.
/// A histogram has the fields `count`, `sum` and `le_BOUND` for each bucket. `host` is a tag of every line;
/// empty = none. Pure.
[[nodiscard]] std::string influx_lines(const std::vector<prometheus::MetricFamily>& families,
                                       const std::string& host, WallTime now);

}  // namespace ferry::telemetry
