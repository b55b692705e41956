// SPDX-License-Identifier: Apache-2.0
// The beginnings of streams that the relay makes itself.
#pragma once

#include "relay/base/random.hpp"
#include "relay/worker/commands.hpp"

namespace ferry {

/// Numbers that nobody can guess (SSR-5).
[[nodiscard]] inline FirstNumbers random_numbers() {
  const std::uint64_t random = random_u64();
  return {Ssrc{static_cast<std::uint32_t>(random)}, SeqNo{static_cast<std::uint16_t>(random >> 32)},
          static_cast<std::uint32_t>(random_u64())};
}

}  // namespace ferry
