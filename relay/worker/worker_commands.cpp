// The commands of control. They run on the worker's thread between two batches of packets, in the order they
// were posted. A command for a transport that is gone does nothing.
//
// `take` and `place` are the two ends of a transport's stay at a worker; install, remove, extract and adopt
// are made of them. `take` undoes everything that ties the transport to this worker, in this order: flows in
// the kernel are withdrawn and their counts absorbed, queued packets are flushed (they point at the entry),
// ports are detached, and held buffers go back to this engine.
//
// Every command that changes what the kernel was told ends with `reconsider`, which is complete when it
// returns. Control relies on it: after the fence nothing is forwarded by the old plan (LAT-13).
#include "relay/core/rtp/rtp.hpp"
#include "relay/worker/worker.hpp"

#include <algorithm>

namespace ferry {

void Worker::place(TransportId id, std::unique_ptr<TransportEntry> entry) {
  for (std::size_t local = 0; local < entry->locals(); ++local) serve(*entry, id, local);
  note_backend(entry->state.plan());
  // A transport adopted from another worker may be in the middle of a prompt.
  if (entry->hears_prompt()) add_turn({entry->output->player->next, id, entry->output->player->number});
  TransportEntry& placed = *entry;
  table_.put(id, std::move(entry));
  totals_.transports.store(table_.size(), std::memory_order_relaxed);
  // A restored or adopted transport may have deadlines from before; `drive` also sends the first flight.
  const bool has_turns =
      placed.state.plan().dtls || placed.state.plan().ice || placed.state.due(io_->now()).has_value();
  if (has_turns) drive(placed, io_->now());
  pass_events(placed, io_->now());
}

void Worker::serve(TransportEntry& entry, TransportId id, std::size_t local) {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    const LocalPort which{component, static_cast<std::uint8_t>(local)};
    const PortHandle port = entry.port(which);
    if (!port.is_open() || io_->attach(port, make_cookie(id, which))) continue;
    // The transport lives on without the port. Control learns of it by the event, the operator by the
    // counter.
    bump(totals_.unserved_ports);
    if (component == Component::kRtp && local == 0)
      entry.state.activity()->is_unserved.store(true, std::memory_order_relaxed);
    entry.state.note(TransportEvent::kPortNotServed);
  }
}

void Worker::execute(AddPorts& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr || entry->locals() >= kMaxLocals) return;
  entry->more_ports.push_back(command.ports);
  serve(*entry, command.id, entry->locals() - 1);
}

std::unique_ptr<TransportEntry> Worker::take(TransportId id) {
  TransportEntry* entry = table_.find(id);
  if (entry == nullptr) return nullptr;
  if (offloader_) offloader_->withdraw_all(*entry);
  flush();  // queued packets point at the entry
  for (std::size_t local = 0; local < entry->locals(); ++local) {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      const PortHandle port = entry->port({component, static_cast<std::uint8_t>(local)});
      if (port.is_open()) io_->detach(port);
    }
  }
  // Its buffers belong to this worker's engine and may not travel with the transport.
  entry->held.reset();
  drop_early(*entry);
  entry->state.leave_worker();
  entry->due = {};
  entry->waiting = 0;
  auto taken = table_.take(id);
  totals_.transports.store(table_.size(), std::memory_order_relaxed);
  return taken;
}

void Worker::execute(InstallTransport& command) {
  auto entry = std::make_unique<TransportEntry>(command.id, std::move(command.plan),
                                                std::move(command.activity), io_->now(), command.barred);
  entry->ports = command.ports;
  entry->more_ports = std::move(command.more_ports);
  if (command.snapshot) entry->state.restore(*command.snapshot, io_->now());
  place(command.id, std::move(entry));
}

void Worker::execute(UpdatePlan& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  // The plan that the flows were installed by is still needed: to count for the old peer what it sent.
  if (offloader_) offloader_->before_plan(*entry, *command.plan);
  entry->state.set_plan(std::move(command.plan), io_->now());
  note_backend(entry->state.plan());
  // If this is the answer's plan, one source of what was kept is let out (LAT-14).
  if (entry->early[0] || entry->early[1]) choose_early(*entry, io_->now());
  if (entry->state.plan().dtls || entry->state.plan().ice) drive(*entry, io_->now());
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(RemoveTransport& command) {
  const auto entry = take(command.id);
  // `take` has absorbed the counts of the kernel, so the snapshot and the figures below are final.
  if (entry) count_ended(*entry);
  if (entry && command.last != nullptr) *command.last = entry->state.snapshot(io_->now());
  if (entry && command.flight != nullptr) *command.flight = entry->state.take_flight();
  if (entry && command.figures != nullptr) *command.figures = figures_of(*entry);
  if (entry && entry->hears_prompt()) tell({command.id, TransportEvent::kPromptEnded, {}});
  if (!entry || command.last_peer == nullptr) return;
  const Endpoint& learned = entry->state.latch(Component::kRtp).learned();
  if (learned.is_set()) *command.last_peer = learned;
}

void Worker::execute(ReadTransport& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  if (offloader_) offloader_->refresh(*entry);
  *command.into = entry->state.snapshot(io_->now());
}

void Worker::execute(ReadContexts& command) { *command.into = command.contexts->state(); }

TransportFigures Worker::figures_of(TransportEntry& entry) {
  if (offloader_) offloader_->refresh(entry);
  TransportFigures figures = entry.state.figures();
  if (entry.output) {
    const OutputStage& output = *entry.output;
    // Packets that became part of larger ones were not lost. Splitting makes more of them: the difference is
    // 0 then.
    figures.played = output.played;
    figures.joined = output.repacketized_in - std::min(output.repacketized_in, output.repacketized_out);
  }
  return figures;
}

void Worker::execute(ReadFigures& command) {
  if (TransportEntry* entry = table_.find(command.id)) *command.into = figures_of(*entry);
}

void Worker::execute(ReadFlight& command) {
  const TransportEntry* entry = table_.find(command.id);
  if (entry != nullptr && entry->state.flight() != nullptr) *command.into = *entry->state.flight();
}

void Worker::execute(ExtractTransport& command) { *command.into = take(command.id); }

void Worker::execute(AdoptTransport& command) { place(command.id, std::move(command.entry)); }

void Worker::execute(AttachTap& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  entry->taps.push_back(command.tap);
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(DetachTap& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  // The tap is shown everything that was forwarded until now.
  if (offloader_) offloader_->collect();
  std::erase(entry->taps, command.tap);
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(SendProbe& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr || entry->state.plan().sources.empty()) return;
  const SourcePlan& source = entry->state.plan().sources.front();
  const auto hop = entry->state.next_hop(Component::kRtp, io_->now());
  PacketBuffer packet = hop.reason == DropReason::kNone ? io_->allocate() : PacketBuffer{};
  if (!packet) return;
  // Any type that the party takes will do: the packet has no payload. It only opens a way through the NAT.
  const std::uint8_t type = source.payloads.empty() ? 0 : source.payloads.front().type.value;
  packet.set_data_size(kRtpFixedHeaderSize);
  const MutableBytes data = packet.data();
  std::ranges::fill(data, std::byte{0});
  data[0] = std::byte{0x80};
  data[1] = static_cast<std::byte>(type);
  write_u16(data, 2, command.sequence.value);
  write_u32(data, 8, command.ssrc.value);
  queue_send(*entry, hop, DatagramClass::kRtp, source.media, std::move(packet), nullptr, io_->now());
  flush();
}

void Worker::execute(StartPrompt& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  OutputStage& output = entry->made_output();
  // The stream outlives its prompts: the next one goes on with the same SSRC and the next sequence number
  // (SSR-2).
  if (!output.own_stream)
    output.own_stream.emplace(
        OwnStream{OutputTimeline(command.ssrc, command.sequence, command.timestamp), {}});
  if (output.player) tell({entry->state.id(), TransportEvent::kPromptEnded, {}});
  output.player = std::make_unique<Player>();
  Player& player = *output.player;
  player.prompt = std::move(command.prompt);
  player.rounds = command.rounds;
  player.number = next_player_++;
  player.next = io_->now();
  add_turn({player.next, command.id, player.number});
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(StopPrompt& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry != nullptr && entry->hears_prompt()) end_prompt(*entry);
}

void Worker::execute(EndPresses& command) {
  if (TransportEntry* entry = table_.find(command.id)) tell_ended_presses(*entry, io_->now(), true);
}

void Worker::count_ended(const TransportEntry& entry) noexcept {
  InterfaceTotals& totals = interface_of(entry);
  entry.state.for_each_stream([&](const SsrcCounters& stream) {
    bump(totals.lost, stream.lost());
    bump(totals.duplicates, stream.duplicates);
    bump(totals.reordered, stream.reordered);
    bump(totals.resets, stream.resets);
  });
}

}  // namespace ferry
