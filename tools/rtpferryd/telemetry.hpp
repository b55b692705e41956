// SPDX-License-Identifier: Apache-2.0
// Sends figures and reports to the servers that the configuration names: Graphite, InfluxDB, Homer.
#pragma once

#include "control/manager/manager.hpp"
#include "control/protocol/ng/service.hpp"
#include "control/protocol/pages/metrics.hpp"
#include "control/telemetry/graphite.hpp"
#include "control/telemetry/homer_reports.hpp"
#include "control/telemetry/sender.hpp"
#include "control/telemetry/settings.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace ferry {

/// Joins the writers of `control/telemetry` with the daemon. Nothing happens for servers that are not named.
/// Control thread only. It must outlive the manager that it follows.
class Telemetry {
 public:
  explicit Telemetry(TelemetrySettings settings);
  ~Telemetry() { stop_soon(); }
  Telemetry(const Telemetry&) = delete;
  Telemetry& operator=(const Telemetry&) = delete;

  /// Tells all senders to end, and does not wait for them: the daemon stops. What is sent from now on is
  /// lost.
  void stop_soon();
  /// Begins to follow calls and commands.
  void follow(SessionManager& manager, ng::NgService& ng);
  /// To be called once a second: sends what is due.
  void end_second(const SessionManager& manager, const ng::NgService& ng, const metrics::Metrics& metrics,
                  const Clock& clock);
  /// To be called several times a second: tells of reports that parties have sent.
  void turn(SessionManager& manager, const Clock& clock);
  /// Notes a command of the NG protocol that was served.
  void note_command(std::string_view command, Duration time);
  /// Figures for metrics: an object for each server.
  [[nodiscard]] nlohmann::json figures() const;

 private:
  [[nodiscard]] static std::unique_ptr<telemetry::Sender> make_sender(
      std::string name, std::unique_ptr<telemetry::Channel> channel, std::size_t backlog);
  void make_homer();
  /// True if `interval` has passed since `last`, which then becomes `now`. The first time is one interval
  /// after the first call.
  static bool is_due(std::optional<Instant>& last, std::chrono::seconds interval, Instant now);

  TelemetrySettings settings_;
  std::string host_;
  telemetry::GraphiteInterval interval_;
  std::optional<Instant> graphite_sent_;
  std::optional<Instant> influx_sent_;
  Instant last_turn_{};
  // Null: there is no such server. The senders outlive what feeds them.
  std::unique_ptr<telemetry::Sender> graphite_;
  std::unique_ptr<telemetry::Sender> influx_;
  std::unique_ptr<telemetry::Sender> homer_;
  std::unique_ptr<telemetry::HomerReports> reports_;
};

}  // namespace ferry
