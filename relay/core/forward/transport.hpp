// One transport of a worker: source rule, counting and admission of what it receives, destination of what it
// sends.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/core/classify.hpp"
#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/core/evidence/drop_ledger.hpp"
#include "relay/core/evidence/evidence.hpp"
#include "relay/core/evidence/flight_ring.hpp"
#include "relay/core/evidence/recent.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/latch/proposed_latch.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtp/key_presses.hpp"
#include "relay/core/rtp/sent_stream.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "relay/core/srtp/srtp_contexts.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

struct ComponentCounters {
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t errors_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t errors_out = 0;
  bool operator==(const ComponentCounters&) const = default;
};

/// Written by the worker, read by control without locks: enough to decide about time-outs and to sort calls.
struct TransportActivity {
  std::atomic<std::int64_t> last_packet_ns{0};  // Instant since epoch, 0 = none yet
  std::atomic<std::int64_t> last_rtp_ns{0};
  std::atomic<std::int64_t> last_user_ns{0};    // that user space saw
  std::atomic<std::int64_t> last_kernel_ns{0};  // that was forwarded below the sockets
  std::atomic<bool> is_below{false};            // its media is forwarded below now
  std::atomic<bool> is_unserved{false};         // the engine would not take its RTP port
  std::atomic<bool> is_heard{false};            // its present peer has sent something valid (LAT-12)
  // RTP that was taken and what is missing of it, and whatever was refused; one writer.
  std::atomic<std::uint32_t> rtp_packets{0};
  std::atomic<std::uint32_t> rtp_lost{0};
  std::atomic<std::uint32_t> refused{0};
  std::atomic<std::uint32_t> jitter_us{0};  // of the stream heard last
  std::atomic<bool> has_open_press{false};  // a key was pressed, and its end was not heard yet
  /// How well the transport works, in coarse classes of what the last mark found (silence, loss, drops,
  /// reports). Another value than before: its verdict may have changed. 0 = no mark yet.
  std::atomic<std::uint32_t> standing{0};
};

/// Everything a transport knows, as plain values (design seam 3). Version it with `kVersion` when it changes.
struct TransportSnapshot {
  static constexpr int kVersion = 1;
  struct Quality {
    bool present = false;
    QualityHistory history;
    bool operator==(const Quality&) const = default;
  };
  struct Source {
    MediaId media;
    std::vector<SsrcCounters> ingress;
    std::vector<Quality> quality;  // parallel to `ingress`
    std::vector<SsrcCounters> egress;
    KeyPresses::State presses;
    // Not part of an export.
    std::vector<RecentStream> ingress_recent;  // parallel to `ingress`
    std::vector<RecentStream> egress_recent;   // parallel to `egress`
    /// Newest report of the party on each stream of `egress` that it reported on.
    std::vector<ListenerReport> reports;
    bool operator==(const Source&) const = default;
  };
  /// By key in force. The keys themselves are not here.
  struct Srtp {
    std::vector<SrtpReceiver::State> received;
    SrtpSender::State sent;
    bool operator==(const Srtp&) const = default;
  };
  std::array<Latch::Snapshot, 2> latch;
  std::array<Endpoint, 2> destination;
  std::array<ComponentCounters, 2> counters;
  std::array<Instant, 2> last_packet{};
  DropCounters drops;
  std::vector<Source> sources;
  std::optional<Srtp> srtp;  // not of RTCP on its own port, keyed by DTLS
  struct Handshake {
    DtlsChannel::State state = DtlsChannel::State::kWaiting;
    /// Agreed by the handshake: secrets (SRT-15).
    std::optional<DtlsKeys> keys;
    /// Association that the keys are of; 0 = that of the plan they are restored with.
    std::uint32_t association = 0;
    DtlsEvidence evidence{};  // not part of an export
    bool operator==(const Handshake&) const = default;
  };
  using Dtls = std::array<Handshake, 2>;  // by component
  std::optional<Dtls> dtls;
  /// Nothing but the keys of `dtls` counts: for new ports of a party whose keys go on (DTL-11).
  bool only_keys = false;
  struct Ice {
    IceAgent::State state = IceAgent::State::kWaiting;
    std::array<std::optional<IceAgent::Selected>, 2> selected;
    /// The pair is older than the credentials of now: a restart is under way.
    std::array<bool, 2> is_former{};
    bool operator==(const Ice&) const = default;
  };
  std::optional<Ice> ice;
  /// What was learned of an offer that waits for its answer.
  struct Proposal {
    std::array<Latch::Snapshot, 2> latch;
    std::vector<Ssrc> streams;
    bool operator==(const Proposal&) const = default;
  };
  std::optional<Proposal> proposal;
  std::optional<Evidence> evidence;  // not part of an export
  RecentDrops recent_drops;          // not part of an export
  /// What was dropped on its way out, newest first: reason, times, first and last time; nothing else is set.
  /// Not part of an export.
  std::vector<Refusal> leaving;
  /// The present peer has sent something valid.
  bool verified = false;
  /// By component: ICMP errors have paused it (LAT-12 a). Not part of an export: three more pause it again.
  std::array<bool, 2> paused{};
  bool operator==(const TransportSnapshot&) const = default;
};

/// What a transport counted, all its streams together.
struct TransportFigures {
  std::array<ComponentCounters, 2> counters;
  std::uint64_t expected = 0;
  std::uint64_t received = 0;  // without duplicates
  std::uint64_t duplicates = 0;
  std::uint64_t lost = 0;
  /// UDPTL, or packets that are no RTP.
  std::uint64_t not_rtp = 0;
  /// Longest time between two packets of one SSRC.
  Duration longest_gap{0};
  // In clock units, of the SSRC that sent last.
  double jitter = 0;
  double jitter_max = 0;
  double jitter_mean = 0;
  /// Packets of prompts, which `counters` have as well.
  std::uint64_t played = 0;
  /// Packets that went into others for the peer, less those that came of them.
  std::uint64_t joined = 0;
};

/// What the worker does with a received datagram.
struct Verdict {
  /// kKeep: not to be heard before the answer, and kept for it; nothing was counted (LAT-14).
  enum class Kind : std::uint8_t { kForward, kHold, kRelease, kKeep, kDrop };
  Kind kind = Kind::kDrop;
  DropReason reason = DropReason::kNone;
  /// kHold: where to keep it. kRelease: which kept packet to judge first, then this one again.
  std::uint8_t slot = 0;
  /// kForward: index into `plan().sources`.
  std::uint8_t source = 0;
  bool is_rtcp = false;
  /// kForward: false if no SDP has the payload type of the packet (DMX-4).
  bool is_negotiated = true;
  /// kForward: with this packet it is confirmed that its source began its sequence anew (SSR-4).
  bool restarts = false;
};

/// Rare things worth telling control; the worker passes them on, at most one per kind and 10 s (LIM-4).
enum class TransportEvent : std::uint8_t {
  kForeignSource,
  kContested,
  kUnknownPayloadType,
  kRateLimited,
  kLocked,
  kPortNotServed,
  kNotAuthentic,
  kKeyWearsOut,
  kDtmf,
  kPromptEnded,
  kDtlsReady,
  kDtlsMismatch,
  kDtlsFailed,
  kIceConnected,
  kIceFailed,
  kIceExpired,
  kOtherTypePasses,
  kCount
};
static_assert(static_cast<unsigned>(TransportEvent::kCount) <= 32,
              "a transport keeps them as bits of a word");

/// What a handshake's turn may use.
struct HandshakeTurn {
  DtlsBudget& budget;
  PortOutput& out;
  Instant now;
  const OwnMedia& own;
};

/// Sans-IO: bytes and a time in, a verdict out. One worker owns it; it moves between workers whole.
class Transport {
 public:
  /// Slots that the worker must be able to hold packets in: RTP and RTCP probation, SSRC probation, then RTP
  /// and RTCP probation of a proposed source.
  static constexpr std::size_t kPendingSsrcs = 8;
  static constexpr std::size_t kSsrcSlots = Latch::kHoldSlots * 2;
  static constexpr std::size_t kProposedSlots = kSsrcSlots + kPendingSsrcs;
  static constexpr std::size_t kHoldSlots = kProposedSlots + Latch::kHoldSlots * 2;
  /// A packet held in `slot` waits for its SSRC to be confirmed, not for its source.
  static constexpr bool is_ssrc_slot(std::size_t slot) noexcept {
    return slot >= kSsrcSlots && slot < kProposedSlots;
  }

  /// `activity` is shared with control. Packets of `barred` (if set) are refused for `PRT-2`'s rest time.
  Transport(TransportId id, std::shared_ptr<const TransportPlan> plan,
            std::shared_ptr<TransportActivity> activity, Instant now, const Endpoint& barred = {});

  /// Swaps the plan. Learning starts again only if the plan's epoch rose; counters stay.
  void set_plan(std::shared_ptr<const TransportPlan> plan, Instant now);
  [[nodiscard]] const TransportPlan& plan() const noexcept { return *plan_; }
  [[nodiscard]] TransportId id() const noexcept { return id_; }
  void set_id(TransportId id) noexcept { id_ = id; }

  /// When a datagram came: kWaited if that may be long ago, as nobody received for a while (C-13).
  enum class Arrival : std::uint8_t { kNow, kWaited };
  /// Judges one datagram received on `component`. `own` are this relay's media ports.
  [[nodiscard]] Verdict on_datagram(Component component, const Endpoint& from, Bytes datagram, Instant now,
                                    const OwnMedia& own, Arrival arrival = Arrival::kNow) noexcept;
  /// Time passed in which nobody received, until `now`: it was no silence of anybody (C-13).
  void skip(Duration pause, Instant now) noexcept;

  /// Its packets are SRTP and SRTCP.
  [[nodiscard]] bool is_protected() const noexcept { return plan_->srtp != nullptr; }
  /// Takes the protection off a received datagram, in place; `size` becomes that of the plain one, which is
  /// to be judged by `on_datagram`. Else why it is dropped, counted here; nothing was changed (DMX-5, SRT-2).
  /// kEarlyMedia: it is to be kept for the answer, which brings its key, and nothing was counted (LAT-14).
  /// What is neither RTP nor RTCP stays as it is.
  [[nodiscard]] DropReason unprotect(Component component, const Endpoint& from, MutableBytes datagram,
                                     std::size_t& size, SrtpOrigin& origin, Instant now, const OwnMedia& own,
                                     const SrtpOpened* opened = nullptr) noexcept;
  /// For batches: whether it is worth opening a datagram beforehand, and with what. `unprotect` then gets
  /// what came of it, if it was authentic, and does everything that changes state.
  [[nodiscard]] bool prepare_unprotect(Component component, const Endpoint& from, MutableBytes datagram,
                                       Instant now, SrtpWork& work, SrtpOpened& opened) const noexcept;
  /// Protects a packet of `size` octets that is about to leave; `space` has room behind it. `source`: whose
  /// packet it is, and how it came there; null if it is our own. With `later` an RTP packet is sealed by
  /// whoever does that work before it is sent; `size` is then what it will be.
  [[nodiscard]] DropReason protect(bool is_rtcp, MutableBytes space, std::size_t& size,
                                   const Transport* source, SrtpOrigin origin,
                                   SrtpWork* later = nullptr) noexcept;
  /// Gives a packet of `source` that is about to leave the SSRCs that this transport's party knows; of RTCP
  /// also those that the party of `source` hears under other ones. A party with a key of its own knows a
  /// stream by a new SSRC once it cannot follow the source's numbers (RFC 3711 §3.3.1). `media`: whose packet
  /// it is. Else why the packet must not leave.
  [[nodiscard]] DropReason translate_ssrcs(const Transport& source, MediaId media, const Verdict& verdict,
                                           MutableBytes packet) noexcept;
  /// It has handshakes or checks that a datagram of `kind` may belong to.
  [[nodiscard]] bool has_handshake(DatagramClass kind) const noexcept {
    return kind == DatagramClass::kDtls ? plan_->dtls != nullptr
                                        : kind == DatagramClass::kStun && plan_->ice != nullptr;
  }
  /// DTL-2: whether a source may take part in a handshake.
  [[nodiscard]] bool may_speak(LocalPort at, const Endpoint& from, const OwnMedia& own) const noexcept;
  /// A DTLS or STUN datagram that was received. kNone: it was taken, or is held.
  DropReason on_handshake(LocalPort at, const Endpoint& from, Bytes datagram, HandshakeTurn turn);
  /// Begins the handshakes that the plan asks for and goes on with those that are due.
  void drive(HandshakeTurn turn);
  /// When `drive` has something to do.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// It goes to another worker.
  void leave_worker() noexcept;
  /// It sends under the very key that `source` receives with: changed packets of it cannot go out.
  [[nodiscard]] bool relays_key_of(const Transport& source) const noexcept;

  /// Where a packet of `component` goes now; unset with a reason if nowhere.
  struct NextHop {
    Endpoint to;
    Component via = Component::kRtp;
    DropReason reason = DropReason::kNone;
    /// Which of its local addresses it leaves from.
    std::uint8_t local = 0;
    /// `to` is the learned peer of a locked stream: it stays for many packets.
    bool locked = false;
  };
  [[nodiscard]] NextHop next_hop(Component component, Instant now) noexcept;
  /// Counts a packet that left for media `to` through the port of `via`.
  void on_sent(Component via, bool is_rtcp, Bytes datagram, MediaId to, Instant now) noexcept;

  // A flow below the sockets (design seam 6).
  /// Describes the flow of the only source's stream `ssrc` as far as this transport knows it (`local`,
  /// `out_*` and `tos` are left unset) and lends its state. Nothing if user space must see the packets.
  [[nodiscard]] std::optional<std::pair<OffloadFlow, OffloadState>> lend(Ssrc ssrc) const;
  /// Counts what was counted below. Drops since the installation are `state`'s less those of `seen`. Gives
  /// what happened to the lent stream since it was lent or absorbed last.
  SentBelow absorb(const OffloadState& state, const OffloadState& seen);
  /// Counts what left below the sockets, as `on_sent` does for packets.
  void on_sent_below(const SentBelow& what, MediaId to);
  /// Where media goes until the plan or the latch changes; unset if a packet must decide.
  [[nodiscard]] Endpoint lasting_hop() const noexcept;

  /// A packet to `to` did not get there, as `reporter` said (unset: this host). Counted as an error only if
  /// it never left.
  void on_send_failed(Component via, const SendFailure& failure, bool never_left) noexcept {
    if (never_left) ++counters_[index(via)].errors_out;
    if (Evidence* evidence = made_evidence()) evidence->note(failure);
  }
  /// An ICMP error came about a packet that had left for `to`. `is_fed_below`: packets leave for it that this
  /// transport does not see. True if the component is paused by it (LAT-12 a).
  bool on_unreachable(Component via, const Endpoint& to, bool is_fed_below, Instant now) noexcept;
  /// A received datagram, of which `start` is the beginning, was refused: kept for explanations.
  void note_refusal(Component component, const Endpoint& from, Bytes start, DropReason reason,
                    Instant now) noexcept;
  /// What became of a received datagram goes into the flight recorder.
  void record_flight(Component component, const Endpoint& from, Bytes start, std::size_t size,
                     DropReason reason, bool is_below, Instant now) noexcept;
  /// DMX-4: true if a whole RTP packet, of which `rtp` is at least the header, has a payload type that
  /// nothing in the state of this transport may follow from: it was not negotiated, and its source or SSRC is
  /// not yet known.
  [[nodiscard]] bool refuses_type(const Endpoint& from, Bytes rtp) const noexcept;
  /// Looks at the sound of a packet that was forwarded below, by its start.
  void on_sample(Bytes start, Instant now) noexcept;
  /// Null if nothing was kept.
  [[nodiscard]] const FlightRing* flight() const noexcept { return flight_.get(); }
  [[nodiscard]] std::unique_ptr<FlightRing> take_flight() noexcept { return std::move(flight_); }
  /// Counts `times` received packets that were dropped.
  void count_refused(Component component, DropReason reason, std::uint32_t times) noexcept {
    count_arriving(reason, times);
    counters_[index(component)].errors_in += times;
    activity_->refused.store(activity_->refused.load(std::memory_order_relaxed) + times,
                             std::memory_order_relaxed);
  }
  /// A packet of this transport's party was dropped, or what a receiver of it refuses.
  void count_arriving(DropReason reason, std::uint32_t times = 1) noexcept {
    drops_.add(DropSide::kArriving, reason, times, Instant{});
  }
  /// A packet was dropped on its way out to this transport's party.
  void count_leaving(DropReason reason, std::uint32_t times, Instant now) noexcept {
    drops_.add(DropSide::kLeaving, reason, times, now);
  }

  // The last seconds.
  /// Marks what is counted, which `snapshot` then tells the last 10 to 12 s of, and sets what control reads
  /// of it without asking (`TransportActivity::standing`). Every `kMarkInterval`, whether or not packets
  /// come.
  void mark(Instant now) noexcept;
  /// When it was marked last; before the first mark, when it was made or restored.
  [[nodiscard]] Instant marked_at() const noexcept { return mark_times_.newest_at(); }

  /// Round trip between this relay and the peer, from its last receiver report; zero if unknown.
  [[nodiscard]] Duration round_trip() const noexcept { return rtcp_ ? rtcp_->round_trip : Duration{0}; }
  /// Completes the quality sample of the RTCP packet just judged with the round trip of the other leg.
  struct Report {
    QualitySample sample;
    /// Of the reporter's own stream, as it arrived here.
    Duration jitter_measured{0};
  };
  std::optional<Report> complete_report(Duration far_round_trip, Instant now);

  /// Source index for a media id; nothing if this transport does not carry it.
  [[nodiscard]] std::optional<std::size_t> source_of(MediaId media) const noexcept;
  /// The key presses that this packet ends, each once. `payload` is what its type means.
  [[nodiscard]] KeyPresses::Told presses_of(std::size_t source, const PayloadEntry& payload,
                                            const Endpoint& from, Bytes datagram, Instant now) noexcept;
  /// Takes the next key press that ended without a packet that says so; with `all`, whatever is open ends.
  [[nodiscard]] std::optional<DtmfEvent> take_ended_press(Instant now, bool all) noexcept;
  void note(TransportEvent event) noexcept { events_ |= 1u << static_cast<unsigned>(event); }
  /// Takes the next pending event, if any.
  [[nodiscard]] std::optional<TransportEvent> take_event(Instant now) noexcept;

  /// What a packet needs, in the order in which it can be fetched; the transport itself comes first.
  enum class Fetch : std::uint8_t { kParts, kLists, kSession, kContext };
  void prefetch_arriving(Fetch step) const noexcept;
  void prefetch_leaving(Fetch step) const noexcept;

  [[nodiscard]] const std::shared_ptr<TransportActivity>& activity() const noexcept { return activity_; }
  [[nodiscard]] const Latch& latch(Component component) const noexcept { return latch_[index(component)]; }
  /// Of both sides.
  [[nodiscard]] DropCounters drops() const noexcept { return drops_.counters(); }
  /// Visits what is counted of each SSRC that arrives.
  template <class Visit>
  void for_each_stream(Visit visit) const {
    for (const SourceState& source : states_) {
      for (const StreamStats& stream : source.ingress) visit(stream.counters());
    }
  }
  /// `now`: until when the last seconds are told of.
  [[nodiscard]] TransportSnapshot snapshot(Instant now) const;
  /// The same for statistics alone: cheap.
  [[nodiscard]] TransportFigures figures() const;
  /// All but what its keys have received and sent, which `SrtpPlan::contexts` knows.
  void restore(const TransportSnapshot& snapshot, Instant now);

 private:
  struct PendingSsrc {
    Ssrc ssrc;
    SeqNo sequence;
    bool used = false;
    Instant seen{};  // unset: unused
  };
  struct SourceState {
    std::vector<StreamStats> ingress;
    std::vector<SentStream> egress;
    /// More than can begin at once, so that none of them pushes out another before its second packet.
    std::array<PendingSsrc, kPendingSsrcs> pending;
    /// Made when the first telephone-event packet passes.
    std::unique_ptr<KeyPresses> presses;
    TokenBucket bucket;
    TokenBucket rtcp_bucket;
    Instant admission_second{};
    std::uint8_t admitted_in_second = 0;
    /// The packet's number is no jump (SSR-4) in the stream of its SSRC, which was admitted.
    [[nodiscard]] bool continues(Ssrc ssrc, SeqNo sequence) const noexcept {
      const auto stream =
          std::ranges::find_if(ingress, [&](const StreamStats& s) { return s.counters().ssrc == ssrc; });
      return stream != ingress.end() && !stream->is_jump(sequence);
    }
  };
  /// A receiver report that waits for the other leg's round trip.
  struct PendingReport {
    std::size_t source = 0;
    Ssrc reporter;
    ReportBlock block;
  };
  struct SentReport {
    Ssrc ssrc;
    std::uint32_t ntp_middle = 0;
    Instant at{};
  };

  /// Made when the first RTCP packet passes.
  struct RtcpState {
    /// Last sender reports that went out through this transport, to compute round-trip times when they come
    /// back.
    std::array<SentReport, 8> sent{};
    std::uint8_t next_sent = 0;
    Duration round_trip{0};
    std::optional<PendingReport> pending;
    void remember(const SentReport& report) noexcept {
      sent[next_sent] = report;
      next_sent = static_cast<std::uint8_t>((next_sent + 1) % sent.size());
    }
  };
  /// Null if there is no memory for it.
  RtcpState* made_rtcp_state() noexcept {
    if (!rtcp_) rtcp_ = make_unique_or_null<RtcpState>();
    return rtcp_.get();
  }

  static constexpr std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  /// Null if there is no memory for it.
  Evidence* made_evidence() noexcept {
    if (!evidence_) evidence_ = make_unique_or_null<Evidence>();
    return evidence_.get();
  }
  /// Tells control without being asked: `stream` has just counted `packets`.
  void publish(const SsrcCounters& stream, std::uint64_t packets, std::uint64_t lost_before) noexcept;
  /// Tells control whether a press is open.
  void publish_presses() noexcept;
  Verdict drop(Component component, DropReason reason) noexcept;
  /// Something valid came from the present peer.
  void hear() noexcept {
    if (!verified_) activity_->is_heard.store(true, std::memory_order_relaxed);
    verified_ = true;
    if (reachability_) {
      for (Reachability& each : *reachability_) each.on_heard();
    }
  }
  /// Marks the peer as heard if a datagram that is refused is one of its keep-alives (RFC 6263 §4).
  void note_keep_alive(Component component, const Endpoint& from, Bytes datagram, Instant now) noexcept;
  [[nodiscard]] Endpoint destination(Component via) const noexcept;
  /// Null if there is no memory for one more.
  SentStream* egress_of(std::size_t source, Ssrc ssrc) noexcept;
  /// Keeps the counts of now as the mark that `mark_times_` has just got.
  void mark_counts() noexcept;
  /// What `TransportActivity::standing` is to be; never 0.
  [[nodiscard]] std::uint32_t standing(Instant now) const noexcept;
  Verdict on_rtp(Component component, const Endpoint& from, Bytes datagram, Instant now, const OwnMedia& own,
                 Arrival arrival) noexcept;
  /// A packet that has waited is older than what a listener can still use (C-13).
  [[nodiscard]] static bool is_stale(const SourceState& state, const RtpView& rtp,
                                     const PayloadEntry* payload, Instant now) noexcept;
  /// Counts such a packet, which says that its sender is there, and drops it.
  Verdict drop_stale(Component component, SourceState& state, const RtpView& rtp, std::size_t size,
                     Instant now) noexcept;
  Verdict on_rtcp(Component component, const Endpoint& from, Bytes datagram, Instant now,
                  const OwnMedia& own) noexcept;
  /// A datagram of a protocol beside RTP (DMX-6).
  Verdict on_whole(Component component, const Endpoint& from, Bytes datagram, Instant now,
                   const OwnMedia& own) noexcept;
  /// UDPTL passes beside RTP now.
  [[nodiscard]] bool takes_udptl() const noexcept;
  /// A datagram that is not looked into any further.
  Verdict pass_whole(const Latch::Judgement& judgement, std::size_t first_slot, Bytes datagram,
                     Instant now) noexcept;
  Verdict from_judgement(Component component, const Latch::Judgement& judgement, std::size_t first_slot,
                         Instant now) noexcept;
  /// LAT-14.
  [[nodiscard]] bool keeps_early(Instant now) const noexcept { return now < plan_->early_until; }

  // An offer that waits for its answer (LAT-15).
  /// Learns the proposed source beside the agreed one.
  struct Proposal {
    std::array<Latch, 2> latch;
    /// SSRCs that the proposed source uses now; all others are the agreed one's (SSR-3). The oldest goes
    /// first.
    std::vector<Ssrc> streams;
  };
  /// Has one of the component's latches judge a packet from `from`. `judge` calls the latch it is given.
  template <class Judge>
  SourceJudgement judge_source(Component component, const Endpoint& from, Judge judge) noexcept {
    return ferry::judge_source(latch_[index(component)], proposed_latch(component), from, judge);
  }
  /// Null: no offer waits.
  [[nodiscard]] Latch* proposed_latch(Component component) const noexcept {
    return proposal_ ? &proposal_->latch[index(component)] : nullptr;
  }
  /// The two sources share an SSRC: whether a packet of it is refused (SSR-3).
  [[nodiscard]] bool collides(const SourceState& state, const RtpView& rtp, bool is_proposed,
                              Instant now) noexcept;
  /// The datagram is RTP or RTCP beside UDPTL.
  [[nodiscard]] bool is_rtp_beside_udptl(Component component, Bytes datagram) const noexcept;
  void follow_proposal(const TransportPlan* old, Instant now);
  Verdict deliver(Component component, std::size_t source, Bytes datagram, bool is_rtcp,
                  Instant now) noexcept;
  /// Finds the statistics of an SSRC or says how to go on without (SSR-1).
  StreamStats* admit(SourceState& state, const SourcePlan& source, const RtpView& rtp, Instant now,
                     Verdict& verdict) noexcept;
  /// Null: there is no memory for one more.
  static StreamStats* add_stream(SourceState& state, Ssrc ssrc) noexcept;
  /// How long somebody has been silent who was heard last `at`; a pause of ours is none (C-13).
  [[nodiscard]] Duration silence_since(Instant at, Instant now) const noexcept {
    return now - std::max(at, awake_since_);
  }
  void read_reports(std::size_t source, Bytes compound, Instant now) noexcept;
  [[nodiscard]] std::optional<std::size_t> source_for(PayloadType type, Ssrc ssrc,
                                                      const PayloadEntry*& payload) const noexcept;
  /// The SSRC was admitted, and the source is the locked peer. Not under BUNDLE, where the payload type says
  /// whose the packet is.
  [[nodiscard]] bool is_established(const Endpoint& from, Ssrc ssrc) const noexcept;
  /// Counts a packet whose payload type was not negotiated, and tells control of the first of each type.
  void note_other_type(const Endpoint& from, const RtpView& rtp, Instant now) noexcept;
  void rebuild_sources(const TransportPlan& old);

  TransportId id_;
  std::shared_ptr<const TransportPlan> plan_;
  std::array<Latch, 2> latch_;
  /// Null: no offer waits, or it moves nobody.
  std::unique_ptr<Proposal> proposal_;
  std::vector<SourceState> states_;
  std::array<ComponentCounters, 2> counters_;
  std::array<Instant, 2> last_packet_{};
  std::uint64_t not_rtp_ = 0;
  /// The keys of the plan, and those of earlier ones, which run out.
  struct Protection {
    struct Incoming {
      std::shared_ptr<SrtpReceiving> under;
      Instant until{};  // not set: in the plan
      std::uint32_t number = 0;
    };
    std::vector<Incoming> incoming;
    const SrtpReceiving* newest = nullptr;  // the first of `incoming`, to be fetched
    std::shared_ptr<SrtpSending> sending;   // null: there is no key
    std::shared_ptr<SrtpContexts> contexts;
    std::shared_ptr<SsrcTranslation> names;  // of the party that is sent to; null: nothing was sent yet
    std::uint32_t last_number = 0;
    /// When a packet was tried at other roll-over counters last.
    Instant roll_over_tried{};
    /// The peer gave the key back that it was given: each SSRC then has one direction (SRT-1).
    bool is_reflected = false;
  };
  /// Handshakes by component, and what they agreed on.
  struct Handshakes {
    std::array<DtlsChannel, 2> channels;
    std::array<std::shared_ptr<const SrtpPlan>, 2> agreed;
  };
  Handshakes& made_dtls() {
    if (!dtls_) dtls_ = std::make_unique<Handshakes>();
    return *dtls_;
  }
  /// Which of `protection_` a component's packets are under.
  [[nodiscard]] std::size_t slot_of(Component component) const noexcept;
  /// Null: there are none.
  [[nodiscard]] const SrtpPlan* keys_of(std::size_t slot) const noexcept;
  /// By which SSRCs its party knows the streams of others; null: by their own.
  [[nodiscard]] SsrcTranslation* names() const noexcept {
    return protection_[0] ? protection_[0]->names.get() : nullptr;
  }
  DropReason translate_rtcp(const Transport& source, MediaId media, MutableBytes packet) noexcept;
  void follow_keys(Instant now);
  void follow_keys(std::size_t slot, Instant now);
  /// How far the stream of an RTP packet was under an earlier key, or plain, if `context` does not know its
  /// SSRC: a phone may go on counting when it is keyed anew (RFC 3711 §3.3.1).
  [[nodiscard]] std::optional<std::uint64_t> former_index(const Protection& protection,
                                                          const SrtpReceiver& context,
                                                          Bytes datagram) const noexcept;
  /// A packet did not authenticate: at most once a second it is tried at other roll-over counters.
  void look_for_roll_over(Protection& protection, Bytes datagram, Instant now);
  DropReason on_dtls(LocalPort at, const Endpoint& from, Bytes datagram, HandshakeTurn turn);
  void drive_dtls(HandshakeTurn turn);
  [[nodiscard]] DtlsTurn dtls_turn(Component component, DatagramOutput& out,
                                   HandshakeTurn turn) const noexcept;
  DropReason on_stun(LocalPort at, const Endpoint& from, Bytes datagram, HandshakeTurn turn);
  /// What ICE selected is where media comes from and goes to (LAT-10).
  void follow_ice(HandshakeTurn turn);
  void agree(Component component);
  void follow_handshake(Component component, HandshakeTurn turn);
  /// Whoever has the signalled certificate is there (LAT-10).
  void lock_proven(Component component, const Endpoint& from, HandshakeTurn turn) noexcept;
  [[nodiscard]] std::optional<TransportSnapshot::Srtp> srtp_snapshot() const;
  [[nodiscard]] std::optional<TransportSnapshot::Dtls> dtls_snapshot() const;
  void restore_keys(const TransportSnapshot& snapshot, Instant now);
  [[nodiscard]] Hearing hearing_of(Component component, const Endpoint& from, Instant now) const noexcept;
  [[nodiscard]] Latch& latch_of(Component component, Hearing hearing) noexcept {
    return hearing.is_proposed ? proposal_->latch[index(component)] : latch_[index(component)];
  }
  /// Why a protected packet is not worth a checksum, or must not use up an index; kNone if it is to be
  /// opened.
  [[nodiscard]] DropReason refusal_before_opening(Component component, const Endpoint& from, Bytes datagram,
                                                  Hearing hearing, Instant now, const OwnMedia& own) noexcept;
  /// Opens a datagram under the keys that are good now. `origin` says under which one, also of a packet that
  /// is refused as a replay.
  SrtpResult open(Protection& protection, MutableBytes datagram, std::size_t& size, SrtpOrigin& origin,
                  Instant now, const SrtpOpened* opened) noexcept;
  /// A packet that was refused as a replay, under the key of `origin`, has a right tag. The octets of the
  /// packet are spoiled afterwards.
  [[nodiscard]] static bool is_authentic_replay(const Protection& protection, MutableBytes datagram,
                                                SrtpOrigin origin, Instant now) noexcept;
  /// LAT-8 (b): the RTP packet would be above every index of its SSRC.
  [[nodiscard]] static bool is_newest(const Protection& protection, Bytes datagram) noexcept;
  /// An authentic packet came from there: the latch follows (LAT-10). RTCP on a port of its own goes where
  /// RTP goes (LAT-9).
  [[nodiscard]] bool follow_authentic(Component component, const Endpoint& from, Hearing hearing,
                                      Instant now) noexcept;
  /// Whom the source rule takes `from` for: with ICE the peer may send from every pair that passed a check,
  /// not only from the selected one (RFC 8445 §12, WICE-6).
  [[nodiscard]] const Endpoint& heard_as(Component component, const Endpoint& from) const noexcept;
  /// Where a handshake of `component` speaks to now; unset: nowhere yet. With ICE the selected pair, after a
  /// restart the one of the new session alone (WDTLS-3).
  [[nodiscard]] Path handshake_way(Component component) const noexcept;

  std::shared_ptr<TransportActivity> activity_;
  /// By `slot_of`.
  std::array<std::unique_ptr<Protection>, 2> protection_;
  std::unique_ptr<Handshakes> dtls_;
  IceAgent& made_ice(Instant now) {
    if (!ice_) {
      ice_ = std::make_unique<IceAgent>();
      ice_->follow(*plan_->ice, now);
    }
    return *ice_;
  }
  std::unique_ptr<IceAgent> ice_;
  /// Where each component's packets leave from.
  std::array<std::uint8_t, 2> local_{};
  std::unique_ptr<RtcpState> rtcp_;
  std::unique_ptr<Evidence> evidence_;
  std::unique_ptr<FlightRing> flight_;
  /// Of its components; made at the first ICMP error.
  std::unique_ptr<std::array<Reachability, 2>> reachability_;
  /// When the last packet left, by component.
  std::array<Instant, 2> last_sent_{};
  Instant last_keep_alive_{};
  /// When it was received from again after the last pause; unset: there was none.
  Instant awake_since_{};
  bool verified_ = false;
  std::uint32_t events_ = 0;
  /// When each event was passed on last; made at the first one.
  std::unique_ptr<std::array<Instant, static_cast<std::size_t>(TransportEvent::kCount)>> event_sent_;
  DropLedger drops_;
  /// Of all that is counted here.
  MarkTimes mark_times_;
};

}  // namespace ferry
