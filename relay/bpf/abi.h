/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* What user space and the kernel programs share. Both compile this file, and both check the sizes.
 *
 * Numbers are in host order unless a name ends in `be` (network order). Times are CLOCK_MONOTONIC in nanoseconds,
 * sizes in octets. Members called `zero` pad a structure and must be zero: keys of a map are compared octet by
 * octet. */
#pragma once

#include <linux/types.h>

/* The version of all that is shared. The programs carry it as `abi`, a constant at the start of the map .rodata, which
 * the kernel keeps with each of them. It is there for programs that outlive their daemon, because they are pinned: the
 * next daemon may adopt them and their maps only if this number is its own FERRY_ABI, and has to load its own programs
 * otherwise.
 *
 * Raise it with each change after which an old program and a new daemon would misunderstand each other:
 * - the layout or the meaning of a structure, an enumerator, a flag, a limit or a unit in this file;
 * - a map or a variable of ferry.bpf.c: its name, type, key, value, or number of entries;
 * - what an order does, and who may write what at which moment.
 * A change of the programs that user space cannot notice leaves it alone. */
#define FERRY_ABI 2

/* C has the C++ word in <assert.h> only, which the programs have not. */
#if !defined(__cplusplus) && !defined(static_assert)
#define static_assert _Static_assert
#endif
/* Fails to compile where `structure` has not the size that this version has. */
#define FERRY_SIZE(structure, octets) \
  static_assert(sizeof(struct structure) == (octets), "another size of a structure is another FERRY_ABI")

/* A local address and port: the key of a flow. IPv4 addresses are written as ::ffff:a.b.c.d, here and everywhere
 * below. */
struct ferry_key {
  __u8 address[16];
  __be16 port_be;
  __u16 zero;
};
FERRY_SIZE(ferry_key, 20);

/* Bits of ferry_plan.flags. User space sets all but FERRY_CLOSED. */
enum ferry_flow_flags {
  /* Another address than the peer's may continue the stream, not only another port (LAT-8c). */
  FERRY_HANDOVER = 1 << 0,
  /* There is no list of payload types: every type is taken. */
  FERRY_ANY_TYPE = 1 << 1,
  /* The flow is being withdrawn: nothing is forwarded any more (LAT-13). Set by the control program. */
  FERRY_CLOSED = 1 << 2,
  /* Only the tc program may forward: there are several receivers, or one hears silence. XDP can neither copy a frame
   * nor let its checksum follow a changed payload. */
  FERRY_TC_ONLY = 1 << 3,
  /* Samples carry the first FERRY_HEADER_SAMPLE octets of a datagram; without it the whole datagram. */
  FERRY_HEADERS = 1 << 4,
  /* Copies of counted packets go to user space. */
  FERRY_SAMPLED = 1 << 5,
  /* Only one packet in FERRY_SPARSE_SHARE is copied. Set together with FERRY_SAMPLED. */
  FERRY_SPARSE = 1 << 6,
  /* Some receiver gets the packets by other numbers (ferry_more.shifts). */
  FERRY_SHIFTED = 1 << 7,
};

/* One packet or one octet in a token bucket: the number of ticks of 1,024 ns in a second. */
#define FERRY_TOKEN (1000000000 >> 10)
/* Most kinds of payload (clock rate and silence) of a flow; the first is 0: unknown, no jitter. */
#define FERRY_KINDS 8
/* A value of kind_of: the type was not negotiated, but is taken and counted all the same (DMX-4). */
#define FERRY_OTHER_TYPE 0x40
static_assert((FERRY_KINDS & (FERRY_KINDS - 1)) == 0 && FERRY_KINDS <= FERRY_OTHER_TYPE,
              "the number of a kind is the lowest bits of kind_of, and the marks are above them");
/* Most receivers of a flow. */
#define FERRY_SINKS 4
/* Packets of unknown sources that go to the sockets in a second (LIM-3), for each port. */
#define FERRY_PUNTS_PER_SECOND 2000
/* The same for each interface. */
#define FERRY_INTERFACE_PUNTS 50000
/* Interfaces share a limit if their indices differ by a multiple of this. A power of two. */
#define FERRY_INTERFACE_SLOTS 64
/* Most orders that a worker gives at a time. */
#define FERRY_ORDERS 64
/* Most workers. */
#define FERRY_WORKERS 64
/* Octets of a datagram in a sample of headers. */
#define FERRY_HEADER_SAMPLE 128
/* A sparse sample copies one of so many packets. A power of two. */
#define FERRY_SPARSE_SHARE 64
/* Room for a datagram in the two sizes of a sample, in octets. */
#define FERRY_SHORT_SAMPLE 256
#define FERRY_LONG_SAMPLE 1536

/* A kind of payload: what must be known of a payload type. */
struct ferry_kind {
  /* Clock rate in Hz; 0: unknown, no jitter is measured. */
  __u32 clock;
  /* The octet that is silence when repeated; 0: there is none. */
  __u8 silence;
  /* Payload type; in ferry_plan only. */
  __u8 type;
  __u16 zero;
  /* The clock rate in units of 64 ns, times 2^32: a multiplication and a shift give clock units. */
  __u64 scale;
};
FERRY_SIZE(ferry_kind, 16);

/* Ways to receivers in the table; number 0 is none. */
#define FERRY_HOPS 65536

/* A receiver of a flow. Its addresses are in the hop. */
struct ferry_sink {
  /* Number of the way to it. */
  __u32 hop;
  /* The ports that the packet leaves from and goes to. */
  __be16 local_port_be;
  __be16 peer_port_be;
  /* DSCP and ECN octet of what leaves. */
  __u8 tos;
  /* 1: it hears silence instead of the payload. */
  __u8 silenced;
  /* How the checksum changes from the flow's addresses to those of the hop (RFC 1624). */
  __u16 address_change;
};
FERRY_SIZE(ferry_sink, 12);

/* What is added to the numbers of a packet for one receiver, each by its own modulus (SSR-2). */
struct ferry_shift {
  /* The SSRC that it gets; 0 with `is_set` 0. */
  __u32 ssrc;
  __u32 timestamp;
  __u16 sequence;
  /* 1: the three above hold. 0: the numbers stay. */
  __u8 is_set;
  __u8 zero;
};
FERRY_SIZE(ferry_shift, 12);

/* The part of a flow's description that every packet needs: few lines of the cache. User space writes it, by orders
 * alone. */
struct ferry_plan {
  /* The only source that is forwarded. */
  __u8 peer[16];
  __be16 peer_port_be;
  /* Number of the worker's ring, for samples. */
  __u16 ring;
  /* The only SSRC that is forwarded. */
  __u32 ssrc;
  __u32 flags;
  /* Rate limits; 0 = no limit. */
  __u32 packets_per_second;
  __u32 bytes_per_second;
  /* 0: packets are counted and go nowhere. */
  __u16 sink_count;
  /* Sum of the addresses and the protocol in the pseudo header of the flow's packets, by which a partial checksum is
   * recognised. */
  __u16 pseudo_sum;
  /* Until then packets of other sources go to user space; later ones are dropped and counted (LAT-6). */
  __u64 open_until;
  /* The first receiver. */
  struct ferry_sink sink;
  __u32 zero;
  /* The kind of the type that is expected most; type 255: there is none. */
  struct ferry_kind kind;
};
FERRY_SIZE(ferry_plan, 80);

/* The rest of a flow's description, which only some packets need. */
struct ferry_more {
  /* The receivers from the second on. */
  struct ferry_sink sinks[FERRY_SINKS - 1];
  /* Kinds of payload; the first is "unknown". */
  struct ferry_kind kinds[FERRY_KINDS];
  /* For each payload type: 0 = not taken (see FERRY_ANY_TYPE), FERRY_OTHER_TYPE, or 0x80 plus an index into `kinds`. */
  __u8 kind_of[128];
  /* A source that may always take the stream back; port 0: there is none. */
  __u8 home[16];
  __be16 home_port_be;
  __u16 zero;
  __u32 zero_too;
  /* The numbers of each receiver, with FERRY_SHIFTED. */
  struct ferry_shift shifts[FERRY_SINKS];
};
FERRY_SIZE(ferry_more, 368);

/* The counters of a flow. The side that forwards the flow owns them: they are installed with the flow, and read back
 * as they were at that moment. The members mean what those of SsrcCounters, StreamStats::State, TokenBucket::State
 * and OffloadState mean. */
struct ferry_state {
  /* Packets and octets of UDP payload that were accepted, and when the last one came. */
  __u64 packets;
  __u64 bytes;
  __u64 last_packet;
  /* Bit n: the number `highest_extended - n` was received. */
  __u64 seen;
  /* Tokens left, in FERRY_TOKEN, and when they were counted last. */
  __s64 bucket_packets;
  __s64 bucket_bytes;
  __u64 bucket_last;
  /* When the peer was heard last, also if the rate limit dropped the packet. */
  __u64 heard_at;
  /* Arrival minus timestamp of the last packet, in clock units. */
  __s32 transit;
  /* Highest and first sequence number, with the number of roll-overs above 16 bits. */
  __u32 highest_extended;
  __u32 base_extended;
  __u32 last_timestamp;
  /* Interarrival jitter in sixteenths of a clock unit (RFC 3550 appendix A.8). */
  __u32 jitter_q4;
  /* Clock rate that `transit` and the jitter are of, in Hz. */
  __u32 clock_rate;
  /* Newest sequence number of the peer, also if the rate limit dropped the packet. */
  __u16 heard_sequence;
  __u8 last_payload_type;
  __u8 zero;
  /* Octets without padding. */
  __u16 last_payload_size;
  __u16 zero3;
  /* Sum of the jitter at each packet, and its highest value, in sixteenths of a clock unit. */
  __u64 jitter_sum_q4;
  __u32 jitter_max_q4;
  /* Longest time between two packets, in ticks of 1,024 ns. */
  __u32 longest_gap;
  /* Most packets leave the members from here on alone.
   *
   * Packets that came twice, late, over the rate limit, from another source than the peer. */
  __u32 duplicates;
  __u32 reordered;
  __u32 rate_limited;
  __u32 foreign;
  /* Samples that found no room in the ring. */
  __u32 unsampled;
  /* The second in which `punts` packets of unknown sources went to the sockets (LIM-3). */
  __u32 punt_second;
  __u32 punts;
  /* Runs of missing numbers. */
  __u32 loss_bursts;
  /* Since when, and from which transit on, the clock drift is measured. */
  __u64 drift_since;
  __s32 drift_transit;
  /* Longest run of missing numbers, in packets. */
  __u32 longest_loss_burst;
  /* The newest packet of another source than the peer: when it came, and from where. */
  __u64 foreign_at;
  __u8 foreign_from[16];
  __be16 foreign_port_be;
  __u16 zero2;
  /* Packets of types marked FERRY_OTHER_TYPE. */
  __u32 other_types;
  /* Longest run of missing numbers since the last order for this flow. */
  __u32 new_burst;
  __u32 zero4;
};
FERRY_SIZE(ferry_state, 200);

/* How to get from one of our addresses to a receiver's. User space makes it and keeps it current (docs/adr/0004). */
struct ferry_hop {
  /* Our address and the receiver's. */
  __u8 local[16];
  __u8 remote[16];
  /* The outgoing interface; 0: there is no way now. */
  __u32 ifindex;
  /* Longest IP packet on the way. */
  __u32 mtu;
  /* MAC address of the neighbour, and ours. */
  __u8 destination_mac[6];
  __u8 source_mac[6];
  /* 1: XDP may redirect frames to this interface. */
  __u32 xdp;
};
FERRY_SIZE(ferry_hop, 56);

/* Two copies of a hop, so that nobody sees one half written. User space fills the other copy, then makes it the
 * current one. */
struct ferry_hop_copies {
  __u32 current;
  __u32 zero;
  struct ferry_hop copies[2];
};
FERRY_SIZE(ferry_hop_copies, 120);

/* Index of the counters. First the reasons why a packet of a known port went to the sockets. */
enum ferry_punt {
  FERRY_PUNT_NONE,
  /* Form: a VLAN tag, joined by GRO, no checksum where IPv6 wants one. */
  FERRY_PUNT_FORM,
  /* STUN, DTLS, RTCP or malformed RTP. */
  FERRY_PUNT_NOT_RTP,
  /* A payload type that is not taken. */
  FERRY_PUNT_TYPE,
  /* Another SSRC. */
  FERRY_PUNT_SSRC,
  /* A jump of the sequence number, which needs confirmation (SSR-4). */
  FERRY_PUNT_SEQUENCE,
  /* Another source, while it may be learned. */
  FERRY_PUNT_SOURCE,
  /* No neighbour, or an interface that this program cannot reach. */
  FERRY_PUNT_HOP,
  /* Longer than the way allows, or than can be silenced. */
  FERRY_PUNT_MTU,
  FERRY_PUNT_REASONS,
  /* Behind the reasons: frames that each program sent on. */
  FERRY_SENT_XDP = FERRY_PUNT_REASONS,
  FERRY_SENT_TC,
  FERRY_COUNTERS,
};

/* A value of `done` after FERRY_WITHDRAW: the flow forwards nothing any more, but it is still in the map. */
#define FERRY_LEFT 2

/* The kinds of an order. */
enum ferry_what { FERRY_INSTALL = 1, FERRY_UPDATE, FERRY_WITHDRAW, FERRY_READ };

/* One entry of the table that user space fills and the control program works off. A worker has FERRY_ORDERS entries
 * of its own. From `done` on it is laid out like the kernel's entry of a flow. */
struct ferry_order {
  struct ferry_key key;
  /* enum ferry_what. */
  __u32 what;
  /* Out: 1 if the flow was there, or, for FERRY_INSTALL, if it is there now. 0: it was not, or was refused. */
  __u64 done;
  /* Input of FERRY_INSTALL and FERRY_UPDATE. */
  struct ferry_plan plan;
  /* Input of FERRY_INSTALL. Output of all others: the flow's counters at that moment. */
  struct ferry_state state;
  /* Input, as `plan`. */
  struct ferry_more more;
};
FERRY_SIZE(ferry_order, 680);
static_assert(__builtin_offsetof(struct ferry_order, plan) - __builtin_offsetof(struct ferry_order, done) == 8,
              "the kernel's lock of a flow has the place of `done`");

/* The input of the control program, behind an Ethernet header: the numbers of the orders to carry out. */
struct ferry_run {
  __u32 first;
  __u32 count;
};
FERRY_SIZE(ferry_run, 8);

/* A copy of a counted packet, in the ring of its worker. `kept` octets from the start of the datagram follow. */
struct ferry_sample {
  /* The flow. */
  struct ferry_key key;
  /* The source of the packet. */
  __u8 from[16];
  __be16 from_port_be;
  /* Octets that follow, and octets that the datagram had. */
  __u16 kept;
  __u16 size;
  __u16 zero;
  /* When it came. */
  __u64 time;
};
FERRY_SIZE(ferry_sample, 56);
