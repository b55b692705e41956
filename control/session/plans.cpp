// From calls to what workers are told: transport plans, and who may be sent to.

#include "control/session/classic.hpp"
#include "control/session/manager.hpp"
#include "control/session/media_rules.hpp"
#include "control/session/recordings.hpp"
#include "relay/base/random.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr int kMaxHairpins = 2;  // LIM-5: a third pass is refused

/// LAT-4: the address that we advertise is global and the peer's cannot be reached from there.
bool is_void(const IpAddress& advertised, const IpAddress& signalled) {
  return advertised.is_global() && (signalled.is_private() || signalled.is_shared() ||
                                    signalled.is_link_local() || signalled.is_unspecified());
}

}  // namespace

const Media* SessionManager::owner_of(const Endpoint& endpoint) const {
  return static_cast<const Media*>(interfaces_.owner_of(endpoint));
}

bool SessionManager::is_hairpin(const PortSet& ports, const Media& media) const {
  Endpoint ours{ports.local->advertised, ports.port};
  Endpoint bound{ports.local->address, ports.port};
  Endpoint next = media.remote_rtp;
  for (int hops = 0; hops < kMaxHairpins; ++hops) {
    const Media* found = owner_of(next);
    if (found == nullptr) return hops > 0;  // a stranger, or a port that nobody has
    const Media& other = *found;
    // The other side must mean us, or the packet came here by mistake.
    if (other.remote_rtp != ours && other.remote_rtp != bound) return false;
    // Go on through the other call: whoever receives what arrives there.
    const Media* through = nullptr;
    for (const auto& leg : found->call->legs) {
      for (const auto& candidate : leg->medias) {
        for (const Subscription& subscription : candidate->subscriptions) {
          if (subscription.source == &other) through = candidate.get();
        }
      }
    }
    if (through == nullptr || through->sending_ports() == nullptr || !through->remote_known) return true;
    ours = {through->sending_ports()->local->advertised, through->sending_ports()->port};
    bound = {through->sending_ports()->local->address, through->sending_ports()->port};
    next = through->remote_rtp;
  }
  return owner_of(next) == nullptr;
}

std::shared_ptr<const TransportPlan> SessionManager::make_plan(const Call& call, Media& media,
                                                               PortSet& ports) {
  auto plan = std::make_shared<TransportPlan>();
  plan->kind = media.kind;
  plan->rtcp_mux = media.mux_used || media.mux_offered_to_peer;
  plan->send_rtcp_muxed = media.mux_used;
  plan->reduced_size_rtcp = media.reduced_size_rtcp;
  plan->send_to_signalled = media.rules.asymmetric;
  plan->wait_for_peer = media.wait_for_peer;
  plan->listening_quality = config_.listening_quality;
  plan->limit_unverified =
      media.answered && !media.only_listens() && !media.rules.unidirectional && !media.rules.asymmetric;

  LatchConfig latch;
  latch.policy = media.rules.policy;
  latch.algorithm = media.rules.algorithm;
  latch.strict_source = media.rules.strict_source;
  latch.handover = media.rules.handover;
  latch.signalling_source = media.leg->received_from;
  if (media.remote_known) {
    latch.signalled = media.remote_rtp;
    latch.signalled_void = is_void(ports.local->advertised, media.remote_rtp.address);
    if (owner_of(media.remote_rtp) != nullptr) {
      latch.hairpin = is_hairpin(ports, media);
      latch.loops = !latch.hairpin;
      if (latch.loops) latch.signalled_void = true;  // LAT-11: never sent to, never learned
    }
  }
  if (media.ice) {
    std::vector<AddressFamily> locals = {ports.local->address.family()};
    for (const PortSet::More& more : ports.more) locals.push_back(more.local->address.family());
    // Pairs are of the port set that the party was shown last.
    const bool is_shown = &ports == media.active_ports();
    if (is_shown) plan->ice = ice_plan(*media.ice, media.answered, !media.mux_used, locals);
  }
  if (plan->ice) {
    // LAT-10: the selected pair is the only source and destination.
    latch = LatchConfig{};
    latch.policy = LatchPolicy::kOff;
    latch.by_ice = true;
    plan->limit_unverified = false;  // consent does that (ICE-9)
    plan->send_to_signalled = false;
  }
  LatchConfig rtcp = latch;
  if (!plan->ice) rtcp.signalled = media.remote_known ? media.remote_rtcp : Endpoint{};

  // LAT-8a: only a change of what we must learn opens the window again.
  const bool source_matters = !plan->ice && (latch.signalled_void || !media.remote_known);
  // The first plan opens the window anyway, and a restored transport goes on with what it learned.
  bool changed = false;
  if (ports.plan) {
    const LatchConfig& before = ports.plan->rtp_latch;
    changed = before.signalled != latch.signalled || ports.plan->rtcp_latch.signalled != rtcp.signalled ||
              before.signalled_void != latch.signalled_void ||
              (source_matters && before.signalling_source != latch.signalling_source);
  }
  const bool restarts =
      media.rules.algorithm != LearningAlgorithm::kRules && ports.learned_signal != call.signals;
  if (changed || restarts) ++ports.epoch;
  ports.learned_signal = call.signals;
  plan->learning_epoch = ports.epoch;
  plan->interface = ports.local->index;
  plan->tos = ports.tos.value_or(call.tos);
  plan->rtp_latch = latch;
  plan->rtcp_latch = rtcp;
  if (media.is_encrypted()) {
    plan->srtp = srtp_plan(media.made_keys(), config_.srtp, media.id, media.is_video);
    if (media.dtls) {
      // Ports that the party is not shown any more keep their association; it may have to go on (RFC 3264
      // §8.3.1).
      const bool goes_on = &ports != media.active_ports() && ports.plan && ports.plan->dtls;
      plan->dtls = goes_on ? ports.plan->dtls : dtls_plan(*media.dtls, media.answered, config_.dtls);
    }
  }

  SourcePlan source;
  source.media = media.id;
  source.max_ssrcs = media.is_video ? 64 : 8;  // SSR-1
  source.payloads = media.payloads;
  source.rate = media.rate;
  const bool is_strict = call.strict_payload_types.value_or(
      config_.strict_payload_types || (media.interface != nullptr && media.interface->strict_payload_types));
  source.passes_other_types = !is_strict && !media.has_fewer_codecs;
  source.refused_types = media.removed_types;
  // With rtcp-mux they are RTCP whose marker bit is missing (RFC 5761 §4).
  for (std::size_t type = 64; plan->rtcp_mux && type < 96; ++type) source.refused_types.set(type);
  if (!media.rejected) add_sinks(call, media, ports, source);
  plan->sources.push_back(std::move(source));
  if (call.classic() != nullptr) ClassicSessions::refine(call, media, *plan);
  SourcePlan& last = plan->sources.back();
  last.has_events = std::ranges::any_of(last.payloads, &PayloadEntry::is_event);
  last.inspects_payload =
      std::ranges::any_of(last.sinks, [](const Sink& sink) { return sink.silenced || sink.events_blocked; });
  return plan;
}

namespace {

/// IDs of `a=extmap` values (RFC 8285 §5: `ID[/direction] URI`) as bits.
std::uint16_t extension_ids(const Media& media) {
  std::uint16_t ids = 0;
  if (!media.extras) return ids;
  for (const std::string& line : media.extras->masked_extmaps) {
    const auto id = Value(std::string_view(line).substr(0, line.find_first_of("/ "))).as_integer();
    if (id && *id > 0 && *id < 16) ids = static_cast<std::uint16_t>(ids | (1u << *id));
  }
  return ids;
}

}  // namespace

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
      if (out == nullptr || out->closed || receiver->rejected) continue;
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
        sink.media_allowed = media.may_send && receiver->may_receive;
        sink.blocked = sink.blocked || subscription.blocked;
        sink.silenced = sink.silenced || subscription.silenced;
        sink.rtcp_only = subscription.rtcp_only;
        // Both know an extension that the answer gave back to the one who offered it.
        sink.masked_extensions = extension_ids(media);
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
  constexpr Duration kPierceTime = 10s;  // as long as anything may go to a peer that is silent (LAT-12)
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
