// RTP that overtakes the answer (LAT-14). The callee may speak before its SDP has reached us, and nobody
// knows yet whether the sender is the callee. Such packets are kept unheard in an `EarlyMedia` per component.
//
// The way of a kept packet:
// 1. `Transport` answers kKeep or kEarlyMedia and changes nothing (DMX-5). `keep_early` copies the datagram
//    as it came.
// 2. `UpdatePlan` brings the answer. `choose_early` picks the best source by it and drops the others.
// 3. `let_out_early` sends what was kept through `take_in`, like any other packet, at most at twice real
//    time. The worker's queue of turns paces it.
// 4. A packet of the chosen source that arrives meanwhile joins the end of the line (`waits_in_line`). The
//    offloader does not offer the stream to the kernel until the line is empty. Thus nothing overtakes.
//
// All transports of a worker share one budget of memory. When it is used up, the transport that began to keep
// packets longest ago loses its own; `early_order_` says which that is. A transport that is removed or leaves
// the worker drops what it kept.
#include "relay/base/ensure.hpp"
#include "relay/worker/worker.hpp"

#include <algorithm>
#include <new>

namespace ferry {

bool Worker::store_early(TransportEntry& entry, Component component, const Endpoint& from, Bytes datagram,
                         Instant now) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(component)];
  try {
    if (!early) {
      auto made = std::make_unique<EarlyMedia>(early_budget_);
      // Listed first: if the list cannot grow, the transport keeps nothing, and every one that does is
      // listed.
      if (std::ranges::find(early_order_, entry.state.id()) == early_order_.end())
        early_order_.push_back(entry.state.id());
      early = std::move(made);
    }
    // Each round takes the memory of one other transport, so this ends when the packet fits or none is left.
    while (true) {
      const EarlyMedia::Kept kept = early->keep(from, datagram, now);
      count_early(entry, component, early->take_dropped());
      if (kept != EarlyMedia::Kept::kNoRoom) return kept == EarlyMedia::Kept::kKept;
      if (!make_room(entry.state.id())) return false;
    }
  } catch (const std::bad_alloc&) {
    return false;  // if memory runs out, nothing is kept and the calls go on (C-12)
  }
}

bool Worker::make_room(TransportId but) noexcept {
  const auto oldest = std::ranges::find_if(early_order_, [&](TransportId id) { return id != but; });
  if (oldest == early_order_.end()) return false;
  TransportEntry* entry = table_.find(*oldest);
  // Cannot be missing: `take` ends what a transport keeps before it leaves the table.
  if (!FERRY_ENSURE(entry != nullptr)) return false;
  drop_early(*entry);
  return true;
}

void Worker::keep_early(TransportEntry& entry, Component component, const PacketBuffer& packet,
                        Instant now) noexcept {
  // While one source is let out, nothing new is kept. A packet that is refused then was itself just let out;
  // to keep it again would send it round for ever.
  const auto& early = entry.early[static_cast<std::size_t>(component)];
  if (early && early->is_releasing())
    refuse_early(entry, component, packet, now);
  else
    line_up(entry, component, packet, now);
}

void Worker::line_up(TransportEntry& entry, Component component, const PacketBuffer& packet,
                     Instant now) noexcept {
  // A packet with a key was decrypted in place already and could not be opened a second time.
  if (packet->srtp_key == 0 && store_early(entry, component, packet->remote, packet.data(), now)) return;
  refuse_early(entry, component, packet, now);
}

void Worker::refuse_early(TransportEntry& entry, Component component, const PacketBuffer& packet,
                          Instant now) noexcept {
  count_early(entry, component, 1);
  entry.state.note_refusal(received(packet, now), DropReason::kEarlyMedia);
  witness(entry, component, packet->remote, packet.data(), packet.data().size(), false,
          DropReason::kEarlyMedia, now);
}

void Worker::count_early(TransportEntry& entry, Component component, std::uint32_t times) noexcept {
  if (times == 0) return;
  entry.state.count_refused(component, DropReason::kEarlyMedia, times);
  bump(interface_of(entry).ingress.errors, times);
  count_drops(totals_, DropReason::kEarlyMedia, times);
}

void Worker::drop_early(TransportEntry& entry) noexcept {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    auto& early = entry.early[static_cast<std::size_t>(component)];
    if (!early) continue;
    end_early(entry, component);
  }
}

void Worker::end_early(TransportEntry& entry, Component component) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(component)];
  early->drop_all();
  count_early(entry, component, early->take_dropped());
  early.reset();
  // The transport leaves the list and the queue of turns when neither component keeps anything.
  if (entry.early[0] || entry.early[1]) return;
  entry.early_due = {};
  std::erase(early_order_, entry.state.id());
}

bool Worker::waits_in_line(TransportEntry& entry, Component component, const PacketBuffer& packet,
                           Instant now) noexcept {
  auto& early = entry.early[static_cast<std::size_t>(component)];
  // Other sources take the ordinary way: only the one that is let out could overtake itself.
  if (!early->is_releasing() || packet->remote != early->released()) return false;
  if (early->has_caught_up(now)) {
    end_early(entry, component);
    return false;
  }
  line_up(entry, component, packet, now);
  await_early(entry);
  return true;
}

void Worker::choose_early(TransportEntry& entry, Instant now) noexcept {
  // Still no answer: this plan changed something else.
  if (entry.state.plan().early_until != Instant{}) return;
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    auto& early = entry.early[static_cast<std::size_t>(component)];
    if (!early || early->is_releasing()) continue;
    const Latch& latch = entry.state.latch(component);
    early->release([&](const Endpoint& from) { return latch.signalled_rank(from, now, *own_); }, now);
    count_early(entry, component, early->take_dropped());
    // No source that was kept is the party.
    if (!early->is_releasing()) end_early(entry, component);
  }
  await_early(entry);
}

void Worker::await_early(TransportEntry& entry) noexcept {
  Instant due = Instant::max();
  for (const auto& early : entry.early) {
    if (early && early->due()) due = std::min(due, *early->due());
  }
  // A turn at the same time is queued already. A later one that is queued too finds another `early_due` and
  // does nothing.
  if (due == Instant::max() || due == entry.early_due) return;
  entry.early_due = due;
  add_turn({due, entry.state.id(), kEarlyTurn});
}

void Worker::let_out_early(TransportEntry& entry, Instant now) noexcept {
  for (const auto component : {Component::kRtp, Component::kRtcp}) {
    auto& early = entry.early[static_cast<std::size_t>(component)];
    if (!early) continue;
    for (Bytes next; !(next = early->next(now)).empty(); early->pop(now)) {
      PacketBuffer packet = io_->allocate();
      if (!packet || next.size() > packet.space().size()) {
        drop_arriving(entry, DropReason::kNoBuffer);
        continue;
      }
      // The packet looks as if it had just been received, so that it is judged, recorded and forwarded like
      // any other.
      std::ranges::copy(next, packet.space().begin());
      packet.set_data_size(next.size());
      packet->remote = early->released();
      packet->cookie = make_cookie(entry.state.id(), {component, 0});
      packet->truncated = false;
      take_in(entry, std::move(packet), now, nullptr);
    }
    if (early->is_over(now)) end_early(entry, component);
  }
  await_early(entry);
}

}  // namespace ferry
