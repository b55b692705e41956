// SPDX-License-Identifier: Apache-2.0
// Adds up what all ports of one media counted.
#pragma once

#include "relay/core/forward/transport.hpp"

#include <array>
#include <vector>

namespace ferry {

/// What the relay saw of one media: of its present port, and of ports that earlier SDP gave the party. Filled
/// by `add`. Its pointers are borrowed from the snapshots.
struct MediaView {
  /// An SSRC that comes from the party. `quality` is null if its history is not kept.
  struct Stream {
    SsrcCounters counters;
    const QualityHistory* quality = nullptr;
    RecentStream recent{};
  };
  /// An SSRC that leaves toward the party.
  struct OutStream {
    SsrcCounters counters;
    RecentStream recent{};
  };
  /// A port that an earlier SDP gave the party.
  struct FormerPort {
    Endpoint local;
    std::uint64_t packets = 0;
    Instant last_packet{};
  };
  /// Counters and the time of the newest packet: of the RTP port, then of the RTCP port.
  std::array<ComponentCounters, 2> counters;
  std::array<Instant, 2> last_packet{};
  /// The newest first.
  std::vector<Stream> ingress;
  /// The newest first.
  std::vector<OutStream> egress;
  /// Drops of the whole call, and of the last seconds.
  DropCounters drops;
  RecentDrops recent_drops;
  /// Packets that left toward the party from its RTP ports in the seconds of `recent_drops`, whatever their
  /// SSRC.
  std::uint32_t recent_sent = 0;
  /// Reports of the party by RTCP about the streams in `egress`.
  std::vector<ListenerReport> reports;
  /// The newest first.
  std::vector<Refusal> refusals;
  /// The newest first.
  std::vector<SendFailure> failures;
  /// Packets that authenticated only at another roll-over counter.
  RollOverMismatch roll_over;
  /// The newest packet of a payload type that was not negotiated and passed nevertheless (DMX-4); `times` 0 =
  /// none.
  Refusal other;
  std::vector<FormerPort> former;
  /// The snapshot of the present port; null if there is none. Borrowed.
  const TransportSnapshot* active = nullptr;

  /// Adds what `snapshot`, which must outlive this view, says of `media`. `is_active`: it is that of the
  /// present port. `local` is the RTP port, unset if it is closed.
  void add(MediaId media, const TransportSnapshot& snapshot, bool is_active, const Endpoint& local);

  /// The refusal of packets for this reason; null if there was none.
  [[nodiscard]] const Refusal* refusal(DropReason reason) const noexcept;
  /// The stream that was heard last; null if there was none.
  [[nodiscard]] const Stream* newest_stream() const noexcept;
  /// The stream that was sent last; null if there was none.
  [[nodiscard]] const OutStream* newest_sent() const noexcept;
};

}  // namespace ferry
