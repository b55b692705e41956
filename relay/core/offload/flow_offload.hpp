// Forwarding below the sockets as an optimisation that may always say no (design seam 6).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/limit/token_bucket.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <bitset>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ferry {

/// A receiver of a flow: from which end to which other, and how.
struct OffloadSink {
  Endpoint local;
  Endpoint peer;
  /// DSCP and ECN octet of what leaves.
  std::uint8_t tos = 0;
  /// The payload is overwritten with its codec's silence.
  bool silenced = false;

  bool operator==(const OffloadSink&) const = default;
};

/// Whether copies of a flow's packets come to user space: of one in 64 the start, of all the start, all.
enum class Sampling : std::uint8_t { kNone, kSparse, kHeaders, kWhole };

/// One direction of a locked plain stream: RTP that arrives at `local` from `peer` leaves for `sinks` as it
/// came. Everything else that arrives at `local` is punted to the sockets, but for what the members below
/// say. Plain values; `local` names the flow.
struct OffloadFlow {
  Endpoint local;
  Endpoint peer;
  /// Those that are silenced come last. None: packets are counted and go nowhere (hold, block).
  std::vector<OffloadSink> sinks;
  /// The only SSRC; packets of others are punted (SSR-1).
  Ssrc ssrc;
  /// What is taken and its clock rates; other types are punted. Empty = any.
  std::vector<PayloadEntry> payloads;
  /// Types that are not in `payloads` are taken too, but for `refused_types`.
  bool takes_any_type = false;
  std::bitset<128> refused_types;
  /// Types that are not in `payloads`, were not negotiated, and are taken and counted all the same (DMX-4).
  std::bitset<128> other_types;
  RateLimit rate;
  /// Until then packets of other sources are punted, afterwards dropped and counted (LAT-6).
  Instant open_until{};
  /// Packets from there are punted whenever they come: it may take the stream back (LAT-8). Unset: there is
  /// none.
  Endpoint home;
  /// Other addresses may continue the stream, not only other ports of the same one (LAT-8c).
  bool handover = false;
  Sampling sampling = Sampling::kNone;

  bool operator==(const OffloadFlow&) const = default;
};

/// What is counted for a flow. Goes with it below the sockets and comes back: whoever forwards owns it.
struct OffloadState {
  /// `new_burst` is of the time since the flow was read or changed last.
  StreamStats::State stream;
  TokenBucket::State bucket;
  /// The peer's newest packet, also if the rate limit dropped it: what another port must continue (LAT-8c).
  SeqNo heard_sequence;
  Instant heard_at{};
  // Since the installation.
  std::uint32_t rate_limited = 0;
  std::uint32_t foreign = 0;
  /// Packets of `OffloadFlow::other_types`, which are among those of `stream` too.
  std::uint32_t other_types = 0;
  /// The newest of those; unset if there was none.
  Endpoint foreign_from;
  Instant foreign_at{};
  /// Copies that found no room.
  std::uint32_t unsampled = 0;

  bool operator==(const OffloadState&) const = default;
};

/// What one flow has counted: `local` in; the rest out.
struct OffloadReading {
  Endpoint local;
  bool found = false;
  OffloadState state;
};

/// A copy of a packet that was counted.
struct OffloadSample {
  Endpoint local;
  Endpoint from;
  /// All of it, or its start. Borrowed for the call.
  Bytes datagram;
  /// Octets of the datagram.
  std::size_t size = 0;
  Instant received_at{};
};

/// `kLater`: not now, but perhaps when the packet just forwarded has found its neighbour.
enum class OffloadAnswer : std::uint8_t { kTaken, kLater, kRefused };

/// A flow to install: `flow` and `state` in, borrowed for the call; `answer` out.
struct OffloadInstallation {
  const OffloadFlow* flow = nullptr;
  const OffloadState* state = nullptr;
  OffloadAnswer answer = OffloadAnswer::kRefused;
};

/// Takes flows below the sockets. One instance per worker, called on the worker's thread.
///
/// A packet is punted, with nothing counted, if its sequence number would need confirmation (SSR-4) and in
/// all the cases that `OffloadFlow` names: user space judges it as if there were no offload.
class FlowOffload {
 public:
  virtual ~FlowOffload() = default;
  virtual void install(std::span<OffloadInstallation> flows) = 0;
  /// Changes an installed flow; the state stays, and `before` is what it was at the change. After a refusal
  /// the old flow is still there.
  [[nodiscard]] virtual OffloadAnswer update(const OffloadFlow& flow, OffloadState& before) = 0;
  /// Complete when it returns (LAT-13): no packet is forwarded any more, and the readings are final.
  virtual void remove(std::span<OffloadReading> flows) = 0;
  virtual void read(std::span<OffloadReading> flows) = 0;
  /// Hands over the copies that have come since the last call.
  virtual void collect(const std::function<void(const OffloadSample&)>& visit) = 0;

  // Said no to unless an engine can. Nothing asks yet: adoption comes with calls that survive the daemon.
  /// Flows that an earlier process left behind.
  virtual void enumerate(const std::function<void(const OffloadFlow&)>&) {}
  /// Takes over a flow found by `enumerate`, as if this instance had installed it.
  [[nodiscard]] virtual OffloadAnswer adopt(const OffloadFlow&) { return OffloadAnswer::kRefused; }
};

}  // namespace ferry
