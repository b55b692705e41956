// SPDX-License-Identifier: Apache-2.0
// rtpengine's names of metrics: each row finds its figure, and figures keep what they mean.

#include "control/protocol/pages/rtpengine_metrics.hpp"

#include "control/protocol/pages/metrics.hpp"
#include "tests/support/world.hpp"

#include <set>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace ferry::test {
namespace {

using metrics::Kind;
using metrics::RtpengineRow;
using namespace std::chrono_literals;

/// Values by name and labels, as `name{label=value,…}`.
std::map<std::string, double> series(const std::vector<prometheus::MetricFamily>& families) {
  std::map<std::string, double> all;
  for (const auto& family : families) {
    for (const auto& metric : family.metric) {
      std::string labels;
      for (const auto& label : metric.label)
        labels += fmt::format("{}{}={}", labels.empty() ? "" : ",", label.name, label.value);
      all[family.name + "{" + labels + "}"] =
          family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
    }
  }
  return all;
}

TEST(RtpengineMetrics, EachRowFindsItsFigure) {
  const auto world = make_sim_world();
  const Dict figures = metrics::rtpengine_figures(world->service());
  const auto found = series(metrics::rtpengine_families(figures));
  for (const RtpengineRow& row : metrics::rtpengine_rows()) {
    std::string labels(row.labels);
    if (labels.starts_with("name=*")) labels.replace(0, 6, "name=plain");
    if (labels == "request=*") labels = "request=offer";
    const std::string name = fmt::format("{}{{{}}}", row.name, labels);
    EXPECT_TRUE(found.contains(name)) << name << " at " << row.figure;
  }
}

TEST(RtpengineMetrics, RowsOfAFamilyStandTogetherWithOneKindAndBeginWithItsMeaning) {
  std::set<std::string_view> over;
  std::set<std::string> seen;
  const RtpengineRow* before = nullptr;
  for (const RtpengineRow& row : metrics::rtpengine_rows()) {
    EXPECT_TRUE(seen.insert(fmt::format("{}{{{}}}", row.name, row.labels)).second) << row.name << row.labels;
    EXPECT_TRUE(row.name.starts_with("rtpengine_"));
    if (before != nullptr && before->name == row.name) {
      EXPECT_EQ(before->kind, row.kind) << row.name;
    } else {
      EXPECT_TRUE(over.insert(row.name).second) << row.name << " stands in two places";
    }
    before = &row;
  }
  // What rtpengine 10.5 showed with `curl /metrics`, and what later versions add for RTCP.
  EXPECT_GE(over.size(), 35u);
}

TEST(RtpengineMetrics, ACallAndItsPacketsAreCountedUnderTheirNames) {
  const auto world = make_sim_world();
  const Endpoint a{world->peer_address(1, 'A'), UdpPort{4000}};
  const Endpoint b{world->peer_address(1, 'B'), UdpPort{5000}};
  for (const Endpoint& each : {a, b}) world->open(each);
  const UdpPort to_b = World::port_of(world->ng(offer("c", "A", audio_sdp(a))));
  const UdpPort to_a = World::port_of(world->ng(answer("c", "A", "B", audio_sdp(b))));
  for (std::uint16_t n = 1; n <= 10; ++n) {
    world->send(a, {world->relay_address(), to_a}, rtp('A', 1, n));
    world->send(b, {world->relay_address(), to_b}, rtp('B', 2, n));
    world->run(world->elapsed() + 20ms);
  }
  world->ng({{"command", "nonsense"}});
  auto found = series(metrics::rtpengine_families(metrics::rtpengine_figures(world->service())));
  EXPECT_EQ(found["rtpengine_sessions{type=own}"], 1);
  EXPECT_EQ(found["rtpengine_sessions_total{}"], 1);
  EXPECT_EQ(found["rtpengine_packets_total{type=userspace}"], 20);
  EXPECT_EQ(found["rtpengine_packets_total{type=kernel}"], 0);
  EXPECT_EQ(found["rtpengine_ports_used{name=plain}"], 4);
  EXPECT_EQ(found["rtpengine_ports{name=plain}"],
            found["rtpengine_ports_used{name=plain}"] + found["rtpengine_ports_free{name=plain}"]);
  EXPECT_EQ(found["rtpengine_interface_packets{name=plain,direction=ingress}"], 20);
  EXPECT_EQ(found["rtpengine_requests_total{request=offer}"], 1);
  EXPECT_EQ(found["rtpengine_errors_total{}"], 1);
  world->ng({{"command", "delete"}, {"call-id", "c"}, {"from-tag", "A"}, {"delete-delay", 0}});
  world->run(world->elapsed() + 2s);
  found = series(metrics::rtpengine_families(metrics::rtpengine_figures(world->service())));
  EXPECT_EQ(found["rtpengine_sessions{type=own}"], 0);
  EXPECT_EQ(found["rtpengine_closed_sessions_total{reason=terminated}"], 1);
  EXPECT_GT(found["rtpengine_call_duration_total{}"], 0);
}

TEST(RtpengineMetrics, CTL8_NoLabelNamesAnAddress) {
  const auto world = make_sim_world();
  world->ng({{"command", "ping"}});
  const std::string address = world->relay_address().to_string();
  for (const auto& [name, value] :
       series(metrics::rtpengine_families(metrics::rtpengine_figures(world->service())))) {
    EXPECT_EQ(name.find(address), std::string::npos) << name;
    EXPECT_EQ(name.find("127.0.0.1"), std::string::npos) << name;
  }
}

TEST(RtpengineMetrics, TheOptionSaysWhoseNamesThePageHas) {
  const auto world = make_sim_world();
  metrics::Metrics metrics(world->manager(), world->service(), [&] { return world->clock(); });
  const auto has = [&](std::string_view name) {
    return metrics.text().find(fmt::format("\n{}", name)) != std::string::npos;
  };
  EXPECT_TRUE(has("rtpferry_sessions ") && !has("rtpengine_sessions{"));
  metrics.set_names(MetricNames::kRtpengine);
  EXPECT_TRUE(!has("rtpferry_sessions ") && has("rtpengine_sessions{"));
  metrics.set_names(MetricNames::kBoth);
  EXPECT_TRUE(has("rtpferry_sessions ") && has("rtpengine_sessions{"));
}

}  // namespace
}  // namespace ferry::test
