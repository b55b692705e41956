// SPDX-License-Identifier: Apache-2.0
// ICE and DTLS of a transport: whose datagrams they hear, where they speak to, and what becomes of what they
// find out (RFC 8445; RFC 5763, RFC 5764, DTL-1 to DTL-14).
//
// The ICE agent does the checks (relay/core/ice); the pair that it selects is pinned into the latch
// (`follow_ice`). Each component has a DTLS channel of its own, which does the handshakes (relay/core/dtls).
// `take_dtls` lets only sources speak that ICE or the latch vouches for, `drive_dtls` begins and repeats, and
// `follow_handshake` turns a finished handshake into SRTP keys and a locked peer.

#include "relay/core/forward/handshakes.hpp"

namespace ferry {

namespace {

/// Sends through the ports of one component. `send` uses the local address of `via`.
class ThroughPort final : public DatagramOutput {
 public:
  ThroughPort(PortOutput& out, LocalPort via) : out_(out), via_(via) {}
  void send(const Endpoint& to, Bytes datagram) noexcept override { out_.send(via_, to, datagram); }
  void send_by(const Path& path, Bytes datagram) noexcept override {
    out_.send({via_.component, path.local}, path.peer, datagram);
  }

 private:
  PortOutput& out_;
  LocalPort via_;
};

/// Locks to the address that proved to hold the signalled certificate (LAT-10).
void lock_proven(Latch& latch, const Endpoint& from, HandshakeTurn turn) noexcept {
  const bool may_lock =
      latch.state() != Latch::State::kLocked || latch.claim(from, false, turn.now) == Latch::Claim::kBetter;
  if (may_lock && latch.refusal_of(from, turn.now, turn.own) == DropReason::kNone)
    (void)latch.lock_authenticated(from, turn.now);
}

}  // namespace

void Handshakes::set_plan(const TransportPlan& old, const TransportPlan& plan, Instant now) {
  if (!plan.dtls) dtls_.reset();
  if (!plan.overheard)
    overheard_.reset();
  else if (overheard_)
    overheard_->follow(plan.overheard, now);
  if (!plan.ice) {
    ice_.reset();
    if (!plan.overheard) local_ = {};
  } else if (ice_ && plan.ice != old.ice) {
    ice_->follow(*plan.ice, now);
  }
}

Path Handshakes::way_of(Component component, Side side) const noexcept {
  // Without ICE a handshake goes where media goes. With ICE only the selected pair of the present session
  // will do.
  if (!side.plan.ice) return {local_[index(component)], side.latch[index(component)].destination()};
  return ice_ && ice_->is_current(component) ? *ice_->selected(component) : Path{};
}

DtlsTurn Handshakes::dtls_turn(Component component, DatagramOutput& out, Side side,
                               HandshakeTurn turn) noexcept {
  const LatchConfig& latch = side.latch[index(component)].config();
  const bool is_named = !side.plan.ice && !latch.signalled_void;
  return {*side.plan.dtls,
          turn.budget,
          out,
          turn.now,
          side.plan.ice != nullptr,
          is_named ? latch.signalled : Endpoint{}};
}

DropReason Handshakes::take_dtls(const ReceivedPacket& packet, Side side, HandshakeTurn turn) {
  const Component component = packet.component();
  const Path way{packet.port.local, packet.from};
  // With rtcp-mux there is only the handshake of the RTP component.
  const bool is_muxed_away = component == Component::kRtcp && side.plan.send_rtcp_muxed;
  if (!side.plan.dtls || is_muxed_away) return DropReason::kDtlsUnexpected;
  DtlsChannel& channel = ensure_dtls().channels[index(component)];
  if (!may_speak(side.plan, side.latch[index(component)], packet.port, packet.from, turn.own)) {
    // DTL-3: the peer's first flight may overtake ICE or the answer. It is held until its source may speak.
    if (channel.hold(way, packet.datagram, turn.now)) return DropReason::kNone;
    side.events.note(TransportEvent::kForeignSource);
    return DropReason::kSourceNotAllowed;
  }
  ThroughPort out(turn.out, packet.port);
  const DropReason reason = channel.take(way, packet.datagram, dtls_turn(component, out, side, turn));
  follow_handshake(component, side, turn);
  return reason;
}

void Handshakes::drive_dtls(Side side, HandshakeTurn turn) {
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    if (component == Component::kRtcp && side.plan.send_rtcp_muxed) continue;
    DtlsChannel& channel = ensure_dtls().channels[index(component)];
    ThroughPort out(turn.out, {component, local_[index(component)]});
    const DtlsTurn inner = dtls_turn(component, out, side, turn);
    // The source of the held flight may have become good in the meantime.
    const Path held = channel.held_from(turn.now);
    if (held.is_set() &&
        may_speak(side.plan, side.latch[index(component)], {component, held.local}, held.peer, turn.own))
      channel.release(inner);
    channel.drive(way_of(component, side), inner);
    follow_handshake(component, side, turn);
  }
}

void Handshakes::agree(const TransportPlan& plan, Component component) {
  const auto& keys = dtls_->channels[index(component)].keys();
  // Keys agreed by DTLS use the same back end and the same memory of indices as keys from signalling.
  auto agreed = std::make_shared<SrtpPlan>();
  if (plan.srtp) {
    agreed->backend = plan.srtp->backend;
    agreed->window = plan.srtp->window;
    agreed->contexts = plan.srtp->contexts;
    agreed->party = plan.srtp->party;
  }
  // Without keys the plan stays empty, and a protected transport without keys carries nothing (SRT-11).
  if (keys && agreed->backend) {
    agreed->receive.push_back(keys->receive);
    agreed->send = keys->send;
  }
  dtls_->agreed[index(component)] = std::move(agreed);
  has_new_keys_ = true;
}

void Handshakes::follow_handshake(Component component, Side side, HandshakeTurn turn) {
  DtlsChannel& channel = dtls_->channels[index(component)];
  switch (channel.take_news()) {
    case DtlsChannel::News::kNone:
      return;
    case DtlsChannel::News::kReady:
      agree(side.plan, component);
      // The certificate proves who is at that address, so media may lock to it before any media came.
      lock_proven(side.latch[index(component)], channel.peer(), turn);
      side.presence.hear();
      side.events.note(TransportEvent::kDtlsReady);
      return;
    case DtlsChannel::News::kMismatch:
      side.events.note(TransportEvent::kDtlsMismatch);
      return;
    case DtlsChannel::News::kFailed:
      side.events.note(TransportEvent::kDtlsFailed);
      return;
  }
}

void Handshakes::leave_worker() noexcept {
  if (ice_) ice_->leave_worker();
  if (!dtls_) return;
  for (DtlsChannel& channel : dtls_->channels) channel.leave_budget();
}

void Handshakes::skip(Duration pause) noexcept {
  if (dtls_) {
    for (DtlsChannel& channel : dtls_->channels) channel.skip(pause);
  }
  if (ice_) ice_->skip(pause);
  if (overheard_) overheard_->skip(pause);
}

void Handshakes::save(const TransportPlan& plan, TransportSnapshot& snapshot) const {
  if (plan.dtls && dtls_) {
    TransportSnapshot::Dtls s;
    for (std::size_t i = 0; i < s.size(); ++i) {
      const DtlsChannel& channel = dtls_->channels[i];
      s[i] = {channel.state(), channel.keys(), channel.keyed_for(), {}};
      if (channel.evidence() != nullptr) s[i].evidence = *channel.evidence();
    }
    snapshot.dtls = std::move(s);
  }
  if (overheard_) {
    TransportSnapshot::Ice ice;
    for (const Component component : {Component::kRtp, Component::kRtcp})
      ice.selected[index(component)] = overheard_->selected(component);
    if (ice.selected[0]) ice.state = IceAgent::State::kConnected;
    snapshot.ice = ice;
  }
  if (!ice_) return;
  TransportSnapshot::Ice ice;
  ice.state = ice_->state();
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    ice.selected[index(component)] = ice_->selected(component);
    ice.is_former[index(component)] = ice_->selected(component) && !ice_->is_current(component);
  }
  snapshot.ice = ice;
}

bool Handshakes::may_speak(const TransportPlan& plan, const Latch& latch, LocalPort at, const Endpoint& from,
                           const OwnMedia& own) const noexcept {
  // With ICE whoever passed a check may speak. Without it the latch decides, and a port of our own may speak
  // only on a known hairpin.
  if (plan.ice) return ice_ && ice_->is_valid(at, from);
  return latch.may_speak(from) && (!own.contains(from) || plan.rtp_latch.hairpin);
}

DropReason Handshakes::take(const ReceivedPacket& packet, Side side, HandshakeTurn turn) {
  return packet.kind == DatagramClass::kStun ? take_stun(packet, side, turn) : take_dtls(packet, side, turn);
}

DropReason Handshakes::take_stun(const ReceivedPacket& packet, Side side, HandshakeTurn turn) {
  if (!side.plan.ice) return DropReason::kStunUnexpected;
  IceAgent& ice = ensure_ice(side.plan, turn.now);
  if (!ice.take(packet.port, packet.from, packet.datagram, {turn.out, turn.now}))
    return DropReason::kStunRefused;
  // A peer that sends checks is there, so the call does not time out.
  side.account.note_check(turn.now);
  follow_ice(side, turn);
  return DropReason::kNone;
}

OverheardIce::Heard Handshakes::overhear(const ReceivedPacket& packet, Side side, HandshakeTurn turn) {
  OverheardIce& overheard = ensure_overheard(side.plan, turn.now);
  const OverheardIce::Heard heard =
      overheard.take(packet.port, packet.from, packet.datagram, {turn.out, turn.now, turn.own});
  if (heard.kind == OverheardIce::Heard::Kind::kRefused) return heard;
  side.account.note_check(turn.now);
  side.presence.hear();
  follow_overheard(side, turn.now);
  return heard;
}

std::optional<Path> Handshakes::pass_check(const TransportPlan& plan, Component component,
                                           const OverheardIce::Heard& check, const Path& back,
                                           HandshakeTurn turn) {
  return ensure_overheard(plan, turn.now).pass(component, check, back, {turn.out, turn.now, turn.own});
}

void Handshakes::follow_overheard(Side side, Instant now) {
  if (!side.plan.overheard) return;
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    Latch& latch = side.latch[index(component)];
    const Path selected = overheard_ ? overheard_->selected(component).value_or(Path{}) : Path{};
    if (selected.is_set()) {
      local_[index(component)] = selected.local;
      latch.pin(selected.peer, now);
    } else if (latch.state() == Latch::State::kLocked) {
      latch.unpin();
    }
  }
}

void Handshakes::follow_ice(Side side, HandshakeTurn turn) {
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    Latch& latch = side.latch[index(component)];
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

void Handshakes::drive(Side side, HandshakeTurn turn) {
  if (side.plan.ice) {
    const IceAgent::State before = ensure_ice(side.plan, turn.now).state();
    ice_->drive({turn.out, turn.now});
    follow_ice(side, turn);
    if (ice_->state() != before) {
      if (ice_->state() == IceAgent::State::kConnected) side.events.note(TransportEvent::kIceConnected);
      if (ice_->state() == IceAgent::State::kFailed) side.events.note(TransportEvent::kIceFailed);
      if (ice_->state() == IceAgent::State::kExpired) side.events.note(TransportEvent::kIceExpired);
    }
  }
  if (side.plan.overheard && overheard_) {
    overheard_->drive({turn.out, turn.now, turn.own});
    follow_overheard(side, turn.now);
  }
  if (side.plan.dtls) drive_dtls(side, turn);
}

std::optional<Instant> Handshakes::due(Instant now) const noexcept {
  std::optional<Instant> first = ice_ ? ice_->due(now) : std::nullopt;
  if (overheard_) first = overheard_->due();
  if (!dtls_) return first;
  for (const DtlsChannel& channel : dtls_->channels) {
    const auto due = channel.due(now);
    if (due && (!first || *due < *first)) first = due;
  }
  return first;
}

void Handshakes::restore(const TransportPlan& plan, const TransportSnapshot& s, Instant now) {
  if (s.ice && plan.ice) {
    ensure_ice(plan, now).restore(s.ice->selected, s.ice->is_former, now);
    for (std::size_t i = 0; i < local_.size(); ++i) {
      if (s.ice->selected[i]) local_[i] = s.ice->selected[i]->local;
    }
  }
  if (s.ice && plan.overheard) {
    ensure_overheard(plan, now).restore(s.ice->selected, now);
    for (std::size_t i = 0; i < local_.size(); ++i) {
      if (s.ice->selected[i]) local_[i] = s.ice->selected[i]->local;
    }
  }
  if (!s.dtls || !plan.dtls) return;
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    const auto& [state, keys, association, evidence] = (*s.dtls)[index(component)];
    // Only a finished handshake can go on elsewhere; others begin anew.
    if (!keys) continue;
    ensure_dtls().channels[index(component)].restore(*keys,
                                                     association != 0 ? association : plan.dtls->association);
    agree(plan, component);
  }
}

}  // namespace ferry
