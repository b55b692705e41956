// SPDX-License-Identifier: Apache-2.0
// How a protected packet is opened, judged before that, and sealed when it leaves.
//
// A received SRTP packet takes this way: `refusal_before_opening` drops it unless its source is the peer or
// may become it, because a stranger must neither cost a checksum nor use up an index (SRT-2). `Protection`
// tries the keys, newest first. Only then the latch follows the sender (`follow_authentic`, LAT-10), and
// `on_datagram` judges the plain packet. A packet that leaves gets the SSRCs that its receiver knows
// (`translate_ssrcs`) and is encrypted by `protect`.

#include "relay/core/forward/transport.hpp"

#include <algorithm>

namespace ferry {

namespace {

SrtpFetch session_step(Transport::Fetch step) noexcept {
  const bool is_session =
      step == Transport::Fetch::kArrivingSession || step == Transport::Fetch::kLeavingSession;
  return is_session ? SrtpFetch::kSession : SrtpFetch::kContext;
}

}  // namespace

std::size_t Transport::slot_of(Component component) const noexcept {
  // DTLS gives each component its own keys (RFC 5764 §3); SDES gives both the same.
  const bool has_own = plan_->dtls != nullptr && !plan_->send_rtcp_muxed;
  return has_own ? index(component) : 0;
}

const SrtpPlan* Transport::keys_of(std::size_t slot) const noexcept {
  if (plan_->dtls) return handshakes_.agreed(slot);
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
  protection->follow(*plan, now);
  // Keys by DTLS stay those of their handshake, whose plan may know of no video yet.
  if (plan_->srtp) protection->widen(plan_->srtp->window);
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
    if (reason == DropReason::kForeignSource) events_.note(TransportEvent::kForeignSource);
    if (reason == DropReason::kUnknownPayloadType) events_.note(TransportEvent::kUnknownPayloadType);
    // SRT-14: a forged packet is counted and reported, and does nothing else.
    if (reason == DropReason::kNotAuthentic) events_.note(TransportEvent::kNotAuthentic);
    drop(component, reason);
    return reason;
  };
  const Hearing hearing = hearing_of(component, from, now);
  const DropReason refused = refusal_before_opening(packet, hearing, own);
  if (refused != DropReason::kNone) return refuse(refused);
  Protection& protection = *protection_[slot_of(component)];
  std::size_t size = packet.datagram.size();
  SrtpOrigin origin;
  const SrtpResult result = protection.open(packet, size, origin, opened, [this](Ssrc ssrc) {
    // A stream that was plain until now continues with the index of its highest sequence number.
    const StreamStats* plain = streams_.find_counted(ssrc);
    return plain != nullptr ? std::optional(plain->counters().highest_extended) : std::nullopt;
  });
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
      if (counts && (opened != nullptr || protection.is_authentic_replay(packet, origin)))
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
  const auto other = is_rtp ? protection.find_roll_over(packet.datagram, now) : std::nullopt;
  if (Evidence* evidence = other ? account_.ensure_evidence() : nullptr) evidence->roll_over = *other;
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
  if (component == Component::kRtp && packet.has_rtp_header() && streams_.refuses_type(packet, rtp))
    return DropReason::kUnknownPayloadType;
  const Protection* protection = protection_[slot_of(component)].get();
  if (protection == nullptr) return DropReason::kNoKey;
  // Our own packet, sent back by the peer: with one key for both directions it would authenticate.
  if (protection->is_our_own(packet)) return DropReason::kReplayed;
  // LAT-8b: a silent peer may have moved, but only a packet above every index so far proves it.
  if (hearing.claim == Latch::Claim::kSilent && (is_rtcp || !protection->is_newest(packet.datagram)))
    return DropReason::kForeignSource;
  return DropReason::kNone;
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

Hearing Transport::hearing_of(Component component, const Endpoint& from, Instant now) const noexcept {
  return ferry::hearing_of(latch_[index(component)], proposed_latch(component), from,
                           heard_as(component, from), component == Component::kRtp, now);
}

bool Transport::prepare_unprotect(const ReceivedPacket& packet, SrtpWork& work,
                                  SrtpOpened& opened) const noexcept {
  const Protection* protection = protection_[slot_of(packet.component())].get();
  if (protection == nullptr || plan_->kind != TransportKind::kRtp || packet.kind != DatagramClass::kRtp ||
      hearing_of(packet.component(), packet.from, packet.at).claim == Latch::Claim::kNone)
    return false;
  return protection->prepare(packet, work, opened);
}

void Transport::prefetch(Fetch step) const noexcept {
  const Protection* protection = protection_[0].get();
  switch (step) {
    case Fetch::kArrivingParts:
      prefetch_octets(plan_.get(), sizeof(TransportPlan));
      prefetch_octets(activity_.get(), sizeof(TransportActivity));
      streams_.prefetch_states();
      account_.prefetch_flight();
      if (protection != nullptr) __builtin_prefetch(protection);
      return;
    case Fetch::kArrivingLists:
      __builtin_prefetch(plan_->sources.data());
      streams_.prefetch_arriving();
      account_.prefetch_flight_entry();
      if (protection != nullptr) protection->prefetch_incoming_lists();
      return;
    case Fetch::kArrivingSession:
    case Fetch::kArrivingContext:
      if (protection != nullptr) protection->prefetch_incoming(session_step(step));
      return;
    case Fetch::kLeavingParts:
      prefetch_octets(plan_.get(), sizeof(TransportPlan));
      streams_.prefetch_states();
      if (protection != nullptr) prefetch_octets(protection, sizeof(Protection));
      return;
    case Fetch::kLeavingLists:
      streams_.prefetch_leaving();
      if (protection != nullptr) protection->prefetch_sending_lists();
      return;
    case Fetch::kLeavingSession:
    case Fetch::kLeavingContext:
      if (protection != nullptr) protection->prefetch_sending(session_step(step));
      return;
  }
}

bool Transport::relays_key_of(const Transport& source) const noexcept {
  return plan_->srtp != nullptr && plan_->srtp->send_is_relayed && source.protection_[0] &&
         source.protection_[0]->receives_with(plan_->srtp->send);
}

DropReason Transport::protect(bool is_rtcp, MutableBytes space, std::size_t& size, const Transport* source,
                              SrtpOrigin origin, SrtpWork* later) noexcept {
  // What is no RTP has no protection of its own, so a protected transport sends nothing of it (SRT-11).
  if (plan_->kind != TransportKind::kRtp)
    return plan_->is_protected() ? DropReason::kNoKey : DropReason::kNone;
  const Component component = is_rtcp && !plan_->send_rtcp_muxed ? Component::kRtcp : Component::kRtp;
  Protection* protection = protection_[slot_of(component)].get();
  if (protection == nullptr || !protection->can_send()) return DropReason::kNoKey;
  // Unset: the sender makes the index of the packet's sequence number.
  std::optional<std::uint64_t> index;
  if (source != nullptr && relays_key_of(*source)) {
    // Under the key of its source a packet leaves with the index that it came with, bit for bit the same
    // (SRT-9).
    if (!protection->sends_under_key_of(*source->protection_[0], origin.key)) return DropReason::kSharedKey;
    index = origin.index;
  }
  const Protection::Sealed sealed = protection->seal(is_rtcp, space, size, index, later);
  // The key has to be exchanged in time: control is told before the limit stops the stream (SRT-7).
  if (sealed.is_nearly_used_up) events_.note(TransportEvent::kKeyNearlyUsedUp);
  if (sealed.is_copy) account_.add_trait(DropSide::kLeaving, DropReason::kReplayed, DropTrait::kCopy);
  return sealed.reason;
}

DropReason Transport::translate_ssrcs(const Transport& source, MediaId media, MediaId to,
                                      const Verdict& verdict, DatagramClass kind,
                                      MutableBytes packet) noexcept {
  if (plan_->kind != TransportKind::kRtp) return DropReason::kNone;
  const auto names = [](const Transport& of) {
    return of.protection_[0] ? of.protection_[0]->names() : nullptr;
  };
  if (verdict.is_rtcp)
    return translate_rtcp(names(*this), names(source), source.plan_->sources, relays_key_of(source), packet);
  if (packet.size() < kRtpFixedHeaderSize || kind != DatagramClass::kRtp) return DropReason::kNone;
  // A key that belongs to the source itself can only carry the source's own SSRCs.
  if (plan_->is_protected() && (!protection_[0] || plan_->srtp->send_is_relayed)) return DropReason::kNone;
  if (plan_->sources.size() > 1) {
    if (const DropReason reason = part_streams(media, to, packet); reason != DropReason::kNone) return reason;
  }
  if (!plan_->is_protected()) return DropReason::kNone;
  return protection_[0]->translate_rtp(media, {verdict.restarts, verdict.is_negotiated}, packet);
}

DropReason Transport::part_streams(MediaId media, MediaId to, MutableBytes packet) noexcept {
  const Ssrc theirs{read_u32(packet, 8)};
  Protection* protection = protection_[0].get();
  const SsrcTranslation* known = protection != nullptr ? protection->names() : nullptr;
  Ssrc ours = known != nullptr ? known->to_receiver(media.value, theirs) : theirs;
  if (streams_.is_taken_elsewhere(to, ours)) {
    // The names are kept in `Protection`, which a transport without keys does not have yet.
    const bool is_done = had_memory([&] {
      if (!protection_[0]) protection_[0] = std::make_unique<Protection>();
      const auto fresh = protection_[0]->unused_ssrc();
      if (fresh && protection_[0]->ensure_names().rename(media.value, theirs, *fresh)) ours = *fresh;
    });
    if (!is_done) return DropReason::kNoMemory;
  }
  // On a protected transport `translate_rtp` writes the SSRC, because it also looks at the packet's index.
  if (!plan_->is_protected() && ours != theirs) write_u32(packet, 8, ours.value);
  return DropReason::kNone;
}

std::optional<TransportSnapshot::Srtp> Transport::srtp_snapshot() const {
  const SrtpPlan* keys = keys_of(0);
  const Protection* protection = protection_[0].get();
  if (keys == nullptr || protection == nullptr) return std::nullopt;
  return protection->save(*keys);
}

}  // namespace ferry
