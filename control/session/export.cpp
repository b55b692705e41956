// A call as versioned plain values, a section per component, and back (design seam 3). Times are ages:
// monotonic clocks of two processes have nothing to do with each other.

#include "control/session/classic.hpp"
#include "control/session/export_keys.hpp"
#include "control/session/export_proposals.hpp"
#include "control/session/manager.hpp"
#include "control/session/snapshots.hpp"

#include <algorithm>
#include <deque>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace ferry {

namespace {

using nlohmann::json;

constexpr int kCallVersion = 1;

/// Age in nanoseconds; -1 stands for "never".
std::int64_t age(Instant then, Instant now) { return then == Instant{} ? -1 : (now - then).count(); }
Instant from_age(const json& value, Instant now) {
  const auto age_ns = value.get<std::int64_t>();
  return age_ns < 0 ? Instant{} : now - Duration{age_ns};
}

json endpoint_json(const Endpoint& endpoint) {
  return endpoint.is_set() ? endpoint.to_string() : std::string();
}
Endpoint endpoint_from(const json& value) {
  return Endpoint::parse(value.get<std::string>()).value_or(Endpoint{});
}
IpAddress address_from(const json& value) {
  return IpAddress::parse(value.get<std::string>()).value_or(IpAddress{});
}

json sample_json(const QualitySample& s, Instant now) {
  return {s.mos_times_10, s.round_trip_us, s.round_trip_leg_us, s.jitter_ms, s.loss_percent, age(s.at, now)};
}
QualitySample sample_from(const json& j, Instant now) {
  return {j[0], j[1], j[2], j[3], j[4], from_age(j[5], now)};
}

json counters_json(const SsrcCounters& c, Instant now) {
  return {{"ssrc", c.ssrc.value},
          {"packets", c.packets},
          {"bytes", c.bytes},
          {"base", c.base_extended},
          {"highest", c.highest_extended},
          {"timestamp", c.last_timestamp},
          {"duplicates", c.duplicates},
          {"reordered", c.reordered},
          {"resets", c.resets},
          {"expected_before_reset", c.expected_before_reset},
          {"jitter_q4", c.jitter_q4},
          {"jitter_max_q4", c.jitter_max_q4},
          {"jitter_sum_q4", c.jitter_sum_q4},
          {"longest_gap", c.longest_gap_ticks},
          {"clock_rate", c.clock_rate_hz},
          {"transit", c.transit},
          {"drift_transit", c.drift_transit},
          {"drift_since", age(c.drift_since, now)},
          {"loss_bursts", c.loss_bursts},
          {"longest_loss_burst", c.longest_loss_burst},
          {"audible", age(c.last_audible, now)},
          {"g711", c.g711_packets},
          {"silent", c.silent_packets},
          {"payload_type", c.last_payload_type},
          {"payload_size", c.last_payload_size},
          {"idle", c.idle_by_bye},
          {"first", age(c.first_packet, now)},
          {"last", age(c.last_packet, now)},
          {"reported_loss", c.reported_loss},
          {"has_report", c.has_report}};
}
SsrcCounters counters_from(const json& j, Instant now) {
  SsrcCounters c;
  c.ssrc = Ssrc{j.at("ssrc")};
  c.packets = j.at("packets");
  c.bytes = j.at("bytes");
  c.base_extended = j.at("base");
  c.highest_extended = j.at("highest");
  c.last_timestamp = j.at("timestamp");
  c.duplicates = j.at("duplicates");
  c.reordered = j.at("reordered");
  c.resets = j.at("resets");
  c.expected_before_reset = j.at("expected_before_reset");
  c.jitter_q4 = j.at("jitter_q4");
  c.jitter_max_q4 = j.value("jitter_max_q4", 0u);
  c.jitter_sum_q4 = j.value("jitter_sum_q4", std::uint64_t{0});
  c.longest_gap_ticks = j.value("longest_gap", 0u);
  c.clock_rate_hz = j.at("clock_rate");
  c.transit = j.value("transit", 0);
  c.drift_transit = j.value("drift_transit", 0);
  c.drift_since = from_age(j.value("drift_since", json(-1)), now);
  c.loss_bursts = j.value("loss_bursts", 0u);
  c.longest_loss_burst = j.value("longest_loss_burst", 0u);
  c.last_audible = from_age(j.value("audible", json(-1)), now);
  c.g711_packets = j.at("g711");
  c.silent_packets = j.at("silent");
  c.last_payload_type = j.at("payload_type");
  c.last_payload_size = j.value("payload_size", std::uint16_t{0});
  c.idle_by_bye = j.at("idle");
  c.first_packet = from_age(j.at("first"), now);
  c.last_packet = from_age(j.at("last"), now);
  c.reported_loss = j.at("reported_loss");
  c.has_report = j.at("has_report");
  return c;
}

json quality_json(const TransportSnapshot::Quality& quality, Instant now) {
  if (!quality.present) return nullptr;
  const QualityHistory& h = quality.history;
  json progression = json::array();
  for (std::size_t i = 0; i < h.progression_size; ++i)
    progression.push_back(sample_json(h.progression[i], now));
  return {{"samples", h.samples},
          {"sum", sample_json(h.sum, now)},
          {"lowest", sample_json(h.lowest, now)},
          {"highest", sample_json(h.highest, now)},
          {"progression", std::move(progression)}};
}
TransportSnapshot::Quality quality_from(const json& j, Instant now) {
  TransportSnapshot::Quality quality;
  if (j.is_null()) return quality;
  quality.present = true;
  quality.history.samples = j.at("samples");
  quality.history.sum = sample_from(j.at("sum"), now);
  quality.history.lowest = sample_from(j.at("lowest"), now);
  quality.history.highest = sample_from(j.at("highest"), now);
  for (const json& entry : j.at("progression")) {
    if (quality.history.progression_size == QualityHistory::kProgression) break;
    quality.history.progression[quality.history.progression_size++] = sample_from(entry, now);
  }
  return quality;
}

json latch_json(const Latch::Snapshot& s, Instant now) {
  return {{"state", static_cast<int>(s.state)},
          {"rank", s.rank},
          {"contested", s.contested},
          {"better_rank_seen", s.better_rank_seen},
          {"committed", s.committed},
          {"peer", endpoint_json(s.peer)},
          {"ssrc", s.last_ssrc.value},
          {"sequence", s.last_sequence.value},
          {"locked", age(s.locked_at, now)},
          {"last", age(s.last_packet, now)},
          {"signalled", age(s.signalled_at, now)}};
}
Latch::Snapshot latch_from(const json& j, Instant now) {
  Latch::Snapshot s;
  s.state = static_cast<Latch::State>(std::clamp(j.at("state").get<int>(), 0, 2));
  s.rank = j.at("rank");
  s.contested = j.at("contested");
  s.better_rank_seen = j.at("better_rank_seen");
  s.committed = j.at("committed");
  s.peer = endpoint_from(j.at("peer"));
  s.last_ssrc = Ssrc{j.at("ssrc")};
  s.last_sequence = SeqNo{j.at("sequence")};
  s.locked_at = from_age(j.at("locked"), now);
  s.last_packet = from_age(j.at("last"), now);
  s.signalled_at = from_age(j.at("signalled"), now);
  return s;
}

json presses_json(const KeyPresses::State& s, Instant now) {
  if (s.known_count == 0) return nullptr;
  json known = json::array();
  for (const auto& begun : s.known) known.push_back({begun.ssrc.value, begun.timestamp});
  return {{"open", s.is_open},
          {"ssrc", s.ssrc.value},
          {"timestamp", s.timestamp},
          {"segment", s.segment},
          {"before", s.before},
          {"rate", s.clock_rate_hz},
          {"event", s.event},
          {"volume", s.volume},
          {"source", s.source.to_string()},
          {"last", age(s.last_packet, now)},
          {"known", std::move(known)},
          {"count", s.known_count},
          {"next", s.next_known}};
}
KeyPresses::State presses_from(const json& j, Instant now) {
  KeyPresses::State s;
  if (j.is_null()) return s;
  s.is_open = j.at("open");
  s.ssrc = Ssrc{j.at("ssrc")};
  s.timestamp = j.at("timestamp");
  s.segment = j.at("segment");
  s.before = j.at("before");
  s.clock_rate_hz = j.at("rate");
  s.event = j.at("event");
  s.volume = j.at("volume");
  if (const auto source = IpAddress::parse(j.at("source").get<std::string>())) s.source = *source;
  s.last_packet = from_age(j.at("last"), now);
  for (std::size_t i = 0; i < s.known.size(); ++i) {
    const json& begun = j.at("known").at(i);
    s.known[i] = {Ssrc{begun.at(0)}, begun.at(1)};
  }
  s.known_count =
      static_cast<std::uint8_t>(std::min<std::size_t>(j.at("count").get<std::size_t>(), s.known.size()));
  s.next_known = static_cast<std::uint8_t>(j.at("next").get<unsigned>() % s.known.size());
  return s;
}

json transport_json(const TransportSnapshot& s, Instant now) {
  json j = {{"version", TransportSnapshot::kVersion}, {"verified", s.verified}};
  json components = json::array();
  for (std::size_t i = 0; i < 2; ++i) {
    const ComponentCounters& c = s.counters[i];
    components.push_back({{"latch", latch_json(s.latch[i], now)},
                          {"in", {c.packets_in, c.bytes_in, c.errors_in}},
                          {"out", {c.packets_out, c.bytes_out, c.errors_out}},
                          {"last", age(s.last_packet[i], now)}});
  }
  j["components"] = std::move(components);
  json drops = json::object();
  for (const DropReasonRow& row : kDropReasonRows) {
    if (s.drops[row.reason] != 0) drops[std::string(row.name)] = s.drops[row.reason];
  }
  j["drops"] = std::move(drops);
  json sources = json::array();
  for (const auto& source : s.sources) {
    json one = {{"media", source.media.value},
                {"ingress", json::array()},
                {"quality", json::array()},
                {"egress", json::array()},
                {"presses", presses_json(source.presses, now)}};
    for (const auto& c : source.ingress) one["ingress"].push_back(counters_json(c, now));
    for (const auto& q : source.quality) one["quality"].push_back(quality_json(q, now));
    for (const auto& c : source.egress) one["egress"].push_back(counters_json(c, now));
    sources.push_back(std::move(one));
  }
  j["sources"] = std::move(sources);
  j["handshakes"] = handshakes_json(s.dtls);
  j["pairs"] = pairs_json(s.ice);
  if (s.proposal) {
    json streams = json::array();
    for (const Ssrc ssrc : s.proposal->streams) streams.push_back(ssrc.value);
    j["proposal"] = {{"rtp", latch_json(s.proposal->latch[0], now)},
                     {"rtcp", latch_json(s.proposal->latch[1], now)},
                     {"streams", std::move(streams)}};
  }
  return j;
}
TransportSnapshot transport_from(const json& j, Instant now) {
  TransportSnapshot s;
  s.verified = j.at("verified");
  for (std::size_t i = 0; i < 2; ++i) {
    const json& component = j.at("components").at(i);
    s.latch[i] = latch_from(component.at("latch"), now);
    const json& in = component.at("in");
    const json& out = component.at("out");
    s.counters[i] = {in.at(0), in.at(1), in.at(2), out.at(0), out.at(1), out.at(2)};
    s.last_packet[i] = from_age(component.at("last"), now);
  }
  for (const DropReasonRow& row : kDropReasonRows) {
    if (const auto found = j.at("drops").find(row.name); found != j.at("drops").end())
      s.drops.set(row.reason, *found);
  }
  for (const json& one : j.at("sources")) {
    auto& source = s.sources.emplace_back();
    source.media = MediaId{one.at("media")};
    source.presses = presses_from(one.value("presses", json()), now);
    for (const json& c : one.at("ingress")) source.ingress.push_back(counters_from(c, now));
    for (const json& q : one.at("quality")) source.quality.push_back(quality_from(q, now));
    for (const json& c : one.at("egress")) source.egress.push_back(counters_from(c, now));
  }
  s.dtls = handshakes_from(j.at("handshakes"));
  s.ice = pairs_from(j.at("pairs"));
  if (const auto found = j.find("proposal"); found != j.end()) {
    s.proposal.emplace();
    s.proposal->latch = {latch_from(found->at("rtp"), now), latch_from(found->at("rtcp"), now)};
    for (const json& ssrc : found->at("streams")) s.proposal->streams.push_back(Ssrc{ssrc});
  }
  return s;
}

json payloads_json(const std::vector<PayloadEntry>& payloads) {
  json j = json::array();
  for (const auto& p : payloads)
    j.push_back({p.type.value, static_cast<int>(p.g711), p.clock_rate_hz, p.silence, p.is_event});
  return j;
}
std::vector<PayloadEntry> payloads_from(const json& j) {
  std::vector<PayloadEntry> payloads;
  for (const json& p : j) {
    payloads.push_back({PayloadType{p.at(0)}, static_cast<G711Law>(std::clamp(p.at(1).get<int>(), 0, 2)),
                        p.at(3), p.at(4), p.at(2)});
  }
  return payloads;
}

/// Extras that say nothing are as good as none: a call is the same before and after they were made.
json extras_json(const MediaExtras* extras) {
  if (extras == nullptr) return nullptr;
  const bool is_empty = extras->label.empty() && extras->ptime == 0 && extras->copies.empty();
  if (is_empty && extras->unmade_codecs.empty()) return nullptr;
  json copies = json::array();
  for (const MediaId media : extras->copies) copies.push_back(media.value);
  return {{"label", extras->label},
          {"ptime", extras->ptime},
          {"copies", std::move(copies)},
          {"unmade_codecs", extras->unmade_codecs}};
}
std::unique_ptr<MediaExtras> media_extras_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto extras = std::make_unique<MediaExtras>();
  extras->label = j.at("label");
  extras->ptime = j.at("ptime");
  for (const json& media : j.value("copies", json::array())) extras->copies.push_back(MediaId{media});
  extras->unmade_codecs = j.value("unmade_codecs", std::vector<std::string>());
  return extras;
}

json extras_json(const CallExtras* extras) {
  if (extras == nullptr) return nullptr;
  const bool is_empty = extras->other_ids.empty() && extras->dtmf_log_destination.empty() &&
                        extras->xmlrpc_callback.empty() && extras->client.family() == AddressFamily::kNone;
  if (is_empty) return nullptr;
  return {{"other_ids", extras->other_ids},
          {"dtmf_log_destination", extras->dtmf_log_destination},
          {"xmlrpc_callback", extras->xmlrpc_callback},
          {"client", extras->client.to_string()}};
}
std::unique_ptr<CallExtras> extras_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto extras = std::make_unique<CallExtras>();
  extras->other_ids = j.at("other_ids").get<std::vector<std::string>>();
  extras->dtmf_log_destination = j.at("dtmf_log_destination");
  extras->xmlrpc_callback = j.at("xmlrpc_callback");
  extras->client = address_from(j.at("client"));
  return extras;
}

json kept_json(const KeptWishes& kept) { return {static_cast<int>(kept.ice), kept.sdes_off, kept.dtls_off}; }
KeptWishes kept_from(const json& j) {
  if (j.is_null()) return {};
  return {static_cast<IceWishes::Offer>(std::clamp(j.at(0).get<int>(), 0, 2)), j.at(1), j.at(2)};
}

json direction_json(const std::optional<sdp::Direction>& direction) {
  return direction ? json{direction->send, direction->receive} : json();
}
std::optional<sdp::Direction> direction_from(const json& j) {
  if (j.is_null()) return std::nullopt;
  return sdp::Direction{j.at(0), j.at(1)};
}

json extensions_json(const MediaExtensions* extensions) {
  if (extensions == nullptr) return nullptr;
  json entries = json::array();
  for (const auto& each : extensions->entries)
    entries.push_back(
        {each.uri, each.id, direction_json(each.offered), direction_json(each.agreed), each.is_masked});
  return {{"entries", std::move(entries)},
          {"settled", extensions->is_settled},
          {"mixed", extensions->allows_mixed}};
}
std::unique_ptr<MediaExtensions> extensions_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto extensions = std::make_unique<MediaExtensions>();
  for (const json& each : j.at("entries"))
    extensions->entries.push_back(
        {each.at(0), each.at(1), direction_from(each.at(2)), direction_from(each.at(3)), each.at(4)});
  extensions->is_settled = j.at("settled");
  extensions->allows_mixed = j.at("mixed");
  return extensions;
}

json terms_json(const MediaTerms& m) {
  return {{"type", m.type},
          {"mid", m.mid},
          {"protocol", m.protocol},
          {"interface", m.interface->name},
          {"family", static_cast<int>(m.family)},
          {"kind", static_cast<int>(m.kind)},
          {"remote_rtp", endpoint_json(m.remote_rtp)},
          {"remote_rtcp", endpoint_json(m.remote_rtcp)},
          {"remote_known", m.remote_known},
          {"rejected", m.rejected},
          {"may_send", m.may_send},
          {"may_receive", m.may_receive},
          {"reduced_size", m.reduced_size_rtcp},
          {"mux", {m.mux_offered_by_peer, m.mux_offered_to_peer, m.mux_used, m.mux_accept, m.mux_reject}},
          {"payloads", payloads_json(m.payloads)},
          {"shown", m.shown.to_string()},
          {"earlier", m.earlier.to_string()},
          {"removed_types", m.removed_types.to_string()},
          {"lists_types", m.lists_types},
          {"offered_unlisted", m.offered_unlisted},
          {"fewer_codecs", m.has_fewer_codecs},
          {"rate", {m.rate.packets_per_second, m.rate.bytes_per_second}},
          {"video", m.is_video},
          {"policy", static_cast<int>(m.rules.policy)},
          {"algorithm", static_cast<int>(m.rules.algorithm)},
          {"strict", m.rules.strict_source},
          {"handover", m.rules.handover},
          {"asymmetric", m.rules.asymmetric},
          {"unidirectional", m.rules.unidirectional},
          {"hidden", m.hidden},
          {"wait_for_peer", m.wait_for_peer},
          {"ptime_ms", m.ptime_ms},
          {"on_hold", m.is_on_hold}};
}

json media_json(const Media& m) {
  json j = terms_json(m);
  j.update({{"id", m.id.value},
            {"index", m.index},
            {"active", m.active},
            {"sending", m.sending},
            {"answered", m.answered},
            {"exchanged", m.is_exchanged},
            {"proposed", m.is_proposed},
            {"encrypted", m.encrypted},
            {"without_feedback", m.is_without_feedback},
            {"untouched", m.untouched},
            {"echo", static_cast<int>(m.echo)},
            {"pierce", m.pierce},
            {"extras", extras_json(m.extras.get())},
            {"keys", keys_json(m.keys.get())},
            {"dtls", dtls_json(m.dtls.get())},
            {"ice", ice_json(m.ice.get())},
            {"extensions", extensions_json(m.extensions.get())},
            {"controlling", m.ice_controlling}});
  if (m.agreed) {
    json& agreed = j["agreed"] = terms_json(*m.agreed);
    agreed.update(
        {{"received_from", m.agreed->received_from.to_string()}, {"ice", ice_json(m.agreed->ice.get())}});
  }
  return j;
}

void read_terms(MediaTerms& m, const json& j, const InterfaceSet& interfaces) {
  m.interface = interfaces.find(j.at("interface").get<std::string>());
  m.type = j.at("type");
  m.mid = j.at("mid");
  m.protocol = j.at("protocol");
  m.family = static_cast<AddressFamily>(std::clamp(j.at("family").get<int>(), 0, 2));
  m.kind = static_cast<TransportKind>(
      std::clamp(j.at("kind").get<int>(), 0, static_cast<int>(kLastTransportKind)));
  m.remote_rtp = endpoint_from(j.at("remote_rtp"));
  m.remote_rtcp = endpoint_from(j.at("remote_rtcp"));
  m.remote_known = j.at("remote_known");
  m.rejected = j.at("rejected");
  m.may_send = j.at("may_send");
  m.may_receive = j.at("may_receive");
  m.reduced_size_rtcp = j.at("reduced_size");
  const json& mux = j.at("mux");
  m.mux_offered_by_peer = mux.at(0);
  m.mux_offered_to_peer = mux.at(1);
  m.mux_used = mux.at(2);
  m.mux_accept = mux.at(3);
  m.mux_reject = mux.at(4);
  m.payloads = payloads_from(j.at("payloads"));
  m.shown = std::bitset<128>(j.at("shown").get<std::string>());
  m.earlier = std::bitset<128>(j.value("earlier", std::string()));
  m.removed_types = std::bitset<128>(j.value("removed_types", std::string()));
  m.lists_types = j.value("lists_types", false);
  m.offered_unlisted = j.value("offered_unlisted", false);
  m.has_fewer_codecs = j.value("fewer_codecs", false);
  m.rate = {j.at("rate").at(0), j.at("rate").at(1)};
  m.is_video = j.at("video");
  m.rules.policy = static_cast<LatchPolicy>(std::clamp(j.at("policy").get<int>(), 0, 3));
  m.rules.algorithm = static_cast<LearningAlgorithm>(std::clamp(j.at("algorithm").get<int>(), 0, 3));
  m.rules.strict_source = j.at("strict");
  m.rules.handover = j.at("handover");
  m.rules.asymmetric = j.at("asymmetric");
  m.rules.unidirectional = j.at("unidirectional");
  m.hidden = j.at("hidden");
  m.wait_for_peer = j.at("wait_for_peer");
  m.ptime_ms = j.value("ptime_ms", std::uint16_t{0});
  m.is_on_hold = j.value("on_hold", false);
}

void read_media(Media& m, const json& j, const InterfaceSet& interfaces, const DtlsConfig& dtls) {
  read_terms(m, j, interfaces);
  m.id = MediaId{j.at("id")};
  m.index = j.at("index");
  m.active = j.at("active");
  m.sending = j.at("sending");
  m.answered = j.at("answered");
  m.is_exchanged = j.value("exchanged", m.answered);
  m.is_proposed = j.value("proposed", false);
  m.encrypted = j.at("encrypted");
  m.is_without_feedback = j.value("without_feedback", false);
  m.untouched = j.at("untouched");
  m.echo = static_cast<MediaEcho>(std::clamp(j.at("echo").get<int>(), 0, 4));
  m.pierce = j.at("pierce");
  m.extras = media_extras_from(j.at("extras"));
  m.keys = keys_from(j.at("keys"));
  m.dtls = dtls_from(j.at("dtls"), dtls);
  m.ice = ice_from(j.at("ice"));
  m.extensions = extensions_from(j.value("extensions", json()));
  m.ice_controlling = j.at("controlling");
  const auto agreed = j.find("agreed");
  if (agreed == j.end()) return;
  m.agreed = std::make_unique<AgreedTerms>();
  read_terms(*m.agreed, *agreed, interfaces);
  m.agreed->received_from = address_from(agreed->at("received_from"));
  m.agreed->ice = ice_from(agreed->at("ice"));
}

json origin_json(const OriginMemory* origin) {
  if (origin == nullptr) return nullptr;
  return {{"username", origin->username},
          {"session_name", origin->session_name},
          {"address", origin->address.to_string()},
          {"hash", origin->body_hash},
          {"version", origin->version ? json(*origin->version) : json(nullptr)},
          {"identity", origin->identity}};
}
std::unique_ptr<OriginMemory> origin_from(const json& j) {
  if (j.is_null()) return nullptr;
  auto origin = std::make_unique<OriginMemory>();
  origin->username = j.at("username");
  origin->session_name = j.at("session_name");
  origin->address = address_from(j.at("address"));
  origin->body_hash = j.at("hash");
  if (!j.at("version").is_null()) origin->version = j.at("version").get<std::uint64_t>();
  origin->identity = j.value("identity", std::string());
  return origin;
}

json optional_age(const std::optional<Instant>& at, Instant now) {
  return at ? json((now - *at).count()) : json(nullptr);
}
std::optional<Instant> optional_from_age(const json& j, Instant now) {
  if (j.is_null()) return std::nullopt;
  return now - Duration{j.get<std::int64_t>()};
}

}  // namespace

json SessionManager::export_call(std::string_view call_id, const Clock& clock) {
  Call* call = find(call_id);
  if (call == nullptr) return nullptr;
  std::map<std::pair<MediaId, std::size_t>, TransportSnapshot> snapshots;
  struct ReadOnce {
    std::shared_ptr<const SrtpContexts> contexts;
    SrtpContexts::State state;
  };
  std::deque<ReadOnce> all_contexts;  // the worker fills it in
  const auto find_contexts = [&](const Media& media) {
    return std::ranges::find_if(all_contexts, [&](const ReadOnce& each) {
      return media.keys && media.keys->contexts == each.contexts;
    });
  };
  for (auto& leg : call->legs) {
    for (auto& media : leg->medias) {
      // Branches of one offer share them.
      if (media->keys && media->keys->contexts && find_contexts(*media) == all_contexts.end()) {
        ReadOnce& read = all_contexts.emplace_back(ReadOnce{media->keys->contexts, {}});
        plane_.post(call->worker, ReadContexts{read.contexts, &read.state}, true);
      }
      for (std::size_t i = 0; i < media->ports.size(); ++i) {
        plane_.post(call->worker, ReadTransport{media->ports[i].transport, &snapshots[{media->id, i}]}, true);
      }
    }
  }
  plane_.fence();
  const Instant now = clock.now;
  json legs = json::array();
  for (const auto& leg : call->legs) {
    json medias = json::array();
    for (const auto& media : leg->medias) {
      json m = media_json(*media);
      m["awaited_since"] = age(media->awaited_since, now);
      const auto read = find_contexts(*media);
      m["contexts"] = read == all_contexts.end() ? json() : json(std::distance(all_contexts.begin(), read));
      json ports = json::array();
      for (std::size_t i = 0; i < media->ports.size(); ++i) {
        const PortSet& p = media->ports[i];
        json more = json::array();
        for (const PortSet::More& each : p.more)
          more.push_back({each.local->address.to_string(), each.port.value});
        ports.push_back({{"address", p.local->address.to_string()},
                         {"port", p.port.value},
                         {"made_for", endpoint_json(p.made_for)},
                         {"barred", endpoint_json(p.barred)},
                         {"more", std::move(more)},
                         {"epoch", p.epoch},
                         {"signal", p.learned_signal},
                         {"state", transport_json(snapshots[{media->id, i}], now)}});
      }
      m["ports"] = std::move(ports);
      json subscriptions = json::array();
      for (const Subscription& s : media->subscriptions) {
        subscriptions.push_back({{"source", s.source->id.value},
                                 {"kind", static_cast<int>(s.kind)},
                                 {"marks", {s.blocked, s.silenced, s.egress, s.rtcp_only}}});
      }
      m["subscriptions"] = std::move(subscriptions);
      medias.push_back(std::move(m));
    }
    legs.push_back({{"tag", leg->tag},
                    {"aliases", leg->aliases},
                    {"via_branch", leg->via_branch},
                    {"label", leg->label()},
                    {"metadata", leg->metadata()},
                    {"created", leg->created_unix},
                    {"number", leg->number},
                    {"received_from", leg->received_from.to_string()},
                    {"final_response", leg->final_response},
                    {"offer_answer", leg->from_offer_answer},
                    {"marks", {leg->blocked, leg->silenced, leg->events_blocked}},
                    {"id_index", leg->id_index},
                    {"trigger", leg->dtmf_trigger()},
                    {"kept", kept_json(leg->kept())},
                    {"by_create", leg->extras && leg->extras->by_create},
                    {"last_sdp", leg->last_sdp},
                    {"origin", origin_json(leg->origin.get())},
                    {"order", leg->section_order},
                    {"delete_at", optional_age(leg->delete_at, now)},
                    {"lapsed", lapsed_json(leg->lapsed_offer())},
                    {"medias", std::move(medias)}});
  }
  json contexts = json::array();
  for (const ReadOnce& each : all_contexts) contexts.push_back(contexts_json(each.state));
  return {{"version", kCallVersion},
          {"call_id", call->id},
          {"created_us",
           std::chrono::duration_cast<std::chrono::microseconds>(call->created.time_since_epoch()).count()},
          {"created_age", age(call->created_at, now)},
          {"last_signal", call->last_signal_unix},
          {"last_signal_age", age(call->last_signal, now)},
          {"metadata", call->metadata},
          {"next_leg", call->next_leg},
          {"next_label", call->next_label},
          {"tos", call->tos},
          {"answered", call->answered},
          {"marks", {call->blocked, call->silenced, call->events_blocked, call->drop_traffic, call->debug}},
          {"touched_age", age(call->touched, now)},
          {"extras", extras_json(call->extras.get())},
          {"classic", ClassicSessions::to_json(*call, now)},
          {"signals", call->signals},
          {"latch", call->latch ? json(static_cast<int>(*call->latch)) : json(nullptr)},
          {"strict_types", call->strict_payload_types ? json(*call->strict_payload_types) : json(nullptr)},
          {"passthrough_unknown", call->passthrough_unknown},
          {"learning", call->learning ? json(static_cast<int>(*call->learning)) : json(nullptr)},
          {"delete_at", optional_age(call->delete_at, now)},
          {"not_in_force", call->not_in_force},
          {"contexts", std::move(contexts)},
          {"proposals", proposals_json(*call, now)},
          {"legs", std::move(legs)}};
}

Result<void, std::string> SessionManager::restore_call(const json& record, const Clock& clock) {
  const Instant now = clock.now;
  Call* call = nullptr;
  const auto undo = [&](std::string why) -> Result<void, std::string> {
    if (call != nullptr) {
      for (auto& leg : call->legs) {
        for (auto& media : leg->medias) close_media(*call, *media);
      }
      forget(*call);
      flush(clock);
    }
    return fail(std::move(why));
  };
  try {
    if (record.at("version") != kCallVersion) return undo("record of an unknown version");
    const std::string id = record.at("call_id");
    // A session of the classic protocol that only has the same Call-ID is another call.
    if (calls_.contains(id) || merged_ids_.contains(id)) return undo("call exists");
    call = &create(id, clock);
    call->created = WallTime{std::chrono::microseconds(record.at("created_us").get<std::int64_t>())};
    call->created_at = from_age(record.at("created_age"), now);
    call->last_signal_unix = record.at("last_signal");
    call->last_signal = from_age(record.at("last_signal_age"), now);
    call->metadata = record.at("metadata");
    call->next_leg = record.at("next_leg");
    call->next_label = record.value("next_label", 0u);
    call->tos = record.at("tos");
    call->answered = record.at("answered");
    call->blocked = record.at("marks").at(0);
    call->silenced = record.at("marks").at(1);
    call->events_blocked = record.at("marks").at(2);
    call->drop_traffic = record.at("marks").at(3);
    call->debug = record.at("marks").at(4);
    call->touched = from_age(record.at("touched_age"), now);
    auto call_extras = extras_from(record.at("extras"));
    const auto is_taken = [&](const std::string& other) {
      return calls_.contains(other) || merged_ids_.contains(other);
    };
    if (call_extras != nullptr && std::ranges::any_of(call_extras->other_ids, is_taken))
      return undo("call exists");
    call->extras = std::move(call_extras);
    if (call->extras != nullptr) {
      for (const std::string& other : call->extras->other_ids) merged_ids_.emplace(other, call);
    }
    call->signals = record.at("signals");
    if (!record.at("latch").is_null())
      call->latch = static_cast<LatchPolicy>(std::clamp(record.at("latch").get<int>(), 0, 3));
    if (const json strict = record.value("strict_types", json()); !strict.is_null())
      call->strict_payload_types = strict.get<bool>();
    call->passthrough_unknown = record.value("passthrough_unknown", false);
    if (!record.at("learning").is_null())
      call->learning = static_cast<LearningAlgorithm>(std::clamp(record.at("learning").get<int>(), 0, 3));
    call->delete_at = optional_from_age(record.at("delete_at"), now);
    call->not_in_force = record.at("not_in_force").get<std::vector<std::string>>();
    std::map<std::uint32_t, Media*> by_id;
    std::vector<std::shared_ptr<SrtpContexts>> contexts(record.at("contexts").size());
    if (const json classic = record.value("classic", json()); !classic.is_null())
      ClassicSessions(*this).restore(*call, classic, now);
    for (const json& l : record.at("legs")) {
      auto leg = std::make_unique<Leg>();
      leg->call = call;
      leg->tag = l.at("tag");
      leg->aliases = l.at("aliases").get<std::vector<std::string>>();
      leg->via_branch = l.at("via_branch");
      LegExtras extras{l.at("label"),
                       l.at("metadata"),
                       l.at("trigger"),
                       false,
                       nullptr,
                       kept_from(l.value("kept", json())),
                       l.value("by_create", false),
                       nullptr};
      if (extras.by_create || !extras.label.empty() || !extras.metadata.empty() ||
          !extras.dtmf_trigger.empty() || extras.kept != KeptWishes{})
        leg->extras = std::make_unique<LegExtras>(std::move(extras));
      leg->created_unix = l.at("created");
      leg->number = l.at("number");
      leg->received_from = address_from(l.at("received_from"));
      leg->final_response = l.at("final_response");
      leg->from_offer_answer = l.at("offer_answer");
      leg->blocked = l.at("marks").at(0);
      leg->silenced = l.at("marks").at(1);
      leg->events_blocked = l.at("marks").at(2);
      leg->id_index = l.at("id_index");
      leg->last_sdp = l.at("last_sdp");
      leg->origin = origin_from(l.at("origin"));
      leg->section_order = l.at("order").get<std::vector<unsigned>>();
      leg->delete_at = optional_from_age(l.at("delete_at"), now);
      if (auto lapsed = lapsed_from(l.value("lapsed", json()))) leg->made_extras().lapsed = std::move(lapsed);
      call->legs.push_back(std::move(leg));
      Leg& placed = *call->legs.back();
      for (const json& m : l.at("medias")) {
        placed.medias.push_back(std::make_unique<Media>());
        Media& media = *placed.medias.back();
        media.call = call;
        media.leg = &placed;
        read_media(media, m, interfaces_, config_.dtls);
        media.awaited_since = from_age(m.value("awaited_since", json(-1)), clock.now);
        if (media.keys && !m.at("contexts").is_null()) {
          // No worker knows them yet. What happened after the export is not in the record.
          const auto at = m.at("contexts").get<std::size_t>();
          auto& shared = contexts.at(at);
          if (!shared) {
            shared = std::make_shared<SrtpContexts>();
            if (config_.srtp.backend)
              shared->restore(contexts_from(record.at("contexts").at(at)), StateAge::kEarlier,
                              *config_.srtp.backend, replay_window(media.is_video));
          }
          media.keys->contexts = shared;
        }
        by_id[media.id.value] = &media;
        next_media_ = std::max(next_media_, media.id.value + 1);
        if (media.interface == nullptr || media.in_force().interface == nullptr)
          return undo("its interface is gone");
        for (const json& p : m.at("ports")) {
          const auto reopen = [&](const json& where,
                                  const json& number) -> Result<PortSet::More, std::string> {
            const IpAddress address = address_from(where);
            const UdpPort port{number};
            const LocalAddress* local = interfaces_.known_address(address);
            if (local == nullptr) return fail(std::string("its address is gone"));
            if (!local->ports->take(port)) return fail(fmt::format("port {} is in use", port.value));
            auto rtp = ports_.activate({address, port}, call->tos);
            auto rtcp = rtp ? ports_.activate({address, UdpPort{static_cast<std::uint16_t>(port.value + 1)}},
                                              call->tos)
                            : rtp;
            if (!rtcp) {
              if (rtp) ports_.release(*rtp);
              local->ports->give_back(port, {}, now);
              return fail(fmt::format("port {} cannot be opened", port.value));
            }
            return PortSet::More{local, port, {*rtp, *rtcp}};
          };
          const auto first = reopen(p.at("address"), p.at("port"));
          if (!first) return undo(first.error());
          PortSet set;
          set.local = first->local;
          set.port = first->port;
          set.handles = first->handles;
          set.made_for = endpoint_from(p.at("made_for"));
          set.barred = endpoint_from(p.at("barred"));
          set.activity = std::make_shared<TransportActivity>();
          set.transport = plane_.allocate(call->worker);
          media.ports.push_back(std::move(set));
          for (const json& each : p.at("more")) {
            const auto more = reopen(each.at(0), each.at(1));
            if (!more) return undo(more.error());
            media.ports.back().more.push_back(*more);
          }
        }
        if (!media.ports.empty() &&
            (media.active >= media.ports.size() || media.sending >= media.ports.size())) {
          return undo("damaged record");
        }
      }
    }
    for (std::size_t leg = 0; leg < call->legs.size(); ++leg) {
      for (std::size_t i = 0; i < call->legs[leg]->medias.size(); ++i) {
        const json& m = record.at("legs").at(leg).at("medias").at(i);
        for (const json& s : m.at("subscriptions")) {
          const auto source = by_id.find(s.at("source").get<std::uint32_t>());
          if (source == by_id.end()) return undo("damaged record");
          const json& marks = s.at("marks");
          call->legs[leg]->medias[i]->subscriptions.push_back(
              {source->second, static_cast<SubscriptionKind>(std::clamp(s.at("kind").get<int>(), 0, 1)),
               marks.at(0), marks.at(1), marks.at(2), marks.at(3)});
        }
        for (std::size_t p = 0; p < call->legs[leg]->medias[i]->ports.size(); ++p) {
          PortSet& set = call->legs[leg]->medias[i]->ports[p];
          const json& saved = m.at("ports").at(p);
          set.restored = std::make_shared<const TransportSnapshot>(transport_from(saved.at("state"), now));
          set.epoch = saved.at("epoch");
          set.learned_signal = saved.at("signal");
        }
      }
    }
    if (call->classic() != nullptr &&
        (call->legs.size() < 2 || call->legs[0]->medias.empty() || call->legs[1]->medias.empty()))
      return undo("damaged record");
    read_proposals(*call, record.value("proposals", json::array()), now);
    sync_plans(*call);
    plane_.fence();
    schedule(*call, next_look(*call), now);
    return {};
  } catch (const std::exception& e) {  // of the JSON library or of a value out of its range
    return undo(fmt::format("damaged record: {}", e.what()));
  }
}

}  // namespace ferry
