// SPDX-License-Identifier: Apache-2.0
#include "control/diagnose/reported_loss.hpp"

#include "control/diagnose/hearing.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// A stream that began at most this long before a report may be missing in it.
constexpr Duration kToBeReported = 1s;
/// Parties report each 5 s (RFC 3550 §6.2). What the newest report says of the time since the one before is
/// of now for so long.
constexpr Duration kReportOfNow = 6s;

/// Percent that never left here of what the report tells of. `in_recent`: packets of the last seconds, of
/// which the newest report alone tells a part at most.
double missing_here_percent(const ListenerReport& report, std::uint32_t in_recent) {
  const bool has_earlier = report.earlier.at != Instant{};
  const std::uint32_t before = has_earlier ? report.earlier.lost_here : report.lost_here_before;
  const double expected = has_earlier ? report.highest_extended - report.earlier.highest_extended : in_recent;
  const auto missing = static_cast<std::int32_t>(report.lost_here - before);
  return missing <= 0 || expected <= 0 ? 0.0 : std::min(100.0, 100.0 * missing / expected);
}

/// Percent that never left here of what went by between the newest report and the one before.
double missing_since_former_percent(const ListenerReport& report) {
  const double expected = report.highest_extended - report.highest_before;
  const auto missing = static_cast<std::int32_t>(report.lost_here - report.lost_here_before);
  return missing <= 0 || expected <= 0 ? 0.0 : std::min(100.0, 100.0 * missing / expected);
}

}  // namespace

double lost_behind_percent(const CallEvidence& call, const MediaEvidence& listener) {
  double sent = 0;
  double lost = 0;
  Instant newest_report{};
  for (const ListenerReport& each : listener.seen.reports) newest_report = std::max(newest_report, each.at);
  for (const MediaView::OutStream& out : listener.seen.egress) {
    const bool is_known = out.recent.span != Duration{0};
    const double packets = is_known ? out.recent.counts.packets : static_cast<double>(out.counters.packets);
    if (packets == 0 || call.now - out.counters.last_packet >= kStoppedAfter) continue;
    const auto report = std::ranges::find(listener.seen.reports, out.counters.ssrc, &ListenerReport::about);
    // A stream that began after the newest report is not in it, as when a sender's numbers step back and
    // the relay takes a new SSRC. What the party says about its other streams then holds for this one.
    const bool is_young = out.counters.first_packet + kToBeReported > newest_report;
    if (report == listener.seen.reports.end() && is_young) continue;
    sent += packets;
    if (report == listener.seen.reports.end() || call.now - report->at >= kReportAge) continue;
    // If a stream was silent for a while, two reports may span more than the last seconds. Then only the
    // fraction that the newest report gives for the time since the one before counts.
    const bool reaches_back =
        is_known && report->earlier.at != Instant{} &&
        report->highest_extended - report->earlier.highest_extended >
            static_cast<std::uint32_t>(1.2 * out.recent.counts.expected + kPacketsUnderWay);
    // Such a report is of these seconds if it is new.
    if (reaches_back && call.now - report->at >= kReportOfNow) continue;
    double reported = reaches_back ? 100.0 * report->fraction_lost / 256.0 : report->recent_loss_percent();
    // It is of a part of them alone, as behind a pause, and no more is missing than both reports tell. A
    // count that fell was begun anew.
    const auto between = report->cumulative_lost - report->earlier.cumulative_lost;
    if (reaches_back && between >= 0) reported = std::min(reported, 100.0 * between / packets);
    // What never left is missing in the report, too: in its time, which is earlier than the last seconds.
    const double in_its_time = reaches_back ? missing_since_former_percent(*report)
                                            : missing_here_percent(*report, out.recent.counts.expected);
    const double missing_here =
        std::max(is_known ? out.recent.loss_percent() : out.counters.loss_percent(), in_its_time);
    lost += packets * std::max(0.0, reported - missing_here) / 100.0;
  }
  return sent == 0 ? 0.0 : 100.0 * lost / sent;
}

}  // namespace ferry
