// SPDX-License-Identifier: Apache-2.0
// Listens for the digits in the speech of sources, without changing what passes (NG flag `detect-DTMF`).
#pragma once

#include "relay/core/output/stage.hpp"
#include "relay/worker/context.hpp"

#include <cstdint>
#include <optional>

namespace ferry {

/// Gives the packets of sources that are listened to (`SourcePlan::listening`) to stages that make nothing,
/// and tells control the digits that they find. Where a source sends a digit as event (RFC 4733) and as
/// tone, control is told once: the event counts. One worker owns it.
class ToneListeners {
 public:
  explicit ToneListeners(WorkerContext& context) : context_(context) {}

  /// An accepted RTP packet of the source at this index of `entry`. `is_event`: of its telephone events.
  void hear(TransportEntry& entry, std::size_t source, const ReceivedPacket& packet, bool is_event) noexcept;
  /// What a stage has made elsewhere. False if it is none of these.
  bool take(const StageOwner& owner, const MadePacket& packet, Instant now) noexcept;
  /// When a listener of `entry` has something to do; nothing = never.
  [[nodiscard]] static std::optional<Instant> due(const TransportEntry& entry) noexcept;
  /// Lets the listeners of `entry` do what is due.
  void drive(TransportEntry& entry, Instant now) noexcept;
  /// Ends the listeners of medias that the plan of `entry` does not listen to.
  static void follow_plan(TransportEntry& entry) noexcept;

 private:
  class Found;
  /// Tells control a digit that was found in the speech of a media.
  void tell(TransportEntry& entry, const ToneListener& listener, const MadePacket& packet,
            Instant now) noexcept;
  /// The listener of a media, made if there was none; null without a maker of stages or memory.
  [[nodiscard]] ToneListener* ensure(TransportEntry& entry, MediaId media) noexcept;

  WorkerContext& context_;
  /// Listeners that this worker has ever made.
  std::uint64_t made_ = 0;
};

}  // namespace ferry
