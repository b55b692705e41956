// SPDX-License-Identifier: Apache-2.0
// What the name of a G.726 encoding says.
#pragma once

#include <cstddef>
#include <string_view>

namespace ferry {

/// `G726-32` is 32 kbit/s, codes packed from the least significant bit; `AAL2-G726-32` packs from the most
/// significant one (RFC 3551 §4.5.4).
struct G726Name {
  /// Bits of a code, 2 to 5.
  std::size_t bits = 4;
  bool is_aal2 = false;
};

/// `encoding`: one of the eight names, in letters of any case.
constexpr G726Name g726_name(std::string_view encoding) {
  // The last two letters are the rate in kbit/s: 16, 24, 32 or 40.
  const std::size_t tens = static_cast<std::size_t>(encoding[encoding.size() - 2] - '0');
  const std::size_t ones = static_cast<std::size_t>(encoding[encoding.size() - 1] - '0');
  return {(tens * 10 + ones) / 8, encoding.starts_with('A') || encoding.starts_with('a')};
}

}  // namespace ferry
