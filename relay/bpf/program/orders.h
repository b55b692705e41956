/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The orders of user space: install, update, withdraw or read a flow. Only they change a flow, and under its lock, so
 * that no counter is lost. Uses the maps `flows` and `orders` of ferry.bpf.c. */
#pragma once

#include "relay/bpf/program/types.h"

#include <bpf/bpf_helpers.h>

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
