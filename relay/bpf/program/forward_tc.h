/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The way of a frame through the tc program. It runs on the kernel's own packet (skb), behind `ferry_xdp`, and can do
 * all that the judge allows: other interfaces, several receivers, silence, partial checksums. Uses the maps `flows` and
 * `scratches` of ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/address.h"
#include "relay/bpf/program/checksum.h"
#include "relay/bpf/program/counters.h"
#include "relay/bpf/program/hop.h"
#include "relay/bpf/program/judge.h"
#include "relay/bpf/program/latch.h"
#include "relay/bpf/program/parse.h"
#include "relay/bpf/program/rewrite.h"
#include "relay/bpf/program/rtp.h"
#include "relay/bpf/program/sample.h"
#include "relay/bpf/program/shift.h"
#include "relay/bpf/program/silence.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

/* Moves the headers into the first page of the packet, where `parse` reads them. Returns 0 if the kernel refused. */
static __always_inline int pull_headers(struct __sk_buff *skb) {
  const __u32 headers = sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + sizeof(struct udphdr) + RTP_MIN;
  void *data = (void *)(long)skb->data;
  void *data_end = (void *)(long)skb->data_end;
  if (data + headers <= data_end || skb->len <= data_end - data) return 1;
  return bpf_skb_pull_data(skb, skb->len < headers ? skb->len : headers) == 0;
}

/* Finds the way to one receiver. Returns why it cannot be reached, or FERRY_PUNT_NONE with `hop` set. IPv6 needs a
 * checksum, so a frame without one goes to IPv4 receivers only. */
static __always_inline __u32 find_receiver(__u32 id, const struct frame *f, const struct ferry_hop **hop) {
  const __u32 reason = find_hop(id, f, hop);
  if (reason != FERRY_PUNT_NONE) return reason;
  return f->checksum == 0 && !is_mapped_ipv4((*hop)->local) ? FERRY_PUNT_FORM : FERRY_PUNT_NONE;
}

/* Checks the receivers behind the first one. Returns why the packet is punted, or FERRY_PUNT_NONE. */
static __always_inline __u32 check_others(const struct ferry_flow *flow, const struct frame *f,
                                          const struct rtp_facts *rtp) {
  if (rtp->size > SILENCE_CHUNK * SILENCE_CHUNKS) return FERRY_PUNT_MTU;
  for (int i = 1; i < FERRY_SINKS; ++i) {
    if (i >= flow->plan.sink_count) break;
    const struct ferry_hop *hop = 0;
    const __u32 reason = find_receiver(flow->more.sinks[i - 1].hop, f, &hop);
    if (reason != FERRY_PUNT_NONE) return reason;
  }
  return FERRY_PUNT_NONE;
}

/* Finds the way to the first receiver and fills it into `route`. Returns why the packet is punted, or FERRY_PUNT_NONE
 * with `hop` set. */
static __always_inline __u32 find_first(const struct ferry_flow *flow, const struct frame *f, struct route *route,
                                        const struct ferry_hop **hop) {
  route->hop = flow->plan.sink.hop;
  const __u32 reason = find_receiver(route->hop, f, hop);
  if (reason != FERRY_PUNT_NONE) return reason;
  read_pair(&route->ends, *hop);
  route->is_ipv6 = !is_mapped_ipv4(route->ends.local);
  return FERRY_PUNT_NONE;
}

/* True if the frame needs nothing that is better left to helpers of the kernel: another address family, a partial
 * checksum, several receivers, other numbers. */
static __always_inline int is_plain(const struct frame *f, const struct route *route) {
  return !(route->flags & (FERRY_TC_ONLY | FERRY_SHIFTED)) && route->is_ipv6 == f->is_ipv6 && f->checksum != 0 && !route->partial;
}

/* Sends a plain frame to its receiver: rewrites the headers in place, without helpers that resize the packet. */
static __always_inline int send_plain(struct __sk_buff *skb, const struct frame *f, const struct route *route,
                                      const struct ferry_hop *hop) {
  /* A sum that the driver made of the whole frame (CHECKSUM_COMPLETE) has to follow the change. */
  bpf_csum_update(skb, (__u16)~route->address_change);
  if (!write_headers((void *)(long)skb->data, (void *)(long)skb->data_end, f, route, hop, new_checksum(f, route, 0), 0))
    return TC_ACT_SHOT;
  add_one(FERRY_SENT_TC);
  return bpf_redirect(hop->ifindex, 0);
}

/* Sets `now` to the ends (addresses, ports, address family) that a frame has come with. */
static __always_inline void take_ends(struct ends *now, const struct frame *f) {
  __builtin_memcpy(now->addresses.local, f->from, 16);
  __builtin_memcpy(now->addresses.remote, f->key.address, 16);
  now->ports = f->from_port_be | ((__u32)f->key.port_be << 16);
  now->is_ipv6 = f->is_ipv6;
}

/* Sets `next` to the ends of the first receiver. */
static __always_inline void take_first(struct ends *next, const struct route *route) {
  next->addresses = route->ends;
  next->ports = route->local_port_be | ((__u32)route->peer_port_be << 16);
  next->is_ipv6 = route->is_ipv6;
}

/* Sets `next` to the ends of a receiver behind the first one. */
static __always_inline void take_other(struct ends *next, const struct ferry_sink *sink, const struct ferry_hop *hop) {
  read_pair(&next->addresses, hop);
  next->ports = sink->local_port_be | ((__u32)sink->peer_port_be << 16);
  next->is_ipv6 = !is_mapped_ipv4(next->addresses.local);
}

/* Offset of the UDP header in a frame with these ends. */
static __always_inline __u32 udp_of(const struct ends *ends) {
  return sizeof(struct ethhdr) + (ends->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

/* Sets `now` to the numbers that a frame has come with. */
static __always_inline void take_numbers(struct numbers *now, const struct frame *f) {
  __builtin_memcpy(now->words, f->rtp, sizeof now->words);
}

/* Sends a frame to its only receiver through the helpers of the kernel. */
static __always_inline int send_rewritten(struct __sk_buff *skb, const struct frame *f, const struct route *route,
                                          const struct ferry_hop *hop) {
  struct ends now = {};
  struct ends next = {};
  take_ends(&now, f);
  take_first(&next, route);
  if (!rewrite(skb, &now, &next, route->tos, f->udp_size, f->checksum != 0, route->address_change, hop))
    return TC_ACT_SHOT;
  if (route->flags & FERRY_SHIFTED) {
    struct numbers came;
    take_numbers(&came, f);
    renumber(skb, udp_of(&now), &came, &route->numbers, f->checksum != 0);
  }
  add_one(FERRY_SENT_TC);
  return bpf_redirect(hop->ifindex, 0);
}

/* Overwrites the payload of a frame with silence. Returns 0 if the kernel refused. */
static __always_inline int silence_payload(struct __sk_buff *skb, int is_ipv6, const struct frame *f,
                                           const struct rtp_facts *rtp, __u8 octet) {
  const __u32 udp = sizeof(struct ethhdr) + (is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
  const __u32 check_at = f->checksum != 0 ? udp + __builtin_offsetof(struct udphdr, check) : 0;
  return silence(skb, udp + sizeof(struct udphdr) + rtp->header, rtp->size - rtp->padding - rtp->header, octet,
                 check_at) == 0;
}

/* Sends a frame to each of its receivers, and rewrites it for each. `others` has the receivers behind the first one.
 * Receivers that hear silence come last, so the payload is overwritten once, for all of them. */
static __always_inline int send_to_each(struct __sk_buff *skb, const struct frame *f, const struct rtp_facts *rtp,
                                        const struct route *route, const struct scratch *others,
                                        const struct ferry_hop *hop) {
  struct ends now = {};
  struct ends next = {};
  take_ends(&now, f);
  struct numbers numbers;
  take_numbers(&numbers, f);
  int is_silent = 0;
  __u16 last_change = 0;
  for (__u32 i = 0; i < FERRY_SINKS; ++i) {
    if (i >= route->sink_count) break;
    __u16 change_now = route->address_change;
    __u8 tos = route->tos;
    __u8 silenced = route->silenced;
    if (i == 0) {
      take_first(&next, route);
    } else {
      const struct ferry_sink *sink = &others->sinks[i - 1];
      /* The hop went away since it was checked. */
      if (find_hop(sink->hop, f, &hop) != FERRY_PUNT_NONE) continue;
      take_other(&next, sink, hop);
      change_now = sink->address_change;
      tos = sink->tos;
      silenced = sink->silenced;
    }
    if (silenced && !is_silent) {
      if (!silence_payload(skb, now.is_ipv6, f, rtp, route->silence)) return TC_ACT_SHOT;
      is_silent = 1;
    }
    /* Both changes are counted from the flow's own addresses; the frame has those of the receiver before. */
    const __u16 change = fold((__u64)change_now + (__u16)~last_change);
    last_change = change_now;
    if (!rewrite(skb, &now, &next, tos, f->udp_size, f->checksum != 0, change, hop)) return TC_ACT_SHOT;
    if (route->flags & FERRY_SHIFTED)
      renumber(skb, udp_of(&now), &numbers, i == 0 ? &route->numbers : &others->numbers[i], f->checksum != 0);
    add_one(FERRY_SENT_TC);
    /* The last receiver gets the frame itself, those before it get clones. */
    if (i + 1 >= route->sink_count) return bpf_redirect(hop->ifindex, 0);
    bpf_clone_redirect(skb, hop->ifindex, 0);
  }
  return TC_ACT_SHOT;
}

/* The tc program. TC_ACT_UNSPEC leaves a frame to the next filter and then to the sockets. */
static __always_inline int forward_tc(struct __sk_buff *skb) {
  if (!pull_headers(skb)) return TC_ACT_UNSPEC;
  struct frame f;
  if (!parse((void *)(long)skb->data, (void *)(long)skb->data_end, &f)) return TC_ACT_UNSPEC;
  struct ferry_flow *flow = bpf_map_lookup_elem(&flows, &f.key);
  if (!flow) return TC_ACT_UNSPEC;
  struct rtp_facts rtp = {};
  int is_rtp;
  READ_RTP(skb, bpf_skb_load_bytes, &f, &rtp, is_rtp);
  struct scratch *others = 0;
  if (flow->plan.flags & FERRY_TC_ONLY) {
    const __u32 zero = 0;
    others = bpf_map_lookup_elem(&scratches, &zero);
    if (!others) return TC_ACT_UNSPEC;
  }
  /* All receivers are checked before anything is counted: a punted packet must not count. */
  __u32 reason = FERRY_PUNT_NONE;
  const struct ferry_hop *hop = 0;
  struct route route = {};
  if (skb->vlan_present || skb->gso_size != 0) {
    reason = FERRY_PUNT_FORM;
  } else if (is_rtp && is_from_peer(&flow->plan, &f) && flow->plan.sink_count != 0) {
    if (others) reason = check_others(flow, &f, &rtp);
    if (reason == FERRY_PUNT_NONE) reason = find_first(flow, &f, &route, &hop);
  }
  if (reason != FERRY_PUNT_NONE) {
    add_one(reason);
    return TC_ACT_UNSPEC;
  }
  const int action = judge(flow, &f, &rtp, is_rtp, &route, skb->ifindex, others, STAGE_TC);
  if (route.counted && (route.flags & FERRY_SAMPLED)) sample_tc(skb, flow, &f, &route);
  if (action == ACTION_DROP) return TC_ACT_SHOT;
  if (action != ACTION_SEND || !hop) return TC_ACT_UNSPEC;

  if (is_plain(&f, &route)) return send_plain(skb, &f, &route, hop);
  if (!(route.flags & FERRY_TC_ONLY)) return send_rewritten(skb, &f, &route, hop);
  /* The plan came to need more than one plain receiver after the first look at the flow. */
  if (!others) return TC_ACT_SHOT;
  return send_to_each(skb, &f, &rtp, &route, others, hop);
}
