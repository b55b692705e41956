// SPDX-License-Identifier: Apache-2.0
#include "relay/worker/context.hpp"

namespace ferry {

void WorkerContext::drop_arriving(TransportEntry& entry, DropReason reason) noexcept {
  entry.state.account().count_arriving(reason);
  bump(interface_of(entry).ingress.errors);
  count_drops(totals, reason);
}

void WorkerContext::drop_leaving(TransportEntry& out, DropReason reason, Instant now) noexcept {
  out.state.account().count_leaving(reason, 1, now);
  bump(interface_of(out).ingress.errors);
  count_drops(totals, reason);
}

void WorkerContext::drop_unheard(TransportEntry& entry, TransportEntry& out, DropReason reason,
                                 Instant now) noexcept {
  out.state.account().count_leaving(reason, 1, now);
  bump(interface_of(entry).ingress.errors);
  count_drops(totals, reason);
}

void WorkerContext::count_refused(TransportEntry& entry, const ReceivedPacket& arrived, bool is_rtcp,
                                  DropReason reason) noexcept {
  count_drops(totals, reason);
  bump(interface_of(entry).ingress.errors);
  entry.state.note_refusal(arrived, reason);
  witness(entry, arrived, is_rtcp, reason);
}

void WorkerContext::witness(TransportEntry& entry, const ReceivedPacket& arrived, Bytes start,
                            std::size_t size, bool is_rtcp, DropReason reason) noexcept {
  if (flight_mode.load(std::memory_order_relaxed) != FlightMode::kOff)
    entry.state.account().record_flight(arrived.component(), arrived.from, start, size, reason, false,
                                        arrived.at);
  if (entry.taps.empty()) return;
  const TapPacket seen{.transport = entry.id,
                       .media = entry.state.plan().sources.front().media,
                       .is_rtcp = is_rtcp,
                       .port = arrived.component(),
                       .from = arrived.from,
                       .to = {},
                       .datagram = start,
                       .size = size,
                       .received_at = arrived.at,
                       .worker = number};
  for (PacketTap* tap : entry.taps) tap->on_judged(seen, reason);
}

void WorkerContext::pass_events(TransportEntry& entry, Instant now) noexcept {
  while (const auto event = entry.state.parts().events.take(now)) tell({entry.id, *event, {}});
}

void WorkerContext::tell(WorkerEvent event) noexcept {
  event.dtmf.told_at = io->now();
  // If the ring is full, the notice is lost; the counter behind it is not.
  events.push(std::move(event));
  if (bell != nullptr) bell->ring();
}

}  // namespace ferry
