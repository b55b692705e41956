// SPDX-License-Identifier: Apache-2.0
// Builds what `rtpferryctl show` and `rtpferryctl list` tell. `show` asks the worker of the call for
// snapshots; `list` reads the counters that workers keep beside each transport, so that it waits for nobody.

#include "control/view/show.hpp"

#include "control/call/media_keys.hpp"
#include "control/call/treated_flows.hpp"
#include "control/diagnose/mos.hpp"
#include "control/session/call_register.hpp"
#include "control/session/snapshots.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

using nlohmann::json;

namespace {

double age_seconds(Instant then, const Clock& clock) {
  return std::chrono::duration<double>(clock.now - then).count();
}

json stream_json(const SsrcCounters& c, const QualityHistory* quality) {
  const double loss = c.loss_percent();
  const double jitter_ms = static_cast<double>(c.jitter().count()) / 1e6;
  json j = {{"ssrc", c.ssrc.value},     {"packets", c.packets},
            {"bytes", c.bytes},         {"lost", c.lost()},
            {"loss_percent", loss},     {"duplicates", c.duplicates},
            {"reordered", c.reordered}, {"resets", c.resets},
            {"jitter_ms", jitter_ms},   {"payload_type", c.last_payload_type}};
  j["loss_bursts"] = c.loss_bursts;
  j["longest_loss_burst"] = c.longest_loss_burst;
  j["burst_ratio"] = c.burst_ratio();
  j["longest_gap_ms"] = static_cast<double>(c.longest_gap().count()) / 1e6;
  if (const auto drift = c.drift()) {
    j["clock_drift_ppm"] = drift->ppm;
    j["clock_drift_error_ppm"] = drift->error_ppm;
  }
  if (c.g711_packets > 0) {
    j["silent_percent"] = 100.0 * static_cast<double>(c.silent_packets) / static_cast<double>(c.g711_packets);
  }
  // Quality as the receiver reports it, if it sends RTCP. Otherwise it is that of what arrives here, without
  // the way on from here.
  if (quality != nullptr && quality->samples > 0) {
    j["mos"] = static_cast<double>(quality->sum.mos_times_10) / static_cast<double>(quality->samples) / 10.0;
    j["mos_source"] = "rtcp";
    j["round_trip_ms"] =
        static_cast<double>(quality->sum.round_trip_us) / static_cast<double>(quality->samples) / 1000.0;
  } else {
    j["mos"] = mos_of(c);
    j["mos_source"] = "rtp";
  }
  return j;
}

/// Adds the figures of the last seconds to those of the call. Adds nothing if they are not known.
void add_recent(json& stream, const RecentStream& recent, std::uint8_t payload_type) {
  if (recent.span == Duration{0}) return;
  json j = {{"seconds", std::chrono::duration<double>(recent.span).count()},
            {"packets", recent.counts.packets},
            {"lost", recent.lost()},
            {"loss_percent", recent.loss_percent()},
            {"loss_bursts", recent.counts.loss_bursts},
            {"longest_loss_burst", recent.longest_burst},
            {"duplicates", recent.counts.duplicates},
            {"reordered", recent.counts.reordered},
            {"resets", recent.counts.resets},
            {"jitter_ms", static_cast<double>(recent.jitter.count()) / 1e6}};
  if (const auto mos = mos_of(recent, payload_type)) j["mos"] = *mos;
  stream["last_10s"] = std::move(j);
}

/// Adds what the party itself reports of a stream that it is sent.
void add_report(json& stream, const MediaView& view, Ssrc ssrc, const Clock& clock) {
  const auto report = std::ranges::find(view.reports, ssrc, &ListenerReport::about);
  if (report == view.reports.end()) return;
  stream["reported"] = {{"loss_percent", report->recent_loss_percent()},
                        {"lost", report->cumulative_lost},
                        {"age_s", age_seconds(report->at, clock)}};
}

/// What protects an encrypted media. Never the keys (SRT-15).
json srtp_json(const Media& media, const MediaView& view) {
  const MediaKeys* keys = media.via->keys.get();
  const bool by_lines = keys != nullptr && keys->in && keys->out;
  const TransportSnapshot::Dtls* handshakes =
      media.via->is_keyed_by_dtls() && view.active != nullptr && view.active->dtls ? &*view.active->dtls
                                                                                   : nullptr;
  const DtlsKeys* agreed =
      handshakes != nullptr && handshakes->front().keys ? &*handshakes->front().keys : nullptr;
  json j = {{"state", by_lines || agreed != nullptr ? "keyed" : "no key yet"},
            {"keyed_by", by_lines                        ? "SDES"
                         : media.via->is_keyed_by_dtls() ? "DTLS"
                                                         : ""},
            {"authentication_failures", view.drops[DropReason::kNotAuthentic]},
            {"replays", view.drops[DropReason::kReplayed]}};
  if (media.via->is_keyed_by_dtls()) {
    j["dtls_role"] = media.via->dtls->role == DtlsRole::kClient ? "active" : "passive";
    j["handshake"] =
        to_string(handshakes != nullptr ? handshakes->front().state : DtlsChannel::State::kWaiting);
    if (handshakes != nullptr && !media.via->mux_used)
      j["handshake_rtcp"] = to_string(handshakes->back().state);
  }
  if (!by_lines && agreed == nullptr) return j;
  j["suite"] = by_lines ? keys->in->suite->name : row_of(agreed->receive.suite).name;
  j["suite_out"] = by_lines ? keys->out->suite->name : row_of(agreed->send.suite).name;
  j["mki"] = by_lines && !keys->in->mki.empty();
  j["keys_of_other_side"] = by_lines && keys->out_is_relayed;
  j["opportunistic"] = !sdp::parse_protocol(media.protocol).secure;
  json received = json::array();
  json sent = json::array();
  if (view.active != nullptr && view.active->srtp) {
    for (const auto& state : view.active->srtp->received) {
      for (const SrtpStream& stream : state.streams) {
        received.push_back({{"ssrc", stream.ssrc.value},
                            {"roll_over_counter", stream.rtp.highest() >> 16},
                            {"sequence", stream.rtp.highest() & 0xffff},
                            {"rtcp_index", stream.rtcp.highest()}});
      }
    }
    for (const SrtpStream& stream : view.active->srtp->sent.streams)
      sent.push_back({{"ssrc", stream.ssrc.value},
                      {"roll_over_counter", stream.rtp.highest() >> 16},
                      {"sequence", stream.rtp.highest() & 0xffff}});
  }
  j["received"] = std::move(received);
  j["sent"] = std::move(sent);
  return j;
}

/// How far the DTLS handshakes of one media have come, with whom, and the alerts (DTL-13).
json dtls_json(const MediaView& view, const Clock& clock) {
  const auto* dtls = view.active != nullptr && view.active->dtls ? &*view.active->dtls : nullptr;
  json j = {{"state", to_string(dtls != nullptr ? dtls->front().state : DtlsChannel::State::kWaiting)}};
  if (dtls == nullptr) return j;
  const DtlsEvidence& evidence = dtls->front().evidence;
  const DtlsEvidence::Source* furthest = evidence.furthest();
  j["stage"] = to_string(furthest != nullptr ? furthest->stage : DtlsStage::kNothing);
  json sources = json::array();
  for (const DtlsEvidence::Source& each : evidence.sources) {
    if (!each.with.is_set()) continue;
    sources.push_back({{"address", each.with.to_string()},
                       {"stage", to_string(each.stage)},
                       {"datagrams", each.datagrams},
                       {"hellos", each.hellos},
                       {"handshakes", each.begun},
                       {"broken", each.broken},
                       {"age_s", age_seconds(each.last, clock)}});
  }
  json alerts = json::array();
  for (const DtlsEvidence::Alert& each : evidence.alerts) {
    if (each.times == 0) continue;
    alerts.push_back({{"name", to_string(each.alert)},
                      {"description", each.alert.description},
                      {"fatal", each.alert.level == 2},
                      {"address", each.from.to_string()},
                      {"times", each.times},
                      {"age_s", age_seconds(each.last, clock)}});
  }
  j["sources"] = std::move(sources);
  j["alerts"] = std::move(alerts);
  return j;
}

/// A media whose parties do ICE and agree on keys with each other: what was overheard.
json end_to_end_json(const Media& media, const MediaView& view) {
  json j = {{"word", media.passing == Passing::kRelayed ? "force-relay" : "optional"},
            {"peer_candidates", media.via->ice ? media.via->ice->theirs.candidates.size() : 0}};
  const bool is_here = view.active != nullptr && view.active->ice && view.active->ice->selected[0];
  j["through_relay"] = is_here;
  if (is_here) j["selected"] = view.active->ice->selected[0]->peer.to_string();
  return j;
}

/// One media: what signalling says, what the latches learned, what was dropped, and its streams.
json media_json(const Media& media, const MediaView& view, const Clock& clock) {
  json j = {{"index", media.index},
            {"type", media.type},
            {"protocol", media.protocol},
            {"rejected", media.rejected}};
  j["latch_policy"] = media.via->rules.algorithm == LearningAlgorithm::kRules
                          ? std::string(to_string(media.via->rules.policy))
                          : "any (endpoint-learning)";
  j["unsafe"] = media.via->rules.policy == LatchPolicy::kAny;
  if (const LocalPorts* ports = media.via->active_ports(); ports != nullptr && media.via->has_open_ports()) {
    j["local"] = {
        {"address", ports->local->address.to_string()},
        {"advertised", ports->local->advertised.to_string()},
        {"rtp_port", ports->port.value},
        {"rtcp_port", media.via->mux_used || ports->is_shared ? ports->port.value : ports->port.value + 1}};
    j["path"] = ports->activity->is_offloaded.load(std::memory_order_relaxed) ? "kernel" : "user";
  }
  json streams = json::array();
  for (std::size_t i = 0; i < 2; ++i) {
    json s = {{"component", i == 0 ? "rtp" : "rtcp"}};
    s["advertised"] =
        media.via->remote_known ? (i == 0 ? media.via->remote_rtp : media.via->remote_rtcp).to_string() : "";
    if (view.active != nullptr) {
      const Latch::Snapshot& latch = view.active->latch[i];
      s["latch_state"] = latch.contested ? "contested" : std::string(to_string(latch.state));
      s["latch_rank"] = latch.rank;
      s["learned"] = latch.peer.is_set() ? latch.peer.to_string() : "";
      s["sends_to"] = view.active->destination[i].is_set() ? view.active->destination[i].to_string() : "";
    }
    const ComponentCounters& c = view.counters[i];
    s["in"] = {{"packets", c.packets_in}, {"bytes", c.bytes_in}, {"errors", c.errors_in}};
    s["out"] = {{"packets", c.packets_out}, {"bytes", c.bytes_out}, {"errors", c.errors_out}};
    if (view.last_packet[i] != Instant{}) s["last_packet_age_s"] = age_seconds(view.last_packet[i], clock);
    streams.push_back(std::move(s));
  }
  j["streams"] = std::move(streams);
  json ingress = json::array();
  for (const auto& stream : view.ingress) {
    ingress.push_back(stream_json(stream.counters, stream.quality));
    add_recent(ingress.back(), stream.recent, stream.counters.last_payload_type);
  }
  j["received"] = std::move(ingress);
  json egress = json::array();
  for (const auto& c : view.egress) {
    egress.push_back(
        {{"ssrc", c.counters.ssrc.value}, {"packets", c.counters.packets}, {"bytes", c.counters.bytes}});
    add_recent(egress.back(), c.recent, c.counters.last_payload_type);
    add_report(egress.back(), view, c.counters.ssrc, clock);
  }
  j["sent"] = std::move(egress);
  json drops = json::object();
  for (const DropReasonRow& row : kDropReasonRows) {
    if (view.drops[row.reason] != 0) drops[std::string(row.name)] = view.drops[row.reason];
  }
  j["drops"] = std::move(drops);
  if (view.other.times != 0) j["other_type_packets"] = view.other.times;
  if (const auto* left_out = media.left_out()) {
    for (const LeftOutPeer& each : *left_out)
      j["left_out"].push_back({{"what", to_string(each.kind)},
                               {"address", each.at.to_string()},
                               {"reason", to_string(each.denial)}});
  }
  if (media.is_encrypted()) j["srtp"] = srtp_json(media, view);
  if (media.passing != Passing::kNo) j["end_to_end"] = end_to_end_json(media, view);
  if (media.via->is_keyed_by_dtls()) j["dtls"] = dtls_json(view, clock);
  if (media.via->has_ice()) {
    const auto* ice = view.active != nullptr && view.active->ice ? &*view.active->ice : nullptr;
    j["ice"] = {{"state", to_string(ice != nullptr ? ice->state : IceAgent::State::kWaiting)},
                {"controlling", media.via->ice->controlling},
                {"peer_candidates", media.via->ice->theirs.candidates.size()}};
    if (media.via->ice->is_lite) j["ice"]["lite"] = true;
    if (media.via->ice->theirs.is_too_short()) j["ice"]["short_credentials"] = true;
    if (ice != nullptr && ice->selected[0]) j["ice"]["selected"] = ice->selected[0]->peer.to_string();
  }
  return j;
}

/// What is played to a party, and how far it is.
json playback_json(const Playback& playback) {
  json j = {{"sound", playback.what},
            {"position_ms", playback.position() * 1000 / playback.rate_hz},
            {"on_hold", playback.holder != 0}};
  if (playback.length)
    j["length_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(*playback.length).count();
  return j;
}

/// How far the fax is that the flow is a part of. Null: it is part of none, or nobody knows.
json fax_json(const TreatedFlow& flow, const SessionConfig& config) {
  const AudioConversion* made = flow.sink->conversion.get();
  if (made == nullptr || !made->fax || !config.faxes) return nullptr;
  const auto fax = config.faxes->progress_of(made->fax->gateway);
  if (!fax) return nullptr;
  return {{"pages", fax->pages},
          {"bit_rate", fax->bit_rate_bps},
          {"ecm", fax->is_corrected},
          {"lost", fax->lost},
          {"recovered", fax->recovered}};
}

}  // namespace

json CallLists::show(std::string_view call_id, const Clock& clock) const {
  Call* call = services_.calls.find(call_id);
  if (call == nullptr) return nullptr;
  const CallSnapshots snapshots = services_.snapshots.read(*call);
  json j = {
      {"call_id", call->id},
      {"created", std::chrono::duration_cast<std::chrono::seconds>(call->created.time_since_epoch()).count()},
      {"age_s", age_seconds(call->created_at, clock)},
      {"worker", call->worker},
      {"deleting", call->delete_at.has_value()},
      {"not_in_force", call->not_in_force}};
  if (call->recording() != nullptr) j["recording"] = json::parse(call->recording()->status());
  if (call->rtpproxy() != nullptr) j["rtpproxy"] = rtpproxy_.show(*call, clock);
  json legs = json::array();
  for (const auto& leg : call->legs) {
    json l = {{"tag", leg->tag},
              {"aliases", leg->aliases},
              {"via_branch", leg->via_branch},
              {"label", leg->label()}};
    l["received_from"] = leg->received_from.to_string();
    if (const Playback* playback = leg->playback(); playback != nullptr && playback->is_running())
      l["hears"] = playback_json(*playback);
    json medias = json::array();
    for (const auto& media : leg->medias) {
      medias.push_back(media_json(*media, snapshots.view_of(media->id), clock));
    }
    l["medias"] = std::move(medias);
    legs.push_back(std::move(l));
  }
  j["legs"] = std::move(legs);
  json changed = json::array();
  for (const TreatedFlow& flow : treated_flows(*call)) {
    changed.push_back({{"from", flow.from->leg->tag}, {"to", flow.to->leg->tag}, {"audio", in_words(flow)}});
    if (const auto fax = fax_json(flow, services_.config); !fax.is_null()) changed.back()["fax"] = fax;
  }
  if (!changed.empty()) j["changed"] = std::move(changed);
  // Offers that wait: what is agreed stays in force until they are answered (LAT-15).
  json offers = json::array();
  for (const Proposal& each : call->proposals) {
    offers.push_back({{"from", each.offerer->tag}, {"to", each.answerer->tag}});
    if (each.until != Instant::max()) offers.back()["seconds_left"] = -age_seconds(each.until, clock);
  }
  j["unanswered_offers"] = std::move(offers);
  return j;
}

KernelShare CallLists::kernel_share() const {
  KernelShare share;
  for (const auto& each : services_.calls.all()) {
    std::size_t below = 0;
    std::size_t above = 0;
    for (const auto& leg : each.second->legs) {
      for (const auto& media : leg->medias) {
        for (const LocalPorts& ports : media->via->ports) {
          if (ports.activity->last_rtp_ns.load() == 0) continue;
          ++(ports.activity->is_offloaded.load() ? below : above);
        }
      }
    }
    ++(below == 0 ? share.user : above == 0 ? share.kernel : share.mixed);
  }
  return share;
}

// Reads only counters that workers write beside each transport, without locks; so the figures may be a little
// apart.
std::vector<CallSummary> CallLists::summaries(const Clock& clock) const {
  std::vector<CallSummary> all;
  all.reserve(services_.calls.size());
  for (const auto& each : services_.calls.all()) {
    const Call& call = *each.second;
    CallSummary& summary = all.emplace_back();
    summary.call = &call;
    summary.health = &watch_.of(call);
    summary.age_s = age_seconds(call.created_at, clock);
    std::int64_t last_ns = 0;
    for (const auto& leg : call.legs) {
      summary.medias += leg->medias.size();
      for (const MediaTransport& transport : leg->transports) {
        for (const LocalPorts& ports : transport.ports) {
          const TransportActivity& activity = *ports.activity;
          last_ns = std::max(last_ns, activity.last_packet_ns.load());
          const auto arrived = activity.rtp_packets.load();
          const auto missing = activity.rtp_lost.load();
          summary.packets += arrived;
          summary.lost += missing;
          summary.refused += activity.refused.load();
          summary.jitter_ms = std::max(summary.jitter_ms, activity.jitter_us.load() / 1000.0);
          summary.kernel_streams += activity.is_offloaded.load() ? 1u : 0u;
          const double sent = static_cast<double>(arrived) + missing;
          if (sent > 0) summary.loss_percent = std::max(summary.loss_percent, 100.0 * missing / sent);
        }
      }
    }
    if (last_ns != 0) summary.last_packet_age_s = age_seconds(Instant{Duration{last_ns}}, clock);
  }
  return all;
}

}  // namespace ferry
