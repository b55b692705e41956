/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Silence for a receiver that shall not hear the payload (`silence media`): the payload is overwritten, its length and
 * the RTP header stay. Uses the map `scratches` of ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>

/* Overwrites `size` octets of a frame at `at` with `octet`, in chunks that fit the scratch memory. The checksum at
 * `check_at` follows, unless that is 0. -1: the kernel refused, or the payload is longer than all chunks. Not
 * static, so that the verifier looks at it only once. */
__noinline int silence(struct __sk_buff *skb, __u32 at, __u32 size, __u32 octet, __u32 check_at) {
  const __u32 zero = 0;
  struct scratch *s = bpf_map_lookup_elem(&scratches, &zero);
  if (!s) return -1;
  const __u32 word = octet | octet << 8 | octet << 16 | octet << 24;
  for (int i = 0; i < SILENCE_CHUNKS; ++i) {
    __u32 now = size < SILENCE_CHUNK ? size : SILENCE_CHUNK;
    /* Keeps the compiler from merging the two comparisons below: the verifier must see both. */
    asm volatile("" : "+r"(now));
    if (now < 1 || now > SILENCE_CHUNK) break;
    /* Octets behind the end of an odd payload must sum as zero. */
    __builtin_memset(s->before, 0, sizeof s->before);
    if (bpf_skb_load_bytes(skb, at, s->before, now) != 0) return -1;
    for (int n = 0; n < SILENCE_CHUNK / 4; ++n) s->after[n] = word;
    if (bpf_skb_store_bytes(skb, at, s->after, now, 0) != 0) return -1;
    if (check_at != 0) {
      __builtin_memset(s->after, 0, sizeof s->after);
      if (bpf_skb_load_bytes(skb, at, s->after, now) != 0) return -1;
      const __s64 change = bpf_csum_diff(s->before, sizeof s->before, s->after, sizeof s->after, 0);
      bpf_l4_csum_replace(skb, check_at, 0, change, BPF_F_MARK_MANGLED_0);
    }
    at += now;
    size -= now;
  }
  return size == 0 ? 0 : -1;
}
