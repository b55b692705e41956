// With a thousand calls nothing that a packet needs is in the cache when its turn comes.
#pragma once

#include "relay/io/packet_buffer.hpp"
#include "relay/worker/transport_table.hpp"

#include <span>

namespace ferry {

/// Begins to fetch what the packets behind the first of `packets` will need: the transport each came to, the
/// one it leaves by, their keys. Call it before each packet of a batch: a step finds what those before
/// fetched.
void fetch_ahead(const TransportTable& table, std::span<const PacketBuffer> packets) noexcept;

}  // namespace ferry
