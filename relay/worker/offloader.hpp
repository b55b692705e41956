// Which of a worker's streams are forwarded below the sockets, kept in step with plans and latches.
#pragma once

#include "relay/core/offload/flow_offload.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/worker/transport_table.hpp"
#include "relay/worker/worker_totals.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

namespace ferry {

/// On the worker's thread. A stream is offered as soon as a packet of it was forwarded to a peer that is
/// locked; a packet of it that reaches user space nevertheless takes it back, so that only one side counts at
/// a time.
class Offloader {
 public:
  Offloader(std::unique_ptr<FlowOffload> offload, PacketIo& io, TransportTable& table, WorkerTotals& totals,
            const std::atomic<FlightMode>& flight_mode);

  /// Number of the worker, for taps.
  void set_worker(unsigned number) noexcept { worker_ = number; }
  /// A packet of the stream `ssrc` was just forwarded.
  void offer(TransportEntry& entry, Ssrc ssrc, Instant now) noexcept;
  /// Installs what was offered since the last call, all at once.
  void install_offered(Instant now);
  /// `datagram` came to the RTP port of `entry` and is about to be judged.
  void before_judgement(TransportEntry& entry, const Endpoint& from, Bytes datagram, Instant now) noexcept;
  /// `next` is about to become the plan of `entry`.
  void before_plan(TransportEntry& entry, const TransportPlan& next);
  /// The plan, the taps or the learned peer of `entry` changed: flows from it and to it follow. Complete when
  /// it returns.
  void reconsider(TransportEntry& entry) noexcept;
  /// Packets leave through `entry` that no worker sees.
  [[nodiscard]] bool feeds(const TransportEntry& entry) const {
    return feeding_.contains(entry.state.id().slot);
  }
  /// `entry` leaves: no flow from it or to it is left.
  void withdraw_all(TransportEntry& entry);
  /// Brings the counters of `entry` up to date.
  void refresh(TransportEntry& entry);
  /// Hands copies of packets that came to the taps.
  void collect();
  /// Reads some of the flows, so that each is read about every two seconds, and collects. Marks transports
  /// that send or receive them.
  void turn(Instant now);
  /// Marks of `entry` are made by `turn`, right after its flows were read.
  [[nodiscard]] bool marks(const TransportEntry& entry, Instant now) const {
    // One that was not is left to whoever asks: a reading may fail.
    return (entry.offloaded || feeds(entry)) && now - entry.state.marked_at() < 2 * kMarkInterval;
  }
  /// Reads all flows: what passed below while nobody ran.
  void read_all() noexcept;
  /// When `turn` wants to be called again at the latest.
  [[nodiscard]] Instant next_turn(Instant otherwise) const noexcept {
    if (dense_ != 0) return std::min(otherwise, last_collection_ + kCollection);
    return flows_.empty() ? otherwise : std::min(otherwise, last_turn_ + kTurn);
  }
  [[nodiscard]] std::size_t flows() const noexcept { return flows_.size(); }

 private:
  static constexpr Duration kTurn = std::chrono::milliseconds(100);
  static constexpr Duration kCollection = std::chrono::milliseconds(10);
  static constexpr std::size_t kTurnsPerRound = 20;
  /// A transport that was marked less long ago has no turn yet.
  static constexpr Duration kMarkAgain = kMarkInterval - kTurn / 2;

  [[nodiscard]] bool may_go_below(const TransportEntry& entry) const;
  /// The flow of `entry`'s stream as it should be now, with its state; nothing if user space must forward it.
  [[nodiscard]] std::optional<Offloaded> wanted(const TransportEntry& entry, Ssrc ssrc) const;
  void follow(TransportEntry& entry);
  /// Flows follow that could not for want of memory.
  void follow_all();
  void read(const std::vector<TransportId>& ids);
  /// Marks those of `read`, and who receives from them, of whom this turn has read all flows.
  void mark(const std::vector<TransportId>& read, Instant now);
  void withdraw(const std::vector<TransportId>& ids);
  void absorb(TransportEntry& entry, const OffloadState& state);
  void link(const TransportEntry& entry);
  void unlink(const TransportEntry& entry);
  /// `entry`, if its stream is below, and transports whose flows go to it.
  [[nodiscard]] std::vector<TransportId> around(const TransportEntry& entry) const;

  std::unique_ptr<FlowOffload> offload_;
  PacketIo& io_;
  TransportTable& table_;
  WorkerTotals& totals_;
  const std::atomic<FlightMode>& flight_mode_;
  std::size_t dense_ = 0;  // flows whose packets are copied one by one
  std::vector<TransportId> flows_;
  std::unordered_multimap<std::uint32_t, TransportId> feeding_;  // by the receiver's slot
  std::unordered_map<Endpoint, TransportId> sampled_;            // by the local end
  struct Offer {
    TransportId id;
    Ssrc ssrc;
  };
  std::vector<Offer> offers_;
  std::size_t next_read_ = 0;
  std::uint64_t turn_ = 0;
  bool is_behind_ = false;  // there was no memory to let flows follow
  unsigned worker_ = 0;
  Instant last_turn_{};
  Instant last_collection_{};
};

}  // namespace ferry
