/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Decides what becomes of a datagram, and counts it. Everything happens under the lock of its flow, so that a flow that
 * is withdrawn has final counters (LAT-13). Uses the maps `budgets` and `counters` and the variable `alive_until` of
 * ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/checksum.h"
#include "relay/bpf/program/count.h"
#include "relay/bpf/program/counters.h"
#include "relay/bpf/program/latch.h"
#include "relay/bpf/program/limit.h"
#include "relay/bpf/program/shift.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>

/* The time by which packets are judged: CLOCK_MONOTONIC in ns. The tests' programs (tests/support/ferry_test.bpf.c) are
 * compiled with another clock. */
#ifndef FERRY_NOW
#define FERRY_NOW() bpf_ktime_get_ns()
#endif

/* Judges a datagram of a known port, and counts it if it is of the stream. `route` is completed if the frame is to
 * be sent. `others` receives the further receivers, if there are several; null: there is one. */
static __always_inline int judge(struct ferry_flow *flow, const struct frame *f, const struct rtp_facts *rtp,
                                 int is_rtp, struct route *route, __u32 ifindex, struct scratch *others,
                                 enum stage stage) {
  const int is_last = stage != STAGE_XDP;
  const int is_tc = stage == STAGE_TC;
  const __u64 now = FERRY_NOW();
  int action = ACTION_DROP;
  __u32 reason = FERRY_PUNT_NONE;
  struct budget *budget = 0;
  /* Map lookups are not allowed under the lock. */
  if (!is_from_peer(&flow->plan, f)) {
    const __u32 slot = ifindex & (FERRY_INTERFACE_SLOTS - 1);
    budget = bpf_map_lookup_elem(&budgets, &slot);
  }
  route->counted = 0;
  bpf_spin_lock(&flow->lock);
  struct ferry_plan *p = &flow->plan;
  struct ferry_state *s = &flow->state;
  const __u32 flags = p->flags;
  const __u32 sink_count = p->sink_count;
  /* How far the packet goes beyond the newest one of the peer: positive if it continues the stream (LAT-8c). */
  const __s32 continued = (__s16)(rtp->sequence - s->heard_sequence);
  /* The expected type lies in the plan, so that usual packets touch no further line of the cache. */
  const struct ferry_kind *kind = &p->kind;
  __u8 index = 0;
  if (rtp->type != p->kind.type) {
    index = flow->more.kind_of[rtp->type & 127];
    kind = index != 0 || (flags & FERRY_ANY_TYPE) ? &flow->more.kinds[index & (FERRY_KINDS - 1)] : 0;
  }
  /* Closed: user space is withdrawing the flow. Without a daemon: it has been dead for a minute. */
  if ((flags & FERRY_CLOSED) || now > alive_until || (!is_last && (flags & FERRY_TC_ONLY))) {
    action = ACTION_PASS;
  /* Another source than the peer. User space must see it if it might become the peer: while the latch is open, if it
   * continues the stream after the peer fell silent (LAT-8c), or if it may always take the stream back. All others
   * are dropped and counted (LAT-6). */
  } else if (!is_from_peer(p, f)) {
    const int may_continue = ((flags & FERRY_HANDOVER) || same_address(f->from, p->peer)) && rtp->ssrc == p->ssrc &&
                             continued >= 1 && continued <= 200 && now - s->heard_at >= 500000000ull;
    const int takes_back = f->from_port_be == flow->more.home_port_be && same_address(f->from, flow->more.home);
    if ((!is_rtp || now <= p->open_until || may_continue || takes_back) && may_punt(s, budget, now, is_last))
      reason = is_rtp ? FERRY_PUNT_SOURCE : FERRY_PUNT_NOT_RTP;
    else
      count_foreign(s, f, now);
  } else if (!is_rtp) {
    reason = FERRY_PUNT_NOT_RTP;
  } else if (!kind) {
    reason = FERRY_PUNT_TYPE;
  } else if (rtp->ssrc != p->ssrc) {
    reason = FERRY_PUNT_SSRC;
  } else if (!is_tc && ((flags & FERRY_TC_ONLY) || (route->is_ipv6 && (f->checksum == 0 || is_partial(p, f))))) {
    reason = FERRY_PUNT_FORM; /* IPv6 needs a checksum, and XDP cannot complete a partial one */
  } else if (sink_count != 0 && route->hop != p->sink.hop) {
    reason = FERRY_PUNT_HOP; /* the plan changed in between */
  } else {
    /* From here on the packet is the stream's, unless its number has jumped. */
    const __s32 ahead = (__s16)(rtp->sequence - (__u16)s->highest_extended);
    /* A jump needs confirmation by a second packet (SSR-4): user space does that. */
    if (ahead >= 3000 || ahead < -100) {
      reason = FERRY_PUNT_SEQUENCE;
    } else {
      /* Heard even if the rate limit drops it: a handover must continue from here (LAT-8c). */
      if (continued > 0) s->heard_sequence = rtp->sequence;
      s->heard_at = now;
      if (!take_tokens(s, p, rtp->size, now)) {
        ++s->rate_limited;
      } else {
        count(s, rtp, ahead, kind, now);
        if (index == FERRY_OTHER_TYPE) ++s->other_types;
        route->counted = 1;
        route->ring = p->ring;
        route->flags = flags;
        /* A sparse sample is the first of every FERRY_SPARSE_SHARE packets. */
        if ((flags & FERRY_SPARSE) && (s->packets & (FERRY_SPARSE_SHARE - 1)) != 0) route->flags &= ~FERRY_SAMPLED;
        if (sink_count != 0) {
          action = ACTION_SEND;
          route->local_port_be = p->sink.local_port_be;
          route->peer_port_be = p->sink.peer_port_be;
          route->tos = p->sink.tos;
          route->address_change = p->sink.address_change;
          route->partial = is_partial(p, f);
          if (flags & FERRY_SHIFTED) shift_header(&route->numbers, &flow->more.shifts[0], f, rtp);
          if (is_tc && others && (flags & FERRY_TC_ONLY)) {
            __builtin_memcpy(others->sinks, flow->more.sinks, sizeof others->sinks);
            if (flags & FERRY_SHIFTED) shift_each(others->numbers, flow, f, rtp);
            route->silence = kind->silence;
            route->silenced = p->sink.silenced;
          }
        }
      }
    }
  }
  bpf_spin_unlock(&flow->lock);
  route->sink_count = sink_count;
  /* Counters of this kind are for each CPU, so they need no lock. */
  route->time = now;
  if (reason == FERRY_PUNT_NONE) return action;
  if (is_last) add_one(reason);
  return ACTION_PASS;
}
