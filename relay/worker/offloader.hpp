// SPDX-License-Identifier: Apache-2.0
// Decides which of a worker's streams the kernel forwards, and keeps that in step with plans, latches and
// taps.
#pragma once

#include "relay/core/offload/flow_offload.hpp"
#include "relay/worker/context.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace ferry {

/// The owner of all flows of one worker in the kernel.
///
/// A stream is offered as soon as one of its packets was forwarded to a locked peer. Any packet of it that
/// reaches user space all the same takes it back, so that only one side counts at a time. Everything runs on
/// the worker's thread. What fails for want of memory stays in user space, or is made up for a turn later.
class Offloader {
 public:
  /// `offload` talks to the kernel; null: nothing goes there, and all calls do nothing.
  Offloader(WorkerContext& context, std::unique_ptr<FlowOffload> offload)
      : context_(context), offload_(std::move(offload)) {}

  /// False if this worker forwards everything itself.
  [[nodiscard]] bool is_on() const noexcept { return offload_ != nullptr; }
  /// A packet of the stream `ssrc` was just forwarded by user space: notes it for installation, if it may go.
  void offer(TransportEntry& entry, Ssrc ssrc, Instant now) noexcept;
  /// Installs everything that was offered since the last call, with one call of the engine.
  void install_offered(Instant now);
  /// `packet` came to the RTP port of `entry` and is about to be judged. Takes the stream back if the
  /// packet is of it or might move the latch.
  void before_judgement(TransportEntry& entry, const ReceivedPacket& packet) noexcept;
  /// The RTCP datagram `compound` came to a port of `entry` and is about to be judged. Reads the flows to
  /// this party if it reports on a stream that only the kernel has sent so far: a report on a stream that
  /// never left would be ignored.
  void before_reports(TransportEntry& entry, Bytes compound) noexcept;
  /// `next` is about to replace the plan of `entry`. Counts what was sent by the old plan; withdraws the flow
  /// if `next` is about another stream.
  void before_plan(TransportEntry& entry, const TransportPlan& next);
  /// The plan, the taps or the learned peer of `entry` changed. Updates or withdraws every flow from it and
  /// to it; complete when it returns (LAT-13).
  void reconsider(TransportEntry& entry) noexcept;
  /// True if the kernel sends packets to the party of `entry`.
  [[nodiscard]] bool feeds(const TransportEntry& entry) const { return feeding_.contains(entry.id.slot); }
  /// `entry` is about to leave: withdraws every flow from it and to it.
  void withdraw_all(TransportEntry& entry);
  /// Reads every flow from `entry` and to it, so that its counters are of this moment.
  void refresh(TransportEntry& entry);
  /// Hands the copies of packets that the kernel has made to the taps and flight recorders.
  void collect();
  /// Reads some of the flows, so that each one is read about every two seconds, marks the transports whose
  /// flows were read, and collects copies.
  void turn(Instant now);
  /// True if `turn` marks `entry`, right after it has read its flows. False if it has not for two rounds,
  /// because a reading may fail: then the worker marks it.
  [[nodiscard]] bool marks(const TransportEntry& entry, Instant now) const {
    return (entry.offloaded || feeds(entry)) && now - entry.state.account().marked_at() < 2 * kMarkInterval;
  }
  /// Reads all flows at once, after a pause in which nobody ran.
  void read_all() noexcept;
  /// When `turn` wants to be called again at the latest; `otherwise` if there is nothing for it to do.
  [[nodiscard]] Instant next_turn(Instant otherwise) const noexcept {
    if (dense_ != 0) return std::min(otherwise, last_collection_ + kCollection);
    return flows_.empty() ? otherwise : std::min(otherwise, last_turn_ + kTurn);
  }
  /// Streams that the kernel forwards now.
  [[nodiscard]] std::size_t flows() const noexcept { return flows_.size(); }

 private:
  /// Time between two turns, between two collections while packets are copied one by one, and turns until
  /// every flow was read.
  static constexpr Duration kTurn = std::chrono::milliseconds(100);
  static constexpr Duration kCollection = std::chrono::milliseconds(10);
  static constexpr std::size_t kTurnsPerRound = 20;
  /// A transport that was marked more recently than this is not due again.
  static constexpr Duration kMarkAgain = kMarkInterval - kTurn / 2;

  /// Whether plan and sinks allow that the kernel forwards the stream `ssrc` of `entry`.
  [[nodiscard]] bool may_be_offloaded(const TransportEntry& entry, Ssrc ssrc) const;
  /// The flow of a stream of `entry` as it should be now, with its state. Nothing if user space must forward
  /// it.
  [[nodiscard]] std::optional<Offloaded> wanted(TransportEntry& entry, Ssrc ssrc) const;
  /// Lets the flow of `entry` follow what has changed: keeps, updates or withdraws it.
  void follow(TransportEntry& entry);
  /// Lets all flows follow, after `reconsider` had no memory for some of them.
  void follow_all();
  /// Reads flows and adds what is new to the transports' counters.
  void read(const std::vector<TransportId>& ids);
  /// Marks the transports of `read` and their receivers, if this turn has read all flows of theirs.
  void mark(const std::vector<TransportId>& read, Instant now);
  /// Takes flows back into user space, with their final counters.
  void withdraw(const std::vector<TransportId>& ids);
  /// Adds what a flow has counted since the last reading to the transports and totals.
  void absorb(TransportEntry& entry, const OffloadState& state);
  /// Enters the flow of `entry` into the lists below; `unlink` takes it out.
  void link(const TransportEntry& entry);
  void unlink(const TransportEntry& entry);
  /// True if a flow with the stream `ssrc` goes to the party of `entry`.
  [[nodiscard]] bool feeds(const TransportEntry& entry, Ssrc ssrc) const noexcept;
  /// `entry` itself, if the kernel forwards its stream, and the transports whose flows go to it.
  [[nodiscard]] std::vector<TransportId> around(const TransportEntry& entry) const;

  WorkerContext& context_;
  /// Null: this worker forwards everything itself.
  std::unique_ptr<FlowOffload> offload_;
  /// Flows of which every packet is copied, at least its start.
  std::size_t dense_ = 0;
  /// Transports whose streams the kernel forwards, in no order.
  std::vector<TransportId> flows_;
  /// Which transports feed a receiver, by the receiver's slot. One entry for each receiver of a flow.
  std::unordered_multimap<std::uint32_t, TransportId> feeding_;
  /// Flows whose packets are copied, by their local endpoint.
  std::unordered_map<Endpoint, TransportId> sampled_;
  /// A stream to be installed at the next turn.
  struct Offer {
    TransportId id;
    Ssrc ssrc;
  };
  std::vector<Offer> offers_;
  /// The place in `flows_` that the round of readings has reached.
  std::size_t next_read_ = 0;
  /// Number of the present turn.
  std::uint64_t turn_ = 0;
  /// Some flow could not follow a change for want of memory.
  bool is_behind_ = false;
  Instant last_turn_{};
  Instant last_collection_{};
};

}  // namespace ferry
