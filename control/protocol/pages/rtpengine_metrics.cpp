// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/pages/rtpengine_metrics.hpp"

#include "control/value/figures_at.hpp"

#include <array>
#include <map>
#include <string>
#include <utility>

namespace ferry::metrics {

namespace {

constexpr Kind kCounter = Kind::kCounter;
constexpr Kind kGauge = Kind::kGauge;

// clang-format off
constexpr std::array kRtpengineRows = std::to_array<RtpengineRow>({
  {"rtpengine_sessions", kGauge, "type=own", "currentstatistics/sessionsown", "calls now"},
  {"rtpengine_sessions", kGauge, "type=foreign", "currentstatistics/sessionsforeign", "always 0: no other relay's calls are kept"},
  {"rtpengine_transcoded_media", kGauge, "", "currentstatistics/transcodedmedia", "receivers whose audio is converted now"},
  {"rtpengine_mediastreams", kGauge, "type=userspace", "currentstatistics/media_userspace", "calls by who forwards their media, as in `statistics`"},
  {"rtpengine_mediastreams", kGauge, "type=kernel", "currentstatistics/media_kernel", ""},
  {"rtpengine_mediastreams", kGauge, "type=mixed", "currentstatistics/media_mixed", ""},
  {"rtpengine_uptime_seconds", kGauge, "", "totalstatistics/uptime", "time since the start"},
  {"rtpengine_sessions_total", kCounter, "", "totalstatistics/managedsessions", "calls that were set up"},
  {"rtpengine_closed_sessions_total", kCounter, "reason=rejected", "totalstatistics/rejectedsessions", "calls that ended or were refused, by reason"},
  {"rtpengine_closed_sessions_total", kCounter, "reason=timeout", "totalstatistics/timeoutsessions", ""},
  {"rtpengine_closed_sessions_total", kCounter, "reason=silent_timeout", "totalstatistics/silenttimeoutsessions", ""},
  {"rtpengine_closed_sessions_total", kCounter, "reason=final_timeout", "totalstatistics/finaltimeoutsessions", ""},
  {"rtpengine_closed_sessions_total", kCounter, "reason=offer_timeout", "totalstatistics/offertimeoutsessions", ""},
  {"rtpengine_closed_sessions_total", kCounter, "reason=terminated", "totalstatistics/regularterminatedsessions", ""},
  {"rtpengine_closed_sessions_total", kCounter, "reason=force_terminated", "totalstatistics/forcedterminatedsessions", ""},
  {"rtpengine_packets_total", kCounter, "type=userspace", "totalstatistics/relayedpackets_user", "packets that were forwarded, by who did it"},
  {"rtpengine_packets_total", kCounter, "type=kernel", "totalstatistics/relayedpackets_kernel", ""},
  {"rtpengine_packet_errors_total", kCounter, "type=userspace", "totalstatistics/relayedpacketerrors_user", "packets that were dropped"},
  {"rtpengine_packet_errors_total", kCounter, "type=kernel", "totalstatistics/relayedpacketerrors_kernel", "always 0: the kernel leaves to user space what it does not forward"},
  {"rtpengine_bytes_total", kCounter, "type=userspace", "totalstatistics/relayedbytes_user", "octets that were forwarded, by who did it"},
  {"rtpengine_bytes_total", kCounter, "type=kernel", "totalstatistics/relayedbytes_kernel", ""},
  {"rtpengine_zero_packet_streams_total", kCounter, "", "totalstatistics/zerowaystreams", "medias of ended calls in which neither party was heard"},
  {"rtpengine_one_way_sessions_total", kCounter, "", "totalstatistics/onewaystreams", "medias of ended calls in which one party alone was heard"},
  {"rtpengine_call_duration_avg", kGauge, "", "totalstatistics/avgcallduration", "mean duration of ended calls, seconds"},
  {"rtpengine_call_duration_total", kCounter, "", "totalstatistics/totalcallsduration", "sum of their durations"},
  {"rtpengine_call_duration2_total", kCounter, "", "totalstatistics/totalcallsduration2", "sum of the squares of their durations"},
  {"rtpengine_mos_total", kCounter, "", "mos/mos_total", "MOS of RTCP reports: sum, sum of squares, number"},
  {"rtpengine_mos2_total", kCounter, "", "mos/mos2_total", ""},
  {"rtpengine_mos_samples_total", kCounter, "", "mos/mos_samples_total", ""},
  {"rtpengine_jitter_total", kCounter, "", "voip_metrics/jitter_total", "jitter of RTCP reports, ms"},
  {"rtpengine_jitter2_total", kCounter, "", "voip_metrics/jitter2_total", ""},
  {"rtpengine_jitter_samples_total", kCounter, "", "voip_metrics/jitter_samples_total", ""},
  {"rtpengine_rtt_e2e_total", kCounter, "", "voip_metrics/rtt_e2e_total", "round trip from party to party, µs"},
  {"rtpengine_rtt_e2e2_total", kCounter, "", "voip_metrics/rtt_e2e2_total", ""},
  {"rtpengine_rtt_e2e_samples_total", kCounter, "", "voip_metrics/rtt_e2e_samples_total", ""},
  {"rtpengine_rtt_dsct_total", kCounter, "", "voip_metrics/rtt_dsct_total", "round trip from the relay to one party, µs"},
  {"rtpengine_rtt_dsct2_total", kCounter, "", "voip_metrics/rtt_dsct2_total", ""},
  {"rtpengine_rtt_dsct_samples_total", kCounter, "", "voip_metrics/rtt_dsct_samples_total", ""},
  {"rtpengine_packetloss_total", kCounter, "", "voip_metrics/packetloss_total", "loss in RTCP reports, percent"},
  {"rtpengine_packetloss2_total", kCounter, "", "voip_metrics/packetloss2_total", ""},
  {"rtpengine_packetloss_samples_total", kCounter, "", "voip_metrics/packetloss_samples_total", ""},
  {"rtpengine_jitter_measured_total", kCounter, "", "voip_metrics/jitter_measured_total", "jitter as it was measured here, ms"},
  {"rtpengine_jitter_measured2_total", kCounter, "", "voip_metrics/jitter_measured2_total", ""},
  {"rtpengine_jitter_measured_samples_total", kCounter, "", "voip_metrics/jitter_measured_samples_total", ""},
  {"rtpengine_packets_lost", kCounter, "", "voip_metrics/packets_lost", "lost packets of streams that have ended"},
  {"rtpengine_rtp_duplicates", kCounter, "", "voip_metrics/rtp_duplicates", "packets of theirs that came twice"},
  {"rtpengine_rtp_skips", kCounter, "", "voip_metrics/rtp_skips", "as `rtpengine_packets_lost`"},
  {"rtpengine_rtp_seq_resets", kCounter, "", "voip_metrics/rtp_seq_resets", "how often a sequence began anew"},
  {"rtpengine_rtp_reordered", kCounter, "", "voip_metrics/rtp_reordered", "packets that came behind a later one"},
  {"rtpengine_requests_total", kCounter, "request=*", "commands/*/count", "NG commands"},
  {"rtpengine_request_seconds_total", kCounter, "request=*", "commands/*/seconds", "time spent on them"},
  {"rtpengine_errors_total", kCounter, "", "errors", "NG commands that were answered with an error"},
  {"rtpengine_ports", kGauge, "name=*", "interfaces/*/ports/totals", "media ports of an interface"},
  {"rtpengine_ports_used", kGauge, "name=*", "interfaces/*/ports/used", "those that calls have"},
  {"rtpengine_ports_free", kGauge, "name=*", "interfaces/*/ports/free", "those that no call has"},
  {"rtpengine_interface_packets", kCounter, "name=*,direction=ingress", "interfaces/*/ingress/packets", "packets of an interface"},
  {"rtpengine_interface_packets", kCounter, "name=*,direction=egress", "interfaces/*/egress/packets", ""},
  {"rtpengine_interface_bytes", kCounter, "name=*,direction=ingress", "interfaces/*/ingress/bytes", "their octets"},
  {"rtpengine_interface_bytes", kCounter, "name=*,direction=egress", "interfaces/*/egress/bytes", ""},
  {"rtpengine_interface_errors", kCounter, "name=*,direction=ingress", "interfaces/*/ingress/errors", "packets that were refused or not sent there"},
  {"rtpengine_interface_errors", kCounter, "name=*,direction=egress", "interfaces/*/egress/errors", ""},
  {"rtpengine_interface_packets_lost", kCounter, "name=*", "interfaces/*/packets_lost", "lost packets of ended streams that came in there"},
  {"rtpengine_interface_duplicates", kCounter, "name=*", "interfaces/*/duplicates", "packets of theirs that came twice"},
});
// clang-format on

using Labels = std::vector<std::pair<std::string, std::string>>;

Labels labels_of(std::string_view text, std::string_view name) {
  Labels labels;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view each = text.substr(0, comma);
    const std::size_t equals = each.find('=');
    const std::string_view value = each.substr(equals + 1);
    labels.emplace_back(each.substr(0, equals), value == "*" ? name : value);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return labels;
}

}  // namespace

std::span<const RtpengineRow> rtpengine_rows() { return kRtpengineRows; }

Dict rtpengine_figures(const ng::NgService& ng) {
  Dict figures = ng.statistics();
  List commands;
  ng.each_command([&](std::string_view name, const ng::CommandCount& count) {
    Dict command;
    command.set("name", name);
    command.set("count", count.count);
    command.set("seconds", ng::seconds_text(std::chrono::duration<double>(count.time).count()));
    commands.emplace_back(std::move(command));
  });
  figures.set("commands", std::move(commands));
  figures.set("errors", ng.errors());
  return figures;
}

std::vector<prometheus::MetricFamily> rtpengine_families(const Dict& figures) {
  const Value root(figures);
  std::vector<prometheus::MetricFamily> families;
  // Values with the same labels are added up, as those of several addresses of an interface.
  std::map<Labels, double> values;
  const auto end_family = [&](const RtpengineRow& row) {
    if (values.empty()) return;
    prometheus::MetricFamily& family = families.emplace_back();
    family.name = row.name;
    family.type =
        row.kind == Kind::kCounter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
    for (const auto& [labels, value] : std::exchange(values, {})) {
      prometheus::ClientMetric& metric = family.metric.emplace_back();
      for (const auto& [label, text] : labels) metric.label.push_back({label, text});
      metric.counter.value = metric.gauge.value = value;
    }
  };
  std::string_view help;
  for (std::size_t i = 0; i < kRtpengineRows.size(); ++i) {
    const RtpengineRow& row = kRtpengineRows[i];
    if (i == 0 || kRtpengineRows[i - 1].name != row.name) help = row.meaning;
    each_figure(root, row.figure,
                [&](double value, std::string_view name) { values[labels_of(row.labels, name)] += value; });
    const std::size_t before = families.size();
    if (i + 1 == kRtpengineRows.size() || kRtpengineRows[i + 1].name != row.name) end_family(row);
    if (families.size() != before) families.back().help = help;
  }
  return families;
}

}  // namespace ferry::metrics
