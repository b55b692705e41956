// The core declares what wants to see packets; recorder, forwarder and streams implement it (design section
// 6).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/forward/plan.hpp"

namespace ferry {

/// One accepted packet as a tap sees it. Everything is borrowed for the call.
struct TapPacket {
  TransportId transport;
  MediaId media;
  bool is_rtcp = false;
  /// Of the port that it came to, or leaves from.
  Component port = Component::kRtp;
  Endpoint from;
  /// Set if it leaves this relay: whom it goes to, and `from` says nothing.
  Endpoint to;
  /// Its start only, if all taps of its transport asked for headers and the kernel forwarded it.
  Bytes datagram;
  /// Octets of the datagram as it came.
  std::size_t size = 0;
  Instant received_at;
  /// Number of the worker whose thread this is.
  unsigned worker = 0;
};

/// Sees every accepted packet of the sources it is attached to, on the worker's thread. Must not block or
/// throw: implementations copy into a bounded queue of their own and count what does not fit.
class PacketTap {
 public:
  virtual ~PacketTap() = default;
  virtual void on_packet(const TapPacket& packet) noexcept = 0;
  /// Packets that were forwarded below the sockets and whose copies found no room on the way here.
  virtual void on_lost(TransportId, std::uint32_t) noexcept {}
  /// What became of a received packet: `reason` is kNone if somebody gets it. `datagram` is its start.
  virtual void on_judged(const TapPacket&, DropReason) noexcept {}
  /// It wants what is sent through its transports, as it was before it was encrypted, not what arrives there.
  /// Such transports are not sent from below the sockets.
  [[nodiscard]] virtual bool wants_egress() const noexcept { return false; }
  /// The start of each packet is enough.
  [[nodiscard]] virtual bool wants_headers_only() const noexcept { return false; }
};

}  // namespace ferry
