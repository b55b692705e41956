#include "control/session/classic.hpp"

#include "control/session/media_control.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/proposals.hpp"
#include "control/session/recordings.hpp"
#include "relay/base/random.hpp"
#include "relay/base/static_types.hpp"

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
/// What the media of a session is, nobody says: the limit of LIM-1 for video.
constexpr RateLimit kRate{5000, 0};

/// What is known of payload types by their numbers alone.
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

/// What static types of audio are. Those that are expected most come first.
const std::vector<PayloadEntry>& known_types() {
  static constexpr std::array<PayloadType, 7> kUsual = {{{8}, {0}, {18}, {9}, {3}, {4}, {13}}};
  static const std::vector<PayloadEntry> entries = entries_of(kUsual);
  return entries;
}

/// `stored` is `tag`, or a media of it.
bool is_media_of(std::string_view stored, std::string_view tag) {
  return stored.starts_with(tag) && (stored.size() == tag.size() || stored[tag.size()] == ';');
}

/// Takes the payload types of an SDP over: its receiver may send them. As long as an offer waits, those of
/// before are good too (LAT-15). Without a list every type is.
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

/// Proxies list some of the types of an SDP alone. A static type means the same for everybody (RFC 3551 §6),
/// so it is heard whatever was listed; other numbers are heard if they were.
void add_known_types(std::vector<PayloadEntry>& entries) {
  for (const PayloadEntry& known : known_types()) {
    if (std::ranges::find(entries, known.type, &PayloadEntry::type) == entries.end())
      entries.push_back(known);
  }
}

/// Whether UDPTL passes once two SDPs with these terms are agreed on. Clients that list payload types list
/// them for RTP alone, so a list on either side means RTP.
UdptlBesideRtp udptl_under(const MediaTerms& a, const MediaTerms& b) {
  if (a.lists_types || b.lists_types) return UdptlBesideRtp::kNo;
  return a.offered_unlisted || b.offered_unlisted ? UdptlBesideRtp::kYes : UdptlBesideRtp::kUntilRtp;
}

Media& media_of(const Call& call, std::size_t party) { return *call.legs[party]->medias.front(); }

/// The party's ports in use; an unanswered offer may have made others.
const PortSet* ports_of(const Call& call, std::size_t party) {
  return std::as_const(media_of(call, party)).sending_ports();
}

}  // namespace

CallExtras::CallExtras() = default;
CallExtras::~CallExtras() = default;

std::uint64_t ClassicFigures::relayed() const {
  const std::uint64_t sent = from.counters[0].packets_out + other.counters[0].packets_out;
  return sent - std::min(sent, from.played + other.played);
}

std::uint64_t ClassicFigures::dropped() const {
  const std::uint64_t received = from.counters[0].packets_in + other.counters[0].packets_in;
  const std::uint64_t used = relayed() + from.joined + other.joined;
  return received - std::min(received, used);
}

std::string ClassicSessions::id_of(std::string_view call_id, std::string_view tag) {
  // Neither has a blank in it.
  std::string id;
  id.reserve(call_id.size() + 1 + tag.size());
  return id.append(call_id).append(" ").append(tag);
}

Call* ClassicSessions::by_id(std::string_view call_id, std::string_view tag) const {
  const auto [first, last] = manager_.classic_calls_.equal_range(call_id);
  const auto found =
      std::find_if(first, last, [&](const auto& each) { return each.second->classic()->tag == tag; });
  return found == last ? nullptr : found->second;
}

std::optional<ClassicMatch> ClassicSessions::find(const ClassicNames& names) const {
  if (Call* call = by_id(names.call_id, names.from_tag)) return ClassicMatch{call, 0};
  if (names.to_tag.empty()) return std::nullopt;
  if (Call* call = by_id(names.call_id, names.to_tag)) return ClassicMatch{call, 1};
  // A to-tag without the media number that the from-tag has.
  const auto number = names.from_tag.rfind(';');
  if (number == std::string_view::npos) return std::nullopt;
  if (Call* call = by_id(names.call_id, std::string(names.to_tag).append(names.from_tag.substr(number))))
    return ClassicMatch{call, 1};
  return std::nullopt;
}

std::vector<ClassicMatch> ClassicSessions::find_all(const ClassicNames& names) const {
  std::vector<ClassicMatch> found;
  const auto [first, last] = manager_.classic_calls_.equal_range(names.call_id);
  for (auto each = first; each != last; ++each) {
    Call* call = each->second;
    const std::string_view tag = call->classic()->tag;
    if (is_media_of(tag, names.from_tag)) {
      found.push_back({call, 0});
    } else if ((!names.to_tag.empty() && is_media_of(tag, names.to_tag)) ||
               is_media_of(call->legs[1]->tag, names.from_tag)) {
      found.push_back({call, 1});
    }
  }
  return found;
}

ClassicSession& ClassicSessions::register_session(Call& call, std::size_t call_id_size) {
  call.made_extras().classic = std::make_unique<ClassicSession>();
  ClassicSession& session = *call.classic();
  session.call_id = std::string_view(call.id).substr(0, call_id_size);
  session.tag = std::string_view(call.id).substr(call_id_size + 1);
  manager_.classic_calls_.emplace(session.call_id, &call);
  return session;
}

nlohmann::json ClassicSessions::to_json(const Call& call, Instant now) {
  const ClassicSession* session = call.classic();
  if (session == nullptr) return nullptr;
  nlohmann::json parties = nlohmann::json::array();
  for (const ClassicParty& party : session->parties) {
    nlohmann::json codecs = nlohmann::json::array();
    for (const PayloadType type : party.codecs) codecs.push_back(type.value);
    nlohmann::json one = {{"codecs", std::move(codecs)},
                          {"local", party.local->address.to_string()},
                          {"ttl", party.ttl.count()},
                          {"refreshed_age", (now - party.refreshed).count()},
                          {"weak", party.is_weak}};
    if (party.tos) one["tos"] = *party.tos;
    if (party.rare && !party.rare->dtmf_tag.empty()) {
      one["dtmf_tag"] = party.rare->dtmf_tag;
      one["dtmf_type"] = party.rare->dtmf_type.value;
      one["dtmf_hidden"] = party.rare->hides_dtmf;
    }
    parties.push_back(std::move(one));
  }
  return {{"call_id_size", session->call_id.size()},
          {"parties", std::move(parties)},
          {"notify_target", session->notify_target},
          {"notify_tag", session->notify_tag},
          {"strong", session->is_strong},
          {"has_answers", session->has_answers}};
}

nlohmann::json ClassicSessions::show(const Call& call, const Clock& clock) const {
  const ClassicSession& session = *call.classic();
  const auto left = std::chrono::ceil<std::chrono::seconds>(manager_.due(call).at - clock.now);
  nlohmann::json shown = {{"call_id", session.call_id},
                          {"tag", session.tag},
                          {"answered", call.answered},
                          {"strong", session.is_strong},
                          {"seconds_left", std::max<std::int64_t>(0, left.count())},
                          {"hears_another", session.fed_by != 0},
                          {"notifies", session.notify_target}};
  nlohmann::json recordings = nlohmann::json::array();
  for (const ClassicRecording& each : session.recordings)
    recordings.push_back(nlohmann::json::parse(each.recording->status()));
  shown["recordings"] = std::move(recordings);
  nlohmann::json parties = nlohmann::json::array();
  for (std::size_t i = 0; i < session.parties.size(); ++i) {
    const ClassicParty& party = session.parties[i];
    const MediaTerms& terms = media_of(call, i).in_force();
    parties.push_back({{"on_hold", terms.is_on_hold},
                       {"weak", party.is_weak},
                       {"packet_time_ms", terms.ptime_ms},
                       {"dtmf_caught", party.rare && !party.rare->dtmf_tag.empty()}});
  }
  shown["parties"] = std::move(parties);
  return shown;
}

void ClassicSessions::restore(Call& call, const nlohmann::json& from, Instant now) {
  const std::size_t size = from.at("call_id_size");
  if (size >= call.id.size() || call.id[size] != ' ') throw std::invalid_argument("damaged record");
  ClassicSession& session = register_session(call, size);
  for (std::size_t i = 0; i < 2; ++i) {
    const nlohmann::json& one = from.at("parties").at(i);
    ClassicParty& party = session.parties[i];
    for (const nlohmann::json& type : one.at("codecs")) party.codecs.push_back(PayloadType{type});
    const auto address = IpAddress::parse(one.at("local").get<std::string>());
    party.local = address ? manager_.interfaces_.known_address(*address) : nullptr;
    if (party.local == nullptr) throw std::invalid_argument("its address is gone");
    party.ttl = std::chrono::seconds(one.at("ttl").get<std::int64_t>());
    party.refreshed = now - Duration{one.at("refreshed_age").get<std::int64_t>()};
    party.is_weak = one.at("weak");
    if (one.contains("tos")) party.tos = one.at("tos").get<std::uint8_t>();
    if (!one.contains("dtmf_tag")) continue;
    ClassicParty::Rare& rare = party.made_rare();
    rare.dtmf_tag = one.at("dtmf_tag");
    rare.dtmf_type = PayloadType{one.at("dtmf_type")};
    rare.hides_dtmf = one.at("dtmf_hidden");
  }
  session.notify_target = from.at("notify_target");
  session.notify_tag = from.at("notify_tag");
  session.is_strong = from.at("strong");
  session.has_answers = from.value("has_answers", false);
}

Result<Call*, ClassicError> ClassicSessions::make(const ClassicSignal& signal, const Clock& clock) {
  const std::string id = id_of(signal.names.call_id, signal.names.from_tag);
  if (manager_.find(id) != nullptr) return fail(ClassicError::kTaken);
  // A caller chooses Call-ID and tag: many sessions of one Call-ID would slow every look for one of them.
  if (manager_.classic_calls_.count(signal.names.call_id) >= kMaxSessionsOfCall)
    return fail(ClassicError::kCrowded);
  if (manager_.exceeded_limit()) return fail(ClassicError::kLimit);
  Call& call = manager_.create(id, clock);
  ClassicSession& session = register_session(call, signal.names.call_id.size());
  session.is_strong = !signal.is_weak;
  for (const std::string_view tag : {session.tag, signal.names.to_tag}) {
    Leg& leg = manager_.add_leg(call, std::string(tag), clock);
    Media& media = manager_.add_media(leg, 1, "audio");
    media.protocol = "RTP/AVP";
    media.interface = manager_.interfaces_.default_interface();
    media.rate = kRate;
  }
  media_of(call, 0).subscriptions.push_back({&media_of(call, 1)});
  media_of(call, 1).subscriptions.push_back({&media_of(call, 0)});
  session.parties[0].local = signal.near;
  session.parties[1].local = signal.far;
  return &call;
}

Result<std::vector<LeftOutPeer>, ClassicError> ClassicSessions::admit(
    const ClassicSignal& signal, const std::optional<ClassicMatch>& match) {
  const std::size_t sender = !match ? 0 : signal.is_answer ? match->other() : match->from;
  const LocalAddress* facing = match ? match->call->classic()->parties[sender].local : signal.near;
  if (facing == nullptr) return {};  // there will be no port
  auto left_out = manager_.guard_.admit(named_peer(signal.media, facing->advertised), *facing);
  if (left_out) return std::move(*left_out);
  if (!match) manager_.count_rejected();
  return fail(ClassicError::kAddress);
}

Result<ClassicPort, ClassicError> ClassicSessions::signal(const ClassicSignal& signal, const Clock& clock) {
  auto match = find(signal.names);
  const bool is_new = !match;
  if (is_new && signal.is_answer) return fail(ClassicError::kNotFound);
  auto left_out = admit(signal, match);
  if (!left_out) return fail(left_out.error());
  if (is_new) {
    const auto made = make(signal, clock);
    if (!made) return fail(made.error());
    match = ClassicMatch{*made, 0};
  }
  Call& call = *match->call;
  ClassicSession& session = *call.classic();
  // Whose SDP it is; the reply is for the SDP that the other one gets.
  const std::size_t sender = signal.is_answer ? match->other() : match->from;
  const std::size_t receiver = 1 - sender;
  Media& media = media_of(call, receiver);
  // Without an answer it changes nothing (LAT-15).
  const bool is_proposal = !signal.is_answer && session.has_answers && call.answered;
  const bool wants_port = media.ports.empty() || signal.wants_new_port;
  std::optional<PortSet> opened;
  if (wants_port) {
    const LocalAddress* local =
        !is_new && signal.far != nullptr ? signal.far : session.parties[receiver].local;
    auto ports = manager_.open_ports(call, *local, clock.now);
    if (!ports) {
      if (is_new) {
        manager_.count_rejected();
        manager_.forget(call);
      }
      return fail(ClassicError::kNoPort);
    }
    session.parties[receiver].local = local;
    if (const auto tos = session.parties[receiver].tos) mark(*ports, *tos);
    opened = std::move(*ports);
  }
  if (is_proposal) Proposals(manager_, call).begin(*call.legs[sender], *call.legs[receiver], {}, clock.now);
  if (opened) {
    media.family = opened->local->address.family();
    media.ports.push_back(std::move(*opened));
    media.active = media.ports.size() - 1;
    if (!is_proposal) keep_ports(call, media, media.active);
  }
  ClassicParty& party = session.parties[sender];
  Media& heard = media_of(call, sender);
  heard.awaited_since = {};
  media.awaited_since = signal.is_answer ? Instant{} : clock.now;
  if (signal.media.is_set()) {
    heard.remote_rtp = signal.media;
    heard.remote_rtcp = with_next_port(signal.media);
    heard.remote_known = true;
    heard.note_left_out(std::move(*left_out));
  }
  heard.is_on_hold = signal.is_on_hold;
  party.codecs = signal.codecs;
  heard.lists_types = !signal.codecs.empty();
  heard.offered_unlisted = !signal.is_answer && call.answered && !heard.lists_types;
  take_types(heard, media, signal.codecs, signal.is_answer);
  heard.ptime_ms = signal.ptime_ms;
  if (signal.is_weak)
    session.parties[match->from].is_weak = true;
  else if (!signal.is_answer)
    session.is_strong = true;
  if (!signal.is_answer) {
    session.notify_target = signal.notify_target;
    session.notify_tag = signal.notify_tag;
  }
  if (match->from == 0 && !signal.names.to_tag.empty()) call.legs[1]->tag = signal.names.to_tag;
  if (match->from == 1) call.legs[1]->tag = signal.names.from_tag;
  const bool was_answered = call.answered;
  call.answered = !media_of(call, 0).ports.empty() && !media_of(call, 1).ports.empty();
  heard.rules.asymmetric = signal.asymmetric.value_or(manager_.config_.classic.asymmetric);
  for (std::size_t i = 0; i < 2; ++i) {
    Media& each = media_of(call, i);
    session.parties[i].refreshed = clock.now;
    each.answered = each.is_exchanged = call.answered;
    // Who sends while the other side is not known yet is not listened to.
    each.rules.policy = call.answered ? manager_.config_.classic.latch : LatchPolicy::kOff;
    if (each.rules.asymmetric) each.rules.policy = std::min(each.rules.policy, LatchPolicy::kSignalled);
  }
  call.touched = call.last_signal = clock.now;
  call.last_signal_unix =
      std::chrono::duration_cast<std::chrono::seconds>(clock.wall.time_since_epoch()).count();
  ++call.signals;
  if (is_new) {
    ++manager_.totals_.managed;
    ++manager_.classic_totals_.created;
    call.scheduled_at = Instant::max();
  }
  if (signal.is_answer) {
    session.has_answers = true;
    Proposals(manager_, call).settle(*call.legs[receiver], *call.legs[sender]);
    for (const std::size_t each : {sender, receiver}) {
      Media& settled = media_of(call, each);
      if (!settled.ports.empty()) keep_ports(call, settled, settled.active);
    }
  }
  if (call.answered && !was_answered) complete(call);
  manager_.sync_plans(call);
  if (session.fed_by != 0 && (wants_port || signal.is_answer)) renew_feeds(call);
  if (party_waits(session, receiver)) {
    ClassicParty::Rare& rare = *session.parties[receiver].rare;
    post_prompt(call, receiver, std::exchange(rare.waiting, nullptr), rare.rounds);
  }
  if (const Instant at = manager_.next_look(call); at < call.scheduled_at)
    manager_.schedule(call, at, clock.now);
  const PortSet& ports = *media.active_ports();
  return ClassicPort{ports.local, ports.port};
}

void ClassicSessions::keep_ports(Call& call, Media& media, std::size_t kept) {
  for (std::size_t i = 0; i < media.ports.size(); ++i) {
    if (i != kept) manager_.close_ports(call, media.ports[i]);
  }
  if (kept != 0) std::swap(media.ports.front(), media.ports[kept]);
  media.ports.erase(media.ports.begin() + 1, media.ports.end());
  media.active = media.sending = 0;
}

bool ClassicSessions::party_waits(const ClassicSession& session, std::size_t party) {
  const auto& rare = session.parties[party].rare;
  return rare && rare->waiting;
}

void ClassicSessions::complete(Call& call) {
  ++manager_.classic_totals_.completed;
  if (manager_.recorder_ == nullptr || !manager_.recorder_->records_all() ||
      manager_.config_.classic.recording == RecordingForm::kCall)
    return;
  // Both directions of a session go into one pcap file, as rtpproxy writes it with -a and -P.
  const bool is_pcap = manager_.config_.classic.recording == RecordingForm::kPcap;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}})
    record({&call, party}, {.single = is_pcap, .name = {}, .asked_by = "record-all"});
}

void ClassicSessions::release(const ClassicMatch& match, bool weak, const Clock& clock) {
  ClassicSession& session = *match.call->classic();
  if (weak)
    session.parties[match.from].is_weak = false;
  else
    session.is_strong = false;
  if (session.is_strong || session.parties[0].is_weak || session.parties[1].is_weak) return;
  manager_.destroy(*match.call, EndReason::kRegular, clock);
}

void ClassicSessions::remove_all(const Clock& clock) {
  while (!manager_.classic_calls_.empty())
    manager_.destroy(*manager_.classic_calls_.begin()->second, EndReason::kForced, clock);
}

std::chrono::seconds ClassicSessions::ttl_of(const Call& call, std::size_t party,
                                             const ClassicConfig& config) {
  if (const auto own = call.classic()->parties[party].ttl; own > 0s) return own;
  return !call.answered && config.setup_timeout > 0s ? config.setup_timeout : config.timeout;
}

SessionManager::Due ClassicSessions::due(const Call& call, const ClassicConfig& config,
                                         const Pauses& pauses) {
  const ClassicSession& session = *call.classic();
  std::array<Instant, 2> ends{};
  for (std::size_t i = 0; i < 2; ++i) {
    Instant last = session.parties[i].refreshed;
    const PortSet* ports = ports_of(call, i);
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

void ClassicSessions::set_ttl(Call& call, std::size_t party, std::chrono::seconds ttl, const Clock& clock) {
  ClassicSession& session = *call.classic();
  for (std::size_t i = 0; i < 2; ++i) {
    if (i != party && manager_.config_.classic.independent_legs) continue;
    session.parties[i].ttl = ttl;
    session.parties[i].refreshed = clock.now;
  }
  if (const Instant at = manager_.due(call).at; at < call.scheduled_at)
    manager_.schedule(call, at, clock.now);
}

bool ClassicSessions::set_tos(Call& call, std::size_t party, std::uint8_t tos) {
  if (!call.classic()->parties[party].local->address.is_v4()) return false;
  call.classic()->parties[party].tos = tos;
  for (PortSet& ports : media_of(call, party).ports) mark(ports, tos);
  manager_.sync_plans(call);
  return true;
}

void ClassicSessions::mark(PortSet& ports, std::uint8_t tos) {
  ports.tos = tos;
  for (const PortHandle handle : ports.handles)
    manager_.ports_.set_tos(handle, ports.local->address.family(), tos);
}

ClassicFigures ClassicSessions::figures(const ClassicMatch& match, const Clock& clock) {
  ClassicFigures figures;
  Call& call = *match.call;
  for (std::size_t i = 0; i < 2; ++i) {
    const PortSet* ports = ports_of(call, i);
    if (ports == nullptr) continue;
    manager_.plane_.post(
        call.worker, ReadFigures{ports->transport, i == match.from ? &figures.from : &figures.other}, true);
  }
  manager_.plane_.fence();
  const Duration left = std::max(Duration{0}, manager_.due(call).at - clock.now);
  figures.ttl_s = std::chrono::ceil<std::chrono::seconds>(left).count();
  return figures;
}

void ClassicSessions::post_prompt(Call& call, std::size_t party, std::shared_ptr<const Prompt> prompt,
                                  std::int64_t rounds) {
  const std::uint64_t random = random_u64();
  manager_.plane_.post(
      call.worker,
      StartPrompt{ports_of(call, party)->transport, std::move(prompt), rounds,
                  Ssrc{static_cast<std::uint32_t>(random)}, SeqNo{static_cast<std::uint16_t>(random >> 32)},
                  static_cast<std::uint32_t>(random_u64())},
      true);
}

void ClassicSessions::play(Call& call, std::size_t party, std::shared_ptr<const Prompt> prompt,
                           std::int64_t rounds) {
  ClassicSession& session = *call.classic();
  if (party_waits(session, party)) {
    session.parties[party].rare->waiting.reset();
    ++manager_.classic_totals_.prompts_ended;
  }
  const PortSet* ports = ports_of(call, party);
  if (prompt) ++manager_.classic_totals_.prompts_started;
  if (ports == nullptr) {
    if (!prompt) return;
    session.parties[party].made_rare().waiting = std::move(prompt);
    session.parties[party].rare->rounds = rounds;
  } else if (prompt) {
    post_prompt(call, party, std::move(prompt), rounds);
  } else {
    manager_.plane_.post(call.worker, StopPrompt{ports->transport}, true);
  }
}

void ClassicSessions::catch_dtmf(Call& call, std::size_t party, std::string tag, PayloadType type,
                                 bool hides) {
  ClassicParty::Rare& rare = call.classic()->parties[party].made_rare();
  rare.dtmf_tag = std::move(tag);
  rare.dtmf_type = type;
  rare.hides_dtmf = hides;
  manager_.sync_plans(call);
}

void ClassicSessions::refine(const Call& call, const Media& media, TransportPlan& plan) {
  const ClassicSession& session = *call.classic();
  if (media.leg != call.legs[0].get() && media.leg != call.legs[1].get()) return;  // a copy
  const std::size_t index = media.leg == call.legs[0].get() ? 0 : 1;
  const ClassicParty& party = session.parties[index];
  plan.takes_udptl = udptl_under(media_of(call, 0).in_force(), media_of(call, 1).in_force());
  for (const auto& leg : call.legs) {
    const bool proposes = Proposals::offered_by(*leg) != nullptr && !leg->medias.front()->lists_types;
    if (proposes) plan.takes_udptl = UdptlBesideRtp::kYes;
  }
  SourcePlan& source = plan.sources.back();
  source.takes_any_type = source.payloads.empty();
  add_known_types(source.payloads);
  // RTCP whose marker bit is missing (RFC 5761 §4): no command says that both share a port.
  for (std::size_t type = 64; type < 96; ++type) source.refused_types.set(type);
  const bool catches = party.rare && !party.rare->dtmf_tag.empty();
  if (catches) {
    std::erase_if(source.payloads, [&](const PayloadEntry& e) { return e.type == party.rare->dtmf_type; });
    source.payloads.push_back({party.rare->dtmf_type, G711Law::kNone, 0, true, 8000});
  }
  const PortSet* far = ports_of(call, 1 - index);
  for (Sink& sink : source.sinks) {
    if (far == nullptr || sink.via != far->transport) continue;
    sink.ptime_ms = media.in_force().ptime_ms;
    sink.events_blocked = sink.events_blocked || (catches && party.rare->hides_dtmf);
  }
}

bool ClassicSessions::feed(Call& call, const ClassicMatch& source) {
  if (source.call == &call || source.call->classic()->fed_by != 0) return false;
  if (call.worker != source.call->worker && !manager_.move_call(call.id, source.call->worker)) return false;
  stop_feeds(call);
  ClassicSession& session = *call.classic();
  session.fed_by = source.call->serial;
  session.is_fed_swapped = source.from == 1;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}})
    media_of(call, party).subscriptions.clear();
  manager_.sync_plans(call);
  renew_feeds(call);
  return true;
}

void ClassicSessions::stop_feeds(Call& call) {
  const auto found = manager_.by_serial_.find(call.classic()->fed_by);
  if (found == manager_.by_serial_.end()) return;
  Call& source = *found->second;
  if (source.classic() == nullptr) return;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}}) {
    Media& media = media_of(source, party);
    if (!media.extras) continue;
    std::erase_if(media.extras->feeds, [&](const auto& feed) { return feed.call == call.serial; });
  }
  manager_.sync_plans(source);
}

void ClassicSessions::renew_feeds(Call& call) {
  stop_feeds(call);
  const ClassicSession& session = *call.classic();
  const auto found = manager_.by_serial_.find(session.fed_by);
  if (found == manager_.by_serial_.end() || found->second->classic() == nullptr ||
      found->second->worker != call.worker)
    return;
  Call& source = *found->second;
  for (const std::size_t party : {std::size_t{0}, std::size_t{1}}) {
    // What the owner says goes where our owner's words would go: to the other party.
    const std::size_t listener = (party == 0) != session.is_fed_swapped ? 1 : 0;
    const PortSet* ports = ports_of(call, listener);
    if (ports == nullptr) continue;
    media_of(source, party)
        .made_extras()
        .feeds.push_back({call.serial, ports->transport, media_of(call, listener).id});
  }
  manager_.sync_plans(source);
}

void ClassicSessions::count(ClassicTotals& totals, const SessionManager::ClassicEnd& end) {
  const TransportFigures& a = end.figures[0];
  const TransportFigures& b = end.figures[1];
  const auto how_many = [&](std::size_t component) {
    return (a.counters[component].packets_in != 0 ? 1 : 0) + (b.counters[component].packets_in != 0 ? 1 : 0);
  };
  if (end.was_complete) {
    const int rtp = how_many(0);
    const int rtcp = how_many(1);
    if (rtp == 0) ++totals.without_rtp;
    if (rtp == 1) ++totals.one_way_rtp;
    if (rtcp == 0) ++totals.without_rtcp;
    if (rtcp == 1) ++totals.one_way_rtcp;
  }
  for (const TransportFigures& each : end.figures) {
    totals.expected += each.expected;
    totals.received += each.received;
    totals.duplicates += each.duplicates;
    totals.lost += each.lost;
    totals.not_rtp += each.not_rtp;
  }
}

void ClassicSessions::end(Call& call, EndReason reason, const Clock& clock) {
  ClassicSession& session = *call.classic();
  end_recordings(call, std::string("the call ended: ").append(to_string(reason)));
  if (session.fed_by != 0) stop_feeds(call);
  ClassicTotals& totals = manager_.classic_totals_;
  ++totals.destroyed;
  if (reason != EndReason::kRegular && reason != EndReason::kForced) ++totals.timed_out;
  totals.duration_s += std::chrono::duration<double>(clock.now - call.created_at).count();
  auto& ended = manager_.classic_ended_.emplace_back();
  ended.was_complete = call.answered;
  for (std::size_t i = 0; i < 2; ++i) {
    if (party_waits(session, i)) ++totals.prompts_ended;
    Media& media = media_of(call, i);
    if (media.ports.empty()) continue;
    manager_.close_ports(call, media.ports[media.sending], &ended.figures[i]);
  }
}

// Recording

bool ClassicSessions::record(const ClassicMatch& match, const ClassicRecordingOrder& order) {
  Call& call = *match.call;
  if (manager_.recorder_ == nullptr) return false;
  const RecordingForm wanted = manager_.config_.classic.recording;
  if (wanted == RecordingForm::kCall && order.name.empty()) {
    for (std::size_t i = 0; i < 2; ++i) {
      // The other direction is recorded when it is asked for.
      if (i == match.from || call.recording() == nullptr)
        call.legs[i]->made_extras().unrecorded = i != match.from;
    }
    return Recordings(manager_).record(call, order.asked_by);
  }
  RecordingOrder file;
  file.form = wanted == RecordingForm::kCall ? RecordingForm::kAdHoc : wanted;
  if (file.form == RecordingForm::kPcap && order.single) file.form = RecordingForm::kPcapSingle;
  const bool single = file.form == RecordingForm::kPcapSingle;
  ClassicSession& session = *call.classic();
  file.call_id = session.call_id;
  file.tag = session.tag.substr(0, session.tag.rfind(';'));
  file.suffix = single ? "" : match.from == 0 ? kOwnerSuffix : kOtherSuffix;
  file.file = order.name;
  file.asked_by = order.asked_by;
  std::string name = order.name.empty() ? file.suffix : " " + order.name;
  if (single) name += " ";
  const auto same = std::ranges::find(session.recordings, name, &ClassicRecording::name);
  if (same != session.recordings.end() && same->records[match.from]) return !single;
  if (same != session.recordings.end() && single) {
    same->records[match.from] = true;
    follow_recordings(call);
    return true;
  }
  ClassicRecording& made = session.recordings.emplace_back();
  made.name = std::move(name);
  made.records[match.from] = true;
  made.recording = manager_.recorder_->start(file);
  follow_recordings(call);
  return true;
}

RecordedCall ClassicSessions::describe(const Call& call, const ClassicRecording& recording) const {
  RecordedCall described;
  for (std::size_t i = 0; i < 2; ++i) {
    const Leg& leg = *call.legs[i];
    described.parties.push_back({leg.number, leg.tag, {}, {}, !recording.records[i]});
    const PortSet* ports = ports_of(call, i);
    if (!recording.records[i] || ports == nullptr) continue;
    const Media& media = media_of(call, i);
    described.streams.push_back(
        {ports->transport, media.id, leg.number, 1, media.type, {ports->local->address, ports->port}, {}});
  }
  return described;
}

void ClassicSessions::follow_recordings(Call& call) {
  for (ClassicRecording& recording : call.classic()->recordings) {
    for (std::size_t i = 0; i < 2; ++i) {
      const PortSet* ports = ports_of(call, i);
      if (ports == nullptr || !ports->plan) continue;
      const auto known = std::ranges::find(recording.attached, ports->transport);
      if ((known != recording.attached.end()) == recording.records[i]) continue;
      if (recording.records[i]) {
        recording.attached.push_back(ports->transport);
        manager_.plane_.post(call.worker, AttachTap{ports->transport, &recording.recording->tap()}, true);
      } else {
        recording.attached.erase(known);
        manager_.plane_.post(call.worker, DetachTap{ports->transport, &recording.recording->tap()}, true);
      }
    }
    recording.recording->describe(describe(call, recording));
  }
}

void ClassicSessions::end_recording(Call& call, ClassicRecording& recording, std::string_view reason) {
  for (const TransportId transport : recording.attached)
    manager_.plane_.post(call.worker, DetachTap{transport, &recording.recording->tap()}, true);
  recording.recording->end(reason);
  manager_.ended_recordings_.push_back(std::move(recording.recording));
}

void ClassicSessions::end_recordings(Call& call, std::string_view reason) {
  for (ClassicRecording& recording : call.classic()->recordings) end_recording(call, recording, reason);
  call.classic()->recordings.clear();
}

bool ClassicSessions::stop_recording(const ClassicMatch& match, bool both, const Clock& clock) {
  Call& call = *match.call;
  ClassicSession& session = *call.classic();
  bool any = false;
  for (ClassicRecording& recording : session.recordings) {
    for (std::size_t i = 0; i < 2; ++i) {
      if (both || i == match.from) any |= std::exchange(recording.records[i], false);
    }
  }
  std::erase_if(session.recordings, [&](ClassicRecording& recording) {
    if (recording.records[0] || recording.records[1]) return false;
    end_recording(call, recording, "stopped by a command");
    return true;
  });
  follow_recordings(call);
  if (call.recording() != nullptr) {
    for (std::size_t i = 0; i < 2; ++i) {
      LegExtras& leg = call.legs[i]->made_extras();
      if (both || i == match.from) any |= !std::exchange(leg.unrecorded, true);
    }
    if (call.legs[0]->extras->unrecorded && call.legs[1]->extras->unrecorded)
      Recordings(manager_).end(call, "stopped by a command");
    else
      Recordings(manager_).follow(call);
  }
  any |= manager_.stop_forwarding(call, both ? nullptr : call.legs[match.from].get(), clock);
  return any;
}

std::optional<ClassicPort> ClassicSessions::copy(const ClassicMatch& match, const Endpoint& to,
                                                 const Clock& clock) {
  Call& call = *match.call;
  if (manager_.owner_of(to) != nullptr) return std::nullopt;
  auto made = manager_.forward_to(call, {&media_of(call, match.from)}, to, clock);
  if (!made) return std::nullopt;
  manager_.sync_plans(call);
  const PortSet& ports = (*made)->medias.front()->ports.front();
  return ClassicPort{ports.local, ports.port};
}

}  // namespace ferry
