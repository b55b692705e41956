// SPDX-License-Identifier: Apache-2.0
// Collects facts and judges nothing: control/diagnose makes verdicts of them. Terms in force are shown,
// because packets obey them while an offer waits (LAT-15).
#include "control/session/evidence.hpp"

#include "control/call/peer_guard.hpp"
#include "control/call/treated_flows.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace ferry {

namespace {

/// Why nothing of the section is relayed (DMX-6). Empty if something is, or if the party declined the
/// section.
std::string unrelayed(const Call& call, const MediaTerms& terms) {
  if (terms.kind == TransportKind::kOverTcp && !terms.rejected)
    return terms.protocol + " runs over TCP, and the relay passes datagrams alone";
  const bool is_unknown = terms.rejected && terms.kind == TransportKind::kOpaque &&
                          sdp::carriage_of(terms.protocol) == sdp::Carriage::kUnknown;
  return is_unknown && !call.passthrough_unknown
             ? terms.protocol + " is not known to be spoken over UDP; passthrough-unknown relays it"
             : std::string();
}

/// What signalling says of one media.
MediaEvidence signalling_of(const Call& call, const Media& media) {
  MediaEvidence e;
  // An offer without answer changes nothing yet, so the terms in force are shown.
  const MediaTerms& terms = media.in_force();
  const TransportTerms& transport = media.via->in_force();
  e.index = media.index;
  e.type = terms.type;
  e.signalling_source = media.via->received_from();
  e.policy =
      transport.rules.algorithm == LearningAlgorithm::kRules ? transport.rules.policy : LatchPolicy::kAny;
  e.is_rejected = terms.rejected;
  e.is_proposed = media.is_proposed;
  e.unrelayed = unrelayed(call, terms);
  e.may_send = terms.may_send;
  e.may_receive = terms.may_receive;
  e.only_listens = media.only_listens();
  e.is_unidirectional = transport.rules.unidirectional;
  e.is_encrypted = media.is_encrypted();
  e.is_keyed =
      media.via->is_keyed_by_dtls() || (media.via->keys && media.via->keys->in && media.via->keys->out);
  const MediaIce* ice = media.via->ice_in_force();
  e.has_ice = ice != nullptr && ice->in_use;
  e.has_short_ice_credentials = e.has_ice && ice->theirs.is_too_short();
  if (media.via->is_keyed_by_dtls()) e.handshake_begins = media.via->dtls->role == DtlsRole::kClient;
  const LegBundle* bundle = media.leg->bundle();
  e.has_lost_group = bundle != nullptr && bundle->refused_to_peer;
  e.is_blocked =
      call.blocked || call.silenced || call.drop_traffic || media.leg->blocked || media.leg->silenced;
  e.is_rtp = terms.kind == TransportKind::kRtp;
  e.is_end_to_end = terms.passing != Passing::kNo && media.answered;
  e.is_muxed = transport.mux_used;
  e.shown = terms.shown;
  e.earlier = terms.earlier;
  if (media.extras) e.unmade_codecs = media.extras->unmade_codecs;
  if (transport.remote_known) e.signalled = transport.remote_rtp;
  if (const auto* left_out = media.left_out()) {
    for (const LeftOutPeer& each : *left_out) e.left_out.push_back(in_words(each));
  }
  const LocalPorts* ports = media.via->used_ports();
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

}  // namespace

std::string name_of(const Leg& leg) {
  if (!leg.tag.empty()) return leg.tag;
  return leg.label().empty() ? fmt::format("party {}", leg.number) : std::string(leg.label());
}

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

CallEvidence evidence_of(const Call& call, const CallSnapshots& snapshots, const Clock& clock) {
  CallEvidence evidence;
  evidence.call_id = call.id;
  evidence.now = clock.now;
  evidence.wall = clock.wall;
  evidence.created = call.created_at;
  evidence.last_signal = call.last_signal;
  evidence.is_answered = call.answered || call.policy() != nullptr;
  if (call.extras) evidence.refused = call.extras->refused;
  std::vector<std::pair<const Media*, MediaEvidence::Source>> places;
  std::size_t medias = 0;
  for (const auto& leg : call.legs) medias += leg->medias.size();
  places.reserve(medias);
  evidence.legs.reserve(call.legs.size());
  for (const auto& leg : call.legs) {
    LegEvidence& party = evidence.legs.emplace_back();
    party.name = name_of(*leg);
    party.medias.reserve(leg->medias.size());
    for (const auto& media : leg->medias) {
      if (media->untouched || media->hidden) continue;
      places.push_back({media.get(), {evidence.legs.size() - 1, party.medias.size()}});
      party.medias.push_back(signalling_of(call, *media));
      party.medias.back().seen = snapshots.view_of(media->id);
    }
  }
  const std::vector<TreatedFlow> treated = treated_flows(call);
  for (const auto& [media, place] : places) {
    for (const Subscription& subscription : media->subscriptions) {
      if (subscription.rtcp_only || subscription.egress) continue;
      const auto source =
          std::ranges::find(places, subscription.source, [](const auto& each) { return each.first; });
      if (source == places.end()) continue;
      // A party in echo or black hole mode exchanges nothing with the other side, but subscribers still hear
      // it.
      const bool is_apart = media->echo != MediaEcho::kOff || subscription.source->echo != MediaEcho::kOff;
      if (is_apart && subscription.kind == SubscriptionKind::kOfferAnswer) continue;
      MediaEvidence::Source& flow =
          evidence.legs[place.leg].medias[place.media].sources.emplace_back(source->second);
      flow.blocked = subscription.blocked;
      flow.silenced = subscription.silenced;
      const auto changed = std::ranges::find_if(treated, [&, to = media](const TreatedFlow& each) {
        return each.from == subscription.source && each.to == to;
      });
      if (changed == treated.end()) continue;
      flow.treatment = in_words(*changed);
      flow.is_converted = changed->sink->conversion != nullptr;
    }
  }
  return evidence;
}

}  // namespace ferry
