// SPDX-License-Identifier: Apache-2.0
// Makes the page from a table: each row of `kRows` describes a family and has a function that reads its
// values.
//
// At each scrape the figures of the daemon are asked for once, the rows read their values from them and from
// the manager, and prometheus-cpp writes the text. Only histograms and counts of verdicts are kept here over
// time. A family without any value is left out.
//
// The trap: labels must have few values and must not name a call, a number or an address (CTL-8).

#include "control/protocol/pages/metrics.hpp"

#include "control/protocol/pages/rtpengine_metrics.hpp"
#include "relay/base/ensure.hpp"

#include <algorithm>
#include <array>
#include <map>

#include <malloc.h>
#include <nlohmann/json.hpp>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace ferry::metrics {

using nlohmann::json;

namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;

/// What the values of a family are read from.
struct Input {
  SessionManager& manager;
  const ng::NgService& ng;
  Clock clock;
  const json& engines;
  const json& recorder;
  const json& rtpproxy;
  const json& connections;
  const json& telemetry;
  const std::vector<std::string>& exposure;
  Instant started;
  const std::map<Cause, std::uint64_t>& verdicts;

  /// Sum over all workers.
  template <class Read>
  [[nodiscard]] double sum(Read read) const {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < manager.plane().workers(); ++i)
      all += read(manager.plane().worker(i).totals());
    return static_cast<double>(all);
  }
  template <class Read>
  void each_interface(Read read) const {
    for (const LogicalInterface& logical : manager.interfaces().all()) {
      for (const LocalAddress& local : logical.addresses) read(logical, local);
    }
  }
};

/// Collects the values of one family. Values with the same labels are added up, as those of several addresses
/// of an interface.
class Values {
 public:
  void add(double value, const Labels& labels = {}) { values_[labels] += value; }
  [[nodiscard]] const std::map<Labels, double>& all() const { return values_; }

 private:
  std::map<Labels, double> values_;
};

struct Row {
  FamilyRow family;
  void (*collect)(const Input& input, Values& values) = nullptr;
};

/// Adds a value for each cause that occurred.
void by_cause(const std::array<std::uint64_t, kCauses>& counts, Values& out) {
  for (const CauseRow& row : kCauseRows) {
    const std::uint64_t count = counts[static_cast<std::size_t>(row.cause)];
    if (count != 0) out.add(static_cast<double>(count), {{"cause", std::string(row.name)}});
  }
}

/// Adds a value for each interface and direction.
template <class Read>
void by_direction(const Input& in, Values& out, Read read) {
  in.each_interface([&](const LogicalInterface& logical, const LocalAddress& local) {
    const std::size_t index = std::min<std::size_t>(local.index, kMaxInterfaces - 1);
    for (std::size_t w = 0; w < in.manager.plane().workers(); ++w) {
      const InterfaceTotals& totals = in.manager.plane().worker(w).totals().interfaces[index];
      out.add(static_cast<double>(read(totals.ingress)), {{"interface", logical.name}, {"direction", "in"}});
      out.add(static_cast<double>(read(totals.egress)), {{"interface", logical.name}, {"direction", "out"}});
    }
  });
}

template <class Read>
void by_interface(const Input& in, Values& out, Read read) {
  in.each_interface([&](const LogicalInterface& logical, const LocalAddress& local) {
    const std::size_t index = std::min<std::size_t>(local.index, kMaxInterfaces - 1);
    for (std::size_t w = 0; w < in.manager.plane().workers(); ++w)
      out.add(read(in.manager.plane().worker(w).totals().interfaces[index]), {{"interface", logical.name}});
  });
}

/// Adds one number of a JSON object that the daemon made; nothing if it is not there.
void add_figure(const json& from, const char* key, Values& out, const Labels& labels = {}) {
  const auto found = from.find(key);
  if (found != from.end() && found->is_number()) out.add(found->get<double>(), labels);
}

void add_pairs(const json& from, const char* key, const char* label, Values& out) {
  const auto found = from.find(key);
  if (found == from.end()) return;
  for (const auto& [name, count] : found->items()) out.add(count.get<double>(), {{label, name}});
}

void rtcp_samples(const Input& in, Values& out, SampleTotals QualityTotals::*which, double unit) {
  by_interface(in, out,
               [&](const InterfaceTotals& totals) { return (totals.quality.*which).sum.load() * unit; });
}

/// Calls `take` with each port of DPDK and its device.
template <class Take>
void each_dpdk_port(const Input& in, Take take) {
  const auto dpdk = in.engines.find("dpdk");
  if (dpdk == in.engines.end()) return;
  for (const json& port : (*dpdk)["ports"]) take(port, port["device"].get<std::string>());
}

// clang-format off
constexpr std::array kRows = std::to_array<Row>({
  {{"rtpferry_build_info", Kind::kGauge, "version", "1, with the version of the daemon", "nothing"},
   [](const Input&, Values& out) { out.add(1, {{"version", FERRY_VERSION}}); }},
  {{"rtpferry_uptime_seconds", Kind::kGauge, "", "time since the start", "a fall says that the daemon was restarted: look at its log"},
   [](const Input& in, Values& out) { out.add(std::chrono::duration<double>(in.clock.now - in.started).count()); }},
  {{"rtpferry_draining", Kind::kGauge, "", "1 while no new calls are taken (drain, SIGHUP)", "take the relay out of the proxy's set, or rtpferryctl drain off"},
   [](const Input& in, Values& out) { out.add(in.manager.is_draining() ? 1 : 0); }},
  {{"rtpferry_control_exposure", Kind::kGauge, "guard", "1 for each way in which a control listener is guarded", "open: anybody may make calls through this relay; name networks (control-allow), a token or client certificates"},
   [](const Input& in, Values& out) { for (const std::string& how : in.exposure) out.add(1, {{"guard", how}}); }},
  {{"rtpferry_control_refused_total", Kind::kCounter, "reason", "control datagrams, connections and HTTP requests that were refused: not-allowed (by their source), no-token (HTTP requests without the token of http-token), media-port (from a media port of this relay that is open, LAT-11a)", "not-allowed: add your proxy to control-allow; no-token: rtpferryctl doctor names the clients; media-port: somebody's SDP names a control port, and rtpferry_denied_peers_total should have stopped it"},
   [](const Input& in, Values& out) { add_pairs(in.connections, "refused", "reason", out); }},
  {{"rtpferry_denied_peers_total", Kind::kCounter, "reason", "addresses of SDP and commands that no media goes to (LAT-11, LAT-11a), by why", "an attack, or parties of this host that need an interface on loopback; loopback and link-local in candidates of browsers are normal"},
   [](const Input& in, Values& out) {
     for (const PeerDenialRow& row : kPeerDenialRows) {
       if (row.denial != PeerDenial::kNone)
         out.add(static_cast<double>(in.manager.peer_guard().counts()[static_cast<std::size_t>(row.denial)]), {{"reason", std::string(row.name)}});
     }
   }},
  {{"rtpferry_connections", Kind::kGauge, "", "connections to the control listeners now", "near max-clients: look at who connects (ss -tnp)"},
   [](const Input& in, Values& out) { add_figure(in.connections, "open", out); }},
  {{"rtpferry_connections_accepted_total", Kind::kCounter, "", "connections that were let in", "nothing"},
   [](const Input& in, Values& out) { add_figure(in.connections, "accepted", out); }},
  {{"rtpferry_connections_closed_total", Kind::kCounter, "reason", "connections that the daemon closed, by reason (table below)", "the table below says it for each reason"},
   [](const Input& in, Values& out) { add_pairs(in.connections, "closed", "reason", out); }},
  {{"rtpferry_accept_pauses_total", Kind::kCounter, "", "times that a listener waited 1 s because no descriptor was left", "raise the limit of descriptors (LimitNOFILE=)"},
   [](const Input& in, Values& out) { add_figure(in.connections, "pauses", out); }},
  {{"rtpferry_tls_handshakes_total", Kind::kCounter, "", "TLS handshakes of control listeners that were completed", "many a second: clients that open a connection for each request"},
   [](const Input& in, Values& out) { add_figure(in.connections, "handshakes", out); }},
  {{"rtpferry_tls_handshakes_waiting", Kind::kGauge, "", "clients that wait for their turn in the budget of TLS handshakes", "above 0 for long: somebody floods the listener, or clients do not keep connections"},
   [](const Input& in, Values& out) { add_figure(in.connections, "handshakes_waiting", out); }},
  {{"rtpferry_sessions", Kind::kGauge, "", "calls now", "near max-sessions: add a relay"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.size())); }},
  {{"rtpferry_sessions_media", Kind::kGauge, "where", "calls by who forwards their media: userspace, kernel, mixed", "mostly userspace where the kernel was expected: rtpferryctl engines"},
   [](const Input& in, Values& out) {
     const KernelShare share = in.manager.kernel_share();
     out.add(static_cast<double>(share.user), {{"where", "userspace"}});
     out.add(static_cast<double>(share.kernel), {{"where", "kernel"}});
     out.add(static_cast<double>(share.mixed), {{"where", "mixed"}});
   }},
  {{"rtpferry_sessions_started_total", Kind::kCounter, "", "calls taken", "nothing"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.totals().managed)); }},
  {{"rtpferry_sessions_rejected_total", Kind::kCounter, "", "new calls refused: by a limit, without a port left, or with bad SDP", "the log names the reason of each: raise the limit, widen the port range, or add a relay"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.totals().rejected)); }},
  {{"rtpferry_refused_requests_total", Kind::kCounter, "reason", "commands of both control protocols that were refused, by reason", "the table of refused requests says what to do for each reason; rtpferryctl explain CALL-ID says it for one call"},
   [](const Input& in, Values& out) {
     for (const RefusalRow& row : kRefusalRows)
       out.add(static_cast<double>(in.manager.refused_requests().totals()[static_cast<std::size_t>(row.refusal)].count), {{"reason", std::string(row.name)}});
   }},
  {{"rtpferry_port_failures_total", Kind::kCounter, "reason", "pairs of ports that could not be opened: ports (none is left), family, address (gone from the host), descriptors, memory, refused", "rtpferryctl doctor says what to do about the newest"},
   [](const Input& in, Values& out) {
     for (const PortFailureRow& row : kPortFailureRows)
       out.add(static_cast<double>(in.manager.port_failures().times[static_cast<std::size_t>(row.failure)]), {{"reason", std::string(row.name)}});
   }},
  {{"rtpferry_sessions_closed_total", Kind::kCounter, "reason", "calls that ended, by how", "timeout: media stopped and nobody deleted the call: rtpferryctl explain"},
   [](const Input& in, Values& out) {
     for (std::size_t i = 0; i < in.manager.totals().ended.size(); ++i)
       out.add(static_cast<double>(in.manager.totals().ended[i]), {{"reason", std::string(ferry::to_string(static_cast<EndReason>(i)))}});
   }},
  {{"rtpferry_streams_zero_way_total", Kind::kCounter, "", "pairs of media that ended without any RTP", "a rise says no audio in whole calls: rtpferryctl explain"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.totals().zero_way)); }},
  {{"rtpferry_streams_one_way_total", Kind::kCounter, "", "pairs of media that ended with RTP of one side only", "a rise says one-way audio: rtpferryctl explain"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.totals().one_way)); }},
  {{"rtpferry_calls_bad", Kind::kGauge, "hears", "running calls that are bad now, by what the listener hears: nothing, some", "rtpferryctl list --sort=severity names them; explain CALL-ID says why"},
   [](const Input& in, Values& out) {
     const BadCalls bad = in.manager.health().bad_calls();
     out.add(static_cast<double>(bad.hear_nothing), {{"hears", "nothing"}});
     out.add(static_cast<double>(bad.hear_some), {{"hears", "some"}});
   }},
  {{"rtpferry_calls_became_bad_total", Kind::kCounter, "cause", "times that a running call became bad: somebody heard nothing for 5 s, or badly for about 10 s", "the log has a warning for each; the table of verdicts says what to do"},
   [](const Input& in, Values& out) { by_cause(in.manager.health().totals().became_bad, out); }},
  {{"rtpferry_calls_recovered_total", Kind::kCounter, "cause", "times that such a call was without a fault again for 5 s, by the cause of the bad time", "nothing"},
   [](const Input& in, Values& out) { by_cause(in.manager.health().totals().recovered, out); }},
  {{"rtpferry_verdicts_total", Kind::kCounter, "cause", "ended calls by their worst verdict", "see the verdicts below"},
   [](const Input& in, Values& out) { for (const auto& [cause, count] : in.verdicts) out.add(static_cast<double>(count), {{"cause", std::string(ferry::to_string(cause))}}); }},
  {{"rtpferry_packets_total", Kind::kCounter, "engine", "packets taken, by who forwarded them: portable (sockets) or kernel", "nothing"},
   [](const Input& in, Values& out) {
     const double kernel = in.sum([](const WorkerTotals& t) { return t.offloaded_packets.load(); });
     out.add(in.sum([](const WorkerTotals& t) { return t.packets.load(); }) - kernel, {{"engine", "portable"}});
     out.add(kernel, {{"engine", "kernel"}});
   }},
  {{"rtpferry_bytes_total", Kind::kCounter, "engine", "octets of those packets, without UDP and IP headers", "nothing"},
   [](const Input& in, Values& out) {
     const double kernel = in.sum([](const WorkerTotals& t) { return t.offloaded_bytes.load(); });
     out.add(in.sum([](const WorkerTotals& t) { return t.bytes.load(); }) - kernel, {{"engine", "portable"}});
     out.add(kernel, {{"engine", "kernel"}});
   }},
  {{"rtpferry_drops_total", Kind::kCounter, "reason", "packets that were not passed on, by reason", "see the drop reasons below"},
   [](const Input& in, Values& out) {
     for (const DropReasonRow& row : kDropReasonRows) {
       if (row.reason == DropReason::kNone) continue;
       out.add(in.sum([&](const WorkerTotals& t) { return t.drops[static_cast<std::size_t>(row.reason)].load(); }), {{"reason", std::string(row.name)}});
     }
   }},
  {{"rtpferry_send_errors_total", Kind::kCounter, "error", "packets that did not get to where they were sent, as the host or the network said", "see the send errors below"},
   [](const Input& in, Values& out) {
     for (const SendErrorRow& row : kSendErrorRows) {
       if (row.error == SendError::kNone) continue;
       out.add(in.sum([&](const WorkerTotals& t) { return t.send_errors[static_cast<std::size_t>(row.error)].load(); }), {{"error", std::string(row.name)}});
     }
   }},
  {{"rtpferry_transcoded_media", Kind::kGauge, "", "receivers whose audio is converted to another codec now", "nothing"},
   [](const Input& in, Values& out) { out.add(in.sum([](const WorkerTotals& t) { return t.stages.load(); })); }},
  {{"rtpferry_transcoded_packets_total", Kind::kCounter, "direction", "packets whose audio was to be converted (in), and packets that were made of it (out)", "nothing"},
   [](const Input& in, Values& out) {
     out.add(in.sum([](const WorkerTotals& t) { return t.converted_in.load(); }), {{"direction", "in"}});
     out.add(in.sum([](const WorkerTotals& t) { return t.converted_out.load(); }), {{"direction", "out"}});
   }},
  {{"rtpferry_own_reports_total", Kind::kCounter, "direction", "RTCP compounds of the relay's own (sent), and compounds of parties that ended here because their receiver gets those instead (taken)", "nothing"},
   [](const Input& in, Values& out) {
     out.add(in.sum([](const WorkerTotals& t) { return t.own_reports.load(); }), {{"direction", "sent"}});
     out.add(in.sum([](const WorkerTotals& t) { return t.taken_reports.load(); }), {{"direction", "taken"}});
   }},
  {{"rtpferry_silence_packets_total", Kind::kCounter, "", "packets of silence that went to parties which got nothing else (keepalive-silence)", "many: parties hear nobody; rtpferryctl explain says why"},
   [](const Input& in, Values& out) { out.add(in.sum([](const WorkerTotals& t) { return t.silence_packets.load(); })); }},
  {{"rtpferry_media_thread_load", Kind::kGauge, "thread", "share of the last second in which a media thread was busy, 0 to 1", "near max-transcoding-load in all threads: offers that ask for conversion are refused; add cores or relays"},
   [](const Input& in, Values& out) {
     const auto threads = in.engines.find("media_threads");
     if (threads == in.engines.end()) return;
     for (std::size_t i = 0; i < threads->size(); ++i) out.add((*threads)[i].value("load", 0.0) / 100, {{"thread", std::to_string(i)}});
   }},
  {{"rtpferry_offload_flows", Kind::kGauge, "", "streams that the kernel forwards now", "0 with calls: rtpferryctl engines says why"},
   [](const Input& in, Values& out) { out.add(in.sum([](const WorkerTotals& t) { return t.offloaded_flows.load(); })); }},
  {{"rtpferry_offload_helper_up", Kind::kGauge, "", "1 while the process that holds the kernel's programs lives; absent without in-kernel forwarding", "0: all media goes through user space; find out what killed it, restart when calls allow"},
   [](const Input& in, Values& out) {
     const auto helper = in.engines.find("helper");
     if (helper != in.engines.end()) out.add(helper->value("running", false) ? 1 : 0);
   }},
  {{"rtpferry_offload_punts_total", Kind::kCounter, "reason", "packets of known streams that the kernel left to user space", "hop: a neighbour is unresolved; mtu: packets do not fit"},
   [](const Input& in, Values& out) { add_pairs(in.engines, "punted", "reason", out); }},
  {{"rtpferry_offload_sent_total", Kind::kCounter, "program", "packets that each kernel program sent on", "nothing"},
   [](const Input& in, Values& out) { add_pairs(in.engines, "sent_by", "program", out); }},
  {{"rtpferry_dpdk_frames_total", Kind::kCounter, "what", "frames of the engine dpdk: received, media, handed_over (to another worker), to_kernel, from_kernel, sent, sent_by_socket, and drop_… by reason", "drop_kernel_full: a flood of what is not media; drop_send_full: the device is at its limit; sent_by_socket that goes on rising: rtpferryctl doctor"},
   [](const Input& in, Values& out) {
     const auto dpdk = in.engines.find("dpdk");
     if (dpdk != in.engines.end()) add_pairs(*dpdk, "counts", "what", out);
   }},
  {{"rtpferry_dpdk_port_total", Kind::kCounter, "port,counter", "what a port of DPDK and its queues counted, by DPDK's names", "rx_missed_errors: the workers do not keep up; rx_mbuf_allocation_errors: raise dpdk-buffers"},
   [](const Input& in, Values& out) {
     each_dpdk_port(in, [&](const json& port, const std::string& device) {
       for (const auto& [counter, count] : port["counts"].items()) out.add(count.get<double>(), {{"port", device}, {"counter", counter}});
     });
   }},
  {{"rtpferry_dpdk_port_up", Kind::kGauge, "port", "1 while a port of DPDK has a link", "0: cable, switch, or the device's driver"},
   [](const Input& in, Values& out) {
     each_dpdk_port(in, [&](const json& port, const std::string& device) { out.add(port["up"].get<bool>() ? 1 : 0, {{"port", device}}); });
   }},
  {{"rtpferry_interface_packets_total", Kind::kCounter, "interface,direction", "packets of each local interface", "nothing"},
   [](const Input& in, Values& out) { by_direction(in, out, [](const auto& d) { return d.packets.load(); }); }},
  {{"rtpferry_interface_bytes_total", Kind::kCounter, "interface,direction", "octets of each local interface", "nothing"},
   [](const Input& in, Values& out) { by_direction(in, out, [](const auto& d) { return d.bytes.load(); }); }},
  {{"rtpferry_interface_errors_total", Kind::kCounter, "interface,direction", "packets refused, or not sent, at each local interface", "look at rtpferry_drops_total"},
   [](const Input& in, Values& out) { by_direction(in, out, [](const auto& d) { return d.errors.load(); }); }},
  {{"rtpferry_interface_lost_total", Kind::kCounter, "interface", "packets that streams missed, of streams that ended", "the network on that side loses packets"},
   [](const Input& in, Values& out) { by_interface(in, out, [](const InterfaceTotals& t) { return static_cast<double>(t.lost.load()); }); }},
  {{"rtpferry_interface_duplicates_total", Kind::kCounter, "interface", "packets that came twice, of streams that ended", "a loop or a mirror port in the network"},
   [](const Input& in, Values& out) { by_interface(in, out, [](const InterfaceTotals& t) { return static_cast<double>(t.duplicates.load()); }); }},
  {{"rtpferry_interface_reordered_total", Kind::kCounter, "interface", "packets that came late, of streams that ended", "several paths in the network"},
   [](const Input& in, Values& out) { by_interface(in, out, [](const InterfaceTotals& t) { return static_cast<double>(t.reordered.load()); }); }},
  {{"rtpferry_interface_resets_total", Kind::kCounter, "interface", "sequences that a sender began anew, of streams that ended", "nothing"},
   [](const Input& in, Values& out) { by_interface(in, out, [](const InterfaceTotals& t) { return static_cast<double>(t.resets.load()); }); }},
  {{"rtpferry_ports", Kind::kGauge, "interface,state", "pairs of media ports: used, resting (just closed), free", "few free: widen port-min to port-max"},
   [](const Input& in, Values& out) {
     in.each_interface([&](const LogicalInterface& logical, const LocalAddress& local) {
       const PortPool& pool = *local.ports;
       const auto used = static_cast<double>(pool.used());
       const auto resting = static_cast<double>(pool.resting());
       out.add(used, {{"interface", logical.name}, {"state", "used"}});
       out.add(resting, {{"interface", logical.name}, {"state", "resting"}});
       out.add(static_cast<double>(pool.total()) - used - resting, {{"interface", logical.name}, {"state", "free"}});
     });
   }},
  {{"rtpferry_ports_reused_total", Kind::kCounter, "interface", "pairs given out before they had rested", "late packets of old calls may reach new ones: widen the range"},
   [](const Input& in, Values& out) {
     in.each_interface([&](const LogicalInterface& logical, const LocalAddress& local) {
       out.add(static_cast<double>(local.ports->forced_reuses()), {{"interface", logical.name}});
     });
   }},
  {{"rtpferry_other_type_packets_total", Kind::kCounter, "", "RTP packets that were taken although no SDP has their payload type (DMX-4)", "usually comfort noise or events; strict-payload-types drops them"},
   [](const Input& in, Values& out) { out.add(in.sum([](const WorkerTotals& t) { return t.other_type_packets.load(); })); }},
  {{"rtpferry_ports_unserved_total", Kind::kCounter, "", "ports that the engine could not listen on", "fs.epoll.max_user_watches and the descriptor limit: rtpferryctl doctor"},
   [](const Input& in, Values& out) { out.add(in.sum([](const WorkerTotals& t) { return t.unserved_ports.load(); })); }},
  {{"rtpferry_rtcp_reports_total", Kind::kCounter, "interface", "receiver reports that could be measured with", "nothing"},
   [](const Input& in, Values& out) { by_interface(in, out, [](const InterfaceTotals& t) { return static_cast<double>(t.quality.mos.samples.load()); }); }},
  {{"rtpferry_rtcp_mos_sum_total", Kind::kCounter, "interface", "sum of MOS in those reports; divide by their number", "below 3.5 people complain: look at loss and jitter"},
   [](const Input& in, Values& out) { rtcp_samples(in, out, &QualityTotals::mos, 1); }},
  {{"rtpferry_rtcp_jitter_seconds_total", Kind::kCounter, "interface", "sum of jitter in those reports", "above 0.05 a report: a busy link"},
   [](const Input& in, Values& out) { rtcp_samples(in, out, &QualityTotals::jitter, 1e-3); }},
  {{"rtpferry_rtcp_round_trip_seconds_total", Kind::kCounter, "interface", "sum of round trips from end to end in those reports", "above 0.3 a report people talk over each other"},
   [](const Input& in, Values& out) { rtcp_samples(in, out, &QualityTotals::round_trip, 1e-6); }},
  {{"rtpferry_rtcp_loss_ratio_sum_total", Kind::kCounter, "interface", "sum of the share lost in those reports", "above 0.02 a report people hear it"},
   [](const Input& in, Values& out) { rtcp_samples(in, out, &QualityTotals::loss, 1e-2); }},
  {{"rtpferry_requests_total", Kind::kCounter, "command", "NG commands", "nothing"},
   [](const Input& in, Values& out) { in.ng.each_command([&](std::string_view name, const ng::CommandCount& count) { out.add(static_cast<double>(count.count), {{"command", std::string(name)}}); }); }},
  {{"rtpferry_requests_seconds_total", Kind::kCounter, "command", "time spent on them", "divide by their number; see rtpferry_request_seconds for percentiles"},
   [](const Input& in, Values& out) { in.ng.each_command([&](std::string_view name, const ng::CommandCount& count) { out.add(std::chrono::duration<double>(count.time).count(), {{"command", std::string(name)}}); }); }},
  {{"rtpferry_request_errors_total", Kind::kCounter, "", "NG commands answered with an error", "the proxy's log has the texts"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.ng.errors())); }},
  {{"rtpferry_unknown_words_total", Kind::kCounter, "", "keys and flags of clients that nobody knows", "rtpferryctl unknown-flags lists them: often misspelt"},
   [](const Input& in, Values& out) {
     std::uint64_t sum = 0;
     for (const auto& [word, seen] : in.ng.unknown_words()) sum += seen.count;
     out.add(static_cast<double>(sum));
   }},
  {{"rtpferry_rtpp_sessions", Kind::kGauge, "", "sessions of the rtpproxy protocol now", "nothing"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.rtpproxy_size())); }},
  {{"rtpferry_rtpp_commands_total", Kind::kCounter, "", "commands of the rtpproxy protocol", "nothing"},
   [](const Input& in, Values& out) { add_figure(in.rtpproxy, "commands", out); }},
  {{"rtpferry_rtpp_errors_total", Kind::kCounter, "", "commands of the rtpproxy protocol that were refused", "the proxy's log has the codes"},
   [](const Input& in, Values& out) { add_figure(in.rtpproxy, "refused", out); }},
  {{"rtpferry_recordings", Kind::kGauge, "", "recordings now", "nothing"},
   [](const Input& in, Values& out) { add_figure(in.recorder, "active", out); }},
  {{"rtpferry_recordings_finished_total", Kind::kCounter, "", "recordings that were completed", "nothing"},
   [](const Input& in, Values& out) { add_figure(in.recorder, "finished", out); }},
  {{"rtpferry_recordings_failed_total", Kind::kCounter, "", "recordings with trouble: the manifest says what", "the disk: rtpferryctl stats, field recorder trouble"},
   [](const Input& in, Values& out) { add_figure(in.recorder, "failed", out); }},
  {{"rtpferry_recording_packets_lost_total", Kind::kCounter, "", "packets that recordings missed", "the disk is too slow, or recording-queue too small"},
   [](const Input& in, Values& out) { add_figure(in.recorder, "packets_lost", out); }},
  {{"rtpferry_recording_hooks_failed_total", Kind::kCounter, "hook", "what came after a recording and failed: hook, notification, upload", "the log has the reason, rtpferryctl doctor the folder of what was given up"},
   [](const Input& in, Values& out) {
     add_figure(in.recorder, "hooks_failed", out, {{"hook", "hook"}});
     add_figure(in.recorder, "notifications_failed", out, {{"hook", "notification"}});
     add_figure(in.recorder, "uploads_failed", out, {{"hook", "upload"}});
   }},
  {{"rtpferry_work_after_calls", Kind::kGauge, "state", "hooks, notifications and uploads that wait or run, and those given up whose entries were kept: waiting, failed", "waiting grows: the server or the hook is slow; failed: rtpferryctl doctor"},
   [](const Input& in, Values& out) {
     add_figure(in.recorder, "work_waiting", out, {{"state", "waiting"}});
     add_figure(in.recorder, "work_failed", out, {{"state", "failed"}});
   }},
  {{"rtpferry_telemetry_up", Kind::kGauge, "server", "1 while a server that reports are sent to takes them, 0 before the first report too: graphite, influxdb, homer; absent for one that is not configured", "0: the log says why, or nothing was to be sent yet (rtpferry_telemetry_waiting_bytes is 0); calls do not depend on it"},
   [](const Input& in, Values& out) { for (const auto& [server, figures] : in.telemetry.items()) add_figure(figures, "up", out, {{"server", server}}); }},
  {{"rtpferry_telemetry_sent_total", Kind::kCounter, "server", "reports that were handed to the network for such a server", "nothing"},
   [](const Input& in, Values& out) { for (const auto& [server, figures] : in.telemetry.items()) add_figure(figures, "sent", out, {{"server", server}}); }},
  {{"rtpferry_telemetry_dropped_total", Kind::kCounter, "server,reason", "reports that were given up: full (the backlog has no room), failed (the server refused them, or was away at the end)", "full: the server is away or too slow; failed: the log has the server's answer"},
   [](const Input& in, Values& out) { for (const auto& [server, figures] : in.telemetry.items()) for (const auto& [reason, count] : figures["dropped"].items()) out.add(count.get<double>(), {{"server", server}, {"reason", reason}}); }},
  {{"rtpferry_telemetry_waiting_bytes", Kind::kGauge, "server", "octets of reports that wait for such a server", "grows: the server is away or too slow; the backlog is bounded"},
   [](const Input& in, Values& out) { for (const auto& [server, figures] : in.telemetry.items()) add_figure(figures, "waiting", out, {{"server", server}}); }},
  {{"rtpferry_memory_bytes", Kind::kGauge, "owner", "memory by owner: heap (all of it), reply_cache, kept_calls, refused_requests, packet_buffers, recorder_queue", "heap that grows without calls is a leak: tell the developers"},
   [](const Input& in, Values& out) {
     const auto info = mallinfo2();
     out.add(static_cast<double>(info.uordblks + info.hblkhd), {{"owner", "heap"}});
     out.add(static_cast<double>(in.ng.cache().bytes()), {{"owner", "reply_cache"}});
     out.add(static_cast<double>(in.manager.kept_size().bytes), {{"owner", "kept_calls"}});
     out.add(static_cast<double>(in.manager.refused_requests().bytes()), {{"owner", "refused_requests"}});
     out.add(in.sum([](const WorkerTotals& t) { return t.buffers_touched.load(); }) * kBufferMemory, {{"owner", "packet_buffers"}});
     add_figure(in.recorder, "queue_bytes", out, {{"owner", "recorder_queue"}});
   }},
  {{"rtpferry_packet_buffers", Kind::kGauge, "state", "packet buffers of the workers: used, free", "none free: the workers are overloaded"},
   [](const Input& in, Values& out) {
     const double all = in.sum([](const WorkerTotals& t) { return t.buffers.load(); });
     const double left = in.sum([](const WorkerTotals& t) { return t.buffers_free.load(); });
     out.add(all - left, {{"state", "used"}});
     out.add(left, {{"state", "free"}});
   }},
  {{"rtpferry_worker_transports", Kind::kGauge, "worker", "local transports of each worker", "uneven: nothing, new calls go to the least loaded"},
   [](const Input& in, Values& out) {
     for (std::size_t i = 0; i < in.manager.plane().workers(); ++i)
       out.add(static_cast<double>(in.manager.plane().worker(i).totals().transports.load()), {{"worker", std::to_string(i)}});
   }},
  {{"rtpferry_worker_wakeups_total", Kind::kCounter, "worker", "times that a worker had something to do", "nothing"},
   [](const Input& in, Values& out) {
     for (std::size_t i = 0; i < in.manager.plane().workers(); ++i)
       out.add(static_cast<double>(in.manager.plane().worker(i).totals().wakeups.load()), {{"worker", std::to_string(i)}});
   }},
  {{"rtpferry_worker_without_memory_total", Kind::kCounter, "worker", "steps that a worker left out as there was no memory", "the host is out of memory"},
   [](const Input& in, Values& out) {
     for (std::size_t i = 0; i < in.manager.plane().workers(); ++i)
       out.add(static_cast<double>(in.manager.plane().worker(i).totals().without_memory.load()), {{"worker", std::to_string(i)}});
   }},
  {{"rtpferry_worker_pauses_total", Kind::kCounter, "worker", "times that a worker was stopped for a second or more", "something stops the whole process: a paused virtual machine, a debugger, a host without time for it"},
   [](const Input& in, Values& out) {
     for (std::size_t i = 0; i < in.manager.plane().workers(); ++i)
       out.add(static_cast<double>(in.manager.plane().worker(i).totals().pauses.load()), {{"worker", std::to_string(i)}});
   }},
  {{"rtpferry_kept_calls", Kind::kGauge, "", "calls that ended badly and can still be explained", "nothing: it is bounded"},
   [](const Input& in, Values& out) { out.add(static_cast<double>(in.manager.kept_size().calls)); }},
  {{"rtpferry_broken_invariants_total", Kind::kCounter, "", "bugs that were met and survived", "tell the developers, with the log"},
   [](const Input&, Values& out) { out.add(static_cast<double>(g_broken_invariants.load())); }},
});

/// Rows of the histograms; State's constructor uses their order.
constexpr std::array kHistograms = std::to_array<FamilyRow>({
  {"rtpferry_call_duration_seconds", Kind::kHistogram, "", "how long calls lasted", "many below 10 s: look at the verdicts"},
  {"rtpferry_stream_mos", Kind::kHistogram, "", "MOS of streams as they arrived here (ITU-T G.107), at the end of each call", "a growing share below 3.5: loss or jitter in the network"},
  {"rtpferry_stream_loss_ratio", Kind::kHistogram, "", "share of packets that did not arrive here, of each stream", "above 0.02 people hear it"},
  {"rtpferry_stream_jitter_seconds", Kind::kHistogram, "", "jitter of each stream (RFC 3550) at its end", "above 0.05: a busy link"},
  {"rtpferry_request_seconds", Kind::kHistogram, "command", "time to answer an NG command: offer, answer, delete, query, other", "p99 of offer above 0.01: the control thread is busy; look at CPU and disk"},
});
// clang-format on

constexpr std::array<std::string_view, 4> kTimedCommands = {"offer", "answer", "delete", "query"};

/// A histogram never comes here: the registry writes those itself.
void add_family(std::vector<prometheus::MetricFamily>& to, const FamilyRow& row, const Values& values) {
  prometheus::MetricFamily family;
  family.name = row.name;
  family.help = row.meaning;
  family.type = row.kind == Kind::kCounter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  for (const auto& [labels, value] : values.all()) {
    prometheus::ClientMetric metric;
    for (const auto& [name, text] : labels) metric.label.push_back({name, text});
    metric.counter.value = metric.gauge.value = value;
    family.metric.push_back(std::move(metric));
  }
  if (!family.metric.empty()) to.push_back(std::move(family));
}

}  // namespace

std::span<const FamilyRow> families() {
  static const std::vector<FamilyRow> all = [] {
    std::vector<FamilyRow> rows;
    for (const Row& row : kRows) rows.push_back(row.family);
    rows.insert(rows.end(), kHistograms.begin(), kHistograms.end());
    return rows;
  }();
  return all;
}

struct Metrics::State {
  State(SessionManager& m, const ng::NgService& n, std::function<Clock()> c)
      : manager(m), ng(n), clock(std::move(c)), started(clock().now) {
    const auto histogram = [&](std::size_t row) -> prometheus::Family<prometheus::Histogram>& {
      return prometheus::BuildHistogram()
          .Name(std::string(kHistograms[row].name))
          .Help(std::string(kHistograms[row].meaning))
          .Register(registry);
    };
    duration = &histogram(0).Add(
        {}, prometheus::Histogram::BucketBoundaries{1, 3, 10, 30, 60, 120, 300, 600, 1800, 3600});
    mos = &histogram(1).Add(
        {}, prometheus::Histogram::BucketBoundaries{1.5, 2, 2.5, 3, 3.3, 3.6, 3.8, 4, 4.2, 4.4});
    loss = &histogram(2).Add(
        {}, prometheus::Histogram::BucketBoundaries{0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5});
    jitter = &histogram(3).Add(
        {}, prometheus::Histogram::BucketBoundaries{0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2});
    auto& request = histogram(4);
    const prometheus::Histogram::BucketBoundaries times{25e-6, 5e-5, 1e-4, 25e-5, 5e-4, 1e-3,
                                                        25e-4, 5e-3, 0.01, 0.05,  0.25};
    for (std::size_t i = 0; i < kTimedCommands.size(); ++i)
      requests[i] = &request.Add({{"command", std::string(kTimedCommands[i])}}, times);
    // All other commands share one histogram.
    requests.back() = &request.Add({{"command", "other"}}, times);
  }

  [[nodiscard]] std::vector<prometheus::MetricFamily> own_families() const {
    const auto ask = [](const std::function<json()>& source) { return source ? source() : json::object(); };
    const json engines = ask(sources.engines);
    const json recorder = ask(sources.recorder);
    const json rtpproxy = ask(sources.rtpproxy);
    const json connections = ask(sources.connections);
    const json telemetry = ask(sources.telemetry);
    const Input input{manager,     ng,        clock(),          engines, recorder, rtpproxy,
                      connections, telemetry, sources.exposure, started, verdicts};
    std::vector<prometheus::MetricFamily> all;
    for (const Row& row : kRows) {
      Values values;
      row.collect(input, values);
      add_family(all, row.family, values);
    }
    for (auto& family : registry.Collect()) all.push_back(std::move(family));
    return all;
  }

  SessionManager& manager;
  const ng::NgService& ng;
  std::function<Clock()> clock;
  Sources sources;
  MetricNames names = MetricNames::kRtpferry;
  Instant started;
  std::map<Cause, std::uint64_t> verdicts;
  prometheus::Registry registry;
  prometheus::Histogram* duration = nullptr;
  prometheus::Histogram* mos = nullptr;
  prometheus::Histogram* loss = nullptr;
  prometheus::Histogram* jitter = nullptr;
  std::array<prometheus::Histogram*, kTimedCommands.size() + 1> requests{};
};

Metrics::Metrics(SessionManager& manager, const ng::NgService& ng, std::function<Clock()> clock)
    : state_(std::make_unique<State>(manager, ng, std::move(clock))) {}
Metrics::~Metrics() = default;

void Metrics::set_sources(Sources sources) { state_->sources = std::move(sources); }
void Metrics::set_names(MetricNames names) { state_->names = names; }

void Metrics::observe(const CallReport& report) {
  state_->duration->Observe(std::chrono::duration<double>(report.duration).count());
  const MediaVerdict* main = report.explanation.main();
  ++state_->verdicts[main == nullptr ? Cause::kFine : main->cause];
  for (const StreamReport& stream : report.streams) {
    if (stream.stream.packets == 0) continue;
    state_->mos->Observe(stream.mos);
    state_->loss->Observe(stream.stream.loss_percent() / 100.0);
    state_->jitter->Observe(std::chrono::duration<double>(stream.stream.jitter()).count());
  }
}

void Metrics::observe_request(std::string_view command, Duration time) {
  const auto known = std::ranges::find(kTimedCommands, command);
  state_->requests[static_cast<std::size_t>(known - kTimedCommands.begin())]->Observe(
      std::chrono::duration<double>(time).count());
}

std::vector<prometheus::MetricFamily> Metrics::collect() const {
  std::vector<prometheus::MetricFamily> all;
  if (state_->names != MetricNames::kRtpengine) all = state_->own_families();
  if (state_->names != MetricNames::kRtpferry) {
    for (auto& family : rtpengine_families(rtpengine_figures(state_->ng))) all.push_back(std::move(family));
  }
  return all;
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(collect()); }

}  // namespace ferry::metrics
