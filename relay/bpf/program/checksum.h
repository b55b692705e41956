/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Internet checksums (RFC 1071). A UDP checksum is changed, never computed: it moves by the difference of addresses
 * and ports (RFC 1624), which user space has prepared for the addresses. */
#pragma once

#include "relay/bpf/program/parse.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_endian.h>

/* Folds a sum of 16-bit words into one word, as Internet checksums are (RFC 1071). */
static __always_inline __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/* Sums 32-bit words for a checksum; `words` must be a constant. */
static __always_inline __u64 sum_words(const void *from, __u32 words) {
  const __u32 *w = from;
  __u64 sum = 0;
#pragma unroll
  for (__u32 i = 0; i < words; ++i) sum += w[i];
  return sum;
}

/* Whether the checksum covers the pseudo header alone. A sender on this host may leave the rest to the hardware, and
 * a veth has none. A whole checksum looks the same once in 65,536 packets; such a packet just takes the slower path. */
static __always_inline int is_partial(const struct ferry_plan *p, const struct frame *f) {
  return f->checksum == fold((__u64)p->pseudo_sum + bpf_htons(f->l3_size - ip_size(f)));
}

/* The checksum of a datagram whose checksum is whole, for its new addresses and ports (RFC 1624: HC' = ~(~HC + ~m +
 * m')). `change` is the sum of ~m + m' for everything else that changes. Zero means "no checksum", so it is sent as
 * 0xffff (RFC 768). */
static __always_inline __u16 new_checksum(const struct frame *f, const struct route *route, __u64 change) {
  const __u16 check = (__u16)~fold(change + (__u16)~f->checksum + route->address_change + (__u16)~f->from_port_be +
                                   (__u16)~f->key.port_be + route->local_port_be + route->peer_port_be);
  return check == 0 ? 0xffff : check;
}
