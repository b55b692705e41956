// SPDX-License-Identifier: Apache-2.0
// The interface through which others see the packets of a transport. The core declares it; recorder,
// forwarding to other programs and traces implement it.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/bytes.hpp"
#include "relay/core/forward/drop_reason.hpp"
#include "relay/core/forward/plan.hpp"

namespace ferry {

/// One packet as a tap sees it. Everything in it is borrowed for the duration of the call.
struct TapPacket {
  /// The transport that received the packet, or that sends it.
  TransportId transport;
  MediaId media;
  bool is_rtcp = false;
  /// The port of that transport that it came to or leaves from.
  Component port = Component::kRtp;
  /// Source of a received packet. Unset for a packet that leaves.
  Endpoint from;
  /// Receiver of a packet that leaves. Unset for a received packet.
  Endpoint to;
  /// The packet. If the kernel forwarded it and all taps of the transport asked for headers only, this is
  /// just its start.
  Bytes datagram;
  /// Size of the whole datagram in octets.
  std::size_t size = 0;
  /// When the packet was received, or when it leaves.
  Instant received_at;
  /// Number of the worker on whose thread the tap is called.
  unsigned worker = 0;
};

/// Sees every accepted packet of the transports that it is attached to. Called on the thread of the worker.
/// It must not block or throw: an implementation copies into a bounded queue of its own and counts what does
/// not fit.
class PacketTap {
 public:
  virtual ~PacketTap() = default;
  /// One accepted packet.
  virtual void on_packet(const TapPacket& packet) noexcept = 0;
  /// The kernel forwarded so many packets of the transport whose copies found no room on the way here.
  virtual void on_lost(TransportId, std::uint32_t) noexcept {}
  /// Tells what became of a received packet: `reason` is kNone if at least one receiver gets it. The datagram
  /// is only its start.
  virtual void on_judged(const TapPacket&, DropReason) noexcept {}
  /// True if the tap wants the packets that its transports send, before encryption, instead of those that
  /// they receive. The kernel then does not send for these transports.
  [[nodiscard]] virtual bool wants_egress() const noexcept { return false; }
  /// True if the start of each packet is enough for the tap.
  [[nodiscard]] virtual bool wants_headers_only() const noexcept { return false; }
};

}  // namespace ferry
