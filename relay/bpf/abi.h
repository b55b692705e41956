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
  FERRY_HANDOVER = 1 << 0, /* LAT-8c also from other addresses */
  FERRY_ANY_TYPE = 1 << 1, /* no list of payload types */
  FERRY_CLOSED = 1 << 2,   /* being removed: nothing is forwarded any more (LAT-13) */
  FERRY_TC_ONLY = 1 << 3,  /* several receivers, or silence: XDP can neither copy a frame nor grow its sums */
  FERRY_HEADERS = 1 << 4,  /* samples carry FERRY_HEADER_SAMPLE octets, else whole datagrams */
  FERRY_SAMPLED = 1 << 5,  /* a copy of every counted packet goes to user space */
  FERRY_SPARSE = 1 << 6,   /* of one in FERRY_SPARSE_SHARE */
};

#define FERRY_TOKEN (1000000000 >> 10) /* one packet or octet: ticks of 1,024 ns in a second */
#define FERRY_KINDS 8                /* the first is 0: unknown, no jitter */
#define FERRY_OTHER_TYPE 0x40        /* was not negotiated, taken and counted all the same (DMX-4) */
#define FERRY_SINKS 4                /* receivers of a flow */
#define FERRY_PUNTS_PER_SECOND 2000  /* LIM-3, of unmatched sources, for each port */
#define FERRY_INTERFACE_PUNTS 50000  /* and for each interface */
#define FERRY_INTERFACE_SLOTS 64     /* interfaces share a limit if their indices differ by a multiple */
#define FERRY_ORDERS 64              /* of one worker */
#define FERRY_WORKERS 64
#define FERRY_HEADER_SAMPLE 128      /* octets of a datagram */
#define FERRY_SPARSE_SHARE 64        /* a power of two */
#define FERRY_SHORT_SAMPLE 256
#define FERRY_LONG_SAMPLE 1536

/* A payload type's clock rate, the same in 64 ns times 2^32, and the octet that is its silence (0: it has none). */
struct ferry_kind {
  __u32 clock;
  __u8 silence;
  __u8 type; /* in ferry_plan */
  __u16 zero;
  __u64 scale;
};

#define FERRY_HOPS 65536 /* the first is none */

/* A receiver. */
struct ferry_sink {
  __u32 hop; /* which has the addresses */
  __be16 local_port_be;
  __be16 peer_port_be;
  __u8 tos;
  __u8 silenced; /* hears silence instead of the payload */
  __u16 address_change; /* of the checksum (RFC 1624), from the flow's addresses to these */
};

/* What a flow is, as far as every packet needs it: few lines of the cache. Written by user space only. */
struct ferry_plan {
  __u8 peer[16];
  __be16 peer_port_be;
  __u16 ring; /* of its worker, for samples */
  __u32 ssrc;
  __u32 flags;
  __u32 packets_per_second; /* 0 = no limit */
  __u32 bytes_per_second;
  __u16 sink_count; /* 0: packets are counted and go nowhere */
  __u16 pseudo_sum; /* of the addresses and the protocol that packets of the flow come with */
  __u64 open_until; /* CLOCK_MONOTONIC, ns */
  struct ferry_sink sink;
  __u32 zero;
  struct ferry_kind kind; /* of the type that is expected most; 255: of none */
};

/* The rest of it. */
struct ferry_more {
  struct ferry_sink sinks[FERRY_SINKS - 1]; /* from the second on */
  struct ferry_kind kinds[FERRY_KINDS];
  __u8 kind_of[128]; /* by payload type: 0 = not in the list, FERRY_OTHER_TYPE, or index of `kinds`, 0x80 set */
  __u8 home[16];     /* who may always take the stream back; port 0: nobody */
  __be16 home_port_be;
  __u16 zero;
  __u32 zero_too;
};

/* What is counted for it. Whoever forwards owns it. Times are CLOCK_MONOTONIC in ns. */
struct ferry_state {
  __u64 packets;
  __u64 bytes;
  __u64 last_packet;
  __u64 seen;           /* bit n: highest - n was received */
  __s64 bucket_packets; /* in FERRY_TOKEN */
  __s64 bucket_bytes;
  __u64 bucket_last;
  __u64 heard_at;
  __s32 transit; /* arrival minus timestamp, in clock units */
  __u32 highest_extended;
  __u32 base_extended;
  __u32 last_timestamp;
  __u32 jitter_q4;
  __u32 clock_rate;
  __u16 heard_sequence;
  __u8 last_payload_type;
  __u8 zero;
  __u16 last_payload_size; /* octets without padding */
  __u16 zero3;
  __u64 jitter_sum_q4;
  __u32 jitter_max_q4;
  __u32 longest_gap; /* between two packets, in ticks of 1,024 ns */
  /* What most packets leave alone. */
  __u32 duplicates;
  __u32 reordered;
  __u32 rate_limited;
  __u32 foreign;
  __u32 unsampled; /* samples that found no room */
  __u32 punt_second;
  __u32 punts;
  __u32 loss_bursts;
  __u64 drift_since;
  __s32 drift_transit;
  __u32 longest_loss_burst;
  __u64 foreign_at; /* newest packet of another source than the peer */
  __u8 foreign_from[16];
  __be16 foreign_port_be;
  __u16 zero2;
  __u32 other_types; /* packets of types marked FERRY_OTHER_TYPE */
  __u32 new_burst; /* longest run of missing numbers since the last order that took it */
  __u32 zero4;
};

/* How to get from one of our addresses to a receiver's: made and kept current by user space. */
struct ferry_hop {
  __u8 local[16];
  __u8 remote[16];
  __u32 ifindex; /* 0: there is no way now */
  __u32 mtu;
  __u8 destination_mac[6];
  __u8 source_mac[6];
  __u32 xdp; /* frames may be redirected to this interface from XDP */
};

/* Nobody sees a hop half written: user space fills the other copy, then says that it is the one. */
struct ferry_hop_copies {
  __u32 current;
  __u32 zero;
  struct ferry_hop copies[2];
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

/* `done` of FERRY_WITHDRAW: the flow forwards nothing any more, but it is still in the map. */
#define FERRY_LEFT 2

enum ferry_what { FERRY_INSTALL = 1, FERRY_UPDATE, FERRY_WITHDRAW, FERRY_READ };

/* One entry of the table that user space fills and the control program works off. */
struct ferry_order {
  struct ferry_key key;
  __u32 what;
  __u64 done;               /* out: 1 if the flow was there, or for FERRY_INSTALL if it is there now */
  struct ferry_plan plan;   /* FERRY_INSTALL, FERRY_UPDATE: in */
  struct ferry_state state; /* FERRY_INSTALL: in; all others: out, as it was at that moment */
  struct ferry_more more;   /* as plan */
};

/* What the control program is run with, behind an Ethernet header: which orders. */
struct ferry_run {
  __u32 first;
  __u32 count;
};

/* In the ring of its worker, followed by `kept` octets from the start of the datagram. */
struct ferry_sample {
  struct ferry_key key;
  __u8 from[16];
  __be16 from_port_be;
  __u16 kept;
  __u16 size;
  __u16 zero;
  __u64 time; /* CLOCK_MONOTONIC, ns */
};
