// The system's random generator (getrandom), for everything that an attacker must not guess.
#pragma once

#include "relay/base/bytes.hpp"

#include <cstdint>
#include <string>

namespace ferry {

std::uint64_t random_u64();
void random_octets(MutableBytes to);
/// Uniform in [0, bound); bound > 0.
std::uint32_t random_below(std::uint32_t bound);
/// `digits` lower-case hexadecimal digits.
std::string random_hex(std::size_t digits);

}  // namespace ferry
