/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Whose packet it is. A flow has one peer, which user space has latched; the program learns no address. A packet of
 * anybody else goes to user space if it might change the latch, and is dropped and counted otherwise (LAT-6). */
#pragma once

#include "relay/bpf/program/address.h"
#include "relay/bpf/program/types.h"

static __always_inline int is_from_peer(const struct ferry_plan *p, const struct frame *f) {
  return f->from_port_be == p->peer_port_be && same_address(f->from, p->peer);
}

/* Counts a packet of another source, and remembers the last one for `explain`. */
static __always_inline void count_foreign(struct ferry_state *s, const struct frame *f, __u64 now) {
  ++s->foreign;
  s->foreign_at = now;
  __builtin_memcpy(s->foreign_from, f->from, 16);
  s->foreign_port_be = f->from_port_be;
}
