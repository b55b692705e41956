// SPDX-License-Identifier: Apache-2.0
// RTP that overtakes the answer: it is kept, and let out when the answer says who its sender is (LAT-14).
#pragma once

#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"

#include <cstdint>
#include <vector>

namespace ferry {

/// Takes in packets that were kept, as if they had just been received.
class PacketIntake {
 public:
  virtual void take_in(TransportEntry& entry, PacketBuffer packet, Instant now) noexcept = 0;

 protected:
  ~PacketIntake() = default;
};

/// Keeps the early packets of one worker's transports. All of them share one budget of memory.
class EarlyKeeper {
 public:
  EarlyKeeper(WorkerContext& context, Deadlines& deadlines) : context_(context), deadlines_(deadlines) {}

  /// Keeps a copy of a packet that may not be heard before the answer, or drops and counts it. Its octets are
  /// as they came.
  void keep(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// True if the packet comes from the source that is being let out, and was put behind its others. Call it
  /// only where `early` is set.
  bool waits_in_line(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// The source `from` is heard directly: what was kept of it would come too late. Call it only where `early`
  /// is set.
  void forget(TransportEntry& entry, Component component, const Endpoint& from) noexcept;
  /// The plan has changed. If it is the answer's, chooses one source of each component to be let out, and
  /// drops the others.
  void choose(TransportEntry& entry, Instant now) noexcept;
  /// Queues the deadline for the next kept packet, if there is one.
  void await(TransportEntry& entry) noexcept;
  /// Takes in the kept packets that are due.
  void let_out(TransportEntry& entry, PacketIntake& intake, Instant now) noexcept;
  /// Ends both components: what they keep is dropped and counted.
  void drop(TransportEntry& entry) noexcept;

 private:
  /// Puts a copy of a packet behind the others of its source, or drops and counts it.
  void line_up(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// Counts and witnesses a packet that may not be heard and is not kept.
  void refuse(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// Copies a datagram into the component's `EarlyMedia`. False if there is no room or no memory for it.
  bool store(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// Drops what the transport has kept that began longest ago, other than `but`. False if there is no other.
  bool make_room(TransportId but) noexcept;
  /// Counts `times` packets as dropped for `early-media`.
  void count(TransportEntry& entry, Component component, std::uint32_t times) noexcept;
  /// Ends one component: what it keeps is dropped and counted, and nothing is let out any more.
  void end(TransportEntry& entry, Component component) noexcept;

  WorkerContext& context_;
  Deadlines& deadlines_;
  EarlyBudget budget_;
  /// Transports that keep packets or let them out; the one that began longest ago comes first.
  std::vector<TransportId> order_;
};

}  // namespace ferry
