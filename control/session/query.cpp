// The query reply (NG reference, section 14) and what `rtpferryctl` shows.

#include "control/diagnose/explain.hpp"
#include "control/sdp/sdp.hpp"
#include "control/session/classic.hpp"
#include "control/session/manager.hpp"
#include "control/session/media_control.hpp"
#include "control/session/snapshots.hpp"
#include "relay/base/static_types.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

namespace {

using nlohmann::json;

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// Unix seconds of a monotonic moment, seen from `clock`.
std::int64_t unix_seconds(Instant then, const Clock& clock) {
  return unix_seconds(clock.wall - std::chrono::duration_cast<Duration>(clock.now - then));
}

Dict endpoint_dict(const Endpoint& endpoint) {
  Dict dict;
  if (!endpoint.is_set() || endpoint.port.value == 0) return dict;
  dict.set("family", endpoint.address.is_v6() ? "IPv6" : "IPv4");
  dict.set("address", endpoint.address.to_string());
  dict.set("port", std::int64_t{endpoint.port.value});
  return dict;
}

Dict sample_dict(const QualitySample& sample, std::int64_t divisor) {
  Dict dict;
  dict.set("MOS", sample.mos_times_10 / divisor);
  dict.set("round-trip time", sample.round_trip_us / divisor);
  dict.set("round-trip time leg", sample.round_trip_leg_us / divisor);
  dict.set("jitter", sample.jitter_ms / divisor);
  dict.set("packet loss", sample.loss_percent / divisor);
  return dict;
}

Dict reported_sample(const QualitySample& sample, const Clock& clock) {
  Dict dict = sample_dict(sample, 1);
  dict.set("reported at", unix_seconds(sample.at, clock));
  return dict;
}

void add_ssrc_stats(Dict& dict, const SsrcCounters& counters, const QualityHistory* quality,
                    const Clock& clock) {
  dict.set("bytes", counters.bytes);
  dict.set("packets", counters.packets);
  dict.set("last RTP timestamp", counters.last_timestamp);
  dict.set("last RTP seq", counters.highest_extended);
  if (quality == nullptr) return;
  dict.set("cumulative loss", counters.reported_loss);
  Dict average = sample_dict(quality->sum, quality->samples);
  average.set("samples", quality->samples);
  dict.set("average MOS", std::move(average));
  dict.set("lowest MOS", reported_sample(quality->lowest, clock));
  dict.set("highest MOS", reported_sample(quality->highest, clock));
  List entries;
  for (std::size_t i = 0; i < quality->progression_size; ++i) {
    entries.emplace_back(reported_sample(quality->progression[i], clock));
  }
  Dict progression;
  progression.set("interval", std::int64_t{10});
  progression.set("entries", std::move(entries));
  dict.set("MOS progression", std::move(progression));
}

}  // namespace

void SessionManager::post_reads(const Call& call, Snapshots& snapshots) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (const PortSet& ports : media->ports) {
        if (ports.closed || !ports.plan) continue;
        auto& entry = snapshots.entries.emplace_back(media->id, &ports == media->used_ports(),
                                                     Endpoint{ports.local->address, ports.port});
        plane_.post(call.worker, ReadTransport{ports.transport, &entry.snapshot}, true);
      }
      if (!media->extras || media->extras->last.empty()) continue;
      for (const auto& last : media->extras->last)
        snapshots.entries.emplace_back(media->id, false, Endpoint{}).snapshot = *last;
    }
  }
}

SessionManager::Snapshots SessionManager::read_snapshots(const Call& call) {
  Snapshots snapshots;
  try {
    post_reads(call, snapshots);
  } catch (...) {
    plane_.fence();  // workers still write to what was posted
    throw;
  }
  plane_.fence();
  return snapshots;
}

TransportSnapshot SessionManager::read_snapshot(const Call& call, const PortSet& ports) {
  TransportSnapshot snapshot;
  if (ports.closed || !ports.plan) return snapshot;
  plane_.post(call.worker, ReadTransport{ports.transport, &snapshot}, true);
  plane_.fence();
  return snapshot;
}

std::string SessionManager::remote_candidates_of(const Call& call, const Media& media) {
  const PortSet* ports = media.sending_ports();
  const bool may_be = media.has_ice() && media.ice->controlling && ports == media.active_ports();
  if (!may_be || ports == nullptr) return {};
  const TransportSnapshot snapshot = read_snapshot(call, *ports);
  return snapshot.ice ? remote_candidates(*media.ice, *snapshot.ice, !media.mux_used) : std::string();
}

std::vector<Leg*> SessionManager::legs_for_query(Call& call, const Request& request) const {
  std::vector<Leg*> legs;
  const auto& tag = request.to_tag && !request.to_tag->empty() ? request.to_tag : request.from_tag;
  if (!tag || tag->empty()) {
    for (auto& leg : call.legs) legs.push_back(leg.get());
    return legs;
  }
  Leg* wanted = call.leg_by_tag(*tag);
  if (wanted == nullptr) return legs;
  legs.push_back(wanted);
  for (const auto& media : wanted->medias) {
    for (const Subscription& subscription : media->subscriptions) {
      if (std::ranges::find(legs, subscription.source->leg) == legs.end())
        legs.push_back(subscription.source->leg);
    }
  }
  return legs;
}

namespace {

Dict stream_dict(const Call& call, const Media& media, const MediaView& view, std::size_t component,
                 const Clock& clock) {
  Dict stream;
  const PortSet* ports = media.active_ports();
  if (ports != nullptr && !ports->closed) {
    stream.set("local port", std::int64_t{ports->port.value} + static_cast<std::int64_t>(component));
    stream.set("local address", ports->local->address.to_string());
    stream.set("family", ports->local->address.is_v6() ? "IPv6" : "IPv4");
  }
  const Endpoint advertised = !media.remote_known ? Endpoint{}
                              : component == 0    ? media.remote_rtp
                                                  : media.remote_rtcp;
  Endpoint endpoint = advertised;
  bool locked = false;
  if (view.active != nullptr && view.active->latch[component].peer.is_set()) {
    endpoint = media.rules.asymmetric ? advertised : view.active->latch[component].peer;
    locked = view.active->latch[component].state == Latch::State::kLocked &&
             view.active->last_packet[component] > call.touched;
  }
  stream.set("endpoint", endpoint_dict(endpoint));
  stream.set("advertised endpoint", endpoint_dict(advertised));
  if (media.is_encrypted() && media.keys && media.keys->in)
    stream.set("crypto suite", std::string(media.keys->in->suite->name));
  const std::int64_t last = view.last_packet[component] == Instant{}
                                ? call.last_signal_unix
                                : unix_seconds(view.last_packet[component], clock);
  stream.set("last packet", last);
  const TransportActivity* activity = ports != nullptr && component == 0 ? ports->activity.get() : nullptr;
  const std::int64_t kernel_ns = activity != nullptr ? activity->last_kernel_ns.load() : 0;
  const std::int64_t user_ns = kernel_ns != 0 ? activity->last_user_ns.load() : 0;
  stream.set("last kernel packet", kernel_ns != 0 ? unix_seconds(Instant{Duration{kernel_ns}}, clock) : 0);
  stream.set("last user packet", user_ns != 0 ? unix_seconds(Instant{Duration{user_ns}}, clock) : last);
  if (!view.ingress.empty()) stream.set("SSRC", view.ingress.front().counters.ssrc.value);
  List flags;
  if (!media.hidden) flags.emplace_back(component == 0 ? "RTP" : "RTCP");
  if (component == 0 && media.mux_used) flags.emplace_back("RTCP");
  if (component == 1 && media.mux_used) flags.emplace_back("fallback RTCP");
  if (media.remote_known) flags.emplace_back("filled");
  if (ports != nullptr && !ports->closed) {
    if (locked) flags.emplace_back("confirmed");
    // Clients read the pair as "media flows, and user space forwards it".
    const bool is_below = activity != nullptr && activity->is_below.load();
    if (is_below || view.last_packet[component] > call.touched) flags.emplace_back("kernelized");
    if (!is_below && view.last_packet[component] > call.touched) flags.emplace_back("no kernel support");
  }
  if (media.rules.strict_source) flags.emplace_back("strict source address");
  if (media.rules.handover) flags.emplace_back("media handover");
  stream.set("flags", std::move(flags));
  const ComponentCounters& counters = view.counters[component];
  stream.set("stats", counters_dict(counters.packets_in, counters.bytes_in, counters.errors_in));
  stream.set("stats_out", counters_dict(counters.packets_out, counters.bytes_out, counters.errors_out));
  return stream;
}

/// With `measure` a stream without reports gets its quality from what arrived here.
void add_ssrc_stats(Dict& dict, const MediaView::Stream& stream, bool measure, const Clock& clock) {
  constexpr std::uint64_t kEnough = 250;  // packets: five seconds of audio
  if (stream.quality != nullptr || !measure || stream.counters.packets < kEnough) {
    add_ssrc_stats(dict, stream.counters, stream.quality, clock);
    return;
  }
  const SsrcCounters& c = stream.counters;
  const double loss = c.loss_percent();
  QualityHistory history;
  QualitySample sample;
  sample.mos_times_10 = estimate_mos_times_10(Duration{0}, c.jitter(), loss);
  sample.jitter_ms = c.jitter().count() / 1'000'000;
  sample.loss_percent = static_cast<std::int64_t>(loss);
  sample.at = c.last_packet;
  history.sum = history.lowest = history.highest = sample;
  history.samples = 1;
  add_ssrc_stats(dict, c, &history, clock);
  dict.set("cumulative loss", static_cast<std::int64_t>(c.lost()));
}

List ssrc_list(const MediaView& view, bool with_stats, bool measure, const Clock& clock) {
  List list;
  for (const MediaView::Stream& stream : view.ingress) {
    Dict dict;
    dict.set("SSRC", stream.counters.ssrc.value);
    if (with_stats) add_ssrc_stats(dict, stream, measure, clock);
    list.emplace_back(std::move(dict));
  }
  return list;
}

/// "PCMA/8000" of the payload type heard last on the busiest stream.
std::string codec_name(const Media& media, const MediaView& view) {
  const auto busiest =
      std::ranges::max_element(view.ingress, {}, [](const auto& s) { return s.counters.packets; });
  if (busiest == view.ingress.end() || busiest->counters.packets == 0) return "";
  if (const auto parsed = sdp::parse(media.leg->last_sdp)) {
    for (const auto& section : parsed->media) {
      if (section.type != media.type) continue;
      for (const auto& codec : section.codecs) {
        if (codec.payload_type == busiest->counters.last_payload_type) {
          return fmt::format("{}/{}", codec.name, codec.clock_rate_hz);
        }
      }
    }
  }
  if (const StaticType* known = static_type(busiest->counters.last_payload_type)) {
    return fmt::format("{}/{}", known->name, known->clock_rate_hz);
  }
  return "";
}

bool is_live(const Media& media) { return media.active_ports() != nullptr && !media.active_ports()->closed; }

Dict media_dict(const Call& call, const Media& media, const MediaView& view, const SessionConfig& config,
                const Clock& clock) {
  Dict dict;
  dict.set("index", std::int64_t{media.index});
  dict.set("type", media.type);
  if (!media.protocol.empty()) dict.set("protocol", media.protocol);
  if (const auto codec = codec_name(media, view); !codec.empty()) dict.set("codec", codec);
  List streams;
  streams.emplace_back(stream_dict(call, media, view, 0, clock));
  streams.emplace_back(stream_dict(call, media, view, 1, clock));
  dict.set("streams", std::move(streams));
  List flags;
  if (media.remote_known) flags.emplace_back("initialized");
  if (media.rules.asymmetric) flags.emplace_back("asymmetric");
  // From the relay's point of view: "send" = to this party, "recv" = from it.
  bool send = media.may_receive && !media.rejected;
  bool receive = media.may_send && !media.rejected;
  for (const Subscription& subscription : media.subscriptions) {
    if (subscription.kind != SubscriptionKind::kOfferAnswer) continue;
    send = send && subscription.source->may_send;
    receive = receive && subscription.source->may_receive;
    break;
  }
  if (send) flags.emplace_back("send");
  if (receive) flags.emplace_back("recv");
  if (media.mux_used) flags.emplace_back("rtcp-mux");
  if (media.is_encrypted() && media.keys && media.keys->in) flags.emplace_back("SDES");
  if (media.is_keyed_by_dtls()) {
    flags.emplace_back("DTLS-SRTP");
    flags.emplace_back(media.dtls->role == DtlsRole::kClient ? "DTLS role active" : "DTLS role passive");
  }
  if (media.has_ice()) {
    flags.emplace_back("ICE");
    if (media.ice->theirs.trickles) flags.emplace_back("trickle ICE");
    if (media.ice->theirs.is_lite) flags.emplace_back("ICE-lite peer");
  }
  if (media.rules.unidirectional) flags.emplace_back("unidirectional");
  if (media.echo == MediaEcho::kForward) flags.emplace_back("echo");
  if (media.echo == MediaEcho::kBlackhole) flags.emplace_back("blackhole");
  if (media.ice_controlling) flags.emplace_back("ICE controlling");
  dict.set("flags", std::move(flags));
  const bool inline_stats =
      config.ssrc_reporting == SsrcReporting::kFull || config.ssrc_reporting == SsrcReporting::kInline;
  dict.set("ingress SSRCs", ssrc_list(view, inline_stats, config.measure_rtp, clock));
  List egress;
  for (const MediaView::OutStream& stream : view.egress) {
    Dict out;
    out.set("SSRC", stream.counters.ssrc.value);
    if (inline_stats) add_ssrc_stats(out, stream.counters, nullptr, clock);
    egress.emplace_back(std::move(out));
  }
  dict.set("egress SSRCs", std::move(egress));
  return dict;
}

std::string leg_name(const Leg& leg) {
  return leg.tag.empty() ? fmt::format("<untagged {}>", leg.number) : leg.tag;
}

/// `{tag, type}` of each other leg once.
List relations(const std::vector<std::pair<const Leg*, SubscriptionKind>>& legs) {
  List list;
  std::vector<const Leg*> seen;
  for (const auto& [leg, kind] : legs) {
    if (std::ranges::find(seen, leg) != seen.end()) continue;
    seen.push_back(leg);
    Dict dict;
    dict.set("tag", leg->tag);
    dict.set("type", kind == SubscriptionKind::kOfferAnswer ? "offer/answer" : "pub/sub");
    list.emplace_back(std::move(dict));
  }
  return list;
}

}  // namespace

Dict counters_dict(std::uint64_t packets, std::uint64_t bytes, std::uint64_t errors) {
  Dict dict;
  dict.set("packets", packets);
  dict.set("bytes", bytes);
  dict.set("errors", errors);
  return dict;
}

Dict SessionManager::query_reply(Call& call, const std::vector<Leg*>& legs, const Snapshots& snapshots,
                                 const Clock& clock) const {
  Dict reply;
  const auto created_us =
      std::chrono::duration_cast<std::chrono::microseconds>(call.created.time_since_epoch()).count();
  reply.set("created", created_us / 1'000'000);
  reply.set("created_us", created_us % 1'000'000);
  reply.set("created_ts", created_us);
  reply.set("last signal", call.last_signal_unix);
  reply.set("last redis update", std::int64_t{0});
  if (!call.metadata.empty()) reply.set("metadata", call.metadata);
  const bool forwards_media =
      std::ranges::any_of(call.legs, [](const auto& leg) { return is_forward(*leg) && !leg->delete_at; });
  const bool is_tapped = forwards_media || call.recording() != nullptr;
  if (is_tapped) {
    Dict recording;
    recording.set("call recording", call.recording() != nullptr && !call.recording()->is_paused() ? 1 : 0);
    recording.set("forwarding", forwards_media ? 1 : 0);
    reply.set("recording", std::move(recording));
  }
  Dict ssrcs;
  Dict tags;
  std::array<ComponentCounters, 2> totals;
  for (const Leg* leg : legs) {
    Dict party;
    party.set("tag", leg->tag);
    if (!leg->via_branch.empty()) party.set("via-branch", leg->via_branch);
    if (!leg->aliases.empty()) party.set("tag-aliases", List(leg->aliases.begin(), leg->aliases.end()));
    if (!leg->label().empty()) party.set("label", leg->label());
    party.set("created", leg->created_unix);
    if (!leg->metadata().empty()) party.set("metadata", leg->metadata());
    std::vector<std::pair<const Leg*, SubscriptionKind>> sources;
    std::vector<std::pair<const Leg*, SubscriptionKind>> receivers;
    for (const auto& media : leg->medias) {
      for (const Subscription& s : media->subscriptions) sources.emplace_back(s.source->leg, s.kind);
    }
    for (const auto& other : call.legs) {
      for (const auto& media : other->medias) {
        for (const Subscription& s : media->subscriptions) {
          if (s.source->leg == leg) receivers.emplace_back(other.get(), s.kind);
        }
      }
    }
    // The newest of the dialogue first, then the subscribers in their order.
    std::ranges::reverse(receivers);
    // std:: and not std::ranges:: here: clang 14 does not compile the latter's subranges.
    const auto is_dialogue = [](const auto& r) { return r.second == SubscriptionKind::kOfferAnswer; };
    const auto first_extra = std::stable_partition(receivers.begin(), receivers.end(), is_dialogue);
    std::reverse(first_extra, receivers.end());
    std::stable_partition(sources.begin(), sources.end(), is_dialogue);
    party.set("subscriptions", relations(sources));
    party.set("subscribers", relations(receivers));
    List medias;
    for (const auto& media : leg->medias) {
      const MediaView view = snapshots.view_of(media->id);
      for (const MediaView::Stream& stream : view.ingress) {
        Dict stats;
        add_ssrc_stats(stats, stream, config_.measure_rtp, clock);
        ssrcs.set(std::to_string(stream.counters.ssrc.value), std::move(stats));
      }
      for (std::size_t i = 0; i < 2; ++i) {
        totals[i].packets_in += view.counters[i].packets_in;
        totals[i].bytes_in += view.counters[i].bytes_in;
        totals[i].errors_in += view.counters[i].errors_in;
      }
      medias.emplace_back(media_dict(call, *media, view, config_, clock));
    }
    party.set("medias", std::move(medias));
    List codes;
    if (!leg->dtmf_trigger().empty()) {
      Dict code;
      code.set("type", "block DTMF");
      code.set("trigger", leg->dtmf_trigger());
      code.set("active", 1);
      codes.emplace_back(std::move(code));
    }
    if (leg->extras && leg->extras->vsc) {
      static constexpr std::array<std::string_view, kRecordingActions> kActions = {
          "start recording",      "stop recording",         "pause recording",
          "start/stop recording", "pause/resume recording", "start/pause/resume recording"};
      for (std::size_t i = 0; i < kRecordingActions; ++i) {
        if (leg->extras->vsc->digits[i].empty()) continue;
        Dict code;
        code.set("type", kActions[i]);
        code.set("trigger", leg->extras->vsc->digits[i]);
        code.set("active", 1);
        codes.emplace_back(std::move(code));
      }
    }
    party.set("VSC", std::move(codes));
    if (is_tapped) {
      Dict recording;
      recording.set("excluded", leg->extras && leg->extras->unrecorded ? 1 : 0);
      recording.set(
          "forwarding",
          std::ranges::any_of(receivers, [](const auto& r) { return is_forward(*r.first); }) ? 1 : 0);
      party.set("recording", std::move(recording));
    }
    tags.set(leg_name(*leg), std::move(party));
  }
  if (config_.ssrc_reporting == SsrcReporting::kFull || config_.ssrc_reporting == SsrcReporting::kGlobal)
    reply.set("SSRC", std::move(ssrcs));
  reply.set("tags", std::move(tags));
  Dict total;
  total.set("RTP", counters_dict(totals[0].packets_in, totals[0].bytes_in, totals[0].errors_in));
  total.set("RTCP", counters_dict(totals[1].packets_in, totals[1].bytes_in, totals[1].errors_in));
  reply.set("totals", std::move(total));
  return reply;
}

Result<Dict, RequestError> SessionManager::query(const Request& request, const Clock& clock) {
  if (!request.call_id) return fail(error(RefusalReason::kMessage, "No call-id in message"));
  Call* call = find(*request.call_id);
  if (call == nullptr) return fail(error(RefusalReason::kUnknownCall, "Unknown call-id"));
  const Snapshots snapshots = read_snapshots(*call);
  return query_reply(*call, legs_for_query(*call, request), snapshots, clock);
}

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
  // Reported by the receiver if it sends RTCP; else from what arrives here, without the way on.
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

/// Figures of the last seconds beside those of the call; nothing if they are not known.
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

/// What the party itself reports of a stream that it is sent.
void add_report(json& stream, const MediaView& view, Ssrc ssrc, const Clock& clock) {
  const auto report = std::ranges::find(view.reports, ssrc, &ListenerReport::about);
  if (report == view.reports.end()) return;
  stream["reported"] = {{"loss_percent", report->recent_loss_percent()},
                        {"lost", report->cumulative_lost},
                        {"age_s", age_seconds(report->at, clock)}};
}

/// What protects an encrypted media; never the keys (SRT-15).
json srtp_json(const Media& media, const MediaView& view) {
  const MediaKeys* keys = media.keys.get();
  const bool by_lines = keys != nullptr && keys->in && keys->out;
  const TransportSnapshot::Dtls* handshakes =
      media.is_keyed_by_dtls() && view.active != nullptr && view.active->dtls ? &*view.active->dtls : nullptr;
  const DtlsKeys* agreed =
      handshakes != nullptr && handshakes->front().keys ? &*handshakes->front().keys : nullptr;
  json j = {{"state", by_lines || agreed != nullptr ? "keyed" : "no key yet"},
            {"keyed_by", by_lines                   ? "SDES"
                         : media.is_keyed_by_dtls() ? "DTLS"
                                                    : ""},
            {"authentication_failures", view.drops[DropReason::kNotAuthentic]},
            {"replays", view.drops[DropReason::kReplayed]}};
  if (media.is_keyed_by_dtls()) {
    j["dtls_role"] = media.dtls->role == DtlsRole::kClient ? "active" : "passive";
    j["handshake"] =
        to_string(handshakes != nullptr ? handshakes->front().state : DtlsChannel::State::kWaiting);
    if (handshakes != nullptr && !media.mux_used) j["handshake_rtcp"] = to_string(handshakes->back().state);
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

/// How far the handshakes of one media have come: with whom, and the alerts (DTL-13).
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

json media_json(const Media& media, const MediaView& view, const Clock& clock) {
  json j = {{"index", media.index},
            {"type", media.type},
            {"protocol", media.protocol},
            {"rejected", media.rejected}};
  j["latch_policy"] = media.rules.algorithm == LearningAlgorithm::kRules
                          ? std::string(to_string(media.rules.policy))
                          : "any (endpoint-learning)";
  j["unsafe"] = media.rules.policy == LatchPolicy::kAny;
  if (const PortSet* ports = media.active_ports(); ports != nullptr && is_live(media)) {
    j["local"] = {{"address", ports->local->address.to_string()},
                  {"advertised", ports->local->advertised.to_string()},
                  {"rtp_port", ports->port.value},
                  {"rtcp_port", media.mux_used ? ports->port.value : ports->port.value + 1}};
    j["path"] = ports->activity->is_below.load(std::memory_order_relaxed) ? "kernel" : "user";
  }
  json streams = json::array();
  for (std::size_t i = 0; i < 2; ++i) {
    json s = {{"component", i == 0 ? "rtp" : "rtcp"}};
    s["advertised"] = media.remote_known ? (i == 0 ? media.remote_rtp : media.remote_rtcp).to_string() : "";
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
  if (media.is_keyed_by_dtls()) j["dtls"] = dtls_json(view, clock);
  if (media.has_ice()) {
    const auto* ice = view.active != nullptr && view.active->ice ? &*view.active->ice : nullptr;
    j["ice"] = {{"state", to_string(ice != nullptr ? ice->state : IceAgent::State::kWaiting)},
                {"controlling", media.ice->controlling},
                {"peer_candidates", media.ice->theirs.candidates.size()}};
    if (media.ice->theirs.is_too_short()) j["ice"]["short_credentials"] = true;
    if (ice != nullptr && ice->selected[0]) j["ice"]["selected"] = ice->selected[0]->peer.to_string();
  }
  return j;
}

}  // namespace

json SessionManager::show(std::string_view call_id, const Clock& clock) {
  Call* call = find(call_id);
  if (call == nullptr) return nullptr;
  const Snapshots snapshots = read_snapshots(*call);
  json j = {{"call_id", call->id},
            {"created", unix_seconds(call->created)},
            {"age_s", age_seconds(call->created_at, clock)},
            {"worker", call->worker},
            {"deleting", call->delete_at.has_value()},
            {"not_in_force", call->not_in_force}};
  if (call->recording() != nullptr) j["recording"] = json::parse(call->recording()->status());
  if (call->classic() != nullptr) j["rtpproxy"] = ClassicSessions(*this).show(*call, clock);
  json legs = json::array();
  for (const auto& leg : call->legs) {
    json l = {{"tag", leg->tag},
              {"aliases", leg->aliases},
              {"via_branch", leg->via_branch},
              {"label", leg->label()}};
    l["received_from"] = leg->received_from.to_string();
    json medias = json::array();
    for (const auto& media : leg->medias) {
      medias.push_back(media_json(*media, snapshots.view_of(media->id), clock));
    }
    l["medias"] = std::move(medias);
    legs.push_back(std::move(l));
  }
  j["legs"] = std::move(legs);
  // What is agreed stays in force until they are answered (LAT-15).
  json offers = json::array();
  for (const Proposal& each : call->proposals) {
    offers.push_back({{"from", each.offerer->tag}, {"to", each.answerer->tag}});
    if (each.until != Instant::max()) offers.back()["seconds_left"] = -age_seconds(each.until, clock);
  }
  j["unanswered_offers"] = std::move(offers);
  return j;
}

KernelShare SessionManager::kernel_share() const {
  KernelShare share;
  for (const auto& each : calls_) {
    std::size_t below = 0;
    std::size_t above = 0;
    for (const auto& leg : each.second->legs) {
      for (const auto& media : leg->medias) {
        for (const PortSet& ports : media->ports) {
          if (ports.activity->last_rtp_ns.load() == 0) continue;
          ++(ports.activity->is_below.load() ? below : above);
        }
      }
    }
    ++(below == 0 ? share.user : above == 0 ? share.kernel : share.mixed);
  }
  return share;
}

std::vector<CallSummary> SessionManager::summaries(const Clock& clock) const {
  std::vector<CallSummary> all;
  all.reserve(calls_.size());
  for (const auto& each : calls_) {
    const Call& call = *each.second;
    CallSummary& summary = all.emplace_back();
    summary.call = &call;
    summary.health = &watch_.of(call);
    summary.age_s = age_seconds(call.created_at, clock);
    std::int64_t last_ns = 0;
    for (const auto& leg : call.legs) {
      summary.medias += leg->medias.size();
      for (const auto& media : leg->medias) {
        for (const PortSet& ports : media->ports) {
          const TransportActivity& activity = *ports.activity;
          last_ns = std::max(last_ns, activity.last_packet_ns.load());
          const auto arrived = activity.rtp_packets.load();
          const auto missing = activity.rtp_lost.load();
          summary.packets += arrived;
          summary.lost += missing;
          summary.refused += activity.refused.load();
          summary.jitter_ms = std::max(summary.jitter_ms, activity.jitter_us.load() / 1000.0);
          summary.kernel_streams += activity.is_below.load() ? 1u : 0u;
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
