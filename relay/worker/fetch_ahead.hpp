// SPDX-License-Identifier: Apache-2.0
// Loads the memory of the next packets into the cache. With a thousand calls nothing that a packet needs is
// in the cache when its turn comes (ADR 0008).
#pragma once

#include "relay/io/packet_buffer.hpp"
#include "relay/worker/transport_table.hpp"

#include <span>

namespace ferry {

/// Starts to load what the packets behind the first of `packets` will need: the transport that each one came
/// to, the transport it will leave by, and their keys. Call it before each packet of a batch, because each
/// call goes one step further for every packet.
void fetch_ahead(const TransportTable& table, std::span<const PacketBuffer> packets) noexcept;

}  // namespace ferry
