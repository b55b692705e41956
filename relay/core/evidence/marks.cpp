// SPDX-License-Identifier: Apache-2.0
#include "relay/core/evidence/marks.hpp"

#include "relay/base/memory.hpp"
#include "relay/core/rtp/ssrc_counters.hpp"

namespace ferry {

namespace {

// Cuts the counts to 32 bits: only differences are used, and those stay right when they wrap.
StreamMark mark_of(const SsrcCounters& c) noexcept {
  StreamMark mark;
  mark.packets = static_cast<std::uint32_t>(c.packets);
  mark.bytes = static_cast<std::uint32_t>(c.bytes);
  mark.expected = static_cast<std::uint32_t>(c.expected());
  mark.duplicates = c.duplicates;
  mark.reordered = c.reordered;
  mark.loss_bursts = c.loss_bursts;
  mark.resets = c.resets;
  mark.jitter_sum_q4 = static_cast<std::uint32_t>(c.jitter_sum_q4);
  return mark;
}

/// Growth of a count that may become smaller: a late packet fills a gap, and a stream that comes back from
/// the kernel has the kernel's counts. Without the bound, a difference below zero would read as four billion
/// packets.
std::uint32_t growth(std::uint32_t now, std::uint32_t before) noexcept {
  const auto difference = static_cast<std::int32_t>(now - before);
  return static_cast<std::uint32_t>(std::max(difference, 0));
}

StreamMark difference(const StreamMark& now, const StreamMark& before) noexcept {
  StreamMark d;
  d.packets = growth(now.packets, before.packets);
  d.bytes = now.bytes - before.bytes;
  d.expected = growth(now.expected, before.expected);
  d.duplicates = growth(now.duplicates, before.duplicates);
  d.reordered = growth(now.reordered, before.reordered);
  d.loss_bursts = growth(now.loss_bursts, before.loss_bursts);
  d.resets = growth(now.resets, before.resets);
  d.jitter_sum_q4 = now.jitter_sum_q4 - before.jitter_sum_q4;
  return d;
}

// A longer burst than this makes no difference to anybody.
std::uint16_t saturated(std::uint32_t burst) noexcept {
  return static_cast<std::uint16_t>(std::min<std::uint32_t>(burst, UINT16_MAX));
}

}  // namespace

bool TransportMarks::add(Instant now, std::uint32_t sent, bool has_counted) noexcept {
  if (!ring_ && !has_counted) {
    newest_at_ = now;
    return false;
  }
  if (!ring_) {
    ring_ = make_unique_or_null<MarkRing>();
    if (!ring_) {
      since_ = newest_at_ = now;
      sent_before_ = sent;
      return false;
    }
    // Nothing was counted from `since_` until the mark before this one.
    ring_->times = MarkTimes::quiet(since_, newest_at_);
    ring_->sent.fill(sent_before_);
  }
  newest_at_ = now;
  ring_->times.add(now);
  ring_->sent[ring_->times.newest()] = sent;
  return true;
}

bool TransportMarks::restart(Instant now, std::uint32_t sent, bool has_counted) noexcept {
  since_ = newest_at_ = now;
  sent_before_ = sent;
  if (!has_counted) {
    ring_ = nullptr;
    return false;
  }
  if (!ring_) ring_ = make_unique_or_null<MarkRing>();
  if (!ring_) return false;
  ring_->times.restart(now);
  ring_->sent.fill(sent);
  return true;
}

void TransportMarks::skip(Duration pause) noexcept {
  since_ += pause;
  newest_at_ += pause;
  if (ring_) ring_->times.skip(pause);
}

void StreamMarks::mark(const SsrcCounters& counters, std::uint32_t burst, const MarkTimes& times) noexcept {
  if (counters.packets == 0) return;
  const StreamMark now = mark_of(counters);
  if (!ring_) {
    ring_ = make_unique_or_null<MarkRing>();
    if (!ring_) return;
    // A stream that began since the mark before had counted nothing at the earlier marks, so zeros are right
    // for them. For another one, which came by an export or had no memory for marks, nothing is known before
    // now.
    const bool is_new = counters.first_packet >= times.former_at();
    ring_->since = is_new ? counters.first_packet : times.newest_at();
    if (!is_new) {
      ring_->marks.fill(now);
      return;
    }
  }
  ring_->marks[times.newest()] = now;
  ring_->bursts[times.newest()] = saturated(burst);
}

RecentStream StreamMarks::recent(const SsrcCounters& counters, std::uint32_t burst, const MarkTimes& times,
                                 Instant now) const noexcept {
  RecentStream recent;
  if (counters.packets == 0) return recent;
  // Without marks the stream began after the newest one, and everything counted is recent. An older stream
  // without marks had no memory for them.
  StreamMark before;
  Instant since = counters.first_packet;
  std::uint32_t longest = burst;
  if (ring_) {
    before = ring_->marks[times.oldest()];
    since = ring_->since;
    for (std::size_t i = 0; i < kMarks; ++i) {
      // The burst of the oldest mark belongs to the time before it.
      if (i != times.oldest()) longest = std::max<std::uint32_t>(longest, ring_->bursts[i]);
    }
  } else if (since < times.newest_at()) {
    return recent;
  }
  recent.span = std::max(now - std::max(since, times.oldest_at()), Duration{0});
  recent.counts = difference(mark_of(counters), before);
  // Late packets may have filled the gap: a run cannot be longer than what is missing.
  recent.longest_burst = std::min(longest, recent.lost());
  if (counters.clock_rate_hz != 0 && recent.counts.packets != 0) {
    recent.jitter = Duration{static_cast<std::int64_t>(recent.counts.jitter_sum_q4) * 1'000'000'000 / 16 /
                             recent.counts.packets / counters.clock_rate_hz};
  }
  return recent;
}

}  // namespace ferry
