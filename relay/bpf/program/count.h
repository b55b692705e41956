/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Counts a packet of a flow: loss, order, jitter, drift, gaps. It gives exactly the numbers that StreamStats in
 * relay/core/rtp/stream_stats.cpp would give; tests send the same packets both ways and compare the states. Called
 * under the lock of the flow. */
#pragma once

#include "relay/bpf/program/types.h"

/* The constant kBeforeFirst of follow_sequence in relay/core/rtp/stream_stats.cpp. */
#define FERRY_BEFORE_FIRST 16

/* Mirrors StreamStats::count (RFC 3550 appendix A.3, A.8). `ahead`: distance of the sequence number to the highest
 * one so far.
 *
 * `seen` is a window of the last 64 numbers. It tells a late packet from a repeated one, and lets a late packet
 * correct the number of loss bursts: it may close one, shorten one, or split one in two. */
static __always_inline void count(struct ferry_state *s, const struct rtp_facts *rtp, __s32 ahead,
                                  const struct ferry_kind *kind, __u64 now) {
  if (ahead > 0) {
    s->highest_extended += ahead;
    s->seen = ahead < 64 ? (s->seen << ahead) | 1 : 1;
    if (ahead > 1) {
      ++s->loss_bursts;
      if ((__u32)ahead - 1 > s->longest_loss_burst) s->longest_loss_burst = ahead - 1;
      if ((__u32)ahead - 1 > s->new_burst) s->new_burst = ahead - 1;
    }
  } else {
    const __u32 behind = -ahead;
    if (behind < 64 && (s->seen >> behind & 1)) {
      ++s->duplicates;
    } else {
      ++s->reordered;
      const __u32 extended = s->highest_extended - behind;
      const int is_first = (__s32)(extended - s->base_extended) < 0;
      if (behind >= 1 && behind < 63) {
        const int after = s->seen >> (behind - 1) & 1;
        const int before = is_first ? after : (int)(s->seen >> (behind + 1) & 1);
        if (!is_first && before && after && s->loss_bursts > 0) --s->loss_bursts;
        if (!before && !after) ++s->loss_bursts;
      }
      if (behind < 64) s->seen |= 1ull << behind;
      if (is_first && s->base_extended - extended <= FERRY_BEFORE_FIRST) s->base_extended = extended;
    }
  }
  /* Ticks of 1,024 ns: 32 bits hold 73 minutes. */
  if (s->packets != 0) {
    const __u32 gap = (now - s->last_packet) >> 10;
    if (gap > s->longest_gap) s->longest_gap = gap;
  }
  ++s->packets;
  s->bytes += rtp->size;
  if (ahead >= 0) {
    s->last_timestamp = rtp->timestamp;
    s->last_payload_type = rtp->type;
    s->last_payload_size = rtp->size - rtp->header - rtp->padding;
  }
  s->last_packet = now;
  if (kind->clock == 0) return;
  /* RFC 3550 section 6.4.1: arrival minus timestamp, both in clock units. The scale turns a division into a
   * multiplication and a shift. */
  const __s32 transit = (__s32)(((now >> 6) * kind->scale) >> 32) - (__s32)rtp->timestamp;
  int restarts = s->clock_rate != kind->clock;
  if (!restarts) {
    __s32 difference = (__s32)((__u32)transit - (__u32)s->transit);
    if (difference < 0) difference = -difference;
    /* A leap of more than a second, or another clock rate, is no jitter: measuring begins anew. */
    restarts = difference < 0 || difference > (__s32)kind->clock;
    if (!restarts) {
      const __s64 jitter = (__s64)s->jitter_q4 + difference - ((s->jitter_q4 + 8) >> 4);
      s->jitter_q4 = jitter < 0 ? 0 : jitter;
      if (s->jitter_q4 > s->jitter_max_q4) s->jitter_max_q4 = s->jitter_q4;
    }
    s->jitter_sum_q4 += s->jitter_q4;
  }
  if (restarts) {
    s->drift_transit = transit;
    s->drift_since = now;
  }
  s->clock_rate = kind->clock;
  s->transit = transit;
}
