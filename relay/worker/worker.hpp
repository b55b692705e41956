// One worker of the relay: its transports, their ports, and the loop that carries each packet to its end.
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

// The commands that control posts to a worker. They take effect in the order they were posted, between two
// batches of packets; a command for a transport that is gone does nothing. Pointers to results are borrowed:
// they must stay valid until the worker has passed the fence of the command (`completed`).

/// Adds a transport and starts to receive at its ports.
struct InstallTransport {
  /// The name by which control and all later commands know it.
  TransportId id;
  /// The plan that signalling agreed on. Never null.
  std::shared_ptr<const TransportPlan> plan;
  /// The RTP and the RTCP port at the first local address; a port that is not open is not served.
  std::array<PortHandle, 2> ports;
  /// Ports at the other local addresses, which ICE has candidates for, from number 1 on (`LocalPort::local`).
  /// Empty without ICE.
  std::vector<std::array<PortHandle, 2>> more_ports;
  /// State to begin with, from an export. Null: the transport begins empty.
  std::shared_ptr<const TransportSnapshot> snapshot;
  /// Figures that the worker writes and control reads at any time without asking. Never null.
  std::shared_ptr<TransportActivity> activity;
  /// Last user of a port pair that had no time to rest: its late packets are refused (PRT-2). Unset: nobody
  /// is barred.
  Endpoint barred;
};
/// Replaces the plan of a transport; its state stays. Complete at the fence: nothing is sent by the old plan
/// any more.
struct UpdatePlan {
  TransportId id;
  std::shared_ptr<const TransportPlan> plan;
};
/// Serves the ports at one more local address of a transport (ICE).
struct AddPorts {
  TransportId id;
  std::array<PortHandle, 2> ports;
};
/// Ends a transport: its ports are detached, its flows withdrawn from the kernel, its counters final.
struct RemoveTransport {
  TransportId id;
  /// Receives the learned peer, if there was one, so that its late packets can be refused (PRT-2). Null: not
  /// wanted.
  Endpoint* last_peer = nullptr;
  /// Receives the final statistics. Null: not wanted.
  TransportFigures* figures = nullptr;
  /// Receives everything that the transport knew at the end. Null: not wanted.
  TransportSnapshot* last = nullptr;
  /// Receives the flight recorder; it becomes null if there was none. Null: not wanted.
  std::unique_ptr<FlightRing>* flight = nullptr;
};
/// Copies everything that a transport knows, as plain values.
struct ReadTransport {
  TransportId id;
  /// Receives the copy; left as it is if the transport is gone.
  TransportSnapshot* into = nullptr;
};
/// Copies what the SRTP keys of a media have received and sent (roll-over counters, replay lists), and the
/// keys.
struct ReadContexts {
  /// The contexts to read. Never null.
  std::shared_ptr<const SrtpContexts> contexts;
  SrtpContexts::State* into = nullptr;
};
/// Copies the statistics of a transport, without streams and evidence. Cheaper than `ReadTransport`.
struct ReadFigures {
  TransportId id;
  TransportFigures* into = nullptr;
};
/// Copies the flight recorder of a transport. `into` is left as it is if the transport or its recorder is not
/// there.
struct ReadFlight {
  TransportId id;
  FlightRing* into = nullptr;
};
/// Takes a transport out of this worker with all its state, to be adopted by another one. Its ports are
/// detached, but open.
struct ExtractTransport {
  TransportId id;
  /// Receives the transport; null if there was none.
  std::unique_ptr<TransportEntry>* into = nullptr;
};
/// Gives a worker a transport that was extracted from another one, under a name of this worker's table.
struct AdoptTransport {
  TransportId id;
  std::unique_ptr<TransportEntry> entry;
};
/// Lets `tap` see the packets of a transport, from the next one on. The tap is borrowed until it is detached.
struct AttachTap {
  TransportId id;
  PacketTap* tap = nullptr;
};
/// Detaches a tap. After the fence it is not called any more; it has then seen every packet that was
/// forwarded before.
struct DetachTap {
  TransportId id;
  PacketTap* tap = nullptr;
};
/// Sends one RTP packet without payload to the peer, to open a way through its NAT (NG flag `pierce-NAT`).
struct SendProbe {
  TransportId id;
  Ssrc ssrc;
  SeqNo sequence;
};
/// Plays a prompt to the party of a transport, in place of one that is being played. It starts when the
/// party's address is known.
struct StartPrompt {
  TransportId id;
  std::shared_ptr<const Prompt> prompt;
  /// How often it is played; `Prompt::kForEver`: until it is stopped.
  std::int64_t rounds = 1;
  // The SSRC, the first sequence number and the first timestamp of the relay's own stream to this party. Used
  // only if the relay has sent nothing of its own to it yet; otherwise that stream goes on (SSR-2).
  Ssrc ssrc;
  SeqNo sequence;
  std::uint32_t timestamp = 0;
};
/// Stops the prompt of a transport, if one is being played.
struct StopPrompt {
  TransportId id;
};
/// Reports DTMF keys that are still pressed as ended now, because the transport is about to be removed.
struct EndPresses {
  TransportId id;
};
/// Any command; `std::monostate` is none and does nothing.
using WorkerCommand =
    std::variant<std::monostate, InstallTransport, UpdatePlan, AddPorts, RemoveTransport, ReadTransport,
                 ReadContexts, ReadFigures, ReadFlight, ExtractTransport, AdoptTransport, AttachTap,
                 DetachTap, SendProbe, StartPrompt, StopPrompt, EndPresses>;

/// A notice of a worker to control. Events can get lost if control does not read them; counters never do.
struct WorkerEvent {
  TransportId id;
  TransportEvent event = TransportEvent::kForeignSource;
  /// The key press. Set for `kDtmf` only.
  DtmfEvent dtmf;
};

/// A worker: transports, their ports, and one thread that runs them to completion.
///
/// Threads: `post`, `posted`, `wait_completed` and `next_event` belong to the control thread; `wake`,
/// `completed`, `totals` and `set_flight_mode` may be called by any thread; everything else belongs to the
/// worker's own thread, which may be the same one in tests. Once constructed it does not throw; a command
/// that finds no memory has no effect (C-12).
class Worker {
 public:
  /// Most packets that all calls of this worker together hold under probation. If there are more, the one
  /// held longest is dropped, so that held packets never take the buffers that other calls need. The engine
  /// has room for these and two batches more.
  static constexpr std::size_t kMaxHeld = 512;

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
  void wake() noexcept { io_->wake(); }
  /// Blocks until everything posted so far is done. Only if the worker runs on another thread.
  void wait_completed() const noexcept;
  /// Takes the oldest event. False if there is none.
  bool next_event(WorkerEvent& event) { return events_.pop(event); }
  /// Rung when there are events to take. Null: nobody is told. Call it before `run`; the bell outlives the
  /// worker.
  void set_bell(Bell* bell) noexcept { bell_ = bell; }
  /// Sets which packets the flight recorders of all transports take in. Any thread.
  void set_flight_mode(FlightMode mode) noexcept { flight_mode_.store(mode, std::memory_order_relaxed); }
  /// The worker's number, which taps are told with each packet. Call it before `run`.
  void set_number(unsigned number) noexcept {
    number_ = number;
    if (offloader_) offloader_->set_worker(number);
  }
  /// Counters of this worker since the start, readable at any time.
  [[nodiscard]] const WorkerTotals& totals() const noexcept { return totals_; }

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
  [[nodiscard]] std::size_t transports() const noexcept { return table_.size(); }
  /// Streams that the kernel forwards now; 0 without an offload.
  [[nodiscard]] std::size_t offloaded_flows() const noexcept { return offloader_ ? offloader_->flows() : 0; }
  /// The engine's time. All times of this worker are of this clock.
  [[nodiscard]] Instant now() const noexcept { return io_->now(); }

 private:
  /// Most packets received or sent with one call.
  static constexpr std::size_t kBatch = 64;

  /// The place of one held packet. The packet may have left its slot since; then its serial differs.
  struct HeldAt {
    TransportId id;
    std::uint8_t slot = 0;
    std::uint64_t serial = 0;
  };

  /// `Turn::number` of packets from before the answer (LAT-14).
  static constexpr std::uint64_t kEarlyTurn = UINT64_MAX;
  /// One entry of the queue of deadlines. An entry is not removed when its owner needs it no longer: it comes
  /// up once and is ignored (see worker_turns.cpp).
  struct Turn {
    Instant at;
    TransportId id;
    /// The player's number for a prompt; 0 for handshakes and key presses; or `kEarlyTurn`.
    std::uint64_t number;
    bool operator>(const Turn& other) const { return at > other.at; }
  };

  /// The latest time until which `run` may sleep.
  [[nodiscard]] Instant next_deadline() const noexcept;
  /// True after a pause while packets that waited in the ports are taken in (C-13).
  [[nodiscard]] bool is_catching_up() const noexcept { return catch_up_until_ != Instant{}; }
  /// Does what is due by time, and tells the offloader of what the last batch offered.
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

  /// Hands a datagram of STUN or DTLS to the transport. A DTLS datagram waits if this turn has had its share.
  void on_handshake(TransportEntry& entry, const ReceivedPacket& arrived) noexcept;
  /// Hands over datagrams that waited, as many as this turn may still take.
  void run_handshakes(Instant now) noexcept;
  /// Lets the transport's handshakes, checks and key presses do what is due, and queues its next deadline.
  void drive(TransportEntry& entry, Instant now) noexcept;
  /// Queues a deadline of `entry` at `due`, unless an earlier one is queued already. Nothing: it has no
  /// deadline.
  void wait_for(TransportEntry& entry, std::optional<Instant> due, Instant now) noexcept;
  /// Follows DTMF events (RFC 4733) in a packet of `entry` and reports the key presses that it ends.
  void follow_presses(TransportEntry& entry, std::size_t source, const PayloadEntry& payload,
                      const ReceivedPacket& arrived) noexcept;
  /// Reports key presses that ended by time-out; with `all` also those that are still open.
  void tell_ended_presses(TransportEntry& entry, Instant now, bool all) noexcept;
  /// Puts a transport into the table, attaches its ports and queues its deadlines.
  void place(TransportId id, std::unique_ptr<TransportEntry> entry);
  /// Attaches the ports at one local address of `entry` to the engine. A port that the engine refuses is
  /// counted and reported.
  void serve(TransportEntry& entry, TransportId id, std::size_t local);
  /// Takes a transport out of the table and unties it from this worker. Null if it is not there.
  std::unique_ptr<TransportEntry> take(TransportId id);
  /// A datagram that the engine received. `opened`: what a batching back end has decrypted already, or null.
  void on_packet(PacketBuffer packet, Instant now, const SrtpOpened* opened) noexcept;
  /// Takes in one datagram of `entry`, from the wire or kept since before the answer: a handshake, or media
  /// that is decrypted and judged.
  void take_in(TransportEntry& entry, PacketBuffer packet, Instant now, const SrtpOpened* opened) noexcept;
  /// Lets a batching SRTP back end open all packets of a received batch that can be opened ahead.
  void open_batch(std::size_t count, Instant now) noexcept;
  /// Lets the batching back end seal everything that `protect` has left for later.
  void seal_batch() noexcept;
  /// Remembers the back end of a plan if it wants batches. All transports of a process use the same one.
  void note_backend(const TransportPlan& plan) noexcept {
    if (plan.srtp && plan.srtp->backend && plan.srtp->backend->is_batching())
      batching_ = plan.srtp->backend.get();
  }
  [[nodiscard]] bool is_batched(const TransportPlan& plan) const noexcept {
    return batching_ != nullptr && plan.srtp && plan.srtp->backend.get() == batching_;
  }
  /// What is known of a packet that an engine received, taken in at `now`.
  [[nodiscard]] ReceivedPacket received(const PacketBuffer& packet, Instant now) const noexcept;
  /// Asks the transport for a verdict on a datagram and carries it out. `packet` holds the octets of
  /// `arrived`. `depth` counts releases within releases.
  void judge(TransportEntry& entry, ReceivedPacket& arrived, PacketBuffer packet, int depth) noexcept;
  /// Sends an accepted packet to every sink of its source that may have it. Returns kNone if at least one
  /// gets it, else why the last one does not.
  DropReason forward(TransportEntry& entry, const ReceivedPacket& arrived, const Verdict& verdict,
                     PacketBuffer packet) noexcept;
  /// Tells the flight recorder and the taps of `entry` what became of a received packet. `start` is its
  /// beginning, `size` its whole length in octets.
  void witness(TransportEntry& entry, Component component, const Endpoint& from, Bytes start,
               std::size_t size, bool is_rtcp, DropReason reason, Instant now) noexcept;
  /// Takes in ICMP errors about packets that had left, and lets transports stop sending to dead addresses
  /// (LAT-12a).
  void note_problems(Instant now) noexcept;
  /// Joins or splits the RTP packet `datagram` for the party of `out`, which is to get `sink.ptime_ms` a
  /// packet.
  void repacketize(TransportEntry& entry, TransportEntry& out, const Sink& sink,
                   const Transport::NextHop& hop, Bytes datagram, Instant now) noexcept;
  // RTP that overtakes the answer (LAT-14): `keep_early` to `let_out_early` are in worker_early.cpp.
  /// Keeps a copy of a packet that may not be heard before the answer, or drops and counts it.
  void keep_early(TransportEntry& entry, Component component, const PacketBuffer& packet,
                  Instant now) noexcept;
  /// Puts a copy of a packet behind the others of its source, or drops and counts it.
  void line_up(TransportEntry& entry, Component component, const PacketBuffer& packet, Instant now) noexcept;
  /// Counts and witnesses a packet that may not be heard and is not kept.
  void refuse_early(TransportEntry& entry, Component component, const PacketBuffer& packet,
                    Instant now) noexcept;
  /// Copies a datagram into the component's `EarlyMedia`. False if there is no room or no memory for it.
  bool store_early(TransportEntry& entry, Component component, const Endpoint& from, Bytes datagram,
                   Instant now) noexcept;
  /// Drops what the transport has kept that began longest ago, other than `but`. False if there is no other.
  bool make_room(TransportId but) noexcept;
  /// Counts `times` packets as dropped for `early-media`.
  void count_early(TransportEntry& entry, Component component, std::uint32_t times) noexcept;
  /// Ends both components: what they keep is dropped and counted.
  void drop_early(TransportEntry& entry) noexcept;
  /// Ends one component: what it keeps is dropped and counted, and nothing is let out any more.
  void end_early(TransportEntry& entry, Component component) noexcept;
  /// True if the packet comes from the source that is being let out, and was put behind its others. Call it
  /// only where `early` is set.
  bool waits_in_line(TransportEntry& entry, Component component, const PacketBuffer& packet,
                     Instant now) noexcept;
  /// The plan has changed. If it is the answer's, chooses one source of each component to be let out, and
  /// drops the others.
  void choose_early(TransportEntry& entry, Instant now) noexcept;
  /// Queues the deadline for the next kept packet, if there is one.
  void await_early(TransportEntry& entry) noexcept;
  /// Takes in the kept packets that are due.
  void let_out_early(TransportEntry& entry, Instant now) noexcept;
  /// Queues a deadline. If there is no memory for it, all deadlines are looked for again a little later.
  void add_turn(const Turn& turn) noexcept;
  /// Queues the deadlines of all transports anew, after one got lost for want of memory.
  void find_turns(Instant now) noexcept;
  /// Serves every deadline that is due.
  void play(Instant now) noexcept;
  /// Sends the next packet of a prompt and sets the time of the one after it.
  void play_next(TransportEntry& entry, Instant now) noexcept;
  /// Ends the prompt of `entry`, reports it, and lets the other party be heard again.
  void end_prompt(TransportEntry& entry) noexcept;
  /// Statistics of `entry`, with what the kernel counted up to now.
  [[nodiscard]] TransportFigures figures_of(TransportEntry& entry);
  /// Counts a packet of the party of `entry` that is dropped here, or that a receiver refuses.
  void drop_arriving(TransportEntry& entry, DropReason reason) noexcept;
  /// Counts a packet that is dropped on its way out to the party of `out`.
  void drop_leaving(TransportEntry& out, DropReason reason, Instant now) noexcept;
  /// Counts a packet of `entry` that the party of `out` does not get because it hears a prompt.
  void drop_for_prompt(TransportEntry& entry, TransportEntry& out, Instant now) noexcept;
  /// Marks the transports whose turn it is: each one's figures are noted every two seconds, for `explain`.
  void mark_some(Instant now) noexcept;
  InterfaceTotals& interface_of(const TransportEntry& entry) noexcept {
    return interface_totals(totals_, entry.state.plan());
  }
  /// Adds what the streams of a transport lost, repeated and reordered to the totals of its local address.
  /// Once, at its end.
  void count_ended(const TransportEntry& entry) noexcept;
  /// Protects a packet and puts it into the outgoing batch, in which it leaves by `hop`. `to`: the receiving
  /// media, for its statistics. `kind`: RTP, RTCP, or another protocol that passes whole. `source`: whose
  /// packet it is; null if the relay made it.
  void queue_send(TransportEntry& out, const Transport::NextHop& hop, DatagramClass kind, MediaId to,
                  PacketBuffer packet, const Transport* source, Instant now) noexcept;
  /// Sends the outgoing batch and counts what could not be sent.
  void flush() noexcept;
  /// Holds a packet under probation in a slot of `entry`; the one that was there is given up.
  void hold(TransportEntry& entry, std::uint8_t slot, PacketBuffer packet) noexcept;
  /// Drops the packet held in `slot`, counted by what it waited for.
  void give_up(TransportEntry& entry, std::uint8_t slot) noexcept;
  /// Passes what the transport has noted for control on.
  void pass_events(TransportEntry& entry, Instant now) noexcept;
  /// Puts an event into the ring and rings the bell. Lost if the ring is full.
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
  /// Before the table: the budget outlives the handshakes in it.
  DtlsBudget dtls_budget_;
  TransportTable table_;
  std::atomic<FlightMode> flight_mode_{FlightMode::kOff};
  std::unique_ptr<Offloader> offloader_;
  MarkRound mark_round_;
  /// SSRC of the RTP packet that was judged last, if it was accepted; the offloader is offered its stream.
  std::optional<Ssrc> forwarded_ssrc_;
  /// A ring, indexed by serial modulo its size: where each held packet is.
  std::array<HeldAt, kMaxHeld> held_{};
  std::uint64_t next_held_ = 1;
  std::array<PacketBuffer, kBatch> received_;
  /// The results of decrypting `received_` ahead, by the same index. `origin.key` 0: the packet was not
  /// opened ahead.
  std::array<SrtpOpened, kBatch> opened_{};
  std::array<SrtpWork, kBatch> work_{};
  /// For each item of `work_` while a batch is opened: its index in `received_`.
  std::array<std::size_t, kBatch> work_of_{};
  std::size_t work_count_ = 0;
  /// The SRTP back end, if there are keys and it wants batches; null otherwise. It outlives the calls.
  const SrtpBackend* batching_ = nullptr;
  /// The transport that a packet of the outgoing batch leaves by, for its counters.
  struct Outgoing {
    TransportEntry* entry = nullptr;
    Component via = Component::kRtp;
  };
  std::array<PacketBuffer, kBatch> outgoing_;
  std::array<Outgoing, kBatch> outgoing_meta_{};
  std::size_t outgoing_count_ = 0;
  /// Until when packets come before timers after a pause; unset: there was no pause.
  Instant catch_up_until_{};
  EarlyBudget early_budget_;
  /// Transports that keep packets or let them out; the one that began longest ago comes first.
  std::vector<TransportId> early_order_;
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns_;
  std::uint64_t next_player_ = 1;
  /// When all deadlines are looked for again because one could not be queued; unset: none is missing.
  Instant find_turns_at_{};

  /// Most DTLS datagrams handled in one turn. Asymmetric cryptography takes as long as a hundred packets of
  /// media, so media goes first.
  static constexpr std::size_t kHandshakesATurn = 4;
  /// Most DTLS datagrams that wait, of all transports together and of one, so that one cannot keep the others
  /// out.
  static constexpr std::size_t kMostWaiting = 4096;
  static constexpr std::size_t kMostWaitingOfOne = 64;
  /// A DTLS datagram that waits for a later turn: a copy, and where it came to and from.
  struct Waiting {
    TransportId id;
    LocalPort at;
    Endpoint from;
    std::vector<std::byte> datagram;
  };
  std::deque<Waiting> waiting_;
  /// DTLS datagrams that this turn has handled.
  std::size_t handshakes_ = 0;
};

}  // namespace ferry
