/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Forwards locked plain RTP streams in the kernel (LAT-13).
 *
 * Three programs look at received frames. `ferry_xdp` runs in the driver and takes the common case: one receiver, a
 * whole checksum, an outgoing interface that XDP can reach. It passes everything else on. `ferry_tc` runs behind it,
 * on the kernel's own packet (skb), and can do all: other interfaces, several receivers, silence, partial checksums.
 * `ferry_xdp_alone` is the first one for kernels where tc cannot be attached. A fourth, `ferry_control`, is never
 * attached: user space runs it to change the table of flows.
 *
 * The way of a frame:
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
#include "abi.h"

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* The range of media ports, in host order; set before loading. Frames to other ports leave after one comparison. */
volatile __u16 port_first = 0;
volatile __u16 port_last = 0;
/* CLOCK_MONOTONIC in ns. The daemon moves it on every few seconds. A tc filter outlives a daemon that was killed;
 * once this time has passed, the program forwards nothing any more. */
volatile __u64 alive_until = 0;
/* Tests set a time of their own, in ns. Constant in production, so the verifier removes the code. */
const volatile __u8 has_test_clock = 0;
volatile __u64 test_clock = 0;

/* A flow. It is laid out like a `ferry_order` from `done` on, so that an order is installed without a copy. */
struct ferry_flow {
  struct bpf_spin_lock lock;
  __u32 zero;
  struct ferry_plan plan;
  struct ferry_state state;
  struct ferry_more more;
};

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

/* Packets of unknown sources that went to the sockets in the present second, by interface (LIM-3). */
struct budget {
  __u32 second;
  __u32 punts;
};
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, FERRY_INTERFACE_SLOTS);
  __type(key, __u32);
  __type(value, struct budget);
} budgets SEC(".maps");

/* Data that is too big for the stack of 512 octets. One for each CPU. */
#define SILENCE_CHUNK 64
#define SILENCE_CHUNKS 24
struct scratch {
  struct ferry_sink sinks[FERRY_SINKS - 1];
  __u32 before[SILENCE_CHUNK / 4];
  __u32 after[SILENCE_CHUNK / 4];
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratches SEC(".maps");

/* The fate of a frame. */
enum action {
  /* It goes to the sockets, or from XDP on to tc. */
  ACTION_PASS,
  ACTION_DROP,
  ACTION_SEND,
};

/* Two addresses, IPv4 ones mapped. */
struct pair {
  __u8 local[16];
  __u8 remote[16];
};

/* The way of a frame to its first receiver, and what the judge found out about it. `ends`, `hop` and `is_ipv6` are
 * filled in before the judge runs; they hold only if it finds the same hop in the plan under its lock. */
struct route {
  struct pair ends;
  __u32 hop;
  __be16 local_port_be;
  __be16 peer_port_be;
  __u8 tos;
  __u8 is_ipv6;
  __u16 ring;
  /* The judge copies these from the plan that it judged by. */
  __u32 flags;
  __u32 sink_count;
  /* The octet of silence for the packet's codec, and whether the first receiver hears it. */
  __u8 silence;
  __u8 silenced;
  /* The change of the checksum that comes from the addresses. */
  __u16 address_change;
  /* The packet was counted, so a sample of it may be taken. */
  __u8 counted;
  /* The checksum covers the pseudo header alone. */
  __u8 partial;
  /* When the packet came, CLOCK_MONOTONIC in ns. */
  __u64 time;
};

/* The fields of an RTP header. Sizes in octets. */
struct rtp_facts {
  __u32 ssrc;
  __u32 timestamp;
  /* Size of the UDP payload. */
  __u32 size;
  /* Size of the RTP header with CSRCs and extension; size of the padding. */
  __u32 header;
  __u32 padding;
  __u16 sequence;
  __u8 type;
};

static __always_inline void add_one(__u32 counter) {
  __u64 *count = bpf_map_lookup_elem(&counters, &counter);
  if (count) ++*count;
}

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

/* Mirrors TokenBucket::take. Tokens are in FERRY_TOKEN, so that a tick of 1,024 ns adds a whole number of them and
 * nothing has to be divided. A bucket holds one second's worth. 0: the packet is over the limit. */
static __always_inline int take_tokens(struct ferry_state *s, const struct ferry_plan *p, __u32 size, __u64 now) {
  const __s64 full_packets = (__s64)p->packets_per_second * FERRY_TOKEN;
  const __s64 full_bytes = (__s64)p->bytes_per_second * FERRY_TOKEN;
  if (s->bucket_last == 0) {
    s->bucket_packets = full_packets;
    s->bucket_bytes = full_bytes;
    s->bucket_last = now;
  } else if (now > s->bucket_last) {
    __u64 ticks = (now - s->bucket_last) >> 10;
    if (ticks > FERRY_TOKEN) ticks = FERRY_TOKEN;
    if (ticks != 0) {
      s->bucket_last = now;
      s->bucket_packets += (__s64)ticks * p->packets_per_second;
      s->bucket_bytes += (__s64)ticks * p->bytes_per_second;
      if (s->bucket_packets > full_packets) s->bucket_packets = full_packets;
      if (s->bucket_bytes > full_bytes) s->bucket_bytes = full_bytes;
    }
  }
  const __s64 cost = (__s64)size * FERRY_TOKEN;
  if (p->packets_per_second != 0 && s->bucket_packets < FERRY_TOKEN) return 0;
  if (p->bytes_per_second != 0 && s->bucket_bytes < cost) return 0;
  if (p->packets_per_second != 0) s->bucket_packets -= FERRY_TOKEN;
  if (p->bytes_per_second != 0) s->bucket_bytes -= cost;
  return 1;
}

/* The constant kBeforeFirst of follow_sequence in relay/core/rtp/stream_stats.cpp. */
#define FERRY_BEFORE_FIRST 16

/* Mirrors StreamStats::count (RFC 3550 appendix A.3, A.8). `ahead`: distance of the sequence number to the highest
 * one so far.
 *
 * `seen` is a window of the last 64 numbers. It tells a late packet from a repeated one, and lets a late packet
 * correct the number of loss bursts: it may close one, shorten one, or split one in two. */
static __always_inline void count(struct ferry_state *s, const struct rtp_facts *rtp, __s32 ahead,
                                  const struct ferry_kind *kind, __u64 now) {
  if (ahead > 0) {
    s->highest_extended += ahead;
    s->seen = ahead < 64 ? (s->seen << ahead) | 1 : 1;
    if (ahead > 1) {
      ++s->loss_bursts;
      if ((__u32)ahead - 1 > s->longest_loss_burst) s->longest_loss_burst = ahead - 1;
      if ((__u32)ahead - 1 > s->new_burst) s->new_burst = ahead - 1;
    }
  } else {
    const __u32 behind = -ahead;
    if (behind < 64 && (s->seen >> behind & 1)) {
      ++s->duplicates;
    } else {
      ++s->reordered;
      const __u32 extended = s->highest_extended - behind;
      const int is_first = (__s32)(extended - s->base_extended) < 0;
      if (behind >= 1 && behind < 63) {
        const int after = s->seen >> (behind - 1) & 1;
        const int before = is_first ? after : (int)(s->seen >> (behind + 1) & 1);
        if (!is_first && before && after && s->loss_bursts > 0) --s->loss_bursts;
        if (!before && !after) ++s->loss_bursts;
      }
      if (behind < 64) s->seen |= 1ull << behind;
      if (is_first && s->base_extended - extended <= FERRY_BEFORE_FIRST) s->base_extended = extended;
    }
  }
  /* Ticks of 1,024 ns: 32 bits hold 73 minutes. */
  if (s->packets != 0) {
    const __u32 gap = (now - s->last_packet) >> 10;
    if (gap > s->longest_gap) s->longest_gap = gap;
  }
  ++s->packets;
  s->bytes += rtp->size;
  if (ahead >= 0) {
    s->last_timestamp = rtp->timestamp;
    s->last_payload_type = rtp->type;
    s->last_payload_size = rtp->size - rtp->header - rtp->padding;
  }
  s->last_packet = now;
  if (kind->clock == 0) return;
  /* RFC 3550 section 6.4.1: arrival minus timestamp, both in clock units. The scale turns a division into a
   * multiplication and a shift. */
  const __s32 transit = (__s32)(((now >> 6) * kind->scale) >> 32) - (__s32)rtp->timestamp;
  int restarts = s->clock_rate != kind->clock;
  if (!restarts) {
    __s32 difference = (__s32)((__u32)transit - (__u32)s->transit);
    if (difference < 0) difference = -difference;
    /* A leap of more than a second, or another clock rate, is no jitter: measuring begins anew. */
    restarts = difference < 0 || difference > (__s32)kind->clock;
    if (!restarts) {
      const __s64 jitter = (__s64)s->jitter_q4 + difference - ((s->jitter_q4 + 8) >> 4);
      s->jitter_q4 = jitter < 0 ? 0 : jitter;
      if (s->jitter_q4 > s->jitter_max_q4) s->jitter_max_q4 = s->jitter_q4;
    }
    s->jitter_sum_q4 += s->jitter_q4;
  }
  if (restarts) {
    s->drift_transit = transit;
    s->drift_since = now;
  }
  s->clock_rate = kind->clock;
  s->transit = transit;
}

/* A frame taken apart. Offsets count from its first octet; sizes are in octets. */
struct frame {
  /* The address and port that it came to. */
  struct ferry_key key;
  __u8 from[16];
  __be16 from_port_be;
  __be16 checksum;
  /* The IP header and everything behind it. */
  __u32 l3_size;
  /* Offset of the UDP header. */
  __u32 udp;
  __u32 is_ipv6;
  /* The length that the UDP header claims, with that header. */
  __u32 udp_size;
  /* 1: the first three words of the RTP header are in `rtp`. */
  __u32 has_rtp_header;
  __be32 rtp[3];
};

/* Folds a sum of 16-bit words into one word, as Internet checksums are (RFC 1071). */
static __always_inline __u16 fold(__u64 sum) {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

static __always_inline __u32 ip_size(const struct frame *f) {
  return f->is_ipv6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr);
}

/* Whether the checksum covers the pseudo header alone. A sender on this host may leave the rest to the hardware, and
 * a veth has none. A whole checksum looks the same once in 65,536 packets; such a packet just takes the slower path. */
static __always_inline int is_partial(const struct ferry_plan *p, const struct frame *f) {
  return f->checksum == fold((__u64)p->pseudo_sum + bpf_htons(f->l3_size - ip_size(f)));
}

/* Whether one more packet of an unknown source may go to the sockets (LIM-3): FERRY_PUNTS_PER_SECOND for each port,
 * FERRY_INTERFACE_PUNTS for each interface. Only the last program to see the frame uses the budget up. */
static __always_inline int may_punt(struct ferry_state *s, struct budget *budget, __u64 now, int is_last) {
  const __u32 second = now / 1000000000;
  const __u32 punts = s->punt_second == second ? s->punts : 0;
  if (punts >= FERRY_PUNTS_PER_SECOND) return 0;
  if (budget) {
    if (budget->second != second) {
      budget->second = second;
      budget->punts = 0;
    }
    if (budget->punts >= FERRY_INTERFACE_PUNTS) return 0;
    if (is_last) __sync_fetch_and_add(&budget->punts, 1);
  }
  s->punt_second = second;
  s->punts = punts + is_last;
  return 1;
}

static __always_inline int is_from_peer(const struct ferry_plan *p, const struct frame *f) {
  return f->from_port_be == p->peer_port_be && same_address(f->from, p->peer);
}

/* Which program judges. What STAGE_XDP passes on comes to tc, which judges it again. The other two are the last to
 * see a frame: they alone count and limit what goes to the sockets, so that nothing counts twice. */
enum stage { STAGE_XDP, STAGE_XDP_ALONE, STAGE_TC };

/* Judges a datagram of a known port, and counts it if it is of the stream. `route` is completed if the frame is to
 * be sent. `others` receives the further receivers, if there are several; null: there is one. */
static __always_inline int judge(struct ferry_flow *flow, const struct frame *f, const struct rtp_facts *rtp,
                                 int is_rtp, struct route *route, __u32 ifindex, struct scratch *others,
                                 enum stage stage) {
  const int is_last = stage != STAGE_XDP;
  const int is_tc = stage == STAGE_TC;
  const __u64 now = has_test_clock ? test_clock : bpf_ktime_get_ns();
  int action = ACTION_DROP;
  __u32 reason = FERRY_PUNT_NONE;
  struct budget *budget = 0;
  /* Map lookups are not allowed under the lock. */
  if (!is_from_peer(&flow->plan, f)) {
    const __u32 slot = ifindex & (FERRY_INTERFACE_SLOTS - 1);
    budget = bpf_map_lookup_elem(&budgets, &slot);
  }
  route->counted = 0;
  bpf_spin_lock(&flow->lock);
  struct ferry_plan *p = &flow->plan;
  struct ferry_state *s = &flow->state;
  const __u32 flags = p->flags;
  const __u32 sink_count = p->sink_count;
  /* How far the packet goes beyond the newest one of the peer: positive if it continues the stream (LAT-8c). */
  const __s32 continued = (__s16)(rtp->sequence - s->heard_sequence);
  /* The expected type lies in the plan, so that usual packets touch no further line of the cache. */
  const struct ferry_kind *kind = &p->kind;
  __u8 index = 0;
  if (rtp->type != p->kind.type) {
    index = flow->more.kind_of[rtp->type & 127];
    kind = index != 0 || (flags & FERRY_ANY_TYPE) ? &flow->more.kinds[index & (FERRY_KINDS - 1)] : 0;
  }
  /* Closed: user space is withdrawing the flow. Without a daemon: it has been dead for a minute. */
  if ((flags & FERRY_CLOSED) || now > alive_until || (!is_last && (flags & FERRY_TC_ONLY))) {
    action = ACTION_PASS;
  /* Another source than the peer. User space must see it if it might become the peer: while the latch is open, if it
   * continues the stream after the peer fell silent (LAT-8c), or if it may always take the stream back. All others
   * are dropped and counted (LAT-6), and the last of them is remembered for `explain`. */
  } else if (!is_from_peer(p, f)) {
    const int may_continue = ((flags & FERRY_HANDOVER) || same_address(f->from, p->peer)) && rtp->ssrc == p->ssrc &&
                             continued >= 1 && continued <= 200 && now - s->heard_at >= 500000000ull;
    const int takes_back = f->from_port_be == flow->more.home_port_be && same_address(f->from, flow->more.home);
    if ((!is_rtp || now <= p->open_until || may_continue || takes_back) && may_punt(s, budget, now, is_last))
      reason = is_rtp ? FERRY_PUNT_SOURCE : FERRY_PUNT_NOT_RTP;
    else {
      ++s->foreign;
      s->foreign_at = now;
      __builtin_memcpy(s->foreign_from, f->from, 16);
      s->foreign_port_be = f->from_port_be;
    }
  } else if (!is_rtp) {
    reason = FERRY_PUNT_NOT_RTP;
  } else if (!kind) {
    reason = FERRY_PUNT_TYPE;
  } else if (rtp->ssrc != p->ssrc) {
    reason = FERRY_PUNT_SSRC;
  } else if (!is_tc && ((flags & FERRY_TC_ONLY) || (route->is_ipv6 && (f->checksum == 0 || is_partial(p, f))))) {
    reason = FERRY_PUNT_FORM; /* IPv6 needs a checksum, and XDP cannot complete a partial one */
  } else if (sink_count != 0 && route->hop != p->sink.hop) {
    reason = FERRY_PUNT_HOP; /* the plan changed in between */
  } else {
    /* From here on the packet is the stream's, unless its number has jumped. */
    const __s32 ahead = (__s16)(rtp->sequence - (__u16)s->highest_extended);
    /* A jump needs confirmation by a second packet (SSR-4): user space does that. */
    if (ahead >= 3000 || ahead < -100) {
      reason = FERRY_PUNT_SEQUENCE;
    } else {
      /* Heard even if the rate limit drops it: a handover must continue from here (LAT-8c). */
      if (continued > 0) s->heard_sequence = rtp->sequence;
      s->heard_at = now;
      if (!take_tokens(s, p, rtp->size, now)) {
        ++s->rate_limited;
      } else {
        count(s, rtp, ahead, kind, now);
        if (index == FERRY_OTHER_TYPE) ++s->other_types;
        route->counted = 1;
        route->ring = p->ring;
        route->flags = flags;
        /* A sparse sample is the first of every FERRY_SPARSE_SHARE packets. */
        if ((flags & FERRY_SPARSE) && (s->packets & (FERRY_SPARSE_SHARE - 1)) != 0) route->flags &= ~FERRY_SAMPLED;
        if (sink_count != 0) {
          action = ACTION_SEND;
          route->local_port_be = p->sink.local_port_be;
          route->peer_port_be = p->sink.peer_port_be;
          route->tos = p->sink.tos;
          route->address_change = p->sink.address_change;
          route->partial = is_partial(p, f);
          if (is_tc && others && (flags & FERRY_TC_ONLY)) {
            __builtin_memcpy(others->sinks, flow->more.sinks, sizeof others->sinks);
            route->silence = kind->silence;
            route->silenced = p->sink.silenced;
          }
        }
      }
    }
  }
  bpf_spin_unlock(&flow->lock);
  route->sink_count = sink_count;
  /* Counters of this kind are for each CPU, so they need no lock. */
  route->time = now;
  if (reason == FERRY_PUNT_NONE) return action;
  if (is_last) add_one(reason);
  return ACTION_PASS;
}

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

/* RFC 3550 section 5.1 and appendix A.1 (DMX-3): header, CSRCs, extension and padding must lie inside the packet.
 * `load` reads octets at an offset of the frame. A macro, because XDP and tc read with different helpers. `ok`
 * becomes 1 if it is RTP; a second octet of 192 to 223 is RTCP (RFC 5761). */
#define READ_RTP(ctx, load, f, facts, ok)                                                           \
  do {                                                                                              \
    ok = 0;                                                                                         \
    if (!(f)->has_rtp_header || (f)->udp_size < sizeof(struct udphdr) + RTP_MIN) break;             \
    /* The UDP length must be what the IP packet has room for, no more and no less. */              \
    if ((f)->udp_size != (f)->l3_size - ((f)->udp - sizeof(struct ethhdr))) break;                  \
    const __u32 first = bpf_ntohl((f)->rtp[0]);                                                     \
    const __u8 second = first >> 16;                                                                \
    if (first >> 30 != 2 || (second >= 192 && second <= 223)) break;                                \
    (facts)->size = (f)->udp_size - sizeof(struct udphdr);                                          \
    (facts)->type = second & 127;                                                                   \
    (facts)->sequence = (__u16)first;                                                               \
    (facts)->timestamp = bpf_ntohl((f)->rtp[1]);                                                    \
    (facts)->ssrc = bpf_ntohl((f)->rtp[2]);                                                         \
    const __u32 start = (f)->udp + sizeof(struct udphdr);                                           \
    __u32 header = RTP_MIN + 4 * (first >> 24 & 15);                                                \
    if (first & 0x10000000) {                                                                       \
      __u8 extension[4];                                                                            \
      if (header + 4 > (facts)->size || load(ctx, start + header, extension, 4) != 0) break;        \
      header += 4 + 4 * ((extension[2] << 8) | extension[3]);                                       \
    }                                                                                               \
    if (header > (facts)->size) break;                                                              \
    (facts)->header = header;                                                                       \
    if (first & 0x20000000) {                                                                       \
      __u8 padding;                                                                                 \
      if (load(ctx, start + (facts)->size - 1, &padding, 1) != 0) break;                            \
      if (padding == 0 || header + padding > (facts)->size) break;                                  \
      (facts)->padding = padding;                                                                   \
    }                                                                                               \
    ok = 1;                                                                                         \
  } while (0)

/* Copies a counted datagram, or its start, into the ring of its worker. `taken` becomes 1. A ring reservation must
 * have a size that the verifier knows, hence two sizes. What does not fit is counted, so that a recording knows of
 * the hole. */
#define TAKE_SAMPLE(ctx, load, flow, f, route, taken)                                                  \
  do {                                                                                                 \
    const __u32 ring_index = (route)->ring;                                                            \
    void *ring = bpf_map_lookup_elem(&rings, &ring_index);                                             \
    const __u32 whole = (f)->udp_size - sizeof(struct udphdr);                                         \
    __u32 kept = (route)->flags & FERRY_HEADERS && whole > FERRY_HEADER_SAMPLE ? FERRY_HEADER_SAMPLE : whole; \
    if (ring && kept <= FERRY_SHORT_SAMPLE) {                                                          \
      struct ferry_sample *sample = bpf_ringbuf_reserve(ring, sizeof *sample + FERRY_SHORT_SAMPLE, 0); \
      FILL_SAMPLE(ctx, load, f, route, sample, FERRY_SHORT_SAMPLE, taken);                             \
    } else if (ring && kept <= FERRY_LONG_SAMPLE) {                                                    \
      struct ferry_sample *sample = bpf_ringbuf_reserve(ring, sizeof *sample + FERRY_LONG_SAMPLE, 0);  \
      FILL_SAMPLE(ctx, load, f, route, sample, FERRY_LONG_SAMPLE, taken);                              \
    }                                                                                                  \
    if (!taken) __sync_fetch_and_add(&(flow)->state.unsampled, 1);                                     \
  } while (0)

/* Fills a reserved sample. Without a wake-up: user space empties its ring by the clock. */
#define FILL_SAMPLE(ctx, load, f, route, sample, room, taken)                                   \
  do {                                                                                          \
    if (!sample) break;                                                                         \
    __builtin_memcpy(&sample->key, &(f)->key, sizeof sample->key);                              \
    __builtin_memcpy(sample->from, (f)->from, 16);                                              \
    sample->from_port_be = (f)->from_port_be;                                                   \
    sample->size = whole;                                                                       \
    sample->kept = kept;                                                                        \
    sample->zero = 0;                                                                           \
    sample->time = (route)->time;                                                               \
    if (kept >= 1 && kept <= room && load(ctx, (f)->udp + 8, (void *)(sample + 1), kept) == 0) { \
      bpf_ringbuf_submit(sample, BPF_RB_NO_WAKEUP);                                             \
      taken = 1;                                                                                \
    } else {                                                                                    \
      bpf_ringbuf_discard(sample, BPF_RB_NO_WAKEUP);                                            \
    }                                                                                           \
  } while (0)

static __always_inline int is_mapped_ipv4(const __u8 *address) {
  const __u32 *words = (const __u32 *)address;
  return words[0] == 0 && words[1] == 0 && words[2] == bpf_htonl(0xffff);
}

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

/* Sums 32-bit words for a checksum; `words` must be a constant. */
static __always_inline __u64 sum_words(const void *from, __u32 words) {
  const __u32 *w = from;
  __u64 sum = 0;
#pragma unroll
  for (__u32 i = 0; i < words; ++i) sum += w[i];
  return sum;
}

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

/* The checksum of a datagram whose checksum is whole, for its new addresses and ports (RFC 1624: HC' = ~(~HC + ~m +
 * m')). Zero means "no checksum", so it is sent as 0xffff (RFC 768). */
static __always_inline __u16 new_checksum(const struct frame *f, const struct route *route) {
  const __u16 check = (__u16)~fold((__u64)(__u16)~f->checksum + route->address_change + (__u16)~f->from_port_be +
                                   (__u16)~f->key.port_be + route->local_port_be + route->peer_port_be);
  return check == 0 ? 0xffff : check;
}

/* Writes the headers of a frame that has room for them. 0: it has not. */
static __always_inline int write_headers(void *data, void *data_end, const struct frame *f, const struct route *route,
                                         const struct ferry_hop *hop, __u16 check) {
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
  udp->check = check;
  udp->source = route->local_port_be;
  udp->dest = route->peer_port_be;
  write_macs(eth, hop);
  return 1;
}

/* Not inlined: sampling is rare and its code is big, so it should not lie between the instructions of the others. */
static __noinline int sample_xdp(struct xdp_md *ctx, struct ferry_flow *flow, const struct frame *f,
                                 const struct route *route) {
  int taken = 0;
  TAKE_SAMPLE(ctx, bpf_xdp_load_bytes, flow, f, route, taken);
  return taken;
}
static __noinline int sample_tc(struct __sk_buff *skb, struct ferry_flow *flow, const struct frame *f,
                                const struct route *route) {
  int taken = 0;
  TAKE_SAMPLE(skb, bpf_skb_load_bytes, flow, f, route, taken);
  return taken;
}

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
  const __u16 check = f.checksum != 0 && !route.partial ? new_checksum(&f, &route) : 0;
  const int grows = (int)sizeof(struct ipv6hdr) - (int)sizeof(struct iphdr);
  /* An IPv6 header is 20 octets longer. The Ethernet header is written anew in front of it. */
  if (!f.is_ipv6 && route.is_ipv6 && bpf_xdp_adjust_head(ctx, -grows) != 0) return XDP_DROP;
  if (f.is_ipv6 && !route.is_ipv6 && bpf_xdp_adjust_head(ctx, grows) != 0) return XDP_DROP;
  if (!write_headers((void *)(long)ctx->data, (void *)(long)ctx->data_end, &f, &route, hop, check)) return XDP_DROP;
  add_one(FERRY_SENT_XDP);
  return hop->ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(hop->ifindex, 0);
}

SEC("xdp")
int ferry_xdp(struct xdp_md *ctx) { return forward_xdp(ctx, STAGE_XDP); }

/* For hosts where no tc program can be attached. */
SEC("xdp")
int ferry_xdp_alone(struct xdp_md *ctx) { return forward_xdp(ctx, STAGE_XDP_ALONE); }

/* The ends of a frame at the moment. With several receivers the same frame is rewritten once for each of them. */
struct ends {
  struct pair addresses;
  /* Both ports as they lie in the UDP header: source first. */
  __u32 ports;
  __u32 is_ipv6;
};

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

/* Carries out one order. FERRY_WITHDRAW closes the flow under its lock first: no CPU forwards after that, and the
 * counters copied here are final (LAT-13). */
static __noinline int carry_out(__u32 index) {
  struct ferry_order *order = bpf_map_lookup_elem(&orders, &index);
  if (!order) return 0;
  struct ferry_key key;
  __builtin_memcpy(&key, &order->key, sizeof key);
  const __u32 what = order->what;
  if (what == FERRY_INSTALL) {
    /* An order is laid out from `done` on as a flow is from `lock` on, so it is the new entry. A lock must be zero,
     * and `done` is. */
    order->done = 0;
    order->done = bpf_map_update_elem(&flows, &key, &order->done, BPF_NOEXIST) == 0;
    return 0;
  }
  struct ferry_flow *flow = bpf_map_lookup_elem(&flows, &key);
  order->done = flow != 0;
  if (!flow) return 0;
  bpf_spin_lock(&flow->lock);
  __builtin_memcpy(&order->state, &flow->state, sizeof flow->state);
  flow->state.new_burst = 0;
  if (what == FERRY_UPDATE) {
    __builtin_memcpy(&flow->plan, &order->plan, sizeof flow->plan);
    __builtin_memcpy(&flow->more, &order->more, sizeof flow->more);
  }
  if (what == FERRY_WITHDRAW) flow->plan.flags |= FERRY_CLOSED;
  bpf_spin_unlock(&flow->lock);
  /* The kernel may refuse if it cannot lock the hash bucket now; user space then removes the closed flow itself. */
  if (what == FERRY_WITHDRAW && bpf_map_delete_elem(&flows, &key) != 0) order->done = FERRY_LEFT;
  return 0;
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
