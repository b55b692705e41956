/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Takes a frame apart: Ethernet, IP and UDP headers, and the fixed part of the RTP header behind them. The first
 * comparison is that of the port, so that other traffic of the host costs next to nothing. Reads the variables
 * `port_first` and `port_last` of ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/address.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

/* The fixed part of an RTP header, in octets. */
#define RTP_MIN 12

/* Takes a frame apart. 0: it is not ours, or of a form that only the sockets handle (IP options, fragments,
 * extension headers). */
static __always_inline int parse(void *data, void *data_end, struct frame *f) {
  struct ethhdr *eth = data;
  if ((void *)(eth + 1) > data_end) return 0;
  struct udphdr *udp;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) + sizeof *udp > data_end || ip->protocol != IPPROTO_UDP || ip->ihl != 5) return 0;
    udp = (void *)(ip + 1);
    const __u16 port = bpf_ntohs(udp->dest);
    if (port < port_first || port > port_last) return 0;
    /* Fragments, all but "don't fragment": ports are only in the first one. */
    if (ip->frag_off & bpf_htons(0x3fff)) return 0;
    map_ipv4(f->key.address, ip->daddr);
    map_ipv4(f->from, ip->saddr);
    f->l3_size = bpf_ntohs(ip->tot_len);
    f->udp = sizeof *eth + sizeof *ip;
    f->is_ipv6 = 0;
  } else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = (void *)(eth + 1);
    if ((void *)(ip + 1) + sizeof *udp > data_end || ip->nexthdr != IPPROTO_UDP) return 0;
    udp = (void *)(ip + 1);
    const __u16 port = bpf_ntohs(udp->dest);
    if (port < port_first || port > port_last) return 0;
    __builtin_memcpy(f->key.address, &ip->daddr, 16);
    __builtin_memcpy(f->from, &ip->saddr, 16);
    f->l3_size = bpf_ntohs(ip->payload_len) + sizeof *ip;
    f->udp = sizeof *eth + sizeof *ip;
    f->is_ipv6 = 1;
  } else {
    return 0;
  }
  f->key.port_be = udp->dest;
  f->key.zero = 0;
  f->from_port_be = udp->source;
  f->checksum = udp->check;
  f->udp_size = bpf_ntohs(udp->len);
  f->has_rtp_header = 0;
  if ((void *)(udp + 1) + RTP_MIN <= data_end) {
    const __be32 *words = (void *)(udp + 1);
    f->has_rtp_header = 1;
    f->rtp[0] = words[0];
    f->rtp[1] = words[1];
    f->rtp[2] = words[2];
  }
  return 1;
}

static __always_inline __u32 ip_size(const struct frame *f) {
  return f->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}
