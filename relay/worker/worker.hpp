// One thread's share of the relay: transports, their ports and the run-to-completion loop (design section 3).
#pragma once

#include "relay/base/bell.hpp"
#include "relay/base/spsc_ring.hpp"
#include "relay/core/forward/transport.hpp"
#include "relay/core/tap.hpp"
#include "relay/io/packet_io.hpp"
#include "relay/worker/mark_round.hpp"
#include "relay/worker/offloader.hpp"
#include "relay/worker/transport_table.hpp"
#include "relay/worker/worker_totals.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <variant>
#include <vector>

namespace ferry {

// What control tells a worker. Pointers to results stay valid until the worker passed the fence of the
// command.
struct InstallTransport {
  TransportId id;
  std::shared_ptr<const TransportPlan> plan;
  std::array<PortHandle, 2> ports;
  /// At its other local addresses (ICE).
  std::vector<std::array<PortHandle, 2>> more_ports;
  /// State to begin with, from an export; may be null.
  std::shared_ptr<const TransportSnapshot> snapshot;
  /// What control reads without asking.
  std::shared_ptr<TransportActivity> activity;
  /// Last user of a pair that had no time to rest: its late packets are refused (PRT-2).
  Endpoint barred;
};
struct UpdatePlan {
  TransportId id;
  std::shared_ptr<const TransportPlan> plan;
};
/// Ports at one more local address.
struct AddPorts {
  TransportId id;
  std::array<PortHandle, 2> ports;
};
struct RemoveTransport {
  TransportId id;
  /// Receives the learned peer if there was one: its late packets are to be refused (PRT-2). May be null.
  Endpoint* last_peer = nullptr;
  /// Receives what it counted. May be null.
  TransportFigures* figures = nullptr;
  /// Receive everything it knew at the end, and its flight recorder. May be null.
  TransportSnapshot* last = nullptr;
  std::unique_ptr<FlightRing>* flight = nullptr;
};
struct ReadTransport {
  TransportId id;
  TransportSnapshot* into = nullptr;
};
/// What the keys of a media have received and sent, with the keys.
struct ReadContexts {
  std::shared_ptr<const SrtpContexts> contexts;
  SrtpContexts::State* into = nullptr;
};
/// Statistics alone: cheaper than `ReadTransport`.
struct ReadFigures {
  TransportId id;
  TransportFigures* into = nullptr;
};
/// A copy of its flight recorder; left as it is if there is none.
struct ReadFlight {
  TransportId id;
  FlightRing* into = nullptr;
};
struct ExtractTransport {
  TransportId id;
  std::unique_ptr<TransportEntry>* into = nullptr;
};
struct AdoptTransport {
  TransportId id;
  std::unique_ptr<TransportEntry> entry;
};
struct AttachTap {
  TransportId id;
  PacketTap* tap = nullptr;
};
struct DetachTap {
  TransportId id;
  PacketTap* tap = nullptr;
};
/// Sends an RTP packet without payload to the peer, to open a way through its NAT (NG flag `pierce-NAT`).
struct SendProbe {
  TransportId id;
  Ssrc ssrc;
  SeqNo sequence;
};
/// Plays a prompt to the party, in place of one that is being played. It starts when its address is known.
struct StartPrompt {
  TransportId id;
  std::shared_ptr<const Prompt> prompt;
  std::int64_t rounds = 1;  // or Prompt::kForEver
  // Of the stream to begin with, if this relay has sent nothing of its own yet.
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
};
struct StopPrompt {
  TransportId id;
};
/// Key presses that are open end now and are told: the transport is about to go.
struct EndPresses {
  TransportId id;
};
using WorkerCommand =
    std::variant<std::monostate, InstallTransport, UpdatePlan, AddPorts, RemoveTransport, ReadTransport,
                 ReadContexts, ReadFigures, ReadFlight, ExtractTransport, AdoptTransport, AttachTap,
                 DetachTap, SendProbe, StartPrompt, StopPrompt, EndPresses>;

/// What a worker tells control.
struct WorkerEvent {
  TransportId id;
  TransportEvent event = TransportEvent::kForeignSource;
  DtmfEvent dtmf;  // kDtmf
};

/// Owns transports and their state. `post`, `fence_*` and `next_event` belong to the control thread, the rest
/// to the worker's own thread (which may be the same one in tests).
class Worker {
 public:
  /// Packets under probation in all calls together. The oldest gives way: buffers that wait must never be
  /// those that the other calls need. The engine has more than this and two batches.
  static constexpr std::size_t kMaxHeld = 512;

  /// Without `offload` every packet goes through `io`.
  Worker(std::unique_ptr<PacketIo> io, std::shared_ptr<const OwnMedia> own,
         std::unique_ptr<FlowOffload> offload = nullptr);
  ~Worker();

  /// Queues a command. False when the ring is full: fence, then try again.
  bool post(WorkerCommand&& command);
  [[nodiscard]] std::uint64_t posted() const noexcept { return posted_; }
  [[nodiscard]] std::uint64_t completed() const noexcept {
    return completed_.load(std::memory_order_acquire);
  }
  void wake() noexcept { io_->wake(); }
  /// Blocks until everything posted so far is done. Only with the worker on another thread.
  void wait_completed() const noexcept;
  bool next_event(WorkerEvent& event) { return events_.pop(event); }
  /// What rings when there are events, or null. Before `run`; outlives the worker.
  void set_bell(Bell* bell) noexcept { bell_ = bell; }
  /// What the flight recorders take in from now on. Any thread.
  void set_flight_mode(FlightMode mode) noexcept { flight_mode_.store(mode, std::memory_order_relaxed); }
  /// Which worker it is, for taps. Before `run`.
  void set_number(unsigned number) noexcept {
    number_ = number;
    if (offloader_) offloader_->set_worker(number);
  }
  [[nodiscard]] const WorkerTotals& totals() const noexcept { return totals_; }

  /// Runs until `stop` becomes true.
  void run(const std::atomic<bool>& stop) noexcept;
  /// One turn: commands, then one batch of packets. Returns the number of packets received.
  std::size_t run_once() noexcept;
  /// Nobody ran for so long, until now: a stopped process, a paused virtual machine (C-13). `run` notices it
  /// by itself. What waited is looked at first; before that nothing ends or goes on by time.
  void after_pause(Duration pause) noexcept;
  /// Turns until nothing is left to do. For simulations.
  void run_until_idle() noexcept;

  [[nodiscard]] std::size_t transports() const noexcept { return table_.size(); }
  /// Streams that are forwarded below the sockets now.
  [[nodiscard]] std::size_t offloaded_flows() const noexcept { return offloader_ ? offloader_->flows() : 0; }
  [[nodiscard]] Instant now() const noexcept { return io_->now(); }

 private:
  static constexpr std::size_t kBatch = 64;

  /// Where the n-th held packet is; the packet may have left since.
  struct HeldAt {
    TransportId id;
    std::uint8_t slot = 0;
    std::uint64_t serial = 0;
  };

  /// `Turn::number` of what came before the answer.
  static constexpr std::uint64_t kEarlyTurn = UINT64_MAX;
  /// When a player or a handshake wants to go on. Entries of players that are gone come up once and go.
  struct Turn {
    Instant at;
    TransportId id;
    std::uint64_t number;  // of the player; 0: a handshake; or kEarlyTurn
    bool operator>(const Turn& other) const { return at > other.at; }
  };

  /// Until when `run` may sleep.
  [[nodiscard]] Instant next_deadline() const noexcept;
  /// What waited in the ports during a pause is being taken in.
  [[nodiscard]] bool is_catching_up() const noexcept { return catch_up_until_ != Instant{}; }
  /// What is due by time, and what batches of packets have left behind.
  void run_turns() noexcept;
  void run_commands() noexcept;
  void execute(InstallTransport& command);
  void execute(UpdatePlan& command);
  void execute(AddPorts& command);
  void execute(RemoveTransport& command);
  void execute(ReadTransport& command);
  static void execute(ReadContexts& command);
  void execute(ReadFigures& command);
  void execute(ReadFlight& command);
  void execute(ExtractTransport& command);
  void execute(AdoptTransport& command);
  void execute(AttachTap& command);
  void execute(DetachTap& command);
  void execute(SendProbe& command);
  void execute(StartPrompt& command);
  void execute(StopPrompt& command);
  void execute(EndPresses& command);
  void execute(std::monostate&) {}

  /// A handshake's datagram; with more of them than a turn may take, it waits.
  void on_handshake(TransportEntry& entry, LocalPort at, const Endpoint& from, Bytes datagram,
                    Instant now) noexcept;
  /// Those that waited.
  void run_handshakes(Instant now) noexcept;
  /// Begins the handshakes of a transport, or goes on with them.
  void drive(TransportEntry& entry, Instant now) noexcept;
  /// Drives the entry again at `due`, unless an earlier turn is waited for; nothing = never.
  void wait_for(TransportEntry& entry, std::optional<Instant> due, Instant now) noexcept;
  /// Tells the key presses that a packet of RTP ends.
  void follow_presses(TransportEntry& entry, std::size_t source, const PayloadEntry& payload,
                      const Endpoint& from, Bytes datagram, Instant now) noexcept;
  /// Tells those that ended without a packet; with `all`, those that are open.
  void tell_ended_presses(TransportEntry& entry, Instant now, bool all) noexcept;
  void place(TransportId id, std::unique_ptr<TransportEntry> entry);
  /// Datagrams of the ports at one of its local addresses come from now on.
  void serve(TransportEntry& entry, TransportId id, std::size_t local);
  std::unique_ptr<TransportEntry> take(TransportId id);
  void on_packet(PacketBuffer packet, Instant now, const SrtpOpened* opened) noexcept;
  /// A datagram of `entry`'s, from the wire or kept since before the answer: what it is, and what becomes of
  /// it.
  void take_in(TransportEntry& entry, PacketBuffer packet, Instant now, const SrtpOpened* opened) noexcept;
  /// Opens those of the received packets that a back end likes to have at once.
  void open_batch(std::size_t count, Instant now) noexcept;
  void seal_batch() noexcept;
  void note_backend(const TransportPlan& plan) noexcept {
    if (plan.srtp && plan.srtp->backend && plan.srtp->backend->is_batching())
      batching_ = plan.srtp->backend.get();
  }
  [[nodiscard]] bool is_batched(const TransportPlan& plan) const noexcept {
    return batching_ != nullptr && plan.srtp && plan.srtp->backend.get() == batching_;
  }
  void judge(TransportEntry& entry, Component component, PacketBuffer packet, Instant now,
             int depth) noexcept;
  /// kNone if somebody gets it, else why the last receiver does not.
  DropReason forward(TransportEntry& entry, Component arrived_at, const Verdict& verdict, PacketBuffer packet,
                     Instant now) noexcept;
  /// Tells the flight recorder and the taps of `entry` what became of a received packet, of
  /// which `start` is the beginning.
  void witness(TransportEntry& entry, Component component, const Endpoint& from, Bytes start,
               std::size_t size, bool is_rtcp, DropReason reason, Instant now) noexcept;
  /// Notes what came back about packets that had left.
  void note_problems(Instant now) noexcept;
  /// Another packet time for the party of `out`.
  void repacketize(TransportEntry& entry, TransportEntry& out, const Sink& sink,
                   const Transport::NextHop& hop, Bytes datagram, Instant now) noexcept;
  // RTP that overtakes the answer (LAT-14): worker_early.cpp.
  /// Keeps a copy of a packet that may not be heard before the answer, or drops it.
  void keep_early(TransportEntry& entry, Component component, const PacketBuffer& packet,
                  Instant now) noexcept;
  /// Puts a copy of a packet behind the others of its source, or drops it.
  void line_up(TransportEntry& entry, Component component, const PacketBuffer& packet, Instant now) noexcept;
  /// Counts a packet that may not be heard and is not kept.
  void refuse_early(TransportEntry& entry, Component component, const PacketBuffer& packet,
                    Instant now) noexcept;
  /// False if there is no room for it.
  bool store_early(TransportEntry& entry, Component component, const Endpoint& from, Bytes datagram,
                   Instant now) noexcept;
  /// The transport that has kept something longest, other than `but`, gives it up. False if there is none.
  bool make_room(TransportId but) noexcept;
  void count_early(TransportEntry& entry, Component component, std::uint32_t times) noexcept;
  void drop_early(TransportEntry& entry) noexcept;
  /// Nothing of the component is kept or let out any more.
  void end_early(TransportEntry& entry, Component component) noexcept;
  /// A packet from the source that is being let out was put behind the others. Only where `early` is set.
  bool waits_in_line(TransportEntry& entry, Component component, const PacketBuffer& packet,
                     Instant now) noexcept;
  /// The plan has changed: if it is the answer's, one source of each component is let out.
  void choose_early(TransportEntry& entry, Instant now) noexcept;
  void await_early(TransportEntry& entry) noexcept;
  void let_out_early(TransportEntry& entry, Instant now) noexcept;
  /// `turn` comes up when it is due, or a little later if there is no memory now.
  void add_turn(const Turn& turn) noexcept;
  /// Every turn that anybody waits for is there again.
  void find_turns(Instant now) noexcept;
  /// Sends what prompts have due.
  void play(Instant now) noexcept;
  void play_next(TransportEntry& entry, Instant now) noexcept;
  void end_prompt(TransportEntry& entry) noexcept;
  [[nodiscard]] TransportFigures figures_of(TransportEntry& entry);
  /// Counts a packet of the transport's party that is dropped, or that a receiver refuses.
  void drop_arriving(TransportEntry& entry, DropReason reason) noexcept;
  /// Counts a packet that is dropped on its way out to the transport's party.
  void drop_leaving(TransportEntry& out, DropReason reason, Instant now) noexcept;
  /// Counts a packet of `entry`'s that `out` is not sent, as its party hears a prompt.
  void drop_for_prompt(TransportEntry& entry, TransportEntry& out, Instant now) noexcept;
  /// Marks those whose turn it is.
  void mark_some(Instant now) noexcept;
  InterfaceTotals& interface_of(const TransportEntry& entry) noexcept {
    return interface_totals(totals_, entry.state.plan());
  }
  /// The transport is gone: what its streams lost counts for the local address.
  void count_ended(const TransportEntry& entry) noexcept;
  void queue_send(TransportEntry& out, const Transport::NextHop& hop, bool is_rtcp, MediaId to,
                  PacketBuffer packet, const Transport* source, Instant now) noexcept;
  void flush() noexcept;
  void hold(TransportEntry& entry, std::uint8_t slot, PacketBuffer packet) noexcept;
  /// Drops what is held in a slot, counted by what it waited for.
  void give_up(TransportEntry& entry, std::uint8_t slot) noexcept;
  void pass_events(TransportEntry& entry, Instant now) noexcept;
  void tell(WorkerEvent event) noexcept;

  std::unique_ptr<PacketIo> io_;
  std::shared_ptr<const OwnMedia> own_;
  WorkerTotals totals_;
  SpscRing<WorkerCommand> commands_{4096};
  SpscRing<WorkerEvent> events_{1024};
  Bell* bell_ = nullptr;
  unsigned number_ = 0;
  std::uint64_t posted_ = 0;
  std::atomic<std::uint64_t> completed_{0};
  DtlsBudget dtls_budget_;  // outlives the handshakes of the table
  TransportTable table_;
  std::atomic<FlightMode> flight_mode_{FlightMode::kOff};
  std::unique_ptr<Offloader> offloader_;
  MarkRound mark_round_;
  std::optional<Ssrc> forwarded_ssrc_;   // of the packet that is being judged, if media of it went on
  std::array<HeldAt, kMaxHeld> held_{};  // ring, by serial
  std::uint64_t next_held_ = 1;
  std::array<PacketBuffer, kBatch> received_;
  std::array<SrtpOpened, kBatch> opened_{};  // of `received_`; key 0: was not opened
  std::array<SrtpWork, kBatch> work_{};
  std::array<std::size_t, kBatch> work_of_{};  // which of `received_`
  std::size_t work_count_ = 0;
  /// The back end of transports with keys, if it wants batches. It outlives the calls.
  const SrtpBackend* batching_ = nullptr;
  struct Outgoing {
    TransportEntry* entry = nullptr;
    Component via = Component::kRtp;
  };
  std::array<PacketBuffer, kBatch> outgoing_;
  std::array<Outgoing, kBatch> outgoing_meta_{};
  std::size_t outgoing_count_ = 0;
  /// At the latest; unset: nothing is to be caught up with.
  Instant catch_up_until_{};
  EarlyBudget early_budget_;
  /// Who keeps something or lets it out, those that began longest ago first.
  std::vector<TransportId> early_order_;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;
  std::uint64_t next_player_ = 1;
  /// There was no memory for a turn: all are looked for at this time. Unset: none is missing.
  Instant find_turns_at_{};

  /// Asymmetric cryptography takes as long as a hundred packets: media goes first.
  static constexpr std::size_t kHandshakesATurn = 4;
  static constexpr std::size_t kMostWaiting = 4096;
  static constexpr std::size_t kMostWaitingOfOne = 64;  // transport, so that one does not keep the others out
  struct Waiting {
    TransportId id;
    LocalPort at;
    Endpoint from;
    std::vector<std::byte> datagram;
  };
  std::deque<Waiting> waiting_;
  std::size_t handshakes_ = 0;  // in this turn
};

}  // namespace ferry
