// What all ports of one media counted together.
#pragma once

#include "relay/core/forward/transport.hpp"

#include <array>
#include <vector>

namespace ferry {

struct MediaView {
  struct Stream {
    SsrcCounters counters;
    const QualityHistory* quality = nullptr;
    RecentStream recent{};
  };
  /// What leaves toward the party.
  struct OutStream {
    SsrcCounters counters;
    RecentStream recent{};
  };
  /// Ports that earlier SDP gave the party.
  struct FormerPort {
    Endpoint local;
    std::uint64_t packets = 0;
    Instant last_packet{};
  };
  std::array<ComponentCounters, 2> counters;
  std::array<Instant, 2> last_packet{};
  std::vector<Stream> ingress;    // newest first
  std::vector<OutStream> egress;  // newest first
  DropCounters drops;
  RecentDrops recent_drops;
  /// What the party itself says by RTCP about streams of `egress`.
  std::vector<ListenerReport> reports;
  std::vector<Refusal> refusals;      // newest first
  std::vector<SendFailure> failures;  // newest first
  RollOverMismatch roll_over;
  /// The newest packet of a type that was not negotiated and passed all the same; `times` 0 = none (DMX-4).
  Refusal other;
  std::vector<FormerPort> former;
  const TransportSnapshot* active = nullptr;

  /// Adds what `snapshot` says of `media`; it is borrowed as long as this lives. `local`: the RTP port, unset
  /// if it is closed.
  void add(MediaId media, const TransportSnapshot& snapshot, bool is_active, const Endpoint& local);

  [[nodiscard]] const Refusal* refusal(DropReason reason) const noexcept;
  /// The stream that was heard last; null if there was none.
  [[nodiscard]] const Stream* newest_stream() const noexcept;
  /// The stream that was sent last; null if there was none.
  [[nodiscard]] const OutStream* newest_sent() const noexcept;
};

}  // namespace ferry
