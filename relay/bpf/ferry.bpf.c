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
 * The way of a frame (program/forward_xdp.h and program/forward_tc.h):
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
#include "relay/bpf/program/forward_tc.h"
#include "relay/bpf/program/forward_xdp.h"
#include "relay/bpf/program/orders.h"

/* In front of `ferry_tc`. */
SEC("xdp")
int ferry_xdp(struct xdp_md *ctx) { return forward_xdp(ctx, STAGE_XDP); }

/* For hosts where no tc program can be attached. */
SEC("xdp")
int ferry_xdp_alone(struct xdp_md *ctx) { return forward_xdp(ctx, STAGE_XDP_ALONE); }

/* Everything that the judge allows, for every receiver. */
SEC("tc")
int ferry_tc(struct __sk_buff *skb) { return forward_tc(skb); }

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
