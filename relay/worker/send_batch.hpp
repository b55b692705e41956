// SPDX-License-Identifier: Apache-2.0
// The packets that one worker is about to send.
#pragma once

#include "relay/worker/context.hpp"

#include <array>
#include <cstddef>

namespace ferry {

/// Protects packets and collects them, so that one call of the engine sends many. One worker owns it.
///
/// Trap: it points at transports. Whoever takes one out of the table calls `flush` before.
class SendBatch {
 public:
  /// Most packets sent with one call.
  static constexpr std::size_t kMost = 64;

  explicit SendBatch(WorkerContext& context) : context_(context) {}

  /// Remembers the SRTP back end of a plan if it wants batches. All transports of a process use the same one.
  void note_backend(const TransportPlan& plan) noexcept {
    if (plan.srtp && plan.srtp->backend && plan.srtp->backend->is_batching())
      batching_ = plan.srtp->backend.get();
  }
  /// The SRTP back end, if there are keys and it wants batches; null otherwise. It outlives the calls.
  [[nodiscard]] const SrtpBackend* batching() const noexcept { return batching_; }
  [[nodiscard]] bool is_batched(const TransportPlan& plan) const noexcept {
    return batching_ != nullptr && plan.srtp && plan.srtp->backend.get() == batching_;
  }
  /// Protects a packet and adds it to the batch; it leaves by `hop`. `to`: the receiving media, for its
  /// statistics. `kind`: RTP, RTCP, or another protocol that passes whole. `source`: whose packet it is; null
  /// if the relay made it.
  void add(TransportEntry& out, const Transport::NextHop& hop, DatagramClass kind, MediaId to,
           PacketBuffer packet, const Transport* source, Instant now) noexcept;
  /// Sends everything and counts what could not be sent.
  void flush() noexcept;
  /// Gives the buffers back to the engine unsent.
  void clear() noexcept {
    for (PacketBuffer& packet : packets_) packet.reset();
  }

 private:
  /// Lets the batching back end seal everything that was left for later.
  void seal() noexcept;

  WorkerContext& context_;
  const SrtpBackend* batching_ = nullptr;
  /// The transport that a packet leaves by, for its counters.
  struct Leaving {
    TransportEntry* entry = nullptr;
    Component via = Component::kRtp;
  };
  std::array<PacketBuffer, kMost> packets_;
  std::array<Leaving, kMost> leaving_{};
  std::size_t count_ = 0;
  /// Packets that are still to be sealed.
  std::array<SrtpWork, kMost> work_{};
  std::size_t work_count_ = 0;
};

}  // namespace ferry
