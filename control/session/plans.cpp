// From calls to what workers are told: transport plans, and who may be sent to.

#include "control/session/classic.hpp"
#include "control/session/manager.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/proposals.hpp"
#include "control/session/recordings.hpp"
#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr int kMaxHairpins = 2;  // LIM-5: a third pass is refused

/// The peer has an SDP with our ports: an offer was sent to it, or an answer to its own. Parties that a
/// command made have it with the reply.
bool is_told(const Media& media) {
  return media.answered || !media.remote_known || !media.leg->from_offer_answer;
}

/// What holds for RTP holds for RTCP, but that it is elsewhere.
LatchConfig with_rtcp_at(const LatchConfig& rtp, const Endpoint& rtcp) {
  LatchConfig latch = rtp;
  latch.signalled = rtcp;
  if (!rtcp.is_set()) return latch;
  latch.denied = judge_peer(latch.peers, rtcp);
  latch.signalled_void = latch.signalled_void || is_refusal(latch.denied);
  return latch;
}

}  // namespace

const Media* SessionManager::owner_of(const Endpoint& endpoint) const {
  return static_cast<const Media*>(interfaces_.owner_of(endpoint));
}

bool SessionManager::is_hairpin(const PortSet& ports, const Endpoint& signalled) const {
  Endpoint ours{ports.local->advertised, ports.port};
  Endpoint bound{ports.local->address, ports.port};
  Endpoint next = signalled;
  for (int hops = 0; hops < kMaxHairpins; ++hops) {
    const Media* found = owner_of(next);
    if (found == nullptr) return hops > 0;  // a stranger, or a port that nobody has
    const Media& other = *found;
    // The other side must mean us, or the packet came here by mistake.
    const Endpoint& its_next = other.in_force().remote_rtp;
    if (its_next != ours && its_next != bound) return false;
    // Go on through the other call: whoever receives what arrives there.
    const Media* through = nullptr;
    for (const auto& leg : found->call->legs) {
      for (const auto& candidate : leg->medias) {
        for (const Subscription& subscription : candidate->subscriptions) {
          if (subscription.source == &other) through = candidate.get();
        }
      }
    }
    if (through == nullptr || through->sending_ports() == nullptr || !through->in_force().remote_known)
      return true;
    ours = {through->sending_ports()->local->advertised, through->sending_ports()->port};
    bound = {through->sending_ports()->local->address, through->sending_ports()->port};
    next = through->in_force().remote_rtp;
  }
  return owner_of(next) == nullptr;
}

const std::shared_ptr<const PeerPolicy>& SessionManager::policy_of(const PortSet& ports) const {
  PeerScope scope = PeerGuard::scope_of(*ports.local);
  for (const PortSet::More& more : ports.more) {
    const PeerScope other = PeerGuard::scope_of(*more.local);
    scope.is_loopback |= other.is_loopback;
    scope.is_link_local |= other.is_link_local;
  }
  return guard_.policy_of(scope);
}

LatchConfig SessionManager::latch_config(const MediaTerms& terms, const IpAddress& received_from,
                                         const PortSet& ports) const {
  LatchConfig latch;
  latch.policy = terms.rules.policy;
  latch.algorithm = terms.rules.algorithm;
  latch.strict_source = terms.rules.strict_source;
  latch.handover = terms.rules.handover;
  latch.signalling_source = received_from;
  latch.peers = policy_of(ports);
  if (!terms.remote_known) return latch;
  latch.signalled = terms.remote_rtp;
  if (terms.kind != TransportKind::kOverTcp) latch.denied = judge_peer(latch.peers, terms.remote_rtp);
  latch.signalled_void =
      is_void(ports.local->advertised, terms.remote_rtp.address) || is_refusal(latch.denied);
  if (owner_of(terms.remote_rtp) != nullptr) {
    latch.hairpin = is_hairpin(ports, terms.remote_rtp);
    latch.loops = !latch.hairpin;
    if (latch.loops) latch.signalled_void = true;  // LAT-11: never sent to, never learned
  }
  return latch;
}

std::shared_ptr<const ProposedPeer> SessionManager::proposed_peer(const Media& media, const PortSet& ports,
                                                                  const LatchConfig& agreed,
                                                                  const Endpoint& agreed_rtcp) const {
  const MediaIce* ice = media.ice_in_force();
  if (!media.agreed || !media.remote_known || media.rejected || (ice != nullptr && ice->in_use))
    return nullptr;
  ProposedPeer proposed;
  proposed.rtp = latch_config(media, media.leg->received_from, ports);
  const bool stays = proposed.rtp.signalled == agreed.signalled &&
                     proposed.rtp.signalled_void == agreed.signalled_void &&
                     (!agreed.signalled_void || proposed.rtp.signalling_source == agreed.signalling_source) &&
                     media.remote_rtcp == agreed_rtcp;
  if (stays || proposed.rtp.loops) return nullptr;
  proposed.rtp.is_proposed = true;
  // The agreed source stays: an algorithm that takes whoever comes first would let strangers in beside it.
  proposed.rtp.algorithm = LearningAlgorithm::kRules;
  if (proposed.rtp.policy != LatchPolicy::kOff) proposed.rtp.policy = LatchPolicy::kSignalled;
  proposed.rtp.handover = false;
  proposed.rtcp = with_rtcp_at(proposed.rtp, media.remote_rtcp);
  if (ports.plan && ports.plan->proposed && *ports.plan->proposed == proposed) return ports.plan->proposed;
  return std::make_shared<const ProposedPeer>(proposed);
}

namespace {

/// No party has encrypted media, agreed or proposed: other datagrams leave as they came.
bool is_plain(const Call& call) {
  return std::ranges::all_of(call.legs, [](const auto& leg) {
    return std::ranges::all_of(leg->medias, [](const auto& media) {
      return !media->encrypted && !sdp::parse_protocol(media->protocol).secure;
    });
  });
}

/// The limit that both an agreed and a proposed stream fit into; 0 = none.
RateLimit higher(const RateLimit& a, const RateLimit& b) {
  const auto more = [](std::uint32_t x, std::uint32_t y) { return x == 0 || y == 0 ? 0 : std::max(x, y); };
  return {more(a.packets_per_second, b.packets_per_second), more(a.bytes_per_second, b.bytes_per_second)};
}

}  // namespace

std::shared_ptr<const TransportPlan> SessionManager::make_plan(const Call& call, Media& media,
                                                               PortSet& ports) {
  // LAT-15: until its answer an offer adds to what is accepted and changes nothing else.
  const MediaTerms& terms = media.in_force();
  auto plan = std::make_shared<TransportPlan>();
  plan->kind = terms.kind;
  if (terms.kind != media.kind && is_plain(call)) {
    if (terms.kind == TransportKind::kRtp && media.kind == TransportKind::kUdptl)
      plan->takes_udptl = UdptlBesideRtp::kYes;
    plan->takes_rtp = terms.kind == TransportKind::kUdptl && media.kind == TransportKind::kRtp;
  }
  plan->rtcp_mux = terms.mux_used || terms.mux_offered_to_peer || media.mux_offered_to_peer;
  plan->send_rtcp_muxed = terms.mux_used;
  plan->reduced_size_rtcp = terms.reduced_size_rtcp || media.reduced_size_rtcp;
  plan->send_to_signalled = terms.rules.asymmetric;
  plan->wait_for_peer = terms.wait_for_peer;
  plan->listening_quality = config_.listening_quality;

  LatchConfig latch =
      latch_config(terms, media.agreed ? media.agreed->received_from : media.leg->received_from, ports);
  latch.is_told = is_told(media);
  if (MediaIce* ice = media.ice_in_force()) {
    std::vector<AddressFamily> locals = {ports.local->address.family()};
    for (const PortSet::More& more : ports.more) locals.push_back(more.local->address.family());
    // Pairs are of the port set that the party was shown last.
    const bool is_shown = &ports == media.used_ports();
    if (is_shown) plan->ice = ice_plan(*ice, media.answered, !terms.mux_used, locals, policy_of(ports));
  }
  if (plan->ice) {
    // LAT-10: the selected pair is the only source and destination.
    latch = LatchConfig{};
    latch.peers = policy_of(ports);
    latch.policy = LatchPolicy::kOff;
    latch.by_ice = true;
    plan->send_to_signalled = false;
  }
  // LAT-14. A party with ICE, or with keys by DTLS alone, shows by its handshake who it is.
  const bool has_lines = media.keys && !media.keys->shown.empty();
  if (media.awaited_since != Instant{} && media.kind == TransportKind::kRtp && !media.rejected &&
      !plan->ice && !(media.is_encrypted() && media.dtls && !has_lines) &&
      media.rules.algorithm == LearningAlgorithm::kRules)
    plan->early_until = media.remote_known ? media.awaited_since + Proposals::kPatience : Instant::max();
  LatchConfig rtcp = latch;
  if (!plan->ice) rtcp = with_rtcp_at(latch, terms.remote_known ? terms.remote_rtcp : Endpoint{});
  plan->proposed = proposed_peer(media, ports, latch, rtcp.signalled);

  // LAT-8a: only a change of what we must learn opens the window again.
  const bool source_matters = !plan->ice && (latch.signalled_void || !terms.remote_known);
  // The first plan opens the window anyway, and a restored transport goes on with what it learned.
  bool changed = false;
  if (ports.plan) {
    const LatchConfig& before = ports.plan->rtp_latch;
    changed = before.signalled != latch.signalled || ports.plan->rtcp_latch.signalled != rtcp.signalled ||
              before.signalled_void != latch.signalled_void ||
              (source_matters && before.signalling_source != latch.signalling_source);
  }
  const bool restarts = terms.rules.algorithm != LearningAlgorithm::kRules &&
                        ports.learned_signal != call.signals && !media.agreed;
  if (changed || restarts) ++ports.epoch;
  if (!media.agreed) ports.learned_signal = call.signals;
  plan->learning_epoch = ports.epoch;
  plan->interface = ports.local->index;
  plan->tos = ports.tos.value_or(call.tos);
  plan->rtp_latch = latch;
  plan->rtcp_latch = rtcp;
  follow_peer(call, media, ports, *plan);
  if (media.is_encrypted()) {
    plan->srtp = srtp_plan(media.made_keys(), config_.srtp, media.id, terms.is_video);
    if (media.dtls) {
      // Ports that the party is not shown any more keep their association; it may have to go on (RFC 3264
      // §8.3.1).
      const bool goes_on = &ports != media.active_ports() && ports.plan && ports.plan->dtls;
      plan->dtls =
          goes_on ? ports.plan->dtls : dtls_plan(*media.dtls, media.answered, call.serial, config_.dtls);
    }
  }

  SourcePlan source;
  source.media = media.id;
  source.max_ssrcs = terms.is_video ? 64 : 8;  // SSR-1
  // Until the answer the newest payload types include the agreed ones.
  source.payloads = media.payloads;
  source.rate = media.agreed ? higher(terms.rate, media.rate) : media.rate;
  const bool is_strict = call.strict_payload_types.value_or(
      config_.strict_payload_types || (media.interface != nullptr && media.interface->strict_payload_types));
  source.passes_other_types = !is_strict && !terms.has_fewer_codecs;
  source.refused_types = terms.removed_types;
  // With rtcp-mux they are RTCP whose marker bit is missing (RFC 5761 §4).
  for (std::size_t type = 64; plan->rtcp_mux && type < 96; ++type) source.refused_types.set(type);
  if (!terms.rejected) add_sinks(call, media, ports, source);
  plan->sources.push_back(std::move(source));
  if (call.classic() != nullptr) ClassicSessions::refine(call, media, *plan);
  SourcePlan& last = plan->sources.back();
  last.has_events = std::ranges::any_of(last.payloads, &PayloadEntry::is_event);
  last.inspects_payload =
      std::ranges::any_of(last.sinks, [](const Sink& sink) { return sink.silenced || sink.events_blocked; });
  return plan;
}

void SessionManager::follow_peer(const Call& call, const Media& media, PortSet& ports, TransportPlan& plan) {
  const LatchConfig& latch = plan.rtp_latch;
  const IpAddress address = latch.signalled_void ? latch.signalling_source : latch.signalled.address;
  // ICE asks for consent (ICE-9); nothing is sent for a section over TCP.
  const bool is_unlimited = plan.ice || plan.kind == TransportKind::kOverTcp;
  if (is_unlimited || latch.loops || address.family() == AddressFamily::kNone || address.is_unspecified()) {
    ports.peer.reset();
    return;
  }
  const MediaTerms& terms = media.in_force();
  const bool is_expected = !media.only_listens() && !terms.rules.unidirectional && !terms.rules.asymmetric;
  const bool is_stranger = address != latch.signalling_source && !latch.hairpin;
  const bool is_sent_to =
      media.answered && terms.may_receive && !terms.rejected && &ports == media.sending_ports();
  peers_.follow(ports.peer, {.address = address,
                             .activity = ports.activity,
                             .call = call.serial,
                             .is_limited = is_expected && is_stranger && is_sent_to,
                             .epoch = ports.epoch,
                             .answered_at = call.last_signal});
  plan.unheard_until = ports.peer->unheard_until();
  plan.address_errors = ports.peer->errors();
}

void SessionManager::limit_unheard(Instant now) {
  for (const std::uint64_t serial : peers_.decide(now)) {
    const auto found = by_serial_.find(serial);
    if (found != by_serial_.end()) sync_plans(*found->second);
  }
}

void SessionManager::add_sinks(const Call& call, const Media& media, const PortSet& ports,
                               SourcePlan& source) const {
  Sink common;
  common.blocked = call.blocked || call.drop_traffic || media.leg->blocked;
  common.silenced = call.silenced || media.leg->silenced;
  common.events_blocked = call.events_blocked || media.leg->events_blocked;
  if (media.echo == MediaEcho::kForward) {
    // What comes goes back to where it came from.
    common.via = ports.transport;
    common.to = media.id;
    source.sinks.push_back(common);
  }
  for (const auto& leg : call.legs) {
    for (const auto& receiver : leg->medias) {
      const PortSet* out = receiver->sending_ports();
      if (out == nullptr || out->closed || receiver->in_force().rejected) continue;
      for (const Subscription& subscription : receiver->subscriptions) {
        const bool listens =
            subscription.egress
                ? std::ranges::any_of(subscription.source->subscriptions,
                                      [&](const Subscription& s) { return s.source == &media && !s.egress; })
                : subscription.source == &media;
        if (!listens) continue;
        // A party in echo or black hole mode exchanges nothing with the other side.
        const bool apart = media.echo != MediaEcho::kOff || receiver->echo != MediaEcho::kOff;
        if (apart && subscription.kind == SubscriptionKind::kOfferAnswer) continue;
        Sink sink = common;
        sink.via = out->transport;
        sink.to = receiver->id;
        sink.media_allowed = media.in_force().may_send && receiver->in_force().may_receive;
        sink.blocked = sink.blocked || subscription.blocked;
        sink.silenced = sink.silenced || subscription.silenced;
        sink.rtcp_only = subscription.rtcp_only;
        // The classic protocol says nothing of profiles: everything passes.
        sink.takes_feedback = call.classic() != nullptr || receiver->takes_feedback();
        if (media.in_force().kind == TransportKind::kRtp) {
          const bool same_mid = media.in_force().mid == receiver->in_force().mid;
          sink.extensions = extension_map(media.extensions.get(), receiver->extensions.get(), same_mid);
        }
        source.sinks.push_back(sink);
        break;
      }
    }
  }
  if (!media.extras) return;
  for (const MediaExtras::Feed& feed : media.extras->feeds) {
    Sink copy = common;
    copy.via = feed.via;
    copy.to = feed.to;
    source.sinks.push_back(copy);
  }
}

std::shared_ptr<const DtlsIdentity> SessionManager::dtls_identity(Instant now) {
  constexpr Duration kRotation = 24h;  // DTL-7
  const bool is_old = !dtls_identity_ || now - dtls_identity_made_ >= kRotation;
  if (is_old && config_.dtls.backend) {
    if (auto made = config_.dtls.backend->make_identity()) dtls_identity_ = std::move(made);
    dtls_identity_made_ = now;
  }
  return dtls_identity_;
}

void SessionManager::sync_plans(Call& call) {
  sync_one(call);
  // A call that a hairpin leads to may now know that it is one (LIM-5).
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      const Media* other = media->remote_known ? owner_of(media->remote_rtp) : nullptr;
      if (other != nullptr && other->call != &call) sync_one(*other->call);
    }
  }
}

void SessionManager::note_candidates(Media& media, const sdp::IceDescription& ice) {
  constexpr std::size_t kMaxNoted = 20;  // ICE-4
  const LocalAddress* local = media.local();
  if (local == nullptr) return;
  NamedPeer named;
  named.has_ice = named.trickles = true;
  for (const sdp::IceCandidateLine& each : ice.candidates) named.candidates.push_back(each.at);
  const auto left_out = guard_.admit(named, *local);
  if (!left_out || left_out->empty()) return;
  auto& noted = media.made_extras().left_out;
  for (const LeftOutPeer& each : *left_out) {
    if (noted.size() < kMaxNoted && std::ranges::find(noted, each) == noted.end()) noted.push_back(each);
  }
}

void SessionManager::set_config(const SessionConfig& config) {
  config_ = config;
  if (guard_.set_rules(config_.peers)) sync_all();
}

void SessionManager::sync_all() {
  for (const auto& [id, call] : calls_) sync_one(*call);
}

void SessionManager::sync_one(Call& call) {
  for (const auto& leg : call.legs) {
    for (const auto& media : leg->medias) {
      for (PortSet& ports : media->ports) {
        if (ports.closed) continue;
        const bool is_new = ports.plan == nullptr;
        if (is_new) {
          ports.local->ports->set_owner(ports.port, media.get());
          plane_.set_owner(call.worker, ports.transport, media.get());
        }
        auto plan = make_plan(call, *media, ports);
        std::vector<std::array<PortHandle, 2>> more;
        for (; ports.told < ports.more.size(); ++ports.told) {
          const PortSet::More& each = ports.more[ports.told];
          each.local->ports->set_owner(each.port, media.get());
          more.push_back(each.handles);
          if (!is_new) plane_.post(call.worker, AddPorts{ports.transport, each.handles}, true);
        }
        if (is_new) {
          plane_.post(call.worker,
                      InstallTransport{ports.transport, plan, ports.handles, std::move(more),
                                       std::exchange(ports.restored, nullptr), ports.activity, ports.barred},
                      false);
        } else if (*plan != *ports.plan) {
          plane_.post(call.worker, UpdatePlan{ports.transport, plan}, true);
        } else {
          continue;
        }
        ports.plan = std::move(plan);
      }
    }
  }
  if (call.classic() != nullptr) ClassicSessions(*this).follow_recordings(call);
  Recordings(*this).follow(call);
}

void SessionManager::start_piercing(Call& call, Instant now) {
  constexpr Duration kPierceTime = 10s;  // by then a phone behind NAT has sent something
  std::erase_if(piercing_, [&](const Piercing& p) { return p.call == call.serial; });
  piercing_.push_back({call.serial, now + kPierceTime});
  pierce(now);
}

void SessionManager::pierce(Instant now) {
  std::erase_if(piercing_, [&](const Piercing& each) {
    const auto found = by_serial_.find(each.call);
    if (found == by_serial_.end() || now > each.until) return true;
    Call& call = *found->second;
    bool waiting = false;
    for (const auto& leg : call.legs) {
      for (const auto& media : leg->medias) {
        PortSet* ports = media->active_ports();
        if (ports == nullptr || ports->closed || !ports->plan || !media->pierce || !media->remote_known)
          continue;
        if (ports->activity->last_packet_ns.load(std::memory_order_relaxed) != 0) continue;
        waiting = true;
        plane_.post(call.worker,
                    SendProbe{ports->transport, Ssrc{static_cast<std::uint32_t>(random_u64())},
                              SeqNo{static_cast<std::uint16_t>(random_u64())}},
                    false);
      }
    }
    return !waiting;
  });
}

}  // namespace ferry
