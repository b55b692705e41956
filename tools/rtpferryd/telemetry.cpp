// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/telemetry.hpp"

#include "control/log/log.hpp"
#include "control/protocol/ng/json_codec.hpp"
#include "control/telemetry/influx.hpp"
#include "control/telemetry/ng_capture.hpp"
#include "relay/base/memory.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <curl/curl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace ferry {

namespace {

using telemetry::Sender;

/// Figures of hours fit into the first, and the reports of some ten thousand calls into the second.
constexpr std::size_t kFiguresBacklog = std::size_t{4} << 20;
constexpr std::size_t kReportsBacklog = std::size_t{16} << 20;

std::string own_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string();
}

std::string address_of(const ServerName& server) { return fmt::format("{}:{}", server.host, server.port); }

std::string_view call_id_of(const Dict& message) {
  const Value* id = message.find("call-id");
  return id != nullptr && id->string() != nullptr ? std::string_view(*id->string()) : std::string_view();
}

}  // namespace

Telemetry::Telemetry(TelemetrySettings settings)
    : settings_(std::move(settings)), host_(own_name()), interval_(settings_.graphite.prefix) {
  const GraphiteSettings& graphite = settings_.graphite;
  // Before the first thread that uses it.
  curl_global_init(CURL_GLOBAL_DEFAULT);
  if (graphite.server.is_set())
    graphite_ = make_sender("graphite " + address_of(graphite.server),
                            telemetry::make_stream_channel(graphite.server, {.timeout = graphite.timeout}),
                            kFiguresBacklog);
  // The URL may have a password in it, so that the log does not name it.
  if (!settings_.influx.url.empty())
    influx_ = make_sender("influxdb-url",
                          telemetry::make_post_channel(settings_.influx.url, settings_.influx.token),
                          kFiguresBacklog);
  if (settings_.homer.server.is_set()) make_homer();
}

std::unique_ptr<Sender> Telemetry::make_sender(std::string name, std::unique_ptr<telemetry::Channel> channel,
                                               std::size_t backlog) {
  const auto say = [](bool is_warning, const std::string& line) {
    const log::Scope scope(log::Subsystem::kControl);
    if (is_warning)
      log::warn("{}", line);
    else
      log::info("{}", line);
  };
  log::info("reports go to {}", name);
  return std::make_unique<Sender>(std::move(channel),
                                  Sender::Options{.name = std::move(name), .backlog = backlog, .say = say});
}

void Telemetry::stop_soon() {
  for (const auto* sender : {&graphite_, &influx_, &homer_}) {
    if (*sender) (*sender)->stop_soon();
  }
}

void Telemetry::make_homer() {
  const HomerSettings& homer = settings_.homer;
  auto channel =
      homer.transport == HomerTransport::kUdp
          ? telemetry::make_datagram_channel(homer.server)
          : telemetry::make_stream_channel(
                homer.server, {.has_tls = homer.transport == HomerTransport::kTls, .ca_file = homer.ca_file});
  homer_ = make_sender("homer " + address_of(homer.server), std::move(channel), kReportsBacklog);
  reports_ = std::make_unique<telemetry::HomerReports>(
      homer, [this](std::string packet) { homer_->send(std::move(packet)); });
}

void Telemetry::follow(SessionManager& manager, ng::NgService& ng) {
  if (!reports_) return;
  manager.add(*reports_);
  if (!settings_.homer.sends_ng) return;
  ng.set_capture([this](const Dict& request, const Dict& reply, const IpAddress& client, WallTime at) {
    const auto tell = [&](const Dict& message, bool is_reply) {
      reports_->tell_ng(ng::encode_json(Value(telemetry::without_secrets(message))), call_id_of(request),
                        client, is_reply, at);
    };
    (void)had_memory([&] {
      tell(request, false);
      tell(reply, true);
    });
  });
}

bool Telemetry::is_due(std::optional<Instant>& last, std::chrono::seconds interval, Instant now) {
  // Ticks come a little early or late.
  constexpr Duration kSlack = std::chrono::milliseconds(100);
  if (last && now - *last + kSlack < interval) return false;
  return std::exchange(last, now).has_value();
}

void Telemetry::end_second(const SessionManager& manager, const ng::NgService& ng,
                           const metrics::Metrics& metrics, const Clock& clock) {
  // Without memory there are no figures of this second.
  (void)had_memory([&] {
    if (graphite_) {
      interval_.end_second(manager.size());
      if (is_due(graphite_sent_, settings_.graphite.interval, clock.now))
        graphite_->send(interval_.lines(ng.statistics(), clock.wall));
    }
    if (influx_ && is_due(influx_sent_, settings_.influx.interval, clock.now))
      influx_->send(telemetry::influx_lines(metrics.collect(), host_, clock.wall));
  });
}

void Telemetry::turn(SessionManager& manager, const Clock& clock) {
  if (!reports_) return;
  const Instant before = std::exchange(last_turn_, clock.now);
  const Duration passed = before == Instant{} ? HealthWatch::kTurnInterval : clock.now - before;
  (void)had_memory([&] { reports_->turn(manager.services(), passed, clock); });
}

void Telemetry::note_command(std::string_view command, Duration time) {
  if (graphite_) (void)had_memory([&] { interval_.note_command(command, time); });
}

nlohmann::json Telemetry::figures() const {
  nlohmann::json all = nlohmann::json::object();
  const auto add = [&](const char* name, const std::unique_ptr<Sender>& sender, std::uint64_t too_large) {
    if (!sender) return;
    const Sender::Figures figures = sender->figures();
    all[name] = {{"up", figures.is_up ? 1 : 0},
                 {"sent", figures.sent},
                 {"waiting", figures.waiting},
                 {"dropped", {{"full", figures.full}, {"failed", figures.failed + too_large}}}};
  };
  add("graphite", graphite_, 0);
  add("influxdb", influx_, 0);
  add("homer", homer_, reports_ ? reports_->too_large() : 0);
  return all;
}

}  // namespace ferry
