// SPDX-License-Identifier: Apache-2.0
// The interface to forwarding below the sockets, in the kernel. It is an optimisation that may always say no.
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/limit/token_bucket.hpp"
#include "relay/core/rtp/stream_shift.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <bitset>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace ferry {

/// One receiver of a flow.
struct OffloadSink {
  /// Our address and port that packets leave from.
  Endpoint local;
  /// The receiver's address and port.
  Endpoint peer;
  /// DSCP and ECN octet of outgoing packets.
  std::uint8_t tos = 0;
  /// True if the payload is overwritten with its codec's silence.
  bool silenced = false;
  /// The numbers by which packets leave; nothing: they keep their own.
  std::optional<StreamShift> shift{};

  bool operator==(const OffloadSink&) const = default;
};

/// Which copies of a flow's packets come to user space: none, the start of one packet in 64, the start of
/// all, or all packets whole.
enum class Sampling : std::uint8_t { kNone, kSparse, kHeaders, kWhole };

/// One direction of a locked plain stream. RTP that arrives at `local` from `peer` leaves for `sinks` as it
/// came, or by other numbers. Everything else that arrives at `local` is punted, that is, left to the
/// sockets, except where a member says otherwise. Plain values; `local` names the flow.
struct OffloadFlow {
  /// Our address and port that the stream arrives at.
  Endpoint local;
  /// The locked peer.
  Endpoint peer;
  /// The receivers; silenced ones come last. Empty: packets are counted and go nowhere (hold, block).
  std::vector<OffloadSink> sinks;
  /// The only SSRC; packets with others are punted (SSR-1).
  Ssrc ssrc;
  /// Payload types that are taken, with their clock rates; others are punted. Empty = every type is taken.
  std::vector<PayloadEntry> payloads;
  /// True if types that are not in `payloads` are taken as well, except for `refused_types`.
  bool takes_any_type = false;
  /// Types that are always punted.
  std::bitset<128> refused_types;
  /// Types that were not negotiated and are taken and counted all the same (DMX-4).
  std::bitset<128> other_types;
  /// Limit of the stream (LIM-1).
  RateLimit rate;
  /// Until this time packets of other sources are punted, because one of them may become the peer (LAT-6).
  /// Afterwards they are dropped and counted.
  Instant open_until{};
  /// Packets from here are always punted: this source may take the stream back (LAT-8). Unset if there is
  /// none.
  Endpoint home;
  /// True if another address may continue the stream, not only another port of the same one (LAT-8c).
  bool handover = false;
  /// Which copies go to user space.
  Sampling sampling = Sampling::kNone;

  bool operator==(const OffloadFlow&) const = default;
};

/// Counts and state of a flow. They go with the flow below the sockets and come back with it: whoever
/// forwards owns them.
struct OffloadState {
  /// Counters of the stream. `new_burst` covers the time since the flow was last read or changed.
  StreamStats::State stream;
  /// State of the rate limit.
  TokenBucket::State bucket;
  /// The peer's newest packet, even if the rate limit dropped it: it is what another port must continue
  /// (LAT-8c).
  SeqNo heard_sequence;
  Instant heard_at{};
  // These are counted since the installation.
  /// Packets that the rate limit dropped.
  std::uint32_t rate_limited = 0;
  /// Packets of foreign sources that were dropped.
  std::uint32_t foreign = 0;
  /// Packets of `OffloadFlow::other_types`; `stream` counts them too.
  std::uint32_t other_types = 0;
  /// The newest packet of a foreign source; unset if there was none.
  Endpoint foreign_from;
  Instant foreign_at{};
  /// Copies that found no room on the way to user space.
  std::uint32_t unsampled = 0;

  bool operator==(const OffloadState&) const = default;
};

/// A reading of one flow: `local` goes in, the rest comes out.
struct OffloadReading {
  Endpoint local;
  /// False if there is no such flow.
  bool found = false;
  OffloadState state;
};

/// A copy of a packet that was forwarded.
struct OffloadSample {
  /// Local address and port of the flow, which name it.
  Endpoint local;
  Endpoint from;
  /// The whole datagram or its start; borrowed for the call.
  Bytes datagram;
  /// Size of the whole datagram in octets.
  std::size_t size = 0;
  Instant received_at{};
};

/// Answer to an order. kLater: not now, but perhaps once the packet that was just forwarded has found the MAC
/// address of its next hop.
enum class OffloadAnswer : std::uint8_t { kTaken, kLater, kRefused };

/// A flow to install. `flow` and `state` go in, borrowed for the call; `answer` comes out.
struct OffloadInstallation {
  const OffloadFlow* flow = nullptr;
  const OffloadState* state = nullptr;
  OffloadAnswer answer = OffloadAnswer::kRefused;
};

/// Takes flows below the sockets. One object for each worker, called on the worker's thread.
///
/// A packet is punted without being counted if its sequence number would need confirmation (SSR-4), and in
/// all cases that `OffloadFlow` names. User space then judges it as if there were no offload.
class FlowOffload {
 public:
  virtual ~FlowOffload() = default;
  /// Installs several flows and writes the answer into each.
  virtual void install(std::span<OffloadInstallation> flows) = 0;
  /// Changes an installed flow. Its state goes on; `before` becomes what it was at the change. If it refuses,
  /// the old flow stays in force.
  [[nodiscard]] virtual OffloadAnswer update(const OffloadFlow& flow, OffloadState& before) = 0;
  /// Removes flows. When it returns, no packet of them is forwarded any more and the readings are final
  /// (LAT-13).
  virtual void remove(std::span<OffloadReading> flows) = 0;
  /// Reads the states of flows.
  virtual void read(std::span<OffloadReading> flows) = 0;
  /// Calls `visit` with each copy that has come since the previous call.
  virtual void collect(const std::function<void(const OffloadSample&)>& visit) = 0;
};

}  // namespace ferry
