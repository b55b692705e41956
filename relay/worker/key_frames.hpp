// Asks senders of video for a key frame when somebody begins to see them (FB-7).
#pragma once

#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/send_batch.hpp"

namespace ferry {

/// Without a key frame a new receiver of video sees nothing until its sender makes one by itself. The relay
/// asks with a PLI (RFC 4585 §6.3.1), at most once in `Streams::kKeyFrameInterval` for each source; what
/// comes sooner waits. Only sources whose party has agreed to feedback are asked (`SourcePlan::takes_pli`).
/// One worker owns it.
class KeyFrames {
 public:
  KeyFrames(WorkerContext& context, Deadlines& deadlines, SendBatch& sends)
      : context_(context), deadlines_(deadlines), sends_(sends) {}

  /// Asks for a key frame of a media of `entry`, now or as soon as the interval allows.
  void ask(TransportEntry& entry, MediaId media, Instant now) noexcept;
  /// The sources of `next`, the plan that `entry` is about to get, that somebody sees who did not until now.
  /// A receiver whose handshakes are under way comes later (`follow_receiver`).
  [[nodiscard]] SectionMask newly_seen(const TransportEntry& entry, const TransportPlan& next) const noexcept;
  /// Asks for key frames of these sources of `entry`.
  void ask(TransportEntry& entry, SectionMask sources, Instant now) noexcept;
  /// The party of `receiver` can be reached from now on: asks everybody whom it sees.
  void follow_receiver(TransportEntry& receiver, Instant now) noexcept;
  /// Asks those sources of `entry` that are due, and queues the deadline of the others.
  void drive(TransportEntry& entry, Instant now) noexcept;

 private:
  /// Sends a PLI to the party of `entry`, if it can be sent.
  void send(TransportEntry& entry, std::size_t source, Instant now) noexcept;

  WorkerContext& context_;
  Deadlines& deadlines_;
  SendBatch& sends_;
};

}  // namespace ferry
