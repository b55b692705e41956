// SPDX-License-Identifier: Apache-2.0
// How a plan comes about: `Planner` makes one `TransportPlan` for one set of local ports. It decides in this
// order which kind of datagrams passes, where the party may be (the latches of RTP and RTCP, and that of an
// offer that waits), how packets are protected, and what each media of the transport may send to which sinks.
//
// The order matters in three places. ICE replaces the latch (LAT-10), so it is decided before the latch of
// RTCP and the proposal are derived. Learning begins anew if the final latch differs from the one that the
// worker was told, so `choose_epoch` comes after it. The policy of the call's protocol comes last, because it
// may change anything.
//
// Trap: while an offer waits for its answer (LAT-15) there are two sets of terms. Where packets are sent
// follows the agreed ones (`in_force`). What is accepted follows both: payload types, rates, mux and kinds
// are the union.
#include "control/call/transport_plans.hpp"

#include "control/call/conversions.hpp"
#include "control/call/flow_treatment.hpp"
#include "control/call/media_extensions.hpp"
#include "control/call/media_ice.hpp"
#include "control/call/media_rules.hpp"
#include "control/call/peer_guard.hpp"
#include "control/sdp/sdp.hpp"
#include "relay/base/random.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

namespace {

// A third pass through the relay is refused (LIM-5).
constexpr int kMaxHairpins = 2;
constexpr std::uint8_t kSsrcs = 8;          // SSR-1
constexpr std::uint8_t kSsrcsOfVideo = 64;  // SSR-1
// The longest MID that goes into header extensions (BND-22). Browsers have one or two characters.
constexpr std::size_t kLongestMid = 32;

/// True if the party has an SDP with our ports: an offer was sent to it, or an answer to its own. Parties of
/// one-party commands got it with the reply.
bool is_told(const Media& media) {
  return media.answered || !media.via->remote_known || !media.leg->from_offer_answer;
}

/// The latch of RTCP: the same rules as for RTP, at another endpoint.
LatchConfig with_rtcp_at(const LatchConfig& rtp, const Endpoint& rtcp) {
  LatchConfig latch = rtp;
  latch.signalled = rtcp;
  if (!rtcp.is_set()) return latch;
  latch.denied = judge_peer(latch.peers, rtcp);
  latch.signalled_void = latch.signalled_void || is_refusal(latch.denied);
  return latch;
}

/// A media that hears the party of `transport`. Null if nobody does.
const Media* receiver_of(const MediaTransport& transport) {
  const Media* found = nullptr;
  for (const auto& leg : transport.call().legs) {
    for (const auto& candidate : leg->medias) {
      for (const Subscription& subscription : candidate->subscriptions) {
        if (subscription.source->via == &transport) found = candidate.get();
      }
    }
  }
  return found;
}

/// Tells a call that passes this relay twice from a loop (LIM-5). `signalled` is one of our ports; true if
/// the way from there ends at a stranger after at most two passes. Each pass must be mutual: the party of the
/// port that we send to has to name the port that we send from.
bool is_hairpin(const LocalPorts& ports, const Endpoint& signalled, const Reach& reach) {
  Endpoint ours{ports.local->advertised, ports.port};
  Endpoint bound{ports.local->address, ports.port};
  Endpoint next = signalled;
  for (int hops = 0; hops < kMaxHairpins; ++hops) {
    const MediaTransport* found = reach.owner_of(next);
    if (found == nullptr) return hops > 0;  // a stranger, or a port that nobody has
    // The other side must mean us, or the packet came here by mistake.
    const Endpoint& its_next = found->in_force().remote_rtp;
    if (its_next != ours && its_next != bound) return false;
    // Go on through the other call: whoever receives what arrives there.
    const Media* through = receiver_of(*found);
    if (through == nullptr) return true;
    const MediaTransport& out = *through->via;
    if (out.sending_ports() == nullptr || !out.in_force().remote_known) return true;
    ours = {out.sending_ports()->local->advertised, out.sending_ports()->port};
    bound = {out.sending_ports()->local->address, out.sending_ports()->port};
    next = out.in_force().remote_rtp;
  }
  return reach.owner_of(next) == nullptr;
}

/// True if no party has encrypted media, agreed or proposed. Only then may other datagrams than RTP leave
/// unchanged.
bool is_plain(const Call& call) {
  return std::ranges::all_of(call.legs, [](const auto& leg) {
    return std::ranges::all_of(leg->medias, [](const auto& media) {
      return !media->encrypted && !sdp::parse_protocol(media->protocol).secure;
    });
  });
}

/// The rate that both an agreed and a proposed stream fit into; 0 = no limit.
RateLimit higher(const RateLimit& a, const RateLimit& b) {
  const auto more = [](std::uint32_t x, std::uint32_t y) { return x == 0 || y == 0 ? 0 : std::max(x, y); };
  return {more(a.packets_per_second, b.packets_per_second), more(a.bytes_per_second, b.bytes_per_second)};
}

/// True if the owner of `subscription` gets what `source` sends. An egress subscription gets it indirectly:
/// whatever is sent to its own source.
bool hears(const Subscription& subscription, const Media& source) {
  if (!subscription.egress) return subscription.source == &source;
  return std::ranges::any_of(subscription.source->subscriptions,
                             [&](const Subscription& s) { return s.source == &source && !s.egress; });
}

/// The media of the transport whose section stands first.
const Media& first_media(const MediaTransport& transport) {
  const auto found = std::ranges::find_if(transport.leg->medias,
                                          [&](const auto& media) { return media->via == &transport; });
  return **found;
}

/// The media that says what a transport carries: one of RTP that is not rejected, or one of RTP, or the
/// first. Protection is for RTP alone, so a fax that is left beside it must not speak for both (SRT-11).
const Media& speaking_media(const MediaTransport& transport) {
  const auto rank = [](const Media& media) {
    const bool is_rtp = media.in_force().kind == TransportKind::kRtp;
    return (is_rtp ? 2 : 0) + (is_rtp && !media.in_force().rejected ? 1 : 0);
  };
  const Media* best = nullptr;
  transport.each_media([&](const Media& media) {
    if (best == nullptr || rank(media) > rank(*best)) best = &media;
  });
  return *best;
}

/// Makes the plan of one set of ports.
class Planner {
 public:
  Planner(const Call& call, MediaTransport& transport, LocalPorts& ports, const PlanInput& input,
          const Reach& reach)
      : call_(call),
        transport_(transport),
        terms_(transport.in_force()),
        ports_(ports),
        first_(first_media(transport)),
        speaker_(speaking_media(transport)),
        input_(input),
        reach_(reach) {}

  PlannedTransport make() {
    choose_datagrams();
    if (plan_->kind == TransportKind::kEndToEnd)
      overhear();
    else
      choose_latches();
    choose_epoch();
    plan_->interface = ports_.local->index;
    plan_->tos = ports_.tos.value_or(call_.tos);
    note_destination();
    choose_keys();
    if (transport_.is_shared()) plan_->mid_extension = mid_number([](sdp::Direction d) { return d.send; });
    transport_.each_media([&](const Media& media) { plan_->sources.push_back(source_of(media)); });
    close_sources();
    choose_reports();
    if (const CallPolicy* policy = call_.policy()) policy->refine(call_, transport_, *plan_);
    for (SourcePlan& source : plan_->sources) {
      source.has_events = std::ranges::any_of(source.payloads, &PayloadEntry::is_event);
      source.inspects_payload = std::ranges::any_of(
          source.sinks, [](const Sink& sink) { return sink.silenced || sink.events_blocked; });
    }
    return std::move(planned_);
  }

 private:
  template <class Predicate>
  [[nodiscard]] bool any(Predicate predicate) const {
    bool found = false;
    transport_.each_media([&](const Media& media) { found = found || predicate(media); });
    return found;
  }
  [[nodiscard]] bool is_video() const {
    return any([](const Media& m) { return m.in_force().is_video; });
  }

  /// Says which datagrams pass. An offer may turn RTP into T.38 or back (LAT-15): both kinds pass until its
  /// answer, but only if nothing is encrypted.
  void choose_datagrams() {
    const TransportKind kind = speaker_.in_force().kind;
    plan_->kind = kind;
    // Toward a fax gateway nothing passes before the answer.
    if (kind != speaker_.kind && is_plain(call_) && !speaker_.fax) {
      if (kind == TransportKind::kRtp && speaker_.kind == TransportKind::kUdptl)
        plan_->takes_udptl = UdptlBesideRtp::kYes;
      plan_->takes_rtp = kind == TransportKind::kUdptl && speaker_.kind == TransportKind::kRtp;
    }
    plan_->rtcp_mux = terms_.mux_used || terms_.mux_offered_to_peer || transport_.mux_offered_to_peer;
    plan_->send_rtcp_muxed = terms_.mux_used;
    plan_->reduced_size_rtcp = terms_.reduced_size_rtcp || transport_.reduced_size_rtcp;
    plan_->send_to_signalled = terms_.rules.asymmetric;
    plan_->wait_for_peer = terms_.wait_for_peer;
    plan_->listening_quality = input_.listening_quality;
  }

  /// Where parties of these ports may be (LAT-11a): what any of their local addresses allows.
  [[nodiscard]] const std::shared_ptr<const PeerPolicy>& peers() const {
    PeerScope scope = PeerGuard::scope_of(*ports_.local);
    for (const LocalPorts::More& more : ports_.more) {
      const PeerScope other = PeerGuard::scope_of(*more.local);
      scope.is_loopback |= other.is_loopback;
      scope.is_link_local |= other.is_link_local;
    }
    return reach_.policy_of(scope);
  }

  /// The rules for the source of RTP as `terms` have them. Without SDP of the party it has no signalled
  /// endpoint.
  [[nodiscard]] LatchConfig latch_under(const TransportTerms& terms, TransportKind kind,
                                        const IpAddress& received_from) const {
    LatchConfig latch;
    latch.policy = terms.rules.policy;
    latch.algorithm = terms.rules.algorithm;
    latch.strict_source = terms.rules.strict_source;
    latch.handover = terms.rules.handover;
    latch.signalling_source = received_from;
    latch.peers = peers();
    if (!terms.remote_known) return latch;
    latch.signalled = terms.remote_rtp;
    if (kind != TransportKind::kOverTcp) latch.denied = judge_peer(latch.peers, terms.remote_rtp);
    latch.signalled_void =
        is_void(ports_.local->advertised, terms.remote_rtp.address) || is_refusal(latch.denied);
    if (reach_.owner_of(terms.remote_rtp) != nullptr) {
      latch.hairpin = is_hairpin(ports_, terms.remote_rtp, reach_);
      latch.loops = !latch.hairpin;
      // LAT-11: such an endpoint is never sent to and never learned.
      if (latch.loops) latch.signalled_void = true;
    } else if (reach_.is_shared(terms.remote_rtp)) {
      // Only ICE says who is behind such a port.
      latch.loops = latch.signalled_void = true;
    }
    return latch;
  }

  /// Decides where the party may be: by ICE, or by latches for RTP and RTCP, and by an offer that waits.
  void choose_latches() {
    LatchConfig latch = latch_under(terms_, speaker_.in_force().kind, transport_.received_from());
    latch.is_told = any(is_told);
    if (MediaIce* ice = transport_.ice_in_force()) {
      // Both ends of a pair at one shared port would be one endpoint (ONE-3).
      const auto is_left_out = [&](const Endpoint& candidate) {
        return ports_.is_shared && reach_.is_shared(candidate);
      };
      // ICE pairs use only the ports that the party was shown last.
      if (&ports_ == transport_.used_ports())
        plan_->ice = ice_plan(*ice, is_answered(), !terms_.mux_used && !ports_.is_shared, locals(), peers(),
                              is_left_out);
    }
    if (plan_->ice || ports_.is_shared) {
      // LAT-10: the selected pair is the only source and destination. At a shared port that holds for a party
      // without ICE, too: nobody said that it wants what comes from there (ONE-3).
      latch = LatchConfig{};
      latch.peers = peers();
      latch.policy = LatchPolicy::kOff;
      latch.by_ice = true;
      plan_->send_to_signalled = false;
    }
    plan_->early_until = early_until();
    LatchConfig rtcp = latch;
    if (!latch.by_ice) rtcp = with_rtcp_at(latch, terms_.remote_known ? terms_.remote_rtcp : Endpoint{});
    plan_->proposed = proposed_peer(latch, rtcp.signalled);
    plan_->rtp_latch = std::move(latch);
    plan_->rtcp_latch = std::move(rtcp);
  }

  /// IP versions of the addresses of these ports, by number.
  [[nodiscard]] std::vector<AddressFamily> locals() const {
    std::vector<AddressFamily> families = {ports_.local->address.family()};
    for (const LocalPorts::More& more : ports_.more) families.push_back(more.local->address.family());
    return families;
  }

  /// Tells the worker of the ICE that the parties do with each other. Only that says where the party is, and
  /// datagrams keep the component that they came by.
  void overhear() {
    plan_->takes_udptl = UdptlBesideRtp::kNo;
    plan_->takes_rtp = false;
    plan_->rtcp_mux = true;
    plan_->send_rtcp_muxed = false;
    plan_->send_to_signalled = false;
    plan_->wait_for_peer = false;
    plan_->is_blocked = is_blocked(first_);
    const LatchConfig named = latch_under(terms_, TransportKind::kEndToEnd, {});
    const LatchConfig named_rtcp = with_rtcp_at(named, terms_.remote_known ? terms_.remote_rtcp : Endpoint{});
    // RFC 8840 §4.1.1: the port of a party that has no candidate yet.
    constexpr UdpPort kDiscard{9};
    const auto place = [&](const LatchConfig& latch) {
      return latch.has_destination() && named.signalled.port != kDiscard ? latch.signalled : Endpoint{};
    };
    const MediaIce* other = nullptr;
    if (const Media* partner = partner_of(first_)) other = partner->via->ice_in_force();
    static const auto kNobody = std::make_shared<const OverheardPlan>();
    // The party is shown one set of ports, so nobody speaks for it at another.
    MediaIce* party = transport_.ice_in_force();
    plan_->overheard =
        party == nullptr || &ports_ != transport_.used_ports()
            ? kNobody
            : overheard_plan(*party, other, {place(named), place(named_rtcp)}, locals(), peers());
    // LAT-10: the address that was overheard is the only source and destination.
    LatchConfig latch;
    latch.peers = peers();
    latch.policy = LatchPolicy::kOff;
    latch.by_ice = true;
    plan_->rtcp_latch = latch;
    plan_->rtp_latch = std::move(latch);
  }

  /// The media of the far side that the party talks to. Null if there is none.
  [[nodiscard]] static const Media* partner_of(const Media& media) {
    const auto found =
        std::ranges::find(media.subscriptions, SubscriptionKind::kOfferAnswer, &Subscription::kind);
    return found == media.subscriptions.end() ? nullptr : found->source;
  }

  /// True if a command or option stops or silences what the media sends, for everybody or for its partner.
  [[nodiscard]] bool is_blocked(const Media& media) const {
    const bool is_stopped = call_.blocked || call_.drop_traffic || media.leg->blocked;
    const bool is_silent = call_.silenced || media.leg->silenced;
    const Media* partner = partner_of(media);
    const Subscription* flow = partner == nullptr ? nullptr : heard_by(*partner, media);
    return is_stopped || is_silent || (flow != nullptr && (flow->blocked || flow->silenced));
  }

  /// What the worker does for a media that passes from end to end: it goes to the partner alone, unchanged.
  /// Whoever else listens would hear nothing but what only the parties can read.
  [[nodiscard]] SourcePlan passing_source(const Media& media) const {
    SourcePlan source;
    source.media = media.id;
    source.is_video = media.in_force().is_video;
    source.rate = media.agreed ? higher(media.in_force().rate, media.rate) : media.rate;
    const Media* partner = partner_of(media);
    const Subscription* flow = partner == nullptr ? nullptr : heard_by(*partner, media);
    const bool passes = flow != nullptr && flow->kind == SubscriptionKind::kOfferAnswer &&
                        partner->in_force().kind == TransportKind::kEndToEnd && !media.in_force().rejected;
    if (!passes) return source;
    Sink sink;
    sink.via = partner->via->sending_ports()->transport;
    sink.to = partner->id;
    source.sinks.push_back(sink);
    return source;
  }

  [[nodiscard]] bool is_answered() const {
    return any([](const Media& m) { return m.answered; });
  }

  /// Until when packets that overtake the answer are kept (LAT-14). The default of the plan = none are.
  [[nodiscard]] Instant early_until() const {
    // A party with ICE, or with keys by DTLS alone, proves by its handshake who it is.
    const bool has_lines = transport_.keys && !transport_.keys->shown.empty();
    const bool is_awaited = any([&](const Media& m) {
      return m.awaited_since != Instant{} && m.kind == TransportKind::kRtp && !m.rejected &&
             !(m.is_encrypted() && transport_.dtls && !has_lines);
    });
    if (!is_awaited || plan_->ice || transport_.rules.algorithm != LearningAlgorithm::kRules)
      return plan_->early_until;
    if (!transport_.remote_known) return Instant::max();
    Instant since{};
    transport_.each_media([&](const Media& media) { since = std::max(since, media.awaited_since); });
    return since + kOfferPatience;
  }

  /// The place where an offer without answer wants the party to be (LAT-15). Null if no offer waits, or if it
  /// leaves the party where it is.
  [[nodiscard]] std::shared_ptr<const ProposedPeer> proposed_peer(const LatchConfig& agreed,
                                                                  const Endpoint& agreed_rtcp) const {
    const MediaIce* ice = transport_.ice_in_force();
    const bool is_rejected = !any([](const Media& m) { return !m.rejected; });
    if (!transport_.agreed || !transport_.remote_known || is_rejected || (ice != nullptr && ice->in_use))
      return nullptr;
    ProposedPeer proposed;
    proposed.rtp = latch_under(transport_, speaker_.kind, transport_.leg->received_from);
    const bool stays =
        proposed.rtp.signalled == agreed.signalled && proposed.rtp.signalled_void == agreed.signalled_void &&
        (!agreed.signalled_void || proposed.rtp.signalling_source == agreed.signalling_source) &&
        transport_.remote_rtcp == agreed_rtcp;
    if (stays || proposed.rtp.loops) return nullptr;
    proposed.rtp.is_proposed = true;
    // The agreed source stays, so the algorithm must not take whoever comes first: strangers would get in
    // beside it.
    proposed.rtp.algorithm = LearningAlgorithm::kRules;
    if (proposed.rtp.policy != LatchPolicy::kOff) proposed.rtp.policy = LatchPolicy::kSignalled;
    proposed.rtp.handover = false;
    proposed.rtcp = with_rtcp_at(proposed.rtp, transport_.remote_rtcp);
    if (ports_.plan && ports_.plan->proposed && *ports_.plan->proposed == proposed)
      return ports_.plan->proposed;
    return std::make_shared<const ProposedPeer>(proposed);
  }

  /// Opens the learning window again if signalling changed what must be learned (LAT-8a), and only then.
  void choose_epoch() {
    const LatchConfig& latch = plan_->rtp_latch;
    const bool source_matters = !plan_->ice && (latch.signalled_void || !terms_.remote_known);
    // Without an earlier plan nothing changed: a first plan opens the window anyway, and a restored transport
    // goes on with what it learned.
    bool changed = false;
    if (ports_.plan) {
      const LatchConfig& before = ports_.plan->rtp_latch;
      changed = before.signalled != latch.signalled ||
                ports_.plan->rtcp_latch.signalled != plan_->rtcp_latch.signalled ||
                before.signalled_void != latch.signalled_void ||
                (source_matters && before.signalling_source != latch.signalling_source);
    }
    const bool restarts = terms_.rules.algorithm != LearningAlgorithm::kRules &&
                          ports_.learned_signal != call_.signals && !transport_.agreed;
    plan_->learning_epoch = ports_.epoch + (changed || restarts ? 1 : 0);
    planned_.learned_signal = transport_.agreed ? ports_.learned_signal : call_.signals;
  }

  /// Notes where packets go, for the register of peers (LAT-12b). The limit holds for an address that has not
  /// signalled itself, of a party that should speak and is sent to.
  void note_destination() {
    const LatchConfig& latch = plan_->rtp_latch;
    const IpAddress address = latch.signalled_void ? latch.signalling_source : latch.signalled.address;
    // ICE asks for consent (ICE-9), also where it is overheard. Nothing is sent for a section over TCP.
    const bool is_unlimited = plan_->ice || plan_->overheard || plan_->kind == TransportKind::kOverTcp;
    if (is_unlimited || latch.loops || address.family() == AddressFamily::kNone || address.is_unspecified())
      return;
    const bool may_speak = any([](const Media& m) { return !m.only_listens(); });
    const bool is_expected = may_speak && !terms_.rules.unidirectional && !terms_.rules.asymmetric;
    const bool is_stranger = address != latch.signalling_source && !latch.hairpin;
    const bool is_listened =
        any([](const Media& m) { return m.answered && m.in_force().may_receive && !m.in_force().rejected; });
    const bool is_sent_to = is_listened && &ports_ == transport_.sending_ports();
    planned_.sends_to = PeerRegister::Entry{.address = address,
                                            .activity = ports_.activity,
                                            .call = call_.serial,
                                            .is_limited = is_expected && is_stranger && is_sent_to,
                                            .epoch = plan_->learning_epoch,
                                            .answered_at = call_.last_signal};
  }

  /// Puts in the keys. Encrypted media gets a plan in any case: one without keys passes nothing (SRT-11).
  void choose_keys() {
    if (!any([](const Media& m) { return m.is_encrypted(); })) return;
    plan_->srtp = srtp_plan(transport_.ensure_keys(), input_.srtp, first_.id, is_video());
    if (!transport_.dtls) return;
    // Ports that the party is not shown any more keep their association, because the offer may be refused and
    // the association has to go on (RFC 3264 §8.3.1).
    const bool goes_on = &ports_ != transport_.active_ports() && ports_.plan && ports_.plan->dtls;
    plan_->dtls =
        goes_on ? ports_.plan->dtls : dtls_plan(*transport_.dtls, is_answered(), call_.serial, input_.dtls);
  }

  /// The ID by which the party of `transport` knows the MID extension, if `allows` accepts the agreed
  /// direction; 0 = there is none. All sections of a BUNDLE group have the same ID (RFC 9143 §12).
  /// With a MID that is too long nobody uses it, because a part of the packets would name no section.
  template <class Allows>
  [[nodiscard]] static std::uint8_t mid_number_of(const MediaTransport& transport, Allows allows) {
    std::uint8_t number = 0;
    bool is_too_long = false;
    transport.each_media([&](const Media& media) {
      const MediaTerms& terms = media.in_force();
      is_too_long = is_too_long || (!terms.rejected && terms.mid.size() > kLongestMid);
      const auto* mid = media.extensions ? std::as_const(*media.extensions).find(kMidExtension) : nullptr;
      if (mid == nullptr || number != 0) return;
      const auto direction = media.extensions->in_force(*mid);
      if (direction && allows(*direction)) number = mid->id;
    });
    return is_too_long ? std::uint8_t{0} : number;
  }
  /// The same for the transport that is planned.
  template <class Allows>
  [[nodiscard]] std::uint8_t mid_number(Allows allows) const {
    return mid_number_of(transport_, allows);
  }

  /// True if MID is about the sections of this transport alone: several share it, or a group has it.
  [[nodiscard]] static bool names_sections(const MediaTransport& transport) {
    return transport.is_bundle || transport.is_shared();
  }

  /// Returns `known` if it has this text, else a new object. Equal plans then share the object.
  [[nodiscard]] static std::shared_ptr<const std::string> shared_text(
      const std::string& text, const std::shared_ptr<const std::string>& known) {
    if (known && *known == text) return known;
    return std::make_shared<const std::string>(text);
  }

  /// The source of this media in the plan that the worker was told last. Null if there is none.
  [[nodiscard]] const SourcePlan* former_source(const Media& media) const {
    if (!ports_.plan) return nullptr;
    const auto found = std::ranges::find(ports_.plan->sources, media.id, &SourcePlan::media);
    return found == ports_.plan->sources.end() ? nullptr : &*found;
  }

  /// Lets the relay name the receiver's section in packets to it (RFC 9143 §15), where MID was agreed on. A
  /// group of one section needs that, too: with MID Chromium assigns no packet by its payload type alone.
  void name_section(Sink& sink, const Media& receiver, const SourcePlan* former) const {
    if (!names_sections(*receiver.via) || receiver.in_force().mid.empty()) return;
    sink.mid_extension = mid_number_of(*receiver.via, [](sdp::Direction d) { return d.receive; });
    if (sink.mid_extension == 0) return;
    std::shared_ptr<const std::string> known;
    for (std::size_t i = 0; former != nullptr && i < former->sinks.size() && !known; ++i) {
      if (former->sinks[i].to == receiver.id) known = former->sinks[i].mid;
    }
    sink.mid = shared_text(receiver.in_force().mid, known);
  }

  /// Lets the relay name the party's section in packets of its own to the party: the same as `name_section`
  /// does for those of others.
  void name_own_packets(const Media& media, SourcePlan& source) const {
    const std::string& mid = media.in_force().mid;
    if (!names_sections(transport_) || mid.empty()) return;
    source.written_mid_extension = mid_number([](sdp::Direction d) { return d.receive; });
    if (source.written_mid_extension == 0) return;
    const SourcePlan* former = former_source(media);
    source.written_mid = shared_text(mid, former != nullptr ? former->written_mid : nullptr);
  }

  /// The source of one media: what it may send, and who hears it.
  [[nodiscard]] SourcePlan source_of(const Media& media) const {
    if (plan_->kind == TransportKind::kEndToEnd) return passing_source(media);
    const MediaTerms& terms = media.in_force();
    SourcePlan source;
    source.media = media.id;
    source.is_video = terms.is_video;
    source.max_ssrcs = terms.is_video ? kSsrcsOfVideo : kSsrcs;
    // While an offer waits, the newest payload types include the agreed ones.
    source.payloads = media.payloads;
    if (plan_->mid_extension != 0 && !terms.mid.empty()) {
      const SourcePlan* former = former_source(media);
      source.mid = shared_text(terms.mid, former != nullptr ? former->mid : nullptr);
    }
    name_own_packets(media, source);
    if (transport_.is_shared()) source.ssrcs = terms.ssrcs;
    source.rate = media.agreed ? higher(terms.rate, media.rate) : media.rate;
    const bool is_strict_here = transport_.interface != nullptr && transport_.interface->strict_payload_types;
    const bool is_strict = call_.strict_payload_types.value_or(input_.strict_payload_types || is_strict_here);
    source.passes_other_types = !is_strict && !terms.has_fewer_codecs;
    source.refused_types = terms.removed_types;
    source.takes_pli = terms.is_video && terms.takes_pli && media.takes_feedback();
    // With rtcp-mux types 64 to 95 are RTCP packets whose marker bit is missing (RFC 5761 §4).
    for (std::size_t type = 64; plan_->rtcp_mux && type < 96; ++type) source.refused_types.set(type);
    if (!terms.rejected) add_sinks(media, source);
    listen(media, source);
    return source;
  }

  /// Lets the digits in the speech of a party be found, if a client asks for it, or if they have to be known:
  /// they switch something, or leave as something else and are still told.
  void listen(const Media& media, SourcePlan& source) const {
    const DigitRules* rules = media.leg->digit_rules();
    const DigitRules* of_call = call_.digit_rules();
    const bool is_wanted = (rules != nullptr && (rules->detects_tones || rules->has_trigger())) ||
                           (of_call != nullptr && of_call->has_trigger()) || digit_guard(*media.leg);
    const MediaTerms& terms = media.in_force();
    if (!is_wanted || terms.rejected || terms.type != "audio" || terms.kind != TransportKind::kRtp) return;
    std::optional<AudioConversion> heard = listen_to(codecs_of(terms), input_.codecs);
    if (!heard) return;
    const SourcePlan* former = former_source(media);
    source.listening = shared_with(former == nullptr ? nullptr : &former->listening,
                                   std::optional(ToneListening{std::move(*heard)}));
  }

  /// Closes those sources of a group that nothing may come from, so that they claim no packets (RFC 9143
  /// §9.2): sections that are rejected or no RTP, and those without payload types beside others that have
  /// some.
  void close_sources() {
    if (plan_->sources.size() < 2) return;
    std::size_t at = 0;
    transport_.each_media([&](const Media& media) {
      const bool is_over = media.rejected && media.in_force().rejected;
      const bool is_rtp = media.kind == TransportKind::kRtp || media.in_force().kind == TransportKind::kRtp;
      plan_->sources[at++].is_closed = is_over || !is_rtp;
    });
    const bool has_types = std::ranges::any_of(
        plan_->sources, [](const SourcePlan& each) { return !each.is_closed && !each.payloads.empty(); });
    for (SourcePlan& each : plan_->sources) {
      each.is_closed = each.is_closed || (has_types && each.payloads.empty());
      if (!each.is_closed) continue;
      each.payloads.clear();
      each.takes_pli = false;
    }
  }

  /// Adds everybody who hears `media`: the party itself in echo mode, the subscribers in its call, and
  /// listeners in other calls.
  void add_sinks(const Media& media, SourcePlan& source) const {
    Sink common;
    common.blocked = call_.blocked || call_.drop_traffic || media.leg->blocked;
    common.silenced = call_.silenced || media.leg->silenced;
    common.events_blocked = digit_cover(*media.leg) != DigitCover::kNone;
    if (media.echo == MediaEcho::kForward) {
      // Echo: packets go back to where they came from.
      common.via = ports_.transport;
      common.to = media.id;
      source.sinks.push_back(common);
    }
    for (const auto& leg : call_.legs) {
      for (const auto& receiver : leg->medias) {
        const Subscription* subscription = heard_by(*receiver, media);
        if (subscription != nullptr)
          source.sinks.push_back(sink_toward(*receiver, media, *subscription, common));
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

  /// The subscription by which `receiver` hears `media`. Null if it does not.
  [[nodiscard]] static const Subscription* heard_by(const Media& receiver, const Media& media) {
    const LocalPorts* out = receiver.via->sending_ports();
    if (out == nullptr || out->closed || receiver.in_force().rejected) return nullptr;
    // A party in echo or black hole mode exchanges nothing with the other side; subscribers still hear it.
    const bool apart = media.echo != MediaEcho::kOff || receiver.echo != MediaEcho::kOff;
    for (const Subscription& subscription : receiver.subscriptions) {
      if (!hears(subscription, media)) continue;
      if (apart && subscription.kind == SubscriptionKind::kOfferAnswer) continue;
      return &subscription;
    }
    return nullptr;
  }

  /// Says what the relay does with full intra requests (FIR) on their way to the party with these terms. A
  /// party whose SDP has no `a=rtcp-fb` line gets them, because many such clients understand them.
  [[nodiscard]] static FullIntra full_intra_for(const MediaTerms& terms) {
    if (terms.takes_fir || !terms.names_feedback) return FullIntra::kPass;
    return terms.takes_pli ? FullIntra::kAsPictureLoss : FullIntra::kCut;
  }

  /// What `receiver` got of `media` by the plan that the worker was told last. Null if it got nothing.
  [[nodiscard]] const Sink* former_sink(const Media& media, const Media& receiver) const {
    const SourcePlan* former = former_source(media);
    if (former == nullptr) return nullptr;
    const auto found = std::ranges::find(former->sinks, receiver.id, &Sink::to);
    return found == former->sinks.end() ? nullptr : &*found;
  }

  /// The object of the former plan if it is equal to `wanted`, else a new one. Null if nothing is wanted.
  template <class T>
  [[nodiscard]] static std::shared_ptr<const T> shared_with(const std::shared_ptr<const T>* former,
                                                            std::optional<T> wanted) {
    if (!wanted) return nullptr;
    if (former != nullptr && *former && **former == *wanted) return *former;
    return std::make_shared<const T>(std::move(*wanted));
  }

  [[nodiscard]] bool is_made_for(const Media& receiver, const Media& media) const {
    const AudioTreatment treatment =
        treatment_of(media, receiver, former_sink(media, receiver), input_.codecs);
    // The rtpproxy protocol keeps its packet time elsewhere.
    return treatment.conversion || treatment.ptime_ms != 0 || media.in_force().ptime_ms != 0;
  }

  /// Lets the relay report to the party itself (RFC 3550 §6): the client wants it, or the relay makes, or has
  /// made, what the party hears or what its partner hears of it. What was made once stays renumbered.
  void choose_reports() {
    if (plan_->kind != TransportKind::kRtp) return;
    bool is_made = transport_.is_made;
    bool is_relayed = false;
    transport_.each_media([&](const Media& media) {
      is_relayed = is_relayed || has_relayed_key(media);
      for (const Subscription& flow : media.subscriptions) {
        if (flow.rtcp_only || flow.egress || flow.source->in_force().rejected || media.in_force().rejected)
          continue;
        const bool is_partner = flow.kind == SubscriptionKind::kOfferAnswer;
        is_made = is_made || is_made_for(media, *flow.source) ||
                  (is_partner && (flow.source->via->is_made || is_made_for(*flow.source, media)));
      }
    });
    if (is_relayed) return;
    transport_.is_made = is_made;
    // Silence of the relay renumbers a stream, so its packets and reports go together.
    const bool may_hear = any([](const Media& media) {
      const MediaTerms& terms = media.in_force();
      return media.answered && terms.type == "audio" && terms.may_receive && !terms.rejected;
    });
    if (may_hear) plan_->keep_alive_s = input_.keep_alive_s;
    if (!is_made && !call_.generates_rtcp && input_.keep_alive_s == 0) return;
    std::string& name = transport_.leg->ensure_extras().cname;
    // RFC 7022 §4.2: 96 random bits.
    if (name.empty()) name = random_hex(24);
    const auto* former = ports_.plan ? &ports_.plan->own_reports : nullptr;
    plan_->own_reports = shared_with(former, std::optional(OwnReports{name}));
  }

  /// Fills in how the audio of `media` is treated for `receiver`.
  void treat(Sink& sink, const Media& receiver, const Media& media) const {
    const Sink* known = former_sink(media, receiver);
    AudioTreatment treatment = treatment_of(media, receiver, known, input_.codecs);
    if (treatment.conversion && !treatment.conversion->fax) {
      std::optional<DigitGuard> guard = digit_guard(*media.leg);
      // Events that are covered go into the conversion; without one they are dropped.
      if (!guard && sink.events_blocked && treatment.conversion->detects_tones)
        guard = DigitGuard{DigitCover::kDrop, {}, 0, 0};
      if (guard && guard->cover != DigitCover::kNone && guard->cover != DigitCover::kDrop)
        sink.events_blocked = false;
      const auto* former = known != nullptr && known->conversion ? &known->conversion->guard : nullptr;
      treatment.conversion->guard = shared_with(former, std::move(guard));
    }
    sink.conversion =
        shared_with(known == nullptr ? nullptr : &known->conversion, std::move(treatment.conversion));
    sink.renumbering =
        shared_with(known == nullptr ? nullptr : &known->renumbering, std::move(treatment.renumbering));
    sink.ptime_ms = treatment.ptime_ms;
  }

  /// What `receiver` may get of `media`: the blocks of call and party in `common`, and those of this flow.
  [[nodiscard]] Sink sink_toward(const Media& receiver, const Media& media, const Subscription& subscription,
                                 const Sink& common) const {
    Sink sink = common;
    sink.via = receiver.via->sending_ports()->transport;
    sink.to = receiver.id;
    sink.media_allowed = media.in_force().may_send && receiver.in_force().may_receive;
    sink.blocked = sink.blocked || subscription.blocked;
    sink.silenced = sink.silenced || subscription.silenced;
    sink.rtcp_only = subscription.rtcp_only;
    sink.takes_feedback = receiver.takes_feedback();
    sink.full_intra = full_intra_for(receiver.in_force());
    if (media.in_force().kind == TransportKind::kRtp) {
      // Under BUNDLE the element names the sections of one party and means nothing to another (EXT-4).
      const bool names_ours = names_sections(transport_) || names_sections(*receiver.via);
      const bool same_mid = !names_ours && media.in_force().mid == receiver.in_force().mid;
      sink.extensions = extension_map(media.extensions.get(), receiver.extensions.get(), same_mid);
      name_section(sink, receiver, former_source(media));
    }
    if (!sink.rtcp_only) treat(sink, receiver, media);
    return sink;
  }

  const Call& call_;
  MediaTransport& transport_;
  const TransportTerms& terms_;
  LocalPorts& ports_;
  /// The first media. Its number stands for the transport.
  const Media& first_;
  /// The media that says what all medias of the transport have in common.
  const Media& speaker_;
  const PlanInput& input_;
  const Reach& reach_;
  PlannedTransport planned_{&transport_, &ports_, std::make_shared<TransportPlan>(), 0, std::nullopt};
  TransportPlan* plan_ = planned_.plan.get();
};

}  // namespace

PlannedTransport plan_of(const Call& call, MediaTransport& transport, LocalPorts& ports,
                         const PlanInput& input, const Reach& reach) {
  return Planner(call, transport, ports, input, reach).make();
}

std::vector<PlannedTransport> plans_of(const Call& call, const PlanInput& input, const Reach& reach) {
  std::vector<PlannedTransport> plans;
  std::size_t count = 0;
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) count += transport.ports.size();
  }
  plans.reserve(count);
  for (const auto& leg : call.legs) {
    for (MediaTransport& transport : leg->transports) {
      for (LocalPorts& ports : transport.ports) {
        if (!ports.closed) plans.push_back(plan_of(call, transport, ports, input, reach));
      }
    }
  }
  return plans;
}

}  // namespace ferry
