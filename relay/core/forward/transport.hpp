// One transport of a worker. It judges, counts and admits what comes from its peer, and says where packets to
// the peer go.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/core/dtls/dtls_channel.hpp"
#include "relay/core/evidence/drop_ledger.hpp"
#include "relay/core/evidence/evidence.hpp"
#include "relay/core/evidence/flight_ring.hpp"
#include "relay/core/evidence/recent.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/ice/ice_agent.hpp"
#include "relay/core/latch/proposed_latch.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/core/packet/received_packet.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtp/key_presses.hpp"
#include "relay/core/rtp/sent_stream.hpp"
#include "relay/core/rtp/stream_stats.hpp"
#include "relay/core/srtp/srtp_contexts.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

/// Totals of one component. All octets are those of UDP payloads.
struct ComponentCounters {
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  /// Received datagrams that were dropped.
  std::uint64_t errors_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  /// Packets that could not be sent.
  std::uint64_t errors_out = 0;
  bool operator==(const ComponentCounters&) const = default;
};

/// Figures that control reads about a transport at any time, without locks. Written by the worker only. They
/// are enough to decide about time-outs and to sort calls. Times are nanoseconds of `Instant`; 0 = never.
struct TransportActivity {
  /// Newest accepted packet of any kind; also an authentic STUN check.
  std::atomic<std::int64_t> last_packet_ns{0};
  /// Newest accepted RTP packet, or one of another protocol passed whole.
  std::atomic<std::int64_t> last_rtp_ns{0};
  /// Newest accepted packet that user space saw.
  std::atomic<std::int64_t> last_user_ns{0};
  /// Newest packet that the kernel forwarded.
  std::atomic<std::int64_t> last_kernel_ns{0};
  /// The kernel forwards its media at present.
  std::atomic<bool> is_below{false};
  /// The engine refused to serve its RTP port.
  std::atomic<bool> is_unserved{false};
  /// The present peer has sent something valid (LAT-12).
  std::atomic<bool> is_heard{false};
  /// A DTMF press has begun, and its end was not heard yet.
  std::atomic<bool> has_open_press{false};
  // Accepted RTP packets, what is missing between them, and refused packets. They wrap at 2^32.
  std::atomic<std::uint32_t> rtp_packets{0};
  std::atomic<std::uint32_t> rtp_lost{0};
  std::atomic<std::uint32_t> refused{0};
  /// Jitter of the stream heard last, in microseconds.
  std::atomic<std::uint32_t> jitter_us{0};
  /// How well the transport works, as coarse classes packed into one number (`Transport::standing`). Another
  /// value than before means that the verdict about it may have changed. 0 = not marked yet.
  std::atomic<std::uint32_t> standing{0};
};

/// Everything that a transport knows, as plain values: for views, and for an export that another process
/// restores. Raise `kVersion` when it changes. Members that are "not part of an export" serve views only.
struct TransportSnapshot {
  static constexpr int kVersion = 1;
  /// Quality history of one SSRC.
  struct Quality {
    /// False: there is none, and `history` means nothing.
    bool present = false;
    QualityHistory history;
    bool operator==(const Quality&) const = default;
  };
  /// The state of one media source.
  struct Source {
    MediaId media;
    /// Streams that arrive from the party.
    std::vector<SsrcCounters> ingress;
    /// Quality of each stream in `ingress`, in the same order.
    std::vector<Quality> quality;
    /// Streams that leave for the party.
    std::vector<SsrcCounters> egress;
    /// DTMF presses of the party.
    KeyPresses::State presses;
    // The last seconds of each stream in `ingress` and `egress`, in the same order. Not part of an export.
    std::vector<RecentStream> ingress_recent;
    std::vector<RecentStream> egress_recent;
    /// The party's newest report on each stream of `egress` that it reported on. Not part of an export.
    std::vector<ListenerReport> reports;
    bool operator==(const Source&) const = default;
  };
  /// State of the keys in force: what was received and sent under them. The keys themselves are not included.
  struct Srtp {
    /// One state for each receiving key, in the order of the plan.
    std::vector<SrtpReceiver::State> received;
    SrtpSender::State sent;
    bool operator==(const Srtp&) const = default;
  };
  /// The latches, by component.
  std::array<Latch::Snapshot, 2> latch;
  /// Address that packets go to, by component; unset if there is none.
  std::array<Endpoint, 2> destination;
  /// Totals, by component.
  std::array<ComponentCounters, 2> counters;
  /// Newest accepted packet, by component.
  std::array<Instant, 2> last_packet{};
  DropCounters drops;
  std::vector<Source> sources;
  /// Set for a protected transport. Keys that DTLS agreed on for RTCP on its own port are not included.
  std::optional<Srtp> srtp;
  /// The DTLS state of one component.
  struct Handshake {
    DtlsChannel::State state = DtlsChannel::State::kWaiting;
    /// Keys that the handshake agreed on: secrets (SRT-15).
    std::optional<DtlsKeys> keys;
    /// Number of the association that `keys` belong to; 0 = that of the plan with which they are restored.
    std::uint32_t association = 0;
    /// DTLS for explanations; not part of an export.
    DtlsEvidence evidence{};
    bool operator==(const Handshake&) const = default;
  };
  /// The handshakes, by component.
  using Dtls = std::array<Handshake, 2>;
  std::optional<Dtls> dtls;
  /// True if only the keys in `dtls` count: for new ports of a party whose keys go on (DTL-11). Control sets
  /// it.
  bool only_keys = false;
  /// State of ICE.
  struct Ice {
    IceAgent::State state = IceAgent::State::kWaiting;
    /// The pair that carries data, by component; nothing if there is none.
    std::array<std::optional<IceAgent::Selected>, 2> selected;
    /// True if that pair was found under earlier credentials, because a restart is under way.
    std::array<bool, 2> is_former{};
    bool operator==(const Ice&) const = default;
  };
  std::optional<Ice> ice;
  /// State of an offer that waits for its answer.
  struct Proposal {
    std::array<Latch::Snapshot, 2> latch;
    /// SSRCs of the proposed source.
    std::vector<Ssrc> streams;
    bool operator==(const Proposal&) const = default;
  };
  std::optional<Proposal> proposal;
  /// Refusals and failures for explanations; not part of an export.
  std::optional<Evidence> evidence;
  /// Drops of the last seconds; not part of an export.
  RecentDrops recent_drops;
  /// Packets that left from the RTP port since the oldest mark, whatever their SSRC. Not part of an export.
  std::uint32_t recent_sent = 0;
  /// Drops on the way out, newest first. Only reason, times, first and last time are set. Not part of an
  /// export.
  std::vector<Refusal> leaving;
  /// True if the present peer has sent something valid.
  bool verified = false;
  /// True if ICMP errors have paused the component (LAT-12a). Not part of an export: if the peer is still
  /// gone, three more errors pause it again.
  std::array<bool, 2> paused{};
  bool operator==(const TransportSnapshot&) const = default;
};

/// Counts of a transport over all its streams together.
struct TransportFigures {
  /// Totals, by component.
  std::array<ComponentCounters, 2> counters;
  /// RTP packets that should have come, by sequence numbers.
  std::uint64_t expected = 0;
  /// RTP packets that came, duplicates not counted.
  std::uint64_t received = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t lost = 0;
  /// Datagrams that were no RTP: UDPTL and other protocols, and malformed RTP.
  std::uint64_t not_rtp = 0;
  /// Longest time between two packets of one SSRC.
  Duration longest_gap{0};
  // Jitter in clock units, of the SSRC that sent last.
  double jitter = 0;
  double jitter_max = 0;
  double jitter_mean = 0;
  /// Packets of prompts that were sent; `counters` include them. The worker sets it.
  std::uint64_t played = 0;
  /// How many packets fewer left than came, because repacketizing joined them for the peer; 0 if more left.
  /// The worker sets it.
  std::uint64_t joined = 0;
};

/// Verdict on a received datagram: what the worker has to do with it.
struct Verdict {
  /// What to do:
  /// - kForward: send it to the sinks.
  /// - kHold: hold it, because its source or SSRC is not confirmed yet.
  /// - kRelease: the source or SSRC was just confirmed; judge the held packet, then this one again.
  /// - kKeep: keep it for the answer, as nobody may hear it yet; nothing was counted (LAT-14).
  /// - kDrop: it was dropped and counted.
  enum class Kind : std::uint8_t { kForward, kHold, kRelease, kKeep, kDrop };
  Kind kind = Kind::kDrop;
  /// Reason of kDrop and kKeep.
  DropReason reason = DropReason::kNone;
  /// Place of the held packet, for kHold and kRelease.
  std::uint8_t slot = 0;
  /// kForward: index in `plan().sources`.
  std::uint8_t source = 0;
  /// kForward: true for RTCP.
  bool is_rtcp = false;
  /// kForward: false if no SDP has the payload type of the packet (DMX-4).
  bool is_negotiated = true;
  /// kForward: true if this packet confirms that its sender began its sequence anew (SSR-4).
  bool restarts = false;
};

/// Rare events that control should know. The worker passes each kind on at most once in 10 s (LIM-4).
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

/// Things that a transport may use while it works on handshakes. Valid during one call.
struct HandshakeTurn {
  /// The worker's limit of handshakes.
  DtlsBudget& budget;
  /// Sends through the transport's ports.
  PortOutput& out;
  Instant now;
  /// This relay's own media ports.
  const OwnMedia& own;
};

/// Judges and counts the packets of one transport; bytes and a time go in, a verdict comes out. Sans-IO. One
/// worker owns it, and it moves to another worker as a whole.
class Transport {
 public:
  /// Slots in which the worker must be able to hold packets. Their order: probation of RTP, of RTCP, of
  /// SSRCs, then of RTP and RTCP of a proposed source.
  static constexpr std::size_t kPendingSsrcs = 8;
  static constexpr std::size_t kSsrcSlots = Latch::kHoldSlots * 2;
  static constexpr std::size_t kProposedSlots = kSsrcSlots + kPendingSsrcs;
  static constexpr std::size_t kHoldSlots = kProposedSlots + Latch::kHoldSlots * 2;
  /// True if a packet held in `slot` waits for its SSRC to be confirmed, not for its source.
  static constexpr bool is_ssrc_slot(std::size_t slot) noexcept {
    return slot >= kSsrcSlots && slot < kProposedSlots;
  }

  /// `plan` has at least one source. `activity` is shared with control. Packets from `barred`, if set, are
  /// refused for the rest time of PRT-2: it is the peer of an earlier call on these ports.
  Transport(TransportId id, std::shared_ptr<const TransportPlan> plan,
            std::shared_ptr<TransportActivity> activity, Instant now, const Endpoint& barred = {});

  /// Swaps the plan. Learning begins anew only if the plan's epoch rose. Counters stay.
  void set_plan(std::shared_ptr<const TransportPlan> plan, Instant now);
  [[nodiscard]] const TransportPlan& plan() const noexcept { return *plan_; }
  [[nodiscard]] TransportId id() const noexcept { return id_; }
  void set_id(TransportId id) noexcept { id_ = id; }

  /// Judges one received datagram; a protected one has been opened by `unprotect`. `own` are this relay's
  /// media ports. Changes state only if the source rule allows it (DMX-5). Sets `rtp` and `payload` of the
  /// packet.
  [[nodiscard]] Verdict on_datagram(ReceivedPacket& packet, const OwnMedia& own) noexcept;
  /// Moves all times forward by `pause`, during which this process did not run; `now` is its end. A pause is
  /// nobody's silence (C-13).
  void skip(Duration pause, Instant now) noexcept;

  /// True if its packets are SRTP and SRTCP.
  [[nodiscard]] bool is_protected() const noexcept { return plan_->srtp != nullptr; }
  /// Decrypts a received datagram in place, before `on_datagram` judges it.
  ///
  /// `packet`  its `datagram` becomes the plain packet, its `origin` the key and index that it came with; see
  ///           `protect`. What is neither RTP nor RTCP stays as it is.
  /// `opened`  not null if the packet was opened in a batch already (`prepare_unprotect`).
  /// Returns   kNone, or why the packet is dropped. A drop is counted here, and nothing else changes (DMX-5,
  ///           SRT-2). kEarlyMedia: keep it, the answer may bring its key; nothing was counted (LAT-14).
  [[nodiscard]] DropReason unprotect(ReceivedPacket& packet, const OwnMedia& own,
                                     const SrtpOpened* opened = nullptr) noexcept;
  /// For batches: true if the datagram is worth opening beforehand; `work` then says how. If it proves to be
  /// authentic, pass `opened` to `unprotect`, which makes all changes of state.
  [[nodiscard]] bool prepare_unprotect(const ReceivedPacket& packet, SrtpWork& work,
                                       SrtpOpened& opened) const noexcept;
  /// Encrypts a packet that is about to leave, in place.
  ///
  /// `space`   begins with the packet of `size` octets and has room for the tag behind it; `size` grows.
  /// `source`  the transport that the packet came to; null for our own packets.
  /// `origin`  how the packet came to `source`.
  /// `later`   if not null, an RTP packet is only prepared, and `size` becomes its size once sealed. The
  ///           caller has it sealed before sending it.
  /// Returns   kNone, or why the packet must not leave.
  [[nodiscard]] DropReason protect(bool is_rtcp, MutableBytes space, std::size_t& size,
                                   const Transport* source, SrtpOrigin origin,
                                   SrtpWork* later = nullptr) noexcept;
  /// Replaces the SSRCs of a packet of `source` by those that this transport's party knows. A party with a
  /// key of its own gets a new SSRC for a stream whose numbers it could not follow (RFC 3711 §3.3.1). RTCP
  /// also names streams that the party of `source` knows by other SSRCs; these are translated back. `media`
  /// is the packet's media, `kind` its protocol. Returns kNone, or why the packet must not leave.
  [[nodiscard]] DropReason translate_ssrcs(const Transport& source, MediaId media, const Verdict& verdict,
                                           DatagramClass kind, MutableBytes packet) noexcept;
  /// True if it has handshakes or checks that a datagram of `kind` may belong to.
  [[nodiscard]] bool has_handshake(DatagramClass kind) const noexcept {
    return kind == DatagramClass::kDtls ? plan_->dtls != nullptr
                                        : kind == DatagramClass::kStun && plan_->ice != nullptr;
  }
  /// True if a source may take part in a handshake (DTL-2).
  [[nodiscard]] bool may_speak(LocalPort at, const Endpoint& from, const OwnMedia& own) const noexcept;
  /// Takes a received DTLS or STUN datagram. kNone if it was used or is held; otherwise why it was dropped,
  /// which is counted here.
  DropReason on_handshake(const ReceivedPacket& packet, HandshakeTurn turn);
  /// Begins the handshakes and checks that the plan asks for, and goes on with those that are due.
  void drive(HandshakeTurn turn);
  /// When `drive` or `take_ended_press` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due(Instant now) const noexcept;
  /// Call it before the transport moves to another worker: it gives back what belongs to this one.
  void leave_worker() noexcept;
  /// True if it sends under the very key that `source` receives with, so that changed packets of it cannot go
  /// out.
  [[nodiscard]] bool relays_key_of(const Transport& source) const noexcept;

  /// Next hop of a packet.
  struct NextHop {
    /// Unset if it goes nowhere; `reason` then says why.
    Endpoint to;
    /// The port that it leaves through.
    Component via = Component::kRtp;
    DropReason reason = DropReason::kNone;
    /// Number of the local address that it leaves from.
    std::uint8_t local = 0;
    /// True if `to` is the learned peer of a locked stream, which stays for many packets.
    bool locked = false;
  };
  /// The next hop of a packet of `component`. While the component is paused, asking may use up the probe
  /// (LAT-12a).
  [[nodiscard]] NextHop next_hop(Component component, Instant now) noexcept;
  /// Counts a packet that left for the media `to` through the port of `via`; `datagram` is the plain packet.
  /// `kind` is what it left as: RTP, RTCP, or another protocol that passed whole.
  void on_sent(Component via, DatagramClass kind, Bytes datagram, MediaId to, Instant now) noexcept;

  // Forwarding by the kernel (see relay/core/offload). Whoever forwards a stream owns its state.
  /// Describes the stream `ssrc` for the kernel, as far as this transport knows it, together with its state.
  /// `local`, `sinks` and `sampling` of the flow are left to the caller. Nothing if user space has to see the
  /// packets.
  [[nodiscard]] std::optional<std::pair<OffloadFlow, OffloadState>> lend(Ssrc ssrc) const;
  /// Takes over what the kernel counted. `state` is the present reading; `seen` is the reading before it, as
  /// drops are counted since the installation. Returns what happened to the stream since it was lent or
  /// absorbed last.
  SentBelow absorb(const OffloadState& state, const OffloadState& seen);
  /// Counts what the kernel sent to the media `to`, as `on_sent` does for packets.
  void on_sent_below(const SentBelow& what, MediaId to);
  /// The address that media goes to until the plan or the latch changes; unset if every packet has to be
  /// decided.
  [[nodiscard]] Endpoint lasting_hop() const noexcept;

  /// Notes that a packet did not reach its receiver. `never_left` is true if this host could not send it;
  /// only then it counts as an error.
  void on_send_failed(Component via, const SendFailure& failure, bool never_left) noexcept {
    if (never_left) ++counters_[index(via)].errors_out;
    if (Evidence* evidence = made_evidence()) evidence->note(failure);
  }
  /// Notes an ICMP error about a packet that had left for `to`. `is_fed_below`: the kernel sends there
  /// packets that this transport does not see. Returns true if the error pauses the component (LAT-12a).
  bool on_unreachable(Component via, const Endpoint& to, bool is_fed_below, Instant now) noexcept;
  /// Keeps a refused datagram for explanations.
  void note_refusal(const ReceivedPacket& packet, DropReason reason) noexcept;
  /// Puts a received datagram and what became of it into the flight recorder. `start` is its beginning,
  /// `size` the whole; `is_below`: the kernel forwarded it.
  void record_flight(Component component, const Endpoint& from, Bytes start, std::size_t size,
                     DropReason reason, bool is_below, Instant now) noexcept;
  /// True if an RTP packet has a payload type that was not negotiated, and its source or SSRC is not known
  /// yet. Nothing may follow from such a packet (DMX-4). The packet has a whole fixed header.
  [[nodiscard]] bool refuses_type(const ReceivedPacket& packet) const noexcept;
  /// Measures the loudness of a packet that the kernel forwarded, by its start.
  void on_sample(Bytes start, Instant now) noexcept;
  /// The flight recorder; null if nothing was recorded.
  [[nodiscard]] const FlightRing* flight() const noexcept { return flight_.get(); }
  /// Takes the flight recorder away; null if nothing was recorded.
  [[nodiscard]] std::unique_ptr<FlightRing> take_flight() noexcept { return std::move(flight_); }
  /// Counts `times` received packets as dropped.
  void count_refused(Component component, DropReason reason, std::uint32_t times) noexcept {
    count_arriving(reason, times);
    counters_[index(component)].errors_in += times;
    activity_->refused.store(activity_->refused.load(std::memory_order_relaxed) + times,
                             std::memory_order_relaxed);
  }
  /// Counts packets of this transport's party that were dropped, on arrival or because a receiver refuses
  /// them.
  void count_arriving(DropReason reason, std::uint32_t times = 1) noexcept {
    drops_.add(DropSide::kArriving, reason, times, Instant{});
  }
  /// Counts packets that were dropped on their way out to this transport's party.
  void count_leaving(DropReason reason, std::uint32_t times, Instant now) noexcept {
    drops_.add(DropSide::kLeaving, reason, times, now);
  }

  // Figures of the last seconds (relay/core/evidence).
  /// Makes a mark, so that `snapshot` can tell the last 10 to 12 s apart from the call, and updates
  /// `TransportActivity::standing`. The worker calls it every `kMarkInterval`, whether or not packets come.
  void mark(Instant now) noexcept;
  /// When the newest mark was made; before the first one, when the transport was made or restored.
  [[nodiscard]] Instant marked_at() const noexcept { return marks_.newest_at(); }

  /// Round trip between this relay and the peer, by the peer's last receiver report; zero if unknown.
  [[nodiscard]] Duration round_trip() const noexcept { return rtcp_ ? rtcp_->round_trip : Duration{0}; }
  /// Quality as one RTCP report shows it.
  struct Report {
    QualitySample sample;
    /// Jitter of the reporter's own stream, as measured here.
    Duration jitter_measured{0};
  };
  /// Completes the quality sample of the RTCP packet that was judged last, with the round trip of the other
  /// leg. Nothing if the packet had no usable report or a round trip is unknown.
  std::optional<Report> complete_report(Duration far_round_trip, Instant now);

  /// Index in `plan().sources` of a media; nothing if this transport does not carry it.
  [[nodiscard]] std::optional<std::size_t> source_of(MediaId media) const noexcept;
  /// The DTMF presses that an accepted RTP packet ends, each reported once. `payload` is the entry of its
  /// payload type.
  [[nodiscard]] KeyPresses::Told presses_of(std::size_t source, const PayloadEntry& payload,
                                            const ReceivedPacket& packet) noexcept;
  /// A DTMF press that ended by time, without a packet that says so; call it until it returns nothing. With
  /// `all`, presses that are still open end too.
  [[nodiscard]] std::optional<DtmfEvent> take_ended_press(Instant now, bool all) noexcept;
  /// Queues an event for `take_event`.
  void note(TransportEvent event) noexcept { events_ |= 1u << static_cast<unsigned>(event); }
  /// Takes the next queued event; nothing if there is none, or if its kind was passed on less than 10 s ago.
  [[nodiscard]] std::optional<TransportEvent> take_event(Instant now) noexcept;

  /// Steps of prefetching what a packet needs, in the order in which the addresses become known. The
  /// transport object itself is fetched first.
  enum class Fetch : std::uint8_t { kParts, kLists, kSession, kContext };
  /// Begins to load what receiving needs in this step.
  void prefetch_arriving(Fetch step) const noexcept;
  /// Begins to load what sending needs in this step.
  void prefetch_leaving(Fetch step) const noexcept;

  [[nodiscard]] const std::shared_ptr<TransportActivity>& activity() const noexcept { return activity_; }
  [[nodiscard]] const Latch& latch(Component component) const noexcept { return latch_[index(component)]; }
  /// Drops of both directions.
  [[nodiscard]] DropCounters drops() const noexcept { return drops_.counters(); }
  /// Calls `visit` with the counters of each SSRC that arrives.
  template <class Visit>
  void for_each_stream(Visit visit) const {
    for (const SourceState& source : states_) {
      for (const StreamStats& stream : source.ingress) visit(stream.counters());
    }
  }
  /// All that it knows. `now` ends the figures of the last seconds.
  [[nodiscard]] TransportSnapshot snapshot(Instant now) const;
  /// The statistics alone, at less cost.
  [[nodiscard]] TransportFigures figures() const;
  /// Goes on where a snapshot was taken. What the keys have received and sent is not restored from it:
  /// `SrtpPlan::contexts` has that.
  void restore(const TransportSnapshot& snapshot, Instant now);

 private:
  /// A new SSRC that waits for its second packet (SSR-1).
  struct PendingSsrc {
    Ssrc ssrc;
    SeqNo sequence;
    bool used = false;
    /// When its packet came; `Instant{}` = the place is free.
    Instant seen{};
  };
  /// The state of one media source.
  struct SourceState {
    /// Streams that arrive, one for each admitted SSRC.
    std::vector<StreamStats> ingress;
    /// Streams that leave for the party.
    std::vector<SentStream> egress;
    /// New SSRCs under probation. There are more places than SSRCs can begin at once, so that none pushes out
    /// another before its second packet.
    std::array<PendingSsrc, kPendingSsrcs> pending;
    /// Made by the first telephone-event packet; null before.
    std::unique_ptr<KeyPresses> presses;
    /// Limit of RTP (LIM-1).
    TokenBucket bucket;
    /// Limit of RTCP (RTC-2).
    TokenBucket rtcp_bucket;
    /// Start of the second in which `admitted_in_second` SSRCs were admitted (SSR-1).
    Instant admission_second{};
    std::uint8_t admitted_in_second = 0;
    /// True if the SSRC was admitted and the packet's number is no jump (SSR-4).
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
  /// A sender report that left for the peer.
  struct SentReport {
    Ssrc ssrc;
    std::uint32_t ntp_middle = 0;
    Instant at{};
  };

  /// State of RTCP, made by the first RTCP packet.
  struct RtcpState {
    /// The last sender reports that were sent to the peer. The receiver reports that answer them give the
    /// round trip.
    std::array<SentReport, 8> sent{};
    std::uint8_t next_sent = 0;
    /// Round trip to the peer; zero if unknown.
    Duration round_trip{0};
    std::optional<PendingReport> pending;
    /// Keeps a sender report; the oldest gives way.
    void remember(const SentReport& report) noexcept {
      sent[next_sent] = report;
      next_sent = static_cast<std::uint8_t>((next_sent + 1) % sent.size());
    }
  };
  /// The RTCP state; null if there is no memory for it.
  RtcpState* made_rtcp_state() noexcept {
    if (!rtcp_) rtcp_ = make_unique_or_null<RtcpState>();
    return rtcp_.get();
  }

  static constexpr std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  /// The evidence; null if there is no memory for it.
  Evidence* made_evidence() noexcept {
    if (!evidence_) evidence_ = make_unique_or_null<Evidence>();
    return evidence_.get();
  }
  /// Notes the traits of a packet that was refused.
  void note_traits(const Refusal& refusal, const ReceivedPacket& packet) noexcept;
  /// Notes which of the numbers that are missing since `stream` had lost `lost_before` are those of packets
  /// that were refused. `stream` has just counted packets.
  void note_gap(const SsrcCounters& stream, std::uint64_t lost_before) noexcept;
  /// Updates what control reads: `stream` has just counted `packets`, and had lost `lost_before` before.
  void publish(const SsrcCounters& stream, std::uint64_t packets, std::uint64_t lost_before) noexcept;
  /// Updates what control reads about open DTMF presses.
  void publish_presses() noexcept;
  /// Counts a drop and returns the verdict for it.
  Verdict drop(Component component, DropReason reason) noexcept;
  /// Notes that something valid came from the present peer.
  void hear() noexcept {
    if (!verified_) activity_->is_heard.store(true, std::memory_order_relaxed);
    verified_ = true;
    if (reachability_) {
      for (Reachability& each : *reachability_) each.on_heard();
    }
  }
  /// Marks the peer as heard if a refused datagram is one of its keep-alives (RFC 6263 §4).
  void note_keep_alive(Component component, const Endpoint& from, Bytes datagram, Instant now) noexcept;
  /// The address that packets go to through the port of `via`; unset if there is none.
  [[nodiscard]] Endpoint destination(Component via) const noexcept;
  /// The statistics of an SSRC that leaves for the party, made if new; null if there is no memory.
  SentStream* egress_of(std::size_t source, Ssrc ssrc) noexcept;
  /// Keeps the present counts as the newest mark. `has_mark`: false if `marks_` made none, because nothing
  /// was counted or memory is short; no drop counts as recent then.
  void mark_counts(bool has_mark) noexcept;
  /// True if anything was counted since the transport was made.
  [[nodiscard]] bool has_counted() const noexcept;
  /// Packets that have left from the RTP port, modulo 2^32.
  [[nodiscard]] std::uint32_t sent_rtp() const noexcept {
    return static_cast<std::uint32_t>(counters_[0].packets_out);
  }
  /// Value of `TransportActivity::standing`; never 0.
  [[nodiscard]] std::uint32_t standing(Instant now) const noexcept;
  /// Judges an RTP packet. `from` is the source that the source rule takes it for; see `heard_as`.
  Verdict on_rtp(ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept;
  /// True if a packet that has waited is older than a listener can use (C-13).
  [[nodiscard]] static bool is_stale(const SourceState& state, const RtpView& rtp,
                                     const PayloadEntry* payload, Instant now) noexcept;
  /// Drops such a packet, but counts it: it shows that its sender is there.
  Verdict drop_stale(Component component, SourceState& state, const RtpView& rtp, std::size_t size,
                     Instant now) noexcept;
  /// Judges an RTCP packet; `from` as in `on_rtp`.
  Verdict on_rtcp(const ReceivedPacket& packet, const Endpoint& from, const OwnMedia& own) noexcept;
  /// Judges a datagram of a protocol beside RTP (DMX-6).
  Verdict on_whole(const ReceivedPacket& packet, const OwnMedia& own) noexcept;
  /// True if UDPTL passes beside RTP at present.
  [[nodiscard]] bool takes_udptl() const noexcept;
  /// Goes on with a datagram that is not looked into any further.
  Verdict pass_whole(const Latch::Judgement& judgement, std::size_t first_slot,
                     const ReceivedPacket& packet) noexcept;
  /// Turns a judgement of the latch into a verdict. `first_slot` is the latch's first place for held packets.
  Verdict from_judgement(Component component, const Latch::Judgement& judgement, std::size_t first_slot,
                         Instant now) noexcept;
  /// True while the offerer waits for this peer's answer (LAT-14).
  [[nodiscard]] bool keeps_early(Instant now) const noexcept { return now < plan_->early_until; }

  // An offer that waits for its answer (LAT-15).
  /// What is learned about the proposed source, beside the agreed one.
  struct Proposal {
    std::array<Latch, 2> latch;
    /// SSRCs that the proposed source uses now, the oldest first; all others belong to the agreed source
    /// (SSR-3).
    std::vector<Ssrc> streams;
  };
  /// Lets one of the component's latches judge a packet from `from`. `judge` is called with a latch.
  template <class Judge>
  SourceJudgement judge_source(Component component, const Endpoint& from, Judge judge) noexcept {
    return ferry::judge_source(latch_[index(component)], proposed_latch(component), from, judge);
  }
  /// The latch of the proposed source; null if no offer waits.
  [[nodiscard]] Latch* proposed_latch(Component component) const noexcept {
    return proposal_ ? &proposal_->latch[index(component)] : nullptr;
  }
  /// True if both sources send under the packet's SSRC and this packet must be refused (SSR-3).
  [[nodiscard]] bool collides(const SourceState& state, const RtpView& rtp, bool is_proposed,
                              Instant now) noexcept;
  /// True if the datagram is RTP or RTCP that passes beside UDPTL.
  [[nodiscard]] bool is_rtp_beside_udptl(const ReceivedPacket& packet) const noexcept;
  /// Begins, keeps or ends the proposal after the plan changed; `old` is null at first.
  void follow_proposal(const TransportPlan* old, Instant now);
  /// Counts an accepted datagram and returns the verdict to forward it.
  Verdict deliver(const ReceivedPacket& packet, std::size_t source, bool is_rtcp) noexcept;
  /// The statistics of an SSRC. Null if the packet cannot go on now; `verdict` then says why (SSR-1).
  StreamStats* admit(SourceState& state, const SourcePlan& source, const RtpView& rtp, Instant now,
                     Verdict& verdict) noexcept;
  /// Adds an SSRC; null if there is no memory.
  static StreamStats* add_stream(SourceState& state, Ssrc ssrc) noexcept;
  /// How long somebody has been silent who was heard last at `at`. A pause of this process is no silence
  /// (C-13).
  [[nodiscard]] Duration silence_since(Instant at, Instant now) const noexcept {
    return now - std::max(at, awake_since_);
  }
  /// Reads the reports of an accepted RTCP packet.
  void read_reports(std::size_t source, Bytes compound, Instant now) noexcept;
  /// Index of the source that a packet belongs to, by its SSRC or else its payload type; nothing if no source
  /// takes the type. `payload` becomes the type's entry, or null if it has none.
  [[nodiscard]] std::optional<std::size_t> source_for(PayloadType type, Ssrc ssrc,
                                                      const PayloadEntry*& payload) const noexcept;
  /// True if the SSRC was admitted and the source is the locked peer. Never true under BUNDLE, where the
  /// payload type says whose packet it is.
  [[nodiscard]] bool is_established(const Endpoint& from, Ssrc ssrc) const noexcept;
  /// Keeps a packet whose payload type was not negotiated for explanations. The first one of each type is
  /// reported to control.
  void note_other_type(const Endpoint& from, const RtpView& rtp, Instant now) noexcept;
  /// Keeps the state of those medias that the new plan has too.
  void rebuild_sources(const TransportPlan& old);

  TransportId id_;
  std::shared_ptr<const TransportPlan> plan_;
  std::array<Latch, 2> latch_;
  /// Null: no offer waits, or it leaves the party where it is.
  std::unique_ptr<Proposal> proposal_;
  /// One for each source of the plan, in the same order.
  std::vector<SourceState> states_;
  /// Totals, by component.
  std::array<ComponentCounters, 2> counters_;
  /// Newest accepted packet, by component.
  std::array<Instant, 2> last_packet_{};
  /// Datagrams of other protocols that were accepted.
  std::uint64_t not_rtp_ = 0;
  /// The keys of the plan, and earlier ones that are running out (SRT-6).
  struct Protection {
    /// A key that the peer may encrypt with.
    struct Incoming {
      std::shared_ptr<SrtpReceiving> under;
      /// Until when it is good; `Instant{}`: it is in the plan.
      Instant until{};
      /// Name of the key in `SrtpOrigin`, from 1.
      std::uint32_t number = 0;
    };
    /// The newest key comes first.
    std::vector<Incoming> incoming;
    /// The first of `incoming`, for prefetching only; null if there is none.
    const SrtpReceiving* newest = nullptr;
    /// The key that we encrypt with; null if there is none.
    std::shared_ptr<SrtpSending> sending;
    std::shared_ptr<SrtpContexts> contexts;
    /// SSRCs by which the receiving party knows streams; null until there is a key to send with.
    std::shared_ptr<SsrcTranslation> names;
    std::uint32_t last_number = 0;
    /// When a packet was last tried at other roll-over counters.
    Instant roll_over_tried{};
    /// True if the peer uses the key that it was given to send as well. Each SSRC then has one direction only
    /// (SRT-1).
    bool is_reflected = false;
  };
  /// The DTLS handshakes and what they agreed on, both by component.
  struct Handshakes {
    std::array<DtlsChannel, 2> channels;
    std::array<std::shared_ptr<const SrtpPlan>, 2> agreed;
  };
  /// The handshakes, made if necessary.
  Handshakes& made_dtls() {
    if (!dtls_) dtls_ = std::make_unique<Handshakes>();
    return *dtls_;
  }
  /// Index in `protection_` of the keys for a component's packets.
  [[nodiscard]] std::size_t slot_of(Component component) const noexcept;
  /// The keys of that index; null if there are none.
  [[nodiscard]] const SrtpPlan* keys_of(std::size_t slot) const noexcept;
  /// SSRCs by which the party knows the streams of others; null if they have their own.
  [[nodiscard]] SsrcTranslation* names() const noexcept {
    return protection_[0] ? protection_[0]->names.get() : nullptr;
  }
  /// `translate_ssrcs` for RTCP.
  DropReason translate_rtcp(const Transport& source, MediaId media, MutableBytes packet) noexcept;
  /// Brings all keys in line with the plan and the handshakes.
  void follow_keys(Instant now);
  /// Brings the keys of one index of `protection_` in line.
  void follow_keys(std::size_t slot, Instant now);
  /// How far an RTP packet's stream was under an earlier key or plain, if `context` does not know its SSRC. A
  /// phone may go on counting when it is keyed anew (RFC 3711 §3.3.1).
  [[nodiscard]] std::optional<std::uint64_t> former_index(const Protection& protection,
                                                          const SrtpReceiver& context,
                                                          Bytes datagram) const noexcept;
  /// Tries a packet that did not authenticate at other roll-over counters, at most once a second, and keeps
  /// the finding for explanations.
  void look_for_roll_over(Protection& protection, Bytes datagram, Instant now);
  /// Takes a DTLS datagram, as `on_handshake` does.
  DropReason on_dtls(const ReceivedPacket& packet, HandshakeTurn turn);
  /// Begins DTLS handshakes and goes on with those that are due.
  void drive_dtls(HandshakeTurn turn);
  /// Things that a handshake of `component` may use.
  [[nodiscard]] DtlsTurn dtls_turn(Component component, DatagramOutput& out,
                                   HandshakeTurn turn) const noexcept;
  /// Takes a STUN datagram, as `on_handshake` does.
  DropReason on_stun(const ReceivedPacket& packet, HandshakeTurn turn);
  /// Makes the pairs that ICE selected the source and destination of media (LAT-10).
  void follow_ice(HandshakeTurn turn);
  /// Makes SRTP keys of what the handshake of `component` agreed on.
  void agree(Component component);
  /// Acts on the newest result of a handshake.
  void follow_handshake(Component component, HandshakeTurn turn);
  /// Locks to the address that proved to hold the signalled certificate (LAT-10).
  void lock_proven(Component component, const Endpoint& from, HandshakeTurn turn) noexcept;
  /// State of the keys for a snapshot; nothing for a plain transport.
  [[nodiscard]] std::optional<TransportSnapshot::Srtp> srtp_snapshot() const;
  /// State of the handshakes for a snapshot; nothing without DTLS.
  [[nodiscard]] std::optional<TransportSnapshot::Dtls> dtls_snapshot() const;
  /// Restores the selected pairs and the keys that DTLS agreed on.
  void restore_keys(const TransportSnapshot& snapshot, Instant now);
  /// Which latch a protected packet speaks to, and what it may do there.
  [[nodiscard]] Hearing hearing_of(Component component, const Endpoint& from, Instant now) const noexcept;
  /// The latch that a hearing names.
  [[nodiscard]] Latch& latch_of(Component component, Hearing hearing) noexcept {
    return hearing.is_proposed ? proposal_->latch[index(component)] : latch_[index(component)];
  }
  /// Why a protected packet must not be opened, because its sender is not worth the checksum or it must not
  /// use up an index; kNone if it is to be opened.
  [[nodiscard]] DropReason refusal_before_opening(const ReceivedPacket& packet, Hearing hearing,
                                                  const OwnMedia& own) noexcept;
  /// Opens a datagram under the keys that are good now. `size` becomes that of the plain packet, `origin` the
  /// key and index, even for a packet that is refused as a replay.
  SrtpResult open(Protection& protection, const ReceivedPacket& packet, std::size_t& size, SrtpOrigin& origin,
                  const SrtpOpened* opened) noexcept;
  /// True if a packet that was refused as a replay under the key of `origin` has a right tag. The octets of
  /// the packet are spoiled afterwards.
  [[nodiscard]] static bool is_authentic_replay(const Protection& protection, const ReceivedPacket& packet,
                                                SrtpOrigin origin) noexcept;
  /// True if the RTP packet would be above every index of its SSRC (LAT-8b).
  [[nodiscard]] static bool is_newest(const Protection& protection, Bytes datagram) noexcept;
  /// Lets the latch follow an authentic packet (LAT-10); false if nobody may become the peer. RTCP on its own
  /// port follows RTP's address (LAT-9).
  [[nodiscard]] bool follow_authentic(Component component, const Endpoint& from, Hearing hearing,
                                      Instant now) noexcept;
  /// The source that the source rule takes `from` for. With ICE the peer may send from every pair that passed
  /// a check, not only from the selected one (RFC 8445 §12).
  [[nodiscard]] const Endpoint& heard_as(Component component, const Endpoint& from) const noexcept;
  /// Path that a handshake of `component` takes now; unset if there is none yet. With ICE that is the
  /// selected pair, and after a restart only a pair of the new session.
  [[nodiscard]] Path handshake_way(Component component) const noexcept;

  std::shared_ptr<TransportActivity> activity_;
  /// Indexed by `slot_of`; null if the index has no keys.
  std::array<std::unique_ptr<Protection>, 2> protection_;
  /// Made when a handshake begins; null otherwise.
  std::unique_ptr<Handshakes> dtls_;
  /// The ICE agent, made on first use.
  IceAgent& made_ice(Instant now) {
    if (!ice_) {
      ice_ = std::make_unique<IceAgent>();
      ice_->follow(*plan_->ice, now);
    }
    return *ice_;
  }
  /// Made on first use; null without ICE.
  std::unique_ptr<IceAgent> ice_;
  /// Number of the local address that each component's packets leave from.
  std::array<std::uint8_t, 2> local_{};
  /// The present peer has sent something valid.
  bool verified_ = false;
  /// Packets of the party that were refused and whose numbers no stream has missed yet.
  std::uint32_t refused_numbers_ = 0;
  std::unique_ptr<RtcpState> rtcp_;
  std::unique_ptr<Evidence> evidence_;
  std::unique_ptr<FlightRing> flight_;
  /// Pauses by ICMP errors, by component; made by the first error.
  std::unique_ptr<std::array<Reachability, 2>> reachability_;
  /// When the last packet left, by component.
  std::array<Instant, 2> last_sent_{};
  /// Newest keep-alive of the peer.
  Instant last_keep_alive_{};
  /// When packets were received again after the last pause of this process; `Instant{}` = there was none.
  Instant awake_since_{};
  /// Queued events, one bit for each kind.
  std::uint32_t events_ = 0;
  static_assert(static_cast<int>(TransportEvent::kCount) <= std::numeric_limits<decltype(events_)>::digits,
                "every event has a bit of its own");
  /// When each kind of event was last passed on; made by the first one.
  std::unique_ptr<std::array<Instant, static_cast<std::size_t>(TransportEvent::kCount)>> event_sent_;
  DropLedger drops_;
  /// The times of all marks that its counters keep, and the packets that had left from the RTP port.
  TransportMarks marks_;
};

}  // namespace ferry
