// SPDX-License-Identifier: Apache-2.0
// What a transport counts, and what it keeps for explanations.
#pragma once

#include "relay/base/memory.hpp"
#include "relay/base/prefetch.hpp"
#include "relay/core/evidence/drop_ledger.hpp"
#include "relay/core/evidence/evidence.hpp"
#include "relay/core/evidence/flight_ring.hpp"
#include "relay/core/evidence/marks.hpp"
#include "relay/core/evidence/recent.hpp"
#include "relay/core/forward/component.hpp"
#include "relay/core/forward/transport_activity.hpp"
#include "relay/core/forward/transport_figures.hpp"
#include "relay/core/forward/transport_snapshot.hpp"
#include "relay/core/packet/received_packet.hpp"

#include <array>
#include <cstdint>
#include <memory>

namespace ferry {

/// The totals of a transport, its drops, its evidence, its flight recorder, and the marks of the last
/// seconds. It counts what others have decided, and decides nothing. Sans-IO; the transport's worker owns it.
/// Where memory runs out, less is kept for explanations, and the call goes on (C-12).
class Account {
 public:
  /// `activity` is what control reads; it lives as long as the account.
  Account(TransportActivity& activity, Instant now) noexcept : activity_(&activity), marks_(now) {}

  /// What control reads while the call goes on.
  [[nodiscard]] TransportActivity& activity() const noexcept { return *activity_; }

  // Packets that came and left.
  /// Counts an accepted datagram of `octets`.
  void count_in(Component component, std::size_t octets, Instant now) noexcept;
  /// Counts a packet that left through the port of `via`.
  void count_out(Component via, std::size_t octets) noexcept;
  /// Counts a stream's packets that the kernel has forwarded to us; the newest came at `last`.
  void count_offloaded_in(std::uint64_t packets, std::uint64_t octets, Instant last) noexcept;
  /// Counts packets that the kernel has sent.
  void count_offloaded_out(std::uint64_t packets, std::uint64_t octets) noexcept;
  /// Counts an accepted datagram of another protocol than RTP; call `count_in` too.
  void count_whole(Instant now) noexcept;
  /// Notes that RTP came at `now`.
  void note_rtp(Instant now) noexcept;
  /// Notes a packet that shows that its sender is alive, although nobody hears it.
  void note_unheard(Component component, Instant now) noexcept;
  /// Notes an authentic connectivity check, which shows that the peer is there.
  void note_check(Instant now) noexcept;
  [[nodiscard]] const std::array<ComponentCounters, 2>& counters() const noexcept { return counters_; }
  /// When the newest accepted packet came, by component.
  [[nodiscard]] const std::array<Instant, 2>& last_packet() const noexcept { return last_packet_; }
  /// Datagrams that were no RTP: other protocols, and malformed RTP.
  [[nodiscard]] std::uint64_t not_rtp() const noexcept {
    return not_rtp_ + drops_.of(DropReason::kMalformedRtp);
  }

  // Drops.
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
  /// Notes that `times` of the drops that were counted have `trait`.
  void add_trait(DropSide side, DropReason reason, DropTrait trait, std::uint32_t times = 1) noexcept {
    drops_.add_trait(side, reason, trait, times);
  }
  /// Notes that a packet did not reach its receiver. `never_left` is true if this host could not send it;
  /// only then it counts as an error.
  void on_send_failed(Component via, const SendFailure& failure, bool never_left) noexcept {
    if (never_left) ++counters_[index(via)].errors_out;
    if (Evidence* evidence = ensure_evidence()) evidence->note(failure);
  }
  /// Drops of both directions.
  [[nodiscard]] DropCounters drops() const noexcept { return drops_.counters(); }

  // Refused packets whose sequence numbers a stream will miss.
  /// Notes `count` refused packets of the party whose numbers no stream has missed yet.
  void expect_gap(std::uint32_t count = 1) noexcept { refused_numbers_ += count; }
  /// Takes one of them back: the packet is accepted after all.
  void expect_no_gap() noexcept {
    if (refused_numbers_ > 0) --refused_numbers_;
  }
  /// Updates what control reads: `stream` has just counted `packets`, and had lost `lost_before` before.
  /// Finds out which of the numbers that are missing since then are those of refused packets.
  void publish(const SsrcCounters& stream, std::uint64_t packets, std::uint64_t lost_before) noexcept;

  // Evidence for explanations.
  /// What a refused packet is, as far as the drop counters tell it apart.
  enum class RefusedAs : std::uint8_t {
    /// It came from another address than the peer's, or is RTCP: no stream misses it.
    kForeign,
    /// A stream has counted another packet with its number.
    kCopy,
    /// Its number will be missing in a stream.
    kMissed,
    /// None of them.
    kOther,
  };
  /// Keeps a refused datagram.
  void note_refusal(const ReceivedPacket& packet, DropReason reason, RefusedAs as) noexcept;
  /// The evidence; null if there is no memory for it.
  Evidence* ensure_evidence() noexcept {
    if (!evidence_) evidence_ = make_unique_or_null<Evidence>();
    return evidence_.get();
  }
  /// The evidence; null if there is none.
  [[nodiscard]] const Evidence* evidence() const noexcept { return evidence_.get(); }

  // The flight recorder.
  /// Puts a received datagram and what became of it into the flight recorder. `start` is its beginning,
  /// `size` the whole; `is_offloaded`: the kernel forwarded it.
  void record_flight(Component component, const Endpoint& from, Bytes start, std::size_t size,
                     DropReason reason, bool is_offloaded, Instant now) noexcept;
  /// The flight recorder; null if nothing was recorded.
  [[nodiscard]] const FlightRing* flight() const noexcept { return flight_.get(); }
  /// Begins to load the flight recorder, if there is one, and then the place of its next packet.
  void prefetch_flight() const noexcept { prefetch_octets(flight_.get(), FlightRing::kFetched); }
  void prefetch_flight_entry() const noexcept {
    if (flight_) flight_->prefetch_next();
  }
  /// Takes the flight recorder away; null if nothing was recorded.
  [[nodiscard]] std::unique_ptr<FlightRing> take_flight() noexcept { return std::move(flight_); }

  // Marks of the last seconds (relay/core/evidence).
  /// Makes a mark. `has_streams`: the transport has seen a stream. Returns true if the streams are to be
  /// marked too, with `mark_times`.
  [[nodiscard]] bool mark(Instant now, bool has_streams) noexcept {
    return mark_drops(marks_.add(now, sent_rtp(), has_counted(has_streams)));
  }
  /// Starts the marks over with the counts of now; arguments and result as of `mark`.
  [[nodiscard]] bool restart_marks(Instant now, bool has_streams) noexcept {
    return mark_drops(marks_.restart(now, sent_rtp(), has_counted(has_streams)));
  }
  [[nodiscard]] MarkTimes mark_times() const noexcept { return marks_.times(); }
  /// When the newest mark was made; before the first one, when the transport was made or restored.
  [[nodiscard]] Instant marked_at() const noexcept { return marks_.newest_at(); }
  /// Drops of one direction since the oldest mark.
  [[nodiscard]] std::uint32_t recent_drops(DropSide side, const MarkTimes& times) const noexcept {
    return drops_.recent_of(side, times);
  }
  /// Moves the marks forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept { marks_.skip(pause); }

  /// Writes its part of a snapshot.
  void save(TransportSnapshot& snapshot, Instant now) const;
  /// Goes on with the counts of a snapshot.
  void restore(const TransportSnapshot& snapshot);

 private:
  static constexpr std::size_t index(Component component) { return static_cast<std::size_t>(component); }
  /// Notes which of the numbers that are missing since `stream` had lost `lost_before` are those of packets
  /// that were refused. `stream` has just counted packets.
  void note_gap(const SsrcCounters& stream, std::uint64_t lost_before) noexcept;
  /// True if anything was counted since the transport was made.
  [[nodiscard]] bool has_counted(bool has_streams) const noexcept {
    return counters_ != decltype(counters_){} || !drops_.empty() || has_streams;
  }
  /// Keeps the present drops as the newest mark. `has_mark`: false if `marks_` made none, because nothing was
  /// counted or memory is short; no drop counts as recent then.
  bool mark_drops(bool has_mark) noexcept;
  /// Packets that have left from the RTP port, modulo 2^32.
  [[nodiscard]] std::uint32_t sent_rtp() const noexcept {
    return static_cast<std::uint32_t>(counters_[0].packets_out);
  }

  TransportActivity* activity_;
  /// Totals, by component.
  std::array<ComponentCounters, 2> counters_;
  std::array<Instant, 2> last_packet_{};
  /// Datagrams of other protocols that were accepted.
  std::uint64_t not_rtp_ = 0;
  /// Packets of the party that were refused and whose numbers no stream has missed yet.
  std::uint32_t refused_numbers_ = 0;
  std::unique_ptr<Evidence> evidence_;
  std::unique_ptr<FlightRing> flight_;
  DropLedger drops_;
  /// The times of all marks that its counters keep, and the packets that had left from the RTP port.
  TransportMarks marks_;
};

}  // namespace ferry
