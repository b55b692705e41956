// SPDX-License-Identifier: Apache-2.0
// A ring of places. A datagram that is taken leaves a free place behind; the ring goes on all the same, so
// the next place is always the one that was filled longest ago.
#include "relay/worker/early_hellos.hpp"

#include "relay/core/dtls/records.hpp"

namespace ferry {

bool EarlyHellos::hold(PacketBuffer& packet, Instant now) noexcept {
  const SharedPortId port = shared_port_of(packet->cookie);
  std::size_t octets = 0;
  for (std::size_t n = 0; size_ > 0 && n < kPlaces; ++n) {
    const Held& each = places_[n];
    if (each.is_of(port, packet->remote) && !each.is_old(now)) octets += each.packet.data().size();
  }
  if (octets == 0 && !parse_client_hello(packet.data())) return false;
  if (octets + packet.data().size() > kOctets) return false;
  Held& place = nth(0);
  drop(place);
  place.remote = packet->remote;
  place.port = port;
  place.since = now;
  place.packet = std::move(packet);
  next_ = (next_ + 1) % kPlaces;
  ++size_;
  return true;
}

PacketBuffer EarlyHellos::take(SharedPortId port, const Endpoint& remote, Instant now) noexcept {
  for (std::size_t n = 0; size_ > 0 && n < kPlaces; ++n) {
    Held& each = nth(n);
    if (!each.is_of(port, remote)) continue;
    if (each.is_old(now)) {
      drop(each);
      continue;
    }
    --size_;
    return std::move(each.packet);
  }
  return {};
}

void EarlyHellos::forget_old(Instant now) noexcept {
  if (size_ == 0) return;
  for (Held& each : places_) {
    if (each.is_old(now)) drop(each);
  }
}

void EarlyHellos::drop(Held& place) noexcept {
  if (!place.packet) return;
  place.packet.reset();
  --size_;
  ++dropped_;
}

}  // namespace ferry
