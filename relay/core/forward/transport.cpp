// SPDX-License-Identifier: Apache-2.0
// How a received datagram is judged.
//
//   classify ─► RTP ──► media source ─► latch ─► rate ─► SSRC ─► sequence ─► count, deliver
//       ├────► RTCP ─► form ─► latch ─► rate ─► read reports ─► count, deliver
//       ├────► UDPTL, BFCP, DTLS or anything, if the plan says so ─► form ─► latch ─► rate ─► deliver
//       ├────► DTLS, RTP or RTCP from end to end ─► form ─► latch ─► rate ─► deliver
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
// The parts know streams, keys, handshakes and drops, and whether the peer is there; their headers say how.
// The rest of this class is in these files:
//   transport_srtp.cpp      what happens to a protected packet before and after
//   transport_proposal.cpp  an offer that waits for its answer
//   transport_pause.cpp     pauses of the process
//   transport_marks.cpp     figures of the last seconds
//   transport_export.cpp    export and restore

#include "relay/core/forward/transport.hpp"

#include "relay/core/forward/datagram_shape.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

// PRT-2: the former call's peer is refused for this long.
constexpr Duration kRestTime = 10s;

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
    case TransportKind::kEndToEnd:
      break;
  }
  return DropReason::kNone;
}

/// Why a datagram between parties that have keys of their own does not have the form of its protocol; kNone
/// if it has (DMX-1 to DMX-3). Only what SRTP and DTLS leave in clear is looked at.
DropReason refuses_end_to_end(const ReceivedPacket& packet, bool is_muxed) noexcept {
  constexpr std::size_t kDtlsHeader = 13;
  constexpr std::size_t kRtcpHeader = 8;
  const Bytes datagram = packet.datagram;
  const bool is_rtcp_port = packet.component() == Component::kRtcp;
  switch (packet.kind) {
    case DatagramClass::kStun:
      return DropReason::kStunUnexpected;
    case DatagramClass::kUnknown:
      return DropReason::kUnknownProtocol;
    case DatagramClass::kDtls:
      return datagram.size() < kDtlsHeader ? DropReason::kMalformedDtls : DropReason::kNone;
    case DatagramClass::kRtcp:
      if (!is_rtcp_port && !is_muxed) return DropReason::kRtcpNotMuxed;
      return datagram.size() < kRtcpHeader ? DropReason::kMalformedRtcp : DropReason::kNone;
    case DatagramClass::kRtp:
      break;
  }
  if (is_rtcp_port) return DropReason::kNotRtcp;
  if (datagram.size() < kRtpFixedHeaderSize) return DropReason::kMalformedRtp;
  // RFC 3550 §5.1: the contributing sources and the extension block lie inside the packet.
  const std::uint8_t first = read_u8(datagram, 0);
  std::size_t header = kRtpFixedHeaderSize + std::size_t{4} * (first & 0x0f);
  if ((first & 0x10) != 0) {
    if (datagram.size() < header + 4) return DropReason::kMalformedRtp;
    header += 4 + std::size_t{4} * read_u16(datagram, header + 2);
  }
  return datagram.size() < header ? DropReason::kMalformedRtp : DropReason::kNone;
}

/// True if the answer may still name a source that was refused for this reason (LAT-14).
bool may_be_answerer(DropReason reason) noexcept {
  return reason == DropReason::kSourceNotAllowed || reason == DropReason::kForeignSource ||
         reason == DropReason::kProbation || reason == DropReason::kContested;
}

/// True for a STUN message: it has the magic cookie (RFC 8489 §5).
bool is_stun(Bytes datagram) noexcept { return datagram.size() >= 20 && read_u32(datagram, 4) == 0x2112a442; }

}  // namespace

Transport::Transport(std::shared_ptr<const TransportPlan> plan, std::shared_ptr<TransportActivity> activity,
                     Instant now, const Endpoint& barred)
    : plan_(std::move(plan)),
      activity_(std::move(activity)),
      streams_(*plan_, *activity_),
      account_(*activity_, now),
      presence_(*activity_) {
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
    if (learn(Component::kRtp, plan_->rtp_latch) || latch_[0].state() != Latch::State::kLocked)
      presence_.expect_another();
    presence_.end_pauses();
  } else {
    latch_[0].update(plan_->rtp_latch);
    latch_[1].update(plan_->rtcp_latch);
  }
  follow_proposal(old.get(), now);
  // Without shared errors nothing pauses this transport, so a pause that there was ends.
  if (!plan_->address_errors) presence_.end_pauses();
  streams_.set_plan(*plan_);
  handshakes_.set_plan(*old, *plan_, now);
  handshakes_.follow_overheard(side(), now);
  if (plan_->srtp != old->srtp || plan_->dtls != old->dtls) follow_keys(now);
}

Verdict Transport::drop(Component component, DropReason reason) noexcept {
  account_.count_refused(component, reason, 1);
  return {Verdict::Kind::kDrop, reason, 0, 0, false};
}

Verdict Transport::on_datagram(ReceivedPacket& packet, const OwnMedia& own) noexcept {
  // What is no RTP is not authenticated, so a protected transport takes nothing of it (SRT-11).
  if (plan_->kind != TransportKind::kRtp && plan_->is_protected())
    return drop(packet.component(), DropReason::kNoKey);
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
      events_.note(TransportEvent::kLocked);
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
  if (judgement.reason == DropReason::kForeignSource) events_.note(TransportEvent::kForeignSource);
  if (judgement.reason == DropReason::kContested) events_.note(TransportEvent::kContested);
  return drop(component, judgement.reason);
}

void Transport::note_other_type(const Endpoint& from, const RtpView& rtp, Instant now) noexcept {
  Evidence* evidence = account_.ensure_evidence();
  if (evidence == nullptr) return;
  // Control hears of the first packet of each type only.
  if (!evidence->other_types.test(rtp.payload_type.value & 127))
    events_.note(TransportEvent::kOtherTypePasses);
  evidence->note_other(from, rtp.payload_type, rtp.ssrc, rtp.sequence, now);
}

Verdict Transport::on_rtp(ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept {
  const Component component = packet.component();
  const Instant now = packet.at;
  const auto rtp = parse_rtp(packet.datagram);
  if (!rtp) return drop(component, DropReason::kMalformedRtp);
  packet.rtp = *rtp;
  Latch& latch = latch_[index(component)];
  // Which media source? A type that nobody negotiated belongs to none, unless it comes from the locked peer
  // under an admitted SSRC (DMX-4).
  auto source = streams_.source_for(rtp->payload_type, rtp->ssrc, packet.datagram);
  const bool is_negotiated = source.has_value();
  if (!is_negotiated && streams_.is_established(latch_[0], from, rtp->ssrc) &&
      plan_->sources[0].may_pass_other(rtp->payload_type) && !streams_.has_unknown_mid(packet.datagram)) {
    // Such a packet passes but founds nothing, so it must not confirm a sequence jump either.
    if (!plan_->is_protected() && !streams_.continues(0, rtp->ssrc, rtp->sequence))
      return drop(component, DropReason::kSequenceJump);
    source.emplace();
  }
  if (!source) {
    // The latch is not asked: a packet of an unknown type must not teach it an address (DMX-4, DMX-5). The
    // reason tells the operator which of the two is wrong.
    const bool foreign = latch.state() == Latch::State::kLocked && from != latch.learned();
    events_.note(foreign ? TransportEvent::kForeignSource : TransportEvent::kUnknownPayloadType);
    note_keep_alive(component, from, packet.datagram, now);
    return drop(component, foreign ? DropReason::kForeignSource : DropReason::kUnknownPayloadType);
  }
  // Which source address? While an offer waits for its answer, one of two latches decides (LAT-15).
  const auto [judgement, is_proposed] = judge_source(
      component, from, [&](Latch& judge) { return judge.on_rtp(from, rtp->ssrc, rtp->sequence, now, own); });
  if (judgement.decision != Decision::kAccept)
    return from_judgement(component, judgement, is_proposed ? kProposedSlots : 0, now);

  // The sender is known to be the peer now, so the packet may change state.
  const auto [index_of_source, payload] = *source;
  if (proposal_ && collides(index_of_source, *rtp, is_proposed, now))
    return drop(component, DropReason::kSsrcCollision);
  if (packet.has_waited && streams_.is_stale(index_of_source, *rtp, payload, now))
    return drop_stale(packet, index_of_source);
  if (!streams_.take_rate(index_of_source, packet.datagram.size(), now)) {
    events_.note(TransportEvent::kRateLimited);
    return drop(component, DropReason::kRateLimited);
  }
  streams_.note_mid(index_of_source, rtp->ssrc, packet.datagram);
  StreamStats* stats = streams_.find(index_of_source, rtp->ssrc);
  if (stats == nullptr) {
    const Streams::Admission admission = streams_.admit(index_of_source, *rtp, presence_.awake_since(), now);
    if (admission.kind != Streams::Admission::Kind::kAdmitted) return from_admission(admission);
    stats = admission.stream;
  }
  // The index of a protected packet has been checked by SRTP, which allows no jump.
  if (!plan_->is_protected() && stats->check(rtp->sequence) != StreamStats::Check::kOk)
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
  account_.publish(stats->counters(), 1, lost);
  account_.note_rtp(now);
  packet.payload = payload;
  Verdict verdict = deliver(packet, index_of_source, false);
  verdict.is_negotiated = is_negotiated;
  if (!is_negotiated) note_other_type(from, *rtp, now);
  verdict.restarts = stats->counters().resets != resets;
  return verdict;
}

Verdict Transport::from_admission(const Streams::Admission& admission) noexcept {
  using Kind = Streams::Admission::Kind;
  if (admission.ends_wait) account_.expect_no_gap();
  if (admission.kind == Kind::kRefused) return drop(Component::kRtp, admission.reason);
  // The number of a held packet is missing unless its SSRC is confirmed.
  if (admission.kind == Kind::kHeld) account_.expect_gap();
  Verdict verdict;
  verdict.kind = admission.kind == Kind::kHeld ? Verdict::Kind::kHold : Verdict::Kind::kRelease;
  verdict.slot = static_cast<std::uint8_t>(kSsrcSlots + admission.place);
  return verdict;
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
      if (locked) events_.note(TransportEvent::kForeignSource);
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
  const std::size_t source = streams_.source_of_rtcp(datagram);
  bool is_within = streams_.take_rtcp_rate(source, datagram.size(), now);
  // A BUNDLE group has the sum of what its medias may send, because one of them may speak for all (FB-9).
  for (std::size_t i = 0; !is_within && i < plan_->sources.size(); ++i)
    is_within = i != source && streams_.take_rtcp_rate(i, datagram.size(), now);
  if (!is_within) return drop(component, DropReason::kRtcpRateLimited);
  streams_.read_reports(source, datagram, now);
  return deliver(packet, source, true);
}

void Transport::note_refusal(const ReceivedPacket& packet, DropReason reason) noexcept {
  account_.note_refusal(packet, reason, refused_as(packet, reason));
}

Account::RefusedAs Transport::refused_as(const ReceivedPacket& packet, DropReason reason) const noexcept {
  using RefusedAs = Account::RefusedAs;
  const Endpoint& peer = latch_[0].learned();
  const bool is_rtcp = packet.kind == DatagramClass::kRtcp || packet.component() == Component::kRtcp;
  if (is_rtcp || (peer.is_set() && packet.from.address != peer.address)) return RefusedAs::kForeign;
  // What came while the relay stood still was counted in its stream.
  if (!packet.has_rtp_header() || reason == DropReason::kStaleAfterPause) return RefusedAs::kOther;
  const bool may_be_copy = reason == DropReason::kReplayed || reason == DropReason::kSequenceJump;
  const bool is_copy = may_be_copy && streams_.has_counted(Ssrc{read_u32(packet.datagram, 8)},
                                                           SeqNo{read_u16(packet.datagram, 2)},
                                                           read_u32(packet.datagram, 4), packet.at);
  return is_copy ? RefusedAs::kCopy : RefusedAs::kMissed;
}

bool Transport::takes_udptl() const noexcept {
  // UDPTL has no protection of its own, so a protected transport does not take it (SRT-11).
  if (plan_->is_protected()) return false;
  return plan_->takes_udptl == UdptlBesideRtp::kYes ||
         (plan_->takes_udptl == UdptlBesideRtp::kUntilRtp && !streams_.has_arrivals(0));
}

Verdict Transport::on_whole(const ReceivedPacket& packet, const OwnMedia& own) noexcept {
  if (plan_->kind == TransportKind::kEndToEnd) return on_end_to_end(packet, own);
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

Verdict Transport::on_end_to_end(const ReceivedPacket& packet, const OwnMedia& own) noexcept {
  const Component component = packet.component();
  const DropReason refusal = refuses_end_to_end(packet, plan_->rtcp_mux);
  if (refusal != DropReason::kNone) return drop(component, refusal);
  // Only the address that was overheard is the peer; the latch learns nobody by itself.
  const Latch::Judgement judgement =
      latch_[index(component)].on_unsequenced(packet.from, Ssrc{}, packet.at, own, IpAddress{});
  if (judgement.decision != Decision::kAccept) return from_judgement(component, judgement, 0, packet.at);
  // A handshake and reports go on while media is blocked, or nobody could unblock it.
  if (plan_->is_blocked && packet.kind == DatagramClass::kRtp) return drop(component, DropReason::kBlocked);
  if (!streams_.take_rate(0, packet.datagram.size(), packet.at)) {
    events_.note(TransportEvent::kRateLimited);
    return drop(component, DropReason::kRateLimited);
  }
  account_.count_whole(packet.at);
  return deliver(packet, 0, component == Component::kRtcp);
}

Verdict Transport::pass_whole(const Latch::Judgement& judgement, std::size_t first_slot,
                              const ReceivedPacket& packet) noexcept {
  if (judgement.decision != Decision::kAccept)
    return from_judgement(Component::kRtp, judgement, first_slot, packet.at);
  if (!streams_.take_rate(0, packet.datagram.size(), packet.at)) {
    events_.note(TransportEvent::kRateLimited);
    return drop(Component::kRtp, DropReason::kRateLimited);
  }
  account_.count_whole(packet.at);
  return deliver(packet, 0, false);
}

Verdict Transport::deliver(const ReceivedPacket& packet, std::size_t source, bool is_rtcp) noexcept {
  account_.count_in(packet.component(), packet.datagram.size(), packet.at);
  // Anything valid ends a pause by ICMP errors and proves that the peer is there.
  presence_.hear();
  Verdict verdict;
  verdict.kind = Verdict::Kind::kForward;
  verdict.source = static_cast<std::uint8_t>(source);
  verdict.is_rtcp = is_rtcp;
  return verdict;
}

DropReason Transport::on_handshake(const ReceivedPacket& packet, HandshakeTurn turn) {
  const Endpoint before = latch_[0].learned();
  const DropReason reason = handshakes_.take(packet, side(), turn);
  follow_handshakes(before, turn.now);
  if (reason != DropReason::kNone) drop(packet.component(), reason);
  return reason;
}

OverheardIce::Heard Transport::overhear(const ReceivedPacket& packet, HandshakeTurn turn) {
  const OverheardIce::Heard heard = handshakes_.overhear(packet, side(), turn);
  if (heard.kind == OverheardIce::Heard::Kind::kRefused) drop(packet.component(), DropReason::kStunRefused);
  return heard;
}

void Transport::drive(HandshakeTurn turn) {
  const Endpoint before = latch_[0].learned();
  handshakes_.drive(side(), turn);
  follow_handshakes(before, turn.now);
}

void Transport::follow_handshakes(const Endpoint& before, Instant now) {
  const bool has_new_keys = handshakes_.take_new_keys();
  if (has_new_keys) {
    follow_keys(now);
    // A client that does a handshake knows of no stream yet.
    streams_.forget_reports();
  }
  is_reached_ = is_reached_ || has_new_keys || latch_[0].learned() != before;
}

bool Transport::is_heard_near(Component component) const noexcept {
  const Component via = component == Component::kRtcp && plan_->send_rtcp_muxed ? Component::kRtp : component;
  const Endpoint to = destination(via);
  return presence_.is_heard() && to.is_set() && std::ranges::any_of(latch_, [&](const Latch& latch) {
           return latch.state() == Latch::State::kLocked && latch.learned().address == to.address;
         });
}

Transport::NextHop Transport::next_hop(Component component, Instant now) noexcept {
  const Component via = component == Component::kRtcp && plan_->send_rtcp_muxed ? Component::kRtp : component;
  const Endpoint to = destination(via);
  const LatchConfig& signalled = via == Component::kRtp ? plan_->rtp_latch : plan_->rtcp_latch;
  if (!to.is_set())
    return {{}, via, is_refusal(signalled.denied) ? DropReason::kDeniedAddress : DropReason::kNoDestination};
  // A peer that was never heard may be a victim that somebody named in his SDP (LAT-12b).
  if (!presence_.is_heard()) {
    if (plan_->wait_for_peer) return {{}, via, DropReason::kNoDestination};
    if (now > plan_->unheard_until) return {{}, via, DropReason::kPeerUnverified};
  }
  // Last, because asking may use up the probe of this second.
  if (!presence_.may_send(via, now)) return {{}, via, DropReason::kPeerUnreachable};
  const Latch& latch = latch_[index(via)];
  return {to, via, DropReason::kNone, handshakes_.local(via),
          latch.state() == Latch::State::kLocked && to == latch.learned()};
}

bool Transport::on_unreachable(Component via, const Endpoint& to, bool is_fed_by_kernel,
                               Instant now) noexcept {
  // Anybody can forge an ICMP message about a former address.
  return plan_->address_errors && to == destination(via) &&
         presence_.on_unreachable(via, plan_->address_errors, to.address, account_.last_packet(),
                                  is_fed_by_kernel, now);
}

void Transport::note_keep_alive(Component component, const Endpoint& from, Bytes datagram,
                                Instant now) noexcept {
  // RFC 6263 §4: an empty datagram, or one in the size of RTP with another version or payload type, or STUN.
  const bool is_rtp_sized = datagram.size() >= kRtpFixedHeaderSize;
  if ((!datagram.empty() && !is_rtp_sized) || from != destination(component)) return;
  presence_.hear_keep_alive(now);
}

void Transport::on_sent(Component via, DatagramClass kind, Bytes datagram, MediaId to, Instant now) noexcept {
  account_.count_out(via, datagram.size());
  presence_.on_sent(via, now);
  if (plan_->kind == TransportKind::kRtp) streams_.on_sent(kind, datagram, to, now);
}

}  // namespace ferry
