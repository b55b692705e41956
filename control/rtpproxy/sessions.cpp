// SPDX-License-Identifier: Apache-2.0
// A session is a call with two legs and one media each. `U` opens the port of the receiver and `L` that of
// the other party; the session is complete (`Call::answered`) once both have ports, and before that no source
// is learned.
//
// Order in `signal`: the address is judged first, then a port is opened. Nothing has changed until then, so a
// refused message leaves the session as it was.
//
// Trap: `U` comes from the party that `match.from` names, but the SDP of an `L` is the other party's.
// `sender` is always the party whose SDP the message has.
//
// Trap: once an `L` came, a `U` is only a proposal (LAT-15). Its port stands beside the agreed one until the
// next `L`, and `keep_only` then closes the other.
#include "control/rtpproxy/sessions.hpp"

#include "control/call/media_rules.hpp"
#include "control/call/peer_guard.hpp"
#include "control/command/forwarding.hpp"
#include "control/command/recordings.hpp"
#include "control/ports/interfaces.hpp"
#include "control/session/call_limits.hpp"
#include "control/session/lifetime.hpp"
#include "control/session/media_plane.hpp"
#include "control/session/pauses.hpp"
#include "control/session/plan_sync.hpp"
#include "control/session/ports_desk.hpp"
#include "control/session/proposals.hpp"
#include "control/session/random_numbers.hpp"
#include "control/session/taps.hpp"
#include "relay/core/rtp/static_types.hpp"

#include <algorithm>
#include <bitset>
#include <span>
#include <stdexcept>
#include <utility>

#include <nlohmann/json.hpp>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kMaxSessionsOfCall = 64;  // LIM-6
constexpr std::string_view kOwnerSuffix = ".o";
constexpr std::string_view kOtherSuffix = ".a";
// Nobody says what the media of a session is, so it has the limit of LIM-1 for video.
constexpr RateLimit kRate{5000, 0};

/// What payload types are, as far as their numbers alone tell.
std::vector<PayloadEntry> entries_of(std::span<const PayloadType> types) {
  std::vector<sdp::Codec> codecs;
  for (const PayloadType type : types) {
    sdp::Codec& codec = codecs.emplace_back();
    codec.payload_type = type.value;
    if (const StaticType* known = static_type(type.value)) {
      codec.name = known->name;
      codec.clock_rate_hz = known->clock_rate_hz;
      codec.channels = known->channels;
    }
  }
  return payload_entries(codecs);
}

/// The static types of audio. Those that are expected most come first.
const std::vector<PayloadEntry>& known_types() {
  static constexpr std::array<PayloadType, 7> kUsual = {{{8}, {0}, {18}, {9}, {3}, {4}, {13}}};
  static const std::vector<PayloadEntry> entries = entries_of(kUsual);
  return entries;
}

/// True if `stored` is `tag`, or one of its medias: `tag;number`.
bool is_media_of(std::string_view stored, std::string_view tag) {
  return stored.starts_with(tag) && (stored.size() == tag.size() || stored[tag.size()] == ';');
}

/// Takes over the payload types of an SDP: its receiver may send them. While an offer waits, the former types
/// are good too (LAT-15). Without a list every type is.
void take_types(Media& sender, Media& receiver, const std::vector<PayloadType>& types, bool is_answer) {
  std::bitset<128> shown;
  for (const PayloadType type : types) shown.set(type.value & 127);
  std::vector<PayloadEntry> allowed = entries_of(types);
  if (!allowed.empty()) {
    for (const PayloadEntry& entry : receiver.payloads) {
      if (receiver.shown.test(entry.type.value & 127) && !shown.test(entry.type.value & 127))
        allowed.push_back(entry);
    }
  }
  receiver.payloads = std::move(allowed);
  receiver.shown = shown;
  if (!is_answer) return;
  std::erase_if(sender.payloads,
                [&](const PayloadEntry& entry) { return !sender.shown.test(entry.type.value & 127); });
}

/// Adds the static types. Proxies list only some of the types of an SDP, and a static type means the same for
/// everybody (RFC 3551 §6), so it passes whatever was listed. Other numbers pass only if they were listed.
void add_known_types(std::vector<PayloadEntry>& entries) {
  for (const PayloadEntry& known : known_types()) {
    if (std::ranges::find(entries, known.type, &PayloadEntry::type) == entries.end())
      entries.push_back(known);
  }
}

/// Says whether UDPTL passes if SDPs with these terms are agreed on. Clients that list payload types list
/// them only for RTP, so a list on either side means RTP.
UdptlBesideRtp udptl_under(const MediaTerms& a, const MediaTerms& b) {
  if (a.lists_types || b.lists_types) return UdptlBesideRtp::kNo;
  return a.offered_unlisted || b.offered_unlisted ? UdptlBesideRtp::kYes : UdptlBesideRtp::kUntilRtp;
}

Media& media_of(const Call& call, std::size_t party) { return *call.legs[party]->medias.front(); }

/// The party's ports in use. An unanswered offer may have opened others. Null if it has none.
const LocalPorts* ports_of(const Call& call, std::size_t party) {
  return std::as_const(media_of(call, party)).via->sending_ports();
}

}  // namespace

/// The cast is safe because no other protocol has a policy.
RtpproxySession* Call::rtpproxy() const {
  return extras ? static_cast<RtpproxySession*>(extras->policy.get()) : nullptr;
}

std::uint64_t RtpproxyFigures::relayed() const {
  const std::uint64_t sent = from.counters[0].packets_out + other.counters[0].packets_out;
  return sent - std::min(sent, from.played + other.played);
}

std::uint64_t RtpproxyFigures::dropped() const {
  const std::uint64_t received = from.counters[0].packets_in + other.counters[0].packets_in;
  const std::uint64_t used = relayed() + from.joined + other.joined;
  return received - std::min(received, used);
}

std::string RtpproxySessions::id_of(std::string_view call_id, std::string_view tag) {
  // Neither text has a blank in it.
  std::string id;
  id.reserve(call_id.size() + 1 + tag.size());
  return id.append(call_id).append(" ").append(tag);
}

Call* RtpproxySessions::by_id(std::string_view call_id, std::string_view tag) const {
  const auto sessions = services_.calls.sharing(call_id);
  const auto found =
      std::ranges::find_if(sessions, [&](const auto& each) { return each.second->rtpproxy()->tag == tag; });
  return found == sessions.end() ? nullptr : found->second;
}

std::optional<RtpproxyMatch> RtpproxySessions::find(const RtpproxyNames& names) const {
  if (Call* call = by_id(names.call_id, names.from_tag)) return RtpproxyMatch{call, 0};
  if (names.to_tag.empty()) return std::nullopt;
  if (Call* call = by_id(names.call_id, names.to_tag)) return RtpproxyMatch{call, 1};
  // The to-tag may lack the number of the media that the from-tag has.
  const auto number = names.from_tag.rfind(';');
  if (number == std::string_view::npos) return std::nullopt;
  if (Call* call = by_id(names.call_id, std::string(names.to_tag).append(names.from_tag.substr(number))))
    return RtpproxyMatch{call, 1};
  return std::nullopt;
}

std::vector<RtpproxyMatch> RtpproxySessions::find_all(const RtpproxyNames& names) const {
  std::vector<RtpproxyMatch> found;
  for (const auto& [name, call] : services_.calls.sharing(names.call_id)) {
    const std::string_view tag = call->rtpproxy()->tag;
    if (is_media_of(tag, names.from_tag)) {
      found.push_back({call, 0});
    } else if ((!names.to_tag.empty() && is_media_of(tag, names.to_tag)) ||
               is_media_of(call->legs[1]->tag, names.from_tag)) {
      found.push_back({call, 1});
    }
  }
  return found;
}

RtpproxySession& RtpproxySessions::register_session(Call& call, std::size_t call_id_size) {
  call.ensure_extras().policy = std::make_unique<RtpproxySession>();
  RtpproxySession& session = *call.rtpproxy();
  session.call_id = std::string_view(call.id).substr(0, call_id_size);
  session.tag = std::string_view(call.id).substr(call_id_size + 1);
  services_.calls.add_shared_name(session.call_id, call);
  return session;
}

nlohmann::json RtpproxySessions::show(const Call& call, const Clock& clock) const {
  const RtpproxySession& session = *call.rtpproxy();
  const auto left = std::chrono::ceil<std::chrono::seconds>(services_.lifetime.due(call).at - clock.now);
  nlohmann::json shown = {{"call_id", session.call_id},
                          {"tag", session.tag},
                          {"answered", call.answered},
                          {"strong", session.is_strong},
                          {"seconds_left", std::max<std::int64_t>(0, left.count())},
                          {"hears_another", session.fed_by != 0},
                          {"notifies", session.notify_target}};
  nlohmann::json recordings = nlohmann::json::array();
  for (const RtpproxyRecording& each : session.recordings)
    recordings.push_back(nlohmann::json::parse(each.recording->status()));
  shown["recordings"] = std::move(recordings);
  nlohmann::json parties = nlohmann::json::array();
  for (std::size_t i = 0; i < session.parties.size(); ++i) {
    const RtpproxyParty& party = session.parties[i];
    const MediaTerms& terms = media_of(call, i).in_force();
    parties.push_back({{"on_hold", terms.is_on_hold},
                       {"weak", party.is_weak},
                       {"packet_time_ms", terms.ptime_ms},
                       {"dtmf_caught", party.extras && !party.extras->dtmf_tag.empty()}});
  }
  shown["parties"] = std::move(parties);
  return shown;
}

Result<Call*, RequestFault> RtpproxySessions::make(const RtpproxySignal& signal, const Clock& clock) {
  const std::string id = id_of(signal.names.call_id, signal.names.from_tag);
  if (services_.calls.find(id) != nullptr) return fail(RequestFault::kOtherProtocolsCall);
  // The caller chooses Call-ID and tag, so many sessions of one Call-ID would slow every search for one of
  // them.
  if (services_.calls.count_sharing(signal.names.call_id) >= kMaxSessionsOfCall)
    return fail(RequestFault::kTooManyParties);
  if (const auto limit = services_.limits.exceeded(services_.calls.size()))
    return fail(fault_for_limit(*limit));
  Call& call = services_.lifetime.create(id, clock);
  RtpproxySession& session = register_session(call, signal.names.call_id.size());
  session.is_strong = !signal.is_weak;
  for (const std::string_view tag : {session.tag, signal.names.to_tag}) {
    Leg& leg = services_.calls.add_leg(call, std::string(tag), clock);
    Media& media = services_.calls.add_media(leg, 1, "audio");
    media.protocol = "RTP/AVP";
    media.via->interface = services_.interfaces.default_interface();
    media.rate = kRate;
  }
  media_of(call, 0).subscriptions.push_back({&media_of(call, 1)});
  media_of(call, 1).subscriptions.push_back({&media_of(call, 0)});
  session.parties[0].local = signal.near;
  session.parties[1].local = signal.far;
  return &call;
}

Result<std::vector<LeftOutPeer>, RequestFault> RtpproxySessions::admit(
    const RtpproxySignal& signal, const std::optional<RtpproxyMatch>& match) {
  const std::size_t sender = !match ? 0 : signal.is_answer ? match->other() : match->from;
  const LocalAddress* facing = match ? match->call->rtpproxy()->parties[sender].local : signal.near;
  // There will be no port.
  if (facing == nullptr) return {};
  auto left_out = services_.guard.admit(named_peer(signal.media, facing->advertised), *facing);
  if (left_out) return std::move(*left_out);
  if (!match) ++services_.totals.rejected;
  return fail(RequestFault::kDeniedSdp);
}

Result<std::optional<LocalPorts>, RequestFault> RtpproxySessions::open_port(Call& call, std::size_t receiver,
                                                                            const RtpproxySignal& signal,
                                                                            bool is_new, const Clock& clock) {
  RtpproxyParty& party = call.rtpproxy()->parties[receiver];
  if (!media_of(call, receiver).via->ports.empty() && !signal.wants_new_port)
    return std::optional<LocalPorts>();
  const LocalAddress* local = !is_new && signal.far != nullptr ? signal.far : party.local;
  auto ports = services_.ports.open(call, *local, clock.now);
  if (!ports) {
    if (is_new) {
      ++services_.totals.rejected;
      services_.lifetime.forget(call);
    }
    return fail(fault_for(ports.error()));
  }
  party.local = local;
  if (party.tos) services_.ports.mark_alone(*ports, *party.tos);
  return std::optional<LocalPorts>(std::move(*ports));
}

void RtpproxySessions::take_sdp(Call& call, const RtpproxyMatch& match, const RtpproxySignal& signal,
                                std::vector<LeftOutPeer> left_out) {
  RtpproxySession& session = *call.rtpproxy();
  const std::size_t sender = signal.is_answer ? match.other() : match.from;
  Media& heard = media_of(call, sender);
  if (signal.media.is_set()) {
    heard.via->remote_rtp = signal.media;
    heard.via->remote_rtcp = with_next_port(signal.media);
    heard.via->remote_known = true;
    heard.note_left_out(std::move(left_out));
  }
  heard.is_on_hold = signal.is_on_hold;
  session.parties[sender].codecs = signal.codecs;
  heard.lists_types = !signal.codecs.empty();
  heard.offered_unlisted = !signal.is_answer && call.answered && !heard.lists_types;
  take_types(heard, media_of(call, 1 - sender), signal.codecs, signal.is_answer);
  heard.ptime_ms = signal.ptime_ms;
  if (signal.is_weak)
    session.parties[match.from].is_weak = true;
  else if (!signal.is_answer)
    session.is_strong = true;
  if (!signal.is_answer) {
    session.notify_target = signal.notify_target;
    session.notify_tag = signal.notify_tag;
  }
  if (match.from == 0 && !signal.names.to_tag.empty()) call.legs[1]->tag = signal.names.to_tag;
  if (match.from == 1) call.legs[1]->tag = signal.names.from_tag;
}

void RtpproxySessions::renew_rules(Call& call, Instant now) {
  for (std::size_t i = 0; i < 2; ++i) {
    Media& each = media_of(call, i);
    call.rtpproxy()->parties[i].refreshed = now;
    each.answered = each.is_exchanged = call.answered;
    // A source is not learned before the other side is known.
    each.via->rules.policy = call.answered ? services_.config.rtpproxy.latch : LatchPolicy::kOff;
    if (each.via->rules.asymmetric)
      each.via->rules.policy = std::min(each.via->rules.policy, LatchPolicy::kSignalled);
  }
}

Result<RtpproxyPort, RequestFault> RtpproxySessions::signal(const RtpproxySignal& signal,
                                                            const Clock& clock) {
  auto match = find(signal.names);
  const bool is_new = !match;
  if (is_new && signal.is_answer) return fail(RequestFault::kUnknownCall);
  auto left_out = admit(signal, match);
  if (!left_out) return fail(left_out.error());
  if (is_new) {
    const auto made = make(signal, clock);
    if (!made) return fail(made.error());
    match = RtpproxyMatch{*made, 0};
  }
  Call& call = *match->call;
  RtpproxySession& session = *call.rtpproxy();
  // `sender` is the party whose SDP this is. The reply goes into the SDP that `receiver` gets.
  const std::size_t sender = signal.is_answer ? match->other() : match->from;
  const std::size_t receiver = 1 - sender;
  Media& media = media_of(call, receiver);
  // A proposal changes nothing before its answer (LAT-15).
  const bool is_proposal = !signal.is_answer && session.has_answers && call.answered;
  auto opened = open_port(call, receiver, signal, is_new, clock);
  if (!opened) return fail(opened.error());
  const bool has_new_port = opened->has_value();
  if (is_proposal) Proposals(services_, call).begin(*call.legs[sender], *call.legs[receiver], {}, clock.now);
  if (has_new_port) {
    media.via->family = (*opened)->local->address.family();
    media.via->ports.push_back(std::move(**opened));
    media.via->show_ports(media.via->ports.size() - 1);
    if (!is_proposal) services_.ports.keep_only(call, *media.via, media.via->active);
  }
  media_of(call, sender).awaited_since = {};
  media.awaited_since = signal.is_answer ? Instant{} : clock.now;
  take_sdp(call, *match, signal, std::move(*left_out));
  const bool was_answered = call.answered;
  call.answered = !media_of(call, 0).via->ports.empty() && !media_of(call, 1).via->ports.empty();
  media_of(call, sender).via->rules.asymmetric =
      signal.asymmetric.value_or(services_.config.rtpproxy.asymmetric);
  renew_rules(call, clock.now);
  call.touched = call.last_signal = clock.now;
  call.last_signal_unix =
      std::chrono::duration_cast<std::chrono::seconds>(clock.wall.time_since_epoch()).count();
  ++call.signals;
  if (is_new) {
    ++services_.totals.managed;
    ++totals_.created;
    call.scheduled_at = Instant::max();
  }
  if (signal.is_answer) {
    session.has_answers = true;
    Proposals(services_, call).settle(*call.legs[receiver], *call.legs[sender]);
    for (const std::size_t each : {sender, receiver}) {
      Media& settled = media_of(call, each);
      if (!settled.via->ports.empty()) services_.ports.keep_only(call, *settled.via, settled.via->active);
    }
  }
  if (call.answered && !was_answered) complete(call);
  services_.plans.sync(call);
  if (session.fed_by != 0 && (has_new_port || signal.is_answer)) renew_feeds(call);
  if (party_waits(session, receiver)) {
    RtpproxyParty::Extras& extras = *session.parties[receiver].extras;
    post_prompt(call, receiver, std::exchange(extras.waiting, {}));
  }
  services_.lifetime.schedule_next(call, clock.now);
  const LocalPorts& ports = *media.via->active_ports();
  return RtpproxyPort{ports.local, ports.port};
}

bool RtpproxySessions::party_waits(const RtpproxySession& session, std::size_t party) {
  const auto& extras = session.parties[party].extras;
  return extras && extras->waiting.prompt;
}

void RtpproxySessions::complete(Call& call) {
  ++totals_.completed;
  if (services_.recorder == nullptr || !services_.recorder->records_all() ||
      services_.config.rtpproxy.recording == RecordingForm::kCall)
    return;
  // Both directions of a session go into one pcap file, as rtpproxy writes it with -a and -P.
  const bool is_pcap = services_.config.rtpproxy.recording == RecordingForm::kPcap;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}})
    record({&call, party}, {.single = is_pcap, .name = {}, .asked_by = "record-all"});
}

void RtpproxySessions::release(const RtpproxyMatch& match, bool weak, const Clock& clock) {
  RtpproxySession& session = *match.call->rtpproxy();
  if (weak)
    session.parties[match.from].is_weak = false;
  else
    session.is_strong = false;
  if (session.is_strong || session.parties[0].is_weak || session.parties[1].is_weak) return;
  services_.lifetime.end(*match.call, EndReason::kRegular, clock);
}

void RtpproxySessions::remove_all(const Clock& clock) {
  const auto& sessions = services_.calls.with_shared_names();
  while (!sessions.empty()) services_.lifetime.end(*sessions.begin()->second, EndReason::kForced, clock);
}

std::chrono::seconds RtpproxySession::ttl_of(const Call& call, std::size_t party,
                                             const RtpproxyConfig& config) const {
  if (const auto own = parties[party].ttl; own > 0s) return own;
  return !call.answered && config.setup_timeout > 0s ? config.setup_timeout : config.timeout;
}

Due RtpproxySession::due(const Call& call, const SessionConfig& settings, const Pauses& pauses) const {
  const RtpproxyConfig& config = settings.rtpproxy;
  std::array<Instant, 2> ends{};
  for (std::size_t i = 0; i < 2; ++i) {
    Instant last = parties[i].refreshed;
    const LocalPorts* ports = ports_of(call, i);
    if (call.answered && ports != nullptr) {
      const Duration heard{ports->activity->last_packet_ns.load(std::memory_order_relaxed)};
      last = std::max(last, Instant{heard});
    }
    ends[i] = pauses.after(last, ttl_of(call, i, config));
  }
  const Instant end =
      config.independent_legs && call.answered ? std::min(ends[0], ends[1]) : std::max(ends[0], ends[1]);
  return {end, EndReason::kTimeout};
}

void RtpproxySessions::set_ttl(Call& call, std::size_t party, std::chrono::seconds ttl, const Clock& clock) {
  RtpproxySession& session = *call.rtpproxy();
  for (std::size_t i = 0; i < 2; ++i) {
    if (i != party && services_.config.rtpproxy.independent_legs) continue;
    session.parties[i].ttl = ttl;
    session.parties[i].refreshed = clock.now;
  }
  if (const Instant at = services_.lifetime.due(call).at; at < call.scheduled_at)
    services_.lifetime.schedule(call, at, clock.now);
}

bool RtpproxySessions::set_tos(Call& call, std::size_t party, std::uint8_t tos) {
  if (!call.rtpproxy()->parties[party].local->address.is_v4()) return false;
  call.rtpproxy()->parties[party].tos = tos;
  for (LocalPorts& ports : media_of(call, party).via->ports) services_.ports.mark_alone(ports, tos);
  services_.plans.sync(call);
  return true;
}

RtpproxyFigures RtpproxySessions::figures(const RtpproxyMatch& match, const Clock& clock) {
  RtpproxyFigures figures;
  Call& call = *match.call;
  for (std::size_t i = 0; i < 2; ++i) {
    const LocalPorts* ports = ports_of(call, i);
    if (ports == nullptr) continue;
    services_.plane.post(
        call.worker, ReadFigures{ports->transport, i == match.from ? &figures.from : &figures.other}, true);
  }
  services_.plane.fence();
  const Duration left = std::max(Duration{0}, services_.lifetime.due(call).at - clock.now);
  figures.ttl_s = std::chrono::ceil<std::chrono::seconds>(left).count();
  return figures;
}

void RtpproxySessions::post_prompt(Call& call, std::size_t party, PromptOrder order) {
  services_.plane.post(
      call.worker, StartPrompt{ports_of(call, party)->transport, std::move(order), random_numbers()}, true);
}

void RtpproxySessions::drop_waiting(RtpproxySession& session, std::size_t party) {
  if (!party_waits(session, party)) return;
  session.parties[party].extras->waiting = {};
  ++totals_.prompts_ended;
}

void RtpproxySessions::play(Call& call, std::size_t party, PromptOrder order) {
  RtpproxySession& session = *call.rtpproxy();
  drop_waiting(session, party);
  ++totals_.prompts_started;
  if (ports_of(call, party) != nullptr)
    post_prompt(call, party, std::move(order));
  else
    session.parties[party].ensure_extras().waiting = std::move(order);
}

void RtpproxySessions::stop_playing(Call& call, std::size_t party) {
  drop_waiting(*call.rtpproxy(), party);
  if (const LocalPorts* ports = ports_of(call, party); ports != nullptr)
    services_.plane.post(call.worker, StopPrompt{ports->transport}, true);
}

void RtpproxySessions::catch_dtmf(Call& call, std::size_t party, std::string tag, PayloadType type,
                                  bool hides) {
  RtpproxyParty::Extras& extras = call.rtpproxy()->parties[party].ensure_extras();
  extras.dtmf_tag = std::move(tag);
  extras.dtmf_type = type;
  extras.hides_dtmf = hides;
  services_.plans.sync(call);
}

void RtpproxySession::refine(const Call& call, const MediaTransport& transport, TransportPlan& plan) const {
  for (SourcePlan& source : plan.sources) {
    // The protocol says nothing of profiles, so RTCP feedback always passes.
    for (Sink& sink : source.sinks) sink.takes_feedback = true;
    refine_source(call, *transport.leg, plan, source);
  }
}

void RtpproxySession::refine_source(const Call& call, const Leg& leg, TransportPlan& plan,
                                    SourcePlan& source) const {
  const Media& media = *leg.medias.front();
  // Copies keep their plan.
  if (media.leg != call.legs[0].get() && media.leg != call.legs[1].get()) return;
  const std::size_t index = media.leg == call.legs[0].get() ? 0 : 1;
  const RtpproxyParty& party = parties[index];
  plan.takes_udptl = udptl_under(media_of(call, 0).in_force(), media_of(call, 1).in_force());
  for (const auto& each : call.legs) {
    const bool proposes = Proposals::offered_by(*each) != nullptr && !each->medias.front()->lists_types;
    if (proposes) plan.takes_udptl = UdptlBesideRtp::kYes;
  }
  source.takes_any_type = source.payloads.empty();
  add_known_types(source.payloads);
  // Types 64 to 95 are RTCP whose marker bit is missing (RFC 5761 §4), and no command says that both share a
  // port.
  for (std::size_t type = 64; type < 96; ++type) source.refused_types.set(type);
  const bool catches = party.extras && !party.extras->dtmf_tag.empty();
  if (catches) {
    std::erase_if(source.payloads, [&](const PayloadEntry& e) { return e.type == party.extras->dtmf_type; });
    source.payloads.push_back({party.extras->dtmf_type, G711Law::kNone, 0, true, 8000});
  }
  const LocalPorts* far = ports_of(call, 1 - index);
  for (Sink& sink : source.sinks) {
    if (far == nullptr || sink.via != far->transport) continue;
    sink.ptime_ms = media.in_force().ptime_ms;
    sink.events_blocked = sink.events_blocked || (catches && party.extras->hides_dtmf);
  }
}

bool RtpproxySessions::feed(Call& call, const RtpproxyMatch& source) {
  if (source.call == &call || source.call->rtpproxy()->fed_by != 0) return false;
  if (call.worker != source.call->worker && !services_.plans.move(call, source.call->worker)) return false;
  stop_feeds(call);
  RtpproxySession& session = *call.rtpproxy();
  session.fed_by = source.call->serial;
  session.is_fed_swapped = source.from == 1;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}})
    media_of(call, party).subscriptions.clear();
  services_.plans.sync(call);
  renew_feeds(call);
  return true;
}

void RtpproxySessions::stop_feeds(Call& call) {
  Call* found = services_.calls.by_serial(call.rtpproxy()->fed_by);
  if (found == nullptr || found->rtpproxy() == nullptr) return;
  Call& source = *found;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}}) {
    Media& media = media_of(source, party);
    if (!media.extras) continue;
    std::erase_if(media.extras->feeds, [&](const auto& feed) { return feed.call == call.serial; });
  }
  services_.plans.sync(source);
}

void RtpproxySessions::renew_feeds(Call& call) {
  stop_feeds(call);
  const RtpproxySession& session = *call.rtpproxy();
  Call* found = services_.calls.by_serial(session.fed_by);
  if (found == nullptr || found->rtpproxy() == nullptr || found->worker != call.worker) return;
  Call& source = *found;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}}) {
    // The owner's packets go where our owner's would go: to the other party.
    const std::size_t listener = (party == 0) != session.is_fed_swapped ? 1 : 0;
    const LocalPorts* ports = ports_of(call, listener);
    if (ports == nullptr) continue;
    media_of(source, party)
        .ensure_extras()
        .feeds.push_back({call.serial, ports->transport, media_of(call, listener).id});
  }
  services_.plans.sync(source);
}

void RtpproxySessions::count(const Ended& end) {
  const TransportFigures& a = end.figures[0];
  const TransportFigures& b = end.figures[1];
  const auto how_many = [&](std::size_t component) {
    return (a.counters[component].packets_in != 0 ? 1 : 0) + (b.counters[component].packets_in != 0 ? 1 : 0);
  };
  if (end.was_complete) {
    const int rtp = how_many(0);
    const int rtcp = how_many(1);
    if (rtp == 0) ++totals_.without_rtp;
    if (rtp == 1) ++totals_.one_way_rtp;
    if (rtcp == 0) ++totals_.without_rtcp;
    if (rtcp == 1) ++totals_.one_way_rtcp;
  }
  for (const TransportFigures& each : end.figures) {
    totals_.expected += each.expected;
    totals_.received += each.received;
    totals_.duplicates += each.duplicates;
    totals_.lost += each.lost;
    totals_.not_rtp += each.not_rtp;
  }
}

void RtpproxySessions::on_settled() {
  for (const Ended& each : ended_) count(each);
  ended_.clear();
}

void RtpproxySessions::on_planned(Call& call) {
  if (call.rtpproxy() != nullptr) follow_recordings(call);
}

void RtpproxySessions::on_ending(Call& call, EndReason reason, const Clock& clock) {
  if (call.rtpproxy() == nullptr) return;
  RtpproxySession& session = *call.rtpproxy();
  end_recordings(call, std::string("the call ended: ").append(to_string(reason)));
  if (session.fed_by != 0) stop_feeds(call);
  ++totals_.destroyed;
  if (reason != EndReason::kRegular && reason != EndReason::kForced) ++totals_.timed_out;
  totals_.duration_s += std::chrono::duration<double>(clock.now - call.created_at).count();
  auto& ended = ended_.emplace_back();
  ended.was_complete = call.answered;
  for (std::size_t i = 0; i < 2; ++i) {
    if (party_waits(session, i)) ++totals_.prompts_ended;
    Media& media = media_of(call, i);
    if (media.via->ports.empty()) continue;
    // `close` reads the figures of the ports in use; the others close with the call.
    services_.ports.close(call, media.via->ports[media.via->sending], &ended.figures[i]);
  }
}

// Recording

bool RtpproxySessions::record(const RtpproxyMatch& match, const RtpproxyRecordingOrder& order) {
  Call& call = *match.call;
  if (services_.recorder == nullptr) return false;
  const RecordingForm wanted = services_.config.rtpproxy.recording;
  if (wanted == RecordingForm::kCall && order.name.empty()) {
    for (std::size_t i = 0; i < 2; ++i) {
      // The other direction is recorded only when it is asked for.
      if (i == match.from || call.recording() == nullptr)
        call.legs[i]->ensure_extras().unrecorded = i != match.from;
    }
    return services_.recordings.record(call, order.asked_by);
  }
  RecordingOrder file;
  file.form = wanted == RecordingForm::kCall ? RecordingForm::kAdHoc : wanted;
  if (file.form == RecordingForm::kPcap && order.single) file.form = RecordingForm::kPcapSingle;
  const bool single = file.form == RecordingForm::kPcapSingle;
  RtpproxySession& session = *call.rtpproxy();
  file.call_id = session.call_id;
  file.tag = session.tag.substr(0, session.tag.rfind(';'));
  file.suffix = single ? "" : match.from == 0 ? kOwnerSuffix : kOtherSuffix;
  file.file = order.name;
  file.asked_by = order.asked_by;
  std::string name = order.name.empty() ? file.suffix : " " + order.name;
  if (single) name += " ";
  const auto same = std::ranges::find(session.recordings, name, &RtpproxyRecording::name);
  if (same != session.recordings.end() && same->records[match.from]) return !single;
  if (same != session.recordings.end() && single) {
    same->records[match.from] = true;
    follow_recordings(call);
    return true;
  }
  RtpproxyRecording& made = session.recordings.emplace_back();
  made.name = std::move(name);
  made.records[match.from] = true;
  made.recording = services_.recorder->start(file);
  made.tap =
      services_.taps.attach(call, {.tap = &made.recording->tap(),
                                   .hears =
                                       [&made](const MediaTransport& transport, const LocalPorts& ports) {
                                         const Call& session_call = transport.call();
                                         if (&ports != transport.sending_ports()) return false;
                                         for (std::size_t i = 0; i < made.records.size(); ++i) {
                                           if (transport.leg == session_call.legs[i].get())
                                             return made.records[i];
                                         }
                                         return false;
                                       },
                                   .on_attached = {}});
  services_.observers.tell(&CallObserver::on_recording, call, RecordingStep::kBegan, order.asked_by);
  follow_recordings(call);
  return true;
}

RecordedCall RtpproxySessions::describe(const Call& call, const RtpproxyRecording& recording) const {
  RecordedCall described;
  for (std::size_t i = 0; i < 2; ++i) {
    const Leg& leg = *call.legs[i];
    described.parties.push_back({leg.number, leg.tag, {}, {}, !recording.records[i]});
    const LocalPorts* ports = ports_of(call, i);
    if (!recording.records[i] || ports == nullptr) continue;
    const Media& media = media_of(call, i);
    described.streams.push_back(
        {ports->transport, media.id, leg.number, 1, media.type, {ports->local->address, ports->port}, {}});
  }
  return described;
}

void RtpproxySessions::follow_recordings(Call& call) {
  services_.taps.renew(call);
  for (RtpproxyRecording& recording : call.rtpproxy()->recordings)
    recording.recording->describe(describe(call, recording));
}

void RtpproxySessions::end_recording(const Call& call, RtpproxyRecording& recording,
                                     std::string_view reason) {
  services_.taps.detach(recording.tap);
  recording.recording->end(reason);
  services_.recordings.finish_later(std::move(recording.recording));
  services_.observers.tell(&CallObserver::on_recording, call, RecordingStep::kEnded, reason);
}

void RtpproxySessions::end_recordings(Call& call, std::string_view reason) {
  for (RtpproxyRecording& recording : call.rtpproxy()->recordings) end_recording(call, recording, reason);
  call.rtpproxy()->recordings.clear();
}

bool RtpproxySessions::stop_recording(const RtpproxyMatch& match, bool both, const Clock& clock) {
  Call& call = *match.call;
  RtpproxySession& session = *call.rtpproxy();
  bool any = false;
  for (RtpproxyRecording& recording : session.recordings) {
    for (std::size_t i = 0; i < 2; ++i) {
      if (both || i == match.from) any |= std::exchange(recording.records[i], false);
    }
  }
  std::erase_if(session.recordings, [&](RtpproxyRecording& recording) {
    if (recording.records[0] || recording.records[1]) return false;
    end_recording(call, recording, "stopped by a command");
    return true;
  });
  follow_recordings(call);
  if (call.recording() != nullptr) {
    for (std::size_t i = 0; i < 2; ++i) {
      LegExtras& leg = call.legs[i]->ensure_extras();
      if (both || i == match.from) any |= !std::exchange(leg.unrecorded, true);
    }
    if (call.legs[0]->extras->unrecorded && call.legs[1]->extras->unrecorded)
      services_.recordings.end(call, "stopped by a command");
    else
      services_.recordings.follow(call);
  }
  any |= Forwarding(services_).stop(call, both ? nullptr : call.legs[match.from].get(), clock);
  return any;
}

std::optional<RtpproxyPort> RtpproxySessions::copy(const RtpproxyMatch& match, const Endpoint& to,
                                                   const Clock& clock) {
  Call& call = *match.call;
  if (services_.interfaces.owner_of(to) != nullptr || services_.interfaces.is_shared(to)) return std::nullopt;
  auto made = Forwarding(services_).start(call, {&media_of(call, match.from)}, to, clock);
  if (!made) return std::nullopt;
  services_.plans.sync(call);
  const LocalPorts& ports = (*made)->medias.front()->via->ports.front();
  return RtpproxyPort{ports.local, ports.port};
}

}  // namespace ferry
