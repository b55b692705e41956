/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* Reads an RTP header and checks it as the core would (`parse_rtp` in relay/core/rtp/rtp.cpp). Change both or none: a
 * packet that only one of them accepts would be counted differently once its stream is forwarded in the kernel. */
#pragma once

#include "relay/bpf/program/parse.h"
#include "relay/bpf/program/types.h"

#include <bpf/bpf_endian.h>
#include <linux/if_ether.h>
#include <linux/udp.h>

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
