/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The counters of packets by `enum ferry_punt`, one set for each CPU, so that they need no lock. Uses the map `counters`
 * of ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>

static __always_inline void add_one(__u32 counter) {
  __u64 *count = bpf_map_lookup_elem(&counters, &counter);
  if (count) ++*count;
}
