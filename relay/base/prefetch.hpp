// SPDX-License-Identifier: Apache-2.0
// Hints to the processor's cache.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ferry {

/// Starts to load `size` octets at `at`, and the `before` octets in front of them, into the cache. Harmless
/// for any address, even an invalid one.
inline void prefetch_octets(const void* at, std::size_t size, std::size_t before = 0) noexcept {
  constexpr std::size_t kLine = 64;
  const std::uintptr_t first = reinterpret_cast<std::uintptr_t>(at) - before;
  for (std::size_t i = 0; i < size + before; i += kLine)
    __builtin_prefetch(reinterpret_cast<const void*>(first + i));
}

}  // namespace ferry
