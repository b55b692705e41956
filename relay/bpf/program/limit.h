/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The two limits: how fast the peer of a flow may send, and how many packets of strangers go to the sockets (LIM-3).
 * Both are called under the lock of the flow. */
#pragma once

#include "relay/bpf/program/types.h"

/* Mirrors TokenBucket::take. Tokens are in FERRY_TOKEN, so that a tick of 1,024 ns adds a whole number of them and
 * nothing has to be divided. A bucket holds one second's worth. 0: the packet is over the limit. */
static __always_inline int take_tokens(struct ferry_state *s, const struct ferry_plan *p, __u32 size, __u64 now) {
  const __s64 full_packets = (__s64)p->packets_per_second * FERRY_TOKEN;
  const __s64 full_bytes = (__s64)p->bytes_per_second * FERRY_TOKEN;
  if (s->bucket_last == 0) {
    s->bucket_packets = full_packets;
    s->bucket_bytes = full_bytes;
    s->bucket_last = now;
  } else if (now > s->bucket_last) {
    __u64 ticks = (now - s->bucket_last) >> 10;
    if (ticks > FERRY_TOKEN) ticks = FERRY_TOKEN;
    if (ticks != 0) {
      s->bucket_last = now;
      s->bucket_packets += (__s64)ticks * p->packets_per_second;
      s->bucket_bytes += (__s64)ticks * p->bytes_per_second;
      if (s->bucket_packets > full_packets) s->bucket_packets = full_packets;
      if (s->bucket_bytes > full_bytes) s->bucket_bytes = full_bytes;
    }
  }
  const __s64 cost = (__s64)size * FERRY_TOKEN;
  if (p->packets_per_second != 0 && s->bucket_packets < FERRY_TOKEN) return 0;
  if (p->bytes_per_second != 0 && s->bucket_bytes < cost) return 0;
  if (p->packets_per_second != 0) s->bucket_packets -= FERRY_TOKEN;
  if (p->bytes_per_second != 0) s->bucket_bytes -= cost;
  return 1;
}

/* Whether one more packet of an unknown source may go to the sockets (LIM-3): FERRY_PUNTS_PER_SECOND for each port,
 * FERRY_INTERFACE_PUNTS for each interface. Only the last program to see the frame uses the budget up. */
static __always_inline int may_punt(struct ferry_state *s, struct budget *budget, __u64 now, int is_last) {
  const __u32 second = now / 1000000000;
  const __u32 punts = s->punt_second == second ? s->punts : 0;
  if (punts >= FERRY_PUNTS_PER_SECOND) return 0;
  if (budget) {
    if (budget->second != second) {
      budget->second = second;
      budget->punts = 0;
    }
    if (budget->punts >= FERRY_INTERFACE_PUNTS) return 0;
    if (is_last) __sync_fetch_and_add(&budget->punts, 1);
  }
  s->punt_second = second;
  s->punts = punts + is_last;
  return 1;
}
