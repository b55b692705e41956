/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The way to a receiver: interface, MAC addresses, MTU. User space finds it and keeps it current (docs/adr/0004); the
 * programs only look it up in the map `hops` of ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/address.h"
#include "relay/bpf/program/parse.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

/* Finds the way to a receiver. Returns why there is none, or FERRY_PUNT_NONE with `hop` set. Without memory
 * barriers: a hop that changes at this moment is either the old one or the new one, since its copies take turns. */
static __always_inline __u32 find_hop(__u32 id, const struct frame *f, const struct ferry_hop **hop) {
  const struct ferry_hop_copies *copies = bpf_map_lookup_elem(&hops, &id);
  if (!copies) return FERRY_PUNT_HOP;
  const struct ferry_hop *found = &copies->copies[copies->current & 1];
  if (found->ifindex == 0) return FERRY_PUNT_HOP;
  *hop = found;
  const __u32 out_header = is_mapped_ipv4(found->local) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  return f->l3_size - ip_size(f) + out_header > found->mtu ? FERRY_PUNT_MTU : FERRY_PUNT_NONE;
}

static __always_inline void read_pair(struct pair *to, const struct ferry_hop *hop) {
  __builtin_memcpy(to->local, hop->local, 16);
  __builtin_memcpy(to->remote, hop->remote, 16);
}
