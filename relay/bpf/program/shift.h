/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Other numbers for the packets of a stream that has something of the relay's own in it: sequence number, timestamp and
 * SSRC move by constant distances (`StreamShift` in relay/core/rtp/stream_shift.hpp). A checksum follows by the
 * difference of the words (RFC 1624). */
#pragma once

#include "relay/bpf/program/checksum.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* Sets `to` to the first three words of an RTP header, as they leave for a receiver. Called under the lock. */
static __always_inline void shift_header(struct numbers *to, const struct ferry_shift *shift, const struct frame *f,
                                         const struct rtp_facts *rtp) {
  /* All ones if there is a shift, else zeros: without a branch, because each branch doubles what the verifier has to
   * look at, for each receiver. */
  __u32 mask = 0 - (__u32)(shift->is_set & 1);
  barrier_var(mask);
  to->words[0] = bpf_htonl((bpf_ntohl(f->rtp[0]) & 0xffff0000) | (__u16)(rtp->sequence + (shift->sequence & mask)));
  to->words[1] = bpf_htonl(rtp->timestamp + (shift->timestamp & mask));
  to->words[2] = (f->rtp[2] & ~mask) | (bpf_htonl(shift->ssrc) & mask);
}

/* The same for each receiver of a flow that has several. Called under the lock. */
static __always_inline void shift_each(struct numbers *to, const struct ferry_flow *flow, const struct frame *f,
                                       const struct rtp_facts *rtp) {
#pragma unroll
  for (int i = 0; i < FERRY_SINKS; ++i) shift_header(&to[i], &flow->more.shifts[i], f, rtp);
}

/* What is to be added to the complement of a checksum, so that it follows from the words of the frame to others
 * (RFC 1624: ~m + m' for each word). */
static __always_inline __u64 change_of(const struct frame *f, const struct numbers *to) {
  __u64 sum = 0;
#pragma unroll
  for (int i = 0; i < 3; ++i) sum += (__u64)(__be32)~f->rtp[i] + to->words[i];
  return sum;
}

/* The checksum of a whole datagram with everything that changes in it. */
static __always_inline __u16 checksum_for(const struct frame *f, const struct route *route) {
  return new_checksum(f, route, route->flags & FERRY_SHIFTED ? change_of(f, &route->numbers) : 0);
}

/* Writes the words behind the UDP header of a frame. 0: there is no room. */
static __always_inline int write_numbers(struct udphdr *udp, void *data_end, const struct numbers *to) {
  __be32 *words = (void *)(udp + 1);
  if ((void *)(words + 3) > data_end) return 0;
  words[0] = to->words[0];
  words[1] = to->words[1];
  words[2] = to->words[2];
  return 1;
}

/* Gives a frame that has the words `now` others, through helpers of the kernel, which know about partial checksums. */
static __always_inline void renumber(struct __sk_buff *skb, __u32 udp, struct numbers *now, const struct numbers *to,
                                     int has_checksum) {
  if (has_checksum) {
    __s64 difference = bpf_csum_diff(now->words, sizeof now->words, (__be32 *)to->words, sizeof to->words, 0);
    bpf_l4_csum_replace(skb, udp + __builtin_offsetof(struct udphdr, check), 0, difference, BPF_F_MARK_MANGLED_0);
  }
  bpf_skb_store_bytes(skb, udp + sizeof(struct udphdr), to->words, sizeof to->words, 0);
  *now = *to;
}
