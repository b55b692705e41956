// What control asks of a worker, between two batches of packets.
#include "relay/core/rtp/rtp.hpp"
#include "relay/worker/worker.hpp"

#include <algorithm>

namespace ferry {

void Worker::place(TransportId id, std::unique_ptr<TransportEntry> entry) {
  for (std::size_t local = 0; local < entry->locals(); ++local) serve(*entry, id, local);
  note_backend(entry->state.plan());
  if (entry->hears_prompt()) add_turn({entry->output->player->next, id, entry->output->player->number});
  TransportEntry& placed = *entry;
  table_.put(id, std::move(entry));
  totals_.transports.store(table_.size(), std::memory_order_relaxed);
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
  flush();  // nothing queued may point to it afterwards
  for (std::size_t local = 0; local < entry->locals(); ++local) {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      const PortHandle port = entry->port({component, static_cast<std::uint8_t>(local)});
      if (port.is_open()) io_->detach(port);
    }
  }
  entry->held.reset();  // buffers belong to this worker's engine
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
  if (offloader_) offloader_->before_plan(*entry, *command.plan);
  entry->state.set_plan(std::move(command.plan), io_->now());
  note_backend(entry->state.plan());
  if (entry->early[0] || entry->early[1]) choose_early(*entry, io_->now());
  if (entry->state.plan().dtls || entry->state.plan().ice) drive(*entry, io_->now());
  if (offloader_) offloader_->reconsider(*entry);
}

void Worker::execute(RemoveTransport& command) {
  const auto entry = take(command.id);
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
  // It sees what was forwarded until now.
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
  const std::uint8_t type = source.payloads.empty() ? 0 : source.payloads.front().type.value;
  packet.set_data_size(kRtpFixedHeaderSize);
  const MutableBytes data = packet.data();
  std::ranges::fill(data, std::byte{0});
  data[0] = std::byte{0x80};
  data[1] = static_cast<std::byte>(type);
  write_u16(data, 2, command.sequence.value);
  write_u32(data, 8, command.ssrc.value);
  queue_send(*entry, hop, false, source.media, std::move(packet), nullptr, io_->now());
  flush();
}

void Worker::execute(StartPrompt& command) {
  TransportEntry* entry = table_.find(command.id);
  if (entry == nullptr) return;
  OutputStage& output = entry->made_output();
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
