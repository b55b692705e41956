/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Addresses as 16 octets, IPv4 ones mapped (::ffff:a.b.c.d). */
#pragma once

#include "relay/bpf/program/types.h"

#include <bpf/bpf_endian.h>

static __always_inline int same_address(const __u8 *a, const __u8 *b) {
  const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;
  return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline void map_ipv4(__u8 *to, __be32 address) {
  __u32 *words = (__u32 *)to;
  words[0] = words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = address;
}

static __always_inline int is_mapped_ipv4(const __u8 *address) {
  const __u32 *words = (const __u32 *)address;
  return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}
