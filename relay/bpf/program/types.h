/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* What the parts of the programs hand to each other: the entry of a flow, a frame taken apart, the facts of its RTP
 * header, its way out. What user space sees too is in abi.h. */
#pragma once

#include "relay/bpf/abi.h"

#include <linux/bpf.h>

/* A flow. It is laid out like a `ferry_order` from `done` on, so that an order is installed without a copy. */
struct ferry_flow {
  struct bpf_spin_lock lock;
  __u32 zero;
  struct ferry_plan plan;
  struct ferry_state state;
  struct ferry_more more;
};
static_assert(sizeof(struct ferry_flow) == sizeof(struct ferry_order) - __builtin_offsetof(struct ferry_order, done) &&
                  __builtin_offsetof(struct ferry_flow, plan) == 8,
              "an order is installed as it is");

/* Packets of unknown sources that went to the sockets in the present second, by interface (LIM-3). */
struct budget {
  __u32 second;
  __u32 punts;
};

/* The first three words of an RTP header: flags and sequence number, timestamp, SSRC. */
struct numbers {
  __be32 words[3];
};

/* Data that is too big for the stack of 512 octets. One for each CPU. */
#define SILENCE_CHUNK 64
#define SILENCE_CHUNKS 24
struct scratch {
  struct ferry_sink sinks[FERRY_SINKS - 1];
  struct numbers numbers[FERRY_SINKS];
  __u32 before[SILENCE_CHUNK / 4];
  __u32 after[SILENCE_CHUNK / 4];
};

/* The fate of a frame. */
enum action {
  /* It goes to the sockets, or from XDP on to tc. */
  ACTION_PASS,
  ACTION_DROP,
  ACTION_SEND,
};

/* Which program judges. What STAGE_XDP passes on comes to tc, which judges it again. The other two are the last to
 * see a frame: they alone count and limit what goes to the sockets, so that nothing counts twice. */
enum stage { STAGE_XDP, STAGE_XDP_ALONE, STAGE_TC };

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
  /* What the first receiver gets in place of the same words, with FERRY_SHIFTED in `flags`. */
  struct numbers numbers;
  /* When the packet came, CLOCK_MONOTONIC in ns. */
  __u64 time;
};

/* The ends of a frame at the moment. With several receivers the same frame is rewritten once for each of them. */
struct ends {
  struct pair addresses;
  /* Both ports as they lie in the UDP header: source first. */
  __u32 ports;
  __u32 is_ipv6;
};
