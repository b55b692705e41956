// SPDX-License-Identifier: Apache-2.0
// InfluxDB's line protocol.

#include "control/telemetry/influx.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace ferry::telemetry {
namespace {

constexpr WallTime kNoon{std::chrono::seconds(1'700'000'000)};

prometheus::MetricFamily family(const char* name, prometheus::MetricType type) {
  prometheus::MetricFamily made;
  made.name = name;
  made.type = type;
  made.metric.emplace_back();
  return made;
}

TEST(Influx, LabelsAreTagsAndTheFieldIsTheValue) {
  auto made = family("rtpferry_drops_total", prometheus::MetricType::Counter);
  made.metric[0].label = {{"reason", "foreign-source"}};
  made.metric[0].counter.value = 7;
  EXPECT_EQ(influx_lines({made}, "relay1", kNoon),
            "rtpferry_drops_total,host=relay1,reason=foreign-source value=7 1700000000000000000\n");
}

TEST(Influx, CharactersThatDivideALineAreEscaped) {
  auto made = family("x", prometheus::MetricType::Gauge);
  made.metric[0].label = {{"a b", "c,d=e"}, {"empty", ""}, {"line", "1\n2\\"}};
  made.metric[0].gauge.value = 0.5;
  EXPECT_EQ(influx_lines({made}, "", kNoon), "x,a\\ b=c\\,d\\=e,line=1_2_ value=0.5 1700000000000000000\n");
}

TEST(Influx, AHistogramIsOneLine) {
  auto made = family("h", prometheus::MetricType::Histogram);
  auto& histogram = made.metric[0].histogram;
  histogram.sample_count = 3;
  histogram.sample_sum = 1.25;
  histogram.bucket.resize(2);
  histogram.bucket[0].upper_bound = 0.5;
  histogram.bucket[0].cumulative_count = 2;
  histogram.bucket[1].upper_bound = std::numeric_limits<double>::infinity();
  histogram.bucket[1].cumulative_count = 3;
  EXPECT_EQ(influx_lines({made}, "", kNoon), "h count=3i,sum=1.25,le_0.5=2i 1700000000000000000\n");
}

TEST(Influx, WhatIsNoNumberIsLeftOut) {
  auto made = family("g", prometheus::MetricType::Gauge);
  made.metric[0].gauge.value = std::numeric_limits<double>::quiet_NaN();
  EXPECT_EQ(influx_lines({made}, "", kNoon), "");
}

}  // namespace
}  // namespace ferry::telemetry
