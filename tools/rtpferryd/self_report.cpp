// SPDX-License-Identifier: Apache-2.0
#include "tools/rtpferryd/self_report.hpp"

#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

namespace ferry {

nlohmann::json figures_of(const rtpproxy::Service& service, const rtpproxy::Notifier& notifier,
                          const SessionManager& manager) {
  const rtpproxy::CommandTotals& commands = service.totals();
  return {{"sessions", manager.rtpproxy_size()},
          {"commands", commands.received},
          {"repeated", commands.repeated},
          {"refused", commands.failed},
          {"prompts_started", manager.rtpproxy_totals().prompts_started},
          {"notifications_lost", notifier.lost()}};
}

nlohmann::json figures_of(const Connections& connections, const AccessList& access) {
  const ConnectionCounts& counts = connections.counts();
  nlohmann::json closed = nlohmann::json::object();
  for (const CloseReasonRow& row : kCloseReasonRows)
    closed[row.name] = counts.closed[static_cast<std::size_t>(row.reason)];
  return {{"open", connections.size()},
          {"limit", connections.limit()},
          {"accepted", counts.accepted},
          {"closed", std::move(closed)},
          {"refused",
           {{"not-allowed", access.refused()},
            {"no-token", access.refused_without_token()},
            {"media-port", access.refused_from_media()}}},
          {"pauses", counts.pauses},
          {"handshakes", counts.handshakes},
          {"handshakes_waiting", connections.waiting_handshakes()}};
}

nlohmann::json figures_of(const Recorder& recorder) {
  const RecorderTotals totals = recorder.totals();
  nlohmann::json figures = {{"started", totals.started},
                            {"finished", totals.finished},
                            {"failed", totals.failed},
                            {"active", totals.active},
                            {"packets_lost", totals.packets_lost},
                            {"queue_bytes", totals.queue_bytes},
                            {"queue_peak_bytes", totals.queue_peak_bytes},
                            {"files_removed", totals.files_removed},
                            {"hooks_run", totals.hooks_run},
                            {"hooks_failed", totals.hooks_failed},
                            {"notifications_failed", totals.notifications_failed},
                            {"uploads_failed", totals.uploads_failed},
                            {"work_waiting", totals.work_waiting},
                            {"work_failed", totals.work_failed},
                            {"work_folder", totals.work_folder}};
  if (!totals.work_trouble.empty()) figures["work_trouble"] = totals.work_trouble;
  if (!totals.trouble.empty()) figures["trouble"] = totals.trouble;
  return figures;
}

std::vector<std::string> exposure_of(const Config& config, bool has_token) {
  std::set<std::string> ways;
  const auto note = [&](const std::vector<Endpoint>& listeners, bool is_http, bool is_tls) {
    for (const Endpoint& local : listeners) {
      if (local.address.is_loopback())
        ways.insert("loopback");
      else
        ways.insert(config.allow_open_control ? "open" : "allow-list");
      if (is_http && has_token) ways.insert("token");
      if (is_tls && !config.https_client_ca.empty()) ways.insert("client-certificate");
    }
  };
  note(config.listen_ng, false, false);
  note(config.listen_tcp_ng, false, false);
  note(config.listen_cli, false, false);
  note(config.listen_http, true, false);
  note(config.listen_https, true, true);
  return {ways.begin(), ways.end()};
}

nlohmann::json refused_sources(const AccessList& access, Instant now) {
  nlohmann::json list = nlohmann::json::array();
  const auto age = [&](Instant at) { return std::chrono::floor<std::chrono::seconds>(now - at).count(); };
  for (const AccessList::Refusal& each : access.refusals())
    list.push_back({{"source", each.source.to_string()},
                    {"listener", each.listener},
                    {"why", row_of(each.why).name},
                    {"count", each.count},
                    {"first_age_s", age(each.first)},
                    {"last_age_s", age(each.last)}});
  return list;
}

nlohmann::json unknown_interfaces(const ng::NgService& service) {
  constexpr std::string_view kPrefix = "interface ";
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, word] : service.unknown_words()) {
    if (name.starts_with(kPrefix))
      list.push_back({{"name", name.substr(kPrefix.size())}, {"count", word.count}});
  }
  return list;
}

nlohmann::json port_failures(const SessionManager& manager, Instant now) {
  nlohmann::json list = nlohmann::json::array();
  const PortFailures& failures = manager.port_failures();
  for (const PortFailureRow& row : kPortFailureRows) {
    const auto index = static_cast<std::size_t>(row.failure);
    if (failures.times[index] == 0) continue;
    list.push_back(
        {{"reason", row.name},
         {"text", row.text},
         {"advice", row.advice},
         {"times", failures.times[index]},
         {"age_s", std::chrono::floor<std::chrono::seconds>(now - failures.last_at[index]).count()}});
  }
  return list;
}

}  // namespace ferry
