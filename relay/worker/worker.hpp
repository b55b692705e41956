// SPDX-License-Identifier: Apache-2.0
// One worker of the relay: its transports, their ports, and the loop that carries each packet to its end.
#pragma once

#include "relay/base/bell.hpp"
#include "relay/base/spsc_ring.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/worker/command_runner.hpp"
#include "relay/worker/commands.hpp"
#include "relay/worker/context.hpp"
#include "relay/worker/deadlines.hpp"
#include "relay/worker/early_keeper.hpp"
#include "relay/worker/forwarder.hpp"
#include "relay/worker/keep_alive.hpp"
#include "relay/worker/mark_round.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/own_packets.hpp"
#include "relay/worker/report_sender.hpp"
#include "relay/worker/send_batch.hpp"
#include "relay/worker/transport_turns.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

namespace ferry {

/// A worker: transports, their ports, and one thread that runs them to completion.
///
/// Threads: `post`, `posted`, `wait_completed` and `next_event` belong to the control thread; `wake`,
/// `completed`, `totals` and `set_flight_mode` may be called by any thread; everything else belongs to the
/// worker's own thread, which may be the same one in tests. Once constructed it does not throw; a command
/// that finds no memory has no effect (C-12).
class Worker {
 public:
  /// Most packets that all calls of this worker together hold under probation. The engine has room for these
  /// and two batches more.
  static constexpr std::size_t kMaxHeld = Forwarder::kMaxHeld;

  /// `io` moves the datagrams. `own` knows this relay's own media ports. `offload` forwards streams in the
  /// kernel; null: every packet goes through `io`.
  Worker(std::unique_ptr<PacketIo> io, std::shared_ptr<const OwnMedia> own,
         std::unique_ptr<FlowOffload> offload = nullptr);
  ~Worker();

  /// Queues a command. False if the ring is full: wait for the fence, then try again.
  bool post(WorkerCommand&& command);
  /// Commands posted and commands done so far. The fence of a command is passed when `completed` reaches what
  /// `posted` was after it.
  [[nodiscard]] std::uint64_t posted() const noexcept { return posted_; }
  [[nodiscard]] std::uint64_t completed() const noexcept {
    return completed_.load(std::memory_order_acquire);
  }
  /// Ends the worker's sleep, so that it looks at its commands. Any thread.
  void wake() noexcept { context_.io->wake(); }
  /// Blocks until everything posted so far is done. Only if the worker runs on another thread.
  void wait_completed() const noexcept;
  /// Takes the oldest event. False if there is none.
  bool next_event(WorkerEvent& event) { return context_.events.pop(event); }
  /// Rung when there are events to take. Null: nobody is told. Call it before `run`; the bell outlives the
  /// worker.
  void set_bell(Bell* bell) noexcept { context_.bell = bell; }
  /// Sets which packets the flight recorders of all transports take in. Any thread.
  void set_flight_mode(FlightMode mode) noexcept {
    context_.flight_mode.store(mode, std::memory_order_relaxed);
  }
  /// The worker's number, which taps are told with each packet. Call it before `run`.
  void set_number(unsigned number) noexcept { context_.number = number; }
  /// Says what the wall clock shows at `at` of the engine's clock, for NTP times in reports. Call it before
  /// `run`.
  void set_wall_clock(WallTime wall, Instant at) noexcept {
    context_.wall_origin = wall - at.time_since_epoch();
  }
  /// Makes the stages that convert audio, from now on. Null: media that needs them is refused. Call it before
  /// `run` and before the first transport.
  void set_stages(std::unique_ptr<StageMaker> stages) noexcept { context_.stages = std::move(stages); }
  /// Counters of this worker since the start, readable at any time.
  [[nodiscard]] const WorkerTotals& totals() const noexcept { return context_.totals; }

  /// Runs the loop on this thread until `stop` becomes true; sleeps while nothing is due.
  void run(const std::atomic<bool>& stop) noexcept;
  /// One turn: commands, one batch of packets, then what is due. Never sleeps. Returns the number of packets
  /// received.
  std::size_t run_once() noexcept;
  /// Tells the worker that nobody ran for `pause` until now: the process was stopped or the virtual machine
  /// paused (C-13). `run` notices this by itself. Packets that waited are taken in first; until then no timer
  /// runs, so that nothing ends because of the pause.
  void after_pause(Duration pause) noexcept;
  /// Takes turns until nothing is left to do. For simulations; `run` is not needed then.
  void run_until_idle() noexcept;

  /// Transports in the table.
  [[nodiscard]] std::size_t transports() const noexcept { return context_.table.size(); }
  /// Streams that the kernel forwards now; 0 without an offload.
  [[nodiscard]] std::size_t offloaded_flows() const noexcept { return offloader_.flows(); }
  /// The engine's time. All times of this worker are of this clock.
  [[nodiscard]] Instant now() const noexcept { return context_.io->now(); }

 private:
  /// The latest time until which `run` may sleep.
  [[nodiscard]] Instant next_deadline() const noexcept;
  void run_commands() noexcept;
  /// Sends what stages have made elsewhere. Returns the number of packets.
  std::size_t collect_made() noexcept;
  /// Takes in what other workers have passed on, and tells them what had to wait. Returns how much it was.
  std::size_t exchange() noexcept;
  /// Does what is due by time, and tells the offloader of what the last batch offered.
  void run_turns() noexcept;
  /// Serves every deadline that has come.
  void serve_deadlines(Instant now) noexcept;
  /// Marks the transports whose turn it is: each one's figures are noted every two seconds, for `explain`.
  void mark_some(Instant now) noexcept;
  /// Takes in ICMP errors about packets that had left, and lets transports stop sending to dead addresses
  /// (LAT-12a).
  void note_problems(Instant now) noexcept;

  WorkerContext context_;
  SpscRing<WorkerCommand> commands_{4096};
  std::uint64_t posted_ = 0;
  std::atomic<std::uint64_t> completed_{0};
  Deadlines deadlines_{context_.table};
  SendBatch sends_{context_};
  Offloader offloader_;
  OwnPackets own_packets_{context_, deadlines_, sends_, offloader_};
  KeyFrames key_frames_{context_, deadlines_, sends_};
  ReportSender reports_{context_, deadlines_, sends_, offloader_};
  KeepAlive keep_alive_{context_, deadlines_, own_packets_, offloader_};
  TransportTurns turns_{context_, deadlines_, key_frames_};
  EarlyKeeper early_{context_, deadlines_};
  Forwarder forwarder_{
      context_, {sends_, own_packets_, turns_, early_, offloader_, key_frames_, reports_, keep_alive_}};
  CommandRunner runner_{
      context_, {sends_, own_packets_, turns_, early_, offloader_, key_frames_, reports_, keep_alive_}};
  MarkRound mark_round_;
  std::array<PacketBuffer, Forwarder::kMost> received_;
};

}  // namespace ferry
