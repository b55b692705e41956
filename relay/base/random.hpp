// SPDX-License-Identifier: Apache-2.0
// Random values from the kernel's generator (getrandom), for everything that an attacker must not guess. Safe
// on any thread.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>
#include <string>

namespace ferry {

/// 64 random bits.
std::uint64_t random_u64();
/// Fills `to` with random octets.
void random_octets(MutableBytes to);
/// A random number from 0 to `bound` - 1, all practically equally likely. `bound` must not be 0.
std::uint32_t random_below(std::uint32_t bound);
/// A text of `digits` random hexadecimal digits in lower case.
std::string random_hex(std::size_t digits);

}  // namespace ferry
