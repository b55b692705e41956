// SPDX-License-Identifier: Apache-2.0
#include "control/protocol/rtpproxy/statistics.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string>

#include <fmt/format.h>

namespace ferry::rtpproxy {

namespace {

template <class Source>
struct Counter {
  std::string_view name;
  std::string (*text)(const Source& source);
};

template <class Source, std::size_t kSize>
std::optional<std::string> find_counter(const std::array<Counter<Source>, kSize>& counters,
                                        std::string_view name, const Source& source) {
  const auto found = std::ranges::find(counters, name, &Counter<Source>::name);
  if (found == counters.end()) return std::nullopt;
  return found->text(source);
}

std::string number(std::uint64_t value) { return std::to_string(value); }
std::string fraction(double value) { return fmt::format("{:f}", value); }

using F = RtpproxyFigures;
// clang-format off
constexpr std::array<Counter<F>, 14> kQueryCounters = {{
    {"ttl", [](const F& f) { return std::to_string(f.ttl_s); }},
    {"npkts_ina", [](const F& f) { return number(f.from.counters[0].packets_in); }},
    {"npkts_ino", [](const F& f) { return number(f.other.counters[0].packets_in); }},
    {"nrelayed", [](const F& f) { return number(f.relayed()); }},
    {"ndropped", [](const F& f) { return number(f.dropped()); }},
    {"longest_ipi", [](const F& f) { return fraction(std::chrono::duration<double>(f.from.longest_gap).count()); }},
    {"rtpa_nsent", [](const F& f) { return number(f.from.expected); }},
    {"rtpa_nrcvd", [](const F& f) { return number(f.from.received); }},
    {"rtpa_ndups", [](const F& f) { return number(f.from.duplicates); }},
    {"rtpa_nlost", [](const F& f) { return number(f.from.lost); }},
    {"rtpa_perrs", [](const F& f) { return number(f.from.not_rtp); }},
    {"rtpa_jlast", [](const F& f) { return fraction(f.from.jitter); }},
    {"rtpa_jmax", [](const F& f) { return fraction(f.from.jitter_max); }},
    {"rtpa_javg", [](const F& f) { return fraction(f.from.jitter_mean); }},
}};

struct All {
  const RtpproxyTotals& sessions;
  const CommandTotals& commands;
  const PacketTotals& packets;
  double packets_per_second;
};
constexpr std::array<Counter<All>, 29> kStatistics = {{
    {"nsess_created", [](const All& a) { return number(a.sessions.created); }},
    {"nsess_destroyed", [](const All& a) { return number(a.sessions.destroyed); }},
    {"nsess_timeout", [](const All& a) { return number(a.sessions.timed_out); }},
    {"nsess_complete", [](const All& a) { return number(a.sessions.completed); }},
    {"nsess_nortp", [](const All& a) { return number(a.sessions.without_rtp); }},
    {"nsess_owrtp", [](const All& a) { return number(a.sessions.one_way_rtp); }},
    {"nsess_nortcp", [](const All& a) { return number(a.sessions.without_rtcp); }},
    {"nsess_owrtcp", [](const All& a) { return number(a.sessions.one_way_rtcp); }},
    {"nplrs_created", [](const All& a) { return number(a.sessions.prompts_started); }},
    {"nplrs_destroyed", [](const All& a) { return number(a.sessions.prompts_ended); }},
    {"npkts_rcvd", [](const All& a) { return number(a.packets.received); }},
    {"npkts_relayed", [](const All& a) { return number(a.packets.relayed); }},
    {"npkts_played", [](const All& a) { return number(a.packets.played); }},
    {"npkts_discard", [](const All& a) { return number(a.packets.discarded); }},
    {"npkts_resizer_in", [](const All& a) { return number(a.packets.repacketizer_in); }},
    {"npkts_resizer_out", [](const All& a) { return number(a.packets.repacketizer_out); }},
    {"npkts_resizer_discard", [](const All& a) { return number(a.packets.repacketizer_discarded); }},
    {"total_duration", [](const All& a) { return fraction(a.sessions.duration_s); }},
    {"ncmds_rcvd", [](const All& a) { return number(a.commands.received); }},
    {"ncmds_rcvd_ndups", [](const All& a) { return number(a.commands.repeated); }},
    {"ncmds_succd", [](const All& a) { return number(a.commands.succeeded); }},
    {"ncmds_errs", [](const All& a) { return number(a.commands.failed); }},
    {"ncmds_repld", [](const All& a) { return number(a.commands.replied); }},
    {"rtpa_nsent", [](const All& a) { return number(a.sessions.expected); }},
    {"rtpa_nrcvd", [](const All& a) { return number(a.sessions.received); }},
    {"rtpa_ndups", [](const All& a) { return number(a.sessions.duplicates); }},
    {"rtpa_nlost", [](const All& a) { return number(a.sessions.lost); }},
    {"rtpa_perrs", [](const All& a) { return number(a.sessions.not_rtp); }},
    {"pps_in", [](const All& a) { return fraction(a.packets_per_second); }},
}};
// clang-format on

}  // namespace

std::optional<std::string> query_counter(std::string_view name, const RtpproxyFigures& figures) {
  return find_counter(kQueryCounters, name, figures);
}

PacketTotals packet_totals(MediaPlane& plane) {
  PacketTotals sum;
  std::uint64_t sent = 0;
  for (std::size_t i = 0; i < plane.workers(); ++i) {
    const WorkerTotals& totals = plane.worker(i).totals();
    const auto dropped = [&](DropReason reason) {
      return totals.drops[static_cast<std::size_t>(reason)].load();
    };
    // Packets that were dropped behind the source rule: they count as received.
    std::uint64_t accepted_drops = 0;
    for (const DropReason reason :
         {DropReason::kDirection, DropReason::kBlocked, DropReason::kEventBlocked,
          DropReason::kFeedbackNotAgreed, DropReason::kRtcpUnassigned, DropReason::kNoSink,
          DropReason::kNoDestination, DropReason::kPeerUnverified, DropReason::kPeerUnreachable,
          DropReason::kPromptPlaying, DropReason::kTooLate, DropReason::kOtherSpeaks, DropReason::kNoBuffer,
          DropReason::kSendFailed, DropReason::kNotConverted, DropReason::kMediaOverload,
          DropReason::kStageGone})
      accepted_drops += dropped(reason);
    const std::uint64_t errors = totals.errors.load();
    const std::uint64_t refused = errors - std::min(errors, accepted_drops);
    sum.received += totals.packets.load() + refused;
    sum.discarded += refused;
    for (const InterfaceTotals& each : totals.interfaces) sent += each.egress.packets.load();
    sum.played += totals.played_packets.load();
    sum.repacketizer_in += totals.repacketizer_in.load();
    sum.repacketizer_out += totals.repacketizer_out.load();
    sum.repacketizer_discarded += dropped(DropReason::kTooLate);
  }
  sum.relayed = sent - std::min(sent, sum.played);
  return sum;
}

std::optional<std::string> statistic(std::string_view name, const RtpproxyTotals& sessions,
                                     const CommandTotals& commands, const PacketTotals& packets,
                                     double packets_per_second) {
  return find_counter(kStatistics, name, All{sessions, commands, packets, packets_per_second});
}

}  // namespace ferry::rtpproxy
