/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0 */
/* The kernel programs with a clock that stands still until a test moves it. All else is the production source. */
#include <linux/types.h>

/* The programs' time, in ns. */
volatile __u64 test_clock = 0;
#define FERRY_NOW() test_clock

#include "relay/bpf/ferry.bpf.c"
