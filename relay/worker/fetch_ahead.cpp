// SPDX-License-Identifier: Apache-2.0
// Fetching in steps. What a packet needs lies behind a chain of pointers: the table's slot, the transport,
// its lists, the SRTP session, the key's context; then the same for the transport that it leaves by. Each
// step can only be fetched once the one before it is in the cache. So each packet of a batch is at a step of
// its own. The packet nine places ahead has its slot fetched, the next one its parts, and so on. The packet
// itself finds everything (ADR 0008).
//
// Reading an entry whose line has not arrived yet would wait for memory, hence the distance of one packet
// between the steps. The numbers below are that distance.
#include "relay/worker/fetch_ahead.hpp"

#include "relay/base/prefetch.hpp"
#include "relay/worker/port_table.hpp"

namespace ferry {

namespace {

using Fetch = Transport::Fetch;

/// The first receiver of the transport's first source: with two parties, where every packet goes. Null if
/// there is none.
const Sink* first_sink(const TransportEntry& entry) noexcept {
  const auto& sources = entry.state.plan().sources;
  return sources.empty() || sources.front().sinks.empty() ? nullptr : &sources.front().sinks.front();
}

}  // namespace

void fetch_ahead(const TransportTable& table, std::span<const PacketBuffer> packets) noexcept {
  // Only packets of own ports are fetched. Which transport a packet of a shared port is for may still change
  // within the batch. `slot_of` its cookie is a slot that the table does not have.
  const auto slot_at = [&](std::size_t ahead) { return slot_of(packets[ahead]->cookie); };
  const auto arriving = [&](std::size_t ahead) -> const TransportEntry* {
    return ahead < packets.size() ? table.at(slot_at(ahead)) : nullptr;
  };
  const auto leaving = [&](std::size_t ahead) -> const TransportEntry* {
    const TransportEntry* entry = arriving(ahead);
    const Sink* sink = entry != nullptr ? first_sink(*entry) : nullptr;
    return sink != nullptr ? table.at(sink->via.slot) : nullptr;
  };
  if (packets.size() > 9) table.prefetch(slot_at(9));
  if (const auto* entry = arriving(8)) entry->state.prefetch(Fetch::kArrivingParts);
  if (const auto* entry = arriving(7)) entry->state.prefetch(Fetch::kArrivingLists);
  if (const auto* entry = arriving(6)) {
    entry->state.prefetch(Fetch::kArrivingSession);
    if (const Sink* sink = first_sink(*entry)) __builtin_prefetch(sink);
  }
  if (const auto* entry = leaving(5)) prefetch_octets(entry, TransportTable::kFetched);
  if (const auto* entry = leaving(4)) entry->state.prefetch(Fetch::kLeavingParts);
  if (const auto* entry = leaving(3)) entry->state.prefetch(Fetch::kLeavingLists);
  if (const auto* entry = arriving(3)) entry->state.prefetch(Fetch::kArrivingContext);
  if (const auto* entry = leaving(2)) entry->state.prefetch(Fetch::kLeavingSession);
  if (const auto* entry = leaving(1)) entry->state.prefetch(Fetch::kLeavingContext);
}

}  // namespace ferry
