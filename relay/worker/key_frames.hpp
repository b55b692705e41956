// SPDX-License-Identifier: Apache-2.0
// Asks senders of video for a key frame when somebody begins to see them (FB-7).
#pragma once

#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/send_batch.hpp"

namespace ferry {

/// Without a key frame a new receiver of video sees nothing until the sender makes one by itself. The relay
/// asks with a PLI (RFC 4585 §6.3.1), at most once in `Streams::kKeyFrameInterval` for each source; a wish
/// that comes sooner, or while the sender cannot be reached yet, waits. It asks only sources whose party has
/// agreed to feedback (`SourcePlan::takes_pli`). One worker owns it.
class KeyFrames {
 public:
  KeyFrames(WorkerContext& context, Deadlines& deadlines, SendBatch& sends)
      : context_(context), deadlines_(deadlines), sends_(sends) {}

  /// The sources of video that gain a receiver with `next`, the plan that `entry` is about to get. A receiver
  /// whose handshakes are under way does not count; `follow_receiver` serves it later.
  [[nodiscard]] SectionMask newly_seen(const TransportEntry& entry, const TransportPlan& next) const noexcept;
  /// Asks for key frames of these sources of `entry`, now or as soon as that can be. Serves former wishes,
  /// too.
  void ask(TransportEntry& entry, SectionMask sources, Instant now) noexcept;
  /// Asks the senders of all video that the party of `receiver` sees, because it can be reached from now on.
  void follow_receiver(TransportEntry& receiver, Instant now) noexcept;
  /// Asks those sources of `entry` that are due, and queues the deadline of the others. Does nothing while
  /// the party of `entry` cannot be reached.
  void drive(TransportEntry& entry, Instant now) noexcept;

 private:
  /// Sends a PLI to the party of `entry`, if it can be sent.
  void send(TransportEntry& entry, std::size_t source, Instant now) noexcept;

  WorkerContext& context_;
  Deadlines& deadlines_;
  SendBatch& sends_;
};

}  // namespace ferry
