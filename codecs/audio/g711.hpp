// SPDX-License-Identifier: Apache-2.0
// G.711 as tables: octets to samples, and one law to the other without samples between.
#pragma once

#include "relay/base/bytes.hpp"

#include <array>
#include <cstdint>

namespace ferry {

/// The two laws of G.711: PCMU and PCMA.
enum class Law : std::uint8_t { kMu, kA };

/// The sample that each octet stands for. Lives as long as the process.
[[nodiscard]] const std::array<std::int16_t, 256>& g711_samples(Law law);

/// Translates a payload of the law `from` into the other one: as if it were decoded and encoded, octet by
/// octet, but for one look-up each. `out` has the size of `payload`, and may be the same octets. No state, no
/// delay.
void translate_g711(Law from, Bytes payload, MutableBytes out);

}  // namespace ferry
