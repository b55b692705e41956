// SPDX-License-Identifier: Apache-2.0
// Traps:
// - Sources that may not take part in a handshake (DTL-2) are refused at once. That is cheap, and they must
//   not use up the handshakes of a turn.
// - What finds no memory is tried again: the peer sends its datagram again, and a deadline is set anew
//   (C-12).
#include "relay/worker/transport_turns.hpp"

#include "relay/core/ice/stun.hpp"

#include <algorithm>
#include <new>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// Sends the datagrams of STUN and DTLS at once: they need neither SRTP nor the statistics of media.
class FromEntry final : public PortOutput {
 public:
  FromEntry(WorkerContext& context, const TransportEntry& entry) : context_(context), entry_(entry) {}
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    const PortHandle port = entry_.port(via);
    PacketBuffer packet = port.is_open() ? context_.io->allocate() : PacketBuffer{};
    if (!packet || datagram.size() > packet.space().size()) return;
    if (entry_.shares_port) note_check(port, datagram);
    std::ranges::copy(datagram, packet.space().begin());
    packet.set_data_size(datagram.size());
    packet->remote = to;
    packet->via = port;
    packet->to_locked_peer = false;
    SendError error{};  // no retry: both protocols send again when no answer comes
    context_.io->send({&packet, 1}, {&error, 1});
  }
  [[nodiscard]] std::optional<std::uint8_t> transaction_mark() const noexcept override {
    if (!entry_.shares_port || context_.exchange == nullptr) return std::nullopt;
    return static_cast<std::uint8_t>(context_.number);
  }

 private:
  /// An answer to a check names nobody, so a shared port has to know the checks.
  void note_check(PortHandle port, Bytes datagram) noexcept {
    const auto shared = context_.ports.shared_by(port);
    const auto message = shared ? stun::parse(datagram) : std::nullopt;
    if (message && message->kind == stun::Kind::kRequest)
      context_.ports.note_check(*shared, entry_.id, message->transaction);
  }

  WorkerContext& context_;
  const TransportEntry& entry_;
};

/// A transport's name as one number, and back.
std::uint64_t number_of(TransportId id) noexcept { return (std::uint64_t{id.slot} << 32) | id.generation; }
TransportId transport_of(std::uint64_t number) noexcept {
  return {static_cast<std::uint32_t>(number >> 32), static_cast<std::uint32_t>(number)};
}

/// True if the source of a DTLS datagram may take part in a handshake (DTL-2).
bool may_speak(TransportEntry& entry, const ReceivedPacket& arrived, const OwnMedia& own) noexcept {
  const Transport::Parts parts = entry.state.parts();
  return parts.handshakes.may_speak(parts.plan, entry.state.latch(arrived.component()), arrived.port,
                                    arrived.from, own);
}

}  // namespace

DropReason TransportTurns::on_handshake(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  if (entry.state.plan().overheard) return overhear(entry, arrived);
  FromEntry out(context_, entry);
  DropReason reason = DropReason::kNone;
  try {
    if (arrived.kind == DatagramClass::kDtls && may_speak(entry, arrived, *context_.own)) {
      if (handshakes_ >= kHandshakesATurn) {
        if (waiting_.size() >= kMostWaiting || entry.waiting >= kMostWaitingOfOne) {
          // A full queue drops the datagram; the peer sends it again.
          context_.drop_arriving(entry, DropReason::kNoBuffer);
          return DropReason::kNoBuffer;
        }
        waiting_.push_back(
            {entry.id, arrived.port, arrived.from, {arrived.datagram.begin(), arrived.datagram.end()}});
        ++entry.waiting;
        return DropReason::kNone;
      }
      ++handshakes_;
    }
    reason = entry.state.on_handshake(arrived, {context_.dtls_budget, out, arrived.at, *context_.own});
  } catch (const std::bad_alloc&) {
    context_.drop_arriving(entry, DropReason::kNoBuffer);
    return DropReason::kNoBuffer;
  }
  if (reason != DropReason::kNone) {
    context_.count_refused(entry, arrived, false, reason);
  } else {
    context_.witness(entry, arrived, false, reason);
    drive(entry, arrived.at);
  }
  context_.pass_events(entry, arrived.at);
  return reason;
}

DropReason TransportTurns::overhear(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  FromEntry out(context_, entry);
  OverheardIce::Heard heard;
  DropReason reason = DropReason::kNone;
  try {
    heard = entry.state.overhear(arrived, {context_.dtls_budget, out, arrived.at, *context_.own});
    if (heard.kind == OverheardIce::Heard::Kind::kRefused) {
      context_.count_refused(entry, arrived, false, DropReason::kStunRefused);
      context_.pass_events(entry, arrived.at);
      return DropReason::kStunRefused;
    }
    if (heard.kind != OverheardIce::Heard::Kind::kTaken) reason = pass_on(entry, arrived, heard);
  } catch (const std::bad_alloc&) {
    reason = DropReason::kNoBuffer;
    context_.drop_arriving(entry, reason);
  }
  context_.witness(entry, arrived, false, reason);
  deadlines_.set_earlier(entry, DeadlineKind::kTransport, next_due(entry, arrived.at), arrived.at);
  context_.pass_events(entry, arrived.at);
  return reason;
}

DropReason TransportTurns::pass_on(TransportEntry& entry, const ReceivedPacket& arrived,
                                   OverheardIce::Heard heard) {
  const bool is_answer = heard.kind == OverheardIce::Heard::Kind::kAnswer;
  const std::vector<Sink>& sinks = entry.state.plan().sources.front().sinks;
  // A check goes to the partner. Its answer goes back to the transport that the check came to, even if the
  // party has another partner by now.
  TransportEntry* far = nullptr;
  if (is_answer) {
    far = context_.table.find(transport_of(heard.asker));
  } else if (!sinks.empty()) {
    far = context_.table.find(sinks.front().via);
  }
  if (far == nullptr || !far->state.plan().overheard) {
    context_.drop_arriving(entry, DropReason::kNoSink);
    return DropReason::kNoSink;
  }
  FromEntry out(context_, *far);
  const Component component = arrived.component();
  std::optional<Path> to = heard.to;
  if (!is_answer) {
    heard.asker = number_of(entry.id);
    to = far->state.pass_check(component, heard, {arrived.port.local, arrived.from},
                               {context_.dtls_budget, out, arrived.at, *context_.own});
  }
  if (!to || !to->is_set()) {
    context_.drop_leaving(*far, DropReason::kNoDestination, arrived.at);
    return DropReason::kNoDestination;
  }
  out.send({component, to->local}, to->peer, arrived.datagram);
  const MediaId media = far->state.plan().sources.front().media;
  far->state.on_sent(component, DatagramClass::kStun, arrived.datagram, media, arrived.at);
  return DropReason::kNone;
}

void TransportTurns::begin_turn(Instant now) noexcept {
  handshakes_ = 0;
  while (!waiting_.empty() && handshakes_ < kHandshakesATurn) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    // The call ended while its datagram waited.
    TransportEntry* entry = context_.table.find(next.id);
    if (entry == nullptr) continue;
    if (entry->waiting > 0) --entry->waiting;
    static_cast<void>(on_handshake(*entry, ReceivedPacket(next.at, next.from, next.datagram, now)));
  }
}

void TransportTurns::drive(TransportEntry& entry, Instant now) noexcept {
  constexpr Duration kAgain = 100ms;
  FromEntry out(context_, entry);
  std::optional<Instant> due;
  try {
    entry.state.drive({context_.dtls_budget, out, now, *context_.own});
    tell_ended_presses(entry, now, false);
    if (entry.shares_port) context_.ports.follow(entry);
    due = next_due(entry, now);
    context_.pass_events(entry, now);
  } catch (const std::bad_alloc&) {
    due = now + kAgain;  // memory may be there again by then (C-12)
  }
  deadlines_.set_earlier(entry, DeadlineKind::kTransport, due, now);
  // A party that can be reached from now on needs key frames of the video that it sees (FB-7).
  if (entry.state.take_reached()) key_frames_.follow_receiver(entry, now);
  key_frames_.drive(entry, now);
}

std::optional<Instant> TransportTurns::next_due(TransportEntry& entry, Instant now) noexcept {
  std::optional<Instant> first;
  const auto note = [&](std::optional<Instant> due) {
    if (due && (!first || *due < *first)) first = due;
  };
  note(entry.state.parts().handshakes.due(now));
  note(entry.state.streams().due());
  // Without a deadline `KeyFrames::drive` waits for the party.
  if (entry.state.can_send()) note(entry.state.streams().key_frame_due());
  return first;
}

void TransportTurns::await(TransportEntry& entry, Instant now) noexcept {
  const TransportPlan& plan = entry.state.plan();
  const bool is_driven = plan.dtls || plan.ice;
  deadlines_.set_earlier(entry, DeadlineKind::kTransport,
                         is_driven ? std::optional(now) : next_due(entry, now), now);
}

void TransportTurns::follow_presses(TransportEntry& entry, std::size_t source, const PayloadEntry& payload,
                                    const ReceivedPacket& arrived) noexcept {
  const KeyPresses::Told told = entry.state.streams().presses_of(source, payload, arrived);
  for (const auto& press : {told.former, told.own}) {
    if (press) context_.tell({entry.id, TransportEvent::kDtmf, *press});
  }
  // The end of a key press may get lost; a deadline ends it then.
  if (payload.is_event)
    deadlines_.set_earlier(entry, DeadlineKind::kTransport, next_due(entry, arrived.at), arrived.at);
}

void TransportTurns::tell_ended_presses(TransportEntry& entry, Instant now, bool all) noexcept {
  while (const auto press = entry.state.streams().take_ended_press(now, all))
    context_.tell({entry.id, TransportEvent::kDtmf, *press});
}

}  // namespace ferry
