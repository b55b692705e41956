/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The two ends of the media bench: a sink that counts and times what comes back, and the least that any forwarder
 * must do (parse, hash, FIB, rewrite, count), as the ceiling that the relay is compared with. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define AF_INET 2
#define BUCKETS 1024 /* 16 for each power of two of nanoseconds */

struct end {
  __be32 address;
  __be16 port;
  __u16 zero;
};
struct rewrite {
  __be32 source;
  __be32 destination;
  __be16 source_port;
  __be16 destination_port;
  __u64 packets;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, struct end);
  __type(value, struct rewrite);
} rewrites SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, BUCKETS);
  __type(key, __u32);
  __type(value, __u64);
} latencies SEC(".maps");

struct parsed {
  struct ethhdr *eth;
  struct iphdr *ip;
  struct udphdr *udp;
};

static __always_inline int parse(void *data, void *end, struct parsed *p) {
  p->eth = data;
  p->ip = (void *)(p->eth + 1);
  p->udp = (void *)(p->ip + 1);
  if ((void *)(p->udp + 1) > end || p->eth->h_proto != bpf_htons(ETH_P_IP) || p->ip->protocol != IPPROTO_UDP ||
      p->ip->ihl != 5)
    return 0;
  return 1;
}

#define FIRST_SPEAKER 40000 /* first port of parties that speak through sockets (transcode_rate.py) */

/* Frames of the generator carry the time they were sent at behind the RTP header. */
SEC("xdp")
int sink(struct xdp_md *ctx) {
  struct parsed p;
  if (!parse((void *)(long)ctx->data, (void *)(long)ctx->data_end, &p) || p.udp->dest == bpf_htons(2223)) return XDP_PASS;
  __u64 *sent = (void *)(p.udp + 1) + 12;
  if ((void *)(sent + 1) > (void *)(long)ctx->data_end || *(__u8 *)(p.udp + 1) >> 6 != 2) return XDP_PASS;
  if (bpf_ntohs(p.udp->dest) >= FIRST_SPEAKER) return XDP_DROP;
  __u64 took = bpf_ktime_get_ns() - *sent;
  if (took < 16) took = 16;
  __u32 log = 0;
#pragma unroll
  for (int step = 32; step > 0; step /= 2) {
    if (took >> (log + step)) log += step;
  }
  __u32 bucket = log * 16 + ((took >> (log - 4)) & 15);
  __u64 *count = bpf_map_lookup_elem(&latencies, &bucket);
  if (count) ++*count;
  return XDP_DROP;
}

/* What came to the ends of WebRTC calls: at even addresses are browsers, at odd ones phones. User space reads and sets both. */
__u64 heard[4] = {}; /* audio to browsers, audio to phones, video to browsers, video to phones */
volatile __u32 is_counting = 0;
#define LARGE 600 /* octets of UDP: video is above, audio below */

/* Takes RTP away while it counts; RTCP, STUN and DTLS pass (RFC 7983). */
SEC("xdp")
int count(struct xdp_md *ctx) {
  struct parsed p;
  if (!is_counting || !parse((void *)(long)ctx->data, (void *)(long)ctx->data_end, &p)) return XDP_PASS;
  __u8 *rtp = (void *)(p.udp + 1);
  if ((void *)(rtp + 12) > (void *)(long)ctx->data_end || rtp[0] >> 6 != 2) return XDP_PASS;
  if ((rtp[1] & 0x7f) >= 64 && (rtp[1] & 0x7f) < 96) return XDP_PASS; /* RTCP (RFC 5761 section 4) */
  const __u32 kind = (bpf_ntohl(p.ip->daddr) & 1) | (bpf_ntohs(p.udp->len) > LARGE ? 2 : 0);
  __sync_fetch_and_add(&heard[kind & 3], 1);
  return XDP_DROP;
}

/* Rewrites a frame; the interface that it leaves by, or 0. */
static __always_inline __u32 forward(void *ctx, const struct parsed *p, __u32 ifindex) {
  struct end key = {.address = p->ip->daddr, .port = p->udp->dest};
  struct rewrite *to = bpf_map_lookup_elem(&rewrites, &key);
  if (!to) return 0;
  struct bpf_fib_lookup fib = {};
  fib.family = AF_INET;
  fib.l4_protocol = IPPROTO_UDP;
  fib.tot_len = bpf_ntohs(p->ip->tot_len);
  fib.ipv4_src = to->source;
  fib.ipv4_dst = to->destination;
  fib.ifindex = ifindex;
  if (bpf_fib_lookup(ctx, &fib, sizeof fib, 0) != BPF_FIB_LKUP_RET_SUCCESS) return 0;
  __sync_fetch_and_add(&to->packets, 1);
  p->ip->saddr = to->source;
  p->ip->daddr = to->destination;
  p->ip->check = 0;
  __u32 sum = 0;
  const __u16 *w = (const __u16 *)p->ip;
#pragma unroll
  for (int i = 0; i < 10; ++i) sum += w[i];
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  p->ip->check = ~sum;
  p->udp->source = to->source_port;
  p->udp->dest = to->destination_port;
  __builtin_memcpy(p->eth->h_dest, fib.dmac, 6);
  __builtin_memcpy(p->eth->h_source, fib.smac, 6);
  return fib.ifindex;
}

SEC("xdp")
int bare(struct xdp_md *ctx) {
  struct parsed p;
  if (!parse((void *)(long)ctx->data, (void *)(long)ctx->data_end, &p)) return XDP_PASS;
  const __u32 out = forward(ctx, &p, ctx->ingress_ifindex);
  if (out == 0) return XDP_PASS;
  return out == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(out, 0);
}

SEC("tc")
int bare_tc(struct __sk_buff *skb) {
  struct parsed p;
  if (!parse((void *)(long)skb->data, (void *)(long)skb->data_end, &p)) return TC_ACT_UNSPEC;
  const __u32 out = forward(skb, &p, skb->ifindex);
  return out == 0 ? TC_ACT_UNSPEC : bpf_redirect(out, 0);
}
