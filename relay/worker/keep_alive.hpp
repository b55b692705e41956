// SPDX-License-Identifier: Apache-2.0
// Silence for parties that would hear nothing (`TransportPlan::keep_alive_s`).
#pragma once

#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/own_packets.hpp"

#include <optional>

namespace ferry {

/// Gateways hang up when they get no RTP for 10 s, and NATs forget a party in 30 s. So a party gets a packet
/// of silence once nothing has left for it for as long as its plan says, and then one every two seconds until
/// media comes again. Comfort noise (RFC 3389) if the party takes it, else the silence of its codec: G.711,
/// G.722, or Opus that the relay makes. A codec without one gets nothing.
///
/// Only a party that was heard where its media goes gets it (RTC-6), and none under the key of another party
/// (SRT-9). One worker owns it.
class KeepAlive {
 public:
  /// Time between two packets of silence.
  static constexpr Duration kInterval = std::chrono::seconds(2);

  KeepAlive(WorkerContext& context, Deadlines& deadlines, OwnPackets& own_packets, Offloader& offloader)
      : context_(context), deadlines_(deadlines), own_packets_(own_packets), offloader_(offloader) {}

  /// Queues the next look at the party of `entry`, if its plan wants it.
  void await(TransportEntry& entry, Instant now) noexcept;
  /// Sends what is due, and queues the next look.
  void drive(TransportEntry& entry, Instant now) noexcept;

 private:
  /// When the party has heard nothing of the media for too long.
  [[nodiscard]] static Instant due_of(TransportEntry& entry, MediaId media) noexcept;
  /// Sends a packet of silence, if there is one for the media.
  void send(TransportEntry& entry, std::size_t source, Instant now) noexcept;
  /// How the relay makes what the party hears in the media; null: it passes.
  [[nodiscard]] const AudioConversion* conversion_toward(const TransportEntry& entry,
                                                         const SourcePlan& source) const noexcept;

  WorkerContext& context_;
  Deadlines& deadlines_;
  OwnPackets& own_packets_;
  Offloader& offloader_;
};

}  // namespace ferry
