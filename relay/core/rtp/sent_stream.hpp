// SPDX-License-Identifier: Apache-2.0
// One stream as it leaves for a party: which RTP packets the party was sent, and what it reports about them.
#pragma once

#include "relay/core/evidence/marks.hpp"
#include "relay/core/evidence/report_history.hpp"
#include "relay/core/rtp/send_line.hpp"
#include "relay/core/rtp/stream_shift.hpp"
#include "relay/core/rtp/stream_stats.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

namespace ferry {

/// Packets of a stream that the kernel forwarded between two readings.
struct OffloadedTraffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  /// Highest sequence number before these packets, and whether it rose with them.
  SeqNo before;
  bool advanced = false;
  /// Growth of the stream's counts. Late packets can make it negative.
  std::int32_t duplicates = 0;
  std::int32_t reordered = 0;
  std::int32_t loss_bursts = 0;
  /// Longest run of missing numbers among these packets.
  std::uint32_t longest_burst = 0;
  /// Bit n is set if the packet with number highest - n was received.
  std::uint64_t seen = 0;
  /// If all of them came late: the newest one, or where that is not known, the newest that ever came. Nothing
  /// if one of them is the newest that ever came.
  std::optional<SeqNo> newest_late{};
  /// The received stream after these packets; borrowed for the call.
  const SsrcCounters* stream = nullptr;
  /// The numbers by which the packets left; nothing: they kept their own. All other members have the numbers
  /// by which they came.
  std::optional<StreamShift> shift;

  /// A number, a timestamp and the SSRC as they left.
  [[nodiscard]] SeqNo as_left(SeqNo arrived) const noexcept { return shift ? shift->of(arrived) : arrived; }
  [[nodiscard]] std::uint32_t as_left(std::uint32_t arrived) const noexcept {
    return shift ? shift->of(arrived) : arrived;
  }
  [[nodiscard]] Ssrc left_under() const noexcept { return shift ? shift->ssrc : stream->ssrc; }
};

/// Counts what leaves under one SSRC. Loss here is what the party cannot have received because it never left.
/// A sequence jump (SSR-4) is no loss: it begins a new run once two packets in sequence have confirmed it.
/// Owned by a worker.
class SentStream {
 public:
  explicit SentStream(Ssrc ssrc) { counters_.ssrc = ssrc; }
  /// Goes on with exported counts. Nothing is known of the last seconds then.
  explicit SentStream(const SsrcCounters& counters) : counters_(counters) {}

  /// Counts an RTP packet that left. `size` is that of the plain datagram.
  void count(SeqNo sequence, std::uint32_t timestamp, std::size_t size, Instant now) noexcept;
  /// Counts what the kernel sent.
  void count(const OffloadedTraffic& below) noexcept;
  /// Follows the type and timestamps of a packet that was counted, for sender reports and silence of the
  /// relay's own. `header` are the octets in front of its payload. `clock_rate_hz` 0 = unknown: its timestamp
  /// then says nothing. If memory runs out, the next packet is followed (C-12).
  void follow(PayloadType type, std::uint32_t timestamp, std::size_t header, std::uint32_t clock_rate_hz,
              Instant now) noexcept;
  /// The number behind which the stream goes on: the newest, or that of the first packet behind a jump, also
  /// while nothing has confirmed the jump (SSR-2).
  [[nodiscard]] SeqNo newest() const noexcept {
    return SeqNo{static_cast<std::uint16_t>(awaited_ == kNone ? counters_.highest_extended : awaited_ - 1)};
  }
  /// The type of the newest packet whose clock is known; nothing if none was followed.
  [[nodiscard]] std::optional<PayloadType> type() const noexcept {
    return line_ ? std::optional(type_) : std::nullopt;
  }
  /// The line of its timestamps; null if none was followed.
  [[nodiscard]] const SendLine* line() const noexcept { return line_.get(); }
  /// Octets of its payloads. Packets that were not followed count with a header of 12 octets.
  [[nodiscard]] std::uint64_t payload_octets() const noexcept {
    const std::uint64_t headers = counters_.packets * kRtpFixedHeaderSize + longer_headers_;
    return counters_.bytes - std::min(counters_.bytes, headers);
  }
  /// Takes the party for one that has not reported yet: it is another one now, or it calls the media of this
  /// stream another name.
  void forget_reports() noexcept { counters_.has_report = false; }
  /// Keeps a report of the party on this stream.
  void report(Ssrc reporter, const ReportBlock& block, Instant now) noexcept;

  /// Keeps the present counts as the newest mark of `times`.
  void mark(const MarkTimes& times) noexcept {
    marks_.mark(counters_, new_burst_, times);
    new_burst_ = 0;
  }
  /// Growth of the counts since the oldest mark, until `now`.
  [[nodiscard]] RecentStream recent(const MarkTimes& times, Instant now) const noexcept {
    return marks_.recent(counters_, new_burst_, times, now);
  }
  [[nodiscard]] const SsrcCounters& counters() const noexcept { return counters_; }
  /// The newest report; null if there was none, or no memory for it.
  [[nodiscard]] const ListenerReport* newest_report() const noexcept {
    return reports_ ? &reports_->newest() : nullptr;
  }
  /// Moves all times forward by a time in which this process did not run (C-13).
  void skip(Duration pause) noexcept {
    if (reports_) reports_->skip(pause);
  }
  /// Octets on the heap.
  [[nodiscard]] std::size_t footprint() const noexcept {
    return marks_.footprint() + (reports_ ? sizeof(ReportHistory) : 0) + (line_ ? sizeof(SendLine) : 0);
  }

 private:
  /// Counts up to a packet that came late and is the newest that left, because what came before it did not.
  void catch_up(SeqNo late, SeqNo newest, std::uint32_t newest_timestamp) noexcept;
  /// Begins a new run with `first`, after a jump.
  void restart(SeqNo first) noexcept;

  SsrcCounters counters_;
  /// Bit n is set if the packet with number highest - n was sent.
  std::uint64_t seen_ = 0;
  /// The number that would confirm a jump; kNone if none is waited for.
  std::uint32_t awaited_ = kNone;
  /// Longest run of missing numbers since the last mark.
  std::uint32_t new_burst_ = 0;
  StreamMarks marks_;
  /// Made by the first report; null before.
  std::unique_ptr<ReportHistory> reports_;
  /// Made by the first packet that is followed; null before.
  std::unique_ptr<SendLine> line_;
  /// Octets of headers beyond 12 a packet, of the packets that were followed.
  std::uint64_t longer_headers_ = 0;
  /// Of the newest packet that was followed; of no meaning without `line_`.
  PayloadType type_;
  static constexpr std::uint32_t kNone = 0x10000;
};

}  // namespace ferry
