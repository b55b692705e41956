// How a received datagram is judged.
//
//   classify ─► RTP ──► media source ─► latch ─► rate ─► SSRC ─► sequence ─► count, deliver
//       ├────► RTCP ─► form ─► latch ─► rate ─► read reports ─► count, deliver
//       ├────► UDPTL, BFCP, DTLS or anything, if the plan says so ─► form ─► latch ─► rate ─► deliver
//       └────► else drop
//
// Nothing changes before the latch has judged the source, or a stranger's packet could move the state
// (DMX-5). A step that refuses returns a verdict with its reason, and the drop is counted there and then. If
// a source or an SSRC needs a second packet as confirmation, the worker holds the first one (kHold) and
// judges both again when the second comes (kRelease).
//
// Protected datagrams pass `unprotect` first. STUN and DTLS of a transport with ICE or DTLS never come here:
// the worker hands them to `on_handshake`.
//
// The class is spread over several files:
//   transport_keys.cpp      SRTP keys and ICE
//   transport_dtls.cpp      DTLS handshakes
//   transport_ssrcs.cpp     SSRCs toward receivers that have keys
//   transport_proposal.cpp  an offer that waits for its answer
//   transport_kernel.cpp    streams that the kernel forwards
//   transport_pause.cpp     pauses of the process
//   transport_marks.cpp     figures of the last seconds
//   transport_snapshot.cpp  export and restore

#include "relay/core/forward/transport.hpp"

#include "relay/core/forward/datagram_shape.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// LIM-4: one kind of event is reported at most this often.
constexpr Duration kEventInterval = 10s;
// LAT-12a: an ICMP error counts only for packets as recent as this.
constexpr Duration kRecentlySent = 1s;
// PRT-2: the former call's peer is refused for this long.
constexpr Duration kRestTime = 10s;
// SSR-1: an SSRC that was silent for this long gives way to a new one.
constexpr Duration kSsrcIdle = 1s;
// SSR-1: new SSRCs that a source may begin in a second.
constexpr unsigned kNewSsrcsPerSecond = 5;
// Time that a new SSRC has for its second packet.
constexpr Duration kPendingTime = 250ms;
// RTC-2. The octet limit is derived from that of the media.
constexpr RateLimit kRtcpLimit{50, 0};
// RTC-2: octets per second that RTCP may use in any case.
constexpr std::uint32_t kRtcpFloor = 2000;
// Packets that may overtake each other on their way here.
constexpr std::uint32_t kOnTheirWay = 8;

using Decision = Latch::Judgement::Decision;

/// Why a datagram does not have the form of `kind`; kNone if it has (DMX-6). kRtp is asked only for UDPTL
/// beside RTP.
DropReason refuses_shape(TransportKind kind, Bytes datagram) noexcept {
  switch (kind) {
    case TransportKind::kRtp:
    case TransportKind::kUdptl:
      return is_udptl(datagram) ? DropReason::kNone : DropReason::kMalformedUdptl;
    case TransportKind::kDtls:
      return is_dtls(datagram) ? DropReason::kNone : DropReason::kMalformedDtls;
    case TransportKind::kBfcp:
      return is_bfcp(datagram) ? DropReason::kNone : DropReason::kMalformedBfcp;
    case TransportKind::kOverTcp:
      return DropReason::kOverTcp;
    case TransportKind::kOpaque:
      break;
  }
  return DropReason::kNone;
}

/// True if the answer may still name a source that was refused for this reason (LAT-14).
bool may_be_answerer(DropReason reason) noexcept {
  return reason == DropReason::kSourceNotAllowed || reason == DropReason::kForeignSource ||
         reason == DropReason::kProbation || reason == DropReason::kContested;
}

/// True for a STUN message: it has the magic cookie (RFC 8489 §5).
bool is_stun(Bytes datagram) noexcept { return datagram.size() >= 20 && read_u32(datagram, 4) == 0x2112a442; }

}  // namespace

Transport::Transport(TransportId id, std::shared_ptr<const TransportPlan> plan,
                     std::shared_ptr<TransportActivity> activity, Instant now, const Endpoint& barred)
    : id_(id),
      plan_(std::move(plan)),
      states_(plan_->sources.size()),
      activity_(std::move(activity)),
      marks_(now) {
  // A phone that uses its port again for the next call is no late sender of the former one.
  const Endpoint late = barred == plan_->rtp_latch.signalled ? Endpoint{} : barred;
  latch_[0].restart(plan_->rtp_latch, now, late, kRestTime);
  latch_[1].restart(plan_->rtcp_latch, now);
  follow_proposal(nullptr, now);
  follow_keys(now);
}

void Transport::set_plan(std::shared_ptr<const TransportPlan> plan, Instant now) {
  const auto old = std::exchange(plan_, std::move(plan));
  if (plan_->learning_epoch != old->learning_epoch) {
    const auto learn = [&](Component component, const LatchConfig& config) {
      return settle(latch_[index(component)], proposed_latch(component), config, now);
    };
    learn(Component::kRtcp, plan_->rtcp_latch);
    // While it learns, nobody has proved to be there, whoever was heard before.
    if (learn(Component::kRtp, plan_->rtp_latch) || latch_[0].state() != Latch::State::kLocked) {
      verified_ = false;
      activity_->is_heard.store(false, std::memory_order_relaxed);
    }
    reachability_.reset();
  } else {
    latch_[0].update(plan_->rtp_latch);
    latch_[1].update(plan_->rtcp_latch);
  }
  follow_proposal(old.get(), now);
  // Without shared errors nothing pauses this transport, so a pause that there was ends.
  if (!plan_->address_errors) reachability_.reset();
  rebuild_sources(*old);
  // Handshakes and checks under way end with the part of the plan that asked for them.
  if (!plan_->dtls) dtls_.reset();
  if (!plan_->ice) {
    ice_.reset();
    local_ = {};
  } else if (ice_ && plan_->ice != old->ice) {
    ice_->follow(*plan_->ice, now);
  }
  if (plan_->srtp != old->srtp || plan_->dtls != old->dtls) follow_keys(now);
}

void Transport::rebuild_sources(const TransportPlan& old) {
  std::vector<SourceState> states(plan_->sources.size());
  for (std::size_t i = 0; i < states.size(); ++i) {
    // A media keeps its statistics, SSRCs and limits although the list of medias changed.
    const auto same = std::ranges::find(old.sources, plan_->sources[i].media, &SourcePlan::media);
    if (same == old.sources.end()) continue;
    states[i] = std::move(states_[static_cast<std::size_t>(same - old.sources.begin())]);
    // A stream that gets its first limit, for example after a fax, begins with a full bucket.
    const RateLimit& limit = plan_->sources[i].rate;
    const bool begins = (same->rate.bytes_per_second == 0 && limit.bytes_per_second != 0) ||
                        (same->rate.packets_per_second == 0 && limit.packets_per_second != 0);
    if (begins) states[i].bucket = {};
  }
  states_ = std::move(states);
}

Verdict Transport::drop(Component component, DropReason reason) noexcept {
  count_refused(component, reason, 1);
  return {Verdict::Kind::kDrop, reason, 0, 0, false};
}

Verdict Transport::on_datagram(ReceivedPacket& packet, const OwnMedia& own) noexcept {
  if (plan_->kind != TransportKind::kRtp && !is_rtp_beside_udptl(packet)) return on_whole(packet, own);
  const Component component = packet.component();
  const bool is_rtp = packet.kind == DatagramClass::kRtp || packet.kind == DatagramClass::kRtcp;
  // T.38 gateways change from RTP to UDPTL on the same port. UDPTL has no mark of its own, so whatever is
  // neither RTP nor STUN and has its form counts as UDPTL.
  const bool has_form_of_udptl =
      !is_rtp && component == Component::kRtp && !is_stun(packet.datagram) && is_udptl(packet.datagram);
  if (has_form_of_udptl && takes_udptl()) return on_whole(packet, own);
  // Some phones keep a NAT open with odd datagrams. They are dropped, but show that the peer is there.
  if (!is_rtp) note_keep_alive(component, packet.from, packet.datagram, packet.at);
  if (has_form_of_udptl) return drop(component, DropReason::kUdptlUnexpected);
  switch (packet.kind) {
    case DatagramClass::kStun:
      return drop(component, DropReason::kStunUnexpected);
    case DatagramClass::kDtls:
      return drop(component, DropReason::kDtlsUnexpected);
    case DatagramClass::kUnknown:
      return drop(component, DropReason::kUnknownProtocol);
    case DatagramClass::kRtcp:
      return on_rtcp(packet, heard_as(component, packet.from), own);
    case DatagramClass::kRtp:
      break;
  }
  if (component == Component::kRtcp) return drop(component, DropReason::kNotRtcp);
  return on_rtp(packet, heard_as(component, packet.from), own);
}

Verdict Transport::from_judgement(Component component, const Latch::Judgement& judgement,
                                  std::size_t first_slot, Instant now) noexcept {
  Verdict verdict;
  verdict.slot = static_cast<std::uint8_t>(first_slot + judgement.slot);
  switch (judgement.decision) {
    case Decision::kHold:
      verdict.kind = Verdict::Kind::kHold;
      return verdict;
    case Decision::kRelease:
      verdict.kind = Verdict::Kind::kRelease;
      note(TransportEvent::kLocked);
      return verdict;
    case Decision::kAccept:
      verdict.kind = Verdict::Kind::kForward;
      return verdict;
    case Decision::kReject:
      break;
  }
  // LAT-14: the answer may name this source, so the packet is kept instead of counted.
  if (keeps_early(now) && may_be_answerer(judgement.reason)) {
    verdict.kind = Verdict::Kind::kKeep;
    verdict.reason = DropReason::kEarlyMedia;
    return verdict;
  }
  if (judgement.reason == DropReason::kForeignSource) note(TransportEvent::kForeignSource);
  if (judgement.reason == DropReason::kContested) note(TransportEvent::kContested);
  return drop(component, judgement.reason);
}

std::optional<std::size_t> Transport::source_for(PayloadType type, Ssrc ssrc,
                                                 const PayloadEntry*& payload) const noexcept {
  const auto payload_in = [&](const SourcePlan& source) -> const PayloadEntry* {
    const auto found = std::ranges::find(source.payloads, type, &PayloadEntry::type);
    return found == source.payloads.end() ? nullptr : &*found;
  };
  std::optional<std::size_t> by_type;
  for (std::size_t i = 0; i < plan_->sources.size(); ++i) {
    const SourcePlan& source = plan_->sources[i];
    const PayloadEntry* entry = payload_in(source);
    if (entry == nullptr && !source.is_open_to(type)) continue;
    // RFC 9143 §9.2: a known SSRC stays with its media; for a new one the payload type decides.
    const bool known = plan_->sources.size() > 1 &&
                       std::ranges::any_of(states_[i].ingress,
                                           [&](const StreamStats& s) { return s.counters().ssrc == ssrc; });
    if (known || !by_type) {
      by_type = i;
      payload = entry;
    }
    if (known) break;
  }
  return by_type;
}

bool Transport::is_established(const Endpoint& from, Ssrc ssrc) const noexcept {
  // With one source the payload type need not say whose packet it is; under BUNDLE it has to.
  const Latch& latch = latch_[0];
  if (latch.state() != Latch::State::kLocked || from != latch.learned() || states_.size() != 1) return false;
  return std::ranges::any_of(states_[0].ingress,
                             [&](const StreamStats& s) { return s.counters().ssrc == ssrc; });
}

bool Transport::refuses_type(const ReceivedPacket& packet) const noexcept {
  const PayloadType type{static_cast<std::uint8_t>(read_u8(packet.datagram, 1) & 0x7f)};
  const Ssrc ssrc{read_u32(packet.datagram, 8)};
  const PayloadEntry* payload = nullptr;
  return !source_for(type, ssrc, payload) && !is_established(packet.from, ssrc);
}

void Transport::note_other_type(const Endpoint& from, const RtpView& rtp, Instant now) noexcept {
  Evidence* evidence = made_evidence();
  if (evidence == nullptr) return;
  // Control hears of the first packet of each type only.
  if (!evidence->other_types.test(rtp.payload_type.value & 127)) note(TransportEvent::kOtherTypePasses);
  evidence->note_other(from, rtp.payload_type, rtp.ssrc, rtp.sequence, now);
}

Verdict Transport::on_rtp(ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept {
  const Component component = packet.component();
  const Instant now = packet.at;
  const auto rtp = parse_rtp(packet.datagram);
  if (!rtp) return drop(component, DropReason::kMalformedRtp);
  packet.rtp = *rtp;
  Latch& latch = latch_[index(component)];
  const PayloadEntry* payload = nullptr;
  // Which media source? A type that nobody negotiated belongs to none, unless it comes from the locked peer
  // under an admitted SSRC (DMX-4).
  auto source = source_for(rtp->payload_type, rtp->ssrc, payload);
  const bool is_negotiated = source.has_value();
  if (!is_negotiated && is_established(from, rtp->ssrc) &&
      plan_->sources[0].may_pass_other(rtp->payload_type)) {
    // Such a packet passes but founds nothing, so it must not confirm a sequence jump either.
    if (!is_protected() && !states_[0].continues(rtp->ssrc, rtp->sequence))
      return drop(component, DropReason::kSequenceJump);
    source = 0;
  }
  if (!source) {
    // The latch is not asked: a packet of an unknown type must not teach it an address (DMX-4, DMX-5). The
    // reason tells the operator which of the two is wrong.
    const bool foreign = latch.state() == Latch::State::kLocked && from != latch.learned();
    note(foreign ? TransportEvent::kForeignSource : TransportEvent::kUnknownPayloadType);
    note_keep_alive(component, from, packet.datagram, now);
    return drop(component, foreign ? DropReason::kForeignSource : DropReason::kUnknownPayloadType);
  }
  // Which source address? While an offer waits for its answer, one of two latches decides (LAT-15).
  const auto [judgement, is_proposed] = judge_source(
      component, from, [&](Latch& judge) { return judge.on_rtp(from, rtp->ssrc, rtp->sequence, now, own); });
  if (judgement.decision != Decision::kAccept)
    return from_judgement(component, judgement, is_proposed ? kProposedSlots : 0, now);

  // The sender is known to be the peer now, so the packet may change state.
  const SourcePlan& plan = plan_->sources[*source];
  SourceState& state = states_[*source];
  if (proposal_ && collides(state, *rtp, is_proposed, now))
    return drop(component, DropReason::kSsrcCollision);
  if (packet.has_waited && is_stale(state, *rtp, payload, now))
    return drop_stale(component, state, *rtp, packet.datagram.size(), now);
  if (!state.bucket.take(plan.rate, packet.datagram.size(), now)) {
    note(TransportEvent::kRateLimited);
    return drop(component, DropReason::kRateLimited);
  }
  Verdict verdict;
  StreamStats* stats = admit(state, plan, *rtp, now, verdict);
  if (stats == nullptr) return verdict;
  // The index of a protected packet has been checked by SRTP, which allows no jump.
  if (!is_protected() && stats->check(rtp->sequence) != StreamStats::Check::kOk)
    return drop(component, DropReason::kSequenceJump);
  // A confirmed restart shows as one more reset after `count`; receivers with keys need to know (SSR-4).
  const std::uint64_t lost = stats->counters().lost();
  const std::uint32_t resets = stats->counters().resets;
  // Nobody knows when a packet that waited came, so it says nothing about jitter.
  stats->count(*rtp, packet.datagram.size(),
               payload != nullptr && !packet.has_waited ? payload->clock_rate_hz : 0, now);
  if (payload != nullptr && payload->g711 != G711Law::kNone) {
    stats->count_g711(is_silent(payload->g711, rtp->payload), now);
  }
  publish(stats->counters(), 1, lost);
  activity_->last_rtp_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  packet.payload = payload;
  verdict = deliver(packet, *source, false);
  verdict.is_negotiated = is_negotiated;
  if (!is_negotiated) note_other_type(from, *rtp, now);
  verdict.restarts = stats->counters().resets != resets;
  return verdict;
}

StreamStats* Transport::admit(SourceState& state, const SourcePlan& source, const RtpView& rtp, Instant now,
                              Verdict& verdict) noexcept {
  // SSR-1: the first SSRC of a source is admitted at once. A later one must show two packets in sequence; the
  // first of them is held. That keeps a stray or forged packet from founding a stream.
  const auto known = std::ranges::find_if(
      state.ingress, [&](const StreamStats& s) { return s.counters().ssrc == rtp.ssrc; });
  if (known != state.ingress.end()) return &*known;
  if (!state.ingress.empty()) {
    auto pending = std::ranges::find_if(state.pending,
                                        [&](const PendingSsrc& p) { return p.used && p.ssrc == rtp.ssrc; });
    constexpr std::size_t kFirstSlot = kSsrcSlots;
    // Its first packet, or one that does not follow the packet that waits.
    if (pending == state.pending.end() || distance(rtp.sequence, pending->sequence) != 1) {
      if (pending == state.pending.end()) {
        // All places are taken. If each newcomer pushed out another before its second packet, none would ever
        // be admitted.
        pending = std::ranges::min_element(state.pending, {}, &PendingSsrc::seen);
        if (pending->used && now - pending->seen < kPendingTime) {
          verdict = drop(Component::kRtp, DropReason::kSsrcNotAdmitted);
          return nullptr;
        }
      }
      *pending = {rtp.ssrc, rtp.sequence, true, now};
      ++refused_numbers_;  // unless it is confirmed
      verdict.kind = Verdict::Kind::kHold;
      verdict.slot =
          static_cast<std::uint8_t>(kFirstSlot + static_cast<std::size_t>(pending - state.pending.begin()));
      return nullptr;
    }
    // Bounds how fast new SSRCs can push out those that are there.
    if (now - state.admission_second >= 1s) {
      state.admission_second = now;
      state.admitted_in_second = 0;
    }
    if (state.admitted_in_second >= kNewSsrcsPerSecond) {
      verdict = drop(Component::kRtp, DropReason::kSsrcNotAdmitted);
      return nullptr;
    }
    // Only an SSRC that has fallen silent gives way, never a live one (SSR-1).
    if (state.ingress.size() >= source.max_ssrcs) {
      const auto oldest = std::ranges::min_element(
          state.ingress, {}, [](const StreamStats& s) { return s.counters().last_packet; });
      if (silence_since(oldest->counters().last_packet, now) < kSsrcIdle) {
        verdict = drop(Component::kRtp, DropReason::kSsrcNotAdmitted);
        return nullptr;
      }
      state.ingress.erase(oldest);
    }
    ++state.admitted_in_second;
    if (refused_numbers_ > 0) --refused_numbers_;  // of the packet that was held
    pending->used = false;
    pending->seen = {};
    if (add_stream(state, rtp.ssrc) == nullptr) {
      verdict = drop(Component::kRtp, DropReason::kNoMemory);
      return nullptr;
    }
    // The worker judges the held packet first; the SSRC is known by then. Then it judges this packet again.
    verdict.kind = Verdict::Kind::kRelease;
    verdict.slot =
        static_cast<std::uint8_t>(kFirstSlot + static_cast<std::size_t>(pending - state.pending.begin()));
    return nullptr;
  }
  StreamStats* first = add_stream(state, rtp.ssrc);
  if (first == nullptr) verdict = drop(Component::kRtp, DropReason::kNoMemory);
  return first;
}

StreamStats* Transport::add_stream(SourceState& state, Ssrc ssrc) noexcept {
  SsrcCounters fresh;
  fresh.ssrc = ssrc;
  return had_memory([&] { state.ingress.emplace_back(fresh); }) ? &state.ingress.back() : nullptr;
}

Verdict Transport::on_rtcp(const ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept {
  const Component component = packet.component();
  const Bytes datagram = packet.datagram;
  const Instant now = packet.at;
  if (component == Component::kRtp && !plan_->rtcp_mux) return drop(component, DropReason::kRtcpNotMuxed);
  if (!validate_rtcp(datagram, plan_->reduced_size_rtcp)) return drop(component, DropReason::kMalformedRtcp);
  Latch& rtp_latch = latch_[0];
  // RTCP on the RTP port: it must come from the RTP peer and never moves RTP (LAT-9).
  if (component == Component::kRtp) {
    if (!rtp_latch.is_peer(from) && !(proposal_ && proposal_->latch[0].is_peer(from))) {
      const bool locked = rtp_latch.state() == Latch::State::kLocked;
      if (keeps_early(now)) {
        Verdict kept;
        kept.kind = Verdict::Kind::kKeep;
        kept.reason = DropReason::kEarlyMedia;
        return kept;
      }
      if (locked) note(TransportEvent::kForeignSource);
      return drop(component, locked ? DropReason::kForeignSource : DropReason::kSourceNotAllowed);
    }
  } else {
    // RTCP on its own port has a latch of its own, tied to the address that RTP locked to.
    const auto [judgement, is_proposed] = judge_source(component, from, [&](Latch& judge) {
      const Latch& of_rtp = &judge == &latch_[1] ? rtp_latch : proposal_->latch[0];
      const IpAddress rtp_peer =
          of_rtp.state() == Latch::State::kLocked ? of_rtp.learned().address : IpAddress{};
      return judge.on_unsequenced(from, rtcp_sender(datagram), now, own, rtp_peer);
    });
    if (judgement.decision != Decision::kAccept)
      return from_judgement(component, judgement, (is_proposed ? kProposedSlots : 0) + Latch::kHoldSlots,
                            now);
  }
  // The source of the sender's SSRC takes it; an SSRC that sends no RTP counts for the first source.
  std::size_t source = 0;
  for (std::size_t i = 1; i < states_.size(); ++i) {
    if (std::ranges::any_of(states_[i].ingress, [&](const StreamStats& s) {
          return s.counters().ssrc == rtcp_sender(datagram);
        })) {
      source = i;
    }
  }
  // RTC-2: a twentieth of the media's octets and a floor.
  const RateLimit& media = plan_->sources[source].rate;
  const RateLimit limit{kRtcpLimit.packets_per_second,
                        media.bytes_per_second == 0 ? 0 : media.bytes_per_second / 20 + kRtcpFloor};
  if (!states_[source].rtcp_bucket.take(limit, datagram.size(), now)) {
    return drop(component, DropReason::kRtcpRateLimited);
  }
  read_reports(source, datagram, now);
  return deliver(packet, source, true);
}

void Transport::note_gap(const SsrcCounters& stream, std::uint64_t lost_before) noexcept {
  const std::uint64_t lost = stream.lost();
  if (lost <= lost_before) {
    // Where the stream goes on without a gap, no number was refused but of packets that are on their way.
    refused_numbers_ = std::min(refused_numbers_, kOnTheirWay);
    return;
  }
  const auto in_gap =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(lost - lost_before, refused_numbers_));
  if (in_gap == 0) return;
  refused_numbers_ -= in_gap;
  drops_.add_trait(DropSide::kArriving, DropReason::kNone, DropTrait::kInGap, in_gap);
}

void Transport::publish(const SsrcCounters& stream, std::uint64_t packets,
                        std::uint64_t lost_before) noexcept {
  note_gap(stream, lost_before);
  const auto add = [](std::atomic<std::uint32_t>& to, std::uint64_t what) {
    to.store(to.load(std::memory_order_relaxed) + static_cast<std::uint32_t>(what),
             std::memory_order_relaxed);
  };
  add(activity_->rtp_packets, packets);
  add(activity_->rtp_lost, stream.lost() - lost_before);  // may wrap: a late packet lowers the loss
  activity_->jitter_us.store(static_cast<std::uint32_t>(stream.jitter().count() / 1000),
                             std::memory_order_relaxed);
}

void Transport::record_flight(Component component, const Endpoint& from, Bytes start, std::size_t size,
                              DropReason reason, bool is_below, Instant now) noexcept {
  try {
    if (!flight_) flight_ = std::make_unique<FlightRing>();
    flight_->add(from, component == Component::kRtcp, start, size, reason, is_below, now);
  } catch (const std::bad_alloc&) {
    return;  // without memory nothing is recorded, and the call goes on (C-12)
  }
}

void Transport::note_refusal(const ReceivedPacket& packet, DropReason reason) noexcept {
  Refusal refusal;
  refusal.reason = reason;
  refusal.component = static_cast<std::uint8_t>(packet.component());
  refusal.from = packet.from;
  refusal.last = packet.at;
  if (packet.datagram.size() >= kRtpFixedHeaderSize) {
    refusal.type = PayloadType{static_cast<std::uint8_t>(read_u8(packet.datagram, 1) & 0x7f)};
    refusal.sequence = SeqNo{read_u16(packet.datagram, 2)};
    refusal.ssrc = Ssrc{read_u32(packet.datagram, 8)};
  }
  note_traits(refusal, packet);
  if (Evidence* evidence = made_evidence()) evidence->note(refusal);
}

void Transport::note_traits(const Refusal& refusal, const ReceivedPacket& packet) noexcept {
  const Endpoint& peer = latch_[0].learned();
  const bool is_rtp = packet.has_rtp_header();
  const bool is_rtcp = packet.kind == DatagramClass::kRtcp || refusal.component != 0;
  if (is_rtcp || (peer.is_set() && refusal.from.address != peer.address)) {
    drops_.add_trait(DropSide::kArriving, refusal.reason, DropTrait::kForeign);
    return;
  }
  // What came while the relay stood still was counted in its stream.
  if (!is_rtp || refusal.reason == DropReason::kStaleAfterPause) return;
  const auto was_there = [&](const StreamStats& stream) {
    return stream.counters().ssrc == refusal.ssrc &&
           stream.is_copy(refusal.sequence, read_u32(packet.datagram, 4), packet.at);
  };
  const bool may_be_copy =
      refusal.reason == DropReason::kReplayed || refusal.reason == DropReason::kSequenceJump;
  if (may_be_copy && std::ranges::any_of(states_, [&](const SourceState& state) {
        return std::ranges::any_of(state.ingress, was_there);
      })) {
    drops_.add_trait(DropSide::kArriving, refusal.reason, DropTrait::kCopy);
    return;
  }
  ++refused_numbers_;
}

void Transport::on_sample(Bytes start, Instant now) noexcept {
  // With padding the start alone cannot be parsed; such a packet is left out.
  const auto rtp = parse_rtp(start);
  if (!rtp || plan_->sources.size() != 1) return;
  const PayloadEntry* payload = plan_->sources.front().payload_of(start);
  if (payload == nullptr || payload->g711 == G711Law::kNone) return;
  for (StreamStats& stream : states_.front().ingress) {
    if (stream.counters().ssrc == rtp->ssrc) stream.count_g711(is_silent(payload->g711, rtp->payload), now);
  }
}

bool Transport::takes_udptl() const noexcept {
  // UDPTL has no protection of its own, so a protected transport does not take it (SRT-11).
  if (is_protected()) return false;
  return plan_->takes_udptl == UdptlBesideRtp::kYes ||
         (plan_->takes_udptl == UdptlBesideRtp::kUntilRtp && states_[0].ingress.empty());
}

Verdict Transport::on_whole(const ReceivedPacket& packet, const OwnMedia& own) noexcept {
  const Component component = packet.component();
  const DropReason refusal = refuses_shape(plan_->kind, packet.datagram);
  if (refusal != DropReason::kNone) {
    // A section over TCP has no peer here that a datagram could stand for.
    if (plan_->kind != TransportKind::kOverTcp)
      note_keep_alive(component, packet.from, packet.datagram, packet.at);
    return drop(component, refusal);
  }
  if (component == Component::kRtcp) return drop(component, DropReason::kNotRtcp);
  // Only UDPTL has a sequence number, which a stranger would have to continue. The others are judged by their
  // source alone.
  const bool is_numbered = plan_->kind == TransportKind::kUdptl || plan_->kind == TransportKind::kRtp;
  const auto [judgement, is_proposed] = judge_source(Component::kRtp, packet.from, [&](Latch& judge) {
    return is_numbered
               ? judge.on_rtp(packet.from, Ssrc{}, SeqNo{read_u16(packet.datagram, 0)}, packet.at, own)
               : judge.on_unsequenced(packet.from, Ssrc{}, packet.at, own, IpAddress{});
  });
  return pass_whole(judgement, is_proposed ? kProposedSlots : 0, packet);
}

Verdict Transport::pass_whole(const Latch::Judgement& judgement, std::size_t first_slot,
                              const ReceivedPacket& packet) noexcept {
  if (judgement.decision != Decision::kAccept)
    return from_judgement(Component::kRtp, judgement, first_slot, packet.at);
  if (!states_[0].bucket.take(plan_->sources[0].rate, packet.datagram.size(), packet.at)) {
    note(TransportEvent::kRateLimited);
    return drop(Component::kRtp, DropReason::kRateLimited);
  }
  activity_->last_rtp_ns.store(packet.at.time_since_epoch().count(), std::memory_order_relaxed);
  ++not_rtp_;
  return deliver(packet, 0, false);
}

Verdict Transport::deliver(const ReceivedPacket& packet, std::size_t source, bool is_rtcp) noexcept {
  const Instant now = packet.at;
  ComponentCounters& counters = counters_[index(packet.component())];
  ++counters.packets_in;
  counters.bytes_in += packet.datagram.size();
  last_packet_[index(packet.component())] = now;
  // Anything valid ends a pause by ICMP errors and proves that the peer is there.
  hear();
  activity_->last_packet_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  activity_->last_user_ns.store(now.time_since_epoch().count(), std::memory_order_relaxed);
  Verdict verdict;
  verdict.kind = Verdict::Kind::kForward;
  verdict.source = static_cast<std::uint8_t>(source);
  verdict.is_rtcp = is_rtcp;
  return verdict;
}

void Transport::read_reports(std::size_t source, Bytes compound, Instant now) noexcept {
  struct Handler {
    Transport& transport;
    std::size_t source;
    Instant now;
    void on_sender_report(Ssrc, std::uint32_t) {}
    void on_bye(Ssrc ssrc) {  // RTC-4: the SSRC counts as idle, and nothing else happens
      for (auto& stream : transport.states_[source].ingress) {
        if (stream.counters().ssrc == ssrc) stream.counters().idle_by_bye = true;
      }
    }
    void on_report(Ssrc reporter, const ReportBlock& block) {
      // A report about a stream that never went there is no measurement, and may be forged.
      auto& egress = transport.states_[source].egress;
      const auto stream = std::ranges::find_if(
          egress, [&](const SentStream& sent) { return sent.counters().ssrc == block.about; });
      if (stream == egress.end()) return;
      stream->report(reporter, block, now);
      RtcpState* state = transport.made_rtcp_state();
      if (state == nullptr) return;
      for (const SentReport& sent : state->sent) {
        if (block.last_sr == 0 || sent.ssrc != block.about || sent.ntp_middle != block.last_sr) continue;
        // RFC 3550 §6.4.1: now minus the time that the report was sent, minus the time that the peer held it.
        // A wrong delay from the peer could make it negative.
        const Duration hold{static_cast<std::int64_t>(block.delay_since_last_sr) * 1'000'000'000 / 65536};
        state->round_trip = std::max(Duration{1}, now - sent.at - hold);
      }
      state->pending = PendingReport{source, reporter, block};
    }
  };
  // A report that found no partner is out of date.
  if (rtcp_) rtcp_->pending.reset();
  walk_rtcp(compound, Handler{*this, source, now});
}

std::optional<Transport::Report> Transport::complete_report(Duration far_round_trip, Instant now) {
  if (!rtcp_ || !rtcp_->pending) return std::nullopt;
  const PendingReport report = *std::exchange(rtcp_->pending, std::nullopt);
  const Duration near_round_trip = rtcp_->round_trip;
  auto& streams = states_[report.source].ingress;
  const auto reporter = std::ranges::find_if(
      streams, [&](const StreamStats& s) { return s.counters().ssrc == report.reporter; });
  if (reporter == streams.end()) return std::nullopt;
  // Without the round trips of both legs there is no sample.
  if (near_round_trip <= Duration{0} || far_round_trip <= Duration{0}) return std::nullopt;
  SsrcCounters& counters = reporter->counters();
  counters.reported_loss = report.block.cumulative_lost;
  counters.has_report = true;
  const std::uint32_t rate = counters.clock_rate_hz != 0 ? counters.clock_rate_hz : 8000;
  const Duration jitter{static_cast<std::int64_t>(report.block.jitter) * 1'000'000'000 / rate};
  const Duration round_trip = near_round_trip + far_round_trip;
  const double loss = report.block.fraction_lost * 100.0 / 256.0;
  QualitySample sample;
  sample.mos_times_10 =
      estimate_mos_times_10(plan_->listening_quality ? Duration{0} : round_trip / 2, jitter, loss);
  sample.round_trip_us = round_trip.count() / 1000;
  sample.round_trip_leg_us = near_round_trip.count() / 1000;
  sample.jitter_ms = jitter.count() / 1'000'000;
  sample.loss_percent = static_cast<std::int64_t>(loss);
  sample.at = now;
  if (!had_memory([&] { reporter->add_quality(sample); })) return std::nullopt;
  return Report{sample, counters.jitter()};
}

Endpoint Transport::destination(Component via) const noexcept {
  // Order: `asymmetric` insists on the signalled endpoint; otherwise the learned peer comes before it.
  const LatchConfig& config = via == Component::kRtp ? plan_->rtp_latch : plan_->rtcp_latch;
  if (plan_->send_to_signalled && config.has_destination()) return config.signalled;
  return latch_[index(via)].destination();
}

Transport::NextHop Transport::next_hop(Component component, Instant now) noexcept {
  const Component via = component == Component::kRtcp && plan_->send_rtcp_muxed ? Component::kRtp : component;
  const Endpoint to = destination(via);
  const LatchConfig& signalled = via == Component::kRtp ? plan_->rtp_latch : plan_->rtcp_latch;
  if (!to.is_set())
    return {{}, via, is_refusal(signalled.denied) ? DropReason::kDeniedAddress : DropReason::kNoDestination};
  // A peer that was never heard may be a victim that somebody named in his SDP (LAT-12b).
  if (!verified_) {
    if (plan_->wait_for_peer) return {{}, via, DropReason::kNoDestination};
    if (now > plan_->unheard_until) return {{}, via, DropReason::kPeerUnverified};
  }
  // Last, because asking may use up the probe of this second.
  if (reachability_ && !(*reachability_)[index(via)].may_send(now))
    return {{}, via, DropReason::kPeerUnreachable};
  const Latch& latch = latch_[index(via)];
  return {to, via, DropReason::kNone, local_[index(via)],
          latch.state() == Latch::State::kLocked && to == latch.learned()};
}

Endpoint Transport::lasting_hop() const noexcept {
  // A time limit or a pause has to be checked for each packet, which the kernel does not do.
  const bool is_unheard_limited =
      !verified_ && (plan_->wait_for_peer || plan_->unheard_until != Instant::max());
  const bool is_paused = reachability_ && (*reachability_)[index(Component::kRtp)].is_paused();
  return is_unheard_limited || is_paused ? Endpoint{} : destination(Component::kRtp);
}

bool Transport::on_unreachable(Component via, const Endpoint& to, bool is_fed_below, Instant now) noexcept {
  // Anybody can forge an ICMP message about a former address, or about packets that nobody sent.
  const bool was_sent =
      is_fed_below || (last_sent_[index(via)] != Instant{} && now - last_sent_[index(via)] <= kRecentlySent);
  if (!plan_->address_errors || to != destination(via) || !was_sent) return false;
  if (!reachability_) reachability_ = make_unique_or_null<std::array<Reachability, 2>>();
  if (!reachability_) return false;
  // Time in which this process did not run is no silence of the peer.
  const Instant heard_at =
      verified_ ? std::max({last_packet_[0], last_packet_[1], last_keep_alive_, awake_since_}) : Instant{};
  // The learned peer may be at another address than the signalled one, which the shared object is about.
  const bool is_shared = plan_->address_errors->address == to.address;
  return (*reachability_)[index(via)].on_error(heard_at, is_shared ? plan_->address_errors : nullptr, now);
}

void Transport::note_keep_alive(Component component, const Endpoint& from, Bytes datagram,
                                Instant now) noexcept {
  // RFC 6263 §4: an empty datagram, or one in the size of RTP with another version or payload type, or STUN.
  const bool is_rtp_sized = datagram.size() >= kRtpFixedHeaderSize;
  if ((!datagram.empty() && !is_rtp_sized) || from != destination(component)) return;
  last_keep_alive_ = now;
  hear();
}

KeyPresses::Told Transport::presses_of(std::size_t source, const PayloadEntry& payload,
                                       const ReceivedPacket& packet) noexcept {
  std::unique_ptr<KeyPresses>& presses = states_[source].presses;
  // Audio matters only while a press is open, because it may end it.
  if (!payload.is_event && (!presses || !presses->is_open())) return {};
  if (!packet.rtp) return {};
  if (!presses) presses = make_unique_or_null<KeyPresses>();
  if (!presses) return {};  // without memory the press is not reported, but its packets pass
  KeyPresses::Told told;
  if (payload.is_event)
    told = presses->on_event(*packet.rtp, {payload.clock_rate_hz, packet.from.address, packet.at});
  else
    told.former = presses->on_audio(*packet.rtp, payload.clock_rate_hz);
  publish_presses();
  return told;
}

std::optional<DtmfEvent> Transport::take_ended_press(Instant now, bool all) noexcept {
  for (SourceState& state : states_) {
    if (!state.presses) continue;
    if (auto told = all ? state.presses->end() : state.presses->on_time(now)) {
      publish_presses();
      return told;
    }
  }
  return std::nullopt;
}

void Transport::publish_presses() noexcept {
  const bool is_open = std::ranges::any_of(
      states_, [](const SourceState& state) { return state.presses && state.presses->is_open(); });
  activity_->has_open_press.store(is_open, std::memory_order_relaxed);
}

void Transport::on_sent(Component via, DatagramClass kind, Bytes datagram, MediaId to, Instant now) noexcept {
  ComponentCounters& counters = counters_[index(via)];
  ++counters.packets_out;
  counters.bytes_out += datagram.size();
  last_sent_[index(via)] = now;
  if (plan_->kind != TransportKind::kRtp) return;
  // Sender reports are remembered, because their echoes give the round trip.
  if (kind == DatagramClass::kRtcp) {
    struct Handler {
      Transport& transport;
      Instant now;
      void on_sender_report(Ssrc ssrc, std::uint32_t ntp_middle) {
        if (RtcpState* state = transport.made_rtcp_state()) state->remember({ssrc, ntp_middle, now});
      }
      void on_report(Ssrc, const ReportBlock&) {}
      void on_bye(Ssrc) {}
    };
    walk_rtcp(datagram, Handler{*this, now});
    return;
  }
  const auto source = source_of(to);
  // UDPTL beside RTP has no SSRC to be counted under.
  if (!source || datagram.size() < kRtpFixedHeaderSize || kind != DatagramClass::kRtp) return;
  if (SentStream* stream = egress_of(*source, Ssrc{read_u32(datagram, 8)}))
    stream->count(SeqNo{read_u16(datagram, 2)}, read_u32(datagram, 4), datagram.size(), now);
}

SentStream* Transport::egress_of(std::size_t source, Ssrc ssrc) noexcept {
  auto& egress = states_[source].egress;
  const auto entry =
      std::ranges::find_if(egress, [&](const SentStream& stream) { return stream.counters().ssrc == ssrc; });
  if (entry != egress.end()) return &*entry;
  // Too many SSRCs: the one that left longest ago gives way.
  if (egress.size() >= plan_->sources[source].max_ssrcs) {
    egress.erase(std::ranges::min_element(
        egress, {}, [](const SentStream& stream) { return stream.counters().last_packet; }));
  }
  return had_memory([&] { egress.emplace_back(ssrc); }) ? &egress.back() : nullptr;
}

std::optional<std::size_t> Transport::source_of(MediaId media) const noexcept {
  const auto found = std::ranges::find(plan_->sources, media, &SourcePlan::media);
  if (found == plan_->sources.end()) return std::nullopt;
  return static_cast<std::size_t>(found - plan_->sources.begin());
}

std::optional<TransportEvent> Transport::take_event(Instant now) noexcept {
  if (events_ == 0) return std::nullopt;
  if (!event_sent_) event_sent_ = make_unique_or_null<std::remove_cvref_t<decltype(*event_sent_)>>();
  if (!event_sent_) return std::nullopt;
  auto& sent = *event_sent_;
  for (std::size_t i = 0; i < sent.size(); ++i) {
    if ((events_ >> i & 1) == 0) continue;
    events_ &= ~(1u << i);
    // LIM-4: an event that was reported less than 10 s ago is dropped, not delayed.
    if (sent[i] != Instant{} && now - sent[i] < kEventInterval) continue;
    sent[i] = now;
    return static_cast<TransportEvent>(i);
  }
  return std::nullopt;
}

}  // namespace ferry
