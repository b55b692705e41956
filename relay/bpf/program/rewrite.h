/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Gives a frame new headers. `write_headers` writes all of them at once and is for frames that need nothing but that.
 * `rewrite` goes through helpers of the kernel; only tc has them, and only they complete a partial checksum or make
 * room for another address family. */
#pragma once

#include "relay/bpf/program/checksum.h"
#include "relay/bpf/program/shift.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

static __always_inline void write_macs(struct ethhdr *eth, const struct ferry_hop *hop) {
  __builtin_memcpy(eth->h_dest, hop->destination_mac, 6);
  __builtin_memcpy(eth->h_source, hop->source_mac, 6);
}

/* Writes the IP header for new ends. `is_new`: the frame was IPv6, so all fields are written. The TTL starts anew:
 * the relay is an end of its own (LAT-1), not a router. */
static __always_inline void write_ipv4(struct iphdr *ip, const struct pair *ends, __u8 tos,
                                       __u32 udp_size, int is_new) {
  if (is_new) {
    *(__u8 *)ip = 0x45;
    ip->tot_len = bpf_htons(sizeof *ip + udp_size);
    ip->id = 0; /* RFC 6864: may not be fragmented, so it needs none */
    ip->frag_off = bpf_htons(0x4000);
    ip->protocol = IPPROTO_UDP;
  }
  ip->saddr = ((const __be32 *)ends->local)[3];
  ip->daddr = ((const __be32 *)ends->remote)[3];
  ip->tos = tos;
  ip->ttl = 64;
  ip->check = 0;
  ip->check = (__u16)~fold(sum_words(ip, 5));
}

static __always_inline void write_ipv6(struct ipv6hdr *ip, const struct pair *ends, __u8 tos,
                                       __u32 udp_size) {
  *(__be32 *)ip = bpf_htonl(0x60000000u | ((__u32)tos << 20));
  ip->payload_len = bpf_htons(udp_size);
  ip->nexthdr = IPPROTO_UDP;
  ip->hop_limit = 64;
  __builtin_memcpy(&ip->saddr, ends->local, 16);
  __builtin_memcpy(&ip->daddr, ends->remote, 16);
}

/* Writes the headers of a frame that has room for them. 0: it has not. `may_shift` is a constant: the numbers of its
 * RTP header may be other ones, too. */
static __always_inline int write_headers(void *data, void *data_end, const struct frame *f, const struct route *route,
                                         const struct ferry_hop *hop, __u16 check, int may_shift) {
  struct ethhdr *eth = data;
  struct udphdr *udp;
  if (route->is_ipv6) {
    struct ipv6hdr *ip = (void *)(eth + 1);
    udp = (void *)(ip + 1);
    if ((void *)(udp + 1) > data_end) return 0;
    write_ipv6(ip, &route->ends, route->tos, f->udp_size);
    eth->h_proto = bpf_htons(ETH_P_IPV6);
  } else {
    struct iphdr *ip = (void *)(eth + 1);
    udp = (void *)(ip + 1);
    if ((void *)(udp + 1) > data_end) return 0;
    write_ipv4(ip, &route->ends, route->tos, f->udp_size, f->is_ipv6);
    eth->h_proto = bpf_htons(ETH_P_IP);
  }
  if (may_shift && (route->flags & FERRY_SHIFTED) && !write_numbers(udp, data_end, &route->numbers)) return 0;
  udp->check = check;
  udp->source = route->local_port_be;
  udp->dest = route->peer_port_be;
  write_macs(eth, hop);
  return 1;
}

/* Rewrites a frame from the ends that it has to others. 0: the kernel refused. Goes through the helpers of the
 * kernel, which know about partial checksums and change the room for the IP header. */
static __always_inline int rewrite(struct __sk_buff *skb, struct ends *from, const struct ends *to, __u8 tos,
                                   __u32 udp_size, int has_checksum, __s64 address_change,
                                   const struct ferry_hop *hop) {
  const int changes = from->is_ipv6 != to->is_ipv6;
  if (changes && bpf_skb_change_proto(skb, to->is_ipv6 ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP), 0) != 0) return 0;
  const __u32 udp = sizeof(struct ethhdr) + (to->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
  if (has_checksum) {
    /* The kernel knows whether the checksum is still partial. Zero would mean "none", hence BPF_F_MARK_MANGLED_0. */
    const __u32 check_at = udp + __builtin_offsetof(struct udphdr, check);
    bpf_l4_csum_replace(skb, check_at, 0, address_change, BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0);
    bpf_l4_csum_replace(skb, check_at, from->ports, to->ports, BPF_F_MARK_MANGLED_0 | 4);
  }
  bpf_skb_store_bytes(skb, udp, &to->ports, 4, 0);
  void *data = (void *)(long)skb->data;
  void *data_end = (void *)(long)skb->data_end;
  struct ethhdr *eth = data;
  if (to->is_ipv6) {
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > data_end) return 0;
    write_ipv6(ip, &to->addresses, tos, udp_size);
    eth->h_proto = bpf_htons(ETH_P_IPV6);
  } else {
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) > data_end) return 0;
    write_ipv4(ip, &to->addresses, tos, udp_size, changes);
    eth->h_proto = bpf_htons(ETH_P_IP);
  }
  write_macs(eth, hop);
  *from = *to;
  return 1;
}
