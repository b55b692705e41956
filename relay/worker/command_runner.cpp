// SPDX-License-Identifier: Apache-2.0
// The commands of control. They run on the worker's thread between two batches of packets, in the order they
// were posted. A command for a transport that is gone does nothing.
//
// `take` and `place` are the two ends of a transport's stay at a worker; install, remove, extract and adopt
// are made of them. `take` undoes everything that ties the transport to this worker. It withdraws the flows
// in the kernel and absorbs their counts, flushes queued packets (they point at the entry), detaches the
// ports, and gives held buffers back to this engine, in this order.
//
// Every command that changes what the kernel was told ends with `reconsider`, which is complete when it
// returns. Control relies on it: after the fence nothing is forwarded by the old plan (LAT-13).
#include "relay/worker/command_runner.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>
#include <utility>

namespace ferry {

void CommandRunner::place(TransportId id, std::unique_ptr<TransportEntry> entry) {
  for (std::size_t local = 0; local < entry->locals(); ++local) serve(*entry, id, local);
  parts_.sends.note_backend(entry->state.plan());
  TransportEntry& placed = *entry;
  context_.table.put(id, std::move(entry));
  share(placed);
  context_.ports.bind_moved(placed, static_cast<WorkerNumber>(context_.number), context_.io->now());
  context_.totals.transports.store(context_.table.size(), std::memory_order_relaxed);
  // A transport adopted from another worker may be in the middle of a prompt.
  parts_.own_packets.await(placed, context_.io->now());
  parts_.reports.await(placed, context_.io->now());
  parts_.keep_alive.await(placed, context_.io->now());
  // A restored or adopted transport may have deadlines from before; `drive` also sends the first flight.
  const bool has_turns = placed.state.plan().dtls || placed.state.plan().ice ||
                         TransportTurns::next_due(placed, context_.io->now()).has_value();
  if (has_turns) parts_.turns.drive(placed, context_.io->now());
  context_.pass_events(placed, context_.io->now());
}

void CommandRunner::serve(TransportEntry& entry, TransportId id, std::size_t local) {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    const LocalPort which{component, static_cast<std::uint8_t>(local)};
    const PortHandle port = entry.port(which);
    if (!port.is_open() || context_.ports.shared_by(port)) continue;
    if (context_.io->attach(port, make_cookie(id, which))) continue;
    // The transport lives on without the port. Control learns of it by the event, the operator by the
    // counter.
    bump(context_.totals.unserved_ports);
    if (component == Component::kRtp && local == 0)
      entry.state.account().activity().is_unserved.store(true, std::memory_order_relaxed);
    entry.state.parts().events.note(TransportEvent::kPortNotServed);
  }
}

void CommandRunner::share(TransportEntry& entry) {
  bool has_joined = false;
  if (had_memory([&] { has_joined = context_.ports.join(entry); }) && has_joined) return;
  // There is no memory (C-12), or another transport has the ufrag, which control never gives twice. Nothing
  // reaches this one.
  bump(context_.totals.unserved_ports);
  entry.state.parts().events.note(TransportEvent::kPortNotServed);
}

void CommandRunner::execute(AddSharedPort& command) {
  if (command.exchange && !context_.exchange) {
    context_.exchange = std::make_unique<ExchangeEnd>(
        std::move(command.exchange), static_cast<WorkerNumber>(context_.number), *context_.io);
    context_.ports.set_news(context_.exchange.get());
  }
  const SharedPortId port = context_.ports.add_shared(command.handle);
  *command.is_served = context_.io->attach(command.handle, make_cookie(port));
  if (*command.is_served) context_.io->expect_many(command.handle);
}

void CommandRunner::execute(RemoveSharedPort& command) {
  const auto port = context_.ports.shared_by(command.handle);
  if (!port) return;
  parts_.sends.flush();
  context_.io->detach(command.handle);
  context_.ports.remove_shared(*port);
}

void CommandRunner::execute(AddPorts& command) {
  TransportEntry* entry = context_.table.find(command.id);
  if (entry == nullptr || entry->locals() >= kMaxLocals) return;
  entry->more_ports.push_back(command.ports);
  serve(*entry, command.id, entry->locals() - 1);
  share(*entry);
}

std::unique_ptr<TransportEntry> CommandRunner::take(TransportId id) {
  TransportEntry* entry = context_.table.find(id);
  if (entry == nullptr) return nullptr;
  parts_.offloader.withdraw_all(*entry);
  parts_.own_packets.end_stages(*entry);
  parts_.sends.flush();  // queued packets point at the entry
  for (std::size_t local = 0; local < entry->locals(); ++local) {
    for (const Component component : {Component::kRtp, Component::kRtcp}) {
      const PortHandle port = entry->port({component, static_cast<std::uint8_t>(local)});
      if (port.is_open() && !context_.ports.shared_by(port)) context_.io->detach(port);
    }
  }
  // Its buffers belong to this worker's engine and may not travel with the transport.
  entry->held.reset();
  parts_.early.drop(*entry);
  entry->state.parts().handshakes.leave_worker();
  entry->due.fill({});
  entry->waiting = 0;
  context_.ports.remove(id);
  auto taken = context_.table.take(id);
  context_.totals.transports.store(context_.table.size(), std::memory_order_relaxed);
  return taken;
}

void CommandRunner::execute(InstallTransport& command) {
  auto entry = std::make_unique<TransportEntry>(
      command.id, std::move(command.plan), std::move(command.activity), context_.io->now(), command.barred);
  entry->ports = command.ports;
  entry->more_ports = std::move(command.more_ports);
  if (command.snapshot) entry->state.restore(*command.snapshot, context_.io->now());
  place(command.id, std::move(entry));
}

void CommandRunner::execute(UpdatePlan& command) {
  TransportEntry* entry = context_.table.find(command.id);
  if (entry == nullptr) return;
  // The plan that the flows were installed by is still needed: to count for the old peer what it sent.
  parts_.offloader.before_plan(*entry, *command.plan);
  parts_.own_packets.before_plan(*entry, *command.plan);
  const bool was_alone = entry->state.plan().sources.size() == 1;
  const SectionMask newly_seen = parts_.key_frames.newly_seen(*entry, *command.plan);
  entry->state.set_plan(std::move(command.plan), context_.io->now());
  if (entry->shares_port) share(*entry);
  parts_.sends.note_backend(entry->state.plan());
  parts_.own_packets.follow_plan(*entry, was_alone);
  parts_.reports.await(*entry, context_.io->now());
  parts_.keep_alive.await(*entry, context_.io->now());
  // If this is the answer's plan, one source of what was kept is let out (LAT-14).
  if (entry->early[0] || entry->early[1]) parts_.early.choose(*entry, context_.io->now());
  if (entry->state.plan().dtls || entry->state.plan().ice) parts_.turns.drive(*entry, context_.io->now());
  parts_.offloader.reconsider(*entry);
  parts_.key_frames.ask(*entry, newly_seen, context_.io->now());
}

void CommandRunner::execute(RemoveTransport& command) {
  // Its receivers hear nothing of it any more: a stage with a clock of its own would go on for ever.
  if (const TransportEntry* gone = context_.table.find(command.id))
    parts_.own_packets.before_plan(*gone, TransportPlan{});
  const auto entry = take(command.id);
  // `take` has absorbed the counts of the kernel, so the snapshot and the figures below are final.
  if (entry) count_ended(*entry);
  if (entry && command.last != nullptr) *command.last = entry->state.snapshot(context_.io->now());
  if (entry && command.flight != nullptr) *command.flight = entry->state.account().take_flight();
  if (entry && command.figures != nullptr) *command.figures = figures_of(*entry);
  if (entry && entry->tells_prompt_end()) context_.tell({command.id, TransportEvent::kPromptEnded, {}});
  if (!entry || command.last_peer == nullptr) return;
  const Endpoint& learned = entry->state.latch(Component::kRtp).learned();
  if (learned.is_set()) *command.last_peer = learned;
}

void CommandRunner::execute(ReadTransport& command) {
  TransportEntry* entry = context_.table.find(command.id);
  if (entry == nullptr) return;
  parts_.offloader.refresh(*entry);
  *command.into = entry->state.snapshot(context_.io->now());
}

void CommandRunner::execute(ReadContexts& command) { *command.into = command.contexts->state(); }

TransportFigures CommandRunner::figures_of(TransportEntry& entry) {
  parts_.offloader.refresh(entry);
  TransportFigures figures;
  figures.counters = entry.state.account().counters();
  figures.not_rtp = entry.state.account().not_rtp();
  entry.state.streams().add_to(figures);
  add_output_figures(entry, figures);
  return figures;
}

void CommandRunner::execute(ReadFigures& command) {
  if (TransportEntry* entry = context_.table.find(command.id)) *command.into = figures_of(*entry);
}

void CommandRunner::execute(ReadFlight& command) {
  const TransportEntry* entry = context_.table.find(command.id);
  if (entry != nullptr && entry->state.account().flight() != nullptr)
    *command.into = *entry->state.account().flight();
}

void CommandRunner::execute(ExtractTransport& command) {
  auto moved = context_.ports.bindings_of(command.id, static_cast<WorkerNumber>(context_.number));
  auto entry = take(command.id);
  if (entry) entry->moved = std::move(moved);
  *command.into = std::move(entry);
}

void CommandRunner::execute(AdoptTransport& command) { place(command.id, std::move(command.entry)); }

void CommandRunner::execute(AttachTap& command) {
  TransportEntry* entry = context_.table.find(command.id);
  if (entry == nullptr) return;
  // Copies that wait are of packets that came before the tap.
  parts_.offloader.collect();
  entry->taps.push_back(command.tap);
  parts_.offloader.reconsider(*entry);
}

void CommandRunner::execute(DetachTap& command) {
  TransportEntry* entry = context_.table.find(command.id);
  if (entry == nullptr) return;
  // The tap is shown everything that was forwarded until now.
  parts_.offloader.collect();
  std::erase(entry->taps, command.tap);
  parts_.offloader.reconsider(*entry);
}

void CommandRunner::execute(SendProbe& command) {
  if (TransportEntry* entry = context_.table.find(command.id)) parts_.own_packets.send_probe(*entry, command);
}

void CommandRunner::execute(StartPrompt& command) {
  if (TransportEntry* entry = context_.table.find(command.id))
    parts_.own_packets.start_prompt(*entry, command);
}

void CommandRunner::execute(StopPrompt& command) {
  if (TransportEntry* entry = context_.table.find(command.id))
    parts_.own_packets.stop_prompt(*entry, command);
}

void CommandRunner::execute(SendDigit& command) {
  if (TransportEntry* entry = context_.table.find(command.id)) parts_.own_packets.send_digit(*entry, command);
}

void CommandRunner::execute(EndPresses& command) {
  if (TransportEntry* entry = context_.table.find(command.id))
    parts_.turns.tell_ended_presses(*entry, context_.io->now(), true);
}

void CommandRunner::count_ended(TransportEntry& entry) noexcept {
  InterfaceTotals& totals = context_.interface_of(entry);
  entry.state.streams().for_each_stream([&](const SsrcCounters& stream) {
    bump(totals.lost, stream.lost());
    bump(totals.duplicates, stream.duplicates);
    bump(totals.reordered, stream.reordered);
    bump(totals.resets, stream.resets);
  });
}

}  // namespace ferry
