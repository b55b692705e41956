/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* What user space and the kernel programs share. Both compile this file. Numbers are in host order unless a name
 * says `be`. */
#pragma once

#include <linux/types.h>

/* An IPv4 address is written as ::ffff:a.b.c.d. */
struct ferry_key {
  __u8 address[16];
  __be16 port_be;
  __u16 zero;
};

enum ferry_flow_flags {
  FERRY_FORWARDS = 1 << 0, /* else: count as refused and drop */
  FERRY_HANDOVER = 1 << 1, /* LAT-8c also from other addresses */
  FERRY_ANY_TYPE = 1 << 2, /* no list of payload types */
  FERRY_CLOSED = 1 << 3,   /* being removed: nothing is forwarded any more (LAT-13) */
};

#define FERRY_CLOCKS 8 /* the first is 0: unknown, no jitter */
#define FERRY_PUNTS_PER_SECOND 2000 /* LIM-3, of unmatched sources */

/* What a flow is. Written by user space only. */
struct ferry_plan {
  __u8 peer[16];
  __u8 out_local[16];
  __u8 out_peer[16];
  __be16 peer_port_be;
  __be16 out_local_port_be;
  __be16 out_peer_port_be;
  __u8 tos;
  __u8 zero;
  __u32 ssrc;
  __u32 flags;
  __u32 packets_per_second; /* 0 = no limit */
  __u32 bytes_per_second;
  __u64 open_until; /* CLOCK_MONOTONIC, ns */
  __u32 clocks[FERRY_CLOCKS];
  __u8 clock_of[128]; /* by payload type: 0 = not in the list, else index of `clocks`, 0x80 set */
};

/* What is counted for it. Whoever forwards owns it. Times are CLOCK_MONOTONIC in ns. */
struct ferry_state {
  __u64 packets;
  __u64 bytes;
  __u64 last_packet;
  __u64 seen;    /* bit n: highest - n was received */
  __s64 transit; /* arrival minus timestamp, in clock units */
  __u32 base_extended;
  __u32 highest_extended;
  __u32 last_timestamp;
  __u32 duplicates;
  __u32 reordered;
  __u32 jitter_q4;
  __u32 clock_rate;
  __u32 last_payload_type;
  __s64 bucket_packets; /* millionths */
  __s64 bucket_bytes;
  __u64 bucket_last;
  __u64 heard_at;
  __u32 heard_sequence;
  __u32 refused;
  __u32 rate_limited;
  __u32 foreign;
  __u32 punt_second;
  __u32 punts;
};

/* How to reach an address: made and kept current by user space. */
struct ferry_hop {
  __u32 ifindex;
  __u32 mtu;
  __u8 destination_mac[6];
  __u8 source_mac[6];
  __u32 xdp; /* frames may be redirected to this interface from XDP */
};
struct ferry_hop_key {
  __u8 local[16];
  __u8 remote[16];
};

/* Index of the counters: why a packet of a known port went to the sockets. */
enum ferry_punt {
  FERRY_PUNT_NONE,
  FERRY_PUNT_FORM,     /* VLAN, joined by GRO, no checksum where IPv6 wants one */
  FERRY_PUNT_NOT_RTP,  /* STUN, DTLS, RTCP, malformed RTP */
  FERRY_PUNT_TYPE,     /* payload type */
  FERRY_PUNT_SSRC,     /* another SSRC */
  FERRY_PUNT_SEQUENCE, /* a jump that needs confirmation */
  FERRY_PUNT_SOURCE,   /* another source while it may be learned */
  FERRY_PUNT_HOP,      /* no neighbour, or another interface than this program can reach */
  FERRY_PUNT_MTU,
  FERRY_PUNT_REASONS,
  /* Behind them: what each program sent on. */
  FERRY_SENT_XDP = FERRY_PUNT_REASONS,
  FERRY_SENT_TC,
  FERRY_COUNTERS,
};

enum ferry_what { FERRY_UPDATE, FERRY_WITHDRAW };

/* What the control program is run with, behind an Ethernet header. It returns 1 if the flow was there. */
struct ferry_command {
  struct ferry_key key;
  __u32 what;
  struct ferry_plan plan;   /* FERRY_UPDATE: in */
  struct ferry_state state; /* FERRY_WITHDRAW: out */
};
