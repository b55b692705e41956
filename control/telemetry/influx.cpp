// SPDX-License-Identifier: Apache-2.0
#include "control/telemetry/influx.hpp"

#include <chrono>
#include <cmath>
#include <string_view>

#include <fmt/format.h>

namespace ferry::telemetry {

namespace {

/// Names and values of tags: commas, equals signs and blanks need a backslash. Control characters cannot
/// stand there.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ',' || c == '=' || c == ' ') out += '\\';
    out += static_cast<unsigned char>(c) < ' ' || c == '\\' ? '_' : c;
  }
  // The backslash of an escaped character was made here, so it stays.
  return out;
}

std::string fields_of(const prometheus::MetricFamily& family, const prometheus::ClientMetric& metric) {
  if (family.type != prometheus::MetricType::Histogram) {
    const double value =
        family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
    return std::isfinite(value) ? fmt::format("value={}", value) : std::string();
  }
  std::string fields =
      fmt::format("count={}i,sum={}", metric.histogram.sample_count, metric.histogram.sample_sum);
  for (const auto& bucket : metric.histogram.bucket) {
    if (std::isfinite(bucket.upper_bound))
      fields += fmt::format(",le_{}={}i", bucket.upper_bound, bucket.cumulative_count);
  }
  return fields;
}

}  // namespace

std::string influx_lines(const std::vector<prometheus::MetricFamily>& families, const std::string& host,
                         WallTime now) {
  const auto time = std::chrono::duration_cast<std::chrono::nanoseconds>(now.time_since_epoch()).count();
  std::string text;
  for (const auto& family : families) {
    for (const auto& metric : family.metric) {
      const std::string fields = fields_of(family, metric);
      if (fields.empty()) continue;
      text += escaped(family.name);
      if (!host.empty()) text += ",host=" + escaped(host);
      for (const auto& label : metric.label) {
        // An empty value of a tag is an error.
        if (!label.value.empty()) text += fmt::format(",{}={}", escaped(label.name), escaped(label.value));
      }
      text += fmt::format(" {} {}\n", fields, time);
    }
  }
  return text;
}

}  // namespace ferry::telemetry
