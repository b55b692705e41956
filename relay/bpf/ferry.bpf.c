/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Forwards locked plain RTP streams in the kernel (LAT-13).
 *
 * Three programs look at received frames. `ferry_xdp` runs in the driver and takes the common case: one receiver, a
 * whole checksum, an outgoing interface that XDP can reach. It passes everything else on. `ferry_tc` runs behind it,
 * on the kernel's own packet (skb), and can do all: other interfaces, several receivers, silence, partial checksums.
 * `ferry_xdp_alone` is the first one for kernels where tc cannot be attached. A fourth, `ferry_control`, is never
 * attached: user space runs it to change the table of flows.
 *
 * This file has what user space finds by name: the variables, the maps and the programs. What the programs do is in
 * program/, a header for each concern.
 *
 * The way of a frame (program/forward_xdp.h, and `ferry_tc` below):
 * 1. `parse` takes the headers apart. A frame for a port outside the media range leaves here, after one comparison.
 * 2. The flow is looked up by address and port. None: the sockets get the frame.
 * 3. READ_RTP checks the RTP header as the core would (DMX-3).
 * 4. `find_hop` gives the way to the receiver, which user space keeps current (docs/adr/0004).
 * 5. `judge` decides and counts, under the flow's lock.
 * 6. The headers are rewritten and the frame is sent, copied to user space, dropped, or punted: left to the sockets.
 *
 * Rules:
 * - The program decides nothing that could be wrong. Whatever needs a decision is punted with nothing counted, and
 *   user space judges it as if there were no program.
 * - It counts exactly what StreamStats, TokenBucket and Latch would count. Tests send the same packets both ways and
 *   compare the states.
 * - Helpers of the kernel may not be called while the spin lock is held. So routes and budgets are looked up before,
 *   and `judge` checks that the plan still names the same hop.
 * - The verifier walks every path. Bounds that look superfluous, the masks and the noinline functions are for it. */
#include "relay/bpf/abi.h"
#include "relay/bpf/program/types.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The version of abi.h. A later daemon reads it to know whether it can adopt these programs. */
const volatile __u32 abi = FERRY_ABI;
/* The range of media ports, in host order; set before loading. Frames to other ports leave after one comparison. */
volatile __u16 port_first = 0;
volatile __u16 port_last = 0;
/* CLOCK_MONOTONIC in ns. The daemon moves it on every few seconds. A tc filter outlives a daemon that was killed;
 * once this time has passed, the program forwards nothing any more. */
volatile __u64 alive_until = 0;

/* Flows by the address and port that packets come to. Not preallocated: most calls of most hosts have none. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 131072);
  __type(key, struct ferry_key);
  __type(value, struct ferry_flow);
} flows SEC(".maps");

/* Ways to receivers. User space writes them through mapped memory; the programs only read. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, FERRY_HOPS);
  __type(key, __u32);
  __type(value, struct ferry_hop_copies);
} hops SEC(".maps");

/* Packets by `enum ferry_punt`, for each CPU. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, FERRY_COUNTERS);
  __type(key, __u32);
  __type(value, __u64);
} counters SEC(".maps");

/* Orders of the workers, FERRY_ORDERS for each one, in memory that they share with this program. The number of
 * entries is set before loading. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, FERRY_ORDERS);
  __type(key, __u32);
  __type(value, struct ferry_order);
} orders SEC(".maps");

/* One ring of samples for each worker. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, FERRY_WORKERS);
  __type(key, __u32);
  __array(
      values, struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 4096);
      });
} rings SEC(".maps");

/* Budgets of the interfaces, by index modulo FERRY_INTERFACE_SLOTS. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, FERRY_INTERFACE_SLOTS);
  __type(key, __u32);
  __type(value, struct budget);
} budgets SEC(".maps");

/* Memory beside the stack, one piece for each CPU. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratches SEC(".maps");

/* The parts, which use the variables and maps above. */
#include "relay/bpf/program/address.h"
#include "relay/bpf/program/checksum.h"
#include "relay/bpf/program/counters.h"
#include "relay/bpf/program/forward_xdp.h"
#include "relay/bpf/program/hop.h"
#include "relay/bpf/program/judge.h"
#include "relay/bpf/program/latch.h"
#include "relay/bpf/program/orders.h"
#include "relay/bpf/program/parse.h"
#include "relay/bpf/program/rewrite.h"
#include "relay/bpf/program/rtp.h"
#include "relay/bpf/program/sample.h"
#include "relay/bpf/program/silence.h"

/* In front of `ferry_tc`. */
SEC("xdp")
int ferry_xdp(struct xdp_md *ctx) { return forward_xdp(ctx, STAGE_XDP); }

/* For hosts where no tc program can be attached. */
SEC("xdp")
int ferry_xdp_alone(struct xdp_md *ctx) { return forward_xdp(ctx, STAGE_XDP_ALONE); }

/* The tc program: everything that the judge allows, for every receiver. TC_ACT_UNSPEC leaves a frame to the next
 * filter and then to the sockets. */
SEC("tc")
int ferry_tc(struct __sk_buff *skb) {
  void *data = (void *)(long)skb->data;
  void *data_end = (void *)(long)skb->data_end;
  const __u32 headers = sizeof(struct ethhdr) + sizeof(struct ipv6hdr) + sizeof(struct udphdr) + RTP_MIN;
  /* The headers may lie in another page than the first one. */
  if (data + headers > data_end && skb->len > data_end - data) {
    if (bpf_skb_pull_data(skb, skb->len < headers ? skb->len : headers) != 0) return TC_ACT_UNSPEC;
    data = (void *)(long)skb->data;
    data_end = (void *)(long)skb->data_end;
  }
  struct frame f;
  if (!parse(data, data_end, &f)) return TC_ACT_UNSPEC;
  struct ferry_flow *flow = bpf_map_lookup_elem(&flows, &f.key);
  if (!flow) return TC_ACT_UNSPEC;
  struct rtp_facts rtp = {};
  int is_rtp;
  READ_RTP(skb, bpf_skb_load_bytes, &f, &rtp, is_rtp);
  __u32 reason = FERRY_PUNT_NONE;
  const struct ferry_hop *hop = 0;
  struct route route = {};
  struct scratch *others = 0;
  if (flow->plan.flags & FERRY_TC_ONLY) {
    const __u32 zero = 0;
    others = bpf_map_lookup_elem(&scratches, &zero);
    if (!others) return TC_ACT_UNSPEC;
  }
  /* All receivers are checked before anything is counted: a punted packet must not count. */
  if (skb->vlan_present || skb->gso_size != 0) {
    reason = FERRY_PUNT_FORM;
  } else if (is_rtp && is_from_peer(&flow->plan, &f) && flow->plan.sink_count != 0) {
    if (others) {
      for (int i = 1; i < FERRY_SINKS; ++i) {
        if (i >= flow->plan.sink_count || reason != FERRY_PUNT_NONE) break;
        reason = find_hop(flow->more.sinks[i - 1].hop, &f, &hop);
        if (reason == FERRY_PUNT_NONE && f.checksum == 0 && !is_mapped_ipv4(hop->local)) reason = FERRY_PUNT_FORM;
      }
      if (rtp.size > SILENCE_CHUNK * SILENCE_CHUNKS) reason = FERRY_PUNT_MTU;
    }
    if (reason == FERRY_PUNT_NONE) {
      route.hop = flow->plan.sink.hop;
      reason = find_hop(route.hop, &f, &hop);
      if (reason == FERRY_PUNT_NONE) {
        read_pair(&route.ends, hop);
        route.is_ipv6 = !is_mapped_ipv4(route.ends.local);
        if (f.checksum == 0 && route.is_ipv6) reason = FERRY_PUNT_FORM;
      }
    }
  }
  if (reason != FERRY_PUNT_NONE) {
    add_one(reason);
    return TC_ACT_UNSPEC;
  }
  const int action = judge(flow, &f, &rtp, is_rtp, &route, skb->ifindex, others, STAGE_TC);
  if (route.counted && (route.flags & FERRY_SAMPLED)) sample_tc(skb, flow, &f, &route);
  if (action == ACTION_DROP) return TC_ACT_SHOT;
  if (action != ACTION_SEND || !hop) return TC_ACT_UNSPEC;

  if (!(route.flags & FERRY_TC_ONLY) && route.is_ipv6 == f.is_ipv6 && f.checksum != 0 && !route.partial) {
    /* The fast way: nothing has to be done that only the kernel can do. A sum that the driver made of the whole
     * frame (CHECKSUM_COMPLETE) has to follow the change. */
    bpf_csum_update(skb, (__u16)~route.address_change);
    if (!write_headers((void *)(long)skb->data, (void *)(long)skb->data_end, &f, &route, hop, new_checksum(&f, &route)))
      return TC_ACT_SHOT;
    add_one(FERRY_SENT_TC);
    return bpf_redirect(hop->ifindex, 0);
  }
  /* The general way, through helpers: another address family, a partial checksum, several receivers. */
  struct ends now = {};
  __builtin_memcpy(now.addresses.local, f.from, 16);
  __builtin_memcpy(now.addresses.remote, f.key.address, 16);
  now.ports = f.from_port_be | ((__u32)f.key.port_be << 16);
  now.is_ipv6 = f.is_ipv6;
  struct ends next = {};
  if (!(route.flags & FERRY_TC_ONLY)) {
    next.addresses = route.ends;
    next.ports = route.local_port_be | ((__u32)route.peer_port_be << 16);
    next.is_ipv6 = route.is_ipv6;
    if (!rewrite(skb, &now, &next, route.tos, f.udp_size, f.checksum != 0, route.address_change, hop))
      return TC_ACT_SHOT;
    add_one(FERRY_SENT_TC);
    return bpf_redirect(hop->ifindex, 0);
  }
  /* Never; the verifier does not know that. */
  if (!others) return TC_ACT_SHOT;
  /* Receivers that hear silence come behind the others: the payload is overwritten once, for all of them. */
  int is_silent = 0;
  __u16 last_change = 0;
  for (__u32 i = 0; i < FERRY_SINKS; ++i) {
    if (i >= route.sink_count) break;
    __u16 change_now = route.address_change;
    __u8 tos = route.tos;
    __u8 silenced = route.silenced;
    if (i == 0) {
      next.addresses = route.ends;
      next.ports = route.local_port_be | ((__u32)route.peer_port_be << 16);
    } else {
      const struct ferry_sink *sink = &others->sinks[i - 1];
      /* The hop went away since it was checked above. */
      if (find_hop(sink->hop, &f, &hop) != FERRY_PUNT_NONE) continue;
      read_pair(&next.addresses, hop);
      next.ports = sink->local_port_be | ((__u32)sink->peer_port_be << 16);
      change_now = sink->address_change;
      tos = sink->tos;
      silenced = sink->silenced;
    }
    next.is_ipv6 = !is_mapped_ipv4(next.addresses.local);
    if (silenced && !is_silent) {
      const __u32 udp = sizeof(struct ethhdr) + (now.is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
      if (silence(skb, udp + sizeof(struct udphdr) + rtp.header, rtp.size - rtp.padding - rtp.header, route.silence,
                  f.checksum != 0 ? udp + __builtin_offsetof(struct udphdr, check) : 0) != 0)
        return TC_ACT_SHOT;
      is_silent = 1;
    }
    /* Both changes are counted from the flow's own addresses; the frame has those of the receiver before. */
    const __u16 change = fold((__u64)change_now + (__u16)~last_change);
    last_change = change_now;
    if (!rewrite(skb, &now, &next, tos, f.udp_size, f.checksum != 0, change, hop)) return TC_ACT_SHOT;
    add_one(FERRY_SENT_TC);
    /* The last receiver gets the frame itself, the others get clones. */
    if (i + 1 >= route.sink_count) return bpf_redirect(hop->ifindex, 0);
    bpf_clone_redirect(skb, hop->ifindex, 0);
  }
  return TC_ACT_SHOT;
}

/* Carries out orders. User space runs it with a `ferry_run` behind an Ethernet header (BPF_PROG_TEST_RUN); it is
 * never attached. One run for a batch costs one system call. */
SEC("tc")
int ferry_control(struct __sk_buff *skb) {
  struct ferry_run run;
  if (bpf_skb_load_bytes(skb, sizeof(struct ethhdr), &run, sizeof run) != 0) return -1;
  for (__u32 i = 0; i < FERRY_ORDERS; ++i) {
    if (i >= run.count) break;
    carry_out(run.first + i);
  }
  return 1;
}
