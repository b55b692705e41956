// SPDX-License-Identifier: Apache-2.0
// Makes the page `/metrics` from one table of families. prometheus-cpp writes the text.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/ng/service.hpp"
#include "control/protocol/pages/metric_kind.hpp"
#include "control/telemetry/settings.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace prometheus {
struct MetricFamily;
}

namespace ferry::metrics {

/// One family for people. Documents are made of these rows.
struct FamilyRow {
  /// Name with its prefix.
  std::string_view name;
  Kind kind = Kind::kCounter;
  /// Names of its labels, with commas between them.
  std::string_view labels;
  /// What it counts, and what an operator may do about it.
  std::string_view meaning;
  std::string_view advice;
};
/// All families, in the order of the page.
std::span<const FamilyRow> families();

/// Figures that the daemon adds to those of the manager. They are called at each scrape. Any may be empty.
struct Sources {
  std::function<nlohmann::json()> engines;
  std::function<nlohmann::json()> recorder;
  std::function<nlohmann::json()> rtpproxy;
  std::function<nlohmann::json()> connections;
  /// An object for each server that reports are sent to, by its name.
  std::function<nlohmann::json()> telemetry;
  /// How the control listeners are guarded. Each member is one of loopback, allow-list, token,
  /// client-certificate, open.
  std::vector<std::string> exposure;
};

/// Collects the figures of the page. No label names a call, a number or an address (CTL-8). Control thread
/// only.
class Metrics {
 public:
  /// The references must outlive this object.
  Metrics(SessionManager& manager, const ng::NgService& ng, std::function<Clock()> clock);
  ~Metrics();
  /// Sets the figures that the daemon adds; without it they are left out.
  void set_sources(Sources sources);
  /// Sets by which names the figures are shown; by default those of the relay.
  void set_names(MetricNames names);

  /// Adds a call that is over to the histograms.
  void observe(const CallReport& report);
  /// Adds an NG command that was answered, and the time that it took.
  void observe_request(std::string_view command, Duration time);
  /// Returns all families as they are now.
  [[nodiscard]] std::vector<prometheus::MetricFamily> collect() const;
  /// Returns them as the page, in the exposition format of Prometheus, text 0.0.4.
  [[nodiscard]] std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ferry::metrics
