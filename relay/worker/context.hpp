// SPDX-License-Identifier: Apache-2.0
// What the parts of one worker share, and how they count and report.
#pragma once

#include "relay/base/bell.hpp"
#include "relay/base/spsc_ring.hpp"
#include "relay/core/dtls/dtls_budget.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/output/stage.hpp"
#include "relay/core/packet/received_packet.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/worker/commands.hpp"
#include "relay/worker/exchange.hpp"
#include "relay/worker/port_table.hpp"
#include "relay/worker/transport_table.hpp"
#include "relay/worker/worker_totals.hpp"

#include <atomic>
#include <memory>

namespace ferry {

/// The engine, the transports and the counters of one worker. The worker owns it and outlives its parts,
/// which all run on the worker's thread.
///
/// Counting follows the verdict: a transport counts what it refuses itself (`count_refused` then adds it to
/// the totals), everything else is counted by `drop_arriving` or `drop_leaving`.
struct WorkerContext {
  WorkerContext(std::unique_ptr<PacketIo> engine, std::shared_ptr<const OwnMedia> own_media)
      : io(std::move(engine)), own(std::move(own_media)) {}

  std::unique_ptr<PacketIo> io;
  /// This relay's own media ports.
  std::shared_ptr<const OwnMedia> own;
  WorkerTotals totals;
  SpscRing<WorkerEvent> events{1024};
  /// Rung when there are events to take; null: nobody is told.
  Bell* bell = nullptr;
  /// The worker's number, which taps are told.
  unsigned number = 0;
  std::atomic<FlightMode> flight_mode{FlightMode::kOff};
  /// Makes the stages of receivers that need another codec; null: such media is refused. Before the table: it
  /// outlives its stages.
  std::unique_ptr<StageMaker> stages;
  /// Before the table: the budget outlives the handshakes in it.
  DtlsBudget dtls_budget;
  TransportTable table;
  /// Which transport a datagram is for.
  PortTable ports{table};
  /// By which datagrams at shared ports get to the worker that has their transport. Null with one worker, and
  /// without shared ports.
  std::unique_ptr<ExchangeEnd> exchange;
  /// The wall-clock time at the first moment of the engine's clock. It stays for the life of the worker, so
  /// that the NTP times of reports never leap, whatever happens to the clock of the host.
  WallTime wall_origin{};
  [[nodiscard]] WallTime wall_at(Instant now) const noexcept { return wall_origin + now.time_since_epoch(); }
  /// Until when packets come before timers after a pause; unset: there was no pause.
  Instant catch_up_until{};

  [[nodiscard]] InterfaceTotals& interface_of(const TransportEntry& entry) noexcept {
    return interface_totals(totals, entry.state.plan());
  }
  /// Counts a packet of the party of `entry` that is dropped here, or that a receiver refuses.
  void drop_arriving(TransportEntry& entry, DropReason reason) noexcept;
  /// Counts a packet that is dropped on its way out to the party of `out`.
  void drop_leaving(TransportEntry& out, DropReason reason, Instant now) noexcept;
  /// Counts a packet of `entry` that the party of `out` does not get because it hears a prompt or another
  /// party.
  void drop_unheard(TransportEntry& entry, TransportEntry& out, DropReason reason, Instant now) noexcept;
  /// Reports a datagram that the transport has refused and counted itself: in the totals, as a refusal for
  /// explanations, and to witnesses.
  void count_refused(TransportEntry& entry, const ReceivedPacket& arrived, bool is_rtcp,
                     DropReason reason) noexcept;
  /// Tells the flight recorder and the taps of `entry` what became of a received packet. `start` is the
  /// beginning of its datagram, `size` the whole length in octets.
  void witness(TransportEntry& entry, const ReceivedPacket& arrived, Bytes start, std::size_t size,
               bool is_rtcp, DropReason reason) noexcept;
  /// The same for a packet that is still there.
  void witness(TransportEntry& entry, const ReceivedPacket& arrived, bool is_rtcp,
               DropReason reason) noexcept {
    witness(entry, arrived, arrived.datagram, arrived.datagram.size(), is_rtcp, reason);
  }
  /// What is known of a packet that the engine received, taken in at `now`.
  [[nodiscard]] ReceivedPacket received(const PacketBuffer& packet, Instant now) const noexcept {
    ReceivedPacket made(port_of(packet->cookie), packet->remote, packet.data(), now);
    made.has_waited = is_catching_up();
    made.origin = {packet->srtp_index, packet->srtp_key};
    return made;
  }
  /// True after a pause while packets that waited in the ports are taken in (C-13).
  [[nodiscard]] bool is_catching_up() const noexcept { return catch_up_until != Instant{}; }
  /// Passes what the transport has noted for control on.
  void pass_events(TransportEntry& entry, Instant now) noexcept;
  /// Puts an event into the ring and rings the bell. Lost if the ring is full.
  void tell(WorkerEvent event) noexcept;
};

}  // namespace ferry
