/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The way of a frame through the two XDP programs. They run in the driver, before the kernel makes a packet (skb) of
 * the frame, and take the common case only: one receiver, a whole checksum, an interface that XDP can reach. */
#pragma once

#include "relay/bpf/program/address.h"
#include "relay/bpf/program/checksum.h"
#include "relay/bpf/program/counters.h"
#include "relay/bpf/program/hop.h"
#include "relay/bpf/program/judge.h"
#include "relay/bpf/program/parse.h"
#include "relay/bpf/program/rewrite.h"
#include "relay/bpf/program/rtp.h"
#include "relay/bpf/program/sample.h"
#include "relay/bpf/program/shift.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

/* The two XDP programs. What STAGE_XDP cannot finish it passes on uncounted, because tc judges the same frame again. */
static __always_inline int forward_xdp(struct xdp_md *ctx, enum stage stage) {
  const int alone = stage == STAGE_XDP_ALONE;
  void *data = (void *)(long)ctx->data;
  void *data_end = (void *)(long)ctx->data_end;
  struct frame f;
  if (!parse(data, data_end, &f)) return XDP_PASS;
  struct ferry_flow *flow = bpf_map_lookup_elem(&flows, &f.key);
  if (!flow || (!alone && (flow->plan.flags & FERRY_TC_ONLY))) return XDP_PASS;
  struct rtp_facts rtp = {};
  int is_rtp;
  READ_RTP(ctx, bpf_xdp_load_bytes, &f, &rtp, is_rtp);
  /* tc counts and limits what is not RTP (LIM-3). */
  if (!is_rtp && !alone) return XDP_PASS;
  const struct ferry_hop *hop = 0;
  struct route route = {};
  if (is_rtp && flow->plan.sink_count != 0) {
    route.hop = flow->plan.sink.hop;
    __u32 reason = find_hop(route.hop, &f, &hop);
    /* tc reaches every interface; XDP only this one, or another one whose driver takes redirected frames. */
    if (reason == FERRY_PUNT_NONE && hop->ifindex != ctx->ingress_ifindex && !hop->xdp) reason = FERRY_PUNT_HOP;
    if (reason != FERRY_PUNT_NONE) {
      if (alone) add_one(reason);
      return XDP_PASS;
    }
    read_pair(&route.ends, hop);
    route.is_ipv6 = !is_mapped_ipv4(route.ends.local);
  }
  const int action = judge(flow, &f, &rtp, is_rtp, &route, ctx->ingress_ifindex, 0, stage);
  if (route.counted && (route.flags & FERRY_SAMPLED)) sample_xdp(ctx, flow, &f, &route);
  if (action == ACTION_DROP) return XDP_DROP;
  if (action != ACTION_SEND || !hop) return XDP_PASS;

  /* A frame without a checksum stays without one, which IPv4 allows (RFC 768). A partial one is dropped as well:
   * only the kernel could complete it. */
  const __u16 check = f.checksum != 0 && !route.partial ? checksum_for(&f, &route) : 0;
  const int grows = (int)sizeof(struct ipv6hdr) - (int)sizeof(struct iphdr);
  /* An IPv6 header is 20 octets longer. The Ethernet header is written anew in front of it. */
  if (!f.is_ipv6 && route.is_ipv6 && bpf_xdp_adjust_head(ctx, -grows) != 0) return XDP_DROP;
  if (f.is_ipv6 && !route.is_ipv6 && bpf_xdp_adjust_head(ctx, grows) != 0) return XDP_DROP;
  if (!write_headers((void *)(long)ctx->data, (void *)(long)ctx->data_end, &f, &route, hop, check, 1))
    return XDP_DROP;
  add_one(FERRY_SENT_XDP);
  return hop->ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(hop->ifindex, 0);
}
