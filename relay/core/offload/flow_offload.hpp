// Forwarding below the sockets as an optimisation that may always say no (design seam 6).
#pragma once

#include "relay/base/address.hpp"
#include "relay/base/types.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/limit/token_bucket.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace ferry {

/// One direction of a locked plain stream: RTP that arrives at `local` from `peer` leaves from `out_local` to
/// `out_peer` as it came. Everything else that arrives at `local` is punted to the sockets, but for what the
/// members below say. Plain values; `local` names the flow.
struct OffloadFlow {
  Endpoint local;
  Endpoint peer;
  Endpoint out_local;
  Endpoint out_peer;
  /// DSCP and ECN octet of what leaves.
  std::uint8_t tos = 0;
  /// The only SSRC; packets of others are punted (SSR-1).
  Ssrc ssrc;
  /// What is taken and its clock rates; other types are punted. Empty = any.
  std::vector<PayloadEntry> payloads;
  RateLimit rate;
  /// False: packets are counted as `OffloadState::refused` and go nowhere (hold, block).
  bool forwards = true;
  /// Until then packets of other sources are punted, afterwards dropped and counted (LAT-6).
  Instant open_until{};
  /// Other addresses may continue the stream, not only other ports of the same one (LAT-8c).
  bool handover = false;

  bool operator==(const OffloadFlow&) const = default;
};

/// What is counted for a flow. Goes with it below the sockets and comes back: whoever forwards owns it.
struct OffloadState {
  StreamStats::State stream;
  TokenBucket::State bucket;
  /// The peer's newest packet, also if the rate limit dropped it: what another port must continue (LAT-8c).
  SeqNo heard_sequence;
  Instant heard_at{};
  // Since the installation.
  std::uint32_t refused = 0;
  std::uint32_t rate_limited = 0;
  std::uint32_t foreign = 0;

  bool operator==(const OffloadState&) const = default;
};

/// A reading of one flow: `local` in; the rest out.
struct OffloadReading {
  Endpoint local;
  bool found = false;
  OffloadState state;
};

/// `kLater`: not now, but perhaps when the packet just forwarded has found its neighbour.
enum class OffloadAnswer : std::uint8_t { kTaken, kLater, kRefused };

/// Takes flows below the sockets. One instance per worker, called on the worker's thread.
///
/// A packet is punted, with nothing counted, if its sequence number would need confirmation (SSR-4) and in
/// all the cases that `OffloadFlow` names: user space judges it as if there were no offload.
class FlowOffload {
 public:
  virtual ~FlowOffload() = default;
  [[nodiscard]] virtual OffloadAnswer install(const OffloadFlow& flow, const OffloadState& state) = 0;
  /// Changes an installed flow; the state stays. After a refusal the old flow is still there.
  [[nodiscard]] virtual OffloadAnswer update(const OffloadFlow& flow) = 0;
  /// Complete when it returns (LAT-13): no packet is forwarded any more, and `last` is what was counted.
  /// False if there is no such flow.
  virtual bool remove(const Endpoint& local, OffloadState& last) = 0;
  virtual void read(std::span<OffloadReading> readings) = 0;

  // Said no to unless an engine can. Nothing asks yet: adoption comes with calls that survive the daemon,
  // samples with what wants them (a tap takes its stream back to user space).
  /// Flows that an earlier process left behind.
  virtual void enumerate(const std::function<void(const OffloadFlow&)>&) {}
  /// Takes over a flow found by `enumerate`, as if this instance had installed it.
  [[nodiscard]] virtual OffloadAnswer adopt(const OffloadFlow&) { return OffloadAnswer::kRefused; }
  /// Copies of the flow's packets to user space, on or off.
  [[nodiscard]] virtual OffloadAnswer sample(const Endpoint&, bool) { return OffloadAnswer::kRefused; }
};

}  // namespace ferry
