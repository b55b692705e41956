// SPDX-License-Identifier: Apache-2.0
// RTP that overtakes the answer (LAT-14). The callee may speak before its SDP has reached us, and nobody
// knows yet whether the sender is the callee. Such packets are kept unheard in an `EarlyMedia` per component.
//
// The way of a kept packet:
// 1. `Transport` answers kKeep or kEarlyMedia and changes nothing (DMX-5). `keep` copies the datagram
//    as it came.
// 2. `UpdatePlan` brings the answer. `choose` picks the best source by it and drops the others.
// 3. `let_out` sends what was kept through `take_in`, like any other packet, at most at twice real
//    time. The worker's queue of turns paces it.
// 4. A packet of the chosen source that arrives meanwhile joins the end of the line (`waits_in_line`). The
//    offloader does not offer the stream to the kernel until the line is empty. Thus nothing overtakes.
//
// All transports of a worker share one budget of memory. When it is used up, the transport that began to keep
// packets longest ago loses its own; `order_` says which that is. A transport that is removed or leaves
// the worker drops what it kept.
#include "relay/worker/early_keeper.hpp"

#include "relay/base/ensure.hpp"

#include <algorithm>
#include <new>

namespace ferry {

bool EarlyKeeper::store(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(arrived.component())];
  try {
    if (!early) {
      auto made = std::make_unique<EarlyMedia>(budget_);
      // Listed first: if the list cannot grow, the transport keeps nothing, and every one that does is
      // listed.
      if (std::ranges::find(order_, entry.id) == order_.end()) order_.push_back(entry.id);
      early = std::move(made);
    }
    // Each round takes the memory of one other transport, so this ends when the packet fits or none is left.
    while (true) {
      const EarlyMedia::KeepResult kept = early->keep(arrived.from, arrived.datagram, arrived.at);
      count(entry, arrived.component(), early->take_dropped());
      if (kept != EarlyMedia::KeepResult::kNoRoom) return kept == EarlyMedia::KeepResult::kKept;
      if (!make_room(entry.id)) return false;
    }
  } catch (const std::bad_alloc&) {
    return false;  // if memory runs out, nothing is kept and the calls go on (C-12)
  }
}

bool EarlyKeeper::make_room(TransportId but) noexcept {
  const auto oldest = std::ranges::find_if(order_, [&](TransportId id) { return id != but; });
  if (oldest == order_.end()) return false;
  TransportEntry* entry = context_.table.find(*oldest);
  // Cannot be missing: `take` ends what a transport keeps before it leaves the table.
  if (!FERRY_ENSURE(entry != nullptr)) return false;
  drop(*entry);
  return true;
}

void EarlyKeeper::keep(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  // While one source is let out, nothing new is kept. A packet that is refused then was itself just let out;
  // to keep it again would send it round for ever.
  const auto& early = entry.early[static_cast<std::size_t>(arrived.component())];
  if (early && early->is_releasing())
    refuse(entry, arrived);
  else
    line_up(entry, arrived);
}

void EarlyKeeper::line_up(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  // A packet with a key was decrypted in place already and could not be opened a second time.
  if (arrived.origin.key == 0 && store(entry, arrived)) return;
  refuse(entry, arrived);
}

void EarlyKeeper::refuse(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  count(entry, arrived.component(), 1);
  entry.state.note_refusal(arrived, DropReason::kEarlyMedia);
  context_.witness(entry, arrived, false, DropReason::kEarlyMedia);
}

void EarlyKeeper::count(TransportEntry& entry, Component component, std::uint32_t times) noexcept {
  if (times == 0) return;
  entry.state.account().count_refused(component, DropReason::kEarlyMedia, times);
  bump(context_.interface_of(entry).ingress.errors, times);
  count_drops(context_.totals, DropReason::kEarlyMedia, times);
}

void EarlyKeeper::drop(TransportEntry& entry) noexcept {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    auto& early = entry.early[static_cast<std::size_t>(component)];
    if (!early) continue;
    end(entry, component);
  }
}

void EarlyKeeper::end(TransportEntry& entry, Component component) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(component)];
  early->drop_all();
  count(entry, component, early->take_dropped());
  early.reset();
  // The transport leaves the list and the queue of turns when neither component keeps anything.
  if (entry.early[0] || entry.early[1]) return;
  entry.due_of(DeadlineKind::kEarly) = {};
  std::erase(order_, entry.id);
}

bool EarlyKeeper::waits_in_line(TransportEntry& entry, const ReceivedPacket& arrived) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(arrived.component())];
  // Other sources take the ordinary way: only the one that is let out could overtake itself.
  if (!early->is_releasing() || arrived.from != early->released()) return false;
  if (early->has_caught_up(arrived.at)) {
    end(entry, arrived.component());
    return false;
  }
  line_up(entry, arrived);
  await(entry);
  return true;
}

void EarlyKeeper::forget(TransportEntry& entry, Component component, const Endpoint& from) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(component)];
  if (early->is_releasing()) return;
  early->forget(from);
  count(entry, component, early->take_dropped());
}

void EarlyKeeper::choose(TransportEntry& entry, Instant now) noexcept {
  // Still no answer: this plan changed something else.
  if (entry.state.plan().early_until != Instant{}) return;
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    auto& early = entry.early[static_cast<std::size_t>(component)];
    if (!early || early->is_releasing()) continue;
    const Latch& latch = entry.state.latch(component);
    early->release([&](const Endpoint& from) { return latch.signalled_rank(from, now, *context_.own); }, now);
    count(entry, component, early->take_dropped());
    // No source that was kept is the party.
    if (!early->is_releasing()) end(entry, component);
  }
  await(entry);
}

void EarlyKeeper::await(TransportEntry& entry) noexcept {
  Instant due = Instant::max();
  for (const auto& early : entry.early) {
    if (early && early->due()) due = std::min(due, *early->due());
  }
  if (due != Instant::max()) deadlines_.set(entry, DeadlineKind::kEarly, due, context_.io->now());
}

void EarlyKeeper::let_out(TransportEntry& entry, PacketIntake& intake, Instant now) noexcept {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    auto& early = entry.early[static_cast<std::size_t>(component)];
    if (!early) continue;
    for (Bytes next; !(next = early->next(now)).empty(); early->pop(now)) {
      PacketBuffer packet = context_.io->allocate();
      if (!packet || next.size() > packet.space().size()) {
        context_.drop_arriving(entry, DropReason::kNoBuffer);
        continue;
      }
      // The packet looks as if it had just been received, so that it is judged, recorded and forwarded like
      // any other.
      std::ranges::copy(next, packet.space().begin());
      packet.set_data_size(next.size());
      packet->remote = early->released();
      packet->cookie = make_cookie(entry.id, {component, 0});
      packet->truncated = false;
      intake.take_in(entry, std::move(packet), now);
    }
    if (early->is_over(now)) end(entry, component);
  }
  await(entry);
}

}  // namespace ferry
