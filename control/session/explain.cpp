// Why who hears whom: what is known of a call, made ready for the verdicts; and calls that ended badly.

#include "control/diagnose/explain.hpp"

#include "control/diagnose/glance.hpp"
#include "control/session/endings.hpp"
#include "control/session/manager.hpp"
#include "control/session/media_control.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace ferry {

using nlohmann::json;

namespace {

constexpr std::size_t kKeptCalls = 256;
constexpr std::size_t kKeptBytes = 8 * 1024 * 1024;
/// What a look found is good for so long, for those who list calls.
constexpr Duration kFresh = std::chrono::seconds(1);

std::string name_of(const Leg& leg) {
  if (!leg.tag.empty()) return leg.tag;
  return leg.label().empty() ? fmt::format("party {}", leg.number) : std::string(leg.label());
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::int64_t unix_ms(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

json to_json(const EarFigures& figures) {
  json j = {{"seconds", seconds(figures.span)},
            {"spoken", figures.spoken},
            {"missing_percent", figures.missing_percent()},
            {"missing_percent_of_call", figures.missing_of_call},
            {"longest_hole_ms", seconds(figures.hole) * 1000},
            {"jitter_ms", seconds(figures.jitter) * 1000}};
  if (figures.mos) j["mos"] = *figures.mos;
  return j;
}

json to_json(const Explanation& explanation) {
  json verdicts = json::array();
  for (const MediaVerdict& verdict : explanation.verdicts) {
    verdicts.push_back({{"leg", verdict.leg},
                        {"media", verdict.media},
                        {"type", verdict.type},
                        {"direction", to_string(verdict.direction)},
                        {"cause", to_string(verdict.cause)},
                        {"severity", to_string(verdict.severity())},
                        {"reception", to_string(verdict.reception())},
                        {"sentence", verdict.sentence},
                        {"evidence", verdict.evidence},
                        {"advice", row_of(verdict.cause).advice}});
    json& row = verdicts.back();
    if (verdict.figures) row["figures"] = to_json(*verdict.figures);
    if (verdict.origin)
      row["origin"] = {{"leg", verdict.origin->leg},
                       {"media", verdict.origin->media},
                       {"cause", to_string(verdict.origin->cause)}};
  }
  json j = {{"call_id", explanation.call_id},
            {"severity", to_string(explanation.worst())},
            {"verdicts", std::move(verdicts)}};
  if (!explanation.verdicts.empty()) j["summary"] = explanation.summary();
  return j;
}

json flight_json(const FlightRing& ring) {
  json packets = json::array();
  Instant newest{};
  ring.for_each([&](const FlightEntry&, Instant at) { newest = at; });
  ring.for_each([&](const FlightEntry& entry, Instant at) {
    const bool is_rtcp = entry.second_octet >= 192 && entry.second_octet <= 223;
    json packet = {{"t", -seconds(newest - at)},
                   {"from", ring.source(entry).to_string()},
                   {"port", entry.on_rtcp_port ? "rtcp" : "rtp"},
                   {"size", entry.size},
                   {"verdict", entry.reason == DropReason::kNone ? "forwarded" : to_string(entry.reason)}};
    if (is_rtcp) {
      packet["rtcp"] = entry.second_octet;
    } else {
      packet["payload_type"] = entry.second_octet & 127;
      packet["marker"] = entry.second_octet > 127;
      packet["sequence"] = entry.sequence;
      packet["timestamp"] = entry.timestamp;
    }
    if (entry.is_below) packet["kernel"] = true;
    packets.push_back(std::move(packet));
  });
  return packets;
}

json flight_json(std::string_view leg, unsigned media, const Endpoint& local, const FlightRing& ring) {
  return {{"leg", leg}, {"media", media}, {"local", local.to_string()}, {"packets", flight_json(ring)}};
}

/// Why nothing of the section is relayed (DMX-6); empty = it is, or the party declined it.
std::string unrelayed(const Call& call, const MediaTerms& terms) {
  if (terms.kind == TransportKind::kOverTcp && !terms.rejected)
    return terms.protocol + " runs over TCP, and the relay passes datagrams alone";
  const bool is_unknown = terms.rejected && terms.kind == TransportKind::kOpaque &&
                          sdp::carriage_of(terms.protocol) == sdp::Carriage::kUnknown;
  return is_unknown && !call.passthrough_unknown
             ? terms.protocol + " is not known to be spoken over UDP; passthrough-unknown relays it"
             : std::string();
}

MediaEvidence signalling_of(const Call& call, const Media& media) {
  MediaEvidence e;
  const MediaTerms& terms = media.in_force();  // an offer without answer changes nothing yet
  e.index = media.index;
  e.type = terms.type;
  e.signalling_source = media.agreed ? media.agreed->received_from : media.leg->received_from;
  e.policy = terms.rules.algorithm == LearningAlgorithm::kRules ? terms.rules.policy : LatchPolicy::kAny;
  e.is_rejected = terms.rejected;
  e.is_proposed = media.is_proposed;
  e.unrelayed = unrelayed(call, terms);
  e.may_send = terms.may_send;
  e.may_receive = terms.may_receive;
  e.only_listens = media.only_listens();
  e.is_unidirectional = terms.rules.unidirectional;
  e.is_encrypted = media.is_encrypted();
  e.is_keyed = media.is_keyed_by_dtls() || (media.keys && media.keys->in && media.keys->out);
  const MediaIce* ice = media.ice_in_force();
  e.has_ice = ice != nullptr && ice->in_use;
  e.has_short_ice_credentials = e.has_ice && ice->theirs.is_too_short();
  if (media.is_keyed_by_dtls()) e.handshake_begins = media.dtls->role == DtlsRole::kClient;
  e.is_blocked =
      call.blocked || call.silenced || call.drop_traffic || media.leg->blocked || media.leg->silenced;
  e.is_rtp = terms.kind == TransportKind::kRtp;
  e.is_muxed = terms.mux_used;
  e.shown = terms.shown;
  e.earlier = terms.earlier;
  if (media.extras) e.unmade_codecs = media.extras->unmade_codecs;
  if (terms.remote_known) e.signalled = terms.remote_rtp;
  if (const auto* left_out = media.left_out()) {
    for (const LeftOutPeer& each : *left_out) e.left_out.push_back(in_words(each));
  }
  const PortSet* ports = media.used_ports();
  if (ports == nullptr || ports->closed) return e;
  e.local = {ports->local->address, ports->port};
  e.advertised = {ports->local->advertised, ports->port};
  e.is_served = !ports->activity->is_unserved.load(std::memory_order_relaxed);
  if (!ports->plan) return e;
  e.loops = ports->plan->rtp_latch.loops;
  e.denied = ports->plan->rtp_latch.denied;
  e.is_void = ports->plan->rtp_latch.signalled_void && !e.loops && !is_refusal(e.denied);
  return e;
}

/// A party that was deleted while the call goes on falls silent, and nobody waits for it: it has no part in
/// who hears whom now. Places of the others stay.
void leave_out_deleted(const Call& call, CallEvidence& evidence) {
  if (call.delete_at) return;
  for (std::size_t gone = 0; gone < call.legs.size(); ++gone) {
    if (!call.legs[gone]->delete_at) continue;
    evidence.legs[gone].medias.clear();
    for (LegEvidence& leg : evidence.legs) {
      for (MediaEvidence& media : leg.medias)
        std::erase_if(media.sources, [gone](const MediaEvidence::Source& s) { return s.leg == gone; });
    }
  }
}

}  // namespace

CallEvidence SessionManager::evidence_of(const Call& call, const Snapshots& snapshots,
                                         const Clock& clock) const {
  CallEvidence evidence;
  evidence.call_id = call.id;
  evidence.now = clock.now;
  evidence.wall = clock.wall;
  evidence.created = call.created_at;
  evidence.last_signal = call.last_signal;
  evidence.is_answered = call.answered || call.classic() != nullptr;
  if (call.extras) evidence.refused = call.extras->refused;
  std::vector<std::pair<const Media*, MediaEvidence::Source>> places;
  for (const auto& leg : call.legs) {
    LegEvidence& party = evidence.legs.emplace_back();
    party.name = name_of(*leg);
    for (const auto& media : leg->medias) {
      if (media->untouched || media->hidden) continue;
      places.push_back({media.get(), {evidence.legs.size() - 1, party.medias.size()}});
      party.medias.push_back(signalling_of(call, *media));
      party.medias.back().seen = snapshots.view_of(media->id);
    }
  }
  for (const auto& [media, place] : places) {
    for (const Subscription& subscription : media->subscriptions) {
      if (subscription.rtcp_only || subscription.egress) continue;
      const auto source =
          std::ranges::find(places, subscription.source, [](const auto& each) { return each.first; });
      if (source == places.end()) continue;
      // A party in echo or black hole mode exchanges nothing with the other side.
      const bool is_apart = media->echo != MediaEcho::kOff || subscription.source->echo != MediaEcho::kOff;
      if (is_apart && subscription.kind == SubscriptionKind::kOfferAnswer) continue;
      MediaEvidence::Source& flow =
          evidence.legs[place.leg].medias[place.media].sources.emplace_back(source->second);
      flow.blocked = subscription.blocked;
      flow.silenced = subscription.silenced;
    }
  }
  return evidence;
}

void SessionManager::watch(const Clock& clock) { glance_at(watch_.next(clock.now), clock); }

void SessionManager::look_at(std::span<const Call* const> calls, const Clock& clock) {
  std::vector<const Call*> old;
  for (const Call* call : calls) {
    if (!call->delete_at && clock.now - watch_.of(*call).looked_at() > kFresh) old.push_back(call);
  }
  glance_at(old, clock);
}

void SessionManager::glance_at(std::span<const Call* const> calls, const Clock& clock) {
  if (calls.empty()) return;
  std::deque<Snapshots> all;  // addresses stay
  try {
    for (const Call* call : calls) post_reads(*call, all.emplace_back());
  } catch (...) {
    plane_.fence();  // workers still write to what was posted
    throw;
  }
  plane_.fence();
  auto snapshots = all.begin();
  for (const Call* call : calls) {
    CallEvidence evidence = evidence_of(*call, *snapshots++, clock);
    leave_out_deleted(*call, evidence);
    const HealthChange change = watch_.take(*call, worst_of(glance(evidence), evidence), clock.now);
    if (!listener_.on_health || (!change.tells_bad && !change.tells_recovery)) continue;
    HealthNews news{
        .is_bad = change.tells_bad, .cause = change.cause, .sentence = {}, .lasted = change.lasted};
    if (news.is_bad) {
      const Explanation words = ferry::explain(evidence);
      if (const MediaVerdict* worst = words.main()) news.sentence = worst->sentence;
    }
    listener_.on_health(*call, news);
  }
}

json SessionManager::explain_call(std::string_view call_id, bool packets, const Clock& clock) {
  Call* call = find(call_id);
  if (call == nullptr) {
    // The newest of that name; a session of the rtpproxy protocol has its tag behind the Call-ID.
    const auto kept = std::find_if(kept_.rbegin(), kept_.rend(), [&](const auto& each) {
      const std::string& id = each->call_id;
      return id == call_id ||
             (id.size() > call_id.size() && id.starts_with(call_id) && id[call_id.size()] == ' ');
    });
    if (kept == kept_.rend()) return nullptr;
    json j = json::parse((*kept)->explanation);
    if (!packets) return j;
    for (const Kept::Flight& flight : (*kept)->flights)
      j["flight"].push_back(flight_json(flight.leg, flight.media, flight.local, *flight.ring));
    return j;
  }
  const Snapshots snapshots = read_snapshots(*call);
  CallEvidence evidence = evidence_of(*call, snapshots, clock);
  leave_out_deleted(*call, evidence);
  json j = to_json(call->extras && call->extras->at_deletion ? *call->extras->at_deletion
                                                             : ferry::explain(evidence));
  j["state"] = call->delete_at ? "deleted" : "running";
  j["age_s"] = seconds(clock.now - call->created_at);
  if (!packets) return j;
  struct Reading {
    const Media* media;
    Endpoint local;
    FlightRing ring;
  };
  std::deque<Reading> readings;
  for (const auto& leg : call->legs) {
    for (const auto& media : leg->medias) {
      for (const PortSet& ports : media->ports) {
        if (ports.closed || !ports.plan) continue;
        readings.push_back({media.get(), {ports.local->address, ports.port}, {}});
        plane_.post(call->worker, ReadFlight{ports.transport, &readings.back().ring}, true);
      }
    }
  }
  plane_.fence();
  json flight = json::array();
  for (const Reading& each : readings) {
    if (!each.ring.empty())
      flight.push_back(flight_json(name_of(*each.media->leg), each.media->index, each.local, each.ring));
  }
  j["flight"] = std::move(flight);
  return j;
}

json SessionManager::explain(std::string_view call_id, bool packets, const Clock& clock) {
  json j = explain_call(call_id, packets, clock);
  const auto refused = refused_.of_call(call_id);
  if (refused.empty()) return j;
  if (j.is_null()) {
    const bool only_ends = std::ranges::all_of(refused, [](const auto* each) { return each->ends; });
    j = {{"call_id", call_id},
         {"state", "refused"},
         {"severity", to_string(only_ends ? Severity::kNote : Severity::kFault)},
         {"summary", in_words(*refused.back())},
         {"verdicts", json::array()},
         {"age_s", seconds(clock.wall - refused.front()->first)}};
  }
  j["refused"] = refused_json(refused, clock.now);
  return j;
}

void SessionManager::begin_ending(Call& call, EndReason reason, const Clock& clock) {
  if (current_ending_ != nullptr && current_ending_->call == &call) return;  // its ports are closing already
  count_ended(call, reason, clock);
  auto ending = std::make_unique<Ending>();
  ending->call = &call;
  ending->report.call_id = call.id;
  ending->report.created = call.created;
  ending->report.ended = clock.wall;
  ending->report.duration = clock.now - call.created_at;
  ending->report.reason = reason;
  if (call.extras && call.extras->at_deletion) {
    ending->report.explanation = *call.extras->at_deletion;
    ending->has_verdict = true;
  }
  ending->evidence = evidence_of(call, {}, clock);
  ending->evidence.is_over = reason == EndReason::kRegular;
  for (const auto& leg : call.legs) {
    auto& ids = ending->medias.emplace_back();
    for (const auto& media : leg->medias) {
      if (media->untouched || media->hidden) continue;
      ids.push_back(media->id);
      if (const PortSet* ports = media->used_ports())
        ending->active.emplace_back(media->id, ports->transport);
      if (!media->extras) continue;
      for (const auto& last : media->extras->last)
        ending->snapshots.entries.emplace_back(media->id, false, Endpoint{}).snapshot = *last;
    }
  }
  endings_.push_back(std::move(ending));
  current_ending_ = endings_.back().get();
}

void SessionManager::finish_endings() {
  while (!endings_.empty()) {
    auto ending = std::move(endings_.front());
    endings_.pop_front();
    CallReport& report = ending->report;
    for (std::size_t l = 0; l < ending->medias.size(); ++l) {
      for (std::size_t m = 0; m < ending->medias[l].size(); ++m)
        ending->evidence.legs[l].medias[m].seen = ending->snapshots.view_of(ending->medias[l][m]);
    }
    if (!ending->has_verdict) report.explanation = glance(ending->evidence);
    const bool ended_badly =
        report.explanation.worst() == Severity::kFault || report.reason == EndReason::kTimeout;
    if (ended_badly && !ending->has_verdict) report.explanation = ferry::explain(ending->evidence);
    for (const LegEvidence& leg : ending->evidence.legs) {
      for (const MediaEvidence& media : leg.medias) {
        StreamReport stream;
        stream.leg = leg.name;
        stream.media = media.index;
        stream.type = media.type;
        if (const MediaView::Stream* newest = media.seen.newest_stream()) {
          stream.stream = newest->counters;
          stream.recent = newest->recent;
          stream.mos = newest->counters.packets == 0 ? 0 : mos_of(newest->counters);
        }
        stream.packets_in = media.seen.counters[0].packets_in;
        stream.packets_out = media.seen.counters[0].packets_out;
        stream.refused = media.seen.drops.total();
        for (const MediaVerdict& verdict : report.explanation.verdicts) {
          if (verdict.leg != leg.name || verdict.media != media.index) continue;
          (verdict.direction == MediaDirection::kFrom ? stream.from : stream.to) = verdict.cause;
        }
        report.streams.push_back(std::move(stream));
      }
    }
    if (listener_.on_report) listener_.on_report(report);
    if (ended_badly) keep(std::move(ending), report);
  }
}

void SessionManager::keep(std::unique_ptr<Ending> ending, const CallReport& report) {
  auto kept = std::make_unique<Kept>();
  kept->call_id = report.call_id;
  json explanation = to_json(report.explanation);
  explanation["state"] = "ended";
  explanation["ended"] = to_string(report.reason);
  explanation["ended_at_ms"] = unix_ms(report.ended);
  explanation["age_s"] = seconds(report.duration);
  kept->explanation = explanation.dump(-1, ' ', false, json::error_handler_t::replace);
  kept->bytes = sizeof *kept + kept->explanation.capacity();
  for (Ending::Flight& flight : ending->flights) {
    if (!flight.ring) continue;
    kept->bytes += sizeof(Kept::Flight) + flight.ring->footprint();
    for (std::size_t l = 0; l < ending->medias.size(); ++l) {
      const auto found = std::ranges::find(ending->medias[l], flight.media);
      if (found == ending->medias[l].end()) continue;
      const LegEvidence& leg = ending->evidence.legs[l];
      const auto m = static_cast<std::size_t>(found - ending->medias[l].begin());
      kept->flights.push_back({leg.name, leg.medias[m].index, flight.local, std::move(flight.ring)});
      break;
    }
  }
  kept_bytes_ += kept->bytes;
  kept_.push_back(std::move(kept));
  while (kept_.size() > kKeptCalls || (kept_bytes_ > kKeptBytes && kept_.size() > 1)) {
    kept_bytes_ -= kept_.front()->bytes;
    kept_.pop_front();
  }
}

SessionManager::KeptSize SessionManager::kept_size() const { return {kept_.size(), kept_bytes_}; }

}  // namespace ferry
