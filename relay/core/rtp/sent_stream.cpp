// SPDX-License-Identifier: Apache-2.0
#include "relay/core/rtp/sent_stream.hpp"

#include "relay/base/memory.hpp"

#include <algorithm>

namespace ferry {

void SentStream::restart(SeqNo first) noexcept {
  // A new run: what was expected before is kept apart, so that the leap is no loss.
  counters_.expected_before_reset += counters_.highest_extended - counters_.base_extended + 1;
  ++counters_.resets;
  counters_.base_extended = counters_.highest_extended = first.value;
  seen_ = 1;
  awaited_ = kNone;
}

void SentStream::count(SeqNo sequence, std::uint32_t timestamp, std::size_t size, Instant now) noexcept {
  SsrcCounters& c = counters_;
  if (c.packets == 0) {
    c.base_extended = c.highest_extended = sequence.value;
    c.first_packet = now;
    seen_ = 1;
  } else if (sequence.value == awaited_) {
    // Second packet of a jump: the sender did begin anew, one packet ago.
    restart(SeqNo{static_cast<std::uint16_t>(sequence.value - 1)});
    follow_sequence(c, seen_, new_burst_, sequence);
  } else if (is_sequence_jump(c.highest_extended, sequence)) {
    // First packet of a jump: it is counted, but its number waits for confirmation.
    awaited_ = static_cast<std::uint16_t>(sequence.value + 1);
  } else {
    awaited_ = kNone;
    follow_sequence(c, seen_, new_burst_, sequence);
  }
  ++c.packets;
  c.bytes += size;
  // A packet that leaves late does not take the time stamp back.
  const bool is_newest = static_cast<std::uint16_t>(c.highest_extended) == sequence.value;
  if (is_newest || awaited_ != kNone) c.last_timestamp = timestamp;
  c.last_packet = now;
}

void SentStream::catch_up(SeqNo late, SeqNo newest, std::uint32_t newest_timestamp) noexcept {
  SsrcCounters& c = counters_;
  const SeqNo last{static_cast<std::uint16_t>(c.highest_extended)};
  const int ahead = distance(late, last);
  const int until_newest = distance(newest, last);
  if (ahead <= 0 || until_newest < ahead || is_sequence_jump(c.highest_extended, late)) return;
  // Its timestamp is unknown: packets of one length lie between the last that left and the newest that came.
  const auto units = static_cast<std::int32_t>(newest_timestamp - c.last_timestamp) / until_newest;
  c.last_timestamp += static_cast<std::uint32_t>(units * ahead);
  c.highest_extended += static_cast<std::uint32_t>(ahead);
}

void SentStream::count(const OffloadedTraffic& below) noexcept {
  // The kernel reports sums. They are joined to what was sent before, as if each packet had passed here.
  SsrcCounters& c = counters_;
  const SeqNo before = below.as_left(below.before);
  const SeqNo first{static_cast<std::uint16_t>(before.value + 1)};
  const SeqNo newest = below.as_left(SeqNo{static_cast<std::uint16_t>(below.stream->highest_extended)});
  // If only late packets left, the newest time stamp is of a packet that came and was not sent (hold).
  if (c.packets == 0 || below.advanced) c.last_timestamp = below.as_left(below.stream->last_timestamp);
  if (c.packets == 0) {
    c.base_extended = c.highest_extended = below.advanced      ? first.value
                                           : below.newest_late ? below.as_left(*below.newest_late).value
                                                               : newest.value;
    c.first_packet = below.stream->last_packet;
  } else if (below.advanced) {
    // Packets that came between this stream's last one and the first of these.
    const int skipped = distance(before, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
    if (first.value == awaited_ || is_sequence_jump(c.highest_extended, first)) {
      restart(first.value == awaited_ ? before : first);
    } else if (skipped > 0) {  // they came, but were not sent (hold): missing for this party
      c.highest_extended += static_cast<std::uint32_t>(skipped);
      ++c.loss_bursts;
      new_burst_ = std::max(new_burst_, static_cast<std::uint32_t>(skipped));
    }
    awaited_ = kNone;
  }
  if (!below.advanced && below.newest_late)
    catch_up(below.as_left(*below.newest_late), newest, below.as_left(below.stream->last_timestamp));
  // Never back: a late packet does not lower the highest number.
  const int ahead = distance(newest, SeqNo{static_cast<std::uint16_t>(c.highest_extended)});
  if (below.advanced && ahead > 0) c.highest_extended += static_cast<std::uint32_t>(ahead);
  c.packets += below.packets;
  c.bytes += below.bytes;
  c.duplicates += static_cast<std::uint32_t>(below.duplicates);
  c.reordered += static_cast<std::uint32_t>(below.reordered);
  // A late packet can take a burst away that was counted before the hand-over.
  const auto bursts = static_cast<std::int32_t>(c.loss_bursts) + below.loss_bursts;
  c.loss_bursts = static_cast<std::uint32_t>(std::max(bursts, 0));
  new_burst_ = std::max(new_burst_, below.longest_burst);
  c.longest_loss_burst = std::max(c.longest_loss_burst, new_burst_);
  seen_ = below.seen;
  c.last_packet = std::max(c.last_packet, below.stream->last_packet);
}

void SentStream::follow(PayloadType type, std::uint32_t timestamp, std::size_t header,
                        std::uint32_t clock_rate_hz, Instant now) noexcept {
  longer_headers_ += header - std::min(header, kRtpFixedHeaderSize);
  if (clock_rate_hz == 0) return;
  if (!line_) line_ = make_unique_or_null<SendLine>();
  if (!line_) return;
  line_->note(timestamp, clock_rate_hz, now);
  type_ = type;
}

void SentStream::report(Ssrc reporter, const ReportBlock& block, Instant now) noexcept {
  counters_.has_report = true;
  if (!reports_) reports_ = make_unique_or_null<ReportHistory>();
  if (reports_) reports_->add(reporter, block, now, static_cast<std::uint32_t>(counters_.lost()));
}

}  // namespace ferry
