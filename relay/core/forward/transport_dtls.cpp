// DTLS of a transport: whose datagrams its handshakes hear, where they speak to, and what becomes of the keys
// that they agree on (RFC 5763, RFC 5764; DTL-1 to DTL-14).
//
// Each component has a channel of its own, which does the handshakes (relay/core/dtls). This file connects
// it: `on_dtls` lets only sources speak that ICE or the latch vouches for, `drive_dtls` begins and repeats,
// and `follow_handshake` turns a finished handshake into SRTP keys and a locked peer.

#include "relay/core/forward/transport.hpp"

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

}  // namespace

Path Transport::handshake_way(Component component) const noexcept {
  // Without ICE a handshake goes where media goes. With ICE only the selected pair of the present session
  // will do.
  if (!plan_->ice) return {local_[index(component)], latch_[index(component)].destination()};
  return ice_ && ice_->is_current(component) ? *ice_->selected(component) : Path{};
}

DtlsTurn Transport::dtls_turn(Component component, DatagramOutput& out, HandshakeTurn turn) const noexcept {
  const LatchConfig& latch = latch_[index(component)].config();
  const bool is_named = !plan_->ice && !latch.signalled_void;
  return {*plan_->dtls, turn.budget,           out,
          turn.now,     plan_->ice != nullptr, is_named ? latch.signalled : Endpoint{}};
}

DropReason Transport::on_dtls(const ReceivedPacket& packet, HandshakeTurn turn) {
  const Component component = packet.component();
  const Path way{packet.port.local, packet.from};
  const auto refuse = [&](DropReason reason) {
    drop(component, reason);
    return reason;
  };
  // With rtcp-mux there is only the handshake of the RTP component.
  const bool is_muxed_away = component == Component::kRtcp && plan_->send_rtcp_muxed;
  if (!plan_->dtls || is_muxed_away) return refuse(DropReason::kDtlsUnexpected);
  DtlsChannel& channel = made_dtls().channels[index(component)];
  if (!may_speak(packet.port, packet.from, turn.own)) {
    // DTL-3: the peer's first flight may overtake ICE or the answer. It is held until its source may speak.
    if (channel.hold(way, packet.datagram, turn.now)) return DropReason::kNone;
    note(TransportEvent::kForeignSource);
    return refuse(DropReason::kSourceNotAllowed);
  }
  ThroughPort out(turn.out, packet.port);
  const DropReason reason = channel.take(way, packet.datagram, dtls_turn(component, out, turn));
  follow_handshake(component, turn);
  return reason == DropReason::kNone ? reason : refuse(reason);
}

void Transport::drive_dtls(HandshakeTurn turn) {
  for (const Component component : {Component::kRtp, Component::kRtcp}) {
    if (component == Component::kRtcp && plan_->send_rtcp_muxed) continue;
    DtlsChannel& channel = made_dtls().channels[index(component)];
    ThroughPort out(turn.out, {component, local_[index(component)]});
    const DtlsTurn inner = dtls_turn(component, out, turn);
    // The source of the held flight may have become good in the meantime.
    const Path held = channel.held_from(turn.now);
    if (held.is_set() && may_speak({component, held.local}, held.peer, turn.own)) channel.release(inner);
    channel.drive(handshake_way(component), inner);
    follow_handshake(component, turn);
  }
}

void Transport::agree(Component component) {
  const auto& keys = dtls_->channels[index(component)].keys();
  // Keys agreed by DTLS use the same back end and the same memory of indices as keys from signalling.
  auto agreed = std::make_shared<SrtpPlan>();
  if (plan_->srtp) {
    agreed->backend = plan_->srtp->backend;
    agreed->window = plan_->srtp->window;
    agreed->contexts = plan_->srtp->contexts;
    agreed->party = plan_->srtp->party;
  }
  // Without keys the plan stays empty, and a protected transport without keys carries nothing (SRT-11).
  if (keys && agreed->backend) {
    agreed->receive.push_back(keys->receive);
    agreed->send = keys->send;
  }
  dtls_->agreed[index(component)] = std::move(agreed);
}

void Transport::follow_handshake(Component component, HandshakeTurn turn) {
  DtlsChannel& channel = dtls_->channels[index(component)];
  switch (channel.take_news()) {
    case DtlsChannel::News::kNone:
      return;
    case DtlsChannel::News::kReady:
      agree(component);
      follow_keys(turn.now);
      // The certificate proves who is at that address, so media may lock to it before any media came.
      lock_proven(component, channel.peer(), turn);
      hear();
      note(TransportEvent::kDtlsReady);
      return;
    case DtlsChannel::News::kMismatch:
      note(TransportEvent::kDtlsMismatch);
      return;
    case DtlsChannel::News::kFailed:
      note(TransportEvent::kDtlsFailed);
      return;
  }
}

void Transport::lock_proven(Component component, const Endpoint& from, HandshakeTurn turn) noexcept {
  Latch& latch = latch_[index(component)];
  const bool may_lock =
      latch.state() != Latch::State::kLocked || latch.claim(from, false, turn.now) == Latch::Claim::kBetter;
  if (may_lock && latch.refusal_of(from, turn.now, turn.own) == DropReason::kNone)
    (void)latch.lock_authenticated(from, turn.now);
}

void Transport::leave_worker() noexcept {
  if (!dtls_) return;
  for (DtlsChannel& channel : dtls_->channels) channel.leave_budget();
}

std::optional<TransportSnapshot::Dtls> Transport::dtls_snapshot() const {
  if (!plan_->dtls || !dtls_) return std::nullopt;
  TransportSnapshot::Dtls s;
  for (std::size_t i = 0; i < s.size(); ++i) {
    const DtlsChannel& channel = dtls_->channels[i];
    s[i] = {channel.state(), channel.keys(), channel.keyed_for(), {}};
    if (channel.evidence() != nullptr) s[i].evidence = *channel.evidence();
  }
  return s;
}

}  // namespace ferry
