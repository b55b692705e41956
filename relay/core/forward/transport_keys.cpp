// Keys and ICE of a transport.
//
// A received SRTP packet takes this way: `refusal_before_opening` drops it unless its source is the peer or
// may become it, because a stranger must neither cost a checksum nor use up an index (SRT-2). `open` tries
// the keys, newest first. Only then the latch follows the sender (`follow_authentic`, LAT-10), and
// `on_datagram` judges the plain packet. A packet that leaves gets its SSRCs in transport_ssrcs.cpp and is
// encrypted by `protect`.
//
// Keys change while packets are on their way. `follow_keys` compares the plan with the keys in use: the same
// key keeps its counters and replay lists, a former one is good for 2 s more, a new one is tried first
// (SRT-6). What a key has received and sent lives in `SrtpContexts`, which outlives the transport: a key that
// comes back must not use an index twice (SRT-9).
//
// Keys agreed by DTLS take the same way (transport_dtls.cpp). The ICE part only asks the agent and pins the
// latch to the selected pair.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

using namespace std::chrono_literals;

namespace {

constexpr Duration kKeyDrain = 2s;  // SRT-6: how long a former key is good
// With more keys than this, former ones are dropped once their time is over.
constexpr std::size_t kKeptKeys = 8;

/// SSRC of the sender of an RTP or RTCP packet; 0 if the packet is too short.
Ssrc ssrc_of(Bytes packet, bool is_rtcp) noexcept {
  const std::size_t at = is_rtcp ? 4 : 8;
  return Ssrc{packet.size() < at + 4 ? 0 : read_u32(packet, at)};
}

SrtpFetch session_step(Transport::Fetch step) noexcept {
  return step == Transport::Fetch::kSession ? SrtpFetch::kSession : SrtpFetch::kContext;
}

}  // namespace

std::size_t Transport::slot_of(Component component) const noexcept {
  // DTLS gives each component its own keys (RFC 5764 §3); SDES gives both the same.
  const bool has_own = plan_->dtls != nullptr && !plan_->send_rtcp_muxed;
  return has_own ? index(component) : 0;
}

const SrtpPlan* Transport::keys_of(std::size_t slot) const noexcept {
  if (plan_->dtls) return dtls_ ? dtls_->agreed[slot].get() : nullptr;
  return slot == 0 ? plan_->srtp.get() : nullptr;
}

void Transport::follow_keys(Instant now) {
  for (std::size_t slot = 0; slot < protection_.size(); ++slot) follow_keys(slot, now);
}

void Transport::follow_keys(std::size_t slot, Instant now) {
  // A plan without SRTP is one without keys: the transport may be plain for a while, and what earlier keys
  // have seen is not forgotten.
  static const SrtpPlan kNoKeys;
  auto& protection = protection_[slot];
  const SrtpPlan* plan = keys_of(slot);
  if (plan == nullptr && !protection) return;
  if (plan == nullptr) plan = &kNoKeys;
  if (!protection) protection = std::make_unique<Protection>();
  // Control's object outlives this transport; without one the transport makes its own.
  if (plan->contexts)
    protection->contexts = plan->contexts;
  else if (!protection->contexts)
    protection->contexts = std::make_shared<SrtpContexts>();
  auto& incoming = protection->incoming;
  while (incoming.size() > kKeptKeys) {
    const auto oldest = std::ranges::find_if(incoming.rbegin(), incoming.rend(), [&](const auto& each) {
      return each.until != Instant{} && now >= each.until;
    });
    if (oldest == incoming.rend()) break;
    incoming.erase(std::next(oldest).base());
  }
  // SRT-6: a key that is still in the plan stays as it is; another one runs out.
  for (auto& each : incoming) {
    if (std::ranges::find(plan->receive, each.under->key) != plan->receive.end())
      each.until = {};
    else if (each.until == Instant{})
      each.until = now + kKeyDrain;
  }
  for (const SrtpMasterKey& key : plan->receive) {
    if (std::ranges::any_of(incoming, [&](const auto& each) { return each.under->key == key; })) continue;
    if (auto under = protection->contexts->receiving(key, *plan->backend, plan->window)) {
      // The newest key is tried first, as it is the likeliest.
      incoming.insert(incoming.begin(), {std::move(under), {}, ++protection->last_number});
    }
  }
  protection->newest = incoming.empty() ? nullptr : incoming.front().under.get();
  // Comparing key and salt only: the peer may name the same key with another suite or MKI.
  protection->is_reflected =
      plan->send && std::ranges::any_of(incoming, [&](const auto& each) {
        return each.under->key.key == plan->send->key && each.under->key.salt == plan->send->salt;
      });
  if (plan->send) protection->names = protection->contexts->names(plan->party);
  // Another key or another receiver gets another context, so that neither uses an index of the other.
  if (!plan->send)
    protection->sending = nullptr;
  else if (!protection->sending || protection->sending->key != *plan->send ||
           protection->sending->party != plan->party)
    protection->sending =
        protection->contexts->sending(*plan->send, plan->party, *plan->backend, plan->window);
}

DropReason Transport::unprotect(ReceivedPacket& packet, const OwnMedia& own,
                                const SrtpOpened* opened) noexcept {
  const Component component = packet.component();
  const Endpoint& from = packet.from;
  const Instant now = packet.at;
  const bool is_rtp = packet.kind == DatagramClass::kRtp;
  if (plan_->kind != TransportKind::kRtp || (!is_rtp && packet.kind != DatagramClass::kRtcp))
    return DropReason::kNone;
  const auto refuse = [&](DropReason reason) {
    // The answer may bring this sender's key or address (LAT-14).
    const bool is_early = reason == DropReason::kNoKey || reason == DropReason::kNotAuthentic ||
                          reason == DropReason::kForeignSource;
    // A packet of a batch is decrypted already and could not be opened again.
    if (keeps_early(now) && is_early && opened == nullptr) return DropReason::kEarlyMedia;
    if (reason == DropReason::kForeignSource) note(TransportEvent::kForeignSource);
    if (reason == DropReason::kUnknownPayloadType) note(TransportEvent::kUnknownPayloadType);
    // SRT-14: a forged packet is counted and reported, and does nothing else.
    if (reason == DropReason::kNotAuthentic) note(TransportEvent::kNotAuthentic);
    drop(component, reason);
    return reason;
  };
  const Hearing hearing = hearing_of(component, from, now);
  const DropReason refused = refusal_before_opening(packet, hearing, own);
  if (refused != DropReason::kNone) return refuse(refused);
  Protection& protection = *protection_[slot_of(component)];
  std::size_t size = packet.datagram.size();
  SrtpOrigin origin;
  const SrtpResult result = open(protection, packet, size, origin, opened);
  // RTCP on the RTP port never moves RTP (LAT-9).
  const bool moves_nothing = component == Component::kRtp && !is_rtp;
  switch (result) {
    case SrtpResult::kOk:
      if (!moves_nothing && !follow_authentic(component, from, hearing, now))
        return refuse(DropReason::kForbiddenSource);
      packet.datagram = packet.datagram.first(size);
      packet.origin = origin;
      return DropReason::kNone;
    case SrtpResult::kReplayed: {
      // Somebody who copies the peer's packets faster than they arrive would otherwise keep the media for
      // ever (LAT-10).
      const bool counts = hearing.claim == Latch::Claim::kBetter && !moves_nothing &&
                          latch_of(component, hearing).counts_replays_of(from);
      // The tag of a packet from a batch was found to be right.
      if (counts && (opened != nullptr || is_authentic_replay(protection, packet, origin)))
        (void)follow_authentic(component, from, hearing, now);
      return refuse(DropReason::kReplayed);
    }
    case SrtpResult::kForgotten:
      return refuse(DropReason::kSsrcForgotten);
    case SrtpResult::kKeyExhausted:
      return refuse(DropReason::kKeyExhausted);
    case SrtpResult::kNoMemory:
      return refuse(DropReason::kNoMemory);
    case SrtpResult::kNoKey:
      return refuse(DropReason::kNoKey);
    case SrtpResult::kMalformed:
      return refuse(is_rtp ? DropReason::kMalformedRtp : DropReason::kMalformedRtcp);
    case SrtpResult::kNotAuthentic:
    case SrtpResult::kNoRoom:
      break;
  }
  // Not authentic: if only the roll-over counter differs, the explanation should say so.
  if (is_rtp) look_for_roll_over(protection, packet.datagram, now);
  return refuse(DropReason::kNotAuthentic);
}

DropReason Transport::refusal_before_opening(const ReceivedPacket& packet, Hearing hearing,
                                             const OwnMedia& own) noexcept {
  const Component component = packet.component();
  const Endpoint& from = packet.from;
  const bool is_rtcp = packet.kind == DatagramClass::kRtcp;
  // Only the peer, and whoever may become it, is worth a checksum and may use up an index.
  if (hearing.claim == Latch::Claim::kNone) return DropReason::kForeignSource;
  const DropReason unlearnable =
      latch_of(component, hearing).refusal_of(heard_as(component, from), packet.at, own);
  if (unlearnable != DropReason::kNone) return unlearnable;
  // LAT-9: RTCP on its own port must come from RTP's address, unless it is the signalled RTCP endpoint.
  const Latch& rtp = latch_[index(Component::kRtp)];
  const bool is_beside = component != Component::kRtcp || hearing.is_proposed || plan_->ice ||
                         rtp.state() != Latch::State::kLocked || from.address == rtp.learned().address ||
                         latch_[index(component)].rank_of(from) == 4;
  if (!is_beside) return DropReason::kForeignSource;
  // DMX-4: a type that was not negotiated must not lock, nor begin a stream under the key.
  if (component == Component::kRtp && packet.has_rtp_header() && refuses_type(packet))
    return DropReason::kUnknownPayloadType;
  const Protection* protection = protection_[slot_of(component)].get();
  if (protection == nullptr) return DropReason::kNoKey;
  // Our own packet, sent back by the peer: with one key for both directions it would authenticate.
  if (protection->is_reflected && protection->sending &&
      protection->sending->context.knows(ssrc_of(packet.datagram, is_rtcp)))
    return DropReason::kReplayed;
  // LAT-8b: a silent peer may have moved, but only a packet above every index so far proves it.
  if (hearing.claim == Latch::Claim::kSilent && (is_rtcp || !is_newest(*protection, packet.datagram)))
    return DropReason::kForeignSource;
  return DropReason::kNone;
}

SrtpResult Transport::open(Protection& protection, const ReceivedPacket& packet, std::size_t& size,
                           SrtpOrigin& origin, const SrtpOpened* opened) noexcept {
  const MutableBytes datagram = packet.datagram;
  const bool is_rtcp = packet.kind == DatagramClass::kRtcp;
  SrtpResult result = SrtpResult::kNoKey;
  for (auto& each : protection.incoming) {
    if (each.until != Instant{} && packet.at >= each.until) continue;
    // There is a key, so the result is no longer "no key".
    if (result == SrtpResult::kNoKey) result = SrtpResult::kNotAuthentic;
    // A packet from a batch was opened under one key; the others need not be tried.
    if (opened != nullptr && opened->origin.key != each.number) continue;
    SrtpReceiver& context = each.under->context;
    SrtpResult found{};
    if (opened != nullptr) {
      found = context.accept_rtp(Ssrc{read_u32(datagram, 8)}, opened->origin.index);
      size = opened->size;
    } else {
      found = is_rtcp ? context.open_rtcp(datagram, size)
                      : context.open_rtp(datagram, size, former_index(protection, context, datagram));
    }
    // A refusal such as "replayed" is remembered, but another key may still fit.
    if (found == SrtpResult::kNotAuthentic) continue;
    result = found;
    origin = {context.opened_index(), each.number};
    if (result == SrtpResult::kOk) break;
  }
  return result;
}

bool Transport::is_authentic_replay(const Protection& protection, const ReceivedPacket& packet,
                                    SrtpOrigin origin) noexcept {
  const bool is_rtcp = packet.kind == DatagramClass::kRtcp;
  // The number names the key that refused the packet; only that one can tell.
  return std::ranges::any_of(protection.incoming, [&](const auto& each) {
    if (each.number != origin.key || (each.until != Instant{} && packet.at >= each.until)) return false;
    return is_rtcp ? each.under->context.is_authentic_rtcp(packet.datagram)
                   : each.under->context.is_authentic_rtp(packet.datagram);
  });
}

bool Transport::is_newest(const Protection& protection, Bytes datagram) noexcept {
  if (datagram.size() < kRtpFixedHeaderSize) return false;
  const Ssrc ssrc{read_u32(datagram, 8)};
  const SeqNo sequence{read_u16(datagram, 2)};
  return std::ranges::all_of(protection.incoming, [&](const auto& each) {
    const auto newest = each.under->context.newest_index(ssrc);
    // A stream that a key does not know may have any index there.
    return !newest || estimate_index(*newest, sequence) > static_cast<std::int64_t>(*newest);
  });
}

bool Transport::follow_authentic(Component component, const Endpoint& from, Hearing hearing,
                                 Instant now) noexcept {
  if (!latch_of(component, hearing).lock_authenticated(heard_as(component, from), now)) return false;
  Latch& rtcp = latch_[index(Component::kRtcp)];
  const Latch& rtp = latch_[index(Component::kRtp)];
  // Somebody else may have been first on the RTCP port; it is learned anew if its address differs from RTP's.
  const bool is_apart = component == Component::kRtp && !hearing.is_proposed && !plan_->ice &&
                        rtcp.state() == Latch::State::kLocked && rtcp.rank() != 4 &&
                        rtcp.learned().address != rtp.learned().address;
  if (is_apart) rtcp.restart(plan_->rtcp_latch, now);
  return true;
}

std::optional<std::uint64_t> Transport::former_index(const Protection& protection,
                                                     const SrtpReceiver& context,
                                                     Bytes datagram) const noexcept {
  const Ssrc ssrc = ssrc_of(datagram, false);
  if (context.newest_index(ssrc)) return std::nullopt;
  // The stream may go on from another key of this media.
  if (const auto under_key = protection.contexts->newest_index(ssrc)) return under_key;
  // A stream that was plain until now continues with the index of its highest sequence number.
  for (const SourceState& source : states_) {
    for (const StreamStats& stream : source.ingress) {
      if (stream.counters().ssrc == ssrc && stream.counters().packets > 0)
        return stream.counters().highest_extended;
    }
  }
  return std::nullopt;
}

void Transport::look_for_roll_over(Protection& protection, Bytes datagram, Instant now) {
  constexpr Duration kInterval = 1s;  // so that a forger cannot make us work
  if (protection.roll_over_tried != Instant{} && now - protection.roll_over_tried < kInterval) return;
  protection.roll_over_tried = now;
  for (const auto& each : protection.incoming) {
    const auto other = each.under->context.find_roll_over(datagram);
    Evidence* evidence = other ? made_evidence() : nullptr;
    if (evidence == nullptr) continue;
    evidence->roll_over = {other->expected, other->used, Ssrc{read_u32(datagram, 8)}, now};
    return;
  }
}

Hearing Transport::hearing_of(Component component, const Endpoint& from, Instant now) const noexcept {
  return ferry::hearing_of(latch_[index(component)], proposed_latch(component), from,
                           heard_as(component, from), component == Component::kRtp, now);
}

const Endpoint& Transport::heard_as(Component component, const Endpoint& from) const noexcept {
  const Latch& latch = latch_[index(component)];
  const bool is_other = ice_ && latch.state() == Latch::State::kLocked && from != latch.learned();
  return is_other && ice_->is_valid(component, from) ? latch.learned() : from;
}

bool Transport::prepare_unprotect(const ReceivedPacket& packet, SrtpWork& work,
                                  SrtpOpened& opened) const noexcept {
  const Protection* protection = protection_[slot_of(packet.component())].get();
  if (protection == nullptr || plan_->kind != TransportKind::kRtp || packet.kind != DatagramClass::kRtp ||
      hearing_of(packet.component(), packet.from, packet.at).claim == Latch::Claim::kNone)
    return false;
  // Only the likeliest key is tried in a batch; whatever fails there is opened one by one with all of them.
  for (const auto& each : protection->incoming) {
    if (each.until != Instant{} || !each.under->context.prepare_rtp(packet.datagram, work)) continue;
    opened.origin = {work.index, each.number};
    return true;
  }
  return false;
}

void Transport::prefetch_arriving(Fetch step) const noexcept {
  switch (step) {
    case Fetch::kParts:
      prefetch_octets(plan_.get(), sizeof(TransportPlan));
      if (protection_[0]) __builtin_prefetch(protection_[0].get());
      return;
    case Fetch::kLists:
      __builtin_prefetch(plan_->sources.data());
      __builtin_prefetch(flight_.get(), 1);
      if (!protection_[0]) return;
      prefetch_octets(protection_[0]->incoming.data(), sizeof(Protection::Incoming));
      prefetch_octets(protection_[0]->newest, sizeof(SrtpReceiving));
      return;
    case Fetch::kSession:
    case Fetch::kContext:
      if (protection_[0] && protection_[0]->newest != nullptr)
        protection_[0]->newest->context.prefetch(session_step(step));
      return;
  }
}

void Transport::prefetch_leaving(Fetch step) const noexcept {
  switch (step) {
    case Fetch::kParts:
      prefetch_octets(plan_.get(), sizeof(TransportPlan));
      if (protection_[0]) prefetch_octets(protection_[0].get(), sizeof(Protection));
      return;
    case Fetch::kLists:
      if (protection_[0]) prefetch_octets(protection_[0]->sending.get(), sizeof(SrtpSending));
      return;
    case Fetch::kSession:
    case Fetch::kContext:
      if (protection_[0] && protection_[0]->sending)
        protection_[0]->sending->context.prefetch(session_step(step));
      return;
  }
}

bool Transport::relays_key_of(const Transport& source) const noexcept {
  if (plan_->srtp == nullptr || !plan_->srtp->send_is_relayed || !source.protection_[0]) return false;
  return std::ranges::any_of(source.protection_[0]->incoming,
                             [&](const auto& each) { return each.under->key == plan_->srtp->send; });
}

DropReason Transport::protect(bool is_rtcp, MutableBytes space, std::size_t& size, const Transport* source,
                              SrtpOrigin origin, SrtpWork* later) noexcept {
  if (plan_->kind != TransportKind::kRtp) return DropReason::kNone;
  const Component component = is_rtcp && !plan_->send_rtcp_muxed ? Component::kRtcp : Component::kRtp;
  Protection* protection = protection_[slot_of(component)].get();
  if (protection == nullptr || !protection->sending) return DropReason::kNoKey;
  SrtpSender& sender = protection->sending->context;
  // With one key in both directions, an SSRC that the peer sends must not be sent by us (SRT-1).
  if (protection->is_reflected && std::ranges::any_of(protection->incoming, [&](const auto& each) {
        return each.under->key.key == protection->sending->key.key &&
               each.under->context.knows(ssrc_of(space.first(size), is_rtcp));
      }))
    return DropReason::kSharedKey;
  // Unset: the sender makes the index of the packet's sequence number.
  std::optional<std::uint64_t> index;
  if (source != nullptr && relays_key_of(*source)) {
    // Under the key of its source a packet leaves with the index that it came with, bit for bit the same
    // (SRT-9).
    const auto& known = source->protection_[0]->incoming;
    const auto under = std::ranges::find(known, origin.key, &Protection::Incoming::number);
    if (under == known.end() || under->under->key != protection->sending->key) return DropReason::kSharedKey;
    index = origin.index;
  }
  SrtpResult result{};
  if (is_rtcp) {
    result = index ? sender.seal_rtcp_as(space, size, static_cast<std::uint32_t>(*index))
                   : sender.seal_rtcp(space, size);
  } else if (later != nullptr) {
    result = sender.prepare_rtp(space, size, index, *later);
    // The packet grows when it is sealed; its final size is known now.
    if (result == SrtpResult::kOk) size += later->cipher->rtp_overhead();
  } else {
    result = index ? sender.seal_rtp_as(space, size, *index) : sender.seal_rtp(space, size);
  }
  // The key has to be exchanged in time: control is told before the limit stops the stream (SRT-7).
  if (sender.wears_out()) note(TransportEvent::kKeyWearsOut);
  switch (result) {
    case SrtpResult::kOk:
      return DropReason::kNone;
    case SrtpResult::kReplayed:
      // A packet that is refused was not encrypted: its header is there.
      if (!is_rtcp && sender.standing(Ssrc{read_u32(space, 8)}, SeqNo{read_u16(space, 2)},
                                      read_u32(space, 4)) == SrtpSender::Standing::kCopy)
        drops_.add_trait(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy);
      return DropReason::kReplayed;
    case SrtpResult::kForgotten:
      return DropReason::kSsrcForgotten;
    case SrtpResult::kKeyExhausted:
      return DropReason::kKeyExhausted;
    case SrtpResult::kNoMemory:
      return DropReason::kNoMemory;
    case SrtpResult::kMalformed:
    case SrtpResult::kNotAuthentic:
    case SrtpResult::kNoKey:
    case SrtpResult::kNoRoom:
      break;
  }
  return DropReason::kTooLong;
}

bool Transport::may_speak(LocalPort at, const Endpoint& from, const OwnMedia& own) const noexcept {
  // With ICE whoever passed a check may speak. Without it the latch decides, and a port of our own may speak
  // only on a known hairpin.
  if (plan_->ice) return ice_ && ice_->is_valid(at, from);
  const Latch& latch = latch_[index(at.component)];
  return latch.may_speak(from) && (!own.contains(from) || plan_->rtp_latch.hairpin);
}

DropReason Transport::on_handshake(const ReceivedPacket& packet, HandshakeTurn turn) {
  return packet.kind == DatagramClass::kStun ? on_stun(packet, turn) : on_dtls(packet, turn);
}

DropReason Transport::on_stun(const ReceivedPacket& packet, HandshakeTurn turn) {
  if (!plan_->ice) {
    drop(packet.component(), DropReason::kStunUnexpected);
    return DropReason::kStunUnexpected;
  }
  if (!made_ice(turn.now).take(packet.port, packet.from, packet.datagram, {turn.out, turn.now})) {
    drop(packet.component(), DropReason::kStunRefused);
    return DropReason::kStunRefused;
  }
  // A peer that sends checks is there, so the call does not time out.
  activity_->last_packet_ns.store(turn.now.time_since_epoch().count(), std::memory_order_relaxed);
  follow_ice(turn);
  return DropReason::kNone;
}

void Transport::follow_ice(HandshakeTurn turn) {
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    Latch& latch = latch_[index(component)];
    const auto& selected = ice_->selected(component);
    if (selected) {
      local_[index(component)] = selected->local;
      latch.pin(selected->peer, turn.now);
      // The peer is forgotten only after consent was lost.
    } else if (latch.state() == Latch::State::kLocked && ice_->state() == IceAgent::State::kExpired) {
      latch.unpin();
    }
  }
}

void Transport::drive(HandshakeTurn turn) {
  if (plan_->ice) {
    const IceAgent::State before = made_ice(turn.now).state();
    ice_->drive({turn.out, turn.now});
    follow_ice(turn);
    if (ice_->state() != before) {
      if (ice_->state() == IceAgent::State::kConnected) note(TransportEvent::kIceConnected);
      if (ice_->state() == IceAgent::State::kFailed) note(TransportEvent::kIceFailed);
      if (ice_->state() == IceAgent::State::kExpired) note(TransportEvent::kIceExpired);
    }
  }
  if (plan_->dtls) drive_dtls(turn);
}

std::optional<Instant> Transport::due(Instant now) const noexcept {
  // The earliest of: ICE checks, a DTMF press that ends by time, handshakes.
  std::optional<Instant> first = ice_ ? ice_->due(now) : std::nullopt;
  for (const SourceState& state : states_) {
    const auto due = state.presses ? state.presses->due() : std::nullopt;
    if (due && (!first || *due < *first)) first = due;
  }
  if (!dtls_) return first;
  for (const DtlsChannel& channel : dtls_->channels) {
    const auto due = channel.due(now);
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

std::optional<TransportSnapshot::Srtp> Transport::srtp_snapshot() const {
  const SrtpPlan* keys = keys_of(0);
  const Protection* protection = protection_[0].get();
  if (keys == nullptr || protection == nullptr) return std::nullopt;
  TransportSnapshot::Srtp s;
  for (const SrtpMasterKey& key : keys->receive) {
    const auto found =
        std::ranges::find_if(protection->incoming, [&](const auto& each) { return each.under->key == key; });
    s.received.push_back(found == protection->incoming.end() ? SrtpReceiver::State{}
                                                             : found->under->context.state());
  }
  if (protection->sending) s.sent = protection->sending->context.state();
  return s;
}

void Transport::restore_keys(const TransportSnapshot& s, Instant now) {
  if (s.ice && plan_->ice) {
    made_ice(now).restore(s.ice->selected, s.ice->is_former, now);
    for (std::size_t i = 0; i < local_.size(); ++i) {
      if (s.ice->selected[i]) local_[i] = s.ice->selected[i]->local;
    }
  }
  if (!s.dtls || !plan_->dtls) return;
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    const auto& [state, keys, association, evidence] = (*s.dtls)[index(component)];
    // Only a finished handshake can go on elsewhere; others begin anew.
    if (!keys) continue;
    made_dtls().channels[index(component)].restore(*keys,
                                                   association != 0 ? association : plan_->dtls->association);
    agree(component);
  }
  follow_keys(now);
}

}  // namespace ferry
