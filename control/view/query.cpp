// SPDX-License-Identifier: Apache-2.0
// Builds the reply to `query`. `reply` fills the call, then `party_dict` each party, `media_dict` each media,
// `stream_dict` each component, `add_ssrc_stats` each SSRC, and last the totals.
//
// Names, units and order are rtpengine's, because scripts read them: MOS is times ten, times are Unix
// seconds, losses are per cent. Figures come from snapshots, which the caller reads from the worker; terms
// come from the call.
//
// Trap: directions are the relay's. `send` means toward the party, so it follows what the party may receive.

#include "control/view/query.hpp"

#include "control/call/treated_flows.hpp"
#include "control/command/forwarding.hpp"
#include "control/command/media_control.hpp"
#include "control/rtpproxy/sessions.hpp"
#include "control/sdp/sdp.hpp"
#include "control/session/snapshots.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

namespace {

using nlohmann::json;

// Most members that the dictionaries of a usual reply have, and most flags. One that grows member by member
// would allocate five times.
constexpr std::size_t kCallMembers = 12;
constexpr std::size_t kPartyMembers = 8;
constexpr std::size_t kMediaMembers = 8;
constexpr std::size_t kStreamMembers = 13;
constexpr std::size_t kSsrcMembers = 9;
constexpr std::size_t kFlags = 4;

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

/// The Unix time in seconds of a monotonic moment, seen from `clock`.
std::int64_t unix_seconds(Instant then, const Clock& clock) {
  return unix_seconds(clock.wall - std::chrono::duration_cast<Duration>(clock.now - then));
}

Dict endpoint_dict(const Endpoint& endpoint) {
  Dict dict;
  if (!endpoint.is_set() || endpoint.port.value == 0) return dict;
  dict.reserve(3);
  dict.set("family", endpoint.address.is_v6() ? "IPv6" : "IPv4");
  dict.set("address", endpoint.address.to_string());
  dict.set("port", std::int64_t{endpoint.port.value});
  return dict;
}

/// The figures of one sample; those of a sum are divided by its number of samples.
Dict sample_dict(const QualitySample& sample, std::int64_t divisor) {
  Dict dict;
  dict.reserve(6);
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

/// Counts of one SSRC, and its quality. Null `quality` = nobody has reported any.
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

std::vector<const Leg*> QueryView::legs_for(const Call& call, const Request& request) {
  std::vector<const Leg*> legs;
  legs.reserve(call.legs.size());
  const auto& tag = request.to_tag && !request.to_tag->empty() ? request.to_tag : request.from_tag;
  if (!tag || tag->empty()) {
    for (const auto& leg : call.legs) legs.push_back(leg.get());
    return legs;
  }
  const Leg* wanted = call.leg_by_tag(*tag);
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

/// One component (0 = RTP, 1 = RTCP): its ports, where it sends, its last packet, its flags and counts.
Dict stream_dict(const Call& call, const Media& media, const MediaView& view, std::size_t component,
                 const Clock& clock) {
  Dict stream;
  stream.reserve(kStreamMembers);
  const LocalPorts* ports = media.via->active_ports();
  if (ports != nullptr && !ports->closed) {
    stream.set("local port", std::int64_t{ports->port.value} + static_cast<std::int64_t>(component));
    stream.set("local address", ports->local->address.to_string());
    stream.set("family", ports->local->address.is_v6() ? "IPv6" : "IPv4");
  }
  const Endpoint advertised = !media.via->remote_known ? Endpoint{}
                              : component == 0         ? media.via->remote_rtp
                                                       : media.via->remote_rtcp;
  Endpoint endpoint = advertised;
  // A learned peer counts only if a packet came after the last command; until then it is shown as not
  // confirmed.
  bool locked = false;
  if (view.active != nullptr && view.active->latch[component].peer.is_set()) {
    endpoint = media.via->rules.asymmetric ? advertised : view.active->latch[component].peer;
    locked = view.active->latch[component].state == Latch::State::kLocked &&
             view.active->last_packet[component] > call.touched;
  }
  stream.set("endpoint", endpoint_dict(endpoint));
  stream.set("advertised endpoint", endpoint_dict(advertised));
  if (media.is_encrypted() && media.via->keys && media.via->keys->in)
    stream.set("crypto suite", std::string(media.via->keys->in->suite->name));
  const std::int64_t last = view.last_packet[component] == Instant{}
                                ? call.last_signal_unix
                                : unix_seconds(view.last_packet[component], clock);
  stream.set("last packet", last);
  const TransportActivity* activity = ports != nullptr && component == 0 ? ports->activity.get() : nullptr;
  const std::int64_t kernel_ns = activity != nullptr ? activity->last_offloaded_ns.load() : 0;
  const std::int64_t user_ns = kernel_ns != 0 ? activity->last_user_ns.load() : 0;
  stream.set("last kernel packet", kernel_ns != 0 ? unix_seconds(Instant{Duration{kernel_ns}}, clock) : 0);
  stream.set("last user packet", user_ns != 0 ? unix_seconds(Instant{Duration{user_ns}}, clock) : last);
  if (!view.ingress.empty()) stream.set("SSRC", view.ingress.front().counters.ssrc.value);
  List flags;
  flags.reserve(kFlags);
  if (!media.hidden) flags.emplace_back(component == 0 ? "RTP" : "RTCP");
  if (component == 0 && media.via->mux_used) flags.emplace_back("RTCP");
  if (component == 1 && media.via->mux_used) flags.emplace_back("fallback RTCP");
  if (media.via->remote_known) flags.emplace_back("filled");
  if (ports != nullptr && !ports->closed) {
    if (locked) flags.emplace_back("confirmed");
    // Clients read the pair as "media flows, and user space forwards it".
    const bool is_offloaded = activity != nullptr && activity->is_offloaded.load();
    if (is_offloaded || view.last_packet[component] > call.touched) flags.emplace_back("kernelized");
    if (!is_offloaded && view.last_packet[component] > call.touched) flags.emplace_back("no kernel support");
  }
  if (media.via->rules.strict_source) flags.emplace_back("strict source address");
  if (media.via->rules.handover) flags.emplace_back("media handover");
  stream.set("flags", std::move(flags));
  const ComponentCounters& counters = view.counters[component];
  stream.set("stats", counters_dict(counters.packets_in, counters.bytes_in, counters.errors_in));
  stream.set("stats_out", counters_dict(counters.packets_out, counters.bytes_out, counters.errors_out));
  return stream;
}

/// The same for a stream. With `measure`, a stream without reports gets its quality from what arrived here.
void add_ssrc_stats(Dict& dict, const MediaView::Stream& stream, bool measure, const Clock& clock) {
  // Five seconds of audio, in packets.
  constexpr std::uint64_t kEnough = 250;
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
  list.reserve(view.ingress.size());
  for (const MediaView::Stream& stream : view.ingress) {
    Dict dict;
    dict.reserve(kSsrcMembers);
    dict.set("SSRC", stream.counters.ssrc.value);
    if (with_stats) add_ssrc_stats(dict, stream, measure, clock);
    list.emplace_back(std::move(dict));
  }
  return list;
}

/// The codec that was heard last on the busiest stream, such as `PCMA/8000`. Empty if it is unknown.
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

/// True if audio from the media, or to it, is decoded and encoded anew or cut into other packets.
bool is_made_anew(const Call& call, const Media& media) {
  return std::ranges::any_of(treated_flows(call), [&](const TreatedFlow& flow) {
    return flow.is_made_anew() && (flow.from == &media || flow.to == &media);
  });
}

/// True if a fax gateway makes what the media gets, or ends what it sends.
bool is_at_fax_gateway(const Call& call, const Media& media) {
  return std::ranges::any_of(treated_flows(call), [&](const TreatedFlow& flow) {
    const AudioConversion* made = flow.sink->conversion.get();
    return made != nullptr && made->fax && (flow.from == &media || flow.to == &media);
  });
}

/// One media with both components, its flags and its SSRCs.
Dict media_dict(const Call& call, const Media& media, const MediaView& view, const SessionConfig& config,
                const Clock& clock) {
  Dict dict;
  dict.reserve(kMediaMembers);
  dict.set("index", std::int64_t{media.index});
  dict.set("type", media.type);
  if (!media.protocol.empty()) dict.set("protocol", media.protocol);
  if (const auto codec = codec_name(media, view); !codec.empty()) dict.set("codec", codec);
  List streams;
  streams.reserve(2);
  streams.emplace_back(stream_dict(call, media, view, 0, clock));
  streams.emplace_back(stream_dict(call, media, view, 1, clock));
  dict.set("streams", std::move(streams));
  List flags;
  flags.reserve(kFlags);
  if (media.via->remote_known) flags.emplace_back("initialized");
  if (media.via->rules.asymmetric) flags.emplace_back("asymmetric");
  // Seen from the relay: "send" is toward this party, "recv" is from it.
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
  if (media.via->mux_used) flags.emplace_back("rtcp-mux");
  if (media.is_encrypted() && media.via->keys && media.via->keys->in) flags.emplace_back("SDES");
  if (media.via->is_keyed_by_dtls()) {
    flags.emplace_back("DTLS-SRTP");
    flags.emplace_back(media.via->dtls->role == DtlsRole::kClient ? "DTLS role active" : "DTLS role passive");
  }
  const MediaIce* ice = media.via->has_ice() ? media.via->ice.get() : nullptr;
  if (ice != nullptr) flags.emplace_back("ICE");
  if (ice != nullptr && ice->theirs.trickles) flags.emplace_back("trickle ICE");
  const bool controls = media.via->ice_controlling && (ice == nullptr || !ice->is_lite);
  if (controls || (ice != nullptr && ice->theirs.is_lite)) flags.emplace_back("ICE controlling");
  if (ice != nullptr && ice->theirs.is_lite) flags.emplace_back("ICE-lite peer");
  if (ice != nullptr && ice->is_lite) flags.emplace_back("ICE-lite self");
  if (media.in_force().codec_wishes && media.in_force().codec_wishes->ptime_ms != 0)
    flags.emplace_back("ptime-override");
  if (is_at_fax_gateway(call, media)) flags.emplace_back("generator/sink");
  if (is_made_anew(call, media)) flags.emplace_back("transcoding");
  if (media.via->rules.unidirectional) flags.emplace_back("unidirectional");
  if (media.names_feedback && sdp::parse_protocol(media.protocol).feedback)
    flags.emplace_back("RTCP feedback");
  if (call.generates_rtcp) flags.emplace_back("RTCP generator");
  if (media.echo == MediaEcho::kForward) flags.emplace_back("echo");
  if (media.echo == MediaEcho::kBlackhole) flags.emplace_back("blackhole");
  dict.set("flags", std::move(flags));
  const bool inline_stats =
      config.ssrc_reporting == SsrcReporting::kFull || config.ssrc_reporting == SsrcReporting::kInline;
  dict.set("ingress SSRCs", ssrc_list(view, inline_stats, config.measure_rtp, clock));
  List egress;
  egress.reserve(view.egress.size());
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

/// `{tag, type}` of each other leg, each leg once.
List relations(const std::vector<std::pair<const Leg*, SubscriptionKind>>& legs) {
  List list;
  list.reserve(legs.size());
  std::vector<const Leg*> seen;
  seen.reserve(legs.size());
  for (const auto& [leg, kind] : legs) {
    if (std::ranges::find(seen, leg) != seen.end()) continue;
    seen.push_back(leg);
    Dict dict;
    dict.reserve(2);
    dict.set("tag", leg->tag);
    dict.set("type", kind == SubscriptionKind::kOfferAnswer ? "offer/answer" : "pub/sub");
    list.emplace_back(std::move(dict));
  }
  return list;
}

}  // namespace

Dict counters_dict(std::uint64_t packets, std::uint64_t bytes, std::uint64_t errors) {
  Dict dict;
  dict.reserve(3);
  dict.set("packets", packets);
  dict.set("bytes", bytes);
  dict.set("errors", errors);
  return dict;
}

namespace {

using Relations = std::vector<std::pair<const Leg*, SubscriptionKind>>;

/// The parties that a party hears, and those that hear it: the dialogue's first, then subscribers.
struct LegRelations {
  Relations sources;
  Relations receivers;
};

LegRelations relations_of(const Call& call, const Leg& leg) {
  LegRelations of;
  for (const auto& media : leg.medias) {
    for (const Subscription& s : media->subscriptions) of.sources.emplace_back(s.source->leg, s.kind);
  }
  for (const auto& other : call.legs) {
    for (const auto& media : other->medias) {
      for (const Subscription& s : media->subscriptions) {
        if (s.source->leg == &leg) of.receivers.emplace_back(other.get(), s.kind);
      }
    }
  }
  // The newest of the dialogue first, then the subscribers in their order.
  std::ranges::reverse(of.receivers);
  // std:: and not std::ranges:: here: clang 14 does not compile the latter's subranges.
  const auto is_dialogue = [](const auto& r) { return r.second == SubscriptionKind::kOfferAnswer; };
  const auto first_extra = std::stable_partition(of.receivers.begin(), of.receivers.end(), is_dialogue);
  std::reverse(first_extra, of.receivers.end());
  std::stable_partition(of.sources.begin(), of.sources.end(), is_dialogue);
  return of;
}

/// The digits by which a party controls DTMF and its recording (key `VSC`).
List codes_of(const Leg& leg) {
  List codes;
  const auto add = [&](std::string_view type, std::string_view trigger) {
    Dict code;
    code.set("type", type);
    code.set("trigger", trigger);
    code.set("active", 1);
    codes.emplace_back(std::move(code));
  };
  if (const DigitRules* rules = leg.digit_rules(); rules != nullptr && rules->has_trigger())
    add("block DTMF", rules->trigger);
  if (!leg.extras || !leg.extras->vsc) return codes;
  static constexpr std::array<std::string_view, kRecordingActions> kActions = {
      "start recording",      "stop recording",         "pause recording",
      "start/stop recording", "pause/resume recording", "start/pause/resume recording"};
  for (std::size_t i = 0; i < kRecordingActions; ++i) {
    if (!leg.extras->vsc->digits[i].empty()) add(kActions[i], leg.extras->vsc->digits[i]);
  }
  return codes;
}

/// One party without its medias.
Dict party_dict(const Leg& leg, const LegRelations& of) {
  Dict party;
  party.reserve(kPartyMembers);
  party.set("tag", leg.tag);
  if (!leg.via_branch.empty()) party.set("via-branch", leg.via_branch);
  if (!leg.aliases.empty()) party.set("tag-aliases", List(leg.aliases.begin(), leg.aliases.end()));
  if (!leg.label().empty()) party.set("label", leg.label());
  party.set("created", leg.created_unix);
  if (!leg.metadata().empty()) party.set("metadata", leg.metadata());
  party.set("subscriptions", relations(of.sources));
  party.set("subscribers", relations(of.receivers));
  return party;
}

/// Whether recordings leave the party out, and whether its media is forwarded to a recorder; 1 = yes.
Dict recording_of(const Leg& leg, const LegRelations& of) {
  Dict recording;
  recording.set("excluded", leg.extras && leg.extras->unrecorded ? 1 : 0);
  recording.set(
      "forwarding",
      std::ranges::any_of(of.receivers, [](const auto& r) { return is_forward(*r.first); }) ? 1 : 0);
  return recording;
}

/// The facts about the whole call, before its parties.
Dict call_dict(const Call& call) {
  Dict reply;
  reply.reserve(kCallMembers);
  const auto created_us =
      std::chrono::duration_cast<std::chrono::microseconds>(call.created.time_since_epoch()).count();
  reply.set("created", created_us / 1'000'000);
  reply.set("created_us", created_us % 1'000'000);
  reply.set("created_ts", created_us);
  reply.set("last signal", call.last_signal_unix);
  reply.set("last redis update", std::int64_t{0});
  if (!call.metadata.empty()) reply.set("metadata", call.metadata);
  return reply;
}

/// Adds what a media received to the sums of all parties, by component.
void add_counters(std::array<ComponentCounters, 2>& totals, const MediaView& view) {
  for (std::size_t i = 0; i < 2; ++i) {
    totals[i].packets_in += view.counters[i].packets_in;
    totals[i].bytes_in += view.counters[i].bytes_in;
    totals[i].errors_in += view.counters[i].errors_in;
  }
}

}  // namespace

Dict QueryView::reply(const Call& call, const std::vector<const Leg*>& legs, const CallSnapshots& snapshots,
                      const Clock& clock) const {
  Dict reply = call_dict(call);
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
  tags.reserve(legs.size());
  std::array<ComponentCounters, 2> totals;
  for (const Leg* leg : legs) {
    const LegRelations of = relations_of(call, *leg);
    Dict party = party_dict(*leg, of);
    List medias;
    medias.reserve(leg->medias.size());
    for (const auto& media : leg->medias) {
      const MediaView view = snapshots.view_of(media->id);
      for (const MediaView::Stream& stream : view.ingress) {
        Dict stats;
        add_ssrc_stats(stats, stream, services_.config.measure_rtp, clock);
        ssrcs.set(std::to_string(stream.counters.ssrc.value), std::move(stats));
      }
      // Counters belong to the transport, so a shared one counts with its first media alone.
      if (media->via->medias().front() == media.get()) add_counters(totals, view);
      medias.emplace_back(media_dict(call, *media, view, services_.config, clock));
    }
    party.set("medias", std::move(medias));
    party.set("VSC", codes_of(*leg));
    if (is_tapped) party.set("recording", recording_of(*leg, of));
    tags.set(leg_name(*leg), std::move(party));
  }
  if (services_.config.ssrc_reporting == SsrcReporting::kFull ||
      services_.config.ssrc_reporting == SsrcReporting::kGlobal)
    reply.set("SSRC", std::move(ssrcs));
  reply.set("tags", std::move(tags));
  Dict total;
  total.reserve(2);
  total.set("RTP", counters_dict(totals[0].packets_in, totals[0].bytes_in, totals[0].errors_in));
  total.set("RTCP", counters_dict(totals[1].packets_in, totals[1].bytes_in, totals[1].errors_in));
  reply.set("totals", std::move(total));
  return reply;
}

Dict QueryView::reply(const Call& call, const CallSnapshots& snapshots, const Clock& clock) const {
  return reply(call, legs_for(call, Request{}), snapshots, clock);
}

Result<Dict, RequestError> QueryView::query(const Request& request, const Clock& clock) const {
  if (!request.call_id) return fail(RequestFault::kNoCallId);
  Call* call = services_.calls.find(*request.call_id);
  if (call == nullptr) return fail(RequestFault::kUnknownCall);
  const CallSnapshots snapshots = services_.snapshots.read(*call);
  return reply(*call, legs_for(*call, request), snapshots, clock);
}

}  // namespace ferry
