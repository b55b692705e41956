// The things that a worker does because of the time, not because of a packet: prompts, handshakes, marks of
// the last seconds, and packets kept from before the answer (worker_early.cpp).
//
// All of it hangs on one priority queue, `turns_`. An entry is never taken out early; it is compared with its
// owner when it comes up, and ignored if the owner no longer waits for it:
// - Number 0: handshakes and open key presses. The time must equal `TransportEntry::due`.
// - `kEarlyTurn`: packets from before the answer. The time must equal `TransportEntry::early_due`.
// - Any other number: a prompt. It must be the number of the transport's present player.
//
// A push can fail for want of memory. The worker then looks through the whole table a little later and queues
// every turn again (`find_turns`).
//
// Asymmetric cryptography costs as much as a hundred packets. So a turn takes `kHandshakesATurn` DTLS
// datagrams and no more; others wait in `waiting_`, up to a limit for each transport.
#include "relay/base/memory.hpp"
#include "relay/worker/worker.hpp"

#include <algorithm>
#include <new>

namespace ferry {

using namespace std::chrono_literals;

namespace {

/// Sends the datagrams of STUN and DTLS at once: they need neither SRTP nor the statistics of media.
class FromEntry final : public PortOutput {
 public:
  FromEntry(PacketIo& io, const TransportEntry& entry) : io_(io), entry_(entry) {}
  void send(LocalPort via, const Endpoint& to, Bytes datagram) noexcept override {
    const PortHandle port = entry_.port(via);
    PacketBuffer packet = port.is_open() ? io_.allocate() : PacketBuffer{};
    if (!packet || datagram.size() > packet.space().size()) return;
    std::ranges::copy(datagram, packet.space().begin());
    packet.set_data_size(datagram.size());
    packet->remote = to;
    packet->via = port;
    packet->to_locked_peer = false;
    SendError error{};  // no retry: both protocols send again when no answer comes
    io_.send({&packet, 1}, {&error, 1});
  }

 private:
  PacketIo& io_;
  const TransportEntry& entry_;
};

}  // namespace

void Worker::on_handshake(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  const Instant now = arrived.at;
  FromEntry out(*io_, entry);
  DropReason reason = DropReason::kNone;
  try {
    // Sources that may not take part in a handshake (DTL-2) do not count here. Refusing them is cheap, and
    // they must not use up this turn's handshakes.
    if (arrived.kind == DatagramClass::kDtls && entry.state.may_speak(arrived.port, arrived.from, *own_)) {
      if (handshakes_ >= kHandshakesATurn) {
        if (waiting_.size() >= kMostWaiting || entry.waiting >= kMostWaitingOfOne) {
          // A full queue drops the datagram; the peer sends it again.
          drop_arriving(entry, DropReason::kNoBuffer);
          return;
        }
        waiting_.push_back({entry.state.id(),
                            arrived.port,
                            arrived.from,
                            {arrived.datagram.begin(), arrived.datagram.end()}});
        ++entry.waiting;
        return;
      }
      ++handshakes_;
    }
    reason = entry.state.on_handshake(arrived, {dtls_budget_, out, now, *own_});
  } catch (const std::bad_alloc&) {
    // The peer sends it again (C-12).
    drop_arriving(entry, DropReason::kNoBuffer);
    return;
  }
  if (reason != DropReason::kNone) {
    count_drops(totals_, reason);
    bump(interface_of(entry).ingress.errors);
    entry.state.note_refusal(arrived, reason);
  }
  witness(entry, arrived.component(), arrived.from, arrived.datagram, arrived.datagram.size(), false, reason,
          now);
  if (reason == DropReason::kNone) drive(entry, now);
  pass_events(entry, now);
}

void Worker::run_handshakes(Instant now) noexcept {
  while (!waiting_.empty() && handshakes_ < kHandshakesATurn) {
    Waiting next = std::move(waiting_.front());
    waiting_.pop_front();
    // The call ended while its datagram waited.
    TransportEntry* entry = table_.find(next.id);
    if (entry == nullptr) continue;
    if (entry->waiting > 0) --entry->waiting;
    on_handshake(*entry, ReceivedPacket(next.at, next.from, next.datagram, now));
  }
}

void Worker::drive(TransportEntry& entry, Instant now) noexcept {
  constexpr Duration kAgain = 100ms;
  FromEntry out(*io_, entry);
  std::optional<Instant> due;
  try {
    entry.state.drive({dtls_budget_, out, now, *own_});
    tell_ended_presses(entry, now, false);
    due = entry.state.due(now);
    pass_events(entry, now);
  } catch (const std::bad_alloc&) {
    due = now + kAgain;  // memory may be there again by then (C-12)
  }
  wait_for(entry, due, now);
}

void Worker::wait_for(TransportEntry& entry, std::optional<Instant> due, Instant now) noexcept {
  constexpr Duration kLeast = 1ms;
  // Each transport has at most one queued deadline, and only an earlier one replaces it. It lies at least 1
  // ms ahead, because `play` loops until nothing is due.
  if (due) due = std::max(*due, now + kLeast);
  if (!due || (entry.due != Instant{} && entry.due <= *due)) return;
  entry.due = *due;
  add_turn({*due, entry.state.id(), 0});
}

void Worker::add_turn(const Turn& turn) noexcept {
  constexpr Duration kAgain = 100ms;
  if (!had_memory([&] { turns_.push(turn); })) find_turns_at_ = io_->now() + kAgain;
}

void Worker::find_turns(Instant now) noexcept {
  find_turns_at_ = {};
  table_.for_each([&](TransportEntry& entry) {
    // Entries that are queued already are ignored from now on: their times and numbers match nothing any
    // more.
    entry.due = entry.early_due = {};
    const TransportPlan& plan = entry.state.plan();
    const bool is_driven = plan.dtls || plan.ice;
    wait_for(entry, is_driven ? std::optional(now) : entry.state.due(now), now);
    await_early(entry);
    if (!entry.hears_prompt()) return;
    Player& player = *entry.output->player;
    player.number = next_player_++;
    add_turn({player.next, entry.state.id(), player.number});
  });
}

void Worker::follow_presses(TransportEntry& entry, std::size_t source, const PayloadEntry& payload,
                            const ReceivedPacket& arrived) noexcept {
  const Instant now = arrived.at;
  const KeyPresses::Told told = entry.state.presses_of(source, payload, arrived);
  for (const auto& press : {told.former, told.own}) {
    if (press) tell({entry.state.id(), TransportEvent::kDtmf, *press});
  }
  // The end of a key press may get lost; a deadline ends it then.
  if (payload.is_event) wait_for(entry, entry.state.due(now), now);
}

void Worker::tell_ended_presses(TransportEntry& entry, Instant now, bool all) noexcept {
  while (const auto press = entry.state.take_ended_press(now, all))
    tell({entry.state.id(), TransportEvent::kDtmf, *press});
}

void Worker::end_prompt(TransportEntry& entry) noexcept {
  entry.output->player.reset();
  tell({entry.state.id(), TransportEvent::kPromptEnded, {}});
  // The party hears the other one again, so the kernel may forward to it again.
  if (offloader_) offloader_->reconsider(entry);
}

void Worker::mark_some(Instant now) noexcept {
  mark_round_.turn(table_.size() == 0 ? 0 : table_.slots(), now, [&](std::size_t slot) {
    TransportEntry* entry = table_.at(slot);
    if (entry == nullptr) return;
    // A mark compares what was sent with what was received, so the counts of the kernel must be of this
    // moment. The offloader reads them and marks such a transport itself.
    if (!offloader_ || !offloader_->marks(*entry, now)) entry->state.mark(now);
  });
}

void Worker::play(Instant now) noexcept {
  while (!turns_.empty() && turns_.top().at <= now) {
    const Turn turn = turns_.top();
    turns_.pop();
    TransportEntry* entry = table_.find(turn.id);
    // The entry of `TransportEntry::due`, of which only the newest counts.
    if (turn.number == 0) {
      // An earlier deadline has replaced this one.
      if (entry == nullptr || entry->due != turn.at) continue;
      entry->due = {};
      drive(*entry, now);
      continue;
    }
    if (turn.number == kEarlyTurn) {
      // It has another turn by now, or none.
      if (entry == nullptr || entry->early_due != turn.at) continue;
      entry->early_due = {};
      let_out_early(*entry, now);
      continue;
    }
    // The prompt was stopped or replaced, or the transport is gone.
    if (entry == nullptr || !entry->hears_prompt() || entry->output->player->number != turn.number) continue;
    play_next(*entry, now);
    if (entry->hears_prompt()) add_turn({entry->output->player->next, turn.id, turn.number});
  }
  flush();
}

void Worker::play_next(TransportEntry& entry, Instant now) noexcept {
  // If the player is later than this, it goes on from now instead of sending all that it missed.
  constexpr Duration kLatest = 200ms;
  OutputStage& output = *entry.output;
  Player& player = *output.player;
  const Prompt& prompt = *player.prompt;
  player.next = now - player.next > kLatest ? now + prompt.packet_time : player.next + prompt.packet_time;
  const auto hop = entry.state.next_hop(Component::kRtp, now);
  if (hop.reason != DropReason::kNone) return;  // the prompt waits until the party has an address
  PacketBuffer packet = io_->allocate();
  if (!packet) {
    drop_leaving(entry, DropReason::kNoBuffer, now);
    return;
  }
  OwnStream& stream = *output.own_stream;
  std::uint32_t units = prompt.units;
  // A second prompt on the same stream: its timestamp moves on by the silence since the first one.
  if (player.is_first && stream.last != Instant{}) {
    units = static_cast<std::uint32_t>(
        std::chrono::duration_cast<std::chrono::milliseconds>(now - stream.last).count() * kFrameClockPerMs);
  }
  const TimelinePosition at = stream.timeline.generate(units, player.is_first);
  stream.last = now;
  player.is_first = false;
  packet.set_data_size(kRtpFixedHeaderSize + prompt.packet_octets);
  write_rtp_header(packet.data(), prompt.type, at.marker, at.sequence, at.timestamp, at.ssrc);
  std::copy_n(prompt.payloads.begin() + static_cast<std::ptrdiff_t>(player.position), prompt.packet_octets,
              packet.data().begin() + kRtpFixedHeaderSize);
  bump(totals_.played_packets);
  ++output.played;
  queue_send(entry, hop, DatagramClass::kRtp, entry.state.plan().sources.front().media, std::move(packet),
             nullptr, now);
  player.position += prompt.packet_octets;
  if (player.position < prompt.payloads.size()) return;
  player.position = 0;
  if (player.rounds == Prompt::kForEver || --player.rounds > 0) return;
  end_prompt(entry);
}

}  // namespace ferry
