/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Copies of counted packets for taps and recordings, through the ring of the worker (map `rings` of ferry.bpf.c). The
 * copying is written once, as macros, because XDP and tc read a frame with different helpers. */
#pragma once

#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>
#include <linux/udp.h>

/* Copies a counted datagram, or its start, into the ring of its worker. `taken` becomes 1. A ring reservation must
 * have a size that the verifier knows, hence two sizes. What does not fit is counted, so that a recording knows of
 * the hole. */
#define TAKE_SAMPLE(ctx, load, flow, f, route, taken)                                                  \
  do {                                                                                                 \
    const __u32 ring_index = (route)->ring;                                                            \
    void *ring = bpf_map_lookup_elem(&rings, &ring_index);                                             \
    const __u32 whole = (f)->udp_size - sizeof(struct udphdr);                                         \
    __u32 kept = (route)->flags & FERRY_HEADERS && whole > FERRY_HEADER_SAMPLE ? FERRY_HEADER_SAMPLE : whole; \
    if (ring && kept <= FERRY_SHORT_SAMPLE) {                                                          \
      struct ferry_sample *sample = bpf_ringbuf_reserve(ring, sizeof *sample + FERRY_SHORT_SAMPLE, 0); \
      FILL_SAMPLE(ctx, load, f, route, sample, FERRY_SHORT_SAMPLE, taken);                             \
    } else if (ring && kept <= FERRY_LONG_SAMPLE) {                                                    \
      struct ferry_sample *sample = bpf_ringbuf_reserve(ring, sizeof *sample + FERRY_LONG_SAMPLE, 0);  \
      FILL_SAMPLE(ctx, load, f, route, sample, FERRY_LONG_SAMPLE, taken);                              \
    }                                                                                                  \
    if (!taken) __sync_fetch_and_add(&(flow)->state.unsampled, 1);                                     \
  } while (0)

/* Fills a reserved sample. Without a wake-up: user space empties its ring by the clock. */
#define FILL_SAMPLE(ctx, load, f, route, sample, room, taken)                                   \
  do {                                                                                          \
    if (!sample) break;                                                                         \
    __builtin_memcpy(&sample->key, &(f)->key, sizeof sample->key);                              \
    __builtin_memcpy(sample->from, (f)->from, 16);                                              \
    sample->from_port_be = (f)->from_port_be;                                                   \
    sample->size = whole;                                                                       \
    sample->kept = kept;                                                                        \
    sample->zero = 0;                                                                           \
    sample->time = (route)->time;                                                               \
    if (kept >= 1 && kept <= room && load(ctx, (f)->udp + 8, (void *)(sample + 1), kept) == 0) { \
      bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);                                             \
      taken = 1;                                                                                \
    } else {                                                                                    \
      bpf_ringbuf_discard(sample, BPF_RB_NO_WAKEUP);                                            \
    }                                                                                           \
  } while (0)

/* Not inlined: sampling is rare and its code is big, so it should not lie between the instructions of the others. */
static __noinline int sample_xdp(struct xdp_md *ctx, struct ferry_flow *flow, const struct frame *f,
                                 const struct route *route) {
  int taken = 0;
  TAKE_SAMPLE(ctx, bpf_xdp_load_bytes, flow, f, route, taken);
  return taken;
}
static __noinline int sample_tc(struct __sk_buff *skb, struct ferry_flow *flow, const struct frame *f,
                                const struct route *route) {
  int taken = 0;
  TAKE_SAMPLE(skb, bpf_skb_load_bytes, flow, f, route, taken);
  return taken;
}
