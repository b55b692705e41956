// SPDX-License-Identifier: Apache-2.0
// The streams of a transport: which media source a packet belongs to, and what is known of each SSRC.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/base/prefetch.hpp"
#include "relay/core/evidence/marks.hpp"
#include "relay/core/forward/plan.hpp"
#include "relay/core/forward/transport_activity.hpp"
#include "relay/core/forward/transport_figures.hpp"
#include "relay/core/forward/transport_snapshot.hpp"
#include "relay/core/latch/latch.hpp"
#include "relay/core/offload/flow_offload.hpp"
#include "relay/core/packet/received_packet.hpp"
#include "relay/core/rtcp/report_keeper.hpp"
#include "relay/core/rtcp/rtcp.hpp"
#include "relay/core/rtcp/rtcp_sections.hpp"
#include "relay/core/rtp/key_presses.hpp"
#include "relay/core/rtp/sent_stream.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <vector>

namespace ferry {

class Streams;

/// Tells the RTCP of a BUNDLE group which medias an SSRC belongs to, by the streams of the transport. Borrows
/// the streams.
class GroupStreams final : public SectionDirectory {
 public:
  explicit GroupStreams(const Streams& streams) noexcept : streams_(streams) {}
  [[nodiscard]] SectionMask sent_in(Ssrc ssrc) const noexcept override;
  [[nodiscard]] SectionMask heard_in(Ssrc ssrc) const noexcept override;

 private:
  const Streams& streams_;
};

/// The state of each media source of one transport: the SSRCs that arrive and leave, and their statistics. It
/// also has the admission of new SSRCs (SSR-1), limits, DTMF presses, and what RTCP reports say.
///
/// It knows no addresses. Whoever calls it has made sure that a packet comes from the peer; only then it may
/// change state (DMX-5). Sans-IO; the transport's worker owns it.
class Streams {
 public:
  /// Places for new SSRCs that wait for their second packet.
  static constexpr std::size_t kPendingSsrcs = 8;
  /// SSRCs whose MID is remembered; the one that was named longest ago gives way.
  static constexpr std::size_t kMostNamed = 64;

  /// `plan` and `activity` are borrowed; the plan until `set_plan` brings another one.
  Streams(const TransportPlan& plan, TransportActivity& activity)
      : plan_(&plan), activity_(&activity), states_(plan.sources.size()) {
    follow_reports();
  }
  /// Swaps the plan. The state of those medias that both plans have stays. `plan` is borrowed; the plan of
  /// before is alive during the call.
  void set_plan(const TransportPlan& plan);

  // Demultiplexing.
  /// The source that a packet belongs to.
  struct Belongs {
    /// Index in the plan's sources.
    std::size_t source = 0;
    /// The entry of its payload type; null if it has none.
    const PayloadEntry* payload = nullptr;
  };
  /// Finds the source of an RTP packet in the order of RFC 9143 §9.2: by MID, then by SSRC, then by payload
  /// type. A packet without MID has the one that named its SSRC before; without one, its SSRC belongs where
  /// it was admitted, or else where the party's SDP has it. Nothing if no source takes the packet.
  /// `rtp` has at least a whole fixed header; SRTP will do, because header extensions are not encrypted.
  [[nodiscard]] std::optional<Belongs> source_for(PayloadType type, Ssrc ssrc, Bytes rtp) const noexcept;
  /// Remembers the MID in an RTP packet from the peer, if there is one, for packets of its SSRC without MID.
  /// `source` is what `source_for` has found.
  void note_mid(std::size_t source, Ssrc ssrc, Bytes rtp) noexcept {
    if (plan_->mid_extension != 0) remember_mid(source, ssrc, rtp);
  }
  /// Index of the source that a valid RTCP compound counts for: that of its sender, else the first one that
  /// it speaks of, else 0.
  [[nodiscard]] std::size_t source_of_rtcp(Bytes compound) const noexcept;
  /// The sources in which the peer sends the stream (FB-1); 0 if in none.
  [[nodiscard]] SectionMask sources_sending(Ssrc ssrc) const noexcept;
  /// The sources in which the peer is sent the stream (FB-1); 0 if in none.
  [[nodiscard]] SectionMask sources_hearing(Ssrc ssrc) const noexcept;
  /// True if there is one source only, and it has admitted the SSRC.
  [[nodiscard]] bool is_admitted_to_only_source(Ssrc ssrc) const noexcept {
    return states_.size() == 1 && find(0, ssrc) != nullptr;
  }
  /// True if the SSRC was admitted and `from` is the locked peer. `latch` is that of the RTP component. Never
  /// true if several medias share the transport: MID, SSRC or payload type must then say whose packet it is.
  [[nodiscard]] bool is_established(const Latch& latch, const Endpoint& from, Ssrc ssrc) const noexcept {
    return latch.state() == Latch::State::kLocked && from == latch.learned() &&
           is_admitted_to_only_source(ssrc);
  }
  /// True if an RTP packet has a payload type that was not negotiated, and its source or SSRC is not known
  /// yet. Nothing may follow from such a packet (DMX-4). The packet has a whole fixed header; `latch` is that
  /// of the RTP component.
  [[nodiscard]] bool refuses_type(const ReceivedPacket& packet, const Latch& latch) const noexcept {
    const PayloadType type{static_cast<std::uint8_t>(read_u8(packet.datagram, 1) & 0x7f)};
    const Ssrc ssrc{read_u32(packet.datagram, 8)};
    return !source_for(type, ssrc, packet.datagram) &&
           (!is_established(latch, packet.from, ssrc) || has_unknown_mid(packet.datagram));
  }
  /// True if an RTP packet has a MID that names no media: it is nobody's, whoever sends it (RFC 9143 §9.2).
  /// `rtp` as in `source_for`.
  [[nodiscard]] bool has_unknown_mid(Bytes rtp) const noexcept {
    return plan_->mid_extension != 0 && source_by_mid(Ssrc{}, rtp).is_unknown;
  }
  /// Index of a media in the plan's sources; nothing if the transport does not carry it.
  [[nodiscard]] std::optional<std::size_t> source_of(MediaId media) const noexcept;

  // Streams that arrive.
  /// The statistics of an admitted SSRC; null if it is none.
  [[nodiscard]] StreamStats* find(std::size_t source, Ssrc ssrc) noexcept {
    for (StreamStats& stream : states_[source].ingress) {
      if (stream.counters().ssrc == ssrc) return &stream;
    }
    return nullptr;
  }
  [[nodiscard]] const StreamStats* find(std::size_t source, Ssrc ssrc) const noexcept {
    for (const StreamStats& stream : states_[source].ingress) {
      if (stream.counters().ssrc == ssrc) return &stream;
    }
    return nullptr;
  }
  /// A stream of this SSRC that has counted packets, whatever its source; null if there is none.
  [[nodiscard]] const StreamStats* find_counted(Ssrc ssrc) const noexcept;
  /// What `admit` has decided about a packet's SSRC.
  struct Admission {
    enum class Kind : std::uint8_t {
      /// It is admitted; `stream` has its statistics.
      kAdmitted,
      /// The packet has to be held until the next one in sequence confirms the SSRC.
      kHeld,
      /// It was just confirmed: judge the held packet first, then this one again.
      kConfirmed,
      /// The packet is dropped for `reason`.
      kRefused,
    };
    Kind kind = Kind::kRefused;
    StreamStats* stream = nullptr;
    DropReason reason = DropReason::kNone;
    /// kHeld, kConfirmed: number of the place among `kPendingSsrcs`.
    std::uint8_t place = 0;
    /// True if this packet ends the wait of one that was held, whether or not it is admitted.
    bool ends_wait = false;
  };
  /// Admits the SSRC of a packet from the peer, or has it wait for confirmation (SSR-1). `awake_since` is the
  /// end of the last pause of this process, which is nobody's silence.
  [[nodiscard]] Admission admit(std::size_t source, const RtpView& rtp, Instant awake_since,
                                Instant now) noexcept;
  /// True if the SSRC was admitted and the packet's number is no jump (SSR-4).
  [[nodiscard]] bool continues(std::size_t source, Ssrc ssrc, SeqNo sequence) const noexcept {
    const StreamStats* stream = find(source, ssrc);
    return stream != nullptr && !stream->is_jump(sequence);
  }
  /// True if any stream has counted another packet that is the same one, by number and time stamp.
  [[nodiscard]] bool has_counted(Ssrc ssrc, SeqNo sequence, std::uint32_t timestamp,
                                 Instant now) const noexcept;
  /// True if a packet that has waited is older than a listener can use (C-13).
  [[nodiscard]] bool is_stale(std::size_t source, const RtpView& rtp, const PayloadEntry* payload,
                              Instant now) const noexcept;
  /// True if the source has admitted an SSRC.
  [[nodiscard]] bool has_arrivals(std::size_t source) const noexcept {
    return !states_[source].ingress.empty();
  }
  /// Measures the loudness of a packet that the kernel forwarded, by its start.
  void on_sample(Bytes start, Instant now) noexcept;

  // Limits.
  /// Takes `octets` of media out of the source's limit (LIM-1); false if it is used up.
  [[nodiscard]] bool take_rate(std::size_t source, std::size_t octets, Instant now) noexcept {
    return states_[source].bucket.take(plan_->sources[source].rate, octets, now);
  }
  /// Takes an RTCP packet of `octets` out of the source's limit (RTC-2); false if it is used up.
  [[nodiscard]] bool take_rtcp_rate(std::size_t source, std::size_t octets, Instant now) noexcept;
  /// State of the media limit, for the kernel.
  [[nodiscard]] TokenBucket& bucket(std::size_t source) noexcept { return states_[source].bucket; }
  [[nodiscard]] const TokenBucket& bucket(std::size_t source) const noexcept {
    return states_[source].bucket;
  }

  // Streams that leave.
  /// Counts an RTP or RTCP packet that left for the media `to`. Sender reports in it are remembered, because
  /// the reports that answer them give the round trip.
  void on_sent(DatagramClass kind, Bytes datagram, MediaId to, Instant now) noexcept;
  /// True if packets of `ssrc` leave for another media than `to`, and none for `to`. If they left for `to` as
  /// well, the party would take two streams for one (BND-22).
  [[nodiscard]] bool is_taken_elsewhere(MediaId to, Ssrc ssrc) const noexcept;
  /// True if the party has reported about the stream `ssrc` that leaves for its media `to`. The party then
  /// knows which media the stream belongs to.
  [[nodiscard]] bool is_reported(MediaId to, Ssrc ssrc) const noexcept;
  /// Takes the party for one that has not reported about any stream: another client has taken its place, for
  /// example a reloaded page.
  void forget_reports() noexcept;
  /// True if a stream of this SSRC is known to have left.
  [[nodiscard]] bool has_sent(Ssrc ssrc) const noexcept {
    return std::ranges::any_of(states_, [&](const SourceState& state) {
      return std::ranges::any_of(state.egress,
                                 [&](const SentStream& stream) { return stream.counters().ssrc == ssrc; });
    });
  }
  /// The last packet of a stream that left.
  struct LastSent {
    Ssrc ssrc;
    SeqNo sequence;
    std::uint32_t timestamp = 0;
    Instant at{};
    /// Its type, if the plan has reports of the relay's own; nothing otherwise.
    std::optional<PayloadType> type{};
  };
  /// The last packet that left for the media `to`; nothing if none did.
  [[nodiscard]] std::optional<LastSent> last_sent(MediaId to) const noexcept;
  /// Counts what the kernel sent to the source.
  void on_sent_by_kernel(const OffloadedTraffic& what, std::size_t source);

  // RTCP reports (streams_rtcp.cpp).
  /// Reads the reports of an accepted RTCP packet.
  void read_reports(std::size_t source, Bytes compound, Instant now) noexcept;
  /// Round trip between this relay and the peer, by the peer's last receiver report; zero if unknown.
  [[nodiscard]] Duration round_trip() const noexcept { return rtcp_ ? rtcp_->round_trip : Duration{0}; }
  /// Quality as one RTCP report shows it.
  struct Report {
    QualitySample sample;
    /// Jitter of the reporter's own stream, as measured here.
    Duration jitter_measured{0};
  };
  /// Completes the quality sample of the RTCP packet that was read last, with the round trip of the other
  /// leg. Nothing if the packet had no usable report or a round trip is unknown.
  std::optional<Report> complete_report(Duration far_round_trip, Instant now);

  // Reports of the relay's own (streams_reports.cpp).
  /// What is remembered for them; null if the plan has none.
  [[nodiscard]] ReportKeeper* report_keeper() noexcept { return keeper_.get(); }
  /// One moment, by both clocks.
  struct ReportTime {
    Instant now{};
    WallTime wall{};
  };
  /// Writes a compound for the peer: a sender report of each stream that leaves, or a receiver report, with
  /// blocks about the streams that come, and the CNAME. Returns its size; 0 if the plan has no reports of the
  /// relay's own, or if `into` has no room.
  [[nodiscard]] std::size_t write_report(MutableBytes into, const ReportTime& time) noexcept;

  // Key frames (FB-7).
  /// Shortest time between two requests to one source (FB-7).
  static constexpr Duration kKeyFrameInterval = std::chrono::milliseconds(500);
  /// Notes that a receiver wants a key frame of the source. If memory runs out, the wish is lost (C-12).
  void want_key_frame(std::size_t source) noexcept;
  /// Takes one of the sources that must be asked for a key frame now, and notes it as asked. Returns its
  /// index, or nothing if no source has to be asked now.
  [[nodiscard]] std::optional<std::size_t> take_due_key_frame(Instant now) noexcept;
  /// When `take_due_key_frame` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> key_frame_due() const noexcept;
  /// The stream of the source that receivers see. It is the one with most packets among those that send now,
  /// because retransmissions have a stream of their own (BND-21). Nothing if no stream has begun.
  [[nodiscard]] std::optional<Ssrc> seen_stream(std::size_t source) const noexcept;
  /// The SSRC by which the relay reports to the peer about the source: one that the peer hears in the
  /// source's media, else one that it hears in any media, else a random one.
  [[nodiscard]] Ssrc reporter_for(std::size_t source) const noexcept;

  // DTMF presses.
  /// The presses that an accepted RTP packet ends, each reported once. `payload` is the entry of its payload
  /// type.
  [[nodiscard]] KeyPresses::Told presses_of(std::size_t source, const PayloadEntry& payload,
                                            const ReceivedPacket& packet) noexcept;
  /// A press that ended by time, without a packet that says so; call it until it returns nothing. With `all`,
  /// presses that are still open end too.
  [[nodiscard]] std::optional<DtmfEvent> take_ended_press(Instant now, bool all) noexcept;
  /// True while a press has begun and has not ended.
  [[nodiscard]] bool has_open_press() const noexcept {
    return std::ranges::any_of(
        states_, [](const SourceState& state) { return state.presses && state.presses->is_open(); });
  }
  /// When `take_ended_press` has something to do; nothing if never.
  [[nodiscard]] std::optional<Instant> due() const noexcept;

  // Figures.
  /// Calls `visit` with the counters of each SSRC that arrives.
  template <class Visit>
  void for_each_stream(Visit visit) const {
    for_each_ingress([&](const StreamStats& stream) { visit(stream.counters()); });
  }
  /// Calls `visit` with each stream that arrives.
  template <class Visit>
  void for_each_ingress(Visit visit) const {
    for (const SourceState& source : states_) {
      for (const StreamStats& stream : source.ingress) visit(stream);
    }
  }
  /// Calls `visit` with each stream that leaves.
  template <class Visit>
  void for_each_egress(Visit visit) const {
    for (const SourceState& source : states_) {
      for (const SentStream& stream : source.egress) visit(stream);
    }
  }
  /// True if it has any stream.
  [[nodiscard]] bool has_streams() const noexcept {
    return std::ranges::any_of(
        states_, [](const SourceState& state) { return !state.ingress.empty() || !state.egress.empty(); });
  }
  /// Keeps the present counts as the newest mark of `times`.
  void mark(const MarkTimes& times) noexcept;
  /// Adds the streams that arrive to the figures of a transport.
  void add_to(TransportFigures& figures) const noexcept;
  /// Moves times from which a silence is counted forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept;

  // Steps of prefetching, each of which needs the one before it in the cache.
  /// Begins to load the state of the first source.
  void prefetch_states() const noexcept { prefetch_octets(states_.data(), sizeof(SourceState)); }
  /// Begins to load the first stream that arrives.
  void prefetch_arriving() const noexcept {
    if (!states_.empty()) prefetch_octets(states_.front().ingress.data(), sizeof(SsrcCounters));
  }
  /// Begins to load the first stream that leaves.
  void prefetch_leaving() const noexcept {
    if (!states_.empty()) prefetch_octets(states_.front().egress.data(), sizeof(SsrcCounters));
  }

  /// Writes its part of a snapshot. `marked` are the marks of the last seconds.
  void save(TransportSnapshot& snapshot, const MarkTimes& marked, Instant now) const;
  /// Goes on where a snapshot was taken. A media that the plan does not have is left out.
  void restore(const TransportSnapshot& snapshot);

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
  };
  /// A receiver report that waits for the other leg's round trip.
  struct PendingReport {
    std::size_t source = 0;
    Ssrc reporter;
    ReportBlock block;
    /// Clock of the stream that it is about, in Hz; 0 = unknown.
    std::uint32_t clock_rate_hz = 0;
  };
  /// A sender report that left for the peer.
  struct SentReport {
    Ssrc ssrc;
    std::uint32_t ntp_middle = 0;
    Instant at{};
  };
  /// Requests for key frames of one media.
  struct KeyFrameWish {
    MediaId media;
    /// When the party was last asked; `Instant{}` = never.
    Instant asked{};
    /// True if a request is to be sent as soon as the interval allows it.
    bool is_wanted = false;
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
    /// One for each media of which a key frame was ever wanted.
    std::vector<KeyFrameWish> key_frames;
    /// Keeps a sender report; the oldest gives way.
    void remember(const SentReport& report) noexcept {
      sent[next_sent] = report;
      next_sent = static_cast<std::uint8_t>((next_sent + 1) % sent.size());
    }
  };
  using NamedSsrc = TransportSnapshot::Named;

  /// The RTCP state; null if there is no memory for it.
  RtcpState* ensure_rtcp_state() noexcept {
    if (!rtcp_) rtcp_ = make_unique_or_null<RtcpState>();
    return rtcp_.get();
  }
  /// The plan's entry of a payload type; null if the source has none.
  static const PayloadEntry* payload_in(const SourcePlan& source, PayloadType type) noexcept;
  /// The media that a MID has assigned this SSRC to; null if none has.
  [[nodiscard]] NamedSsrc* named(Ssrc ssrc) const noexcept {
    if (!named_) return nullptr;
    const auto known = std::ranges::find(*named_, ssrc, &NamedSsrc::ssrc);
    return known == named_->end() ? nullptr : &*known;
  }
  /// The source to which the party's SDP gives the SSRC; nothing if it gives it to none, or to several.
  [[nodiscard]] std::optional<std::size_t> source_by_sdp(Ssrc ssrc) const noexcept;
  /// What a MID says of a packet: nothing, the media that it names, or that it names none.
  struct ByMid {
    bool is_unknown = false;
    std::optional<std::size_t> source;
  };
  [[nodiscard]] ByMid source_by_mid(Ssrc ssrc, Bytes rtp) const noexcept;
  /// `note_mid` where MIDs are used.
  void remember_mid(std::size_t source, Ssrc ssrc, Bytes rtp) noexcept;
  /// Adds an SSRC; null if there is no memory.
  static StreamStats* add_stream(SourceState& state, Ssrc ssrc) noexcept;
  /// The statistics of an SSRC that leaves for the party, made if new; null if there is no memory.
  SentStream* egress_of(std::size_t source, Ssrc ssrc) noexcept;
  /// Begins or ends the memory of own reports, by the plan.
  void follow_reports();
  /// Follows an RTP packet that was counted for own reports.
  void follow_sent(SentStream& stream, std::size_t source, Bytes rtp, Instant now) const noexcept;
  /// Updates what control reads about open DTMF presses.
  void publish_presses() noexcept;

  const TransportPlan* plan_;
  TransportActivity* activity_;
  /// One for each source of the plan, in the same order.
  std::vector<SourceState> states_;
  std::unique_ptr<RtcpState> rtcp_;
  /// Set while the plan has reports of the relay's own; null otherwise.
  std::unique_ptr<ReportKeeper> keeper_;
  /// The stream whose sender report comes first where not all have room.
  std::size_t next_sender_ = 0;
  /// The one that was named longest ago comes first. Made by the first MID; null without.
  std::unique_ptr<std::vector<NamedSsrc>> named_;
};

}  // namespace ferry
